/* Encoders of the 32-element blocks, Q4_0, Q4_1, Q5_0 and Q5_1, that know how much an error at each
 * input matters: the scale is fitted to that, where the plain encoders (scalar_blocks.h) take it
 * from the block's extreme values. */
#ifndef TANDEM_KERNELS_WEIGHTED_BLOCKS_H
#define TANDEM_KERNELS_WEIGHTED_BLOCKS_H

#include "kernels/tensor_type.h"

#include <stdbool.h>
#include <stddef.h>

bool quantize_is_weighted(enum tensor_type type);
/* dst = the n elements of src as blocks of `type`; importance: [n], all >= 0. */
void quantize_weighted_row(enum tensor_type type, const float *src, const float *importance,
                           void *dst, size_t n);

#endif
