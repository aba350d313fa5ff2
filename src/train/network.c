#include "train/network.h"
#include "base/size.h"
#include "model/rope.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct layer {
    const real *attention_norm, *ffn_norm; /* [dim] */
    real *dattention_norm, *dffn_norm;     /* NULL: frozen */
    struct linear qkv, o, gate_up, down;
    /* What the backward pass needs of the forward pass. */
    real *x, *x_mid;             /* [rows, dim] before attention, before the FFN */
    real *inverse, *inverse_mid; /* [rows] of the two norms */
    real *qkv_out;               /* [rows, qkv] rotated */
    real *attended;              /* [rows, n_heads * head_dim] */
    real *gate_up_out;           /* [rows, 2 * ffn] */
};

struct network {
    struct hyperparameters shape;
    struct parameters parameters;
    struct lora_options lora; /* rank 0: everything is trained */
    struct gemm gemm;
    struct linear_space space;
    struct layer *layers;
    struct linear embedding, head; /* tied: the same weight and gradient */
    const real *final_norm;
    real *dfinal_norm;
    real *frozen; /* with LoRA: norms and biases of the base */
    size_t max_rows, qkv_dim, heads_dim;
    size_t bytes; /* allocated by allocate() */

    real *x, *inverse; /* [rows, dim], [rows] after the last layer */
    real *h, *dh, *dx; /* [rows, dim] scratch */
    real *act, *dact;  /* [rows, ffn] scratch */
    real *wide;        /* [rows, the larger of qkv and 2 * ffn] scratch */
    real *dattended;   /* [rows, n_heads * head_dim] scratch */
    real *attention_scratch;
    real *answers, *danswers;  /* [HEAD_ROWS, dim] */
    real *logits;              /* [HEAD_ROWS, vocab] */
    int32_t *answer_targets;   /* [HEAD_ROWS] */
    size_t *answer_rows;       /* [HEAD_ROWS] */
    double *nll;               /* [HEAD_ROWS] */
    real *cosine[2], *sine[2]; /* [is_long]: [max_rows, rotary_dim / 2] */
    struct ops_angles angles;  /* of the batch's rows */
};

enum { HEAD_ROWS = 256 }; /* rows whose logits exist at one time */

/* --- Modules that can carry adapters --- */

struct module {
    const char *name, *path; /* q_proj; self_attn.q_proj */
    unsigned target;
};
static const struct module qwen2_modules[] = {
    {"q_proj", "self_attn.q_proj", LORA_Q},    {"k_proj", "self_attn.k_proj", LORA_K},
    {"v_proj", "self_attn.v_proj", LORA_V},    {"o_proj", "self_attn.o_proj", LORA_O},
    {"gate_proj", "mlp.gate_proj", LORA_GATE}, {"up_proj", "mlp.up_proj", LORA_UP},
    {"down_proj", "mlp.down_proj", LORA_DOWN}, {0}};
static const struct module phi3_modules[] = {{"qkv_proj", "self_attn.qkv_proj", LORA_QKV},
                                             {"o_proj", "self_attn.o_proj", LORA_O},
                                             {"gate_up_proj", "mlp.gate_up_proj", LORA_GATE_UP},
                                             {"down_proj", "mlp.down_proj", LORA_DOWN},
                                             {0}};

static const struct module *family_modules(enum family family)
{
    return family == FAMILY_PHI3 ? phi3_modules : qwen2_modules;
}

unsigned lora_target_parse(enum family family, const char *name, size_t length)
{
    for (const struct module *m = family_modules(family); m->name; m++)
        if (strlen(m->name) == length && !strncmp(m->name, name, length))
            return m->target;
    return 0;
}

const char *const *lora_target_names(enum family family)
{
    static const char *const qwen2[] = {"q_proj",    "k_proj",  "v_proj",    "o_proj",
                                        "gate_proj", "up_proj", "down_proj", NULL};
    static const char *const phi3[] = {"qkv_proj", "o_proj", "gate_up_proj", "down_proj", NULL};
    return family == FAMILY_PHI3 ? phi3 : qwen2;
}

unsigned lora_all_targets(enum family family)
{
    unsigned all = 0;
    for (const struct module *m = family_modules(family); m->name; m++)
        all |= m->target;
    return all;
}

/* --- The table of parameters --- */

