/* The GGUF container, versions 2 and 3, little endian: metadata and tensor records.
 *
 * gguf_parse() checks every count, length and offset against the size of the file before it
 * allocates or follows anything. Strings and arrays stay in the file: a value holds pointers.
 */
#ifndef TANDEM_FORMATS_GGUF_H
#define TANDEM_FORMATS_GGUF_H

#include "base/error.h"
#include "base/strbuf.h"
#include "base/vocab_source.h"
#include "kernels/tensor_type.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gguf_type {
    GGUF_U8,
    GGUF_I8,
    GGUF_U16,
    GGUF_I16,
    GGUF_U32,
    GGUF_I32,
    GGUF_F32,
    GGUF_BOOL,
    GGUF_STRING,
    GGUF_ARRAY,
    GGUF_U64,
    GGUF_I64,
    GGUF_F64,
    GGUF_TYPE_COUNT,
};

enum { GGUF_MAX_DIMS = 4, GGUF_ALIGNMENT = 32 };

struct gguf_value {
    enum gguf_type type;
    enum gguf_type element; /* of an array */
    uint64_t count;         /* elements of an array */
    const uint8_t *data;    /* the scalar, the string's characters, the first element */
    size_t bytes;           /* that the value takes from `data` on */
};

struct gguf_entry {
    struct text_span key;
    struct gguf_value value;
};

struct gguf_tensor {
    struct text_span name;
    enum tensor_type type;
    size_t n_dims;
    size_t dims[GGUF_MAX_DIMS]; /* as in the file: innermost first */
    size_t offset;              /* from the start of the file */
    size_t bytes;
};

struct gguf {
    const char *name; /* of the file, for messages */
    uint32_t version;
    size_t alignment;
    struct gguf_entry *entries; /* in the file's order */
    size_t n_entries;
    uint32_t *by_key; /* indices of entries, sorted by key */
    struct gguf_tensor *tensors;
    size_t n_tensors;
};

/* data[0..size): the file, which must outlive `gguf`; `name` must, too. On error nothing is left
 * to free. */
enum status gguf_parse(const char *name, const uint8_t *data, size_t size, struct gguf *gguf,
                       struct error *err);
void gguf_free(struct gguf *gguf);

/* NULL if there is no such key. */
const struct gguf_value *gguf_find(const struct gguf *gguf, const char *key);

/* Typed look-ups. Absent keys leave *value alone (initialise it with the default) and return
 * true. A value of a wrong type or out of range sets err (if it is not set yet) and returns false.
 * Integers of any width are accepted; a string's span points into the file. */
bool gguf_get_size(const struct gguf *gguf, const char *key, size_t low, size_t high, size_t *value,
                   struct error *err);
bool gguf_get_number(const struct gguf *gguf, const char *key, double *value, struct error *err);
bool gguf_get_bool(const struct gguf *gguf, const char *key, bool *value, struct error *err);
bool gguf_get_string(const struct gguf *gguf, const char *key, struct text_span *value,
                     struct error *err);
/* A token's id; -1 and absent both leave *value alone. */
bool gguf_get_id(const struct gguf *gguf, const char *key, int32_t *value, struct error *err);
/* Steps through an array of strings: *at starts at value->data; gives the next string. */
struct text_span gguf_next_string(const uint8_t **at);
/* Element `index` of an array of integers or booleans (or the scalar itself, with index 0). */
int64_t gguf_integer_at(const struct gguf_value *value, size_t index);
double gguf_number_at(const struct gguf_value *value, size_t index);
bool gguf_is_integer(enum gguf_type type);
/* Bytes of a scalar type; 0 for strings and arrays. */
size_t gguf_type_size(enum gguf_type type);
const char *gguf_type_name(enum gguf_type type);
/* The value as text: strings as they are, arrays as "4 x string [a, b, ...]". */
void gguf_print_value(const struct gguf_value *value, struct strbuf *out);

/* The number that GGUF files have for a tensor's type, and back (false if it is none of ours). */
uint32_t gguf_tensor_code(enum tensor_type type);
bool gguf_tensor_type(uint32_t code, enum tensor_type *type);

#endif
