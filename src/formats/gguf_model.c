#include "formats/gguf_model.h"
#include "base/size.h"
#include "formats/internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* As for config.json: far above any model of these families. */
enum { MAX_DIM = 1 << 24, MAX_LAYERS = 4096, MAX_HEADS = 1 << 16, MAX_VOCAB = 1 << 27 };

static const char *const architectures[] = {[FAMILY_QWEN2] = "qwen2", [FAMILY_PHI3] = "phi3"};

struct reader {
    const struct gguf *gguf;
    const char *architecture;
    struct error *err; /* sticky */
    char key[100];
};

const char *gguf_architecture(enum family family)
{
    return architectures[family];
}

static bool span_is(struct text_span span, const char *text)
{
    return span.data && span.length == strlen(text) && !memcmp(span.data, text, span.length);
}

static enum status read_family(const struct gguf *gguf, enum family *family, struct error *err)
{
    struct text_span name = {0};
    struct error local = {0};
    if (!gguf_get_string(gguf, "general.architecture", &name, &local))
        return error_set(err, local.status, "%s", local.message);
    for (size_t i = 0; i < sizeof architectures / sizeof *architectures; i++) {
        if (span_is(name, architectures[i])) {
            *family = (enum family)i;
            return STATUS_OK;
        }
    }
    return error_set(err, STATUS_UNSUPPORTED,
                     "%s: general.architecture is \"%.*s\"; supported are qwen2 and phi3",
                     gguf->name, (int)size_min(name.length, 100), name.data ? name.data : "");
}

/* "phi3.block_count"; valid until the next call. */
static const char *arch_key(struct reader *r, const char *suffix)
{
    snprintf(r->key, sizeof r->key, "%s.%s", r->architecture, suffix);
    return r->key;
}

/* From 1 (or 0) to `high`; `fallback` where the key is absent, 0: it must be there. */
static size_t get_size(struct reader *r, const char *suffix, size_t low, size_t high,
                       size_t fallback)
{
    size_t value = fallback;
    const char *key = arch_key(r, suffix);
    gguf_get_size(r->gguf, key, low, high, &value, r->err);
    if (value == 0 && low > 0 && !r->err->status)
        error_set(r->err, STATUS_NOT_FOUND, "%s: the metadata key %s is missing", r->gguf->name,
                  key);
    return value ? value : low;
}

/* `fallback` NAN: the key must be there. */
static double get_number(struct reader *r, const char *suffix, double fallback)
{
    double value = fallback;
    const char *key = arch_key(r, suffix);
    gguf_get_number(r->gguf, key, &value, r->err);
    if (isnan(fallback) && !r->err->status && !gguf_find(r->gguf, key))
        error_set(r->err, STATUS_NOT_FOUND, "%s: the metadata key %s is missing", r->gguf->name,
                  key);
    return value;
}

static void read_shape(struct reader *r, struct hyperparameters *h)
{
    h->n_layers = get_size(r, "block_count", 1, MAX_LAYERS, 0);
    h->dim = get_size(r, "embedding_length", 1, MAX_DIM, 0);
    h->ffn_dim = get_size(r, "feed_forward_length", 1, MAX_DIM, 0);
    h->n_heads = get_size(r, "attention.head_count", 1, MAX_HEADS, 0);
    h->n_kv_heads = get_size(r, "attention.head_count_kv", 1, MAX_HEADS, h->n_heads);
    h->context_length = get_size(r, "context_length", 1, INT32_MAX, 0);
    h->rms_norm_eps = get_number(r, "attention.layer_norm_rms_epsilon", NAN);
    size_t head_dim = h->dim / h->n_heads;
    h->head_dim = get_size(r, "attention.key_length", 1, MAX_DIM, head_dim ? head_dim : 1);
    size_t value_dim = get_size(r, "attention.value_length", 1, MAX_DIM, h->head_dim);
    if (value_dim != h->head_dim && !r->err->status)
        error_set(r->err, STATUS_UNSUPPORTED,
                  "%s: keys of %zu and values of %zu elements; supported are equal lengths",
                  r->gguf->name, h->head_dim, value_dim);
    /* 0 until the tensors tell, where the key is absent. */
    gguf_get_size(r->gguf, arch_key(r, "vocab_size"), 1, MAX_VOCAB, &h->vocab_size, r->err);
}

