/* Statistics against values worked out by hand or published. */
#include "eval/latency.h"
#include "eval/statistics.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void assert_near(double value, double expected, double tolerance)
{
    if (!(fabs(value - expected) <= tolerance))
        fail_msg("%.9g is not %.9g within %.2g", value, expected, tolerance);
}

static void test_wilson(void **state)
{
    (void)state;
    struct interval i = statistics_wilson(25, 50);
    assert_near(i.low, 0.366445, 1e-5);
    assert_near(i.high, 0.633555, 1e-5);
    i = statistics_wilson(8, 10);
    assert_near(i.low, 0.490162, 1e-5);
    assert_near(i.high, 0.943317, 1e-5);
    i = statistics_wilson(0, 13); /* z^2 / (n + z^2) */
    assert_true(i.low == 0);
    assert_near(i.high, 0.228096, 1e-5);
    assert_true(statistics_wilson(13, 13).high == 1);
    i = statistics_wilson(0, 0);
    assert_true(i.low == 0 && i.high == 1);
}

static void test_score(void **state)
{
    (void)state;
    struct score s = statistics_score(8, 10);
    assert_near(s.value, 8, 1e-12);
    assert_near(s.interval.low, 4.90162, 1e-4);
    assert_int_equal(s.n, 10);
}

static void test_sign_test(void **state)
{
    (void)state;
    assert_near(statistics_sign_test(6, 0), 2.0 / 64, 1e-12);
    assert_near(statistics_sign_test(5, 0), 2.0 / 32, 1e-12);
    assert_near(statistics_sign_test(8, 1), 20.0 / 512, 1e-12);
    assert_near(statistics_sign_test(1, 8), 20.0 / 512, 1e-12);
    assert_near(statistics_sign_test(7, 1), 18.0 / 256, 1e-12);
    assert_true(statistics_sign_test(10, 2) < 0.05);
    assert_true(statistics_sign_test(9, 2) > 0.05);
    assert_true(statistics_sign_test(13, 4) < 0.05);
    assert_true(statistics_sign_test(12, 4) > 0.05);
    assert_true(statistics_sign_test(0, 0) == 1);
    assert_true(statistics_sign_test(3, 3) == 1);
    assert_true(statistics_sign_test(4, 3) == 1);
    assert_true(isfinite(statistics_sign_test(4000, 3000)));
}

static void test_paired(void **state)
{
    (void)state;
    const unsigned char a[12] = {1, 1, 1, 1, 1, 1, 1, 0, 1, 0, 0, 1};
    const unsigned char b[12] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0};
    struct paired p = statistics_paired(a, b, 12, 1);
    assert_int_equal(p.wins, 8);
    assert_int_equal(p.losses, 1);
    assert_int_equal(p.both_right, 1);
    assert_int_equal(p.both_wrong, 2);
    assert_near(p.difference, 7.0 / 12, 1e-12);
    assert_true(p.interval.low > 0.05 && p.interval.low < p.difference);
    assert_true(p.interval.high > p.difference && p.interval.high <= 1);
    assert_int_equal(statistics_finding(&p), FINDING_A_BETTER);
    struct paired again = statistics_paired(a, b, 12, 1);
    assert_memory_equal(&p, &again, sizeof p);
    struct paired turned = statistics_paired(b, a, 12, 1);
    assert_int_equal(statistics_finding(&turned), FINDING_B_BETTER);
    assert_near(turned.p, p.p, 0);
}

static void test_paired_without_evidence(void **state)
{
    (void)state;
    const unsigned char a[8] = {1, 1, 1, 1, 1, 0, 0, 0};
    const unsigned char b[8] = {0};
    struct paired p = statistics_paired(a, b, 8, 1);
    assert_int_equal(statistics_finding(&p), FINDING_UNDECIDED); /* 5 : 0 */
    p = statistics_paired(a, a, 8, 1);
    assert_true(p.p == 1 && p.interval.low == 0 && p.interval.high == 0);
    p = statistics_paired(a, b, 0, 1);
    assert_int_equal(statistics_finding(&p), FINDING_NOTHING_MEASURED);
    assert_true(p.interval.low == -1 && p.interval.high == 1);
}

/* With 40 : 20 of 200 the interval is about 0.1 +- 1.96 * sqrt((60/200 - 0.01) / 200). */
static void test_bootstrap_width(void **state)
{
    (void)state;
    unsigned char a[200] = {0}, b[200] = {0};
    memset(a, 1, 40);
    memset(b + 40, 1, 20);
    struct paired p = statistics_paired(a, b, 200, 7);
    assert_near(p.interval.low, 0.1 - 0.0746, 0.012);
    assert_near(p.interval.high, 0.1 + 0.0746, 0.012);
}

static void test_summary(void **state)
{
    (void)state;
    double values[5] = {5, 1, 4, 2, 3};
    struct summary s = statistics_summary(values, 5);
    assert_near(s.mean, 3, 1e-12);
    assert_near(s.median, 3, 1e-12);
    assert_near(s.p90, 4.6, 1e-12);
    assert_near(s.min, 1, 0);
    assert_near(s.max, 5, 0);
    assert_int_equal(statistics_summary(values, 0).n, 0);
    double one[1] = {7};
    assert_near(statistics_summary(one, 1).p95, 7, 0);
}

static void test_latency_anchors(void **state)
{
    (void)state;
    struct latency best = {.first_token_seconds = 0.1,
                           .generation_rate = 100,
                           .prompt_rate = 10000,
                           .ready_seconds = 0.5,
                           .peak_bytes = (size_t)512 << 20};
    assert_near(latency_score(&best), 10, 1e-9);
    struct latency worst = {.first_token_seconds = 30,
                            .generation_rate = 0.5,
                            .prompt_rate = 1,
                            .ready_seconds = 100,
                            .peak_bytes = (size_t)64 << 30};
    assert_near(latency_score(&worst), 0, 1e-9);
    struct latency middle = {.first_token_seconds = 1, /* halfway of 0.1 to 10 */
                             .generation_rate = 10,    /* halfway of 1 to 100 */
                             .prompt_rate = sqrt(10.0 * 10000),
                             .ready_seconds = sqrt(0.5 * 60),
                             .peak_bytes = (size_t)4 << 30};
    assert_near(latency_score(&middle), 5, 1e-9);
    double weights = 0;
    for (size_t i = 0; i < N_LATENCY_PARTS; i++)
        weights += latency_parts[i].weight;
    assert_near(weights, 1, 1e-12);
}

static void test_latency_not_measured(void **state)
{
    (void)state;
    struct latency nothing = {0};
    assert_true(latency_score(&nothing) == 0);
    struct latency no_memory = {.first_token_seconds = 0.1,
                                .generation_rate = 100,
                                .prompt_rate = 10000,
                                .ready_seconds = 0.5};
    assert_near(latency_score(&no_memory), 8, 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wilson),
        cmocka_unit_test(test_score),
        cmocka_unit_test(test_sign_test),
        cmocka_unit_test(test_paired),
        cmocka_unit_test(test_paired_without_evidence),
        cmocka_unit_test(test_bootstrap_width),
        cmocka_unit_test(test_summary),
        cmocka_unit_test(test_latency_anchors),
        cmocka_unit_test(test_latency_not_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
