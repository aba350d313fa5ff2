#include "kernels/convert.h"
#include "base/memory.h"

#include <float.h>
#include <math.h>
#include <stdatomic.h>

static bool is_k(enum tensor_type type)
{
    return type == TYPE_Q4_K || type == TYPE_Q5_K || type == TYPE_Q6_K;
}

bool convert_weighs(enum tensor_type type)
{
    return is_k(type) || type == TYPE_Q4_0 || type == TYPE_Q4_1 || type == TYPE_Q5_0 ||
           type == TYPE_Q5_1;
}

void convert_encode(const struct kernels *kernels, enum tensor_type type, const float *row,
                    const float *importance, void *out, size_t n)
{
    if (is_k(type) || (importance && convert_weighs(type)))
        kernels->fit_row(type, row, importance, out, n);
    else
        kernels->quantize[type](row, out, n);
}

struct job {
    const struct converter *converter;
    const struct conversion *conversion;
    size_t source_row_bytes, target_row_bytes;
    atomic_bool failed; /* a value does not fit */
};

/* What the type can hold: beyond it, F16 rounds to infinity. */
static float largest_value(enum tensor_type type)
{
    return type == TYPE_F16 ? 65519.996F : FLT_MAX;
}

static bool all_fit(const float *row, size_t n, enum tensor_type type)
{
    float most = largest_value(type);
    bool fit = true;
    for (size_t i = 0; i < n; i++)
        fit &= fabsf(row[i]) <= most; /* false for a NaN too */
    return fit;
}

static void convert_share(void *context, size_t thread, size_t n_threads)
{
    struct job *job = context;
    const struct conversion *c = job->conversion;
    size_t begin, end;
    thread_share(c->n_rows, 1, thread, n_threads, &begin, &end);
    float *row = job->converter->rows + thread * job->converter->capacity;
    for (size_t r = begin; r < end; r++) {
        job->converter->kernels->dequantize[c->from](
            (const char *)c->source + r * job->source_row_bytes, row, c->cols);
        if (!all_fit(row, c->cols, c->to))
            atomic_store(&job->failed, true);
        convert_encode(job->converter->kernels, c->to, row, c->importance,
                       (char *)c->target + r * job->target_row_bytes, c->cols);
    }
}

static enum status make_room(struct converter *converter, size_t cols, struct error *err)
{
    size_t n_threads = converter->pool ? thread_pool_size(converter->pool) : 1, floats;
    if (cols <= converter->capacity)
        return STATUS_OK;
    mem_free(converter->rows);
    converter->rows =
        size_multiply(n_threads, cols, &floats) ? mem_array(floats, sizeof *converter->rows) : NULL;
    converter->capacity = converter->rows ? cols : 0;
    return converter->rows ? STATUS_OK : error_memory(err, "rows to convert");
}

/* Names the first value that does not fit. */
static enum status refuse_values(const struct converter *converter,
                                 const struct conversion *conversion, const struct job *job,
                                 struct error *err)
{
    float *row = converter->rows;
    for (size_t r = 0; r < conversion->n_rows; r++) {
        converter->kernels->dequantize[conversion->from](
            (const char *)conversion->source + r * job->source_row_bytes, row, conversion->cols);
        for (size_t i = 0; i < conversion->cols; i++)
            if (!all_fit(row + i, 1, conversion->to))
                return error_set(err, STATUS_INVALID,
                                 "element %zu of a row is %g, which %s cannot hold: the checkpoint "
                                 "is damaged, or made for a wider type",
                                 i, (double)row[i], tensor_type_info(conversion->to)->name);
    }
    return STATUS_OK;
}

enum status convert_rows(struct converter *converter, const struct conversion *conversion,
                         struct error *err)
{
    struct job job = {.converter = converter, .conversion = conversion};
    enum status status = make_room(converter, conversion->cols, err);
    if (status)
        return status;
    if (!tensor_type_bytes(conversion->from, conversion->cols, &job.source_row_bytes) ||
        !tensor_type_bytes(conversion->to, conversion->cols, &job.target_row_bytes))
        return error_set(err, STATUS_UNSUPPORTED,
                         "rows of %zu elements are no whole number of blocks of %s and %s",
                         conversion->cols, tensor_type_info(conversion->from)->name,
                         tensor_type_info(conversion->to)->name);
    thread_pool_run(converter->pool, convert_share, &job);
    return atomic_load(&job.failed) ? refuse_values(converter, conversion, &job, err) : STATUS_OK;
}

void converter_free(struct converter *converter)
{
    mem_free(converter->rows);
    *converter = (struct converter){0};
}
