/* Engines of random models in a folder of the test program's own, requests, and answers that are
 * compared bit by bit.
 *
 *     return cmocka_run_group_tests(tests, make_models, remove_models);
 */
#ifndef TANDEM_TESTS_ENGINE_FIXTURE_H
#define TANDEM_TESTS_ENGINE_FIXTURE_H

#include "base/log.h"
#include "base/utf8.h"
#include "engine/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_ANSWER = 300 };

static char models[] = "/tmp/tandem-engine-test-XXXXXX";
/* Of engines that are opened without saying so: everything is tested with each. */
static const char *speculate;
static bool has_draft; /* a model that guesses wrong most of the time */

static inline int run_command(const char *format, ...)
{
    char command[1000];
    va_list list;
    va_start(list, format);
    vsnprintf(command, sizeof command, format, list);
    va_end(list);
    return system(command);
}

static inline int make_models(void **state)
{
    (void)state;
    log_configure(false, false);
    const char *maker = getenv("TANDEM_MAKE_MODELS");
    return !mkdtemp(models) || !maker || run_command("'%s' %s > /dev/null", maker, models) ||
           run_command("mkdir %s/other && '%s' %s/other 2 > /dev/null", models, maker, models);
}

static inline int remove_models(void **state)
{
    (void)state;
    return run_command("rm -rf %s", models);
}

struct answer {
    int32_t ids[MAX_ANSWER];
    float logprobs[MAX_ANSWER], second[MAX_ANSWER];
    size_t n;
    char text[8192];
    size_t text_length;
    struct generation_stats stats;
};

/* One thread unless more are asked for: tests run beside each other. */
static inline struct engine *open_path(const char *path, const struct engine_options *options)
{
    struct engine *engine;
    struct error err = {0};
    struct engine_options all = options ? *options : (struct engine_options){0};
    if (all.n_threads == 0)
        all.n_threads = 1;
    if (!all.speculate)
        all.speculate = speculate;
    if (has_draft && !all.draft)
        all.draft = path;
    if (engine_open(path, &all, &engine, &err))
        fail_msg("%s", err.message);
    return engine;
}

static inline struct engine *open_random(const char *name, const struct engine_options *options)
{
    char path[200], draft[200];
    struct engine_options all = {0};
    snprintf(path, sizeof path, "%s/tandem-random-%s", models, name);
    snprintf(draft, sizeof draft, "%s/other/tandem-random-%s", models, name);
    if (options)
        all = *options;
    if (has_draft && !all.draft)
        all.draft = draft;
    return open_path(path, &all);
}

static inline struct generation *submit(struct engine *engine, const struct request *request)
{
    struct generation *g;
    struct error err = {0};
    if (engine_submit(engine, request, &g, &err))
        fail_msg("%s", err.message);
    return g;
}

static inline void add_text(struct answer *answer, const struct event *event)
{
    assert_true(answer->text_length + event->text_length < sizeof answer->text);
    memcpy(answer->text + answer->text_length, event->text, event->text_length);
    answer->text_length += event->text_length;
}

static inline void read_answer(struct generation *g, struct answer *answer)
{
    struct event event;
    memset(answer, 0, sizeof *answer);
    while (generation_next(g, &event) == EVENT_TOKEN) {
        assert_true(answer->n < MAX_ANSWER);
        answer->ids[answer->n] = event.choice.token;
        answer->logprobs[answer->n] = event.choice.logprob;
        answer->second[answer->n++] = event.choice.n_top > 1 ? event.choice.top[1].logprob : 0;
        assert_true(utf8_valid(event.text, event.text_length));
        add_text(answer, &event);
    }
    add_text(answer, &event);
    assert_int_equal(generation_next(g, &event), EVENT_END);
    assert_int_equal(event.text_length, 0);
    answer->stats = generation_stats(g);
    generation_free(g);
}

static inline void ask(struct engine *engine, const struct request *request, struct answer *answer)
{
    read_answer(submit(engine, request), answer);
}

/* Bits, not values: the same request must give the same floats. */
static inline void assert_same(const struct answer *a, const struct answer *b)
{
    assert_int_equal(a->n, b->n);
    assert_memory_equal(a->ids, b->ids, a->n * sizeof *a->ids);
    assert_memory_equal(a->logprobs, b->logprobs, a->n * sizeof *a->logprobs);
    assert_memory_equal(a->second, b->second, a->n * sizeof *a->second);
    assert_int_equal(a->text_length, b->text_length);
    assert_memory_equal(a->text, b->text, a->text_length);
    assert_int_equal(a->stats.finish, b->stats.finish);
}

/* Prompt number `which`: those with the same `stem` share their first half. */
static inline size_t make_prompt(int32_t *ids, size_t n, unsigned stem, unsigned which)
{
    for (size_t i = 0; i < n; i++)
        ids[i] = (int32_t)((i < n / 2 ? stem * 7919 + i * 31 : which * 104729 + i * 17) % 250);
    return n;
}

static inline struct request make_request(const int32_t *ids, size_t n, size_t max_tokens,
                                          uint64_t seed)
{
    struct request request = {.prompt = ids,
                              .n_prompt = n,
                              .sampling = sampling_greedy,
                              .max_tokens = max_tokens,
                              .ignore_eos = true,
                              .want_logprobs = true,
                              .n_top_logprobs = 2};
    request.sampling.greedy = seed == 0;
    request.sampling.temperature = 1.5;
    request.sampling.top_p = 0.95;
    request.sampling.repetition_penalty = 1.1;
    request.sampling.seed = seed;
    return request;
}

#endif
