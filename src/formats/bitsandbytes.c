#include "formats/bitsandbytes.h"
#include "base/thread_pool.h"
#include "formats/names.h"
#include "formats/safetensors.h"
#include "kernels/bitsandbytes.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_STATE = 1 << 16 /* bytes of JSON */, MAX_BLOCKSIZE = 4096, NESTED_VALUES = 256 };

static const char nf4_state[] = ".quant_state.bitsandbytes__nf4",
                  fp4_state[] = ".quant_state.bitsandbytes__fp4";

/* --- config.json --- */

enum status bnb_config_read(const char *name, const json_t *config, bool *is_bnb, struct error *err)
{
    const json_t *q = json_object_get(config, "quantization_config");
    *is_bnb = json_is_object(q);
    if (!*is_bnb)
        return STATUS_OK;
    struct error local = {0};
    const char *type = json_get_string(q, "bnb_4bit_quant_type", "nf4", &local);
    bool four = json_get_bool(q, "load_in_4bit", false, &local);
    bool eight = json_get_bool(q, "load_in_8bit", false, &local);
    if (!local.status && (four == eight || (strcmp(type, "nf4") && strcmp(type, "fp4"))))
        error_set(&local, STATUS_FORMAT,
                  "either load_in_4bit, with nf4 or fp4, or load_in_8bit should be true");
    return local.status
               ? error_set(err, local.status, "%s, quantization_config: %s", name, local.message)
               : STATUS_OK;
}

/* --- quant_state --- */

/* A whole number of 1 to `most`; 0 with an error. */
static size_t get_size(const json_t *value, const char *key, size_t most, struct error *err)
{
    if (json_is_integer(value) && json_integer_value(value) >= 1 &&
        (uint64_t)json_integer_value(value) <= most)
        return (size_t)json_integer_value(value);
    if (!err->status)
        error_set(err, STATUS_FORMAT, "\"%s\" should be a whole number of 1 to %zu", key, most);
    return 0;
}

static size_t get_blocksize(const json_t *object, const char *key, struct error *err)
{
    size_t n = get_size(json_object_get(object, key), key, MAX_BLOCKSIZE, err);
    if (n % 32 && !err->status)
        error_set(err, STATUS_FORMAT, "\"%s\" is %zu; expected a multiple of 32", key, n);
    return n;
}

static void read_state(const json_t *object, struct bnb_quant_state *s, struct error *err)
{
    const json_t *shape = json_object_get(object, "shape");
    const char *type = json_get_string(object, "quant_type", "(none)", err);
    s->is_fp4 = !strcmp(type, "fp4");
    if (!s->is_fp4 && strcmp(type, "nf4") && !err->status)
        error_set(err, STATUS_FORMAT, "\"quant_type\" is %.100s; expected nf4 or fp4", type);
    s->blocksize = get_blocksize(object, "blocksize", err);
    if (json_array_size(shape) != 2 && !err->status)
        error_set(err, STATUS_FORMAT, "\"shape\" should be two sizes");
    s->rows = get_size(json_array_get(shape, 0), "shape", SIZE_MAX / 2, err);
    s->cols = get_size(json_array_get(shape, 1), "shape", SIZE_MAX / 2, err);
    s->is_nested = json_object_get(object, "nested_blocksize");
    if (!s->is_nested)
        return;
    s->nested_blocksize = get_blocksize(object, "nested_blocksize", err);
    s->nested_offset = (float)json_get_number(object, "nested_offset", NAN, err);
    if (!isfinite(s->nested_offset) && !err->status)
        error_set(err, STATUS_FORMAT, "\"nested_offset\" should be a number");
}

enum status bnb_quant_state_read(const char *name, const char *data, size_t size,
                                 struct bnb_quant_state *state, struct error *err)
{
    struct error local = {0};
    *state = (struct bnb_quant_state){0};
    if (size > MAX_STATE)
        return error_set(err, STATUS_FORMAT, "%s has %zu bytes of JSON; expected at most %d", name,
                         size, MAX_STATE);
    json_t *object = json_parse(name, data, size, err);
    if (!object)
        return STATUS_FORMAT;
    if (json_is_object(object))
        read_state(object, state, &local);
    else
        error_set(&local, STATUS_FORMAT, "a JSON object is expected");
    json_decref(object);
    return local.status ? error_set(err, local.status, "%s: %s", name, local.message) : STATUS_OK;
}

/* --- Parts --- */

enum status bnb_parts_add(struct bnb_parts *parts, const struct tensor *tensor, struct error *err)
{
    if (!mem_grow(&parts->items, &parts->capacity, parts->count, sizeof *parts->items))
        return error_memory(err, "the table of tensors");
    parts->items[parts->count++] = (struct bnb_part){.tensor = *tensor};
    parts->is_sorted = false;
    return STATUS_OK;
}

