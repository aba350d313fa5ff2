#include "model/model.h"
#include "base/memory.h"
#include "base/strbuf.h"
#include "model/model_internal.h"
#include "model/rope.h"

#include <stdint.h>
#include <string.h>

enum { DEFAULT_MAX_ROWS = 512 };

/* --- Scratch --- */

static size_t round_up(size_t n)
{
    return (n + 15) / 16 * 16;
}

/* Gives each array of `floats` per row its place; false on overflow. */
static bool place(size_t *total, size_t max_rows, size_t floats, size_t *offset)
{
    size_t n;
    *offset = *total;
    return size_multiply(max_rows, floats, &n) && n < SIZE_MAX / 8 &&
           size_add(*total, round_up(n), total);
}

static enum status allocate_scratch(struct model *model, struct error *err)
{
    const struct hyperparameters *s = model->shape;
    struct scratch *scratch = &model->scratch;
    size_t q = s->n_heads * s->head_dim, kv = s->n_kv_heads * s->head_dim;
    size_t half = s->rope.rotary_dim / 2;
    struct {
        float **target;
        size_t floats, offset;
    } parts[] = {
        {&scratch->whole.x, s->dim, 0},
        {&scratch->in_parts.x, s->dim, 0},
        {&scratch->h, s->dim, 0},
        {&scratch->q, q, 0},
        {&scratch->k, kv, 0},
        {&scratch->v, kv, 0},
        {&scratch->attended, q, 0},
        {&scratch->gated, s->ffn_dim, 0},
        {&scratch->whole.cosine, half, 0},
        {&scratch->whole.sine, half, 0},
        {&scratch->in_parts.cosine, half, 0},
        {&scratch->in_parts.sine, half, 0},
        {&scratch->low[0], model->adapters.rank, 0},
        {&scratch->low[1], model->adapters.rank, 0},
        {&scratch->low[2], model->adapters.rank, 0},
    };
    size_t total = 0, n_parts = sizeof parts / sizeof parts[0];
    bool fits = true;
    for (size_t i = 0; i < n_parts; i++)
        fits = fits && place(&total, model->max_rows, parts[i].floats, &parts[i].offset);
    fits = fits && size_multiply(total, sizeof(float), &scratch->bytes);
    if (!fits || !(scratch->memory = mem_map(scratch->bytes)))
        return error_memory(err, "the activations");
    for (size_t i = 0; i < n_parts; i++)
        *parts[i].target = scratch->memory + parts[i].offset;
    scratch->whole.wanted = mem_array(model->max_rows, sizeof(struct row));
    scratch->in_parts.wanted = mem_array(model->max_rows, sizeof(struct row));
    if (!scratch->whole.wanted || !scratch->in_parts.wanted)
        return error_memory(err, "the rows of a pass");
    return STATUS_OK;
}

/* --- Opening --- */

/* Columns of the matrices, `down` aside. */
static size_t widest_input(const struct hyperparameters *s)
{
    size_t q = s->n_heads * s->head_dim;
    return size_max(s->dim, q);
}

static size_t widest_matrix(const struct hyperparameters *s, size_t adapter_rank)
{
    return size_max(size_max(widest_input(s), s->ffn_dim), adapter_rank);
}

/* The last part of a folder's path, whether or not it ends with slashes. */
static void add_folder_name(struct strbuf *out, const char *path)
{
    size_t end = strlen(path), begin;
    while (end > 1 && path[end - 1] == '/')
        end--;
    for (begin = end; begin && path[begin - 1] != '/'; begin--)
        ;
    strbuf_append(out, path + begin, end - begin);
}

/* The checkpoint's name with what was added to it: reports tell a base from its adapted self. */
static enum status compose_name(struct model *model, const struct model_options *options,
                                struct error *err)
{
    struct strbuf name = {0};
    strbuf_add(&name, checkpoint_name(model->checkpoint));
    if (options->quantize)
        strbuf_printf(&name, " (%s)", options->quantize->name);
    for (size_t i = 0; i < options->n_adapters; i++) {
        strbuf_add(&name, " + ");
        add_folder_name(&name, options->adapters[i].path);
        if (options->adapters[i].weight != 1)
            strbuf_printf(&name, "=%g", options->adapters[i].weight);
    }
    model->name = strbuf_take(&name);
    return model->name ? STATUS_OK : error_memory(err, "a model's name");
}

static enum status set_up(struct model *model, const char *path,
                          const struct model_options *options, struct error *err)
{
    enum status status = checkpoint_open(path, &model->checkpoint, err);
    if (status)
        return status;
    model->shape = checkpoint_hyperparameters(model->checkpoint);
    model->max_rows = options->max_rows ? options->max_rows : DEFAULT_MAX_ROWS;
    status = compose_name(model, options, err);
    if (!status)
        status = adapters_load(options->adapters, options->n_adapters, model->checkpoint,
                               &model->adapters, err);
    if (!status)
        status =
            compute_create(options->isa, options->pool, options->n_threads, model->max_rows,
                           widest_matrix(model->shape, model->adapters.rank), &model->compute, err);
    if (!status && options->quantize)
        status = quantized_weights_make(model->checkpoint, options->quantize, &model->compute,
                                        &model->quantized, err);
    if (status)
        return status;
    status = weights_bind(model->checkpoint, model->compute.kernels, &model->weights, err);
    if (status)
        return status;
    status = weights_pack(model->checkpoint, &model->weights, model->shape->n_layers,
                          &model->compute, model->quantized.memory, err);
    if (!status)
        status = activations_create(model->max_rows, widest_input(model->shape),
                                    &model->activations, err);
    if (!status)
        status = activations_create(model->max_rows, model->shape->ffn_dim, &model->gated, err);
    if (status)
        return status;
    for (int is_long = 0; is_long < 2; is_long++)
        rope_frequencies(&model->shape->rope, is_long, model->inv_freq[is_long],
                         &model->rope_scale[is_long]);
    status = allocate_scratch(model, err);
    return status ? status : attention_allocate(model, err);
}

