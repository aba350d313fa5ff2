/* Statistics of a comparison: what a few dozen right-or-wrong answers can and cannot show.
 *
 * Shares get Wilson's 95% interval. Two models on the same items are compared in pairs: the exact
 * McNemar test over the items on which they differ, and a bootstrap interval of the difference.
 * Everything is deterministic; docs/report.md has the formulae.
 */
#ifndef TANDEM_EVAL_STATISTICS_H
#define TANDEM_EVAL_STATISTICS_H

#include <stddef.h>
#include <stdint.h>

struct interval {
    double low, high;
};

/* 95% interval of a share of `right` out of n; 0 to 1 for n = 0. */
struct interval statistics_wilson(size_t right, size_t n);

/* A share as a score of 0 to 10 with its interval on the same scale. */
struct score {
    size_t right, n;
    double value; /* 0 for n = 0: look at n */
    struct interval interval;
};
struct score statistics_score(size_t right, size_t n);

/* Two-sided exact p of `wins` against `losses` when both are equally likely; 1 for 0 : 0. */
double statistics_sign_test(size_t wins, size_t losses);

enum { BOOTSTRAP_RESAMPLES = 10000, DECISIVE_MIN = 6 }; /* 6 : 0 is the least that gives p < .05 */

/* Models A and B on the same items. */
struct paired {
    size_t n, both_right, both_wrong;
    size_t wins, losses;      /* only A right; only B right */
    double p;                 /* exact McNemar */
    double difference;        /* share of A less share of B, -1 to 1 */
    struct interval interval; /* 95%, bootstrap over items */
};
/* a and b: [n] of 0 or 1. */
struct paired statistics_paired(const unsigned char *a, const unsigned char *b, size_t n,
                                uint64_t seed);

enum finding {
    FINDING_NOTHING_MEASURED, /* no item was judged for both */
    FINDING_UNDECIDED,        /* the test does not tell them apart */
    FINDING_A_BETTER,         /* p < .05 */
    FINDING_B_BETTER,
};
enum finding statistics_finding(const struct paired *paired);

/* Sorted-sample statistics; values [n] are sorted in place. 0 for n = 0. */
struct summary {
    size_t n;
    double mean, min, p10, median, p90, p95, max;
};
struct summary statistics_summary(double *values, size_t n);
/* Linear between the closest ranks of sorted values, share 0 to 1. */
double statistics_percentile(const double *sorted, size_t n, double share);

#endif
