/* A checkpoint's vocabulary as GGUF metadata. From a GGUF file it is copied; from Hugging Face's
 * tokenizer.json it is derived the way llama.cpp's converter does.
 */
#include "formats/gguf_export.h"
#include "formats/internal.h"

#include <stdio.h>
#include <string.h>

enum token_type {
    TOKEN_NORMAL = 1,
    TOKEN_UNKNOWN,
    TOKEN_CONTROL,
    TOKEN_USER_DEFINED,
    TOKEN_UNUSED,
    TOKEN_BYTE,
};

struct vocab {
    const char *name; /* of the folder, for messages */
    json_t *tokenizer, *config;
    size_t n_tokens, n_merges;
    struct text_span *tokens, *merges;
    float *scores; /* NULL for a byte-level vocabulary */
    int32_t *types;
    struct arena arena;
};

static enum status bad_document(const struct vocab *v, const char *what, struct error *err)
{
    return error_set(err, STATUS_FORMAT, "%s, tokenizer.json: %s", v->name, what);
}

static enum status set_token(struct vocab *v, const char *text, size_t length, const json_t *id,
                             enum token_type type, struct error *err)
{
    int64_t i = json_is_integer(id) ? json_integer_value(id) : -1;
    if (i < 0 || (size_t)i >= v->n_tokens)
        return error_set(err, STATUS_FORMAT,
                         "%s, tokenizer.json: token \"%.100s\" has an id outside of the %zu of the "
                         "vocabulary",
                         v->name, text, v->n_tokens);
    v->tokens[i] = (struct text_span){text, length};
    v->types[i] = type;
    return STATUS_OK;
}

static bool is_byte(const char *text)
{
    unsigned byte;
    int used = 0;
    return sscanf(text, "<0x%2X>%n", &byte, &used) == 1 && used == 6 && !text[6];
}

static enum token_type plain_type(const struct vocab *v, const char *text, const char *unknown)
{
    if (!v->scores)
        return TOKEN_NORMAL;
    if (unknown && !strcmp(text, unknown))
        return TOKEN_UNKNOWN;
    return is_byte(text) ? TOKEN_BYTE : TOKEN_NORMAL;
}

static enum status read_plain_tokens(struct vocab *v, const json_t *model, struct error *err)
{
    const char *text, *unknown = json_string_value(json_object_get(model, "unk_token"));
    json_t *id;
    enum status status = STATUS_OK;
    json_object_foreach(json_object_get(model, "vocab"), text, id)
    {
        status = set_token(v, text, strlen(text), id, plain_type(v, text, unknown), err);
        if (status)
            break;
    }
    return status;
}

static enum status read_added_tokens(struct vocab *v, struct error *err)
{
    size_t i;
    json_t *token;
    enum status status = STATUS_OK;
    json_array_foreach(json_object_get(v->tokenizer, "added_tokens"), i, token)
    {
        const json_t *content = json_object_get(token, "content");
        if (!json_is_string(content))
            return bad_document(v, "an added token has no content", err);
        bool special = json_is_true(json_object_get(token, "special"));
        status = set_token(v, json_string_value(content), json_string_length(content),
                           json_object_get(token, "id"),
                           special ? TOKEN_CONTROL : TOKEN_USER_DEFINED, err);
        if (status)
            break;
    }
    return status;
}

/* Ids that no token has: rows of the embedding that only pad it. */
static enum status fill_gaps(struct vocab *v, struct error *err)
{
    char text[40];
    for (size_t i = 0; i < v->n_tokens; i++) {
        if (v->tokens[i].data)
            continue;
        int n = snprintf(text, sizeof text, "[PAD%zu]", i);
        char *copy = arena_copy_string(&v->arena, text, (size_t)n);
        if (!copy)
            return error_memory(err, "a vocabulary");
        v->tokens[i] = (struct text_span){copy, (size_t)n};
        v->types[i] = TOKEN_UNUSED;
    }
    return STATUS_OK;
}

/* A merge is "left right" or, in newer files, ["left", "right"]. */
static enum status read_merge(struct vocab *v, const json_t *merge, struct text_span *out,
                              struct error *err)
{
    if (json_is_string(merge)) {
        *out = (struct text_span){json_string_value(merge), json_string_length(merge)};
        return STATUS_OK;
    }
    const json_t *left = json_array_get(merge, 0), *right = json_array_get(merge, 1);
    if (!json_is_string(left) || !json_is_string(right))
        return bad_document(v, "a merge is neither a string nor a pair of them", err);
    size_t n = json_string_length(left), m = json_string_length(right);
    char *text = arena_alloc(&v->arena, n + m + 2);
    if (!text)
        return error_memory(err, "a vocabulary");
    memcpy(text, json_string_value(left), n);
    text[n] = ' ';
    memcpy(text + n + 1, json_string_value(right), m);
    *out = (struct text_span){text, n + m + 1};
    return STATUS_OK;
}

