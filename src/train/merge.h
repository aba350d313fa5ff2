/* Merging adapters into a model: W + sum of scale * B * A, written as a Hugging Face folder. */
#ifndef TANDEM_TRAIN_MERGE_H
#define TANDEM_TRAIN_MERGE_H

#include "formats/checkpoint.h"
#include "formats/peft.h"

/* `base`: a Hugging Face folder. Weights are computed in float and rounded once, to `type`
 * (TYPE_F32 or TYPE_BF16). An adapter that changes a tensor that the base lacks, or of another
 * shape, is refused. *n_merged: tensors changed. */
enum status merge_adapters(const char *base, const struct adapter_choice *adapters, size_t n,
                           enum tensor_type type, const char *out, size_t *n_merged,
                           struct error *err);

#endif