/* Collects tensors; failures stick. */
struct builder {
    struct network *network;
    size_t layer;
    enum status status;
    struct error *err;
};

static void add_tensor(struct builder *b, const char *name, size_t rows, size_t columns)
{
    if (!b->status)
        b->status = parameters_add(&b->network->parameters, name, rows, columns, b->err);
}

static void add_layer_tensor(struct builder *b, const char *suffix, size_t rows, size_t columns)
{
    char name[128];
    snprintf(name, sizeof name, "model.layers.%zu.%s", b->layer, suffix);
    add_tensor(b, name, rows, columns);
}

/* Whole matrices in the order in which the forward pass sees them as one. */
static void add_layer(struct builder *b)
{
    const struct hyperparameters *s = &b->network->shape;
    size_t q = s->n_heads * s->head_dim, kv = s->n_kv_heads * s->head_dim;
    add_layer_tensor(b, "input_layernorm.weight", s->dim, 0);
    if (s->family == FAMILY_PHI3) {
        add_layer_tensor(b, "self_attn.qkv_proj.weight", q + 2 * kv, s->dim);
    } else {
        add_layer_tensor(b, "self_attn.q_proj.weight", q, s->dim);
        add_layer_tensor(b, "self_attn.k_proj.weight", kv, s->dim);
        add_layer_tensor(b, "self_attn.v_proj.weight", kv, s->dim);
        add_layer_tensor(b, "self_attn.q_proj.bias", q, 0);
        add_layer_tensor(b, "self_attn.k_proj.bias", kv, 0);
        add_layer_tensor(b, "self_attn.v_proj.bias", kv, 0);
    }
    add_layer_tensor(b, "self_attn.o_proj.weight", s->dim, q);
    add_layer_tensor(b, "post_attention_layernorm.weight", s->dim, 0);
    if (s->family == FAMILY_PHI3) {
        add_layer_tensor(b, "mlp.gate_up_proj.weight", 2 * s->ffn_dim, s->dim);
    } else {
        add_layer_tensor(b, "mlp.gate_proj.weight", s->ffn_dim, s->dim);
        add_layer_tensor(b, "mlp.up_proj.weight", s->ffn_dim, s->dim);
    }
    add_layer_tensor(b, "mlp.down_proj.weight", s->dim, s->ffn_dim);
}

static enum status add_all(struct network *n, struct error *err)
{
    struct builder b = {.network = n, .err = err};
    const struct hyperparameters *s = &n->shape;
    add_tensor(&b, "model.embed_tokens.weight", s->vocab_size, s->dim);
    for (b.layer = 0; b.layer < s->n_layers; b.layer++)
        add_layer(&b);
    add_tensor(&b, "model.norm.weight", s->dim, 0);
    if (!s->tied_embeddings)
        add_tensor(&b, "lm_head.weight", s->vocab_size, s->dim);
    return b.status;
}

/* Small random matrices, smaller where they add to the residual stream; ones and zeros
 * elsewhere. */
static void set_initial_values(struct network *n)
{
    for (size_t i = 0; i < n->parameters.count; i++) {
        struct parameter *p = &n->parameters.table[i];
        if (p->n_dims == 1) {
            p->fill = strstr(p->name, "norm.weight") ? 1 : 0;
            continue;
        }
        p->deviation = sqrt(0.4 / (double)p->shape[1]);
        if (strstr(p->name, "o_proj") || strstr(p->name, "down_proj"))
            p->deviation /= sqrt(2 * (double)n->shape.n_layers);
        if (!strcmp(p->name, "model.embed_tokens.weight"))
            p->deviation = 0.02;
    }
}

struct cursor {
    struct parameters *parameters;
    size_t at; /* next offset */
};

static const real *take(struct cursor *c, size_t n, real **gradient)
{
    const real *values = c->parameters->values + c->at;
    *gradient = c->parameters->gradients + c->at;
    c->at += n;
    return values;
}

static void bind_linear(struct cursor *c, struct linear *w, size_t out, size_t in)
{
    w->in = in;
    w->out = out;
    w->weight = take(c, out * in, &w->dweight);
}

