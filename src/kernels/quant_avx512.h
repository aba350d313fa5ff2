/* AVX-512: 16 outputs to a vector, 32 registers. For quant_vnni.c and quant_amx.c. */
#ifndef TANDEM_KERNELS_QUANT_AVX512_H
#define TANDEM_KERNELS_QUANT_AVX512_H

#include "kernels/quant.h"
#include "kernels/vector_macros.h"

#include <immintrin.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LANES 16
#define FEW_ROWS 16
#define PAIR_ROWS 4
#define MOST_ROWS 8

/* The pair_rows of struct quant_kernels: several rows meet the smallest panels faster if these are
 * neighbours. Measured. */
#define PAIR_ROWS_BY_TYPE                                                                          \
    {                                                                                              \
        [TYPE_Q4_0] = 1, [TYPE_Q4_1] = 1, [TYPE_Q5_0] = PAIR_ROWS, [TYPE_Q5_1] = PAIR_ROWS,        \
        [TYPE_Q8_0] = PAIR_ROWS, [TYPE_Q4_K] = PAIR_ROWS, [TYPE_Q5_K] = PAIR_ROWS,                 \
        [TYPE_Q6_K] = PAIR_ROWS,                                                                   \
    }

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

/* 16 more where a bit is set, one bit per byte. */
INLINE v_codes with_fifth_bits(v_codes nibbles, const uint8_t *p)
{
    uint64_t bits;
    memcpy(&bits, p, sizeof bits);
    return _mm512_mask_add_epi8(nibbles, bits, nibbles, _mm512_set1_epi8(16));
}

/* With bits 2 * i and 2 * i + 1 of each byte of v as bits 4 and 5. */
INLINE v_codes with_two_bits(v_codes nibbles, v_codes v, const int i)
{
    v = i < 2 ? _mm512_slli_epi16(v, (unsigned)(4 - 2 * i))
              : _mm512_srli_epi16(v, (unsigned)(2 * i - 4));
    enum { A_OR_B_AND_C = 0xF8 };
    return _mm512_ternarylogic_epi32(nibbles, v, _mm512_set1_epi8(0x30), A_OR_B_AND_C);
}

INLINE v_sums sums_zero(void)
{
    return _mm512_setzero_si512();
}

INLINE v_sums sums_add(v_sums a, v_sums b)
{
    return _mm512_add_epi32(a, b);
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

/* The largest magnitudes of four vectors of magnitudes, as bits. */
INLINE __m128i largest_of_four(const __m512i v[4])
{
    __m512i first =
        _mm512_max_epu32(_mm512_unpacklo_epi32(v[0], v[1]), _mm512_unpackhi_epi32(v[0], v[1]));
    __m512i second =
        _mm512_max_epu32(_mm512_unpacklo_epi32(v[2], v[3]), _mm512_unpackhi_epi32(v[2], v[3]));
    __m512i all = _mm512_max_epu32(_mm512_unpacklo_epi64(first, second),
                                   _mm512_unpackhi_epi64(first, second));
    __m256i half = _mm256_max_epu32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64(all, 1));
    return _mm_max_epu32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

/* Two blocks as bytes, in order. */
INLINE __m512i codes_of_two(const float *x, size_t stride, __m512 first, __m512 second)
{
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m512i a = _mm512_cvtps_epi32(_mm512_mul_ps(v_load(x), first));
    __m512i b = _mm512_cvtps_epi32(_mm512_mul_ps(v_load(x + 16), first));
    __m512i c = _mm512_cvtps_epi32(_mm512_mul_ps(v_load(x + stride), second));
    __m512i d = _mm512_cvtps_epi32(_mm512_mul_ps(v_load(x + stride + 16), second));
    __m512i bytes = _mm512_packs_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d));
    return _mm512_permutexvar_epi32(order, bytes);
}

/* Minus the sums of the four halves of two blocks, each in the first lane of four. */
INLINE __m512i minus_halves(__m512i codes)
{
    __m512i sums = _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_set1_epi8(1), codes);
    sums = _mm512_add_epi32(sums, _mm512_shuffle_epi32(sums, _MM_PERM_BADC));
    sums = _mm512_add_epi32(sums, _mm512_shuffle_epi32(sums, _MM_PERM_CDAB));
    return _mm512_sub_epi32(_mm512_setzero_si512(), sums);
}

/* What quantize_block() does with blocks at `at` to at + 3, which are `stride` floats apart; false
 * where it is left to it. */
INLINE bool round_four_blocks(struct activations *a, const float *x, size_t stride, size_t at)
{
    const __m512i magnitude = _mm512_set1_epi32(0x7FFFFFFF);
    const __m512i every_fourth =
        _mm512_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28, 0, 0, 0, 0, 0, 0, 0, 0);
    __m512i largest[4];
    UNROLL
    for (size_t r = 0; r < 4; r++)
        largest[r] =
            _mm512_max_epu32(_mm512_and_si512(_mm512_loadu_si512(x + r * stride), magnitude),
                             _mm512_and_si512(_mm512_loadu_si512(x + r * stride + 16), magnitude));
    __m128 most = _mm_castsi128_ps(largest_of_four(largest)), all = _mm_set1_ps(127);
    if (_mm_cmp_ps_mask(most, _mm_set1_ps(INFINITY), _CMP_NLT_UQ))
        return false;
    __mmask8 any = _mm_cmp_ps_mask(most, _mm_set1_ps(SMALLEST_MAGNITUDE), _CMP_GE_OQ);
    __m512 inverse = _mm512_castps128_ps512(_mm_maskz_div_ps(any, all, most));
    __m128 scale = _mm_maskz_div_ps(any, most, all);
    __m512 of_row[4];
    UNROLL
    for (int r = 0; r < 4; r++)
        of_row[r] = _mm512_permutexvar_ps(_mm512_set1_epi32(r), inverse);
    __m512i first = codes_of_two(x, stride, of_row[0], of_row[1]);
    __m512i second = codes_of_two(x + 2 * stride, stride, of_row[2], of_row[3]);
    __m256i halves = _mm512_castsi512_si256(
        _mm512_permutex2var_epi32(minus_halves(first), every_fourth, minus_halves(second)));
    __m256i pairs = _mm256_add_epi32(halves, _mm256_srli_epi64(halves, 32));
    __m128i minus = _mm256_cvtepi64_epi32(pairs);
    _mm512_storeu_si512(a->codes + at * QUANT_BLOCK, first);
    _mm512_storeu_si512(a->codes + (at + 2) * QUANT_BLOCK, second);
    _mm_storeu_ps(a->scale + at, scale);
    _mm_storeu_ps(a->scaled_sum + at,
                  _mm_mul_ps(scale, _mm_cvtepi32_ps(_mm_sub_epi32(_mm_setzero_si128(), minus))));
    _mm_storeu_si128((__m128i *)(a->minus_sum + at), minus);
    _mm256_storeu_si256((__m256i *)(a->minus_half + 2 * at), halves);
    return true;
}

#endif
