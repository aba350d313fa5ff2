/* How much an error at each input of a matrix matters: the mean square of what it multiplies, over
 * a text that the model reads. An error e of a weight at input k adds e * x[k] to the output, and
 * its mean square e^2 * mean(x[k]^2) to the output's error.
 *
 *     struct importance *importance;
 *     importance_collect(model, ids, n, &options, &importance, &err);
 *     struct quantize_options how = {.importance = importance_of,
 *                                    .importance_context = importance};
 */
#ifndef TANDEM_QUANTIZE_IMPORTANCE_H
#define TANDEM_QUANTIZE_IMPORTANCE_H

#include "base/error.h"
#include "model/model.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct importance;

struct importance_options {
    size_t window;    /* tokens that are read as one sequence, at least 1 */
    size_t n_windows; /* at most; the rest of the text is not read */
    void (*progress)(void *context, size_t done, size_t all); /* windows; may be NULL */
    void *context;
    const atomic_bool *cancel; /* may be NULL */
};

/* Runs the model over the text, in windows; the last may be shorter. Memory: a float for each
 * input of each kind of matrix, and the KV cache of a window. */
enum status importance_collect(struct model *model, const int32_t *ids, size_t n,
                               const struct importance_options *options,
                               struct importance **importance, struct error *err);
void importance_free(struct importance *importance);
size_t importance_tokens(const struct importance *importance); /* that were read */

/* [cols] values for the matrix of that name (Hugging Face's), mean 1; NULL: there are none for it.
 * A struct importance * as `context`: fits struct quantize_options. */
const float *importance_of(void *importance, const char *name, size_t cols);

#endif
