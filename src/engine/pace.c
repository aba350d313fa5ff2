#include "engine/pace.h"
#include "base/size.h"

#include <stdbool.h>

/* A crowd of prompts may make others' steps so many times PACE_STRETCH times as long. */
static const double MOST_CROWD = 4;

/* A rung that was never seen is tried once if it may be so many times as long as others' steps may:
 * costs have stairs, and what the next rung takes is a guess. */
static const double UNKNOWN = 1.25;

/* A step of prompts alone should not last much longer than this: it is how long a cancellation, or
 * the first token of another request, may have to wait for it. */
static const double STEP_SECONDS = 0.5;
enum { FIRST_PROMPT_ROWS = 64, LEAST_PROMPT_ROWS = 32 };

/* Decoding alone is timed anew after so many steps with prompts. */
enum { MAX_SHARED_STEPS = 64 };

/* Attention walks the pages of a prompt's earlier positions once for all of its rows in the step:
 * reading and preparing them takes about as long as computing with them for so many rows. */
static const double WALK_ROWS = 4;

/* Beside decoding a prompt gets at least so many rows, whatever they cost. */
enum { LEAST_SHARED_ROWS = 1 };

static const size_t rungs[PACE_RUNGS] = {2,  3,  4,   6,   8,   12,  16,  24,  32, 48,
                                         64, 96, 128, 192, 256, 320, 384, 448, 512};

static size_t decode_index(size_t rows)
{
    return size_min(rows, PACE_DECODE_ROWS);
}

/* The first rung that is above the rows that decode, by as much as a prompt gets in any case. */
static size_t lowest_rung(size_t n_decode)
{
    size_t k = 0;
    while (k + 1 < PACE_RUNGS && rungs[k] < n_decode + LEAST_SHARED_ROWS)
        k++;
    return k;
}

/* What a step of the rung would take now; of one that was never seen from the increase up to the
 * one below it, whose prediction is `below`. */
static double predict(const struct pace *pace, size_t k, size_t n_decode, double below)
{
    double prompt_rows = (double)rungs[k] - (double)n_decode;
    if (pace->rung_seconds[k] > 0)
        return pace->rung_seconds[k] + pace->surcharge * (WALK_ROWS + prompt_rows);
    double alone = pace->decode_seconds[decode_index(n_decode)];
    double more_rows = (double)(rungs[k] - rungs[k - 1]);
    return below > alone ? below + (below - alone) * more_rows / (prompt_rows - more_rows) : below;
}

/* How long a step may take. */
static double most_seconds(const struct pace *pace, size_t n_decode, size_t n_prompts)
{
    double crowd = (double)n_prompts / (double)n_decode;
    crowd = crowd < 1 ? 1 : crowd > MOST_CROWD ? MOST_CROWD : crowd;
    return crowd * PACE_STRETCH * pace->decode_seconds[decode_index(n_decode)];
}

/* Prompt rows beside decoding: the highest rung that is within the limit; rungs that were never
 * seen are tried one after the other. */
static size_t shared_rows(const struct pace *pace, size_t n_decode, double limit, size_t most)
{
    double seconds = 0;
    size_t lowest = lowest_rung(n_decode), best = lowest;
    for (size_t k = lowest; k < PACE_RUNGS && rungs[k] <= n_decode + most; k++) {
        bool is_known = pace->rung_seconds[k] > 0;
        if (k > lowest || is_known)
            seconds = predict(pace, k, n_decode, seconds);
        if (seconds <= (is_known ? limit : UNKNOWN * limit))
            best = k;
        if (!is_known)
            break;
    }
    size_t rows = rungs[best] > n_decode ? rungs[best] - n_decode : LEAST_SHARED_ROWS;
    return size_min(rows, most);
}

static size_t rows_of_step_seconds(const struct pace *pace, size_t most)
{
    double rows = pace->prompt_row > 0 ? STEP_SECONDS / pace->prompt_row : FIRST_PROMPT_ROWS;
    if (rows < LEAST_PROMPT_ROWS)
        rows = LEAST_PROMPT_ROWS;
    return rows < (double)most ? (size_t)rows : most;
}

size_t pace_prompt_rows(const struct pace *pace, size_t n_decode, size_t n_prompts, size_t most)
{
    if (n_decode == 0)
        return rows_of_step_seconds(pace, most);
    if (pace->decode_seconds[decode_index(n_decode)] == 0 ||
        pace->n_since_alone >= MAX_SHARED_STEPS)
        return 0;
    return shared_rows(pace, n_decode, most_seconds(pace, n_decode, n_prompts), most);
}

/* Of a time that is the system's doing, only as much as may count. */
static double bounded(double seconds, double known, double most)
{
    return known > 0 && seconds > most * known ? most * known : seconds;
}

static void learn_decoding(struct pace *pace, size_t rows, double seconds)
{
    double *known = &pace->decode_seconds[decode_index(rows)];
    double change = bounded(seconds, *known, 2) - *known;
    *known = *known > 0 ? *known + (change > 0 ? 0.25 : 0.5) * change : seconds;
    pace->n_since_alone = 0;
}

/* The surcharge rises at once and falls slowly. */
static void learn_sharing(struct pace *pace, size_t n_decode, size_t n_prompt, double seconds)
{
    pace->n_since_alone++;
    for (size_t k = 0; k < PACE_RUNGS; k++) {
        double *known = &pace->rung_seconds[k];
        if (rungs[k] != n_decode + n_prompt)
            continue;
        if (*known == 0 || seconds < *known)
            *known = seconds;
        double extra = (bounded(seconds, *known, 4) - *known) / (WALK_ROWS + (double)n_prompt);
        pace->surcharge += (extra > pace->surcharge ? 0.5 : 0.03) * (extra - pace->surcharge);
    }
}

void pace_learn(struct pace *pace, size_t n_decode, size_t n_prompt, double seconds)
{
    if (n_prompt == 0)
        learn_decoding(pace, n_decode, seconds);
    else if (n_decode > 0)
        learn_sharing(pace, n_decode, n_prompt, seconds);
    else if (n_prompt >= LEAST_PROMPT_ROWS)
        pace->prompt_row = seconds / (double)n_prompt;
}
