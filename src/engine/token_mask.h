/* Which tokens a grammar permits next, as a bitset over the vocabulary.
 *
 * From a state inside of a leaf most tokens either stay in the leaf or leave the grammar, whatever
 * the stack; that part is computed once by walking the trie of the vocabulary, and kept for
 * every grammar that has the same leaf. Only
 * tokens that go past the leaf's end are followed through the stack each time.
 */
#ifndef TANDEM_ENGINE_TOKEN_MASK_H
#define TANDEM_ENGINE_TOKEN_MASK_H

#include "engine/token_trie.h"
#include "engine/trigger.h"
#include "engine/walker.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct token_masker; /* a trie, and masks that were computed lately; for one thread at a time */

/* For a model with ids below n_ids. The tokenizer must outlive it. */
enum status token_masker_create(const struct tokenizer *tokenizer, size_t n_ids,
                                struct token_masker **masker, struct error *err);
void token_masker_free(struct token_masker *masker);
size_t token_masker_words(const struct token_masker *masker); /* 64 bits each, of a mask */
const struct tokenizer *token_masker_tokenizer(const struct token_masker *masker);

/* Sets exactly the bits of the tokens (not end tokens) that may follow. STATUS_MEMORY. */
enum status token_masker_fill(struct token_masker *masker, struct walker *w, uint64_t *mask,
                              struct error *err);
/* How often it walked the trie through a leaf, because it did not have that mask. */
uint64_t token_masker_explored(const struct token_masker *masker);
/* The same in free text that ends in the first `matched` bytes of a trigger, behind which `w`
 * stands: all tokens but those that complete the trigger and go on as they may not. Where there are
 * none of these, the mask is left alone and *has_mask is false. Cheap for one trigger, and slow
 * where different ones take turns. */
enum status token_masker_fill_free(struct token_masker *masker, const struct trigger *trigger,
                                   size_t matched, struct walker *w, uint64_t *mask, bool *has_mask,
                                   struct error *err);
/* Takes a token whose bit was set. */
enum status token_masker_accept(const struct token_masker *masker, struct walker *w, int32_t token,
                                struct error *err);

static inline void mask_set(uint64_t *mask, size_t id)
{
    mask[id / 64] |= (uint64_t)1 << id % 64;
}

static inline void mask_clear(uint64_t *mask, size_t id)
{
    mask[id / 64] &= ~((uint64_t)1 << id % 64);
}

static inline bool mask_has(const uint64_t *mask, size_t id)
{
    return mask[id / 64] >> id % 64 & 1;
}

#endif
