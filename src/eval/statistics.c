#include "eval/statistics.h"
#include "base/memory.h"
#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double z95 = 1.959963984540054; /* the normal distribution's 97.5% point */

struct interval statistics_wilson(size_t right, size_t n)
{
    if (!n)
        return (struct interval){0, 1};
    double count = (double)n, share = (double)right / count, z2 = z95 * z95;
    double middle = share + z2 / (2 * count);
    double half = z95 * sqrt(share * (1 - share) / count + z2 / (4 * count * count));
    double low = (middle - half) / (1 + z2 / count), high = (middle + half) / (1 + z2 / count);
    /* At the ends the formula gives 0 and 1 but for rounding. */
    return (struct interval){right == 0 ? 0 : low, right == n ? 1 : high};
}

struct score statistics_score(size_t right, size_t n)
{
    struct interval share = statistics_wilson(right, n);
    return (struct score){.right = right,
                          .n = n,
                          .value = n ? 10 * (double)right / (double)n : 0,
                          .interval = {10 * share.low, 10 * share.high}};
}

/* The logarithm of "n choose k", summed: lgamma() is not thread-safe. */
static double log_choose(size_t n, size_t k)
{
    double sum = 0;
    for (size_t i = 1; i <= k; i++)
        sum += log((double)(n - k + i)) - log((double)i);
    return sum;
}

double statistics_sign_test(size_t wins, size_t losses)
{
    size_t n = wins + losses, fewer = size_min(wins, losses);
    if (wins == losses)
        return 1;
    double tail = 0;
    for (size_t k = 0; k <= fewer; k++)
        tail += exp(log_choose(n, k) - (double)n * log(2));
    return tail < 0.5 ? 2 * tail : 1;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double statistics_percentile(const double *sorted, size_t n, double share)
{
    if (!n)
        return 0;
    double place = share * (double)(n - 1);
    size_t below = (size_t)place;
    if (below + 1 >= n)
        return sorted[n - 1];
    return sorted[below] + (place - (double)below) * (sorted[below + 1] - sorted[below]);
}

struct summary statistics_summary(double *values, size_t n)
{
    struct summary s = {.n = n};
    if (!n)
        return s;
    qsort(values, n, sizeof *values, compare_doubles);
    for (size_t i = 0; i < n; i++)
        s.mean += values[i] / (double)n;
    s.min = values[0];
    s.p10 = statistics_percentile(values, n, 0.10);
    s.median = statistics_percentile(values, n, 0.50);
    s.p90 = statistics_percentile(values, n, 0.90);
    s.p95 = statistics_percentile(values, n, 0.95);
    s.max = values[n - 1];
    return s;
}

/* The interval between the 2.5% and the 97.5% point of BOOTSTRAP_RESAMPLES sums, each of n draws
 * out of +1 (wins), -1 (losses) and 0. Sums are small whole numbers, so counting sorts them. */
static struct interval bootstrap_difference(size_t wins, size_t losses, size_t n, uint64_t seed)
{
    struct interval whole = {-1, 1};
    size_t n_counts, tail = BOOTSTRAP_RESAMPLES / 40, seen = 0;
    if (!size_multiply(n, 2, &n_counts))
        return whole;
    size_t *counts = mem_array(n_counts + 1, sizeof *counts); /* of sum + n */
    if (!counts)
        return whole;
    struct rng rng;
    rng_seed(&rng, seed);
    for (size_t i = 0; i < BOOTSTRAP_RESAMPLES; i++) {
        size_t sum = n;
        for (size_t j = 0; j < n; j++) {
            uint64_t draw = rng_below(&rng, n);
            sum += draw < wins;
            sum -= draw >= wins && draw < wins + losses;
        }
        counts[sum]++;
    }
    struct interval result = {0};
    size_t at = 0;
    while ((seen += counts[at]) <= tail)
        at++;
    result.low = ((double)at - (double)n) / (double)n;
    while (seen < BOOTSTRAP_RESAMPLES - tail)
        seen += counts[++at];
    result.high = ((double)at - (double)n) / (double)n;
    mem_free(counts);
    return result;
}

struct paired statistics_paired(const unsigned char *a, const unsigned char *b, size_t n,
                                uint64_t seed)
{
    struct paired result = {.n = n, .p = 1, .interval = {-1, 1}};
    for (size_t i = 0; i < n; i++) {
        result.both_right += a[i] && b[i];
        result.both_wrong += !a[i] && !b[i];
        result.wins += a[i] && !b[i];
        result.losses += !a[i] && b[i];
    }
    if (!n)
        return result;
    result.p = statistics_sign_test(result.wins, result.losses);
    result.difference = ((double)result.wins - (double)result.losses) / (double)n;
    result.interval = bootstrap_difference(result.wins, result.losses, n, seed);
    return result;
}

enum finding statistics_finding(const struct paired *paired)
{
    if (!paired->n)
        return FINDING_NOTHING_MEASURED;
    if (paired->p >= 0.05)
        return FINDING_UNDECIDED;
    return paired->wins > paired->losses ? FINDING_A_BETTER : FINDING_B_BETTER;
}
