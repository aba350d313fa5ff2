#include "train/ops.h"

#include <math.h>

struct parallel_call {
    ops_range *work;
    void *context;
    size_t n, grain;
};

static void run_part(void *context, size_t thread, size_t n_threads)
{
    const struct parallel_call *call = context;
    size_t begin, end;
    thread_share(call->n, call->grain, thread, n_threads, &begin, &end);
    if (begin < end)
        call->work(call->context, begin, end);
}

void ops_parallel(struct thread_pool *pool, size_t n, size_t grain, ops_range *work, void *context)
{
    struct parallel_call call = {work, context, n, grain};
    thread_pool_run(pool, run_part, &call);
}

/* --- RMSNorm --- */

struct norm {
    const struct dense_kernels *kernels;
    const real *x, *weight, *dy;
    size_t rows, dim;
    real eps, *inverse, *y, *dx, *dweight;
};

static void norm_rows(void *context, size_t begin, size_t end)
{
    const struct norm *c = context;
    for (size_t row = begin; row < end; row++) {
        const real *x = c->x + row * c->dim;
        c->inverse[row] = 1 / (real)sqrt(c->kernels->dot(x, x, c->dim) / (real)c->dim + c->eps);
        c->kernels->rms_norm(x, c->weight, c->inverse[row], c->y + row * c->dim, c->dim);
    }
}

void ops_rms_norm(const struct gemm *gemm, const real *x, const real *weight, size_t rows,
                  size_t dim, real eps, real *inverse, real *y)
{
    struct norm c = {.kernels = gemm->kernels,
                     .x = x,
                     .weight = weight,
                     .rows = rows,
                     .dim = dim,
                     .eps = eps,
                     .inverse = inverse,
                     .y = y};
    ops_parallel(gemm->pool, rows, 1, norm_rows, &c);
}

static void norm_rows_backward(void *context, size_t begin, size_t end)
{
    const struct norm *c = context;
    for (size_t row = begin; row < end; row++) {
        size_t at = row * c->dim;
        c->kernels->rms_norm_backward(c->x + at, c->weight, c->inverse[row], c->dy + at, c->dx + at,
                                      c->dim);
    }
}

static void norm_columns_backward(void *context, size_t begin, size_t end)
{
    const struct norm *c = context;
    for (size_t row = 0; row < c->rows; row++) {
        size_t at = row * c->dim + begin;
        c->kernels->rms_norm_weight(c->x + at, c->inverse[row], c->dy + at, c->dweight + begin,
                                    end - begin);
    }
}

void ops_rms_norm_backward(const struct gemm *gemm, const real *x, const real *weight,
                           const real *inverse, const real *dy, size_t rows, size_t dim, real *dx,
                           real *dweight)
{
    struct norm c = {.kernels = gemm->kernels,
                     .x = x,
                     .weight = weight,
                     .dy = dy,
                     .rows = rows,
                     .dim = dim,
                     .inverse = (real *)(uintptr_t)inverse,
                     .dx = dx,
                     .dweight = dweight};
    ops_parallel(gemm->pool, rows, 1, norm_rows_backward, &c);
    if (dweight)
        ops_parallel(gemm->pool, dim, 16, norm_columns_backward, &c);
}

/* --- SwiGLU --- */

struct swiglu {
    const struct dense_kernels *kernels;
    const real *gate_up, *dy;
    size_t ffn;
    real *y, *dgate_up;
};

static void swiglu_rows(void *context, size_t begin, size_t end)
{
    const struct swiglu *c = context;
    for (size_t row = begin; row < end; row++) {
        const real *gate = c->gate_up + row * 2 * c->ffn;
        c->kernels->swiglu(gate, gate + c->ffn, c->y + row * c->ffn, c->ffn);
    }
}

void ops_swiglu(const struct gemm *gemm, const real *gate_up, size_t rows, size_t ffn, real *y)
{
    struct swiglu c = {.kernels = gemm->kernels, .gate_up = gate_up, .ffn = ffn, .y = y};
    ops_parallel(gemm->pool, rows, 1, swiglu_rows, &c);
}

static void swiglu_rows_backward(void *context, size_t begin, size_t end)
{
    const struct swiglu *c = context;
    for (size_t row = begin; row < end; row++) {
        const real *gate = c->gate_up + row * 2 * c->ffn;
        real *dgate = c->dgate_up + row * 2 * c->ffn;
        c->kernels->swiglu_backward(gate, gate + c->ffn, c->dy + row * c->ffn, dgate,
                                    dgate + c->ffn, c->ffn);
    }
}

void ops_swiglu_backward(const struct gemm *gemm, const real *gate_up, const real *dy, size_t rows,
                         size_t ffn, real *dgate_up)
{
    struct swiglu c = {
        .kernels = gemm->kernels, .gate_up = gate_up, .dy = dy, .ffn = ffn, .dgate_up = dgate_up};
    ops_parallel(gemm->pool, rows, 1, swiglu_rows_backward, &c);
}