/* Which layers have the window: an array of booleans, one per layer. */
static void read_window_pattern(struct reader *r, struct hyperparameters *h)
{
    const struct gguf_value *v =
        gguf_find(r->gguf, arch_key(r, "attention.sliding_window_pattern"));
    if (!v || r->err->status)
        return;
    bool valid = v->type == GGUF_ARRAY && v->count == h->n_layers &&
                 (v->element == GGUF_BOOL || gguf_is_integer(v->element));
    size_t first = 0;
    while (valid && first < h->n_layers && !gguf_integer_at(v, first))
        first++;
    for (size_t i = first; valid && i < h->n_layers; i++)
        valid = gguf_integer_at(v, i);
    h->first_window_layer = first;
    if (!valid)
        error_set(r->err, STATUS_UNSUPPORTED,
                  "%s: metadata key %s; supported is one boolean per layer, full attention first, "
                  "windows after it",
                  r->gguf->name, r->key);
}

static void read_window(struct reader *r, struct hyperparameters *h)
{
    /* Phi-3-mini-4k and Phi-3-medium-4k were released as GGUF before the key existed. */
    size_t fallback = h->family == FAMILY_PHI3 && h->context_length == 4096 &&
                              (h->n_layers == 32 || h->n_layers == 40)
                          ? 2047
                          : 0;
    h->sliding_window = get_size(r, "attention.sliding_window", 0, INT32_MAX, fallback);
    if (h->sliding_window)
        read_window_pattern(r, h);
}

static size_t get_original_context(struct reader *r, const struct hyperparameters *h)
{
    return get_size(r, "rope.scaling.original_context_length", 1, INT32_MAX, h->context_length);
}

static void read_yarn(struct reader *r, const struct hyperparameters *h,
                      struct rope_parameters *rope)
{
    rope->kind = ROPE_YARN;
    rope->original_context = get_original_context(r, h);
    rope->beta_fast = get_number(r, "rope.scaling.yarn_beta_fast", 32);
    rope->beta_slow = get_number(r, "rope.scaling.yarn_beta_slow", 1);
    rope->attention_factor = get_number(r, "rope.scaling.yarn_attn_factor", 0);
}

/* Longrope shows in its tensors: gguf_bind_tensors(). */
static void read_rope(struct reader *r, struct hyperparameters *h)
{
    struct rope_parameters *rope = &h->rope;
    struct text_span type = {0};
    rope->theta = get_number(r, "rope.freq_base", 10000);
    rope->rotary_dim = get_size(r, "rope.dimension_count", 1, MAX_DIM, h->head_dim);
    double factor = get_number(r, "rope.scaling.factor", get_number(r, "rope.scale_linear", 1));
    gguf_get_string(r->gguf, arch_key(r, "rope.scaling.type"), &type, r->err);
    if (r->err->status)
        return;
    if (span_is(type, "yarn"))
        read_yarn(r, h, rope);
    else if ((span_is(type, "linear") || !type.data) && factor != 1)
        rope->kind = ROPE_LINEAR;
    else if (type.data && !span_is(type, "none") && !span_is(type, "linear") &&
             !span_is(type, "longrope"))
        error_set(r->err, STATUS_UNSUPPORTED,
                  "%s: metadata key %s is \"%.*s\"; supported are none, linear, yarn, longrope",
                  r->gguf->name, r->key, (int)size_min(type.length, 40), type.data);
    rope->factor = rope->kind == ROPE_DEFAULT ? 0 : factor;
}

