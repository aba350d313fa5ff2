/* Comparisons, with respondents that behave, refuse, crash and stall. */
#include "comparison_fixture.h"

#include "base/json.h"
#include "eval/findings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/resource.h>

#include <cmocka.h>

static size_t log_lines(const char *folder)
{
    char *path = file_join(folder, "answers.jsonl"), *text;
    size_t size, n = 0;
    assert_int_equal(file_read(path, 0, &text, &size, NULL), STATUS_OK);
    for (size_t i = 0, begin = 0; i < size; i++) {
        if (text[i] != '\n')
            continue;
        json_t *record = json_parse(path, text + begin, i - begin, NULL);
        assert_non_null(record);
        assert_non_null(json_object_get(record, "verdict"));
        json_decref(record);
        begin = i + 1;
        n++;
    }
    mem_free(text);
    mem_free(path);
    return n;
}

static void test_complete_run(void **state)
{
    (void)state;
    struct comparison c = {0};
    struct findings f;
    char *folder = fixture_folder();
    assert_int_equal(fixture_compare(folder, "good", "bad", NULL, &c, NULL), STATUS_OK);
    assert_int_equal(findings_compute(&c, &f, NULL), STATUS_OK);
    assert_false(comparison_is_partial(&c));
    assert_int_equal(c.candidates[SIDE_A].n_asked, FIXTURE_ITEMS);
    assert_int_equal(f.all.scores[SIDE_A].right, FIXTURE_ITEMS);
    assert_int_equal(f.all.scores[SIDE_B].right, 0);
    assert_int_equal(f.dimensions[DIMENSION_MATH].scores[SIDE_A].n, 2);
    assert_int_equal(f.all.paired.wins, FIXTURE_ITEMS);
    assert_int_equal(statistics_finding(&f.all.paired), FINDING_UNDECIDED); /* 5 : 0 */
    assert_int_equal(f.first_token.losses, FIXTURE_ITEMS);                  /* "bad" is quicker */
    assert_true(f.speeds[SIDE_A].generation_rate.median == 10);
    assert_true(f.speeds[SIDE_A].latency.ready_seconds == 0.75);
    assert_true(c.candidates[SIDE_A].peak_bytes > 0);
    assert_int_equal(strlen(c.candidates[SIDE_A].info.files[0].sha256), 64);
    assert_int_equal(log_lines(folder), 2 * FIXTURE_ITEMS);
    comparison_free(&c);
    fixture_remove(folder);
}

static void test_refused_prompt_is_wrong_and_the_rest_goes_on(void **state)
{
    (void)state;
    struct comparison c = {0};
    struct findings f;
    char *folder = fixture_folder();
    assert_int_equal(fixture_compare(folder, "refuses", "good", NULL, &c, NULL), STATUS_OK);
    assert_int_equal(findings_compute(&c, &f, NULL), STATUS_OK);
    const struct outcome *outcome = &c.candidates[SIDE_A].outcomes[1];
    assert_true(outcome->asked);
    assert_null(outcome->reply.text);
    assert_non_null(strstr(outcome->verdict.reason, "9000 tokens"));
    assert_int_equal(f.all.scores[SIDE_A].right, FIXTURE_ITEMS - 1);
    assert_int_equal(f.all.scores[SIDE_A].n, FIXTURE_ITEMS);
    comparison_free(&c);
    fixture_remove(folder);
}

static void test_crash_of_one_keeps_the_other(void **state)
{
    (void)state;
    struct comparison c = {0};
    struct findings f;
    char *folder = fixture_folder();
    assert_int_equal(fixture_compare(folder, "crashes", "good", NULL, &c, NULL), STATUS_OK);
    assert_int_equal(findings_compute(&c, &f, NULL), STATUS_OK);
    assert_non_null(strstr(c.candidates[SIDE_A].failure, "signal 9"));
    assert_int_equal(c.candidates[SIDE_A].n_asked, 3); /* two right, and the fatal one */
    assert_int_equal(f.all.scores[SIDE_A].right, 2);
    assert_string_equal(c.candidates[SIDE_A].outcomes[2].reply.finish, "crash");
    assert_int_equal(c.candidates[SIDE_B].n_asked, FIXTURE_ITEMS);
    assert_false(c.interrupted);
    assert_true(comparison_is_partial(&c));
    comparison_free(&c);
    fixture_remove(folder);
}

