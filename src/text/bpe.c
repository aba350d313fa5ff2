#include "text/bpe.h"
#include "text/byte_level.h"
#include "text/unicode.h"

#include <stdio.h>
#include <string.h>

enum {
    SHORT_PIECE = 128, /* symbols; up to here an array beats a heap */
    CACHED_BYTES = 31,
    CACHED_IDS = 8,
    ID_BITS = 22,
    RANK_BITS = 20,
};
#define NO_MERGE UINT32_MAX
#define NO_SYMBOL UINT32_MAX

struct bpe_cache_entry {
    char key[CACHED_BYTES];
    uint8_t length; /* 0: free */
    int32_t ids[CACHED_IDS];
    uint8_t count;
};

void bpe_init(struct bpe *bpe, const struct token_table *tokens)
{
    *bpe = (struct bpe){.tokens = tokens, .unk_id = VOCAB_NO_ID, .seed = token_hash_seed() | 1};
    for (unsigned byte = 0; byte < 256; byte++) {
        char name[8];
        struct strbuf character = {0};
        char single = (char)byte;
        byte_level_append(&character, &single, 1);
        bpe->byte_ids[byte] =
            token_table_find_model(tokens, strbuf_text(&character), character.length);
        strbuf_free(&character);
        snprintf(name, sizeof name, "<0x%02X>", byte);
        bpe->fallback_ids[byte] = token_table_find(tokens, name, 6);
    }
}

void bpe_free(struct bpe *bpe)
{
    mem_free(bpe->slots);
    mem_free(bpe->results);
    *bpe = (struct bpe){0};
}

static uint64_t pair_key(int32_t left, int32_t right)
{
    return (uint64_t)(uint32_t)(left + 1) << ID_BITS | (uint32_t)(right + 1);
}

static size_t first_slot(const struct bpe *bpe, uint64_t key)
{
    return (size_t)(key * bpe->seed >> 32) & (bpe->n_slots - 1);
}

/* The rank of a pair's merge, or NO_MERGE. */
static uint32_t find_merge(const struct bpe *bpe, int32_t left, int32_t right)
{
    uint64_t key = pair_key(left, right), slot;
    for (size_t i = first_slot(bpe, key); (slot = bpe->slots[i]); i = (i + 1) & (bpe->n_slots - 1))
        if (slot >> RANK_BITS == key)
            return (uint32_t)(slot & (BPE_RANK_LIMIT - 1));
    return NO_MERGE;
}

static void add_merge(struct bpe *bpe, const struct bpe_merge *merge)
{
    uint64_t key = pair_key(merge->left, merge->right);
    size_t i = first_slot(bpe, key);
    while (bpe->slots[i] && bpe->slots[i] >> RANK_BITS != key)
        i = (i + 1) & (bpe->n_slots - 1);
    bpe->slots[i] = key << RANK_BITS | merge->rank;
    bpe->results[merge->rank] = merge->id;
}

static const char word_mark[] = "\xE2\x96\x81"; /* "▁" */
enum { MARK_LENGTH = sizeof word_mark - 1 };

/* The length of the text's first word: marks, and what follows up to the next mark. */
static size_t word_length(const char *text, size_t length)
{
    size_t at = 0;
    while (length - at >= MARK_LENGTH && !memcmp(text + at, word_mark, MARK_LENGTH))
        at += MARK_LENGTH;
    const char *next = memmem(text + at, length - at, word_mark, MARK_LENGTH);
    return next ? (size_t)(next - text) : length;
}

static bool keeps_words_apart(const struct bpe *bpe)
{
    for (size_t i = 0; i < bpe->n_ranks; i++) {
        const struct token_entry *entry = &bpe->tokens->entries[bpe->results[i]];
        if (entry->text && word_length(entry->text, entry->length) != entry->length)
            return false;
    }
    return token_table_find_model(bpe->tokens, word_mark, MARK_LENGTH) != VOCAB_NO_ID;
}

