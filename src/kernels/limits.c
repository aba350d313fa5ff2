#include "kernels/limits.h"
#include "base/clock.h"
#include "base/cpu.h"
#include "base/size.h"
#include "kernels/amx_tiles.h"
#include "kernels/fetch.h"

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

/* Does `rounds` rounds of work; the operations (or bytes) of one round. */
typedef double probe(long rounds);

/* Keeps the compiler from leaving out what nobody uses. */
static _Thread_local volatile float sink;

enum { CHAINS = 12 }; /* independent, so that latency is hidden */

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx512f"))) static double f32_avx512(long rounds)
{
    __m512 sum[CHAINS], f = _mm512_set1_ps(0.999F), g = _mm512_set1_ps(1e-3F);
    for (int i = 0; i < CHAINS; i++)
        sum[i] = _mm512_set1_ps((float)i);
    for (long n = 0; n < rounds; n++) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++)
            sum[i] = _mm512_fmadd_ps(sum[i], f, g);
    }
    for (int i = 0; i < CHAINS; i++)
        sink = _mm512_reduce_add_ps(sum[i]);
    return CHAINS * 16 * 2.0;
}

__attribute__((target("avx512f,avx512vnni"))) static double int8_vnni(long rounds)
{
    __m512i sum[CHAINS], a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(-5);
    for (int i = 0; i < CHAINS; i++)
        sum[i] = _mm512_set1_epi32(i);
    for (long n = 0; n < rounds; n++) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++)
            sum[i] = _mm512_dpbusd_epi32(sum[i], a, b);
    }
    for (int i = 0; i < CHAINS; i++)
        sink = (float)_mm512_reduce_add_epi32(sum[i]);
    return CHAINS * 64 * 2.0;
}

__attribute__((target("avx512f,avx512bf16"))) static double bf16_avx512(long rounds)
{
    __m512 sum[CHAINS];
    __m512bh a = (__m512bh)_mm512_set1_epi16(0x3F80), b = (__m512bh)_mm512_set1_epi16(0x3C00);
    for (int i = 0; i < CHAINS; i++)
        sum[i] = _mm512_set1_ps((float)i);
    for (long n = 0; n < rounds; n++) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++)
            sum[i] = _mm512_dpbf16_ps(sum[i], a, b);
    }
    for (int i = 0; i < CHAINS; i++)
        sink = _mm512_reduce_add_ps(sum[i]);
    return CHAINS * 32 * 2.0;
}

__attribute__((target("avx2,fma"))) static double f32_avx2(long rounds)
{
    __m256 sum[CHAINS], f = _mm256_set1_ps(0.999F), g = _mm256_set1_ps(1e-3F);
    for (int i = 0; i < CHAINS; i++)
        sum[i] = _mm256_set1_ps((float)i);
    for (long n = 0; n < rounds; n++) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++)
            sum[i] = _mm256_fmadd_ps(sum[i], f, g);
    }
    for (int i = 0; i < CHAINS; i++)
        sink = _mm256_cvtss_f32(sum[i]);
    return CHAINS * 8 * 2.0;
}

/* Bytes by bytes to 16 bits, where eight are added, then to 32 bits. */
__attribute__((target("avx2"))) static double int8_avx2(long rounds)
{
    enum { PAIRS = 8 };
    __m256i sum[CHAINS], a = _mm256_set1_epi8(3), b = _mm256_set1_epi8(-5);
    for (int i = 0; i < CHAINS; i++)
        sum[i] = _mm256_set1_epi32(i);
    for (long n = 0; n < rounds; n++) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) {
            __m256i pairs = _mm256_setzero_si256();
#pragma GCC unroll 8
            for (int k = 0; k < PAIRS; k++) {
                __asm__("" : "+x"(a)); /* might have changed, so that it is done each time */
                __m256i product = _mm256_maddubs_epi16(a, b);
                pairs = k ? _mm256_add_epi16(pairs, product) : product;
            }
            sum[i] = _mm256_add_epi32(sum[i], _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
        }
    }
    for (int i = 0; i < CHAINS; i++)
        sink = (float)_mm256_extract_epi32(sum[i], 0);
    return CHAINS * PAIRS * 32 * 2.0;
}

