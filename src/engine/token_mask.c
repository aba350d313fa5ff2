#include "engine/token_mask.h"
#include "base/memory.h"

#include <string.h>

/* STEP_LIMIT bounds the time of one mask; only grammars made to be slow come near it. */
enum { CACHE_ENTRIES = 128, STEP_LIMIT = 20000000 };

struct node_list {
    uint32_t *nodes; /* of the trie */
    size_t count, capacity;
};

/* What following one leaf alone tells, from one of its states. */
struct leaf_mask {
    uint64_t digest[2]; /* the leaf's */
    uint32_t state, count;
    uint64_t last_used;
    uint64_t *mask;        /* tokens that stay in the leaf, to its end at most */
    struct node_list ends; /* where the leaf may be complete, and tokens go on */
};

/* Where tokens complete a trigger and go on, by how much of it the text ended in before. */
struct crossings {
    struct trigger trigger;
    bool known[TRIGGER_LIMIT];
    struct node_list at[TRIGGER_LIMIT];
};

struct token_masker {
    struct token_trie *trie;
    size_t n_words, longest; /* of a mask; of a token, in bytes */
    bool drops_first_space;
    struct leaf_mask cache[CACHE_ENTRIES];
    uint64_t clock, explored;
    struct crossings crossings; /* of the trigger that was asked for last */
};

enum status token_masker_create(const struct tokenizer *tokenizer, size_t n_ids,
                                struct token_masker **out, struct error *err)
{
    struct token_masker *masker = mem_alloc(sizeof *masker);
    if (!masker)
        return error_memory(err, "the tokens of a constraint");
    enum status status = token_trie_create(tokenizer, n_ids, &masker->trie, err);
    if (status) {
        token_masker_free(masker);
        return status;
    }
    masker->n_words = (n_ids + 63) / 64;
    masker->drops_first_space = tokenizer_drops_first_space(tokenizer);
    for (size_t i = 0; i < masker->trie->n_nodes; i++)
        if (masker->trie->nodes[i].depth > masker->longest)
            masker->longest = masker->trie->nodes[i].depth;
    *out = masker;
    return STATUS_OK;
}

void token_masker_free(struct token_masker *masker)
{
    if (!masker)
        return;
    for (size_t i = 0; i < CACHE_ENTRIES; i++) {
        mem_free(masker->cache[i].mask);
        mem_free(masker->cache[i].ends.nodes);
    }
    for (size_t i = 0; i < TRIGGER_LIMIT; i++)
        mem_free(masker->crossings.at[i].nodes);
    token_trie_free(masker->trie);
    mem_free(masker);
}

uint64_t token_masker_explored(const struct token_masker *masker)
{
    return masker->explored;
}

size_t token_masker_words(const struct token_masker *masker)
{
    return masker->n_words;
}

const struct tokenizer *token_masker_tokenizer(const struct token_masker *masker)
{
    return masker->trie->tokenizer;
}

static void set_tokens(const struct token_trie *trie, uint32_t node, uint64_t *mask)
{
    for (uint32_t t = trie->nodes[node].first; t < trie->nodes[node + 1].first; t++)
        mask_set(mask, (size_t)trie->tokens[t]);
}

/* Of tokens[begin .. end). */
static void clear_tokens(const struct token_trie *trie, uint32_t begin, uint32_t end,
                         uint64_t *mask)
{
    for (uint32_t t = begin; t < end; t++)
        mask_clear(mask, (size_t)trie->tokens[t]);
}

static bool add_node(struct node_list *list, uint32_t node)
{
    if (!mem_grow(&list->nodes, &list->capacity, list->count, sizeof *list->nodes))
        return false;
    list->nodes[list->count++] = node;
    return true;
}

/* --- One leaf by itself --- */

/* Walks the trie. A complete key may be one that its object has already, so its tokens are left to
 * who knows the object. */
static bool explore_leaf(const struct token_trie *trie, const struct leaf *leaf,
                         struct leaf_mask *entry)
{
    uint32_t states[TOKEN_TRIE_DEPTH + 1] = {entry->state};
    uint32_t counts[TOKEN_TRIE_DEPTH + 1] = {entry->count};
    entry->ends.count = 0;
    for (uint32_t i = 1; i < trie->n_nodes;) {
        const struct trie_node *node = &trie->nodes[i];
        uint32_t state = states[node->depth - 1], count = counts[node->depth - 1];
        if (!leaf_step(leaf, &state, &count, node->byte)) {
            i = node->end;
            continue;
        }
        states[node->depth] = state;
        counts[node->depth] = count;
        bool ends = leaf->dfa.flags[state] & DFA_ACCEPTS, is_key = leaf->kind == LEAF_KEY;
        if (!ends || !is_key)
            set_tokens(trie, i, entry->mask);
        if (ends && (is_key || node->end > i + 1) && !add_node(&entry->ends, i))
            return false;
        i++;
    }
    return true;
}

