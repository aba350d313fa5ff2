#include "quantize/quantize.h"
#include "base/memory.h"
#include "base/thread_pool.h"
#include "formats/gguf_export.h"
#include "kernels/kernels.h"
#include "quantize/k_quants.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { CHUNK_FLOATS = 4 << 20 };

/* --- Recipes --- */

struct recipe {
    const char *name;
    enum tensor_type base;      /* of most matrices */
    enum tensor_type fused_qkv; /* of Phi-3's fused attention matrix */
    bool is_mixture;            /* sensitive matrices get Q6_K */
};

static const struct recipe recipes[] = {
    {"F32", TYPE_F32, TYPE_F32, false},     {"F16", TYPE_F16, TYPE_F16, false},
    {"BF16", TYPE_BF16, TYPE_BF16, false},  {"Q8_0", TYPE_Q8_0, TYPE_Q8_0, false},
    {"Q4_0", TYPE_Q4_0, TYPE_Q4_0, false},  {"Q4_1", TYPE_Q4_1, TYPE_Q4_1, false},
    {"Q5_0", TYPE_Q5_0, TYPE_Q5_0, false},  {"Q5_1", TYPE_Q5_1, TYPE_Q5_1, false},
    {"Q4_K_M", TYPE_Q4_K, TYPE_Q5_K, true}, {"Q5_K_M", TYPE_Q5_K, TYPE_Q6_K, true},
    {"Q6_K", TYPE_Q6_K, TYPE_Q6_K, false},
};
enum { N_RECIPES = sizeof recipes / sizeof recipes[0] };

const char *quantize_recipes(void)
{
    return "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K_M, Q5_K_M, Q6_K";
}

static const struct recipe *find_recipe(const char *name)
{
    for (size_t i = 0; i < N_RECIPES; i++)
        if (!strcasecmp(recipes[i].name, name))
            return &recipes[i];
    return NULL;
}

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n >= m && !strcmp(name + n - m, end);
}

/* The first and the last eighth of the layers, and every third between. */
static bool is_sensitive_layer(const char *name, size_t n_layers)
{
    size_t layer;
    if (sscanf(name, "model.layers.%zu.", &layer) != 1)
        return false;
    return layer < n_layers / 8 || layer >= 7 * n_layers / 8 || (layer - n_layers / 8) % 3 == 2;
}

static enum tensor_type mixture_type(const struct recipe *recipe,
                                     const struct hyperparameters *shape, const char *name)
{
    if (!strcmp(name, "lm_head.weight") ||
        (shape->tied_embeddings && !strcmp(name, "model.embed_tokens.weight")))
        return TYPE_Q6_K;
    if (ends_with(name, "self_attn.qkv_proj.weight"))
        return recipe->fused_qkv;
    if ((ends_with(name, "self_attn.v_proj.weight") || ends_with(name, "mlp.down_proj.weight")) &&
        is_sensitive_layer(name, shape->n_layers))
        return TYPE_Q6_K;
    return recipe->base;
}

/* The nearest type whose blocks fit rows of n elements. */
static enum tensor_type fitting_type(enum tensor_type type, size_t n)
{
    if (n % tensor_type_info(type)->block_length == 0)
        return type;
    if (n % 32)
        return TYPE_F16;
    return type == TYPE_Q4_K ? TYPE_Q5_0 : type == TYPE_Q5_K ? TYPE_Q5_1 : TYPE_Q8_0;
}

static enum tensor_type recipe_type(const struct recipe *recipe,
                                    const struct hyperparameters *shape,
                                    const struct tensor *tensor)
{
    enum tensor_type type =
        recipe->is_mixture ? mixture_type(recipe, shape, tensor->name) : recipe->base;
    return fitting_type(type, tensor->shape[tensor->n_dims - 1]);
}

bool quantize_recipe_type(const char *recipe, const struct hyperparameters *shape,
                          const struct tensor *tensor, enum tensor_type *type)
{
    const struct recipe *found = find_recipe(recipe);
    if (found)
        *type = recipe_type(found, shape, tensor);
    return found;
}

/* --- Converting --- */

struct job {
    const struct recipe *recipe;
    const struct hyperparameters *shape;
    const struct kernels *kernels;
    const struct quantize_options *options;
    struct thread_pool *pool;
    char *out;         /* [CHUNK_FLOATS * 4 bytes] encoded rows */
    float *rows;       /* [n_threads * cols] one decoded row per thread */
    size_t row_floats; /* room of one */
    size_t done_bytes, all_bytes;

    /* What the threads are at. */
    const struct tensor *tensor;
    enum tensor_type type;
    const float *importance;
    size_t cols, first_row, n_rows, row_bytes, source_row_bytes;
};

