/* The block formats of bitsandbytes: NF4, FP4 and LLM.int8()'s rows.
 *
 * A block is 64 consecutive elements behind a float scale. In the 4-bit formats an element is
 * values[code] * scale, scale being the largest magnitude of the block; in INT8 it is
 * code * scale * INT8_STEP, scale being the largest magnitude of the whole row ("SCB").
 *
 * Files keep scales and codes apart, two codes to a byte with the first one in the high nibble.
 * In a block, each 16 bytes hold 32 elements: the first 16 in the low nibbles, the others in the
 * high ones, as vector kernels like it. */
#ifndef TANDEM_KERNELS_BITSANDBYTES_H
#define TANDEM_KERNELS_BITSANDBYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { BNB_BLOCK = 64, BNB_CODES = 4 /* their place behind the scale */ };
enum { FOUR_BIT_BYTES = BNB_CODES + BNB_BLOCK / 2, INT8_BYTES = BNB_CODES + BNB_BLOCK };

/* 1 / 127 as bitsandbytes has it. */
#define INT8_STEP 7.874015718698502e-3f

/* The published values of the codes, ascending in NF4. */
extern const float nf4_values[16], fp4_values[16];

static inline float bnb_scale(const uint8_t *block)
{
    float scale;
    memcpy(&scale, block, sizeof scale);
    return scale;
}

/* A block from a scale and codes as they are stored in a file, and back. */
void four_bit_pack(float scale, const uint8_t stored[BNB_BLOCK / 2], uint8_t *block);
void four_bit_unpack(const uint8_t *block, float *scale, uint8_t stored[BNB_BLOCK / 2]);
void int8_pack(float scale, const uint8_t stored[BNB_BLOCK], uint8_t *block);

void scalar_dequantize_nf4(const void *src, float *dst, size_t n);
void scalar_dequantize_fp4(const void *src, float *dst, size_t n);
void scalar_dequantize_int8(const void *src, float *dst, size_t n);

/* Each element becomes the nearest value. INT8: the n elements are one whole row. */
void scalar_quantize_nf4(const float *src, void *dst, size_t n);
void scalar_quantize_fp4(const float *src, void *dst, size_t n);
void scalar_quantize_int8(const float *src, void *dst, size_t n);

#endif
