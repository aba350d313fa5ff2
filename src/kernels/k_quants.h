/* Encoders of the K-quants: Q4_K, Q5_K and Q6_K, from F32.
 *
 * Each search fits scales (and minima) by weighted least squares over a grid of candidates, then
 * again after the scales themselves were rounded to their 6 or 8 bits. */
#ifndef TANDEM_KERNELS_K_QUANTS_H
#define TANDEM_KERNELS_K_QUANTS_H

#include "kernels/tensor_type.h"

#include <stdbool.h>
#include <stddef.h>

/* Whether quantize_k_row() knows the type. */
bool quantize_is_k(enum tensor_type type);

/* dst = the n elements of src as blocks of `type`; n is a multiple of 256. importance: how much
 * an error at each input matters, [n], all >= 0; or NULL: judged by the weights themselves. */
void quantize_k_row(enum tensor_type type, const float *src, const float *importance, void *dst,
                    size_t n);

#endif
