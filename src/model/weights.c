#include "model/weights.h"

#include <stdio.h>
#include <string.h>

struct binder {
    const struct checkpoint *checkpoint;
    const struct hyperparameters *shape;
    const struct kernels *kernels;
    struct weights *weights;
    struct error *err;
    enum status status; /* the first failure; after it nothing happens */
};

static void describe_shape(const struct tensor *tensor, char *out, size_t size)
{
    size_t used = (size_t)snprintf(out, size, "[");
    for (size_t i = 0; i < tensor->n_dims && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%zu", i ? ", " : "", tensor->shape[i]);
    if (used < size)
        snprintf(out + used, size - used, "]");
}

static const struct tensor *find(struct binder *b, const char *name)
{
    const struct tensor *tensor = checkpoint_tensor(b->checkpoint, name);
    if (!tensor && !b->status)
        b->status = error_set(b->err, STATUS_FORMAT, "%s: the tensor %s is missing",
                              checkpoint_path(b->checkpoint), name);
    return b->status ? NULL : tensor;
}

static void wrong_shape(struct binder *b, const struct tensor *tensor, const char *expected)
{
    char found[120];
    describe_shape(tensor, found, sizeof found);
    b->status = error_set(b->err, STATUS_FORMAT,
                          "%s: the tensor %s has shape %s, but the configuration asks for %s",
                          tensor->file, tensor->name, found, expected);
}

/* The tensor as a whole: [rows, cols]. */
static struct matrix bind_matrix(struct binder *b, const char *name, size_t rows, size_t cols)
{
    struct matrix m = {0};
    const struct tensor *tensor = find(b, name);
    if (!tensor)
        return m;
    if (tensor->n_dims != 2 || tensor->shape[0] != rows || tensor->shape[1] != cols) {
        char expected[80];
        snprintf(expected, sizeof expected, "[%zu, %zu]", rows, cols);
        wrong_shape(b, tensor, expected);
        return m;
    }
    m = (struct matrix){.type = tensor->type, .rows = rows, .cols = cols, .data = tensor->data};
    if (!tensor_type_bytes(tensor->type, cols, &m.row_bytes))
        b->status = error_set(b->err, STATUS_FORMAT,
                              "%s: the rows of tensor %s have %zu elements, not a multiple of "
                              "%s's blocks of %zu",
                              tensor->file, name, cols, tensor_type_info(tensor->type)->name,
                              tensor_type_info(tensor->type)->block_length);
    b->weights->n_parameters += rows * cols;
    return m;
}

/* Rows [first, first + rows) of a matrix. */
static struct matrix view(struct matrix m, size_t first, size_t rows)
{
    if (m.data)
        m.data = (const char *)m.data + first * m.row_bytes;
    m.rows = rows;
    return m;
}

static const float *bind_vector(struct binder *b, const char *name, size_t n)
{
    const struct tensor *tensor = find(b, name);
    if (!tensor)
        return NULL;
    char expected[40];
    snprintf(expected, sizeof expected, "[%zu]", n);
    if (tensor->n_dims != 1 || tensor->shape[0] != n) {
        wrong_shape(b, tensor, expected);
        return NULL;
    }
    if (tensor_type_info(tensor->type)->block_length != 1) {
        b->status = error_set(b->err, STATUS_UNSUPPORTED,
                              "%s: the vector %s is %s; F32, F16 or BF16 expected", tensor->file,
                              name, tensor_type_info(tensor->type)->name);
        return NULL;
    }
    float *copy = arena_alloc(&b->weights->arena, n * sizeof *copy);
    if (!copy)
        b->status = error_memory(b->err, name);
    else
        b->kernels->dequantize[tensor->type](tensor->data, copy, n);
    b->weights->n_parameters += n;
    return copy;
}

static const char *layer_name(char out[100], size_t layer, const char *rest)
{
    snprintf(out, 100, "model.layers.%zu.%s", layer, rest);
    return out;
}

static struct matrix layer_matrix(struct binder *b, size_t layer, const char *rest, size_t rows,
                                  size_t cols)
{
    char name[100];
    return bind_matrix(b, layer_name(name, layer, rest), rows, cols);
}

static const float *layer_vector(struct binder *b, size_t layer, const char *rest, size_t n)
{
    char name[100];
    return bind_vector(b, layer_name(name, layer, rest), n);
}

static void bind_qkv(struct binder *b, size_t layer, struct layer_weights *w)
{
    const struct hyperparameters *s = b->shape;
    size_t q = s->n_heads * s->head_dim, kv = s->n_kv_heads * s->head_dim;
    if (s->family == FAMILY_PHI3) {
        struct matrix fused =
            layer_matrix(b, layer, "self_attn.qkv_proj.weight", q + 2 * kv, s->dim);
        w->q = view(fused, 0, q);
        w->k = view(fused, q, kv);
        w->v = view(fused, q + kv, kv);
        return;
    }
    w->q = layer_matrix(b, layer, "self_attn.q_proj.weight", q, s->dim);
    w->k = layer_matrix(b, layer, "self_attn.k_proj.weight", kv, s->dim);
    w->v = layer_matrix(b, layer, "self_attn.v_proj.weight", kv, s->dim);
    w->q_bias = layer_vector(b, layer, "self_attn.q_proj.bias", q);
    w->k_bias = layer_vector(b, layer, "self_attn.k_proj.bias", kv);
    w->v_bias = layer_vector(b, layer, "self_attn.v_proj.bias", kv);
}

static void bind_layer(struct binder *b, size_t layer, struct layer_weights *w)
{
    const struct hyperparameters *s = b->shape;
    w->attention_norm = layer_vector(b, layer, "input_layernorm.weight", s->dim);
    bind_qkv(b, layer, w);
    w->o = layer_matrix(b, layer, "self_attn.o_proj.weight", s->dim, s->n_heads * s->head_dim);
    w->ffn_norm = layer_vector(b, layer, "post_attention_layernorm.weight", s->dim);
    if (s->family == FAMILY_PHI3) {
        struct matrix fused =
            layer_matrix(b, layer, "mlp.gate_up_proj.weight", 2 * s->ffn_dim, s->dim);
        w->gate = view(fused, 0, s->ffn_dim);
        w->up = view(fused, s->ffn_dim, s->ffn_dim);
    } else {
        w->gate = layer_matrix(b, layer, "mlp.gate_proj.weight", s->ffn_dim, s->dim);
        w->up = layer_matrix(b, layer, "mlp.up_proj.weight", s->ffn_dim, s->dim);
    }
    w->down = layer_matrix(b, layer, "mlp.down_proj.weight", s->dim, s->ffn_dim);
}

enum status weights_bind(const struct checkpoint *checkpoint, const struct kernels *kernels,
                         struct weights *weights, struct error *err)
{
    *weights = (struct weights){0};
    const struct hyperparameters *s = checkpoint_hyperparameters(checkpoint);
    struct binder b = {
        .checkpoint = checkpoint, .shape = s, .kernels = kernels, .weights = weights, .err = err};
    size_t bytes;
    if (!size_multiply(s->n_layers, sizeof *weights->layers, &bytes) ||
        !(weights->layers = arena_alloc(&weights->arena, bytes)))
        return error_memory(err, "the layers' table");
    weights->embedding = bind_matrix(&b, "model.embed_tokens.weight", s->vocab_size, s->dim);
    weights->embedding_file = checkpoint_map_of(checkpoint, weights->embedding.data);
    weights->head = s->tied_embeddings ? weights->embedding
                                       : bind_matrix(&b, "lm_head.weight", s->vocab_size, s->dim);
    weights->final_norm = bind_vector(&b, "model.norm.weight", s->dim);
    for (size_t layer = 0; layer < s->n_layers && !b.status; layer++)
        bind_layer(&b, layer, &weights->layers[layer]);
    if (b.status)
        weights_free(weights);
    return b.status;
}

/* --- Packing --- */

/* Matrix i of those that layers multiply with. */
static struct matrix *product_matrix(const struct weights *weights, size_t i)
{
    struct layer_weights *w = &weights->layers[i / MATRICES_OF_LAYER];
    struct matrix *all[MATRICES_OF_LAYER] = {&w->q,    &w->k,  &w->v,   &w->o,
                                             &w->gate, &w->up, &w->down};
    return all[i % MATRICES_OF_LAYER];
}

/* Bytes as the checkpoint has it. */
static size_t stored_bytes(const struct matrix *m)
{
    return m->rows * m->row_bytes;
}

/* Packs into `at` and returns the place behind it. `keeps`: the matrix is needed as it was, too. */
static char *pack(const struct checkpoint *checkpoint, struct matrix *m,
                  const struct compute *compute, bool keeps, char *at)
{
    size_t bytes = matmul_packed_bytes(compute, m);
    if (!bytes)
        return at;
    matmul_pack(compute, m, checkpoint_map_of(checkpoint, m->data), at);
    if (!keeps)
        mem_drop_mapped(m->data, stored_bytes(m));
    return at + bytes;
}

enum status weights_pack(const struct checkpoint *checkpoint, struct weights *weights,
                         size_t n_layers, const struct compute *compute, bool in_memory,
                         struct error *err)
{
    size_t total = matmul_packed_bytes(compute, &weights->head), n = n_layers * MATRICES_OF_LAYER;
    bool fits = true;
    for (size_t i = 0; i < n; i++)
        fits = fits &&
               size_add(total, matmul_packed_bytes(compute, product_matrix(weights, i)), &total);
    if (!total)
        return STATUS_OK;
    if (!fits || !(weights->packed = mem_map(total)))
        return error_memory(err, "the packed weights");
    weights->packed_bytes = total;
    char *at = weights->packed;
    for (size_t i = 0; i < n; i++)
        at = pack(checkpoint, product_matrix(weights, i), compute, false, at);
    pack(checkpoint, &weights->head, compute,
         in_memory && weights->head.data == weights->embedding.data, at);
    return STATUS_OK;
}

size_t weights_read_bytes(const struct matrix *m, const struct compute *compute)
{
    size_t packed = m->packed ? matmul_packed_bytes(compute, m) : 0;
    return packed ? packed : stored_bytes(m);
}

static void add_run(const struct matrix *m, struct memory_run *runs, size_t *n)
{
    if (!m->packed)
        runs[(*n)++] = (struct memory_run){m->data, stored_bytes(m)};
}

size_t weights_runs(const struct weights *weights, size_t n_layers, struct memory_run *runs)
{
    size_t n = 0;
    for (size_t i = 0; i < n_layers * MATRICES_OF_LAYER; i++)
        add_run(product_matrix(weights, i), runs, &n);
    add_run(&weights->head, runs, &n);
    if (weights->packed)
        runs[n++] = (struct memory_run){weights->packed, weights->packed_bytes};
    return n;
}

void weights_of_layers(const struct weights *weights, size_t n_layers,
                       const struct compute *compute, size_t *n, size_t *bytes)
{
    *n = *bytes = 0;
    for (size_t i = 0; i < n_layers * MATRICES_OF_LAYER; i++) {
        const struct matrix *m = product_matrix(weights, i);
        *n += m->rows * m->cols;
        *bytes += weights_read_bytes(m, compute);
    }
}

void weights_free(struct weights *weights)
{
    mem_unmap(weights->packed, weights->packed_bytes);
    arena_free(&weights->arena);
    *weights = (struct weights){0};
}