enum status gguf_read_hyperparameters(const struct gguf *gguf, struct hyperparameters *h,
                                      struct error *err)
{
    struct error local = {0};
    *h = (struct hyperparameters){0};
    enum status status = read_family(gguf, &h->family, err);
    if (status)
        return status;
    struct reader r = {.gguf = gguf, .architecture = architectures[h->family], .err = &local};
    read_shape(&r, h);
    read_window(&r, h);
    read_rope(&r, h);
    if (local.status)
        return error_set(err, local.status, "%s", local.message);
    return hyperparameters_check(h, gguf->name, err);
}

static enum status read_factors(const struct tensor *t, const struct rope_parameters *rope,
                                double *factors, struct error *err)
{
    size_t n = rope->rotary_dim / 2;
    if (t->type != TYPE_F32 || t->n_dims != 1 || t->shape[0] != n)
        return error_set(err, STATUS_FORMAT,
                         "%s, offset %zu: tensor %s should hold %zu numbers of type F32, but has "
                         "%zu dimensions, the first of %zu, of type %s",
                         t->file, t->offset, t->name, n, t->n_dims, t->shape[0],
                         tensor_type_info(t->type)->name);
    const char *data = t->data;
    for (size_t i = 0; i < n; i++) {
        float value;
        memcpy(&value, data + i * sizeof value, sizeof value);
        factors[i] = value;
    }
    return STATUS_OK;
}

static enum status read_longrope(struct checkpoint *cp, const struct tensor *short_factors,
                                 const struct tensor *long_factors, struct error *err)
{
    struct hyperparameters *h = &cp->hyperparameters;
    struct rope_parameters *rope = &h->rope;
    struct error local = {0};
    struct reader r = {.gguf = &cp->gguf, .architecture = architectures[h->family], .err = &local};
    rope->kind = ROPE_LONGROPE;
    rope->original_context = get_original_context(&r, h);
    rope->factor = (double)h->context_length / (double)rope->original_context;
    rope->attention_factor = get_number(&r, "rope.scaling.attn_factor", 0);
    if (local.status)
        return error_set(err, local.status, "%s", local.message);
    /* Converters write the factor that transformers would derive; in single precision. */
    if ((float)rope->attention_factor == (float)rope_default_attention_factor(rope))
        rope->attention_factor = 0;
    enum status status = read_factors(short_factors, rope, rope->short_factor, err);
    return status ? status : read_factors(long_factors, rope, rope->long_factor, err);
}

static enum status bind_rope(struct checkpoint *cp, struct error *err)
{
    const struct tensor *short_factors = checkpoint_tensor(cp, "rope_factors_short.weight");
    const struct tensor *long_factors = checkpoint_tensor(cp, "rope_factors_long.weight");
    if (!short_factors && !long_factors)
        return STATUS_OK;
    if (!short_factors || !long_factors)
        return error_set(err, STATUS_FORMAT,
                         "%s: tensor rope_factors_%s.weight is missing, while its counterpart is "
                         "there",
                         cp->path, short_factors ? "long" : "short");
    enum status status = read_longrope(cp, short_factors, long_factors, err);
    return status ? status : hyperparameters_check(&cp->hyperparameters, cp->path, err);
}

enum status gguf_bind_tensors(struct checkpoint *cp, struct error *err)
{
    struct hyperparameters *h = &cp->hyperparameters;
    const struct tensor *embedding = checkpoint_tensor(cp, "model.embed_tokens.weight");
    h->tied_embeddings = !checkpoint_tensor(cp, "lm_head.weight");
    if (!h->vocab_size && embedding && embedding->n_dims == 2)
        h->vocab_size = embedding->shape[0] <= MAX_VOCAB ? embedding->shape[0] : 0;
    if (!h->vocab_size)
        return error_set(err, STATUS_FORMAT,
                         "%s: neither the metadata key %s.vocab_size nor the tensor "
                         "token_embd.weight tells the size of the vocabulary",
                         cp->path, architectures[h->family]);
    return bind_rope(cp, err);
}