/* Walks the flat arrays in the order of add_all(). */
static void bind_all(struct network *n)
{
    const struct hyperparameters *s = &n->shape;
    struct cursor c = {.parameters = &n->parameters};
    bind_linear(&c, &n->embedding, s->vocab_size, s->dim);
    for (size_t i = 0; i < s->n_layers; i++) {
        struct layer *l = &n->layers[i];
        l->attention_norm = take(&c, s->dim, &l->dattention_norm);
        bind_linear(&c, &l->qkv, n->qkv_dim, s->dim);
        if (s->family != FAMILY_PHI3)
            l->qkv.bias = take(&c, n->qkv_dim, &l->qkv.dbias);
        bind_linear(&c, &l->o, s->dim, n->heads_dim);
        l->ffn_norm = take(&c, s->dim, &l->dffn_norm);
        bind_linear(&c, &l->gate_up, 2 * s->ffn_dim, s->dim);
        bind_linear(&c, &l->down, s->dim, s->ffn_dim);
    }
    n->final_norm = take(&c, s->dim, &n->dfinal_norm);
    n->head = n->embedding;
    if (!s->tied_embeddings)
        bind_linear(&c, &n->head, s->vocab_size, s->dim);
}

/* --- A frozen base with adapters --- */

static const real *freeze_vector(real **at, const float *values, size_t n)
{
    real *copy = *at;
    for (size_t i = 0; i < n; i++)
        copy[i] = (real)values[i];
    *at += n;
    return copy;
}

static struct linear stored_linear(const struct matrix *parts, size_t n_parts)
{
    struct linear w = {.in = parts[0].cols, .n_stored = n_parts};
    for (size_t i = 0; i < n_parts; i++) {
        w.stored[i] = parts[i];
        w.out += parts[i].rows;
    }
    return w;
}

static void freeze_layer(struct network *n, const struct layer_weights *base, struct layer *l,
                         real **at)
{
    const struct hyperparameters *s = &n->shape;
    size_t q = n->heads_dim, kv = s->n_kv_heads * s->head_dim;
    l->attention_norm = freeze_vector(at, base->attention_norm, s->dim);
    l->ffn_norm = freeze_vector(at, base->ffn_norm, s->dim);
    l->qkv = stored_linear((struct matrix[]){base->q, base->k, base->v}, 3);
    l->o = stored_linear(&base->o, 1);
    l->gate_up = stored_linear((struct matrix[]){base->gate, base->up}, 2);
    l->down = stored_linear(&base->down, 1);
    if (base->q_bias) {
        l->qkv.bias = freeze_vector(at, base->q_bias, q);
        freeze_vector(at, base->k_bias, kv);
        freeze_vector(at, base->v_bias, kv);
    }
}

static enum status freeze_base(struct network *n, const struct weights *base, struct error *err)
{
    const struct hyperparameters *s = &n->shape;
    size_t per_layer = 2 * s->dim + n->qkv_dim;
    n->frozen = mem_array(s->n_layers * per_layer + s->dim, sizeof *n->frozen);
    if (!n->frozen)
        return error_memory(err, "norms and biases");
    real *at = n->frozen;
    for (size_t i = 0; i < s->n_layers; i++)
        freeze_layer(n, &base->layers[i], &n->layers[i], &at);
    n->final_norm = freeze_vector(&at, base->final_norm, s->dim);
    n->embedding = stored_linear(&base->embedding, 1);
    n->head = stored_linear(&base->head, 1);
    return STATUS_OK;
}

/* Where a module's outputs lie in its linear map. */
static struct linear *module_place(struct network *n, struct layer *l, unsigned target,
                                   size_t *first, size_t *rows)
{
    const struct hyperparameters *s = &n->shape;
    size_t q = n->heads_dim, kv = s->n_kv_heads * s->head_dim;
    struct linear *w = target & (LORA_Q | LORA_K | LORA_V | LORA_QKV)  ? &l->qkv
                       : target & (LORA_GATE | LORA_UP | LORA_GATE_UP) ? &l->gate_up
                       : target == LORA_O                              ? &l->o
                                                                       : &l->down;
    *first = target == LORA_K ? q : target == LORA_V ? q + kv : target == LORA_UP ? s->ffn_dim : 0;
    *rows = target == LORA_Q                 ? q
            : target & (LORA_K | LORA_V)     ? kv
            : target & (LORA_GATE | LORA_UP) ? s->ffn_dim
                                             : w->out;
    return w;
}

