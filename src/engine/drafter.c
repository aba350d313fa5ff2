#include "engine/drafter.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/size.h"
#include "engine/engine_internal.h"

#include <math.h>
#include <string.h>

struct drafter {
    struct model *model;
    struct kv_cache *cache;
    size_t context_length, n_slots;
    size_t large_vocab; /* floats that samplers want */
    int32_t **tokens;   /* [n_slots][context_length] what the sequences hold */
    uint64_t *used;     /* [n_slots] the call that last used the sequence */
    uint64_t calls;
    struct row *rows; /* [max_rows] of the next pass */
    float *logits;    /* [n_running, vocab_size] */
    float *widened;   /* [large_vocab]; NULL where the draft model's vocabulary is no smaller */
    struct pass_times times;              /* of passes that guess alone */
    double row_seconds;                   /* of longer ones; 0 at first */
    double operations_share, bytes_share; /* of the large model's passes */
    bool failed;
};

/* --- Opening --- */

static enum status refuse_token(const char *path, const char *large_path, size_t id,
                                const char *there, const char *here, struct error *err)
{
    return error_set(err, STATUS_INVALID,
                     "%s cannot guess for %s, whose vocabulary is another one: token %zu is %s%s%s "
                     "there and %s%s%s here",
                     path, large_path, id, there ? "\"" : "", there ? there : "none",
                     there ? "\"" : "", here ? "\"" : "", here ? here : "none", here ? "\"" : "");
}

static enum status compare_tokens(const struct model *draft, const struct tokenizer *here,
                                  const struct model *large, const struct tokenizer *there,
                                  struct error *err)
{
    size_t n = tokenizer_size(here), m = tokenizer_size(there);
    for (size_t id = 0; id < size_max(n, m); id++) {
        const char *a = tokenizer_token(there, (int32_t)id);
        const char *b = tokenizer_token(here, (int32_t)id);
        if (a != b && (!a || !b || strcmp(a, b)))
            return refuse_token(model_path(draft), model_path(large), id, a, b, err);
    }
    return STATUS_OK;
}

/* Without tokenizers the numbers of ids decide; with them those may differ, since the vocabulary of
 * the weights is often padded. */
static enum status check_vocabulary(const struct model *draft, const struct model *large,
                                    const struct tokenizer *there, struct error *err)
{
    size_t n = model_shape(draft)->vocab_size, m = model_shape(large)->vocab_size;
    bool has_tokenizer = tokenizer_is_there(model_vocab(draft));
    if (has_tokenizer != (there != NULL))
        return error_set(
            err, STATUS_INVALID,
            "%s cannot guess for %s: %s has no tokenizer, so that nobody knows whether "
            "their vocabularies are the same",
            model_path(draft), model_path(large), model_path(has_tokenizer ? large : draft));
    if (!has_tokenizer && n != m)
        return error_set(err, STATUS_INVALID,
                         "%s cannot guess for %s: its vocabulary has %zu tokens, not %zu",
                         model_path(draft), model_path(large), n, m);
    if (!has_tokenizer)
        return STATUS_OK;
    struct tokenizer *here;
    enum status status = tokenizer_create(model_vocab(draft), &here, err);
    if (status)
        return status;
    status = compare_tokens(draft, here, large, there, err);
    tokenizer_free(here);
    return status;
}

enum status drafter_open(const char *path, const struct model *large,
                         const struct tokenizer *tokenizer, const char *isa, struct drafter **out,
                         struct error *err)
{
    struct model_options options = {.isa = isa, .pool = model_pool(large)};
    struct drafter *d = *out = mem_alloc(sizeof *d);
    if (!d)
        return error_memory(err, "a draft model");
    d->large_vocab = model_shape(large)->vocab_size;
    enum status status = model_open(path, &options, &d->model, err);
    if (status)
        return error_prefix(err, "the draft model");
    struct pass_cost here = model_pass_cost(d->model), there = model_pass_cost(large);
    d->operations_share = here.row_operations / there.row_operations;
    d->bytes_share = (double)here.weight_bytes / (double)there.weight_bytes;
    return check_vocabulary(d->model, large, tokenizer, err);
}

