/* Vocabularies of GGUF files: "gpt2" (byte-level BPE with merges) and "llama" (SentencePiece's
 * BPE, whose merges follow from the scores). */
#include "text/tokenizer_parts.h"
#include "text/unicode.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum token_type {
    TYPE_NORMAL = 1,
    TYPE_UNKNOWN = 2,
    TYPE_CONTROL = 3,
    TYPE_USER_DEFINED = 4,
    TYPE_UNUSED = 5,
    TYPE_BYTE = 6,
};

/* Splitting a piece at every place costs the square of its length. */
enum { PIECE_LIMIT = 1024 };

static bool equals(struct text_span span, const char *text)
{
    return span.data && span.length == strlen(text) && !memcmp(span.data, text, span.length);
}

static int32_t type_of(const struct vocab_source *source, size_t id)
{
    return source->types ? source->types[id] : TYPE_NORMAL;
}

static enum status read_tokens(struct tokenizer *tk, const struct vocab_source *source,
                               bool all_in_model, struct error *err)
{
    enum status status = token_table_reserve(&tk->tokens, source->n_tokens, err);
    for (size_t id = 0; !status && id < source->n_tokens; id++) {
        status = token_table_add(&tk->tokens, (int64_t)id, source->tokens[id].data,
                                 source->tokens[id].length, err);
        if (!status)
            tk->tokens.entries[id].in_model = all_in_model || type_of(source, id) == TYPE_NORMAL;
    }
    return status;
}

/* --- SentencePiece: any two neighbours that make a piece may merge, the best score first. Scores
 * are distinct in such vocabularies; where they are not, the lower id comes first. --- */

struct scored {
    float score;
    int32_t id;
};

static int compare_scores(const void *left, const void *right)
{
    const struct scored *a = left, *b = right;
    if (a->score != b->score)
        return a->score > b->score ? -1 : 1;
    return (a->id > b->id) - (a->id < b->id);
}

/* All ways to make a piece of two. */
static enum status add_splits(struct merge_list *merges, const struct token_table *tokens,
                              int32_t id, uint32_t rank, struct error *err)
{
    const struct token_entry *piece = &tokens->entries[id];
    uint32_t c;
    if (piece->length > PIECE_LIMIT)
        return error_set(err, STATUS_LIMIT, "token %d has %d bytes; at most %d are allowed",
                         (int)id, (int)piece->length, PIECE_LIMIT);
    for (size_t at = 0; at < piece->length;) {
        at += unicode_next(piece->text + at, piece->length - at, &c);
        if (at >= piece->length)
            break;
        int32_t left = token_table_find_model(tokens, piece->text, at);
        int32_t right = left == VOCAB_NO_ID
                            ? VOCAB_NO_ID
                            : token_table_find_model(tokens, piece->text + at, piece->length - at);
        if (right == VOCAB_NO_ID)
            continue;
        if (!mem_grow(&merges->items, &merges->capacity, merges->count, sizeof *merges->items))
            return error_memory(err, "the merges");
        merges->items[merges->count++] = (struct bpe_merge){left, right, id, rank};
    }
    return STATUS_OK;
}

static enum status add_scored_merges(struct merge_list *merges, const struct token_table *tokens,
                                     struct scored *pieces, size_t n, struct error *err)
{
    enum status status = STATUS_OK;
    if (n)
        qsort(pieces, n, sizeof *pieces, compare_scores);
    for (size_t i = 0; !status && i < n; i++)
        status = add_splits(merges, tokens, pieces[i].id, (uint32_t)i, err);
    return status;
}

static enum status read_scored_merges(struct tokenizer *tk, const struct vocab_source *source,
                                      struct merge_list *merges, struct error *err)
{
    struct scored *pieces = mem_array(source->n_tokens, sizeof *pieces);
    size_t n = 0;
    if (!pieces)
        return error_memory(err, "the merges");
    for (size_t id = 0; id < source->n_tokens; id++)
        if (tk->tokens.entries[id].in_model) {
            float score = source->scores ? source->scores[id] : 0;
            pieces[n++] = (struct scored){isnan(score) ? -INFINITY : score, (int32_t)id};
        }
    enum status status = add_scored_merges(merges, &tk->tokens, pieces, n, err);
    mem_free(pieces);
    return status;
}

