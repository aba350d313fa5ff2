/* The graders' common part: arguments, verdicts, and the kinds that combine others. */
#include "eval/grader.h"

#include "base/json.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "eval/grader_kinds.h"
#include "eval/regex.h"
#include "eval/text_scan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MAX_FOUND = 500, MAX_NESTING = 8 };

struct grader {
    const struct grader_type *type;
    json_t *args;
};

static const struct grader_type *const types[] = {
    &grader_number, &grader_choice, &grader_text,        &grader_keywords,
    &grader_claims, &grader_regex,  &grader_pattern,     &grader_json,
    &grader_table,  &grader_list,   &grader_constraints, &grader_companies,
    &grader_python, &grader_sql,    &grader_all_of,      &grader_any_of,
};
enum { N_TYPES = sizeof types / sizeof *types };

const char *grader_kind_name(size_t n)
{
    return n < N_TYPES ? types[n]->name : NULL;
}

static const struct grader_type *find_type(const char *kind)
{
    for (size_t i = 0; i < N_TYPES; i++)
        if (!strcmp(types[i]->name, kind))
            return types[i];
    return NULL;
}

static enum status unknown_kind(const char *kind, struct error *err)
{
    struct strbuf names = {0};
    for (size_t i = 0; i < N_TYPES; i++)
        strbuf_printf(&names, "%s%s", i ? ", " : "", types[i]->name);
    error_set(err, STATUS_INVALID, "there is no grader \"%s\"; the graders are %s", kind,
              strbuf_text(&names));
    strbuf_free(&names);
    return STATUS_INVALID;
}

/* ---- arguments ---- */

static bool all_strings(const json_t *array)
{
    for (size_t i = 0; i < json_array_size(array); i++)
        if (!json_is_string(json_array_get(array, i)))
            return false;
    return json_array_size(array) > 0;
}

static bool all_alternatives(const json_t *array)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *element = json_array_get(array, i);
        if (!json_is_string(element) && !all_strings(element))
            return false;
    }
    return json_array_size(array) > 0;
}

/* NULL when the value is of the type, else what it should have been. */
static const char *type_mismatch(enum argument_type type, const json_t *value)
{
    switch (type) {
    case ARGUMENT_STRING:
        return json_is_string(value) ? NULL : "a string";
    case ARGUMENT_STRINGS:
        return all_strings(value) ? NULL : "an array of strings, not empty";
    case ARGUMENT_ALTERNATIVES:
        return all_alternatives(value) ? NULL
                                       : "an array, not empty, of strings or arrays of strings";
    case ARGUMENT_INTEGER:
        return json_is_integer(value) && json_integer_value(value) >= 0
                   ? NULL
                   : "a whole number, 0 or more";
    case ARGUMENT_NUMBER:
        return json_is_number(value) ? NULL : "a number";
    case ARGUMENT_BOOLEAN:
        return json_is_boolean(value) ? NULL : "true or false";
    case ARGUMENT_ARRAY:
        return json_array_size(value) ? NULL : "an array, not empty";
    case ARGUMENT_OBJECT:
        return json_is_object(value) ? NULL : "an object";
    case ARGUMENT_ANY:
        return NULL;
    }
    return "something else";
}

static enum status unknown_argument(const char *kind, const struct argument *table,
                                    const char *name, struct error *err)
{
    struct strbuf names = {0};
    for (const struct argument *a = table; a->name; a++)
        strbuf_printf(&names, "%s%s", a == table ? "" : ", ", a->name);
    error_set(err, STATUS_INVALID, "%s has no argument \"%s\"; its arguments are %s", kind, name,
              strbuf_text(&names));
    strbuf_free(&names);
    return STATUS_INVALID;
}

enum status arguments_check(const char *kind, const struct argument *table, const json_t *args,
                            struct error *err)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)args, name, value)
    {
        const struct argument *a = table;
        while (a->name && strcmp(a->name, name))
            a++;
        if (!a->name)
            return unknown_argument(kind, table, name, err);
        const char *expected = type_mismatch(a->type, value);
        if (expected)
            return error_set(err, STATUS_INVALID, "%s: \"%s\" should be %s", kind, name, expected);
    }
    for (const struct argument *a = table; a->name; a++)
        if (a->required && !json_object_get(args, a->name))
            return error_set(err, STATUS_INVALID, "%s: the argument \"%s\" is missing", kind,
                             a->name);
    return STATUS_OK;
}

