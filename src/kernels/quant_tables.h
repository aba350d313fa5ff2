/* The tables that the files of quantized kernels define; only quant.c and they look here. */
#ifndef TANDEM_KERNELS_QUANT_TABLES_H
#define TANDEM_KERNELS_QUANT_TABLES_H

#include "kernels/quant.h"

#if defined(__x86_64__)
extern const struct quant_kernels quant_avx2, quant_avxvnni, quant_vnni, quant_amx;
/* Rows [first_row, n_rows) only; first_row is a multiple of TILE_ROWS. */
void quant_vnni_rows_from(const struct quant_job *job, size_t first_row);
#elif defined(__aarch64__)
extern const struct quant_kernels quant_neon; /* needs dot products */
#endif

#endif
