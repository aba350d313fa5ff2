#include "formats/safetensors.h"
#include "base/json.h"
#include "base/memory.h"
#include "formats/names.h"

#include <stdlib.h>
#include <string.h>

enum { HEADER_AT = 8, MAX_HEADER = 100 * 1000 * 1000 };

struct entry {
    const char *name;
    size_t begin, end;
};

struct reader {
    const char *name;
    const uint8_t *data; /* the tensors' bytes */
    size_t size;         /* of them */
    size_t data_at;      /* their offset in the file */
    struct entry *entries;
    size_t n_entries;
    bool takes_bytes; /* tensors of U8 and I8 */
    struct error *err;
};

/* F8_E4M3 and the like have no counterpart: false. */
static bool find_type(const struct reader *r, const char *dtype, enum tensor_type *type)
{
    bool is_signed = !strcmp(dtype, "I8");
    if (!r->takes_bytes || (!is_signed && strcmp(dtype, "U8")))
        return tensor_type_parse(dtype, type) && *type <= TYPE_BF16;
    *type = (enum tensor_type)(is_signed ? SAFETENSORS_I8 : SAFETENSORS_U8);
    return true;
}

static enum status bad_field(const struct reader *r, const char *tensor, const char *field,
                             const char *expected)
{
    return error_set(r->err, STATUS_FORMAT, "%s, header: \"%s\" of tensor %.200s should be %s",
                     r->name, field, tensor, expected);
}

static bool get_size(const json_t *value, size_t *size)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *size = (size_t)json_integer_value(value);
    return true;
}

static enum status read_shape(const struct reader *r, const json_t *info, struct tensor *t)
{
    const json_t *shape = json_object_get(info, "shape");
    if (!json_is_array(shape) || json_array_size(shape) > MAX_TENSOR_DIMS)
        return bad_field(r, t->name, "shape", "an array of at most 4 sizes");
    t->n_dims = json_array_size(shape);
    for (size_t i = 0; i < t->n_dims; i++)
        if (!get_size(json_array_get(shape, i), &t->shape[i]))
            return bad_field(r, t->name, "shape", "an array of whole numbers");
    return STATUS_OK;
}

static enum status read_offsets(const struct reader *r, const json_t *info, struct entry *entry)
{
    const json_t *offsets = json_object_get(info, "data_offsets");
    if (json_array_size(offsets) != 2 || !get_size(json_array_get(offsets, 0), &entry->begin) ||
        !get_size(json_array_get(offsets, 1), &entry->end))
        return bad_field(r, entry->name, "data_offsets", "an array of two offsets");
    if (entry->begin > entry->end || entry->end > r->size)
        return error_set(r->err, STATUS_FORMAT,
                         "%s: tensor %.200s lies at %zu to %zu of %zu bytes of data; the file is "
                         "truncated or its header is corrupt",
                         r->name, entry->name, entry->begin, entry->end, r->size);
    return STATUS_OK;
}

static enum status check_bytes(const struct reader *r, const struct tensor *t)
{
    size_t elements = 1, expected;
    bool is_bytes = t->type >= TYPE_COUNT;
    for (size_t i = 0; i < t->n_dims; i++)
        if (!size_multiply(elements, t->shape[i], &elements))
            return bad_field(r, t->name, "shape", "small enough to be counted");
    if (is_bytes)
        expected = elements;
    else if (!tensor_type_bytes(t->type, elements, &expected))
        return bad_field(r, t->name, "shape", "small enough to be counted");
    if (expected != t->bytes)
        return error_set(r->err, STATUS_FORMAT,
                         "%s: tensor %.200s has %zu elements of type %s, which take %zu bytes, but "
                         "its data_offsets span %zu",
                         r->name, t->name, elements,
                         is_bytes ? "U8 or I8" : tensor_type_info(t->type)->name, expected,
                         t->bytes);
    return STATUS_OK;
}

