/* Pace: how long steps get and how fast prompts are, on made-up machines with known costs. */
#include "engine/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

enum { LAYERS = 24, MOST = 512 };

/* Seconds of a machine's work. */
struct machine {
    double decode;    /* of a pass of one row; others cost a tenth of it */
    double weights;   /* of a layer of a pass over prompts, whatever its rows */
    double row;       /* and for each */
    double attention; /* and for each of a row's positions before it */
    double stall;     /* what the system takes for itself, once in fifty times */
    unsigned noise;   /* state */
};

static double noise(struct machine *m)
{
    m->noise = m->noise * 1664525u + 1013904223u;
    return (m->noise >> 8) % 1000 / 1000.0;
}

static double with_noise(struct machine *m, double seconds)
{
    return seconds * (1 + 0.04 * noise(m)) + (noise(m) < 0.02 ? m->stall : 0);
}

static double decode_seconds(const struct machine *m, size_t n)
{
    return m->decode * (1 + 0.1 * (double)(n - 1));
}

static double layer_seconds(const struct machine *m, size_t n, size_t position)
{
    return m->weights + (double)n * (m->row + m->attention * (double)position);
}

struct outcome {
    size_t steps, too_long;   /* those of more than 2.2 times decoding alone */
    double seconds, decoding; /* of all steps; of their decoding */
    double longest, alone;    /* step; decoding */
};

/* One step beside n_decode others: decodes, then computes layers as the scheduler does. */
static double step(struct pace *pace, struct machine *m, size_t n_decode, size_t rows,
                   size_t position, size_t *left, double *pass)
{
    double seconds = with_noise(m, decode_seconds(m, n_decode)), layer = 0;
    pace_learn_decoding(pace, n_decode, seconds);
    double most = pace_step_seconds(pace, n_decode, 1);
    while (*left > 0 && seconds + layer < most) {
        layer = with_noise(m, layer_seconds(m, rows, position));
        seconds += layer;
        *pass += layer;
        --*left;
    }
    return seconds;
}

/* A prompt of `length` tokens is computed beside n_decode others. */
static struct outcome run_prompt(struct pace *pace, struct machine *m, size_t n_decode,
                                 size_t length)
{
    struct outcome o = {.alone = decode_seconds(m, n_decode)};
    for (size_t done = 0, n; done < length; done += n) {
        n = pace_prompt_rows(pace, n_decode, 1, LAYERS, MOST);
        n = n < length - done ? n : length - done;
        double pass = 0;
        for (size_t left = LAYERS; left > 0;) {
            double seconds = step(pace, m, n_decode, n, done, &left, &pass);
            o.seconds += seconds;
            o.decoding += o.alone;
            o.steps++;
            o.too_long += seconds > 2.2 * o.alone;
            o.longest = seconds > o.longest ? seconds : o.longest;
        }
        pace_learn_prompts(pace, n, pass);
    }
    return o;
}

static const struct machine machines[] = {
    {.decode = 0.035, .weights = 3e-4, .row = 4e-5, .attention = 2e-8, .noise = 1},
    {.decode = 0.006, .weights = 2e-4, .row = 3e-5, .attention = 1e-8, .noise = 2},
    {.decode = 0.150, .weights = 2e-3, .row = 1e-3, .attention = 5e-8, .noise = 3},
    {.decode = 0.006, .weights = 2e-4, .row = 3e-5, .attention = 1e-8, .stall = 0.005, .noise = 4},
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
            run_prompt(&pace, &m, decoding[k], 512); /* not known yet */
            struct outcome o = run_prompt(&pace, &m, decoding[k], 8192);
            assert_true(o.too_long * (m.stall > 0 ? 20 : 200) <= o.steps);
            assert_true(m.stall > 0 || o.longest < 2.5 * o.alone);
        }
}

/* Most of what a step has left is used for the prompt. */
static void test_prompts_get_what_they_may(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_MACHINES; i++) {
        struct machine m = machines[i];
        struct pace pace = {0};
        run_prompt(&pace, &m, 4, 512);
        struct outcome o = run_prompt(&pace, &m, 4, 8192);
        double left = (PACE_STRETCH - 1) * o.decoding;
        assert_true(o.seconds - o.decoding > 0.7 * left);
        assert_true(o.seconds - o.decoding < 1.3 * left);
    }
}

/* However little a step has left, or however dear a layer is, the prompt goes on. */
static void test_prompts_always_go_on(void **state)
{
    (void)state;
    struct machine m = {.decode = 0.001, .weights = 0.01, .row = 0.01, .noise = 1};
    struct pace pace = {0};
    struct outcome o = run_prompt(&pace, &m, 1, 200);
    assert_in_range(o.steps, 1, 200 / 8 * LAYERS + LAYERS);
}

