#include "engine/pace.h"
#include "base/size.h"

/* A crowd of prompts may make others' steps so many times PACE_STRETCH times as long. */
static const double MOST_CROWD = 4;

/* Prompts alone should not take much longer than this at a time: it is how long a cancellation, or
 * the first token of another request, may have to wait. */
static const double ALONE_SECONDS = 0.5;

/* Nor a pass beside decoding, all its steps together: it is how long the next prompt waits. */
static const double PASS_SECONDS = 1;

/* Of a step's seconds for prompts a layer of the pass should fill at most this share: the step ends
 * behind the last layer that fits. */
static const double LAYER_SHARE = 0.45;

/* Passes have multiples of LEAST_ROWS: with fewer it is weights that they wait for, from which
 * nothing is learned either. The first one, whose cost is not known, has FIRST_ROWS. */
enum { LEAST_ROWS = 8, FIRST_ROWS = 64 };

static size_t decode_index(size_t rows)
{
    return size_min(rows, PACE_DECODE_ROWS);
}

double pace_step_seconds(const struct pace *pace, size_t n_decode, size_t n_prompts)
{
    if (n_decode == 0)
        return ALONE_SECONDS;
    double crowd = (double)n_prompts / (double)n_decode;
    crowd = crowd < 1 ? 1 : crowd > MOST_CROWD ? MOST_CROWD : crowd;
    return crowd * PACE_STRETCH * pace->decode_seconds[decode_index(n_decode)];
}

double pace_prompt_seconds(const struct pace *pace, size_t n_decode, size_t n_prompts)
{
    double step = pace_step_seconds(pace, n_decode, n_prompts);
    return n_decode ? step - pace->decode_seconds[decode_index(n_decode)] : step;
}

/* Seconds that all layers of a pass may take beside n_decode others. */
static double pass_seconds(const struct pace *pace, size_t n_decode, size_t n_prompts,
                           size_t n_layers)
{
    double step = pace_step_seconds(pace, n_decode, n_prompts);
    double part = pace_prompt_seconds(pace, n_decode, n_prompts);
    if (n_decode == 0 || step == 0)
        return part;
    double by_layer = LAYER_SHARE * part * (double)n_layers, by_steps = PASS_SECONDS * part / step;
    return by_layer < by_steps ? by_layer : by_steps;
}

size_t pace_prompt_rows(const struct pace *pace, size_t n_decode, size_t n_prompts, size_t n_layers,
                        size_t most)
{
    double rows = FIRST_ROWS;
    if (pace->prompt_row > 0)
        rows = pass_seconds(pace, n_decode, n_prompts, n_layers) / pace->prompt_row;
    if (rows < LEAST_ROWS)
        rows = LEAST_ROWS;
    return rows < (double)most ? (size_t)rows / LEAST_ROWS * LEAST_ROWS : most;
}

/* A time that is the system's doing counts only in part, and what is longer is believed slowly. */
void pace_learn_decoding(struct pace *pace, size_t n, double seconds)
{
    double *known = &pace->decode_seconds[decode_index(n)];
    if (*known == 0)
        *known = seconds;
    double change = (seconds < 2 * *known ? seconds : 2 * *known) - *known;
    *known += (change > 0 ? 0.05 : 0.1) * change;
}

void pace_learn_prompts(struct pace *pace, size_t n, double seconds)
{
    if (n >= LEAST_ROWS)
        pace->prompt_row = seconds / (double)n;
}