static int compare_parts(const void *a, const void *b)
{
    const struct bnb_part *x = a, *y = b;
    return strcmp(x->tensor.name, y->tensor.name);
}

static int compare_name(const void *name, const void *part)
{
    return strcmp(name, ((const struct bnb_part *)part)->tensor.name);
}

static struct bnb_part *find_part(struct bnb_parts *parts, const char *name)
{
    if (!parts->is_sorted && parts->count)
        qsort(parts->items, parts->count, sizeof *parts->items, compare_parts);
    parts->is_sorted = true;
    return parts->count
               ? bsearch(name, parts->items, parts->count, sizeof *parts->items, compare_name)
               : NULL;
}

const struct tensor *bnb_parts_find(struct bnb_parts *parts, const char *name)
{
    struct bnb_part *part = find_part(parts, name);
    return part ? &part->tensor : NULL;
}

void bnb_parts_free(struct bnb_parts *parts)
{
    mem_free(parts->items);
    *parts = (struct bnb_parts){0};
}

/* --- Weights --- */

/* A weight with what belongs to it. */
struct weight {
    const struct tensor *codes;
    enum tensor_type type; /* TYPE_NF4, TYPE_FP4 or TYPE_INT8 */
    struct bnb_quant_state state;
    const struct tensor *scales; /* absmax or SCB */
    const struct tensor *nested_scales, *nested_values;
    enum tensor_type target; /* type, or TYPE_F32 */
    void *out;
};

struct assembly {
    struct checkpoint *cp;
    struct bnb_parts *parts;
    struct weight *weights;
    size_t n_weights;
    struct error *err;
};

static const struct tensor *take(struct assembly *a, const char *name)
{
    struct bnb_part *part = find_part(a->parts, name);
    if (!part)
        return NULL;
    part->is_used = true;
    return &part->tensor;
}

static const struct tensor *take_with_end(struct assembly *a, const char *name, const char *end)
{
    char full[2 * MAX_TENSOR_NAME];
    int n = snprintf(full, sizeof full, "%s%s", name, end);
    return n < (int)sizeof full ? take(a, full) : NULL;
}

/* The companion NAME.END of a type and with so many elements. */
static enum status take_companion(struct assembly *a, const char *name, const char *end, int type,
                                  size_t n, const struct tensor **found)
{
    size_t width = type == TYPE_F32 ? sizeof(float) : 1;
    *found = take_with_end(a, name, end);
    if (!*found)
        return error_set(a->err, STATUS_FORMAT, "%s: the tensor %.200s%s is missing",
                         checkpoint_path(a->cp), name, end);
    if ((int)(*found)->type != type || (*found)->bytes / width != n)
        return error_set(a->err, STATUS_FORMAT,
                         "%s: the tensor %.200s%s should have %zu elements of type %s, but has %zu "
                         "bytes%s",
                         (*found)->file, name, end, n, type == TYPE_F32 ? "F32" : "U8",
                         (*found)->bytes, (int)(*found)->type == type ? "" : " of another type");
    return STATUS_OK;
}

static float load_float(const struct tensor *t, size_t i)
{
    float value;
    memcpy(&value, (const char *)t->data + i * sizeof value, sizeof value);
    return value;
}

/* bitsandbytes computes with the published values, whatever is stored: they had better agree. */
static enum status check_values(struct assembly *a, const struct weight *w,
                                const struct tensor *map)
{
    const float *values = w->type == TYPE_FP4 ? fp4_values : nf4_values;
    for (size_t i = 0; i < 16; i++)
        if (!(fabsf(load_float(map, i) - values[i]) < 1e-6f))
            return error_set(a->err, STATUS_UNSUPPORTED,
                             "%s: value %zu of %.200s is %g; %s has %g there", map->file, i,
                             map->name, (double)load_float(map, i), tensor_type_info(w->type)->name,
                             (double)values[i]);
    return STATUS_OK;
}

static size_t divide_up(size_t n, size_t by)
{
    return n / by + (n % by != 0);
}

