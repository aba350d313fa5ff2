/* Guesses, by prompt lookup and by a draft model: they change nothing but the number of steps. */
#include "engine_fixture.h"

enum { MOST_TOGETHER = 5 };

/* All at once get the answers that they are to get. */
static void ask_together(struct engine *engine, const struct request *requests, size_t n,
                         const struct answer *expected)
{
    static struct answer answer;
    struct generation *generations[MOST_TOGETHER];
    assert_in_range(n, 1, MOST_TOGETHER);
    for (size_t i = 0; i < n; i++)
        generations[i] = submit(engine, &requests[i]);
    for (size_t i = 0; i < n; i++) {
        read_answer(generations[i], &answer);
        assert_same(&expected[i], &answer);
    }
}

/* Guesses change nothing but the number of steps, whatever ends the answer, one request alone and
 * several together, greedy and sampled. */
static void test_guesses_change_nothing(void **state)
{
    (void)state;
    enum { N = 4, PROMPT = 40 };
    static struct answer plain[N], guessed[N];
    int32_t ids[N][PROMPT];
    size_t accepted = 0, guesses = 0;
    struct engine *without = open_random("qwen2", &(struct engine_options){.speculate = "off"});
    struct engine *with = open_random("qwen2", &(struct engine_options){.speculate = "always"});
    struct request requests[N];
    for (unsigned i = 0; i < N; i++) {
        make_prompt(ids[i], PROMPT, 3, i);
        for (size_t k = 0; k < PROMPT; k++)
            ids[i][k] %= i % 2 ? 250 : 5; /* much that was there before, and little */
        requests[i] = make_request(ids[i], PROMPT, 60 + i, i < 2 ? 0 : i);
        ask(without, &requests[i], &plain[i]);
        ask(with, &requests[i], &guessed[i]);
        assert_same(&plain[i], &guessed[i]);
        assert_int_equal(plain[i].stats.guessed_tokens, 0);
        guesses += guessed[i].stats.guessed_tokens;
        accepted += guessed[i].stats.accepted_tokens;
    }
    assert_true(accepted > 0 && accepted < guesses);
    ask_together(with, requests, N, plain);
    engine_close(without);
    engine_close(with);
}

/* --- A draft model --- */

/* The same answers with and without, one after the other and all at once; guesses and how many were
 * right are added up. */
static void compare_with_draft(const struct engine_options *options, const char *draft,
                               size_t *guessed, size_t *accepted)
{
    enum { N = 5, PROMPT = 70 };
    static struct answer plain[N], drafted[N];
    int32_t ids[N][PROMPT];
    struct request requests[N];
    struct engine_options off = *options, on = *options;
    off.speculate = "off";
    on.draft = draft;
    struct engine *without = open_random("qwen2", &off), *with = open_random("qwen2", &on);
    for (unsigned i = 0; i < N; i++) {
        make_prompt(ids[i], PROMPT, 5, i);
        requests[i] = make_request(ids[i], PROMPT - i, 50 + i, i % 2 ? i : 0);
        ask(without, &requests[i], &plain[i]);
        ask(with, &requests[i], &drafted[i]);
        assert_same(&plain[i], &drafted[i]);
        *guessed += drafted[i].stats.guessed_tokens;
        *accepted += drafted[i].stats.accepted_tokens;
    }
    ask_together(with, requests, N, plain);
    engine_close(without);
    engine_close(with);
}

/* Sampled answers included: it guesses with the request's own random numbers. */
static void test_a_draft_equal_to_the_model_is_always_right(void **state)
{
    (void)state;
    char path[200];
    size_t guessed = 0, accepted = 0;
    snprintf(path, sizeof path, "%s/tandem-random-qwen2", models);
    compare_with_draft(&(struct engine_options){.speculate = "always"}, path, &guessed, &accepted);
    assert_true(guessed > 100);
    assert_int_equal(guessed, accepted);
}

static void test_a_poor_draft_changes_nothing(void **state)
{
    (void)state;
    static const char *const when[] = {"auto", "always"};
    char path[200];
    snprintf(path, sizeof path, "%s/other/tandem-random-qwen2", models);
    for (size_t i = 0; i < sizeof when / sizeof *when; i++)
        for (size_t threads = 1; threads <= 2; threads++) {
            size_t guessed = 0, accepted = 0;
            struct engine_options options = {.speculate = when[i], .n_threads = threads};
            compare_with_draft(&options, path, &guessed, &accepted);
            assert_true(accepted <= guessed);
        }
}