/* Calls visit for every adapted module, in a fixed order. */
typedef enum status module_visitor(struct network *n, struct layer *l, size_t layer,
                                   const struct module *m, void *context, struct error *err);
static enum status visit_modules(struct network *n, module_visitor *visit, void *context,
                                 struct error *err)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < n->shape.n_layers; i++)
        for (const struct module *m = family_modules(n->shape.family); m->name && !status; m++)
            if (n->lora.targets & m->target)
                status = visit(n, &n->layers[i], i, m, context, err);
    return status;
}

static enum status add_adapter(struct network *n, struct layer *l, size_t layer,
                               const struct module *m, void *context, struct error *err)
{
    char name[160];
    size_t first, rows;
    struct linear *w = module_place(n, l, m->target, &first, &rows);
    (void)context;
    snprintf(name, sizeof name, "base_model.model.model.layers.%zu.%s.lora_A.weight", layer,
             m->path);
    enum status status = parameters_add(&n->parameters, name, n->lora.rank, w->in, err);
    if (status)
        return status;
    n->parameters.table[n->parameters.count - 1].deviation = 1 / sqrt(3 * (double)w->in);
    snprintf(name, sizeof name, "base_model.model.model.layers.%zu.%s.lora_B.weight", layer,
             m->path);
    return parameters_add(&n->parameters, name, rows, n->lora.rank, err);
}

static enum status bind_adapter(struct network *n, struct layer *l, size_t layer,
                                const struct module *m, void *context, struct error *err)
{
    struct adapter a = {.rank = n->lora.rank,
                        .scale = (real)(n->lora.alpha / (double)n->lora.rank)};
    struct linear *w = module_place(n, l, m->target, &a.first, &a.rows);
    (void)layer;
    (void)err;
    a.a = take(context, a.rank * w->in, &a.da);
    a.b = take(context, a.rows * a.rank, &a.db);
    w->adapters[w->n_adapters++] = a;
    return STATUS_OK;
}

/* --- Memory --- */

static void *allocate(struct network *n, size_t count, size_t per, size_t size)
{
    size_t elements;
    if (!size_multiply(count, per, &elements))
        return NULL;
    n->bytes += elements * size;
    return mem_aligned(64, elements, size);
}

static bool allocate_layer(struct network *n, struct layer *l)
{
    const struct hyperparameters *s = &n->shape;
    l->x = allocate(n, n->max_rows, s->dim, sizeof(real));
    l->x_mid = allocate(n, n->max_rows, s->dim, sizeof(real));
    l->inverse = allocate(n, n->max_rows, 1, sizeof(real));
    l->inverse_mid = allocate(n, n->max_rows, 1, sizeof(real));
    l->qkv_out = allocate(n, n->max_rows, n->qkv_dim, sizeof(real));
    l->attended = allocate(n, n->max_rows, n->heads_dim, sizeof(real));
    l->gate_up_out = allocate(n, n->max_rows, 2 * s->ffn_dim, sizeof(real));
    return l->x && l->x_mid && l->inverse && l->inverse_mid && l->qkv_out && l->attended &&
           l->gate_up_out;
}

static bool allocate_scratch(struct network *n)
{
    const struct hyperparameters *s = &n->shape;
    size_t rows = n->max_rows, wide = 2 * s->ffn_dim > n->qkv_dim ? 2 * s->ffn_dim : n->qkv_dim;
    n->x = allocate(n, rows, s->dim, sizeof(real));
    n->inverse = allocate(n, rows, 1, sizeof(real));
    n->h = allocate(n, rows, s->dim, sizeof(real));
    n->dh = allocate(n, rows, s->dim, sizeof(real));
    n->dx = allocate(n, rows, s->dim, sizeof(real));
    n->act = allocate(n, rows, s->ffn_dim, sizeof(real));
    n->dact = allocate(n, rows, s->ffn_dim, sizeof(real));
    n->wide = allocate(n, rows, wide, sizeof(real));
    n->dattended = allocate(n, rows, n->heads_dim, sizeof(real));
    n->attention_scratch =
        allocate(n, attention_scratch(rows, thread_pool_size(n->gemm.pool)), 1, sizeof(real));
    n->answers = allocate(n, HEAD_ROWS, s->dim, sizeof(real));
    n->danswers = allocate(n, HEAD_ROWS, s->dim, sizeof(real));
    n->logits = allocate(n, HEAD_ROWS, s->vocab_size, sizeof(real));
    n->answer_targets = allocate(n, HEAD_ROWS, 1, sizeof(int32_t));
    n->answer_rows = allocate(n, HEAD_ROWS, 1, sizeof(size_t));
    n->nll = allocate(n, HEAD_ROWS, 1, sizeof(double));
    return n->x && n->inverse && n->h && n->dh && n->dx && n->act && n->dact && n->wide &&
           n->dattended && n->attention_scratch && n->answers && n->danswers && n->logits &&
           n->answer_targets && n->answer_rows && n->nll;
}

