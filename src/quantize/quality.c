#include "quantize/quality.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

enum { ROWS_PER_PASS = 32 };

/* A model with its cache and the logits of one pass. */
struct side {
    struct model *model;
    struct kv_cache *cache;
    float *logits; /* [ROWS_PER_PASS, vocab_size] */
    size_t vocab_size;
};

/* Mean and variance as values come in (Welford, 1962). */
struct running {
    size_t n;
    double mean, squares;
};

static void running_add(struct running *r, double value)
{
    double delta = value - r->mean;
    r->n++;
    r->mean += delta / (double)r->n;
    r->squares += delta * (value - r->mean);
}

static double running_error(const struct running *r)
{
    return r->n > 1 ? sqrt(r->squares / (double)(r->n - 1) / (double)r->n) : 0;
}

struct measurement {
    struct side sides[2]; /* the model, the base */
    size_t n_sides;
    struct running nll[2], difference,
        divergence; /* difference: of the two, position by position */
    double max_divergence;
    size_t same_top;
    int32_t first;
};

static enum status open_side(struct side *side, struct model *model, enum tensor_type kv_type,
                             size_t window, struct error *err)
{
    side->model = model;
    side->vocab_size = model_shape(model)->vocab_size;
    struct kv_options kv = {.type = kv_type, .n_positions = window, .n_sequences = 1};
    enum status status = kv_cache_create(model_shape(model), &kv, &side->cache, err);
    if (status)
        return status;
    side->logits = mem_array(side->vocab_size, ROWS_PER_PASS * sizeof *side->logits);
    return side->logits ? STATUS_OK : error_memory(err, "logits");
}

static void close_side(struct side *side)
{
    kv_cache_free(side->cache);
    mem_free(side->logits);
}

/* log of the sum of exponentials; *top is the index of the largest. */
static double log_sum(const float *logits, size_t n, size_t *top)
{
    double sum = 0;
    *top = 0;
    for (size_t i = 1; i < n; i++)
        if (logits[i] > logits[*top])
            *top = i;
    for (size_t i = 0; i < n; i++)
        sum += exp((double)logits[i] - (double)logits[*top]);
    return (double)logits[*top] + log(sum);
}

static void compare_row(struct measurement *m, size_t row, int32_t next)
{
    const float *logits[2];
    double z[2];
    size_t top[2], n = m->sides[0].vocab_size;
    for (size_t s = 0; s < m->n_sides; s++) {
        logits[s] = m->sides[s].logits + row * n;
        z[s] = log_sum(logits[s], n, &top[s]);
        running_add(&m->nll[s], z[s] - (double)logits[s][next]);
    }
    if (m->n_sides < 2)
        return;
    double likelihood[2] = {(double)logits[0][next] - z[0], (double)logits[1][next] - z[1]};
    running_add(&m->difference, likelihood[1] - likelihood[0]);
    double divergence = 0;
    for (size_t i = 0; i < n; i++) {
        double base = (double)logits[1][i] - z[1];
        divergence += exp(base) * (base - ((double)logits[0][i] - z[0]));
    }
    divergence = fmax(divergence, 0); /* rounding */
    running_add(&m->divergence, divergence);
    m->max_divergence = fmax(m->max_divergence, divergence);
    m->same_top += top[0] == top[1];
}

/* Positions [begin, begin + count) of a window; those from `half` on predict their successors. */
static enum status run_rows(struct measurement *m, const int32_t *window, size_t begin,
                            size_t count, size_t half, size_t n, struct error *err)
{
    struct row rows[ROWS_PER_PASS];
    for (size_t i = 0; i < count; i++)
        rows[i] = (struct row){.token = window[begin + i],
                               .position = (int32_t)(begin + i),
                               .wants_logits = begin + i >= half};
    if (begin == 0 && m->first != VOCAB_NO_ID)
        rows[0].token = m->first;
    for (size_t s = 0; s < m->n_sides; s++) {
        struct side *side = &m->sides[s];
        enum status status =
            model_forward(side->model, side->cache, rows, count, side->logits, err);
        if (status)
            return status;
    }
    for (size_t i = 0, row = 0; i < count; i++)
        if (rows[i].wants_logits && begin + i + 1 < n)
            compare_row(m, row++, window[begin + i + 1]);
    return STATUS_OK;
}

