/* The tables that the instruction-set files define; only kernels.c looks here. */
#ifndef TANDEM_KERNELS_TABLES_H
#define TANDEM_KERNELS_TABLES_H

#include "kernels/kernels.h"

extern const struct kernels kernels_scalar;
#if defined(__x86_64__)
extern const struct kernels kernels_avx2, kernels_avx512;
#elif defined(__aarch64__)
extern const struct kernels kernels_neon;
#endif

/* fit_row of the tables; that of "scalar" also where an instruction set has none of its own. */
void fit_row_scalar(enum tensor_type type, const float *src, const float *importance, void *dst,
                    size_t n);
void fit_row_avx2(enum tensor_type type, const float *src, const float *importance, void *dst,
                  size_t n);
void fit_row_avx512(enum tensor_type type, const float *src, const float *importance, void *dst,
                    size_t n);

#endif
