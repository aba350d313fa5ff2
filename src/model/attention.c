/* Attention over the KV cache.
 *
 * The unit of work is (block of rows, KV head): the query heads that share the KV head, of a few
 * consecutive positions of one sequence, meet the cache page by page, and a page is prepared once
 * for all of them. The pages' borders are fixed and each row has its own running softmax
 * (kernels/attention.h), so a row's result depends on its position alone, not on its block. */
#include "base/memory.h"
#include "model/model_internal.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

enum {
    BLOCK_QUERIES = 384, /* most queries of a unit, where one row has no more */
    SCORED_AT_ONCE = 48, /* between two requests for parts of the next page */
    FEW_QUERIES = 96,    /* so many do not make up for preparing a page */
    FEW_BLOCKS = 64,     /* that are looked at one by one */
};

struct job {
    const struct pass *pass;
    const struct attention_kernels *kernels;
    atomic_size_t n_taken; /* units */
};

/* A thread's memory. */
struct workspace {
    uint8_t *queries; /* [n, width] prepared, like keys and values */
    uint8_t *keys, *values;
    float *out;    /* [n, width] */
    float *scores; /* [n, KEY_PAGE] */
    struct softmax *states;
};

static size_t group_size(const struct hyperparameters *s)
{
    return s->n_heads / s->n_kv_heads;
}

static size_t rows_per_block(const struct hyperparameters *s)
{
    size_t group = group_size(s);
    return group < BLOCK_QUERIES ? BLOCK_QUERIES / group : 1;
}

/* Room for a block's queries. */
static size_t query_room(const struct hyperparameters *s)
{
    size_t n = rows_per_block(s) * group_size(s);
    return (n + QUERY_TILE - 1) / QUERY_TILE * QUERY_TILE;
}

enum status attention_allocate(struct model *model, struct error *err)
{
    const struct hyperparameters *s = model->shape;
    struct attention_scratch *a = &model->attention;
    size_t width = attention_width(s->head_dim), queries = query_room(s), floats, parts;
    bool fits = size_multiply(2 * (queries + KEY_PAGE), width, &floats) &&
                size_multiply(queries, KEY_PAGE + sizeof(struct softmax) / sizeof(float), &parts) &&
                size_add(floats, parts, &floats) &&
                size_multiply(floats, sizeof(float), &a->thread_bytes) &&
                size_multiply(a->thread_bytes, thread_pool_size(model->compute.pool), &a->bytes);
    a->memory = fits ? mem_map(a->bytes) : NULL;
    a->blocks = mem_array(model->max_rows, sizeof *a->blocks);
    return a->memory && a->blocks ? STATUS_OK : error_memory(err, "the scratch of attention");
}

void attention_free(struct model *model)
{
    mem_unmap(model->attention.memory, model->attention.bytes);
    mem_free(model->attention.blocks);
}

static struct workspace lay_out(const struct model *model, size_t thread)
{
    size_t width = attention_width(model->shape->head_dim), queries = query_room(model->shape);
    size_t row = width * sizeof(float);
    uint8_t *at = model->attention.memory + thread * model->attention.thread_bytes;
    struct workspace w = {.queries = at, .keys = at + queries * row};
    w.values = w.keys + KEY_PAGE * row;
    w.out = (float *)(void *)(w.values + KEY_PAGE * row);
    w.scores = w.out + queries * width;
    w.states = (struct softmax *)(void *)(w.scores + queries * KEY_PAGE);
    return w;
}

/* Whether no two blocks are of one sequence. */
static bool are_independent(const struct row *rows, const struct attention_scratch *a)
{
    if (a->n_blocks > FEW_BLOCKS)
        return false;
    for (size_t i = 1; i < a->n_blocks; i++)
        for (size_t j = 0; j < i; j++)
            if (rows[a->blocks[i].first].sequence == rows[a->blocks[j].first].sequence)
                return false;
    return true;
}

