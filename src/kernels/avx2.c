/* AVX2 with FMA and F16C: 8 floats to a vector, 16 registers. */
#include "kernels/vector_macros.h"

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { VECTOR_LANES = 8 };
#define GEMM_ROWS 3
#define VECTOR_TABLE kernels_avx2
#define VECTOR_NAME "avx2"
#define VECTOR_FIT_ROW fit_row_avx2

typedef __m256 v_float;
typedef __m128i v_bytes; /* 16 codes of elements */

INLINE __m256i first_lanes(size_t n)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane);
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

INLINE v_float v_load_part(const float *p, size_t n)
{
    return _mm256_maskload_ps(p, first_lanes(n));
}

INLINE void v_store_part(float *p, v_float v, size_t n)
{
    _mm256_maskstore_ps(p, first_lanes(n), v);
}

INLINE v_float v_add(v_float a, v_float b)
{
    return _mm256_add_ps(a, b);
}

INLINE v_float v_sub(v_float a, v_float b)
{
    return _mm256_sub_ps(a, b);
}

INLINE v_float v_mul(v_float a, v_float b)
{
    return _mm256_mul_ps(a, b);
}

INLINE v_float v_div(v_float a, v_float b)
{
    return _mm256_div_ps(a, b);
}

INLINE v_float v_fma(v_float a, v_float b, v_float c)
{
    return _mm256_fmadd_ps(a, b, c);
}

/* NaN stays NaN in these two: the second operand is what comes of one. */
INLINE v_float v_at_most(v_float v, float limit)
{
    return _mm256_min_ps(_mm256_set1_ps(limit), v);
}

INLINE v_float v_at_least(v_float v, float limit)
{
    return _mm256_max_ps(_mm256_set1_ps(limit), v);
}

/* The larger one; `most` where v is NaN. */
INLINE v_float v_larger(v_float most, v_float v)
{
    return _mm256_max_ps(v, most);
}

/* The largest lane. */
INLINE float v_largest(v_float v)
{
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
}

INLINE v_float v_round(v_float v)
{
    return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

INLINE __m256 power_of_two(__m256i n)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}

/* v * 2^n for |n| <= 252, in two steps so that neither power leaves the range of a float. */
INLINE v_float v_scale(v_float v, v_float n)
{
    __m256i whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);
    __m256 once = _mm256_mul_ps(v, power_of_two(half));
    return _mm256_mul_ps(once, power_of_two(_mm256_sub_epi32(whole, half)));
}

/* Lanes 4 apart are added first, then 2 and 1 apart; v_add_sums4 does the same. */
INLINE float v_sum(v_float v)
{
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}

INLINE void v_add_sums4(float *y, v_float a, v_float b, v_float c, v_float d)
{
    __m256 ab =
        _mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
    __m256 cd =
        _mm256_add_ps(_mm256_permute2f128_ps(c, d, 0x20), _mm256_permute2f128_ps(c, d, 0x31));
    __m256 v = _mm256_add_ps(_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xEE));
    v = _mm256_add_ps(v, _mm256_permute_ps(v, 0xB1)); /* a a c c, b b d d */
    __m128 ac = _mm256_castps256_ps128(v), bd = _mm256_extractf128_ps(v, 1);
    __m128 sums = _mm_shuffle_ps(_mm_unpacklo_ps(ac, bd), _mm_unpackhi_ps(ac, bd), 0x44);
    _mm_storeu_ps(y, _mm_add_ps(_mm_loadu_ps(y), sums));
}

INLINE v_float v_set_f16(const uint8_t *p)
{
    uint16_t half;
    memcpy(&half, p, sizeof half);
    return _mm256_cvtph_ps(_mm_set1_epi16((short)half));
}

INLINE v_float v_load_f32(const uint8_t *p)
{
    return _mm256_loadu_ps((const void *)p);
}

INLINE v_float v_load_f16(const uint8_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const void *)p));
}

INLINE v_float v_load_bf16(const uint8_t *p)
{
    __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}

INLINE v_float v_load_int8(const uint8_t *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)p)));
}

INLINE void v_store_f16(uint8_t *p, v_float v)
{
    _mm_storeu_si128((void *)p, _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}

INLINE v_bytes b_load(const uint8_t *p)
{
    return _mm_loadu_si128((const void *)p);
}

INLINE v_bytes b_and(v_bytes b, int mask)
{
    return _mm_and_si128(b, _mm_set1_epi8((char)mask));
}

INLINE v_bytes b_or(v_bytes a, v_bytes b)
{
    return _mm_or_si128(a, b);
}

/* Shifts bring in bits of the neighbour byte: mask after b_shift_right, before b_shift_left. */
INLINE v_bytes b_shift_right(v_bytes b, int n)
{
    return _mm_srli_epi16(b, n);
}

INLINE v_bytes b_shift_left(v_bytes b, int n)
{
    return _mm_slli_epi16(b, n);
}

/* `value` in the bytes whose bit is set, 0 in the others. */
INLINE v_bytes b_spread(uint16_t bits, int value)
{
    const __m128i which = _mm_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
    const __m128i bit = _mm_setr_epi8(1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128);
    __m128i spread = _mm_and_si128(_mm_shuffle_epi8(_mm_set1_epi16((short)bits), which), bit);
    return b_and(_mm_cmpeq_epi8(spread, bit), value);
}

INLINE v_bytes b_flip_signs(v_bytes b)
{
    return _mm_xor_si128(b, _mm_set1_epi8(-128));
}

/* The codes, unsigned, as floats. */
INLINE void b_expand(v_bytes codes, v_float out[2])
{
    out[0] = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(codes));
    out[1] = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(codes, 8)));
}

/* Low nibbles * step0 + base0 and high ones * step1 + base1. */
INLINE void b_scale_nibbles(v_bytes q, v_float step0, v_float base0, v_float step1, v_float base1,
                            v_float low[2], v_float high[2])
{
    b_expand(b_and(q, 15), low);
    b_expand(b_and(b_shift_right(q, 4), 15), high);
    for (int i = 0; i < 2; i++) {
        low[i] = v_fma(low[i], step0, base0);
        high[i] = v_fma(high[i], step1, base1);
    }
}

/* table[the low four bits of index]: from either half of the table, chosen by bit 3. */
INLINE __m256 look_up(__m256i index, const v_float table[2])
{
    __m256 low = _mm256_permutevar8x32_ps(table[0], index);
    __m256 high = _mm256_permutevar8x32_ps(table[1], index);
    return _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(index, 28)));
}

/* table[low nibble] and table[high nibble]. */
INLINE void b_look_up_nibbles(v_bytes q, const v_float table[2], v_float low[2], v_float high[2])
{
    for (int i = 0; i < 2; i++, q = _mm_srli_si128(q, 8)) {
        __m256i index = _mm256_cvtepu8_epi32(q);
        low[i] = look_up(index, table);
        high[i] = look_up(_mm256_srli_epi32(index, 4), table);
    }
}

#include "kernels/vector_body.h"
