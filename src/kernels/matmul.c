#include "kernels/matmul.h"
#include "base/memory.h"

enum status compute_create(const char *isa, size_t n_threads, size_t max_cols,
                           struct compute *compute, struct error *err)
{
    *compute = (struct compute){0};
    enum status status = kernels_select(isa, &compute->kernels, err);
    if (!status)
        status = thread_pool_create(n_threads, &compute->pool, err);
    if (status)
        return status;
    size_t padded = (max_cols + 15) / 16 * 16;
    if (!size_multiply(padded, MATMUL_TILE_ROWS, &compute->scratch_floats) ||
        !(compute->scratch = mem_aligned(64, thread_pool_size(compute->pool),
                                         compute->scratch_floats * sizeof(float)))) {
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

/* Outputs [first, first + count): dequantize their weight rows, then multiply all x rows. */
static void multiply_tile(const struct job *job, float *tile, size_t first, size_t count)
{
    const struct matrix *w = job->w;
    const struct kernels *k = job->compute->kernels;
    for (size_t o = 0; o < count; o++)
        k->dequantize[w->type]((const char *)w->data + (first + o) * w->row_bytes,
                               tile + o * w->cols, w->cols);
    k->gemm_f32(job->x, job->x_stride, job->n_rows, tile, w->cols, count, w->cols,
                job->y + first, job->y_stride);
    if (job->bias)
        for (size_t r = 0; r < job->n_rows; r++)
            k->add(job->y + r * job->y_stride + first, job->bias + first, count);
}

static void matmul_work(void *context, size_t thread, size_t n_threads)
{
    const struct job *job = context;
    size_t begin, end;
    thread_share(job->w->rows, MATMUL_TILE_ROWS, thread, n_threads, &begin, &end);
    float *tile = job->compute->scratch + thread * job->compute->scratch_floats;
    for (size_t first = begin; first < end; first += MATMUL_TILE_ROWS) {
        size_t left = end - first;
        multiply_tile(job, tile, first, left < MATMUL_TILE_ROWS ? left : MATMUL_TILE_ROWS);
    }
}

void matmul(const struct compute *compute, const struct matrix *w, const float *bias,
            const float *x, size_t x_stride, size_t n_rows, float *y, size_t y_stride)
{
    struct job job = {.compute = compute, .w = w, .bias = bias, .x = x, .y = y,
                      .x_stride = x_stride, .y_stride = y_stride, .n_rows = n_rows};
    thread_pool_run(compute->pool, matmul_work, &job);
}
