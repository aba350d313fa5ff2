/* Suites: the loader's messages; the core suite's balance, and answers of every sort to each
 * of its items (tests/data/core_answers.jsonl). */
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "eval/sandbox.h"
#include "eval/suite.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ITEM(id, rest)                                                                             \
    "{\"id\": \"" id "\", \"dimension\": \"math\", \"language\": \"en\", \"prompt\": \"p\", "      \
    "\"reference\": \"5\", \"grader\": \"number\"" rest "}\n"
#define ARGS ", \"args\": {\"value\": 5}"

static void test_good_suite_is_read(void **state)
{
    (void)state;
    struct suite *suite;
    const char text[] =
        ITEM("a", ARGS) "\n" ITEM("b", ARGS ", \"topic\": \"t\", \"max_tokens\": 9");
    assert_int_equal(suite_parse("test", text, sizeof text - 1, &suite, NULL), STATUS_OK);
    assert_int_equal(suite->count, 2);
    assert_string_equal(suite->items[1].topic, "t");
    assert_int_equal(suite->items[1].max_tokens, 9);
    assert_int_equal(suite->items[0].max_tokens, SUITE_DEFAULT_MAX_TOKENS);
    assert_ptr_equal(suite_find(suite, "b"), &suite->items[1]);
    assert_null(suite_find(suite, "c"));
    assert_string_equal(grader_kind(suite->items[0].grader), "number");
    suite_free(suite);
}

static void test_bad_suites_are_refused_with_the_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } bad[] = {
        {"", "no items"},
        {ITEM("a", ARGS) "{\"id\": ", "line 2"},
        {ITEM("a", ARGS) ITEM("a", ARGS), "test, line 2: the id \"a\" has been used before"},
        {ITEM("a", ""), "line 1: an item: the argument \"args\" is missing"},
        {ITEM("a b", ARGS), "\"id\" should be"},
        {ITEM("a", ARGS ", \"promt\": 1"), "no argument \"promt\""},
        {ITEM("a", ", \"args\": {\"valeu\": 5}"), "no argument \"valeu\""},
        {ITEM("a", ARGS ", \"max_tokens\": 0"), "\"max_tokens\" should be 1"},
        {"[]", "should be a JSON object"},
        {"{\"id\": \"a\", \"dimension\": \"maths\", \"language\": \"en\", \"prompt\": \"p\", "
         "\"reference\": \"5\", \"grader\": \"number\"" ARGS "}",
         "\"dimension\" should be one of \"instruction\", \"math\", \"code\", \"structured\""},
        {"{\"id\": \"a\", \"dimension\": \"math\", \"language\": \"fr\", \"prompt\": \"p\", "
         "\"reference\": \"5\", \"grader\": \"number\"" ARGS "}",
         "\"language\" should be one of \"zh\", \"en\", is \"fr\""},
        {"{\"id\": \"a\", \"dimension\": \"math\", \"language\": \"en\", \"prompt\": \"\", "
         "\"reference\": \"5\", \"grader\": \"number\"" ARGS "}",
         "\"prompt\" is empty"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct suite *suite;
        struct error err = {0};
        assert_int_not_equal(suite_parse("test", bad[i].text, strlen(bad[i].text), &suite, &err),
                             STATUS_OK);
        assert_null(suite);
        if (!strstr(err.message, bad[i].message))
            fail_msg("\"%s\" does not say \"%s\"", err.message, bad[i].message);
    }
}

static void test_unknown_suites_are_named(void **state)
{
    (void)state;
    struct suite *suite;
    struct error err = {0};
    assert_int_equal(suite_open("no-such-suite", &suite, &err), STATUS_NOT_FOUND);
    assert_non_null(strstr(err.message, "core"));
    assert_string_equal(suite_builtin_name(0), "core");
    assert_string_equal(suite_builtin_name(1), "starter");
    assert_null(suite_builtin_name(2));
}

static struct suite *open_core(void)
{
    struct suite *suite;
    struct error err = {0};
    if (suite_open("core", &suite, &err))
        fail_msg("%s", err.message);
    return suite;
}

static void test_core_suite_is_balanced(void **state)
{
    (void)state;
    struct suite *suite = open_core();
    size_t dimensions[N_DIMENSIONS] = {0}, languages[2] = {0};
    for (size_t i = 0; i < suite->count; i++) {
        dimensions[suite->items[i].dimension]++;
        languages[suite->items[i].language]++;
        assert_true(*suite->items[i].topic);
    }
    assert_int_equal(suite->count, 50);
    assert_int_equal(dimensions[DIMENSION_INSTRUCTION], 13);
    assert_int_equal(dimensions[DIMENSION_MATH], 13);
    assert_int_equal(dimensions[DIMENSION_CODE], 12);
    assert_int_equal(dimensions[DIMENSION_STRUCTURED], 12);
    assert_in_range(languages[LANGUAGE_ZH], 23, 27);
    assert_int_equal(languages[LANGUAGE_ZH] + languages[LANGUAGE_EN], 50);
    suite_free(suite);
}

