/* A comparison's data: two models, the items of a suite, what was answered and how it was judged.
 *
 * compare.h fills it in; findings.h computes what follows from it; report.h shows it.
 */
#ifndef TANDEM_EVAL_COMPARISON_H
#define TANDEM_EVAL_COMPARISON_H

#include "eval/environment.h"
#include "eval/respondent.h"
#include "eval/suite.h"

/* One model's answer to one item. */
struct outcome {
    bool asked; /* else nothing below counts */
    struct reply reply;
    struct verdict verdict;
};

struct candidate {
    const char *path; /* as given */
    bool loaded;      /* info is there */
    struct respondent_info info;
    struct outcome *outcomes; /* [n_items] */
    size_t n_asked;
    size_t peak_bytes;      /* resident peak of its process */
    size_t anonymous_bytes; /* the largest seen after an answer */
    bool is_random;         /* its name says that its weights are random */
    char failure[1000];     /* why it stopped early; "" where it did not */
};

enum { SIDE_A, SIDE_B, N_SIDES };

struct comparison {
    struct suite *suite;
    const struct suite_item **items; /* [n_items], in the suite's order; of the suite */
    size_t n_items;
    struct candidate candidates[N_SIDES];
    struct environment environment;
    char started[32]; /* UTC */
    double seconds;   /* of the whole run */
    bool interrupted;
    bool sandbox_missing; /* some code was not run */
    char sandbox_message[1000];
    char log_failure[1000]; /* why answers.jsonl is not complete; "" where it is */

    /* What was asked for. */
    size_t max_tokens; /* 0: the suite's own figures */
    size_t limit;      /* 0: all items */
    size_t n_threads, context_length;
    const char *kv_type; /* as in struct engine_options; NULL: its default */
    bool sample;
    uint64_t seed;
};
void comparison_free(struct comparison *comparison);
/* The model's name, or its path where it could not be loaded. */
const char *candidate_name(const struct candidate *candidate);
/* Some item was not asked of both. */
bool comparison_is_partial(const struct comparison *comparison);

#endif
