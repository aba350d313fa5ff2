#include "quantize/folder.h"
#include "base/file.h"
#include "base/memory.h"
#include "formats/hf_config_write.h"
#include "formats/hf_folder.h"
#include "formats/safetensors_write.h"
#include "kernels/bitsandbytes.h"
#include "kernels/convert.h"
#include "kernels/double_quant.h"
#include "text/tokenizer_export.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a tensor of the file is, of one of the checkpoint. */
enum part_kind {
    PART_PLAIN, /* as it was, or rounded to a plain type */
    PART_CODES,
    PART_SCALES, /* absmax or SCB */
    PART_VALUES, /* of the 16 codes */
    PART_NESTED_SCALES,
    PART_NESTED_VALUES,
    PART_STATE,  /* JSON */
    PART_LAYOUT, /* weight_format: 0 */
};

struct part {
    size_t tensor; /* of the checkpoint */
    enum part_kind kind;
};

/* The one weight that is being written, taken apart. */
struct weight {
    const struct tensor *tensor; /* NULL: none yet */
    uint8_t *blocks, *codes;     /* codes as they are stored */
    float *scales, *nested_scales;
    uint8_t *scale_codes;
    float nested_offset;
    struct strbuf state;
};

struct writer {
    const struct checkpoint *cp;
    const struct recipe *recipe;
    const struct quantize_options *options;
    struct converter converter;
    struct arena arena; /* names */
    struct tensor_plan *plans;
    struct part *parts;
    size_t n_parts, plans_capacity, parts_capacity;
    struct weight weight;
    float nested_values[DYNAMIC_VALUES];
    size_t done_bytes, all_bytes;
    json_t *config;
    struct error *err;
};

static enum tensor_type type_of(const struct writer *w, const struct tensor *t)
{
    if (t->n_dims > 1)
        return recipe_type(w->recipe, checkpoint_hyperparameters(w->cp), t);
    return t->type <= TYPE_BF16 ? t->type : TYPE_F32;
}

static bool is_quantized(const struct writer *w, const struct tensor *t)
{
    return t->n_dims == 2 && type_of(w, t) == w->recipe->base;
}

static size_t element_count(const struct tensor *t)
{
    size_t n = 1;
    for (size_t i = 0; i < t->n_dims; i++)
        n *= t->shape[i];
    return n;
}

static size_t n_blocks(const struct tensor *t)
{
    return element_count(t) / BNB_BLOCK;
}

static size_t n_nested(const struct tensor *t)
{
    return (n_blocks(t) + NESTED_BLOCK - 1) / NESTED_BLOCK;
}

/* --- The JSON of a weight --- */

/* transformers 4 says torch_dtype, later ones dtype. */
static const char *dtype_name(const json_t *config)
{
    const char *name = json_string_value(json_object_get(config, "dtype"));
    if (!name)
        name = json_string_value(json_object_get(config, "torch_dtype"));
    return name ? name : "bfloat16";
}

static bool write_state(const struct writer *w, const struct tensor *t, float offset,
                        struct strbuf *out)
{
    json_t *state =
        json_pack("{s:s, s:i, s:s, s:[I, I]}", "quant_type",
                  w->recipe->base == TYPE_FP4 ? "fp4" : "nf4", "blocksize", BNB_BLOCK, "dtype",
                  dtype_name(w->config), "shape", (json_int_t)t->shape[0], (json_int_t)t->shape[1]);
    if (state && w->recipe->doubly)
        json_object_update_new(state, json_pack("{s:i, s:s, s:f}", "nested_blocksize", NESTED_BLOCK,
                                                "nested_dtype", "float32", "nested_offset",
                                                (double)offset));
    json_write(out, state, false);
    json_decref(state);
    /* Its length must not depend on the offset's digits: it is planned before that is known. */
    while (out->length < 256)
        strbuf_add_char(out, ' ');
    return state && !out->failed && out->length == 256;
}

/* --- The plan --- */

