#include "formats/gguf.h"
#include "base/memory.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    size_t size;
} types[GGUF_TYPE_COUNT] = {
    [GGUF_U8] = {"u8", 1},       [GGUF_I8] = {"i8", 1},     [GGUF_U16] = {"u16", 2},
    [GGUF_I16] = {"i16", 2},     [GGUF_U32] = {"u32", 4},   [GGUF_I32] = {"i32", 4},
    [GGUF_F32] = {"f32", 4},     [GGUF_BOOL] = {"bool", 1}, [GGUF_STRING] = {"string", 0},
    [GGUF_ARRAY] = {"array", 0}, [GGUF_U64] = {"u64", 8},   [GGUF_I64] = {"i64", 8},
    [GGUF_F64] = {"f64", 8},
};

/* Numbers of tensor types in files, and names of those that Tandem does not read. */
static const struct {
    uint32_t code;
    enum tensor_type type;
} tensor_types[] = {
    {0, TYPE_F32},   {1, TYPE_F16},   {2, TYPE_Q4_0},  {3, TYPE_Q4_1},  {6, TYPE_Q5_0},
    {7, TYPE_Q5_1},  {8, TYPE_Q8_0},  {10, TYPE_Q2_K}, {11, TYPE_Q3_K}, {12, TYPE_Q4_K},
    {13, TYPE_Q5_K}, {14, TYPE_Q6_K}, {30, TYPE_BF16},
};
static const struct {
    uint32_t code;
    const char *name;
} foreign_types[] = {
    {9, "Q8_1"},   {15, "Q8_K"},   {16, "IQ2_XXS"}, {17, "IQ2_XS"}, {18, "IQ3_XXS"},
    {19, "IQ1_S"}, {20, "IQ4_NL"}, {21, "IQ3_S"},   {22, "IQ2_S"},  {23, "IQ4_XS"},
    {24, "I8"},    {25, "I16"},    {26, "I32"},     {27, "I64"},    {28, "F64"},
    {29, "IQ1_M"}, {34, "TQ1_0"},  {35, "TQ2_0"},   {39, "MXFP4"},
};

enum {
    MAX_NESTING = 4,
    MAX_KEY = 65535, /* as the format's description has it */
    MAX_NAME = 255,  /* of tensors; llama.cpp stops at 63 */
    MAX_ALIGNMENT = 1 << 20,
    MAX_ENTRIES = 1 << 20, /* real files have some dozens, */
    MAX_TENSORS = 1 << 20, /* and at most some thousands */
    MIN_ENTRY = 13,        /* bytes: an empty key, a type, one byte */
    MIN_TENSOR = 24,       /* bytes: an empty name, no dimensions, a type, an offset */
};

/* Steps through the file. The first failure stays: later reads give zero. */
struct cursor {
    const char *name;
    const uint8_t *data;
    size_t size, at;
    struct error *err;
    enum status status;
};

static void fail_truncated(struct cursor *c, size_t wanted, const char *what)
{
    if (!c->status)
        c->status = error_set(c->err, STATUS_FORMAT,
                              "%s, offset %zu: %s needs %zu bytes, but %zu are left; the file is "
                              "truncated or corrupt",
                              c->name, c->at, what, wanted, c->size - c->at);
}

/* NULL after a failure. */
static const uint8_t *take(struct cursor *c, size_t n, const char *what)
{
    if (!c->status && n > c->size - c->at)
        fail_truncated(c, n, what);
    if (c->status)
        return NULL;
    const uint8_t *p = c->data + c->at;
    c->at += n;
    return p;
}

static uint32_t load_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t load_u64(const uint8_t *p)
{
    return load_u32(p) | (uint64_t)load_u32(p + 4) << 32;
}

static uint32_t take_u32(struct cursor *c, const char *what)
{
    const uint8_t *p = take(c, 4, what);
    return p ? load_u32(p) : 0;
}

static uint64_t take_u64(struct cursor *c, const char *what)
{
    const uint8_t *p = take(c, 8, what);
    return p ? load_u64(p) : 0;
}

