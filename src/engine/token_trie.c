#include "engine/token_trie.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

struct entry {
    const char *bytes;
    size_t length;
    int32_t id;
};

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    size_t shorter = size_min(x->length, y->length);
    int order = memcmp(x->bytes, y->bytes, shorter);
    if (order)
        return order;
    if (x->length != y->length)
        return x->length < y->length ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

/* The tokens that count, in the order of their bytes. */
static struct entry *sorted_entries(const struct tokenizer *tokenizer, size_t n_ids, size_t *count,
                                    size_t *bytes)
{
    struct entry *entries = mem_array(n_ids, sizeof *entries);
    *count = *bytes = 0;
    for (size_t id = 0; entries && id < n_ids; id++) {
        struct entry entry = {.id = (int32_t)id};
        entry.length = tokenizer_token_bytes(tokenizer, entry.id, &entry.bytes);
        if (entry.length == 0 || entry.length > TOKEN_TRIE_DEPTH ||
            tokenizer_is_special(tokenizer, entry.id))
            continue;
        entries[(*count)++] = entry;
        *bytes += entry.length;
    }
    if (entries)
        qsort(entries, *count, sizeof *entries, compare_entries);
    return entries;
}

static size_t common_prefix(const struct entry *a, const struct entry *b)
{
    size_t n = 0;
    while (n < a->length && n < b->length && a->bytes[n] == b->bytes[n])
        n++;
    return n;
}

/* Ends the open nodes deeper than `depth`. */
static void close_nodes(struct token_trie *trie, const uint32_t *open, size_t from, size_t depth)
{
    for (size_t d = from; d > depth; d--)
        trie->nodes[open[d]].end = (uint32_t)trie->n_nodes;
}

static void add_entries(struct token_trie *trie, const struct entry *entries, size_t n)
{
    uint32_t open[TOKEN_TRIE_DEPTH + 1] = {0}; /* the nodes from the root to the newest */
    size_t depth = 0;
    trie->n_nodes = 1;
    for (size_t i = 0; i < n; i++) {
        size_t shared = i > 0 ? common_prefix(&entries[i - 1], &entries[i]) : 0;
        close_nodes(trie, open, depth, shared);
        for (depth = shared; depth < entries[i].length; depth++) {
            trie->nodes[trie->n_nodes] =
                (struct trie_node){.first = (uint32_t)i,
                                   .parent = open[depth],
                                   .byte = (uint8_t)entries[i].bytes[depth],
                                   .depth = (uint8_t)(depth + 1)};
            open[depth + 1] = (uint32_t)trie->n_nodes++;
        }
        trie->tokens[trie->n_tokens++] = entries[i].id;
    }
    close_nodes(trie, open, depth, 0);
    trie->nodes[0].end = (uint32_t)trie->n_nodes;
    trie->nodes[trie->n_nodes].first = (uint32_t)trie->n_tokens;
}

enum status token_trie_create(const struct tokenizer *tokenizer, size_t n_ids,
                              struct token_trie **out, struct error *err)
{
    size_t count, bytes;
    struct entry *entries = sorted_entries(tokenizer, n_ids, &count, &bytes);
    struct token_trie *trie = entries ? mem_alloc(sizeof *trie) : NULL;
    if (trie) {
        trie->n_ids = n_ids;
        trie->tokenizer = tokenizer;
        trie->nodes = mem_array(bytes + 2, sizeof *trie->nodes);
        trie->tokens = mem_array(count, sizeof *trie->tokens);
    }
    if (!trie || !trie->nodes || !trie->tokens) {
        token_trie_free(trie);
        mem_free(entries);
        return error_memory(err, "the tokens of a constraint");
    }
    add_entries(trie, entries, count);
    mem_free(entries);
    void *fitting = mem_resize(trie->nodes, trie->n_nodes + 1, sizeof *trie->nodes);
    if (fitting)
        trie->nodes = fitting;
    *out = trie;
    return STATUS_OK;
}

void token_trie_free(struct token_trie *trie)
{
    if (!trie)
        return;
    mem_free(trie->nodes);
    mem_free(trie->tokens);
    mem_free(trie);
}