enum status drafter_allocate(struct drafter *d, const struct drafter_size *size, struct error *err)
{
    const struct hyperparameters *shape = model_shape(d->model);
    struct kv_options kv = {.type = size->kv_type, .n_sequences = size->n_slots};
    size_t context = size->context_length, most;
    d->context_length = size_min(context, shape->context_length);
    kv.n_positions = size->n_positions;
    if (size_multiply(d->context_length, size->n_slots, &most) && most < kv.n_positions)
        kv.n_positions = most;
    enum status status = kv_cache_create(shape, &kv, &d->cache, err);
    if (status)
        return status;
    d->n_slots = size->n_slots;
    d->tokens = mem_array(d->n_slots, sizeof *d->tokens);
    d->used = mem_array(d->n_slots, sizeof *d->used);
    d->rows = mem_array(model_max_rows(d->model), sizeof *d->rows);
    d->logits = mem_array(size->n_running, shape->vocab_size * sizeof *d->logits);
    bool ok = d->tokens && d->used && d->rows && d->logits;
    if (shape->vocab_size < d->large_vocab) {
        d->widened = mem_array(d->large_vocab, sizeof *d->widened);
        ok = ok && d->widened;
    }
    for (size_t i = 0; ok && i < d->n_slots; i++) {
        d->tokens[i] = mem_array(d->context_length, sizeof **d->tokens);
        ok = d->tokens[i];
    }
    return ok ? STATUS_OK : error_memory(err, "the draft model's buffers");
}

void drafter_close(struct drafter *d)
{
    if (!d)
        return;
    for (size_t i = 0; d->tokens && i < d->n_slots; i++)
        mem_free(d->tokens[i]);
    mem_free(d->tokens);
    mem_free(d->used);
    mem_free(d->rows);
    mem_free(d->logits);
    mem_free(d->widened);
    kv_cache_free(d->cache);
    model_close(d->model);
    mem_free(d);
}

const struct model *drafter_model(const struct drafter *d)
{
    return d->model;
}

size_t drafter_bytes(const struct drafter *d)
{
    return model_weight_bytes(d->model) + kv_cache_bytes(d->cache) + model_scratch_bytes(d->model);
}

/* --- Following requests --- */

/* How many positions of the sequence can stay. The last token is always computed: its logits are
 * wanted. */
static size_t usable(const struct drafter *d, const struct generation *g)
{
    size_t slot = (size_t)g->slot, n = kv_length(d->cache, slot), i = 0;
    if (kv_rope_is_long(d->cache, slot) != model_rope_is_long(d->model, g->n_tokens))
        return 0;
    if (n > g->n_tokens - 1)
        n = g->n_tokens - 1;
    while (i < n && d->tokens[slot][i] == g->tokens[i])
        i++;
    return i;
}

static bool is_known(const struct drafter *d, int32_t token)
{
    return (size_t)token < model_shape(d->model)->vocab_size;
}

size_t drafter_lacks(const struct drafter *d, const struct generation *g)
{
    size_t from = usable(d, g);
    if (d->failed || g->n_tokens > d->context_length)
        return SIZE_MAX;
    for (size_t i = from; i < g->n_tokens; i++)
        if (!is_known(d, g->tokens[i]))
            return SIZE_MAX;
    return g->n_tokens - from;
}

double drafter_catch_up_seconds(const struct drafter *d, size_t n, double large_row_seconds)
{
    double each = d->row_seconds > 0 ? d->row_seconds : d->operations_share * large_row_seconds;
    return each * (double)n;
}

double drafter_guess_seconds(const struct drafter *d, double large_pass_seconds)
{
    double known = pass_times_expect(&d->times, 1);
    return known > 0 ? known : d->bytes_share * large_pass_seconds;
}

/* Drops the sequence that was not used for longest; false where all are in use in this call. */
static bool evict(struct drafter *d)
{
    size_t oldest = SIZE_MAX;
    for (size_t i = 0; i < d->n_slots; i++)
        if (kv_length(d->cache, i) > 0 && d->used[i] < d->calls &&
            (oldest == SIZE_MAX || d->used[i] < d->used[oldest]))
            oldest = i;
    if (oldest == SIZE_MAX)
        return false;
    kv_truncate(d->cache, oldest, 0);
    return true;
}

