#include "kernels/matmul_floats.h"
#include "base/size.h"

#include <string.h>

/* One row of activations is multiplied as the weights are decoded. For more, weights are decoded
 * into a tile in the thread's scratch, MATMUL_CHUNK columns wide: for few rows a tile that fits the
 * first-level cache. For many, a higher one (second level) that a panel of packed activations
 * meets; packed, because rows that lie a power of two apart would fight for the same lines. */
enum { LOW_TILE = 8, HIGH_TILE = 32, PACK_FROM = 24, PANEL = 192 };

/* Columns of one tile in scratch; rows start on cache lines. */
static size_t tile_stride(size_t max_cols)
{
    return max_cols < MATMUL_CHUNK ? (max_cols + 15) / 16 * 16 : MATMUL_CHUNK;
}

size_t matmul_floats_scratch(size_t max_cols)
{
    return (HIGH_TILE + PANEL) * tile_stride(max_cols);
}

static const char *stored_at(const struct matrix *w, size_t row, size_t col)
{
    const struct tensor_type_info *info = tensor_type_info(w->type);
    return (const char *)w->data + row * w->row_bytes +
           col / info->block_length * info->block_bytes;
}

/* One row of activations. */
static void multiply_row(const struct float_job *job)
{
    const struct matrix *w = job->w;
    for (size_t o = job->out.begin, count; o < job->out.end; o += count) {
        count = size_min(job->out.end - o, 4);
        for (size_t c = 0; c < w->cols; c += MATMUL_CHUNK)
            job->kernels->dot[w->type](stored_at(w, o, c), w->row_bytes, count, job->x + c,
                                       size_min(w->cols - c, MATMUL_CHUNK),
                                       job->out.y + o - job->out.begin);
    }
}

/* Rows of activations against one chunk of columns of outputs [begin, end). */
static void multiply_chunk(const struct float_job *job, size_t height, size_t begin, size_t end,
                           size_t col, const float *x, size_t x_stride, size_t n_rows, float *y)
{
    const struct matrix *w = job->w;
    size_t n = size_min(w->cols - col, MATMUL_CHUNK), stride = tile_stride(w->cols);
    for (size_t first = begin, count; first < end; first += count) {
        count = size_min(end - first, height);
        for (size_t o = 0; o < count; o++)
            job->kernels->dequantize[w->type](stored_at(w, first + o, col),
                                              job->scratch + o * stride, n);
        job->kernels->gemm_f32(x, x_stride, n_rows, job->scratch, stride, count, n,
                               y + first - job->out.begin, job->out.stride);
    }
}

static void multiply_few(const struct float_job *job)
{
    for (size_t first = job->out.begin, count; first < job->out.end; first += count) {
        count = size_min(job->out.end - first, LOW_TILE);
        for (size_t c = 0; c < job->w->cols; c += MATMUL_CHUNK)
            multiply_chunk(job, LOW_TILE, first, first + count, c, job->x + c, job->x_stride,
                           job->n_rows, job->out.y);
    }
}

static void multiply_many(const struct float_job *job)
{
    size_t cols = job->w->cols, stride = tile_stride(cols);
    float *panel = job->scratch + HIGH_TILE * stride;
    for (size_t r = 0, rows; r < job->n_rows; r += rows) {
        rows = size_min(job->n_rows - r, PANEL);
        for (size_t c = 0; c < cols; c += MATMUL_CHUNK) {
            size_t n = size_min(cols - c, MATMUL_CHUNK);
            for (size_t i = 0; i < rows; i++)
                memcpy(panel + i * stride, job->x + (r + i) * job->x_stride + c, n * sizeof *panel);
            multiply_chunk(job, HIGH_TILE, job->out.begin, job->out.end, c, panel, stride, rows,
                           job->out.y + r * job->out.stride);
        }
    }
}

void matmul_floats(const struct float_job *job)
{
    if (job->n_rows == 1 && job->kernels->dot[job->w->type])
        multiply_row(job);
    else if (job->n_rows < PACK_FROM)
        multiply_few(job);
    else
        multiply_many(job);
}
