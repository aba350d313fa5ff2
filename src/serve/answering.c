#include "serve/answering.h"
#include "base/clock.h"
#include "base/memory.h"
#include "serve/server_internal.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

/* --- Creating and freeing --- */

/* What the log tells, from the choices together. */
static void record(struct answering *a)
{
    struct request_record *r = &a->x->record;
    r->has_answer = a->n_started > 0;
    for (size_t i = 0; i < a->n_started; i++) {
        const struct generation_stats *s = &a->choices[i].stats;
        r->prompt_tokens += s->prompt_tokens;
        r->cached_tokens += s->cached_tokens;
        r->answer_tokens += s->answer_tokens;
        if (s->queue_seconds > r->queue_seconds)
            r->queue_seconds = s->queue_seconds;
        if (s->prefill_seconds > r->prefill_seconds)
            r->prefill_seconds = s->prefill_seconds;
        if (s->decode_seconds > r->decode_seconds)
            r->decode_seconds = s->decode_seconds;
        if (i == 0 || s->first_token_seconds < r->first_token_seconds)
            r->first_token_seconds = s->first_token_seconds;
        r->finish = finish_reason_name(s->finish);
    }
}

static void free_choices(struct answering *a)
{
    watch_release(a->x->watch);
    for (size_t i = 0; i < a->n_started; i++)
        generation_cancel(a->generations[i]);
    for (size_t i = 0; i < a->n_started; i++) {
        struct event event;
        while (!a->choices[i].ended && generation_next(a->generations[i], &event) == EVENT_TOKEN)
            ;
        a->choices[i].stats = generation_stats(a->generations[i]);
        model_metrics_answer(a->lease.metrics, &a->choices[i].stats);
        generation_free(a->generations[i]);
    }
    record(a);
    for (size_t i = 0; i < a->n_choices; i++) {
        strbuf_free(&a->choices[i].text);
        json_decref(a->choices[i].calls);
        tool_reader_free(&a->choices[i].tools);
        mem_free(a->choices[i].tokens);
    }
}

static void answering_free(void *state)
{
    struct answering *a = state;
    if (a->choices)
        free_choices(a);
    registry_release(a->x->server->registry, &a->lease);
    mem_free(a->choices);
    mem_free(a->generations);
    api_request_free(&a->request);
    json_decref(a->document);
    mem_free(a);
}

struct answering *answering_create(struct exchange *x, enum api_kind kind, struct api_error *error)
{
    struct answering *a = mem_alloc(sizeof *a);
    if (!a) {
        api_refuse(error, 503, "out_of_memory", NULL, "out of memory for the request");
        return NULL;
    }
    a->x = x;
    a->created = (int64_t)time(NULL);
    x->state = a;
    x->free_state = answering_free;
    snprintf(a->id, sizeof a->id, "%s-%s", kind == API_CHAT ? "chatcmpl" : "cmpl",
             x->id + sizeof "req");
    a->document = exchange_body_json(x, error);
    if (!a->document || !api_request_read(kind, a->document, &a->request, error))
        return NULL;
    x->record.is_stream = a->request.stream;
    size_t n_answers = a->request.n_prompts * (size_t)a->request.n;
    if (!registry_acquire(x->server->registry, a->request.model, a->request.adapter, n_answers,
                          &a->lease, error))
        return NULL;
    snprintf(x->record.model, sizeof x->record.model, "%s", a->lease.model);
    return a;
}

/* --- Starting --- */

static uint64_t random_seed(void)
{
    uint64_t seed;
    if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
        seed = (uint64_t)(clock_seconds() * 1e9);
    return seed;
}

static bool submit(struct answering *a, struct request *request, const struct token_list *prompt,
                   struct api_error *error)
{
    struct error err = {0};
    request->prompt = prompt->ids;
    request->n_prompt = prompt->count;
    for (int64_t i = 0; i < a->request.n; i++) {
        if (engine_submit(a->lease.engine, request, &a->generations[a->n_started], &err))
            return api_refuse_error(
                error, err.status == STATUS_LIMIT ? api_prompt_field(a->request.kind) : NULL, &err);
        a->n_started++;
        request->sampling.seed++;
    }
    return true;
}

static bool allocate(struct answering *a, size_t n, struct api_error *error)
{
    a->generations = mem_array(n, sizeof(struct generation *));
    a->choices = mem_array(n, sizeof *a->choices);
    if (!a->generations || !a->choices)
        return api_refuse(error, 503, "out_of_memory", NULL, "out of memory for the answers");
    a->n_choices = n;
    for (size_t i = 0; i < n; i++) {
        a->choices[i].calls = json_array();
        a->choices[i].tools.is_either = a->request.must_be_json;
    }
    return true;
}

