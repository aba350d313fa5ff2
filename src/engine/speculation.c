#include "engine/speculation.h"
#include "base/size.h"

#include <stdbool.h>
#include <string.h>

/* A single token says too little; more than the longest say no more. */
enum { SHORTEST_MATCH = 2, LONGEST_MATCH = 24 };

/* What is learned of one guess weighs LEARN_RATE, the draft model's first ones more (its first
 * estimate counts as FIRST_WEIGHT guesses, and until so many were seen one is tried at a time).
 * What one request saw of look-ups, which depends on its text, weighs HERITAGE_RATE. While no
 * guesses of the draft model are worth it, its estimate creeps back, so that they are tried again
 * at times: RECOVERY_GUESSES that were seen halve the pace, twice as many leave a third of it, so
 * that a poor draft is tried ever less. What a look-up offers is compared with what came whether or
 * not it was computed. */
static const double LEARN_RATE = 0.1, FIRST_WEIGHT = 2, HERITAGE_RATE = 0.3;
static const double RECOVERY_RATE = 0.0025, RECOVERY_GUESSES = 2, TIME_RATE = 0.2;
static const double FIRST_ROW_COST = 0.1;

const struct acceptance first_acceptance = {.look_up = {0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95},
                                            .model = 0.7};

enum status speculation_parse(const char *name, enum speculation *speculation, struct error *err)
{
    static const char *const names[] = {"auto", "off", "always"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(name ? name : names[0], names[i])) {
            *speculation = (enum speculation)i;
            return STATUS_OK;
        }
    return error_set(err, STATUS_INVALID, "speculation \"%s\": expected auto, off or always", name);
}

/* How many of the last tokens stand before `end` as well. */
static size_t match_length(const int32_t *tokens, size_t n, size_t end)
{
    size_t length = 0;
    while (length < end && length < LONGEST_MATCH &&
           tokens[end - 1 - length] == tokens[n - 1 - length])
        length++;
    return length;
}

/* The end of the longest earlier occurrence of how the text ends, the latest of equals. */
static size_t find_earlier(const int32_t *tokens, size_t n, size_t *match)
{
    size_t best = 0;
    *match = 0;
    for (size_t end = n - 1; end > *match && *match < LONGEST_MATCH; end--) {
        if (tokens[end - 1] != tokens[n - 1])
            continue;
        size_t length = match_length(tokens, n, end);
        if (length > *match) {
            *match = length;
            best = end;
        }
    }
    return best;
}

void draft_look_up(struct draft *draft, const int32_t *tokens, size_t n, size_t most)
{
    size_t from = find_earlier(tokens, n, &draft->match), count = 0;
    draft->source = DRAFT_LOOK_UP;
    draft->count = 0;
    /* Where the text repeats itself, what follows may reach into the guesses. */
    for (; draft->match >= SHORTEST_MATCH && count < most; count++, from++)
        draft->tokens[count] = from < n ? tokens[from] : draft->tokens[from - n];
    draft->n_offered = count;
}

/* The estimate for guess number i: those before it were right, so the match is longer by then. */
static double *acceptance_of(struct draft *draft, enum draft_source source, size_t i)
{
    static const size_t least[MATCH_CLASSES] = {0, 3, 4, 5, 7, 9, 13, 17};
    size_t class = MATCH_CLASSES - 1;
    while (least[class] > draft->match + i)
        class --;
    return source == DRAFT_MODEL ? &draft->acceptance.model : &draft->acceptance.look_up[class];
}

static double learn_rate(const struct draft *draft)
{
    double first = 1 / (FIRST_WEIGHT + (double)draft->acceptance.n_model);
    return draft->source == DRAFT_MODEL && first > LEARN_RATE ? first : LEARN_RATE;
}

void draft_learn(struct draft *draft, const int32_t *tokens, size_t n)
{
    for (size_t i = 0; i < n && i < draft->n_offered; i++) {
        double *acceptance = acceptance_of(draft, draft->source, i);
        bool right = tokens[i] == draft->tokens[i];
        draft->acceptance.n_model += draft->source == DRAFT_MODEL;
        *acceptance += learn_rate(draft) * ((right ? 1 : 0) - *acceptance);
        draft->n_accepted += right && i < draft->count;
    }
    draft->n_guessed += draft->count;
}

void draft_pass_on(const struct draft *draft, struct acceptance *known)
{
    const struct acceptance *seen = &draft->acceptance;
    for (size_t i = 0; i < MATCH_CLASSES; i++)
        known->look_up[i] += HERITAGE_RATE * (seen->look_up[i] - known->look_up[i]);
    if (seen->n_model < known->n_model) /* another request, which ended first, saw more */
        return;
    known->model = seen->model;
    known->n_model = seen->n_model;
}

void pass_times_add(struct pass_times *times, size_t rows, double seconds)
{
    if (rows > MAX_TIMED_ROWS)
        return;
    double *known = &times->seconds[rows];
    *known = *known > 0 ? *known + TIME_RATE * (seconds - *known) : seconds;
}

/* Between two numbers of rows that are known, in proportion; but no more than one of more rows, so
 * that a single slow one does no harm for long. Where none so large ever was, each
 * row beyond costs FIRST_ROW_COST of the largest: a few are tried before many. */
double pass_times_expect(const struct pass_times *times, size_t rows)
{
    const double *known = times->seconds;
    size_t below = size_min(rows, MAX_TIMED_ROWS), above = rows;
    while (below > 0 && known[below] == 0)
        below--;
    while (above <= MAX_TIMED_ROWS && known[above] == 0)
        above++;
    if (above > MAX_TIMED_ROWS)
        return known[below] * (1 + FIRST_ROW_COST * (double)(rows - below));
    double expected = known[above];
    if (below > 0 && below < above)
        expected = known[below] +
                   (known[above] - known[below]) * (double)(rows - below) / (double)(above - below);
    for (size_t r = above; r <= MAX_TIMED_ROWS; r++)
        if (known[r] > 0 && known[r] < expected)
            expected = known[r];
    return expected;
}

size_t draft_weigh(struct draft *draft, const struct draft_offer *offer,
                   const struct pass_times *times, size_t rows, double *saved)
{
    double tokens = (double)rows + 1, chance = 1, plain = 0, best = 0, making = 0;
    bool is_model = offer->source == DRAFT_MODEL;
    double n_seen = (double)draft->acceptance.n_model;
    size_t best_count = 0, most = is_model && n_seen < FIRST_WEIGHT ? 1 : offer->most;
    for (size_t k = 0; k <= most && k <= offer->most; k++) {
        if (k > offer->n_free)
            making += offer->seconds;
        if (k > 0)
            tokens += chance *= *acceptance_of(draft, offer->source, k - 1);
        double each = (pass_times_expect(times, rows + 1 + k) + making) / tokens;
        if (k == 0)
            plain = best = each;
        if (each < best) {
            best = each;
            best_count = k;
        }
    }
    double *model = &draft->acceptance.model;
    if (is_model && best_count == 0)
        *model +=
            RECOVERY_RATE / (1 + n_seen / RECOVERY_GUESSES) * (first_acceptance.model - *model);
    *saved = plain - best;
    return best_count;
}
