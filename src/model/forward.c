/* The one forward pass. */
#include "base/file.h"
#include "base/memory.h"
#include "base/size.h"
#include "model/model_internal.h"
#include "model/rope.h"

#include <math.h>
#include <string.h>

/* --- Checks --- */

static enum status check_row(const struct model *model, const struct kv_cache *cache,
                             const struct row *row, struct error *err)
{
    const struct hyperparameters *s = model->shape;
    if (row->sequence < 0 || (size_t)row->sequence >= kv_cache_sequences(cache))
        return error_set(err, STATUS_INVALID, "there is no sequence %d; there are %zu",
                         row->sequence, kv_cache_sequences(cache));
    if (row->token < 0 || (size_t)row->token >= s->vocab_size)
        return error_set(err, STATUS_INVALID, "token %d is outside the vocabulary of %zu",
                         row->token, s->vocab_size);
    size_t length = kv_length(cache, (size_t)row->sequence);
    if (row->position < 0 || (size_t)row->position != length)
        return error_set(err, STATUS_INVALID,
                         "sequence %d holds %zu positions, but the next row says position %d",
                         row->sequence, length, row->position);
    if (length >= kv_reserved(cache, (size_t)row->sequence))
        return error_set(err, STATUS_INVALID, "no room was reserved for position %d of sequence %d",
                         row->position, row->sequence);
    if (model_rope_is_long(model, length + 1) && !kv_rope_is_long(cache, (size_t)row->sequence))
        return error_set(err, STATUS_INVALID,
                         "sequence %d grew past %zu tokens: its cache must be computed anew",
                         row->sequence, s->rope.original_context);
    return STATUS_OK;
}

/* Takes back the first n rows. */
static void leave_rows(const struct pass *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        kv_uncommit(p->cache, (size_t)p->all[i].sequence);
}

/* Checks each row and grows its sequence; on an error the sequences are as before. */
static enum status take_rows(const struct pass *p, struct error *err)
{
    if (p->n_all > p->model->max_rows)
        return error_set(err, STATUS_INVALID, "%zu rows in one forward pass; the most is %zu",
                         p->n_all, p->model->max_rows);
    for (size_t i = 0; i < p->n_all; i++) {
        enum status status = check_row(p->model, p->cache, &p->all[i], err);
        if (status) {
            leave_rows(p, i);
            return status;
        }
        kv_commit(p->cache, (size_t)p->all[i].sequence, 1);
    }
    return STATUS_OK;
}

/* --- Steps; each is run by all threads on their share of the rows --- */

/* The row of a token. From a file it is read into `buffer`, which holds a row of floats: a fault in
 * its mapping takes 50 times as long. */
static const void *embedding_row(const struct weights *w, int32_t token, float *buffer)
{
    const struct matrix *m = &w->embedding;
    const char *row = (const char *)m->data + (size_t)token * m->row_bytes;
    if (w->embedding_file && file_map_copy(w->embedding_file, row, m->row_bytes, buffer))
        return buffer;
    return row;
}

static void embed_work(void *context, size_t thread, size_t n_threads)
{
    const struct pass *p = context;
    const struct model *m = p->model;
    const struct matrix *w = &m->weights.embedding;
    size_t begin, end, half = m->shape->rope.rotary_dim / 2;
    thread_share(p->n, 1, thread, n_threads, &begin, &end);
    for (size_t i = begin; i < end; i++) {
        const struct row *row = &p->rows[i];
        bool is_long = kv_rope_is_long(p->cache, (size_t)row->sequence);
        m->compute.kernels->dequantize[w->type](
            embedding_row(&m->weights, row->token, m->scratch.h + i * w->cols),
            p->stream.x + i * w->cols, w->cols);
        rope_angles(m->inv_freq[is_long], m->rope_scale[is_long], half, row->position,
                    p->stream.cosine + i * half, p->stream.sine + i * half);
    }
}

