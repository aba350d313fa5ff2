#include "train/attention.h"
#include "base/size.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

enum { TILE = 128 }; /* queries at a time */

size_t attention_scratch(size_t longest, size_t n_threads)
{
    return 2 * n_threads * TILE * longest;
}

static size_t longest_example(const struct attention *a)
{
    size_t longest = 0;
    for (size_t i = 0; i < a->n_examples; i++) {
        size_t length = a->starts[i + 1] - a->starts[i];
        longest = size_max(length, longest);
    }
    return longest;
}

/* One call: its unit of work is one key/value head of one example. */
struct call {
    const struct gemm *gemm;
    const struct attention *a;
    const real *qkv, *dout;
    real *out, *dqkv;
    size_t stride, out_stride, longest;
    real scale;
    atomic_size_t next;
};

/* Where a unit's data lies. */
struct unit {
    size_t first_row, length, kv_head;
    const real *keys, *values;
};

static struct unit find_unit(const struct call *call, size_t index)
{
    const struct attention *a = call->a;
    size_t example = index / a->n_kv_heads, kv_head = index % a->n_kv_heads;
    struct unit unit = {.first_row = a->starts[example],
                        .kv_head = kv_head,
                        .length = a->starts[example + 1] - a->starts[example]};
    unit.keys = call->qkv + unit.first_row * call->stride + (a->n_heads + kv_head) * a->head_dim;
    unit.values = unit.keys + a->n_kv_heads * a->head_dim;
    return unit;
}

/* Queries [begin, end) of the unit see keys [low, end). */
struct tile {
    size_t begin, end, low, width, height;
};

static struct tile find_tile(const struct attention *a, size_t begin, size_t length)
{
    struct tile t = {.begin = begin, .end = size_min(begin + TILE, length)};
    if (a->window && begin + 1 > a->window)
        t.low = begin + 1 - a->window;
    t.width = t.end - t.low;
    t.height = t.end - t.begin;
    return t;
}

/* Keys that query `i` sees, counted from the tile's first key: [*first, *last). */
static void visible_keys(const struct attention *a, const struct tile *t, size_t i, size_t *first,
                         size_t *last)
{
    size_t low = a->window && i + 1 > a->window ? i + 1 - a->window : 0;
    *first = low - t->low;
    *last = i + 1 - t->low;
}

/* p[height, width]: the attention probabilities of a tile, zero where a query sees nothing. */
static void probabilities(const struct call *call, size_t thread, const struct unit *unit,
                          const struct tile *t, const real *queries, real *p)
{
    const struct dense_kernels *kernels = call->gemm->kernels;
    struct gemm_job scores = {t->height,
                              t->width,
                              call->a->head_dim,
                              gemm_rows(queries + t->begin * call->stride, call->stride),
                              gemm_transposed(unit->keys + t->low * call->stride, call->stride),
                              p,
                              t->width,
                              false};
    gemm_run_alone(call->gemm, thread, &scores);
    for (size_t i = t->begin; i < t->end; i++) {
        real *row = p + (i - t->begin) * t->width;
        size_t first, last;
        visible_keys(call->a, t, i, &first, &last);
        memset(row, 0, first * sizeof *row);
        kernels->scale(row + first, call->scale, last - first);
        kernels->softmax(row + first, last - first);
        memset(row + last, 0, (t->width - last) * sizeof *row);
    }
}

static void unit_forward(const struct call *call, size_t thread, size_t index, real *p)
{
    const struct attention *a = call->a;
    struct unit unit = find_unit(call, index);
    size_t group = a->n_heads / a->n_kv_heads;
    for (size_t head = unit.kv_head * group; head < (unit.kv_head + 1) * group; head++) {
        const real *queries = call->qkv + unit.first_row * call->stride + head * a->head_dim;
        real *out = call->out + unit.first_row * call->out_stride + head * a->head_dim;
        for (size_t begin = 0; begin < unit.length; begin += TILE) {
            struct tile t = find_tile(a, begin, unit.length);
            probabilities(call, thread, &unit, &t, queries, p);
            struct gemm_job mix = {t.height,
                                   a->head_dim,
                                   t.width,
                                   gemm_rows(p, t.width),
                                   gemm_rows(unit.values + t.low * call->stride, call->stride),
                                   out + t.begin * call->out_stride,
                                   call->out_stride,
                                   false};
            gemm_run_alone(call->gemm, thread, &mix);
        }
    }
}

