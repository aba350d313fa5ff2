/* What the kinds of graders are made of; for the grader_*.c files only.
 *
 * A kind checks its arguments once (all argument errors surface there) and then judges prepared
 * answers. It fills in a verdict through the functions below.
 */
#ifndef TANDEM_EVAL_GRADER_KINDS_H
#define TANDEM_EVAL_GRADER_KINDS_H

#include "base/strbuf.h"
#include "eval/answer.h"
#include "eval/grader.h"

#include <jansson.h>

enum argument_type {
    ARGUMENT_STRING,
    ARGUMENT_STRINGS,      /* array of strings, not empty */
    ARGUMENT_ALTERNATIVES, /* array whose elements are strings or arrays of strings */
    ARGUMENT_INTEGER,      /* 0 or more */
    ARGUMENT_NUMBER,
    ARGUMENT_BOOLEAN,
    ARGUMENT_ARRAY, /* not empty */
    ARGUMENT_OBJECT,
    ARGUMENT_ANY,
};

struct argument {
    const char *name;
    enum argument_type type;
    bool required;
};

/* What a kind's check function gets: the place for messages, e.g. "number" or "all_of[1].json". */
struct grader_type {
    const char *name;
    const struct argument *arguments; /* ends with a zero entry; NULL: checked by `check` alone */
    /* What goes beyond the table; may be NULL. */
    enum status (*check)(const json_t *args, struct error *err);
    /* `verdict` is zeroed; failing means STATUS_MEMORY or STATUS_IO. */
    enum status (*grade)(const json_t *args, const struct answer *answer, struct verdict *verdict,
                         struct error *err);
    bool needs_sandbox;
};

extern const struct grader_type grader_number, grader_choice, grader_text, grader_keywords,
    grader_claims, grader_regex, grader_pattern, grader_json, grader_table, grader_list,
    grader_constraints, grader_companies, grader_python, grader_sql, grader_all_of, grader_any_of;

/* Checks `args` against the table: unknown names, missing ones, types. */
enum status arguments_check(const char *kind, const struct argument *table, const json_t *args,
                            struct error *err);

/* Fills in outcome, score and reason (printf). They return STATUS_MEMORY when that failed. */
enum status verdict_pass(struct verdict *verdict, struct error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
enum status verdict_fail(struct verdict *verdict, struct error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* FAIL with extraction_failed. */
enum status verdict_nothing_found(struct verdict *verdict, struct error *err, const char *format,
                                  ...) __attribute__((format(printf, 3, 4)));
enum status verdict_not_run(struct verdict *verdict, struct error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* What was extracted, for people; cut to about 500 bytes. */
enum status verdict_set_found(struct verdict *verdict, const char *text, size_t length,
                              struct error *err);

/* Several checks in one verdict: add each, then close, which sets outcome, score and reason. */
enum status verdict_add_check(struct verdict *verdict, const char *name, bool passed,
                              struct error *err, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
enum status verdict_close_checks(struct verdict *verdict, struct error *err);

/* An element of ARGUMENT_ALTERNATIVES as an array look: n-th spelling, NULL behind the last. */
const char *alternative(const json_t *element, size_t n);
/* A regular expression given as an argument: compiles? */
enum status argument_check_pattern(const char *kind, const char *text, struct error *err);

#endif
