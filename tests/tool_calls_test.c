/* Tool calls in answers: found whole however the text is cut into pieces. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "serve/tool_calls.h"

#include <string.h>

/* Reads `text` in two pieces, cut at `cut`, and compares. `calls` is the calls as JSON. */
static void check_cut(const char *text, size_t cut, bool is_either, const char *content,
                      const char *calls)
{
    struct tool_reader reader = {.is_either = is_either};
    struct strbuf out = {0}, written = {0};
    json_t *list = json_array();
    tool_reader_push(&reader, text, cut, false, &out, list);
    tool_reader_push(&reader, text + cut, strlen(text) - cut, false, &out, list);
    tool_reader_push(&reader, "", 0, true, &out, list);
    json_write(&written, list, false);
    assert_string_equal(strbuf_text(&out), content);
    assert_string_equal(strbuf_text(&written), calls);
    assert_int_equal(reader.n_calls, json_array_size(list));
    json_decref(list);
    strbuf_free(&out);
    strbuf_free(&written);
    tool_reader_free(&reader);
}

static void check(const char *text, const char *content, const char *calls)
{
    for (size_t cut = 0; cut <= strlen(text); cut++)
        check_cut(text, cut, false, content, calls);
}

static void test_calls_are_found(void **state)
{
    (void)state;
    check("<tool_call>\n{\"name\": \"f\", \"arguments\": {\"b\": 1, \"a\": [2]}}\n</tool_call>", "",
          "[{\"name\":\"f\",\"arguments\":\"{\\\"b\\\":1,\\\"a\\\":[2]}\"}]");
    check("Let me see.\n<tool_call>{\"name\":\"f\"}</tool_call>\n"
          "<tool_call>{\"arguments\":{},\"name\":\"g\"}</tool_call>\n",
          "Let me see.",
          "[{\"name\":\"f\",\"arguments\":\"{}\"},{\"name\":\"g\",\"arguments\":\"{}\"}]");
    check("<tool_call>{\"name\":\"f\",\"arguments\":{\"t\":\"a </tool_call> \\\" <\"}}</tool_call>",
          "", "[{\"name\":\"f\",\"arguments\":\"{\\\"t\\\":\\\"a </tool_call> \\\\\\\" <\\\"}\"}]");
    /* the end token came in the closing tag's place */
    check("<tool_call>\n{\"name\": \"f\", \"arguments\": {}}", "",
          "[{\"name\":\"f\",\"arguments\":\"{}\"}]");
}

static void test_other_text_stays_as_it_is(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "plain",
        "a < b <tool and <tool_cal",
        "ends in blanks \n ",
        "<tool_call>not json</tool_call> and on",
        "<tool_call>{\"name\": 5}</tool_call>",
        "<tool_call>{\"name\": \"\"}</tool_call>",
        "<tool_call>{\"name\": \"f\", \"arguments\": 3}</tool_call>",
        "<tool_call>{\"name\": \"f\"",
        "<tool_call>",
        "</tool_call>",
        "blanks \n<tool_call> stay\n<tool_call>",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        check(texts[i], texts[i], "[]");
}

static void test_ends_behind_calls(void **state)
{
    (void)state;
#define CALL "<tool_call>{\"name\":\"f\"}</tool_call>"
    static const char call[] = "[{\"name\":\"f\",\"arguments\":\"{}\"}]";
    check(CALL "\n", "", call);
    check(CALL "\nand <tool ", "\nand <tool", call);
    check(CALL "\n<tool_call>{\"na", "\n<tool_call>{\"na", call);
}

/* Where the answer is either calls or a document, what a document holds is no call. */
static void test_documents(void **state)
{
    (void)state;
    static const char document[] = "{\"a\": \" <tool_call>{} </tool_call> \"} ";
    static const char calls[] = CALL "\n" CALL;
    for (size_t cut = 0; cut <= strlen(document); cut++)
        check_cut(document, cut, true, document, "[]");
    for (size_t cut = 0; cut <= strlen(calls); cut++)
        check_cut(calls, cut, true, "",
                  "[{\"name\":\"f\",\"arguments\":\"{}\"},"
                  "{\"name\":\"f\",\"arguments\":\"{}\"}]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls_are_found),
        cmocka_unit_test(test_other_text_stays_as_it_is),
        cmocka_unit_test(test_ends_behind_calls),
        cmocka_unit_test(test_documents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
