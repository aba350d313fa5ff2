/* Deterministic automata over bytes: what regular parts of a grammar become.
 *
 * State DFA_DEAD has no way on; every other state can still reach acceptance, so a text that has
 * not met DFA_DEAD can always be completed. Construction is bounded in states and in work.
 */
#ifndef TANDEM_ENGINE_GRAMMAR_DFA_H
#define TANDEM_ENGINE_GRAMMAR_DFA_H

#include "base/error.h"
#include "engine/grammar_nfa.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DFA_DEAD = 0, DFA_START = 1, DFA_STATE_LIMIT = 60000 };

enum dfa_flags {
    DFA_ACCEPTS = 1,
    DFA_CONTINUES = 2, /* has a way on */
    DFA_CHARACTER = 4, /* between the characters of a string (dfa_quote) */
};

struct dfa {
    size_t n_states, n_classes; /* at least DFA_DEAD and DFA_START */
    uint8_t classes[256];       /* of a byte; bytes of a class lead to the same states */
    uint32_t *next;             /* [n_states, n_classes] */
    uint8_t *flags;             /* [n_states] */
};

/* Elementary steps that are left to all constructions of one constraint together. */
enum { DFA_BUDGET = 30000000 };

/* STATUS_LIMIT where it grows too large, or the budget is spent. The NFA is left as it is. */
enum status dfa_from_nfa(const struct nfa *nfa, size_t *budget, struct dfa *dfa, struct error *err);
enum dfa_operation { DFA_BOTH, DFA_FIRST_ONLY, DFA_EITHER };
/* What both accept, what `a` accepts and `b` does not, or what either accepts. */
enum status dfa_combine(const struct dfa *a, const struct dfa *b, enum dfa_operation operation,
                        size_t *budget, struct dfa *result, struct error *err);
/* From `any`, which accepts any sequence of characters: those of `least` to `most` (UINT32_MAX: no
 * bound) characters; least <= most. */
enum status dfa_of_length(const struct dfa *any, uint32_t least, uint32_t most, size_t *budget,
                          struct dfa *result, struct error *err);
/* The JSON strings between whose quotes stands what `content` (in SPELLING_JSON) accepts. */
enum status dfa_quote(const struct dfa *content, struct dfa *result, struct error *err);
enum status dfa_copy(const struct dfa *dfa, struct dfa *copy, struct error *err);
void dfa_free(struct dfa *dfa);

/* Whether it accepts nothing. */
bool dfa_is_empty(const struct dfa *dfa);
/* Whether from each state infinitely many texts can be completed. */
bool dfa_is_endless(const struct dfa *dfa);
/* Whether the two have a text in common; -1 and a message where that is too much work. */
int dfa_overlap(const struct dfa *a, const struct dfa *b, size_t *budget, struct error *err);
bool dfa_accepts(const struct dfa *dfa, const char *text, size_t length);

static inline uint32_t dfa_next(const struct dfa *dfa, uint32_t state, uint8_t byte)
{
    return dfa->next[state * dfa->n_classes + dfa->classes[byte]];
}

#endif
