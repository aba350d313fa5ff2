#include "model/adapters.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_VIEWS = 3 };

struct source {
    struct peft_adapter *adapter;
    double weight;
    bool *taken; /* [n_modules] */
};

struct loader {
    const struct checkpoint *checkpoint;
    struct source *sources;
    size_t n_sources;
    struct adapters *adapters;
    struct error *err;
};

/* A tensor of the checkpoint and the maps that it is made of, in order of their rows. */
struct target {
    const char *name; /* without ".weight" */
    size_t rows, cols;
    struct low_rank *views[MAX_VIEWS];
    size_t view_rows[MAX_VIEWS];
};

/* Keeps the names of the adapter's files. */
static bool keep_files(struct adapters *adapters, const struct peft_adapter *from)
{
    for (size_t i = 0; i < N_PEFT_FILES; i++) {
        struct peft_file *file = &adapters->files[adapters->n_files];
        const char *path = from->files[i].path;
        file->bytes = from->files[i].bytes;
        file->path = arena_copy_string(&adapters->arena, path, strlen(path));
        if (!file->path)
            return false;
        adapters->n_files++;
    }
    return true;
}

static enum status open_source(struct loader *l, size_t i, const struct adapter_choice *choice)
{
    struct source *s = &l->sources[i];
    if (!isfinite(choice->weight))
        return error_set(l->err, STATUS_INVALID, "%s: the adapter's scale is %g; expected a number",
                         choice->path, choice->weight);
    enum status status = peft_open(choice->path, &s->adapter, l->err);
    if (status)
        return status;
    s->weight = choice->weight;
    s->taken = mem_array(s->adapter->n_modules, sizeof *s->taken);
    return s->taken && keep_files(l->adapters, s->adapter)
               ? peft_check(s->adapter, l->checkpoint, l->err)
               : error_memory(l->err, choice->path);
}

static float *new_matrix(struct loader *l, size_t rows, size_t cols, struct matrix *m)
{
    size_t n, bytes;
    *m = (struct matrix){.type = TYPE_F32, .rows = rows, .cols = cols};
    float *data = size_multiply(rows, cols, &n) && size_multiply(n, sizeof *data, &bytes)
                      ? arena_alloc(&l->adapters->arena, bytes)
                      : NULL;
    m->row_bytes = cols * sizeof *data;
    m->data = data;
    return data;
}

/* What the source has for the target; NULL: nothing. */
static const struct peft_module *module_of(const struct source *s, const struct target *t)
{
    return peft_find(s->adapter, t->name);
}

/* The source's part of A and B, from rank `first` on. */
static void copy_module(const struct source *s, const struct peft_module *m, size_t first,
                        size_t rank, float *a, float *b)
{
    size_t own = s->adapter->rank;
    double factor = s->adapter->scale * s->weight;
    memcpy(a + first * m->in, m->a, own * m->in * sizeof *a);
    for (size_t r = 0; r < m->out; r++)
        for (size_t k = 0; k < own; k++)
            b[r * rank + first + k] = (float)(factor * (double)m->b[r * own + k]);
}

/* Hands each view the A and its rows of B. */
static void share_views(const struct target *t, struct matrix a, struct matrix b)
{
    size_t first = 0;
    for (size_t i = 0; i < MAX_VIEWS && t->views[i]; i++) {
        struct low_rank *view = t->views[i];
        *view = (struct low_rank){.a = a, .b = b, .shares_a = i > 0};
        view->b.rows = t->view_rows[i];
        view->b.data = (const char *)b.data + first * b.row_bytes;
        first += t->view_rows[i];
    }
}

static enum status check_target(const struct loader *l, const struct target *t,
                                const struct peft_module *m)
{
    if (m->out == t->rows && m->in == t->cols)
        return STATUS_OK;
    return error_set(l->err, STATUS_FORMAT,
                     "%s: the tensor %s.weight has shape [%zu, %zu], but the configuration asks "
                     "for [%zu, %zu]",
                     checkpoint_path(l->checkpoint), t->name, m->out, m->in, t->rows, t->cols);
}

static enum status load_target(struct loader *l, const struct target *t)
{
    size_t rank = 0, first = 0;
    for (size_t i = 0; i < l->n_sources; i++) {
        const struct peft_module *m = module_of(&l->sources[i], t);
        enum status status = m ? check_target(l, t, m) : STATUS_OK;
        if (status)
            return status;
        rank += m ? l->sources[i].adapter->rank : 0;
    }
    if (!rank)
        return STATUS_OK;
    struct matrix a, b;
    float *a_data = new_matrix(l, rank, t->cols, &a), *b_data = new_matrix(l, t->rows, rank, &b);
    if (!a_data || !b_data)
        return error_memory(l->err, "the adapters");
    for (size_t i = 0; i < l->n_sources; i++) {
        const struct source *s = &l->sources[i];
        const struct peft_module *m = module_of(s, t);
        if (!m)
            continue;
        copy_module(s, m, first, rank, a_data, b_data);
        s->taken[m - s->adapter->modules] = true;
        first += s->adapter->rank;
    }
    share_views(t, a, b);
    if (rank > l->adapters->rank)
        l->adapters->rank = rank;
    return STATUS_OK;
}