enum status argument_check_pattern(const char *kind, const char *text, struct error *err)
{
    struct regex *pattern;
    enum status status = regex_compile(text, 0, &pattern, err);
    regex_free(pattern);
    if (status)
        error_prefix(err, "%s", kind);
    return status;
}

const char *alternative(const json_t *element, size_t n)
{
    if (json_is_string(element))
        return n ? NULL : json_string_value(element);
    return json_string_value(json_array_get(element, n));
}

/* ---- verdicts ---- */

/* Messages quote pieces of answers, which may be cut inside a character. */
static void make_valid(char *text)
{
    uint32_t c;
    size_t length = strlen(text);
    for (size_t i = 0; i < length;) {
        int n = utf8_decode(text + i, length - i, &c);
        bool control = n == 1 && c < ' ';
        if (n <= 0 || control)
            text[i] = control ? ' ' : '?';
        i += n > 0 ? (size_t)n : 1;
    }
}

static enum status set_reason(struct verdict *verdict, const char *format, va_list list,
                              struct error *err)
{
    struct strbuf text = {0};
    va_list again;
    va_copy(again, list);
    int n = vsnprintf(NULL, 0, format, again);
    va_end(again);
    char *reason = n < 0 ? NULL : mem_alloc((size_t)n + 1);
    if (!reason)
        return error_memory(err, "a verdict");
    vsnprintf(reason, (size_t)n + 1, format, list);
    make_valid(reason);
    size_t length = strlen(reason);
    if (length > 2 * MAX_FOUND) {
        strbuf_append(&text, reason, utf8_complete_prefix(reason, 2 * MAX_FOUND));
        strbuf_add(&text, "...");
        mem_free(reason);
        reason = strbuf_take(&text);
    }
    mem_free(verdict->reason);
    verdict->reason = reason;
    return reason ? STATUS_OK : error_memory(err, "a verdict");
}

#define FINISH_VERDICT(kind, share)                                                                \
    verdict->outcome = (kind);                                                                     \
    verdict->score = (share);                                                                      \
    va_list list;                                                                                  \
    va_start(list, format);                                                                        \
    enum status status = set_reason(verdict, format, list, err);                                   \
    va_end(list);                                                                                  \
    return status

enum status verdict_pass(struct verdict *verdict, struct error *err, const char *format, ...)
{
    FINISH_VERDICT(VERDICT_PASS, 1);
}

enum status verdict_fail(struct verdict *verdict, struct error *err, const char *format, ...)
{
    FINISH_VERDICT(VERDICT_FAIL, verdict->score);
}

enum status verdict_nothing_found(struct verdict *verdict, struct error *err, const char *format,
                                  ...)
{
    verdict->extraction_failed = true;
    FINISH_VERDICT(VERDICT_FAIL, 0);
}

enum status verdict_not_run(struct verdict *verdict, struct error *err, const char *format, ...)
{
    FINISH_VERDICT(VERDICT_NOT_RUN, 0);
}

enum status verdict_set_found(struct verdict *verdict, const char *text, size_t length,
                              struct error *err)
{
    struct strbuf found = {0};
    bool cut = length > MAX_FOUND;
    strbuf_append(&found, text, cut ? utf8_complete_prefix(text, MAX_FOUND) : length);
    strbuf_add(&found, cut ? "..." : "");
    mem_free(verdict->found);
    verdict->found = strbuf_take(&found);
    return verdict->found ? STATUS_OK : error_memory(err, "a verdict");
}

enum status verdict_add_check(struct verdict *verdict, const char *name, bool passed,
                              struct error *err, const char *format, ...)
{
    char detail[400];
    va_list list;
    va_start(list, format);
    vsnprintf(detail, sizeof detail, format, list);
    va_end(list);
    detail[utf8_complete_prefix(detail, strlen(detail))] = 0;
    make_valid(detail);
    if (!verdict->checks)
        verdict->checks = json_array();
    json_t *check =
        json_pack("{s:s, s:b, s:s}", "check", name, "pass", (int)passed, "detail", detail);
    if (!check || json_array_append_new(verdict->checks, check))
        return error_memory(err, "a verdict");
    return STATUS_OK;
}

