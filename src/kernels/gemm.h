/* Products of dense matrices in all their forms, for training: C (+)= A * B.
 *
 * A and B are described by their strides, so a transpose is a view: with rows `ld` apart,
 * gemm_rows(data, ld) is the matrix as it lies there and gemm_transposed(data, ld) its transpose.
 * Panels of both are packed into cache-sized blocks; the sum over k runs in an order that neither
 * the number of threads nor the other sizes change. In BF16 the packing rounds the operands; C and
 * the sums are floats.
 */
#ifndef TANDEM_KERNELS_GEMM_H
#define TANDEM_KERNELS_GEMM_H

#include "base/thread_pool.h"
#include "kernels/dense.h"

struct gemm_operand {
    const real *data;
    size_t row_stride, column_stride; /* one of them is 1 */
};

static inline struct gemm_operand gemm_rows(const real *data, size_t stride)
{
    return (struct gemm_operand){data, stride, 1};
}

static inline struct gemm_operand gemm_transposed(const real *data, size_t stride)
{
    return (struct gemm_operand){data, 1, stride};
}

struct gemm_job {
    size_t m, n, k;           /* C is [m, n] */
    struct gemm_operand a, b; /* [m, k], [k, n] */
    real *c;
    size_t c_stride;
    bool accumulate; /* add to C; otherwise C need not be initialised */
};

struct gemm {
    const struct dense_kernels *kernels;
    const struct dense_product *product;
    struct thread_pool *pool; /* not owned; may be NULL */
    unsigned char *shared;    /* packed block of B that all threads use */
    unsigned char *own;       /* per thread: blocks of A and of B */
};

/* product: of `kernels`, or one of dense_select_bf16(). */
enum status gemm_create(const struct dense_kernels *kernels, const struct dense_product *product,
                        struct thread_pool *pool, struct gemm *gemm, struct error *err);
void gemm_free(struct gemm *gemm);
size_t gemm_bytes(const struct gemm *gemm);

/* All threads of the pool work on one product. */
void gemm_run(const struct gemm *gemm, const struct gemm_job *job);
/* For use inside a thread_work: thread `thread` does the whole product by itself. */
void gemm_run_alone(const struct gemm *gemm, size_t thread, const struct gemm_job *job);

#endif