static bool allocate_linear_space(struct network *n, const struct network_options *o)
{
    const struct hyperparameters *s = &n->shape;
    size_t widest = size_max(s->dim, s->ffn_dim);
    widest = size_max(widest, n->heads_dim);
    n->space = (struct linear_space){.gemm = &n->gemm, .kernels = o->kernels};
    n->space.row = allocate(n, widest, 1, sizeof(float));
    if (!o->lora)
        return n->space.row;
    n->space.band = allocate(n, LINEAR_BAND, widest, sizeof(real));
    n->space.low = allocate(n, n->max_rows, n->lora.rank, sizeof(real));
    n->space.dlow = allocate(n, n->max_rows, n->lora.rank, sizeof(real));
    return n->space.band && n->space.row && n->space.low && n->space.dlow;
}

static bool allocate_angles(struct network *n)
{
    size_t half = n->shape.rope.rotary_dim / 2;
    n->angles.half = half;
    n->angles.cosine = allocate(n, n->max_rows, 1, sizeof *n->angles.cosine);
    n->angles.sine = allocate(n, n->max_rows, 1, sizeof *n->angles.sine);
    for (int is_long = 0; is_long < 2; is_long++) {
        double inv_freq[MAX_ROTARY_PAIRS], scale;
        n->cosine[is_long] = allocate(n, n->max_rows, half, sizeof(real));
        n->sine[is_long] = allocate(n, n->max_rows, half, sizeof(real));
        if (!n->cosine[is_long] || !n->sine[is_long])
            return false;
        rope_frequencies(&n->shape.rope, is_long, inv_freq, &scale);
        for (size_t i = 0; i < n->max_rows * half; i++) {
            double angle = (double)(i / half) * inv_freq[i % half];
            n->cosine[is_long][i] = (real)(cos(angle) * scale);
            n->sine[is_long][i] = (real)(sin(angle) * scale);
        }
    }
    return n->angles.cosine && n->angles.sine;
}

static bool allocate_all(struct network *n, const struct network_options *options)
{
    for (size_t i = 0; i < n->shape.n_layers; i++)
        if (!allocate_layer(n, &n->layers[i]))
            return false;
    return allocate_scratch(n) && allocate_linear_space(n, options) && allocate_angles(n);
}

static enum status create_trained(struct network *n, struct error *err)
{
    enum status status = add_all(n, err);
    if (!status)
        status = parameters_allocate(&n->parameters, err);
    if (status)
        return status;
    set_initial_values(n);
    bind_all(n);
    return STATUS_OK;
}

static enum status create_adapted(struct network *n, const struct weights *base, struct error *err)
{
    struct cursor cursor = {.parameters = &n->parameters};
    enum status status = freeze_base(n, base, err);
    if (!status)
        status = visit_modules(n, add_adapter, NULL, err);
    if (!status)
        status = parameters_allocate(&n->parameters, err);
    return status ? status : visit_modules(n, bind_adapter, &cursor, err);
}

enum status network_create(const struct network_options *options, struct network **out,
                           struct error *err)
{
    const struct hyperparameters *s = options->shape;
    struct network *n = mem_alloc(sizeof *n);
    *out = NULL;
    if (!n)
        return error_memory(err, "a network");
    n->shape = *s;
    n->max_rows = options->max_rows;
    n->heads_dim = s->n_heads * s->head_dim;
    n->qkv_dim = n->heads_dim + 2 * s->n_kv_heads * s->head_dim;
    if (options->lora)
        n->lora = *options->lora;
    n->layers = mem_array(s->n_layers, sizeof *n->layers);
    const struct dense_kernels *kernels = dense_select(options->isa);
    enum status status =
        gemm_create(kernels, options->bf16 ? dense_select_bf16(options->isa) : &kernels->product,
                    options->pool, &n->gemm, err);
    if (!status && !n->layers)
        status = error_memory(err, "layers");
    if (!status)
        status = options->lora ? create_adapted(n, options->base, err) : create_trained(n, err);
    if (!status && !allocate_all(n, options))
        status = error_set(err, STATUS_MEMORY,
                           "out of memory for the activations of %zu rows; take fewer",
                           options->max_rows);
    if (status)
        network_free(n);
    else
        *out = n;
    return status;
}

