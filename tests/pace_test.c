/* Pace: how many prompt rows steps take, on made-up machines with known costs. */
#include "engine/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

/* A machine whose steps take: the weights, tiles of rows, and attention over earlier positions. */
struct machine {
    double weights, row, tile; /* seconds; a tile has 16 rows, and counts from 5 rows on */
    double attention;          /* per prompt row and position before it */
    double walk;               /* per position, for all rows of the prompt together */
    unsigned noise;            /* state; 0: none */
};

static double noise(struct machine *m)
{
    if (m->noise == 0)
        return 1;
    m->noise = m->noise * 1664525u + 1013904223u;
    return 1 + 0.04 * ((m->noise >> 8) % 1000 / 1000.0);
}

static double step_seconds(struct machine *m, size_t n_decode, size_t n_prompt, size_t position)
{
    size_t rows = n_decode + n_prompt, tiles = rows > 4 ? (rows + 15) / 16 : 0;
    return noise(m) *
           (m->weights + m->row * (double)rows + m->tile * (double)tiles +
            (n_prompt ? m->walk + m->attention * (double)n_prompt : 0) * (double)position);
}

struct outcome {
    size_t steps, too_long; /* with prompt rows; longer than 2.5 times decoding alone */
    double seconds, longest, alone;
};

/* A prompt of `length` tokens is computed beside n_decode others. */
static struct outcome run_prompt(struct pace *pace, struct machine *m, size_t n_decode,
                                 size_t length)
{
    struct outcome o = {.alone = step_seconds(m, n_decode, 0, 0)};
    for (size_t done = 0; done < length;) {
        size_t n = pace_prompt_rows(pace, n_decode, 1, 512 - n_decode);
        if (n > length - done)
            n = length - done;
        double seconds = step_seconds(m, n_decode, n, done);
        pace_learn(pace, n_decode, n, seconds);
        done += n;
        o.seconds += seconds;
        o.steps += n > 0;
        o.too_long += n > 0 && seconds > 2.5 * o.alone;
        o.longest = seconds > o.longest ? seconds : o.longest;
    }
    return o;
}

static const struct machine machines[] = {
    {.weights = 0.035, .row = 0.001, .tile = 0.010, .attention = 4e-7, .noise = 1},
    {.weights = 0.012, .row = 0.0009, .tile = 0.001, .attention = 1e-7, .walk = 1e-6, .noise = 2},
    {.weights = 0.030, .row = 0.0002, .tile = 0.018, .attention = 5e-7, .noise = 3},
};
enum { N_MACHINES = sizeof machines / sizeof *machines };

static void test_tokens_of_others_do_not_stall(void **state)
{
    (void)state;
    static const size_t decoding[] = {1, 3, 8, 40};
    for (size_t i = 0; i < N_MACHINES; i++)
        for (size_t k = 0; k < 4; k++) {
            struct machine m = machines[i];
            struct pace pace = {0};
            struct outcome o = run_prompt(&pace, &m, decoding[k], 8192);
            assert_true(o.too_long * 100 <= o.steps);
            o = run_prompt(&pace, &m, decoding[k], 8192);
            assert_true(o.longest < 2.5 * o.alone);
        }
}

/* What is left of the stretch is used: never less than a third of what fits at the position. */
static void test_prompts_get_what_they_may(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_MACHINES; i++) {
        struct machine m = machines[i];
        struct pace pace = {0};
        run_prompt(&pace, &m, 4, 2000);
        double alone = step_seconds(&m, 4, 0, 0);
        for (size_t position = 0; position < 4096; position += 512) {
            size_t fits = 0, n = 0;
            while (step_seconds(&m, 4, fits + 1, position) < 0.975 * PACE_STRETCH * alone)
                fits++;
            for (int step = 0; step < 60; step++) {
                n = pace_prompt_rows(&pace, 4, 1, 508);
                pace_learn(&pace, 4, n, step_seconds(&m, 4, n, position));
            }
            n = n ? n : pace_prompt_rows(&pace, 4, 1, 508);
            assert_in_range(n, fits / 3, fits + 8);
        }
    }
}

static void test_a_delay_is_forgotten(void **state)
{
    (void)state;
    struct machine m = machines[1];
    struct pace pace = {0};
    run_prompt(&pace, &m, 2, 2000);
    size_t before = pace_prompt_rows(&pace, 2, 1, 510);
    if (before == 0) {
        pace_learn(&pace, 2, 0, step_seconds(&m, 2, 0, 0));
        before = pace_prompt_rows(&pace, 2, 1, 510);
    }
    pace_learn(&pace, 2, 0, 5); /* seconds */
    pace_learn(&pace, 2, before, 5);
    run_prompt(&pace, &m, 2, 2000);
    size_t after = pace_prompt_rows(&pace, 2, 1, 510);
    assert_in_range(after, before / 2, 2 * before);
}

static void test_prompts_alone_take_half_a_second(void **state)
{
    (void)state;
    struct pace pace = {0};
    assert_int_equal(pace_prompt_rows(&pace, 0, 1, 512), 64);
    pace_learn(&pace, 0, 64, 0.32);
    assert_in_range(pace_prompt_rows(&pace, 0, 1, 512), 99, 101);
    pace_learn(&pace, 0, 100, 0.01);
    assert_int_equal(pace_prompt_rows(&pace, 0, 1, 512), 512);
    pace_learn(&pace, 0, 512, 512);
    assert_int_equal(pace_prompt_rows(&pace, 0, 1, 512), 32);
    assert_int_equal(pace_prompt_rows(&pace, 0, 1, 5), 5);
}

static void test_a_crowd_of_prompts_counts_for_more(void **state)
{
    (void)state;
    struct machine m = machines[1];
    struct pace pace = {0};
    run_prompt(&pace, &m, 2, 4000);
    pace_learn(&pace, 2, 0, step_seconds(&m, 2, 0, 0));
    size_t one = pace_prompt_rows(&pace, 2, 1, 510), many;
    assert_int_equal(pace_prompt_rows(&pace, 2, 2, 510), one);
    for (int step = 0; step < 60; step++) {
        many = pace_prompt_rows(&pace, 2, 6, 510);
        pace_learn(&pace, 2, many, step_seconds(&m, 2, many, 0));
    }
    many = pace_prompt_rows(&pace, 2, 6, 510);
    assert_in_range(many, 2 * one, 510);
    assert_true(step_seconds(&m, 2, many, 0) < 3 * 2.5 * step_seconds(&m, 2, 0, 0));
}

static void test_odd_sizes(void **state)
{
    (void)state;
    struct pace pace = {0};
    for (size_t n = 1; n < 2000; n += n < 70 ? 1 : 97)
        for (size_t most = 0; most < 3; most++) {
            assert_int_equal(pace_prompt_rows(&pace, n, 1, most), 0);
            pace_learn(&pace, n, 0, 0.01);
            size_t rows = pace_prompt_rows(&pace, n, 1, most);
            assert_in_range(rows, most > 0, most);
            pace_learn(&pace, n, rows, 0.02);
            pace = (struct pace){0};
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens_of_others_do_not_stall),
        cmocka_unit_test(test_prompts_get_what_they_may),
        cmocka_unit_test(test_a_delay_is_forgotten),
        cmocka_unit_test(test_prompts_alone_take_half_a_second),
        cmocka_unit_test(test_a_crowd_of_prompts_counts_for_more),
        cmocka_unit_test(test_odd_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
