#include "kernels/gemm.h"
#include "base/memory.h"

#include <stdint.h>

/* A block of A stays in the second-level cache, a panel of B in the first, a block of B wherever
 * it fits. BLOCK_M and BLOCK_N are multiples of every table's tile. */
enum { BLOCK_M = 240, BLOCK_N = 960, BLOCK_K = 256, MAX_TILE = 12 * 32 };

static size_t round_up(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

static size_t a_block(void)
{
    return (size_t)BLOCK_M * BLOCK_K;
}

static size_t b_block(void)
{
    return (size_t)BLOCK_N * BLOCK_K;
}

size_t gemm_bytes(const struct gemm *gemm)
{
    return (b_block() + thread_pool_size(gemm->pool) * (a_block() + b_block())) * sizeof(real);
}

enum status gemm_create(const struct dense_kernels *kernels, struct thread_pool *pool,
                        struct gemm *gemm, struct error *err)
{
    size_t n_threads = thread_pool_size(pool);
    *gemm = (struct gemm){.kernels = kernels, .pool = pool};
    gemm->shared = mem_aligned(64, b_block(), sizeof(real));
    gemm->own = mem_aligned(64, n_threads * (a_block() + b_block()), sizeof(real));
    if (gemm->shared && gemm->own)
        return STATUS_OK;
    gemm_free(gemm);
    return error_memory(err, "blocks of matrix products");
}

void gemm_free(struct gemm *gemm)
{
    mem_free(gemm->shared);
    mem_free(gemm->own);
    *gemm = (struct gemm){0};
}

/* One panel: dst[p * width + i] = element (i, p) for i < n, zero for the rest of the width. */
static void pack_panel(const struct dense_kernels *kernels, const real *src, size_t lane_stride,
                       size_t k_stride, size_t n, size_t k, real *dst, size_t width)
{
    if (k_stride == 1)
        kernels->pack_rows(src, lane_stride, n, k, dst, width);
    else
        kernels->pack_columns(src, k_stride, n, k, dst, width);
}

/* Panels [first, last) of `width` lanes out of `n_lanes`. */
static void pack_panels(const struct dense_kernels *kernels, const real *src, size_t lane_stride,
                        size_t k_stride, size_t n_lanes, size_t k, real *dst, size_t width,
                        size_t first, size_t last)
{
    for (size_t i = first; i < last; i += width) {
        size_t n = n_lanes - i < width ? n_lanes - i : width;
        pack_panel(kernels, src + i * lane_stride, lane_stride, k_stride, n, k, dst + i * k, width);
    }
}

/* A tile that sticks out of C goes through a buffer. */
static void edge_tile(const struct dense_kernels *kernels, const real *a, const real *b, size_t k,
                      real *c, size_t c_stride, size_t rows, size_t columns, bool accumulate)
{
    real tile[MAX_TILE];
    kernels->tile(a, b, k, tile, kernels->tile_columns, false);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++) {
            real value = tile[i * kernels->tile_columns + j];
            c[i * c_stride + j] = accumulate ? c[i * c_stride + j] + value : value;
        }
}

/* C[0..m, 0..n) from packed blocks. */
static void multiply_blocks(const struct dense_kernels *kernels, const real *a, const real *b,
                            size_t m, size_t n, size_t k, real *c, size_t c_stride, bool accumulate)
{
    size_t tile_rows = kernels->tile_rows, tile_columns = kernels->tile_columns;
    for (size_t j = 0; j < n; j += tile_columns) {
        size_t columns = n - j < tile_columns ? n - j : tile_columns;
        for (size_t i = 0; i < m; i += tile_rows) {
            size_t rows = m - i < tile_rows ? m - i : tile_rows;
            real *to = c + i * c_stride + j;
            if (rows == tile_rows && columns == tile_columns)
                kernels->tile(a + i * k, b + j * k, k, to, c_stride, accumulate);
            else
                edge_tile(kernels, a + i * k, b + j * k, k, to, c_stride, rows, columns,
                          accumulate);
        }
    }
}

/* The part of C that one thread computes. */
struct part {
    size_t m_begin, m_end, n_begin, n_end; /* n: within the block of B, in whole tiles */
};

