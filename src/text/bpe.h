/* Byte-pair encoding of one piece of text, as the BPE model of `tokenizers` does it.
 *
 * The pair of adjacent symbols with the lowest rank is merged first, the leftmost of equals
 * first. Short pieces are merged in an array, long ones with a heap: O(n log n). Results for
 * short pieces are remembered in a small cache that belongs to the caller's bpe_work.
 */
#ifndef TANDEM_TEXT_BPE_H
#define TANDEM_TEXT_BPE_H

#include "base/error.h"
#include "text/token_table.h"
#include "text/tokenizer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BPE_RANK_LIMIT = 1 << 20 };

/* A merge: two ids next to each other become a third. Lower ranks merge first. */
struct bpe_merge {
    int32_t left, right, id;
    uint32_t rank; /* below BPE_RANK_LIMIT; one rank has one id */
};

struct bpe {
    const struct token_table *tokens;
    uint64_t *slots; /* [n_slots], a power of two: left + 1, right + 1, rank in 22, 22, 20 bits */
    size_t n_slots;
    int32_t *results; /* [n_ranks]: what the merge of a rank gives */
    size_t n_ranks;
    uint64_t seed;
    int32_t byte_ids[256];     /* id of the character that byte-level vocabularies use */
    int32_t fallback_ids[256]; /* id of "<0xNN>" */
    int32_t unk_id;
    bool byte_fallback, fuse_unk, ignore_merges;
    bool words_apart; /* no merge reaches over the beginning of a word, "x▁": words can be encoded
                         one by one, which changes nothing but the speed */
};

/* `tokens` must hold the whole model by now, and must outlive `bpe`. */
void bpe_init(struct bpe *bpe, const struct token_table *tokens);
void bpe_free(struct bpe *bpe);
/* The merges; of a pair that is given twice, the later one counts. */
enum status bpe_set_merges(struct bpe *bpe, const struct bpe_merge *merges, size_t n,
                           struct error *err);

struct bpe_symbol {
    int32_t id; /* VOCAB_NO_ID: merged away */
    uint32_t previous, next;
};
struct bpe_cache_entry;

/* Scratch memory of one encoding; zero-initialise. */
struct bpe_work {
    struct token_list symbols;
    struct bpe_symbol *chain;
    size_t chain_capacity;
    uint64_t *heap; /* rank << 32 | position */
    size_t heap_count, heap_capacity;
    struct bpe_cache_entry *cache; /* [cache_size], a power of two, or NULL */
    size_t cache_size;
};
/* `text_length`: bytes that will be encoded in all; sizes the cache. */
enum status bpe_work_init(struct bpe_work *work, size_t text_length, struct error *err);
void bpe_work_free(struct bpe_work *work);

/* Appends the ids of one piece. raw_bytes: the vocabulary writes bytes as characters, and the
 * piece is still plain text. */
enum status bpe_encode(const struct bpe *bpe, struct bpe_work *work, const char *piece,
                       size_t length, bool raw_bytes, struct token_list *out, struct error *err);

#endif
