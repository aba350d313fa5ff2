#include "base/clock.h"
#include "engine/engine_internal.h"

#include <string.h>

const char *finish_reason_name(enum finish_reason reason)
{
    static const char *const names[] = {"none", "eos", "stop", "length", "cancelled", "error"};
    return names[reason];
}

/* --- Making and freeing --- */

static bool copy_stops(struct generation *g, const struct request *request)
{
    size_t n = g->n_stops = request->n_stops;
    size_t bytes;
    if (!size_multiply(n, sizeof *g->stops, &bytes))
        return false;
    g->stops = arena_alloc(&g->arena, bytes);
    g->stop_lengths = arena_alloc(&g->arena, bytes);
    if (!g->stops || !g->stop_lengths)
        return false;
    for (size_t i = 0; i < n; i++) {
        g->stop_lengths[i] = strlen(request->stops[i]);
        g->stops[i] = arena_copy_string(&g->arena, request->stops[i], g->stop_lengths[i]);
        if (!g->stops[i])
            return false;
    }
    return true;
}

static bool copy_eos(struct generation *g, const struct request *request)
{
    const int32_t *ids = request->eos_ids ? request->eos_ids : g->engine->eos_ids;
    g->n_eos_ids = request->eos_ids ? request->n_eos_ids : g->engine->n_eos_ids;
    g->eos_ids = arena_alloc(&g->arena, g->n_eos_ids * sizeof *ids);
    if (g->eos_ids && g->n_eos_ids)
        memcpy(g->eos_ids, ids, g->n_eos_ids * sizeof *ids);
    return g->eos_ids;
}

/* Room for every token of the answer, so that no step has to look for memory. */
static bool allocate_records(struct generation *g, const struct request *request)
{
    size_t n_tokens, bytes, tops;
    if (!size_add(g->n_prompt, g->max_tokens, &n_tokens) ||
        !size_multiply(n_tokens, sizeof *g->tokens, &bytes) ||
        !(g->tokens = arena_alloc(&g->arena, bytes)))
        return false;
    memcpy(g->tokens, request->prompt, g->n_prompt * sizeof *g->tokens);
    g->n_tokens = g->n_prompt;
    if (!size_multiply(g->max_tokens, sizeof *g->records, &bytes) ||
        !(g->records = arena_alloc(&g->arena, bytes)))
        return false;
    return size_multiply(g->max_tokens, g->n_top, &tops) &&
           size_multiply(tops, sizeof *g->alternatives, &bytes) &&
           (g->alternatives = arena_alloc(&g->arena, bytes));
}

static enum status begin_constraint(struct generation *g, struct constraint *constraint,
                                    struct error *err)
{
    struct token_masker *masker;
    enum status status = engine_masker(g->engine, &masker, err);
    if (status)
        return status;
    uint64_t *room = arena_alloc(&g->arena, token_masker_words(masker) * sizeof *room);
    return room ? enforcer_begin(&g->enforcer, constraint, masker, room, err)
                : error_memory(err, "a request");
}

static bool allocate_pooling(struct generation *g)
{
    size_t dim = model_shape(g->engine->model)->dim;
    if (!g->pooling)
        return true;
    g->pooled = arena_alloc(&g->arena, dim * sizeof *g->pooled);
    g->embedding = arena_alloc(&g->arena, dim * sizeof *g->embedding);
    return g->pooled && g->embedding;
}

static enum status fill_in(struct generation *g, const struct request *request, struct error *err)
{
    if (!copy_stops(g, request) || !copy_eos(g, request) || !allocate_records(g, request) ||
        !allocate_pooling(g))
        return error_memory(err, "a request");
    size_t vocab_size = model_shape(g->engine->model)->vocab_size;
    enum status status = sampler_create(&request->sampling, vocab_size, &g->sampler, err);
    if (status)
        return status;
    for (size_t i = 0; i < g->n_prompt; i++)
        sampler_accept(g->sampler, g->tokens[i], false);
    if (g->engine->tokenizer)
        detokenizer_init(&g->detokenizer, g->engine->tokenizer, TOKENIZER_SKIP_SPECIAL);
    return request->constraint ? begin_constraint(g, request->constraint, err) : STATUS_OK;
}

enum status generation_create(struct engine *engine, const struct request *request,
                              size_t max_tokens, struct generation **out, struct error *err)
{
    struct generation *g = mem_alloc(sizeof *g);
    if (!g)
        return error_memory(err, "a request");
    g->engine = engine;
    g->slot = NO_SLOT;
    g->n_prompt = request->n_prompt;
    g->max_tokens = max_tokens;
    g->n_top = request->n_top_logprobs;
    g->want_logprobs = request->want_logprobs || g->n_top > 0;
    g->ignore_eos = request->ignore_eos;
    g->no_guesses = request->no_guesses;
    g->client = request->client;
    g->pooling = request->pooling;
    pthread_mutex_init(&g->mutex, NULL);
    pthread_cond_init(&g->changed, NULL);
    enum status status = fill_in(g, request, err);
    if (status)
        generation_destroy(g);
    else
        *out = g;
    return status;
}