/* Counts from which no token reaches a bound are all alike. */
static uint32_t typical_count(const struct token_masker *masker, const struct leaf *leaf,
                              uint32_t count)
{
    bool most_is_far = leaf->most == GRAMMAR_NO_MAXIMUM || leaf->most - count > masker->longest;
    if (leaf->kind != LEAF_COUNTED)
        return 0;
    if (count < leaf->least)
        return leaf->least - count > masker->longest ? 0 : count;
    return most_is_far ? leaf->least : count;
}

static bool same_key(const struct leaf_mask *a, const struct leaf_mask *b)
{
    return !memcmp(a->digest, b->digest, sizeof a->digest) && a->state == b->state &&
           a->count == b->count;
}

/* The entry of this key, or else the one to be replaced. */
static struct leaf_mask *find_entry(struct token_masker *masker, const struct leaf_mask *key)
{
    struct leaf_mask *oldest = &masker->cache[0];
    for (size_t i = 0; i < CACHE_ENTRIES; i++) {
        struct leaf_mask *entry = &masker->cache[i];
        if (entry->mask && same_key(entry, key))
            return entry;
        if (entry->last_used < oldest->last_used)
            oldest = entry;
    }
    return oldest;
}

static struct leaf_mask *mask_of_leaf(struct token_masker *masker, const struct leaf *leaf,
                                      const struct position *position)
{
    struct leaf_mask key = {.digest = {leaf->digest[0], leaf->digest[1]},
                            .state = position->state,
                            .count = typical_count(masker, leaf, position->count)};
    struct leaf_mask *entry = find_entry(masker, &key);
    bool known = entry->mask && same_key(entry, &key);
    entry->last_used = ++masker->clock;
    if (known)
        return entry;
    if (!entry->mask)
        entry->mask = mem_array(masker->n_words, sizeof *entry->mask);
    if (!entry->mask)
        return NULL;
    memset(entry->mask, 0, masker->n_words * sizeof *entry->mask);
    memcpy(entry->digest, key.digest, sizeof entry->digest);
    entry->state = key.state;
    entry->count = key.count;
    masker->explored++;
    if (explore_leaf(masker->trie, leaf, entry))
        return entry;
    mem_free(entry->mask); /* it is half a mask */
    entry->mask = NULL;
    return NULL;
}

/* --- Past a leaf's end --- */

/* The tokens below a node, from these positions on. */
static void walk(const struct token_trie *trie, struct walker *w, uint32_t node,
                 struct position_set set, uint64_t *mask)
{
    for (uint32_t child = node + 1; child < trie->nodes[node].end; child = trie->nodes[child].end) {
        if (w->steps > STEP_LIMIT)
            return;
        struct walker_mark mark = walker_mark(w);
        struct position_set next = walker_step(w, set, trie->nodes[child].byte);
        if (next.end > next.begin || next.may_end)
            set_tokens(trie, child, mask);
        if (next.end > next.begin)
            walk(trie, w, child, next, mask);
        walker_reset(w, mark);
    }
}

/* Appends the bytes from the root to the node. */
static void append_path(const struct token_trie *trie, uint32_t node, struct strbuf *text)
{
    char path[TOKEN_TRIE_DEPTH];
    size_t n = sizeof path;
    for (; node; node = trie->nodes[node].parent)
        path[--n] = (char)trie->nodes[node].byte;
    strbuf_append(text, path + n, sizeof path - n);
}

/* A key is followed to each of its ends by itself: some may be keys that the object has. */
static void walk_keys(const struct token_trie *trie, struct walker *w, struct position position,
                      const struct leaf_mask *entry, uint64_t *mask)
{
    struct walker_mark mark = walker_mark(w);
    for (size_t i = 0; i < entry->ends.count; i++) {
        uint32_t end = entry->ends.nodes[i];
        append_path(trie, end, &w->text);
        struct position_set behind = walker_complete(w, position);
        if (behind.end > behind.begin) {
            set_tokens(trie, end, mask);
            walk(trie, w, end, behind, mask);
        }
        walker_reset(w, mark);
    }
}

/* What is behind another leaf is the same from each of its ends. */
static void walk_ends(const struct token_trie *trie, struct walker *w, struct position position,
                      const struct leaf_mask *entry, uint64_t *mask)
{
    struct walker_mark mark = walker_mark(w);
    struct position_set behind = walker_complete(w, position);
    for (size_t i = 0; i < entry->ends.count; i++)
        walk(trie, w, entry->ends.nodes[i], behind, mask);
    walker_reset(w, mark);
}