static enum status read_four_bit(struct assembly *a, struct weight *w, const struct tensor *json)
{
    struct bnb_quant_state *s = &w->state;
    const char *name = w->codes->name;
    char place[600];
    size_t n;
    snprintf(place, sizeof place, "%.300s, tensor %.250s", json->file, json->name);
    enum status status = bnb_quant_state_read(place, json->data, json->bytes, s, a->err);
    if (status)
        return status;
    if (s->is_fp4 != (w->type == TYPE_FP4))
        return error_set(a->err, STATUS_FORMAT, "%s: \"quant_type\" is another than in its name",
                         place);
    if (!size_multiply(s->rows, s->cols, &n) || divide_up(n, 2) != w->codes->bytes)
        return error_set(a->err, STATUS_FORMAT,
                         "%s: the tensor %.200s has %zu bytes, but [%zu, %zu] codes of 4 bits do "
                         "not take that many",
                         w->codes->file, name, w->codes->bytes, s->rows, s->cols);
    const struct tensor *map;
    size_t blocks = divide_up(n, s->blocksize);
    status = take_companion(a, name, ".quant_map", TYPE_F32, 16, &map);
    if (!status)
        status = check_values(a, w, map);
    if (!status)
        status = take_companion(a, name, ".absmax", s->is_nested ? SAFETENSORS_U8 : (int)TYPE_F32,
                                blocks, &w->scales);
    if (!status && s->is_nested)
        status = take_companion(a, name, ".nested_absmax", TYPE_F32,
                                divide_up(blocks, s->nested_blocksize), &w->nested_scales);
    if (!status && s->is_nested)
        status = take_companion(a, name, ".nested_quant_map", TYPE_F32, NESTED_VALUES,
                                &w->nested_values);
    return status;
}

/* NAME.weight -> NAME */
static void module_name(const char *name, char module[MAX_TENSOR_NAME + 1])
{
    snprintf(module, MAX_TENSOR_NAME + 1, "%s", name);
    module[strlen(module) - strlen(".weight")] = 0;
}

static enum status read_int8(struct assembly *a, struct weight *w)
{
    const struct tensor *t = w->codes;
    char module[MAX_TENSOR_NAME + 1];
    module_name(t->name, module);
    if ((int)t->type != SAFETENSORS_I8 || t->n_dims != 2 || !t->shape[0] || !t->shape[1])
        return error_set(a->err, STATUS_FORMAT,
                         "%s: the tensor %.200s has scales (%s.SCB), but is no matrix of I8",
                         t->file, t->name, module);
    const struct tensor *layout = take_with_end(a, module, ".weight_format");
    if (layout && (layout->bytes != 1 || *(const uint8_t *)layout->data != 0))
        return error_set(a->err, STATUS_UNSUPPORTED,
                         "%s: %.200s is not 0, for rows: other layouts of 8-bit weights are not "
                         "supported",
                         layout->file, layout->name);
    w->state.rows = t->shape[0];
    w->state.cols = t->shape[1];
    return take_companion(a, module, ".SCB", TYPE_F32, t->shape[0], &w->scales);
}

static bool has_end(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n > m && n <= MAX_TENSOR_NAME && !strcmp(name + n - m, end);
}

/* Whether the part is a quantized weight; then all that belongs to it was read and checked. */
static enum status read_weight(struct assembly *a, const struct tensor *t, struct weight *w,
                               bool *is_quantized)
{
    *w = (struct weight){.codes = t};
    *is_quantized = true;
    if (!has_end(t->name, ".weight")) {
        *is_quantized = false;
        return STATUS_OK;
    }
    const struct tensor *json = take_with_end(a, t->name, nf4_state);
    w->type = json ? TYPE_NF4 : TYPE_FP4;
    if (!json)
        json = take_with_end(a, t->name, fp4_state);
    if (json)
        return read_four_bit(a, w, json);
    char module[MAX_TENSOR_NAME + 1];
    module_name(t->name, module);
    *is_quantized = take_with_end(a, module, ".SCB");
    w->type = TYPE_INT8;
    return *is_quantized ? read_int8(a, w) : STATUS_OK;
}

/* --- Putting together --- */

static float scale_of(const struct weight *w, size_t block)
{
    if (!w->state.is_nested)
        return load_float(w->scales, block);
    uint8_t code = ((const uint8_t *)w->scales->data)[block];
    return load_float(w->nested_values, code) *
               load_float(w->nested_scales, block / w->state.nested_blocksize) +
           w->state.nested_offset;
}

/* Blocks [begin, end) of BNB_BLOCK elements. */
static void pack_blocks(const struct weight *w, size_t begin, size_t end)
{
    size_t bytes = tensor_type_info(w->type)->block_bytes, of_row = w->state.cols / BNB_BLOCK;
    const uint8_t *codes = w->codes->data;
    uint8_t *out = (uint8_t *)w->out + begin * bytes;
    for (size_t b = begin; b < end; b++, out += bytes) {
        if (w->type == TYPE_INT8)
            int8_pack(load_float(w->scales, b / of_row), codes + b * BNB_BLOCK, out);
        else
            four_bit_pack(scale_of(w, b * BNB_BLOCK / w->state.blocksize),
                          codes + b * (BNB_BLOCK / 2), out);
    }
}

