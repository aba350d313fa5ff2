#include "formats/gguf_write.h"
#include "base/file.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { VERSION = 3 };

struct gguf_writer {
    char *path;
    char *temporary; /* the file's name until it is finished */
    FILE *out;
    struct strbuf entries, tensors; /* as they will stand in the file */
    size_t n_entries, n_tensors, capacity;
    size_t *bytes;           /* [n_tensors] */
    size_t data_size;        /* of all tensors, padded */
    char misfit[100];        /* the first key or tensor that the format has no room for */
    size_t current, written; /* the tensor that gguf_write_data is in, and its bytes so far */
};

static size_t padding(size_t size)
{
    return (GGUF_ALIGNMENT - size % GGUF_ALIGNMENT) % GGUF_ALIGNMENT;
}

enum status gguf_writer_create(const char *path, struct gguf_writer **writer, struct error *err)
{
    struct gguf_writer *w = *writer = mem_alloc(sizeof *w);
    if (!w || !(w->path = mem_copy_string(path))) {
        mem_free(w);
        *writer = NULL;
        return error_memory(err, path);
    }
    int fd;
    enum status status = file_create_beside(path, &fd, &w->temporary, err);
    if (!status && !(w->out = fdopen(fd, "wb"))) {
        status = error_errno(err, "cannot create %s", path);
        close(fd);
    }
    if (status) {
        gguf_writer_free(w);
        *writer = NULL;
    }
    return status;
}

static void put(struct strbuf *out, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        strbuf_add_char(out, (char)(value >> 8 * i));
}

static void put_span(struct strbuf *out, struct text_span text)
{
    put(out, text.length, 8);
    strbuf_append(out, text.data, text.length);
}

static void put_string(struct strbuf *out, const char *text)
{
    put_span(out, (struct text_span){text, strlen(text)});
}

static struct strbuf *begin_entry(struct gguf_writer *w, const char *key, enum gguf_type type)
{
    w->n_entries++;
    put_string(&w->entries, key);
    put(&w->entries, type, 4);
    return &w->entries;
}

static void note_misfit(struct gguf_writer *w, const char *name)
{
    if (!w->misfit[0])
        snprintf(w->misfit, sizeof w->misfit, "%s", name);
}

void gguf_add_u32(struct gguf_writer *w, const char *key, size_t value)
{
    if (value > UINT32_MAX)
        note_misfit(w, key);
    put(begin_entry(w, key, GGUF_U32), value, 4);
}

void gguf_add_f32(struct gguf_writer *w, const char *key, double value)
{
    float single = (float)value;
    strbuf_append(begin_entry(w, key, GGUF_F32), &single, sizeof single);
}

void gguf_add_bool(struct gguf_writer *w, const char *key, bool value)
{
    put(begin_entry(w, key, GGUF_BOOL), value, 1);
}

void gguf_add_string(struct gguf_writer *w, const char *key, const char *value)
{
    put_string(begin_entry(w, key, GGUF_STRING), value);
}

void gguf_add_span(struct gguf_writer *w, const char *key, struct text_span value)
{
    put_span(begin_entry(w, key, GGUF_STRING), value);
}

static struct strbuf *begin_array(struct gguf_writer *w, const char *key, enum gguf_type element,
                                  size_t n)
{
    struct strbuf *out = begin_entry(w, key, GGUF_ARRAY);
    put(out, element, 4);
    put(out, n, 8);
    return out;
}

void gguf_add_strings(struct gguf_writer *w, const char *key, const struct text_span *values,
                      size_t n)
{
    struct strbuf *out = begin_array(w, key, GGUF_STRING, n);
    for (size_t i = 0; i < n; i++)
        put_span(out, values[i]);
}

void gguf_add_array(struct gguf_writer *w, const char *key, enum gguf_type element,
                    const void *values, size_t n)
{
    strbuf_append(begin_array(w, key, element, n), values, n * gguf_type_size(element));
}

void gguf_add_entry(struct gguf_writer *w, const struct gguf_entry *entry)
{
    const struct gguf_value *value = &entry->value;
    w->n_entries++;
    put_span(&w->entries, entry->key);
    put(&w->entries, value->type, 4);
    if (value->type == GGUF_ARRAY)
        put(&w->entries, value->element, 4);
    if (value->type == GGUF_ARRAY || value->type == GGUF_STRING)
        put(&w->entries, value->type == GGUF_ARRAY ? value->count : value->bytes, 8);
    strbuf_append(&w->entries, value->data, value->bytes);
}

