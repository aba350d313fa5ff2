#include "engine/grammar_dfa.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

static enum status too_large(struct error *err)
{
    return error_set(err, STATUS_LIMIT,
                     "it needs too large an automaton (more than %d states, or too much work); "
                     "simplify the patterns, or make their repetitions shorter",
                     DFA_STATE_LIMIT);
}

static bool spend(size_t *budget, size_t steps)
{
    bool enough = *budget >= steps;
    *budget -= enough ? steps : *budget;
    return enough;
}

void dfa_free(struct dfa *dfa)
{
    mem_free(dfa->next);
    mem_free(dfa->flags);
    *dfa = (struct dfa){0};
}

enum status dfa_copy(const struct dfa *dfa, struct dfa *copy, struct error *err)
{
    *copy = *dfa;
    copy->next = mem_copy(dfa->next, dfa->n_states * dfa->n_classes * sizeof *dfa->next);
    copy->flags = mem_copy(dfa->flags, dfa->n_states * sizeof *dfa->flags);
    if (copy->next && copy->flags)
        return STATUS_OK;
    dfa_free(copy);
    return error_memory(err, "an automaton");
}

/* One more state, with no way on. False when out of memory. */
static bool add_state(struct dfa *dfa, size_t *capacity, uint8_t flags)
{
    if (dfa->n_states == *capacity) {
        size_t wanted = *capacity ? 2 * *capacity : 16;
        void *next = mem_resize(dfa->next, wanted, dfa->n_classes * sizeof *dfa->next);
        if (!next)
            return false;
        dfa->next = next;
        void *all_flags = mem_resize(dfa->flags, wanted, sizeof *dfa->flags);
        if (!all_flags)
            return false;
        dfa->flags = all_flags;
        *capacity = wanted;
    }
    memset(dfa->next + dfa->n_states * dfa->n_classes, 0, dfa->n_classes * sizeof *dfa->next);
    dfa->flags[dfa->n_states++] = flags;
    return true;
}

/* --- Trimming: only states from which acceptance can be reached --- */

/* The states that lead to each state. */
struct reverse {
    uint32_t *first; /* [n_states + 1] */
    uint32_t *from;
};

static bool reverse_edges(const struct dfa *dfa, struct reverse *reverse)
{
    size_t n_edges = dfa->n_states * dfa->n_classes;
    reverse->first = mem_array(dfa->n_states + 2, sizeof *reverse->first);
    reverse->from = mem_array(n_edges, sizeof *reverse->from);
    if (!reverse->first || !reverse->from)
        return false;
    for (size_t i = 0; i < n_edges; i++)
        reverse->first[dfa->next[i] + 2]++;
    for (size_t i = 0; i < dfa->n_states; i++)
        reverse->first[i + 2] += reverse->first[i + 1];
    for (size_t i = 0; i < n_edges; i++)
        reverse->from[reverse->first[dfa->next[i] + 1]++] = (uint32_t)(i / dfa->n_classes);
    return true;
}

static void reverse_free(struct reverse *reverse)
{
    mem_free(reverse->first);
    mem_free(reverse->from);
}

/* Marks what leads to the marked states in queue[0..n). The queue has room for every state. */
static void mark_leading(const struct reverse *reverse, bool *marked, uint32_t *queue, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (uint32_t e = reverse->first[queue[i]]; e < reverse->first[queue[i] + 1]; e++) {
            uint32_t from = reverse->from[e];
            if (!marked[from]) {
                marked[from] = true;
                queue[n++] = from;
            }
        }
}

/* Renumbers; states that are not `useful` become DFA_DEAD. The start stays. */
static void keep_useful(struct dfa *dfa, const bool *useful, uint32_t *renumbered)
{
    size_t n = 1, width = dfa->n_classes;
    for (size_t i = 1; i < dfa->n_states; i++)
        renumbered[i] = useful[i] || i == DFA_START ? (uint32_t)n++ : DFA_DEAD;
    for (size_t i = 1; i < dfa->n_states; i++) {
        uint32_t to = renumbered[i];
        if (to == DFA_DEAD)
            continue;
        bool continues = false;
        for (size_t c = 0; c < width; c++) {
            uint32_t next = dfa->next[i * width + c];
            next = next != DFA_DEAD && useful[next] ? renumbered[next] : DFA_DEAD;
            dfa->next[to * width + c] = next;
            continues |= next != DFA_DEAD;
        }
        dfa->flags[to] =
            (uint8_t)((dfa->flags[i] & ~DFA_CONTINUES) | (continues ? DFA_CONTINUES : 0));
    }
    dfa->n_states = n;
}

