/* The Jinja engine and chat templates: what the shared renderings do not show, and the limits. */
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "text/chat.h"
#include "text/template.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static enum status render(const char *source, const char *context_text,
                          const struct template_limits *limits, struct strbuf *out,
                          struct error *err)
{
    struct template *template;
    enum status status = template_compile("t", source, strlen(source), &template, err);
    if (status)
        return status;
    json_t *context = json_parse("context", context_text, strlen(context_text), NULL);
    assert_non_null(context);
    status = template_render(template, context, limits, out, err);
    json_decref(context);
    template_free(template);
    return status;
}

static void check(const char *source, const char *context, const char *expected)
{
    struct strbuf out = {0};
    struct error err = {0};
    enum status status = render(source, context, NULL, &out, &err);
    if (status)
        fail_msg("%s: %s", source, err.message);
    assert_string_equal(strbuf_text(&out), expected);
    strbuf_free(&out);
}

static void check_fails(const char *source, enum status expected, const char *part)
{
    struct strbuf out = {0};
    struct error err = {0};
    strbuf_add(&out, "before");
    enum status status = render(source, "{\"x\": 1, \"s\": \"abc\"}", NULL, &out, &err);
    if (status != expected || !strstr(err.message, part))
        fail_msg("%s: status %d, message \"%s\", expected %d, \"%s\"", source, status, err.message,
                 expected, part);
    assert_string_equal(strbuf_text(&out), "before");
    strbuf_free(&out);
}

static void test_values_print_as_in_python(void **state)
{
    (void)state;
    check("{{ [true, none, 1.0, 'a\\'b', {'k': (1,)}] }}", "{}",
          "[True, None, 1.0, \"a'b\", {'k': (1,)}]");
    check("{{ 1e16 }} {{ 0.1 + 0.2 }} {{ 7 // -2 }} {{ -7 % 3 }}", "{}",
          "1e+16 0.30000000000000004 -4 2");
    check("{{ x }}|{{ y is defined }}|{{ none }}", "{\"x\": null}", "None|False|None");
}

static void test_strings_count_characters(void **state)
{
    (void)state;
    const char *context = "{\"u\": \"h\\u00e9\\u4e16\\ud83d\\ude00!\"}";
    check("{{ u|length }}{{ u[1:3] }}{{ u[-2] }}{{ u.find('!') }}", context,
          "5\xC3\xA9\xE4\xB8\x96\xF0\x9F\x98\x80"
          "4");
    check("{{ u|tojson(ensure_ascii=true) }}", context, "\"h\\u00e9\\u4e16\\ud83d\\ude00!\"");
}

static void test_white_space_control(void **state)
{
    (void)state;
    check("a\n  {% if true %}\n  b\n  {% endif %}\nc\n", "{}", "a\n  b\nc");
    check("a  {{- 1 -}}  b", "{}", "a1b");
    check("{% if true %}\r\nx{% endif %}\r\ny", "{}", "xy");
}

static void test_dicts_prefer_methods_to_keys(void **state)
{
    (void)state;
    const char *context = "{\"d\": {\"items\": 1, \"a\": 2}}";
    check("{{ d['items'] }}{{ d.items()|length }}{{ d.a }}{{ d.get('q', 9) }}", context, "1229");
}

static void test_errors_name_template_and_line(void **state)
{
    (void)state;
    check_fails("a\n\n{{ nope.attribute }}", STATUS_INVALID, "t, line 3: 'nope' is undefined");
    check_fails("\n{% if x %}", STATUS_FORMAT, "t, line 2: the template ends without");
    check_fails("{{ x + s }}", STATUS_INVALID, "unsupported operand types for +");
    check_fails("{{ x|nope }}", STATUS_FORMAT, "no filter named 'nope'");
    check_fails("{% include 'x' %}", STATUS_UNSUPPORTED, "include");
    check_fails("{{ [].append(1) }}", STATUS_INVALID, "sandbox");
    check_fails("\xFF", STATUS_FORMAT, "UTF-8");
    check_fails("{{ 9223372036854775807 + 1 }}", STATUS_UNSUPPORTED, "64 bits");
}

