/* The "decoder" of tokenizer.json: token strings to text, token by token.
 *
 * A decoder is a chain of steps. Each takes tokens in pieces (`first` and `last` mark a token's
 * ends) and hands on what is settled, so that decoding a list and decoding a stream are the same
 * code. Only what later tokens can still change is held back.
 */
#ifndef TANDEM_TEXT_DECODER_H
#define TANDEM_TEXT_DECODER_H

#include "base/error.h"
#include "base/json.h"
#include "base/strbuf.h"

#include <stdbool.h>
#include <stddef.h>

enum { DECODER_STEP_LIMIT = 16 };

struct decoder_step;

struct decoder {
    struct decoder_step *steps;
    size_t count, capacity;
    bool spaced; /* there is no decoder at all: tokens are joined by spaces */
};

/* `json` may be NULL or null: then tokens are joined by spaces, as `tokenizers` does. */
enum status decoder_from_json(const json_t *json, struct decoder *decoder, struct error *err);
void decoder_free(struct decoder *decoder);

/* What the steps remember between tokens. */
struct decoder_step_state {
    struct strbuf held;
    size_t counted; /* tokens (Metaspace) or characters (Strip) so far */
    bool open;      /* a token was begun downstream and not ended */
};
struct decoder_state {
    struct decoder_step_state steps[DECODER_STEP_LIMIT];
    struct strbuf collected[DECODER_STEP_LIMIT]; /* of a token that comes in pieces */
    size_t tokens;                               /* put out by the chain so far */
};
/* Appends what the next token settles; the text is always whole characters. */
enum status decoder_push(const struct decoder *decoder, struct decoder_state *state,
                         const char *token, size_t length, struct strbuf *out, struct error *err);
/* Appends what was held back, and starts anew. */
enum status decoder_finish(const struct decoder *decoder, struct decoder_state *state,
                           struct strbuf *out, struct error *err);
void decoder_state_free(struct decoder_state *state);

/* Appends the bytes that one token stands for by itself, wherever it stands. */
enum status decoder_token_bytes(const struct decoder *decoder, const char *token, size_t length,
                                struct strbuf *out, struct error *err);

/* Whether decoding drops a space at the very beginning of a text. */
bool decoder_drops_first_space(const struct decoder *decoder);

#endif
