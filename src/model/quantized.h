/* Weights that are quantized as a model is loaded: the same bits as a file that `tandem quantize`
 * wrote with the same recipe would give. */
#ifndef TANDEM_MODEL_QUANTIZED_H
#define TANDEM_MODEL_QUANTIZED_H

#include "formats/checkpoint.h"
#include "formats/recipe.h"
#include "kernels/matmul.h"

struct quantized_weights {
    void *memory; /* all of them; NULL: none */
    size_t bytes;
};

/* Converts the checkpoint's matrices, which must be F32, F16 or BF16, to the recipe's types, with
 * all threads; from then on its tensors have those types and data. Pages of the file are let go
 * one matrix after the other. The weights must outlive the checkpoint, also after an error. */
enum status quantized_weights_make(struct checkpoint *checkpoint, const struct recipe *recipe,
                                   const struct compute *compute, struct quantized_weights *weights,
                                   struct error *err);
void quantized_weights_free(struct quantized_weights *weights);

#endif
