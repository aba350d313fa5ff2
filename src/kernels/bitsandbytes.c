#include "kernels/bitsandbytes.h"

#include <math.h>

const float nf4_values[16] = {-1.0f,
                              -0.6961928009986877f,
                              -0.5250730514526367f,
                              -0.39491748809814453f,
                              -0.28444138169288635f,
                              -0.18477343022823334f,
                              -0.09105003625154495f,
                              0.0f,
                              0.07958029955625534f,
                              0.16093020141124725f,
                              0.24611230194568634f,
                              0.33791524171829224f,
                              0.44070982933044434f,
                              0.5626170039176941f,
                              0.7229568362236023f,
                              1.0f};

/* A sign, and one of eight magnitudes in twelfths: 0, 1/16, 8, 12, 4, 6, 2, 3. */
const float fp4_values[16] = {
    0.0f,  0.0625f / 12,  8.0f / 12,  1.0f,  4.0f / 12,  0.5f,  2.0f / 12,  0.25f,
    -0.0f, -0.0625f / 12, -8.0f / 12, -1.0f, -4.0f / 12, -0.5f, -2.0f / 12, -0.25f};

static const uint8_t nf4_ascending[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
/* Without code 8, the second zero. */
static const uint8_t fp4_ascending[15] = {11, 10, 13, 12, 15, 14, 9, 0, 1, 6, 7, 4, 5, 2, 3};

/* --- Blocks --- */

void four_bit_pack(float scale, const uint8_t stored[BNB_BLOCK / 2], uint8_t *block)
{
    uint8_t *out = block + BNB_CODES;
    memcpy(block, &scale, sizeof scale);
    for (int run = 0; run < 2; run++, stored += 16, out += 16) {
        for (int i = 0; i < 8; i++) {
            uint8_t a = stored[i], b = stored[8 + i]; /* elements 2i, 2i + 1; 16 further on */
            out[2 * i] = (uint8_t)(a >> 4 | (b & 0xF0));
            out[2 * i + 1] = (uint8_t)((a & 15) | b << 4);
        }
    }
}

void four_bit_unpack(const uint8_t *block, float *scale, uint8_t stored[BNB_BLOCK / 2])
{
    const uint8_t *from = block + BNB_CODES;
    *scale = bnb_scale(block);
    for (int run = 0; run < 2; run++, stored += 16, from += 16) {
        for (int i = 0; i < 8; i++) {
            uint8_t even = from[2 * i], odd = from[2 * i + 1];
            stored[i] = (uint8_t)(even << 4 | (odd & 15));
            stored[8 + i] = (uint8_t)((even & 0xF0) | odd >> 4);
        }
    }
}

void int8_pack(float scale, const uint8_t stored[BNB_BLOCK], uint8_t *block)
{
    memcpy(block, &scale, sizeof scale);
    memcpy(block + BNB_CODES, stored, BNB_BLOCK);
}

/* --- Decoding --- */

static void dequantize_four_bits(const float values[16], const uint8_t *block, float *dst, size_t n)
{
    for (size_t i = 0; i < n; i += BNB_BLOCK, block += FOUR_BIT_BYTES) {
        float scale = bnb_scale(block);
        for (size_t j = 0; j < BNB_BLOCK; j++) {
            uint8_t pair = block[BNB_CODES + j / 32 * 16 + j % 16];
            dst[i + j] = values[j % 32 < 16 ? pair & 15 : pair >> 4] * scale;
        }
    }
}

void scalar_dequantize_nf4(const void *src, float *dst, size_t n)
{
    dequantize_four_bits(nf4_values, src, dst, n);
}

void scalar_dequantize_fp4(const void *src, float *dst, size_t n)
{
    dequantize_four_bits(fp4_values, src, dst, n);
}

void scalar_dequantize_int8(const void *src, float *dst, size_t n)
{
    const uint8_t *block = src;
    for (size_t i = 0; i < n; i += BNB_BLOCK, block += INT8_BYTES) {
        float scale = bnb_scale(block);
        for (size_t j = 0; j < BNB_BLOCK; j++)
            dst[i + j] = (float)(int8_t)block[BNB_CODES + j] * scale * INT8_STEP;
    }
}

/* --- Encoding --- */

static float largest_magnitude(const float *x, size_t n)
{
    float most = 0;
    for (size_t i = 0; i < n; i++)
        most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
    return most;
}

/* ranks[j] = how many of the borders between neighbouring values x[j] * inverse is above. */
static void rank_elements(const float *x, float inverse, const float *values,
                          const uint8_t *ascending, size_t n_values, uint8_t ranks[BNB_BLOCK])
{
    memset(ranks, 0, BNB_BLOCK);
    for (size_t v = 0; v + 1 < n_values; v++) {
        float border = (values[ascending[v]] + values[ascending[v + 1]]) / 2;
        for (size_t j = 0; j < BNB_BLOCK; j++)
            ranks[j] = (uint8_t)(ranks[j] + (x[j] * inverse > border));
    }
}

static void quantize_four_bits(const float *src, const float *values, const uint8_t *ascending,
                               size_t n_values, uint8_t *block, size_t n)
{
    uint8_t ranks[BNB_BLOCK], stored[BNB_BLOCK / 2];
    for (size_t i = 0; i < n; i += BNB_BLOCK, block += FOUR_BIT_BYTES) {
        float scale = largest_magnitude(src + i, BNB_BLOCK);
        rank_elements(src + i, scale > 0 ? 1 / scale : 0, values, ascending, n_values, ranks);
        for (size_t j = 0; j < BNB_BLOCK; j += 2)
            stored[j / 2] = (uint8_t)(ascending[ranks[j]] << 4 | ascending[ranks[j + 1]]);
        four_bit_pack(scale, stored, block);
    }
}

void scalar_quantize_nf4(const float *src, void *dst, size_t n)
{
    quantize_four_bits(src, nf4_values, nf4_ascending, sizeof nf4_ascending, dst, n);
}

void scalar_quantize_fp4(const float *src, void *dst, size_t n)
{
    quantize_four_bits(src, fp4_values, fp4_ascending, sizeof fp4_ascending, dst, n);
}

void scalar_quantize_int8(const float *src, void *dst, size_t n)
{
    uint8_t *block = dst;
    float scale = largest_magnitude(src, n), inverse = scale > 0 ? 127 / scale : 0;
    for (size_t i = 0; i < n; i += BNB_BLOCK, block += INT8_BYTES) {
        memcpy(block, &scale, sizeof scale);
        for (size_t j = 0; j < BNB_BLOCK; j++) {
            float q = rintf(src[i + j] * inverse);
            block[BNB_CODES + j] = (uint8_t)(int8_t)(q > -127 ? q < 127 ? q : 127 : -127);
        }
    }
}