/* The norms of rows [begin, end), and at once their codes for the products. */
static void norm_tile(const struct pass *p, size_t begin, size_t end)
{
    struct model *m = p->model;
    size_t dim = m->shape->dim;
    for (size_t i = begin; i < end; i++)
        m->compute.kernels->rms_norm(p->stream.x + i * dim, p->norm, m->scratch.h + i * dim, dim,
                                     (float)m->shape->rms_norm_eps);
    if (p->quantizes)
        m->compute.quant->quantize(&m->activations, m->scratch.h + begin * dim, dim, begin, end, 0,
                                   m->activations.n_blocks);
}

static void norm_work(void *context, size_t thread, size_t n_threads)
{
    const struct pass *p = context;
    size_t begin, end;
    thread_share(p->n, TILE_ROWS, thread, n_threads, &begin, &end);
    for (size_t i = begin; i < end; i += TILE_ROWS)
        norm_tile(p, i, size_min(i + TILE_ROWS, end));
}

/* --- The pass --- */

void pass_run(const struct pass *p, size_t grain, thread_work *work)
{
    struct thread_pool *pool = p->n > grain ? p->model->compute.pool : NULL;
    thread_pool_run(pool, work, (void *)(uintptr_t)p);
}

/* Shows what the next matrices multiply to whoever observes the model. */
static void show_input(const struct pass *p, enum model_input input, const float *x, size_t n_rows,
                       size_t cols)
{
    const struct model *m = p->model;
    if (m->observe)
        m->observe(m->observe_context, input, input == INPUT_HEAD ? 0 : p->layer, x, n_rows, cols);
}

/* What the next matrices multiply: [n_rows, cols]. */
static void set_input(const struct pass *p, enum model_input input, const float *x, size_t n_rows,
                      size_t cols)
{
    show_input(p, input, x, n_rows, cols);
    activations_set(&p->model->activations, x, cols, n_rows, cols);
}

/* The normalised rows become the input of matrices like `w`. */
static void normalise(struct pass *p, const float *weight, enum model_input input,
                      const struct matrix *w)
{
    struct model *m = p->model;
    p->norm = weight;
    p->quantizes = matmul_is_quantized(&m->compute, w);
    activations_set(&m->activations, m->scratch.h, w->cols, p->n, w->cols);
    pass_run(p, TILE_ROWS, norm_work);
    m->activations.quantized = p->quantizes;
    show_input(p, input, m->scratch.h, p->n, w->cols);
}

/* A linear map: y = W x + bias + B (A x). */
struct map {
    const struct matrix *w;
    const float *bias;
    const struct low_rank *adapter;
    float *y;
};

/* The products of maps of x; A x is computed here. */
static void plan_products(struct model *m, struct activations *x, const struct map *maps, size_t n,
                          struct product *products)
{
    struct product low[MOST_PRODUCTS];
    const float *last = NULL; /* A x of the map before */
    size_t n_low = 0;
    for (size_t i = 0; i < n; i++) {
        const struct low_rank *l = maps[i].adapter;
        products[i] = (struct product){
            .w = maps[i].w, .bias = maps[i].bias, .y = maps[i].y, .y_stride = maps[i].w->rows};
        if (!l->b.rows)
            continue;
        if (!l->shares_a || !last) {
            last = m->scratch.low[i];
            low[n_low++] =
                (struct product){.w = &l->a, .y = m->scratch.low[i], .y_stride = l->a.rows};
        }
        products[i].b = &l->b;
        products[i].low = last;
    }
    if (n_low)
        matmul_all(&m->compute, x, low, n_low);
}

/* Queries, keys and values of the rows, or a part of that. */
static void project_part(struct pass *p, const struct layer_weights *w,
                         const struct layer_adapters *a, int part)
{
    struct model *m = p->model;
    struct scratch *s = &m->scratch;
    const struct map maps[3] = {{&w->q, w->q_bias, &a->q, s->q},
                                {&w->k, w->k_bias, &a->k, s->k},
                                {&w->v, w->v_bias, &a->v, s->v}};
    struct product products[3];
    size_t first = part & QUERIES ? 0 : 1, n = (part & KEYS ? 3 : 1) - first;
    p->part = part;
    normalise(p, w->attention_norm, INPUT_QKV, &w->q);
    plan_products(m, &m->activations, maps + first, n, products);
    matmul_announce(&m->compute, part & QUERIES ? &w->o : &w->q, 1);
    matmul_all(&m->compute, &m->activations, products, n);
}

