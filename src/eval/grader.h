/* Graders: deterministic judges of one answer's text. No model is asked, no clock or locale
 * has a say: the same answer gets the same verdict everywhere.
 *
 * A grader is compiled once from its kind ("number", "choice", "python", ...) and its JSON
 * arguments, which are checked in full: an unknown or ill-typed argument is an error at load
 * time, not a wrong verdict later. docs/graders.md describes every kind and its arguments.
 *
 *     struct verdict verdict;
 *     if (!grader_create("number", args, &grader, &err) &&
 *         !grader_grade(grader, answer, strlen(answer), &verdict, &err))
 *         printf("%s: %s\n", verdict_name(&verdict), verdict.reason);
 *     verdict_clear(&verdict);
 *     grader_free(grader);
 *
 * A grader is constant after its creation and may be used by several threads at once.
 */
#ifndef TANDEM_EVAL_GRADER_H
#define TANDEM_EVAL_GRADER_H

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct grader;

enum verdict_outcome {
    VERDICT_FAIL,
    VERDICT_PASS,
    VERDICT_NOT_RUN, /* could not be judged here (no working sandbox): counts for nobody */
};

struct verdict {
    enum verdict_outcome outcome;
    /* FAIL because no answer was found in the text (no number, no code block, no JSON, ...),
     * as opposed to a found answer that is wrong. */
    bool extraction_failed;
    /* Share of the grader's checks that hold, 0 to 1; 1 for PASS, 0 for NOT_RUN. For information:
     * only `outcome` is counted. */
    double score;
    char *reason; /* one line for people: what was found, what was expected; never NULL */
    char *found;  /* what was extracted from the answer, cut to about 500 bytes; may be NULL */
    /* One object {"check", "pass", "detail"} per check for graders with several; else NULL. */
    json_t *checks;
};

/* STATUS_INVALID with the kind or argument at fault, what it should be, and what it is. `args`
 * may be NULL (no arguments) and is not needed afterwards. */
enum status grader_create(const char *kind, const json_t *args, struct grader **grader,
                          struct error *err);
void grader_free(struct grader *grader);
const char *grader_kind(const struct grader *grader);
/* Whether grading runs code, and so needs a working sandbox (sandbox.h). */
bool grader_needs_sandbox(const struct grader *grader);
/* The kinds there are: n-th name, NULL behind the last. */
const char *grader_kind_name(size_t n);

/* Judges `answer`, which need not be valid UTF-8 or NUL-terminated. Time and memory are bounded
 * (answers over GRADER_ANSWER_LIMIT bytes fail). Fills *verdict also on failure; release it with
 * verdict_clear. Fails only for STATUS_MEMORY or, for code, STATUS_IO: whatever is wrong with
 * the answer is a verdict. */
enum status grader_grade(const struct grader *grader, const char *answer, size_t length,
                         struct verdict *verdict, struct error *err);
enum { GRADER_ANSWER_LIMIT = 1 << 20 };

void verdict_clear(struct verdict *verdict);
const char *verdict_name(const struct verdict *verdict); /* "pass", "fail", "not_run" */
/* {"verdict", "score", "extraction_failed", "reason", "found", "checks"}: a new reference, NULL
 * when out of memory. */
json_t *verdict_to_json(const struct verdict *verdict);

#endif
