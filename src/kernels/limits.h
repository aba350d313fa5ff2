/* What this machine can do at most, measured: the yardstick beside benchmarks' figures.
 *
 * Arithmetic is independent multiply-adds in registers (or tiles), two operations each; reading is
 * a sum over a buffer that no cache holds. All threads of the pool work at once.
 */
#ifndef TANDEM_KERNELS_LIMITS_H
#define TANDEM_KERNELS_LIMITS_H

#include "base/error.h"
#include "base/thread_pool.h"

struct machine_limits {
    double read;            /* bytes per second from memory */
    double f32, bf16, int8; /* operations per second; 0 where nothing special is there */
    double int8_amx, bf16_amx;
};
/* Takes about two seconds and up to 1 GB, a quarter of what is free. Instruction sets beyond `isa` (as in kernels.h)
 * are left out. */
enum status limits_measure(struct thread_pool *pool, const char *isa, struct machine_limits *limits,
                           struct error *err);

#endif
