#include "engine/speculation.h"

#include <stdbool.h>
#include <string.h>

/* The longest match wins; a single token says too little. */
enum { LONGEST_MATCH = 4, SHORTEST_MATCH = 2 };

/* What is learned of one guess weighs LEARN_RATE, what one request saw of a source HERITAGE_RATE.
 * While no guesses are worth it, the estimate creeps back, so that they are tried again at times.
 */
static const double LEARN_RATE = 0.1, HERITAGE_RATE = 0.3, RECOVERY_RATE = 0.01, TIME_RATE = 0.2;

const struct acceptance first_acceptance = {{[DRAFT_LOOK_UP] = 0.6, [DRAFT_MODEL] = 0.6}};

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

static bool matches(const int32_t *a, const int32_t *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (a[i] != b[i])
            return false;
    return true;
}

/* The end of the latest earlier occurrence of the last `length` tokens; 0: there is none. */
static size_t find_earlier(const int32_t *tokens, size_t n, size_t length)
{
    const int32_t *last = tokens + n - length;
    for (size_t end = n - 1; end >= length; end--)
        if (tokens[end - 1] == tokens[n - 1] && matches(tokens + end - length, last, length - 1))
            return end;
    return 0;
}

void draft_look_up(struct draft *draft, const int32_t *tokens, size_t n, size_t most)
{
    draft->count = 0;
    draft->source = DRAFT_LOOK_UP;
    for (size_t length = LONGEST_MATCH; length >= SHORTEST_MATCH; length--) {
        size_t from = n > length ? find_earlier(tokens, n, length) : 0;
        if (!from)
            continue;
        /* Where the text repeats itself, what follows may reach into the guesses. */
        for (; draft->count < most; draft->count++, from++)
            draft->tokens[draft->count] = from < n ? tokens[from] : draft->tokens[from - n];
        return;
    }
}

void draft_learn(struct draft *draft, size_t n_accepted)
{
    double *acceptance = &draft->acceptance.of[draft->source];
    for (size_t i = 0; i < n_accepted; i++)
        *acceptance += LEARN_RATE * (1 - *acceptance);
    if (n_accepted < draft->count)
        *acceptance -= LEARN_RATE * *acceptance;
    draft->n_guessed += draft->count;
    draft->n_accepted += n_accepted;
}

void draft_pass_on(const struct draft *draft, struct acceptance *known)
{
    for (size_t i = 0; i < N_DRAFT_SOURCES; i++)
        known->of[i] += HERITAGE_RATE * (draft->acceptance.of[i] - known->of[i]);
}

void pass_times_add(struct pass_times *times, size_t rows, double seconds)
{
    if (rows > MAX_TIMED_ROWS)
        return;
    double *known = &times->seconds[rows];
    *known = *known > 0 ? *known + TIME_RATE * (seconds - *known) : seconds;
}

/* No more than one of more rows, so that a single slow one does no harm for long. Where none so
 * large ever was, what the largest took: so it gets tried. */
double pass_times_expect(const struct pass_times *times, size_t rows)
{
    double least = 0;
    for (size_t r = MAX_TIMED_ROWS; r > 0 && (r >= rows || least == 0); r--)
        if (times->seconds[r] > 0 && (least == 0 || times->seconds[r] < least))
            least = times->seconds[r];
    return least;
}

size_t draft_weigh(struct draft *draft, const struct draft_offer *offer,
                   const struct pass_times *times, size_t rows, double *saved)
{
    double *acceptance = &draft->acceptance.of[offer->source];
    double tokens = (double)rows + 1, chance = 1, plain = 0, best = 0, making = 0;
    size_t best_count = 0;
    for (size_t k = 0; k <= offer->most; k++) {
        double seconds = pass_times_expect(times, rows + 1 + k);
        if (k > offer->n_free)
            making += offer->seconds;
        if (k > 0)
            tokens += chance *= *acceptance;
        double each = (seconds + making) / tokens;
        if (k == 0)
            plain = best = each;
        if (each < best) {
            best = each;
            best_count = k;
        }
    }
    if (best_count == 0 && offer->most > 0)
        *acceptance += RECOVERY_RATE * (first_acceptance.of[offer->source] - *acceptance);
    *saved = plain - best;
    return best_count;
}