static enum status trim(struct dfa *dfa, struct error *err)
{
    struct reverse reverse = {0};
    bool *useful = mem_array(dfa->n_states, sizeof *useful);
    uint32_t *queue = mem_array(dfa->n_states, sizeof *queue);
    size_t n = 0;
    bool ok = useful && queue && reverse_edges(dfa, &reverse);
    for (size_t i = 0; ok && i < dfa->n_states; i++)
        if (dfa->flags[i] & DFA_ACCEPTS) {
            useful[i] = true;
            queue[n++] = (uint32_t)i;
        }
    if (ok) {
        mark_leading(&reverse, useful, queue, n);
        keep_useful(dfa, useful, queue);
    }
    reverse_free(&reverse);
    mem_free(useful);
    mem_free(queue);
    return ok ? STATUS_OK : error_memory(err, "an automaton");
}

bool dfa_is_empty(const struct dfa *dfa)
{
    return !(dfa->flags[DFA_START] & (DFA_ACCEPTS | DFA_CONTINUES));
}

/* Where some text has finitely many completions, the longest of them has none. */
bool dfa_is_endless(const struct dfa *dfa)
{
    for (size_t i = DFA_START; i < dfa->n_states; i++)
        if (!(dfa->flags[i] & DFA_CONTINUES))
            return false;
    return true;
}

/* --- From an NFA --- */

/* Sets of NFA states, each one DFA state. */
struct subsets {
    const struct nfa *nfa;
    struct dfa *dfa;
    size_t dfa_capacity;
    uint32_t *items; /* of all sets, one behind the other */
    size_t n_items, item_capacity;
    size_t *ends; /* [dfa->n_states] of a set in `items`; it begins where the one before ends */
    size_t end_capacity;
    uint32_t *slots; /* [n_slots] DFA states by the hash of their set; 0: empty */
    size_t n_slots;
    uint32_t *seen; /* [nfa->count] the round in which a state was last visited */
    uint32_t round;
    uint32_t *stack; /* [nfa->count] */
    uint32_t *found; /* [nfa->count] */
    size_t n_found;
    /* Where the classes of bytes lead from the set at hand: lists of NFA states. */
    uint32_t heads[256]; /* by class; 0: none */
    struct link {
        uint32_t target, next;
    } * links; /* [n_links], from 1 on */
    size_t n_links, link_capacity;
    size_t *budget, work; /* steps since the budget was last charged */
};

static void push_state(struct subsets *s, size_t *depth, uint32_t state)
{
    if (s->seen[state] == s->round)
        return;
    s->seen[state] = s->round;
    s->stack[(*depth)++] = state;
}

/* Adds to `found` what can be reached from `state` without a byte. */
static void add_closure(struct subsets *s, uint32_t state, bool at_start, bool at_end)
{
    size_t depth = 0;
    push_state(s, &depth, state);
    while (depth > 0) {
        uint32_t at = s->stack[--depth];
        const struct nfa_state *node = &s->nfa->states[at];
        s->work++;
        if (node->kind == NFA_SPLIT) {
            push_state(s, &depth, node->out);
            push_state(s, &depth, node->other);
        } else if ((node->kind == NFA_AT_START && at_start) ||
                   (node->kind == NFA_AT_END && at_end)) {
            push_state(s, &depth, node->out);
        } else if (node->kind != NFA_AT_START && node->kind != NFA_NOTHING) {
            s->found[s->n_found++] = at;
        }
    }
}

static void begin_set(struct subsets *s)
{
    s->n_found = 0;
    s->round++;
}

