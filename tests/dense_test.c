/* Dense kernels: every instruction set against scalar, and the products in all forms, on ragged
 * shapes, against a plain triple loop in double. Products in BF16 have their operands rounded in
 * that loop too. */
#include "base/memory.h"
#include "base/rng.h"
#include "kernels/gemm.h"
#include "kernels/half.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *const sets[] = {"scalar", "avx2", "avx512"};
enum { N_SETS = 3, MAX_N = 700 };

static void fill(float *x, size_t n, uint64_t seed)
{
    struct rng rng;
    rng_seed(&rng, seed);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)rng_normal(&rng);
}

static float at(const struct gemm_operand *o, size_t i, size_t j)
{
    return o->data[i * o->row_stride + j * o->column_stride];
}

/* C[i, j] in double, and the sum of magnitudes. */
static double exact_sum(const struct gemm_job *job, size_t i, size_t j, double start,
                        double *magnitude)
{
    double sum = start;
    *magnitude = fabs(start);
    for (size_t p = 0; p < job->k; p++) {
        double term = (double)at(&job->a, i, p) * at(&job->b, p, j);
        sum += term;
        *magnitude += fabs(term);
    }
    return sum;
}

/* Every element within the error that k float additions may make; columns from n on untouched. */
static void check_result(const struct gemm *gemm, const struct gemm_job *job, const float *before)
{
    for (size_t i = 0; i < job->m; i++)
        for (size_t j = 0; j < job->c_stride; j++) {
            float found = job->c[i * job->c_stride + j], start = before[i * job->c_stride + j];
            double magnitude = 0, sum = start;
            if (j < job->n)
                sum = exact_sum(job, i, j, job->accumulate ? start : 0, &magnitude);
            if (!(fabs(sum - found) <= (double)(job->k + 2) * 0x1p-24 * magnitude))
                fail_msg("%s: %zu x %zu x %zu: element %zu, %zu is %.9g, not %.9g",
                         gemm->product->name, job->m, job->n, job->k, i, j, found, sum);
        }
}

enum precision { IN_F32, IN_BF16 };

static void round_to_bf16(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = bf16_to_f32(f32_to_bf16(x[i]));
}

static void check_product(const struct gemm *gemm, enum precision precision, size_t m, size_t n,
                          size_t k, int form, bool accumulate, bool alone)
{
    float *a = mem_array(m * k + 1, sizeof *a), *b = mem_array(k * n + 1, sizeof *b);
    float *c = mem_array(m * (n + 3), sizeof *c), *before = mem_array(m * (n + 3), sizeof *c);
    fill(a, m * k, m + 1);
    fill(b, k * n, n + 2);
    fill(c, m * (n + 3), k + 3);
    memcpy(before, c, m * (n + 3) * sizeof *c);
    struct gemm_job job = {m,
                           n,
                           k,
                           form & 1 ? gemm_transposed(a, m) : gemm_rows(a, k),
                           form & 2 ? gemm_transposed(b, k) : gemm_rows(b, n),
                           c,
                           n + 3,
                           accumulate};
    if (alone)
        gemm_run_alone(gemm, 0, &job);
    else
        gemm_run(gemm, &job);
    if (precision == IN_BF16) {
        round_to_bf16(a, m * k);
        round_to_bf16(b, k * n);
    }
    check_result(gemm, &job, before);
    mem_free(a);
    mem_free(b);
    mem_free(c);
    mem_free(before);
}

/* Leaves infinities in the packed blocks: what a later product does not overwrite shows. */
static void poison(const struct gemm *gemm)
{
    enum { SIZE = 64 };
    static float a[SIZE * SIZE], c[SIZE * SIZE];
    for (size_t i = 0; i < SIZE * SIZE; i++)
        a[i] = INFINITY;
    struct gemm_job job = {SIZE, SIZE, SIZE, gemm_rows(a, SIZE), gemm_rows(a, SIZE),
                           c,    SIZE, false};
    gemm_run(gemm, &job);
    gemm_run_alone(gemm, 0, &job);
}

