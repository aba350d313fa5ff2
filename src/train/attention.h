/* Causal attention over packed examples, forward and backward.
 *
 * The rows of a batch are examples one after the other; a row attends to the rows of its own
 * example at and before its position, within the sliding window if there is one. Query heads
 * share key/value heads in groups. Nothing but the output is kept: the backward pass computes the
 * probabilities anew, tile by tile of queries, so memory does not grow with length squared.
 */
#ifndef TANDEM_TRAIN_ATTENTION_H
#define TANDEM_TRAIN_ATTENTION_H

#include "kernels/gemm.h"

struct attention {
    size_t n_heads, n_kv_heads, head_dim;
    size_t window; /* 0: none; a row sees itself and the window - 1 rows before it */
    size_t n_examples;
    const size_t *starts; /* [n_examples + 1] first row of each example, and the end */
    real *scratch;        /* attention_scratch() elements */
};

/* Elements of scratch for examples of at most `longest` rows. */
size_t attention_scratch(size_t longest, size_t n_threads);

/* qkv: rows of [n_heads | n_kv_heads | n_kv_heads] * head_dim; out: rows of n_heads * head_dim. */
void attention_forward(const struct gemm *gemm, const struct attention *a, const real *qkv,
                       real *out);
/* Overwrites dqkv. */
void attention_backward(const struct gemm *gemm, const struct attention *a, const real *qkv,
                        const real *dout, real *dqkv);

#endif
