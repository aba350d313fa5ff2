/* tokenizer_config.json, special_tokens_map.json, added_tokens.json and the post-processor. */
#include "base/log.h"
#include "text/tokenizer_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the post-processor: what stands before and behind the text --- */

static enum status add_special(struct token_list *list, const struct tokenizer *tk, int64_t id,
                               struct error *err)
{
    if (!token_table_at(&tk->tokens, id))
        return error_set(err, STATUS_FORMAT, "post_processor: id %lld has no token", (long long)id);
    return token_list_add(list, (int32_t)id) ? STATUS_OK : error_memory(err, "a post-processor");
}

static enum status add_template_token(struct token_list *list, const struct tokenizer *tk,
                                      const json_t *post_processor, const json_t *piece,
                                      struct error *err)
{
    const char *name = json_string_value(json_object_get(piece, "id"));
    const json_t *specials = json_object_get(post_processor, "special_tokens");
    const json_t *ids = json_object_get(json_object_get(specials, name ? name : ""), "ids");
    size_t i;
    json_t *id;
    if (!json_array_size(ids))
        return error_set(err, STATUS_FORMAT, "post_processor: special token \"%s\" has no ids",
                         name ? name : "");
    json_array_foreach(ids, i, id)
    {
        enum status status =
            add_special(list, tk, json_is_integer(id) ? json_integer_value(id) : -1, err);
        if (status)
            return status;
    }
    return STATUS_OK;
}

static enum status read_template(const struct tokenizer *tk, const json_t *json,
                                 struct token_list *before, struct token_list *behind,
                                 struct error *err)
{
    size_t i, n_sequences = 0;
    json_t *piece;
    json_array_foreach(json_object_get(json, "single"), i, piece)
    {
        const json_t *special = json_object_get(piece, "SpecialToken");
        n_sequences += json_object_get(piece, "Sequence") != NULL;
        enum status status =
            special ? add_template_token(n_sequences ? behind : before, tk, json, special, err)
                    : STATUS_OK;
        if (status)
            return status;
    }
    return n_sequences == 1
               ? STATUS_OK
               : error_set(err, STATUS_UNSUPPORTED, "post_processor: a template with %zu sequences",
                           n_sequences);
}

/* ["<s>", 0] under "cls" and "sep". */
static enum status read_pair(const struct tokenizer *tk, const json_t *pair,
                             struct token_list *list, struct error *err)
{
    const json_t *id = json_array_get(pair, 1);
    return add_special(list, tk, json_is_integer(id) ? json_integer_value(id) : -1, err);
}

static enum status read_post_processor(const struct tokenizer *tk, const json_t *json,
                                       struct token_list *before, struct token_list *behind,
                                       struct error *err)
{
    const char *type = json_string_value(json_object_get(json, "type"));
    if (!type)
        return error_set(err, STATUS_FORMAT, "a post-processor has no \"type\"");
    if (!strcmp(type, "ByteLevel"))
        return STATUS_OK; /* changes offsets alone */
    if (!strcmp(type, "TemplateProcessing"))
        return read_template(tk, json, before, behind, err);
    if (strcmp(type, "BertProcessing") != 0 && strcmp(type, "RobertaProcessing") != 0)
        return error_set(err, STATUS_UNSUPPORTED, "post-processor \"%s\" is not supported", type);
    enum status status = read_pair(tk, json_object_get(json, "cls"), before, err);
    return status ? status : read_pair(tk, json_object_get(json, "sep"), behind, err);
}

static bool append_list(struct token_list *list, const struct token_list *more)
{
    for (size_t i = 0; i < more->count; i++)
        if (!token_list_add(list, more->ids[i]))
            return false;
    return true;
}

