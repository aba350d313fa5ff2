/* What this machine can do at most, measured: the yardstick beside benchmarks' figures. All threads
 * of the pool work at once. */
#ifndef TANDEM_KERNELS_LIMITS_H
#define TANDEM_KERNELS_LIMITS_H

#include "base/thread_pool.h"

#include <stddef.h>

/* Independent multiply-adds in registers (or tiles), two operations each, per second; 0 where
 * nothing special is there. */
struct arithmetic_limits {
    double f32, bf16, int8;
    double int8_amx, bf16_amx;
};
/* Takes about 0.2 seconds. Instruction sets beyond `isa` (as in kernels.h) are left out. */
struct arithmetic_limits limits_of_arithmetic(struct thread_pool *pool, const char *isa);

struct memory_run {
    const void *data;
    size_t bytes;
};
/* Bytes per second of adding up all the runs, once. From memory, if no cache holds them. */
double limits_of_reading(struct thread_pool *pool, const struct memory_run *runs, size_t n);

#endif
