/* NEON with dot products: 4 outputs to a vector, 32 registers, signed codes. */
#include "kernels/quant_layout.h"
#include "kernels/quant_tables.h"
#include "kernels/vector_macros.h"

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LANES 4
#define FEW_ROWS 4
#define PAIR_ROWS 0
#define MOST_ROWS 8
#define ABREAST 1
#define SPREAD_ROWS MOST_ROWS
#define SPREAD_BLOCKS 32
#define SIGNED_CODES(kind) true
#define ROWS_TOGETHER MOST_ROWS

typedef uint8x16_t v_codes;
typedef int32x4_t v_sums;
typedef float32x4_t v_float;

INLINE v_codes codes_load(const uint8_t *p)
{
    return vld1q_u8(p);
}

INLINE void codes_store(uint8_t *p, v_codes v)
{
    vst1q_u8(p, v);
}

INLINE v_codes codes_add(v_codes v, int n)
{
    return vaddq_u8(v, vdupq_n_u8((uint8_t)n));
}

INLINE v_codes low_nibbles(v_codes v)
{
    return vandq_u8(v, vdupq_n_u8(15));
}

INLINE v_codes high_nibbles(v_codes v)
{
    return vshrq_n_u8(v, 4);
}

/* 16 more where a bit is set, one bit per byte. */
INLINE v_codes with_fifth_bits(v_codes nibbles, const uint8_t *p)
{
    const v_codes bit_of_lane = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201));
    v_codes spread = vcombine_u8(vdup_n_u8(p[0]), vdup_n_u8(p[1]));
    return vorrq_u8(nibbles, vandq_u8(vtstq_u8(spread, bit_of_lane), vdupq_n_u8(16)));
}

/* With bits 2 * i and 2 * i + 1 of each byte of v as bits 4 and 5. */
INLINE v_codes with_two_bits(v_codes nibbles, v_codes v, const int i)
{
    v = vshlq_u8(v, vdupq_n_s8((int8_t)(4 - 2 * i)));
    return vorrq_u8(nibbles, vandq_u8(v, vdupq_n_u8(0x30)));
}

INLINE v_sums sums_zero(void)
{
    return vdupq_n_s32(0);
}

/* n * 2^shift in every lane. */
INLINE v_sums sums_shifted(const int32_t *n, size_t shift)
{
    return vdupq_n_s32(*n * (1 << shift));
}

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
    float padded[LANES] = {0};
    memcpy(padded, p, n * sizeof *p);
    return vld1q_f32(padded);
}

INLINE void v_store_part(float *p, v_float v, size_t n)
{
    float padded[LANES];
    vst1q_f32(padded, v);
    memcpy(p, padded, n * sizeof *p);
}

INLINE v_float v_sub(v_float a, v_float b)
{
    return vsubq_f32(a, b);
}

INLINE v_float v_mul(v_float a, v_float b)
{
    return vmulq_f32(a, b);
}

INLINE v_float v_fma(v_float a, v_float b, v_float c)
{
    return vfmaq_f32(c, a, b);
}

INLINE v_float v_of_sums(v_sums v)
{
    return vcvtq_f32_s32(v);
}

INLINE v_float v_of_halves(const uint8_t *p)
{
    return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p)));
}

INLINE uint8x8_t four_bytes(const uint8_t *p)
{
    uint32_t four;
    memcpy(&four, p, sizeof four);
    return vreinterpret_u8_u32(vdup_n_u32(four));
}

INLINE v_float v_of_unsigned(const uint8_t *p)
{
    return vcvtq_f32_u32(vmovl_u16(vget_low_u16(vmovl_u8(four_bytes(p)))));
}

INLINE v_float v_of_signed(const uint8_t *p)
{
    int8x8_t bytes = vreinterpret_s8_u8(four_bytes(p));
    return v_of_sums(vmovl_s16(vget_low_s16(vmovl_s8(bytes))));
}

/* 16 elements; activations are picked from their vector, four by four. */
INLINE v_sums sum_sixteen(v_sums sum, const v_codes *w, const int8_t *from)
{
    int8x16_t x = vld1q_s8(from);
    sum = vdotq_laneq_s32(sum, vreinterpretq_s8_u8(w[0]), x, 0);
    sum = vdotq_laneq_s32(sum, vreinterpretq_s8_u8(w[1]), x, 1);
    sum = vdotq_laneq_s32(sum, vreinterpretq_s8_u8(w[2]), x, 2);
    return vdotq_laneq_s32(sum, vreinterpretq_s8_u8(w[3]), x, 3);
}

INLINE void sum_products(enum quant_codes kind, const size_t rows, v_sums *sums, const v_codes *w,
                         const int8_t *x, const int n)
{
    (void)kind;
    UNROLL
    for (int g = 0; g < n; g += 4) {
        UNROLL
        for (size_t r = 0; r < rows; r++)
            sums[r] = sum_sixteen(sums[r], w + g, x + r * QUANT_BLOCK + 4 * g);
    }
}

#include "kernels/quant_panels.h"

const struct quant_kernels quant_neon = {
    .name = "neon", .quantize = quantize_rows, .rows = multiply_rows, .panels = multiply_panels};
