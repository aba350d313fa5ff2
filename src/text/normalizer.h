/* The "normalizer" of tokenizer.json: what is done to the text before it is split. */
#ifndef TANDEM_TEXT_NORMALIZER_H
#define TANDEM_TEXT_NORMALIZER_H

#include "base/error.h"
#include "base/json.h"
#include "base/strbuf.h"

#include <stdbool.h>
#include <stddef.h>

struct normalizer_step;

struct normalizer {
    struct normalizer_step *steps;
    size_t count, capacity;
};

/* `json` may be NULL or null: nothing is done. */
enum status normalizer_from_json(const json_t *json, struct normalizer *normalizer,
                                 struct error *err);
void normalizer_free(struct normalizer *normalizer);
/* *result is `text` itself where nothing changes it, else the contents of one of the scratch
 * buffers. */
enum status normalizer_apply(const struct normalizer *normalizer, const char *text, size_t length,
                             struct strbuf scratch[2], const char **result, size_t *result_length,
                             struct error *err);

#endif
