/* Writing quantized checkpoints: from any checkpoint to GGUF files that llama.cpp loads too.
 *
 * A recipe says which type each matrix gets. Plain recipes ("Q4_0", "F16") use one type for all;
 * the mixtures ("Q4_K_M", "Q5_K_M") follow llama.cpp's: the output matrix and the more sensitive
 * half of attn_v and ffn_down get Q6_K. Rows that are not a multiple of 256 long fall back from
 * Q4_K, Q5_K and Q6_K to Q5_0, Q5_1 and Q8_0. */
#ifndef TANDEM_QUANTIZE_QUANTIZE_H
#define TANDEM_QUANTIZE_QUANTIZE_H

#include "base/error.h"
#include "formats/checkpoint.h"

#include <stdatomic.h>
#include <stddef.h>

struct quantize_options {
    size_t n_threads; /* 0: all CPUs */
    /* How much an error at each input of a matrix matters: [cols] values, or NULL for none;
     * `name` is Hugging Face's. May itself be NULL. */
    const float *(*importance)(void *context, const char *name, size_t cols);
    /* Called as bytes of the source are done; may be NULL. */
    void (*progress)(void *context, size_t done_bytes, size_t all_bytes, const char *tensor);
    void *context;
    const atomic_bool *cancel; /* stop when it becomes true; may be NULL */
};

/* "F32, F16, ..." for messages. */
const char *quantize_recipes(void);
/* The type that the recipe gives a matrix; false when there is no such recipe. */
bool quantize_recipe_type(const char *recipe, const struct hyperparameters *shape,
                          const struct tensor *tensor, enum tensor_type *type);
/* Writes `path`, which appears when it is complete. Memory: a few megabytes per thread. */
enum status quantize_checkpoint(const struct checkpoint *cp, const char *path, const char *recipe,
                                const struct quantize_options *options, struct error *err);

#endif
