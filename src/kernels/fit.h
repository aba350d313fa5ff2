/* Scales for the codes of a block: weighted least squares over a grid of candidates. Inlined, for
 * sizes are constants where they are used. */
#ifndef TANDEM_KERNELS_FIT_H
#define TANDEM_KERNELS_FIT_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

enum { FIT_CANDIDATES = 21 };

static inline float fit_clamp(float x, float low, float high)
{
    return x < low ? low : x > high ? high : x;
}

/* To a whole number between low and high, to even from the middle: the sum has no bits for
 * fractions. A call of rintf() would take most of the time of a fit. */
static inline float fit_nearest(float x, float low, float high)
{
    const float shift = 0x1.8p23f;
    return (fit_clamp(x, low, high) + shift) - shift;
}

/* What an error at each of n elements costs: large elements more, and inputs that matter more.
 * importance may be NULL. */
static inline void fit_weights(const float *x, const float *importance, size_t n, float *w)
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

/* --- x ~ scale * q - min with q in 0..levels --- */

struct affine {
    float scale, min;
};

/* The weighted squared error of rounding x to the grid of `a`. */
static inline float fit_affine_error(const float *x, const float *w, int n, int levels,
                                     struct affine a)
{
    float inverse = a.scale > 0 ? 1 / a.scale : 0, error = 0;
    for (int i = 0; i < n; i++) {
        float q = fit_nearest((x[i] + a.min) * inverse, 0, (float)levels);
        float miss = a.scale * q - a.min - x[i];
        error += w[i] * miss * miss;
    }
    return error;
}

/* The best scale and minimum for the grid points that `guess` rounds to: the normal equations of
 * weighted least squares in (scale, -min). */
static inline struct affine fit_again(const float *x, const float *w, int n, int levels,
                                      bool any_min, struct affine guess)
{
    float inverse = 1 / guess.scale;
    float sum_w = 0, sum_q = 0, sum_qq = 0, sum_x = 0, sum_qx = 0;
    for (int i = 0; i < n; i++) {
        float q = fit_nearest((x[i] + guess.min) * inverse, 0, (float)levels);
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
    if (fit.min < 0 && !any_min)
        fit = (struct affine){.scale = sum_qq > 0 ? sum_qx / sum_qq : 0};
    return fit.scale > 0 ? fit : guess;
}

/* any_min: the minimum may have either sign; else it is at least 0. */
static inline struct affine fit_affine(const float *x, const float *w, int n, int levels,
                                       bool any_min)
{
    float low = any_min ? x[0] : 0, high = x[0];
    for (int i = 0; i < n; i++) {
        low = fminf(low, x[i]);
        high = fmaxf(high, x[i]);
    }
    struct affine best = {.scale = (high - low) / (float)levels, .min = -low};
    if (!(high > low))
        return (struct affine){.min = -low};
    float best_error = fit_affine_error(x, w, n, levels, best);
    for (int c = 0; c < FIT_CANDIDATES; c++) {
        float steps = (float)levels + 0.1f * (float)(c - FIT_CANDIDATES / 2);
        struct affine guess = {.scale = (high - low) / steps, .min = -low};
        struct affine fit = fit_again(x, w, n, levels, any_min, guess);
        float error = fit_affine_error(x, w, n, levels, fit);
        if (error < best_error) {
            best_error = error;
            best = fit;
        }
    }
    return best;
}

/* --- x ~ scale * q with q in -half..half - 1 --- */

static inline float fit_round(float x, int half)
{
    return fit_nearest(x, (float)-half, (float)(half - 1));
}

static inline float fit_symmetric_error(const float *x, const float *w, int n, int half,
                                        float scale)
{
    float inverse = scale != 0 ? 1 / scale : 0, error = 0;
    for (int i = 0; i < n; i++) {
        float miss = scale * fit_round(x[i] * inverse, half) - x[i];
        error += w[i] * miss * miss;
    }
    return error;
}

static inline float fit_symmetric(const float *x, const float *w, int n, int half)
{
    float extreme = 0, best = 0, best_error = INFINITY;
    for (int i = 0; i < n; i++)
        if (fabsf(x[i]) > fabsf(extreme))
            extreme = x[i];
    if (extreme == 0)
        return 0;
    for (int c = 0; c < FIT_CANDIDATES; c++) {
        float inverse = -((float)half + 0.1f * (float)(c - FIT_CANDIDATES / 2)) / extreme;
        float sum_qx = 0, sum_qq = 0;
        for (int i = 0; i < n; i++) {
            float q = fit_round(x[i] * inverse, half);
            sum_qx += w[i] * q * x[i];
            sum_qq += w[i] * q * q;
        }
        float scale = sum_qq > 0 ? sum_qx / sum_qq : 0;
        float error = fit_symmetric_error(x, w, n, half, scale);
        if (error < best_error) {
            best_error = error;
            best = scale;
        }
    }
    return best;
}

#endif
