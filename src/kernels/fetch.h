/* Asking memory for lines ahead of their use: what hardware fetches ahead by itself ends with a
 * page. How, was measured (docs/performance.md): Intel's CPUs want each line asked for twice, far
 * ahead into the second cache and nearer into the first; AMD's once, past the caches. */
#ifndef TANDEM_KERNELS_FETCH_H
#define TANDEM_KERNELS_FETCH_H

#include "base/cpu.h"

enum { FETCH_FAR = 4096, FETCH_NEAR = 2048 }; /* bytes */

/* Whether to ask once; for the `once` of fetch_line(). */
static inline bool fetch_once(void)
{
    return cpu_features()->amd;
}

/* The line at `near` and the one at `far`, which lie so far ahead. */
static inline __attribute__((always_inline)) void fetch_lines(const void *near, const void *far,
                                                              bool once)
{
    if (once) {
        __builtin_prefetch(far, 0, 0);
    } else {
        __builtin_prefetch(near, 0, 3);
        __builtin_prefetch(far, 0, 2);
    }
}

#endif