/* A count of things that take at least `least` bytes each; 0 after a failure. */
static size_t take_count(struct cursor *c, size_t least, size_t limit, const char *what)
{
    uint64_t n = take_u64(c, what);
    size_t most = (c->size - c->at) / least;
    if (most > limit)
        most = limit;
    if (c->status || n <= most)
        return n;
    c->status = error_set(c->err, STATUS_FORMAT,
                          "%s, offset %zu: %s is %" PRIu64 "; expected at most %zu, for which the "
                          "rest of the file has room; the file is truncated or corrupt",
                          c->name, c->at - 8, what, n, most);
    return 0;
}

static struct text_span take_string(struct cursor *c, const char *what)
{
    size_t n = take_count(c, 1, SIZE_MAX, what);
    const uint8_t *p = take(c, n, what);
    return p ? (struct text_span){(const char *)p, n} : (struct text_span){"", 0};
}

static enum gguf_type take_type(struct cursor *c)
{
    size_t at = c->at;
    uint32_t type = take_u32(c, "a value's type");
    if (type < GGUF_TYPE_COUNT)
        return (enum gguf_type)type;
    c->status = error_set(c->err, STATUS_FORMAT,
                          "%s, offset %zu: there is no type %u of metadata; known are 0 to %d",
                          c->name, at, type, GGUF_TYPE_COUNT - 1);
    return GGUF_U8;
}

static void skip_value(struct cursor *c, enum gguf_type type, int depth);

/* Moves behind `count` elements. */
static void skip_elements(struct cursor *c, enum gguf_type type, size_t count, int depth)
{
    if (types[type].size) /* no overflow: the count was checked against the bytes left */
        take(c, count * types[type].size, "an array");
    else
        for (size_t i = 0; i < count && !c->status; i++)
            skip_value(c, type, depth);
}

static void take_array(struct cursor *c, struct gguf_value *value, int depth)
{
    if (depth == MAX_NESTING) {
        c->status =
            error_set(c->err, STATUS_FORMAT, "%s, offset %zu: arrays are nested more than %d deep",
                      c->name, c->at, MAX_NESTING);
        return;
    }
    value->element = take_type(c);
    size_t least = value->element == GGUF_STRING  ? 8
                   : value->element == GGUF_ARRAY ? 12
                                                  : types[value->element].size;
    value->count = take_count(c, least, SIZE_MAX, "the length of an array");
    size_t start = c->at;
    value->data = c->data + start;
    skip_elements(c, value->element, value->count, depth + 1);
    value->bytes = c->at - start;
}

static void skip_value(struct cursor *c, enum gguf_type type, int depth)
{
    struct gguf_value ignored = {0};
    if (type == GGUF_ARRAY)
        take_array(c, &ignored, depth);
    else
        take_string(c, "the length of a string");
}

static struct gguf_value take_value(struct cursor *c)
{
    struct gguf_value value = {.type = take_type(c)};
    if (value.type == GGUF_ARRAY) {
        take_array(c, &value, 0);
    } else if (value.type == GGUF_STRING) {
        struct text_span text = take_string(c, "the length of a string");
        value.data = (const uint8_t *)text.data;
        value.bytes = text.length;
    } else {
        value.bytes = types[value.type].size;
        value.data = take(c, value.bytes, "a value");
    }
    return value;
}

/* Keys and tensor names are printed and compared as C strings. */
static void check_name(struct cursor *c, struct text_span name, size_t at, size_t limit)
{
    bool plain = name.length > 0 && name.length <= limit;
    for (size_t i = 0; i < name.length && plain; i++)
        plain = (unsigned char)name.data[i] > ' ' && name.data[i] != 127;
    if (!plain && !c->status)
        c->status = error_set(c->err, STATUS_FORMAT,
                              "%s, offset %zu: a name of %zu bytes that is empty, longer than %zu, "
                              "or holds control characters or blanks",
                              c->name, at, name.length, limit);
}

static void read_entries(struct cursor *c, struct gguf *g)
{
    for (size_t i = 0; i < g->n_entries && !c->status; i++) {
        size_t at = c->at;
        struct gguf_entry *entry = &g->entries[i];
        entry->key = take_string(c, "the length of a key");
        if (!c->status)
            check_name(c, entry->key, at, MAX_KEY);
        if (!c->status)
            entry->value = take_value(c);
        if (c->status && entry->key.length > 0 && entry->key.length <= 200)
            error_prefix(c->err, "metadata key %.*s", (int)entry->key.length, entry->key.data);
    }
}

