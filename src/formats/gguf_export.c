#include "formats/gguf_export.h"
#include "base/size.h"
#include "formats/gguf_model.h"
#include "formats/internal.h"
#include "formats/names.h"
#include "kernels/half.h"

#include <stdio.h>
#include <string.h>

enum { CHUNK = 1 << 16 /* elements converted at a time */, QUANTIZATION_VERSION = 2 };

static const char short_name[] = "rope_factors_short.weight",
                  long_name[] = "rope_factors_long.weight";

/* Metadata under "qwen2." and the like. */
struct section {
    struct gguf_writer *w;
    const char *architecture;
    char key[100];
};

static const char *arch_key(struct section *s, const char *suffix)
{
    snprintf(s->key, sizeof s->key, "%s.%s", s->architecture, suffix);
    return s->key;
}

static void add_u32(struct section *s, const char *suffix, size_t value)
{
    gguf_add_u32(s->w, arch_key(s, suffix), value);
}

static void add_f32(struct section *s, const char *suffix, double value)
{
    gguf_add_f32(s->w, arch_key(s, suffix), value);
}

static void add_shape(struct section *s, const struct hyperparameters *h)
{
    add_u32(s, "block_count", h->n_layers);
    add_u32(s, "context_length", h->context_length);
    add_u32(s, "embedding_length", h->dim);
    add_u32(s, "feed_forward_length", h->ffn_dim);
    add_u32(s, "attention.head_count", h->n_heads);
    add_u32(s, "attention.head_count_kv", h->n_kv_heads);
    add_f32(s, "attention.layer_norm_rms_epsilon", h->rms_norm_eps);
    add_u32(s, "vocab_size", h->vocab_size);
    if (h->head_dim * h->n_heads != h->dim) {
        add_u32(s, "attention.key_length", h->head_dim);
        add_u32(s, "attention.value_length", h->head_dim);
    }
}

static void add_window(struct section *s, const struct hyperparameters *h)
{
    uint8_t pattern[4096];
    /* Without the key, Phi-3-mini-4k's window is assumed. */
    if (h->sliding_window || h->family == FAMILY_PHI3)
        add_u32(s, "attention.sliding_window", h->sliding_window);
    if (!h->sliding_window || !h->first_window_layer || h->n_layers > sizeof pattern)
        return;
    for (size_t i = 0; i < h->n_layers; i++)
        pattern[i] = i >= h->first_window_layer;
    gguf_add_array(s->w, arch_key(s, "attention.sliding_window_pattern"), GGUF_BOOL, pattern,
                   h->n_layers);
}

static void add_yarn(struct section *s, const struct rope_parameters *rope)
{
    gguf_add_string(s->w, arch_key(s, "rope.scaling.type"), "yarn");
    add_f32(s, "rope.scaling.factor", rope->factor);
    add_u32(s, "rope.scaling.original_context_length", rope->original_context);
    add_f32(s, "rope.scaling.yarn_beta_fast", rope->beta_fast);
    add_f32(s, "rope.scaling.yarn_beta_slow", rope->beta_slow);
    if (rope->attention_factor > 0)
        add_f32(s, "rope.scaling.yarn_attn_factor", rope->attention_factor);
}

static void add_rope(struct section *s, const struct hyperparameters *h)
{
    const struct rope_parameters *rope = &h->rope;
    add_u32(s, "rope.dimension_count", rope->rotary_dim);
    add_f32(s, "rope.freq_base", rope->theta);
    if (rope->kind == ROPE_YARN) {
        add_yarn(s, rope);
    } else if (rope->kind == ROPE_LINEAR) {
        gguf_add_string(s->w, arch_key(s, "rope.scaling.type"), "linear");
        add_f32(s, "rope.scaling.factor", rope->factor);
    } else if (rope->kind == ROPE_LONGROPE) {
        add_u32(s, "rope.scaling.original_context_length", rope->original_context);
        add_f32(s, "rope.scaling.attn_factor",
                rope->attention_factor > 0 ? rope->attention_factor
                                           : rope_default_attention_factor(rope));
    } else if (h->family == FAMILY_PHI3) { /* which llama.cpp expects to have one */
        add_u32(s, "rope.scaling.original_context_length", h->context_length);
    }
}

static void add_generation(struct gguf_writer *w, const struct generation_defaults *g)
{
    if (g->n_eos_ids)
        gguf_add_array(w, KEY_EOS_IDS, GGUF_I32, g->eos_ids, g->n_eos_ids);
    if (!g->do_sample)
        return;
    gguf_add_f32(w, "general.sampling.temp", g->temperature);
    gguf_add_f32(w, "general.sampling.top_p", g->top_p);
    gguf_add_f32(w, "general.sampling.min_p", g->min_p);
    gguf_add_f32(w, "general.sampling.penalty_repeat", g->repetition_penalty);
    gguf_add_u32(w, "general.sampling.top_k", (size_t)g->top_k);
}

