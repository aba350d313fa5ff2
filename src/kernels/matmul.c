#include "kernels/matmul.h"
#include "base/memory.h"

#include <string.h>

/* Weights are decoded into a thread's scratch a chunk of MATMUL_CHUNK columns at a time, for few
 * rows of activations a tile that fits the first-level cache, for many a higher one (second
 * level), so that activations are read again less often. */
enum { LOW_TILE = 16, HIGH_TILE = 64, ROWS_FOR_HIGH_TILE = 24 };

/* Columns of one tile in scratch; rows start on cache lines. */
static size_t tile_stride(size_t max_cols)
{
    return max_cols < MATMUL_CHUNK ? (max_cols + 15) / 16 * 16 : MATMUL_CHUNK;
}

enum status compute_create(const char *isa, size_t n_threads, size_t max_cols,
                           struct compute *compute, struct error *err)
{
    *compute = (struct compute){0};
    enum status status = kernels_select(isa, &compute->kernels, err);
    if (!status)
        status = thread_pool_create(n_threads, &compute->pool, err);
    if (status)
        return status;
    compute->scratch_floats = HIGH_TILE * tile_stride(max_cols);
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
    thread_pool_free(compute->pool);
    mem_free(compute->scratch);
    *compute = (struct compute){0};
}

struct job {
    const struct compute *compute;
    const struct matrix *w;
    const float *bias, *x;
    float *y;
    size_t x_stride, y_stride, n_rows;
};

/* y = bias, for the tile's outputs; the products are added to it. */
static void start_tile(const struct job *job, size_t first, size_t count)
{
    for (size_t r = 0; r < job->n_rows; r++) {
        float *y = job->y + r * job->y_stride + first;
        if (job->bias)
            memcpy(y, job->bias + first, count * sizeof *y);
        else
            memset(y, 0, count * sizeof *y);
    }
}

/* Outputs [first, first + count). */
static void multiply_tile(const struct job *job, float *tile, size_t first, size_t count)
{
    const struct matrix *w = job->w;
    const struct kernels *k = job->compute->kernels;
    const struct tensor_type_info *info = tensor_type_info(w->type);
    size_t stride = tile_stride(w->cols);
    start_tile(job, first, count);
    for (size_t c = 0; c < w->cols; c += MATMUL_CHUNK) {
        size_t n = w->cols - c < MATMUL_CHUNK ? w->cols - c : MATMUL_CHUNK;
        const char *data = (const char *)w->data + first * w->row_bytes +
                           c / info->block_length * info->block_bytes;
        for (size_t o = 0; o < count; o++)
            k->dequantize[w->type](data + o * w->row_bytes, tile + o * stride, n);
        k->gemm_f32(job->x + c, job->x_stride, job->n_rows, tile, stride, count, n, job->y + first,
                    job->y_stride);
    }
}

static void matmul_work(void *context, size_t thread, size_t n_threads)
{
    const struct job *job = context;
    size_t begin, end, height = job->n_rows < ROWS_FOR_HIGH_TILE ? LOW_TILE : HIGH_TILE;
    thread_share(job->w->rows, LOW_TILE, thread, n_threads, &begin, &end);
    float *tile = job->compute->scratch + thread * job->compute->scratch_floats;
    for (size_t first = begin; first < end; first += height) {
        size_t left = end - first;
        multiply_tile(job, tile, first, left < height ? left : height);
    }
}

void matmul(const struct compute *compute, const struct matrix *w, const float *bias,
            const float *x, size_t x_stride, size_t n_rows, float *y, size_t y_stride)
{
    struct job job = {.compute = compute,
                      .w = w,
                      .bias = bias,
                      .x = x,
                      .y = y,
                      .x_stride = x_stride,
                      .y_stride = y_stride,
                      .n_rows = n_rows};
    thread_pool_run(compute->pool, matmul_work, &job);
}
