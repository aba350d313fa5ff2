/* A small pool of persistent workers for the numeric work of one model.
 *
 * thread_pool_run() calls `work` once in every thread (the caller is thread 0) and returns when
 * all are done. Workers spin for a short while and then sleep, so consecutive calls cost well
 * under a microsecond and an idle pool costs nothing. One caller at a time; `work` must not
 * call thread_pool_run() itself.
 *
 * Which thread does which part must never change a result: partition rows, not sums.
 */
#ifndef TANDEM_BASE_THREAD_POOL_H
#define TANDEM_BASE_THREAD_POOL_H

#include "base/error.h"

#include <stddef.h>

enum { MAX_THREADS = 1024 }; /* of a pool */

struct thread_pool;
typedef void thread_work(void *context, size_t thread, size_t n_threads);

/* n_threads counts the caller; 0 means one per available CPU. */
enum status thread_pool_create(size_t n_threads, struct thread_pool **pool, struct error *err);
void thread_pool_free(struct thread_pool *pool);
size_t thread_pool_size(const struct thread_pool *pool);
/* A NULL pool runs `work` in the caller alone. */
void thread_pool_run(struct thread_pool *pool, thread_work *work, void *context);
/* Inside `work`: waits until every thread of the pool is here. */
void thread_pool_barrier(struct thread_pool *pool, size_t thread);
/* Inside `work`: what the thread will read in a later job, so many bytes and, unless `apart` is 0,
 * as many that lie so much behind. From now on it spends its waits on asking memory for it, into
 * the second cache, in place of what it expected before. */
void thread_pool_expect(struct thread_pool *pool, size_t thread, const void *data, size_t bytes,
                        size_t apart);

/* The calling thread computes for long, as the workers of pools do: whatever wakes up, such as a
 * thread that hands its results on, runs before it. Does nothing where the system cannot (Linux
 * before 6.12) or where it was given another scheduling policy. */
void thread_gives_way(void);

/* Thread t's share [begin, end) of n units, in multiples of `grain` (at least 1). */
void thread_share(size_t n, size_t grain, size_t thread, size_t n_threads, size_t *begin,
                  size_t *end);

#endif