/* A copy of a model whose configuration says something else: sed's SCRIPT makes it. */
static void copy_model(const char *from, const char *to, const char *script)
{
    assert_int_equal(run_command("cp -r %s/%s %s/%s && sed -i '%s' %s/%s/config.json", models, from,
                                 models, to, script, models, to),
                     0);
}

/* It guesses as far as it can, and then not at all. */
static void test_a_draft_with_a_shorter_context(void **state)
{
    (void)state;
    char path[200];
    size_t guessed = 0, accepted = 0, most = 0, all = 0;
    struct engine_options always = {.speculate = "always"};
    copy_model("tandem-random-qwen2", "short",
               "s/\"max_position_embeddings\": *[0-9]*/\"max_position_embeddings\": 90/");
    snprintf(path, sizeof path, "%s/short", models);
    compare_with_draft(&always, path, &guessed, &accepted);
    snprintf(path, sizeof path, "%s/tandem-random-qwen2", models);
    compare_with_draft(&always, path, &most, &all);
    assert_true(guessed > 0);
    assert_true(accepted < all);
}

static void test_a_draft_of_another_vocabulary_is_refused(void **state)
{
    (void)state;
    char path[200], draft[200];
    struct engine *engine;
    struct error err = {0};
    struct engine_options options = {.n_threads = 1, .draft = draft};
    snprintf(path, sizeof path, "%s/tandem-random-qwen2", models);
    snprintf(draft, sizeof draft, "%s/tandem-random-phi3", models);
    assert_int_equal(engine_open(path, &options, &engine, &err), STATUS_INVALID);
    assert_non_null(strstr(err.message, "token 0 is"));
    copy_model("tandem-random-qwen2", "bare", "");
    assert_int_equal(run_command("rm %s/bare/tokenizer*", models), 0);
    snprintf(draft, sizeof draft, "%s/bare", models);
    assert_int_equal(engine_open(path, &options, &engine, &err), STATUS_INVALID);
    assert_non_null(strstr(err.message, "bare has no tokenizer"));
    snprintf(draft, sizeof draft, "%s/nowhere", models);
    assert_int_equal(engine_open(path, &options, &engine, &err), STATUS_NOT_FOUND);
    assert_non_null(strstr(err.message, "the draft model"));
}

static void test_a_draft_counts_as_memory(void **state)
{
    (void)state;
    struct engine *without = open_random("qwen2", &(struct engine_options){.speculate = "off"});
    char path[200];
    snprintf(path, sizeof path, "%s/tandem-random-qwen2", models);
    struct engine *with =
        open_random("qwen2", &(struct engine_options){.draft = path, .speculate = "auto"});
    struct engine_info a = engine_info(without), b = engine_info(with);
    assert_int_equal(a.draft_bytes, 0);
    assert_null(a.draft_name);
    assert_string_equal(b.draft_name, b.name);
    assert_true(b.draft_bytes >= b.weight_bytes + b.kv_position_bytes * b.context_length);
    engine_close(without);
    engine_close(with);
}

int main(void)
{
    const struct CMUnitTest lookup[] = {
        cmocka_unit_test(test_guesses_change_nothing),
    };
    const struct CMUnitTest drafts[] = {
        cmocka_unit_test(test_a_draft_equal_to_the_model_is_always_right),
        cmocka_unit_test(test_a_poor_draft_changes_nothing),
        cmocka_unit_test(test_a_draft_with_a_shorter_context),
        cmocka_unit_test(test_a_draft_of_another_vocabulary_is_refused),
        cmocka_unit_test(test_a_draft_counts_as_memory),
    };
    int failed = cmocka_run_group_tests_name("prompt lookup", lookup, make_models, NULL);
    failed += cmocka_run_group_tests_name("draft models", drafts, NULL, NULL);
    has_draft = true;
    return failed +
           cmocka_run_group_tests_name("a draft model guesses", lookup, NULL, remove_models);
}
