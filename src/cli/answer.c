#include "cli/answer.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/rng.h"
#include "base/utf8.h"
#include "cli/adapters.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>

/* --- Settings --- */

void answer_settings_init(struct answer_settings *settings)
{
    *settings = (struct answer_settings){.temperature = NAN,
                                         .top_p = NAN,
                                         .min_p = NAN,
                                         .repetition_penalty = NAN,
                                         .frequency_penalty = NAN,
                                         .presence_penalty = NAN,
                                         .top_k = SIZE_MAX};
    if (getrandom(&settings->seed, sizeof settings->seed, 0) != sizeof settings->seed)
        settings->seed = (uint64_t)(clock_seconds() * 1e9);
    settings->seed >>= 32; /* short enough to be typed again */
}

static void override(double *value, double asked, bool *given)
{
    if (isnan(asked))
        return;
    *value = asked;
    if (given)
        *given = true;
}

/* What is left open stays as it is in `s`. */
static struct sampling apply(const struct answer_settings *settings, struct sampling s)
{
    bool sampled = false; /* whether something was asked for that only sampling has */
    override(&s.temperature, settings->temperature, &sampled);
    override(&s.top_p, settings->top_p, &sampled);
    override(&s.min_p, settings->min_p, &sampled);
    override(&s.repetition_penalty, settings->repetition_penalty, NULL);
    override(&s.frequency_penalty, settings->frequency_penalty, NULL);
    override(&s.presence_penalty, settings->presence_penalty, NULL);
    if (settings->top_k != SIZE_MAX) {
        s.top_k = settings->top_k < INT64_MAX ? (int64_t)settings->top_k : INT64_MAX;
        sampled = true;
    }
    if (sampled)
        s.greedy = false;
    if (settings->greedy)
        s.greedy = true;
    s.seed = settings->seed;
    return s;
}

struct sampling answer_sampling(const struct answer_settings *settings, const struct engine *engine)
{
    return apply(settings, engine_default_sampling(engine));
}

enum status answer_settings_check(const struct answer_settings *settings, struct error *err)
{
    struct sampling sampling = apply(settings, sampling_greedy);
    for (size_t i = 0; i < settings->stops.count; i++)
        if (!*settings->stops.items[i])
            return error_set(err, STATUS_INVALID, "a text to stop at is empty");
    return sampling_check(&sampling, err);
}

static enum status constrain_to_schema(const char *path, struct constraint **constraint,
                                       struct error *err)
{
    json_t *schema = json_parse_file(path, err);
    if (!schema)
        return err->status;
    enum status status = constraint_from_schema(schema, constraint, err);
    json_decref(schema);
    return status ? error_prefix(err, "%s", path) : STATUS_OK;
}

int answer_constrain(const struct usage *usage, struct answer_settings *s)
{
    struct error err = {0};
    if (s->json_schema && s->regex)
        return args_wrong(usage, "--json-schema and --regex exclude each other");
    if (s->json_schema && constrain_to_schema(s->json_schema, &s->constraint, &err))
        return report_error(&err);
    if (s->regex && constraint_from_regex(s->regex, strlen(s->regex), &s->constraint, &err))
        return args_wrong(usage, "--regex: %s", err.message);
    return ARGS_OK;
}

/* --- Ctrl-C --- */

static _Atomic(struct generation *) current; /* what Ctrl-C ends */
static atomic_bool was_interrupted;          /* before there was anything to end */

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    struct generation *generation = atomic_load(&current);
    if (generation)
        generation_cancel(generation);
    else
        atomic_store(&was_interrupted, true);
}

static void catch_interrupt(struct sigaction *before)
{
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART};
    sigaction(SIGINT, &action, before);
}

void answer_catch_interrupt(struct sigaction *before)
{
    atomic_store(&was_interrupted, false);
    catch_interrupt(before);
}

static void mask_interrupt(int how)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    pthread_sigmask(how, &set, NULL);
}

/* The engine's threads inherit the blocked signal, so that the handler only ever runs in the
 * thread that owns the generation. */
enum status answer_open_engine(const char *path, const struct engine_options *options,
                               const struct string_list *adapter_words, struct engine **engine,
                               struct error *err)
{
    struct engine_options all = *options;
    struct adapter_list adapters = {0};
    enum status status = adapters_add(&adapters, adapter_words->items, adapter_words->count, err);
    all.adapters = adapters.items;
    all.n_adapters = adapters.count;
    mask_interrupt(SIG_BLOCK);
    if (!status)
        status = engine_open(path, &all, engine, err);
    mask_interrupt(SIG_UNBLOCK);
    adapters_clear(&adapters);
    return status;
}

/* --- Streaming --- */

static void write_codepoint(FILE *out, uint32_t codepoint)
{
    char bytes[4];
    fwrite(bytes, 1, utf8_encode(codepoint, bytes), out);
}

void answer_write_text(FILE *out, const char *text, size_t length, bool is_terminal)
{
    for (size_t i = 0; is_terminal && i < length;) {
        uint32_t c;
        int n = utf8_decode(text + i, length - i, &c);
        if (n <= 0)
            write_codepoint(out, 0xFFFD);
        else if (c < 0x20 && c != '\n' && c != '\t')
            write_codepoint(out, 0x2400 + c); /* the symbol for ESC and the like */
        else if (c == 0x7F)
            write_codepoint(out, 0x2421);
        else if (c >= 0x80 && c < 0xA0)
            write_codepoint(out, 0xFFFD);
        else
            fwrite(text + i, 1, (size_t)n, out);
        i += n > 0 ? (size_t)n : 1;
    }
    if (!is_terminal)
        fwrite(text, 1, length, out);
}

