/* How good a quantized model still is: perplexity of a text, and the distance to a base model.
 *
 * The text's tokens are cut into windows; of each, the first half is context alone and every token
 * of the second half is predicted, as llama.cpp's perplexity tool does it. Where texts begin with a
 * certain token, so do windows, instead of with their own first one. Perplexity is
 * exp(mean negative log-likelihood); its standard error follows from that of the mean. Against a
 * base, per predicted position: the Kullback-Leibler divergence of the model's distribution from
 * the base's, sum_i p_base(i) (log p_base(i) - log p_model(i)), and whether both prefer the same
 * token. */
#ifndef TANDEM_QUANTIZE_QUALITY_H
#define TANDEM_QUANTIZE_QUALITY_H

#include "base/error.h"
#include "model/model.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct quality {
    size_t n_predicted;    /* positions */
    double nll, nll_error; /* mean, and its standard error */
    double perplexity, perplexity_error;
    /* Against a base; 0 without one. */
    double base_perplexity;
    /* Of both predictions of the same tokens, so that what the text does to both cancels out: the
     * model's perplexity over the base's, and minus it. */
    double ratio, ratio_error, delta, delta_error;
    double divergence, divergence_error, max_divergence; /* mean KL, its error, the largest */
    double same_top; /* share of positions with the same most probable token */
};

struct quality_options {
    const char *name;         /* of the text, for messages */
    size_t window;            /* tokens, even, at least 4 */
    int32_t first;            /* token that windows begin with; VOCAB_NO_ID: with their own */
    enum tensor_type kv_type; /* of the model; the base's is F16 */
    void (*progress)(void *context, size_t done, size_t all); /* windows; may be NULL */
    void *context;
    const atomic_bool *cancel; /* may be NULL */
};

/* base may be NULL; else it must have the same vocabulary. ids: the text, at least one window,
 * which is no longer than the models' contexts.
 * A text that is no whole number of windows loses its end, fewer tokens than a window. */
enum status quality_measure(struct model *model, struct model *base, const int32_t *ids, size_t n,
                            const struct quality_options *options, struct quality *quality,
                            struct error *err);

#endif
