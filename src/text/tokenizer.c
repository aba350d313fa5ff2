#include "text/tokenizer.h"
#include "base/utf8.h"
#include "text/byte_level.h"
#include "text/tokenizer_parts.h"
#include "text/unicode.h"

#include <string.h>

void token_list_free(struct token_list *list)
{
    mem_free(list->ids);
    *list = (struct token_list){0};
}

bool token_list_add(struct token_list *list, int32_t id)
{
    if (!mem_grow(&list->ids, &list->capacity, list->count, sizeof *list->ids))
        return false;
    list->ids[list->count++] = id;
    return true;
}

/* --- making one --- */

static enum status set_token_bytes(struct tokenizer *tk, struct error *err)
{
    size_t n = tk->tokens.size;
    tk->byte_offsets = mem_array(n + 1, sizeof *tk->byte_offsets);
    if (!tk->byte_offsets)
        return error_memory(err, "the bytes of tokens");
    tk->bytes.limit = UINT32_MAX - 1;
    for (size_t id = 0; id < n; id++) {
        const struct token_entry *entry = &tk->tokens.entries[id];
        tk->byte_offsets[id] = (uint32_t)tk->bytes.length;
        enum status status = entry->text ? decoder_token_bytes(&tk->decoder, entry->text,
                                                               entry->length, &tk->bytes, err)
                                         : STATUS_OK;
        if (status)
            return status;
    }
    tk->byte_offsets[n] = (uint32_t)tk->bytes.length;
    return STATUS_OK;
}

static enum status load(struct tokenizer *tk, const struct vocab_source *source, struct error *err)
{
    if (source->tokenizer_json.data)
        return tokenizer_load_json(tk, source, err);
    if (source->vocab_json.data && source->merges_txt.data)
        return tokenizer_load_vocab_merges(tk, source, err);
    if (source->n_tokens)
        return tokenizer_load_gguf(tk, source, err);
    return error_set(err, STATUS_NOT_FOUND,
                     "there is no tokenizer: expected tokenizer.json, "
                     "vocab.json with merges.txt, or a GGUF vocabulary");
}

bool tokenizer_is_there(const struct vocab_source *source)
{
    return source->tokenizer_json.data || source->vocab_json.data || source->n_tokens > 0;
}

enum status tokenizer_create(const struct vocab_source *source, struct tokenizer **tokenizer,
                             struct error *err)
{
    struct tokenizer *tk = mem_alloc(sizeof *tk);
    if (!tk)
        return error_memory(err, "the tokenizer");
    tk->bos = tk->eos = tk->pad = tk->unk = VOCAB_NO_ID;
    token_table_init(&tk->tokens);
    struct error wrong = {0};
    enum status status = load(tk, source, &wrong);
    if (!status)
        status = added_tokens_finish(&tk->added, &tk->tokens, &tk->normalizer, &wrong);
    if (!status)
        status = set_token_bytes(tk, &wrong);
    if (status) {
        tokenizer_free(tk);
        return error_set(err, status, "%s: %s", source->name ? source->name : "tokenizer",
                         wrong.message);
    }
    *tokenizer = tk;
    return STATUS_OK;
}

void tokenizer_free(struct tokenizer *tk)
{
    if (!tk)
        return;
    token_table_free(&tk->tokens);
    bpe_free(&tk->bpe);
    normalizer_free(&tk->normalizer);
    pretokenizer_free(&tk->pretokenizer);
    added_tokens_free(&tk->added);
    decoder_free(&tk->decoder);
    token_list_free(&tk->prefix);
    token_list_free(&tk->suffix);
    strbuf_free(&tk->bytes);
    mem_free(tk->byte_offsets);
    mem_free(tk);
}

/* --- encoding --- */

struct encoding {
    const struct tokenizer *tk;
    bool plain_specials;
    struct bpe_work bpe;
    struct pretokenizer_work pre;
    struct strbuf scratch[2];
    struct token_list *out;
    struct error *err;
};

static enum status encode_pieces(struct encoding *e, const char *text, size_t length, bool at_start)
{
    const struct tokenizer *tk = e->tk;
    enum status status =
        pretokenizer_run(&tk->pretokenizer, &e->pre, text, length, at_start, e->err);
    for (size_t i = 0; !status && i < e->pre.n_pieces; i++)
        status = bpe_encode(&tk->bpe, &e->bpe, e->pre.text + e->pre.pieces[i].start,
                            e->pre.pieces[i].length, tk->pretokenizer.raw_bytes, e->out, e->err);
    return status;
}

typedef enum status encode_text(struct encoding *e, const char *text, size_t length, bool at_start);

/* Gives the text between added tokens to `encode`. */
static enum status split_at_added(struct encoding *e, const struct added_matcher *matcher,
                                  const char *text, size_t length, bool at_start,
                                  encode_text *encode)
{
    struct added_match match;
    size_t done = 0;
    enum status status = STATUS_OK;
    while (!status && added_matcher_next(matcher, text, length, done, e->plain_specials, &match)) {
        if (match.start > done)
            status = encode(e, text + done, match.start - done, at_start && done == 0);
        if (!status && !token_list_add(e->out, match.token->id))
            status = error_memory(e->err, "token ids");
        done = match.end;
    }
    if (!status && done < length)
        status = encode(e, text + done, length - done, at_start && done == 0);
    return status;
}

