/* What follows from a comparison: scores, speeds, tests, and which model serves which scenario.
 *
 * Computed once, deterministically, from the comparison alone; every form of the report shows
 * these same numbers.
 */
#ifndef TANDEM_EVAL_FINDINGS_H
#define TANDEM_EVAL_FINDINGS_H

#include "eval/comparison.h"
#include "eval/latency.h"
#include "eval/statistics.h"

/* A group of items: a dimension, a language, or all. */
struct group {
    struct score scores[N_SIDES];    /* over the items that were judged for that side */
    size_t not_run[N_SIDES];         /* asked, but could not be judged */
    size_t no_answer_found[N_SIDES]; /* wrong because nothing could be extracted */
    struct paired paired;            /* over the items judged for both */
};

struct speed {
    struct summary first_token;                       /* seconds */
    struct summary prompt_rate, generation_rate;      /* tokens per second */
    struct summary total;                             /* seconds per item */
    size_t prompt_tokens, answer_tokens, cut_answers; /* ended by the limit of tokens */
    double cpu_seconds, wall_seconds;                 /* of all answers */
    struct latency latency;
    double score;             /* 0 to 10 */
    struct interval interval; /* 95%, bootstrap over items */
};

/* On how many of the items answered by both A was faster (wins) or slower (losses). */
struct race {
    size_t wins, losses, ties;
    double p;
};

struct findings {
    struct group dimensions[N_DIMENSIONS], languages[N_LANGUAGES], all;
    struct speed speeds[N_SIDES];
    struct race first_token, generation, total;
};

enum status findings_compute(const struct comparison *c, struct findings *f, struct error *err);

/* --- which serves which scenario --- */

enum choice {
    CHOICE_A,
    CHOICE_B,
    CHOICE_EITHER,  /* no significant difference */
    CHOICE_NEITHER, /* both are right too rarely to be relied on */
    CHOICE_UNKNOWN, /* not measured */
};

struct advice {
    const char *scenario[2]; /* what for: English, Chinese */
    enum choice choice;
    char why[2][400]; /* English, Chinese; one or two sentences with the numbers */
};

enum { N_ADVICE = 8 };
/* Fills in up to N_ADVICE; returns how many. */
size_t findings_advice(const struct comparison *c, const struct findings *f,
                       struct advice advice[N_ADVICE]);
/* One sentence on the paired test of a group: "9 : 2 of 13 items ... (p = 0.065)". */
void findings_describe_paired(const struct paired *paired, const char *name_a, const char *name_b,
                              char out[2][400]);

#endif
