/* Encoders that fit the scales of blocks, for one instruction set: a file that is compiled with its
 * flags defines FIT_ROW, the name of what kernels.h calls fit_row, and includes this. */
#ifndef TANDEM_KERNELS_FIT_ROWS_H
#define TANDEM_KERNELS_FIT_ROWS_H

#include "kernels/fit_blocks.h"
#include "kernels/fit_k_quants.h"
#include "kernels/tables.h"

static void fit_block_row(enum tensor_type type, const float *src, const float *importance,
                          uint8_t *out, size_t n)
{
    float w[BLOCK];
    for (size_t i = 0; i < n; i += BLOCK, out += tensor_type_info(type)->block_bytes) {
        fit_weights(src + i, importance ? importance + i : NULL, BLOCK, w);
        encode_block(type, src + i, w, out);
    }
}

static void fit_superblock_row(enum tensor_type type, const float *src, const float *importance,
                               uint8_t *out, size_t n)
{
    for (size_t i = 0; i < n; i += SUPERBLOCK, out += tensor_type_info(type)->block_bytes) {
        const float *w = importance ? importance + i : NULL;
        if (type == TYPE_Q4_K)
            encode_q4_k(src + i, w, out);
        else if (type == TYPE_Q5_K)
            encode_q5_k(src + i, w, out);
        else
            encode_q6_k(src + i, w, out);
    }
}

void FIT_ROW(enum tensor_type type, const float *src, const float *importance, void *dst, size_t n)
{
    if (tensor_type_info(type)->block_length == SUPERBLOCK)
        fit_superblock_row(type, src, importance, dst, n);
    else
        fit_block_row(type, src, importance, dst, n);
}

#endif