/* An array of `element`s with `n` entries (0: any number); NULL when absent or wrong. */
static const struct gguf_value *find_array(const struct gguf *gguf, const char *key,
                                           enum gguf_type element, size_t n, struct error *err)
{
    const struct gguf_value *v = gguf_find(gguf, key);
    if (!v || err->status)
        return NULL;
    if (v->type == GGUF_ARRAY && (v->element == element) && (!n || v->count == n))
        return v;
    error_set(err, STATUS_FORMAT,
              "%s: metadata key %s is of type %s%s%s with %zu entries; expected an array of %s%s",
              gguf->name, key, gguf_type_name(v->type), v->type == GGUF_ARRAY ? " of " : "",
              v->type == GGUF_ARRAY ? gguf_type_name(v->element) : "", (size_t)v->count,
              gguf_type_name(element), n ? ", one per token" : "");
    return NULL;
}

/* The strings of an array as spans in the arena; NULL when absent or on error. */
static struct text_span *read_strings(const struct gguf *gguf, const char *key, struct arena *arena,
                                      size_t *n, struct error *err)
{
    const struct gguf_value *v = find_array(gguf, key, GGUF_STRING, 0, err);
    size_t bytes;
    *n = 0;
    if (!v)
        return NULL;
    struct text_span *spans =
        v->count <= INT32_MAX && size_multiply(v->count, sizeof *spans, &bytes)
            ? arena_alloc(arena, bytes)
            : NULL;
    if (!spans) {
        error_memory(err, key);
        return NULL;
    }
    const uint8_t *at = v->data;
    for (size_t i = 0; i < v->count; i++)
        spans[i] = gguf_next_string(&at);
    *n = v->count;
    return spans;
}

/* A copy of 4-byte elements, since those in the file may be unaligned. */
static void *read_words(const struct gguf *gguf, const char *key, enum gguf_type element, size_t n,
                        struct arena *arena, struct error *err)
{
    const struct gguf_value *v = find_array(gguf, key, element, n, err);
    if (!v || n == 0)
        return NULL;
    void *words = arena_alloc(arena, v->bytes);
    if (words)
        memcpy(words, v->data, v->bytes);
    else
        error_memory(err, key);
    return words;
}

static void read_types(const struct gguf *gguf, struct arena *arena, struct vocab_source *vocab,
                       struct error *err)
{
    static const char key[] = "tokenizer.ggml.token_type";
    const struct gguf_value *v = gguf_find(gguf, key);
    bool is_unsigned = v && v->type == GGUF_ARRAY && v->element == GGUF_U32;
    vocab->types =
        read_words(gguf, key, is_unsigned ? GGUF_U32 : GGUF_I32, vocab->n_tokens, arena, err);
}

static void read_flags(const struct gguf *gguf, struct vocab_source *vocab, struct error *err)
{
    const struct {
        const char *key;
        bool *has, *value;
    } flags[] = {
        {"tokenizer.ggml.add_bos_token", &vocab->has_add_bos, &vocab->add_bos},
        {"tokenizer.ggml.add_eos_token", &vocab->has_add_eos, &vocab->add_eos},
        {"tokenizer.ggml.add_space_prefix", &vocab->has_space_prefix, &vocab->add_space_prefix},
        {"tokenizer.ggml.remove_extra_whitespaces", NULL, &vocab->remove_extra_whitespaces},
    };
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        gguf_get_bool(gguf, flags[i].key, flags[i].value, err);
        if (flags[i].has)
            *flags[i].has = gguf_find(gguf, flags[i].key);
    }
}