void attention_plan(const struct pass *p)
{
    struct attention_scratch *a = &p->model->attention;
    const struct row *rows = p->rows;
    size_t most = rows_per_block(p->model->shape);
    a->n_blocks = 0;
    for (size_t i = 0; i < p->n; i++) {
        struct row_block *last = i ? &a->blocks[a->n_blocks - 1] : NULL;
        if (last && rows[i].sequence == rows[i - 1].sequence &&
            rows[i].position == rows[i - 1].position + 1 && last->n < most)
            last->n++;
        else
            a->blocks[a->n_blocks++] = (struct row_block){.first = i, .n = 1};
    }
    a->independent = are_independent(rows, a);
}

/* --- Storing --- */

/* Rotates n heads of row i by its position. */
static void rotate_heads(const struct pass *p, size_t i, float *heads, size_t n)
{
    const struct model *m = p->model;
    size_t half = m->shape->rope.rotary_dim / 2;
    for (size_t h = 0; h < n; h++)
        m->compute.kernels->rope(heads + h * m->shape->head_dim, p->stream.cosine + i * half,
                                 p->stream.sine + i * half, half);
}

/* Rows [begin, end) of one KV head: rotates its queries and keys, and stores keys and values; or
 * does the part that there is. */
static void store_head(const struct pass *p, size_t kv_head, size_t begin, size_t end)
{
    const struct model *m = p->model;
    const struct hyperparameters *s = m->shape;
    size_t group = group_size(s);
    for (size_t i = begin; i < end; i++) {
        const struct row *row = &p->rows[i];
        size_t at = (i * s->n_kv_heads + kv_head) * s->head_dim;
        if (p->part & QUERIES)
            rotate_heads(p, i, m->scratch.q + at * group, group);
        if (!(p->part & KEYS))
            continue;
        rotate_heads(p, i, m->scratch.k + at, 1);
        kv_store(p->cache, m->compute.kernels, (size_t)row->sequence, (size_t)row->position,
                 p->layer, kv_head, m->scratch.k + at, m->scratch.v + at);
    }
}

/* Keys are stored across each other (attention.h): a few rows of a head go into the same lines of
 * memory, so they are stored one after the other. */
static void store_work(void *context, size_t thread, size_t n_threads)
{
    enum { TOGETHER = 16 };
    const struct pass *p = context;
    size_t begin, end;
    thread_share(p->n, 1, thread, n_threads, &begin, &end);
    for (size_t first = begin; first < end; first += TOGETHER)
        for (size_t h = 0; h < p->model->shape->n_kv_heads; h++)
            store_head(p, h, first, size_min(first + TOGETHER, end));
}

void attention_store(const struct pass *p)
{
    pass_run(p, 1, store_work);
}

/* --- Attention --- */

static size_t first_visible(const struct hyperparameters *s, size_t layer, size_t position)
{
    if (!s->sliding_window || layer < s->first_window_layer || position < s->sliding_window)
        return 0;
    return position + 1 - s->sliding_window;
}

/* Where a page that starts at `page` has `position`: 0 to KEY_PAGE. */
static size_t clip(size_t position, size_t page)
{
    if (position <= page)
        return 0;
    return size_min(position - page, KEY_PAGE);
}

/* The floats of query head g of row r. */
static size_t query_at(const struct hyperparameters *s, size_t r, size_t kv_head, size_t g)
{
    return (r * s->n_heads + kv_head * group_size(s) + g) * s->head_dim;
}

static void start_block(const struct job *job, struct row_block block, size_t kv_head,
                        struct workspace *w)
{
    const struct hyperparameters *s = job->pass->model->shape;
    size_t group = group_size(s), width = attention_width(s->head_dim), n = block.n * group;
    float scale = (float)(1 / sqrt((double)s->head_dim));
    for (size_t i = 0; i < n; i++) {
        job->kernels->prepare_query(job->pass->model->scratch.q +
                                        query_at(s, block.first + i / group, kv_head, i % group),
                                    scale, s->head_dim, w->queries + i * width * sizeof(float));
        w->states[i] = (struct softmax){.max = -INFINITY};
    }
    memset(w->out, 0, n * width * sizeof *w->out);
}