static json_t *token_logprob(const struct engine *engine, int32_t token, float logprob)
{
    const struct tokenizer *tokenizer = engine_tokenizer(engine);
    const char *bytes = NULL;
    size_t n = tokenizer ? tokenizer_token_bytes(tokenizer, token, &bytes) : 0;
    json_t *list = json_array(), *text = n ? json_stringn(bytes, n) : NULL;
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_integer((unsigned char)bytes[i]));
    return json_pack("{s:i, s:o, s:o, s:f}", "id", token, "text", text ? text : json_null(),
                     "bytes", list, "logprob", (double)logprob);
}

static void record_token(const struct engine *engine, const struct token_choice *choice,
                         struct answer *answer)
{
    json_array_append_new(answer->ids, json_integer(choice->token));
    if (!answer->logprobs)
        return;
    json_t *entry = token_logprob(engine, choice->token, choice->logprob), *top = json_array();
    for (size_t i = 0; i < choice->n_top; i++)
        json_array_append_new(top,
                              token_logprob(engine, choice->top[i].token, choice->top[i].logprob));
    json_object_set_new(entry, "top", top);
    json_array_append_new(answer->logprobs, entry);
}

static void follow(struct engine *engine, struct generation *generation,
                   const struct answer_request *request, struct answer *answer)
{
    struct event event;
    do {
        if (generation_next(generation, &event) == EVENT_TOKEN)
            record_token(engine, &event.choice, answer);
        strbuf_append(&answer->text, event.text, event.text_length);
        if (request->out && event.text_length > 0) {
            answer_write_text(request->out, event.text, event.text_length, request->is_terminal);
            fflush(request->out);
        }
    } while (event.kind != EVENT_END);
}

static enum status finish_answer(struct generation *generation, struct answer *answer,
                                 struct error *err)
{
    answer->stats = generation_stats(generation);
    generation_free(generation);
    if (answer->stats.finish == FINISH_ERROR) {
        if (err)
            *err = answer->stats.error;
        return answer->stats.error.status;
    }
    return answer->text.failed ? error_memory(err, "the answer") : STATUS_OK;
}

enum status answer_stream(struct engine *engine, const struct answer_request *from,
                          struct answer *answer, struct error *err)
{
    bool want_logprobs = from->n_logprobs != SIZE_MAX;
    *answer = (struct answer){.ids = json_array(), .logprobs = want_logprobs ? json_array() : NULL};
    struct request request = {.prompt = from->prompt,
                              .n_prompt = from->n_prompt,
                              .sampling = answer_sampling(from->settings, engine),
                              .max_tokens = from->settings->max_tokens,
                              .stops = from->settings->stops.items,
                              .n_stops = from->settings->stops.count,
                              .ignore_eos = from->ignore_eos,
                              .constraint = from->settings->constraint,
                              .want_logprobs = want_logprobs,
                              .n_top_logprobs = want_logprobs ? from->n_logprobs : 0};
    struct generation *generation;
    struct sigaction before;
    catch_interrupt(&before);
    enum status status = engine_submit(engine, &request, &generation, err);
    if (status) {
        sigaction(SIGINT, &before, NULL);
        return status;
    }
    atomic_store(&current, generation);
    if (atomic_load(&was_interrupted))
        generation_cancel(generation);
    follow(engine, generation, from, answer);
    atomic_store(&current, NULL);
    atomic_store(&was_interrupted, false);
    sigaction(SIGINT, &before, NULL);
    return finish_answer(generation, answer, err);
}

void answer_free(struct answer *answer)
{
    strbuf_free(&answer->text);
    json_decref(answer->ids);
    json_decref(answer->logprobs);
    *answer = (struct answer){0};
}

/* --- Figures --- */

static double rate(size_t tokens, double seconds)
{
    return seconds > 0 ? (double)tokens / seconds : 0;
}

static double prompt_rate(const struct generation_stats *s)
{
    return rate(s->prompt_tokens - s->cached_tokens, s->prefill_seconds);
}

/* The first token comes out of the prompt's last row, so n tokens take n - 1 decode steps. */
static double answer_rate(const struct generation_stats *s)
{
    return s->answer_tokens > 1 ? rate(s->answer_tokens - 1, s->decode_seconds) : 0;
}

void answer_print_stats(FILE *out, const struct generation_stats *s)
{
    fprintf(out,
            "prompt: %zu tokens (%zu cached), %.1f tokens/s; first token after %.3f s; "
            "answer: %zu tokens, %.1f tokens/s; ended by: %s",
            s->prompt_tokens, s->cached_tokens, prompt_rate(s), s->first_token_seconds,
            s->answer_tokens, answer_rate(s), finish_reason_name(s->finish));
    if (s->guessed_tokens)
        fprintf(out, "; computed ahead: %zu, right: %zu", s->guessed_tokens, s->accepted_tokens);
    putc('\n', out);
}

json_t *answer_usage(const struct generation_stats *s)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "prompt_tokens",
                     (json_int_t)s->prompt_tokens, "cached_tokens", (json_int_t)s->cached_tokens,
                     "answer_tokens", (json_int_t)s->answer_tokens, "total_tokens",
                     (json_int_t)(s->prompt_tokens + s->answer_tokens), "guessed_tokens",
                     (json_int_t)s->guessed_tokens, "accepted_tokens",
                     (json_int_t)s->accepted_tokens);
}

json_t *answer_timings(const struct generation_stats *s)
{
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "queue_seconds", s->queue_seconds,
                     "prefill_seconds", s->prefill_seconds, "first_token_seconds",
                     s->first_token_seconds, "decode_seconds", s->decode_seconds, "total_seconds",
                     s->total_seconds, "prompt_tokens_per_second", prompt_rate(s),
                     "answer_tokens_per_second", answer_rate(s));
}
