#include "kernels/scalar_blocks.h"
#include "kernels/block_layout.h"
#include "kernels/half.h"

#include <float.h>
#include <math.h>

static float load_scale(const uint8_t *p)
{
    return f16_to_f32(load_u16(p));
}

static uint32_t load_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

void scalar_dequantize_q4_0(const void *src, float *dst, size_t n)
{
    const uint8_t *block = src;
    for (size_t i = 0; i < n; i += BLOCK, block += Q4_0_BYTES) {
        float d = load_scale(block);
        const uint8_t *q = block + Q4_0_QS;
        for (int j = 0; j < 16; j++) {
            dst[i + j] = (float)((q[j] & 15) - 8) * d;
            dst[i + j + 16] = (float)((q[j] >> 4) - 8) * d;
        }
    }
}

void scalar_dequantize_q4_1(const void *src, float *dst, size_t n)
{
    const uint8_t *block = src;
    for (size_t i = 0; i < n; i += BLOCK, block += Q4_1_BYTES) {
        float d = load_scale(block), m = load_scale(block + Q4_1_M);
        const uint8_t *q = block + Q4_1_QS;
        for (int j = 0; j < 16; j++) {
            dst[i + j] = (float)(q[j] & 15) * d + m;
            dst[i + j + 16] = (float)(q[j] >> 4) * d + m;
        }
    }
}

/* Five bits of element j of a block: a nibble, and bit j of `high`. */
static int five_bits(const uint8_t *q, uint32_t high, int j)
{
    int nibble = j < 16 ? q[j] & 15 : q[j - 16] >> 4;
    return nibble | (int)(high >> j & 1) << 4;
}

void scalar_dequantize_q5_0(const void *src, float *dst, size_t n)
{
    const uint8_t *block = src;
    for (size_t i = 0; i < n; i += BLOCK, block += Q5_0_BYTES) {
        float d = load_scale(block);
        uint32_t high = load_u32(block + Q5_0_QH);
        for (int j = 0; j < BLOCK; j++)
            dst[i + j] = (float)(five_bits(block + Q5_0_QS, high, j) - 16) * d;
    }
}

void scalar_dequantize_q5_1(const void *src, float *dst, size_t n)
{
    const uint8_t *block = src;
    for (size_t i = 0; i < n; i += BLOCK, block += Q5_1_BYTES) {
        float d = load_scale(block), m = load_scale(block + Q5_1_M);
        uint32_t high = load_u32(block + Q5_1_QH);
        for (int j = 0; j < BLOCK; j++)
            dst[i + j] = (float)five_bits(block + Q5_1_QS, high, j) * d + m;
    }
}

void scalar_dequantize_q8_0(const void *src, float *dst, size_t n)
{
    const uint8_t *block = src;
    for (size_t i = 0; i < n; i += BLOCK, block += Q8_0_BYTES) {
        float d = load_scale(block);
        for (int j = 0; j < BLOCK; j++)
            dst[i + j] = (float)(int8_t)block[Q8_0_QS + j] * d;
    }
}

/* Two bits of element j: halves of 128 lie in 32 bytes each, four runs of 32 in the bit pairs. */
static int two_bits(const uint8_t *q, int j)
{
    return q[j / 128 * 32 + j % 32] >> 2 * (j / 32 % 4) & 3;
}

void scalar_dequantize_q2_k(const void *src, float *dst, size_t n)
{
    const uint8_t *block = src;
    for (size_t i = 0; i < n; i += SUPERBLOCK, block += Q2_K_BYTES) {
        float d = load_scale(block + Q2_K_D), dmin = load_scale(block + Q2_K_DMIN);
        for (int j = 0; j < SUPERBLOCK; j++) {
            uint8_t scale = block[Q2_K_SCALES + j / 16];
            float step = d * (float)(scale & 15), min = dmin * (float)(scale >> 4);
            dst[i + j] = step * (float)two_bits(block + Q2_K_QS, j) - min;
        }
    }
}