static void test_raise_exception_stands_alone(void **state)
{
    (void)state;
    struct strbuf out = {0};
    struct error err = {0};
    assert_int_equal(render("{{ raise_exception('Bad roles') }}", "{}", NULL, &out, &err),
                     STATUS_INVALID);
    assert_string_equal(err.message, "Bad roles");
    strbuf_free(&out);
}

static void test_limits(void **state)
{
    (void)state;
    check_fails("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
                STATUS_LIMIT, "steps");
    check_fails("{% for a in range(1000000000000) %}{% endfor %}", STATUS_LIMIT, "range()");
    check_fails("{{ 'abc' * 9999999999 }}", STATUS_LIMIT, "memory");
    check_fails("{{ [1] * 9223372036854775807 }}", STATUS_LIMIT, "memory");
    check_fails("{{ '%99999999999d' % 1 }}", STATUS_LIMIT, "width");
    check_fails("{{ '{:999999999}'.format(1) }}", STATUS_LIMIT, "width");
    check_fails("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", STATUS_LIMIT, "deep");
    check_fails("{% set a = 'x' * 1000000 %}{% for i in range(100) %}{{ a }}{% endfor %}",
                STATUS_LIMIT, "output");
    check_fails("{% set n = namespace(a='xx') %}{% for i in range(99) %}{% set n.a = n.a ~ n.a %}"
                "{% endfor %}",
                STATUS_LIMIT, "memory");
    check_fails("{% set n = namespace(a=[]) %}{% for i in range(9999) %}{% set n.a = [n.a] %}"
                "{% endfor %}{{ n.a }}",
                STATUS_LIMIT, "deep");
    check_fails("{% set n = namespace(a=[]) %}{% set n.a = [n, n] %}{{ n }}", STATUS_LIMIT, "");
    check_fails("{% set n = namespace(a=()) %}{% for i in range(60) %}{% set n.a = (n.a, n.a) %}"
                "{% endfor %}{{ {n.a: 1} }}",
                STATUS_LIMIT, "steps");
    check_fails("{{ 'a'|center(99999999999999) }}", STATUS_LIMIT, "memory");
    check_fails("{% for i in range(99999) %}{{ ('a' * 99999).find('b') }}{% endfor %}",
                STATUS_LIMIT, "");
}

static void test_deep_nesting_in_the_source(void **state)
{
    (void)state;
    static const struct {
        const char *open, *middle, *close;
    } cases[] = {{"(", "1", ")"},   {"[", "", "]"},    {"-", "1", ""},
                 {"not ", "1", ""}, {"{1:", "1", "}"}, {"1 if 1 else ", "1", ""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct strbuf source = {0};
        strbuf_add(&source, "{{ ");
        for (int k = 0; k < 100000; k++)
            strbuf_add(&source, cases[i].open);
        strbuf_add(&source, cases[i].middle);
        for (int k = 0; k < 100000; k++)
            strbuf_add(&source, cases[i].close);
        strbuf_add(&source, " }}");
        struct strbuf out = {0};
        struct error err = {0};
        enum status status = render(strbuf_text(&source), "{}", NULL, &out, &err);
        assert_true(status == STATUS_LIMIT || status == STATUS_FORMAT);
        strbuf_free(&out);
        strbuf_free(&source);
    }
    struct strbuf blocks = {0}, out = {0};
    struct error err = {0};
    for (int k = 0; k < 100000; k++)
        strbuf_add(&blocks, "{% if x %}");
    assert_int_equal(render(strbuf_text(&blocks), "{}", NULL, &out, &err), STATUS_LIMIT);
    strbuf_free(&blocks);
    strbuf_free(&out);
}

/* Chains of attributes and filters are loops in the parser, and deep trees. */
static void test_long_chains(void **state)
{
    (void)state;
    static const char *const links[] = {".a",     "|e",  " + 1", " ~ 1",
                                        " and 1", "[0]", "()",   " is none"};
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        struct strbuf source = {0}, out = {0};
        struct error err = {0};
        strbuf_add(&source, "{{ x");
        for (int k = 0; k < 50000; k++)
            strbuf_add(&source, links[i]);
        strbuf_add(&source, " }}");
        render(strbuf_text(&source), "{\"x\": 1}", NULL, &out, &err);
        strbuf_free(&source);
        strbuf_free(&out);
    }
}

