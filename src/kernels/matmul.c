#include "kernels/matmul.h"
#include "base/memory.h"
#include "kernels/matmul_floats.h"

#include <stdint.h>
#include <string.h>

/* Outputs are handed out in units of UNIT, a multiple of PANEL_OUTPUTS and of QUANT_BLOCK. With
 * many rows a thread takes at least 1 / PIECES of its share at a time, as rows are then read again
 * for each piece.
 *
 * Few rows meet packed weights in pairs: a unit of the first half of the outputs and one of the
 * second, which are read side by side; of PANEL_OUTPUTS, where outputs are not quantized. Memory
 * delivers two streams faster than one, and both run on from piece to piece.
 *
 * A thread computes as many units at once as find room in memory of its own: outputs that stay in
 * the second cache until they are done, and only then go where they belong. Products in floats
 * prepare the rows anew each time, so they get more room. */
enum {
    UNIT = 32,
    PIECES = 16,
    MANY_ROWS = 32,
    CODES_ROOM = 1 << 17, /* floats */
    FLOATS_ROOM = 1 << 18,
    PAD = 16, /* between rows of outputs, so that they do not meet in few lines of a cache */
};

enum status compute_create(const char *isa, struct thread_pool *pool, size_t n_threads,
                           size_t max_rows, size_t max_cols, struct compute *compute,
                           struct error *err)
{
    *compute = (struct compute){.pool = pool, .shares_pool = pool};
    enum status status = kernels_select(isa, &compute->kernels, err);
    if (!status && !pool)
        status = thread_pool_create(n_threads, &compute->pool, err);
    if (status)
        return status;
    size_t threads = thread_pool_size(compute->pool);
    compute->quant = quant_select(compute->kernels->name);
    compute->kernel_floats =
        size_max(matmul_floats_scratch(max_cols), QUANT_SCRATCH / sizeof(float));
    size_t room;
    bool fits =
        size_multiply(max_rows, 2 * (UNIT + PAD), &room) &&
        size_add(compute->kernel_floats, size_max(room, FLOATS_ROOM), &compute->scratch_floats) &&
        size_multiply(compute->scratch_floats, threads * sizeof(float), &compute->scratch_bytes);
    if (fits)
        compute->scratch = mem_map(compute->scratch_bytes);
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
    mem_unmap(compute->scratch, compute->scratch_bytes);
    mem_free(compute->shares);
    *compute = (struct compute){0};
}

/* What becomes of outputs. */
enum ending { STORED, ADDED, GATED };

/* A group of products with the same activations: one region of threads. */
struct job {
    const struct compute *compute;
    struct activations *a;
    const struct product *products;
    size_t n_products;
    enum ending ending;
    struct activations *codes; /* of gated outputs, or NULL */
    bool quantizes;            /* the activations, first */
    bool in_pairs;             /* units are pairs, as far as there are any */
    size_t unit;               /* outputs, of a pair: in each half */
    size_t at_once;            /* units */
};

bool matmul_is_quantized(const struct compute *compute, const struct matrix *w)
{
    return compute->quant && quant_supports(w->type);
}

static size_t n_pairs(const struct job *job, const struct matrix *w)
{
    return job->in_pairs ? w->rows / job->unit / 2 : 0;
}

/* The pairs come first, then what they leave. */
static size_t n_units(const struct job *job, const struct matrix *w)
{
    return (w->rows + job->unit - 1) / job->unit - n_pairs(job, w);
}

/* y = bias, where products are added to it. */
static void start_outputs(const float *bias, size_t n_rows, const struct outputs *out)
{
    size_t bytes = (out->end - out->begin) * sizeof *out->y;
    for (size_t r = 0; r < n_rows; r++) {
        if (bias)
            memcpy(out->y + r * out->stride, bias + out->begin, bytes);
        else
            memset(out->y + r * out->stride, 0, bytes);
    }
}

static void multiply_codes(const struct job *job, const struct product *p, float *scratch,
                           const struct outputs *out, const void *next)
{
    const struct quant_kernels *k = job->compute->quant;
    const struct matrix *w = p->w;
    struct quant_job part = {.type = w->type,
                             .data = w->packed ? w->packed : w->data,
                             .row_bytes = w->row_bytes,
                             .bias = p->bias,
                             .a = job->a,
                             .out = *out,
                             .next = next,
                             .scratch = scratch};
    (w->packed ? k->panels : k->rows)(&part);
}