static int compare_states(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static const uint32_t *set_of(const struct subsets *s, uint32_t state, size_t *count)
{
    size_t begin = s->ends[state - 1];
    *count = s->ends[state] - begin;
    return s->items + begin;
}

/* Whether the text may end in this set. */
static bool set_accepts(struct subsets *s, const uint32_t *set, size_t n, bool at_start)
{
    for (size_t i = 0; i < n; i++)
        if (s->nfa->states[set[i]].kind == NFA_MATCH)
            return true;
    for (size_t i = 0; i < n; i++) {
        if (s->nfa->states[set[i]].kind != NFA_AT_END)
            continue;
        begin_set(s);
        add_closure(s, set[i], at_start, true);
        for (size_t j = 0; j < s->n_found; j++)
            if (s->nfa->states[s->found[j]].kind == NFA_MATCH)
                return true;
    }
    return false;
}

static size_t hash_states(const uint32_t *set, size_t n)
{
    uint64_t hash = 0x9E3779B97F4A7C15u;
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ set[i]) * 0xD1342543DE82EF95u;
    return (size_t)(hash ^ hash >> 32);
}

static bool rehash(struct subsets *s)
{
    size_t n_slots = s->n_slots ? 2 * s->n_slots : 64, count;
    uint32_t *slots = mem_array(n_slots, sizeof *slots);
    if (!slots)
        return false;
    for (uint32_t state = DFA_START + 1; state < s->dfa->n_states; state++) {
        const uint32_t *set = set_of(s, state, &count);
        size_t at = hash_states(set, count) & (n_slots - 1);
        while (slots[at])
            at = (at + 1) & (n_slots - 1);
        slots[at] = state;
    }
    mem_free(s->slots);
    s->slots = slots;
    s->n_slots = n_slots;
    return true;
}

/* A new state for the set that was found. */
static enum status add_set(struct subsets *s, bool at_start, struct error *err)
{
    size_t n = s->n_found;
    if (s->dfa->n_states >= DFA_STATE_LIMIT || !spend(s->budget, n))
        return too_large(err);
    while (s->n_items + n >= s->item_capacity) {
        size_t wanted = s->item_capacity ? 2 * s->item_capacity : 256;
        void *items = mem_resize(s->items, wanted, sizeof *s->items);
        if (!items)
            return error_memory(err, "an automaton");
        s->items = items;
        s->item_capacity = wanted;
    }
    uint32_t *set = memcpy(s->items + s->n_items, s->found, n * sizeof *set);
    if (!mem_grow(&s->ends, &s->end_capacity, s->dfa->n_states, sizeof *s->ends))
        return error_memory(err, "an automaton");
    uint8_t flags = set_accepts(s, set, n, at_start) ? DFA_ACCEPTS : 0;
    if (!add_state(s->dfa, &s->dfa_capacity, flags))
        return error_memory(err, "an automaton");
    s->n_items += n;
    s->ends[s->dfa->n_states - 1] = s->n_items;
    return STATUS_OK;
}

/* The state of the set that was found, an old one or a new. The start is never found again: it
 * alone is at the text's start. */
static enum status intern_set(struct subsets *s, uint32_t *state, struct error *err)
{
    size_t count, n = s->n_found;
    *state = DFA_DEAD;
    if (n == 0)
        return STATUS_OK;
    if (2 * s->dfa->n_states >= s->n_slots && !rehash(s))
        return error_memory(err, "an automaton");
    qsort(s->found, n, sizeof *s->found, compare_states);
    size_t at = hash_states(s->found, n) & (s->n_slots - 1);
    for (; s->slots[at]; at = (at + 1) & (s->n_slots - 1)) {
        const uint32_t *set = set_of(s, s->slots[at], &count);
        if (count == n && !memcmp(set, s->found, n * sizeof *set)) {
            *state = s->slots[at];
            return STATUS_OK;
        }
    }
    *state = s->slots[at] = (uint32_t)s->dfa->n_states;
    return add_set(s, false, err);
}

/* Notes for each class of bytes where it leads from the set of `state`. */
static bool note_targets(struct subsets *s, uint32_t state)
{
    size_t count;
    const uint32_t *set = set_of(s, state, &count);
    memset(s->heads, 0, sizeof s->heads);
    s->n_links = 1;
    for (size_t i = 0; i < count; i++) {
        const struct nfa_state *node = &s->nfa->states[set[i]];
        if (node->kind != NFA_RANGE)
            continue;
        for (size_t c = s->dfa->classes[node->low]; c <= s->dfa->classes[node->high]; c++) {
            if (!mem_grow(&s->links, &s->link_capacity, s->n_links, sizeof *s->links))
                return false;
            s->links[s->n_links] = (struct link){node->out, s->heads[c]};
            s->heads[c] = (uint32_t)s->n_links++;
        }
    }
    s->work += s->n_links;
    return true;
}

