/* Speculation: tokens that may follow are guessed and computed in the same pass as the newest one.
 *
 * Where reading the weights is what a pass costs, a few more rows cost little. A guess is accepted
 * when it is what the sampler chooses from the model's own logits at its place, so the answer is
 * that of plain decoding, greedy or sampled, whatever was guessed; only the time differs.
 *
 * Guesses come from the request's own tokens: where its last few tokens stood before, what followed
 * them there (prompt lookup); or from a draft model (drafter.h). Which of them, and how many are
 * worth their rows, is decided from measured times of passes and from how many of the request's
 * earlier guesses were accepted.
 */
#ifndef TANDEM_ENGINE_SPECULATION_H
#define TANDEM_ENGINE_SPECULATION_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

enum speculation {
    SPECULATION_AUTO, /* as far as it saves time, which is measured */
    SPECULATION_OFF,
    SPECULATION_ALWAYS, /* as many guesses as there are; the draft model's where there is one */
};
/* "auto" (also NULL), "off", "always"; STATUS_INVALID for anything else. */
enum status speculation_parse(const char *name, enum speculation *speculation, struct error *err);

enum { MAX_DRAFT = 12, MAX_TIMED_ROWS = 64 };

enum draft_source { DRAFT_LOOK_UP, DRAFT_MODEL };

/* Estimates of the chance that a guess is right if those before it were: of the draft model's, and
 * of what followed an earlier place in the text, by how many tokens are the same there. */
enum { MATCH_CLASSES = 8 };
struct acceptance {
    double look_up[MATCH_CLASSES], model;
    size_t n_model; /* guesses of the draft model that were seen to be right or wrong */
};
/* Before anything is known. */
extern const struct acceptance first_acceptance;

/* A request's guesses for this step, and its record. */
struct draft {
    int32_t tokens[MAX_DRAFT];
    size_t n_offered; /* so many are there */
    size_t count;     /* of these so many are computed */
    size_t wanted;    /* so many are to come from the draft model */
    size_t match;     /* of a look-up: so many tokens are the same there */
    enum draft_source source;
    struct acceptance acceptance;
    size_t n_guessed, n_accepted; /* in all */
};
/* Offers at most `most` (at most MAX_DRAFT) tokens that may follow tokens[0..n), and counts none.
 */
void draft_look_up(struct draft *draft, const int32_t *tokens, size_t n, size_t most);
/* The step's guesses were followed by tokens [n]: those that were right, and one more that was
 * chosen instead of the next guess. What was offered and not computed teaches as much. */
void draft_learn(struct draft *draft, const int32_t *tokens, size_t n);
/* What a request that ends has seen, for those that come after it. */
void draft_pass_on(const struct draft *draft, struct acceptance *known);

/* Seconds of passes without prompts, by their rows; smoothed. Zeros at first. */
struct pass_times {
    double seconds[MAX_TIMED_ROWS + 1];
};
void pass_times_add(struct pass_times *times, size_t rows, double seconds);
/* What a pass will take, at most; 0: nothing is known. */
double pass_times_expect(const struct pass_times *times, size_t rows);

/* Guesses that a source has for a request, or would make. */
struct draft_offer {
    enum draft_source source;
    size_t most;
    double seconds; /* to make one */
    size_t n_free;  /* the first so many take no time: they are made along with others' */
};
/* The number of them that gives the most tokens per second in a pass that has `rows` other rows,
 * each good for one token; perhaps none. *saved: seconds per token, against none. */
size_t draft_weigh(struct draft *draft, const struct draft_offer *offer,
                   const struct pass_times *times, size_t rows, double *saved);

#endif