static int compare_spans(struct text_span a, struct text_span b)
{
    size_t n = size_min(a.length, b.length);
    int order = memcmp(a.data, b.data, n);
    return order ? order : (a.length > b.length) - (a.length < b.length);
}

static int compare_keys(const void *a, const void *b, void *entries)
{
    const struct gguf_entry *e = entries;
    return compare_spans(e[*(const uint32_t *)a].key, e[*(const uint32_t *)b].key);
}

static void sort_keys(struct cursor *c, struct gguf *g)
{
    for (size_t i = 0; i < g->n_entries; i++)
        g->by_key[i] = (uint32_t)i;
    qsort_r(g->by_key, g->n_entries, sizeof *g->by_key, compare_keys, g->entries);
    for (size_t i = 1; i < g->n_entries; i++) {
        struct text_span key = g->entries[g->by_key[i]].key;
        if (compare_spans(g->entries[g->by_key[i - 1]].key, key))
            continue;
        c->status = error_set(c->err, STATUS_FORMAT, "%s, offset %zu: key %.*s is there twice",
                              c->name, (size_t)((const uint8_t *)key.data - c->data),
                              (int)size_min(key.length, 200), key.data);
        return;
    }
}

static const char *type_of_code(uint32_t code)
{
    for (size_t i = 0; i < sizeof foreign_types / sizeof *foreign_types; i++)
        if (foreign_types[i].code == code)
            return foreign_types[i].name;
    return "unknown";
}

static bool count_bytes(struct gguf_tensor *t)
{
    size_t n = 1, row = t->dims[0];
    for (size_t i = 0; i < t->n_dims; i++)
        if (t->dims[i] == 0 || !size_multiply(n, t->dims[i], &n))
            return false;
    return row % tensor_type_info(t->type)->block_length == 0 &&
           tensor_type_bytes(t->type, n, &t->bytes);
}

static void read_dims(struct cursor *c, struct gguf_tensor *t)
{
    size_t at = c->at;
    uint32_t n = take_u32(c, "a tensor's number of dimensions");
    if (!c->status && (n == 0 || n > GGUF_MAX_DIMS))
        c->status =
            error_set(c->err, STATUS_FORMAT, "%s, offset %zu: %u dimensions; expected 1 to %d",
                      c->name, at, n, GGUF_MAX_DIMS);
    t->n_dims = c->status ? 0 : n;
    for (size_t i = 0; i < t->n_dims; i++)
        t->dims[i] = take_u64(c, "a tensor's dimensions");
}

/* The offset stays relative to the data until the data's place is known. */
static void read_tensor(struct cursor *c, struct gguf_tensor *t)
{
    size_t at = c->at;
    t->name = take_string(c, "the length of a tensor's name");
    if (!c->status)
        check_name(c, t->name, at, MAX_NAME);
    if (!c->status)
        read_dims(c, t);
    size_t type_at = c->at;
    uint32_t code = take_u32(c, "a tensor's type");
    t->offset = take_u64(c, "a tensor's offset");
    if (c->status)
        return;
    if (!gguf_tensor_type(code, &t->type))
        c->status = error_set(c->err, STATUS_UNSUPPORTED,
                              "%s, offset %zu: tensor %.*s is of type %u (%s); supported are F32, "
                              "F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, and Q2_K to Q6_K",
                              c->name, type_at, (int)t->name.length, t->name.data, code,
                              type_of_code(code));
    else if (!count_bytes(t))
        c->status = error_set(c->err, STATUS_FORMAT,
                              "%s, offset %zu: tensor %.*s has a row of %zu elements or a product "
                              "of dimensions that its type %s cannot have",
                              c->name, at, (int)t->name.length, t->name.data, t->dims[0],
                              tensor_type_info(t->type)->name);
}

