#include "quantize/quantize.h"
#include "base/memory.h"
#include "base/thread_pool.h"
#include "formats/gguf_export.h"
#include "formats/recipe.h"
#include "kernels/convert.h"
#include "quantize/folder.h"

enum { CHUNK_FLOATS = 4 << 20 };

struct job {
    const struct recipe *recipe;
    const struct hyperparameters *shape;
    const struct quantize_options *options;
    struct converter converter;
    char *out; /* [CHUNK_FLOATS * 4 bytes] encoded rows */
    size_t done_bytes, all_bytes;
};

/* All rows, as many at a time as `out` holds; c says how, from the first row on. */
static enum status write_chunks(struct job *job, struct gguf_writer *w, const struct tensor *tensor,
                                struct conversion *c, struct error *err)
{
    size_t most = CHUNK_FLOATS / c->cols, left = c->n_rows, row_bytes;
    size_t source_row_bytes = tensor->bytes / c->n_rows;
    const struct quantize_options *options = job->options;
    tensor_type_bytes(c->to, c->cols, &row_bytes);
    for (; left; left -= c->n_rows) {
        if (options->cancel && atomic_load(options->cancel))
            return error_set(err, STATUS_CANCELLED, "stopped; nothing was written");
        c->n_rows = size_min(left, most);
        enum status status = convert_rows(&job->converter, c, err);
        if (status)
            return error_prefix(err, "%s: tensor %s", tensor->file, tensor->name);
        status = gguf_write_data(w, job->out, c->n_rows * row_bytes, err);
        if (status)
            return status;
        c->source = (const char *)c->source + c->n_rows * source_row_bytes;
        job->done_bytes += c->n_rows * source_row_bytes;
        if (options->progress)
            options->progress(options->context, job->done_bytes, job->all_bytes, tensor->name);
    }
    return STATUS_OK;
}

static enum status write_tensor(void *context, struct gguf_writer *w, const struct tensor *tensor,
                                enum tensor_type type, struct error *err)
{
    struct job *job = context;
    const struct quantize_options *options = job->options;
    struct conversion c = {.from = tensor->type,
                           .to = type,
                           .source = tensor->data,
                           .target = job->out,
                           .n_rows = 1,
                           .cols = tensor->shape[tensor->n_dims - 1]};
    for (size_t i = 0; i + 1 < tensor->n_dims; i++)
        c.n_rows *= tensor->shape[i];
    if (!c.n_rows || !c.cols)
        return STATUS_OK;
    if (c.cols > CHUNK_FLOATS)
        return error_set(err, STATUS_UNSUPPORTED,
                         "%s: the rows of %s have %zu elements, more "
                         "than %d",
                         tensor->file, tensor->name, c.cols, CHUNK_FLOATS);
    if (options->importance)
        c.importance = options->importance(options->importance_context, tensor->name, c.cols);
    return write_chunks(job, w, tensor, &c, err);
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

static enum status write_file(const struct checkpoint *cp, const char *path,
                              const struct recipe *recipe, const struct quantize_options *options,
                              struct error *err)
{
    struct job job = {
        .recipe = recipe, .options = options, .shape = checkpoint_hyperparameters(cp)};
    enum status status = kernels_select(NULL, &job.converter.kernels, err);
    if (!status)
        status = thread_pool_create(options->n_threads, &job.converter.pool, err);
    if (!status && !(job.out = mem_array(CHUNK_FLOATS, sizeof(float))))
        status = error_memory(err, "quantized rows");
    job.all_bytes = bytes_to_convert(cp, &job);
    struct gguf_conversion conversion = {target_type, write_tensor, recipe->file_type, &job};
    if (!status)
        status = checkpoint_convert_gguf(cp, path, &conversion, err);
    mem_free(job.out);
    thread_pool_free(job.converter.pool);
    converter_free(&job.converter);
    return status;
}

enum status quantize_checkpoint(const struct checkpoint *cp, const char *path,
                                const struct recipe *recipe, const struct quantize_options *options,
                                struct error *err)
{
    static const struct quantize_options defaults;
    if (!checkpoint_hyperparameters(cp))
        return error_set(err, STATUS_INVALID,
                         "%s holds a vocabulary alone; there is nothing to "
                         "quantize",
                         checkpoint_path(cp));
    return (recipe_is_folder(recipe) ? quantize_folder : write_file)(
        cp, path, recipe, options ? options : &defaults, err);
}
