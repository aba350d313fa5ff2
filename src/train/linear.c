#include "train/linear.h"
#include "train/ops.h"

#include <string.h>

static const uint8_t *stored_row(const struct matrix *m, size_t row)
{
    return (const uint8_t *)m->data + row * m->row_bytes;
}

#ifdef TANDEM_DENSE_DOUBLE
static void load_row(const struct linear_space *space, const struct matrix *m, size_t row,
                     real *out)
{
    space->kernels->dequantize[m->type](stored_row(m, row), space->row, m->cols);
    for (size_t i = 0; i < m->cols; i++)
        out[i] = space->row[i];
}
#else
static void load_row(const struct linear_space *space, const struct matrix *m, size_t row,
                     real *out)
{
    space->kernels->dequantize[m->type](stored_row(m, row), out, m->cols);
}
#endif

void linear_row(const struct linear_space *space, const struct linear *w, size_t row, real *out)
{
    if (w->weight) {
        memcpy(out, w->weight + row * w->in, w->in * sizeof *out);
        return;
    }
    const struct matrix *m = w->stored;
    for (; row >= m->rows; m++)
        row -= m->rows;
    load_row(space, m, row, out);
}

struct band_call {
    const struct linear_space *space;
    const struct linear *w;
    size_t first;
};

static void load_band(void *context, size_t begin, size_t end)
{
    const struct band_call *c = context;
    for (size_t row = begin; row < end; row++)
        linear_row(c->space, c->w, c->first + row, c->space->band + row * c->w->in);
}

/* Rows [first, first + n) of W as a dense matrix: W itself, or loaded into the band. */
static const real *dense_rows(const struct linear_space *space, const struct linear *w,
                              size_t first, size_t n)
{
    if (w->weight)
        return w->weight + first * w->in;
    struct band_call call = {space, w, first};
#ifdef TANDEM_DENSE_DOUBLE
    load_band(&call, 0, n); /* one conversion buffer */
#else
    ops_parallel(space->gemm->pool, n, 1, load_band, &call);
#endif
    return space->band;
}

/* How many rows of W to take at a time. */
static size_t band_rows(const struct linear *w, size_t first)
{
    size_t left = w->out - first;
    return w->weight || left < LINEAR_BAND ? left : LINEAR_BAND;
}

/* low = x * A^T. */
static void adapter_low(const struct linear_space *space, const struct linear *w,
                        const struct adapter *l, const real *x, size_t rows)
{
    struct gemm_job job = {
        rows,       l->rank, w->in, gemm_rows(x, w->in), gemm_transposed(l->a, w->in),
        space->low, l->rank, false};
    gemm_run(space->gemm, &job);
}

struct scale_call {
    const struct linear_space *space;
    real *x, factor;
};

static void scale_range(void *context, size_t begin, size_t end)
{
    const struct scale_call *c = context;
    c->space->gemm->kernels->scale(c->x + begin, c->factor, end - begin);
}

static void scale_all(const struct linear_space *space, real *x, real factor, size_t n)
{
    struct scale_call call = {space, x, factor};
    ops_parallel(space->gemm->pool, n, 64, scale_range, &call);
}

static void adapter_forward(const struct linear_space *space, const struct linear *w,
                            const struct adapter *l, const real *x, size_t rows, real *y)
{
    adapter_low(space, w, l, x, rows);
    scale_all(space, space->low, l->scale, rows * l->rank);
    struct gemm_job job = {rows,
                           l->rows,
                           l->rank,
                           gemm_rows(space->low, l->rank),
                           gemm_transposed(l->b, l->rank),
                           y + l->first,
                           w->out,
                           true};
    gemm_run(space->gemm, &job);
}

static void adapter_backward(const struct linear_space *space, const struct linear *w,
                             const struct adapter *l, const real *x, const real *dy, size_t rows,
                             real *dx)
{
    const struct gemm *gemm = space->gemm;
    adapter_low(space, w, l, x, rows);
    scale_all(space, space->low, l->scale, rows * l->rank);
    struct gemm_job db = {l->rows,
                          l->rank,
                          rows,
                          gemm_transposed(dy + l->first, w->out),
                          gemm_rows(space->low, l->rank),
                          l->db,
                          l->rank,
                          true};
    gemm_run(gemm, &db);
    struct gemm_job dlow = {
        rows,        l->rank, l->rows, gemm_rows(dy + l->first, w->out), gemm_rows(l->b, l->rank),
        space->dlow, l->rank, false};
    gemm_run(gemm, &dlow);
    scale_all(space, space->dlow, l->scale, rows * l->rank);
    struct gemm_job da = {
        l->rank, w->in, rows, gemm_transposed(space->dlow, l->rank), gemm_rows(x, w->in),
        l->da,   w->in, true};
    gemm_run(gemm, &da);
    struct gemm_job input = {
        rows, w->in, l->rank, gemm_rows(space->dlow, l->rank), gemm_rows(l->a, w->in),
        dx,   w->in, true};
    if (dx)
        gemm_run(gemm, &input);
}

void linear_forward(const struct linear_space *space, const struct linear *w, const real *x,
                    size_t rows, real *y)
{
    for (size_t first = 0, n; first < w->out; first += n) {
        n = band_rows(w, first);
        struct gemm_job job = {rows,
                               n,
                               w->in,
                               gemm_rows(x, w->in),
                               gemm_transposed(dense_rows(space, w, first, n), w->in),
                               y + first,
                               w->out,
                               false};
        gemm_run(space->gemm, &job);
    }
    if (w->bias)
        ops_bias(space->gemm, w->bias, rows, w->out, y);
    for (size_t i = 0; i < w->n_adapters; i++)
        adapter_forward(space, w, &w->adapters[i], x, rows, y);
}

void linear_backward(const struct linear_space *space, const struct linear *w, const real *x,
                     const real *dy, size_t rows, real *dx)
{
    for (size_t first = 0, n; dx && first < w->out; first += n) {
        n = band_rows(w, first);
        struct gemm_job job = {rows,
                               w->in,
                               n,
                               gemm_rows(dy + first, w->out),
                               gemm_rows(dense_rows(space, w, first, n), w->in),
                               dx,
                               w->in,
                               first > 0};
        gemm_run(space->gemm, &job);
    }
    if (w->dweight) {
        struct gemm_job job = {
            w->out,     w->in, rows, gemm_transposed(dy, w->out), gemm_rows(x, w->in),
            w->dweight, w->in, true};
        gemm_run(space->gemm, &job);
    }
    if (w->dbias)
        ops_bias_backward(space->gemm, dy, rows, w->out, w->dbias);
    for (size_t i = 0; i < w->n_adapters; i++)
        adapter_backward(space, w, &w->adapters[i], x, dy, rows, dx);
}