enum status verdict_close_checks(struct verdict *verdict, struct error *err)
{
    size_t n = json_array_size(verdict->checks), passed = 0;
    struct strbuf failed = {0};
    for (size_t i = 0; i < n; i++) {
        const json_t *check = json_array_get(verdict->checks, i);
        if (json_is_true(json_object_get(check, "pass")))
            passed++;
        else
            strbuf_printf(&failed, "%s%s: %s", failed.length ? "; " : "",
                          json_string_value(json_object_get(check, "check")),
                          json_string_value(json_object_get(check, "detail")));
    }
    verdict->score = n ? (double)passed / (double)n : 0;
    enum status status = n && passed == n ? verdict_pass(verdict, err, "all %zu checks hold", n)
                                          : verdict_fail(verdict, err, "%zu of %zu checks hold; %s",
                                                         passed, n, strbuf_text(&failed));
    strbuf_free(&failed);
    return status;
}

void verdict_clear(struct verdict *verdict)
{
    mem_free(verdict->reason);
    mem_free(verdict->found);
    json_decref(verdict->checks);
    *verdict = (struct verdict){0};
}

const char *verdict_name(const struct verdict *verdict)
{
    static const char *const names[] = {"fail", "pass", "not_run"};
    return names[verdict->outcome];
}

json_t *verdict_to_json(const struct verdict *verdict)
{
    return json_pack("{s:s, s:f, s:b, s:s?, s:s?, s:O?}", "verdict", verdict_name(verdict), "score",
                     verdict->score, "extraction_failed", (int)verdict->extraction_failed, "reason",
                     verdict->reason, "found", verdict->found, "checks", verdict->checks);
}

/* ---- creation and use ---- */

static enum status check_kind(const char *kind, const json_t *args, unsigned depth,
                              const struct grader_type **type, struct error *err);

/* all_of, any_of: {"graders": [{"grader": KIND, "args": {...}}, ...]} */
static enum status check_parts(const char *kind, const json_t *args, unsigned depth,
                               struct error *err)
{
    static const struct argument part_arguments[] = {
        {"grader", ARGUMENT_STRING, true}, {"args", ARGUMENT_OBJECT, false}, {0}};
    const struct grader_type *type;
    const json_t *parts = json_object_get(args, "graders");
    if (depth >= MAX_NESTING)
        return error_set(err, STATUS_INVALID, "%s: graders are nested more than %d deep", kind,
                         MAX_NESTING);
    for (size_t i = 0; i < json_array_size(parts); i++) {
        const json_t *part = json_array_get(parts, i);
        char place[80];
        snprintf(place, sizeof place, "%s, part %zu", kind, i + 1);
        if (!json_is_object(part))
            return error_set(err, STATUS_INVALID, "%s should be an object", place);
        enum status status = arguments_check(place, part_arguments, part, err);
        if (status)
            return status;
        if (check_kind(json_string_value(json_object_get(part, "grader")),
                       json_object_get(part, "args"), depth + 1, &type, err))
            return error_prefix(err, "%s", place);
    }
    return STATUS_OK;
}

static bool is_composite(const struct grader_type *type)
{
    return type == &grader_all_of || type == &grader_any_of;
}

static enum status check_kind(const char *kind, const json_t *args, unsigned depth,
                              const struct grader_type **type, struct error *err)
{
    *type = find_type(kind);
    if (!*type)
        return unknown_kind(kind, err);
    enum status status = arguments_check(kind, (*type)->arguments, args, err);
    if (!status && is_composite(*type))
        status = check_parts(kind, args, depth, err);
    if (!status && (*type)->check)
        status = (*type)->check(args, err);
    return status;
}

enum status grader_create(const char *kind, const json_t *args, struct grader **out,
                          struct error *err)
{
    const struct grader_type *type;
    *out = NULL;
    enum status status = check_kind(kind, args, 0, &type, err);
    if (status)
        return status;
    struct grader *grader = mem_alloc(sizeof *grader);
    json_t *copy = args ? json_deep_copy(args) : json_object();
    if (!grader || !copy) {
        mem_free(grader);
        json_decref(copy);
        return error_memory(err, "a grader");
    }
    *grader = (struct grader){type, copy};
    *out = grader;
    return STATUS_OK;
}

void grader_free(struct grader *grader)
{
    if (!grader)
        return;
    json_decref(grader->args);
    mem_free(grader);
}

const char *grader_kind(const struct grader *grader)
{
    return grader->type->name;
}

