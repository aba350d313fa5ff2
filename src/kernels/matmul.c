#include "kernels/matmul.h"
#include "base/memory.h"
#include "kernels/matmul_floats.h"

#include <stdint.h>
#include <string.h>

/* Outputs are handed out in units of UNIT, a multiple of PANEL_OUTPUTS. With many rows a thread
 * takes at least 1 / PIECES of its share at a time, as rows are then read again for each piece. */
enum { UNIT = 32, PIECES = 16, MANY_ROWS = 32 };

enum status compute_create(const char *isa, struct thread_pool *pool, size_t n_threads,
                           size_t max_cols, struct compute *compute, struct error *err)
{
    *compute = (struct compute){.pool = pool, .shares_pool = pool};
    enum status status = kernels_select(isa, &compute->kernels, err);
    if (!status && !pool)
        status = thread_pool_create(n_threads, &compute->pool, err);
    if (status)
        return status;
    size_t threads = thread_pool_size(compute->pool);
    compute->quant = quant_select(compute->kernels->name);
    compute->scratch_floats = matmul_floats_scratch(max_cols);
    if (compute->scratch_floats < QUANT_SCRATCH / sizeof(float))
        compute->scratch_floats = QUANT_SCRATCH / sizeof(float);
    compute->scratch = mem_aligned(64, threads, compute->scratch_floats * sizeof(float));
    compute->shares = work_shares_create(threads);
    if (!compute->scratch || !compute->shares) {
        compute_free(compute);
        return error_memory(err, "the scratch of matrix products");
    }
    return STATUS_OK;
}

void compute_free(struct compute *compute)
{
    if (!compute->shares_pool)
        thread_pool_free(compute->pool);
    mem_free(compute->scratch);
    mem_free(compute->shares);
    *compute = (struct compute){0};
}

enum ending { NOTHING, RESIDUAL, GATED };

/* A group of products with the same activations: one region of threads. */
struct job {
    const struct compute *compute;
    struct activations *a;
    const struct product *products;
    size_t n_products;
    enum ending ending;
    float *residual; /* [n_rows, rows of the product], dense */
    bool quantizes;  /* the activations, first */
};

bool matmul_is_quantized(const struct compute *compute, const struct matrix *w)
{
    return compute->quant && quant_supports(w->type);
}

static size_t n_units(size_t outputs)
{
    return (outputs + UNIT - 1) / UNIT;
}

/* y = bias for some outputs; the products are added to it. */
static void start_outputs(const struct product *p, size_t n_rows, size_t begin, size_t end)
{
    for (size_t r = 0; r < n_rows; r++) {
        float *y = p->y + r * p->y_stride + begin;
        if (p->bias)
            memcpy(y, p->bias + begin, (end - begin) * sizeof *y);
        else
            memset(y, 0, (end - begin) * sizeof *y);
    }
}

static void multiply_codes(const struct job *job, const struct product *p, size_t begin, size_t end,
                           float *scratch)
{
    const struct matrix *w = p->w;
    const struct quant_kernels *k = job->compute->quant;
    struct quant_job part = {.type = w->type,
                             .data = w->packed ? w->packed : w->data,
                             .row_bytes = w->row_bytes,
                             .a = job->a,
                             .y = p->y,
                             .y_stride = p->y_stride,
                             .begin = begin,
                             .end = end,
                             .scratch = scratch};
    (w->packed ? k->panels : k->rows)(&part);
}

static void multiply_floats(const struct job *job, const struct product *p, const struct matrix *w,
                            const float *x, size_t x_stride, size_t begin, size_t end,
                            float *scratch)
{
    matmul_floats(&(struct float_job){.kernels = job->compute->kernels,
                                      .w = w,
                                      .x = x,
                                      .x_stride = x_stride,
                                      .n_rows = job->a->n_rows,
                                      .y = p->y,
                                      .y_stride = p->y_stride,
                                      .scratch = scratch},
                  begin, end);
}

/* Outputs [begin, end) of a product. */
static void multiply(const struct job *job, const struct product *p, size_t begin, size_t end,
                     float *scratch)
{
    start_outputs(p, job->a->n_rows, begin, end);
    if (matmul_is_quantized(job->compute, p->w))
        multiply_codes(job, p, begin, end, scratch);
    else
        multiply_floats(job, p, p->w, job->a->x, job->a->x_stride, begin, end, scratch);
    if (p->low)
        multiply_floats(job, p, p->b, p->low, p->b->cols, begin, end, scratch);
}

static void end_outputs(const struct job *job, size_t begin, size_t end)
{
    const struct kernels *k = job->compute->kernels;
    const struct product *p = job->products;
    for (size_t r = 0; r < job->a->n_rows; r++) {
        float *y = p->y + r * p->y_stride + begin;
        if (job->ending == RESIDUAL)
            k->add(job->residual + r * p->w->rows + begin, y, end - begin);
        else if (job->ending == GATED)
            k->silu_multiply(y, p[1].y + r * p[1].y_stride + begin, end - begin);
    }
}