/* Finds the set that a class of bytes leads to, as noted. */
static void find_next(struct subsets *s, size_t class)
{
    begin_set(s);
    for (uint32_t at = s->heads[class]; at; at = s->links[at].next)
        add_closure(s, s->links[at].target, false, false);
}

/* Bytes that no range of the NFA tells apart are one class, numbered in their order. */
static size_t classify(const struct nfa *nfa, uint8_t classes[256])
{
    bool border[257] = {true};
    size_t n = 0;
    for (size_t i = 0; i < nfa->count; i++)
        if (nfa->states[i].kind == NFA_RANGE)
            border[nfa->states[i].low] = border[nfa->states[i].high + 1] = true;
    for (size_t byte = 0; byte < 256; byte++) {
        n += border[byte];
        classes[byte] = (uint8_t)(n - 1);
    }
    return n;
}

static enum status explore_state(struct subsets *s, uint32_t state, struct error *err)
{
    if (!note_targets(s, state))
        return error_memory(err, "an automaton");
    for (size_t c = 0; c < s->dfa->n_classes; c++) {
        uint32_t next = DFA_DEAD;
        find_next(s, c);
        bool enough = spend(s->budget, s->work + 1);
        s->work = 0;
        enum status status = enough ? intern_set(s, &next, err) : too_large(err);
        if (status)
            return status;
        s->dfa->next[state * s->dfa->n_classes + c] = next;
    }
    return STATUS_OK;
}

static enum status explore(struct subsets *s, struct error *err)
{
    enum status status = STATUS_OK;
    for (uint32_t state = DFA_START; !status && state < s->dfa->n_states; state++)
        status = explore_state(s, state, err);
    return status;
}

static enum status begin_subsets(struct subsets *s, struct error *err)
{
    size_t n = s->nfa->count;
    s->seen = mem_array(n, sizeof *s->seen);
    s->stack = mem_array(n, sizeof *s->stack);
    s->found = mem_array(n, sizeof *s->found);
    if (!s->seen || !s->stack || !s->found || !add_state(s->dfa, &s->dfa_capacity, 0) ||
        !mem_grow(&s->ends, &s->end_capacity, 0, sizeof *s->ends))
        return error_memory(err, "an automaton");
    s->ends[DFA_DEAD] = 0;
    begin_set(s);
    add_closure(s, s->nfa->start, true, false);
    return add_set(s, true, err);
}

enum status dfa_from_nfa(const struct nfa *nfa, size_t *budget, struct dfa *dfa, struct error *err)
{
    *dfa = (struct dfa){0};
    if (nfa->failure)
        return nfa->failure == STATUS_LIMIT ? too_large(err) : error_memory(err, "an automaton");
    if (!spend(budget, nfa->count))
        return too_large(err);
    struct subsets s = {.nfa = nfa, .dfa = dfa, .budget = budget};
    dfa->n_classes = classify(nfa, dfa->classes);
    enum status status = begin_subsets(&s, err);
    if (!status)
        status = explore(&s, err);
    if (!status)
        status = trim(dfa, err);
    mem_free(s.items);
    mem_free(s.links);
    mem_free(s.ends);
    mem_free(s.slots);
    mem_free(s.seen);
    mem_free(s.stack);
    mem_free(s.found);
    if (status)
        dfa_free(dfa);
    return status;
}

/* --- Products --- */

/* Pairs of states of two automata, each one state of the result. */
struct product {
    const struct dfa *a, *b;
    enum dfa_operation operation;
    size_t *budget;
    struct dfa *dfa;
    size_t dfa_capacity;
    struct state_pair {
        uint32_t a, b;
    } * pairs; /* [dfa->n_states] */
    size_t pair_capacity;
    uint32_t *slots;
    size_t n_slots;
    uint8_t examples[256];
};

static size_t hash_pair(struct state_pair pair)
{
    return hash_states((uint32_t[]){pair.a, pair.b}, 2);
}

static size_t pair_slot(const struct product *p, struct state_pair pair)
{
    size_t at = hash_pair(pair) & (p->n_slots - 1);
    while (p->slots[at] &&
           (p->pairs[p->slots[at]].a != pair.a || p->pairs[p->slots[at]].b != pair.b))
        at = (at + 1) & (p->n_slots - 1);
    return at;
}