static bool submit_all(struct answering *a, const struct token_list *prompts, size_t n_prompts,
                       struct constraint *constraint, struct api_error *error)
{
    const struct api_request *r = &a->request;
    struct error err = {0};
    struct request request = {.sampling =
                                  api_request_sampling(r, engine_default_sampling(a->lease.engine)),
                              .max_tokens = (size_t)r->max_tokens,
                              .stops = r->stops,
                              .n_stops = r->n_stops,
                              .ignore_eos = r->ignore_eos,
                              .want_logprobs = r->logprobs,
                              .n_top_logprobs = (size_t)r->top_logprobs,
                              .client = a->x->client_key,
                              .pooling = r->pooling,
                              .constraint = constraint};
    if (!r->has_seed)
        request.sampling.seed = random_seed();
    if (sampling_check(&request.sampling, &err))
        return api_refuse_error(error, NULL, &err);
    for (size_t i = 0; i < n_prompts; i++)
        if (!submit(a, &request, &prompts[i], error))
            return false;
    return true;
}

bool answering_start(struct answering *a, const struct token_list *prompts, size_t n_prompts,
                     struct api_error *error)
{
    struct constraint *constraint;
    if (!allocate(a, n_prompts * (size_t)a->request.n, error) ||
        !api_request_constrain(&a->request, &constraint, error))
        return false;
    bool ok = submit_all(a, prompts, n_prompts, constraint, error);
    constraint_release(constraint);
    if (ok)
        watch_generations(a->x->watch, a->generations, a->n_started);
    return ok;
}

/* --- Events --- */

static void keep_token(struct answering *a, struct choice *choice, const struct token_choice *token)
{
    if (mem_grow(&choice->tokens, &choice->token_capacity, choice->n_tokens, sizeof *token))
        choice->tokens[choice->n_tokens++] = *token;
    else
        a->out_of_memory = true;
}

static void time_token(const struct answering *a, struct choice *choice)
{
    double now = clock_seconds();
    if (choice->last_token > 0)
        model_metrics_token(a->lease.metrics, now - choice->last_token);
    choice->last_token = now;
}

bool answering_next(struct answering *a, struct piece *piece)
{
    if (a->n_ended == a->n_choices)
        return false;
    while (a->choices[a->turn].ended)
        a->turn = (a->turn + 1) % a->n_choices;
    struct event event;
    struct choice *choice = &a->choices[a->turn];
    struct generation *generation = a->generations[a->turn];
    bool is_end = generation_next(generation, &event) == EVENT_END;
    *piece = (struct piece){.choice = choice,
                            .index = a->turn,
                            .is_end = is_end,
                            .text = event.text,
                            .length = event.text_length};
    if (!is_end)
        time_token(a, choice);
    if (!is_end && a->request.logprobs)
        keep_token(a, choice, &event.choice);
    if (is_end) {
        choice->ended = true;
        choice->stats = generation_stats(generation);
        a->n_ended++;
    }
    a->turn = (a->turn + 1) % a->n_choices;
    return true;
}

void answering_end_choice(struct answering *a, size_t index)
{
    a->choices[index].is_cut = true;
    generation_cancel(a->generations[index]);
}

bool answering_check(const struct answering *a, const struct choice *choice,
                     struct api_error *error)
{
    if (choice->stats.finish == FINISH_ERROR)
        return api_refuse_error(error, NULL, &choice->stats.error);
    if (a->out_of_memory || choice->text.failed || choice->tools.held.failed)
        return api_refuse(error, 503, "out_of_memory", NULL, "out of memory for the answer");
    if (choice->stats.finish != FINISH_CANCELLED || choice->is_cut)
        return true;
    if (watch_client_left(a->x->watch))
        return api_refuse(error, 499, "client_left", NULL, "the client left");
    if (watch_is_late(a->x->watch))
        return api_refuse(error, 504, "timeout", NULL,
                          "the answer took longer than the %g seconds that this server allows",
                          a->x->server->options.answer_seconds);
    api_refuse(error, 503, "shutting_down", NULL, "the server shut down during the answer");
    error->retry_after = 5;
    return false;
}

/* --- Figures --- */

json_t *answering_usage(const struct answering *a)
{
    size_t prompt = 0, cached = 0, answer = 0;
    for (size_t i = 0; i < a->n_choices; i++) {
        const struct generation_stats *s = &a->choices[i].stats;
        bool is_first = i % (size_t)a->request.n == 0; /* n answers share one prompt */
        prompt += is_first ? s->prompt_tokens : 0;
        cached += is_first ? s->cached_tokens : 0;
        answer += s->answer_tokens;
    }
    return json_pack("{s:I, s:I, s:I, s:{s:I}}", "prompt_tokens", (json_int_t)prompt,
                     "completion_tokens", (json_int_t)answer, "total_tokens",
                     (json_int_t)(prompt + answer), "prompt_tokens_details", "cached_tokens",
                     (json_int_t)cached);
}

json_t *answering_timings(const struct generation_stats *s)
{
    return json_pack("{s:f, s:f, s:f, s:f, s:f}", "queue_seconds", s->queue_seconds,
                     "prefill_seconds", s->prefill_seconds, "first_token_seconds",
                     s->first_token_seconds, "decode_seconds", s->decode_seconds, "total_seconds",
                     s->total_seconds);
}
