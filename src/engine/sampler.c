#include "engine/sampler.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

struct candidate {
    float score;
    int32_t token;
    double weight; /* exp(score - largest score) */
};

struct sampler {
    struct sampling sampling;
    struct logit_bias *bias;
    size_t vocab_size;
    uint64_t step; /* tokens chosen so far */

    /* For the penalties; NULL where they are off. */
    bool *seen;        /* [vocab_size] in prompt or answer */
    int32_t *seen_ids; /* [n_seen] */
    size_t n_seen;
    uint32_t *count;       /* [vocab_size] times in the answer */
    int32_t *answered_ids; /* [n_answered] */
    size_t n_answered;

    struct candidate *candidates; /* [vocab_size]; NULL for greedy */
    float *heap;                  /* [top_k] */
    float *raw;                   /* [vocab_size] logits before the penalties */
};

const struct sampling sampling_greedy = {
    .greedy = true, .temperature = 1, .top_p = 1, .repetition_penalty = 1};

static enum status out_of_range(struct error *err, const char *field, double value,
                                const char *range)
{
    return error_set(err, STATUS_INVALID, "%s is %g; it must be %s", field, value, range);
}

enum status sampling_check(const struct sampling *s, struct error *err)
{
    /* Comparisons are written so that NaN fails them. */
    if (!(s->temperature >= 0 && s->temperature <= 1000))
        return out_of_range(err, "temperature", s->temperature, "from 0 (greedy) to 1000");
    if (s->top_k < 0)
        return out_of_range(err, "top_k", (double)s->top_k, "0 (off) or more");
    if (!(s->top_p >= 0 && s->top_p <= 1))
        return out_of_range(err, "top_p", s->top_p, "from 0 to 1 (off)");
    if (!(s->min_p >= 0 && s->min_p <= 1))
        return out_of_range(err, "min_p", s->min_p, "from 0 (off) to 1");
    if (!(s->repetition_penalty > 0 && s->repetition_penalty <= 1000))
        return out_of_range(err, "repetition_penalty", s->repetition_penalty,
                            "above 0 (1: off) and at most 1000");
    if (!(s->frequency_penalty >= -2 && s->frequency_penalty <= 2))
        return out_of_range(err, "frequency_penalty", s->frequency_penalty, "from -2 to 2");
    if (!(s->presence_penalty >= -2 && s->presence_penalty <= 2))
        return out_of_range(err, "presence_penalty", s->presence_penalty, "from -2 to 2");
    for (size_t i = 0; i < s->n_logit_bias; i++)
        if (!isfinite(s->logit_bias[i].bias))
            return out_of_range(err, "a logit bias", s->logit_bias[i].bias, "a finite number");
    return STATUS_OK;
}

static bool is_greedy(const struct sampling *s)
{
    return s->greedy || s->temperature == 0;
}

static enum status copy_bias(struct sampler *sampler, const struct sampling *sampling,
                             struct error *err)
{
    for (size_t i = 0; i < sampling->n_logit_bias; i++) {
        int32_t token = sampling->logit_bias[i].token;
        if (token < 0 || (size_t)token >= sampler->vocab_size)
            return error_set(err, STATUS_INVALID,
                             "logit bias for token %d; the vocabulary has ids 0 to %zu", token,
                             sampler->vocab_size - 1);
    }
    size_t n = sampling->n_logit_bias;
    sampler->bias = mem_array(n, sizeof *sampler->bias);
    if (!sampler->bias)
        return error_memory(err, "logit biases");
    for (size_t i = 0; i < n; i++)
        sampler->bias[i] = sampling->logit_bias[i];
    sampler->sampling.logit_bias = sampler->bias;
    return STATUS_OK;
}