void generation_destroy(struct generation *g)
{
    if (g->engine->tokenizer && g->sampler)
        detokenizer_free(&g->detokenizer);
    sampler_free(g->sampler);
    enforcer_free(&g->enforcer);
    strbuf_free(&g->fresh);
    strbuf_free(&g->text);
    strbuf_free(&g->piece);
    arena_free(&g->arena);
    pthread_cond_destroy(&g->changed);
    pthread_mutex_destroy(&g->mutex);
    mem_free(g);
}

/* --- The reader's side --- */

static void fill_choice(const struct generation *g, size_t index, struct token_choice *choice)
{
    const struct record *record = &g->records[index];
    choice->token = record->token;
    choice->logprob = record->logprob;
    choice->n_top = g->n_top;
    for (size_t i = 0; i < g->n_top; i++) {
        choice->top[i].token = g->alternatives[index * g->n_top + i].token;
        choice->top[i].logprob = g->alternatives[index * g->n_top + i].logprob;
    }
}

enum event_kind generation_next(struct generation *g, struct event *event)
{
    pthread_mutex_lock(&g->mutex);
    while (g->n_read == g->n_records && !g->ended)
        pthread_cond_wait(&g->changed, &g->mutex);
    size_t end = g->text.length;
    event->kind = EVENT_END;
    if (g->n_read < g->n_records) {
        event->kind = EVENT_TOKEN;
        end = g->records[g->n_read].text_end;
        fill_choice(g, g->n_read++, &event->choice);
    }
    strbuf_truncate(&g->piece, 0);
    strbuf_append(&g->piece, strbuf_text(&g->text) + g->text_read, end - g->text_read);
    g->text_read = end;
    pthread_mutex_unlock(&g->mutex);
    event->text = strbuf_text(&g->piece);
    event->text_length = g->piece.length;
    return event->kind;
}

void generation_cancel(struct generation *g)
{
    atomic_store_explicit(&g->cancelled, true, memory_order_relaxed);
}

bool generation_is_cancelled(const struct generation *g)
{
    return atomic_load_explicit(&g->cancelled, memory_order_relaxed);
}

struct generation_stats generation_stats(const struct generation *g)
{
    return g->stats;
}

const float *generation_embedding(const struct generation *g)
{
    return g->embedding;
}

void generation_free(struct generation *g)
{
    if (!g)
        return;
    generation_cancel(g);
    pthread_mutex_lock(&g->mutex);
    while (!g->ended)
        pthread_cond_wait(&g->changed, &g->mutex);
    pthread_mutex_unlock(&g->mutex);
    generation_destroy(g);
}

/* --- The step thread's side --- */

/* The earliest stop string in the text from `released` on cuts the text off. */
static bool cut_at_stop(struct generation *g)
{
    const char *text = strbuf_text(&g->text) + g->released;
    size_t length = g->text.length - g->released, earliest = SIZE_MAX;
    for (size_t i = 0; i < g->n_stops; i++) {
        const char *found = memmem(text, length, g->stops[i], g->stop_lengths[i]);
        if (found && (size_t)(found - text) < earliest)
            earliest = (size_t)(found - text);
    }
    if (earliest == SIZE_MAX)
        return false;
    strbuf_truncate(&g->text, g->released + earliest);
    return true;
}

/* Whether `tail` is how some stop string begins. */
static bool begins_stop(const struct generation *g, const char *tail, size_t length)
{
    for (size_t i = 0; i < g->n_stops; i++)
        if (length < g->stop_lengths[i] && !memcmp(g->stops[i], tail, length))
            return true;
    return false;
}

/* Releases the text up to where a stop string may have begun. */
static void release_text(struct generation *g)
{
    const char *text = strbuf_text(&g->text);
    while (g->released < g->text.length &&
           !begins_stop(g, text + g->released, g->text.length - g->released))
        g->released++;
}

/* Appends the fresh text; true when a stop string is complete. Called under the mutex. */
static bool add_text(struct generation *g)
{
    strbuf_append(&g->text, strbuf_text(&g->fresh), g->fresh.length);
    strbuf_truncate(&g->fresh, 0);
    if (cut_at_stop(g)) {
        g->released = g->text.length;
        return true;
    }
    release_text(g);
    return false;
}

static bool is_eos(const struct generation *g, int32_t token)
{
    for (size_t i = 0; i < g->n_eos_ids; i++)
        if (g->eos_ids[i] == token)
            return true;
    return false;
}

/* The trigger of a constraint is text even as a special token. */
static enum status push_trigger(struct generation *g, struct error *err)
{
    const struct trigger *trigger = &g->enforcer.constraint->trigger;
    enum status status = detokenizer_finish(&g->detokenizer, &g->fresh, err);
    if (!status)
        strbuf_append(&g->fresh, trigger->text, trigger->length);
    return status;
}

