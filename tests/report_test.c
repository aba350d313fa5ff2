/* The report's forms: what is in them, and that nothing gets out of them. */
#include "comparison_fixture.h"

#include "base/json.h"
#include "base/strbuf.h"
#include "eval/report.h"
#include "eval/report_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

struct fixture {
    struct comparison c;
    struct findings f;
    char *folder;
};

static struct fixture make(const char *a, const char *b)
{
    struct fixture x = {.folder = fixture_folder()};
    assert_int_equal(fixture_compare(x.folder, a, b, NULL, &x.c, NULL), STATUS_OK);
    assert_int_equal(findings_compute(&x.c, &x.f, NULL), STATUS_OK);
    return x;
}

static void drop(struct fixture *x)
{
    comparison_free(&x->c);
    fixture_remove(x->folder);
}

static bool has(const struct strbuf *text, const char *part)
{
    return strstr(strbuf_text(text), part) != NULL;
}

/* Everything a browser would act upon stands between '<' and '>': no such place holds a handler,
 * an address or an element that the report itself does not use. */
static void test_html_is_inert(void **state)
{
    (void)state;
    struct fixture x = make("hostile</title><script>alert(9)</script>", "bad");
    struct strbuf html = {0};
    report_html(&x.c, &x.f, &html);
    const char *forbidden[] = {"<img",  "<iframe", "<link", "<object", "<a ",  "<svg onload",
                               "http:", "https:",  "url(",  "@import", "\033", "\xE2\x80\xAE"};
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++)
        if (has(&html, forbidden[i]))
            fail_msg("the page contains %s", forbidden[i]);
    size_t scripts = 0;
    for (const char *p = html.data; (p = strstr(p, "<script")); p++)
        scripts++;
    assert_int_equal(scripts, 1);
    assert_true(has(&html, "&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert_true(has(&html, "&lt;img src=x onerror=alert(2)&gt;"));
    assert_true(has(&html, "script-src 'sha256-"));
    for (const char *p = html.data; (p = strchr(p, '<')); p++) {
        const char *end = strchr(p, '>');
        const char *handler = strstr(p, " on");
        assert_non_null(end);
        if (!strncmp(p, "<style>", 7) || !strncmp(p, "<script>", 8)) {
            p = strstr(p, p[2] == 't' ? "</style>" : "</script>");
            continue;
        }
        if (handler && handler < end && strcspn(handler, "=") < (size_t)(end - handler))
            fail_msg("a handler in %.*s", (int)(end - p), p);
    }
    strbuf_free(&html);
    drop(&x);
}

static void test_html_shows_everything(void **state)
{
    (void)state;
    struct fixture x = make("good-random", "bad");
    struct strbuf html = {0};
    report_html(&x.c, &x.f, &html);
    const char *expected[] = {"id=\"item-m-2\"",
                              "&lt;b&gt;What&lt;/b&gt;",
                              "请回答",
                              "random weights",
                              "data-relation=\"differ\"",
                              "class=\"radar\"",
                              "The answer is 7",
                              "Peak memory",
                              "prefers-color-scheme",
                              "指令遵循",
                              "SHA-256"};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        if (!has(&html, expected[i]))
            fail_msg("the page lacks %s", expected[i]);
    strbuf_free(&html);
    drop(&x);
}

/* Every <tag> of the kinds that must be closed is closed. */
static void test_html_is_balanced(void **state)
{
    (void)state;
    const char *tags[] = {"section", "div", "table", "tr", "td", "th",   "details", "span",
                          "p",       "ul",  "li",    "dl", "dd", "form", "label",   "svg"};
    struct fixture x = make("hostile", "refuses");
    struct strbuf html = {0};
    report_html(&x.c, &x.f, &html);
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        char open[2][16], close[16];
        size_t opened = 0, closed = 0;
        snprintf(open[0], sizeof open[0], "<%s>", tags[i]);
        snprintf(open[1], sizeof open[1], "<%s ", tags[i]);
        snprintf(close, sizeof close, "</%s>", tags[i]);
        for (const char *p = html.data; *p; p++) {
            opened +=
                !strncmp(p, open[0], strlen(open[0])) || !strncmp(p, open[1], strlen(open[1]));
            closed += !strncmp(p, close, strlen(close));
        }
        if (opened != closed)
            fail_msg("<%s>: %zu opened, %zu closed", tags[i], opened, closed);
    }
    strbuf_free(&html);
    drop(&x);
}