/* What a later processor of a sequence adds goes around what the earlier ones added. */
static enum status wrap(struct tokenizer *tk, const json_t *json, struct error *err)
{
    struct token_list before = {0}, behind = {0};
    enum status status = read_post_processor(tk, json, &before, &behind, err);
    if (!status && (!append_list(&before, &tk->prefix) || !append_list(&tk->suffix, &behind)))
        status = error_memory(err, "a post-processor");
    if (!status) {
        token_list_free(&tk->prefix);
        tk->prefix = before;
    } else {
        token_list_free(&before);
    }
    token_list_free(&behind);
    return status;
}

enum status tokenizer_apply_post_processor(struct tokenizer *tk, const json_t *json,
                                           struct error *err)
{
    if (!json || json_is_null(json))
        return STATUS_OK;
    const char *type = json_string_value(json_object_get(json, "type"));
    if (!type || strcmp(type, "Sequence") != 0)
        return wrap(tk, json, err);
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(json, "processors"), i, item)
    {
        enum status status = wrap(tk, item, err);
        if (status)
            return status;
    }
    return STATUS_OK;
}

/* --- tokens --- */

static int compare_ids(const void *left, const void *right)
{
    const int64_t *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

/* {"151643": {"content": ..., "special": true, ...}, ...}, in the order of the ids. */
static enum status read_added_tokens_decoder(struct tokenizer *tk, json_t *object,
                                             struct error *err)
{
    size_t n = 0;
    int64_t *ids = mem_array(json_object_size(object), sizeof *ids);
    if (!ids)
        return error_memory(err, "added tokens");
    const char *key;
    json_t *token;
    enum status status = STATUS_OK;
    json_object_foreach(object, key, token)
    {
        char *end;
        ids[n++] = strtoll(key, &end, 10);
        if (*end || !*key)
            status = error_set(err, STATUS_FORMAT, "added_tokens_decoder: \"%s\" is no id", key);
    }
    qsort(ids, n, sizeof *ids, compare_ids);
    for (size_t i = 0; !status && i < n; i++) {
        char name[32];
        snprintf(name, sizeof name, "%lld", (long long)ids[i]);
        status = tokenizer_add_json_token(tk, ids[i], json_object_get(object, name), err);
    }
    mem_free(ids);
    return status;
}

/* added_tokens.json: {"<tool_call>": 151657, ...}; what is a special token there is told by
 * special_tokens_map.json and the names in the configuration. */
static enum status read_added_tokens_json(struct tokenizer *tk, struct text_span text,
                                          struct error *err)
{
    struct error wrong = {0};
    json_t *object = json_parse("added_tokens.json", text.data, text.length, &wrong);
    if (!object)
        return error_set(err, wrong.status, "%s", wrong.message);
    enum status status = STATUS_OK;
    const char *key;
    json_t *id;
    json_object_foreach(object, key, id)
    {
        json_t *token = json_pack("{s:s}", "content", key);
        if (!status)
            status = tokenizer_add_json_token(tk, json_is_integer(id) ? json_integer_value(id) : -1,
                                              token, err);
        json_decref(token);
    }
    json_decref(object);
    return status;
}

/* A token's name: a string, or an object with "content". */
static const char *token_content(const json_t *value)
{
    return json_is_string(value) ? json_string_value(value)
                                 : json_string_value(json_object_get(value, "content"));
}

/* As transformers does, a special token that is not among the added ones becomes one. */
static enum status make_special(struct tokenizer *tk, const json_t *value, int32_t *id,
                                struct error *err)
{
    const char *content = token_content(value);
    if (!content || !*content)
        return STATUS_OK;
    *id = token_table_find(&tk->tokens, content, strlen(content));
    if (*id == VOCAB_NO_ID) {
        log_warning("special token \"%s\" of tokenizer_config.json is not in the vocabulary",
                    content);
        return STATUS_OK;
    }
    if (tk->tokens.entries[*id].added_plus_one)
        return STATUS_OK;
    json_t *token = json_is_string(value)
                        ? json_pack("{s:s, s:b}", "content", content, "special", 1)
                        : json_copy((json_t *)value);
    if (token)
        json_object_set_new(token, "special", json_true());
    enum status status =
        token ? tokenizer_add_json_token(tk, *id, token, err) : error_memory(err, "special tokens");
    json_decref(token);
    return status;
}

static enum status read_special_names(struct tokenizer *tk, const json_t *object, struct error *err)
{
    struct {
        const char *key;
        int32_t *id, other;
    } names[] = {{"bos_token", &tk->bos, 0}, {"eos_token", &tk->eos, 0}, {"unk_token", &tk->unk, 0},
                 {"pad_token", &tk->pad, 0}, {"sep_token", NULL, 0},     {"cls_token", NULL, 0},
                 {"mask_token", NULL, 0}};
    enum status status = STATUS_OK;
    for (size_t i = 0; !status && i < sizeof names / sizeof *names; i++)
        status = make_special(tk, json_object_get(object, names[i].key),
                              names[i].id ? names[i].id : &names[i].other, err);
    size_t i;
    json_t *item;
    int32_t ignored;
    json_array_foreach(json_object_get(object, "additional_special_tokens"), i, item)
    {
        if (!status)
            status = make_special(tk, item, &ignored, err);
    }
    return status;
}

static enum status read_special_tokens_map(struct tokenizer *tk, struct text_span text,
                                           struct error *err)
{
    struct error wrong = {0};
    json_t *object = json_parse("special_tokens_map.json", text.data, text.length, &wrong);
    if (!object)
        return error_set(err, wrong.status, "%s", wrong.message);
    enum status status = read_special_names(tk, object, err);
    json_decref(object);
    return status;
}

/* --- bos and eos around the text --- */

static enum status set_special(struct token_list *list, bool wanted, int32_t id, const char *what,
                               struct error *err)
{
    list->count = 0;
    if (!wanted)
        return STATUS_OK;
    if (id == VOCAB_NO_ID)
        return error_set(err, STATUS_FORMAT,
                         "tokenizer_config.json sets add_%s_token, but there "
                         "is no %s_token",
                         what, what);
    return token_list_add(list, id) ? STATUS_OK : error_memory(err, "special tokens");
}

/* transformers builds Llama's post-processor from the two flags (bos on, eos off by default);
 * for other classes the document's stands, unless a flag is given. Qwen2's has neither. */
static enum status apply_bos_eos(struct tokenizer *tk, const json_t *config, struct error *err)
{
    struct error wrong = {0};
    const char *class = json_get_string(config, "tokenizer_class", "", &wrong);
    bool llama = !strncmp(class, "Llama", 5);
    const json_t *bos = json_object_get(config, "add_bos_token");
    const json_t *eos = json_object_get(config, "add_eos_token");
    if (!llama && !json_is_boolean(bos) && !json_is_boolean(eos))
        return STATUS_OK;
    bool add_bos = json_get_bool(config, "add_bos_token", llama, &wrong);
    bool add_eos = json_get_bool(config, "add_eos_token", false, &wrong);
    if (wrong.status)
        return error_set(err, wrong.status, "tokenizer_config.json: %s", wrong.message);
    enum status status = set_special(&tk->prefix, add_bos, tk->bos, "bos", err);
    return status ? status : set_special(&tk->suffix, add_eos, tk->eos, "eos", err);
}

enum status tokenizer_apply_config(struct tokenizer *tk, const struct vocab_source *source,
                                   const json_t *config, struct error *err)
{
    json_t *decoder = json_object_get(config, "added_tokens_decoder");
    enum status status = STATUS_OK;
    if (json_is_object(decoder))
        status = read_added_tokens_decoder(tk, decoder, err);
    else if (source->added_tokens_json.data)
        status = read_added_tokens_json(tk, source->added_tokens_json, err);
    if (!status && !json_is_object(decoder) && source->special_tokens_map_json.data)
        status = read_special_tokens_map(tk, source->special_tokens_map_json, err);
    if (!status)
        status = read_special_names(tk, config, err);
    tk->plain_specials = json_is_true(json_object_get(config, "split_special_tokens"));
    return status || !config ? status : apply_bos_eos(tk, config, err);
}
