#include "base/thread_pool.h"
#include "base/cpu.h"
#include "base/memory.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SPINS_BEFORE_SLEEP = 20000, SPINS_BEFORE_YIELD = 20000 };

/* Memory that a thread will read, and asks for while it waits. */
struct expected {
    _Alignas(64) const char *data;
    size_t bytes, apart;
};

/* The last job that a worker has finished; of thread 0: none. */
struct finished {
    _Alignas(64) _Atomic uint32_t generation;
};

/* A line of memory goes from one core to another in 50 to 300 ns, so each is written by one thread
 * alone as far as possible, and what is read together lies together. */
struct thread_pool {
    size_t n_threads;
    pthread_t *threads;
    struct expected *expected;                /* one for each thread, which alone uses it */
    struct finished *finished;                /* one for each thread */
    _Alignas(64) _Atomic uint32_t generation; /* one more for every job; futex word */
    thread_work *work;                        /* of the job */
    void *context;
    _Alignas(64) _Atomic uint32_t sleepers;
    _Alignas(64) _Atomic uint32_t arrived; /* barrier: threads that are here */
    _Alignas(64) _Atomic uint32_t phase;   /* barrier: how often it opened */
    _Atomic bool stop;
};

struct worker {
    struct thread_pool *pool;
    size_t index;
};

