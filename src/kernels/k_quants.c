#include "kernels/k_quants.h"
#include "kernels/block_layout.h"
#include "kernels/half.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { CANDIDATES = 21, SUB = 32, N_SUBS = SUPERBLOCK / SUB };

/* --- x ~ scale * q - min with q in 0..levels and min >= 0 --- */

struct affine {
    float scale, min;
};

static float clampf(float x, float low, float high)
{
    return x < low ? low : x > high ? high : x;
}

/* The weighted squared error of rounding x to the grid of `a`. */
static float affine_error(const float *x, const float *w, int levels, struct affine a)
{
    float inverse = a.scale > 0 ? 1 / a.scale : 0, error = 0;
    for (int i = 0; i < SUB; i++) {
        float q = clampf(rintf((x[i] + a.min) * inverse), 0, (float)levels);
        float miss = a.scale * q - a.min - x[i];
        error += w[i] * miss * miss;
    }
    return error;
}

/* The best scale and minimum for the grid points that `guess` rounds to: the normal equations of
 * weighted least squares in (scale, -min). */
static struct affine refit(const float *x, const float *w, int levels, struct affine guess)
{
    float inverse = 1 / guess.scale;
    float sum_w = 0, sum_q = 0, sum_qq = 0, sum_x = 0, sum_qx = 0;
    for (int i = 0; i < SUB; i++) {
        float q = clampf(rintf((x[i] + guess.min) * inverse), 0, (float)levels);
        sum_w += w[i];
        sum_q += w[i] * q;
        sum_qq += w[i] * q * q;
        sum_x += w[i] * x[i];
        sum_qx += w[i] * q * x[i];
    }
    float determinant = sum_w * sum_qq - sum_q * sum_q;
    if (!(determinant > 0))
        return guess;
    struct affine fit = {.scale = (sum_w * sum_qx - sum_q * sum_x) / determinant,
                         .min = -(sum_qq * sum_x - sum_q * sum_qx) / determinant};
    if (fit.min < 0)
        fit = (struct affine){.scale = sum_qq > 0 ? sum_qx / sum_qq : 0};
    return fit.scale > 0 ? fit : guess;
}

static struct affine fit_affine(const float *x, const float *w, int levels)
{
    float low = 0, high = x[0];
    for (int i = 0; i < SUB; i++) {
        low = fminf(low, x[i]);
        high = fmaxf(high, x[i]);
    }
    struct affine best = {.scale = (high - low) / (float)levels, .min = -low};
    if (!(high > low))
        return (struct affine){.min = -low};
    float best_error = affine_error(x, w, levels, best);
    for (int c = 0; c < CANDIDATES; c++) {
        struct affine guess = {.scale = (high - low) /
                                        ((float)levels + 0.1f * (float)(c - CANDIDATES / 2)),
                               .min = -low};
        struct affine fit = refit(x, w, levels, guess);
        float error = affine_error(x, w, levels, fit);
        if (error < best_error) {
            best_error = error;
            best = fit;
        }
    }
    return best;
}

/* What an error at each element costs. */
static void element_weights(const float *x, const float *importance, size_t n, float *w)
{
    float mean_square = 0;
    for (size_t i = 0; i < n; i++)
        mean_square += x[i] * x[i];
    mean_square /= (float)n;
    for (size_t i = 0; i < n; i++) {
        float size = sqrtf(mean_square + x[i] * x[i]);
        w[i] = importance ? importance[i] * size : size;
    }
}

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
            float error = affine_error(x, w, levels, a);
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
    element_weights(x, importance, SUPERBLOCK, w);
    for (int j = 0; j < N_SUBS; j++) {
        fits[j] = fit_affine(x + j * SUB, w + j * SUB, levels);
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
            q[i] = (uint8_t)clampf(rintf((x[i] + min) * inverse), 0, (float)levels);
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

/* --- x ~ scale * q with q in -32..31 --- */

enum { SIX_SUB = 16, N_SIX_SUBS = SUPERBLOCK / SIX_SUB };

static float symmetric_error(const float *x, const float *w, float scale)
{
    float inverse = scale != 0 ? 1 / scale : 0, error = 0;
    for (int i = 0; i < SIX_SUB; i++) {
        float miss = scale * clampf(rintf(x[i] * inverse), -32, 31) - x[i];
        error += w[i] * miss * miss;
    }
    return error;
}

static float fit_symmetric(const float *x, const float *w)
{
    float extreme = 0, best = 0, best_error = INFINITY;
    for (int i = 0; i < SIX_SUB; i++)
        if (fabsf(x[i]) > fabsf(extreme))
            extreme = x[i];
    if (extreme == 0)
        return 0;
    for (int c = 0; c < CANDIDATES; c++) {
        float inverse = -(32 + 0.1f * (float)(c - CANDIDATES / 2)) / extreme;
        float sum_qx = 0, sum_qq = 0;
        for (int i = 0; i < SIX_SUB; i++) {
            float q = clampf(rintf(x[i] * inverse), -32, 31);
            sum_qx += w[i] * q * x[i];
            sum_qq += w[i] * q * q;
        }
        float scale = sum_qq > 0 ? sum_qx / sum_qq : 0, error = symmetric_error(x, w, scale);
        if (error < best_error) {
            best_error = error;
            best = scale;
        }
    }
    return best;
}

static int8_t choose_scale(const float *x, const float *w, float d, float fit)
{
    int s0 = d != 0 ? (int)rintf(fit / d) : 0, best = 0;
    float best_error = INFINITY;
    for (int s = s0 - 1; s <= s0 + 1; s++) {
        float error = symmetric_error(x, w, d * (float)s);
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
    element_weights(x, importance, SUPERBLOCK, w);
    for (int j = 0; j < N_SIX_SUBS; j++) {
        fits[j] = fit_symmetric(x + j * SIX_SUB, w + j * SIX_SUB);
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
            q[i] = (uint8_t)(clampf(rintf(x[i] * inverse), -32, 31) + 32);
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
