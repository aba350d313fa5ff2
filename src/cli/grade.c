/* tandem grade: verdicts on answers that exist already. */
#include "base/json.h"
#include "base/memory.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "eval/suite.h"

#include <stdio.h>
#include <string.h>

struct tally {
    size_t items, answered, passed, not_run, unfound;
};

struct session {
    const struct suite *suite;
    bool *answered; /* [suite->count] */
    struct tally tallies[N_DIMENSIONS];
    bool summary_only;
};

static enum status read_answer(const json_t *line, const char **id, const char **text,
                               size_t *length, struct error *err)
{
    *id = json_get_string(line, "id", NULL, err);
    *text = json_get_string(line, "answer", NULL, err);
    if (err->status)
        return err->status;
    if (!*id || !*text)
        return error_set(err, STATUS_FORMAT, "expected an object {\"id\": ..., \"answer\": ...}");
    *length = json_string_length(json_object_get(line, "answer"));
    return STATUS_OK;
}

static enum status print_verdict(const struct suite_item *item, const struct verdict *verdict,
                                 struct error *err)
{
    json_t *object = json_pack("{s:s, s:s, s:s}", "id", item->id, "dimension",
                               suite_dimension_name(item->dimension), "language",
                               suite_language_name(item->language));
    json_t *details = verdict_to_json(verdict);
    struct strbuf text = {0};
    bool fine = object && details && !json_object_update(object, details);
    if (fine) {
        json_write(&text, object, false);
        puts(strbuf_text(&text));
    }
    fine = fine && !text.failed;
    strbuf_free(&text);
    json_decref(object);
    json_decref(details);
    return fine ? STATUS_OK : error_memory(err, "a verdict");
}

static void count(struct tally *tally, const struct verdict *verdict)
{
    tally->answered++;
    tally->passed += verdict->outcome == VERDICT_PASS;
    tally->not_run += verdict->outcome == VERDICT_NOT_RUN;
    tally->unfound += verdict->extraction_failed;
}

static enum status grade_line(struct session *session, const json_t *line, struct error *err)
{
    const char *id = NULL, *text = NULL;
    size_t length = 0;
    struct verdict verdict;
    enum status status = read_answer(line, &id, &text, &length, err);
    if (status)
        return status;
    const struct suite_item *item = suite_find(session->suite, id);
    if (!item)
        return error_set(err, STATUS_INVALID, "the suite \"%s\" has no item \"%s\"",
                         session->suite->name, id);
    bool *answered = &session->answered[item - session->suite->items];
    if (*answered)
        return error_set(err, STATUS_INVALID, "a second answer to \"%s\"", id);
    *answered = true;
    status = grader_grade(item->grader, text, length, &verdict, err);
    if (!status)
        count(&session->tallies[item->dimension], &verdict);
    if (!status && !session->summary_only)
        status = print_verdict(item, &verdict, err);
    verdict_clear(&verdict);
    return status;
}

static enum status grade_stream(struct session *session, FILE *stream, struct error *err)
{
    struct json_lines lines = {.stream = stream, .name = "standard input"};
    enum status status = STATUS_OK;
    json_t *line;
    while (!status && (line = json_lines_next(&lines, err))) {
        status = grade_line(session, line, err);
        if (status)
            error_prefix(err, "%s, line %zu", lines.name, lines.line_number);
        json_decref(line);
    }
    json_lines_free(&lines);
    return status ? status : err->status;
}

/* One line per dimension on stderr, or one JSON object on stdout. */
static void print_summary(const struct session *session)
{
    json_t *summary = json_object();
    for (size_t d = 0; d < N_DIMENSIONS; d++) {
        const struct tally *t = &session->tallies[d];
        const char *name = suite_dimension_name((enum suite_dimension)d);
        if (!session->summary_only && t->items)
            fprintf(stderr, "%-12s %zu of %zu right%s", name, t->passed, t->answered - t->not_run,
                    t->unfound || t->not_run || t->answered < t->items ? "" : "\n");
        if (!session->summary_only && (t->unfound || t->not_run || t->answered < t->items))
            fprintf(stderr, " (no answer found in %zu, %zu not run, %zu missing)\n", t->unfound,
                    t->not_run, t->items - t->answered);
        json_object_set_new(summary, name,
                            json_pack("{s:I, s:I, s:I, s:I, s:I}", "items", (json_int_t)t->items,
                                      "answered", (json_int_t)t->answered, "passed",
                                      (json_int_t)t->passed, "not_run", (json_int_t)t->not_run,
                                      "extraction_failed", (json_int_t)t->unfound));
    }
    struct strbuf text = {0};
    json_write(&text, summary, true);
    if (session->summary_only)
        puts(strbuf_text(&text));
    strbuf_free(&text);
    json_decref(summary);
}

static void report_missing(const struct session *session)
{
    size_t missing = 0;
    for (size_t i = 0; i < session->suite->count; i++)
        if (!session->answered[i])
            fprintf(stderr, "%s%s",
                    missing++ ? ", " : "no answer to: ", session->suite->items[i].id);
    fputs(missing ? "\n" : "", stderr);
}

static int grade_suite(struct suite *suite, bool summary_only)
{
    struct error err = {0};
    struct session session = {.suite = suite, .summary_only = summary_only};
    session.answered = mem_array(suite->count, sizeof *session.answered);
    if (!session.answered)
        error_memory(&err, "answers");
    for (size_t i = 0; i < suite->count; i++)
        session.tallies[suite->items[i].dimension].items++;
    if (!err.status)
        grade_stream(&session, stdin, &err);
    if (!err.status) {
        print_summary(&session);
        report_missing(&session);
    }
    mem_free(session.answered);
    fflush(stdout);
    return err.status ? report_error(&err) : finish_output();
}

int command_grade(int argc, char **argv)
{
    const char *name = NULL;
    bool summary_only = false;
    const struct option options[] = {
        {"suite", 's', OPTION_STRING, &name, "NAME", "a suite's name (core) or a .jsonl file"},
        {"summary", 0, OPTION_FLAG, &summary_only, NULL,
         "print only the counts per dimension, as JSON"},
        {0}};
    const struct usage usage = {
        .command = "grade",
        .operands = "< ANSWERS.jsonl",
        .summary =
            "Judges answers: JSON lines {\"id\", \"answer\"} on stdin, one verdict line each on "
            "stdout.\nRuns no model. Generated code is run in a sandbox.",
        .options = options,
        .examples = "  tandem grade --suite core < answers.jsonl\n"};
    struct args args;
    struct suite *suite;
    struct error err = {0};
    int status = args_parse(&usage, argc, argv, &args);
    if (status != ARGS_OK)
        return status;
    args_free(&args);
    if (!name)
        return args_wrong(&usage, "--suite is missing: tandem grade --suite core < ANSWERS.jsonl");
    if (suite_open(name, &suite, &err))
        return report_error(&err);
    status = grade_suite(suite, summary_only);
    suite_free(suite);
    return status;
}