/* Bytes of the tensor, and where the next one begins. */
static bool count_bytes(const struct gguf_writer *w, enum tensor_type type, size_t n_dims,
                        const size_t *shape, size_t *bytes, size_t *end)
{
    size_t elements = 1;
    if (n_dims == 0 || n_dims > GGUF_MAX_DIMS ||
        shape[n_dims - 1] % tensor_type_info(type)->block_length)
        return false;
    for (size_t i = 0; i < n_dims; i++)
        if (shape[i] == 0 || !size_multiply(elements, shape[i], &elements))
            return false;
    return tensor_type_bytes(type, elements, bytes) && size_add(w->data_size, *bytes, end) &&
           size_add(*end, padding(*end), end);
}

void gguf_add_tensor(struct gguf_writer *w, const char *name, enum tensor_type type, size_t n_dims,
                     const size_t *shape)
{
    size_t bytes, end;
    if (!count_bytes(w, type, n_dims, shape, &bytes, &end) ||
        !mem_grow(&w->bytes, &w->capacity, w->n_tensors, sizeof *w->bytes)) {
        note_misfit(w, name);
        return;
    }
    w->bytes[w->n_tensors++] = bytes;
    put_string(&w->tensors, name);
    put(&w->tensors, n_dims, 4);
    for (size_t i = n_dims; i-- > 0;)
        put(&w->tensors, shape[i], 8);
    put(&w->tensors, gguf_tensor_code(type), 4);
    put(&w->tensors, w->data_size, 8);
    w->data_size = end;
}

static enum status write_bytes(struct gguf_writer *w, const void *data, size_t size,
                               struct error *err)
{
    if (size && fwrite(data, 1, size, w->out) != size)
        return error_errno(err, "cannot write %s", w->path);
    return STATUS_OK;
}

static enum status write_padding(struct gguf_writer *w, size_t size, struct error *err)
{
    static const char zeros[GGUF_ALIGNMENT];
    return write_bytes(w, zeros, padding(size), err);
}

enum status gguf_writer_begin(struct gguf_writer *w, struct error *err)
{
    struct strbuf head = {0};
    strbuf_append(&head, "GGUF", 4);
    put(&head, VERSION, 4);
    put(&head, w->n_tensors, 8);
    put(&head, w->n_entries, 8);
    enum status status = STATUS_OK;
    if (w->misfit[0])
        status = error_set(err, STATUS_INVALID,
                           "%s: the format cannot hold the value of %s, or a tensor of its shape "
                           "and type",
                           w->path, w->misfit);
    else if (head.failed || w->entries.failed || w->tensors.failed)
        status = error_memory(err, w->path);
    size_t before = head.length + w->entries.length + w->tensors.length;
    if (!status)
        status =
            file_reserve(fileno(w->out), w->path, before + padding(before) + w->data_size, err);
    if (!status)
        status = write_bytes(w, head.data, head.length, err);
    if (!status)
        status = write_bytes(w, w->entries.data, w->entries.length, err);
    if (!status)
        status = write_bytes(w, w->tensors.data, w->tensors.length, err);
    if (!status)
        status = write_padding(w, before, err);
    strbuf_free(&head);
    return status;
}

enum status gguf_write_data(struct gguf_writer *w, const void *data, size_t size, struct error *err)
{
    const char *p = data;
    enum status status = STATUS_OK;
    while (!status && size > 0) {
        if (w->current == w->n_tensors)
            return error_set(err, STATUS_INVALID, "%s: %zu bytes more than its tensors have",
                             w->path, size);
        size_t left = w->bytes[w->current] - w->written, n = size_min(size, left);
        status = write_bytes(w, p, n, err);
        p += n;
        size -= n;
        w->written += n;
        if (!status && n == left) {
            status = write_padding(w, w->bytes[w->current], err);
            w->current++;
            w->written = 0;
        }
    }
    return status;
}

enum status gguf_writer_finish(struct gguf_writer *w, struct error *err)
{
    if (w->current < w->n_tensors)
        return error_set(err, STATUS_INVALID, "%s: data of %zu tensors are missing", w->path,
                         w->n_tensors - w->current);
    if (fflush(w->out) || fsync(fileno(w->out)))
        return error_errno(err, "cannot write %s", w->path);
    if (rename(w->temporary, w->path))
        return error_errno(err, "cannot rename %s to %s", w->temporary, w->path);
    mem_free(w->temporary);
    w->temporary = NULL;
    return STATUS_OK;
}

void gguf_writer_free(struct gguf_writer *w)
{
    if (!w)
        return;
    if (w->out)
        fclose(w->out);
    if (w->temporary)
        unlink(w->temporary);
    mem_free(w->temporary);
    strbuf_free(&w->entries);
    strbuf_free(&w->tensors);
    mem_free(w->bytes);
    mem_free(w->path);
    mem_free(w);
}