/* Ids without a token (the vocabulary of the weights is often padded) add no text. */
static enum status push_text(struct generation *g, int32_t token, struct error *err)
{
    const struct tokenizer *tokenizer = g->engine->tokenizer;
    if (enforcer_is_trigger(&g->enforcer, token))
        return push_trigger(g, err);
    if (!tokenizer || !tokenizer_token(tokenizer, token))
        return STATUS_OK;
    return detokenizer_push(&g->detokenizer, token, &g->fresh, err);
}

static void add_record(struct generation *g, const struct token_choice *choice)
{
    size_t index = g->n_records++;
    g->records[index] = (struct record){choice->token, choice->logprob, g->released};
    for (size_t i = 0; i < g->n_top; i++) {
        bool there = i < choice->n_top;
        g->alternatives[index * g->n_top + i].token = there ? choice->top[i].token : -1;
        g->alternatives[index * g->n_top + i].logprob = there ? choice->top[i].logprob : 0;
    }
}

/* End tokens may follow where the document may end; as text they never count. */
static void allow_eos(struct generation *g)
{
    size_t vocab_size = model_shape(g->engine->model)->vocab_size;
    for (size_t i = 0; i < g->n_eos_ids; i++) {
        int32_t id = g->eos_ids[i];
        if (id < 0 || (size_t)id >= vocab_size)
            continue;
        if (enforcer_may_end(&g->enforcer) && !g->ignore_eos)
            mask_set(g->allowed, (size_t)id);
        else if (!g->ignore_eos)
            mask_clear(g->allowed, (size_t)id);
    }
}

enum status generation_constrain(struct generation *g, struct error *err)
{
    enum status status = enforcer_mask(&g->enforcer, &g->allowed, err);
    if (status || !g->allowed)
        return status;
    allow_eos(g);
    for (size_t i = 0; i < token_masker_words(g->enforcer.masker); i++)
        if (g->allowed[i])
            return STATUS_OK;
    return error_set(err, STATUS_UNSUPPORTED,
                     "no token of this model's vocabulary can continue the document here");
}

enum finish_reason generation_take(struct generation *g, const struct token_choice *choice,
                                   struct error *err)
{
    if (!g->ignore_eos && is_eos(g, choice->token))
        return FINISH_EOS;
    g->last_token = clock_seconds();
    if (g->n_tokens == g->n_prompt)
        g->first_token = g->last_token;
    g->tokens[g->n_tokens++] = choice->token;
    sampler_accept(g->sampler, choice->token, true);
    if (push_text(g, choice->token, err) || enforcer_accept(&g->enforcer, choice->token, err))
        return FINISH_ERROR;
    pthread_mutex_lock(&g->mutex);
    bool stopped = add_text(g), failed = g->text.failed;
    add_record(g, choice);
    pthread_cond_signal(&g->changed);
    pthread_mutex_unlock(&g->mutex);
    if (failed) {
        error_memory(err, "the text of an answer");
        return FINISH_ERROR;
    }
    if (stopped)
        return FINISH_STOP;
    if (enforcer_must_end(&g->enforcer))
        return FINISH_EOS;
    return g->n_tokens == g->n_prompt + g->max_tokens ? FINISH_LENGTH : FINISH_NONE;
}

static void fill_stats(struct generation *g, enum finish_reason reason, const struct error *err)
{
    double now = clock_seconds();
    struct generation_stats *stats = &g->stats;
    stats->prompt_tokens = g->n_prompt;
    stats->cached_tokens = g->cached_tokens;
    stats->answer_tokens = g->n_tokens - g->n_prompt;
    stats->guessed_tokens = g->draft.n_guessed;
    stats->accepted_tokens = g->draft.n_accepted;
    stats->finish = reason;
    stats->total_seconds = now - g->submitted;
    stats->queue_seconds = (g->was_admitted ? g->first_step : now) - g->submitted;
    if (stats->answer_tokens) {
        stats->prefill_seconds = g->first_token - g->first_step;
        stats->first_token_seconds = g->first_token - g->submitted;
        stats->decode_seconds = g->last_token - g->first_token;
    }
    if (err)
        stats->error = *err;
}

void generation_end(struct generation *g, enum finish_reason reason, const struct error *err)
{
    struct error flush_error = {0};
    if (g->engine->tokenizer && reason != FINISH_STOP && reason != FINISH_ERROR &&
        detokenizer_finish(&g->detokenizer, &g->fresh, &flush_error)) {
        reason = FINISH_ERROR;
        err = &flush_error;
    }
    pthread_mutex_lock(&g->mutex);
    if (reason != FINISH_STOP && add_text(g) && reason != FINISH_CANCELLED)
        reason = FINISH_STOP;
    g->released = g->text.length;
    fill_stats(g, reason, err);
    g->ended = true;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->mutex);
}
