/* What a training run needs to go on exactly where it was: one safetensors file, written
 * atomically, with the parameters, both moments, and in its metadata the step, the position in
 * the data and the settings that determine the run. */
#ifndef TANDEM_TRAIN_STATE_H
#define TANDEM_TRAIN_STATE_H

#include "base/json.h"
#include "train/optimizer.h"

struct train_state {
    struct optimizer *optimizer; /* parameters, moments and step: written from, read into */
    size_t position;             /* in the stream of examples */
    const json_t *settings;      /* must be the same when the run goes on */
};

enum status train_state_save(const char *path, const struct train_state *state, struct error *err);
/* The error names the first setting that differs, with both values. */
enum status train_state_load(const char *path, struct train_state *state, struct error *err);

#endif