static void check_products(const struct dense_product *product, enum precision precision)
{
    static const size_t shapes[][3] = {{1, 1, 1},   {12, 32, 256}, {13, 33, 257}, {5, 70, 3},
                                       {300, 7, 2}, {3, 1000, 5},  {250, 40, 8},  {2, 2, 600},
                                       {7, 9, 0},   {32, 64, 1},   {65, 100, 33}, {400, 5, 545}};
    for (size_t threads = 1; threads <= 3; threads += 2) {
        struct thread_pool *pool;
        struct gemm gemm;
        assert_int_equal(thread_pool_create(threads, &pool, NULL), STATUS_OK);
        assert_int_equal(gemm_create(dense_select(NULL), product, pool, &gemm, NULL), STATUS_OK);
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
            for (int form = 0; form < 4; form++) {
                poison(&gemm);
                for (int how = 0; how < 4; how++)
                    check_product(&gemm, precision, shapes[i][0], shapes[i][1], shapes[i][2], form,
                                  how & 1, how & 2);
            }
        gemm_free(&gemm);
        thread_pool_free(pool);
    }
}

static void test_products(void **state)
{
    (void)state;
    for (size_t s = 0; s < N_SETS; s++)
        check_products(&dense_select(sets[s])->product, IN_F32);
}

/* Tables that this CPU lacks give another one, which is then tested twice. */
static void test_products_in_bf16(void **state)
{
    (void)state;
    for (size_t s = 0; s < N_SETS; s++)
        check_products(&dense_select(sets[s])->rounded_product, IN_BF16);
    check_products(dense_select_bf16("avx512"), IN_BF16);
    check_products(dense_select_bf16("amx"), IN_BF16);
}

/* The same bits with any number of threads, alone, and as part of a larger product. */
static void check_bits(const struct dense_product *product)
{
    enum { M = 77, N = 1000, K = 600, STRIDE = N };
    float *a = mem_array(M * K, sizeof *a), *b = mem_array(K * N, sizeof *b);
    float *first = mem_array(M * N, sizeof *first), *other = mem_array(M * N, sizeof *other);
    fill(a, M * K, 5);
    fill(b, K * N, 6);
    for (size_t threads = 1; threads <= 3; threads++) {
        struct thread_pool *pool;
        struct gemm gemm;
        float *c = threads == 1 ? first : other;
        assert_int_equal(thread_pool_create(threads, &pool, NULL), STATUS_OK);
        assert_int_equal(gemm_create(dense_select(NULL), product, pool, &gemm, NULL), STATUS_OK);
        struct gemm_job job = {M, N, K, gemm_rows(a, K), gemm_rows(b, N), c, STRIDE, false};
        gemm_run(&gemm, &job);
        assert_memory_equal(first, c, M * N * sizeof *c);
        job.m = 33;
        job.n = 41;
        job.c = other;
        gemm_run_alone(&gemm, threads - 1, &job);
        for (size_t i = 0; i < job.m; i++)
            assert_memory_equal(first + i * N, other + i * N, job.n * sizeof *other);
        gemm_free(&gemm);
        thread_pool_free(pool);
    }
    mem_free(a);
    mem_free(b);
    mem_free(first);
    mem_free(other);
}

static void test_same_bits(void **state)
{
    (void)state;
    for (size_t s = 0; s < N_SETS; s++) {
        check_bits(&dense_select(sets[s])->product);
        check_bits(&dense_select(sets[s])->rounded_product);
    }
    check_bits(dense_select_bf16("avx512"));
    check_bits(dense_select_bf16("amx"));
}

static void near_enough(const char *set, const char *what, size_t n, const float *x, const float *y)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabsf(x[i] - y[i]) <= 2e-5f * (1 + fabsf(y[i]))))
            fail_msg("%s, %s of %zu: element %zu is %g, scalar says %g", set, what, n, i, x[i],
                     y[i]);
}