static bool rehash_pairs(struct product *p)
{
    mem_free(p->slots);
    p->n_slots = p->n_slots ? 2 * p->n_slots : 64;
    p->slots = mem_array(p->n_slots, sizeof *p->slots);
    if (!p->slots)
        return false;
    for (size_t i = DFA_START; i < p->dfa->n_states; i++)
        p->slots[pair_slot(p, p->pairs[i])] = (uint32_t)i;
    return true;
}

/* Whether no text can be completed from the pair. */
static bool pair_is_dead(const struct product *p, struct state_pair pair)
{
    switch (p->operation) {
    case DFA_BOTH:
        return pair.a == DFA_DEAD || pair.b == DFA_DEAD;
    case DFA_FIRST_ONLY:
        return pair.a == DFA_DEAD;
    case DFA_EITHER:
        break;
    }
    return pair.a == DFA_DEAD && pair.b == DFA_DEAD;
}

static bool pair_accepts(const struct product *p, struct state_pair pair)
{
    bool a = p->a->flags[pair.a] & DFA_ACCEPTS, b = p->b->flags[pair.b] & DFA_ACCEPTS;
    switch (p->operation) {
    case DFA_BOTH:
        return a && b;
    case DFA_FIRST_ONLY:
        return a && !b;
    case DFA_EITHER:
        break;
    }
    return a || b;
}

static enum status intern_pair(struct product *p, struct state_pair pair, uint32_t *state,
                               struct error *err)
{
    *state = DFA_DEAD;
    if (pair_is_dead(p, pair))
        return STATUS_OK;
    if (2 * p->dfa->n_states >= p->n_slots && !rehash_pairs(p))
        return error_memory(err, "an automaton");
    size_t at = pair_slot(p, pair), n = p->dfa->n_states;
    if (!p->slots[at]) {
        if (n >= DFA_STATE_LIMIT || !spend(p->budget, p->dfa->n_classes))
            return too_large(err);
        if (!mem_grow(&p->pairs, &p->pair_capacity, n, sizeof *p->pairs) ||
            !add_state(p->dfa, &p->dfa_capacity, pair_accepts(p, pair) ? DFA_ACCEPTS : 0))
            return error_memory(err, "an automaton");
        p->pairs[n] = pair;
        p->slots[at] = (uint32_t)n;
    }
    *state = p->slots[at];
    return STATUS_OK;
}

/* Classes of the product: pairs of classes that some byte has. */
static size_t classify_pairs(const struct dfa *a, const struct dfa *b, uint8_t classes[256],
                             uint8_t examples[256])
{
    size_t n = 0;
    for (size_t byte = 0; byte < 256; byte++) {
        size_t c = 0;
        while (c < n && (a->classes[examples[c]] != a->classes[byte] ||
                         b->classes[examples[c]] != b->classes[byte]))
            c++;
        if (c == n)
            examples[n++] = (uint8_t)byte;
        classes[byte] = (uint8_t)c;
    }
    return n;
}

static enum status explore_pairs(struct product *p, struct error *err)
{
    uint32_t next;
    if (!add_state(p->dfa, &p->dfa_capacity, 0) ||
        !mem_grow(&p->pairs, &p->pair_capacity, 0, sizeof *p->pairs))
        return error_memory(err, "an automaton");
    enum status status = intern_pair(p, (struct state_pair){DFA_START, DFA_START}, &next, err);
    for (size_t i = DFA_START; !status && i < p->dfa->n_states; i++)
        for (size_t c = 0; !status && c < p->dfa->n_classes; c++) {
            struct state_pair pair = {dfa_next(p->a, p->pairs[i].a, p->examples[c]),
                                      dfa_next(p->b, p->pairs[i].b, p->examples[c])};
            status = intern_pair(p, pair, &next, err);
            p->dfa->next[i * p->dfa->n_classes + c] = next;
        }
    return status;
}

enum status dfa_combine(const struct dfa *a, const struct dfa *b, enum dfa_operation operation,
                        size_t *budget, struct dfa *result, struct error *err)
{
    struct product p = {.a = a, .b = b, .operation = operation, .budget = budget, .dfa = result};
    *result = (struct dfa){0};
    result->n_classes = classify_pairs(a, b, result->classes, p.examples);
    enum status status = explore_pairs(&p, err);
    if (!status)
        status = trim(result, err);
    mem_free(p.pairs);
    mem_free(p.slots);
    if (status)
        dfa_free(result);
    return status;
}

