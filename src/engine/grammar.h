/* A grammar: which texts a constraint permits, as automata that call each other.
 *
 * The regular parts are leaves, each a DFA over bytes. Rules are small automata whose edges are
 * leaves, other rules (recursion is what makes it more than regular), or nothing. A rule begins at
 * its start state and ends at a final state; an edge with a rule on it is passed by a text of that
 * rule.
 *
 * Finished, every state that can be reached can be completed, within DEPTH_LIMIT nested calls; so
 * whoever follows the edges' `need` never ends up where nothing can follow.
 */
#ifndef TANDEM_ENGINE_GRAMMAR_H
#define TANDEM_ENGINE_GRAMMAR_H

#include "base/error.h"
#include "engine/grammar_dfa.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    GRAMMAR_DEPTH_LIMIT = 250, /* of calls within calls: about that of nested values */
    GRAMMAR_EDGE_LIMIT = 1 << 20,
    GRAMMAR_BYTE_LIMIT = 64 << 20, /* of all leaves together */
    GRAMMAR_NO_MAXIMUM = UINT32_MAX,
};

enum leaf_kind {
    LEAF_PLAIN,
    LEAF_COUNTED, /* a JSON string (from dfa_quote) of `least` to `most` characters */
    LEAF_KEY,     /* a JSON string that no other LEAF_KEY of the same rule's run has been */
};

struct leaf {
    struct dfa dfa;
    enum leaf_kind kind;
    uint32_t least, most; /* of LEAF_COUNTED; most may be GRAMMAR_NO_MAXIMUM */
    uint64_t digest[2];   /* of all this: who has the same, in whatever grammar, is the same leaf */
};

enum edge_kind { EDGE_NOTHING, EDGE_LEAF, EDGE_RULE };

struct edge {
    uint8_t kind;
    uint16_t need;   /* nested calls that completing the rule through this edge takes */
    uint32_t symbol; /* a leaf or a rule */
    uint32_t target; /* a state */
    uint32_t next;   /* the state's next edge, plus one; 0: none */
};

struct grammar_state {
    bool is_final;
    uint16_t need;  /* as edge.need, for the best edge; 0 for a final state */
    uint32_t edges; /* the first one, plus one; 0: none */
};

struct grammar {
    struct leaf *leaves;
    size_t n_leaves, leaf_capacity, leaf_bytes;
    uint32_t *leaf_slots; /* [n_leaf_slots] leaves plus one, by their hash; 0: empty */
    size_t n_leaf_slots;
    struct grammar_state *states;
    size_t n_states, state_capacity;
    struct edge *edges;
    size_t n_edges, edge_capacity;
    uint32_t *rules; /* [n_rules] start states */
    size_t n_rules, rule_capacity;
    uint32_t root;       /* a rule */
    size_t budget;       /* of DFA constructions */
    enum status failure; /* sticks: look once, at grammar_finish */
};

void grammar_init(struct grammar *g);
void grammar_free(struct grammar *g);
/* Takes the DFA over, and sets the digest. The same leaf added again is one. */
uint32_t grammar_add_leaf(struct grammar *g, struct leaf leaf);
/* A leaf of one text, or of what a regular expression (without errors) matches. */
uint32_t grammar_add_text(struct grammar *g, const char *text, size_t length);
uint32_t grammar_add_regex(struct grammar *g, const char *pattern);
uint32_t grammar_add_state(struct grammar *g, bool is_final);
/* With its start state, g->rules[rule]. */
uint32_t grammar_add_rule(struct grammar *g);
void grammar_add_edge(struct grammar *g, uint32_t from, enum edge_kind kind, uint32_t symbol,
                      uint32_t to);
/* Works out what each edge needs and takes those away that cannot be completed. STATUS_INVALID
 * where nothing is permitted, or a rule begins with itself; the failure that stuck. */
enum status grammar_finish(struct grammar *g, struct error *err);

#endif