static enum status read_merges(struct vocab *v, const json_t *model, struct error *err)
{
    const json_t *list = json_object_get(model, "merges"), *merge;
    size_t i;
    enum status status = STATUS_OK;
    v->merges = mem_array(json_array_size(list), sizeof *v->merges);
    if (!v->merges)
        return error_memory(err, "a vocabulary");
    json_array_foreach(list, i, merge)
    {
        status = read_merge(v, merge, &v->merges[i], err);
        if (status)
            break;
        v->n_merges++;
    }
    return status;
}

/* SentencePiece merges the pair of the best score first; the order of merges says the same. */
static enum status score_tokens(struct vocab *v, const json_t *model, struct error *err)
{
    const json_t *vocab = json_object_get(model, "vocab");
    struct strbuf product = {0};
    for (size_t i = 0; i < v->n_tokens; i++)
        v->scores[i] = v->types[i] == TOKEN_UNUSED ? -10000 : v->types[i] == TOKEN_BYTE ? 0 : -1000;
    for (size_t i = v->n_merges; i-- > 0;) {
        const char *blank = memchr(v->merges[i].data, ' ', v->merges[i].length);
        size_t left = blank ? (size_t)(blank - v->merges[i].data) : 0;
        if (!blank)
            continue;
        strbuf_truncate(&product, 0);
        strbuf_append(&product, v->merges[i].data, left);
        strbuf_append(&product, blank + 1, v->merges[i].length - left - 1);
        const json_t *id = json_object_get(vocab, strbuf_text(&product));
        if (id && v->types[json_integer_value(id)] == TOKEN_NORMAL)
            v->scores[json_integer_value(id)] = -(float)i;
    }
    bool failed = product.failed;
    strbuf_free(&product);
    return failed ? error_memory(err, "a vocabulary") : STATUS_OK;
}

static enum status read_tokenizer(struct vocab *v, struct error *err)
{
    const json_t *model = json_object_get(v->tokenizer, "model");
    const char *type = json_string_value(json_object_get(model, "type"));
    if (type && strcmp(type, "BPE"))
        return error_set(err, STATUS_UNSUPPORTED,
                         "%s, tokenizer.json: a model of type \"%.40s\"; supported is BPE", v->name,
                         type);
    v->tokens = mem_array(v->n_tokens, sizeof *v->tokens);
    v->types = mem_array(v->n_tokens, sizeof *v->types);
    if (json_is_true(json_object_get(model, "byte_fallback")))
        v->scores = mem_array(v->n_tokens, sizeof *v->scores);
    if (!v->tokens || !v->types)
        return error_memory(err, "a vocabulary");
    enum status status = read_plain_tokens(v, model, err);
    if (!status)
        status = read_added_tokens(v, err);
    if (!status)
        status = fill_gaps(v, err);
    if (!status)
        status = read_merges(v, model, err);
    return !status && v->scores ? score_tokens(v, model, err) : status;
}

static void add_id(struct gguf_writer *w, const char *key, int32_t id)
{
    if (id >= 0)
        gguf_add_u32(w, key, (size_t)id);
}

static void add_template(struct gguf_writer *w, const struct checkpoint *cp, const json_t *config)
{
    static const char key[] = "tokenizer.chat_template";
    const json_t *template = json_object_get(config, "chat_template");
    if (cp->vocab.chat_template_jinja.data)
        gguf_add_span(w, key, cp->vocab.chat_template_jinja);
    else if (json_is_string(template))
        gguf_add_span(
            w, key, (struct text_span){json_string_value(template), json_string_length(template)});
}

static void add_flag(struct gguf_writer *w, const json_t *config, const char *field,
                     const char *key)
{
    const json_t *value = json_object_get(config, field);
    if (json_is_boolean(value))
        gguf_add_bool(w, key, json_is_true(value));
}

static bool template_begins_with_special(const json_t *processor)
{
    const json_t *single = json_object_get(processor, "single"), *step;
    size_t i;
    json_array_foreach(json_object_get(processor, "processors"), i,
                       step) if (template_begins_with_special(step)) return true;
    return json_object_get(json_array_get(single, 0), "SpecialToken");
}

