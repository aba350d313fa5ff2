/* Attention of query rows to the pages of one KV head, with an online softmax.
 *
 * A page holds KEY_PAGE positions. Its values are rows of their type, one per position; its keys
 * are stored transposed, so that a dimension of all keys is a run of memory: of F32 and F16
 * [head_dim, KEY_PAGE]; of Q8_0 for every 32 dimensions codes [32, KEY_PAGE], then scales
 * [KEY_PAGE] in F16.
 *
 * Queries and pages are first prepared, in whatever form a table multiplies best; a page is
 * prepared once for all the rows that meet it. Then for each page, in order of positions:
 * scores(), soften(), mix(). At the end a row's answer is out / sum. For few rows
 * preparing a page may cost more than it saves: scores_stored() and mix_stored() take it as it is.
 * `width` is attention_width(head_dim), and so many floats (or as many bytes) an element row takes.
 *
 * A row's results depend on neither its neighbours nor on what lies in the page before its `begin`
 * and from its `end` on, except that values must be finite there: prepare_values() clears those
 * that do not exist.
 */
#ifndef TANDEM_KERNELS_ATTENTION_H
#define TANDEM_KERNELS_ATTENTION_H

#include "kernels/tensor_type.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Scores are logarithms to base 2: e^s = 2^(s LOG2_E), and powers of two are cheaper. */
#define LOG2_E 1.44269504f

enum {
    KEY_PAGE = 64,
    QUERY_TILE = 16, /* buffers of rows have room for a multiple of so many */
};

/* Milakov and Gimelshein, "Online normalizer calculation for softmax" (2018). */
struct softmax {
    float max, sum;      /* of the scores so far; start with -INFINITY and 0 */
    uint32_t begin, end; /* which scores of this page the row sees */
};

struct attention_kernels {
    /* Around a run of the calls below, in the thread that makes them; NULL: nothing to do. */
    void (*begin)(void);
    void (*end)(void);

    /* One row of queries, times `scale` and LOG2_E: width * 4 bytes. */
    void (*prepare_query)(const float *q, float scale, size_t head_dim, void *prepared);
    /* A page's keys, and its first n_keys values: KEY_PAGE * width * 4 bytes each. */
    void (*prepare_keys)(enum tensor_type type, const void *stored, size_t head_dim,
                         void *prepared);
    void (*prepare_values)(enum tensor_type type, const void *stored, size_t n_keys,
                           size_t head_dim, void *prepared);

    /* scores[r, i] = query r . key i, r < n, i < KEY_PAGE. */
    void (*scores)(const void *queries, size_t n, const void *keys, size_t width, float *scores);
    /* For n rows: scores that the row sees become 2^(score - max), the others 0, and their sum is
     * added to its state's. When max grows, sum and out [width] of the row shrink accordingly. */
    void (*soften)(float *scores, size_t n, struct softmax *states, float *out, size_t width);
    /* out[r, d] += sum_i weights[r, i] * value_i[d], r < n, in order of i. */
    void (*mix)(const float *weights, size_t n, const void *values, size_t width, float *out);

    /* The same bits from keys, and from the first n_keys values, as they are stored; for a head of
     * `width` dimensions. next: what the next call reads, values or keys, asked of memory
     * meanwhile; any page where there is none. NULL: there is no such way for the type. */
    void (*scores_stored)(const void *queries, size_t n, const void *keys, const void *next,
                          size_t width, float *scores);
    void (*mix_stored)(const float *weights, size_t n, const void *values, const void *next,
                       size_t n_keys, size_t width, float *out);
};

/* Types that pages can have. */
bool attention_supports(enum tensor_type type);

static inline size_t attention_width(size_t head_dim)
{
    return (head_dim + 31) / 32 * 32;
}

/* Puts a key into place `slot` of a page. quantize: the kernels' for the type. */
void attention_store_key(enum tensor_type type, void (*quantize)(const float *, void *, size_t),
                         const float *key, size_t head_dim, void *page, size_t slot);

#if defined(__x86_64__)
/* Matrix products by AMX in place of those that a copy of AVX-512's kernels has; for F16 and Q8_0,
 * whose rounding is coarser than what is lost here. */
void attention_use_amx(struct attention_kernels *kernels);
#endif

#endif
