/* A draft model: a smaller model of the same vocabulary, which guesses what the large one chooses.
 *
 * It has a KV cache of its own, with a sequence for each of the engine's slots, which follows the
 * requests by itself: before it guesses, what a sequence holds beyond the tokens that it shares
 * with its request is dropped, and what is missing is computed. It guesses what the request's
 * sampler would choose from its logits, with the same random numbers: a draft model equal to the
 * large one guesses everything right, sampled answers included.
 *
 * Used by the step thread alone, with the large model's threads. Nothing allocates once it is set
 * up.
 */
#ifndef TANDEM_ENGINE_DRAFTER_H
#define TANDEM_ENGINE_DRAFTER_H

#include "base/error.h"
#include "model/model.h"
#include "text/tokenizer.h"

struct drafter;
struct generation;

/* Opens the draft model as it is stored. STATUS_INVALID where its vocabulary is not that of the
 * large model; `tokenizer` is the large model's, NULL where it has none. Both must outlive it. */
enum status drafter_open(const char *path, const struct model *large,
                         const struct tokenizer *tokenizer, const char *isa,
                         struct drafter **drafter, struct error *err);
void drafter_close(struct drafter *drafter);

const struct model *drafter_model(const struct drafter *drafter);

struct drafter_size {
    enum tensor_type kv_type;
    size_t n_slots, n_running; /* sequences, and most of them that guess at once */
    size_t n_positions;        /* of the cache, all sequences together */
    size_t context_length; /* of one sequence; a draft model made for less guesses up to there */
};
/* Memory for its cache and its passes. */
enum status drafter_allocate(struct drafter *drafter, const struct drafter_size *size,
                             struct error *err);
/* Weights, cache and activations. */
size_t drafter_bytes(const struct drafter *drafter);

/* Tokens of the request that must be computed before it can be guessed; SIZE_MAX: it cannot. */
size_t drafter_lacks(const struct drafter *drafter, const struct generation *generation);
/* Seconds that computing n tokens of prompts takes, and a guess; where that was not measured yet,
 * by what the large model takes for a token of a prompt and for a pass of one row. */
double drafter_catch_up_seconds(const struct drafter *drafter, size_t n, double large_row_seconds);
double drafter_guess_seconds(const struct drafter *drafter, double large_pass_seconds);

/* Fills the drafts of the running requests that want guesses, with what they want or less: those
 * that lack tokens have up to catch_up of them (all together) computed first, and those that then
 * still do get none. A pass that fails leaves the drafts empty from then on. */
void drafter_guess(struct drafter *drafter, struct generation *const *running, size_t n,
                   size_t catch_up);

#endif
