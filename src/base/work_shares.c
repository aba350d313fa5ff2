#include "base/work_shares.h"
#include "base/memory.h"
#include "base/thread_pool.h"

#include <stdatomic.h>
#include <stdint.h>

/* What is left of a share: its first unit in the upper half, its end in the lower one. */
struct share {
    _Alignas(64) _Atomic uint64_t left;
};

struct work_shares {
    size_t n_threads, least;
    struct share shares[];
};

struct work_shares *work_shares_create(size_t n_threads)
{
    size_t bytes;
    if (!size_multiply(n_threads, sizeof(struct share), &bytes))
        return NULL;
    struct work_shares *s = mem_aligned(64, 1, sizeof *s + bytes);
    if (s)
        s->n_threads = n_threads;
    return s;
}

void work_shares_set(struct work_shares *s, size_t n, size_t least)
{
    s->least = least ? least : 1;
    for (size_t i = 0; i < s->n_threads; i++) {
        size_t begin, end;
        thread_share(n, 1, i, s->n_threads, &begin, &end);
        atomic_store_explicit(&s->shares[i].left, (uint64_t)begin << 32 | end,
                              memory_order_relaxed);
    }
}

/* A piece of a share, from its front or its end. */
static bool take(struct work_shares *s, size_t share, bool front, size_t *begin, size_t *end)
{
    uint64_t left = atomic_load_explicit(&s->shares[share].left, memory_order_relaxed), rest;
    do {
        *begin = (size_t)(left >> 32);
        *end = (size_t)(uint32_t)left;
        if (*begin >= *end)
            return false;
        size_t piece = (*end - *begin) / 2;
        piece = size_max(piece, s->least);
        if (front && *end - *begin > piece)
            *end = *begin + piece;
        else if (*end - *begin > piece)
            *begin = *end - piece;
        rest = front ? (uint64_t)*end << 32 | (uint32_t)left : (left >> 32) << 32 | *begin;
    } while (!atomic_compare_exchange_weak_explicit(&s->shares[share].left, &left, rest,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

bool work_shares_take(struct work_shares *s, size_t thread, size_t *begin, size_t *end)
{
    if (take(s, thread, true, begin, end))
        return true;
    for (size_t i = 1; i < s->n_threads; i++)
        if (take(s, (thread + i) % s->n_threads, false, begin, end))
            return true;
    return false;
}