/* The prompts that every comparison shall have. */
static void test_core_suite_has_the_named_prompts(void **state)
{
    (void)state;
    static const char *const parts[] = {
        "请列出三个中国著名的科技公司,并用英文输出,每个公司后标注成立年份",
        ("一个班级有30人,其中18人喜欢数学,15人喜欢物理,8人两者都喜欢,"
         "问有多少人既不喜欢数学也不喜欢物理"),
        "写一个 Python 函数,接收一个整数列表,返回其中所有偶数的平方和", "| 王五 | 25 | 深圳 |"};
    struct suite *suite = open_core();
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
        bool found = false;
        for (size_t i = 0; i < suite->count; i++)
            found |= strstr(suite->items[i].prompt, parts[k]) != NULL;
        if (!found)
            fail_msg("no prompt with %s", parts[k]);
    }
    suite_free(suite);
}

/* 'P', 'F' or 'N' (not run); prints what went wrong. */
static char judge(const struct suite_item *item, const char *answer, bool should_pass)
{
    struct verdict verdict;
    struct error err = {0};
    if (grader_grade(item->grader, answer, strlen(answer), &verdict, &err))
        fail_msg("%s: %s", item->id, err.message);
    char result = verdict.outcome == VERDICT_PASS   ? 'P'
                  : verdict.outcome == VERDICT_FAIL ? 'F'
                                                    : 'N';
    if (result != 'N' && (result == 'P') != should_pass)
        print_error("%s should %s, but: %s\n%s\n", item->id, should_pass ? "pass" : "fail",
                    verdict.reason, answer);
    verdict_clear(&verdict);
    return result;
}

static void test_reference_answers_pass(void **state)
{
    (void)state;
    struct suite *suite = open_core();
    size_t wrong = 0;
    for (size_t i = 0; i < suite->count; i++) {
        char result = judge(&suite->items[i], suite->items[i].reference, true);
        wrong += result == 'F';
        if (result == 'N')
            assert_true(grader_needs_sandbox(suite->items[i].grader));
    }
    assert_int_equal(wrong, 0);
    suite_free(suite);
}

/* The prompt itself, repeated, is never a right answer. */
static void test_echoed_prompts_fail(void **state)
{
    (void)state;
    struct suite *suite = open_core();
    size_t wrong = 0;
    for (size_t i = 0; i < suite->count; i++)
        wrong += judge(&suite->items[i], suite->items[i].prompt, false) == 'P';
    assert_int_equal(wrong, 0);
    suite_free(suite);
}

enum { SORTS = 4 };
static const char *const sorts[SORTS] = {"right", "verbose", "wrong", "adversarial"};

static size_t sort_index(const char *sort)
{
    size_t i = 0;
    while (i < SORTS && strcmp(sorts[i], sort))
        i++;
    assert_true(i < SORTS);
    return i;
}

static void test_answers_of_every_sort(void **state)
{
    (void)state;
    struct suite *suite = open_core();
    struct error err = {0};
    const char *source = getenv("TANDEM_SOURCE");
    char *path = file_join(source ? source : ".", "tests/data/core_answers.jsonl");
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    struct json_lines lines = {.stream = file, .name = path};
    size_t(*counts)[SORTS] = mem_array(suite->count, sizeof *counts);
    size_t wrong = 0;
    json_t *line;
    while ((line = json_lines_next(&lines, &err))) {
        const struct suite_item *item = suite_find(suite, json_get_string(line, "id", "", NULL));
        assert_non_null(item);
        bool passes = json_get_bool(line, "passes", false, NULL);
        counts[item - suite->items][sort_index(json_get_string(line, "kind", "", NULL))]++;
        char result = judge(item, json_get_string(line, "answer", "", NULL), passes);
        wrong += result != 'N' && (result == 'P') != passes;
        json_decref(line);
    }
    assert_int_equal(err.status, STATUS_OK);
    assert_int_equal(wrong, 0);
    for (size_t i = 0; i < suite->count; i++)
        for (size_t k = 0; k < SORTS; k++)
            if (!counts[i][k])
                fail_msg("%s has no %s answer", suite->items[i].id, sorts[k]);
    json_lines_free(&lines);
    fclose(file);
    mem_free(path);
    mem_free(counts);
    suite_free(suite);
}

int main(void)
{
    struct error err = {0};
    if (sandbox_available(&err))
        printf("code items are not run: %s\n", err.message);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_suite_is_read),
        cmocka_unit_test(test_bad_suites_are_refused_with_the_place),
        cmocka_unit_test(test_unknown_suites_are_named),
        cmocka_unit_test(test_core_suite_is_balanced),
        cmocka_unit_test(test_core_suite_has_the_named_prompts),
        cmocka_unit_test(test_reference_answers_pass),
        cmocka_unit_test(test_echoed_prompts_fail),
        cmocka_unit_test(test_answers_of_every_sort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
