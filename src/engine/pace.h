/* Pace: how much of prompts is computed between the tokens of others.
 *
 * Prompts are computed in passes of their own, a few layers behind each pass of those that decode,
 * whose tokens are handed out when the step ends. A step is to take PACE_STRETCH times as long as
 * decoding usually does; what decoding has left of it is for the prompts. So tokens come evenly:
 * where decoding took long for once, the prompts get less. How long things take is learned, since
 * it depends on the model, the machine and the depth of the cache. Where more prompts wait than
 * requests decode, their waiting counts for more.
 *
 *     size_t n = pace_prompt_rows(&pace, n_decode, n_prompts, n_layers, most);
 *     ... begin a pass over n rows of prompts, unless there is one; decode ...
 *     pace_learn_decoding(&pace, n_decode, seconds it took);
 *     ... layers of the pass, until pace_step_seconds(&pace, n_decode, n_prompts) are over ...
 *     pace_learn_prompts(&pace, n, seconds of all its layers);
 */
#ifndef TANDEM_ENGINE_PACE_H
#define TANDEM_ENGINE_PACE_H

#include <stddef.h>

#define PACE_STRETCH 1.6

enum { PACE_DECODE_ROWS = 64 };

/* Zeros at first. */
struct pace {
    double decode_seconds[PACE_DECODE_ROWS + 1]; /* of steps of decoding, by their rows */
    double prompt_row; /* seconds of a row in the last pass over prompts */
};

/* Seconds that a step may take in which n_decode requests decode and n_prompts prompts wait. */
double pace_step_seconds(const struct pace *pace, size_t n_decode, size_t n_prompts);
/* And what decoding usually leaves of them. */
double pace_prompt_seconds(const struct pace *pace, size_t n_decode, size_t n_prompts);
/* Rows of the next pass over prompts beside so many, 1 to `most`, of a model with n_layers. */
size_t pace_prompt_rows(const struct pace *pace, size_t n_decode, size_t n_prompts, size_t n_layers,
                        size_t most);
/* So many rows took so long: to decode, or of prompts in a whole pass. */
void pace_learn_decoding(struct pace *pace, size_t n, double seconds);
void pace_learn_prompts(struct pace *pace, size_t n, double seconds);

#endif