__attribute__((target("avx2,avxvnni"))) static double int8_avxvnni(long rounds)
{
    __m256i sum[CHAINS], a = _mm256_set1_epi8(3), b = _mm256_set1_epi8(-5);
    for (int i = 0; i < CHAINS; i++)
        sum[i] = _mm256_set1_epi32(i);
    for (long n = 0; n < rounds; n++) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++)
            sum[i] = _mm256_dpbusd_avx_epi32(sum[i], a, b);
    }
    for (int i = 0; i < CHAINS; i++)
        sink = (float)_mm256_extract_epi32(sum[i], 0);
    return CHAINS * 32 * 2.0;
}

/* Four tiles of sums, 16 by 16, and two operands. */
__attribute__((target("amx-tile"))) static void open_tiles(void)
{
    _Alignas(64) static const uint8_t zeros[1024];
    _tile_loadconfig(&amx_full_tiles);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_loadd(4, zeros, 64);
    _tile_loadd(5, zeros, 64);
}

__attribute__((target("amx-tile,amx-int8"))) static double int8_amx(long rounds)
{
    open_tiles();
    for (long n = 0; n < rounds; n++) {
        _tile_dpbssd(0, 4, 5);
        _tile_dpbssd(1, 4, 5);
        _tile_dpbssd(2, 4, 5);
        _tile_dpbssd(3, 4, 5);
    }
    _tile_release();
    return 4 * 16 * 16 * 64 * 2.0;
}

__attribute__((target("amx-tile,amx-bf16"))) static double bf16_amx(long rounds)
{
    open_tiles();
    for (long n = 0; n < rounds; n++) {
        _tile_dpbf16ps(0, 4, 5);
        _tile_dpbf16ps(1, 4, 5);
        _tile_dpbf16ps(2, 4, 5);
        _tile_dpbf16ps(3, 4, 5);
    }
    _tile_release();
    return 4 * 16 * 16 * 32 * 2.0;
}
#else
static double f32_plain(long rounds)
{
    float sum[4 * CHAINS] = {0};
    for (long n = 0; n < rounds; n++)
        for (int i = 0; i < 4 * CHAINS; i++)
            sum[i] = sum[i] * 0.999F + 1e-3F;
    for (int i = 0; i < 4 * CHAINS; i++)
        sink = sum[i];
    return 4 * CHAINS * 2.0;
}
#endif

enum { ROUNDS = 1000000, TRIES = 12 };

struct probe_call {
    probe *run;
    long rounds;
    double per_round;
};

static void probe_work(void *context, size_t thread, size_t n_threads)
{
    struct probe_call *call = context;
    double per_round = call->run(call->rounds);
    (void)n_threads;
    if (thread == 0)
        call->per_round = per_round;
}

/* Of all threads, per second; the best of some tries. */
static double best_rate(struct thread_pool *pool, probe *run, long rounds)
{
    double best = 0;
    for (int i = 0; i < TRIES; i++) {
        struct probe_call call = {.run = run, .rounds = rounds};
        double start = clock_seconds();
        thread_pool_run(pool, probe_work, &call);
        double rate = call.per_round * (double)rounds * (double)thread_pool_size(pool) /
                      (clock_seconds() - start);
        best = rate > best ? rate : best;
    }
    return best;
}

/* As wide as AVX-512's registers; elsewhere the compiler takes several. */
typedef uint64_t line_vector __attribute__((vector_size(64), aligned(1), may_alias));
enum { LINE = sizeof(line_vector), STREAMS = 4, STEP = 2 * LINE };

/* Adds up in four streams, which memory delivers fastest: its quarters, from which lines are asked
 * for as far ahead, taken together, as kernels do. Fewer than STREAMS * STEP bytes at the end are
 * left out. */
static inline __attribute__((always_inline)) void add_up(const char *data, size_t bytes, bool once)
{
    const size_t length = bytes / STREAMS / STEP * STEP;
    line_vector sum[STREAMS] = {0};
    for (size_t i = 0; i < length; i += STEP) {
#pragma GCC unroll 8
        for (size_t k = 0; k < STREAMS * STEP / LINE; k++) {
            const char *line = data + i + k % STREAMS * length + k / STREAMS * LINE;
            fetch_lines(line + FETCH_NEAR / STREAMS, line + FETCH_FAR / STREAMS, 1, once);
            sum[k % STREAMS] += *(const line_vector *)line;
        }
    }
    sum[0] += sum[1] + sum[2] + sum[3];
    for (size_t i = 0; i < LINE / sizeof(uint64_t); i++)
        sink = (float)sum[0][i];
}

