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

#endif