static void test_a_delay_is_forgotten_and_a_change_believed(void **state)
{
    (void)state;
    struct pace pace = {0};
    for (int i = 0; i < 100; i++)
        pace_learn_decoding(&pace, 2, 0.01);
    double before = pace_step_seconds(&pace, 2, 1);
    assert_float_equal(pace_prompt_seconds(&pace, 2, 1), before - 0.01, 1e-6);
    assert_true(pace_prompt_seconds(&pace, 0, 1) == pace_step_seconds(&pace, 0, 1));
    assert_float_equal(before, PACE_STRETCH * 0.01, 1e-6);
    pace_learn_decoding(&pace, 2, 5);
    assert_true(pace_step_seconds(&pace, 2, 1) < 1.1 * before);
    for (int i = 0; i < 100; i++)
        pace_learn_decoding(&pace, 2, 0.01);
    assert_float_equal(pace_step_seconds(&pace, 2, 1), before, 0.01 * before);
    for (int i = 0; i < 100; i++)
        pace_learn_decoding(&pace, 2, 0.04);
    assert_float_equal(pace_step_seconds(&pace, 2, 1), 4 * before, 0.2 * before);
}

static void test_prompts_alone_take_half_a_second(void **state)
{
    (void)state;
    struct pace pace = {0};
    assert_int_equal(pace_prompt_rows(&pace, 0, 1, LAYERS, MOST), 64);
    pace_learn_prompts(&pace, 64, 0.32);
    assert_in_range(pace_prompt_rows(&pace, 0, 1, LAYERS, MOST), 96, 101);
    pace_learn_prompts(&pace, 100, 0.01);
    assert_int_equal(pace_prompt_rows(&pace, 0, 1, LAYERS, MOST), MOST);
    pace_learn_prompts(&pace, 512, 512);
    assert_int_equal(pace_prompt_rows(&pace, 0, 1, LAYERS, MOST), 8);
    assert_int_equal(pace_prompt_rows(&pace, 0, 1, LAYERS, 5), 5);
}

/* The next prompt does not wait for long: a pass with all its steps is over in about a second. */
static void test_a_pass_beside_others_is_short(void **state)
{
    (void)state;
    struct pace pace = {0};
    pace_learn_decoding(&pace, 1, 0.1);
    pace_learn_prompts(&pace, 100, 1);
    double part = 1 - 1 / PACE_STRETCH;
    size_t rows = pace_prompt_rows(&pace, 1, 1, 1000, MOST);
    assert_in_range(rows, (size_t)(part * 100) - 8, (size_t)(part * 100));
}

static void test_a_crowd_of_prompts_counts_for_more(void **state)
{
    (void)state;
    struct pace pace = {0};
    pace_learn_decoding(&pace, 2, 0.01);
    pace_learn_prompts(&pace, 100, 0.2);
    double one = pace_step_seconds(&pace, 2, 1);
    assert_float_equal(pace_step_seconds(&pace, 2, 2), one, 1e-9);
    assert_float_equal(pace_step_seconds(&pace, 2, 6), 3 * one, 1e-9);
    assert_float_equal(pace_step_seconds(&pace, 2, 600), 4 * one, 1e-9);
    size_t rows = pace_prompt_rows(&pace, 2, 1, LAYERS, MOST);
    assert_true(pace_prompt_rows(&pace, 2, 6, LAYERS, MOST) > rows);
}

static void test_odd_sizes(void **state)
{
    (void)state;
    for (size_t n = 0; n < 2000; n += n < 70 ? 1 : 97)
        for (size_t most = 1; most < 20; most++) {
            struct pace pace = {0};
            assert_in_range(pace_prompt_rows(&pace, n, 1, LAYERS, most), 1, most);
            pace_learn_decoding(&pace, n, 0.01);
            assert_in_range(pace_prompt_rows(&pace, n, 1, LAYERS, most), 1, most);
            pace_learn_prompts(&pace, 8, 1e-9);
            assert_in_range(pace_prompt_rows(&pace, n, 1, LAYERS, most), 1, most);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens_of_others_do_not_stall),
        cmocka_unit_test(test_prompts_get_what_they_may),
        cmocka_unit_test(test_prompts_always_go_on),
        cmocka_unit_test(test_a_delay_is_forgotten_and_a_change_believed),
        cmocka_unit_test(test_prompts_alone_take_half_a_second),
        cmocka_unit_test(test_a_pass_beside_others_is_short),
        cmocka_unit_test(test_a_crowd_of_prompts_counts_for_more),
        cmocka_unit_test(test_odd_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
