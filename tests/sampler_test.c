/* The sampler against a plain reference: everything sorted, everything in double. */
#include "base/memory.h"
#include "engine/sampler.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 60, MAX_HISTORY = 32 };

struct history {
    int32_t prompt[MAX_HISTORY], answer[MAX_HISTORY];
    size_t n_prompt, n_answer;
};

struct ranked {
    double score;
    int id;
};

static int by_score_ascending(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? -1 : 1;
    return x->id - y->id;
}

static bool contains(const int32_t *ids, size_t n, int id)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] == id)
            return true;
    return false;
}

static void reference_scores(const struct sampling *s, const struct history *h, const float *logits,
                             double *scores)
{
    for (int id = 0; id < N; id++) {
        double x = logits[id];
        int count = 0;
        for (size_t i = 0; i < h->n_answer; i++)
            count += h->answer[i] == id;
        if (contains(h->prompt, h->n_prompt, id) || count)
            x = x < 0 ? x * s->repetition_penalty : x / s->repetition_penalty;
        x -= s->frequency_penalty * count + (count ? s->presence_penalty : 0);
        for (size_t i = 0; i < s->n_logit_bias; i++)
            if (s->logit_bias[i].token == id)
                x += s->logit_bias[i].bias;
        scores[id] = x;
    }
}

static void softmax(double *x)
{
    double largest = -INFINITY, sum = 0;
    for (int i = 0; i < N; i++)
        largest = fmax(largest, x[i]);
    for (int i = 0; i < N; i++)
        sum += x[i] = exp(x[i] - largest);
    for (int i = 0; i < N; i++)
        x[i] /= sum;
}

/* The probabilities that a draw must have: temperature, top-k, top-p, min-p, one by one, as
 * the definitions have it. */
static void reference_probabilities(const struct sampling *s, const struct history *h,
                                    const float *logits, double *p)
{
    struct ranked sorted[N];
    double q[N];
    reference_scores(s, h, logits, p);
    for (int i = 0; i < N; i++)
        p[i] = (double)((float)p[i] / (float)s->temperature);
    if (s->top_k > 0 && s->top_k < N) {
        for (int i = 0; i < N; i++)
            sorted[i] = (struct ranked){p[i], i};
        qsort(sorted, N, sizeof *sorted, by_score_ascending);
        double kth = sorted[N - s->top_k].score;
        for (int i = 0; i < N; i++)
            if (p[i] < kth)
                p[i] = -INFINITY;
    }
    if (s->top_p < 1) {
        for (int i = 0; i < N; i++)
            sorted[i] = (struct ranked){p[i], i};
        qsort(sorted, N, sizeof *sorted, by_score_ascending);
        memcpy(q, p, sizeof q);
        softmax(q);
        double sum = 0;
        for (int i = 0; i < N - 1; i++) {
            sum += q[sorted[i].id];
            if (sum <= 1 - s->top_p)
                p[sorted[i].id] = -INFINITY;
        }
    }
    if (s->min_p > 0) {
        double largest = 0;
        memcpy(q, p, sizeof q);
        softmax(q);
        for (int i = 0; i < N; i++)
            largest = fmax(largest, q[i]);
        for (int i = 0; i < N; i++)
            if (q[i] < s->min_p * largest)
                p[i] = -INFINITY;
    }
    softmax(p);
}

static struct sampler *make(const struct sampling *s, const struct history *h)
{
    struct sampler *sampler;
    struct error err = {0};
    if (sampler_create(s, N, &sampler, &err))
        fail_msg("%s", err.message);
    for (size_t i = 0; i < h->n_prompt; i++)
        sampler_accept(sampler, h->prompt[i], false);
    for (size_t i = 0; i < h->n_answer; i++)
        sampler_accept(sampler, h->answer[i], true);
    return sampler;
}

static void random_logits(struct rng *rng, float *logits)
{
    for (int i = 0; i < N; i++)
        logits[i] = (float)rng_normal(rng) * 2;
    for (int i = 0; i < N / 4; i++) /* ties */
        logits[rng_below(rng, N)] = logits[rng_below(rng, N)];
}

static void random_history(struct rng *rng, struct history *h)
{
    h->n_prompt = rng_below(rng, 10);
    h->n_answer = rng_below(rng, 10);
    for (size_t i = 0; i < h->n_prompt; i++)
        h->prompt[i] = (int32_t)rng_below(rng, N);
    for (size_t i = 0; i < h->n_answer; i++)
        h->answer[i] = (int32_t)rng_below(rng, N / 4);
}

