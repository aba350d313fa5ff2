/* Threaded products of activations with a stored weight matrix.
 *
 * Every output is bias + the sum over chunks of MATMUL_CHUNK columns, in order, of the chunk's
 * own sum, which the kernels' gemm_f32 defines. Neither rows nor threads enter into it. */
#ifndef TANDEM_KERNELS_MATMUL_H
#define TANDEM_KERNELS_MATMUL_H

#include "base/error.h"
#include "base/thread_pool.h"
#include "kernels/kernels.h"

enum { MATMUL_CHUNK = 1024 }; /* columns; a multiple of every type's block length */

/* A stored matrix: `rows` outputs by `cols` inputs, row-major, in the checkpoint's mapping. */
struct matrix {
    enum tensor_type type;
    size_t rows, cols;
    size_t row_bytes; /* distance of rows */
    const void *data; /* may be unaligned; not owned */
};

/* Whoever multiplies: the kernels, the threads, and each thread's scratch. */
struct compute {
    const struct kernels *kernels;
    struct thread_pool *pool;
    float *scratch;        /* [n_threads * scratch_floats], 64-byte aligned */
    size_t scratch_floats; /* per thread */
};
/* `max_cols`: the most columns of any matrix that will be used. n_threads 0: all CPUs. */
enum status compute_create(const char *isa, size_t n_threads, size_t max_cols,
                           struct compute *compute, struct error *err);
void compute_free(struct compute *compute);

/* y[r, o] = bias[o] + sum_k x[r, k] * w[o, k]; bias may be NULL.
 * x: n_rows rows of w->cols floats, x_stride floats apart; y likewise, w->rows each.
 * All threads take part; the same bits for any number of threads and of rows. */
void matmul(const struct compute *compute, const struct matrix *w, const float *bias,
            const float *x, size_t x_stride, size_t n_rows, float *y, size_t y_stride);
/* The same, added to what y holds: y[r, o] += sum_k x[r, k] * w[o, k]. */
void matmul_add(const struct compute *compute, const struct matrix *w, const float *x,
                size_t x_stride, size_t n_rows, float *y, size_t y_stride);

#endif
