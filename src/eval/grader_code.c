/* python, sql: generated code, run in the sandbox on hidden inputs.
 *
 * The expected results stay here: the sandbox gets code and inputs and sends back values with
 * their types. Code that patches the harness, prints markers or returns objects that claim to
 * equal everything has gained nothing: it would still have to send the right values.
 */
#include "base/json.h"
#include "base/memory.h"
#include "eval/code_value.h"
#include "eval/embedded.h"
#include "eval/grader_kinds.h"
#include "eval/sandbox.h"
#include "eval/text_scan.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { DEFAULT_SECONDS = 10, NONCE_BYTES = 16 };

static const char python_path[] = "/usr/bin/python3";

static const struct argument python_arguments[] = {
    {"function", ARGUMENT_STRING, false},         {"cases", ARGUMENT_ARRAY, true},
    {"tolerance", ARGUMENT_NUMBER, false},        {"seconds", ARGUMENT_NUMBER, false},
    {"keeps_arguments", ARGUMENT_BOOLEAN, false}, {0}};
static const struct argument python_case_arguments[] = {{"args", ARGUMENT_ANY, false},
                                                        {"kwargs", ARGUMENT_OBJECT, false},
                                                        {"run", ARGUMENT_STRING, false},
                                                        {"eval", ARGUMENT_STRING, false},
                                                        {"expect", ARGUMENT_ANY, false},
                                                        {"raises", ARGUMENT_STRINGS, false},
                                                        {0}};
static const struct argument sql_arguments[] = {{"cases", ARGUMENT_ARRAY, true},
                                                {"tolerance", ARGUMENT_NUMBER, false},
                                                {"seconds", ARGUMENT_NUMBER, false},
                                                {0}};
static const struct argument sql_case_arguments[] = {
    {"setup", ARGUMENT_STRING, true}, {"expect", ARGUMENT_ANY, true}, {0}};

/* ---- arguments ---- */

static enum status check_cases(const char *kind, const json_t *args, const struct argument *table,
                               struct error *err)
{
    const json_t *cases = json_object_get(args, "cases");
    double seconds = json_get_number(args, "seconds", DEFAULT_SECONDS, NULL);
    if (!(seconds > 0 && seconds <= 300))
        return error_set(err, STATUS_INVALID, "%s: \"seconds\" should be between 0 and 300", kind);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *one = json_array_get(cases, i);
        char place[40];
        snprintf(place, sizeof place, "%s, case %zu", kind, i + 1);
        if (!json_is_object(one))
            return error_set(err, STATUS_INVALID, "%s should be an object", place);
        enum status status = arguments_check(place, table, one, err);
        if (status)
            return status;
    }
    return STATUS_OK;
}

static enum status check_python(const json_t *args, struct error *err)
{
    const json_t *cases = json_object_get(args, "cases");
    enum status status = check_cases("python", args, python_case_arguments, err);
    for (size_t i = 0; i < json_array_size(cases) && !status; i++) {
        const json_t *one = json_array_get(cases, i), *call = json_object_get(one, "args");
        if (!json_object_get(one, "eval") == !call || (call && !json_is_array(call)))
            status = error_set(err, STATUS_INVALID,
                               "python, case %zu: either \"args\" (an array) or \"eval\" is needed",
                               i + 1);
        else if (!json_object_get(one, "expect") == !json_object_get(one, "raises"))
            status =
                error_set(err, STATUS_INVALID,
                          "python, case %zu: either \"expect\" or \"raises\" is needed", i + 1);
    }
    return status;
}

static enum status check_sql(const json_t *args, struct error *err)
{
    return check_cases("sql", args, sql_case_arguments, err);
}

/* ---- the code in the answer ---- */

static bool is_language(const struct answer *answer, struct span language, const char *const *names)
{
    size_t n = language.end - language.begin;
    for (; *names; names++)
        if (strlen(*names) == n && !strncasecmp(answer->raw + language.begin, *names, n))
            return true;
    return false;
}

/* The block without the fence's indentation. */
static json_t *block_text(const struct answer *answer, const struct code_block *block)
{
    struct strbuf text = {0};
    for (size_t at = block->body.begin; at < block->body.end;) {
        struct span line = text_line(answer->raw, block->body.end, at);
        at = line.end + 1;
        for (size_t k = 0;
             k < block->indent && line.begin < line.end && strchr(" \t", answer->raw[line.begin]);
             k++)
            line.begin++;
        strbuf_append(&text, answer->raw + line.begin, line.end - line.begin);
        strbuf_add_char(&text, '\n');
    }
    json_t *value = json_stringn(strbuf_text(&text), text.length);
    strbuf_free(&text);
    return value;
}

/* Blocks of the language; without any, blocks without a language; without any, the whole text.
 * *fenced tells whether there were blocks. */