static bool reserve(struct drafter *d, size_t slot, size_t n)
{
    while (!kv_reserve(d->cache, slot, n))
        if (!evict(d))
            return false;
    return true;
}

static void add_row(struct drafter *d, size_t slot, int32_t token, size_t position,
                    bool wants_logits, size_t *n_rows)
{
    d->tokens[slot][position] = token;
    d->rows[(*n_rows)++] = (struct row){.token = token,
                                        .position = (int32_t)position,
                                        .sequence = (int32_t)slot,
                                        .wants_logits = wants_logits};
}

/* Rows for what the sequence lacks, as many as *left allows; the last token wants logits. */
static void add_missing(struct drafter *d, struct generation *g, size_t *left, size_t *n_rows)
{
    size_t slot = (size_t)g->slot, lacking = drafter_lacks(d, g);
    if (lacking == SIZE_MAX) {
        g->draft.wanted = 0;
        return;
    }
    size_t n = lacking < *left ? lacking : *left;
    kv_truncate(d->cache, slot, g->n_tokens - lacking);
    if (kv_length(d->cache, slot) == 0)
        kv_set_rope_is_long(d->cache, slot, model_rope_is_long(d->model, g->n_tokens));
    if (n == 0 || !reserve(d, slot, n)) {
        g->draft.wanted = 0;
        return;
    }
    *left -= n;
    for (size_t i = g->n_tokens - lacking; n > 0; i++, n--)
        add_row(d, slot, g->tokens[i], i, i + 1 == g->n_tokens, n_rows);
}

/* --- Guessing --- */

static bool compute(struct drafter *d, size_t n_rows)
{
    struct error err = {0};
    double started = clock_seconds();
    if (model_forward(d->model, d->cache, d->rows, n_rows, d->logits, &err)) {
        log_warning("answers go on without the draft model: %s", err.message);
        d->failed = true;
        return false;
    }
    double seconds = clock_seconds() - started;
    if (n_rows <= MAX_TIMED_ROWS)
        pass_times_add(&d->times, n_rows, seconds);
    else
        d->row_seconds = seconds / (double)n_rows;
    return true;
}

/* What the request's sampler would choose from these logits of the draft model. */
static int32_t guess(struct drafter *d, struct generation *g, float *logits)
{
    size_t n = model_shape(d->model)->vocab_size;
    if (d->widened) {
        memcpy(d->widened, logits, n * sizeof *logits);
        for (size_t i = n; i < d->large_vocab; i++)
            d->widened[i] = -INFINITY;
        logits = d->widened;
    }
    return sampler_guess(g->sampler, logits, g->draft.tokens, g->draft.count);
}

/* Takes the guess number `depth` of each request whose row was just computed, and adds the rows for
 * the next; how many. */
static size_t take_guesses(struct drafter *d, struct generation *const *running, size_t n,
                           size_t depth)
{
    size_t n_rows = 0;
    float *logits = d->logits;
    for (size_t i = 0; i < n; i++) {
        struct generation *g = running[i];
        struct draft *draft = &g->draft;
        size_t slot = (size_t)g->slot, position = g->n_tokens + depth;
        if (draft->count != depth || draft->count >= draft->wanted ||
            kv_length(d->cache, slot) != position)
            continue;
        int32_t token = guess(d, g, logits);
        logits += model_shape(d->model)->vocab_size;
        draft->tokens[draft->count++] = token;
        draft->n_offered = draft->count;
        bool goes_on = draft->count < draft->wanted && position < d->context_length &&
                       is_known(d, token) && reserve(d, slot, 1);
        if (goes_on)
            add_row(d, slot, token, position, true, &n_rows);
        else
            draft->wanted = draft->count;
    }
    return n_rows;
}

void drafter_guess(struct drafter *d, struct generation *const *running, size_t n, size_t catch_up)
{
    size_t n_rows = 0, depth = 0;
    size_t left = size_min(model_max_rows(d->model), catch_up);
    d->calls++;
    for (size_t i = 0; i < n; i++)
        d->used[running[i]->slot] = d->calls;
    for (size_t i = 0; i < n; i++)
        if (running[i]->draft.wanted > 0)
            add_missing(d, running[i], &left, &n_rows);
    while (n_rows > 0 && compute(d, n_rows))
        n_rows = take_guesses(d, running, n, depth++);
}
