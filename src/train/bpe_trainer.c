#include "train/bpe_trainer.h"
#include "base/memory.h"

/* A pair of neighbours: how often it occurs, and in which words it did at some time. */
struct pair {
    uint32_t left, right;
    int64_t count;
    uint32_t *words;
    size_t n_words, capacity;
    uint32_t last_word; /* appended last, to avoid repeats */
};

struct heap_entry {
    int64_t count; /* when it was pushed; stale if the pair's count differs */
    uint32_t pair;
};

struct trainer {
    struct bpe_word *words;
    const struct bpe_limits *limits;
    const uint32_t *symbol_bytes;
    struct pair *pairs;
    size_t n_pairs, pairs_capacity;
    uint32_t *slots; /* open addressing: number of a pair + 1 */
    size_t n_slots;  /* a power of two */
    struct heap_entry *heap;
    size_t n_heap, heap_capacity;
    uint32_t *changed; /* pairs whose count grew in this step */
    size_t n_changed, changed_capacity;
    bool failed;
};

static size_t slot_of(const struct trainer *t, uint32_t left, uint32_t right)
{
    uint64_t key = (uint64_t)left << 32 | right;
    key = (key ^ key >> 31) * 0x9E3779B97F4A7C15u;
    size_t slot = (size_t)(key >> 20) & (t->n_slots - 1);
    for (; t->slots[slot]; slot = (slot + 1) & (t->n_slots - 1)) {
        const struct pair *p = &t->pairs[t->slots[slot] - 1];
        if (p->left == left && p->right == right)
            break;
    }
    return slot;
}

static bool grow_slots(struct trainer *t)
{
    if (t->n_slots > 2 * t->n_pairs)
        return true;
    size_t n = t->n_slots ? 2 * t->n_slots : 1 << 12;
    uint32_t *slots = mem_array(n, sizeof *slots);
    if (!slots)
        return false;
    mem_free(t->slots);
    t->slots = slots;
    t->n_slots = n;
    for (size_t i = 0; i < t->n_pairs; i++)
        t->slots[slot_of(t, t->pairs[i].left, t->pairs[i].right)] = (uint32_t)i + 1;
    return true;
}

/* The pair's entry, made if need be; NULL when out of memory (and t->failed). */
static struct pair *find_pair(struct trainer *t, uint32_t left, uint32_t right)
{
    if (!grow_slots(t) || !mem_grow(&t->pairs, &t->pairs_capacity, t->n_pairs, sizeof *t->pairs)) {
        t->failed = true;
        return NULL;
    }
    size_t slot = slot_of(t, left, right);
    if (!t->slots[slot]) {
        t->pairs[t->n_pairs++] =
            (struct pair){.left = left, .right = right, .last_word = UINT32_MAX};
        t->slots[slot] = (uint32_t)t->n_pairs;
    }
    return &t->pairs[t->slots[slot] - 1];
}

static bool can_join(const struct trainer *t, uint32_t left, uint32_t right)
{
    return left != BPE_BARRIER && right != BPE_BARRIER &&
           t->symbol_bytes[left] + t->symbol_bytes[right] <= t->limits->max_bytes;
}

static void add_pair(struct trainer *t, uint32_t left, uint32_t right, uint32_t word)
{
    struct pair *p = can_join(t, left, right) ? find_pair(t, left, right) : NULL;
    if (!p)
        return;
    p->count += (int64_t)t->words[word].count;
    if (p->last_word != word) {
        if (!mem_grow(&p->words, &p->capacity, p->n_words, sizeof *p->words)) {
            t->failed = true;
            return;
        }
        p->words[p->n_words++] = p->last_word = word;
    }
    if (!mem_grow(&t->changed, &t->changed_capacity, t->n_changed, sizeof *t->changed))
        t->failed = true;
    else
        t->changed[t->n_changed++] = (uint32_t)(p - t->pairs);
}

static void remove_pair(struct trainer *t, uint32_t left, uint32_t right, uint32_t word)
{
    struct pair *p = can_join(t, left, right) ? find_pair(t, left, right) : NULL;
    if (p)
        p->count -= (int64_t)t->words[word].count;
}

/* --- The heap: most frequent first, then the smaller symbols --- */

static bool comes_before(const struct trainer *t, struct heap_entry a, struct heap_entry b)
{
    if (a.count != b.count)
        return a.count > b.count;
    const struct pair *p = &t->pairs[a.pair], *q = &t->pairs[b.pair];
    return p->left != q->left ? p->left < q->left : p->right < q->right;
}