static enum status add_part(struct writer *w, size_t tensor, enum part_kind kind, const char *name,
                            const struct tensor_plan *plan)
{
    if (!mem_grow(&w->plans, &w->plans_capacity, w->n_parts, sizeof *w->plans) ||
        !mem_grow(&w->parts, &w->parts_capacity, w->n_parts, sizeof *w->parts))
        return error_memory(w->err, "the table of tensors");
    w->plans[w->n_parts] = *plan;
    w->plans[w->n_parts].name = arena_copy_string(&w->arena, name, strlen(name));
    w->parts[w->n_parts] = (struct part){.tensor = tensor, .kind = kind};
    return w->plans[w->n_parts++].name ? STATUS_OK : error_memory(w->err, "tensor names");
}

/* A part behind the first `length` characters of the weight's name. */
static enum status add_companion(struct writer *w, size_t tensor, enum part_kind kind,
                                 size_t length, const char *end, int type, size_t n)
{
    struct strbuf name = {0};
    struct tensor_plan plan = {.type = (enum tensor_type)type, .n_dims = n > 0, .shape = {n}};
    strbuf_append(&name, checkpoint_tensor_at(w->cp, tensor)->name, length);
    strbuf_add(&name, end);
    enum status status = name.failed ? error_memory(w->err, "tensor names")
                                     : add_part(w, tensor, kind, strbuf_text(&name), &plan);
    strbuf_free(&name);
    return status;
}

static enum status plan_four_bit(struct writer *w, size_t index)
{
    const struct tensor *t = checkpoint_tensor_at(w->cp, index);
    bool doubly = w->recipe->doubly;
    const struct {
        enum part_kind kind;
        const char *end;
        int type;
        size_t n;
    } companions[] = {
        {PART_SCALES, ".absmax", doubly ? SAFETENSORS_U8 : (int)TYPE_F32, n_blocks(t)},
        {PART_VALUES, ".quant_map", TYPE_F32, 16},
        {PART_STATE,
         w->recipe->base == TYPE_FP4 ? ".quant_state.bitsandbytes__fp4"
                                     : ".quant_state.bitsandbytes__nf4",
         SAFETENSORS_U8, 256},
        {PART_NESTED_SCALES, ".nested_absmax", TYPE_F32, n_nested(t)},
        {PART_NESTED_VALUES, ".nested_quant_map", TYPE_F32, DYNAMIC_VALUES},
    };
    struct tensor_plan codes = {
        .type = (enum tensor_type)SAFETENSORS_U8, .n_dims = 2, .shape = {element_count(t) / 2, 1}};
    enum status status = add_part(w, index, PART_CODES, t->name, &codes);
    size_t n = sizeof companions / sizeof *companions - (doubly ? 0 : 2);
    for (size_t i = 0; i < n && !status; i++)
        status = add_companion(w, index, companions[i].kind, strlen(t->name), companions[i].end,
                               companions[i].type, companions[i].n);
    return status;
}

static enum status plan_int8(struct writer *w, size_t index)
{
    const struct tensor *t = checkpoint_tensor_at(w->cp, index);
    struct tensor_plan codes = {
        .type = (enum tensor_type)SAFETENSORS_I8, .n_dims = 2, .shape = {t->shape[0], t->shape[1]}};
    size_t module = strlen(t->name) - strlen(".weight");
    enum status status = add_part(w, index, PART_CODES, t->name, &codes);
    if (!status)
        status = add_companion(w, index, PART_SCALES, module, ".SCB", TYPE_F32, t->shape[0]);
    if (!status)
        status = add_companion(w, index, PART_LAYOUT, module, ".weight_format", SAFETENSORS_U8, 0);
    return status;
}

