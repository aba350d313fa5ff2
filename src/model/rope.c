#include "model/rope.h"

#include <math.h>

/* The dimension whose wavelength makes `rotations` turns in the original context. */
static double yarn_correction(const struct rope_parameters *rope, double rotations)
{
    double dim = (double)rope->rotary_dim, context = (double)rope->original_context;
    return dim * log(context / (rotations * 2 * M_PI)) / (2 * log(rope->theta));
}

static void apply_yarn(const struct rope_parameters *rope, double *inv_freq, double *scale)
{
    double low = fmax(floor(yarn_correction(rope, rope->beta_fast)), 0);
    double high = fmin(ceil(yarn_correction(rope, rope->beta_slow)), (double)rope->rotary_dim - 1);
    if (low == high)
        high += 0.001;
    for (size_t i = 0; i < rope->rotary_dim / 2; i++) {
        double ramp = fmin(fmax(((double)i - low) / (high - low), 0), 1);
        inv_freq[i] = inv_freq[i] / rope->factor * ramp + inv_freq[i] * (1 - ramp);
    }
    *scale = rope->attention_factor > 0 ? rope->attention_factor
             : rope->factor > 1         ? 0.1 * log(rope->factor) + 1
                                        : 1;
}

static void apply_longrope(const struct rope_parameters *rope, bool is_long, double *inv_freq,
                           double *scale)
{
    const double *divisor = is_long ? rope->long_factor : rope->short_factor;
    for (size_t i = 0; i < rope->rotary_dim / 2; i++)
        inv_freq[i] /= divisor[i];
    if (rope->attention_factor > 0)
        *scale = rope->attention_factor;
    else if (rope->factor > 1)
        *scale = sqrt(1 + log(rope->factor) / log((double)rope->original_context));
}

void rope_frequencies(const struct rope_parameters *rope, bool is_long, double *inv_freq,
                      double *scale)
{
    *scale = 1;
    for (size_t i = 0; i < rope->rotary_dim / 2; i++)
        inv_freq[i] = pow(rope->theta, -2.0 * (double)i / (double)rope->rotary_dim);
    switch (rope->kind) {
    case ROPE_DEFAULT:
        break;
    case ROPE_LINEAR:
        for (size_t i = 0; i < rope->rotary_dim / 2; i++)
            inv_freq[i] /= rope->factor;
        break;
    case ROPE_YARN:
        apply_yarn(rope, inv_freq, scale);
        break;
    case ROPE_LONGROPE:
        apply_longrope(rope, is_long, inv_freq, scale);
        break;
    }
}

void rope_angles(const double *inv_freq, double scale, size_t half, int64_t position, float *cosine,
                 float *sine)
{
    for (size_t i = 0; i < half; i++) {
        double angle = (double)position * inv_freq[i];
        cosine[i] = (float)(cos(angle) * scale);
        sine[i] = (float)(sin(angle) * scale);
    }
}