/* Whether texts begin with bos for transformers: by the flags or Llama's own, else by the document.
 * Said in every file, since without it llama.cpp takes its own view, by the kind of vocabulary. */
static bool adds_bos(const struct vocab *v)
{
    const char *class = json_string_value(json_object_get(v->config, "tokenizer_class"));
    const json_t *bos = json_object_get(v->config, "add_bos_token");
    const json_t *eos = json_object_get(v->config, "add_eos_token");
    bool is_llama = class && !strncmp(class, "Llama", 5);
    if (!is_llama && !json_is_boolean(bos) && !json_is_boolean(eos))
        return template_begins_with_special(json_object_get(v->tokenizer, "post_processor"));
    return json_is_boolean(bos) ? json_is_true(bos) : is_llama;
}

/* What llama.cpp calls the pattern that cuts text into words. */
static const char *pattern_name(const struct vocab *v, enum family family)
{
    if (v->scores)
        return "default";
    return family == FAMILY_QWEN2 ? "qwen2" : "gpt-4o";
}

static void add_derived(struct gguf_writer *w, const struct checkpoint *cp, const struct vocab *v)
{
    const struct generation_defaults *g = &cp->generation;
    gguf_add_string(w, "tokenizer.ggml.model", v->scores ? "llama" : "gpt2");
    gguf_add_string(w, "tokenizer.ggml.pre", pattern_name(v, cp->hyperparameters.family));
    gguf_add_strings(w, "tokenizer.ggml.tokens", v->tokens, v->n_tokens);
    if (v->scores)
        gguf_add_array(w, "tokenizer.ggml.scores", GGUF_F32, v->scores, v->n_tokens);
    else
        gguf_add_strings(w, "tokenizer.ggml.merges", v->merges, v->n_merges);
    gguf_add_array(w, "tokenizer.ggml.token_type", GGUF_I32, v->types, v->n_tokens);
    const json_t *model = json_object_get(v->tokenizer, "model");
    const char *unknown = json_string_value(json_object_get(model, "unk_token"));
    const json_t *id = unknown ? json_object_get(json_object_get(model, "vocab"), unknown) : NULL;
    if (id)
        add_id(w, "tokenizer.ggml.unknown_token_id", (int32_t)json_integer_value(id));
    add_id(w, "tokenizer.ggml.bos_token_id", g->bos_id);
    add_id(w, "tokenizer.ggml.eos_token_id", g->n_eos_ids ? g->eos_ids[0] : VOCAB_NO_ID);
    add_id(w, "tokenizer.ggml.padding_token_id", g->pad_id);
    gguf_add_bool(w, "tokenizer.ggml.add_bos_token", adds_bos(v));
    add_flag(w, v->config, "add_eos_token", "tokenizer.ggml.add_eos_token");
    add_template(w, cp, v->config);
}

static enum status add_from_document(struct gguf_writer *w, const struct checkpoint *cp,
                                     struct error *err)
{
    const struct vocab_source *source = &cp->vocab;
    struct vocab v = {.name = cp->path, .n_tokens = cp->hyperparameters.vocab_size};
    v.tokenizer = json_parse("tokenizer.json", source->tokenizer_json.data,
                             source->tokenizer_json.length, err);
    enum status status = v.tokenizer ? STATUS_OK : error_prefix(err, "%s", cp->path);
    if (!status && source->tokenizer_config_json.data) {
        v.config = json_parse("tokenizer_config.json", source->tokenizer_config_json.data,
                              source->tokenizer_config_json.length, err);
        status = v.config ? STATUS_OK : error_prefix(err, "%s", cp->path);
    }
    if (!status)
        status = read_tokenizer(&v, err);
    if (!status)
        add_derived(w, cp, &v);
    json_decref(v.tokenizer);
    json_decref(v.config);
    mem_free(v.tokens);
    mem_free(v.merges);
    mem_free(v.scores);
    mem_free(v.types);
    arena_free(&v.arena);
    return status;
}

static bool is_vocab_key(struct text_span key)
{
    static const char prefix[] = "tokenizer.";
    return key.length > strlen(prefix) && !memcmp(key.data, prefix, strlen(prefix));
}

enum status gguf_add_vocab(struct gguf_writer *w, const struct checkpoint *cp, struct error *err)
{
    if (cp->vocab.tokenizer_json.data)
        return add_from_document(w, cp, err);
    for (size_t i = 0; i < cp->gguf.n_entries; i++)
        if (is_vocab_key(cp->gguf.entries[i].key))
            gguf_add_entry(w, &cp->gguf.entries[i]);
    return STATUS_OK;
}
