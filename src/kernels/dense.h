/* Dense kernels for training: what gradients need and inference does not.
 *
 * One table per instruction set, as in kernels.h. All loops are written once, over `real`, in
 * dense_loops.inc; each instruction set compiles them with its own flags and adds its own tile of
 * the matrix product. `real` is float. The gradient tests compile the same sources with
 * TANDEM_DENSE_DOUBLE, because finite differences need float64; then there is only "scalar".
 *
 * Sums run over 16 lanes in an order fixed by their length alone.
 *
 * Matrix products have tables of their own, because a loop's instruction set may have several: in
 * `real`, and in BF16, where operands are rounded (to nearest even) while they are packed and sums
 * are floats.
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

/* Packs a panel: `width` rows of A, or columns of B, of which n exist; the others are zero. Only
 * the packing functions and the tile of one table know the order of elements in it; k elements take
 * `width` times k, rounded up to k_unit, places. dst is 64-byte aligned. */
typedef void dense_pack(const real *src, size_t stride, size_t n, size_t k, void *dst,
                        size_t width);

/* A tile of a matrix product, and how to pack what it reads. */
struct dense_product {
    const char *name;
    size_t rows, columns; /* of a tile; multiples of 4 */
    size_t k_unit;
    size_t element_bytes; /* in a panel */
    /* c[rows, columns] (+)= a * b, of packed panels. accumulate false: c is overwritten. */
    void (*tile)(const void *a, const void *b, size_t k, real *c, size_t c_stride, bool accumulate);
    /* Lane i, element p is src[i * stride + p] for "rows", src[p * stride + i] for "columns". */
    dense_pack *pack_a_rows, *pack_a_columns, *pack_b_rows, *pack_b_columns;
    /* Before and after a thread's calls of tile; NULL: nothing to do. */
    void (*begin)(void);
    void (*end)(void);
};

struct dense_kernels {
    const char *name;
    struct dense_product product;
    /* Floats rounded to BF16, multiplied in `real`: for CPUs without instructions for BF16. */
    struct dense_product rounded_product;

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

/* The products in BF16 that go with dense_select(name). */
const struct dense_product *dense_select_bf16(const char *name);

/* The tables; those of AVX and AMX exist on x86-64 only. Only dense.c looks here. */
extern const struct dense_kernels dense_scalar, dense_avx2, dense_avx512;
extern const struct dense_product dense_avx512_bf16, dense_amx_bf16;

#endif
