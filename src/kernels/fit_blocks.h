/* Blocks of 32 elements, Q4_0, Q4_1, Q5_0 and Q5_1, whose scales are fitted to how much an error at
 * each input matters. A part of fit_rows.h. */
#ifndef TANDEM_KERNELS_FIT_BLOCKS_H
#define TANDEM_KERNELS_FIT_BLOCKS_H

#include "kernels/block_layout.h"
#include "kernels/fit.h"
#include "kernels/half.h"
#include "kernels/scalar_blocks.h"
#include "kernels/tensor_type.h"

/* Fits, and gives each element's code for the scale that F16 keeps of it. */
static void encode_symmetric(const float *x, const float *w, int half, uint8_t *scale,
                             uint8_t codes[BLOCK])
{
    store_u16(scale, f32_to_f16(fit_symmetric(x, w, BLOCK, half)));
    float d = f16_to_f32(load_u16(scale)), inverse = d != 0 ? 1 / d : 0;
    fit_encode(x, BLOCK, 0, inverse, -half, half - 1, half, codes);
}

static void encode_affine(const float *x, const float *w, int levels, uint8_t *scale,
                          uint8_t *minimum, uint8_t codes[BLOCK])
{
    struct affine fit = fit_affine(x, w, BLOCK, levels, true);
    store_u16(scale, f32_to_f16(fit.scale));
    store_u16(minimum, f32_to_f16(-fit.min));
    float d = f16_to_f32(load_u16(scale)), m = f16_to_f32(load_u16(minimum));
    float inverse = d > 0 ? 1 / d : 0;
    fit_encode(x, BLOCK, -m, inverse, 0, levels, 0, codes);
}

static void encode_block(enum tensor_type type, const float *x, const float *w, uint8_t *block)
{
    uint8_t codes[BLOCK];
    switch (type) {
    case TYPE_Q4_0:
        encode_symmetric(x, w, 8, block, codes);
        return scalar_store_nibbles(block + Q4_0_QS, codes);
    case TYPE_Q4_1:
        encode_affine(x, w, 15, block, block + Q4_1_M, codes);
        return scalar_store_nibbles(block + Q4_1_QS, codes);
    case TYPE_Q5_0:
        encode_symmetric(x, w, 16, block, codes);
        scalar_store_high_bits(block + Q5_0_QH, codes);
        return scalar_store_nibbles(block + Q5_0_QS, codes);
    default:
        encode_affine(x, w, 31, block, block + Q5_1_M, codes);
        scalar_store_high_bits(block + Q5_1_QH, codes);
        return scalar_store_nibbles(block + Q5_1_QS, codes);
    }
}

#endif
