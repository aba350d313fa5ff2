/* From logits to a token: processors and warpers in transformers' order and meaning.
 *
 * Order: repetition penalty, frequency and presence penalties (OpenAI's formula), logit bias, what
 * a constraint allows, then for sampling: temperature, top-k, top-p, min-p, and one draw. Greedy
 * takes the largest logit, the smallest id on a tie. The draw depends on the seed, the step and the
 * logits alone.
 */
#ifndef TANDEM_ENGINE_SAMPLER_H
#define TANDEM_ENGINE_SAMPLER_H

#include "base/error.h"
#include "base/rng.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct logit_bias {
    int32_t token;
    float bias;
};

struct sampling {
    bool greedy;                                /* ignore temperature and what follows it */
    double temperature;                         /* > 0; 0 means greedy */
    int64_t top_k;                              /* 0: off */
    double top_p;                               /* 1: off */
    double min_p;                               /* 0: off */
    double repetition_penalty;                  /* 1: off; over prompt and answer */
    double frequency_penalty, presence_penalty; /* 0: off; over the answer */
    uint64_t seed;
    const struct logit_bias *logit_bias;
    size_t n_logit_bias;
};
/* Every processor off, greedy. */
extern const struct sampling sampling_greedy;
/* STATUS_INVALID names the field that is out of range and the range. */
enum status sampling_check(const struct sampling *sampling, struct error *err);

enum { MAX_TOP_LOGPROBS = 20 };

struct token_choice {
    int32_t token;
    float logprob; /* of the token under the model's own distribution: log_softmax(logits) */
    struct {
        int32_t token;
        float logprob;
    } top[MAX_TOP_LOGPROBS]; /* most probable first; n_top of them */
    size_t n_top;
};

struct sampler;
enum status sampler_create(const struct sampling *sampling, size_t vocab_size,
                           struct sampler **sampler, struct error *err);
void sampler_free(struct sampler *sampler);
/* Tell the sampler of a token that is part of the context. */
void sampler_accept(struct sampler *sampler, int32_t token, bool is_answer);
/* Chooses; logits [vocab_size] are changed. `allowed` [vocab_size bits], where it is not NULL, has
 * a bit for each token that may be chosen, at least one. n_top: how many alternatives to report (0
 * to MAX_TOP_LOGPROBS); want_logprob false leaves logprob 0 and saves the work. */
void sampler_choose(struct sampler *sampler, float *logits, const uint64_t *allowed,
                    bool want_logprob, size_t n_top, struct token_choice *choice);
/* What sampler_choose() would choose after tokens [n] more of the answer, if the logits, which are
 * changed, were these. The sampler is as it was before. */
int32_t sampler_guess(struct sampler *sampler, float *logits, const int32_t *tokens, size_t n);

#endif
