#include "quantize/importance.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

/* Rows of a pass; of each HEAD_EVERY the first is followed to the output matrix, which is by far
 * the largest: its inputs are alike, and all logits would take more memory than the model. */
enum { ROWS_PER_PASS = 256, HEAD_EVERY = 16 };

/* Inputs as columns less important than this part of the mean do not come out worse than that. */
static const double least_share = 1e-3;

struct importance {
    size_t n_layers;
    bool tied_embeddings;
    struct input_sums {
        double *squares; /* [cols] */
        float *weights;  /* [cols], once all rows were seen */
        size_t cols, n_rows;
    } * inputs; /* [n_layers * N_MODEL_INPUTS] */
    size_t n_tokens;
};

static struct input_sums *sums_of(const struct importance *importance, enum model_input input,
                                  size_t layer)
{
    return &importance->inputs[layer * N_MODEL_INPUTS + input];
}

/* A model_observer. */
static void add_rows(void *context, enum model_input input, size_t layer, const float *x,
                     size_t n_rows, size_t cols)
{
    struct importance *importance = context;
    struct input_sums *sums = sums_of(importance, input, layer);
    if (sums->cols != cols)
        return;
    sums->n_rows += n_rows;
    for (size_t r = 0; r < n_rows; r++, x += cols)
        for (size_t i = 0; i < cols; i++)
            sums->squares[i] += (double)x[i] * (double)x[i];
}

static enum status allocate(struct importance *importance, const struct hyperparameters *s,
                            struct error *err)
{
    const size_t cols[N_MODEL_INPUTS] = {[INPUT_QKV] = s->dim,
                                         [INPUT_O] = s->n_heads * s->head_dim,
                                         [INPUT_GATE_UP] = s->dim,
                                         [INPUT_DOWN] = s->ffn_dim,
                                         [INPUT_HEAD] = s->dim};
    size_t n;
    importance->inputs = size_multiply(s->n_layers, N_MODEL_INPUTS, &n)
                             ? mem_array(n, sizeof *importance->inputs)
                             : NULL;
    for (size_t i = 0; importance->inputs && i < n; i++) {
        struct input_sums *sums = &importance->inputs[i];
        sums->cols = cols[i % N_MODEL_INPUTS];
        sums->squares = mem_array(sums->cols, sizeof *sums->squares);
        sums->weights = mem_array(sums->cols, sizeof *sums->weights);
        if (!sums->squares || !sums->weights)
            return error_memory(err, "the importance of inputs");
    }
    return importance->inputs ? STATUS_OK : error_memory(err, "the importance of inputs");
}

/* Weights relative to their mean. */
static void summarise(struct importance *importance)
{
    for (size_t i = 0; i < importance->n_layers * N_MODEL_INPUTS; i++) {
        struct input_sums *sums = &importance->inputs[i];
        double total = 0;
        for (size_t c = 0; c < sums->cols; c++)
            total += sums->squares[c];
        double mean = total / (double)sums->cols;
        for (size_t c = 0; c < sums->cols; c++) {
            double share = mean > 0 ? sums->squares[c] / mean : 1;
            sums->weights[c] = (float)(share > least_share ? share : least_share);
        }
    }
}

/* --- Reading the text --- */

struct pass {
    struct model *model;
    struct kv_cache *cache;
    float *logits; /* [ROWS_PER_PASS / HEAD_EVERY, vocab_size] */
};

static enum status read_window(struct pass *p, const int32_t *ids, size_t n, struct error *err)
{
    struct row rows[ROWS_PER_PASS];
    enum status status = STATUS_OK;
    kv_truncate(p->cache, 0, 0);
    kv_set_rope_is_long(p->cache, 0, model_rope_is_long(p->model, n));
    if (!kv_reserve(p->cache, 0, n))
        return error_set(err, STATUS_LIMIT, "no room for a window of %zu tokens", n);
    for (size_t begin = 0, count; begin < n && !status; begin += count) {
        count = n - begin < ROWS_PER_PASS ? n - begin : ROWS_PER_PASS;
        for (size_t i = 0; i < count; i++)
            rows[i] = (struct row){.token = ids[begin + i],
                                   .position = (int32_t)(begin + i),
                                   .wants_logits = i % HEAD_EVERY == 0};
        status = model_forward(p->model, p->cache, rows, count, p->logits, err);
    }
    return status;
}