static enum status plan_tensors(struct writer *w)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < checkpoint_tensor_count(w->cp) && !status; i++) {
        const struct tensor *t = checkpoint_tensor_at(w->cp, i);
        w->all_bytes += t->bytes;
        if (is_quantized(w, t)) {
            status = w->recipe->base == TYPE_INT8 ? plan_int8(w, i) : plan_four_bit(w, i);
            continue;
        }
        struct tensor_plan plan = {.type = type_of(w, t), .n_dims = t->n_dims};
        memcpy(plan.shape, t->shape, sizeof plan.shape);
        status = add_part(w, i, PART_PLAIN, t->name, &plan);
    }
    return status;
}

/* --- One weight --- */

static void weight_clear(struct weight *weight)
{
    mem_free(weight->blocks);
    mem_free(weight->codes);
    mem_free(weight->scales);
    mem_free(weight->nested_scales);
    mem_free(weight->scale_codes);
    strbuf_free(&weight->state);
    *weight = (struct weight){0};
}

static void take_apart(const struct writer *w, struct weight *weight)
{
    size_t bytes = tensor_type_info(w->recipe->base)->block_bytes;
    size_t of_row = weight->tensor->shape[1] / BNB_BLOCK;
    for (size_t b = 0; b < n_blocks(weight->tensor); b++) {
        const uint8_t *block = weight->blocks + b * bytes;
        if (w->recipe->base == TYPE_INT8) {
            weight->scales[b / of_row] = bnb_scale(block);
            memcpy(weight->codes + b * BNB_BLOCK, block + BNB_CODES, BNB_BLOCK);
        } else {
            four_bit_unpack(block, &weight->scales[b], weight->codes + b * (BNB_BLOCK / 2));
        }
    }
}

static enum status quantize_weight(struct writer *w, const struct tensor *t)
{
    struct weight *weight = &w->weight;
    size_t n = n_blocks(t);
    weight_clear(weight);
    *weight =
        (struct weight){.tensor = t,
                        .blocks = mem_array(n, tensor_type_info(w->recipe->base)->block_bytes),
                        .codes = mem_array(n, BNB_BLOCK),
                        .scales = mem_array(n, sizeof *weight->scales),
                        .nested_scales = mem_array(n_nested(t), sizeof *weight->scales),
                        .scale_codes = mem_array(n, 1)};
    if (!weight->blocks || !weight->codes || !weight->scales || !weight->nested_scales ||
        !weight->scale_codes)
        return error_memory(w->err, t->name);
    struct conversion c = {.from = t->type,
                           .to = w->recipe->base,
                           .source = t->data,
                           .target = weight->blocks,
                           .n_rows = t->shape[0],
                           .cols = t->shape[1]};
    if (convert_rows(&w->converter, &c, w->err))
        return error_prefix(w->err, "%s: tensor %s", t->file, t->name);
    take_apart(w, weight);
    if (w->recipe->doubly)
        double_quantize(weight->scales, n, w->nested_values, weight->scale_codes,
                        weight->nested_scales, &weight->nested_offset);
    return write_state(w, t, weight->nested_offset, &weight->state)
               ? STATUS_OK
               : error_memory(w->err, "a weight's quant_state");
}

static const void *part_data(const struct writer *w, enum part_kind kind)
{
    static const uint8_t rows = 0;
    const struct weight *weight = &w->weight;
    switch (kind) {
    case PART_PLAIN:
        return NULL;
    case PART_CODES:
        return weight->codes;
    case PART_SCALES:
        return w->recipe->doubly ? (const void *)weight->scale_codes : weight->scales;
    case PART_VALUES:
        return w->recipe->base == TYPE_FP4 ? fp4_values : nf4_values;
    case PART_NESTED_SCALES:
        return weight->nested_scales;
    case PART_NESTED_VALUES:
        return w->nested_values;
    case PART_STATE:
        return weight->state.data;
    case PART_LAYOUT:
        return &rows;
    }
    return NULL;
}

/* --- Writing --- */

static void report(struct writer *w, const struct tensor *t)
{
    w->done_bytes += t->bytes;
    if (w->options->progress)
        w->options->progress(w->options->context, w->done_bytes, w->all_bytes, t->name);
}

