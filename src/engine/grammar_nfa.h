/* Nondeterministic automata over bytes, built backwards: each function adds states that continue
 * at `out` and returns where to enter them. What fails (memory, too many states) sticks in
 * `failure`; the building may go on and the caller looks once at the end.
 */
#ifndef TANDEM_ENGINE_GRAMMAR_NFA_H
#define TANDEM_ENGINE_GRAMMAR_NFA_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NFA_STATE_LIMIT = 400000, LAST_CODEPOINT = 0x10FFFF };

enum nfa_kind {
    NFA_RANGE,    /* a byte from low to high, then out */
    NFA_SPLIT,    /* out or other */
    NFA_AT_START, /* out, if no byte came before */
    NFA_AT_END,   /* out, if no byte follows */
    NFA_MATCH,
    NFA_NOTHING, /* no way on */
};

struct nfa_state {
    uint8_t kind, low, high;
    uint32_t out, other;
};

struct nfa {
    struct nfa_state *states;
    size_t count, capacity;
    uint32_t start;
    enum status failure;
};

/* How characters become bytes: as they are, or as between the quotes of a JSON string, where each
 * has one spelling: escaped if JSON demands it (with the short escape if there is one, else \u00
 * and lowercase digits), and as it is if not. */
enum spelling { SPELLING_TEXT, SPELLING_JSON };

uint32_t nfa_add(struct nfa *nfa, struct nfa_state state);
uint32_t nfa_range(struct nfa *nfa, uint8_t low, uint8_t high, uint32_t out);
uint32_t nfa_split(struct nfa *nfa, uint32_t out, uint32_t other);
uint32_t nfa_bytes(struct nfa *nfa, const char *bytes, size_t length, uint32_t out);
uint32_t nfa_match(struct nfa *nfa);
/* One character of those from low to high; surrogates are none. */
uint32_t nfa_characters(struct nfa *nfa, enum spelling spelling, uint32_t low, uint32_t high,
                        uint32_t out);
/* The characters of a UTF-8 text. */
uint32_t nfa_text(struct nfa *nfa, enum spelling spelling, const char *text, size_t length,
                  uint32_t out);
/* Any number of any characters. */
uint32_t nfa_anything(struct nfa *nfa, enum spelling spelling, uint32_t out);
void nfa_free(struct nfa *nfa);

#endif