void gguf_add_model(struct gguf_writer *w, const struct checkpoint *cp, unsigned char file_type)
{
    const struct hyperparameters *h = &cp->hyperparameters;
    struct section section = {.w = w, .architecture = gguf_architecture(h->family)};
    gguf_add_string(w, "general.architecture", section.architecture);
    gguf_add_string(w, "general.name", cp->name);
    gguf_add_u32(w, "general.file_type", file_type);
    gguf_add_u32(w, "general.quantization_version", QUANTIZATION_VERSION);
    add_shape(&section, h);
    add_window(&section, h);
    add_rope(&section, h);
    add_generation(w, &cp->generation);
}

static enum tensor_type target_type(const struct gguf_conversion *c, const struct tensor *t)
{
    return t->n_dims < 2 ? TYPE_F32 : c->target(c->context, t);
}

/* Longrope's factors are written from the hyperparameters; inverse frequencies, which old
 * checkpoints carry, follow from them. */
static bool is_derived(const struct tensor *t)
{
    static const char frequencies[] = ".rotary_emb.inv_freq";
    size_t n = strlen(t->name), m = strlen(frequencies);
    return !strcmp(t->name, short_name) || !strcmp(t->name, long_name) ||
           (n > m && !strcmp(t->name + n - m, frequencies));
}

static void add_tensors(struct gguf_writer *w, const struct checkpoint *cp,
                        const struct gguf_conversion *conversion)
{
    const struct hyperparameters *h = &cp->hyperparameters;
    char name[MAX_TENSOR_NAME + 1];
    if (h->rope.kind == ROPE_LONGROPE) {
        size_t n = h->rope.rotary_dim / 2;
        gguf_add_tensor(w, long_name, TYPE_F32, 1, &n);
        gguf_add_tensor(w, short_name, TYPE_F32, 1, &n);
    }
    for (size_t i = 0; i < cp->n_tensors; i++) {
        const struct tensor *t = &cp->tensors[i];
        if (is_derived(t))
            continue;
        bool known = names_to_gguf(h->family, t->name, name);
        gguf_add_tensor(w, known ? name : t->name, target_type(conversion, t), t->n_dims, t->shape);
    }
}

static float load_element(const struct tensor *t, size_t i)
{
    const char *p = t->data;
    float value;
    if (t->type == TYPE_F16)
        return f16_to_f32(load_u16(p + 2 * i));
    if (t->type == TYPE_BF16)
        return bf16_to_f32(load_u16(p + 2 * i));
    memcpy(&value, p + 4 * i, sizeof value);
    return value;
}

static void store_element(char *out, enum tensor_type type, size_t i, float value)
{
    if (type == TYPE_F16)
        store_u16(out + 2 * i, f32_to_f16(value));
    else if (type == TYPE_BF16)
        store_u16(out + 2 * i, f32_to_bf16(value));
    else
        memcpy(out + 4 * i, &value, sizeof value);
}

static enum status refuse_conversion(const struct tensor *t, enum tensor_type type,
                                     struct error *err)
{
    if ((t->type == type && type <= TYPE_Q6_K) || (t->type <= TYPE_BF16 && type <= TYPE_BF16))
        return STATUS_OK;
    if (t->type == type)
        return error_set(err, STATUS_UNSUPPORTED, "%s: tensor %s is %s, which GGUF files have not",
                         t->file, t->name, tensor_type_info(type)->name);
    return error_set(err, STATUS_UNSUPPORTED, "%s: tensor %s cannot be converted from %s to %s",
                     t->file, t->name, tensor_type_info(t->type)->name,
                     tensor_type_info(type)->name);
}

/* Between the types that are not quantized. */
static enum status write_floats(void *context, struct gguf_writer *w, const struct tensor *t,
                                enum tensor_type type, struct error *err)
{
    (void)context;
    if (refuse_conversion(t, type, err))
        return STATUS_UNSUPPORTED;
    char *buffer = mem_array(CHUNK, sizeof(float));
    if (!buffer)
        return error_memory(err, t->name);
    size_t n = t->bytes / tensor_type_info(t->type)->block_bytes;
    enum status status = STATUS_OK;
    for (size_t i = 0; i < n && !status; i += CHUNK) {
        size_t count = size_min(n - i, CHUNK);
        for (size_t j = 0; j < count; j++)
            store_element(buffer, type, j, load_element(t, i + j));
        status = gguf_write_data(w, buffer, count * tensor_type_info(type)->block_bytes, err);
    }
    mem_free(buffer);
    return status;
}