enum status gguf_read_vocab(const struct gguf *gguf, struct arena *arena,
                            struct vocab_source *vocab, struct error *err)
{
    struct error local = {0};
    vocab->tokens = read_strings(gguf, "tokenizer.ggml.tokens", arena, &vocab->n_tokens, &local);
    vocab->merges = read_strings(gguf, "tokenizer.ggml.merges", arena, &vocab->n_merges, &local);
    vocab->scores =
        read_words(gguf, "tokenizer.ggml.scores", GGUF_F32, vocab->n_tokens, arena, &local);
    read_types(gguf, arena, vocab, &local);
    gguf_get_string(gguf, "tokenizer.ggml.model", &vocab->model, &local);
    gguf_get_string(gguf, "tokenizer.ggml.pre", &vocab->pre, &local);
    gguf_get_string(gguf, "tokenizer.chat_template", &vocab->chat_template, &local);
    gguf_get_id(gguf, "tokenizer.ggml.bos_token_id", &vocab->bos_id, &local);
    gguf_get_id(gguf, "tokenizer.ggml.eos_token_id", &vocab->eos_id, &local);
    gguf_get_id(gguf, "tokenizer.ggml.unknown_token_id", &vocab->unk_id, &local);
    gguf_get_id(gguf, "tokenizer.ggml.padding_token_id", &vocab->pad_id, &local);
    read_flags(gguf, vocab, &local);
    return local.status ? error_set(err, local.status, "%s", local.message) : STATUS_OK;
}

static void add_eos(struct generation_defaults *g, int64_t id)
{
    for (size_t i = 0; i < g->n_eos_ids; i++)
        if (g->eos_ids[i] == id)
            return;
    if (id >= 0 && id <= INT32_MAX && g->n_eos_ids < MAX_EOS_IDS)
        g->eos_ids[g->n_eos_ids++] = (int32_t)id;
}

/* GGUF files name one end token, where generation_config.json lists several. The tokens that end
 * a turn or a text are known by their spelling, as llama.cpp knows them. */
static void find_end_tokens(const struct vocab_source *vocab, struct generation_defaults *g)
{
    static const char *const endings[] = {"<|end|>", "<|im_end|>", "<|endoftext|>"};
    for (size_t i = 0; i < vocab->n_tokens; i++) {
        struct text_span token = vocab->tokens[i];
        if (token.length < 7 || token.data[0] != '<' || token.data[1] != '|')
            continue;
        for (size_t j = 0; j < sizeof endings / sizeof *endings; j++)
            if (span_is(token, endings[j]))
                add_eos(g, (int64_t)i);
    }
}

static void read_eos(const struct gguf *gguf, const struct vocab_source *vocab,
                     struct generation_defaults *g, struct error *err)
{
    int32_t turn = VOCAB_NO_ID;
    const struct gguf_value *list = find_array(gguf, KEY_EOS_IDS, GGUF_I32, 0, err);
    if (list) {
        for (size_t i = 0; i < list->count && i < MAX_EOS_IDS; i++)
            add_eos(g, gguf_integer_at(list, i));
        return;
    }
    add_eos(g, vocab->eos_id);
    gguf_get_id(gguf, "tokenizer.ggml.eot_token_id", &turn, err);
    add_eos(g, turn);
    find_end_tokens(vocab, g);
}

static void read_sampling(const struct gguf *gguf, struct generation_defaults *g, struct error *err)
{
    const struct {
        const char *key;
        double *value;
    } numbers[] = {
        {"general.sampling.temp", &g->temperature},
        {"general.sampling.top_p", &g->top_p},
        {"general.sampling.min_p", &g->min_p},
        {"general.sampling.penalty_repeat", &g->repetition_penalty},
    };
    size_t top_k = (size_t)g->top_k;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        gguf_get_number(gguf, numbers[i].key, numbers[i].value, err);
        g->do_sample |= gguf_find(gguf, numbers[i].key) != NULL;
    }
    gguf_get_size(gguf, "general.sampling.top_k", 0, INT32_MAX, &top_k, err);
    g->do_sample |= gguf_find(gguf, "general.sampling.top_k") != NULL;
    g->top_k = (int64_t)top_k;
}

enum status gguf_read_generation(const struct gguf *gguf, const struct vocab_source *vocab,
                                 struct generation_defaults *g, struct error *err)
{
    struct error local = {0};
    *g = generation_defaults_none();
    g->bos_id = vocab->bos_id;
    g->pad_id = vocab->pad_id;
    read_eos(gguf, vocab, g, &local);
    read_sampling(gguf, g, &local);
    if (local.status)
        return error_set(err, local.status, "%s", local.message);
    return generation_defaults_check(g, gguf->name, err);
}