/* dp, the gradient of the probabilities, becomes the gradient of q * k. */
static void scores_backward(const struct call *call, const struct tile *t, const real *p, real *dp)
{
    for (size_t i = t->begin; i < t->end; i++) {
        size_t at = (i - t->begin) * t->width, first, last;
        visible_keys(call->a, t, i, &first, &last);
        memset(dp + at, 0, first * sizeof *dp);
        call->gemm->kernels->softmax_backward(p + at + first, dp + at + first, call->scale,
                                              last - first);
        memset(dp + at + last, 0, (t->width - last) * sizeof *dp);
    }
}

static void tile_backward(const struct call *call, size_t thread, const struct unit *unit,
                          const struct tile *t, size_t head, real *p, real *dp)
{
    const struct attention *a = call->a;
    const struct gemm *gemm = call->gemm;
    size_t stride = call->stride, dim = a->head_dim, low = t->low * stride;
    size_t query_at = unit->first_row * stride + head * dim;
    const real *queries = call->qkv + query_at + t->begin * stride;
    const real *dout = call->dout + (unit->first_row + t->begin) * call->out_stride + head * dim;
    real *dkeys = call->dqkv + (unit->keys - call->qkv) + low;
    real *dvalues = call->dqkv + (unit->values - call->qkv) + low;

    probabilities(call, thread, unit, t, call->qkv + query_at, p);
    struct gemm_job values = {t->width,
                              dim,
                              t->height,
                              gemm_transposed(p, t->width),
                              gemm_rows(dout, call->out_stride),
                              dvalues,
                              stride,
                              true};
    gemm_run_alone(gemm, thread, &values);
    struct gemm_job weights = {t->height,
                               t->width,
                               dim,
                               gemm_rows(dout, call->out_stride),
                               gemm_transposed(unit->values + low, stride),
                               dp,
                               t->width,
                               false};
    gemm_run_alone(gemm, thread, &weights);
    scores_backward(call, t, p, dp);
    struct gemm_job query = {t->height,
                             dim,
                             t->width,
                             gemm_rows(dp, t->width),
                             gemm_rows(unit->keys + low, stride),
                             call->dqkv + query_at + t->begin * stride,
                             stride,
                             false};
    gemm_run_alone(gemm, thread, &query);
    struct gemm_job keys = {
        t->width, dim,    t->height, gemm_transposed(dp, t->width), gemm_rows(queries, stride),
        dkeys,    stride, true};
    gemm_run_alone(gemm, thread, &keys);
}

static void unit_backward(const struct call *call, size_t thread, size_t index, real *p)
{
    const struct attention *a = call->a;
    struct unit unit = find_unit(call, index);
    size_t group = a->n_heads / a->n_kv_heads;
    real *dkeys = call->dqkv + (unit.keys - call->qkv);
    real *dvalues = call->dqkv + (unit.values - call->qkv);
    for (size_t i = 0; i < unit.length; i++) {
        memset(dkeys + i * call->stride, 0, a->head_dim * sizeof *dkeys);
        memset(dvalues + i * call->stride, 0, a->head_dim * sizeof *dvalues);
    }
    for (size_t head = unit.kv_head * group; head < (unit.kv_head + 1) * group; head++)
        for (size_t begin = 0; begin < unit.length; begin += TILE) {
            struct tile t = find_tile(a, begin, unit.length);
            tile_backward(call, thread, &unit, &t, head, p, p + TILE * call->longest);
        }
}

static void run_units(void *context, size_t thread, size_t n_threads)
{
    struct call *call = context;
    real *p = call->a->scratch + 2 * thread * TILE * call->longest;
    size_t n_units = call->a->n_examples * call->a->n_kv_heads, unit;
    (void)n_threads;
    while ((unit = atomic_fetch_add(&call->next, 1)) < n_units) {
        if (call->dqkv)
            unit_backward(call, thread, unit, p);
        else
            unit_forward(call, thread, unit, p);
    }
}

static void run_call(struct call *call)
{
    const struct attention *a = call->a;
    call->stride = (a->n_heads + 2 * a->n_kv_heads) * a->head_dim;
    call->out_stride = a->n_heads * a->head_dim;
    call->longest = longest_example(a);
    call->scale = 1 / (real)sqrt((double)a->head_dim);
    thread_pool_run(call->gemm->pool, run_units, call);
}

void attention_forward(const struct gemm *gemm, const struct attention *a, const real *qkv,
                       real *out)
{
    struct call call = {.gemm = gemm, .a = a, .qkv = qkv, .out = out};
    run_call(&call);
}

void attention_backward(const struct gemm *gemm, const struct attention *a, const real *qkv,
                        const real *dout, real *dqkv)
{
    struct call call = {.gemm = gemm, .a = a, .qkv = qkv, .dout = dout, .dqkv = dqkv};
    run_call(&call);
}