static bool is_wanted(const struct row *row)
{
    return row->wants_logits || row->hidden;
}

/* From here on only rows count of which something is wanted. */
static void keep_wanted(struct pass *p)
{
    size_t n = 0, dim = p->model->shape->dim, half = p->model->shape->rope.rotary_dim / 2;
    const struct stream *s = &p->stream;
    for (size_t i = 0; i < p->n; i++) {
        if (!is_wanted(&p->rows[i]))
            continue;
        s->wanted[n] = p->rows[i];
        memmove(s->x + n * dim, s->x + i * dim, dim * sizeof *s->x);
        memmove(s->cosine + n * half, s->cosine + i * half, half * sizeof *s->cosine);
        memmove(s->sine + n * half, s->sine + i * half, half * sizeof *s->sine);
        n++;
    }
    p->rows = s->wanted;
    p->n = n;
    attention_plan(p);
}

/* Whether this is the last layer, which all rows enter and not all need to leave. */
static bool narrows(const struct pass *p)
{
    if (p->layer + 1 < p->model->shape->n_layers || p->model->observe)
        return false;
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++)
        n += is_wanted(&p->rows[i]);
    return n < p->n;
}

/* What attention starts from. Keys and values are of all rows, the rest is of those that go on. */
static void project(struct pass *p, const struct layer_weights *w, const struct layer_adapters *a)
{
    if (!narrows(p)) {
        project_part(p, w, a, BOTH);
        return;
    }
    project_part(p, w, a, KEYS);
    attention_store(p);
    keep_wanted(p);
    if (p->n)
        project_part(p, w, a, QUERIES);
}

static void attention_block(struct pass *p, const struct layer_weights *w,
                            const struct layer_adapters *a)
{
    struct model *m = p->model;
    struct scratch *s = &m->scratch;
    struct product product;
    attention_run(p);
    set_input(p, INPUT_O, s->attended, p->n, w->o.cols);
    plan_products(m, &m->activations, &(struct map){&w->o, NULL, &a->o, p->stream.x}, 1, &product);
    matmul_announce(&m->compute, &w->gate, 1);
    matmul_add(&m->compute, &m->activations, &product);
}

static void announce_after_layer(const struct pass *p)
{
    struct model *m = p->model;
    if (p->layer + 1 < m->shape->n_layers)
        matmul_announce(&m->compute, &m->weights.layers[p->layer + 1].q, 3);
    else
        matmul_announce(&m->compute, &m->weights.head, 1);
}

static void ffn_block(struct pass *p, const struct layer_weights *w, const struct layer_adapters *a)
{
    struct model *m = p->model;
    struct scratch *s = &m->scratch;
    struct product products[2];
    bool codes = matmul_is_quantized(&m->compute, &w->down);
    float *floats = !codes || a->down.b.rows || m->observe ? s->gated : NULL;
    normalise(p, w->ffn_norm, INPUT_GATE_UP, &w->gate);
    plan_products(m, &m->activations,
                  (struct map[]){{&w->gate, NULL, &a->gate, floats}, {&w->up, NULL, &a->up, NULL}},
                  2, products);
    activations_set(&m->gated, floats, w->down.cols, p->n, w->down.cols);
    matmul_announce(&m->compute, &w->down, 1);
    matmul_gated(&m->compute, &m->activations, products, codes ? &m->gated : NULL);
    show_input(p, INPUT_DOWN, floats, p->n, w->down.cols);
    plan_products(m, &m->gated, &(struct map){&w->down, NULL, &a->down, p->stream.x}, 1, products);
    announce_after_layer(p);
    matmul_add(&m->compute, &m->gated, products);
}

static enum status check_finite(const float *logits, size_t n, struct error *err)
{
    size_t bad = 0;
    for (size_t i = 0; i < n; i++)
        bad += !isfinite(logits[i]);
    return bad ? error_set(err, STATUS_FORMAT,
                           "%zu of %zu logits are not finite: the weights are damaged, or their "
                           "values overflow",
                           bad, n)
               : STATUS_OK;
}

