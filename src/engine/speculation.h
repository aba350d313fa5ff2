/* Speculation: tokens that may follow are guessed and computed in the same pass as the newest one.
 *
 * Where reading the weights is what a pass costs, a few more rows cost little. A guess is accepted
 * when it is what the sampler chooses from the model's own logits at its place, so the answer is
 * that of plain decoding, greedy or sampled, whatever was guessed; only the time differs.
 *
 * Guesses come from the request's own tokens: where its last few tokens stood before, what followed
 * them there (prompt lookup). How many are worth their rows is decided from measured times of
 * passes and from how many of the request's earlier guesses were accepted.
 */
#ifndef TANDEM_ENGINE_SPECULATION_H
#define TANDEM_ENGINE_SPECULATION_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

enum speculation {
    SPECULATION_AUTO, /* as far as it saves time, which is measured */
    SPECULATION_OFF,
    SPECULATION_ALWAYS, /* as many guesses as there are */
};
/* "auto" (also NULL), "off", "always"; STATUS_INVALID for anything else. */
enum status speculation_parse(const char *name, enum speculation *speculation, struct error *err);

enum { MAX_DRAFT = 12, MAX_TIMED_ROWS = 64 };

/* A request's guesses for this step, and its record. */
struct draft {
    int32_t tokens[MAX_DRAFT];
    size_t count;
    double acceptance; /* estimate of the chance that a guess is accepted if those before it were */
    size_t n_guessed, n_accepted; /* in all */
};
void draft_init(struct draft *draft);
/* Guesses at most `most` (at most MAX_DRAFT) tokens that follow tokens[0..n). */
void draft_look_up(struct draft *draft, const int32_t *tokens, size_t n, size_t most);
/* Of the step's guesses the first n_accepted were right. */
void draft_learn(struct draft *draft, size_t n_accepted);

/* Seconds of passes without prompts, by their rows; smoothed. Zeros at first. */
struct pass_times {
    double seconds[MAX_TIMED_ROWS + 1];
};
void pass_times_add(struct pass_times *times, size_t rows, double seconds);

/* Cuts the draft to the length that gives the most tokens per second in a pass that has `rows`
 * other rows, each good for one token; perhaps to none. */
void draft_trim(struct draft *draft, const struct pass_times *times, size_t rows);

#endif
