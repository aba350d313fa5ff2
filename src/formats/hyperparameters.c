/* What must hold for a model's constants whichever file they came from. */
#include "formats/internal.h"

#include <math.h>

static enum status check_shape(const struct hyperparameters *h, const char *name, struct error *err)
{
    if (h->n_heads % h->n_kv_heads)
        return error_set(err, STATUS_FORMAT,
                         "%s: %zu attention heads are not a multiple of %zu key/value heads", name,
                         h->n_heads, h->n_kv_heads);
    const struct rope_parameters *rope = &h->rope;
    if (rope->rotary_dim < 2 || rope->rotary_dim % 2 || rope->rotary_dim > h->head_dim ||
        rope->rotary_dim > 2 * MAX_ROTARY_PAIRS)
        return error_set(err, STATUS_FORMAT,
                         "%s: the rotary dimension is %zu; expected an even number up to the head "
                         "dimension %zu and %d",
                         name, rope->rotary_dim, h->head_dim, 2 * MAX_ROTARY_PAIRS);
    if (!(h->rms_norm_eps > 0 && h->rms_norm_eps < 1))
        return error_set(err, STATUS_FORMAT, "%s: rms_norm_eps is %g; expected between 0 and 1",
                         name, h->rms_norm_eps);
    return STATUS_OK;
}

static enum status check_factors(const double *factors, size_t n, const char *which,
                                 const char *name, struct error *err)
{
    for (size_t i = 0; i < n; i++)
        if (!(factors[i] > 0) || !isfinite(factors[i]))
            return error_set(err, STATUS_FORMAT,
                             "%s: longrope's %s factor %zu is %g; expected a positive number", name,
                             which, i, factors[i]);
    return STATUS_OK;
}

static enum status check_longrope(const struct rope_parameters *rope, const char *name,
                                  struct error *err)
{
    if (check_factors(rope->short_factor, rope->rotary_dim / 2, "short", name, err))
        return STATUS_FORMAT;
    return check_factors(rope->long_factor, rope->rotary_dim / 2, "long", name, err);
}

static enum status check_rope(const struct rope_parameters *rope, const char *name,
                              struct error *err)
{
    if (!(rope->theta > 1) || !isfinite(rope->theta))
        return error_set(err, STATUS_FORMAT, "%s: the RoPE base is %g; expected more than 1", name,
                         rope->theta);
    if (rope->kind == ROPE_DEFAULT)
        return STATUS_OK;
    if (!(rope->factor > 0) || !isfinite(rope->factor))
        return error_set(err, STATUS_FORMAT,
                         "%s: the RoPE scaling factor is %g; expected a positive number", name,
                         rope->factor);
    if (rope->kind == ROPE_LINEAR)
        return STATUS_OK;
    if (rope->original_context < 2)
        return error_set(err, STATUS_FORMAT,
                         "%s: RoPE's original context length is %zu; expected 2 or more", name,
                         rope->original_context);
    if (!(rope->attention_factor >= 0) || !isfinite(rope->attention_factor))
        return error_set(err, STATUS_FORMAT,
                         "%s: RoPE's attention factor is %g; expected a positive number", name,
                         rope->attention_factor);
    if (rope->kind == ROPE_LONGROPE)
        return check_longrope(rope, name, err);
    if (!(rope->beta_fast > 0) || !(rope->beta_slow > 0) || !isfinite(rope->beta_fast) ||
        !isfinite(rope->beta_slow))
        return error_set(err, STATUS_FORMAT,
                         "%s: yarn's beta_fast and beta_slow are %g and %g; expected positive "
                         "numbers",
                         name, rope->beta_fast, rope->beta_slow);
    return STATUS_OK;
}

enum status hyperparameters_check(const struct hyperparameters *h, const char *name,
                                  struct error *err)
{
    enum status status = check_shape(h, name, err);
    return status ? status : check_rope(&h->rope, name, err);
}

double rope_default_attention_factor(const struct rope_parameters *rope)
{
    if (rope->kind == ROPE_YARN)
        return rope->factor <= 1 ? 1 : 0.1 * log(rope->factor) + 1;
    if (rope->kind != ROPE_LONGROPE || rope->factor <= 1)
        return 1;
    return sqrt(1 + log(rope->factor) / log((double)rope->original_context));
}

struct generation_defaults generation_defaults_none(void)
{
    return (struct generation_defaults){.temperature = 1,
                                        .top_p = 1,
                                        .repetition_penalty = 1,
                                        .top_k = 50,
                                        .bos_id = VOCAB_NO_ID,
                                        .pad_id = VOCAB_NO_ID};
}

static enum status out_of_range(const char *name, const char *field, double found,
                                const char *expected, struct error *err)
{
    return error_set(err, STATUS_FORMAT, "%s: %s is %g; expected %s", name, field, found, expected);
}

enum status generation_defaults_check(const struct generation_defaults *g, const char *name,
                                      struct error *err)
{
    if (!(g->temperature >= 0) || !isfinite(g->temperature))
        return out_of_range(name, "temperature", g->temperature, "0 or more", err);
    if (!(g->top_p >= 0 && g->top_p <= 1))
        return out_of_range(name, "top_p", g->top_p, "0 to 1", err);
    if (!(g->min_p >= 0 && g->min_p <= 1))
        return out_of_range(name, "min_p", g->min_p, "0 to 1", err);
    if (!(g->repetition_penalty > 0) || !isfinite(g->repetition_penalty))
        return out_of_range(name, "repetition_penalty", g->repetition_penalty, "more than 0", err);
    if (g->top_k < 0)
        return out_of_range(name, "top_k", (double)g->top_k, "0 or more", err);
    if (g->max_new_tokens < 0)
        return out_of_range(name, "max_new_tokens", (double)g->max_new_tokens, "0 or more", err);
    return STATUS_OK;
}
