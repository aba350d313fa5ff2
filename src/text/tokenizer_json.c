/* tokenizer.json, and vocab.json with merges.txt. */
#include "text/json_scan.h"
#include "text/tokenizer_parts.h"

#include <string.h>

const char split_pattern_qwen2[] = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{"
                                   "N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
                                   "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const char split_pattern_gpt2[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/* --- merges --- */

/* How much of a string a message shows. */
static int shown(size_t length)
{
    enum { MOST = 100 };
    return length < MOST ? (int)length : MOST;
}

/* The token that a merge gives. Vocabularies mostly number these in the order of the merges, so the
 * one behind the last is tried first: looking up all would take half of the loading time. */
static int32_t find_result(const struct merge_list *merges, const struct token_table *tokens,
                           const char *text, size_t length)
{
    int32_t guess = merges->count ? merges->items[merges->count - 1].id + 1 : 0;
    const struct token_entry *entry = token_table_at(tokens, guess);
    if (entry && entry->in_model && entry->length == length && !memcmp(entry->text, text, length))
        return guess;
    return token_table_find_model(tokens, text, length);
}

enum status merge_list_add(struct merge_list *merges, const struct token_table *tokens,
                           const char *left, size_t left_length, const char *right,
                           size_t right_length, struct error *err)
{
    char merged[TOKEN_LENGTH_LIMIT];
    size_t length = left_length + right_length;
    int32_t left_id = token_table_find_model(tokens, left, left_length);
    int32_t right_id = token_table_find_model(tokens, right, right_length);
    int32_t id = VOCAB_NO_ID;
    if (left_id != VOCAB_NO_ID && right_id != VOCAB_NO_ID && length < sizeof merged) {
        memcpy(merged, left, left_length);
        memcpy(merged + left_length, right, right_length);
        id = find_result(merges, tokens, merged, length);
    }
    if (id == VOCAB_NO_ID)
        return error_set(err, STATUS_FORMAT,
                         "merge %zu, \"%.*s %.*s\": a part or the result is not in the vocabulary",
                         merges->count, shown(left_length), left, shown(right_length), right);
    if (!mem_grow(&merges->items, &merges->capacity, merges->count, sizeof *merges->items))
        return error_memory(err, "the merges");
    merges->items[merges->count] =
        (struct bpe_merge){left_id, right_id, id, (uint32_t)merges->count};
    merges->count++;
    return STATUS_OK;
}

enum status merge_list_add_line(struct merge_list *merges, const struct token_table *tokens,
                                const char *line, size_t length, struct error *err)
{
    const char *space = memchr(line, ' ', length);
    size_t left = space ? (size_t)(space - line) : 0;
    if (!space || memchr(space + 1, ' ', length - left - 1))
        return error_set(err, STATUS_FORMAT,
                         "merge %zu, \"%.*s\", is not two tokens with a space between",
                         merges->count, shown(length), line);
    return merge_list_add(merges, tokens, line, left, space + 1, length - left - 1, err);
}

enum status tokenizer_set_merges(struct tokenizer *tk, const struct merge_list *merges,
                                 struct error *err)
{
    bpe_init(&tk->bpe, &tk->tokens);
    return bpe_set_merges(&tk->bpe, merges->items, merges->count, err);
}

/* --- the vocabulary --- */

static enum status add_vocab_token(struct tokenizer *tk, int64_t id, const struct strbuf *token,
                                   struct error *err)
{
    size_t strings = tk->tokens.used;
    enum status status = token_table_add(&tk->tokens, id, strbuf_text(token), token->length, err);
    if (!status && tk->tokens.used == strings)
        status = error_set(err, STATUS_FORMAT, "the token \"%s\" is twice in the vocabulary",
                           strbuf_text(token));
    if (!status)
        tk->tokens.entries[id].in_model = true;
    return status;
}

static enum status read_vocab(struct tokenizer *tk, const char *name, struct text_span text,
                              struct error *err)
{
    enum { TYPICAL_ENTRY = 18 }; /* bytes */
    struct json_scan scan;
    json_scan_start(&scan, name, text.data, text.length);
    size_t expected = text.length / TYPICAL_ENTRY;
    if (expected >= TOKEN_ID_LIMIT)
        expected = TOKEN_ID_LIMIT - 1;
    enum status status = token_table_reserve(&tk->tokens, expected, err);
    bool more = false;
    if (!status)
        status = json_scan_open(&scan, '{', err);
    while (!status && !(status = json_scan_more(&scan, '}', &more, err)) && more) {
        int64_t id;
        if (!(status = json_scan_key(&scan, err)) && !(status = json_scan_integer(&scan, &id, err)))
            status = add_vocab_token(tk, id, &scan.string, err);
    }
    if (!status && json_scan_peek(&scan))
        status =
            error_set(err, STATUS_FORMAT, "%s goes on behind its end, at byte %zu", name, scan.at);
    strbuf_free(&scan.string);
    return status;
}

/* ["left", "right"] */
static enum status read_merge_pair(struct json_scan *scan, struct merge_list *merges,
                                   const struct token_table *tokens, struct error *err)
{
    struct strbuf left = {0};
    bool more = false;
    enum status status = json_scan_open(scan, '[', err);
    if (!status && !(status = json_scan_more(scan, ']', &more, err)) &&
        !(status = json_scan_string(scan, err))) {
        left = scan->string;
        scan->string = (struct strbuf){0};
        if (!(status = json_scan_more(scan, ']', &more, err)) &&
            !(status = json_scan_string(scan, err)))
            status = merge_list_add(merges, tokens, strbuf_text(&left), left.length,
                                    strbuf_text(&scan->string), scan->string.length, err);
        if (!status && !(status = json_scan_more(scan, ']', &more, err)) && more)
            status = error_set(err, STATUS_FORMAT, "merge %zu has more than two parts",
                               merges->count - 1);
    }
    strbuf_free(&left);
    return status;
}

static enum status read_merges(const struct token_table *tokens, struct text_span text,
                               struct merge_list *merges, struct error *err)
{
    struct json_scan scan;
    bool more = false;
    json_scan_start(&scan, "\"merges\"", text.data, text.length);
    enum status status = json_scan_open(&scan, '[', err);
    while (!status && !(status = json_scan_more(&scan, ']', &more, err)) && more) {
        if (json_scan_peek(&scan) == '[')
            status = read_merge_pair(&scan, merges, tokens, err);
        else if (!(status = json_scan_string(&scan, err)))
            status = merge_list_add_line(merges, tokens, strbuf_text(&scan.string),
                                         scan.string.length, err);
    }
    strbuf_free(&scan.string);
    return status;
}

/* --- tokenizer.json: the two big members are read apart from the rest --- */

struct document {
    struct text_span vocab, merges;
    json_t *rest; /* the document with an empty vocab and empty merges */
};

static enum status find_members(struct json_scan *scan, struct document *document,
                                struct error *err)
{
    bool more = false;
    enum status status = json_scan_open(scan, '{', err);
    while (!status && !(status = json_scan_more(scan, '}', &more, err)) && more) {
        if ((status = json_scan_key(scan, err)))
            break;
        const char *key = strbuf_text(&scan->string);
        char bracket = json_scan_peek(scan);
        struct text_span *member = !strcmp(key, "vocab") && bracket == '{'    ? &document->vocab
                                   : !strcmp(key, "merges") && bracket == '[' ? &document->merges
                                                                              : NULL;
        size_t start = scan->at;
        status = json_scan_skip(scan, err);
        if (member && !status)
            *member = (struct text_span){scan->text + start, scan->at - start};
    }
    return status;
}

static enum status find_model(struct json_scan *scan, struct document *document, struct error *err)
{
    bool more = false;
    enum status status = json_scan_open(scan, '{', err);
    while (!status && !(status = json_scan_more(scan, '}', &more, err)) && more) {
        if ((status = json_scan_key(scan, err)))
            break;
        bool model = !strcmp(strbuf_text(&scan->string), "model");
        status = model && json_scan_peek(scan) == '{' ? find_members(scan, document, err)
                                                      : json_scan_skip(scan, err);
    }
    return status;
}

static enum status parse_rest(const char *name, struct text_span text, struct document *document,
                              struct error *err)
{
    struct text_span cuts[2] = {document->vocab, document->merges};
    if (cuts[1].data && (!cuts[0].data || cuts[1].data < cuts[0].data)) {
        cuts[0] = document->merges;
        cuts[1] = document->vocab;
    }
    struct strbuf rest = {0};
    const char *at = text.data, *end = text.data + text.length;
    for (size_t i = 0; i < 2 && cuts[i].data; i++) {
        strbuf_append(&rest, at, (size_t)(cuts[i].data - at));
        strbuf_add(&rest, cuts[i].data[0] == '{' ? "{}" : "[]");
        at = cuts[i].data + cuts[i].length;
    }
    strbuf_append(&rest, at, (size_t)(end - at));
    enum status status = rest.failed ? error_memory(err, name) : STATUS_OK;
    struct error wrong = {0};
    if (!status && !(document->rest = json_parse(name, strbuf_text(&rest), rest.length, &wrong)))
        status = error_set(err, wrong.status, "%s", wrong.message);
    strbuf_free(&rest);
    return status;
}

static enum status read_document(const char *name, struct text_span text, struct document *document,
                                 struct error *err)
{
    struct json_scan scan;
    json_scan_start(&scan, name, text.data, text.length);
    enum status status = find_model(&scan, document, err);
    strbuf_free(&scan.string);
    return status ? status : parse_rest(name, text, document, err);
}

/* --- the model --- */

static enum status check_model(const json_t *model, struct error *err)
{
    struct error wrong = {0};
    const char *type = json_get_string(model, "type", "BPE", &wrong);
    double dropout = json_get_number(model, "dropout", 0, &wrong);
    const char *prefix = json_get_string(model, "continuing_subword_prefix", "", &wrong);
    const char *suffix = json_get_string(model, "end_of_word_suffix", "", &wrong);
    if (wrong.status)
        return error_set(err, wrong.status, "model: %s", wrong.message);
    if (strcmp(type, "BPE") != 0)
        return error_set(err, STATUS_UNSUPPORTED, "model \"%s\" is not supported (only BPE)", type);
    if (dropout != 0)
        return error_set(err, STATUS_UNSUPPORTED, "BPE with dropout is not supported");
    if (*prefix || *suffix)
        return error_set(err, STATUS_UNSUPPORTED,
                         "BPE with continuing_subword_prefix or "
                         "end_of_word_suffix is not supported");
    return STATUS_OK;
}

static enum status read_model_options(struct tokenizer *tk, const json_t *model, struct error *err)
{
    struct error wrong = {0};
    tk->bpe.byte_fallback = json_get_bool(model, "byte_fallback", false, &wrong);
    tk->bpe.fuse_unk = json_get_bool(model, "fuse_unk", false, &wrong);
    tk->bpe.ignore_merges = json_get_bool(model, "ignore_merges", false, &wrong);
    const char *unk = json_get_string(model, "unk_token", NULL, &wrong);
    if (wrong.status)
        return error_set(err, wrong.status, "model: %s", wrong.message);
    if (!unk)
        return STATUS_OK;
    tk->bpe.unk_id = tk->unk = token_table_find_model(&tk->tokens, unk, strlen(unk));
    return tk->unk != VOCAB_NO_ID ? STATUS_OK
                                  : error_set(err, STATUS_FORMAT,
                                              "model: unk_token \"%s\" is "
                                              "not in the vocabulary",
                                              unk);
}

static enum status read_model(struct tokenizer *tk, const struct document *document,
                              struct error *err)
{
    const json_t *model = json_object_get(document->rest, "model");
    enum status status = check_model(model, err);
    if (status)
        return status;
    if (!document->vocab.data || !document->merges.data)
        return error_set(err, STATUS_FORMAT, "model has no \"%s\"",
                         document->vocab.data ? "merges" : "vocab");
    struct merge_list merges = {0};
    status = read_vocab(tk, "\"vocab\"", document->vocab, err);
    if (!status)
        status = read_merges(&tk->tokens, document->merges, &merges, err);
    if (!status)
        status = tokenizer_set_merges(tk, &merges, err);
    mem_free(merges.items);
    return status ? status : read_model_options(tk, model, err);
}

enum status tokenizer_read_components(struct tokenizer *tk, const json_t *root, struct error *err)
{
    enum status status =
        normalizer_from_json(json_object_get(root, "normalizer"), &tk->normalizer, err);
    if (!status)
        status =
            pretokenizer_from_json(json_object_get(root, "pre_tokenizer"), &tk->pretokenizer, err);
    if (!status)
        status = decoder_from_json(json_object_get(root, "decoder"), &tk->decoder, err);
    return status;
}

enum status tokenizer_add_json_token(struct tokenizer *tk, int64_t id, const json_t *token,
                                     struct error *err)
{
    const json_t *content = json_object_get(token, "content");
    struct error wrong = {0};
    struct added_token added = {
        .text = json_string_value(content),
        .length = json_string_length(content),
        .special = json_get_bool(token, "special", false, &wrong),
        .single_word = json_get_bool(token, "single_word", false, &wrong),
        .lstrip = json_get_bool(token, "lstrip", false, &wrong),
        .rstrip = json_get_bool(token, "rstrip", false, &wrong),
    };
    added.normalized = json_get_bool(token, "normalized", !added.special, &wrong);
    if (!wrong.status && !added.text)
        error_set(&wrong, STATUS_FORMAT, "it has no \"content\"");
    if (!wrong.status && (id < 0 || id >= TOKEN_ID_LIMIT))
        error_set(&wrong, STATUS_FORMAT, "its id is not between 0 and %d", TOKEN_ID_LIMIT - 1);
    added.id = (int32_t)id;
    if (!wrong.status)
        added_tokens_add(&tk->added, &tk->tokens, &added, &wrong);
    return wrong.status
               ? error_set(err, wrong.status, "added token %lld: %s", (long long)id, wrong.message)
               : STATUS_OK;
}

static enum status read_added_tokens(struct tokenizer *tk, const json_t *list, struct error *err)
{
    size_t i;
    json_t *token;
    json_array_foreach(list, i, token)
    {
        struct error wrong = {0};
        int64_t id = json_get_int(token, "id", -1, &wrong);
        enum status status = wrong.status ? error_set(err, wrong.status, "%s", wrong.message)
                                          : tokenizer_add_json_token(tk, id, token, err);
        if (status)
            return status;
    }
    return STATUS_OK;
}

/* As transformers does: tokenizer_config.json's add_prefix_space holds against the document. */
static void override_prefix_space(json_t *root, const json_t *config)
{
    const json_t *wanted = json_object_get(config, "add_prefix_space");
    json_t *pre = json_object_get(root, "pre_tokenizer");
    if (json_is_boolean(wanted) && json_is_boolean(json_object_get(pre, "add_prefix_space")))
        json_object_set_new(pre, "add_prefix_space", json_boolean(json_is_true(wanted)));
}

static enum status parse_config(const struct vocab_source *source, json_t **config,
                                struct error *err)
{
    struct text_span text = source->tokenizer_config_json;
    *config = NULL;
    if (!text.data)
        return STATUS_OK;
    struct error wrong = {0};
    *config = json_parse("tokenizer_config.json", text.data, text.length, &wrong);
    return *config ? STATUS_OK : error_set(err, wrong.status, "%s", wrong.message);
}

static enum status load_document(struct tokenizer *tk, const struct vocab_source *source,
                                 const struct document *document, const json_t *config,
                                 struct error *err)
{
    const json_t *root = document->rest;
    override_prefix_space(document->rest, config);
    enum status status = read_model(tk, document, err);
    if (!status)
        status = tokenizer_read_components(tk, root, err);
    if (!status)
        status = read_added_tokens(tk, json_object_get(root, "added_tokens"), err);
    if (!status)
        status = tokenizer_apply_post_processor(tk, json_object_get(root, "post_processor"), err);
    return status ? status : tokenizer_apply_config(tk, source, config, err);
}

enum status tokenizer_load_json(struct tokenizer *tk, const struct vocab_source *source,
                                struct error *err)
{
    struct document document = {0};
    json_t *config;
    enum status status = parse_config(source, &config, err);
    if (!status)
        status = read_document("tokenizer.json", source->tokenizer_json, &document, err);
    if (!status && (status = load_document(tk, source, &document, config, err)))
        error_prefix(err, "tokenizer.json");
    json_decref(document.rest);
    json_decref(config);
    return status;
}

/* --- vocab.json and merges.txt --- */

static enum status read_merges_txt(const struct token_table *tokens, struct text_span text,
                                   struct merge_list *merges, struct error *err)
{
    static const char version[] = "#version";
    const char *at = text.data, *end = text.data + text.length;
    enum status status = STATUS_OK;
    while (!status && at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        size_t length = (size_t)((line_end ? line_end : end) - at);
        bool skipped = length == 0 || (at == text.data && length >= strlen(version) &&
                                       !memcmp(at, version, strlen(version)));
        if (length && at[length - 1] == '\r')
            length--;
        if (!skipped && length)
            status = merge_list_add_line(merges, tokens, at, length, err);
        at = line_end ? line_end + 1 : end;
    }
    return status;
}

json_t *byte_level_components(bool nfc, const char *const *patterns, size_t n)
{
    json_t *steps = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(steps, json_pack("{s:s, s:{s:s}, s:s}", "type", "Split", "pattern",
                                               "Regex", patterns[i], "behavior", "Isolated"));
    json_array_append_new(steps, json_pack("{s:s, s:b, s:b}", "type", "ByteLevel",
                                           "add_prefix_space", 0, "use_regex", 0));
    return json_pack("{s:o, s:{s:s, s:o}, s:{s:s}}", "normalizer",
                     nfc ? json_pack("{s:s}", "type", "NFC") : json_null(), "pre_tokenizer", "type",
                     "Sequence", "pretokenizers", steps, "decoder", "type", "ByteLevel");
}

static enum status load_vocab_merges(struct tokenizer *tk, const struct vocab_source *source,
                                     const json_t *config, struct error *err)
{
    struct error wrong = {0};
    const char *class = json_get_string(config, "tokenizer_class", "Qwen2Tokenizer", &wrong);
    bool gpt2 = !strncmp(class, "GPT2", 4);
    const char *pattern = gpt2 ? split_pattern_gpt2 : split_pattern_qwen2;
    struct merge_list merges = {0};
    json_t *components = byte_level_components(!gpt2, &pattern, 1);
    enum status status = components ? STATUS_OK : error_memory(err, "the tokenizer");
    if (!status)
        status = read_vocab(tk, "vocab.json", source->vocab_json, err);
    if (!status && (status = read_merges_txt(&tk->tokens, source->merges_txt, &merges, err)))
        error_prefix(err, "merges.txt");
    if (!status)
        status = tokenizer_set_merges(tk, &merges, err);
    if (!status)
        status = tokenizer_read_components(tk, components, err);
    mem_free(merges.items);
    json_decref(components);
    return status ? status : tokenizer_apply_config(tk, source, config, err);
}

enum status tokenizer_load_vocab_merges(struct tokenizer *tk, const struct vocab_source *source,
                                        struct error *err)
{
    json_t *config;
    enum status status = parse_config(source, &config, err);
    if (!status)
        status = load_vocab_merges(tk, source, config, err);
    json_decref(config);
    return status;
}
