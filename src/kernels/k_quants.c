#include "kernels/k_quants.h"
#include "kernels/block_layout.h"
#include "kernels/fit.h"
#include "kernels/half.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { SUB = 32, N_SUBS = SUPERBLOCK / SUB };

/* --- Q4_K and Q5_K: x ~ scale * q - min with min >= 0 --- */

static uint16_t round_scale(float value, float most)
{
    return f32_to_f16(value > 0 ? value / most : 0);
}

/* Of the 6-bit pairs next to the fitted ones, the pair with the least error. */
static void choose_pair(const float *x, const float *w, int levels, float d, float dmin,
                        struct affine fit, uint8_t *scale, uint8_t *min)
{
    float best_error = INFINITY;
    int s0 = d > 0 ? (int)rintf(fit.scale / d) : 0, m0 = dmin > 0 ? (int)rintf(fit.min / dmin) : 0;
    for (int s = s0 - 1; s <= s0 + 1; s++) {
        for (int m = m0 - 1; m <= m0 + 1; m++) {
            if (s < 0 || s > 63 || m < 0 || m > 63)
                continue;
            struct affine a = {.scale = d * (float)s, .min = dmin * (float)m};
            float error = fit_affine_error(x, w, SUB, levels, a);
            if (error < best_error) {
                best_error = error;
                *scale = (uint8_t)s;
                *min = (uint8_t)m;
            }
        }
    }
}

static void pack_scales_min(const uint8_t scales[8], const uint8_t mins[8], uint8_t out[12])
{
    for (int i = 0; i < 4; i++) {
        out[i] = (uint8_t)(scales[i] | scales[i + 4] >> 4 << 6);
        out[i + 4] = (uint8_t)(mins[i] | mins[i + 4] >> 4 << 6);
        out[i + 8] = (uint8_t)((scales[i + 4] & 15) | (mins[i + 4] & 15) << 4);
    }
}

/* Fits a superblock, writes d, dmin and the packed scales at `out`, and gives each element's
 * level. Q4_K and Q5_K begin alike. */
static void encode_affine(const float *x, const float *importance, int levels, uint8_t *out,
                          uint8_t q[SUPERBLOCK])
{
    float w[SUPERBLOCK], max_scale = 0, max_min = 0;
    struct affine fits[N_SUBS];
    uint8_t scales[N_SUBS] = {0}, mins[N_SUBS] = {0};
    fit_weights(x, importance, SUPERBLOCK, w);
    for (int j = 0; j < N_SUBS; j++) {
        fits[j] = fit_affine(x + j * SUB, w + j * SUB, SUB, levels, false);
        max_scale = fmaxf(max_scale, fits[j].scale);
        max_min = fmaxf(max_min, fits[j].min);
    }
    store_u16(out + Q4_K_D, round_scale(max_scale, 63));
    store_u16(out + Q4_K_DMIN, round_scale(max_min, 63));
    float d = f16_to_f32(load_u16(out + Q4_K_D)), dmin = f16_to_f32(load_u16(out + Q4_K_DMIN));
    for (int j = 0; j < N_SUBS; j++) {
        choose_pair(x + j * SUB, w + j * SUB, levels, d, dmin, fits[j], &scales[j], &mins[j]);
        float scale = d * scales[j], min = dmin * mins[j], inverse = scale > 0 ? 1 / scale : 0;
        for (int i = j * SUB; i < (j + 1) * SUB; i++)
            q[i] = (uint8_t)fit_clamp(rintf((x[i] + min) * inverse), 0, (float)levels);
    }
    pack_scales_min(scales, mins, out + Q4_K_SCALES);
}

/* Low nibbles: 32 elements, high nibbles: the next 32. */
static void pack_nibbles(const uint8_t q[SUPERBLOCK], uint8_t *out)
{
    for (int c = 0; c < SUPERBLOCK / 64; c++)
        for (int i = 0; i < 32; i++)
            out[c * 32 + i] = (uint8_t)((q[c * 64 + i] & 15) | (q[c * 64 + 32 + i] & 15) << 4);
}

static void encode_q4_k(const float *x, const float *importance, uint8_t *out)
{
    uint8_t q[SUPERBLOCK];
    encode_affine(x, importance, 15, out, q);
    pack_nibbles(q, out + Q4_K_QS);
}

