/* Dense kernels for training: what gradients need and inference does not.
 *
 * One table per instruction set, as in kernels.h. All loops are written once, over `real`, in
 * dense_loops.inc; each instruction set compiles them with its own flags and adds its own tile of
 * the matrix product. `real` is float. The gradient tests compile the same sources with
 * TANDEM_DENSE_DOUBLE, because finite differences need float64; then there is only "scalar".
 *
 * Sums run over 16 lanes in an order fixed by their length alone.
 */
#ifndef TANDEM_KERNELS_DENSE_H
#define TANDEM_KERNELS_DENSE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

#ifdef TANDEM_DENSE_DOUBLE
typedef double real;
#else
typedef float real;
#endif

/* One step of AdamW with decoupled decay, everything that is the same for all elements. */
struct adamw_step {
    real rate, beta1, beta2, epsilon;
    real decay;                    /* weight decay, already times the rate */
    real correction1, correction2; /* 1 - beta^t */
    real gradient_scale;           /* from clipping */
};

struct dense_kernels {
    const char *name;

    /* c[i * c_stride + j] (+)= sum_p a[p * tile_rows + i] * b[p * tile_columns + j], p < k; a and
     * b are packed and 64-byte aligned. accumulate false: c is overwritten. */
    size_t tile_rows, tile_columns;
    void (*tile)(const real *a, const real *b, size_t k, real *c, size_t c_stride, bool accumulate);
    /* dst[p * width + i] = src[i * stride + p] for i < n (at most width), p < k; 0 for i >= n.
     * width: a multiple of 4. */
    void (*pack_rows)(const real *src, size_t stride, size_t n, size_t k, real *dst, size_t width);

    /* dst[p * width + i] = src[p * stride + i] for i < n, p < k; 0 for i >= n. */
    void (*pack_columns)(const real *src, size_t stride, size_t n, size_t k, real *dst,
                         size_t width);

    real (*dot)(const real *a, const real *b, size_t n);
    double (*square_sum)(const real *x, size_t n);
    void (*add)(real *y, const real *x, size_t n);                /* y += x */
    void (*add_scaled)(real *y, const real *x, real f, size_t n); /* y += f * x */
    void (*scale)(real *x, real f, size_t n);                     /* x *= f */

    /* y = x * inverse * weight; inverse is 1 / sqrt(mean(x^2) + eps). */
    void (*rms_norm)(const real *x, const real *weight, real inverse, real *y, size_t n);
    /* dx += the gradient with respect to x. */
    void (*rms_norm_backward)(const real *x, const real *weight, real inverse, const real *dy,
                              real *dx, size_t n);
    /* dweight += dy * x * inverse. */
    void (*rms_norm_weight)(const real *x, real inverse, const real *dy, real *dweight, size_t n);

    /* y = silu(gate) * up. */
    void (*swiglu)(const real *gate, const real *up, real *y, size_t n);
    /* Overwrites dgate and dup. */
    void (*swiglu_backward)(const real *gate, const real *up, const real *dy, real *dgate,
                            real *dup, size_t n);

    /* Rotates pairs (x[i], x[i + half]); the backward pass rotates back. */
    void (*rope)(real *x, const real *cosine, const real *sine, size_t half);
    void (*rope_backward)(real *dx, const real *cosine, const real *sine, size_t half);

    /* x = softmax(x) in place; returns log(sum(exp(x))). */
    real (*softmax)(real *x, size_t n);
    /* dp = factor * p * (dp - dot(p, dp)): from the gradient of a softmax's output to its input. */
    void (*softmax_backward)(const real *p, real *dp, real factor, size_t n);

    void (*adamw)(const struct adamw_step *step, real *w, const real *g, real *m, real *v,
                  size_t n);
};

/* The table for this CPU, or the one that `name` or, where that is NULL, TANDEM_ISA asks for.
 * Instruction sets without a table here get "scalar". */
const struct dense_kernels *dense_select(const char *name);

/* The tables; AVX ones are NULL where they were not compiled. Only dense.c looks here. */
extern const struct dense_kernels dense_scalar, dense_avx2, dense_avx512;

#endif
