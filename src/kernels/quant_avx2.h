/* AVX2: 8 outputs to a vector, 16 registers. For quant_avx2.c and quant_avxvnni.c. */
#ifndef TANDEM_KERNELS_QUANT_AVX2_H
#define TANDEM_KERNELS_QUANT_AVX2_H

#include "kernels/vector_macros.h"

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LANES 8
#define FEW_ROWS 4
#define PAIR_ROWS 0
#define MOST_ROWS 4
#define ABREAST 1
#define SPREAD_ROWS MOST_ROWS
#define SPREAD_BLOCKS 32

typedef __m256i v_codes, v_sums;
typedef __m256 v_float;

INLINE v_codes codes_load(const uint8_t *p)
{
    return _mm256_loadu_si256((const void *)p);
}

INLINE void codes_store(uint8_t *p, v_codes v)
{
    _mm256_storeu_si256((void *)p, v);
}

INLINE v_codes codes_add(v_codes v, int n)
{
    return _mm256_add_epi8(v, _mm256_set1_epi8((char)n));
}

/* Four bytes of activations for all outputs. */
INLINE __m256i four_everywhere(const int8_t *x)
{
    int32_t four;
    memcpy(&four, x, sizeof four);
    return _mm256_set1_epi32(four);
}

INLINE v_codes low_nibbles(v_codes v)
{
    return _mm256_and_si256(v, _mm256_set1_epi8(15));
}

INLINE v_codes high_nibbles(v_codes v)
{
    return low_nibbles(_mm256_srli_epi16(v, 4));
}

/* 16 more where a bit is set, one bit per byte. */
INLINE v_codes with_fifth_bits(v_codes nibbles, const uint8_t *p)
{
    const __m256i byte_of_lane =
        _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i bit_of_lane = _mm256_set1_epi64x((long long)0x8040201008040201);
    int32_t bits;
    memcpy(&bits, p, sizeof bits);
    __m256i spread = _mm256_shuffle_epi8(_mm256_set1_epi32(bits), byte_of_lane);
    spread = _mm256_cmpeq_epi8(_mm256_and_si256(spread, bit_of_lane), bit_of_lane);
    return _mm256_or_si256(nibbles, _mm256_and_si256(spread, _mm256_set1_epi8(16)));
}

/* With bits 2 * i and 2 * i + 1 of each byte of v as bits 4 and 5. */
INLINE v_codes with_two_bits(v_codes nibbles, v_codes v, const int i)
{
    v = i < 2 ? _mm256_slli_epi16(v, 4 - 2 * i) : _mm256_srli_epi16(v, 2 * i - 4);
    return _mm256_or_si256(nibbles, _mm256_and_si256(v, _mm256_set1_epi8(0x30)));
}

INLINE v_sums sums_zero(void)
{
    return _mm256_setzero_si256();
}

/* n * 2^shift in every lane. */
INLINE v_sums sums_shifted(const int32_t *n, size_t shift)
{
    return _mm256_slli_epi32(_mm256_set1_epi32(*n), (int)shift);
}

INLINE v_float v_set(float f)
{
    return _mm256_set1_ps(f);
}

INLINE v_float v_load(const float *p)
{
    return _mm256_loadu_ps(p);
}

INLINE void v_store(float *p, v_float v)
{
    _mm256_storeu_ps(p, v);
}

INLINE __m256i first_lanes(size_t n)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane);
}

INLINE v_float v_load_part(const float *p, size_t n)
{
    return _mm256_maskload_ps(p, first_lanes(n));
}

INLINE void v_store_part(float *p, v_float v, size_t n)
{
    _mm256_maskstore_ps(p, first_lanes(n), v);
}

INLINE v_float v_sub(v_float a, v_float b)
{
    return _mm256_sub_ps(a, b);
}

INLINE v_float v_mul(v_float a, v_float b)
{
    return _mm256_mul_ps(a, b);
}

INLINE v_float v_fma(v_float a, v_float b, v_float c)
{
    return _mm256_fmadd_ps(a, b, c);
}

INLINE v_float v_of_sums(v_sums v)
{
    return _mm256_cvtepi32_ps(v);
}

INLINE v_float v_of_halves(const uint8_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const void *)p));
}

INLINE v_float v_of_unsigned(const uint8_t *p)
{
    return v_of_sums(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)p)));
}

INLINE v_float v_of_signed(const uint8_t *p)
{
    return v_of_sums(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)p)));
}

#endif
