#include "formats/safetensors_write.h"
#include "base/file.h"
#include "base/memory.h"
#include "kernels/half.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum { CHUNK_ELEMENTS = 1 << 18 };

struct writer {
    FILE *file;
    const char *path;
    safetensors_source *source;
    void *context;
    float *values; /* a chunk; at least one row */
    size_t capacity;
    struct error *err;
};

static size_t row_elements(const struct tensor_plan *t)
{
    size_t n = 1;
    for (size_t i = 1; i < t->n_dims; i++)
        n *= t->shape[i];
    return n;
}

static size_t n_rows(const struct tensor_plan *t)
{
    return t->n_dims ? t->shape[0] : 1;
}

static bool is_bytes(enum tensor_type type)
{
    return type >= TYPE_COUNT;
}

static size_t element_bytes(enum tensor_type type)
{
    return is_bytes(type) ? 1 : tensor_type_info(type)->block_bytes;
}

static const char *type_name(enum tensor_type type)
{
    if (is_bytes(type))
        return (int)type == SAFETENSORS_I8 ? "I8" : "U8";
    return tensor_type_info(type)->name;
}

static json_t *tensor_entry(const struct tensor_plan *t, size_t *offset)
{
    json_t *shape = json_array(), *entry;
    size_t end = *offset + n_rows(t) * row_elements(t) * element_bytes(t->type);
    for (size_t i = 0; i < t->n_dims; i++)
        json_array_append_new(shape, json_integer((json_int_t)t->shape[i]));
    entry = json_pack("{s:s, s:o, s:[I, I]}", "dtype", type_name(t->type), "shape", shape,
                      "data_offsets", (json_int_t)*offset, (json_int_t)end);
    *offset = end;
    return entry;
}

/* The length and the JSON header, padded with blanks so that the data is aligned. */
static enum status write_header(struct writer *w, const struct tensor_plan *tensors, size_t n,
                                const json_t *metadata)
{
    struct strbuf text = {0};
    json_t *header = json_object();
    size_t offset = 0;
    int failed = !header;
    if (metadata)
        failed |= json_object_set_new(header, "__metadata__", json_deep_copy(metadata));
    for (size_t i = 0; i < n; i++)
        failed |= json_object_set_new(header, tensors[i].name, tensor_entry(&tensors[i], &offset));
    json_write(&text, header, false);
    json_decref(header);
    while (text.length % 64 != 56)
        strbuf_add_char(&text, ' ');
    enum status status = STATUS_OK;
    uint8_t length[8];
    for (size_t i = 0; i < 8; i++)
        length[i] = (uint8_t)(text.length >> 8 * i);
    if (failed || text.failed)
        status = error_memory(w->err, w->path);
    else
        status = file_reserve(fileno(w->file), w->path, 8 + text.length + offset, w->err);
    if (!status &&
        (fwrite(length, 8, 1, w->file) != 1 || fwrite(text.data, text.length, 1, w->file) != 1))
        status = error_errno(w->err, "cannot write %s", w->path);
    strbuf_free(&text);
    return status;
}

/* In place: halves are smaller than floats. */
static void convert(float *values, size_t n, enum tensor_type type)
{
    uint8_t *to = (uint8_t *)values;
    if (type == TYPE_F32 || is_bytes(type))
        return;
    for (size_t i = 0; i < n; i++)
        store_u16(to + 2 * i, type == TYPE_BF16 ? f32_to_bf16(values[i]) : f32_to_f16(values[i]));
}

static enum status write_tensor(struct writer *w, const struct tensor_plan *t, size_t index)
{
    size_t row = row_elements(t), rows = row && row < w->capacity ? w->capacity / row : 1;
    for (size_t first = 0; first < n_rows(t); first += rows) {
        size_t n = size_min(n_rows(t) - first, rows);
        enum status status = w->source(w->context, index, first, n, w->values, w->err);
        if (status)
            return status;
        convert(w->values, n * row, t->type);
        if (n > 0 && row > 0 &&
            fwrite(w->values, n * row * element_bytes(t->type), 1, w->file) != 1)
            return error_errno(w->err, "cannot write %s", w->path);
    }
    return STATUS_OK;
}

static enum status write_all(struct writer *w, const struct tensor_plan *tensors, size_t n,
                             const json_t *metadata)
{
    w->capacity = CHUNK_ELEMENTS;
    for (size_t i = 0; i < n; i++)
        if (row_elements(&tensors[i]) > w->capacity)
            w->capacity = row_elements(&tensors[i]);
    w->values = mem_array(w->capacity, sizeof *w->values);
    if (!w->values)
        return error_memory(w->err, w->path);
    enum status status = write_header(w, tensors, n, metadata);
    for (size_t i = 0; i < n && !status; i++)
        status = write_tensor(w, &tensors[i], i);
    mem_free(w->values);
    if (!status && (fflush(w->file) || fsync(fileno(w->file))))
        status = error_errno(w->err, "cannot write %s", w->path);
    return status;
}

enum status safetensors_write(const char *path, const struct tensor_plan *tensors, size_t n,
                              const json_t *metadata, safetensors_source *source, void *context,
                              struct error *err)
{
    int fd;
    char *temporary;
    struct writer w = {.path = path, .source = source, .context = context, .err = err};
    enum status status = file_create_beside(path, &fd, &temporary, err);
    if (status)
        return status;
    w.file = fdopen(fd, "wb");
    status = w.file ? write_all(&w, tensors, n, metadata)
                    : error_errno(err, "cannot create %s", temporary);
    if ((w.file ? fclose(w.file) : close(fd)) && !status)
        status = error_errno(err, "cannot write %s", path);
    if (!status && rename(temporary, path))
        status = error_errno(err, "cannot rename %s to %s", temporary, path);
    if (status)
        unlink(temporary);
    mem_free(temporary);
    return status;
}