static void multiply_floats(const struct job *job, const struct matrix *w, const float *x,
                            size_t x_stride, float *scratch, const struct outputs *out)
{
    matmul_floats(&(struct float_job){.kernels = job->compute->kernels,
                                      .w = w,
                                      .x = x,
                                      .x_stride = x_stride,
                                      .n_rows = job->a->n_rows,
                                      .out = *out,
                                      .scratch = scratch});
}

/* next: the weights that are read after these, or NULL. */
static void multiply(const struct job *job, const struct product *p, float *scratch,
                     const struct outputs *out, const void *next)
{
    if (matmul_is_quantized(job->compute, p->w)) {
        multiply_codes(job, p, scratch, out, next);
    } else {
        start_outputs(p->bias, job->a->n_rows, out);
        multiply_floats(job, p->w, job->a->x, job->a->x_stride, scratch, out);
    }
    if (p->low)
        multiply_floats(job, p->b, p->low, p->b->cols, scratch, out);
}

static size_t n_runs(const struct outputs *out)
{
    return out->apart ? 2 : 1;
}

/* Row r of the outputs to where it belongs. up: NULL unless they are gated. */
static void end_row(const struct job *job, const struct product *p, size_t r,
                    const struct outputs *out, const struct outputs *up)
{
    const struct kernels *k = job->compute->kernels;
    float *from = out->y + r * out->stride;
    size_t n = out->end - out->begin, runs = n_runs(out);
    if (up)
        k->silu_multiply(from, up->y + r * up->stride, runs * n);
    for (size_t i = 0; i < runs && p->y; i++, from += n) {
        float *to = p->y + r * p->y_stride + out->begin + i * out->apart;
        if (job->ending == ADDED)
            k->add(to, from, n);
        else
            memcpy(to, from, n * sizeof *to);
    }
}

/* The outputs of some rows as activations. */
static void quantize_outputs(const struct job *job, const struct outputs *out, size_t first_row,
                             size_t end_row)
{
    const float *from = out->y + first_row * out->stride;
    size_t begin = out->begin, end = out->end;
    for (size_t i = 0; i < n_runs(out); i++, begin += out->apart, end += out->apart)
        job->compute->quant->quantize(job->codes, from + i * (end - begin), out->stride, first_row,
                                      end_row, begin / QUANT_BLOCK, end / QUANT_BLOCK);
}

static void end_outputs(const struct job *job, const struct product *p, const struct outputs *out,
                        const struct outputs *up)
{
    size_t n_rows = job->a->n_rows;
    for (size_t tile = 0; tile < n_rows; tile += TILE_ROWS) {
        size_t end = size_min(tile + TILE_ROWS, n_rows);
        for (size_t r = tile; r < end; r++)
            end_row(job, p, r, out, up);
        if (job->codes)
            quantize_outputs(job, out, tile, end);
    }
}

/* Where the weights of row `row` are. */
static const char *weights_at(const struct matrix *w, size_t row)
{
    size_t bytes = row * w->row_bytes;
    if (w->packed)
        quant_packed_bytes(w->type, row, w->cols, &bytes);
    return (const char *)(w->packed ? w->packed : w->data) + bytes;
}

/* Outputs [begin, end) of a product, or of both that are gated, with those `apart`. */
static void compute_outputs(const struct job *job, const struct product *p, size_t begin,
                            size_t end, size_t apart, float *scratch)
{
    struct outputs out = {
        .y = scratch + job->compute->kernel_floats, .begin = begin, .end = end, .apart = apart};
    out.stride = n_runs(&out) * (end - begin) + PAD;
    if (job->ending != GATED) {
        multiply(job, p, scratch, &out, NULL);
        end_outputs(job, p, &out, NULL);
        return;
    }
    struct outputs up = out;
    up.y += job->a->n_rows * out.stride;
    multiply(job, p, scratch, &out, weights_at(p[1].w, begin));
    multiply(job, p + 1, scratch, &up, weights_at(p->w, end));
    end_outputs(job, p, &out, &up);
}