static enum status find_code(const struct answer *answer, const char *const *names, json_t *code,
                             bool *fenced, struct error *err)
{
    struct code_block *blocks;
    size_t n;
    enum status status = answer_code_blocks(answer, &blocks, &n, err);
    if (status)
        return status;
    for (size_t i = 0; i < n; i++)
        if (is_language(answer, blocks[i].language, names))
            json_array_append_new(code, block_text(answer, &blocks[i]));
    for (size_t i = 0; i < n && !json_array_size(code); i++)
        if (blocks[i].language.begin == blocks[i].language.end)
            json_array_append_new(code, block_text(answer, &blocks[i]));
    mem_free(blocks);
    *fenced = json_array_size(code) > 0;
    if (!*fenced && !n)
        json_array_append_new(code, json_stringn(answer->raw, answer->raw_length));
    return STATUS_OK;
}

/* ---- running it ---- */

static enum status make_nonce(char out[2 * NONCE_BYTES + 1], struct error *err)
{
    unsigned char bytes[NONCE_BYTES];
    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        return error_errno(err, "cannot read random bytes");
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    return STATUS_OK;
}

/* The cases without what is expected of them. */
static json_t *hidden_cases(const json_t *cases)
{
    json_t *hidden = json_deep_copy(cases);
    for (size_t i = 0; i < json_array_size(hidden); i++) {
        json_object_del(json_array_get(hidden, i), "expect");
        json_object_del(json_array_get(hidden, i), "raises");
    }
    return hidden;
}

struct run {
    struct sandbox_limits limits;
    struct sandbox_result result;
    json_t *reports; /* one object per line that carries the nonce */
};

/* Keeps only lines that begin with the nonce. */
static void collect_reports(struct run *run, const char *nonce)
{
    size_t n = strlen(nonce);
    run->reports = json_array();
    for (size_t at = 0; at < run->result.out_length;) {
        struct span line = text_line(run->result.out, run->result.out_length, at);
        at = line.end + 1;
        if (line.end - line.begin < n || memcmp(run->result.out + line.begin, nonce, n))
            continue;
        json_t *report = json_parse("a report", run->result.out + line.begin + n,
                                    line.end - line.begin - n, NULL);
        if (report)
            json_array_append_new(run->reports, report);
    }
}

static enum status run_code(const char *mode, const json_t *args, const json_t *code, bool fenced,
                            struct run *run, struct error *err)
{
    const char *argv[] = {python_path,           "-s", "-S", "-B", "-X", "utf8", "-c",
                          embedded_harness.data, NULL};
    char nonce[2 * NONCE_BYTES + 1];
    struct strbuf text = {0};
    double seconds = json_get_number(args, "seconds", DEFAULT_SECONDS, NULL);
    run->limits = sandbox_default_limits;
    run->limits.wall_seconds = seconds;
    run->limits.cpu_seconds = (size_t)ceil(seconds) + 1;
    enum status status = make_nonce(nonce, err);
    if (status)
        return status;
    json_t *request =
        json_pack("{s:s, s:s, s:O, s:b, s:s*, s:o}", "mode", mode, "nonce", nonce, "blocks", code,
                  "fenced", (int)fenced, "entry", json_get_string(args, "function", NULL, NULL),
                  "cases", hidden_cases(json_object_get(args, "cases")));
    json_write(&text, request, false);
    json_decref(request);
    status = !request || text.failed ? error_memory(err, "a test of code")
                                     : sandbox_run(argv, strbuf_text(&text), text.length,
                                                   &run->limits, &run->result, err);
    strbuf_free(&text);
    if (!status)
        collect_reports(run, nonce);
    return status;
}

/* ---- judging the reports ---- */

static bool raised_as_expected(const json_t *raises, const json_t *report)
{
    const json_t *names = json_object_get(report, "raised");
    for (size_t i = 0; i < json_array_size(raises); i++)
        for (size_t k = 0; k < json_array_size(names); k++)
            if (json_equal(json_array_get(raises, i), json_array_get(names, k)))
                return true;
    return false;
}

/* The arguments after the call, against those before it. */
static bool kept_arguments(const json_t *one, const json_t *report)
{
    const json_t *after = json_object_get(report, "args_after");
    return !after || code_value_matches(json_object_get(one, "args"), after, 0);
}

static void describe_case(const json_t *one, struct strbuf *out)
{
    const char *expression = json_get_string(one, "eval", NULL, NULL);
    struct strbuf args = {0};
    if (json_object_get(one, "args"))
        json_write(&args, json_object_get(one, "args"), false);
    if (expression)
        strbuf_printf(out, "%.80s", expression);
    else if (args.length > 2)
        strbuf_printf(out, "f(%.*s)", (int)size_min(args.length - 2, 80), strbuf_text(&args) + 1);
    strbuf_free(&args);
}

static void describe_outcome(const json_t *one, const json_t *report, struct strbuf *out)
{
    const json_t *value = json_object_get(report, "value");
    struct strbuf shown = {.limit = 20000};
    if (value)
        code_value_show(value, &shown);
    else
        strbuf_add(&shown, json_get_string(report, "error", "nothing", NULL));
    strbuf_printf(out, " gave %.100s", strbuf_text(&shown));
    strbuf_truncate(&shown, 0);
    json_write(&shown, json_object_get(one, json_object_get(one, "expect") ? "expect" : "raises"),
               false);
    strbuf_printf(out, ", expected %s%.100s", json_object_get(one, "expect") ? "" : "an error ",
                  strbuf_text(&shown));
    strbuf_free(&shown);
}

