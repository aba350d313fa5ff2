#include "eval/findings.h"
#include "base/memory.h"
#include "base/rng.h"

#include <math.h>
#include <string.h>

static bool is_judged(const struct outcome *outcome)
{
    return outcome->asked && outcome->verdict.outcome != VERDICT_NOT_RUN;
}

typedef bool item_filter(const struct suite_item *item, int which);

static bool has_dimension(const struct suite_item *item, int which)
{
    return (int)item->dimension == which;
}

static bool has_language(const struct suite_item *item, int which)
{
    return (int)item->language == which;
}

static bool is_any(const struct suite_item *item, int which)
{
    (void)item;
    (void)which;
    return true;
}

static void count_side(const struct comparison *c, size_t side, item_filter *filter, int which,
                       struct group *group)
{
    size_t right = 0, judged = 0;
    for (size_t i = 0; i < c->n_items; i++) {
        const struct outcome *outcome = &c->candidates[side].outcomes[i];
        if (!outcome->asked || !filter(c->items[i], which))
            continue;
        group->not_run[side] += !is_judged(outcome);
        judged += is_judged(outcome);
        right += outcome->verdict.outcome == VERDICT_PASS;
        group->no_answer_found[side] += outcome->verdict.extraction_failed;
    }
    group->scores[side] = statistics_score(right, judged);
}

/* `pairs` is room for 2 * n_items verdicts. */
static void fill_group(const struct comparison *c, item_filter *filter, int which,
                       unsigned char *pairs, struct group *group)
{
    unsigned char *a = pairs, *b = pairs + c->n_items;
    size_t n = 0;
    *group = (struct group){0};
    for (size_t side = 0; side < N_SIDES; side++)
        count_side(c, side, filter, which, group);
    for (size_t i = 0; i < c->n_items; i++) {
        const struct outcome *outcome_a = &c->candidates[SIDE_A].outcomes[i];
        const struct outcome *outcome_b = &c->candidates[SIDE_B].outcomes[i];
        if (!filter(c->items[i], which) || !is_judged(outcome_a) || !is_judged(outcome_b))
            continue;
        a[n] = outcome_a->verdict.outcome == VERDICT_PASS;
        b[n++] = outcome_b->verdict.outcome == VERDICT_PASS;
    }
    group->paired = statistics_paired(a, b, n, c->seed);
}

/* --- speed --- */

enum measure { FIRST_TOKEN, PROMPT_RATE, GENERATION_RATE, TOTAL, N_MEASURES };

/* 0: not measured for this answer. */
static double measure(const struct outcome *outcome, enum measure what)
{
    const struct reply *reply = &outcome->reply;
    if (!outcome->asked || reply->error || !reply->answer_tokens)
        return 0;
    switch (what) {
    case FIRST_TOKEN:
        return reply->first_token_seconds;
    case PROMPT_RATE:
        return reply_prompt_rate(reply);
    case GENERATION_RATE:
        return reply_generation_rate(reply);
    default:
        return reply->total_seconds;
    }
}

struct sample {
    double *values; /* [n], positive */
    size_t n;
};

static void take_sample(const struct comparison *c, size_t side, enum measure what,
                        struct sample *sample)
{
    sample->n = 0;
    for (size_t i = 0; i < c->n_items; i++) {
        double value = measure(&c->candidates[side].outcomes[i], what);
        if (value > 0)
            sample->values[sample->n++] = value;
    }
}

static double resampled_median(const struct sample *sample, struct rng *rng, double *room)
{
    for (size_t i = 0; i < sample->n; i++)
        room[i] = sample->values[rng_below(rng, sample->n)];
    return statistics_summary(room, sample->n).median;
}

/* The score's interval: what varies from item to item is drawn again, load time and memory are
 * single measurements and stay. */
static void score_interval(const struct sample samples[N_MEASURES], uint64_t seed, double *room,
                           double *scores, size_t n_scores, struct speed *speed)
{
    struct rng rng;
    rng_seed(&rng, seed);
    for (size_t i = 0; i < n_scores; i++) {
        struct latency drawn = speed->latency;
        drawn.first_token_seconds = resampled_median(&samples[FIRST_TOKEN], &rng, room);
        drawn.prompt_rate = resampled_median(&samples[PROMPT_RATE], &rng, room);
        drawn.generation_rate = resampled_median(&samples[GENERATION_RATE], &rng, room);
        scores[i] = latency_score(&drawn);
    }
    statistics_summary(scores, n_scores); /* sorts */
    speed->interval.low = statistics_percentile(scores, n_scores, 0.025);
    speed->interval.high = statistics_percentile(scores, n_scores, 0.975);
}

