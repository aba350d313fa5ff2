/* The differentiable operations of both families, each backward beside its forward.
 *
 * Buffers are rows of `real` one after the other unless a stride is named. Backward functions say
 * whether they overwrite or add to (+=) what they return; gradients of weights are always added.
 * Work is divided by rows, or by columns where rows are summed, so that results do not depend on
 * the number of threads. `gemm` brings kernels, threads and packing space.
 */
#ifndef TANDEM_TRAIN_OPS_H
#define TANDEM_TRAIN_OPS_H

#include "kernels/gemm.h"

#include <stdint.h>

/* Calls work(context, begin, end) for parts of [0, n), in multiples of `grain`. */
typedef void ops_range(void *context, size_t begin, size_t end);
void ops_parallel(struct thread_pool *pool, size_t n, size_t grain, ops_range *work, void *context);

/* y = x * inverse * weight, inverse[row] = 1 / sqrt(mean(x^2) + eps). */
void ops_rms_norm(const struct gemm *gemm, const real *x, const real *weight, size_t rows,
                  size_t dim, real eps, real *inverse, real *y);
/* dx += ...; dweight (NULL: not wanted) += ... */
void ops_rms_norm_backward(const struct gemm *gemm, const real *x, const real *weight,
                           const real *inverse, const real *dy, size_t rows, size_t dim, real *dx,
                           real *dweight);

/* y[row] = silu(gate) * up with gate_up[row] = [gate, up]. */
void ops_swiglu(const struct gemm *gemm, const real *gate_up, size_t rows, size_t ffn, real *y);
/* Overwrites dgate_up. */
void ops_swiglu_backward(const struct gemm *gemm, const real *gate_up, const real *dy, size_t rows,
                         size_t ffn, real *dgate_up);

/* Angles of each row: cosine[row] and sine[row] point to [half] values. */
struct ops_angles {
    const real **cosine, **sine; /* [rows] */
    size_t half;
};
/* Rotates the first n_heads heads of every row in place; rows are `stride` apart. */
void ops_rope(const struct gemm *gemm, const struct ops_angles *angles, real *x, size_t rows,
              size_t stride, size_t n_heads, size_t head_dim);
void ops_rope_backward(const struct gemm *gemm, const struct ops_angles *angles, real *dx,
                       size_t rows, size_t stride, size_t n_heads, size_t head_dim);

/* y[row] += bias. */
void ops_bias(const struct gemm *gemm, const real *bias, size_t rows, size_t n, real *y);
/* dbias += the sum of dy's rows. */
void ops_bias_backward(const struct gemm *gemm, const real *dy, size_t rows, size_t n, real *dbias);

/* y += x, n elements in all. */
void ops_add(const struct gemm *gemm, const real *x, size_t n, real *y);

/* dtable[tokens[row]] += dx[row]. */
void ops_embedding_backward(const struct gemm *gemm, const int32_t *tokens, const real *dx,
                            size_t rows, size_t dim, real *dtable);

/* nll[row] = -log softmax(logits[row])[target[row]]. With a factor other than 0, logits become
 * the gradient of factor * sum(nll); with 0 they become probabilities. */
void ops_cross_entropy(const struct gemm *gemm, const int32_t *targets, size_t rows, size_t vocab,
                       real factor, real *logits, double *nll);

#endif