static void finish_block(const struct job *job, struct row_block block, size_t kv_head,
                         const struct workspace *w)
{
    const struct hyperparameters *s = job->pass->model->shape;
    size_t group = group_size(s), width = attention_width(s->head_dim);
    for (size_t i = 0; i < block.n * group; i++) {
        float *to = job->pass->model->scratch.attended +
                    query_at(s, block.first + i / group, kv_head, i % group);
        float scale = 1 / w->states[i].sum;
        for (size_t d = 0; d < s->head_dim; d++) /* + 0: no sign of zero from hidden positions */
            to[d] = (w->out[i * width + d] + 0.0f) * scale;
    }
}

/* Where the cache has a page of a KV head. */
struct stored_page {
    const void *keys, *values;
};

static struct stored_page page_at(const struct job *job, size_t sequence, size_t page,
                                  size_t kv_head)
{
    return (struct stored_page){
        kv_key_page(job->pass->cache, sequence, page, job->pass->layer, kv_head),
        kv_value_page(job->pass->cache, sequence, page, job->pass->layer, kv_head)};
}

/* Which scores of the page each query sees. */
static void limit_queries(const struct job *job, struct row_block block, size_t page,
                          struct softmax *states)
{
    const struct hyperparameters *s = job->pass->model->shape;
    size_t group = group_size(s), position = (size_t)job->pass->rows[block.first].position;
    for (size_t r = 0; r < block.n; r++, position++) {
        uint32_t begin = (uint32_t)clip(first_visible(s, job->pass->layer, position), page);
        uint32_t end = (uint32_t)clip(position + 1, page);
        for (size_t g = 0; g < group; g++, states++) {
            states->begin = begin;
            states->end = end;
        }
    }
}

/* Leaves out rows of the block that end before the page, whole tiles of queries; and what of the
 * workspace is theirs. */
static void leave_out(const struct job *job, size_t page, struct row_block *block,
                      struct workspace *w)
{
    const struct hyperparameters *s = job->pass->model->shape;
    size_t position = (size_t)job->pass->rows[block->first].position,
           width = attention_width(s->head_dim);
    size_t rows = page > position ? (page - position) / QUERY_TILE * QUERY_TILE : 0;
    size_t queries = rows * group_size(s);
    block->first += rows;
    block->n -= rows;
    w->queries += queries * width * sizeof(float);
    w->out += queries * width;
    w->states += queries;
}

/* The page after this one, or this one where it is the last. */
static struct stored_page page_after(const struct job *job, struct row_block block, size_t kv_head,
                                     size_t page, size_t end)
{
    size_t next = page + KEY_PAGE < end ? page + KEY_PAGE : page;
    return page_at(job, (size_t)job->pass->rows[block.first].sequence, next, kv_head);
}

/* Asks for part [begin, end) of n of a page, into the second cache. */
static void fetch_page(const struct job *job, struct stored_page page, size_t begin, size_t end,
                       size_t n)
{
    size_t bytes = kv_head_bytes(job->pass->cache);
    for (size_t at = bytes * begin / n / 64 * 64; at < bytes * end / n; at += 64) {
        __builtin_prefetch((const char *)page.keys + at, 0, 2);
        __builtin_prefetch((const char *)page.values + at, 0, 2);
    }
}

static void attend_stored(const struct job *job, struct row_block block, size_t kv_head,
                          size_t page, size_t end, struct workspace *w)
{
    const struct attention_kernels *k = job->kernels;
    size_t width = job->pass->model->shape->head_dim,
           n = block.n * group_size(job->pass->model->shape);
    size_t sequence = (size_t)job->pass->rows[block.first].sequence;
    struct stored_page here = page_at(job, sequence, page, kv_head);
    struct stored_page ahead = page_after(job, block, kv_head, page, end);
    limit_queries(job, block, page, w->states);
    k->scores_stored(w->queries, n, here.keys, here.values, width, w->scores);
    k->soften(w->scores, n, w->states, w->out, width);
    k->mix_stored(w->scores, n, here.values, ahead.keys, clip(end, page), width, w->out);
}

