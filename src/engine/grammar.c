#include "engine/grammar.h"
#include "base/memory.h"
#include "base/sha256.h"
#include "engine/grammar_regex.h"

#include <string.h>

enum { NEVER = UINT16_MAX };

void grammar_init(struct grammar *g)
{
    *g = (struct grammar){.budget = DFA_BUDGET};
}

void grammar_free(struct grammar *g)
{
    for (size_t i = 0; i < g->n_leaves; i++)
        dfa_free(&g->leaves[i].dfa);
    mem_free(g->leaves);
    mem_free(g->leaf_slots);
    mem_free(g->states);
    mem_free(g->edges);
    mem_free(g->rules);
    *g = (struct grammar){0};
}

/* --- Building --- */

/* Room for one more; false, and a failure that sticks, where there is none. */
static bool make_room(struct grammar *g, void *array, size_t *capacity, size_t count, size_t size)
{
    if (g->failure)
        return false;
    if (count >= GRAMMAR_EDGE_LIMIT)
        g->failure = STATUS_LIMIT;
    else if (!mem_grow(array, capacity, count, size))
        g->failure = STATUS_MEMORY;
    return !g->failure;
}

/* Half of SHA-256: grammars are made from what strangers send. */
static void set_digest(struct leaf *leaf)
{
    const struct dfa *dfa = &leaf->dfa;
    const uint64_t numbers[] = {leaf->kind, leaf->least, leaf->most, dfa->n_states, dfa->n_classes};
    const struct sha256_part parts[] = {
        {numbers, sizeof numbers},
        {dfa->classes, sizeof dfa->classes},
        {dfa->next, dfa->n_states * dfa->n_classes * sizeof *dfa->next},
        {dfa->flags, dfa->n_states * sizeof *dfa->flags},
    };
    uint8_t digest[SHA256_BYTES];
    sha256_parts(parts, sizeof parts / sizeof *parts, digest);
    memcpy(leaf->digest, digest, sizeof leaf->digest);
}

/* Where the leaf is noted, or is to be. */
static uint32_t *leaf_slot(struct grammar *g, const struct leaf *leaf)
{
    size_t at = (size_t)leaf->digest[0] & (g->n_leaf_slots - 1);
    while (g->leaf_slots[at] &&
           memcmp(g->leaves[g->leaf_slots[at] - 1].digest, leaf->digest, sizeof leaf->digest) != 0)
        at = (at + 1) & (g->n_leaf_slots - 1);
    return &g->leaf_slots[at];
}

static bool grow_leaf_slots(struct grammar *g)
{
    size_t wanted = g->n_leaf_slots ? 2 * g->n_leaf_slots : 64;
    uint32_t *slots = mem_array(wanted, sizeof *slots);
    if (!slots)
        return false;
    mem_free(g->leaf_slots);
    g->leaf_slots = slots;
    g->n_leaf_slots = wanted;
    for (size_t i = 0; i < g->n_leaves; i++)
        *leaf_slot(g, &g->leaves[i]) = (uint32_t)i + 1;
    return true;
}

uint32_t grammar_add_leaf(struct grammar *g, struct leaf leaf)
{
    size_t bytes = leaf.dfa.n_states * leaf.dfa.n_classes * sizeof *leaf.dfa.next;
    if (!g->failure && 2 * g->n_leaves >= g->n_leaf_slots && !grow_leaf_slots(g))
        g->failure = STATUS_MEMORY;
    if (!g->failure)
        set_digest(&leaf);
    uint32_t *slot = g->failure ? NULL : leaf_slot(g, &leaf);
    if (slot && *slot) {
        dfa_free(&leaf.dfa);
        return *slot - 1;
    }
    if (!g->failure && bytes > GRAMMAR_BYTE_LIMIT - g->leaf_bytes)
        g->failure = STATUS_LIMIT;
    if (!make_room(g, &g->leaves, &g->leaf_capacity, g->n_leaves, sizeof *g->leaves)) {
        dfa_free(&leaf.dfa);
        return 0;
    }
    g->leaf_bytes += bytes;
    g->leaves[g->n_leaves] = leaf;
    *slot = (uint32_t)++g->n_leaves;
    return *slot - 1;
}

static uint32_t add_nfa(struct grammar *g, struct nfa *nfa)
{
    struct leaf leaf = {0};
    enum status status = g->failure ? g->failure : dfa_from_nfa(nfa, &g->budget, &leaf.dfa, NULL);
    nfa_free(nfa);
    g->failure = status;
    return status ? 0 : grammar_add_leaf(g, leaf);
}

uint32_t grammar_add_text(struct grammar *g, const char *text, size_t length)
{
    struct nfa nfa = {0};
    nfa.start = nfa_bytes(&nfa, text, length, nfa_match(&nfa));
    return add_nfa(g, &nfa);
}

uint32_t grammar_add_regex(struct grammar *g, const char *pattern)
{
    struct nfa nfa;
    enum status status = regex_to_nfa(pattern, strlen(pattern), false, SPELLING_TEXT, &nfa, NULL);
    if (!g->failure)
        g->failure = status;
    return add_nfa(g, &nfa);
}

uint32_t grammar_add_state(struct grammar *g, bool is_final)
{
    if (!make_room(g, &g->states, &g->state_capacity, g->n_states, sizeof *g->states))
        return 0;
    g->states[g->n_states] = (struct grammar_state){.is_final = is_final};
    return (uint32_t)g->n_states++;
}