static void convert_rows(void *context, size_t thread, size_t n_threads)
{
    const struct job *job = context;
    size_t begin, end;
    thread_share(job->n_rows, 1, thread, n_threads, &begin, &end);
    float *row = job->rows + thread * job->row_floats;
    for (size_t r = begin; r < end; r++) {
        const char *source = job->tensor->data;
        source += (job->first_row + r) * job->source_row_bytes;
        job->kernels->dequantize[job->tensor->type](source, row, job->cols);
        char *target = job->out + r * job->row_bytes;
        if (quantize_is_k(job->type))
            quantize_k_row(job->type, row, job->importance, target, job->cols);
        else
            job->kernels->quantize[job->type](row, target, job->cols);
    }
}

static enum status make_room(struct job *job, struct error *err)
{
    if (job->cols <= job->row_floats)
        return STATUS_OK;
    mem_free(job->rows);
    job->row_floats = job->cols;
    job->rows = mem_array(thread_pool_size(job->pool), job->cols * sizeof *job->rows);
    return job->rows ? STATUS_OK : error_memory(err, "rows to quantize");
}

static enum status write_chunks(struct job *job, struct gguf_writer *w, size_t n_rows,
                                struct error *err)
{
    size_t most = CHUNK_FLOATS / job->cols;
    const struct quantize_options *options = job->options;
    for (size_t first = 0; first < n_rows; first += job->n_rows) {
        if (options->cancel && atomic_load(options->cancel))
            return error_set(err, STATUS_CANCELLED, "stopped; nothing was written");
        job->first_row = first;
        job->n_rows = n_rows - first < most ? n_rows - first : most;
        thread_pool_run(job->pool, convert_rows, job);
        enum status status = gguf_write_data(w, job->out, job->n_rows * job->row_bytes, err);
        if (status)
            return status;
        job->done_bytes += job->n_rows * job->source_row_bytes;
        if (options->progress)
            options->progress(options->context, job->done_bytes, job->all_bytes, job->tensor->name);
    }
    return STATUS_OK;
}

static enum status write_tensor(void *context, struct gguf_writer *w, const struct tensor *tensor,
                                enum tensor_type type, struct error *err)
{
    struct job *job = context;
    size_t n_rows = 1;
    for (size_t i = 0; i + 1 < tensor->n_dims; i++)
        n_rows *= tensor->shape[i];
    job->tensor = tensor;
    job->type = type;
    job->cols = tensor->shape[tensor->n_dims - 1];
    if (!n_rows || !job->cols)
        return STATUS_OK;
    if (job->cols > CHUNK_FLOATS)
        return error_set(err, STATUS_UNSUPPORTED,
                         "%s: the rows of %s have %zu elements, more "
                         "than %d",
                         tensor->file, tensor->name, job->cols, CHUNK_FLOATS);
    tensor_type_bytes(type, job->cols, &job->row_bytes);
    job->source_row_bytes = tensor->bytes / n_rows;
    job->importance = job->options->importance
                          ? job->options->importance(job->options->context, tensor->name, job->cols)
                          : NULL;
    enum status status = make_room(job, err);
    return status ? status : write_chunks(job, w, n_rows, err);
}

static enum tensor_type target_type(void *context, const struct tensor *tensor)
{
    const struct job *job = context;
    return recipe_type(job->recipe, job->shape, tensor);
}

/* Bytes that pass through write_tensor(). */
static size_t bytes_to_convert(const struct checkpoint *cp, const struct job *job)
{
    size_t total = 0;
    for (size_t i = 0; i < checkpoint_tensor_count(cp); i++) {
        const struct tensor *t = checkpoint_tensor_at(cp, i);
        if (t->n_dims > 1 && recipe_type(job->recipe, job->shape, t) != t->type)
            total += t->bytes;
    }
    return total;
}

enum status quantize_checkpoint(const struct checkpoint *cp, const char *path, const char *recipe,
                                const struct quantize_options *options, struct error *err)
{
    static const struct quantize_options defaults;
    struct job job = {.recipe = find_recipe(recipe),
                      .options = options ? options : &defaults,
                      .shape = checkpoint_hyperparameters(cp)};
    if (!job.recipe)
        return error_set(err, STATUS_INVALID, "there is no type \"%s\"; there are: %s", recipe,
                         quantize_recipes());
    if (!job.shape)
        return error_set(err, STATUS_INVALID,
                         "%s holds a vocabulary alone; there is nothing to "
                         "quantize",
                         checkpoint_path(cp));
    enum status status = kernels_select(NULL, &job.kernels, err);
    if (!status)
        status = thread_pool_create(job.options->n_threads, &job.pool, err);
    if (!status && !(job.out = mem_array(CHUNK_FLOATS, sizeof(float))))
        status = error_memory(err, "quantized rows");
    job.all_bytes = bytes_to_convert(cp, &job);
    struct gguf_conversion conversion = {target_type, write_tensor, &job};
    if (!status)
        status = checkpoint_convert_gguf(cp, path, &conversion, err);
    mem_free(job.out);
    mem_free(job.rows);
    thread_pool_free(job.pool);
    return status;
}
