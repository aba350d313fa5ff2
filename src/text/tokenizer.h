/* Text to token ids and back, exactly as tokenizer.json (or a GGUF vocabulary) describes it.
 *
 * A tokenizer is immutable once made; any number of threads may use one at the same time.
 *
 *     struct tokenizer *tk;
 *     if (tokenizer_create(checkpoint_vocab(cp), &tk, &err)) ...
 *     struct token_list ids = {0};
 *     tokenizer_encode(tk, text, strlen(text), 0, &ids, &err);
 *     tokenizer_decode(tk, ids.ids, ids.count, TOKENIZER_SKIP_SPECIAL, &out, &err);
 */
#ifndef TANDEM_TEXT_TOKENIZER_H
#define TANDEM_TEXT_TOKENIZER_H

#include "base/error.h"
#include "base/strbuf.h"
#include "base/vocab_source.h"
#include "text/decoder.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tokenizer;

struct token_list {
    int32_t *ids; /* mem_free */
    size_t count, capacity;
};
void token_list_free(struct token_list *list);
/* False when out of memory. */
bool token_list_add(struct token_list *list, int32_t id);

enum tokenizer_flags {
    TOKENIZER_ADD_SPECIAL = 1,  /* encode: run the post-processor (bos/eos where configured) */
    TOKENIZER_PLAIN_TEXT = 2,   /* encode: special tokens in the text are ordinary characters */
    TOKENIZER_SKIP_SPECIAL = 4, /* decode: leave special tokens out */
};

/* Whether the checkpoint has what a tokenizer is made of. */
bool tokenizer_is_there(const struct vocab_source *source);
enum status tokenizer_create(const struct vocab_source *source, struct tokenizer **tokenizer,
                             struct error *err);
void tokenizer_free(struct tokenizer *tokenizer);

/* Appends to `out`. The text need not be valid UTF-8: invalid bytes become U+FFFD, as they do in
 * a Python str made with errors="replace". */
enum status tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t length,
                             unsigned flags, struct token_list *out, struct error *err);
/* Appends to `out`, as transformers' decode(clean_up_tokenization_spaces=False) does. An id
 * outside the vocabulary is an error. */
enum status tokenizer_decode(const struct tokenizer *tokenizer, const int32_t *ids, size_t n,
                             unsigned flags, struct strbuf *out, struct error *err);

/* Ids are below this: the largest id that has a token, plus one. */
size_t tokenizer_size(const struct tokenizer *tokenizer);
/* The id of exactly this token (its content as users see it), or VOCAB_NO_ID. */
int32_t tokenizer_find(const struct tokenizer *tokenizer, const char *token);
/* The token's content as the vocabulary writes it, NUL-terminated; NULL for an id without one. */
const char *tokenizer_token(const struct tokenizer *tokenizer, int32_t id);
/* The bytes that the token stands for by itself (no stripping of leading spaces), e.g. for
 * logprobs; returns their number, 0 for ids without a token. Lives as long as the tokenizer. */
size_t tokenizer_token_bytes(const struct tokenizer *tokenizer, int32_t id, const char **bytes);
/* Whether a decoded text lacks the space with which its first token begins. */
bool tokenizer_drops_first_space(const struct tokenizer *tokenizer);
bool tokenizer_is_special(const struct tokenizer *tokenizer, int32_t id);
int32_t tokenizer_bos(const struct tokenizer *tokenizer); /* VOCAB_NO_ID where there is none */
int32_t tokenizer_eos(const struct tokenizer *tokenizer);
int32_t tokenizer_pad(const struct tokenizer *tokenizer);
int32_t tokenizer_unk(const struct tokenizer *tokenizer);

/* Streaming: push ids one at a time, receive whole characters. What all pushes and the finish
 * append together equals tokenizer_decode of all the ids. Never half a character. */
struct detokenizer {
    const struct tokenizer *tokenizer;
    unsigned flags;
    struct decoder_state state; /* what later tokens can still change */
};
void detokenizer_init(struct detokenizer *d, const struct tokenizer *tokenizer, unsigned flags);
enum status detokenizer_push(struct detokenizer *d, int32_t id, struct strbuf *out,
                             struct error *err);
/* Flushes what was held back (broken bytes become U+FFFD) and starts anew. */
enum status detokenizer_finish(struct detokenizer *d, struct strbuf *out, struct error *err);
void detokenizer_free(struct detokenizer *d);

#endif