static void test_shared_renderings(void **state)
{
    (void)state;
    const char *shared = getenv("TANDEM_SHARED");
    char folder[4096];
    snprintf(folder, sizeof folder, "%s/templates", shared ? shared : "");
    DIR *dir = shared ? opendir(folder) : NULL;
    if (!dir) {
        print_message("skipped: no shared templates at %s\n", folder);
        skip();
    }
    size_t cases = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        size_t n = strlen(entry->d_name);
        char path[8192];
        char *source;
        size_t size;
        struct template *template;
        struct error err = {0};
        if (n < 6 || strcmp(entry->d_name + n - 6, ".jinja") != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        assert_int_equal(file_read(path, 0, &source, &size, &err), STATUS_OK);
        assert_int_equal(template_compile(path, source, size, &template, &err), STATUS_OK);
        mem_free(source);
        snprintf(path, sizeof path, "%s/%.*s.golden.jsonl", folder, (int)n - 6, entry->d_name);
        struct json_lines lines = {.stream = fopen(path, "re"), .name = path};
        assert_non_null(lines.stream);
        for (json_t *line; (line = json_lines_next(&lines, &err)); cases++) {
            const json_t *expected = json_object_get(line, "rendered");
            struct strbuf out = {0};
            struct error problem = {0};
            enum status status =
                template_render(template, json_object_get(line, "context"), NULL, &out, &problem);
            assert_int_equal(status == STATUS_OK, expected != NULL);
            if (expected)
                assert_string_equal(strbuf_text(&out), json_string_value(expected));
            strbuf_free(&out);
            json_decref(line);
        }
        fclose(lines.stream);
        json_lines_free(&lines);
        template_free(template);
    }
    closedir(dir);
    assert_true(cases > 0);
}

/* ---- chat templates ---- */

static struct text_span span(const char *text)
{
    return (struct text_span){text, strlen(text)};
}

static enum status chat(const struct vocab_source *source, const char *messages_text,
                        const char *tools_text, struct strbuf *out, struct error *err)
{
    struct chat_template *template;
    enum status status = chat_template_create(source, NULL, &template, err);
    if (status)
        return status;
    json_t *messages = json_parse("messages", messages_text, strlen(messages_text), NULL);
    json_t *tools = tools_text ? json_parse("tools", tools_text, strlen(tools_text), NULL) : NULL;
    json_t *extra = json_pack("{s:s}", "mood", "calm");
    status = chat_template_render(template, messages, tools, true, extra, out, err);
    json_decref(extra);
    json_decref(tools);
    json_decref(messages);
    chat_template_free(template);
    return status;
}

static void check_chat(const struct vocab_source *source, const char *messages, const char *tools,
                       const char *expected)
{
    struct strbuf out = {0};
    struct error err = {0};
    enum status status = chat(source, messages, tools, &out, &err);
    if (status)
        fail_msg("%s", err.message);
    assert_string_equal(strbuf_text(&out), expected);
    strbuf_free(&out);
}