/* Runs everything that `k` has on n elements; results go to out[0..10 * n + 2). */
static void run_all(const struct dense_kernels *k, size_t n, float *out)
{
    static float a[MAX_N], b[MAX_N], c[MAX_N], m[MAX_N], v[MAX_N];
    const struct adamw_step step = {.rate = 0.01f,
                                    .beta1 = 0.9f,
                                    .beta2 = 0.95f,
                                    .epsilon = 1e-8f,
                                    .decay = 0.001f,
                                    .correction1 = 0.19f,
                                    .correction2 = 0.1f,
                                    .gradient_scale = 0.5f};
    fill(a, n, 1);
    fill(b, n, 2);
    fill(c, n, 3);
    memset(m, 0, sizeof m);
    memset(v, 0, sizeof v);
    memset(out, 0, (10 * n + 2) * sizeof *out);
    out[10 * n] = k->dot(a, b, n) / (float)n;
    out[10 * n + 1] = (float)k->square_sum(a, n) / (float)n;
    k->rms_norm(a, b, 0.7f, out, n);
    k->rms_norm_backward(a, b, 0.7f, c, out + n, n);
    k->rms_norm_weight(a, 0.7f, c, out + 2 * n, n);
    k->swiglu(a, b, out + 3 * n, n);
    k->swiglu_backward(a, b, c, out + 4 * n, out + 5 * n, n);
    memcpy(out + 6 * n, a, n * sizeof *a);
    k->scale(out + 6 * n, 20, n); /* a wide range for exp */
    k->softmax(out + 6 * n, n);
    memcpy(out + 7 * n, b, n * sizeof *b);
    k->softmax_backward(out + 6 * n, out + 7 * n, 0.3f, n);
    memcpy(out + 8 * n, a, n * sizeof *a);
    k->add(out + 8 * n, b, n);
    k->add_scaled(out + 8 * n, c, 3, n);
    if (n >= 2) {
        k->rope(out + 8 * n, b, c, n / 2);
        k->rope_backward(out + 8 * n, c, b, n / 2);
    }
    memcpy(out + 9 * n, a, n * sizeof *a);
    k->adamw(&step, out + 9 * n, b, m, v, n);
    k->adamw(&step, out + 9 * n, c, m, v, n);
}

static void test_loops(void **state)
{
    static const size_t lengths[] = {1, 2, 7, 15, 16, 17, 33, 64, 100, MAX_N};
    static float expected[10 * MAX_N + 2], found[10 * MAX_N + 2];
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        run_all(dense_select("scalar"), lengths[i], expected);
        for (size_t s = 1; s < N_SETS; s++) {
            run_all(dense_select(sets[s]), lengths[i], found);
            near_enough(sets[s], "loops", 10 * lengths[i] + 2, found, expected);
        }
    }
}

static void test_softmax_is_that_of_the_library(void **state)
{
    (void)state;
    for (size_t s = 0; s < N_SETS; s++) {
        float x[MAX_N], y[MAX_N];
        double sum = 0;
        fill(x, MAX_N, 9);
        for (size_t i = 0; i < MAX_N; i++)
            sum += exp(10.0 * (x[i] *= 10) / 10);
        memcpy(y, x, sizeof y);
        float log_sum = dense_select(sets[s])->softmax(y, MAX_N);
        assert_true(fabs(log_sum - log(sum)) < 1e-5 * fabs(log(sum)));
        for (size_t i = 0; i < MAX_N; i++)
            if (fabs(y[i] - exp(x[i]) / sum) > 1e-5 * exp(x[i]) / sum + 1e-30)
                fail_msg("%s: softmax %zu is %g", sets[s], i, y[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_products_in_bf16),
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_loops),
        cmocka_unit_test(test_softmax_is_that_of_the_library),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