void scalar_dequantize_q3_k(const void *src, float *dst, size_t n)
{
    const uint8_t *block = src;
    for (size_t i = 0; i < n; i += SUPERBLOCK, block += Q3_K_BYTES) {
        uint8_t scales[16];
        unpack_q3_k_scales(block + Q3_K_SCALES, scales);
        float d = load_scale(block + Q3_K_D);
        for (int j = 0; j < SUPERBLOCK; j++) {
            int high = block[Q3_K_HMASK + j % 32] >> j / 32 & 1;
            int q = two_bits(block + Q3_K_QS, j) - (high ? 0 : 4);
            dst[i + j] = d * (float)(scales[j / 16] - 32) * (float)q;
        }
    }
}

/* Runs of 32 elements come in pairs: the low nibbles of 32 bytes, then their high nibbles. */
static int nibble_of_pair(const uint8_t *q, int j)
{
    return q[j / 64 * 32 + j % 32] >> 4 * (j / 32 % 2) & 15;
}

void scalar_dequantize_q4_k(const void *src, float *dst, size_t n)
{
    const uint8_t *block = src;
    for (size_t i = 0; i < n; i += SUPERBLOCK, block += Q4_K_BYTES) {
        uint8_t scales[16], *mins = scales + 8;
        unpack_scales_min(block + Q4_K_SCALES, scales);
        float d = load_scale(block + Q4_K_D), dmin = load_scale(block + Q4_K_DMIN);
        for (int j = 0; j < SUPERBLOCK; j++) {
            float step = d * (float)scales[j / 32], min = dmin * (float)mins[j / 32];
            dst[i + j] = step * (float)nibble_of_pair(block + Q4_K_QS, j) - min;
        }
    }
}

void scalar_dequantize_q5_k(const void *src, float *dst, size_t n)
{
    const uint8_t *block = src;
    for (size_t i = 0; i < n; i += SUPERBLOCK, block += Q5_K_BYTES) {
        uint8_t scales[16], *mins = scales + 8;
        unpack_scales_min(block + Q5_K_SCALES, scales);
        float d = load_scale(block + Q5_K_D), dmin = load_scale(block + Q5_K_DMIN);
        for (int j = 0; j < SUPERBLOCK; j++) {
            float step = d * (float)scales[j / 32], min = dmin * (float)mins[j / 32];
            int high = block[Q5_K_QH + j % 32] >> j / 32 & 1;
            dst[i + j] = step * (float)(nibble_of_pair(block + Q5_K_QS, j) | high << 4) - min;
        }
    }
}

void scalar_dequantize_q6_k(const void *src, float *dst, size_t n)
{
    const uint8_t *block = src;
    for (size_t i = 0; i < n; i += SUPERBLOCK, block += Q6_K_BYTES) {
        float d = load_scale(block + Q6_K_D);
        for (int j = 0; j < SUPERBLOCK; j++) {
            /* In each half of 128: 64 bytes of nibbles (low first), 32 bytes of bit pairs. */
            int half = j / 128, k = j % 128;
            int low = block[Q6_K_QL + 64 * half + k % 64] >> 4 * (k / 64) & 15;
            int high = block[Q6_K_QH + 32 * half + k % 32] >> 2 * (k / 32) & 3;
            float step = d * (float)(int8_t)block[Q6_K_SCALES + j / 16];
            dst[i + j] = step * (float)((low | high << 4) - 32);
        }
    }
}

/* v without its fraction, held within [0, most]; 0 for NaN. */
static uint8_t truncate_to(float v, int most)
{
    return (uint8_t)(v > 0 ? v < (float)most ? (int)v : most : 0);
}

static void store_scale(uint8_t *p, float f)
{
    store_u16(p, f32_to_f16(f));
}

/* The value of largest magnitude (the first of them), with its sign. */
static float extreme(const float *x)
{
    float found = 0;
    for (int j = 0; j < BLOCK; j++)
        if (fabsf(x[j]) > fabsf(found))
            found = x[j];
    return found;
}

static void find_range(const float *x, float *min, float *max)
{
    *min = FLT_MAX;
    *max = -FLT_MAX;
    for (int j = 0; j < BLOCK; j++) {
        *min = x[j] < *min ? x[j] : *min;
        *max = x[j] > *max ? x[j] : *max;
    }
}