static enum status run_window(struct measurement *m, const int32_t *window, size_t n,
                              struct error *err)
{
    for (size_t s = 0; s < m->n_sides; s++) {
        struct side *side = &m->sides[s];
        kv_truncate(side->cache, 0, 0);
        kv_set_rope_is_long(side->cache, 0, model_rope_is_long(side->model, n));
        if (!kv_reserve(side->cache, 0, n))
            return error_set(err, STATUS_LIMIT, "no room for a window of %zu tokens", n);
    }
    enum status status = STATUS_OK;
    for (size_t begin = 0; begin < n && !status; begin += ROWS_PER_PASS)
        status = run_rows(m, window, begin, size_min(n - begin, ROWS_PER_PASS), n / 2, n, err);
    return status;
}

static enum status check_context(const struct model *model, size_t window, struct error *err)
{
    if (window <= model_shape(model)->context_length)
        return STATUS_OK;
    return error_set(err, STATUS_INVALID,
                     "a window of %zu tokens, more than the context of %s, which is %zu: give a "
                     "smaller one",
                     window, model_path(model), model_shape(model)->context_length);
}

static enum status check(const struct model *model, const struct model *base, size_t n,
                         const struct quality_options *options, struct error *err)
{
    size_t window = options->window;
    if (window < 4 || window % 2)
        return error_set(err, STATUS_INVALID,
                         "a window of %zu tokens: an even number of at least "
                         "4 is needed",
                         window);
    if (n < window)
        return error_set(err, STATUS_INVALID,
                         "%s has %zu tokens, fewer than one window of %zu: give a longer text or a "
                         "smaller window",
                         options->name, n, window);
    if (check_context(model, window, err) || (base && check_context(base, window, err)))
        return STATUS_INVALID;
    if (base && model_shape(base)->vocab_size != model_shape(model)->vocab_size)
        return error_set(err, STATUS_INVALID,
                         "%s has a vocabulary of %zu tokens and %s one of %zu: their distributions "
                         "cannot be compared",
                         model_path(model), model_shape(model)->vocab_size, model_path(base),
                         model_shape(base)->vocab_size);
    return STATUS_OK;
}

/* Of exp(a) - exp(b), linearized. The errors of the means a and b, and of their difference, tell
 * how they vary together. */
static double delta_error(const struct measurement *m, const struct quality *q)
{
    double a = running_error(&m->nll[0]), b = running_error(&m->nll[1]);
    double d = running_error(&m->difference), covariance = (a * a + b * b - d * d) / 2;
    double x = q->perplexity * a, y = q->base_perplexity * b;
    return sqrt(fmax(x * x + y * y - 2 * q->perplexity * q->base_perplexity * covariance, 0));
}

static void summarise(const struct measurement *m, struct quality *q)
{
    q->n_predicted = m->nll[0].n;
    q->nll = m->nll[0].mean;
    q->nll_error = running_error(&m->nll[0]);
    q->perplexity = exp(q->nll);
    q->perplexity_error = q->perplexity * q->nll_error;
    if (m->n_sides < 2)
        return;
    q->base_perplexity = exp(m->nll[1].mean);
    q->ratio = exp(m->difference.mean);
    q->ratio_error = q->ratio * running_error(&m->difference);
    q->delta = q->perplexity - q->base_perplexity;
    q->delta_error = delta_error(m, q);
    q->divergence = m->divergence.mean;
    q->divergence_error = running_error(&m->divergence);
    q->max_divergence = m->max_divergence;
    q->same_top = (double)m->same_top / (double)q->n_predicted;
}

enum status quality_measure(struct model *model, struct model *base, const int32_t *ids, size_t n,
                            const struct quality_options *options, struct quality *quality,
                            struct error *err)
{
    struct measurement m = {.n_sides = base ? 2 : 1, .first = options->first};
    size_t window = options->window, n_windows = n / (window ? window : 1);
    *quality = (struct quality){0};
    enum status status = check(model, base, n, options, err);
    if (!status)
        status = open_side(&m.sides[0], model, options->kv_type, window, err);
    if (!status && base)
        status = open_side(&m.sides[1], base, TYPE_F16, window, err);
    for (size_t w = 0; w < n_windows && !status; w++) {
        if (options->progress)
            options->progress(options->context, w, n_windows);
        if (options->cancel && atomic_load(options->cancel))
            status =
                error_set(err, STATUS_CANCELLED, "stopped after %zu of %zu windows", w, n_windows);
        else
            status = run_window(&m, ids + w * window, window, err);
    }
    if (!status)
        summarise(&m, quality);
    close_side(&m.sides[0]);
    close_side(&m.sides[1]);
    return status;
}
