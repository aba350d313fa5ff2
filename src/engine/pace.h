/* Pace: how many rows of prompts a step takes, from how long steps were seen to take.
 *
 * A prompt that is computed beside others' decoding may make a step PACE_STRETCH times as long as
 * it is without, so that nobody's tokens stall. What rows cost is learned, since it depends on the
 * model and the machine: by the rows of a step, on a ladder of rungs (kernels work in tiles, so
 * that the cost has stairs), and on top of it by what rows of a prompt cost at the moment, which
 * grows with their position. Where more prompts wait than requests decode, their waiting counts for
 * more.
 *
 *     size_t n = pace_prompt_rows(&pace, n_decode, n_prompts, most);
 *     ... a step with n_decode rows and at most n of prompts ...
 *     pace_learn(&pace, n_decode, n_prompt, seconds);
 */
#ifndef TANDEM_ENGINE_PACE_H
#define TANDEM_ENGINE_PACE_H

#include <stddef.h>

#define PACE_STRETCH 1.7

enum { PACE_RUNGS = 19, PACE_DECODE_ROWS = 64 };

/* Zeros at first. */
struct pace {
    double decode_seconds[PACE_DECODE_ROWS + 1]; /* of steps without prompts, by their rows */
    double rung_seconds[PACE_RUNGS];             /* least seen of steps of so many rows in all */
    double surcharge;     /* beyond rung_seconds, per prompt row and per WALK_ROWS more */
    double prompt_row;    /* seconds of a row in steps that only prompts share */
    size_t n_since_alone; /* steps with prompts since decoding was timed without */
};

/* Rows for n_prompts prompts in a step in which n_decode requests decode, at most `most`. 0: none
 * in this step, since how long decoding takes alone has to be measured. */
size_t pace_prompt_rows(const struct pace *pace, size_t n_decode, size_t n_prompts, size_t most);
/* A step with so many rows of each kind took so long. */
void pace_learn(struct pace *pace, size_t n_decode, size_t n_prompt, double seconds);

#endif