static void test_json_has_the_documented_fields(void **state)
{
    (void)state;
    static const char *const keys[] = {
        "schema", "version",    "started", "seconds",     "partial",    "notices",
        "models", "dimensions", "all",     "items",       "languages",  "advice",
        "faster", "suite",      "options", "environment", "interrupted"};
    struct fixture x = make("good", "crashes");
    json_t *report = report_json(&x.c, &x.f), *a, *b, *item;
    assert_non_null(report);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!json_object_get(report, keys[i]))
            fail_msg("report.json lacks \"%s\"", keys[i]);
    assert_int_equal(json_object_size(report), sizeof keys / sizeof *keys);
    assert_int_equal(json_array_size(json_object_get(report, "items")), FIXTURE_ITEMS);
    assert_int_equal(json_array_size(json_object_get(report, "dimensions")), N_DIMENSIONS);
    assert_true(json_is_true(json_object_get(report, "partial")));
    a = json_object_get(json_object_get(report, "models"), "a");
    b = json_object_get(json_object_get(report, "models"), "b");
    assert_true(json_is_null(json_object_get(a, "failure")));
    assert_true(json_is_string(json_object_get(b, "failure")));
    item = json_array_get(json_object_get(report, "items"), FIXTURE_ITEMS - 1);
    assert_true(json_is_null(json_object_get(item, "b"))); /* never asked */
    item = json_object_get(json_object_get(item, "a"), "verdict");
    assert_string_equal(json_string_value(json_object_get(item, "verdict")), "pass");
    json_decref(report);
    drop(&x);
}

static void test_markdown_fences_hold(void **state)
{
    (void)state;
    struct fixture x = make("hostile", "good");
    struct strbuf markdown = {0};
    report_markdown(&x.c, &x.f, &markdown);
    assert_true(has(&markdown, "\n`````text\n<script>")); /* longer than the four inside */
    assert_false(has(&markdown, "\033"));
    strbuf_free(&markdown);
    drop(&x);
}

static void test_terminal(void **state)
{
    (void)state;
    struct fixture x = make("good\033[2J", "bad");
    struct strbuf plain = {0}, coloured = {0};
    report_terminal(&x.c, &x.f, false, &plain);
    report_terminal(&x.c, &x.f, true, &coloured);
    assert_false(has(&plain, "\033"));
    assert_true(has(&coloured, "\033[1m"));
    assert_false(has(&coloured, "\033[2J"));
    assert_true(has(&plain, "Instruction following  10.0"));
    assert_true(has(&plain, "undecided 5:0"));
    strbuf_free(&plain);
    strbuf_free(&coloured);
    drop(&x);
}

static void test_files_are_written(void **state)
{
    (void)state;
    struct fixture x = make("good", "bad");
    struct error err = {0};
    assert_int_equal(report_write(&x.c, &x.f, x.folder, &err), STATUS_OK);
    const char *names[] = {"report.json", "report.md", "report.html"};
    for (size_t i = 0; i < 3; i++) {
        char *path = file_join(x.folder, names[i]), *text;
        size_t size;
        assert_int_equal(file_read(path, 0, &text, &size, &err), STATUS_OK);
        assert_true(size > 1000);
        mem_free(text);
        mem_free(path);
    }
    assert_int_not_equal(report_write(&x.c, &x.f, "/proc/nowhere", &err), STATUS_OK);
    assert_non_null(strstr(err.message, "/proc/nowhere/report.json"));
    drop(&x);
}

static void test_no_advice_from_random_weights(void **state)
{
    (void)state;
    struct fixture x = make("good", "bad-random");
    struct advice advice[N_ADVICE];
    size_t n = findings_advice(&x.c, &x.f, advice);
    assert_int_equal(n, N_ADVICE);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(advice[i].choice, CHOICE_NEITHER);
    drop(&x);
}

static void test_numbers(void **state)
{
    (void)state;
    char out[32];
    format_seconds(0.0123, out);
    assert_string_equal(out, "12.3 ms");
    format_seconds(0, out);
    assert_string_equal(out, "-");
    format_bytes((size_t)3 << 29, out);
    assert_string_equal(out, "1.50 GiB");
    format_count(1543714304, out);
    assert_string_equal(out, "1.54 B");
    format_p(0.0004, out);
    assert_string_equal(out, "p < 0.001");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_html_is_inert),
        cmocka_unit_test(test_html_shows_everything),
        cmocka_unit_test(test_html_is_balanced),
        cmocka_unit_test(test_json_has_the_documented_fields),
        cmocka_unit_test(test_markdown_fences_hold),
        cmocka_unit_test(test_terminal),
        cmocka_unit_test(test_files_are_written),
        cmocka_unit_test(test_no_advice_from_random_weights),
        cmocka_unit_test(test_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
