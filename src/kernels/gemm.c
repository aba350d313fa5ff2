#include "kernels/gemm.h"
#include "base/memory.h"

#include <stdint.h>
#include <string.h>

/* A block of A stays in the second-level cache, a panel of B in the first, a block of B wherever
 * it fits. BLOCK_M and BLOCK_N are multiples of every table's tile; BLOCK_K is that of `real`, and
 * smaller elements make a block's k longer. */
enum { BLOCK_M = 384, BLOCK_N = 960, BLOCK_K = 256, MAX_TILE = 32 * 32 };

static size_t round_up(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

static size_t a_block(void)
{
    return (size_t)BLOCK_M * BLOCK_K * sizeof(real);
}

static size_t b_block(void)
{
    return (size_t)BLOCK_N * BLOCK_K * sizeof(real);
}

/* A multiple of every table's k_unit. */
static size_t block_k(const struct dense_product *product)
{
    return BLOCK_K * sizeof(real) / product->element_bytes;
}

/* Bytes from one lane to the next in a block, counted over whole panels. */
static size_t lane_bytes(const struct dense_product *product, size_t k)
{
    return round_up(k, product->k_unit) * product->element_bytes;
}

size_t gemm_bytes(const struct gemm *gemm)
{
    return b_block() + thread_pool_size(gemm->pool) * (a_block() + b_block());
}

enum status gemm_create(const struct dense_kernels *kernels, const struct dense_product *product,
                        struct thread_pool *pool, struct gemm *gemm, struct error *err)
{
    size_t n_threads = thread_pool_size(pool);
    *gemm = (struct gemm){.kernels = kernels, .product = product, .pool = pool};
    gemm->shared = mem_aligned(64, b_block(), 1);
    gemm->own = mem_aligned(64, n_threads, a_block() + b_block());
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

/* What a block is packed from: lane i, element p is src[i * lane_stride + p * k_stride]. */
struct source {
    const real *data;
    size_t lane_stride, k_stride, n_lanes, k;
};

enum { PACKED_ROWS = 32 }; /* a multiple of every table's k_unit */

/* Panels [first, last) of `width` lanes. Lanes that lie side by side are read a few rows at a time
 * across all panels, so that memory is read in long pieces. */
static void pack_panels(const struct dense_product *product, dense_pack *rows, dense_pack *columns,
                        const struct source *s, unsigned char *dst, size_t width, size_t first,
                        size_t last)
{
    size_t bytes = lane_bytes(product, s->k), step = s->k_stride == 1 ? s->k : PACKED_ROWS;
    size_t stride = s->k_stride == 1 ? s->lane_stride : s->k_stride;
    dense_pack *pack = s->k_stride == 1 ? rows : columns;
    for (size_t p = 0; p < s->k; p += step)
        for (size_t i = first; i < last; i += width)
            pack(s->data + i * s->lane_stride + p * s->k_stride, stride,
                 size_min(width, s->n_lanes - i), size_min(step, s->k - p),
                 dst + i * bytes + p * width * product->element_bytes, width);
}

static void pack_a(const struct dense_product *product, const struct gemm_operand *a, size_t i0,
                   size_t k0, size_t m, size_t k, unsigned char *dst)
{
    const real *src = a->data + i0 * a->row_stride + k0 * a->column_stride;
    struct source s = {src, a->row_stride, a->column_stride, m, k};
    pack_panels(product, product->pack_a_rows, product->pack_a_columns, &s, dst, product->rows, 0,
                m);
}

/* Columns [first, last) of a block with n. */
static void pack_b(const struct dense_product *product, const struct gemm_operand *b, size_t j0,
                   size_t k0, size_t n, size_t k, unsigned char *dst, size_t first, size_t last)
{
    const real *src = b->data + j0 * b->column_stride + k0 * b->row_stride;
    struct source s = {src, b->column_stride, b->row_stride, n, k};
    pack_panels(product, product->pack_b_rows, product->pack_b_columns, &s, dst, product->columns,
                first, last);
}

/* A tile that sticks out of C goes through a buffer, with the same sums as a whole one. */
static void edge_tile(const struct dense_product *product, const void *a, const void *b, size_t k,
                      real *c, size_t c_stride, size_t rows, size_t columns, bool accumulate)
{
    real tile[MAX_TILE] = {0};
    for (size_t i = 0; accumulate && i < rows; i++)
        memcpy(tile + i * product->columns, c + i * c_stride, columns * sizeof *c);
    product->tile(a, b, k, tile, product->columns, accumulate);
    for (size_t i = 0; i < rows; i++)
        memcpy(c + i * c_stride, tile + i * product->columns, columns * sizeof *c);
}

/* C[0..m, 0..n) from packed blocks. */
static void multiply_blocks(const struct dense_product *product, const unsigned char *a,
                            const unsigned char *b, size_t m, size_t n, size_t k, real *c,
                            size_t c_stride, bool accumulate)
{
    size_t tile_rows = product->rows, tile_columns = product->columns;
    size_t bytes = lane_bytes(product, k);
    for (size_t j = 0; j < n; j += tile_columns) {
        size_t columns = size_min(n - j, tile_columns);
        for (size_t i = 0; i < m; i += tile_rows) {
            size_t rows = size_min(m - i, tile_rows);
            const unsigned char *a_panel = a + i * bytes, *b_panel = b + j * bytes;
            real *to = c + i * c_stride + j;
            if (rows == tile_rows && columns == tile_columns)
                product->tile(a_panel, b_panel, k, to, c_stride, accumulate);
            else
                edge_tile(product, a_panel, b_panel, k, to, c_stride, rows, columns, accumulate);
        }
    }
}

/* The part of C that one thread computes. */
struct part {
    size_t m_begin, m_end, n_begin, n_end; /* n: within the block of B, in whole tiles */
};

/* Threads form a grid over C's tiles; the grid that leaves the least work to the busiest wins. */
static struct part thread_part(const struct dense_product *product, size_t m, size_t n,
                               size_t thread, size_t n_threads)
{
    size_t m_tiles = round_up(m, product->rows) / product->rows;
    size_t n_tiles = round_up(n, product->columns) / product->columns;
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
    thread_share(m, product->rows, thread / columns, best_rows, &part.m_begin, &part.m_end);
    thread_share(n, product->columns, thread % columns, columns, &part.n_begin, &part.n_end);
    return part;
}

static void multiply_part(const struct gemm *gemm, const struct gemm_job *job, struct part part,
                          size_t j0, size_t k0, size_t k, unsigned char *a_packed,
                          const unsigned char *b_packed)
{
    const struct dense_product *product = gemm->product;
    bool accumulate = job->accumulate || k0 > 0;
    if (product->begin)
        product->begin();
    for (size_t i0 = part.m_begin; i0 < part.m_end; i0 += BLOCK_M) {
        size_t m = size_min(part.m_end - i0, BLOCK_M);
        pack_a(product, &job->a, i0, k0, m, k, a_packed);
        multiply_blocks(product, a_packed, b_packed + part.n_begin * lane_bytes(product, k), m,
                        part.n_end - part.n_begin, k,
                        job->c + i0 * job->c_stride + j0 + part.n_begin, job->c_stride, accumulate);
    }
    if (product->end)
        product->end();
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
    const struct dense_product *product = gemm->product;
    size_t k_step = block_k(product);
    unsigned char *a_packed = gemm->own + thread * (a_block() + b_block());
    for (size_t j0 = 0; j0 < job->n; j0 += BLOCK_N) {
        size_t n = size_min(job->n - j0, BLOCK_N), begin, end;
        struct part part = thread_part(product, job->m, n, thread, n_threads);
        thread_share(n, product->columns, thread, n_threads, &begin, &end);
        for (size_t k0 = 0; k0 < job->k; k0 += k_step) {
            size_t k = size_min(job->k - k0, k_step);
            pack_b(product, &job->b, j0, k0, n, k, gemm->shared, begin, end);
            thread_pool_barrier(gemm->pool, thread);
            multiply_part(gemm, job, part, j0, k0, k, a_packed, gemm->shared);
            thread_pool_barrier(gemm->pool, thread);
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
    const struct dense_product *product = gemm->product;
    size_t k_step = block_k(product);
    unsigned char *a_packed = gemm->own + thread * (a_block() + b_block());
    unsigned char *b_packed = a_packed + a_block();
    if (!job->k)
        clear_product(job);
    for (size_t j0 = 0; j0 < job->n; j0 += BLOCK_N) {
        size_t n = size_min(job->n - j0, BLOCK_N);
        struct part part = {0, job->m, 0, n};
        for (size_t k0 = 0; k0 < job->k; k0 += k_step) {
            size_t k = size_min(job->k - k0, k_step);
            pack_b(product, &job->b, j0, k0, n, k, b_packed, 0, n);
            multiply_part(gemm, job, part, j0, k0, k, a_packed, b_packed);
        }
    }
}