static void test_chat_special_tokens(void **state)
{
    (void)state;
    struct vocab_source source = {
        .name = "m",
        .tokenizer_config_json = span(
            "{\"bos_token\": {\"content\": \"<s>\", \"lstrip\": false}, \"eos_token\": \"</s>\","
            "\"pad_token\": null, \"additional_special_tokens\": [\"<a>\", {\"content\": "
            "\"<b>\"}], \"extra_special_tokens\": {\"image_token\": \"<i>\"},"
            "\"chat_template\": \"{{ bos_token }}{{ eos_token }}{{ unk_token }}{{ pad_token }}"
            "{{ additional_special_tokens|join }}{{ image_token }}{{ mood }}"
            "{{ add_generation_prompt }}{{ tools }}\"}"),
        .special_tokens_map_json = span("{\"unk_token\": \"<unk>\", \"eos_token\": \"other\"}")};
    check_chat(&source, "[]", NULL, "<s></s><unk><a><b><i>calmTrueNone");
}

static void test_chat_choice_of_template(void **state)
{
    (void)state;
    struct vocab_source source = {
        .name = "m",
        .tokenizer_config_json =
            span("{\"chat_template\": [{\"name\": \"default\", \"template\": \"D\"},"
                 "{\"name\": \"tool_use\", \"template\": \"T{{ tools|length }}\"}]}")};
    check_chat(&source, "[]", NULL, "D");
    check_chat(&source, "[]", "[{}, {}]", "T2");
    source.chat_template_jinja = span("F");
    check_chat(&source, "[]", "[{}]", "F");
    struct vocab_source none = {.name = "m"};
    struct strbuf out = {0};
    assert_int_equal(chat(&none, "[]", NULL, &out, NULL), STATUS_NOT_FOUND);
}

static void test_chat_gguf(void **state)
{
    (void)state;
    const struct text_span tokens[] = {span("<unk>"), span("<s>"), span("</s>")};
    struct vocab_source source = {.name = "m.gguf",
                                  .n_tokens = 3,
                                  .tokens = tokens,
                                  .bos_id = 1,
                                  .eos_id = 2,
                                  .unk_id = 0,
                                  .pad_id = VOCAB_NO_ID,
                                  .chat_template = span("{{ bos_token }}{{ eos_token }}"
                                                        "{{ pad_token is defined }}")};
    check_chat(&source, "[]", NULL, "<s></s>False");
}

static void test_chat_messages(void **state)
{
    (void)state;
    struct vocab_source source = {
        .name = "m",
        .chat_template_jinja =
            span("{% for m in messages %}{{ m.content }}{% for c in m.tool_calls "
                 "%}{{ c.function.arguments.a }}{% endfor %};{% endfor %}")};
    check_chat(&source,
               "[{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"a\"}, "
               "{\"type\": \"text\", \"text\": \"b\"}]}, {\"role\": \"assistant\", \"content\": "
               "\"c\", \"tool_calls\": [{\"function\": {\"name\": \"f\", \"arguments\": "
               "\"{\\\"a\\\": 5}\"}}]}]",
               NULL, "ab;c5;");
    struct strbuf out = {0};
    struct error err = {0};
    assert_int_equal(chat(&source, "[{\"content\": [{\"type\": \"image\"}]}]", NULL, &out, &err),
                     STATUS_INVALID);
    assert_non_null(strstr(err.message, "messages[0].content[0]"));
    err = (struct error){0};
    assert_int_equal(chat(&source, "[{\"tool_calls\": [{\"function\": {\"arguments\": \"{\"}}]}]",
                          NULL, &out, &err),
                     STATUS_INVALID);
    assert_non_null(strstr(err.message, "messages[0].tool_calls[0]"));
    strbuf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_print_as_in_python),
        cmocka_unit_test(test_strings_count_characters),
        cmocka_unit_test(test_white_space_control),
        cmocka_unit_test(test_dicts_prefer_methods_to_keys),
        cmocka_unit_test(test_errors_name_template_and_line),
        cmocka_unit_test(test_raise_exception_stands_alone),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_deep_nesting_in_the_source),
        cmocka_unit_test(test_long_chains),
        cmocka_unit_test(test_shared_renderings),
        cmocka_unit_test(test_chat_special_tokens),
        cmocka_unit_test(test_chat_choice_of_template),
        cmocka_unit_test(test_chat_gguf),
        cmocka_unit_test(test_chat_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