static void attend_prepared(const struct job *job, struct row_block block, size_t kv_head,
                            size_t page, size_t end, struct workspace *w)
{
    const struct attention_kernels *k = job->kernels;
    size_t head_dim = job->pass->model->shape->head_dim, width = attention_width(head_dim);
    size_t n = block.n * group_size(job->pass->model->shape);
    struct stored_page here =
        page_at(job, (size_t)job->pass->rows[block.first].sequence, page, kv_head);
    struct stored_page ahead = page_after(job, block, kv_head, page, end);
    limit_queries(job, block, page, w->states);
    k->prepare_keys(kv_type(job->pass->cache), here.keys, head_dim, w->keys);
    k->prepare_values(kv_type(job->pass->cache), here.values, clip(end, page), head_dim, w->values);
    for (size_t i = 0, last; i < n; i = last) {
        last = size_min(i + SCORED_AT_ONCE, n);
        fetch_page(job, ahead, i, last, n);
        k->scores(w->queries + i * width * sizeof(float), last - i, w->keys, width,
                  w->scores + i * KEY_PAGE);
        k->soften(w->scores + i * KEY_PAGE, last - i, w->states + i, w->out + i * width, width);
    }
    k->mix(w->scores, n, w->values, width, w->out);
}

static void attend_block(const struct job *job, struct row_block block, size_t kv_head,
                         struct workspace *w)
{
    const struct hyperparameters *s = job->pass->model->shape;
    size_t position = (size_t)job->pass->rows[block.first].position, end = position + block.n;
    size_t begin = first_visible(s, job->pass->layer, position);
    bool few = job->kernels->scores_stored && block.n * group_size(s) <= FEW_QUERIES &&
               attention_width(s->head_dim) == s->head_dim;
    start_block(job, block, kv_head, w);
    for (size_t page = begin / KEY_PAGE * KEY_PAGE; page < end; page += KEY_PAGE) {
        struct row_block seeing = block;
        struct workspace of_them = *w;
        leave_out(job, page, &seeing, &of_them);
        (few ? attend_stored : attend_prepared)(job, seeing, kv_head, page, end, &of_them);
    }
    finish_block(job, block, kv_head, w);
}

/* Asks for the keys that a unit needs first: those that it starts with, and those it adds to. */
static void fetch_first(const struct job *job, struct row_block block, size_t kv_head)
{
    const struct pass *p = job->pass;
    const struct row *row = &p->rows[block.first];
    size_t sequence = (size_t)row->sequence, position = (size_t)row->position;
    size_t begin = first_visible(p->model->shape, p->layer, position);
    const char *first = kv_key_page(p->cache, sequence, begin, p->layer, kv_head);
    const char *last = kv_key_page(p->cache, sequence, position + block.n - 1, p->layer, kv_head);
    for (size_t i = 0; i < kv_head_bytes(p->cache); i += 64) {
        __builtin_prefetch(first + i, 0, 3);
        if (last != first)
            __builtin_prefetch(last + i, 0, 3);
    }
}

/* Units are taken as threads become free; the last ones, which see most keys, first. */
static void attend_work(void *context, size_t thread, size_t n_threads)
{
    (void)n_threads;
    struct job *job = context;
    const struct attention_kernels *k = job->kernels;
    size_t n_kv_heads = job->pass->model->shape->n_kv_heads, unit;
    size_t n_blocks = job->pass->model->attention.n_blocks;
    struct workspace w = lay_out(job->pass->model, thread);
    if (k->begin)
        k->begin();
    while ((unit = atomic_fetch_add(&job->n_taken, 1)) < n_blocks * n_kv_heads) {
        struct row_block block =
            job->pass->model->attention.blocks[n_blocks - 1 - unit / n_kv_heads];
        size_t kv_head = unit % n_kv_heads;
        if (job->pass->model->attention.independent) {
            fetch_first(job, block, kv_head);
            store_head(job->pass, kv_head, block.first, block.first + block.n);
        }
        attend_block(job, block, kv_head, &w);
    }
    if (k->end)
        k->end();
}

void attention_run(const struct pass *p)
{
    const struct compute *c = &p->model->compute;
    struct job job = {.pass = p, .kernels = c->kernels->attention[kv_type(p->cache)]};
    if (!p->model->attention.independent)
        attention_store(p);
    thread_pool_run(c->pool, attend_work, &job);
}