static void encode_q5_k(const float *x, const float *importance, uint8_t *out)
{
    uint8_t q[SUPERBLOCK];
    encode_affine(x, importance, 31, out, q);
    pack_nibbles(q, out + Q5_K_QS);
    memset(out + Q5_K_QH, 0, 32);
    for (int i = 0; i < SUPERBLOCK; i++)
        out[Q5_K_QH + i % 32] |= (uint8_t)(q[i] >> 4 << i / 32);
}

/* --- Q6_K: x ~ scale * q --- */

enum { SIX_SUB = 16, N_SIX_SUBS = SUPERBLOCK / SIX_SUB, SIX_HALF = 32 };

static int8_t choose_scale(const float *x, const float *w, float d, float fit)
{
    int s0 = d != 0 ? (int)rintf(fit / d) : 0, best = 0;
    float best_error = INFINITY;
    for (int s = s0 - 1; s <= s0 + 1; s++) {
        float error = fit_symmetric_error(x, w, SIX_SUB, SIX_HALF, d * (float)s);
        if (s >= -128 && s <= 127 && error < best_error) {
            best_error = error;
            best = s;
        }
    }
    return (int8_t)best;
}

static void pack_six_bits(const uint8_t q[SUPERBLOCK], uint8_t *out)
{
    for (int half = 0; half < 2; half++) {
        const uint8_t *p = q + half * 128;
        uint8_t *low = out + Q6_K_QL + half * 64, *high = out + Q6_K_QH + half * 32;
        for (int i = 0; i < 32; i++) {
            low[i] = (uint8_t)((p[i] & 15) | (p[i + 64] & 15) << 4);
            low[i + 32] = (uint8_t)((p[i + 32] & 15) | (p[i + 96] & 15) << 4);
            high[i] = (uint8_t)(p[i] >> 4 | p[i + 32] >> 4 << 2 | p[i + 64] >> 4 << 4 |
                                p[i + 96] >> 4 << 6);
        }
    }
}

static void encode_q6_k(const float *x, const float *importance, uint8_t *out)
{
    float w[SUPERBLOCK], fits[N_SIX_SUBS], extreme = 0;
    uint8_t q[SUPERBLOCK];
    fit_weights(x, importance, SUPERBLOCK, w);
    for (int j = 0; j < N_SIX_SUBS; j++) {
        fits[j] = fit_symmetric(x + j * SIX_SUB, w + j * SIX_SUB, SIX_SUB, SIX_HALF);
        if (fabsf(fits[j]) > fabsf(extreme))
            extreme = fits[j];
    }
    /* -128 for the largest, whatever its sign. */
    store_u16(out + Q6_K_D, f32_to_f16(extreme / -128));
    float d = f16_to_f32(load_u16(out + Q6_K_D));
    for (int j = 0; j < N_SIX_SUBS; j++) {
        int8_t s = choose_scale(x + j * SIX_SUB, w + j * SIX_SUB, d, fits[j]);
        float scale = d * (float)s, inverse = scale != 0 ? 1 / scale : 0;
        out[Q6_K_SCALES + j] = (uint8_t)s;
        for (int i = j * SIX_SUB; i < (j + 1) * SIX_SUB; i++)
            q[i] = (uint8_t)(fit_clamp(rintf(x[i] * inverse), -32, 31) + 32);
    }
    pack_six_bits(q, out);
}

/* --- Rows --- */

bool quantize_is_k(enum tensor_type type)
{
    return type == TYPE_Q4_K || type == TYPE_Q5_K || type == TYPE_Q6_K;
}

void quantize_k_row(enum tensor_type type, const float *src, const float *importance, void *dst,
                    size_t n)
{
    uint8_t *out = dst;
    size_t bytes = tensor_type_info(type)->block_bytes;
    for (size_t i = 0; i < n; i += SUPERBLOCK, out += bytes) {
        const float *w = importance ? importance + i : NULL;
        if (type == TYPE_Q4_K)
            encode_q4_k(src + i, w, out);
        else if (type == TYPE_Q5_K)
            encode_q5_k(src + i, w, out);
        else
            encode_q6_k(src + i, w, out);
    }
}
