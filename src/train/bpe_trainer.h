/* Learning a byte-pair encoding: from words and how often they occur to an ordered list of merges.
 *
 * A word is a sequence of symbols; each step joins the most frequent pair of neighbours
 * everywhere. Counts are kept up to date word by word, so a step costs what it changes. Ties go to
 * the pair with the smaller symbols: the same words give the same merges.
 */
#ifndef TANDEM_TRAIN_BPE_TRAINER_H
#define TANDEM_TRAIN_BPE_TRAINER_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bpe_word {
    uint32_t *symbols; /* [length]; BPE_BARRIER joins with nothing; owned by the caller, changed */
    size_t length;
    uint64_t count;
};
#define BPE_BARRIER UINT32_MAX

struct bpe_merge {
    uint32_t left, right, result;
};

struct bpe_limits {
    size_t n_symbols; /* symbols that there are; merges make n_symbols, n_symbols + 1, ... */
    size_t max_merges;
    uint64_t min_count; /* pairs that are rarer are not joined */
    size_t max_bytes;   /* of a joined symbol */
};

/* symbol_bytes: [n_symbols + max_merges], the first n_symbols filled in. merges: [max_merges].
 * *n_merges may end up smaller, when nothing frequent is left. */
enum status bpe_train(struct bpe_word *words, size_t n_words, const struct bpe_limits *limits,
                      uint32_t *symbol_bytes, struct bpe_merge *merges, size_t *n_merges,
                      struct error *err);

#endif