enum status bpe_set_merges(struct bpe *bpe, const struct bpe_merge *merges, size_t n,
                           struct error *err)
{
    for (size_t i = 0; i < n; i++)
        if (merges[i].rank >= bpe->n_ranks)
            bpe->n_ranks = (size_t)merges[i].rank + 1;
    if (bpe->n_ranks > BPE_RANK_LIMIT)
        return error_set(err, STATUS_LIMIT, "%zu merges; at most %d are allowed", bpe->n_ranks,
                         BPE_RANK_LIMIT);
    bpe->n_slots = 64;
    while (bpe->n_slots / 4 * 3 < n)
        bpe->n_slots *= 2;
    bpe->slots = mem_array(bpe->n_slots, sizeof *bpe->slots);
    bpe->results = mem_array(bpe->n_ranks, sizeof *bpe->results);
    if (!bpe->slots || !bpe->results)
        return error_memory(err, "the merges");
    for (size_t i = 0; i < n; i++)
        add_merge(bpe, &merges[i]);
    bpe->words_apart = keeps_words_apart(bpe);
    return STATUS_OK;
}

enum status bpe_work_init(struct bpe_work *work, size_t text_length, struct error *err)
{
    enum { SMALLEST = 64, LARGEST = 1 << 14, BYTES_PER_ENTRY = 16 };
    *work = (struct bpe_work){.cache_size = SMALLEST};
    while (work->cache_size < LARGEST && work->cache_size < text_length / BYTES_PER_ENTRY)
        work->cache_size *= 2;
    work->cache = mem_array(work->cache_size, sizeof *work->cache);
    return work->cache ? STATUS_OK : error_memory(err, "encoding");
}

void bpe_work_free(struct bpe_work *work)
{
    token_list_free(&work->symbols);
    mem_free(work->chain);
    mem_free(work->heap);
    mem_free(work->cache);
    *work = (struct bpe_work){0};
}

/* --- a piece's first symbols: its characters --- */

/* The `tokenizers` library keeps an unknown character in hand, and joins the next one to it
 * where fuse_unk is set. */
struct symbol_builder {
    const struct bpe *bpe;
    struct token_list *symbols;
    bool unknown, failed;
};

static void add_symbol(struct symbol_builder *builder, int32_t id)
{
    if (!token_list_add(builder->symbols, id))
        builder->failed = true;
}

static void flush_unknown(struct symbol_builder *builder)
{
    if (builder->unknown)
        add_symbol(builder, builder->bpe->unk_id);
    builder->unknown = false;
}

static bool add_fallback_bytes(struct symbol_builder *builder, const char *text, size_t length)
{
    const int32_t *ids = builder->bpe->fallback_ids;
    for (size_t i = 0; i < length; i++)
        if (ids[(uint8_t)text[i]] == VOCAB_NO_ID)
            return false;
    for (size_t i = 0; i < length; i++)
        add_symbol(builder, ids[(uint8_t)text[i]]);
    return true;
}

static void add_character(struct symbol_builder *builder, const char *text, size_t length)
{
    int32_t id = token_table_find_model(builder->bpe->tokens, text, length);
    if (id != VOCAB_NO_ID) {
        flush_unknown(builder);
        add_symbol(builder, id);
        return;
    }
    if (builder->bpe->byte_fallback && add_fallback_bytes(builder, text, length))
        return;
    if (builder->bpe->unk_id == VOCAB_NO_ID)
        return;
    if (!builder->bpe->fuse_unk)
        flush_unknown(builder);
    builder->unknown = true;
}

static void add_raw_byte(struct symbol_builder *builder, char byte)
{
    int32_t id = builder->bpe->byte_ids[(uint8_t)byte];
    if (id != VOCAB_NO_ID) {
        flush_unknown(builder);
        add_symbol(builder, id);
        return;
    }
    struct strbuf character = {0};
    byte_level_append(&character, &byte, 1);
    add_character(builder, strbuf_text(&character), character.length);
    strbuf_free(&character);
}

static bool split_into_symbols(const struct bpe *bpe, const char *piece, size_t length,
                               bool raw_bytes, struct token_list *symbols)
{
    struct symbol_builder builder = {.bpe = bpe, .symbols = symbols};
    symbols->count = 0;
    for (size_t i = 0; i < length && !builder.failed;) {
        if (raw_bytes) {
            add_raw_byte(&builder, piece[i++]);
            continue;
        }
        uint32_t c;
        size_t n = unicode_next(piece + i, length - i, &c);
        add_character(&builder, piece + i, n);
        i += n;
    }
    flush_unknown(&builder);
    return !builder.failed;
}