static void place_tensor(struct cursor *c, const struct gguf *g, struct gguf_tensor *t,
                         size_t start)
{
    size_t place, end;
    if (t->offset % g->alignment || !size_add(start, t->offset, &place) ||
        !size_add(place, t->bytes, &end) || end > c->size)
        c->status = error_set(c->err, STATUS_FORMAT,
                              "%s: tensor %.*s lies at offset %zu of the data that begins at %zu, "
                              "with %zu bytes; expected a multiple of %zu inside of a file of %zu "
                              "bytes; the file is truncated or corrupt",
                              c->name, (int)t->name.length, t->name.data, t->offset, start,
                              t->bytes, g->alignment, c->size);
    else
        t->offset = place;
}

static int compare_offsets(const void *a, const void *b)
{
    const struct gguf_tensor *const *x = a, *const *y = b;
    return ((*x)->offset > (*y)->offset) - ((*x)->offset < (*y)->offset);
}

static void check_overlaps(struct cursor *c, const struct gguf *g)
{
    const struct gguf_tensor **sorted = mem_array(g->n_tensors, sizeof *sorted);
    if (!sorted) {
        c->status = error_memory(c->err, c->name);
        return;
    }
    for (size_t i = 0; i < g->n_tensors; i++)
        sorted[i] = &g->tensors[i];
    qsort(sorted, g->n_tensors, sizeof *sorted, compare_offsets);
    for (size_t i = 1; i < g->n_tensors && !c->status; i++) {
        const struct gguf_tensor *a = sorted[i - 1], *b = sorted[i];
        if (a->offset + a->bytes > b->offset)
            c->status = error_set(
                c->err, STATUS_FORMAT, "%s, offset %zu: tensors %.*s and %.*s overlap", c->name,
                b->offset, (int)a->name.length, a->name.data, (int)b->name.length, b->name.data);
    }
    mem_free(sorted);
}

static void read_tensors(struct cursor *c, struct gguf *g)
{
    for (size_t i = 0; i < g->n_tensors && !c->status; i++)
        read_tensor(c, &g->tensors[i]);
    size_t alignment = GGUF_ALIGNMENT;
    struct error local = {0};
    gguf_get_size(g, "general.alignment", 8, MAX_ALIGNMENT, &alignment, &local);
    if (!c->status && (local.status || (alignment & (alignment - 1))))
        c->status = error_set(c->err, STATUS_FORMAT,
                              "%s: general.alignment is %zu; expected a power of two from 8 to %d",
                              c->name, alignment, MAX_ALIGNMENT);
    if (c->status)
        return;
    g->alignment = alignment;
    size_t start = c->at + (alignment - c->at % alignment) % alignment;
    for (size_t i = 0; i < g->n_tensors && !c->status; i++)
        place_tensor(c, g, &g->tensors[i], start);
    if (!c->status)
        check_overlaps(c, g);
}

static void read_version(struct cursor *c, struct gguf *g)
{
    const uint8_t *magic = take(c, 4, "the mark GGUF");
    if (magic && memcmp(magic, "GGUF", 4)) {
        c->status = error_set(c->err, STATUS_FORMAT,
                              "%s, offset 0: not a GGUF file: it begins with %02x %02x %02x %02x, "
                              "not with 47 47 55 46 (GGUF)",
                              c->name, magic[0], magic[1], magic[2], magic[3]);
        return;
    }
    g->version = take_u32(c, "the version");
    if (c->status || g->version == 2 || g->version == 3)
        return;
    bool big = g->version && (g->version & 0xFFFF) == 0;
    c->status = error_set(c->err, STATUS_UNSUPPORTED,
                          big ? "%s, offset 4: a big-endian GGUF file (version field %u); only "
                                "little-endian ones are supported"
                              : "%s, offset 4: GGUF version %u; supported are 2 and 3",
                          c->name, g->version);
}

static void parse(struct cursor *c, struct gguf *g)
{
    read_version(c, g);
    size_t n_tensors = take_count(c, MIN_TENSOR, MAX_TENSORS, "the number of tensors");
    size_t n_entries = take_count(c, MIN_ENTRY, MAX_ENTRIES, "the number of metadata entries");
    if (c->status)
        return;
    g->entries = mem_array(n_entries, sizeof *g->entries);
    g->by_key = mem_array(n_entries, sizeof *g->by_key);
    g->tensors = mem_array(n_tensors, sizeof *g->tensors);
    if (!g->entries || !g->by_key || !g->tensors) {
        c->status = error_memory(c->err, c->name);
        return;
    }
    g->n_entries = n_entries;
    read_entries(c, g);
    if (!c->status)
        sort_keys(c, g);
    if (c->status)
        return;
    g->n_tensors = n_tensors;
    read_tensors(c, g);
}