static enum status write_tensor(struct gguf_writer *w, const struct tensor *t,
                                const struct gguf_conversion *c, struct error *err)
{
    enum tensor_type type = target_type(c, t);
    if (t->type == type)
        return gguf_write_data(w, t->data, t->bytes, err);
    return t->n_dims < 2 ? write_floats(NULL, w, t, type, err)
                         : c->write(c->context, w, t, type, err);
}

static enum status write_factors(struct gguf_writer *w, const double *factors, size_t n,
                                 struct error *err)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < n && !status; i++) {
        float factor = (float)factors[i];
        status = gguf_write_data(w, &factor, sizeof factor, err);
    }
    return status;
}

static enum status write_tensors(struct gguf_writer *w, const struct checkpoint *cp,
                                 const struct gguf_conversion *conversion, struct error *err)
{
    const struct rope_parameters *rope = &cp->hyperparameters.rope;
    enum status status = STATUS_OK;
    if (rope->kind == ROPE_LONGROPE) {
        status = write_factors(w, rope->long_factor, rope->rotary_dim / 2, err);
        if (!status)
            status = write_factors(w, rope->short_factor, rope->rotary_dim / 2, err);
    }
    for (size_t i = 0; i < cp->n_tensors && !status; i++)
        if (!is_derived(&cp->tensors[i]))
            status = write_tensor(w, &cp->tensors[i], conversion, err);
    return status;
}

/* llama.cpp's number for "mostly of this type". */
static unsigned char file_type(enum tensor_type type)
{
    static const uint8_t numbers[TYPE_COUNT] = {
        [TYPE_F32] = 0,   [TYPE_F16] = 1,   [TYPE_BF16] = 32, [TYPE_Q4_0] = 2,  [TYPE_Q4_1] = 3,
        [TYPE_Q5_0] = 8,  [TYPE_Q5_1] = 9,  [TYPE_Q8_0] = 7,  [TYPE_Q2_K] = 10, [TYPE_Q3_K] = 12,
        [TYPE_Q4_K] = 15, [TYPE_Q5_K] = 17, [TYPE_Q6_K] = 18,
    };
    return numbers[type];
}

/* The type of most elements of matrices. */
static enum tensor_type main_type(const struct checkpoint *cp,
                                  const struct gguf_conversion *conversion)
{
    size_t elements[TYPE_COUNT] = {0};
    enum tensor_type best = TYPE_F32;
    for (size_t i = 0; i < cp->n_tensors; i++)
        if (cp->tensors[i].n_dims > 1)
            elements[target_type(conversion, &cp->tensors[i])] +=
                cp->tensors[i].shape[0] * cp->tensors[i].shape[1];
    for (int i = 0; i < TYPE_COUNT; i++)
        if (elements[i] > elements[best])
            best = (enum tensor_type)i;
    return best;
}

enum status checkpoint_convert_gguf(const struct checkpoint *cp, const char *path,
                                    const struct gguf_conversion *conversion, struct error *err)
{
    struct gguf_writer *w;
    if (!cp->has_hyperparameters || !cp->n_tensors)
        return error_set(err, STATUS_INVALID, "%s was opened without its weights", cp->path);
    enum status status = gguf_writer_create(path, &w, err);
    if (status)
        return status;
    gguf_add_model(w, cp, conversion->file_type);
    status = gguf_add_vocab(w, cp, err);
    if (!status) {
        add_tensors(w, cp, conversion);
        status = gguf_writer_begin(w, err);
    }
    if (!status)
        status = write_tensors(w, cp, conversion, err);
    if (!status)
        status = gguf_writer_finish(w, err);
    gguf_writer_free(w);
    return status;
}

static enum tensor_type target_of_all(void *context, const struct tensor *t)
{
    int type = *(const int *)context;
    return type == KEEP_TYPES ? t->type : (enum tensor_type)type;
}

enum status checkpoint_write_gguf(const struct checkpoint *cp, const char *path, int type,
                                  struct error *err)
{
    struct gguf_conversion conversion = {target_of_all, write_floats, 0, &type};
    enum status status = STATUS_OK;
    conversion.file_type = file_type(main_type(cp, &conversion));
    for (size_t i = 0; i < cp->n_tensors && !status; i++) /* before anything is written */
        status = refuse_conversion(&cp->tensors[i], target_type(&conversion, &cp->tensors[i]), err);
    return status ? status : checkpoint_convert_gguf(cp, path, &conversion, err);
}
