/* Block formats in plain C: decoding of every one, and plain rounding into the 32-element ones.
 *
 * Decoding gives exactly the values that GGUF defines. All take n as a whole number of blocks and
 * pointers of any alignment. */
#ifndef TANDEM_KERNELS_SCALAR_BLOCKS_H
#define TANDEM_KERNELS_SCALAR_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

void scalar_dequantize_q4_0(const void *src, float *dst, size_t n);
void scalar_dequantize_q4_1(const void *src, float *dst, size_t n);
void scalar_dequantize_q5_0(const void *src, float *dst, size_t n);
void scalar_dequantize_q5_1(const void *src, float *dst, size_t n);
void scalar_dequantize_q8_0(const void *src, float *dst, size_t n);
void scalar_dequantize_q2_k(const void *src, float *dst, size_t n);
void scalar_dequantize_q3_k(const void *src, float *dst, size_t n);
void scalar_dequantize_q4_k(const void *src, float *dst, size_t n);
void scalar_dequantize_q5_k(const void *src, float *dst, size_t n);
void scalar_dequantize_q6_k(const void *src, float *dst, size_t n);

/* Plain elements; BF16 rounds to nearest even. */
void scalar_quantize_f32(const float *src, void *dst, size_t n);
void scalar_quantize_bf16(const float *src, void *dst, size_t n);

/* Each block by itself, scaled by its own extreme values, without search: the same bytes as the
 * reference quantizers of GGUF files. Values that are not finite give a block of nonsense. */
void scalar_quantize_q4_0(const float *src, void *dst, size_t n);
void scalar_quantize_q4_1(const float *src, void *dst, size_t n);
void scalar_quantize_q5_0(const float *src, void *dst, size_t n);
void scalar_quantize_q5_1(const float *src, void *dst, size_t n);
void scalar_quantize_q8_0(const float *src, void *dst, size_t n);

/* Parts of a block from 32 codes: low four bits of codes 0..15 and of 16..31 side by side, in 16
 * bytes; and the fifth bits, in 4. */
void scalar_store_nibbles(uint8_t *q, const uint8_t *codes);
void scalar_store_high_bits(uint8_t *p, const uint8_t *codes);

#endif
