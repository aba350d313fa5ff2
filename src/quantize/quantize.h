/* Writing quantized checkpoints, after a recipe (formats/recipe.h): from any checkpoint to GGUF
 * files that llama.cpp loads too, or to folders with weights as bitsandbytes stores them. */
#ifndef TANDEM_QUANTIZE_QUANTIZE_H
#define TANDEM_QUANTIZE_QUANTIZE_H

#include "base/error.h"
#include "formats/checkpoint.h"
#include "formats/recipe.h"

#include <stdatomic.h>
#include <stddef.h>

struct quantize_options {
    size_t n_threads; /* 0: all CPUs */
    /* How much an error at each input of a matrix matters: [cols] values, or NULL for none;
     * `name` is Hugging Face's. May itself be NULL. */
    const float *(*importance)(void *context, const char *name, size_t cols);
    void *importance_context;
    /* Called as bytes of the source are done; may be NULL. */
    void (*progress)(void *context, size_t done_bytes, size_t all_bytes, const char *tensor);
    void *context;
    const atomic_bool *cancel; /* stop when it becomes true; may be NULL */
};

/* Writes `path`, which appears when it is complete: a file, or after a recipe_is_folder() a folder
 * (there may be an empty one before). Memory: of a file a few megabytes per thread, of a folder
 * the largest matrix. */
enum status quantize_checkpoint(const struct checkpoint *cp, const char *path,
                                const struct recipe *recipe, const struct quantize_options *options,
                                struct error *err);

#endif