typedef void reader(const char *data, size_t bytes, bool once);

static void read_plain(const char *data, size_t bytes, bool once)
{
    add_up(data, bytes, once);
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) static void read_avx512(const char *data, size_t bytes,
                                                           bool once)
{
    add_up(data, bytes, once);
}

__attribute__((target("avx2"))) static void read_avx2(const char *data, size_t bytes, bool once)
{
    add_up(data, bytes, once);
}

static reader *widest_reader(void)
{
    const struct cpu_features *cpu = cpu_features();
    return cpu->avx512 ? read_avx512 : cpu->avx2 ? read_avx2 : read_plain;
}
#else
static reader *widest_reader(void)
{
    return read_plain;
}
#endif

struct reading {
    const struct memory_run *runs;
    size_t n;
    reader *read;
    _Atomic size_t taken; /* pieces */
};

/* Whoever has done a piece takes the next, so that no thread waits for a slower one. */
static void read_work(void *context, size_t thread, size_t n_threads)
{
    enum { PIECE = 3 << 19 }; /* streams a power of two apart would be slower */
    struct reading *r = context;
    const bool once = fetch_once();
    size_t piece = r->taken++, before = 0; /* pieces of the runs before */
    (void)thread;
    (void)n_threads;
    for (size_t i = 0; i < r->n; i++) {
        const struct memory_run *run = &r->runs[i];
        size_t pieces = (run->bytes + PIECE - 1) / PIECE;
        for (; piece < before + pieces; piece = r->taken++) {
            size_t begin = (piece - before) * PIECE;
            r->read((const char *)run->data + begin, size_min(PIECE, run->bytes - begin), once);
        }
        before += pieces;
    }
}

double limits_of_reading(struct thread_pool *pool, const struct memory_run *runs, size_t n)
{
    struct reading reading = {.runs = runs, .n = n, .read = widest_reader()};
    double bytes = 0, start = clock_seconds();
    for (size_t i = 0; i < n; i++)
        bytes += (double)runs[i].bytes;
    thread_pool_run(pool, read_work, &reading);
    return bytes / (clock_seconds() - start);
}

#if defined(__x86_64__)
static void measure_arithmetic(struct thread_pool *pool, const char *isa,
                               struct arithmetic_limits *m)
{
    const struct cpu_features *cpu = cpu_features();
    bool amx = !strcmp(isa, "amx"), avx512 = amx || !strcmp(isa, "avx512");
    if (avx512) {
        m->f32 = best_rate(pool, f32_avx512, 2 * ROUNDS);
        m->int8 = cpu->avx512_vnni ? best_rate(pool, int8_vnni, 2 * ROUNDS) : 0;
        m->bf16 = cpu->avx512_bf16 ? best_rate(pool, bf16_avx512, ROUNDS) : 0;
    } else if (!strcmp(isa, "avx2")) {
        m->f32 = best_rate(pool, f32_avx2, 2 * ROUNDS);
        m->int8 = cpu->avx_vnni ? best_rate(pool, int8_avxvnni, 2 * ROUNDS)
                                : best_rate(pool, int8_avx2, ROUNDS / 4);
    }
    if (amx && cpu_permit_amx()) {
        m->int8_amx = best_rate(pool, int8_amx, ROUNDS / 2);
        m->bf16_amx = cpu->amx_bf16 ? best_rate(pool, bf16_amx, ROUNDS / 2) : 0;
    }
}
#else
static void measure_arithmetic(struct thread_pool *pool, const char *isa,
                               struct arithmetic_limits *m)
{
    (void)isa;
    m->f32 = best_rate(pool, f32_plain, ROUNDS);
}
#endif

struct arithmetic_limits limits_of_arithmetic(struct thread_pool *pool, const char *isa)
{
    struct arithmetic_limits limits = {0};
    measure_arithmetic(pool, isa, &limits);
    return limits;
}