static json_t *sentencepiece_components(bool space_prefix)
{
    static const char mark[] = "\xE2\x96\x81";
    json_t *normalizers = json_array(), *decoders = json_array();
    if (space_prefix)
        json_array_append_new(normalizers,
                              json_pack("{s:s, s:s}", "type", "Prepend", "prepend", mark));
    json_array_append_new(normalizers, json_pack("{s:s, s:{s:s}, s:s}", "type", "Replace",
                                                 "pattern", "String", " ", "content", mark));
    json_array_append_new(decoders, json_pack("{s:s, s:{s:s}, s:s}", "type", "Replace", "pattern",
                                              "String", mark, "content", " "));
    json_array_append_new(decoders, json_pack("{s:s}", "type", "ByteFallback"));
    json_array_append_new(decoders, json_pack("{s:s}", "type", "Fuse"));
    if (space_prefix)
        json_array_append_new(decoders, json_pack("{s:s, s:s, s:i, s:i}", "type", "Strip",
                                                  "content", " ", "start", 1, "stop", 0));
    return json_pack("{s:{s:s, s:o}, s:{s:s, s:o}}", "normalizer", "type", "Sequence",
                     "normalizers", normalizers, "decoder", "type", "Sequence", "decoders",
                     decoders);
}

static enum status read_llama(struct tokenizer *tk, const struct vocab_source *source,
                              struct gguf_parts *parts, struct error *err)
{
    if (source->remove_extra_whitespaces)
        return error_set(err, STATUS_UNSUPPORTED,
                         "tokenizer.ggml.remove_extra_whitespaces is not supported");
    parts->components =
        sentencepiece_components(!source->has_space_prefix || source->add_space_prefix);
    enum status status = read_tokens(tk, source, false, err);
    return status ? status : read_scored_merges(tk, source, &parts->merges, err);
}

/* --- byte-level BPE --- */

#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"

/* What "tokenizer.ggml.pre" names. */
static const struct {
    const char *name;
    bool nfc;
    const char *patterns[4];
} pre_types[] = {
    {"qwen2", true, {split_pattern_qwen2}},
    {"deepseek-r1-qwen", true, {split_pattern_qwen2}},
    {"gpt-2", false, {split_pattern_gpt2}},
    {"phi-2", false, {split_pattern_gpt2}},
    {"gpt-4o",
     false,
     {"[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" CONTRACTIONS "?|[^\\r\\n\\p{L}\\p{N}]?" UPPER
      "+" LOWER "*" CONTRACTIONS
      "?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"}},
    {"dbrx",
     false,
     {CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
                   "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"}},
    {"default",
     false,
     {"[\\p{P}\\$\\+<=>\\^~\\|]+",
      "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)", "\\p{N}+",
      "[0-9][0-9][0-9]"}},
};

static enum status find_components(const struct vocab_source *source, json_t **components,
                                   struct error *err)
{
    size_t k = 0, n_types = sizeof pre_types / sizeof *pre_types, n = 0;
    while (k < n_types && !equals(source->pre, pre_types[k].name))
        k++;
    if (k == n_types && source->pre.length)
        return error_set(err, STATUS_UNSUPPORTED, "tokenizer.ggml.pre \"%.*s\" is not supported",
                         source->pre.length < 100 ? (int)source->pre.length : 100,
                         source->pre.data);
    if (k == n_types)
        k--; /* none is named: "default" */
    while (n < 4 && pre_types[k].patterns[n])
        n++;
    *components = byte_level_components(pre_types[k].nfc, pre_types[k].patterns, n);
    return STATUS_OK;
}

static enum status read_gpt2(struct tokenizer *tk, const struct vocab_source *source,
                             struct gguf_parts *parts, struct error *err)
{
    enum status status = find_components(source, &parts->components, err);
    if (!status)
        status = read_tokens(tk, source, true, err);
    for (size_t i = 0; !status && i < source->n_merges; i++)
        status = merge_list_add_line(&parts->merges, &tk->tokens, source->merges[i].data,
                                     source->merges[i].length, err);
    return status;
}

/* --- added tokens --- */

static bool has_token(const struct tokenizer *tk, const char *text)
{
    return token_table_find(&tk->tokens, text, strlen(text)) != VOCAB_NO_ID;
}

/* GGUF does not keep the flags of added tokens. Phi-3's take in the white space behind them,
 * all but these. */
static bool takes_space_behind(const char *text)
{
    return strcmp(text, "<unk>") != 0 && strcmp(text, "<s>") != 0 &&
           strcmp(text, "<|endoftext|>") != 0;
}