static void give_plain(const struct writer *w, const struct tensor *t, size_t first, size_t n,
                       size_t row, float *out)
{
    size_t row_bytes = t->bytes / (t->n_dims ? t->shape[0] : 1);
    w->converter.kernels->dequantize[t->type]((const char *)t->data + first * row_bytes, out,
                                              n * row);
}

static enum status give_rows(void *context, size_t index, size_t first, size_t n, void *out,
                             struct error *err)
{
    struct writer *w = context;
    const struct part *part = &w->parts[index];
    const struct tensor_plan *plan = &w->plans[index];
    const struct tensor *t = checkpoint_tensor_at(w->cp, part->tensor);
    size_t row = 1, width = plan->type == TYPE_F32 ? sizeof(float) : 1;
    for (size_t i = 1; i < plan->n_dims; i++)
        row *= plan->shape[i];
    if (w->options->cancel && atomic_load(w->options->cancel))
        return error_set(err, STATUS_CANCELLED, "stopped; nothing was written");
    if (first == 0 && (part->kind == PART_PLAIN || part->kind == PART_CODES))
        report(w, t);
    if (part->kind == PART_PLAIN) {
        give_plain(w, t, first, n, row, out);
        return STATUS_OK;
    }
    enum status status = w->weight.tensor == t ? STATUS_OK : quantize_weight(w, t);
    if (!status)
        memcpy(out, (const char *)part_data(w, part->kind) + first * row * width, n * row * width);
    return status;
}

static enum status write_weights(struct writer *w, const char *folder)
{
    char *path = file_join(folder, "model.safetensors");
    json_t *metadata = json_pack("{s:s}", "format", "pt");
    enum status status =
        path && metadata ? plan_tensors(w) : error_memory(w->err, "model.safetensors");
    if (!status)
        status = safetensors_write(path, w->plans, w->n_parts, metadata, give_rows, w, w->err);
    json_decref(metadata);
    mem_free(path);
    return status;
}

/* Modules of layers that stay as they are; NULL where transformers' own choice, lm_head, is all. */
static json_t *skipped_modules(const struct writer *w)
{
    json_t *list = json_array();
    for (size_t i = 0; i < checkpoint_tensor_count(w->cp); i++) {
        const struct tensor *t = checkpoint_tensor_at(w->cp, i);
        size_t length = strlen(t->name), end = strlen(".weight");
        if (t->n_dims == 2 && length > end && !strncmp(t->name, "model.layers.", 13) &&
            !is_quantized(w, t))
            json_array_append_new(list, json_stringn(t->name, length - end));
    }
    if (json_array_size(list)) {
        json_array_append_new(list, json_string("lm_head"));
        return list;
    }
    json_decref(list);
    return json_null();
}

static json_t *quantization_config(const struct writer *w)
{
    bool eight = w->recipe->base == TYPE_INT8;
    return json_pack("{s:s, s:b, s:b, s:b, s:b, s:s, s:s, s:s, s:b, s:b, s:b, s:o, s:f}",
                     "quant_method", "bitsandbytes", "_load_in_4bit", !eight, "_load_in_8bit",
                     eight, "load_in_4bit", !eight, "load_in_8bit", eight, "bnb_4bit_quant_type",
                     w->recipe->base == TYPE_NF4 ? "nf4" : "fp4", "bnb_4bit_compute_dtype",
                     eight ? "float32" : dtype_name(w->config), "bnb_4bit_quant_storage", "uint8",
                     "bnb_4bit_use_double_quant", w->recipe->doubly,
                     "llm_int8_enable_fp32_cpu_offload", 0, "llm_int8_has_fp16_weight", 0,
                     "llm_int8_skip_modules", skipped_modules(w), "llm_int8_threshold", 6.0);
}