static enum status encode_plain(struct encoding *e, const char *text, size_t length, bool at_start)
{
    const struct tokenizer *tk = e->tk;
    enum status status =
        normalizer_apply(&tk->normalizer, text, length, e->scratch, &text, &length, e->err);
    return status ? status
                  : split_at_added(e, &tk->added.normalized, text, length, at_start, encode_pieces);
}

static bool append_all(struct token_list *out, const struct token_list *ids)
{
    for (size_t i = 0; i < ids->count; i++)
        if (!token_list_add(out, ids->ids[i]))
            return false;
    return true;
}

static enum status encode_valid(const struct tokenizer *tk, const char *text, size_t length,
                                unsigned flags, struct token_list *out, struct error *err)
{
    struct encoding e = {.tk = tk, .out = out, .err = err};
    e.plain_specials = tk->plain_specials || (flags & TOKENIZER_PLAIN_TEXT);
    enum status status = bpe_work_init(&e.bpe, length, err);
    if (!status)
        status = pretokenizer_work_init(&e.pre, &tk->pretokenizer, err);
    if (!status && (flags & TOKENIZER_ADD_SPECIAL) && !append_all(out, &tk->prefix))
        status = error_memory(err, "token ids");
    if (!status)
        status = split_at_added(&e, &tk->added.plain, text, length, true, encode_plain);
    if (!status && (flags & TOKENIZER_ADD_SPECIAL) && !append_all(out, &tk->suffix))
        status = error_memory(err, "token ids");
    bpe_work_free(&e.bpe);
    pretokenizer_work_free(&e.pre, &tk->pretokenizer);
    strbuf_free(&e.scratch[0]);
    strbuf_free(&e.scratch[1]);
    return status;
}

enum status tokenizer_encode(const struct tokenizer *tk, const char *text, size_t length,
                             unsigned flags, struct token_list *out, struct error *err)
{
    if (utf8_valid(text, length))
        return encode_valid(tk, text, length, flags, out, err);
    struct strbuf repaired = {0};
    unicode_append_repaired(&repaired, text, length);
    enum status status = repaired.failed ? error_memory(err, "encoding")
                                         : encode_valid(tk, strbuf_text(&repaired), repaired.length,
                                                        flags, out, err);
    strbuf_free(&repaired);
    return status;
}

/* --- decoding: a list is a stream that ends --- */

enum status tokenizer_decode(const struct tokenizer *tk, const int32_t *ids, size_t n,
                             unsigned flags, struct strbuf *out, struct error *err)
{
    struct detokenizer d;
    detokenizer_init(&d, tk, flags);
    enum status status = STATUS_OK;
    for (size_t i = 0; !status && i < n; i++)
        status = detokenizer_push(&d, ids[i], out, err);
    if (!status)
        status = detokenizer_finish(&d, out, err);
    detokenizer_free(&d);
    return status;
}

void detokenizer_init(struct detokenizer *d, const struct tokenizer *tokenizer, unsigned flags)
{
    *d = (struct detokenizer){.tokenizer = tokenizer, .flags = flags};
}

enum status detokenizer_push(struct detokenizer *d, int32_t id, struct strbuf *out,
                             struct error *err)
{
    const struct token_entry *entry = token_table_at(&d->tokenizer->tokens, id);
    if (!entry)
        return error_set(err, STATUS_INVALID, "token id %d is not in the vocabulary (of %zu)",
                         (int)id, d->tokenizer->tokens.size);
    if ((d->flags & TOKENIZER_SKIP_SPECIAL) && entry->special)
        return STATUS_OK;
    return decoder_push(&d->tokenizer->decoder, &d->state, entry->text, entry->length, out, err);
}

enum status detokenizer_finish(struct detokenizer *d, struct strbuf *out, struct error *err)
{
    return decoder_finish(&d->tokenizer->decoder, &d->state, out, err);
}

void detokenizer_free(struct detokenizer *d)
{
    decoder_state_free(&d->state);
}

/* --- looking things up --- */

size_t tokenizer_size(const struct tokenizer *tk)
{
    return tk->tokens.size;
}

int32_t tokenizer_find(const struct tokenizer *tk, const char *token)
{
    return token_table_find(&tk->tokens, token, strlen(token));
}

const char *tokenizer_token(const struct tokenizer *tk, int32_t id)
{
    const struct token_entry *entry = token_table_at(&tk->tokens, id);
    return entry ? entry->text : NULL;
}

size_t tokenizer_token_bytes(const struct tokenizer *tk, int32_t id, const char **bytes)
{
    if (!token_table_at(&tk->tokens, id))
        return 0;
    *bytes = strbuf_text(&tk->bytes) + tk->byte_offsets[id];
    return tk->byte_offsets[id + 1] - tk->byte_offsets[id];
}

bool tokenizer_drops_first_space(const struct tokenizer *tk)
{
    return decoder_drops_first_space(&tk->decoder);
}

bool tokenizer_is_special(const struct tokenizer *tk, int32_t id)
{
    const struct token_entry *entry = token_table_at(&tk->tokens, id);
    return entry && entry->special;
}

int32_t tokenizer_bos(const struct tokenizer *tk)
{
    return tk->bos;
}

int32_t tokenizer_eos(const struct tokenizer *tk)
{
    return tk->eos;
}

int32_t tokenizer_pad(const struct tokenizer *tk)
{
    return tk->pad;
}

int32_t tokenizer_unk(const struct tokenizer *tk)
{
    return tk->unk;
}