/* --- merging in an array: keys[i] is rank << 7 | i of the merge of ids[i] and ids[i + 1], so that
 * the smallest key, which vector instructions find, tells what is merged and where --- */

enum { POSITION_BITS = 7, NO_RANK = BPE_RANK_LIMIT };

static int32_t array_key(const struct bpe *bpe, const int32_t *ids, size_t i)
{
    uint32_t rank = find_merge(bpe, ids[i], ids[i + 1]);
    return (int32_t)((rank == NO_MERGE ? NO_RANK : rank) << POSITION_BITS | i);
}

static int32_t smallest_key(const int32_t *keys, size_t n)
{
    int32_t smallest = keys[0];
    for (size_t i = 1; i < n; i++)
        smallest = keys[i] < smallest ? keys[i] : smallest;
    return smallest;
}

static size_t merge_short(const struct bpe *bpe, int32_t *ids, size_t n)
{
    int32_t keys[SHORT_PIECE];
    for (size_t i = 0; i + 1 < n; i++)
        keys[i] = array_key(bpe, ids, i);
    while (n > 1) {
        int32_t smallest = smallest_key(keys, n - 1);
        uint32_t rank = (uint32_t)smallest >> POSITION_BITS;
        size_t at = (size_t)smallest & ((1u << POSITION_BITS) - 1);
        if (rank == NO_RANK)
            break;
        ids[at] = bpe->results[rank];
        n--;
        for (size_t i = at + 1; i < n; i++)
            ids[i] = ids[i + 1];
        for (size_t i = at + 1; i + 1 < n; i++)
            keys[i] = keys[i + 1] - 1; /* one place to the left */
        if (at > 0)
            keys[at - 1] = array_key(bpe, ids, at - 1);
        if (at + 1 < n)
            keys[at] = array_key(bpe, ids, at);
    }
    return n;
}

/* --- merging with a heap of rank << 32 | position --- */

static bool heap_push(struct bpe_work *work, uint64_t candidate)
{
    if (!mem_grow(&work->heap, &work->heap_capacity, work->heap_count, sizeof *work->heap))
        return false;
    size_t i = work->heap_count++;
    for (; i > 0 && candidate < work->heap[(i - 1) / 2]; i = (i - 1) / 2)
        work->heap[i] = work->heap[(i - 1) / 2];
    work->heap[i] = candidate;
    return true;
}

