/* Suites: the prompts of a comparison and how each answer is judged, as data.
 *
 * A suite is a file of JSON lines, one item each:
 *
 *     {"id": "math-03", "dimension": "math", "language": "zh", "topic": "sets",
 *      "prompt": "...", "reference": "...", "grader": "number", "args": {...},
 *      "max_tokens": 512}
 *
 * "topic" and "max_tokens" may be absent; every other field is needed, and no further field is
 * allowed. Suites in suites/ are part of the program and are opened by name ("core").
 *
 *     struct suite *suite;
 *     if (suite_open("core", &suite, &err)) ...
 *     for (size_t i = 0; i < suite->count; i++)
 *         grader_grade(suite->items[i].grader, answer, length, &verdict, &err);
 *     suite_free(suite);
 */
#ifndef TANDEM_EVAL_SUITE_H
#define TANDEM_EVAL_SUITE_H

#include "base/error.h"
#include "eval/grader.h"

#include <stdbool.h>
#include <stddef.h>

enum suite_dimension {
    DIMENSION_INSTRUCTION,
    DIMENSION_MATH,
    DIMENSION_CODE,
    DIMENSION_STRUCTURED,
    N_DIMENSIONS,
};
enum suite_language { LANGUAGE_ZH, LANGUAGE_EN, N_LANGUAGES };

enum { SUITE_DEFAULT_MAX_TOKENS = 512 };

struct suite_item {
    const char *id; /* [A-Za-z0-9._-]+, unique in the suite */
    enum suite_dimension dimension;
    enum suite_language language;
    const char *topic;     /* "" when absent */
    const char *prompt;    /* the one user message; there is no system message */
    const char *reference; /* an answer that passes */
    size_t max_tokens;     /* room for the answer */
    struct grader *grader;
};

/* Everything in it belongs to the suite. */
struct suite {
    const char *name; /* "core", or the file's path */
    char sha256[65];  /* of the file's bytes: which prompts exactly */
    struct suite_item *items;
    size_t count;
    json_t *document; /* the items as read; holds the strings */
};

/* `name` is a suite that is part of the program, or else the path of a .jsonl file. Errors name
 * the line, the field, what it should be and what it is. */
enum status suite_open(const char *name, struct suite **suite, struct error *err);
/* The same from text in memory; `name` is for messages and is copied. */
enum status suite_parse(const char *name, const char *text, size_t length, struct suite **suite,
                        struct error *err);
void suite_free(struct suite *suite);

/* NULL when there is no such item. */
const struct suite_item *suite_find(const struct suite *suite, const char *id);
/* "instruction", "math", "code", "structured"; "zh", "en". */
const char *suite_dimension_name(enum suite_dimension dimension);
const char *suite_language_name(enum suite_language language);
/* Names of the suites that are part of the program: n-th, NULL behind the last. */
const char *suite_builtin_name(size_t n);

#endif