/* Everything that choosing needs, so that it never allocates. */
static bool allocate_scratch(struct sampler *sampler)
{
    const struct sampling *s = &sampler->sampling;
    size_t n = sampler->vocab_size;
    sampler->raw = mem_array(n, sizeof *sampler->raw);
    bool ok = sampler->raw;
    if (s->repetition_penalty != 1) {
        sampler->seen = mem_array(n, sizeof *sampler->seen);
        sampler->seen_ids = mem_array(n, sizeof *sampler->seen_ids);
        ok = ok && sampler->seen && sampler->seen_ids;
    }
    if (s->frequency_penalty != 0 || s->presence_penalty != 0) {
        sampler->count = mem_array(n, sizeof *sampler->count);
        sampler->answered_ids = mem_array(n, sizeof *sampler->answered_ids);
        ok = ok && sampler->count && sampler->answered_ids;
    }
    if (!is_greedy(s)) {
        sampler->candidates = mem_array(n, sizeof *sampler->candidates);
        ok = ok && sampler->candidates;
        if (s->top_k > 0 && (uint64_t)s->top_k < n) {
            sampler->heap = mem_array((size_t)s->top_k, sizeof *sampler->heap);
            ok = ok && sampler->heap;
        }
    }
    return ok;
}

enum status sampler_create(const struct sampling *sampling, size_t vocab_size, struct sampler **out,
                           struct error *err)
{
    *out = NULL;
    if (sampling_check(sampling, err))
        return STATUS_INVALID;
    struct sampler *sampler = mem_alloc(sizeof *sampler);
    if (!sampler)
        return error_memory(err, "a sampler");
    sampler->sampling = *sampling;
    sampler->vocab_size = vocab_size;
    enum status status = copy_bias(sampler, sampling, err);
    if (!status && !allocate_scratch(sampler))
        status = error_memory(err, "a sampler's scratch space");
    if (status) {
        sampler_free(sampler);
        return status;
    }
    *out = sampler;
    return STATUS_OK;
}

void sampler_free(struct sampler *sampler)
{
    if (!sampler)
        return;
    mem_free(sampler->bias);
    mem_free(sampler->seen);
    mem_free(sampler->seen_ids);
    mem_free(sampler->count);
    mem_free(sampler->answered_ids);
    mem_free(sampler->candidates);
    mem_free(sampler->heap);
    mem_free(sampler->raw);
    mem_free(sampler);
}

void sampler_accept(struct sampler *sampler, int32_t token, bool is_answer)
{
    if (token < 0 || (size_t)token >= sampler->vocab_size)
        return;
    if (sampler->seen && !sampler->seen[token]) {
        sampler->seen[token] = true;
        sampler->seen_ids[sampler->n_seen++] = token;
    }
    if (sampler->count && is_answer && sampler->count[token]++ == 0)
        sampler->answered_ids[sampler->n_answered++] = token;
}

/* A NaN counts as impossible, an infinity as the largest float, so that what follows is sound.
 * Returns the largest logit, and its first index in *best. */
static float clean_logits(float *logits, size_t n, int32_t *best)
{
    float largest = -INFINITY;
    *best = 0;
    for (size_t i = 0; i < n; i++) {
        if (isnan(logits[i]))
            logits[i] = -INFINITY;
        else if (logits[i] == INFINITY)
            logits[i] = 3.4e38f;
        if (logits[i] > largest) {
            largest = logits[i];
            *best = (int32_t)i;
        }
    }
    return largest;
}

/* log(sum(exp(logits))): the sum in double, in the order of ids. */
static double log_sum_exp(const float *logits, size_t n, float largest)
{
    if (largest == -INFINITY)
        return 0;
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)expf(logits[i] - largest);
    return (double)largest + log(sum);
}

/* The n_top largest by insertion; a strict comparison keeps ties in the order of ids. */
static void find_top(const float *logits, size_t vocab_size, size_t n_top,
                     struct token_choice *choice)
{
    size_t n = 0;
    for (size_t i = 0; i < vocab_size; i++) {
        float x = logits[i];
        if (n == n_top && x <= choice->top[n - 1].logprob)
            continue;
        size_t at = n < n_top ? n++ : n - 1;
        for (; at > 0 && choice->top[at - 1].logprob < x; at--)
            choice->top[at] = choice->top[at - 1];
        choice->top[at].token = (int32_t)i;
        choice->top[at].logprob = x;
    }
    choice->n_top = n;
}

static void apply_penalties(struct sampler *sampler, float *logits)
{
    const struct sampling *s = &sampler->sampling;
    float repetition = (float)s->repetition_penalty;
    for (size_t i = 0; i < sampler->n_seen; i++) {
        float *x = &logits[sampler->seen_ids[i]];
        *x = *x < 0 ? *x * repetition : *x / repetition;
    }
    for (size_t i = 0; i < sampler->n_answered; i++) {
        int32_t id = sampler->answered_ids[i];
        double count = sampler->count[id];
        logits[id] -= (float)(s->frequency_penalty * count + s->presence_penalty);
    }
    for (size_t i = 0; i < s->n_logit_bias; i++)
        logits[s->logit_bias[i].token] += s->logit_bias[i].bias;
}

