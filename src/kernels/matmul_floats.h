/* The part of matmul.c that multiplies in floats: weights are decoded, in registers or into
 * scratch.
 */
#ifndef TANDEM_KERNELS_MATMUL_FLOATS_H
#define TANDEM_KERNELS_MATMUL_FLOATS_H

#include "kernels/matmul.h"

/* Adds to the outputs. */
struct float_job {
    const struct kernels *kernels;
    const struct matrix *w;
    const float *x;
    size_t x_stride, n_rows;
    struct outputs out;
    float *scratch; /* matmul_floats_scratch() */
};
void matmul_floats(const struct float_job *job);
/* Floats of scratch for matrices of up to max_cols columns. */
size_t matmul_floats_scratch(size_t max_cols);

#endif