/* --- Rotary position embedding --- */

struct rotation {
    const struct ops_angles *angles;
    void (*rotate)(real *x, const real *cosine, const real *sine, size_t half);
    real *x;
    size_t stride, n_heads, head_dim;
};

static void rotate_rows(void *context, size_t begin, size_t end)
{
    const struct rotation *c = context;
    for (size_t row = begin; row < end; row++)
        for (size_t head = 0; head < c->n_heads; head++)
            c->rotate(c->x + row * c->stride + head * c->head_dim, c->angles->cosine[row],
                      c->angles->sine[row], c->angles->half);
}

void ops_rope(const struct gemm *gemm, const struct ops_angles *angles, real *x, size_t rows,
              size_t stride, size_t n_heads, size_t head_dim)
{
    struct rotation c = {angles, gemm->kernels->rope, x, stride, n_heads, head_dim};
    ops_parallel(gemm->pool, rows, 1, rotate_rows, &c);
}

void ops_rope_backward(const struct gemm *gemm, const struct ops_angles *angles, real *dx,
                       size_t rows, size_t stride, size_t n_heads, size_t head_dim)
{
    struct rotation c = {angles, gemm->kernels->rope_backward, dx, stride, n_heads, head_dim};
    ops_parallel(gemm->pool, rows, 1, rotate_rows, &c);
}

/* --- Bias and sums --- */

struct sum {
    const struct dense_kernels *kernels;
    const real *x;
    size_t rows, n;
    real *y;
};

static void bias_rows(void *context, size_t begin, size_t end)
{
    const struct sum *c = context;
    for (size_t row = begin; row < end; row++)
        c->kernels->add(c->y + row * c->n, c->x, c->n);
}

void ops_bias(const struct gemm *gemm, const real *bias, size_t rows, size_t n, real *y)
{
    struct sum c = {gemm->kernels, bias, rows, n, y};
    ops_parallel(gemm->pool, rows, 1, bias_rows, &c);
}

static void bias_columns_backward(void *context, size_t begin, size_t end)
{
    const struct sum *c = context;
    for (size_t row = 0; row < c->rows; row++)
        c->kernels->add(c->y + begin, c->x + row * c->n + begin, end - begin);
}

void ops_bias_backward(const struct gemm *gemm, const real *dy, size_t rows, size_t n, real *dbias)
{
    struct sum c = {gemm->kernels, dy, rows, n, dbias};
    ops_parallel(gemm->pool, n, 16, bias_columns_backward, &c);
}

static void add_range(void *context, size_t begin, size_t end)
{
    const struct sum *c = context;
    c->kernels->add(c->y + begin, c->x + begin, end - begin);
}

void ops_add(const struct gemm *gemm, const real *x, size_t n, real *y)
{
    struct sum c = {gemm->kernels, x, 1, n, y};
    ops_parallel(gemm->pool, n, 64, add_range, &c);
}

/* --- Embedding --- */

struct embedding {
    const struct dense_kernels *kernels;
    const int32_t *tokens;
    const real *dx;
    size_t rows, dim;
    real *dtable;
};

static void embedding_columns_backward(void *context, size_t begin, size_t end)
{
    const struct embedding *c = context;
    for (size_t row = 0; row < c->rows; row++)
        c->kernels->add(c->dtable + (size_t)c->tokens[row] * c->dim + begin,
                        c->dx + row * c->dim + begin, end - begin);
}

void ops_embedding_backward(const struct gemm *gemm, const int32_t *tokens, const real *dx,
                            size_t rows, size_t dim, real *dtable)
{
    struct embedding c = {gemm->kernels, tokens, dx, rows, dim, dtable};
    ops_parallel(gemm->pool, dim, 16, embedding_columns_backward, &c);
}

/* --- Cross entropy --- */

struct cross_entropy {
    const struct dense_kernels *kernels;
    const int32_t *targets;
    size_t vocab;
    real factor, *logits;
    double *nll;
};

static void cross_entropy_rows(void *context, size_t begin, size_t end)
{
    const struct cross_entropy *c = context;
    for (size_t row = begin; row < end; row++) {
        real *logits = c->logits + row * c->vocab, *target = logits + c->targets[row];
        double correct = (double)*target;
        c->nll[row] = (double)c->kernels->softmax(logits, c->vocab) - correct;
        if (c->factor == 0)
            continue;
        *target -= 1;
        c->kernels->scale(logits, c->factor, c->vocab);
    }
}

void ops_cross_entropy(const struct gemm *gemm, const int32_t *targets, size_t rows, size_t vocab,
                       real factor, real *logits, double *nll)
{
    struct cross_entropy c = {gemm->kernels, targets, vocab, factor, logits, nll};
    ops_parallel(gemm->pool, rows, 1, cross_entropy_rows, &c);
}