static uint64_t heap_pop(struct bpe_work *work)
{
    uint64_t *heap = work->heap, top = heap[0], last = heap[--work->heap_count];
    size_t i = 0, child;
    while ((child = 2 * i + 1) < work->heap_count) {
        if (child + 1 < work->heap_count && heap[child + 1] < heap[child])
            child++;
        if (heap[child] >= last)
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = last;
    return top;
}

static uint32_t chain_rank(const struct bpe *bpe, const struct bpe_symbol *chain, uint32_t at)
{
    uint32_t next = chain[at].next;
    if (chain[at].id == VOCAB_NO_ID || next == NO_SYMBOL)
        return NO_MERGE;
    return find_merge(bpe, chain[at].id, chain[next].id);
}

static bool push_pair(const struct bpe *bpe, struct bpe_work *work, uint32_t at)
{
    if (at == NO_SYMBOL)
        return true;
    uint32_t rank = chain_rank(bpe, work->chain, at);
    return rank == NO_MERGE || heap_push(work, (uint64_t)rank << 32 | at);
}

static bool start_chain(const struct bpe *bpe, struct bpe_work *work)
{
    size_t n = work->symbols.count;
    if (n > work->chain_capacity) {
        struct bpe_symbol *chain = mem_resize(work->chain, n, sizeof *chain);
        if (!chain)
            return false;
        work->chain = chain;
        work->chain_capacity = n;
    }
    for (size_t i = 0; i < n; i++)
        work->chain[i] = (struct bpe_symbol){work->symbols.ids[i], i ? (uint32_t)i - 1 : NO_SYMBOL,
                                             i + 1 < n ? (uint32_t)i + 1 : NO_SYMBOL};
    work->heap_count = 0;
    for (size_t i = 0; i < n; i++)
        if (!push_pair(bpe, work, (uint32_t)i))
            return false;
    return true;
}

static bool merge_long(const struct bpe *bpe, struct bpe_work *work)
{
    if (!start_chain(bpe, work))
        return false;
    struct bpe_symbol *chain = work->chain;
    while (work->heap_count) {
        uint64_t top = heap_pop(work);
        uint32_t rank = (uint32_t)(top >> 32), at = (uint32_t)top;
        if (chain_rank(bpe, chain, at) != rank)
            continue; /* one of the two has been merged with another neighbour */
        struct bpe_symbol *left = &chain[at], *right = &chain[left->next];
        left->id = bpe->results[rank];
        right->id = VOCAB_NO_ID;
        left->next = right->next;
        if (left->next != NO_SYMBOL)
            chain[left->next].previous = at;
        if (!push_pair(bpe, work, left->previous) || !push_pair(bpe, work, at))
            return false;
    }
    work->symbols.count = 0;
    for (uint32_t i = 0; i != NO_SYMBOL; i = chain[i].next)
        work->symbols.ids[work->symbols.count++] = chain[i].id;
    return true;
}

/* --- one piece --- */

static bool append_ids(struct token_list *out, const int32_t *ids, size_t n)
{
    if (!n)
        return true;
    if (!mem_grow(&out->ids, &out->capacity, out->count + n - 1, sizeof *out->ids))
        return false;
    memcpy(out->ids + out->count, ids, n * sizeof *ids);
    out->count += n;
    return true;
}

static int32_t whole_token(const struct bpe *bpe, const char *piece, size_t length, bool raw_bytes)
{
    if (!raw_bytes)
        return token_table_find_model(bpe->tokens, piece, length);
    struct strbuf written = {0};
    byte_level_append(&written, piece, length);
    int32_t id = token_table_find_model(bpe->tokens, strbuf_text(&written), written.length);
    strbuf_free(&written);
    return id;
}

static bool encode_uncached(const struct bpe *bpe, struct bpe_work *work, const char *piece,
                            size_t length, bool raw_bytes)
{
    struct token_list *symbols = &work->symbols;
    symbols->count = 0;
    if (bpe->ignore_merges) {
        int32_t id = whole_token(bpe, piece, length, raw_bytes);
        if (id != VOCAB_NO_ID)
            return token_list_add(symbols, id);
    }
    if (!split_into_symbols(bpe, piece, length, raw_bytes, symbols))
        return false;
    if (symbols->count > SHORT_PIECE)
        return merge_long(bpe, work);
    symbols->count = merge_short(bpe, symbols->ids, symbols->count);
    return true;
}

static void remember(struct bpe_cache_entry *entry, const char *piece, size_t length,
                     const struct token_list *ids)
{
    if (length > CACHED_BYTES || ids->count > CACHED_IDS || !ids->count)
        return;
    memcpy(entry->key, piece, length);
    memcpy(entry->ids, ids->ids, ids->count * sizeof *entry->ids);
    entry->length = (uint8_t)length;
    entry->count = (uint8_t)ids->count;
}

static enum status encode_word(const struct bpe *bpe, struct bpe_work *work, const char *piece,
                               size_t length, bool raw_bytes, struct token_list *out,
                               struct error *err)
{
    struct bpe_cache_entry *entry =
        &work->cache[token_hash(piece, length <= CACHED_BYTES ? length : 0, bpe->seed) &
                     (work->cache_size - 1)];
    if (entry->length == length && !memcmp(entry->key, piece, length))
        return append_ids(out, entry->ids, entry->count) ? STATUS_OK
                                                         : error_memory(err, "token ids");
    if (!encode_uncached(bpe, work, piece, length, raw_bytes) ||
        !append_ids(out, work->symbols.ids, work->symbols.count))
        return error_memory(err, "token ids");
    remember(entry, piece, length, &work->symbols);
    return STATUS_OK;
}

enum status bpe_encode(const struct bpe *bpe, struct bpe_work *work, const char *piece,
                       size_t length, bool raw_bytes, struct token_list *out, struct error *err)
{
    if (length >= UINT32_MAX / 2)
        return error_set(err, STATUS_LIMIT, "a piece of %zu bytes is too long to encode", length);
    bool whole = raw_bytes || bpe->ignore_merges || !bpe->words_apart;
    enum status status = STATUS_OK;
    while (!status && length) {
        size_t n = whole ? length : word_length(piece, length);
        status = encode_word(bpe, work, piece, n, raw_bytes, out, err);
        piece += n;
        length -= n;
    }
    return status;
}