static enum status read_text(struct pass *p, const int32_t *ids, size_t n,
                             const struct importance_options *options,
                             struct importance *importance, struct error *err)
{
    size_t all = n / options->window + (n % options->window != 0);
    if (all > options->n_windows)
        all = options->n_windows;
    for (size_t w = 0; w < all; w++) {
        size_t at = w * options->window;
        size_t count = n - at < options->window ? n - at : options->window;
        if (options->progress)
            options->progress(options->context, w, all);
        if (options->cancel && atomic_load(options->cancel))
            return error_set(err, STATUS_CANCELLED, "stopped after %zu of %zu windows", w, all);
        enum status status = read_window(p, ids + at, count, err);
        if (status)
            return status;
        importance->n_tokens += count;
    }
    return STATUS_OK;
}

static enum status collect(struct model *model, const int32_t *ids, size_t n,
                           const struct importance_options *options, struct importance *importance,
                           struct error *err)
{
    struct pass p = {.model = model};
    struct kv_options kv = {.type = TYPE_F16, .n_positions = options->window, .n_sequences = 1};
    enum status status = kv_cache_create(model_shape(model), &kv, &p.cache, err);
    if (status)
        return status;
    p.logits =
        mem_array(model_shape(model)->vocab_size, ROWS_PER_PASS / HEAD_EVERY * sizeof *p.logits);
    status = p.logits ? allocate(importance, model_shape(model), err) : error_memory(err, "logits");
    if (!status) {
        model_observe(model, add_rows, importance);
        status = read_text(&p, ids, n, options, importance, err);
        model_observe(model, NULL, NULL);
    }
    if (!status)
        summarise(importance);
    mem_free(p.logits);
    kv_cache_free(p.cache);
    return status;
}

enum status importance_collect(struct model *model, const int32_t *ids, size_t n,
                               const struct importance_options *options, struct importance **out,
                               struct error *err)
{
    *out = NULL;
    if (!n || !options->window || !options->n_windows)
        return error_set(err, STATUS_INVALID, "the text to calibrate with has no tokens");
    struct importance *importance = mem_alloc(sizeof *importance);
    if (!importance)
        return error_memory(err, "the importance of inputs");
    importance->n_layers = model_shape(model)->n_layers;
    importance->tied_embeddings = model_shape(model)->tied_embeddings;
    enum status status = collect(model, ids, n, options, importance, err);
    if (status)
        importance_free(importance);
    else
        *out = importance;
    return status;
}

void importance_free(struct importance *importance)
{
    if (!importance)
        return;
    for (size_t i = 0; importance->inputs && i < importance->n_layers * N_MODEL_INPUTS; i++) {
        mem_free(importance->inputs[i].squares);
        mem_free(importance->inputs[i].weights);
    }
    mem_free(importance->inputs);
    mem_free(importance);
}

size_t importance_tokens(const struct importance *importance)
{
    return importance->n_tokens;
}

/* --- Looking up --- */

static bool find_input(const struct importance *importance, const char *name,
                       enum model_input *input, size_t *layer)
{
    static const struct {
        const char *module;
        enum model_input input;
    } modules[] = {
        {"self_attn.q_proj.weight", INPUT_QKV}, {"self_attn.k_proj.weight", INPUT_QKV},
        {"self_attn.v_proj.weight", INPUT_QKV}, {"self_attn.qkv_proj.weight", INPUT_QKV},
        {"self_attn.o_proj.weight", INPUT_O},   {"mlp.gate_proj.weight", INPUT_GATE_UP},
        {"mlp.up_proj.weight", INPUT_GATE_UP},  {"mlp.gate_up_proj.weight", INPUT_GATE_UP},
        {"mlp.down_proj.weight", INPUT_DOWN}};
    int used = 0;
    *input = INPUT_HEAD;
    *layer = 0;
    if (sscanf(name, "model.layers.%5zu.%n", layer, &used) != 1 || !used)
        return !strcmp(name, importance->tied_embeddings ? "model.embed_tokens.weight"
                                                         : "lm_head.weight");
    for (size_t i = 0; i < sizeof modules / sizeof *modules; i++) {
        if (!strcmp(name + used, modules[i].module)) {
            *input = modules[i].input;
            return *layer < importance->n_layers;
        }
    }
    return false;
}

const float *importance_of(void *context, const char *name, size_t cols)
{
    const struct importance *importance = context;
    enum model_input input;
    size_t layer;
    if (!find_input(importance, name, &input, &layer))
        return NULL;
    const struct input_sums *sums = sums_of(importance, input, layer);
    return sums->cols == cols && sums->n_rows ? sums->weights : NULL;
}