/* Draws with consecutive seeds; the statistic has a chi-square distribution when the draws have
 * the reference's probabilities. */
static void check_distribution(const struct sampling *base, const struct history *h,
                               const float *logits, int which)
{
    enum { DRAWS = 4000 };
    struct sampling s = *base;
    double p[N], statistic = 0;
    int seen[N] = {0}, categories = 0;
    reference_probabilities(&s, h, logits, p);
    for (int i = 0; i < DRAWS; i++) {
        float copy[N];
        struct token_choice choice;
        s.seed = (uint64_t)(which * DRAWS + i);
        struct sampler *sampler = make(&s, h);
        memcpy(copy, logits, sizeof copy);
        sampler_choose(sampler, copy, NULL, false, 0, &choice);
        sampler_free(sampler);
        seen[choice.token]++;
    }
    double rest_seen = 0, rest_expected = 0;
    for (int i = 0; i < N; i++) {
        double expected = p[i] * DRAWS;
        if (p[i] == 0 && seen[i])
            fail_msg("case %d: token %d should have been removed", which, i);
        if (expected >= 5) {
            statistic += (seen[i] - expected) * (seen[i] - expected) / expected;
            categories++;
        } else {
            rest_seen += seen[i];
            rest_expected += expected;
        }
    }
    if (rest_expected >= 1)
        statistic += (rest_seen - rest_expected) * (rest_seen - rest_expected) / rest_expected;
    /* Wilson and Hilferty's approximation of the quantile at about 1 - 1e-5. */
    double d = categories > 0 ? categories : 1, t = 1 - 2 / (9 * d) + 4.3 * sqrt(2 / (9 * d));
    if (statistic > d * t * t * t)
        fail_msg("case %d: chi-square %g with %d categories", which, statistic, categories);
}

static void test_draws_have_the_references_distribution(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 7);
    struct logit_bias bias[] = {{3, 2.5f}, {11, -4}};
    for (int which = 0; which < 40; which++) {
        float logits[N];
        struct history h;
        random_logits(&rng, logits);
        random_history(&rng, &h);
        struct sampling s = sampling_greedy;
        s.greedy = false;
        s.temperature = which % 3 ? 0.5 + rng_uniform(&rng) : 1;
        s.top_k = which & 1 ? 1 + (int64_t)rng_below(&rng, N + 10) : 0;
        s.top_p = which & 2 ? 0.2 + 0.8 * rng_uniform(&rng) : 1;
        s.min_p = which & 4 ? 0.3 * rng_uniform(&rng) : 0;
        if (which & 8)
            s.repetition_penalty = 1.3;
        if (which & 16) {
            s.frequency_penalty = 0.4;
            s.presence_penalty = -0.3;
            s.logit_bias = bias;
            s.n_logit_bias = 2;
        }
        check_distribution(&s, &h, logits, which);
    }
}

static void test_greedy_follows_the_penalties(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 8);
    for (int which = 0; which < 300; which++) {
        float logits[N], copy[N];
        double scores[N];
        struct history h;
        struct token_choice choice;
        random_logits(&rng, logits);
        random_history(&rng, &h);
        struct sampling s = sampling_greedy;
        s.repetition_penalty = 0.5 + rng_uniform(&rng);
        s.frequency_penalty = rng_uniform(&rng) - 0.5;
        s.presence_penalty = rng_uniform(&rng) - 0.5;
        struct sampler *sampler = make(&s, &h);
        memcpy(copy, logits, sizeof copy);
        sampler_choose(sampler, copy, NULL, false, 0, &choice);
        sampler_free(sampler);
        reference_scores(&s, &h, logits, scores);
        for (int i = 0; i < N; i++)
            assert_true(scores[i] <= scores[choice.token] + 1e-5);
    }
}

static void test_greedy_takes_the_smallest_id_of_a_tie(void **state)
{
    (void)state;
    float logits[N] = {0};
    logits[9] = logits[5] = logits[30] = 2;
    struct token_choice choice;
    struct sampler *sampler = make(&sampling_greedy, &(struct history){0});
    sampler_choose(sampler, logits, NULL, true, 4, &choice);
    sampler_free(sampler);
    assert_int_equal(choice.token, 5);
    const int expected[] = {5, 9, 30, 0};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(choice.top[i].token, expected[i]);
    assert_int_equal(choice.n_top, 4);
    assert_true(choice.top[0].logprob == choice.logprob);
    double sum = 3 * exp(2) + N - 3;
    assert_true(fabs(choice.logprob - log(exp(2) / sum)) < 1e-6);
    assert_true(fabs(choice.top[3].logprob - log(1 / sum)) < 1e-6);
}