/* Final norm and lm_head, for the rows that want logits only. */
static enum status compute_logits(struct pass *p, float *logits, struct error *err)
{
    struct model *m = p->model;
    size_t wanted = 0, dim = m->shape->dim;
    for (size_t i = 0; i < p->n; i++)
        if (p->rows[i].wants_logits)
            m->compute.kernels->rms_norm(p->stream.x + i * dim, m->weights.final_norm,
                                         m->scratch.h + wanted++ * dim, dim,
                                         (float)m->shape->rms_norm_eps);
    if (!wanted)
        return STATUS_OK;
    set_input(p, INPUT_HEAD, m->scratch.h, wanted, dim);
    struct product product;
    plan_products(m, &m->activations,
                  &(struct map){&m->weights.head, NULL, &m->adapters.head, logits}, 1, &product);
    matmul_announce(&m->compute, &m->weights.layers[0].q, 3); /* of the pass after */
    matmul_all(&m->compute, &m->activations, &product, 1);
    return check_finite(logits, wanted * m->shape->vocab_size, err);
}

/* The state after the final norm, for the rows that want it. */
static void give_hidden(const struct pass *p)
{
    const struct model *m = p->model;
    size_t dim = m->shape->dim;
    for (size_t i = 0; i < p->n; i++)
        if (p->rows[i].hidden)
            m->compute.kernels->rms_norm(p->stream.x + i * dim, m->weights.final_norm,
                                         p->rows[i].hidden, dim, (float)m->shape->rms_norm_eps);
}

/* Layers [p->layer, end). */
static void compute_layers(struct pass *p, size_t end)
{
    struct model *m = p->model;
    attention_plan(p);
    if (p->layer == 0)
        pass_run(p, 1, embed_work);
    for (; p->layer < end; p->layer++) {
        const struct layer_weights *w = &m->weights.layers[p->layer];
        const struct layer_adapters *a = &m->adapters.layers[p->layer];
        project(p, w, a);
        if (!p->n)
            continue;
        attention_block(p, w, a);
        ffn_block(p, w, a);
    }
}

static enum status compute_end(struct pass *p, float *logits, struct error *err)
{
    give_hidden(p);
    return compute_logits(p, logits, err);
}

static struct pass new_pass(struct model *model, struct kv_cache *cache, const struct row *rows,
                            size_t n, struct stream stream)
{
    return (struct pass){.model = model,
                         .cache = cache,
                         .all = rows,
                         .n_all = n,
                         .rows = rows,
                         .n = n,
                         .stream = stream};
}

enum status model_forward(struct model *model, struct kv_cache *cache, const struct row *rows,
                          size_t n, float *logits, struct error *err)
{
    struct pass p = new_pass(model, cache, rows, n, model->scratch.whole);
    enum status status = take_rows(&p, err);
    if (status || !n)
        return status;
    mem_guard_enter();
    compute_layers(&p, model->shape->n_layers);
    status = compute_end(&p, logits, err);
    mem_guard_leave();
    return status;
}

/* --- In parts --- */

enum status model_start(struct model *model, struct kv_cache *cache, const struct row *rows,
                        size_t n, struct error *err)
{
    struct pass p = new_pass(model, cache, rows, n, model->scratch.in_parts);
    enum status status = take_rows(&p, err);
    if (status)
        return status;
    leave_rows(&p, n);
    model->in_parts = p;
    return STATUS_OK;
}

size_t model_layers_left(const struct model *model)
{
    const struct pass *p = &model->in_parts;
    return p->n_all ? model->shape->n_layers - p->layer : 0;
}

void model_go_on(struct model *model, size_t n_layers)
{
    struct pass *p = &model->in_parts;
    mem_guard_enter();
    compute_layers(p, p->layer + size_min(n_layers, model_layers_left(model)));
    mem_guard_leave();
}

enum status model_finish(struct model *model, float *logits, struct error *err)
{
    struct pass p = model->in_parts;
    model->in_parts.n_all = 0;
    enum status status = take_rows(&p, err);
    if (status)
        return status;
    mem_guard_enter();
    status = compute_end(&p, logits, err);
    mem_guard_leave();
    return status;
}

void model_drop(struct model *model)
{
    model->in_parts.n_all = 0;
}
