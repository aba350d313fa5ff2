/* Tokens that are found in the text before anything is split: special tokens, and others that
 * tokenizer.json lists under "added_tokens".
 *
 * Those with `normalized` are looked for in the normalised text, the others in the text as it is.
 */
#ifndef TANDEM_TEXT_ADDED_TOKENS_H
#define TANDEM_TEXT_ADDED_TOKENS_H

#include "base/error.h"
#include "text/normalizer.h"
#include "text/token_table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct added_token {
    const char *text; /* what is looked for; lives in the token table */
    size_t length;
    int32_t id;
    bool single_word, lstrip, rstrip, normalized, special;
};

/* The tokens of one kind, sorted by text. */
struct added_matcher {
    struct added_token *tokens;
    size_t count;
    uint32_t first[257]; /* those that begin with byte b: first[b] .. first[b + 1] */
};

struct added_tokens {
    struct added_token *list;
    size_t count, capacity;
    struct added_matcher plain, normalized;
};

/* Adds token->text under token->id to the table and to the list. A token of that text that is
 * there already gets the new flags; it must have the same id. Empty texts are left out. */
enum status added_tokens_add(struct added_tokens *added, struct token_table *tokens,
                             const struct added_token *token, struct error *err);
/* Builds the matchers, once all tokens are there. */
enum status added_tokens_finish(struct added_tokens *added, struct token_table *tokens,
                                const struct normalizer *normalizer, struct error *err);
void added_tokens_free(struct added_tokens *added);

struct added_match {
    const struct added_token *token;
    size_t start, end;
};
/* The first token at or behind `position`, with the spaces that it takes in. False when there is
 * none. plain_specials: special tokens are ordinary text. */
bool added_matcher_next(const struct added_matcher *matcher, const char *text, size_t length,
                        size_t position, bool plain_specials, struct added_match *match);

#endif
