/* AVX-512 F, BW, VL and DQ: 16 floats to a vector, 32 registers. */
#include "kernels/vector_macros.h"

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { VECTOR_LANES = 16 };
#define GEMM_ROWS 6
#define VECTOR_TABLE kernels_avx512
#define VECTOR_NAME "avx512"
#define VECTOR_FIT_ROW fit_row_avx512

typedef __m512 v_float;
typedef __m128i v_bytes; /* 16 codes of elements */

INLINE __mmask16 first_lanes(size_t n)
{
    return (__mmask16)((1u << n) - 1);
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

INLINE v_float v_load_part(const float *p, size_t n)
{
    return _mm512_maskz_loadu_ps(first_lanes(n), p);
}

INLINE void v_store_part(float *p, v_float v, size_t n)
{
    _mm512_mask_storeu_ps(p, first_lanes(n), v);
}

INLINE v_float v_add(v_float a, v_float b)
{
    return _mm512_add_ps(a, b);
}

INLINE v_float v_sub(v_float a, v_float b)
{
    return _mm512_sub_ps(a, b);
}

INLINE v_float v_mul(v_float a, v_float b)
{
    return _mm512_mul_ps(a, b);
}

INLINE v_float v_div(v_float a, v_float b)
{
    return _mm512_div_ps(a, b);
}

INLINE v_float v_fma(v_float a, v_float b, v_float c)
{
    return _mm512_fmadd_ps(a, b, c);
}

/* NaN stays NaN in these two: the second operand is what comes of one. */
INLINE v_float v_at_most(v_float v, float limit)
{
    return _mm512_min_ps(_mm512_set1_ps(limit), v);
}

INLINE v_float v_at_least(v_float v, float limit)
{
    return _mm512_max_ps(_mm512_set1_ps(limit), v);
}

/* The larger one; `most` where v is NaN. */
INLINE v_float v_larger(v_float most, v_float v)
{
    return _mm512_max_ps(v, most);
}

/* The largest lane. */
INLINE float v_largest(v_float v)
{
    return _mm512_reduce_max_ps(v);
}

INLINE v_float v_round(v_float v)
{
    return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* v * 2^n */
INLINE v_float v_scale(v_float v, v_float n)
{
    return _mm512_scalef_ps(v, n);
}

/* Lanes 8 apart are added first, then 4, 2 and 1 apart; v_add_sums4 does the same. */
INLINE float v_sum(v_float v)
{
    __m256 half = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    quarter = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
    return _mm_cvtss_f32(_mm_add_ss(quarter, _mm_movehdup_ps(quarter)));
}

INLINE void v_add_sums4(float *y, v_float a, v_float b, v_float c, v_float d)
{
    __m512 ab = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xEE));
    __m512 cd = _mm512_add_ps(_mm512_shuffle_f32x4(c, d, 0x44), _mm512_shuffle_f32x4(c, d, 0xEE));
    __m512 v =
        _mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xDD));
    v = _mm512_add_ps(v, _mm512_permute_ps(v, 0x4E));
    v = _mm512_add_ps(v, _mm512_permute_ps(v, 0xB1));
    __m128 sums = _mm512_castps512_ps128(_mm512_maskz_compress_ps(0x1111, v));
    _mm_storeu_ps(y, _mm_add_ps(_mm_loadu_ps(y), sums));
}

INLINE v_float v_set_f16(const uint8_t *p)
{
    uint16_t half;
    memcpy(&half, p, sizeof half);
    return _mm512_cvtph_ps(_mm256_set1_epi16((short)half));
}

INLINE v_float v_load_f32(const uint8_t *p)
{
    return _mm512_loadu_ps(p);
}

INLINE v_float v_load_f16(const uint8_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const void *)p));
}

INLINE v_float v_load_bf16(const uint8_t *p)
{
    __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}

INLINE v_float v_load_int8(const uint8_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)p)));
}

INLINE void v_store_f16(uint8_t *p, v_float v)
{
    _mm256_storeu_si256((void *)p, _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
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
    return _mm_maskz_set1_epi8(bits, (char)value);
}

INLINE v_bytes b_flip_signs(v_bytes b)
{
    return _mm_xor_si128(b, _mm_set1_epi8(-128));
}

/* The codes, unsigned, as floats. */
INLINE void b_expand(v_bytes codes, v_float out[1])
{
    out[0] = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(codes));
}

/* Low nibbles * step0 + base0 and high ones * step1 + base1: by tables of the 16 values, of whose
 * index the instruction takes the low four bits only. */
INLINE void b_scale_nibbles(v_bytes q, v_float step0, v_float base0, v_float step1, v_float base1,
                            v_float low[1], v_float high[1])
{
    const __m512 codes = _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __m512i index = _mm512_cvtepu8_epi32(q);
    low[0] = _mm512_permutexvar_ps(index, _mm512_fmadd_ps(codes, step0, base0));
    high[0] =
        _mm512_permutexvar_ps(_mm512_srli_epi32(index, 4), _mm512_fmadd_ps(codes, step1, base1));
}

/* table[low nibble] and table[high nibble]. */
INLINE void b_look_up_nibbles(v_bytes q, const v_float table[1], v_float low[1], v_float high[1])
{
    __m512i index = _mm512_cvtepu8_epi32(q); /* a permutation looks at the lowest four bits */
    low[0] = _mm512_permutexvar_ps(index, table[0]);
    high[0] = _mm512_permutexvar_ps(_mm512_srli_epi32(index, 4), table[0]);
}

#include "kernels/vector_body.h"