enum status model_open(const char *path, const struct model_options *options, struct model **out,
                       struct error *err)
{
    static const struct model_options defaults;
    *out = NULL;
    struct model *model = mem_alloc(sizeof *model);
    if (!model)
        return error_memory(err, "a model");
    enum status status = set_up(model, path, options ? options : &defaults, err);
    if (status)
        model_close(model);
    else
        *out = model;
    return status;
}

void model_close(struct model *model)
{
    if (!model)
        return;
    mem_unmap(model->scratch.memory, model->scratch.bytes);
    mem_free(model->scratch.whole.wanted);
    mem_free(model->scratch.in_parts.wanted);
    attention_free(model);
    activations_free(&model->activations);
    activations_free(&model->gated);
    weights_free(&model->weights);
    adapters_free(&model->adapters);
    mem_free(model->name);
    compute_free(&model->compute);
    checkpoint_close(model->checkpoint);
    quantized_weights_free(&model->quantized);
    mem_free(model);
}

void model_observe(struct model *model, model_observer *observe, void *context)
{
    model->observe = observe;
    model->observe_context = context;
}

/* --- What it is --- */

bool model_rope_is_long(const struct model *model, size_t length)
{
    const struct rope_parameters *rope = &model->shape->rope;
    return rope->kind == ROPE_LONGROPE && length > rope->original_context;
}

const struct hyperparameters *model_shape(const struct model *model)
{
    return model->shape;
}

const struct generation_defaults *model_generation(const struct model *model)
{
    return checkpoint_generation(model->checkpoint);
}

const struct vocab_source *model_vocab(const struct model *model)
{
    return checkpoint_vocab(model->checkpoint);
}

const char *model_path(const struct model *model)
{
    return checkpoint_path(model->checkpoint);
}

const char *model_name(const struct model *model)
{
    return model->name;
}

const char *model_weight_type(const struct model *model)
{
    size_t bytes[TYPE_COUNT] = {0}, most = 0;
    for (size_t i = 0; i < checkpoint_tensor_count(model->checkpoint); i++) {
        const struct tensor *tensor = checkpoint_tensor_at(model->checkpoint, i);
        bytes[tensor->type] += tensor->bytes;
    }
    for (size_t type = 0; type < TYPE_COUNT; type++)
        if (bytes[type] > bytes[most])
            most = type;
    return tensor_type_info((enum tensor_type)most)->name;
}

const char *model_isa(const struct model *model)
{
    return model->compute.kernels->name;
}

size_t model_threads(const struct model *model)
{
    return thread_pool_size(model->compute.pool);
}

struct thread_pool *model_pool(const struct model *model)
{
    return model->compute.pool;
}

size_t model_max_rows(const struct model *model)
{
    return model->max_rows;
}

size_t model_file_count(const struct model *model)
{
    return checkpoint_file_count(model->checkpoint) + model->adapters.n_files;
}

const char *model_file(const struct model *model, size_t index, size_t *bytes)
{
    size_t n = checkpoint_file_count(model->checkpoint);
    if (index < n)
        return checkpoint_file(model->checkpoint, index, bytes);
    if (bytes)
        *bytes = model->adapters.files[index - n].bytes;
    return model->adapters.files[index - n].path;
}

size_t model_weight_bytes(const struct model *model)
{
    size_t total = 0;
    for (size_t i = 0; i < checkpoint_tensor_count(model->checkpoint); i++)
        total += checkpoint_tensor_at(model->checkpoint, i)->bytes;
    return total;
}

size_t model_parameters(const struct model *model)
{
    return model->weights.n_parameters;
}

size_t model_scratch_bytes(const struct model *model)
{
    return model->scratch.bytes + model->attention.bytes + model->activations.bytes +
           model->gated.bytes + model->compute.scratch_bytes;
}

/* Of the last layer, keys and values aside. */
static double wanted_operations(const struct model *model)
{
    const struct layer_weights *w = &model->weights.layers[model->shape->n_layers - 1];
    const struct matrix *of_wanted[] = {&w->q, &w->o, &w->gate, &w->up, &w->down};
    double n = 0;
    for (size_t i = 0; i < sizeof of_wanted / sizeof *of_wanted; i++)
        n += 2 * (double)of_wanted[i]->rows * (double)of_wanted[i]->cols;
    return n;
}

struct pass_cost model_pass_cost(const struct model *model)
{
    const struct weights *w = &model->weights;
    const struct matrix *down = &w->layers[0].down;
    size_t n, bytes;
    weights_of_layers(w, model->shape->n_layers, &model->compute, &n, &bytes);
    return (struct pass_cost){.weight_bytes = bytes + weights_read_bytes(&w->head, &model->compute),
                              .row_operations = 2 * (double)n,
                              .wanted_operations = wanted_operations(model),
                              .logits_operations = 2 * (double)w->head.rows * (double)w->head.cols,
                              .integer = model->compute.quant && quant_supports(down->type)};
}

enum status model_reading_rate(const struct model *model, double *rate, struct error *err)
{
    size_t n_layers = model->shape->n_layers;
    struct memory_run *runs = mem_array(n_layers * MATRICES_OF_LAYER + 1, sizeof *runs);
    if (!runs)
        return error_memory(err, "the list of a model's weights");
    *rate =
        limits_of_reading(model->compute.pool, runs, weights_runs(&model->weights, n_layers, runs));
    mem_free(runs);
    return STATUS_OK;
}