static enum status judge_case(const json_t *args, size_t i, const struct run *run,
                              struct verdict *verdict, struct error *err)
{
    const json_t *one = json_array_get(json_object_get(args, "cases"), i);
    const json_t *report = json_array_get(run->reports, i + 1);
    const json_t *raises = json_object_get(one, "raises");
    double tolerance = json_get_number(args, "tolerance", 1e-6, NULL);
    char name[40], end[120];
    struct strbuf detail = {0};
    bool right =
        report && (raises ? raised_as_expected(raises, report)
                          : code_value_matches(json_object_get(one, "expect"),
                                               json_object_get(report, "value"), tolerance));
    describe_case(one, &detail);
    if (right && json_is_true(json_object_get(args, "keeps_arguments")) &&
        !kept_arguments(one, report)) {
        right = false;
        strbuf_add(&detail, " changed its arguments");
    } else if (!report) {
        sandbox_describe(&run->result, &run->limits, end, sizeof end);
        strbuf_printf(&detail, ": no result, the program %s", end);
    } else {
        describe_outcome(one, report, &detail);
    }
    snprintf(name, sizeof name, "case %zu", i + 1);
    enum status status = verdict_add_check(verdict, name, right, err, "%s", strbuf_text(&detail));
    strbuf_free(&detail);
    return status;
}

static enum status judge_run(const json_t *args, const struct run *run, struct verdict *verdict,
                             struct error *err)
{
    const json_t *first = json_array_get(run->reports, 0);
    const char *missing = json_get_string(first, "missing", NULL, NULL);
    const char *unavailable = json_get_string(first, "unavailable", NULL, NULL);
    size_t n = json_array_size(json_object_get(args, "cases"));
    char end[120];
    enum status status = STATUS_OK;
    /* The harness closes stderr before it runs any code: what stands there is its own failure. */
    if (!first && run->result.end == SANDBOX_EXITED && run->result.errors_length)
        return verdict_not_run(verdict, err, "not run: %s cannot run the tests: %.300s",
                               python_path, run->result.errors);
    if (unavailable)
        return verdict_not_run(verdict, err, "not run: %s", unavailable);
    if (missing)
        return verdict_nothing_found(verdict, err, "the code does not define %s (%s)", missing,
                                     json_get_string(first, "error", "no error", NULL));
    if (!first) {
        sandbox_describe(&run->result, &run->limits, end, sizeof end);
        return verdict_fail(verdict, err, "the code did not get to the tests: the program %s", end);
    }
    for (size_t i = 0; i < n && !status; i++)
        status = judge_case(args, i, run, verdict, err);
    return status ? status : verdict_close_checks(verdict, err);
}

static enum status judge_code(const char *mode, const json_t *args, const json_t *code, bool fenced,
                              struct verdict *verdict, struct error *err)
{
    struct error problem = {0};
    struct run run = {0};
    const char *last = json_string_value(json_array_get(code, json_array_size(code) - 1));
    if (!json_array_size(code))
        return verdict_nothing_found(verdict, err, "there is no %s code in the answer", mode);
    enum status status = verdict_set_found(verdict, last, strlen(last), err);
    if (status)
        return status;
    if (access(python_path, X_OK))
        return verdict_not_run(verdict, err, "not run: %s is missing (apt install python3)",
                               python_path);
    status = run_code(mode, args, code, fenced, &run, &problem);
    if (status == STATUS_UNSUPPORTED)
        status = verdict_not_run(verdict, err, "not run: %s", problem.message);
    else if (status)
        status = error_set(err, status, "%s", problem.message);
    else
        status = judge_run(args, &run, verdict, err);
    sandbox_result_clear(&run.result);
    json_decref(run.reports);
    return status;
}

static enum status grade_code(const char *mode, const char *const *names, const json_t *args,
                              const struct answer *answer, struct verdict *verdict,
                              struct error *err)
{
    bool fenced = false;
    json_t *code = json_array();
    enum status status =
        code ? find_code(answer, names, code, &fenced, err) : error_memory(err, "an answer");
    if (!status)
        status = judge_code(mode, args, code, fenced, verdict, err);
    json_decref(code);
    return status;
}

static enum status grade_python(const json_t *args, const struct answer *answer,
                                struct verdict *verdict, struct error *err)
{
    static const char *const names[] = {"python", "py", "python3", "py3", NULL};
    return grade_code("python", names, args, answer, verdict, err);
}

static enum status grade_sql(const json_t *args, const struct answer *answer,
                             struct verdict *verdict, struct error *err)
{
    static const char *const names[] = {"sql", "sqlite", "sqlite3", "mysql", "postgresql", NULL};
    return grade_code("sql", names, args, answer, verdict, err);
}

const struct grader_type grader_python = {"python", python_arguments, check_python, grade_python,
                                          true};
const struct grader_type grader_sql = {"sql", sql_arguments, check_sql, grade_sql, true};