static enum status add_added_tokens(struct tokenizer *tk, const struct vocab_source *source,
                                    bool sentencepiece, struct error *err)
{
    bool phi3 = sentencepiece && has_token(tk, "<|user|>") && has_token(tk, "<|assistant|>") &&
                has_token(tk, "<|end|>") && has_token(tk, "<|placeholder1|>");
    enum status status = STATUS_OK;
    for (size_t id = 0; !status && id < source->n_tokens; id++) {
        int32_t type = type_of(source, id);
        bool unknown = type == TYPE_UNKNOWN && (int64_t)id == source->unk_id;
        if (type != TYPE_CONTROL && type != TYPE_USER_DEFINED && !unknown)
            continue;
        const struct token_entry *entry = &tk->tokens.entries[id];
        if (token_table_find(&tk->tokens, entry->text, entry->length) != (int32_t)id)
            continue; /* the same text again */
        struct added_token added = {.text = entry->text,
                                    .length = entry->length,
                                    .id = (int32_t)id,
                                    .special = type != TYPE_USER_DEFINED,
                                    .rstrip = phi3 && takes_space_behind(entry->text)};
        status = added_tokens_add(&tk->added, &tk->tokens, &added, err);
    }
    return status;
}

static enum status check_id(const struct tokenizer *tk, const char *name, int32_t id,
                            int32_t *target, struct error *err)
{
    if (id != VOCAB_NO_ID && !token_table_at(&tk->tokens, id))
        return error_set(err, STATUS_FORMAT,
                         "tokenizer.ggml.%s_token_id is %d, but there are "
                         "%zu tokens",
                         name, (int)id, tk->tokens.size);
    *target = id;
    return STATUS_OK;
}

static enum status read_special_ids(struct tokenizer *tk, const struct vocab_source *source,
                                    bool sentencepiece, struct error *err)
{
    enum status status = check_id(tk, "bos", source->bos_id, &tk->bos, err);
    if (!status)
        status = check_id(tk, "eos", source->eos_id, &tk->eos, err);
    if (!status)
        status = check_id(tk, "unknown", source->unk_id, &tk->unk, err);
    if (!status)
        status = check_id(tk, "padding", source->pad_id, &tk->pad, err);
    if (status)
        return status;
    bool add_bos = source->has_add_bos ? source->add_bos : sentencepiece;
    bool add_eos = source->has_add_eos && source->add_eos;
    if ((add_bos && tk->bos != VOCAB_NO_ID && !token_list_add(&tk->prefix, tk->bos)) ||
        (add_eos && tk->eos != VOCAB_NO_ID && !token_list_add(&tk->suffix, tk->eos)))
        return error_memory(err, "special tokens");
    return STATUS_OK;
}

enum status tokenizer_read_gguf(struct tokenizer *tk, const struct vocab_source *source,
                                struct gguf_parts *parts, struct error *err)
{
    enum status status;
    *parts = (struct gguf_parts){.sentencepiece = equals(source->model, "llama")};
    if (parts->sentencepiece)
        status = read_llama(tk, source, parts, err);
    else if (equals(source->model, "gpt2"))
        status = read_gpt2(tk, source, parts, err);
    else
        status = error_set(err, STATUS_UNSUPPORTED,
                           "tokenizer.ggml.model \"%.*s\" is not "
                           "supported (only gpt2 and llama)",
                           source->model.length < 100 ? (int)source->model.length : 100,
                           source->model.data ? source->model.data : "");
    if (!status && !parts->components)
        status = error_memory(err, "the tokenizer");
    if (!status)
        status = read_special_ids(tk, source, parts->sentencepiece, err);
    if (!status)
        status = add_added_tokens(tk, source, parts->sentencepiece, err);
    return status;
}

void gguf_parts_free(struct gguf_parts *parts)
{
    json_decref(parts->components);
    mem_free(parts->merges.items);
    *parts = (struct gguf_parts){0};
}

enum status tokenizer_load_gguf(struct tokenizer *tk, const struct vocab_source *source,
                                struct error *err)
{
    struct gguf_parts parts;
    enum status status = tokenizer_read_gguf(tk, source, &parts, err);
    if (!status)
        status = tokenizer_set_merges(tk, &parts.merges, err);
    tk->bpe.unk_id = tk->unk;
    tk->bpe.byte_fallback = tk->bpe.fuse_unk = parts.sentencepiece;
    if (!status)
        status = tokenizer_read_components(tk, parts.components, err);
    gguf_parts_free(&parts);
    return status;
}
