#include "text/tokenizer_export.h"
#include "text/tokenizer_parts.h"

#include <stdio.h>

enum { TYPE_UNUSED = 5 /* padding, to the size of the embedding */ };

static json_t *text_of(const struct tokenizer *tk, int32_t id)
{
    const struct token_entry *entry = token_table_at(&tk->tokens, id);
    return entry ? json_stringn(entry->text, entry->length) : json_null();
}

static json_t *vocabulary(const struct tokenizer *tk, const struct vocab_source *source)
{
    json_t *vocab = json_object();
    for (size_t id = 0; id < source->n_tokens; id++) {
        const struct token_entry *entry = token_table_at(&tk->tokens, (int64_t)id);
        bool unused = source->types && source->types[id] == TYPE_UNUSED;
        if (entry && entry->text && !unused && !json_object_get(vocab, entry->text))
            json_object_set_new(vocab, entry->text, json_integer((json_int_t)id));
    }
    return vocab;
}

static json_t *merges(const struct tokenizer *tk, const struct merge_list *list)
{
    json_t *all = json_array();
    for (size_t i = 0; i < list->count; i++) {
        const struct bpe_merge *m = &list->items[i];
        json_array_append_new(all, json_pack("[o, o]", text_of(tk, (int32_t)m->left),
                                             text_of(tk, (int32_t)m->right)));
    }
    return all;
}

static json_t *added_token(const struct added_token *t)
{
    return json_pack("{s:o, s:b, s:b, s:b, s:b, s:b}", "content", json_stringn(t->text, t->length),
                     "single_word", t->single_word, "lstrip", t->lstrip, "rstrip", t->rstrip,
                     "normalized", t->normalized, "special", t->special);
}

/* tokenizer.json has a list with ids; tokenizer_config.json an object by id. */
static void list_added(const struct tokenizer *tk, json_t *list, json_t *by_id)
{
    for (size_t i = 0; i < tk->added.count; i++) {
        char id[24];
        json_t *rest = added_token(&tk->added.list[i]);
        json_t *entry = json_pack("{s:i}", "id", tk->added.list[i].id);
        snprintf(id, sizeof id, "%d", (int)tk->added.list[i].id);
        json_object_update(entry, rest);
        json_array_append_new(list, entry);
        json_object_set_new(by_id, id, rest);
    }
}

static void add_template_tokens(const struct tokenizer *tk, const struct token_list *ids,
                                json_t *single, json_t *special)
{
    for (size_t i = 0; i < ids->count; i++) {
        json_t *text = text_of(tk, ids->ids[i]);
        json_array_append_new(
            single, json_pack("{s:{s:O, s:i}}", "SpecialToken", "id", text, "type_id", 0));
        json_object_set_new(
            special, json_string_value(text),
            json_pack("{s:O, s:[i], s:[O]}", "id", text, "ids", (int)ids->ids[i], "tokens", text));
        json_decref(text);
    }
}

/* What encoding puts around a text: null where that is nothing. */
static json_t *post_processor(const struct tokenizer *tk)
{
    if (!tk->prefix.count && !tk->suffix.count)
        return json_null();
    json_t *single = json_array(), *special = json_object();
    add_template_tokens(tk, &tk->prefix, single, special);
    json_array_append_new(single, json_pack("{s:{s:s, s:i}}", "Sequence", "id", "A", "type_id", 0));
    add_template_tokens(tk, &tk->suffix, single, special);
    return json_pack("{s:s, s:o, s:[{s:{s:s, s:i}}, {s:{s:s, s:i}}], s:o}", "type",
                     "TemplateProcessing", "single", single, "pair", "Sequence", "id", "A",
                     "type_id", 0, "Sequence", "id", "B", "type_id", 1, "special_tokens", special);
}

static json_t *document(const struct tokenizer *tk, const struct vocab_source *source,
                        const struct gguf_parts *parts, json_t *added)
{
    bool bytes = parts->sentencepiece;
    json_t *model = json_pack("{s:s, s:n, s:o, s:n, s:n, s:b, s:b, s:b, s:o, s:o}", "type", "BPE",
                              "dropout", "unk_token", bytes ? text_of(tk, tk->unk) : json_null(),
                              "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", bytes,
                              "byte_fallback", bytes, "ignore_merges", 0, "vocab",
                              vocabulary(tk, source), "merges", merges(tk, &parts->merges));
    json_t *root = json_pack("{s:s, s:n, s:n, s:O, s:n}", "version", "1.0", "truncation", "padding",
                             "added_tokens", added, "pre_tokenizer");
    json_object_update(root, parts->components);
    json_object_set_new(root, "post_processor", post_processor(tk));
    json_object_set_new(root, "model", model);
    return root;
}

static json_t *settings(const struct tokenizer *tk, const struct vocab_source *source,
                        size_t context_length, json_t *by_id)
{
    json_t *config = json_pack("{s:s, s:b, s:b, s:O, s:o, s:o, s:o, s:o, s:b, s:I}",
                               "tokenizer_class", "PreTrainedTokenizerFast", "add_bos_token",
                               tk->prefix.count > 0, "add_eos_token", tk->suffix.count > 0,
                               "added_tokens_decoder", by_id, "bos_token", text_of(tk, tk->bos),
                               "eos_token", text_of(tk, tk->eos), "pad_token", text_of(tk, tk->pad),
                               "unk_token", text_of(tk, tk->unk), "clean_up_tokenization_spaces", 0,
                               "model_max_length", (json_int_t)context_length);
    if (source->chat_template.data)
        json_object_set_new(config, "chat_template",
                            json_stringn(source->chat_template.data, source->chat_template.length));
    return config;
}

enum status tokenizer_export(const struct vocab_source *source, size_t context_length,
                             json_t **tokenizer, json_t **config, struct error *err)
{
    struct gguf_parts parts;
    struct tokenizer *tk = mem_alloc(sizeof *tk);
    *tokenizer = *config = NULL;
    if (!tk)
        return error_memory(err, "the tokenizer");
    tk->bos = tk->eos = tk->pad = tk->unk = VOCAB_NO_ID;
    token_table_init(&tk->tokens);
    enum status status = tokenizer_read_gguf(tk, source, &parts, err);
    if (!status) {
        json_t *list = json_array(), *by_id = json_object();
        list_added(tk, list, by_id);
        *tokenizer = document(tk, source, &parts, list);
        *config = settings(tk, source, context_length, by_id);
        json_decref(list);
        json_decref(by_id);
    }
    gguf_parts_free(&parts);
    tokenizer_free(tk);
    return status;
}