static void test_logprobs_are_of_the_models_own_distribution(void **state)
{
    (void)state;
    float logits[N] = {0}, plain[N] = {0};
    logits[4] = plain[4] = 3;
    struct logit_bias bias = {17, 50};
    struct sampling s = sampling_greedy;
    s.greedy = false;
    s.temperature = 0.3;
    s.logit_bias = &bias;
    s.n_logit_bias = 1;
    struct token_choice choice;
    struct sampler *sampler = make(&s, &(struct history){0});
    sampler_choose(sampler, logits, NULL, true, 1, &choice);
    sampler_free(sampler);
    assert_int_equal(choice.token, 17);
    assert_true(fabs(choice.logprob + log(exp(3) + N - 1)) < 1e-5);
    assert_int_equal(choice.top[0].token, 4);
}

static void test_broken_logits_are_survived(void **state)
{
    (void)state;
    struct sampling s = sampling_greedy;
    for (int sampled = 0; sampled < 2; sampled++) {
        float logits[N], nothing[N];
        struct token_choice choice;
        for (int i = 0; i < N; i++) {
            logits[i] = i == 12 ? 1 : NAN;
            nothing[i] = i & 1 ? NAN : -INFINITY;
        }
        s.greedy = !sampled;
        s.top_p = 0.9;
        struct sampler *sampler = make(&s, &(struct history){0});
        sampler_choose(sampler, logits, NULL, true, 20, &choice);
        assert_int_equal(choice.token, 12);
        assert_true(choice.logprob == 0);
        sampler_choose(sampler, nothing, NULL, true, 3, &choice);
        assert_int_equal(choice.token, 0);
        logits[7] = INFINITY;
        sampler_choose(sampler, logits, NULL, true, 3, &choice);
        assert_int_equal(choice.token, 7);
        sampler_free(sampler);
    }
}

/* The draw depends on the seed, the step and the logits: not on what other steps had. */
static void test_steps_draw_differently_and_repeatably(void **state)
{
    (void)state;
    struct sampling s = sampling_greedy;
    s.greedy = false;
    s.seed = 99;
    int32_t first[50];
    int changes = 0;
    for (int round = 0; round < 2; round++) {
        struct sampler *sampler = make(&s, &(struct history){0});
        for (int i = 0; i < 50; i++) {
            float logits[N] = {0};
            struct token_choice choice;
            sampler_choose(sampler, logits, NULL, round == 1, 0, &choice);
            if (round == 0)
                first[i] = choice.token;
            assert_int_equal(choice.token, first[i]);
            changes += i > 0 && first[i] != first[i - 1];
        }
        sampler_free(sampler);
    }
    assert_true(changes > 60);
}

/* At a real vocabulary's size: a nucleus of the right mass, in bounded time, without memory. */
static void test_a_large_vocabulary(void **state)
{
    (void)state;
    enum { LARGE = 152064 };
    float *logits = mem_array(LARGE, sizeof *logits);
    struct sampling s = sampling_greedy;
    s.greedy = false;
    s.top_p = 0.5;
    struct sampler *sampler;
    assert_int_equal(sampler_create(&s, LARGE, &sampler, NULL), STATUS_OK);
    for (int order = 0; order < 3; order++)
        for (int step = 0; step < 20; step++) {
            struct token_choice choice;
            for (int i = 0; i < LARGE; i++) /* rising, falling, all equal */
                logits[i] = order == 2 ? 1 : (float)(order ? LARGE - i : i) * 1e-4f;
            mem_guard_enter();
            sampler_choose(sampler, logits, NULL, true, 20, &choice);
            mem_guard_leave();
            if (order < 2) { /* half of the mass lies in the best ln(2) / 1e-4 tokens */
                int rank = order ? choice.token : LARGE - 1 - choice.token;
                assert_true(rank < 6940);
            } else {
                assert_true(choice.token >= LARGE / 2 - 1);
            }
        }
    sampler_free(sampler);
    mem_free(logits);
}