int dfa_overlap(const struct dfa *a, const struct dfa *b, size_t *budget, struct error *err)
{
    struct dfa both;
    if (dfa_combine(a, b, DFA_BOTH, budget, &both, err))
        return -1;
    bool overlap = !dfa_is_empty(&both);
    dfa_free(&both);
    return overlap;
}

/* --- Strings --- */

/* State q behind n characters is 1 + (q - 1) + n * (states of `any`, but for the dead one). */
enum status dfa_of_length(const struct dfa *any, uint32_t least, uint32_t most, size_t *budget,
                          struct dfa *result, struct error *err)
{
    bool bounded = most != UINT32_MAX;
    size_t top = bounded ? most : least, live = any->n_states - 1, capacity = 0;
    *result = (struct dfa){.n_classes = any->n_classes};
    memcpy(result->classes, any->classes, sizeof result->classes);
    if (most < least || top > DFA_STATE_LIMIT / live || !spend(budget, (top + 1) * live))
        return too_large(err);
    bool ok = add_state(result, &capacity, 0);
    for (size_t i = 0; ok && i < (top + 1) * live; i++)
        ok = add_state(result, &capacity,
                       i / live >= least ? any->flags[i % live + 1] & DFA_ACCEPTS : 0);
    for (size_t i = 0; ok && i < (top + 1) * live; i++)
        for (size_t c = 0; c < any->n_classes; c++) {
            uint32_t to = any->next[(i % live + 1) * any->n_classes + c];
            size_t count = i / live + (any->flags[to] & DFA_ACCEPTS ? 1 : 0);
            if (count > top)
                count = bounded ? SIZE_MAX : top;
            if (to != DFA_DEAD && count != SIZE_MAX)
                result->next[(i + 1) * any->n_classes + c] = (uint32_t)(to + count * live);
        }
    enum status status = ok ? trim(result, err) : error_memory(err, "an automaton");
    if (status)
        dfa_free(result);
    return status;
}

/* A class for the quote alone. */
static size_t class_of_quote(uint8_t classes[256], size_t n_classes)
{
    for (size_t byte = 0; byte < 256; byte++)
        if (byte != '"' && classes[byte] == classes['"'])
            return classes['"'] = (uint8_t)n_classes;
    return classes['"'];
}

/* Between characters a quote is never content, so that it can end the string. */
enum status dfa_quote(const struct dfa *content, struct dfa *result, struct error *err)
{
    size_t n = content->n_states, capacity = 0;
    *result = (struct dfa){.n_classes = content->n_classes};
    memcpy(result->classes, content->classes, sizeof result->classes);
    size_t quote = class_of_quote(result->classes, content->n_classes);
    if (quote == content->n_classes)
        result->n_classes++;
    size_t width = result->n_classes;
    bool ok = true;
    for (size_t i = 0; ok && i < n + 2; i++) /* the content's state s is s + 1 here */
        ok = add_state(result, &capacity, i == n + 1 ? DFA_ACCEPTS : 0);
    if (!ok) {
        dfa_free(result);
        return error_memory(err, "an automaton");
    }
    result->next[DFA_START * width + quote] = DFA_START + 1;
    for (size_t s = DFA_START; s < n; s++) {
        uint32_t *next = result->next + (s + 1) * width;
        for (size_t byte = 0; byte < 256; byte++) {
            uint32_t to = dfa_next(content, (uint32_t)s, (uint8_t)byte);
            next[result->classes[byte]] = to == DFA_DEAD ? DFA_DEAD : to + 1;
        }
        if (content->flags[s] & DFA_ACCEPTS) {
            next[quote] = (uint32_t)n + 1;
            result->flags[s + 1] = DFA_CHARACTER;
        }
    }
    enum status status = trim(result, err);
    if (status)
        dfa_free(result);
    return status;
}

bool dfa_accepts(const struct dfa *dfa, const char *text, size_t length)
{
    uint32_t state = DFA_START;
    for (size_t i = 0; i < length && state != DFA_DEAD; i++)
        state = dfa_next(dfa, state, (uint8_t)text[i]);
    return dfa->flags[state] & DFA_ACCEPTS;
}
