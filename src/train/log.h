/* The record of a run: JSON lines, appended as things happen. */
#ifndef TANDEM_TRAIN_LOG_H
#define TANDEM_TRAIN_LOG_H

#include "base/json.h"

struct train_log {
    void *stream; /* FILE * */
    char *path;
};

/* A new run starts an empty log. One that goes on at `step` keeps the lines up to it, so that
 * every step is there once. */
enum status train_log_open(const char *folder, bool resume, size_t step, struct train_log *log,
                           struct error *err);
/* Writes one line and releases `event`. */
enum status train_log_write(struct train_log *log, json_t *event, struct error *err);
void train_log_close(struct train_log *log);

#endif