/* A GGUF file has no config.json: its hyperparameters make one. */
static json_t *make_config(const struct writer *w)
{
    const struct tensor *embedding = checkpoint_tensor(w->cp, "model.embed_tokens.weight");
    enum tensor_type type = embedding ? type_of(w, embedding) : TYPE_BF16;
    const char *dtype = type == TYPE_F32 ? "float32" : type == TYPE_F16 ? "float16" : "bfloat16";
    json_t *config =
        hf_config_json(checkpoint_hyperparameters(w->cp), checkpoint_generation(w->cp), dtype);
    if (!config)
        error_memory(w->err, "config.json");
    return config;
}

static enum status write_vocabulary(struct writer *w, const char *folder)
{
    const struct vocab_source *vocab = checkpoint_vocab(w->cp);
    json_t *tokenizer, *config;
    if (!vocab->n_tokens)
        return STATUS_OK;
    enum status status = tokenizer_export(vocab, checkpoint_hyperparameters(w->cp)->context_length,
                                          &tokenizer, &config, w->err);
    if (!status)
        status = hf_write_json(folder, "tokenizer.json", tokenizer, w->err);
    if (!status)
        status = hf_write_json(folder, "tokenizer_config.json", config, w->err);
    json_decref(tokenizer);
    json_decref(config);
    return status;
}

static enum status write_documents(struct writer *w, const char *folder)
{
    bool is_gguf = checkpoint_format(w->cp) == CHECKPOINT_GGUF;
    w->config = is_gguf ? make_config(w) : hf_read_config(checkpoint_path(w->cp), w->err);
    if (!w->config)
        return w->err->status;
    json_object_set_new(w->config, "quantization_config", quantization_config(w));
    enum status status = hf_write_json(folder, "config.json", w->config, w->err);
    if (!status && !is_gguf)
        return hf_copy_documents(checkpoint_path(w->cp), folder, w->err);
    json_t *generation = status ? NULL : hf_generation_json(checkpoint_generation(w->cp));
    if (!status)
        status = hf_write_json(folder, "generation_config.json", generation, w->err);
    json_decref(generation);
    return status ? status : write_vocabulary(w, folder);
}

static enum status write_folder(struct writer *w, const char *folder)
{
    dynamic_map(w->nested_values);
    enum status status = kernels_select(NULL, &w->converter.kernels, w->err);
    if (!status)
        status = thread_pool_create(w->options->n_threads, &w->converter.pool, w->err);
    if (!status)
        status = write_documents(w, folder);
    if (!status)
        status = write_weights(w, folder);
    weight_clear(&w->weight);
    thread_pool_free(w->converter.pool);
    converter_free(&w->converter);
    json_decref(w->config);
    mem_free(w->plans);
    mem_free(w->parts);
    arena_free(&w->arena);
    return status;
}

static void remove_folder(const char *path)
{
    DIR *dir = opendir(path);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        char *file = file_join(path, e->d_name);
        if (file && strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
            unlink(file);
        mem_free(file);
    }
    if (dir)
        closedir(dir);
    rmdir(path);
}

/* "out/" -> "out.partial-1234", beside it; 1234 is the process. */
static char *temporary_name(const char *path)
{
    struct strbuf name = {0};
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    strbuf_append(&name, path, length);
    strbuf_printf(&name, ".partial-%ld", (long)getpid());
    return strbuf_take(&name);
}

enum status quantize_folder(const struct checkpoint *cp, const char *path,
                            const struct recipe *recipe, const struct quantize_options *options,
                            struct error *err)
{
    struct writer w = {.cp = cp, .recipe = recipe, .options = options, .err = err};
    char *temporary = temporary_name(path);
    if (!temporary)
        return error_memory(err, path);
    enum status status = STATUS_OK;
    if (mkdir(temporary, 0777)) {
        status = file_cannot_create(path, err);
    } else {
        status = write_folder(&w, temporary);
        if (!status && rename(temporary, path))
            status = error_errno(err, "cannot rename %s to %s", temporary, path);
        if (status)
            remove_folder(temporary);
    }
    mem_free(temporary);
    return status;
}
