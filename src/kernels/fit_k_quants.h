/* Superblocks of K-quants, Q4_K, Q5_K and Q6_K: scales (and minima) are fitted, and again after the
 * scales themselves were rounded to their 6 or 8 bits. A part of fit_rows.h. */
#ifndef TANDEM_KERNELS_FIT_K_QUANTS_H
#define TANDEM_KERNELS_FIT_K_QUANTS_H

#include "kernels/block_layout.h"
#include "kernels/fit.h"
#include "kernels/half.h"

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
    enum { PAIRS = 9 };
    float errors[FIT_MOST_LANES], scales[FIT_MOST_LANES] = {0}, mins[FIT_MOST_LANES] = {0};
    float s0 = d > 0 ? rintf(fit.scale / d) : 0, m0 = dmin > 0 ? rintf(fit.min / dmin) : 0;
    for (int i = 0; i < PAIRS; i++) {
        scales[i] = s0 + (float)(i / 3 - 1);
        mins[i] = m0 + (float)(i % 3 - 1);
    }
    for (int i = 0; i < PAIRS; i += FIT_LANES) {
        fit_lanes s = fit_load(scales + i), m = fit_load(mins + i);
        fit_lanes error =
            fit_affine_errors(x, w, SUB, levels, (struct affine_lanes){d * s, dmin * m});
        error = fit_choose((s < 0) | (s > 63) | (m < 0) | (m > 63), fit_all(INFINITY), error);
        memcpy(errors + i, &error, sizeof error);
    }
    int best = fit_least(errors, PAIRS);
    *scale = best < PAIRS ? (uint8_t)scales[best] : 0;
    *min = best < PAIRS ? (uint8_t)mins[best] : 0;
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
static void encode_k_affine(const float *x, const float *importance, int levels, uint8_t *out,
                            uint8_t q[SUPERBLOCK])
{
    float w[SUPERBLOCK], max_scale = 0, max_min = 0;
    struct affine fits[N_SUBS];
    uint8_t scales[N_SUBS], mins[N_SUBS];
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
        fit_encode(x + j * SUB, SUB, min, inverse, 0, levels, 0, q + j * SUB);
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
    encode_k_affine(x, importance, 15, out, q);
    pack_nibbles(q, out + Q4_K_QS);
}

static void encode_q5_k(const float *x, const float *importance, uint8_t *out)
{
    uint8_t q[SUPERBLOCK];
    encode_k_affine(x, importance, 31, out, q);
    pack_nibbles(q, out + Q5_K_QS);
    memset(out + Q5_K_QH, 0, 32);
    for (int i = 0; i < SUPERBLOCK; i++)
        out[Q5_K_QH + i % 32] |= (uint8_t)(q[i] >> 4 << i / 32);
}

/* --- Q6_K: x ~ scale * q --- */

enum { SIX_SUB = 16, N_SIX_SUBS = SUPERBLOCK / SIX_SUB, SIX_HALF = 32 };

static int8_t choose_scale(const float *x, const float *w, float d, float fit)
{
    enum { NEAR = 3 };
    float errors[FIT_MOST_LANES], s0 = d != 0 ? rintf(fit / d) : 0;
    fit_lanes s = fit_count_from(s0 - 1);
    fit_lanes error = fit_symmetric_errors(x, w, SIX_SUB, SIX_HALF, d * s);
    error = fit_choose((s < -128) | (s > 127), fit_all(INFINITY), error);
    memcpy(errors, &error, sizeof error);
    int best = fit_least(errors, NEAR);
    return best < NEAR ? (int8_t)(s0 - 1 + (float)best) : 0;
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
        fit_encode(x + j * SIX_SUB, SIX_SUB, 0, inverse, -SIX_HALF, SIX_HALF - 1, SIX_HALF,
                   q + j * SIX_SUB);
    }
    pack_six_bits(q, out);
}

#endif