/* 1 / d, and 0 for a block of equal values, whose d is 0. */
static float inverse(float d)
{
    return d != 0 ? 1 / d : 0;
}

void scalar_store_nibbles(uint8_t *q, const uint8_t *codes)
{
    for (int j = 0; j < 16; j++)
        q[j] = (uint8_t)((codes[j] & 15) | (codes[j + 16] & 15) << 4);
}

void scalar_store_high_bits(uint8_t *p, const uint8_t *codes)
{
    for (int j = 0; j < BLOCK; j += 8) {
        unsigned bits = 0;
        for (int b = 0; b < 8; b++)
            bits |= (unsigned)(codes[j + b] >> 4 & 1) << b;
        p[j / 8] = (uint8_t)bits;
    }
}

/* Codes round(x / d) + 2^(bits-1), where d maps the extreme value to the lowest code. */
static void encode_symmetric(const float *x, int bits, uint8_t *scale, uint8_t *codes)
{
    int half = 1 << (bits - 1);
    float d = extreme(x) / (float)-half, id = inverse(d);
    store_scale(scale, d);
    for (int j = 0; j < BLOCK; j++)
        codes[j] = truncate_to(x[j] * id + ((float)half + 0.5f), 2 * half - 1);
}

/* Codes round((x - min) / d): the range of the block on all codes. */
static void encode_range(const float *x, int bits, uint8_t *scale, uint8_t *minimum, uint8_t *codes)
{
    int most = (1 << bits) - 1;
    float min, max;
    find_range(x, &min, &max);
    float d = (max - min) / (float)most, id = inverse(d);
    store_scale(scale, d);
    store_scale(minimum, min);
    for (int j = 0; j < BLOCK; j++)
        codes[j] = truncate_to((x[j] - min) * id + 0.5f, most);
}

void scalar_quantize_q4_0(const float *src, void *dst, size_t n)
{
    uint8_t *block = dst, codes[BLOCK];
    for (size_t i = 0; i < n; i += BLOCK, block += Q4_0_BYTES) {
        encode_symmetric(src + i, 4, block, codes);
        scalar_store_nibbles(block + Q4_0_QS, codes);
    }
}

void scalar_quantize_q4_1(const float *src, void *dst, size_t n)
{
    uint8_t *block = dst, codes[BLOCK];
    for (size_t i = 0; i < n; i += BLOCK, block += Q4_1_BYTES) {
        encode_range(src + i, 4, block, block + Q4_1_M, codes);
        scalar_store_nibbles(block + Q4_1_QS, codes);
    }
}

void scalar_quantize_q5_0(const float *src, void *dst, size_t n)
{
    uint8_t *block = dst, codes[BLOCK];
    for (size_t i = 0; i < n; i += BLOCK, block += Q5_0_BYTES) {
        encode_symmetric(src + i, 5, block, codes);
        scalar_store_high_bits(block + Q5_0_QH, codes);
        scalar_store_nibbles(block + Q5_0_QS, codes);
    }
}

void scalar_quantize_q5_1(const float *src, void *dst, size_t n)
{
    uint8_t *block = dst, codes[BLOCK];
    for (size_t i = 0; i < n; i += BLOCK, block += Q5_1_BYTES) {
        encode_range(src + i, 5, block, block + Q5_1_M, codes);
        scalar_store_high_bits(block + Q5_1_QH, codes);
        scalar_store_nibbles(block + Q5_1_QS, codes);
    }
}

/* Rounds half away from zero, and holds what is not finite within int8. */
static int8_t round_to_int8(float v)
{
    float r = roundf(v);
    return (int8_t)(r > -127 ? r < 127 ? (int)r : 127 : -127);
}

void scalar_quantize_q8_0(const float *src, void *dst, size_t n)
{
    uint8_t *block = dst;
    for (size_t i = 0; i < n; i += BLOCK, block += Q8_0_BYTES) {
        float d = fabsf(extreme(src + i)) / 127, id = inverse(d);
        store_scale(block, d);
        for (int j = 0; j < BLOCK; j++)
            block[Q8_0_QS + j] = (uint8_t)round_to_int8(src[i + j] * id);
    }
}