/* Units [begin, end): of the products one after the other, or of both that are gated. */
static void multiply_units(const struct job *job, size_t begin, size_t end, float *scratch)
{
    for (size_t i = 0; i < job->n_products && begin < end; i++) {
        const struct product *p = &job->products[i];
        size_t n = n_units(p->w->rows);
        if (begin < n) {
            size_t last = end < n ? end * UNIT : p->w->rows;
            multiply(job, p, begin * UNIT, last, scratch);
            if (i + 1 == job->n_products && job->ending != NOTHING)
                end_outputs(job, begin * UNIT, last);
        }
        if (job->ending == GATED)
            continue;
        begin = begin < n ? 0 : begin - n;
        end = end < n ? 0 : end - n;
    }
}

/* A thread's share: whole tiles of rows, or where there are few, some of the blocks of all. */
static void quantize_share(const struct job *job, size_t thread, size_t n_threads)
{
    struct activations *a = job->a;
    bool few = a->n_rows < n_threads * TILE_ROWS;
    size_t begin, end;
    thread_share(few ? a->n_blocks : a->n_rows, few ? SHARED_BLOCKS : TILE_ROWS, thread, n_threads,
                 &begin, &end);
    if (few)
        job->compute->quant->quantize(a, 0, a->n_rows, begin, end);
    else
        job->compute->quant->quantize(a, begin, end, 0, a->n_blocks);
}

static void matmul_work(void *context, size_t thread, size_t n_threads)
{
    const struct job *job = context;
    const struct compute *c = job->compute;
    size_t begin, end;
    if (job->quantizes) {
        quantize_share(job, thread, n_threads);
        thread_pool_barrier(c->pool);
    }
    while (work_shares_take(c->shares, thread, &begin, &end))
        multiply_units(job, begin, end, c->scratch + thread * c->scratch_floats);
}

static void run_job(struct job *job)
{
    size_t units = 0;
    bool codes = false;
    for (size_t i = 0; i < job->n_products; i++) {
        units = job->ending == GATED ? 0 : units;
        units += n_units(job->products[i].w->rows);
        codes = codes || matmul_is_quantized(job->compute, job->products[i].w);
    }
    bool quantizes = codes && !job->a->quantized;
    if (quantizes && job->a->n_rows == 1)
        quantize_share(job, 0, 1); /* not worth a barrier */
    else
        job->quantizes = quantizes;
    size_t share = units / thread_pool_size(job->compute->pool);
    work_shares_set(job->compute->shares, units, job->a->n_rows < MANY_ROWS ? 1 : share / PIECES);
    thread_pool_run(job->compute->pool, matmul_work, job);
    job->a->quantized = job->a->quantized || codes;
}

void matmul_all(const struct compute *compute, struct activations *x,
                const struct product *products, size_t n)
{
    run_job(&(struct job){.compute = compute, .a = x, .products = products, .n_products = n});
}

void matmul_residual(const struct compute *compute, struct activations *x,
                     const struct product *product, float *residual)
{
    run_job(&(struct job){.compute = compute,
                          .a = x,
                          .products = product,
                          .n_products = 1,
                          .ending = RESIDUAL,
                          .residual = residual});
}

void matmul_gated(const struct compute *compute, struct activations *x,
                  const struct product gate_up[2])
{
    run_job(&(struct job){
        .compute = compute, .a = x, .products = gate_up, .n_products = 2, .ending = GATED});
}

void matmul(const struct compute *compute, const struct matrix *w, const float *bias,
            struct activations *x, float *y, size_t y_stride)
{
    struct product product = {.w = w, .bias = bias, .y = y, .y_stride = y_stride};
    matmul_all(compute, x, &product, 1);
}

/* --- Packing --- */

size_t matmul_packed_bytes(const struct compute *compute, const struct matrix *w)
{
    size_t bytes;
    if (!matmul_is_quantized(compute, w) || !compute->quant->panels ||
        !quant_packed_bytes(w->type, w->rows, w->cols, &bytes))
        return 0;
    return bytes;
}

struct packing {
    const struct matrix *w;
    void *memory;
};

static void pack_work(void *context, size_t thread, size_t n_threads)
{
    const struct packing *p = context;
    const struct matrix *w = p->w;
    size_t begin, end;
    thread_share((w->rows + PANEL_OUTPUTS - 1) / PANEL_OUTPUTS, 1, thread, n_threads, &begin, &end);
    quant_pack(w->type, w->data, w->row_bytes, w->rows, w->cols, begin, end, p->memory);
}

void matmul_pack(const struct compute *compute, struct matrix *w, void *memory)
{
    struct packing p = {.w = w, .memory = memory};
    thread_pool_run(compute->pool, pack_work, &p);
    w->packed = memory;
}