static void free_all(void **blocks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        mem_free(blocks[i]);
}

void network_free(struct network *n)
{
    if (!n)
        return;
    for (size_t i = 0; n->layers && i < n->shape.n_layers; i++) {
        struct layer *l = &n->layers[i];
        free_all((void *[]){l->x, l->x_mid, l->inverse, l->inverse_mid, l->qkv_out, l->attended,
                            l->gate_up_out},
                 7);
    }
    free_all((void *[]){n->x, n->inverse, n->h, n->dh, n->dx, n->act, n->dact, n->wide,
                        n->dattended, n->attention_scratch, n->answers, n->danswers, n->logits,
                        n->answer_targets, n->answer_rows, n->nll},
             16);
    free_all((void *[]){n->cosine[0], n->cosine[1], n->sine[0], n->sine[1], n->angles.cosine,
                        n->angles.sine, n->space.band, n->space.row, n->space.low, n->space.dlow,
                        n->frozen, n->layers},
             12);
    parameters_free(&n->parameters);
    gemm_free(&n->gemm);
    mem_free(n);
}

struct parameters *network_parameters(struct network *network)
{
    return &network->parameters;
}

const struct gemm *network_gemm(const struct network *network)
{
    return &network->gemm;
}

size_t network_bytes(const struct network *n)
{
    return n->bytes + 2 * n->parameters.total * sizeof(real) + gemm_bytes(&n->gemm);
}

void network_initialise(struct network *network, uint64_t seed)
{
    parameters_initialise(&network->parameters, seed);
}

/* --- Loading --- */

static void load_matrix(const struct linear_space *space, const struct matrix *m, real *out)
{
    struct linear stored = stored_linear(m, 1);
    for (size_t row = 0; row < m->rows; row++)
        linear_row(space, &stored, row, out + row * m->cols);
}

static void load_vector(const float *values, size_t n, const real *to)
{
    real *at = (real *)(uintptr_t)to; /* a parameter: the network owns its values */
    freeze_vector(&at, values, n);
}

static void load_parts(const struct linear_space *space, const struct matrix *parts, size_t n_parts,
                       const struct linear *w)
{
    real *at = (real *)(uintptr_t)w->weight;
    for (size_t i = 0; i < n_parts; i++) {
        load_matrix(space, &parts[i], at);
        at += parts[i].rows * parts[i].cols;
    }
}

void network_load(struct network *n, const struct weights *weights, const struct kernels *kernels)
{
    const struct hyperparameters *s = &n->shape;
    size_t kv = s->n_kv_heads * s->head_dim;
    struct linear_space space = n->space;
    space.kernels = kernels;
    for (size_t i = 0; i < s->n_layers; i++) {
        const struct layer_weights *from = &weights->layers[i];
        struct layer *l = &n->layers[i];
        load_vector(from->attention_norm, s->dim, l->attention_norm);
        load_vector(from->ffn_norm, s->dim, l->ffn_norm);
        load_parts(&space, (struct matrix[]){from->q, from->k, from->v}, 3, &l->qkv);
        load_parts(&space, &from->o, 1, &l->o);
        load_parts(&space, (struct matrix[]){from->gate, from->up}, 2, &l->gate_up);
        load_parts(&space, &from->down, 1, &l->down);
        if (l->qkv.bias) {
            load_vector(from->q_bias, n->heads_dim, l->qkv.bias);
            load_vector(from->k_bias, kv, l->qkv.bias + n->heads_dim);
            load_vector(from->v_bias, kv, l->qkv.bias + n->heads_dim + kv);
        }
    }
    load_vector(weights->final_norm, s->dim, n->final_norm);
    load_parts(&space, &weights->embedding, 1, &n->embedding);
    if (!s->tied_embeddings)
        load_parts(&space, &weights->head, 1, &n->head);
}