static void test_settings_out_of_range_are_named(void **state)
{
    (void)state;
    struct error err;
    struct logit_bias bias = {N, 1};
    struct sampling bad[] = {sampling_greedy, sampling_greedy, sampling_greedy, sampling_greedy,
                             sampling_greedy, sampling_greedy, sampling_greedy};
    const char *names[] = {
        "temperature",       "top_k",           "top_p", "min_p", "repetition_penalty",
        "frequency_penalty", "presence_penalty"};
    bad[0].temperature = NAN;
    bad[1].top_k = -1;
    bad[2].top_p = 1.5;
    bad[3].min_p = -0.1;
    bad[4].repetition_penalty = 0;
    bad[5].frequency_penalty = 3;
    bad[6].presence_penalty = -INFINITY;
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(sampling_check(&bad[i], &err), STATUS_INVALID);
        assert_non_null(strstr(err.message, names[i]));
    }
    struct sampler *sampler;
    struct sampling s = sampling_greedy;
    s.logit_bias = &bias;
    s.n_logit_bias = 1;
    assert_int_equal(sampler_create(&s, N, &sampler, &err), STATUS_INVALID);
    assert_null(sampler);
}

/* Whatever the logits, the token is one of those that are allowed. */
static void test_allowed_tokens(void **state)
{
    (void)state;
    enum { N_IDS = 100 };
    struct rng rng;
    rng_seed(&rng, 7);
    for (int round = 0; round < 200; round++) {
        struct sampling sampling = sampling_greedy;
        sampling.greedy = round % 2;
        sampling.temperature = 1;
        sampling.top_k = round % 3 ? 5 : 0;
        sampling.top_p = round % 5 ? 0.8 : 1;
        sampling.seed = (uint64_t)round;
        struct sampler *sampler = NULL;
        struct token_choice choice;
        float logits[N_IDS], largest = -INFINITY;
        uint64_t allowed[2] = {rng_next(&rng) & rng_next(&rng) & rng_next(&rng),
                               (uint64_t)1 << round % 36};
        assert_int_equal(sampler_create(&sampling, N_IDS, &sampler, NULL), STATUS_OK);
        for (size_t i = 0; i < N_IDS; i++) {
            bool is_allowed = allowed[i / 64] >> i % 64 & 1;
            logits[i] = round % 7 ? (float)rng_normal(&rng) : is_allowed ? -INFINITY : 1;
            if (is_allowed && logits[i] > largest)
                largest = logits[i];
        }
        float before[N_IDS];
        memcpy(before, logits, sizeof before);
        sampler_choose(sampler, logits, allowed, false, 0, &choice);
        assert_true(allowed[choice.token / 64] >> choice.token % 64 & 1);
        if (sampling.greedy)
            assert_true(before[choice.token] == largest);
        sampler_free(sampler);
    }
}

/* Guesses ahead are what choosing gives if they come true, and leave nothing behind. */
static void test_guesses_are_later_choices(void **state)
{
    (void)state;
    enum { AHEAD = 6 };
    struct rng rng;
    rng_seed(&rng, 8);
    for (int round = 0; round < 100; round++) {
        struct sampling s = sampling_greedy;
        s.greedy = round % 3 == 0;
        s.repetition_penalty = round % 2 ? 1.3 : 1;
        s.frequency_penalty = round % 5 ? 0.5 : 0;
        s.seed = (uint64_t)round;
        struct history h;
        random_history(&rng, &h);
        struct sampler *sampler = make(&s, &h);
        float logits[AHEAD][N], changed[N];
        int32_t guesses[AHEAD];
        for (size_t i = 0; i < AHEAD; i++) {
            random_logits(&rng, logits[i]);
            memcpy(changed, logits[i], sizeof changed);
            guesses[i] = sampler_guess(sampler, changed, guesses, i);
        }
        for (size_t i = 0; i < AHEAD; i++) {
            struct token_choice choice;
            sampler_choose(sampler, logits[i], NULL, false, 0, &choice);
            assert_int_equal(choice.token, guesses[i]);
            sampler_accept(sampler, choice.token, true);
        }
        sampler_free(sampler);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_allowed_tokens),
        cmocka_unit_test(test_draws_have_the_references_distribution),
        cmocka_unit_test(test_greedy_follows_the_penalties),
        cmocka_unit_test(test_greedy_takes_the_smallest_id_of_a_tie),
        cmocka_unit_test(test_logprobs_are_of_the_models_own_distribution),
        cmocka_unit_test(test_broken_logits_are_survived),
        cmocka_unit_test(test_steps_draw_differently_and_repeatably),
        cmocka_unit_test(test_guesses_are_later_choices),
        cmocka_unit_test(test_a_large_vocabulary),
        cmocka_unit_test(test_settings_out_of_range_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