/* Threads form a grid over C's tiles; the grid that leaves the least work to the busiest wins. */
static struct part thread_part(const struct dense_kernels *kernels, size_t m, size_t n,
                               size_t thread, size_t n_threads)
{
    size_t m_tiles = round_up(m, kernels->tile_rows) / kernels->tile_rows;
    size_t n_tiles = round_up(n, kernels->tile_columns) / kernels->tile_columns;
    size_t best_rows = 1, best_cost = SIZE_MAX;
    for (size_t rows = 1; rows <= n_threads; rows++) {
        size_t columns = n_threads / rows;
        if (rows * columns != n_threads)
            continue;
        size_t cost = (round_up(m_tiles, rows) / rows) * (round_up(n_tiles, columns) / columns);
        if (cost <= best_cost) {
            best_cost = cost;
            best_rows = rows;
        }
    }
    struct part part;
    size_t columns = n_threads / best_rows;
    thread_share(m, kernels->tile_rows, thread / columns, best_rows, &part.m_begin, &part.m_end);
    thread_share(n, kernels->tile_columns, thread % columns, columns, &part.n_begin, &part.n_end);
    return part;
}

static void multiply_part(const struct gemm *gemm, const struct gemm_job *job, struct part part,
                          size_t j0, size_t k0, size_t k, real *a_packed, const real *b_packed)
{
    const struct dense_kernels *kernels = gemm->kernels;
    bool accumulate = job->accumulate || k0 > 0;
    for (size_t i0 = part.m_begin; i0 < part.m_end; i0 += BLOCK_M) {
        size_t m = part.m_end - i0 < BLOCK_M ? part.m_end - i0 : BLOCK_M;
        const real *a = job->a.data + i0 * job->a.row_stride + k0 * job->a.column_stride;
        pack_panels(kernels, a, job->a.row_stride, job->a.column_stride, m, k, a_packed,
                    kernels->tile_rows, 0, m);
        multiply_blocks(kernels, a_packed, b_packed + part.n_begin * k, m,
                        part.n_end - part.n_begin, k,
                        job->c + i0 * job->c_stride + j0 + part.n_begin, job->c_stride, accumulate);
    }
}

struct gemm_call {
    const struct gemm *gemm;
    const struct gemm_job *job;
};

static void clear_product(const struct gemm_job *job)
{
    for (size_t i = 0; !job->accumulate && i < job->m; i++)
        for (size_t j = 0; j < job->n; j++)
            job->c[i * job->c_stride + j] = 0;
}

static void run_threaded(void *context, size_t thread, size_t n_threads)
{
    const struct gemm_call *call = context;
    const struct gemm *gemm = call->gemm;
    const struct gemm_job *job = call->job;
    const struct dense_kernels *kernels = gemm->kernels;
    real *a_packed = gemm->own + thread * (a_block() + b_block());
    for (size_t j0 = 0; j0 < job->n; j0 += BLOCK_N) {
        size_t n = job->n - j0 < BLOCK_N ? job->n - j0 : BLOCK_N, begin, end;
        struct part part = thread_part(kernels, job->m, n, thread, n_threads);
        thread_share(n, kernels->tile_columns, thread, n_threads, &begin, &end);
        for (size_t k0 = 0; k0 < job->k; k0 += BLOCK_K) {
            size_t k = job->k - k0 < BLOCK_K ? job->k - k0 : BLOCK_K;
            const real *b = job->b.data + j0 * job->b.column_stride + k0 * job->b.row_stride;
            pack_panels(kernels, b, job->b.column_stride, job->b.row_stride, n, k, gemm->shared,
                        kernels->tile_columns, begin, end);
            thread_pool_barrier(gemm->pool);
            multiply_part(gemm, job, part, j0, k0, k, a_packed, gemm->shared);
            thread_pool_barrier(gemm->pool);
        }
    }
}

void gemm_run(const struct gemm *gemm, const struct gemm_job *job)
{
    struct gemm_call call = {gemm, job};
    if (!job->k)
        clear_product(job);
    else
        thread_pool_run(gemm->pool, run_threaded, &call);
}

void gemm_run_alone(const struct gemm *gemm, size_t thread, const struct gemm_job *job)
{
    const struct dense_kernels *kernels = gemm->kernels;
    real *a_packed = gemm->own + thread * (a_block() + b_block()), *b_packed = a_packed + a_block();
    if (!job->k)
        clear_product(job);
    for (size_t j0 = 0; j0 < job->n; j0 += BLOCK_N) {
        size_t n = job->n - j0 < BLOCK_N ? job->n - j0 : BLOCK_N;
        struct part part = {0, job->m, 0, n};
        for (size_t k0 = 0; k0 < job->k; k0 += BLOCK_K) {
            size_t k = job->k - k0 < BLOCK_K ? job->k - k0 : BLOCK_K;
            const real *b = job->b.data + j0 * job->b.column_stride + k0 * job->b.row_stride;
            pack_panels(kernels, b, job->b.column_stride, job->b.row_stride, n, k, b_packed,
                        kernels->tile_columns, 0, n);
            multiply_part(gemm, job, part, j0, k0, k, a_packed, b_packed);
        }
    }
}