/* --- Forward and backward --- */

static void set_angles(struct network *n, const struct batch *batch)
{
    const struct rope_parameters *rope = &n->shape.rope;
    for (size_t e = 0; e < batch->n_examples; e++) {
        size_t length = batch->starts[e + 1] - batch->starts[e];
        bool is_long = rope->kind == ROPE_LONGROPE && length > rope->original_context;
        for (size_t i = 0; i < length; i++) {
            n->angles.cosine[batch->starts[e] + i] = n->cosine[is_long] + i * n->angles.half;
            n->angles.sine[batch->starts[e] + i] = n->sine[is_long] + i * n->angles.half;
        }
    }
}

static struct attention layer_attention(const struct network *n, const struct batch *batch,
                                        const struct layer *l)
{
    const struct hyperparameters *s = &n->shape;
    size_t index = (size_t)(l - n->layers);
    return (struct attention){.n_heads = s->n_heads,
                              .n_kv_heads = s->n_kv_heads,
                              .head_dim = s->head_dim,
                              .window = index >= s->first_window_layer ? s->sliding_window : 0,
                              .n_examples = batch->n_examples,
                              .starts = batch->starts,
                              .scratch = n->attention_scratch};
}

static void attention_block_forward(struct network *n, const struct batch *batch, struct layer *l)
{
    const struct hyperparameters *s = &n->shape;
    struct attention a = layer_attention(n, batch, l);
    size_t rows = batch->n_rows;
    ops_rms_norm(&n->gemm, l->x, l->attention_norm, rows, s->dim, (real)s->rms_norm_eps, l->inverse,
                 n->h);
    linear_forward(&n->space, &l->qkv, n->h, rows, l->qkv_out);
    ops_rope(&n->gemm, &n->angles, l->qkv_out, rows, n->qkv_dim, s->n_heads + s->n_kv_heads,
             s->head_dim);
    attention_forward(&n->gemm, &a, l->qkv_out, l->attended);
    linear_forward(&n->space, &l->o, l->attended, rows, l->x_mid);
    ops_add(&n->gemm, l->x, rows * s->dim, l->x_mid);
}

/* n->dx: on entry the gradient of x_mid, on return that of x. */
static void attention_block_backward(struct network *n, const struct batch *batch, struct layer *l)
{
    const struct hyperparameters *s = &n->shape;
    struct attention a = layer_attention(n, batch, l);
    size_t rows = batch->n_rows;
    linear_backward(&n->space, &l->o, l->attended, n->dx, rows, n->dattended);
    attention_backward(&n->gemm, &a, l->qkv_out, n->dattended, n->wide);
    ops_rope_backward(&n->gemm, &n->angles, n->wide, rows, n->qkv_dim, s->n_heads + s->n_kv_heads,
                      s->head_dim);
    ops_rms_norm(&n->gemm, l->x, l->attention_norm, rows, s->dim, (real)s->rms_norm_eps, l->inverse,
                 n->h);
    linear_backward(&n->space, &l->qkv, n->h, n->wide, rows, n->dh);
    ops_rms_norm_backward(&n->gemm, l->x, l->attention_norm, l->inverse, n->dh, rows, s->dim, n->dx,
                          l->dattention_norm);
}

static void ffn_block_forward(struct network *n, const struct batch *batch, struct layer *l,
                              real *out)
{
    const struct hyperparameters *s = &n->shape;
    size_t rows = batch->n_rows;
    ops_rms_norm(&n->gemm, l->x_mid, l->ffn_norm, rows, s->dim, (real)s->rms_norm_eps,
                 l->inverse_mid, n->h);
    linear_forward(&n->space, &l->gate_up, n->h, rows, l->gate_up_out);
    ops_swiglu(&n->gemm, l->gate_up_out, rows, s->ffn_dim, n->act);
    linear_forward(&n->space, &l->down, n->act, rows, out);
    ops_add(&n->gemm, l->x_mid, rows * s->dim, out);
}

