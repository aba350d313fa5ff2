/* Asking memory for lines ahead of their use: what hardware fetches ahead by itself ends with a
 * page. How, was measured (docs/performance.md): Intel's CPUs want each line asked for twice, far
 * ahead into the second cache and nearer into the first; AMD's once, past the caches. Hardware that
 * fetches ahead keeps track of few instructions that load, so loops over blocks are small. */
#ifndef TANDEM_KERNELS_FETCH_H
#define TANDEM_KERNELS_FETCH_H

#include "base/cpu.h"

#include <stddef.h>
#include <stdint.h>

enum { FETCH_FAR = 4096, FETCH_NEAR = 2048, FETCH_ONCE = 2048 }; /* bytes */

/* Whether to ask once; for the `once` of fetch_lines(). */
static inline bool fetch_once(void)
{
    return cpu_features()->amd;
}

/* One line, past the caches. The compiler's own instruction would have it compute the address of
 * each line apart. */
static inline __attribute__((always_inline)) void fetch_past(const uint8_t *line)
{
#if defined(__x86_64__)
    __asm__ volatile("prefetchnta %0" : : "m"(*line));
#else
    __builtin_prefetch(line, 0, 0);
#endif
}

/* n lines (a constant) from `near` on and from `far` on, which lie so far ahead. */
static inline __attribute__((always_inline)) void fetch_lines(const void *near, const void *far,
                                                              const size_t n, bool once)
{
    const uint8_t *first = near, *second = far;
    if (once) {
#pragma GCC unroll 16
        for (size_t i = 0; i < n; i++)
            fetch_past(second + 64 * i);
        return;
    }
#pragma GCC unroll 16
    for (size_t i = 0; i < n; i++) {
        __builtin_prefetch(first + 64 * i, 0, 3);
        __builtin_prefetch(second + 64 * i, 0, 2);
    }
}

#endif