static void sift_down(float *heap, size_t n, size_t at)
{
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= n)
            return;
        if (child + 1 < n && heap[child + 1] < heap[child])
            child++;
        if (heap[at] <= heap[child])
            return;
        float x = heap[at];
        heap[at] = heap[child];
        heap[child] = x;
        at = child;
    }
}

/* The k-th largest score: a heap of k with the smallest on top. k < n. */
static float kth_largest(const float *scores, size_t n, float *heap, size_t k)
{
    for (size_t i = 0; i < k; i++)
        heap[i] = scores[i];
    for (size_t i = k / 2; i-- > 0;)
        sift_down(heap, k, i);
    for (size_t i = k; i < n; i++)
        if (scores[i] > heap[0]) {
            heap[0] = scores[i];
            sift_down(heap, k, 0);
        }
    return heap[0];
}

/* Scores of at least `threshold` become candidates, in the order of ids. */
static size_t collect(struct sampler *sampler, const float *scores, float threshold, float largest)
{
    size_t n = 0;
    for (size_t i = 0; i < sampler->vocab_size; i++)
        if (scores[i] >= threshold)
            sampler->candidates[n++] =
                (struct candidate){scores[i], (int32_t)i, (double)expf(scores[i] - largest)};
    return n;
}

/* Whether top-p drops a after b. Ties: torch's stable ascending sort puts the smaller id lower. */
static bool ranks_above(const struct candidate *a, const struct candidate *b)
{
    return a->score > b->score || (a->score == b->score && a->token > b->token);
}

static void swap(struct candidate *a, struct candidate *b)
{
    struct candidate c = *a;
    *a = *b;
    *b = c;
}

/* Moves what ranks above a pivot to the front of c[0..n), the pivot behind it; returns how many
 * rank above it. The median of three keeps ordered input from being slow. */
static size_t partition(struct candidate *c, size_t n)
{
    if (ranks_above(&c[0], &c[n / 2]))
        swap(&c[0], &c[n / 2]);
    if (ranks_above(&c[0], &c[n - 1]))
        swap(&c[0], &c[n - 1]);
    if (ranks_above(&c[n / 2], &c[n - 1]))
        swap(&c[n / 2], &c[n - 1]);
    swap(&c[n / 2], &c[n - 1]);
    size_t front = 0;
    for (size_t i = 0; i + 1 < n; i++)
        if (ranks_above(&c[i], &c[n - 1]))
            swap(&c[i], &c[front++]);
    swap(&c[front], &c[n - 1]);
    return front;
}

/* Top-p: keeps a candidate while the mass of those that rank above it is less than p. Selects
 * instead of sorting: half of what is left is settled by each round, O(n) in all. */
static size_t keep_nucleus(struct candidate *c, size_t n, double p)
{
    double total = 0;
    for (size_t i = 0; i < n; i++)
        total += c[i].weight;
    double room = p * total;
    size_t begin = 0, end = n; /* kept: [0, begin); dropped: [end, n) */
    while (begin < end) {
        size_t split = begin + partition(c + begin, end - begin);
        double above = 0;
        for (size_t i = begin; i < split; i++)
            above += c[i].weight;
        if (above >= room) {
            end = split;
        } else {
            room -= above + c[split].weight;
            begin = split + 1;
            if (room <= 0)
                end = begin;
        }
    }
    if (begin == 0) { /* p is 0: the best one stays */
        for (size_t i = 1; i < n; i++)
            if (ranks_above(&c[i], &c[0]))
                swap(&c[i], &c[0]);
        begin = 1;
    }
    return begin;
}

static size_t keep_min_p(struct candidate *c, size_t n, double min_p)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (c[i].weight >= min_p) /* the largest weight is 1 */
            c[kept++] = c[i];
    return kept;
}

