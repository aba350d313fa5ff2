/* Scales for the codes of a block: weighted least squares over a grid of candidates.
 *
 * Each lane of a vector tries a candidate of its own, so that a sum over the elements has the same
 * order, and the same bits, in vectors of any length. Inlined, for sizes are constants where they
 * are used; n is a multiple of 16. */
#ifndef TANDEM_KERNELS_FIT_H
#define TANDEM_KERNELS_FIT_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
enum { FIT_LANES = 16 };
#elif defined(__AVX2__)
enum { FIT_LANES = 8 };
#else
enum { FIT_LANES = 4 };
#endif
enum { FIT_CANDIDATES = 21, FIT_MOST_LANES = 32 };

typedef float fit_lanes __attribute__((vector_size(FIT_LANES * sizeof(float))));
typedef int32_t fit_mask __attribute__((vector_size(FIT_LANES * sizeof(int32_t))));

/* --- Lanes --- */

static inline fit_lanes fit_all(float x)
{
    return x - (fit_lanes){0};
}

/* In each lane a where the mask is set, else b. */
static inline fit_lanes fit_choose(fit_mask mask, fit_lanes a, fit_lanes b)
{
    return (fit_lanes)((mask & (fit_mask)a) | (~mask & (fit_mask)b));
}

static inline fit_lanes fit_load(const float *p)
{
    fit_lanes v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* 0, 1, 2 and so on, from `first`. */
static inline fit_lanes fit_count_from(float first)
{
    static const float numbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return fit_load(numbers) + first;
}

/* To a whole number between low and high, to even from the middle: the sum has no bits for
 * fractions. */
static inline fit_lanes fit_nearest(fit_lanes x, float low, float high)
{
    const float shift = 0x1.8p23f;
    x = fit_choose(x < low, fit_all(low), x);
    x = fit_choose(x > high, fit_all(high), x);
    return (x + shift) - shift;
}

static inline fit_lanes fit_inverse(fit_lanes scale)
{
    return fit_choose(scale != 0, 1 / scale, fit_all(0));
}

/* Of `count` errors the place of the least, the first of equals; `count` where none is a number
 * below infinity. */
static inline int fit_least(const float *errors, int count)
{
    int best = count;
    float least = INFINITY;
    for (int i = 0; i < count; i++) {
        best = errors[i] < least ? i : best;
        least = errors[i] < least ? errors[i] : least;
    }
    return best;
}

/* --- Elements --- */

/* codes[i] = the whole number nearest to (x[i] + offset) * inverse between low and high, and
 * `zero` more. */
static inline void fit_encode(const float *x, int n, float offset, float inverse, int low, int high,
                              int zero, uint8_t *codes)
{
    for (int i = 0; i < n; i += FIT_LANES) {
        fit_lanes q = fit_nearest((fit_load(x + i) + offset) * inverse, (float)low, (float)high);
        for (int l = 0; l < FIT_LANES; l++)
            codes[i + l] = (uint8_t)((int)q[l] + zero);
    }
}

static inline void fit_range(const float *x, int n, float *low, float *high)
{
    fit_lanes least = fit_load(x), most = least;
    for (int i = FIT_LANES; i < n; i += FIT_LANES) {
        fit_lanes v = fit_load(x + i);
        least = fit_choose(v < least, v, least);
        most = fit_choose(v > most, v, most);
    }
    *low = least[0];
    *high = most[0];
    for (int l = 1; l < FIT_LANES; l++) {
        *low = least[l] < *low ? least[l] : *low;
        *high = most[l] > *high ? most[l] : *high;
    }
}

/* The element of largest magnitude, the first of them. */
static inline float fit_extreme(const float *x, int n)
{
    float low, high;
    fit_range(x, n, &low, &high);
    float most = -low > high ? -low : high;
    for (int i = 0; i < n; i++)
        if (fabsf(x[i]) == most)
            return x[i];
    return 0;
}

/* What an error at each of n elements costs: large elements more, and inputs that matter more.
 * importance may be NULL. */
static inline void fit_weights(const float *x, const float *importance, size_t n, float *w)
{
    float mean_square = 0;
    for (size_t i = 0; i < n; i++)
        mean_square += x[i] * x[i];
    mean_square /= (float)n;
    for (size_t i = 0; i < n; i++)
        w[i] = sqrtf(mean_square + x[i] * x[i]);
    for (size_t i = 0; importance && i < n; i++)
        w[i] *= importance[i];
}

/* --- x ~ scale * q - min with q in 0..levels --- */

struct affine {
    float scale, min;
};
struct affine_lanes {
    fit_lanes scale, min;
};

/* The weighted squared error of rounding x to the grid of `a`. */
static inline fit_lanes fit_affine_errors(const float *x, const float *w, int n, int levels,
                                          struct affine_lanes a)
{
    fit_lanes inverse = fit_inverse(a.scale), error = {0};
    for (int i = 0; i < n; i++) {
        fit_lanes q = fit_nearest((x[i] + a.min) * inverse, 0, (float)levels);
        fit_lanes miss = a.scale * q - a.min - x[i];
        error += w[i] * miss * miss;
    }
    return error;
}

/* The best scale and minimum for the grid points that `guess` rounds to: the normal equations of
 * weighted least squares in (scale, -min). */
static inline struct affine_lanes fit_again(const float *x, const float *w, int n, int levels,
                                            bool any_min, struct affine_lanes guess)
{
    fit_lanes inverse = 1 / guess.scale, sum_q = {0}, sum_qq = {0}, sum_qx = {0};
    float sum_w = 0, sum_x = 0;
    for (int i = 0; i < n; i++) {
        fit_lanes q = fit_nearest((x[i] + guess.min) * inverse, 0, (float)levels);
        sum_w += w[i];
        sum_q += w[i] * q;
        sum_qq += w[i] * q * q;
        sum_x += w[i] * x[i];
        sum_qx += w[i] * q * x[i];
    }
    fit_lanes determinant = sum_w * sum_qq - sum_q * sum_q, zero = {0};
    struct affine_lanes fit = {.scale = (sum_w * sum_qx - sum_q * sum_x) / determinant,
                               .min = -(sum_qq * sum_x - sum_q * sum_qx) / determinant};
    if (!any_min) {
        fit_mask below = fit.min < 0;
        fit.scale = fit_choose(below, fit_choose(sum_qq > 0, sum_qx / sum_qq, zero), fit.scale);
        fit.min = fit_choose(below, zero, fit.min);
    }
    fit_mask good = (determinant > 0) & (fit.scale > 0);
    return (struct affine_lanes){.scale = fit_choose(good, fit.scale, guess.scale),
                                 .min = fit_choose(good, fit.min, guess.min)};
}

/* any_min: the minimum may have either sign; else it is at least 0. The first lane's candidate
 * is the plain grid over the range of x. */
static inline struct affine fit_affine(const float *x, const float *w, int n, int levels,
                                       bool any_min)
{
    float low, high, errors[FIT_MOST_LANES], scales[FIT_MOST_LANES], mins[FIT_MOST_LANES];
    fit_range(x, n, &low, &high);
    low = any_min || low < 0 ? low : 0;
    if (!(high > low))
        return (struct affine){.min = -low};
    for (int c = 0; c < FIT_CANDIDATES + 1; c += FIT_LANES) {
        fit_lanes lane = fit_count_from((float)c);
        fit_mask plain = lane == 0;
        fit_lanes steps = (float)levels + 0.1f * (lane - (float)(FIT_CANDIDATES / 2 + 1));
        steps = fit_choose(plain, fit_all((float)levels), steps);
        struct affine_lanes guess = {.scale = (high - low) / steps, .min = fit_all(-low)};
        struct affine_lanes fit = fit_again(x, w, n, levels, any_min, guess);
        fit.scale = fit_choose(plain, guess.scale, fit.scale);
        fit.min = fit_choose(plain, guess.min, fit.min);
        fit_lanes error = fit_affine_errors(x, w, n, levels, fit);
        memcpy(errors + c, &error, sizeof error);
        memcpy(scales + c, &fit.scale, sizeof fit.scale);
        memcpy(mins + c, &fit.min, sizeof fit.min);
    }
    int best = fit_least(errors, FIT_CANDIDATES + 1);
    best = best > FIT_CANDIDATES ? 0 : best;
    return (struct affine){.scale = scales[best], .min = mins[best]};
}

/* --- x ~ scale * q with q in -half..half - 1 --- */

static inline fit_lanes fit_round(fit_lanes x, int half)
{
    return fit_nearest(x, (float)-half, (float)(half - 1));
}

static inline fit_lanes fit_symmetric_errors(const float *x, const float *w, int n, int half,
                                             fit_lanes scale)
{
    fit_lanes inverse = fit_inverse(scale), error = {0};
    for (int i = 0; i < n; i++) {
        fit_lanes miss = scale * fit_round(x[i] * inverse, half) - x[i];
        error += w[i] * miss * miss;
    }
    return error;
}

static inline float fit_symmetric(const float *x, const float *w, int n, int half)
{
    float extreme = fit_extreme(x, n), errors[FIT_MOST_LANES], scales[FIT_MOST_LANES];
    if (extreme == 0)
        return 0;
    for (int c = 0; c < FIT_CANDIDATES; c += FIT_LANES) {
        fit_lanes offset = 0.1f * fit_count_from((float)(c - FIT_CANDIDATES / 2));
        fit_lanes inverse = -((float)half + offset) / extreme, sum_qx = {0}, sum_qq = {0};
        for (int i = 0; i < n; i++) {
            fit_lanes q = fit_round(x[i] * inverse, half);
            sum_qx += w[i] * q * x[i];
            sum_qq += w[i] * q * q;
        }
        fit_lanes scale = fit_choose(sum_qq > 0, sum_qx / sum_qq, fit_all(0));
        fit_lanes error = fit_symmetric_errors(x, w, n, half, scale);
        memcpy(errors + c, &error, sizeof error);
        memcpy(scales + c, &scale, sizeof scale);
    }
    int best = fit_least(errors, FIT_CANDIDATES);
    return best < FIT_CANDIDATES ? scales[best] : 0;
}

#endif
