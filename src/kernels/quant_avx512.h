/* AVX-512: 16 outputs to a vector, 32 registers. For quant_vnni.c and quant_amx.c. */
#ifndef TANDEM_KERNELS_QUANT_AVX512_H
#define TANDEM_KERNELS_QUANT_AVX512_H

#include "kernels/vector_macros.h"

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LANES 16
#define FEW_ROWS 16
#define MOST_ROWS 8

typedef __m512i v_codes, v_sums;
typedef __m512 v_float;

INLINE v_codes codes_load(const uint8_t *p)
{
    return _mm512_loadu_si512(p);
}

INLINE void codes_store(uint8_t *p, v_codes v)
{
    _mm512_storeu_si512(p, v);
}

INLINE v_codes codes_add(v_codes v, int n)
{
    return _mm512_add_epi8(v, _mm512_set1_epi8((char)n));
}

INLINE v_codes codes_or(v_codes a, v_codes b)
{
    return _mm512_or_si512(a, b);
}

/* Four bytes of activations for all outputs. */
INLINE __m512i four_everywhere(const int8_t *x)
{
    int32_t four;
    memcpy(&four, x, sizeof four);
    return _mm512_set1_epi32(four);
}

INLINE v_codes low_nibbles(v_codes v)
{
    return _mm512_and_si512(v, _mm512_set1_epi8(15));
}

INLINE v_codes high_nibbles(v_codes v)
{
    return low_nibbles(_mm512_srli_epi16(v, 4));
}

/* 16 where a bit is set, one bit per byte. */
INLINE v_codes fifth_bits(const uint8_t *p)
{
    uint64_t bits;
    memcpy(&bits, p, sizeof bits);
    return _mm512_maskz_set1_epi8(bits, 16);
}

/* Bits 2 * i and 2 * i + 1 of each byte, as bits 4 and 5. */
INLINE v_codes pair_of_bits(v_codes v, const int i)
{
    v = i < 2 ? _mm512_slli_epi16(v, (unsigned)(4 - 2 * i))
              : _mm512_srli_epi16(v, (unsigned)(2 * i - 4));
    return _mm512_and_si512(v, _mm512_set1_epi8(0x30));
}

INLINE v_sums sums_zero(void)
{
    return _mm512_setzero_si512();
}

/* n * 2^shift in every lane. */
INLINE v_sums sums_shifted(const int32_t *n, size_t shift)
{
    return _mm512_slli_epi32(_mm512_set1_epi32(*n), (unsigned)shift);
}

INLINE v_float v_set(float f)
{
    return _mm512_set1_ps(f);
}

INLINE v_float v_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

INLINE void v_store(float *p, v_float v)
{
    _mm512_storeu_ps(p, v);
}

INLINE __mmask16 first_lanes(size_t n)
{
    return (__mmask16)((1u << n) - 1);
}

INLINE v_float v_load_part(const float *p, size_t n)
{
    return _mm512_maskz_loadu_ps(first_lanes(n), p);
}

INLINE void v_store_part(float *p, v_float v, size_t n)
{
    _mm512_mask_storeu_ps(p, first_lanes(n), v);
}

INLINE v_float v_sub(v_float a, v_float b)
{
    return _mm512_sub_ps(a, b);
}

INLINE v_float v_mul(v_float a, v_float b)
{
    return _mm512_mul_ps(a, b);
}

INLINE v_float v_fma(v_float a, v_float b, v_float c)
{
    return _mm512_fmadd_ps(a, b, c);
}

INLINE v_float v_of_sums(v_sums v)
{
    return _mm512_cvtepi32_ps(v);
}

INLINE v_float v_of_halves(const uint8_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const void *)p));
}

INLINE v_float v_of_unsigned(const uint8_t *p)
{
    return v_of_sums(_mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)p)));
}

INLINE v_float v_of_signed(const uint8_t *p)
{
    return v_of_sums(_mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)p)));
}

/* --- Rounding of activations, for quant_plain.h --- */

#define VECTOR_ROUNDING

INLINE float largest(const float *x)
{
    const __m512i magnitude = _mm512_set1_epi32(0x7FFFFFFF);
    __m512i low = _mm512_and_si512(_mm512_loadu_si512(x), magnitude);
    __m512i high = _mm512_and_si512(_mm512_loadu_si512(x + 16), magnitude);
    uint32_t bits = _mm512_reduce_max_epu32(_mm512_max_epu32(low, high));
    float most;
    memcpy(&most, &bits, sizeof most);
    return most;
}

INLINE void round_block(const float *x, float inverse, int8_t *codes, int32_t sums[2])
{
    UNROLL
    for (int half = 0; half < 2; half++) {
        __m512 scaled = _mm512_mul_ps(v_load(x + 16 * half), v_set(inverse));
        __m512i rounded =
            _mm512_cvt_roundps_epi32(scaled, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
        _mm_storeu_si128((__m128i *)(codes + 16 * half), _mm512_cvtepi32_epi8(rounded));
        sums[half] = _mm512_reduce_add_epi32(rounded);
    }
}

#endif