uint32_t grammar_add_rule(struct grammar *g)
{
    uint32_t start = grammar_add_state(g, false);
    if (!make_room(g, &g->rules, &g->rule_capacity, g->n_rules, sizeof *g->rules))
        return 0;
    g->rules[g->n_rules] = start;
    return (uint32_t)g->n_rules++;
}

void grammar_add_edge(struct grammar *g, uint32_t from, enum edge_kind kind, uint32_t symbol,
                      uint32_t to)
{
    if (!make_room(g, &g->edges, &g->edge_capacity, g->n_edges, sizeof *g->edges))
        return;
    g->edges[g->n_edges++] = (struct edge){
        .kind = (uint8_t)kind, .symbol = symbol, .target = to, .next = g->states[from].edges};
    g->states[from].edges = (uint32_t)g->n_edges;
}

/* --- Finishing --- */

/* A leaf and a rule run on a frame that keeps the edge's target; a key stays on it, too. */
static unsigned edge_need(const struct grammar *g, const struct edge *edge)
{
    unsigned target = g->states[edge->target].need, inside = 0;
    if (target == NEVER)
        return NEVER;
    if (edge->kind == EDGE_LEAF) {
        const struct leaf *leaf = &g->leaves[edge->symbol];
        inside = dfa_is_empty(&leaf->dfa) ? NEVER : 1;
        target += leaf->kind == LEAF_KEY;
    } else if (edge->kind == EDGE_RULE) {
        inside = g->states[g->rules[edge->symbol]].need;
        inside = inside == NEVER ? NEVER : inside + 1;
    }
    unsigned need = inside > target ? inside : target;
    return need > GRAMMAR_DEPTH_LIMIT ? NEVER : need;
}

/* One look at every edge; whether some need became smaller. States come before those that they
 * lead to, mostly, so that the way back is the quick one. */
static bool lower_needs(struct grammar *g)
{
    bool changed = false;
    for (size_t i = g->n_states; i-- > 0;)
        for (uint32_t e = g->states[i].edges; e; e = g->edges[e - 1].next) {
            unsigned need = edge_need(g, &g->edges[e - 1]);
            g->edges[e - 1].need = (uint16_t)need;
            if (need < g->states[i].need) {
                g->states[i].need = (uint16_t)need;
                changed = true;
            }
        }
    return changed;
}

static void drop_impossible(struct grammar *g)
{
    for (size_t i = 0; i < g->n_states; i++) {
        uint32_t *link = &g->states[i].edges;
        while (*link) {
            struct edge *edge = &g->edges[*link - 1];
            if (edge->need == NEVER)
                *link = edge->next;
            else
                link = &edge->next;
        }
    }
}

/* Whether a rule can begin with itself: a search for a cycle over edges that need no byte before
 * them. */
struct search {
    const struct grammar *g;
    uint8_t *color; /* [n_states] 0: new, 1: on the way, 2: done */
    struct visit {
        uint32_t state, edge; /* the edge to look at next, plus one */
    } * stack;                /* [n_states] */
    size_t depth;
};

/* The state that the edge leads to without a byte; false if none. `inner`: to the rule on it. */
static bool silent_target(const struct grammar *g, const struct edge *edge, uint32_t *target)
{
    *target = edge->kind == EDGE_RULE ? g->rules[edge->symbol] : edge->target;
    return edge->kind != EDGE_LEAF || (g->leaves[edge->symbol].dfa.flags[DFA_START] & DFA_ACCEPTS);
}

static bool visit(struct search *s, uint32_t state)
{
    s->color[state] = 1;
    s->stack[s->depth++] = (struct visit){state, s->g->states[state].edges};
    while (s->depth > 0) {
        struct visit *top = &s->stack[s->depth - 1];
        uint32_t target;
        if (!top->edge) {
            s->color[top->state] = 2;
            s->depth--;
            continue;
        }
        const struct edge *edge = &s->g->edges[top->edge - 1];
        top->edge = edge->next;
        if (!silent_target(s->g, edge, &target) || s->color[target] == 2)
            continue;
        if (s->color[target] == 1)
            return false;
        s->color[target] = 1;
        s->stack[s->depth++] = (struct visit){target, s->g->states[target].edges};
    }
    return true;
}

static enum status refuse_left_recursion(const struct grammar *g, struct error *err)
{
    struct search s = {.g = g};
    s.color = mem_array(g->n_states, sizeof *s.color);
    s.stack = mem_array(g->n_states, sizeof *s.stack);
    enum status status = s.color && s.stack ? STATUS_OK : error_memory(err, "a grammar");
    for (size_t i = 0; !status && i < g->n_states; i++)
        if (s.color[i] == 0 && !visit(&s, (uint32_t)i))
            status = error_set(err, STATUS_INVALID,
                               "a $ref leads back to its own schema with no value in between");
    mem_free(s.color);
    mem_free(s.stack);
    return status;
}

enum status grammar_finish(struct grammar *g, struct error *err)
{
    if (g->failure == STATUS_MEMORY)
        return error_memory(err, "a grammar");
    if (g->failure)
        return error_set(err, STATUS_LIMIT,
                         "the schema is too large: its automata would have more than %d states, or "
                         "more than %d MiB",
                         GRAMMAR_EDGE_LIMIT, GRAMMAR_BYTE_LIMIT >> 20);
    for (size_t i = 0; i < g->n_states; i++)
        g->states[i].need = g->states[i].is_final ? 0 : NEVER;
    while (lower_needs(g)) {
    }
    if (g->states[g->rules[g->root]].need == NEVER)
        return error_set(err, STATUS_INVALID, "nothing is permitted: no text could be valid");
    drop_impossible(g);
    return refuse_left_recursion(g, err);
}