static enum status add_position_mask(struct token_masker *masker, struct walker *w,
                                     struct position position, uint64_t *mask, struct error *err)
{
    const struct leaf *leaf = &w->grammar->leaves[position.leaf];
    const struct leaf_mask *entry = mask_of_leaf(masker, leaf, &position);
    if (!entry)
        return error_memory(err, "a token mask");
    for (size_t i = 0; i < masker->n_words; i++)
        mask[i] |= entry->mask[i];
    if (leaf->kind == LEAF_KEY)
        walk_keys(masker->trie, w, position, entry, mask);
    else if (entry->ends.count > 0)
        walk_ends(masker->trie, w, position, entry, mask);
    return STATUS_OK;
}

/* The root's child for a space; 0 if there is none. */
static uint32_t space_node(const struct token_trie *trie)
{
    for (uint32_t child = 1; child < trie->n_nodes; child = trie->nodes[child].end)
        if (trie->nodes[child].byte == ' ')
            return child;
    return 0;
}

/* Decoding drops a space at the very beginning: a first token that begins with one counts without
 * it, and one that is nothing else does not count. */
static void redo_first_space(const struct token_masker *masker, struct walker *w, uint64_t *mask)
{
    const struct token_trie *trie = masker->trie;
    uint32_t space = space_node(trie);
    if (!space)
        return;
    clear_tokens(trie, trie->nodes[space].first, trie->nodes[trie->nodes[space].end].first, mask);
    walk(trie, w, space, w->now, mask);
}

enum status token_masker_fill(struct token_masker *masker, struct walker *w, uint64_t *mask,
                              struct error *err)
{
    enum status status = STATUS_OK;
    memset(mask, 0, masker->n_words * sizeof *mask);
    w->steps = 0;
    for (size_t i = w->now.begin; !status && i < w->now.end; i++)
        status = add_position_mask(masker, w, w->positions[i], mask, err);
    if (!status && masker->drops_first_space && w->text.length == 0)
        redo_first_space(masker, w, mask);
    return !status && (w->out_of_memory || w->text.failed) ? error_memory(err, "a token mask")
                                                           : status;
}

/* --- Free text up to a trigger --- */

static bool find_crossings(const struct token_trie *trie, const struct trigger *trigger,
                           size_t matched, struct node_list *list)
{
    size_t states[TOKEN_TRIE_DEPTH + 1] = {matched};
    list->count = 0;
    for (uint32_t i = 1; i < trie->n_nodes;) {
        const struct trie_node *node = &trie->nodes[i];
        size_t state = trigger_step(trigger, states[node->depth - 1], node->byte);
        states[node->depth] = state;
        bool is_complete = state == trigger->length;
        if (is_complete && node->end > i + 1 && !add_node(list, i))
            return false;
        i = is_complete ? node->end : i + 1;
    }
    return true;
}

/* NULL when out of memory. */
static const struct node_list *crossings_of(struct token_masker *masker,
                                            const struct trigger *trigger, size_t matched)
{
    struct crossings *c = &masker->crossings;
    if (c->trigger.length != trigger->length ||
        memcmp(c->trigger.text, trigger->text, trigger->length) != 0) {
        c->trigger = *trigger;
        memset(c->known, 0, sizeof c->known);
    }
    if (!c->known[matched] && !find_crossings(masker->trie, trigger, matched, &c->at[matched]))
        return NULL;
    c->known[matched] = true;
    return &c->at[matched];
}

enum status token_masker_fill_free(struct token_masker *masker, const struct trigger *trigger,
                                   size_t matched, struct walker *w, uint64_t *mask, bool *has_mask,
                                   struct error *err)
{
    const struct token_trie *trie = masker->trie;
    const struct node_list *list = crossings_of(masker, trigger, matched);
    if (!list)
        return error_memory(err, "a token mask");
    *has_mask = list->count > 0;
    if (!*has_mask)
        return STATUS_OK;
    memset(mask, 0xFF, masker->n_words * sizeof *mask);
    w->steps = 0;
    for (size_t i = 0; i < list->count; i++) {
        const struct trie_node *node = &trie->nodes[list->nodes[i]];
        clear_tokens(trie, node[1].first, trie->nodes[node->end].first, mask);
        walk(trie, w, list->nodes[i], w->now, mask);
    }
    return w->out_of_memory || w->text.failed ? error_memory(err, "a token mask") : STATUS_OK;
}

/* --- What was chosen --- */

enum status token_masker_accept(const struct token_masker *masker, struct walker *w, int32_t token,
                                struct error *err)
{
    const char *bytes = NULL;
    size_t length = tokenizer_token_bytes(masker->trie->tokenizer, token, &bytes);
    if (masker->drops_first_space && w->text.length == 0 && length > 0 && bytes[0] == ' ') {
        bytes++;
        length--;
    }
    if (length == 0)
        return error_set(err, STATUS_INVALID, "token %d adds nothing to the text", (int)token);
    return walker_accept(w, bytes, length, err);
}