static void add_up(const struct comparison *c, size_t side, struct speed *speed)
{
    for (size_t i = 0; i < c->n_items; i++) {
        const struct outcome *outcome = &c->candidates[side].outcomes[i];
        if (!outcome->asked)
            continue;
        speed->prompt_tokens += outcome->reply.prompt_tokens;
        speed->answer_tokens += outcome->reply.answer_tokens;
        speed->cpu_seconds += outcome->reply.cpu_seconds;
        speed->wall_seconds += outcome->reply.total_seconds;
        speed->cut_answers += !strcmp(outcome->reply.finish, "length");
    }
}

static void fill_speed(const struct comparison *c, size_t side, double *room, double *scores,
                       size_t n_scores, struct speed *speed)
{
    const struct candidate *candidate = &c->candidates[side];
    struct sample samples[N_MEASURES];
    *speed = (struct speed){0};
    for (int what = 0; what < N_MEASURES; what++) {
        samples[what].values = room + (size_t)(what + 1) * c->n_items;
        take_sample(c, side, (enum measure)what, &samples[what]);
    }
    speed->first_token = statistics_summary(samples[FIRST_TOKEN].values, samples[FIRST_TOKEN].n);
    speed->prompt_rate = statistics_summary(samples[PROMPT_RATE].values, samples[PROMPT_RATE].n);
    speed->generation_rate =
        statistics_summary(samples[GENERATION_RATE].values, samples[GENERATION_RATE].n);
    speed->total = statistics_summary(samples[TOTAL].values, samples[TOTAL].n);
    speed->latency = (struct latency){.first_token_seconds = speed->first_token.median,
                                      .generation_rate = speed->generation_rate.median,
                                      .prompt_rate = speed->prompt_rate.median,
                                      .ready_seconds = candidate->info.load_seconds +
                                                       candidate->info.warm_up_first_token,
                                      .peak_bytes = candidate->peak_bytes};
    add_up(c, side, speed);
    if (!speed->first_token.n)
        return;
    speed->score = latency_score(&speed->latency);
    score_interval(samples, c->seed, room, scores, n_scores, speed);
}

/* Wins are A's; smaller_wins for times, else for rates. */
static struct race run_race(const struct comparison *c, enum measure what, bool smaller_wins)
{
    struct race race = {0};
    for (size_t i = 0; i < c->n_items; i++) {
        double a = measure(&c->candidates[SIDE_A].outcomes[i], what);
        double b = measure(&c->candidates[SIDE_B].outcomes[i], what);
        if (!(a > 0) || !(b > 0))
            continue;
        race.wins += smaller_wins ? a < b : a > b;
        race.losses += smaller_wins ? a > b : a < b;
        race.ties += a == b;
    }
    race.p = statistics_sign_test(race.wins, race.losses);
    return race;
}

static void fill_findings(const struct comparison *c, unsigned char *pairs, double *room,
                          double *scores, size_t n_scores, struct findings *f)
{
    for (int i = 0; i < N_DIMENSIONS; i++)
        fill_group(c, has_dimension, i, pairs, &f->dimensions[i]);
    for (int i = 0; i < N_LANGUAGES; i++)
        fill_group(c, has_language, i, pairs, &f->languages[i]);
    fill_group(c, is_any, 0, pairs, &f->all);
    for (size_t side = 0; side < N_SIDES; side++)
        fill_speed(c, side, room, scores, n_scores, &f->speeds[side]);
    f->first_token = run_race(c, FIRST_TOKEN, true);
    f->generation = run_race(c, GENERATION_RATE, false);
    f->total = run_race(c, TOTAL, true);
}

enum status findings_compute(const struct comparison *c, struct findings *f, struct error *err)
{
    enum { RESAMPLES = 2000 };
    *f = (struct findings){0};
    unsigned char *pairs = mem_array(c->n_items, 2);
    double *room = mem_array(c->n_items, (N_MEASURES + 1) * sizeof *room);
    double *scores = mem_array(RESAMPLES, sizeof *scores);
    bool complete = pairs && room && scores;
    if (complete)
        fill_findings(c, pairs, room, scores, RESAMPLES, f);
    mem_free(pairs);
    mem_free(room);
    mem_free(scores);
    return complete ? STATUS_OK : error_memory(err, "the findings");
}
