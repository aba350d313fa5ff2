#include "kernels/matmul.h"
#include "base/memory.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* One row of activations is multiplied as the weights are decoded. For more, weights are decoded
 * into a tile in the thread's scratch, MATMUL_CHUNK columns wide: for few rows a tile that fits the
 * first-level cache. For many, a higher one (second level) that a panel of packed activations
 * meets; packed, because rows that lie a power of two apart would fight for the same lines. */
enum { LOW_TILE = 8, HIGH_TILE = 32, GRAIN = 8, PACK_FROM = 24, PANEL = 192 };

/* Columns of one tile in scratch; rows start on cache lines. */
static size_t tile_stride(size_t max_cols)
{
    return max_cols < MATMUL_CHUNK ? (max_cols + 15) / 16 * 16 : MATMUL_CHUNK;
}

enum status compute_create(const char *isa, struct thread_pool *pool, size_t n_threads,
                           size_t max_cols, struct compute *compute, struct error *err)
{
    *compute = (struct compute){.pool = pool, .shares_pool = pool};
    enum status status = kernels_select(isa, &compute->kernels, err);
    if (!status && !pool)
        status = thread_pool_create(n_threads, &compute->pool, err);
    if (status)
        return status;
    compute->quant = quant_select(compute->kernels->name);
    compute->scratch_floats = (HIGH_TILE + PANEL) * tile_stride(max_cols);
    if (compute->scratch_floats < QUANT_SCRATCH / sizeof(float))
        compute->scratch_floats = QUANT_SCRATCH / sizeof(float);
    compute->scratch =
        mem_aligned(64, thread_pool_size(compute->pool), compute->scratch_floats * sizeof(float));
    if (!compute->scratch) {
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
    *compute = (struct compute){0};
}

struct job {
    const struct compute *compute;
    const struct matrix *w;
    const float *bias, *x;
    struct activations *a;
    float *y;
    size_t x_stride, y_stride, n_rows;
    bool adds; /* to what y holds */
};

/* y = bias for a thread's share of the outputs; the products are added to it. */
static void start_outputs(const struct job *job, size_t begin, size_t end)
{
    for (size_t r = 0; r < job->n_rows; r++) {
        float *y = job->y + r * job->y_stride + begin;
        if (job->bias)
            memcpy(y, job->bias + begin, (end - begin) * sizeof *y);
        else
            memset(y, 0, (end - begin) * sizeof *y);
    }
}

static const char *stored_at(const struct matrix *w, size_t row, size_t col)
{
    const struct tensor_type_info *info = tensor_type_info(w->type);
    return (const char *)w->data + row * w->row_bytes +
           col / info->block_length * info->block_bytes;
}

static size_t at_most(size_t n, size_t limit)
{
    return n < limit ? n : limit;
}

/* One row of activations. */
static void multiply_row(const struct job *job, size_t begin, size_t end)
{
    const struct matrix *w = job->w;
    const struct kernels *k = job->compute->kernels;
    for (size_t o = begin, count; o < end; o += count) {
        count = at_most(end - o, 4);
        for (size_t c = 0; c < w->cols; c += MATMUL_CHUNK)
            k->dot[w->type](stored_at(w, o, c), w->row_bytes, count, job->x + c,
                            at_most(w->cols - c, MATMUL_CHUNK), job->y + o);
    }
}

/* Rows of activations against one chunk of columns of outputs [begin, end). */
static void multiply_chunk(const struct job *job, float *tile, size_t height, size_t begin,
                           size_t end, size_t col, const float *x, size_t x_stride, size_t n_rows,
                           float *y)
{
    const struct matrix *w = job->w;
    const struct kernels *k = job->compute->kernels;
    size_t n = at_most(w->cols - col, MATMUL_CHUNK), stride = tile_stride(w->cols);
    for (size_t first = begin, count; first < end; first += count) {
        count = at_most(end - first, height);
        for (size_t o = 0; o < count; o++)
            k->dequantize[w->type](stored_at(w, first + o, col), tile + o * stride, n);
        k->gemm_f32(x, x_stride, n_rows, tile, stride, count, n, y + first, job->y_stride);
    }
}

static void multiply_few(const struct job *job, float *tile, size_t begin, size_t end)
{
    for (size_t first = begin, count; first < end; first += count) {
        count = at_most(end - first, LOW_TILE);
        for (size_t c = 0; c < job->w->cols; c += MATMUL_CHUNK)
            multiply_chunk(job, tile, LOW_TILE, first, first + count, c, job->x + c, job->x_stride,
                           job->n_rows, job->y);
    }
}

static void multiply_many(const struct job *job, float *tile, size_t begin, size_t end)
{
    size_t cols = job->w->cols, stride = tile_stride(cols);
    float *panel = tile + HIGH_TILE * stride;
    for (size_t r = 0, rows; r < job->n_rows; r += rows) {
        rows = at_most(job->n_rows - r, PANEL);
        for (size_t c = 0; c < cols; c += MATMUL_CHUNK) {
            size_t n = at_most(cols - c, MATMUL_CHUNK);
            for (size_t i = 0; i < rows; i++)
                memcpy(panel + i * stride, job->x + (r + i) * job->x_stride + c, n * sizeof *panel);
            multiply_chunk(job, tile, HIGH_TILE, begin, end, c, panel, stride, rows,
                           job->y + r * job->y_stride);
        }
    }
}

static void multiply_f32(const struct job *job, size_t thread, size_t n_threads)
{
    size_t begin, end;
    thread_share(job->w->rows, GRAIN, thread, n_threads, &begin, &end);
    float *scratch = job->compute->scratch + thread * job->compute->scratch_floats;
    if (!job->adds)
        start_outputs(job, begin, end);
    if (job->n_rows == 1 && job->compute->kernels->dot[job->w->type])
        multiply_row(job, begin, end);
    else if (job->n_rows < PACK_FROM)
        multiply_few(job, scratch, begin, end);
    else
        multiply_many(job, scratch, begin, end);
}

/* The first product with these activations has them quantized, by all threads. */
static void quantize_activations(const struct job *job, size_t thread, size_t n_threads)
{
    size_t begin, end;
    thread_share(job->n_rows, 1, thread, n_threads, &begin, &end);
    job->compute->quant->quantize(job->a, begin, end);
    thread_pool_barrier(job->compute->pool);
}

static void multiply_quantized(const struct job *job, size_t thread, size_t n_threads)
{
    const struct matrix *w = job->w;
    struct quant_job part = {.type = w->type,
                             .data = w->packed ? w->packed : w->data,
                             .row_bytes = w->row_bytes,
                             .a = job->a,
                             .y = job->y,
                             .y_stride = job->y_stride,
                             .scratch =
                                 job->compute->scratch + thread * job->compute->scratch_floats};
    thread_share(w->rows, PANEL_OUTPUTS, thread, n_threads, &part.begin, &part.end);
    if (!job->adds)
        start_outputs(job, part.begin, part.end);
    if (!job->a->quantized)
        quantize_activations(job, thread, n_threads);
    if (w->packed)
        job->compute->quant->panels(&part);
    else
        job->compute->quant->rows(&part);
}

static bool is_quantized(const struct compute *compute, const struct matrix *w)
{
    return compute->quant && quant_supports(w->type);
}

static void matmul_work(void *context, size_t thread, size_t n_threads)
{
    const struct job *job = context;
    if (is_quantized(job->compute, job->w))
        multiply_quantized(job, thread, n_threads);
    else
        multiply_f32(job, thread, n_threads);
}

static void run_job(const struct job *job)
{
    thread_pool_run(job->compute->pool, matmul_work, (void *)(uintptr_t)job);
    job->a->quantized = job->a->quantized || is_quantized(job->compute, job->w);
}

void matmul(const struct compute *compute, const struct matrix *w, const float *bias,
            struct activations *x, float *y, size_t y_stride)
{
    run_job(&(struct job){.compute = compute,
                          .w = w,
                          .bias = bias,
                          .x = x->x,
                          .a = x,
                          .y = y,
                          .x_stride = x->x_stride,
                          .y_stride = y_stride,
                          .n_rows = x->n_rows});
}

void matmul_add(const struct compute *compute, const struct matrix *w, struct activations *x,
                float *y, size_t y_stride)
{
    run_job(&(struct job){.compute = compute,
                          .w = w,
                          .x = x->x,
                          .a = x,
                          .y = y,
                          .x_stride = x->x_stride,
                          .y_stride = y_stride,
                          .n_rows = x->n_rows,
                          .adds = true});
}

/* --- Packing --- */

size_t matmul_packed_bytes(const struct compute *compute, const struct matrix *w)
{
    size_t bytes;
    if (!is_quantized(compute, w) || !compute->quant->panels ||
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