/* One draw for this seed and step, whatever was drawn before. */
static int32_t draw(struct sampler *sampler, size_t n)
{
    struct rng rng;
    rng_seed(&rng, sampler->sampling.seed ^ (sampler->step + 1) * 0xD1342543DE82EF95u);
    const struct candidate *c = sampler->candidates;
    double total = 0;
    for (size_t i = 0; i < n; i++)
        total += c[i].weight;
    double target = rng_uniform(&rng) * total, sum = 0;
    size_t chosen = 0;
    for (size_t i = 0; i < n && target >= sum; i++)
        if (c[i].weight > 0) {
            sum += c[i].weight;
            chosen = i;
        }
    return c[chosen].token;
}

static int32_t sample(struct sampler *sampler, float *logits, int32_t best)
{
    const struct sampling *s = &sampler->sampling;
    size_t n = sampler->vocab_size;
    if (logits[best] == -INFINITY)
        return best;
    float temperature = (float)s->temperature;
    if (temperature != 1)
        for (size_t i = 0; i < n; i++)
            logits[i] /= temperature;
    float largest = logits[best];
    if (largest == INFINITY) /* a temperature so low that the quotient overflows: greedy */
        return best;
    float threshold =
        sampler->heap ? kth_largest(logits, n, sampler->heap, (size_t)s->top_k) : -INFINITY;
    n = collect(sampler, logits, threshold, largest);
    if (s->top_p < 1)
        n = keep_nucleus(sampler->candidates, n, s->top_p);
    if (s->min_p > 0)
        n = keep_min_p(sampler->candidates, n, s->min_p);
    return draw(sampler, n);
}

static bool is_allowed(const uint64_t *allowed, size_t id)
{
    return allowed[id / 64] >> id % 64 & 1;
}

/* Takes away what is not allowed. The largest of the rest, the smallest id on a tie. */
static int32_t keep_allowed(float *logits, size_t n, const uint64_t *allowed)
{
    size_t best = 0;
    while (best + 1 < n && !is_allowed(allowed, best))
        best++;
    for (size_t i = 0; i < n; i++) {
        if (!is_allowed(allowed, i))
            logits[i] = -INFINITY;
        else if (logits[i] > logits[best])
            best = i;
    }
    return (int32_t)best;
}

static int32_t largest_of(const float *logits, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (logits[i] > logits[best])
            best = i;
    return (int32_t)best;
}

void sampler_choose(struct sampler *sampler, float *logits, const uint64_t *allowed,
                    bool want_logprob, size_t n_top, struct token_choice *choice)
{
    size_t n = sampler->vocab_size;
    int32_t best;
    double normalizer = 0;
    choice->n_top = 0;
    float largest = clean_logits(logits, n, &best);
    if (want_logprob || n_top > 0)
        normalizer = log_sum_exp(logits, n, largest);
    if (n_top > 0)
        find_top(logits, n, size_min(n_top, MAX_TOP_LOGPROBS), choice);
    for (size_t i = 0; i < choice->n_top; i++)
        choice->top[i].logprob = (float)((double)choice->top[i].logprob - normalizer);
    if (want_logprob)
        memcpy(sampler->raw, logits, n * sizeof *logits);
    if (sampler->n_seen || sampler->n_answered || sampler->sampling.n_logit_bias) {
        apply_penalties(sampler, logits);
        best = largest_of(logits, n);
    }
    if (allowed)
        best = keep_allowed(logits, n, allowed);
    choice->token = is_greedy(&sampler->sampling) ? best : sample(sampler, logits, best);
    choice->logprob = want_logprob ? (float)((double)sampler->raw[choice->token] - normalizer) : 0;
    sampler->step++;
}

int32_t sampler_guess(struct sampler *sampler, float *logits, const int32_t *tokens, size_t n)
{
    struct token_choice choice;
    uint64_t step = sampler->step;
    size_t n_seen = sampler->n_seen, n_answered = sampler->n_answered;
    for (size_t i = 0; i < n; i++)
        sampler_accept(sampler, tokens[i], true);
    sampler->step += n;
    sampler_choose(sampler, logits, NULL, false, 0, &choice);
    sampler->step = step;
    while (sampler->n_seen > n_seen)
        sampler->seen[sampler->seen_ids[--sampler->n_seen]] = false;
    for (size_t i = 0; sampler->count && i < n; i++)
        sampler->count[tokens[i]]--;
    sampler->n_answered = n_answered;
    return choice.token;
}