static void pause_cpu(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void futex_wait(_Atomic uint32_t *word, uint32_t seen)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void futex_wake_all(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

/* A turn of waiting: some lines of what is expected, if any are left. */
static void wait_a_turn(struct expected *expected)
{
    enum { LINE = 64, BITE = 8 * LINE };
    if (!expected->bytes) {
        pause_cpu();
        return;
    }
    size_t bite = size_min(expected->bytes, BITE);
    for (size_t i = 0; i < bite; i += LINE) {
        __builtin_prefetch(expected->data + i, 0, 2);
        __builtin_prefetch(expected->data + expected->apart + i, 0, 2);
    }
    expected->data += bite;
    expected->bytes -= bite;
}

/* Spin until *word differs from `seen`, giving the CPU away when it takes long. */
static void spin_while(_Atomic uint32_t *word, uint32_t seen, struct expected *expected)
{
    for (int i = 0; atomic_load_explicit(word, memory_order_acquire) == seen; i++) {
        if (i < SPINS_BEFORE_YIELD)
            wait_a_turn(expected);
        else
            sched_yield();
    }
}

static uint32_t wait_for_job(struct thread_pool *pool, size_t thread, uint32_t seen)
{
    for (int i = 0; i < SPINS_BEFORE_SLEEP; i++) {
        if (atomic_load_explicit(&pool->generation, memory_order_acquire) != seen)
            return seen + 1;
        wait_a_turn(&pool->expected[thread]);
    }
    atomic_fetch_add(&pool->sleepers, 1);
    while (atomic_load(&pool->generation) == seen)
        futex_wait(&pool->generation, seen);
    atomic_fetch_sub(&pool->sleepers, 1);
    return seen + 1;
}

/* sched_setattr(2), as the C library does not declare it. */
struct scheduling {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t slice, deadline, period; /* nanoseconds */
};

/* Of the threads that share a CPU, one with a longer slice is put off for one with a shorter that
 * wakes up. */
void thread_gives_way(void)
{
    enum { LONGEST_SLICE = 100000000 };
    struct scheduling s = {0};
    if (syscall(SYS_sched_getattr, 0, &s, sizeof s, 0) || s.policy != SCHED_OTHER)
        return;
    s.slice = LONGEST_SLICE;
    syscall(SYS_sched_setattr, 0, &s, 0);
}

/* Asks for the first lines of what the caller has written just before, all at once. */
static void fetch_context(const char *context)
{
    enum { LINES = 4 };
    for (size_t i = 0; i < LINES; i++)
        __builtin_prefetch(context + 64 * i);
}

static void *worker_main(void *argument)
{
    struct worker worker = *(struct worker *)argument;
    mem_free(argument);
    thread_gives_way();
    struct thread_pool *pool = worker.pool;
    for (uint32_t seen = 0;;) {
        seen = wait_for_job(pool, worker.index, seen);
        if (atomic_load(&pool->stop))
            return NULL;
        fetch_context(pool->context);
        pool->work(pool->context, worker.index, pool->n_threads);
        atomic_store_explicit(&pool->finished[worker.index].generation, seen, memory_order_release);
    }
}

static void publish_job(struct thread_pool *pool)
{
    atomic_fetch_add(&pool->generation, 1);
    if (atomic_load(&pool->sleepers))
        futex_wake_all(&pool->generation);
}

static bool start_worker(struct thread_pool *pool, size_t index)
{
    struct worker *worker = mem_alloc(sizeof *worker);
    if (!worker)
        return false;
    *worker = (struct worker){.pool = pool, .index = index};
    int failure = pthread_create(&pool->threads[index], NULL, worker_main, worker);
    if (!failure)
        return true;
    mem_free(worker);
    errno = failure;
    return false;
}

enum status thread_pool_create(size_t n_threads, struct thread_pool **out, struct error *err)
{
    *out = NULL;
    if (!n_threads)
        n_threads = cpu_count();
    if (n_threads > MAX_THREADS)
        return error_set(err, STATUS_INVALID, "%zu threads asked for; the most is %d", n_threads,
                         MAX_THREADS);
    struct thread_pool *pool = mem_aligned(64, 1, sizeof *pool);
    pthread_t *threads = mem_array(n_threads, sizeof *threads);
    struct expected *expected = mem_aligned(64, n_threads, sizeof *expected);
    struct finished *finished = mem_aligned(64, n_threads, sizeof *finished);
    if (!pool || !threads || !expected || !finished) {
        mem_free(pool);
        mem_free(threads);
        mem_free(expected);
        mem_free(finished);
        return error_memory(err, "a thread pool");
    }
    pool->threads = threads;
    pool->expected = expected;
    pool->finished = finished;
    pool->n_threads = 1;
    for (size_t i = 1; i < n_threads; i++) {
        if (!start_worker(pool, i)) {
            enum status status =
                error_errno(err, "cannot start thread %zu of %zu", i + 1, n_threads);
            thread_pool_free(pool);
            return status;
        }
        pool->n_threads = i + 1;
    }
    *out = pool;
    return STATUS_OK;
}

void thread_pool_free(struct thread_pool *pool)
{
    if (!pool)
        return;
    atomic_store(&pool->stop, true);
    publish_job(pool);
    for (size_t i = 1; i < pool->n_threads; i++)
        pthread_join(pool->threads[i], NULL);
    mem_free(pool->threads);
    mem_free(pool->expected);
    mem_free(pool->finished);
    mem_free(pool);
}

size_t thread_pool_size(const struct thread_pool *pool)
{
    return pool ? pool->n_threads : 1;
}

void thread_pool_run(struct thread_pool *pool, thread_work *work, void *context)
{
    if (!pool || pool->n_threads == 1) {
        work(context, 0, 1);
        return;
    }
    pool->work = work;
    pool->context = context;
    uint32_t before = atomic_load_explicit(&pool->generation, memory_order_relaxed);
    publish_job(pool);
    work(context, 0, pool->n_threads);
    for (size_t i = 1; i < pool->n_threads; i++)
        spin_while(&pool->finished[i].generation, before, &pool->expected[0]);
}

void thread_pool_expect(struct thread_pool *pool, size_t thread, const void *data, size_t bytes,
                        size_t apart)
{
    if (pool)
        pool->expected[thread] = (struct expected){.data = data, .bytes = bytes, .apart = apart};
}

void thread_pool_barrier(struct thread_pool *pool, size_t thread)
{
    if (!pool || pool->n_threads == 1)
        return;
    uint32_t phase = atomic_load(&pool->phase);
    if (atomic_fetch_add(&pool->arrived, 1) + 1 == pool->n_threads) {
        atomic_store(&pool->arrived, 0);
        atomic_fetch_add(&pool->phase, 1);
    } else {
        spin_while(&pool->phase, phase, &pool->expected[thread]);
    }
}

void thread_share(size_t n, size_t grain, size_t thread, size_t n_threads, size_t *begin,
                  size_t *end)
{
    size_t units = (n + grain - 1) / grain, base = units / n_threads, extra = units % n_threads;
    size_t first = thread * base + size_min(thread, extra);
    size_t last = first + base + (thread < extra);
    *begin = size_min(first * grain, n);
    *end = size_min(last * grain, n);
}