static enum status load_layer(struct loader *l, size_t layer)
{
    const struct hyperparameters *s = checkpoint_hyperparameters(l->checkpoint);
    struct layer_adapters *w = &l->adapters->layers[layer];
    size_t q = s->n_heads * s->head_dim, kv = s->n_kv_heads * s->head_dim, ffn = s->ffn_dim;
    bool fused = s->family == FAMILY_PHI3;
    const struct target separate[] = {
        {"self_attn.q_proj", q, s->dim, {&w->q}, {q}},
        {"self_attn.k_proj", kv, s->dim, {&w->k}, {kv}},
        {"self_attn.v_proj", kv, s->dim, {&w->v}, {kv}},
        {"mlp.gate_proj", ffn, s->dim, {&w->gate}, {ffn}},
        {"mlp.up_proj", ffn, s->dim, {&w->up}, {ffn}},
    };
    const struct target views[] = {
        {"self_attn.qkv_proj", q + 2 * kv, s->dim, {&w->q, &w->k, &w->v}, {q, kv, kv}},
        {"mlp.gate_up_proj", 2 * ffn, s->dim, {&w->gate, &w->up}, {ffn, ffn}},
    };
    const struct target both[] = {
        {"self_attn.o_proj", s->dim, q, {&w->o}, {s->dim}},
        {"mlp.down_proj", s->dim, ffn, {&w->down}, {s->dim}},
    };
    size_t n_first = fused ? sizeof views / sizeof *views : sizeof separate / sizeof *separate;
    size_t n = n_first + sizeof both / sizeof *both;
    enum status status = STATUS_OK;
    for (size_t i = 0; i < n && !status; i++) {
        char name[100];
        struct target t = i < n_first ? (fused ? views : separate)[i] : both[i - n_first];
        snprintf(name, sizeof name, "model.layers.%zu.%s", layer, t.name);
        t.name = name;
        status = load_target(l, &t);
    }
    return status;
}

/* A module that is a tensor of the checkpoint, but not one of the linear maps. */
static enum status check_taken(const struct loader *l, const struct source *s)
{
    for (size_t i = 0; i < s->adapter->n_modules; i++)
        if (!s->taken[i])
            return error_set(l->err, STATUS_UNSUPPORTED,
                             "%s adapts %s, which is not one of the linear maps that adapters can "
                             "change in %s",
                             s->adapter->path, s->adapter->modules[i].name,
                             checkpoint_path(l->checkpoint));
    return STATUS_OK;
}

static enum status load(struct loader *l, const struct adapter_choice *choices)
{
    const struct hyperparameters *s = checkpoint_hyperparameters(l->checkpoint);
    enum status status = STATUS_OK;
    for (size_t i = 0; i < l->n_sources && !status; i++)
        status = open_source(l, i, &choices[i]);
    for (size_t layer = 0; layer < s->n_layers && !status; layer++)
        status = load_layer(l, layer);
    if (!status && !s->tied_embeddings)
        status = load_target(
            l, &(struct target){
                   "lm_head", s->vocab_size, s->dim, {&l->adapters->head}, {s->vocab_size}});
    for (size_t i = 0; i < l->n_sources && !status; i++)
        status = check_taken(l, &l->sources[i]);
    return status;
}

enum status adapters_load(const struct adapter_choice *choices, size_t n,
                          const struct checkpoint *checkpoint, struct adapters *adapters,
                          struct error *err)
{
    size_t bytes, n_layers = checkpoint_hyperparameters(checkpoint)->n_layers;
    struct loader l = {.checkpoint = checkpoint,
                       .sources = mem_array(n, sizeof *l.sources),
                       .n_sources = n,
                       .adapters = adapters,
                       .err = err};
    *adapters = (struct adapters){0};
    bool ok = l.sources && size_multiply(n_layers, sizeof *adapters->layers, &bytes) &&
              (adapters->layers = arena_alloc(&adapters->arena, bytes)) &&
              size_multiply(n, N_PEFT_FILES * sizeof *adapters->files, &bytes) &&
              (adapters->files = arena_alloc(&adapters->arena, bytes));
    enum status status = ok ? load(&l, choices) : error_memory(err, "the adapters");
    for (size_t i = 0; l.sources && i < n; i++) {
        peft_close(l.sources[i].adapter);
        mem_free(l.sources[i].taken);
    }
    mem_free(l.sources);
    if (status)
        adapters_free(adapters);
    return status;
}

void adapters_free(struct adapters *adapters)
{
    arena_free(&adapters->arena);
    *adapters = (struct adapters){0};
}

enum status adapter_check(const char *folder, struct error *err)
{
    struct peft_adapter *adapter;
    enum status status = peft_open(folder, &adapter, err);
    if (!status)
        peft_close(adapter);
    return status;
}