static void heap_push(struct trainer *t, uint32_t pair)
{
    struct heap_entry entry = {t->pairs[pair].count, pair};
    if (entry.count < (int64_t)t->limits->min_count)
        return;
    if (!mem_grow(&t->heap, &t->heap_capacity, t->n_heap, sizeof *t->heap)) {
        t->failed = true;
        return;
    }
    size_t i = t->n_heap++;
    for (; i && comes_before(t, entry, t->heap[(i - 1) / 2]); i = (i - 1) / 2)
        t->heap[i] = t->heap[(i - 1) / 2];
    t->heap[i] = entry;
}

static struct heap_entry heap_pop(struct trainer *t)
{
    struct heap_entry top = t->heap[0], last = t->heap[--t->n_heap];
    size_t i = 0, child;
    for (; (child = 2 * i + 1) < t->n_heap; i = child) {
        if (child + 1 < t->n_heap && comes_before(t, t->heap[child + 1], t->heap[child]))
            child++;
        if (!comes_before(t, t->heap[child], last))
            break;
        t->heap[i] = t->heap[child];
    }
    t->heap[i] = last;
    return top;
}

/* Pairs that grew are pushed once with their count as it is now. */
static void push_changed(struct trainer *t)
{
    for (size_t i = 0; i < t->n_changed; i++)
        heap_push(t, t->changed[i]);
    t->n_changed = 0;
}

/* --- Steps --- */

static void count_word(struct trainer *t, uint32_t index)
{
    const struct bpe_word *w = &t->words[index];
    for (size_t i = 0; i + 1 < w->length; i++)
        add_pair(t, w->symbols[i], w->symbols[i + 1], index);
}

static bool contains(const struct bpe_word *w, const struct bpe_merge *m)
{
    for (size_t i = 0; i + 1 < w->length; i++)
        if (w->symbols[i] == m->left && w->symbols[i + 1] == m->right)
            return true;
    return false;
}

/* Takes the word's pairs out of the counts, joins, and puts its new pairs in. */
static void join_in_word(struct trainer *t, const struct bpe_merge *m, uint32_t index)
{
    struct bpe_word *w = &t->words[index];
    size_t n = 0;
    if (!contains(w, m))
        return;
    for (size_t i = 0; i + 1 < w->length; i++)
        remove_pair(t, w->symbols[i], w->symbols[i + 1], index);
    for (size_t i = 0; i < w->length; n++) {
        bool joins = i + 1 < w->length && w->symbols[i] == m->left && w->symbols[i + 1] == m->right;
        w->symbols[n] = joins ? m->result : w->symbols[i];
        i += joins ? 2 : 1;
    }
    w->length = n;
    count_word(t, index);
}

static void join_everywhere(struct trainer *t, const struct bpe_merge *m, uint32_t pair)
{
    /* The list may move while words are counted anew, so it is taken out of the pair. */
    uint32_t *words = t->pairs[pair].words;
    size_t n = t->pairs[pair].n_words;
    t->pairs[pair].words = NULL;
    t->pairs[pair].n_words = t->pairs[pair].capacity = 0;
    t->pairs[pair].last_word = UINT32_MAX;
    for (size_t i = 0; i < n; i++)
        join_in_word(t, m, words[i]);
    mem_free(words);
}

/* The most frequent pair, or false when none is frequent enough. */
static bool best_pair(struct trainer *t, uint32_t *pair)
{
    while (t->n_heap) {
        struct heap_entry top = heap_pop(t);
        if (top.count == t->pairs[top.pair].count) {
            *pair = top.pair;
            return true;
        }
        if (t->pairs[top.pair].count < top.count)
            heap_push(t, top.pair);
    }
    return false;
}

enum status bpe_train(struct bpe_word *words, size_t n_words, const struct bpe_limits *limits,
                      uint32_t *symbol_bytes, struct bpe_merge *merges, size_t *n_merges,
                      struct error *err)
{
    struct trainer t = {.words = words, .limits = limits, .symbol_bytes = symbol_bytes};
    uint32_t pair;
    *n_merges = 0;
    for (size_t i = 0; i < n_words; i++)
        count_word(&t, (uint32_t)i);
    push_changed(&t);
    while (!t.failed && *n_merges < limits->max_merges && best_pair(&t, &pair)) {
        struct bpe_merge *m = &merges[(*n_merges)++];
        *m = (struct bpe_merge){t.pairs[pair].left, t.pairs[pair].right,
                                (uint32_t)(limits->n_symbols + *n_merges - 1)};
        symbol_bytes[m->result] = symbol_bytes[m->left] + symbol_bytes[m->right];
        join_everywhere(&t, m, pair);
        push_changed(&t);
    }
    for (size_t i = 0; i < t.n_pairs; i++)
        mem_free(t.pairs[i].words);
    mem_free(t.pairs);
    mem_free(t.slots);
    mem_free(t.heap);
    mem_free(t.changed);
    return t.failed ? error_memory(err, "learning a vocabulary") : STATUS_OK;
}