/* Fills *t and the next entry; *known is false for a type that no model here uses. */
static enum status read_tensor(struct reader *r, const char *name, const json_t *info,
                               struct tensor *t, bool *known)
{
    struct entry *entry = &r->entries[r->n_entries++];
    *entry = (struct entry){.name = name};
    *t = (struct tensor){.name = name, .file = r->name};
    if (!json_is_object(info))
        return error_set(r->err, STATUS_FORMAT, "%s, header: tensor %.200s is not an object",
                         r->name, name);
    const char *dtype = json_string_value(json_object_get(info, "dtype"));
    if (!dtype)
        return bad_field(r, name, "dtype", "a string");
    if (read_shape(r, info, t) || read_offsets(r, info, entry))
        return STATUS_FORMAT;
    *known = find_type(r, dtype, &t->type);
    if (!*known && names_is_weight(name))
        return error_set(r->err, STATUS_UNSUPPORTED,
                         "%s: tensor %.200s is of type %.20s; supported are F32, F16 and BF16",
                         r->name, name, dtype);
    t->data = r->data + entry->begin;
    t->bytes = entry->end - entry->begin;
    t->offset = r->data_at + entry->begin;
    return *known ? check_bytes(r, t) : STATUS_OK;
}

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* The format wants the tensors to fill the data: nothing shared, nothing unaccounted for. */
static enum status check_layout(struct reader *r)
{
    qsort(r->entries, r->n_entries, sizeof *r->entries, compare_entries);
    size_t end = 0;
    for (size_t i = 0; i < r->n_entries; i++) {
        const struct entry *e = &r->entries[i];
        if (e->begin != end)
            return error_set(r->err, STATUS_FORMAT,
                             "%s: tensor %.200s begins at %zu of the data; expected %zu, where the "
                             "one before it ends",
                             r->name, e->name, e->begin, end);
        end = e->end;
    }
    if (end != r->size)
        return error_set(r->err, STATUS_FORMAT,
                         "%s: the tensors take %zu bytes of data, but the file has %zu", r->name,
                         end, r->size);
    return STATUS_OK;
}

static enum status read_tensors(struct reader *r, json_t *header, safetensors_visitor *visit,
                                void *context)
{
    const char *name;
    json_t *info;
    json_object_foreach(header, name, info)
    {
        struct tensor tensor;
        bool known = false;
        if (!strcmp(name, "__metadata__"))
            continue;
        enum status status = read_tensor(r, name, info, &tensor, &known);
        if (!status && known)
            status = visit(context, &tensor, r->err);
        if (status)
            return status;
    }
    return check_layout(r);
}

static enum status read_header(struct reader *r, json_t *header, safetensors_visitor *visit,
                               void *context)
{
    if (!json_is_object(header))
        return error_set(r->err, STATUS_FORMAT, "%s: the header at offset 8 is not an object",
                         r->name);
    r->entries = mem_array(json_object_size(header), sizeof *r->entries);
    enum status status =
        r->entries ? read_tensors(r, header, visit, context) : error_memory(r->err, r->name);
    mem_free(r->entries);
    return status;
}

static size_t load_size(const uint8_t *p)
{
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--)
        value = value << 8 | p[i];
    return value;
}

static enum status read_file(const char *name, const uint8_t *data, size_t size, bool takes_bytes,
                             safetensors_visitor *visit, void *context, struct error *err)
{
    if (size < HEADER_AT)
        return error_set(err, STATUS_FORMAT,
                         "%s has %zu bytes; a safetensors file begins with 8 that say how long its "
                         "header is",
                         name, size);
    size_t length = load_size(data);
    if (length > size - HEADER_AT || length > MAX_HEADER)
        return error_set(err, STATUS_FORMAT,
                         "%s, offset 0: the header is said to have %zu bytes, but the file has %zu "
                         "and headers at most %d; the file is truncated or not a safetensors file",
                         name, length, size, MAX_HEADER);
    json_t *header = json_parse(name, (const char *)data + HEADER_AT, length, err);
    if (!header)
        return error_prefix(err, "header at offset 8");
    struct reader reader = {.name = name,
                            .data = data + HEADER_AT + length,
                            .size = size - HEADER_AT - length,
                            .data_at = HEADER_AT + length,
                            .takes_bytes = takes_bytes,
                            .err = err};
    enum status status = read_header(&reader, header, visit, context);
    json_decref(header);
    return status;
}

enum status safetensors_read(const char *name, const uint8_t *data, size_t size,
                             safetensors_visitor *visit, void *context, struct error *err)
{
    return read_file(name, data, size, false, visit, context, err);
}

enum status safetensors_read_bytes(const char *name, const uint8_t *data, size_t size,
                                   safetensors_visitor *visit, void *context, struct error *err)
{
    return read_file(name, data, size, true, visit, context, err);
}
