/* NEON of AArch64: 4 floats to a vector, 32 registers. */
#include "kernels/vector_macros.h"

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { VECTOR_LANES = 4 };
#define GEMM_ROWS 6
#define VECTOR_TABLE kernels_neon
#define VECTOR_NAME "neon"
#define VECTOR_FIT_ROW fit_row_scalar

typedef float32x4_t v_float;
typedef uint8x16_t v_bytes; /* 16 codes of elements */

INLINE v_float v_set(float f)
{
    return vdupq_n_f32(f);
}

INLINE v_float v_load(const float *p)
{
    return vld1q_f32(p);
}

INLINE void v_store(float *p, v_float v)
{
    vst1q_f32(p, v);
}

INLINE v_float v_load_part(const float *p, size_t n)
{
    float padded[4] = {0};
    memcpy(padded, p, n * sizeof *p);
    return vld1q_f32(padded);
}

INLINE void v_store_part(float *p, v_float v, size_t n)
{
    float padded[4];
    vst1q_f32(padded, v);
    memcpy(p, padded, n * sizeof *p);
}

INLINE v_float v_add(v_float a, v_float b)
{
    return vaddq_f32(a, b);
}

INLINE v_float v_sub(v_float a, v_float b)
{
    return vsubq_f32(a, b);
}

INLINE v_float v_mul(v_float a, v_float b)
{
    return vmulq_f32(a, b);
}

INLINE v_float v_div(v_float a, v_float b)
{
    return vdivq_f32(a, b);
}

INLINE v_float v_fma(v_float a, v_float b, v_float c)
{
    return vfmaq_f32(c, a, b);
}

/* NaN stays NaN in these two. */
INLINE v_float v_at_most(v_float v, float limit)
{
    return vminq_f32(v, vdupq_n_f32(limit));
}

INLINE v_float v_at_least(v_float v, float limit)
{
    return vmaxq_f32(v, vdupq_n_f32(limit));
}

/* The larger one; `most` where v is NaN. */
INLINE v_float v_larger(v_float most, v_float v)
{
    return vmaxnmq_f32(most, v);
}

/* The largest lane. */
INLINE float v_largest(v_float v)
{
    return vmaxnmvq_f32(v);
}

INLINE v_float v_round(v_float v)
{
    return vrndnq_f32(v);
}

INLINE v_float power_of_two(int32x4_t n)
{
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(n, vdupq_n_s32(127)), 23));
}

/* v * 2^n for |n| <= 252, in two steps so that neither power leaves the range of a float. */
INLINE v_float v_scale(v_float v, v_float n)
{
    int32x4_t whole = vcvtq_s32_f32(n), half = vshrq_n_s32(whole, 1);
    return vmulq_f32(vmulq_f32(v, power_of_two(half)), power_of_two(vsubq_s32(whole, half)));
}

/* Neighbours are added first, then pairs; v_add_sums4 does the same. */
INLINE float v_sum(v_float v)
{
    v = vpaddq_f32(v, v);
    return vgetq_lane_f32(vpaddq_f32(v, v), 0);
}

INLINE void v_add_sums4(float *y, v_float a, v_float b, v_float c, v_float d)
{
    v_float sums = vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d));
    vst1q_f32(y, vaddq_f32(vld1q_f32(y), sums));
}

INLINE v_float v_set_f16(const uint8_t *p)
{
    uint16_t half;
    memcpy(&half, p, sizeof half);
    return vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(half)));
}

INLINE v_float v_load_f32(const uint8_t *p)
{
    return vreinterpretq_f32_u8(vld1q_u8(p));
}

INLINE v_float v_load_f16(const uint8_t *p)
{
    return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p)));
}

INLINE v_float v_load_bf16(const uint8_t *p)
{
    return vreinterpretq_f32_u32(vshll_n_u16(vreinterpret_u16_u8(vld1_u8(p)), 16));
}

INLINE v_float v_load_int8(const uint8_t *p)
{
    uint32_t four;
    memcpy(&four, p, sizeof four);
    int16x8_t wide = vmovl_s8(vreinterpret_s8_u32(vdup_n_u32(four)));
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(wide)));
}

INLINE void v_store_f16(uint8_t *p, v_float v)
{
    vst1_u8(p, vreinterpret_u8_f16(vcvt_f16_f32(v)));
}

INLINE v_bytes b_load(const uint8_t *p)
{
    return vld1q_u8(p);
}

INLINE v_bytes b_and(v_bytes b, int mask)
{
    return vandq_u8(b, vdupq_n_u8((uint8_t)mask));
}

INLINE v_bytes b_or(v_bytes a, v_bytes b)
{
    return vorrq_u8(a, b);
}

INLINE v_bytes b_shift_right(v_bytes b, int n)
{
    return vshlq_u8(b, vdupq_n_s8((int8_t)-n));
}

INLINE v_bytes b_shift_left(v_bytes b, int n)
{
    return vshlq_u8(b, vdupq_n_s8((int8_t)n));
}

/* `value` in the bytes whose bit is set, 0 in the others. */
INLINE v_bytes b_spread(uint16_t bits, int value)
{
    const uint8x16_t bit = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    uint8x16_t spread = vcombine_u8(vdup_n_u8((uint8_t)bits), vdup_n_u8((uint8_t)(bits >> 8)));
    return b_and(vtstq_u8(spread, bit), value);
}

INLINE v_bytes b_flip_signs(v_bytes b)
{
    return veorq_u8(b, vdupq_n_u8(128));
}

/* The codes, unsigned, as floats. */
INLINE void b_expand(v_bytes codes, v_float out[4])
{
    uint16x8_t low = vmovl_u8(vget_low_u8(codes)), high = vmovl_u8(vget_high_u8(codes));
    out[0] = vcvtq_f32_u32(vmovl_u16(vget_low_u16(low)));
    out[1] = vcvtq_f32_u32(vmovl_u16(vget_high_u16(low)));
    out[2] = vcvtq_f32_u32(vmovl_u16(vget_low_u16(high)));
    out[3] = vcvtq_f32_u32(vmovl_u16(vget_high_u16(high)));
}

/* Low nibbles * step0 + base0 and high ones * step1 + base1. */
INLINE void b_scale_nibbles(v_bytes q, v_float step0, v_float base0, v_float step1, v_float base1,
                            v_float low[4], v_float high[4])
{
    b_expand(b_and(q, 15), low);
    b_expand(b_shift_right(q, 4), high);
    for (int i = 0; i < 4; i++) {
        low[i] = v_fma(low[i], step0, base0);
        high[i] = v_fma(high[i], step1, base1);
    }
}

/* table[low nibble] and table[high nibble]. */
INLINE void b_look_up_nibbles(v_bytes q, const v_float table[4], v_float low[4], v_float high[4])
{
    uint8_t codes[16];
    float entries[16], values[2][16];
    vst1q_u8(codes, q);
    for (int i = 0; i < 4; i++)
        vst1q_f32(entries + 4 * i, table[i]);
    for (int i = 0; i < 16; i++) {
        values[0][i] = entries[codes[i] & 15];
        values[1][i] = entries[codes[i] >> 4];
    }
    for (int i = 0; i < 4; i++) {
        low[i] = vld1q_f32(values[0] + 4 * i);
        high[i] = vld1q_f32(values[1] + 4 * i);
    }
}

#include "kernels/vector_body.h"