static void decode_elements(const struct weight *w, size_t begin, size_t end)
{
    const float *values = w->type == TYPE_FP4 ? fp4_values : nf4_values;
    const uint8_t *codes = w->codes->data;
    float *out = w->out;
    for (size_t i = begin; i < end; i++) {
        if (w->type == TYPE_INT8)
            out[i] = (float)(int8_t)codes[i] * load_float(w->scales, i / w->state.cols) * INT8_STEP;
        else
            out[i] =
                values[codes[i / 2] >> (i % 2 ? 0 : 4) & 15] * scale_of(w, i / w->state.blocksize);
    }
}

static void assemble_share(void *context, size_t thread, size_t n_threads)
{
    const struct weight *w = context;
    size_t begin, end, n = w->state.rows * w->state.cols;
    bool in_blocks = w->target != TYPE_F32;
    thread_share(in_blocks ? n / BNB_BLOCK : n, 64, thread, n_threads, &begin, &end);
    if (in_blocks)
        pack_blocks(w, begin, end);
    else
        decode_elements(w, begin, end);
}

/* Room for every weight, each on a cache line, in one piece of memory. */
static enum status make_room(struct assembly *a)
{
    size_t total = 0, bytes;
    for (size_t i = 0; i < a->n_weights; i++) {
        struct weight *w = &a->weights[i];
        size_t granule =
            w->type == TYPE_INT8 || w->state.blocksize % BNB_BLOCK == 0 ? BNB_BLOCK : 0;
        w->target = granule && w->state.cols % granule == 0 ? w->type : TYPE_F32;
        if (!tensor_type_bytes(w->target, w->state.rows * w->state.cols, &bytes) ||
            bytes > SIZE_MAX - 63 || !size_add(total, (bytes + 63) / 64 * 64, &total))
            return error_memory(a->err, "the quantized weights");
    }
    if (!(a->cp->assembled = mem_map(total)))
        return error_memory(a->err, "the quantized weights");
    a->cp->assembled_bytes = total;
    return STATUS_OK;
}

static enum status add_assembled(struct assembly *a)
{
    struct thread_pool *pool;
    char *at = a->cp->assembled;
    enum status status = thread_pool_create(0, &pool, a->err);
    for (size_t i = 0; i < a->n_weights && !status; i++) {
        struct weight *w = &a->weights[i];
        struct tensor t = *w->codes;
        w->out = at;
        thread_pool_run(pool, assemble_share, w);
        mem_drop_mapped(t.data, t.bytes);
        t.type = w->target;
        t.n_dims = 2;
        t.shape[0] = w->state.rows;
        t.shape[1] = w->state.cols;
        t.data = at;
        tensor_type_bytes(t.type, w->state.rows * w->state.cols, &t.bytes);
        at += (t.bytes + 63) / 64 * 64;
        status = checkpoint_add_tensor(a->cp, &t, a->err);
    }
    if (pool)
        thread_pool_free(pool);
    return status;
}

/* Tensors that are no part of a quantized weight. */
static enum status add_others(struct assembly *a)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < a->parts->count && !status; i++) {
        const struct bnb_part *part = &a->parts->items[i];
        const struct tensor *t = &part->tensor;
        if (part->is_used)
            continue;
        if (t->type < TYPE_COUNT)
            status = checkpoint_add_tensor(a->cp, t, a->err);
        else if (names_is_weight(t->name))
            status = error_set(a->err, STATUS_FORMAT,
                               "%s: the tensor %.200s holds bytes, but neither %s beside it nor "
                               "scales (SCB) say what they stand for",
                               t->file, t->name, nf4_state + 1);
    }
    return status;
}

static enum status read_weights(struct assembly *a)
{
    find_part(a->parts, ""); /* sorts, so that the items stay where they are */
    for (size_t i = 0; i < a->parts->count; i++) {
        struct bnb_part *part = &a->parts->items[i];
        bool is_quantized;
        enum status status =
            read_weight(a, &part->tensor, &a->weights[a->n_weights], &is_quantized);
        if (status)
            return status;
        part->is_used = part->is_used || is_quantized;
        a->n_weights += is_quantized;
    }
    return STATUS_OK;
}

enum status bnb_assemble(struct checkpoint *cp, struct bnb_parts *parts, struct error *err)
{
    struct assembly a = {.cp = cp, .parts = parts, .err = err};
    a.weights = mem_array(parts->count, sizeof *a.weights);
    enum status status = a.weights ? read_weights(&a) : error_memory(err, "the table of weights");
    if (!status)
        status = make_room(&a);
    if (!status)
        status = add_assembled(&a);
    if (!status)
        status = add_others(&a);
    mem_free(a.weights);
    return status;
}