/* Outputs of units' numbers [begin, end) of a product, with those `apart`, in groups of nearly the
 * same size. */
static void compute_units(const struct job *job, const struct product *p, size_t begin, size_t end,
                          size_t apart, float *scratch)
{
    for (size_t first = begin, n; first < end; first += n) {
        n = size_group(end - first, job->at_once);
        size_t last = (first + n) * job->unit;
        compute_outputs(job, p, first * job->unit, size_min(last, p->w->rows), apart, scratch);
    }
}

/* Units [begin, end) of a product: pairs, then what lies behind both halves. */
static void multiply_product(const struct job *job, const struct product *p, size_t begin,
                             size_t end, float *scratch)
{
    size_t pairs = n_pairs(job, p->w);
    if (begin < pairs)
        compute_units(job, p, begin, size_min(end, pairs), pairs * job->unit, scratch);
    if (end > pairs)
        compute_units(job, p, pairs + size_max(begin, pairs), pairs + end, 0, scratch);
}

/* Units [begin, end) of all products, one after the other. */
static void multiply_units(const struct job *job, size_t begin, size_t end, float *scratch)
{
    size_t n_products = job->ending == GATED ? 1 : job->n_products;
    for (size_t i = 0; i < n_products && begin < end; i++) {
        size_t n = n_units(job, job->products[i].w);
        if (begin < n)
            multiply_product(job, &job->products[i], begin, size_min(end, n), scratch);
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
        job->compute->quant->quantize(a, a->x + begin * QUANT_BLOCK, a->x_stride, 0, a->n_rows,
                                      begin, end);
    else
        job->compute->quant->quantize(a, a->x + begin * a->x_stride, a->x_stride, begin, end, 0,
                                      a->n_blocks);
}

/* The thread will start with the first of its share of what comes next, if that is divided like
 * this job; what is asked for in vain where it is not does no harm. */
static void expect_upcoming(const struct job *job, size_t thread, size_t n_threads)
{
    enum { EXPECTED_BYTES = 1 << 17 };
    const struct compute *c = job->compute;
    size_t units = 0, begin, end;
    for (size_t i = 0; i < c->n_upcoming; i++)
        units += n_units(job, &c->upcoming[i]);
    thread_share(units, 1, thread, n_threads, &begin, &end);
    for (size_t i = 0; i < c->n_upcoming; i++) {
        const struct matrix *w = &c->upcoming[i];
        size_t n = n_units(job, w);
        if (begin < n) {
            const char *data = weights_at(w, begin * job->unit);
            size_t bytes = (size_t)(weights_at(w, w->rows) - data);
            size_t apart = (size_t)(weights_at(w, n_pairs(job, w) * job->unit) - weights_at(w, 0));
            bytes = size_min(bytes, apart ? EXPECTED_BYTES / 2 : EXPECTED_BYTES);
            thread_pool_expect(c->pool, thread, data, bytes, apart);
            return;
        }
        begin -= n;
    }
}

static void matmul_work(void *context, size_t thread, size_t n_threads)
{
    const struct job *job = context;
    const struct compute *c = job->compute;
    size_t begin, end;
    if (job->quantizes) {
        quantize_share(job, thread, n_threads);
        thread_pool_barrier(c->pool, thread);
    }
    while (work_shares_take(c->shares, thread, &begin, &end))
        multiply_units(job, begin, end, c->scratch + thread * c->scratch_floats);
    expect_upcoming(job, thread, n_threads);
}

/* How many units find room in a thread's scratch at once. */
static size_t units_at_once(const struct job *job, bool floats)
{
    size_t both = job->ending == GATED ? 2 : 1;
    size_t width = (floats ? FLOATS_ROOM : CODES_ROOM) / (both * job->a->n_rows);
    return width < PAD + job->unit ? 1 : (width - PAD) / job->unit;
}

static bool goes_in_pairs(const struct job *job)
{
    const struct quant_kernels *k = job->compute->quant;
    bool all = k != NULL;
    for (size_t i = 0; i < job->n_products && all; i++) {
        const struct product *p = &job->products[i];
        all = p->w->packed && !p->low && job->a->n_rows <= k->pair_rows[p->w->type];
    }
    return all;
}

static void run_job(struct job *job)
{
    size_t units = 0;
    bool codes = false, floats = false;
    job->in_pairs = goes_in_pairs(job);
    job->unit = job->in_pairs && !job->codes ? PANEL_OUTPUTS : UNIT;
    for (size_t i = 0; i < job->n_products; i++) {
        bool quantized = matmul_is_quantized(job->compute, job->products[i].w);
        units = job->ending == GATED ? 0 : units;
        units += n_units(job, job->products[i].w);
        codes = codes || quantized;
        floats = floats || !quantized;
    }
    bool quantizes = codes && !job->a->quantized;
    if (quantizes && job->a->n_rows == 1)
        quantize_share(job, 0, 1); /* not worth a barrier */
    else
        job->quantizes = quantizes;
    job->at_once = size_max(units_at_once(job, floats) / (job->in_pairs ? 2 : 1), 1);
    size_t share = units / thread_pool_size(job->compute->pool);
    work_shares_set(job->compute->shares, units,
                    job->a->n_rows < MANY_ROWS ? 1 : size_max(share / PIECES, job->at_once));
    thread_pool_run(job->compute->pool, matmul_work, job);
    job->a->quantized = job->a->quantized || codes;
}

void matmul_announce(struct compute *compute, const struct matrix *w, size_t n)
{
    compute->upcoming = w;
    compute->n_upcoming = n;
}

void matmul_all(const struct compute *compute, struct activations *x,
                const struct product *products, size_t n)
{
    run_job(&(struct job){.compute = compute, .a = x, .products = products, .n_products = n});
}

void matmul_add(const struct compute *compute, struct activations *x, const struct product *product)
{
    run_job(&(struct job){
        .compute = compute, .a = x, .products = product, .n_products = 1, .ending = ADDED});
}

void matmul_gated(const struct compute *compute, struct activations *x,
                  const struct product gate_up[2], struct activations *codes)
{
    run_job(&(struct job){.compute = compute,
                          .a = x,
                          .products = gate_up,
                          .n_products = 2,
                          .ending = GATED,
                          .codes = codes});
    if (codes)
        codes->quantized = true;
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
    const struct compute *compute;
    const struct matrix *w;
    const struct file_map *file;
    uint8_t *memory;
};

/* Rows [begin, end), by way of `buffer` where they can be read from their file. */
static void pack_rows(const struct packing *p, size_t begin, size_t end, void *buffer)
{
    const struct matrix *w = p->w;
    const uint8_t *data = (const uint8_t *)w->data + begin * w->row_bytes;
    size_t before = 0; /* bytes of the panels of the rows before */
    quant_packed_bytes(w->type, begin, w->cols, &before);
    if (p->file && file_map_copy(p->file, data, (end - begin) * w->row_bytes, buffer))
        data = buffer;
    quant_pack(w->type, data, w->row_bytes, end - begin, w->cols, p->memory + before);
}

/* A thread's panels, so many at a time that their rows stay in the second cache, in its scratch. */
static void pack_work(void *context, size_t thread, size_t n_threads)
{
    enum { READ_BYTES = 1 << 18 };
    struct packing p = *(const struct packing *)context;
    const struct compute *c = p.compute;
    size_t begin, end, room = c->scratch_floats * sizeof *c->scratch;
    size_t step = size_max(READ_BYTES / p.w->row_bytes / PANEL_OUTPUTS, 1) * PANEL_OUTPUTS;
    if (step * p.w->row_bytes > room)
        p.file = NULL;
    thread_share(p.w->rows, PANEL_OUTPUTS, thread, n_threads, &begin, &end);
    for (size_t row = begin; row < end; row += step)
        pack_rows(&p, row, size_min(row + step, end), c->scratch + thread * c->scratch_floats);
}

void matmul_pack(const struct compute *compute, struct matrix *w, const struct file_map *file,
                 void *memory)
{
    struct packing p = {.compute = compute, .w = w, .file = file, .memory = memory};
    thread_pool_run(compute->pool, pack_work, &p);
    w->packed = memory;
}