static bool needs_sandbox(const struct grader_type *type, const json_t *args)
{
    const json_t *parts = json_object_get(args, "graders");
    bool needs = type->needs_sandbox;
    for (size_t i = 0; is_composite(type) && i < json_array_size(parts); i++) {
        const json_t *part = json_array_get(parts, i);
        needs |= needs_sandbox(find_type(json_string_value(json_object_get(part, "grader"))),
                               json_object_get(part, "args"));
    }
    return needs;
}

bool grader_needs_sandbox(const struct grader *grader)
{
    return needs_sandbox(grader->type, grader->args);
}

enum status grader_grade(const struct grader *grader, const char *text, size_t length,
                         struct verdict *verdict, struct error *err)
{
    struct answer answer;
    *verdict = (struct verdict){0};
    if (length > GRADER_ANSWER_LIMIT)
        return verdict_nothing_found(verdict, err,
                                     "the answer has %zu bytes; more than %d are not judged",
                                     length, GRADER_ANSWER_LIMIT);
    enum status status = answer_prepare(text, length, &answer, err);
    if (status)
        return status;
    struct span content = {0, answer.raw_length};
    content = text_trim(answer.raw, content);
    if (answer.unfinished_reasoning)
        status = verdict_nothing_found(verdict, err, "the reasoning never ends: no answer");
    else if (content.begin == content.end)
        status = verdict_nothing_found(verdict, err, "the answer is empty");
    else
        status = grader->type->grade(grader->args, &answer, verdict, err);
    answer_clear(&answer);
    return status;
}

/* ---- combinations ---- */

static enum status grade_part(const json_t *part, const struct answer *answer,
                              struct verdict *verdict, struct error *err)
{
    const struct grader_type *type = find_type(json_string_value(json_object_get(part, "grader")));
    *verdict = (struct verdict){0};
    return type->grade(json_object_get(part, "args"), answer, verdict, err);
}

/* Judges all parts into `checks`; counts what each outcome got. */
static enum status grade_parts(const json_t *args, const struct answer *answer,
                               struct verdict *verdict, size_t counts[3], bool *all_unfound,
                               struct error *err)
{
    const json_t *parts = json_object_get(args, "graders");
    enum status status = STATUS_OK;
    *all_unfound = true;
    for (size_t i = 0; i < json_array_size(parts) && !status; i++) {
        struct verdict part;
        status = grade_part(json_array_get(parts, i), answer, &part, err);
        if (!status) {
            counts[part.outcome]++;
            *all_unfound &= part.extraction_failed;
            status = verdict_add_check(
                verdict, json_string_value(json_object_get(json_array_get(parts, i), "grader")),
                part.outcome == VERDICT_PASS, err, "%s", part.reason);
            if (!status && part.found && !verdict->found)
                status = verdict_set_found(verdict, part.found, strlen(part.found), err);
        }
        verdict_clear(&part);
    }
    return status;
}

/* A part that was not run leaves the whole open unless the others decide it alone. */
static enum status grade_all_of(const json_t *args, const struct answer *answer,
                                struct verdict *verdict, struct error *err)
{
    size_t counts[3] = {0};
    bool unfound;
    enum status status = grade_parts(args, answer, verdict, counts, &unfound, err);
    if (status)
        return status;
    if (counts[VERDICT_NOT_RUN] && !counts[VERDICT_FAIL])
        return verdict_not_run(verdict, err, "a part could not be run here");
    verdict->extraction_failed = unfound && counts[VERDICT_FAIL];
    return verdict_close_checks(verdict, err);
}

static enum status grade_any_of(const json_t *args, const struct answer *answer,
                                struct verdict *verdict, struct error *err)
{
    size_t counts[3] = {0};
    bool unfound;
    enum status status = grade_parts(args, answer, verdict, counts, &unfound, err);
    if (status)
        return status;
    if (counts[VERDICT_PASS])
        return verdict_pass(verdict, err, "%zu of %zu alternatives hold", counts[VERDICT_PASS],
                            json_array_size(verdict->checks));
    if (counts[VERDICT_NOT_RUN])
        return verdict_not_run(verdict, err, "a part could not be run here");
    verdict->extraction_failed = unfound;
    return verdict_close_checks(verdict, err);
}

static const struct argument composite_arguments[] = {{"graders", ARGUMENT_ARRAY, true}, {0}};
const struct grader_type grader_all_of = {"all_of", composite_arguments, NULL, grade_all_of, false};
const struct grader_type grader_any_of = {"any_of", composite_arguments, NULL, grade_any_of, false};