static void test_model_that_does_not_load(void **state)
{
    (void)state;
    const char *const kinds[] = {"unloadable", "dies-loading"};
    for (size_t i = 0; i < 2; i++) {
        struct comparison c = {0};
        char *folder = fixture_folder();
        assert_int_equal(fixture_compare(folder, kinds[i], "good", NULL, &c, NULL), STATUS_OK);
        assert_false(c.candidates[SIDE_A].loaded);
        assert_non_null(strstr(c.candidates[SIDE_A].failure, i ? "signal 9" : "cut off"));
        assert_int_equal(c.candidates[SIDE_B].n_asked, FIXTURE_ITEMS);
        comparison_free(&c);
        fixture_remove(folder);
    }
}

static volatile sig_atomic_t stop;

static void request_stop(int number)
{
    (void)number;
    stop = 1;
}

/* The third item sends the signal and would then take a minute. */
static void test_stop_keeps_what_was_done(void **state)
{
    (void)state;
    struct comparison c = {0};
    char *folder = fixture_folder();
    stop = 0;
    signal(SIGINT, request_stop);
    assert_int_equal(fixture_compare(folder, "slow", "good", &stop, &c, NULL), STATUS_OK);
    signal(SIGINT, SIG_DFL);
    assert_true(c.interrupted);
    assert_int_equal(c.candidates[SIDE_A].n_asked, 2);
    assert_int_equal(c.candidates[SIDE_B].n_asked, 0);
    assert_int_equal(log_lines(folder), 2);
    assert_true(c.seconds < 10);
    comparison_free(&c);
    fixture_remove(folder);
}

static void test_limit_is_spread_over_dimensions(void **state)
{
    (void)state;
    struct comparison c = {.limit = 4};
    char *folder = fixture_folder();
    assert_int_equal(fixture_compare(folder, "good", "good", NULL, &c, NULL), STATUS_OK);
    assert_int_equal(c.n_items, 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(c.items[i]->dimension, (enum suite_dimension)i);
    comparison_free(&c);
    fixture_remove(folder);
}

static void test_full_disk_is_reported_and_loses_nothing(void **state)
{
    (void)state;
    struct comparison c = {0};
    struct error err = {0};
    struct rlimit old, small;
    char *folder = fixture_folder();
    getrlimit(RLIMIT_FSIZE, &old);
    small = (struct rlimit){.rlim_cur = 1000, .rlim_max = old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    enum status status = fixture_compare(folder, "good", "bad", NULL, &c, &err);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(status, STATUS_OK);
    assert_non_null(strstr(c.log_failure, "answers.jsonl"));
    assert_int_equal(c.candidates[SIDE_B].n_asked, FIXTURE_ITEMS);
    comparison_free(&c);
    fixture_remove(folder);
}

static void test_unknown_suite(void **state)
{
    (void)state;
    struct comparison c = {0};
    struct error err = {0};
    struct compare_options options = {.models = {"good", "bad"},
                                      .suite = "/nowhere/suite.jsonl",
                                      .folder = "/tmp",
                                      .responder = &fixture_responder};
    assert_int_not_equal(compare_run(&options, &c, &err), STATUS_OK);
    assert_non_null(strstr(err.message, "/nowhere/suite.jsonl"));
    comparison_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_complete_run),
        cmocka_unit_test(test_refused_prompt_is_wrong_and_the_rest_goes_on),
        cmocka_unit_test(test_crash_of_one_keeps_the_other),
        cmocka_unit_test(test_model_that_does_not_load),
        cmocka_unit_test(test_stop_keeps_what_was_done),
        cmocka_unit_test(test_limit_is_spread_over_dimensions),
        cmocka_unit_test(test_full_disk_is_reported_and_loses_nothing),
        cmocka_unit_test(test_unknown_suite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