enum status gguf_parse(const char *name, const uint8_t *data, size_t size, struct gguf *gguf,
                       struct error *err)
{
    struct error local = {0};
    struct cursor c = {.name = name, .data = data, .size = size, .err = err ? err : &local};
    *gguf = (struct gguf){.name = name};
    parse(&c, gguf);
    if (c.status)
        gguf_free(gguf);
    return c.status;
}

void gguf_free(struct gguf *gguf)
{
    mem_free(gguf->entries);
    mem_free(gguf->by_key);
    mem_free(gguf->tensors);
    *gguf = (struct gguf){0};
}

const struct gguf_value *gguf_find(const struct gguf *gguf, const char *key)
{
    struct text_span wanted = {key, strlen(key)};
    size_t low = 0, high = gguf->n_entries;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct gguf_entry *entry = &gguf->entries[gguf->by_key[middle]];
        int order = compare_spans(entry->key, wanted);
        if (order == 0)
            return &entry->value;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

bool gguf_is_integer(enum gguf_type type)
{
    return type <= GGUF_I32 || type == GGUF_U64 || type == GGUF_I64;
}

size_t gguf_type_size(enum gguf_type type)
{
    return types[type].size;
}

const char *gguf_type_name(enum gguf_type type)
{
    return types[type].name;
}

static enum gguf_type scalar_type(const struct gguf_value *value)
{
    return value->type == GGUF_ARRAY ? value->element : value->type;
}

int64_t gguf_integer_at(const struct gguf_value *value, size_t index)
{
    enum gguf_type type = scalar_type(value);
    const uint8_t *p = value->data + index * types[type].size;
    switch (type) {
    case GGUF_U8:
    case GGUF_BOOL:
        return p[0];
    case GGUF_I8:
        return (int8_t)p[0];
    case GGUF_U16:
        return p[0] | p[1] << 8;
    case GGUF_I16:
        return (int16_t)(p[0] | p[1] << 8);
    case GGUF_U32:
        return load_u32(p);
    case GGUF_I32:
        return (int32_t)load_u32(p);
    case GGUF_U64: /* beyond any count or id: out of range for every caller */
        return load_u64(p) > INT64_MAX ? INT64_MAX : (int64_t)load_u64(p);
    case GGUF_I64:
        return (int64_t)load_u64(p);
    default:
        return 0;
    }
}

double gguf_number_at(const struct gguf_value *value, size_t index)
{
    enum gguf_type type = scalar_type(value);
    const uint8_t *p = value->data + index * types[type].size;
    float single;
    double number;
    if (type == GGUF_F32) {
        memcpy(&single, p, sizeof single);
        return single;
    }
    if (type == GGUF_F64) {
        memcpy(&number, p, sizeof number);
        return number;
    }
    return (double)gguf_integer_at(value, index);
}

static bool wrong(const struct gguf *gguf, const char *key, const struct gguf_value *value,
                  const char *expected, struct error *err)
{
    if (err && !err->status)
        error_set(err, STATUS_FORMAT, "%s: metadata key %s is of type %s; expected %s", gguf->name,
                  key, types[value->type].name, expected);
    return false;
}

bool gguf_get_size(const struct gguf *gguf, const char *key, size_t low, size_t high, size_t *value,
                   struct error *err)
{
    const struct gguf_value *found = gguf_find(gguf, key);
    if (!found)
        return true;
    if (!gguf_is_integer(found->type))
        return wrong(gguf, key, found, "an integer", err);
    int64_t number = gguf_integer_at(found, 0);
    if (number >= 0 && (size_t)number >= low && (size_t)number <= high) {
        *value = (size_t)number;
        return true;
    }
    if (err && !err->status)
        error_set(err, STATUS_FORMAT, "%s: metadata key %s is %" PRId64 "; expected %zu to %zu",
                  gguf->name, key, number, low, high);
    return false;
}

bool gguf_get_number(const struct gguf *gguf, const char *key, double *value, struct error *err)
{
    const struct gguf_value *found = gguf_find(gguf, key);
    if (!found)
        return true;
    if (found->type != GGUF_F32 && found->type != GGUF_F64 && !gguf_is_integer(found->type))
        return wrong(gguf, key, found, "a number", err);
    *value = gguf_number_at(found, 0);
    return true;
}

bool gguf_get_bool(const struct gguf *gguf, const char *key, bool *value, struct error *err)
{
    const struct gguf_value *found = gguf_find(gguf, key);
    if (!found)
        return true;
    if (found->type != GGUF_BOOL || found->data[0] > 1)
        return wrong(gguf, key, found, "a bool of 0 or 1", err);
    *value = found->data[0];
    return true;
}

bool gguf_get_string(const struct gguf *gguf, const char *key, struct text_span *value,
                     struct error *err)
{
    const struct gguf_value *found = gguf_find(gguf, key);
    if (!found)
        return true;
    if (found->type != GGUF_STRING)
        return wrong(gguf, key, found, "a string", err);
    *value = (struct text_span){(const char *)found->data, found->bytes};
    return true;
}

bool gguf_get_id(const struct gguf *gguf, const char *key, int32_t *value, struct error *err)
{
    const struct gguf_value *found = gguf_find(gguf, key);
    if (!found || (gguf_is_integer(found->type) &&
                   (gguf_integer_at(found, 0) == -1 || gguf_integer_at(found, 0) == UINT32_MAX)))
        return true;
    size_t id = 0;
    if (!gguf_get_size(gguf, key, 0, INT32_MAX, &id, err))
        return false;
    *value = (int32_t)id;
    return true;
}

struct text_span gguf_next_string(const uint8_t **at)
{
    struct text_span text = {(const char *)*at + 8, load_u64(*at)};
    *at += 8 + text.length;
    return text;
}

static void print_scalar(const struct gguf_value *value, size_t index, struct strbuf *out)
{
    enum gguf_type type = scalar_type(value);
    if (type == GGUF_BOOL)
        strbuf_add(out, gguf_integer_at(value, index) ? "true" : "false");
    else if (gguf_is_integer(type))
        strbuf_printf(out, "%" PRId64, gguf_integer_at(value, index));
    else
        strbuf_printf(out, "%.9g", gguf_number_at(value, index));
}

static void print_array(const struct gguf_value *value, struct strbuf *out)
{
    const uint8_t *at = value->data;
    size_t shown = size_min(value->count, 6);
    strbuf_printf(out, "%" PRIu64 " x %s", value->count, types[value->element].name);
    if (value->element == GGUF_ARRAY)
        return;
    strbuf_add(out, " [");
    for (size_t i = 0; i < shown; i++) {
        strbuf_add(out, i ? ", " : "");
        if (value->element == GGUF_STRING) {
            struct text_span text = gguf_next_string(&at);
            strbuf_append(out, text.data, size_min(text.length, 200));
        } else {
            print_scalar(value, i, out);
        }
    }
    strbuf_add(out, shown < value->count ? ", ...]" : "]");
}

void gguf_print_value(const struct gguf_value *value, struct strbuf *out)
{
    if (value->type == GGUF_STRING)
        strbuf_append(out, value->data, value->bytes);
    else if (value->type == GGUF_ARRAY)
        print_array(value, out);
    else
        print_scalar(value, 0, out);
}

uint32_t gguf_tensor_code(enum tensor_type type)
{
    for (size_t i = 0; i < sizeof tensor_types / sizeof *tensor_types; i++)
        if (tensor_types[i].type == type)
            return tensor_types[i].code;
    return UINT32_MAX;
}

bool gguf_tensor_type(uint32_t code, enum tensor_type *type)
{
    for (size_t i = 0; i < sizeof tensor_types / sizeof *tensor_types; i++) {
        if (tensor_types[i].code == code) {
            *type = tensor_types[i].type;
            return true;
        }
    }
    return false;
}
