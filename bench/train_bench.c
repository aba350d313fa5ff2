/* Speed of the training matmuls, against this machine's f32 FMA peak measured in the same run;
 * in F32 and in BF16.
 *
 *     train_bench [ROWS [DIM [FFN [THREADS]]]]
 *
 * The shapes are those of a layer's linear maps: forward (x * W^T), gradient of the input
 * (dy * W) and of the weights (dy^T * x). The peak is a loop of independent FMAs in registers, run
 * in all threads at once. */
#include "base/clock.h"
#include "base/cpu.h"
#include "base/memory.h"
#include "base/rng.h"
#include "kernels/gemm.h"

#include <stdio.h>
#include <stdlib.h>

#if defined(__x86_64__)
#include <immintrin.h>

enum { PEAK_ROUNDS = 20000000 };

__attribute__((target("avx512f"))) static double peak_avx512(void)
{
    __m512 sum[12], f = _mm512_set1_ps(0.999f), g = _mm512_set1_ps(1e-3f);
    for (int i = 0; i < 12; i++)
        sum[i] = _mm512_set1_ps((float)i);
    for (long n = 0; n < PEAK_ROUNDS; n++) {
#pragma GCC unroll 12
        for (int i = 0; i < 12; i++)
            sum[i] = _mm512_fmadd_ps(sum[i], f, g);
    }
    float total = 0;
    for (int i = 0; i < 12; i++)
        total += _mm512_reduce_add_ps(sum[i]);
    return total > 0 ? 12.0 * 16 * 2 * PEAK_ROUNDS : 0;
}

__attribute__((target("avx2,fma"))) static double peak_avx2(void)
{
    __m256 sum[12], f = _mm256_set1_ps(0.999f), g = _mm256_set1_ps(1e-3f);
    for (int i = 0; i < 12; i++)
        sum[i] = _mm256_set1_ps((float)i);
    for (long n = 0; n < PEAK_ROUNDS; n++) {
#pragma GCC unroll 12
        for (int i = 0; i < 12; i++)
            sum[i] = _mm256_fmadd_ps(sum[i], f, g);
    }
    float out[8], total = 0;
    for (int i = 0; i < 12; i++) {
        _mm256_storeu_ps(out, sum[i]);
        total += out[0];
    }
    return total > 0 ? 12.0 * 8 * 2 * PEAK_ROUNDS : 0;
}

static double peak_operations(void)
{
    const struct cpu_features *cpu = cpu_features();
    return cpu->avx512 ? peak_avx512() : cpu->avx2 ? peak_avx2() : 0;
}
#else
static double peak_operations(void)
{
    return 0;
}
#endif

static void peak_work(void *context, size_t thread, size_t n_threads)
{
    double *operations = context;
    (void)n_threads;
    operations[thread] = peak_operations();
}

static double measure_peak(struct thread_pool *pool)
{
    double operations[64] = {0}, total = 0, best = 0;
    for (int round = 0; round < 3; round++) {
        double start = clock_seconds();
        thread_pool_run(pool, peak_work, operations);
        double seconds = clock_seconds() - start;
        total = 0;
        for (size_t i = 0; i < thread_pool_size(pool) && i < 64; i++)
            total += operations[i];
        best = total / seconds > best ? total / seconds : best;
    }
    return best;
}

static real *random_matrix(size_t n)
{
    struct rng rng;
    rng_seed(&rng, n);
    real *x = mem_aligned(64, n, sizeof *x);
    for (size_t i = 0; x && i < n; i++)
        x[i] = (real)(rng_uniform(&rng) - 0.5);
    return x;
}

static void measure(const struct gemm *gemm, const char *name, struct gemm_job job, double peak)
{
    double operations = 2.0 * (double)job.m * (double)job.n * (double)job.k, best = 0;
    for (double end = clock_seconds() + 0.7; clock_seconds() < end;) {
        double start = clock_seconds();
        gemm_run(gemm, &job);
        double rate = operations / (clock_seconds() - start);
        best = rate > best ? rate : best;
    }
    printf("%-28s %6zu x %5zu x %6zu  %8.1f GFLOP/s", name, job.m, job.n, job.k, best / 1e9);
    if (peak > 0)
        printf("  %5.1f%% of peak", 100 * best / peak);
    putchar('\n');
}

static void measure_linear(const struct gemm *gemm, size_t rows, size_t in, size_t out, double peak)
{
    real *x = random_matrix(rows * in), *w = random_matrix(out * in),
         *y = random_matrix(rows * out);
    if (x && w && y) {
        struct gemm_job forward = {rows, out, in,   gemm_rows(x, in), gemm_transposed(w, in),
                                   y,    out, false};
        struct gemm_job input = {rows, in, out, gemm_rows(y, out), gemm_rows(w, in), x, in, false};
        struct gemm_job weights = {out, in, rows, gemm_transposed(y, out), gemm_rows(x, in),
                                   w,   in, true};
        measure(gemm, "forward (NT)", forward, peak);
        measure(gemm, "gradient of input (NN)", input, peak);
        measure(gemm, "gradient of weights (TN)", weights, peak);
    }
    mem_free(x);
    mem_free(w);
    mem_free(y);
}

static enum status measure_product(const struct dense_product *product, struct thread_pool *pool,
                                   const size_t shape[3], double peak, struct error *err)
{
    size_t rows = shape[0], dim = shape[1], ffn = shape[2];
    struct gemm gemm;
    enum status status = gemm_create(dense_select(NULL), product, pool, &gemm, err);
    if (status)
        return status;
    printf("table %s, %.1f MiB of packing blocks\n", product->name,
           (double)gemm_bytes(&gemm) / 1048576);
    measure_linear(&gemm, rows, dim, dim, peak);
    measure_linear(&gemm, rows, dim, 2 * ffn, peak);
    measure_linear(&gemm, rows, ffn, dim, peak);
    gemm_free(&gemm);
    return STATUS_OK;
}

int main(int argc, char **argv)
{
    size_t shape[3] = {2048, 256, 704};
    struct thread_pool *pool;
    struct error err = {0};
    for (int i = 0; i < 3 && i + 1 < argc; i++)
        shape[i] = strtoul(argv[i + 1], NULL, 10);
    size_t threads = argc > 4 ? strtoul(argv[4], NULL, 10) : 0;
    enum status status = thread_pool_create(threads, &pool, &err);
    if (!status) {
        double peak = measure_peak(pool);
        printf("%zu threads, FMA peak %.1f GFLOP/s\n", thread_pool_size(pool), peak / 1e9);
        status = measure_product(&dense_select(NULL)->product, pool, shape, peak, &err);
        if (!status)
            status = measure_product(dense_select_bf16(NULL), pool, shape, peak, &err);
        thread_pool_free(pool);
    }
    if (status)
        fprintf(stderr, "train_bench: %s\n", err.message);
    return status != STATUS_OK;
}