/* n->dx: on entry the gradient of the layer's output, on return that of x_mid. */
static void ffn_block_backward(struct network *n, const struct batch *batch, struct layer *l)
{
    const struct hyperparameters *s = &n->shape;
    size_t rows = batch->n_rows;
    ops_swiglu(&n->gemm, l->gate_up_out, rows, s->ffn_dim, n->act);
    linear_backward(&n->space, &l->down, n->act, n->dx, rows, n->dact);
    ops_swiglu_backward(&n->gemm, l->gate_up_out, n->dact, rows, s->ffn_dim, n->wide);
    ops_rms_norm(&n->gemm, l->x_mid, l->ffn_norm, rows, s->dim, (real)s->rms_norm_eps,
                 l->inverse_mid, n->h);
    linear_backward(&n->space, &l->gate_up, n->h, n->wide, rows, n->dh);
    ops_rms_norm_backward(&n->gemm, l->x_mid, l->ffn_norm, l->inverse_mid, n->dh, rows, s->dim,
                          n->dx, l->dffn_norm);
}

static void forward(struct network *n, const struct batch *batch)
{
    const struct hyperparameters *s = &n->shape;
    set_angles(n, batch);
    real *first = s->n_layers ? n->layers[0].x : n->x;
    for (size_t row = 0; row < batch->n_rows; row++)
        linear_row(&n->space, &n->embedding, (size_t)batch->tokens[row], first + row * s->dim);
    for (size_t i = 0; i < s->n_layers; i++) {
        attention_block_forward(n, batch, &n->layers[i]);
        ffn_block_forward(n, batch, &n->layers[i], i + 1 < s->n_layers ? n->layers[i + 1].x : n->x);
    }
    ops_rms_norm(&n->gemm, n->x, n->final_norm, batch->n_rows, s->dim, (real)s->rms_norm_eps,
                 n->inverse, n->h);
}

static void backward(struct network *n, const struct batch *batch)
{
    const struct hyperparameters *s = &n->shape;
    memset(n->dx, 0, batch->n_rows * s->dim * sizeof *n->dx);
    ops_rms_norm_backward(&n->gemm, n->x, n->final_norm, n->inverse, n->dh, batch->n_rows, s->dim,
                          n->dx, n->dfinal_norm);
    for (size_t i = s->n_layers; i-- > 0;) {
        ffn_block_backward(n, batch, &n->layers[i]);
        attention_block_backward(n, batch, &n->layers[i]);
    }
    if (n->embedding.dweight)
        ops_embedding_backward(&n->gemm, batch->tokens, n->dx, batch->n_rows, s->dim,
                               n->embedding.dweight);
}

/* Up to HEAD_ROWS learned rows from *row on: their numbers and targets; how many. */
static size_t next_answers(struct network *n, const struct batch *batch, size_t *row)
{
    size_t count = 0, dim = n->shape.dim;
    for (; *row < batch->n_rows && count < HEAD_ROWS; ++*row) {
        if (batch->targets[*row] == NOT_LEARNED)
            continue;
        memcpy(n->answers + count * dim, n->h + *row * dim, dim * sizeof *n->h);
        n->answer_targets[count] = batch->targets[*row];
        n->answer_rows[count++] = *row;
    }
    return count;
}

/* Logits and loss of the learned rows only, a few at a time; their gradient goes to n->dh. */
static double head(struct network *n, const struct batch *batch, double factor)
{
    size_t dim = n->shape.dim, count, row = 0;
    double sum = 0;
    if (factor != 0)
        memset(n->dh, 0, batch->n_rows * dim * sizeof *n->dh);
    while ((count = next_answers(n, batch, &row))) {
        linear_forward(&n->space, &n->head, n->answers, count, n->logits);
        ops_cross_entropy(&n->gemm, n->answer_targets, count, n->shape.vocab_size, (real)factor,
                          n->logits, n->nll);
        for (size_t i = 0; i < count; i++)
            sum += n->nll[i];
        if (factor == 0)
            continue;
        linear_backward(&n->space, &n->head, n->answers, n->logits, count, n->danswers);
        for (size_t i = 0; i < count; i++)
            memcpy(n->dh + n->answer_rows[i] * dim, n->danswers + i * dim, dim * sizeof *n->dh);
    }
    return sum;
}

double network_evaluate(struct network *network, const struct batch *batch)
{
    forward(network, batch);
    return head(network, batch, 0);
}

double network_train(struct network *network, const struct batch *batch, double factor)
{
    forward(network, batch);
    double nll = head(network, batch, factor);
    backward(network, batch);
    return nll;
}
