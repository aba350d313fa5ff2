#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "cli/answer.h"
#include "cli/bench.h"
#include "cli/conversation.h"

#include <stdio.h>
#include <string.h>

enum { MAX_TEXT_BYTES = 16 << 20 };

/* Answers to the same prompt that are made at the same time. */
struct round {
    struct generation **generations; /* [batch] */
    struct token_list ids;           /* of all of them, one after the other */
    size_t guessed, accepted;
    double rate; /* tokens per second after the first, all together */
};

struct bench {
    const struct text_bench *options;
    struct engine *engine;
    struct token_list prompt;
    struct round plain, guessing;
};

/* The text as the model's chat template asks it, or as it is where there is none. */
static enum status encode(struct bench *b, const char *text, struct error *err)
{
    struct conversation c;
    if (!engine_tokenizer(b->engine))
        return error_set(err, STATUS_UNSUPPORTED, "%s has no tokenizer, so it cannot read text",
                         b->options->model);
    if (!engine_chat(b->engine))
        return tokenizer_encode(engine_tokenizer(b->engine), text, strlen(text),
                                TOKENIZER_ADD_SPECIAL, &b->prompt, err);
    if (!conversation_init(&c, b->engine, NULL))
        return error_memory(err, "a conversation");
    enum status status = conversation_add(&c, "user", text, err);
    if (!status)
        status = conversation_encode(&c, &b->prompt, err);
    conversation_free(&c);
    return status;
}

static enum status read_prompt(struct bench *b, struct error *err)
{
    char *text;
    size_t size;
    enum status status = file_read_text(b->options->file, MAX_TEXT_BYTES, &text, &size, err);
    if (status)
        return status;
    status = encode(b, text, err);
    mem_free(text);
    return status;
}

/* Waits for the answer; its tokens and figures are added to the round's. */
static enum status collect(struct generation *g, struct round *round, double *seconds,
                           struct error *err)
{
    struct event event;
    enum status status = STATUS_OK;
    while (generation_next(g, &event) == EVENT_TOKEN)
        if (!token_list_add(&round->ids, event.choice.token))
            status = error_memory(err, "an answer");
    struct generation_stats stats = generation_stats(g);
    generation_free(g);
    round->guessed += stats.guessed_tokens;
    round->accepted += stats.accepted_tokens;
    *seconds = stats.decode_seconds > *seconds ? stats.decode_seconds : *seconds;
    if (stats.finish == FINISH_ERROR)
        status = error_set(err, stats.error.status, "%s", stats.error.message);
    return status;
}

static enum status run_round(struct bench *b, size_t batch, bool plain, struct round *round,
                             struct error *err)
{
    struct request request = {.prompt = b->prompt.ids,
                              .n_prompt = b->prompt.count,
                              .sampling = sampling_greedy,
                              .max_tokens = b->options->max_tokens,
                              .no_guesses = plain};
    double seconds = 0;
    size_t n = 0;
    enum status status = STATUS_OK;
    round->ids.count = round->guessed = round->accepted = 0;
    while (n < batch && !status) {
        status = engine_submit(b->engine, &request, &round->generations[n], err);
        n += !status;
    }
    for (size_t i = 0; i < n; i++) {
        enum status failure = collect(round->generations[i], round, &seconds, err);
        status = status ? status : failure;
    }
    round->rate = seconds > 0 ? (double)(round->ids.count - batch) / seconds : 0;
    return status;
}

static void add_rate(json_t *json, const char *name, struct rate rate)
{
    json_object_set_new(
        json, name,
        json_pack("{sf sf sf}", "median", rate.median, "min", rate.min, "max", rate.max));
}

static void print_line(const char *label, size_t tokens, size_t batch, struct rate rate)
{
    printf("%-8s %6zu %6zu %12.1f %10.1f %10.1f", label, tokens, batch, rate.median, rate.min,
           rate.max);
}

static void report(const struct bench *b, size_t batch, struct rate plain, struct rate guessing,
                   json_t *lines)
{
    const struct round *round = &b->guessing;
    size_t tokens = round->ids.count / batch;
    double ratio = plain.median > 0 ? guessing.median / plain.median : 0;
    json_t *line = json_pack("{sI sI sI sI sf}", "batch", (json_int_t)batch, "tokens",
                             (json_int_t)tokens, "guessed", (json_int_t)round->guessed, "accepted",
                             (json_int_t)round->accepted, "ratio", ratio);
    add_rate(line, "plain", plain);
    add_rate(line, "guessing", guessing);
    json_array_append_new(lines, line);
    if (b->options->json)
        return;
    print_line("plain", tokens, batch, plain);
    putchar('\n');
    print_line("guessing", tokens, batch, guessing);
    printf("  %5.2f times as fast; guessed %zu, right %zu; the same tokens\n", ratio,
           round->guessed, round->accepted);
    fflush(stdout);
}

/* In turns, after one of each that is not counted. */
static enum status measure(struct bench *b, size_t batch, json_t *lines, struct error *err)
{
    double plain[MAX_BENCH_REPEATS], guessing[MAX_BENCH_REPEATS];
    for (size_t r = 0; r <= b->options->repeats; r++) {
        enum status status = run_round(b, batch, true, &b->plain, err);
        if (!status)
            status = run_round(b, batch, false, &b->guessing, err);
        if (status)
            return status;
        size_t n = b->plain.ids.count;
        if (n != b->guessing.ids.count ||
            memcmp(b->plain.ids.ids, b->guessing.ids.ids, n * sizeof *b->plain.ids.ids))
            return error_set(err, STATUS_INVALID,
                             "the answers with and without guesses differ: this is a mistake in "
                             "Tandem");
        if (r > 0) {
            plain[r - 1] = b->plain.rate;
            guessing[r - 1] = b->guessing.rate;
        }
    }
    size_t n = b->options->repeats;
    report(b, batch, rate_summarise(plain, n), rate_summarise(guessing, n), lines);
    return STATUS_OK;
}

static void print_head(const struct bench *b)
{
    struct engine_info info = engine_info(b->engine);
    printf("%s, %s, %zu threads", info.name, info.isa, info.n_threads);
    if (info.draft_name)
        printf("; drafts by %s", info.draft_name);
    printf("; a prompt of %zu tokens\n\n%-8s %6s %6s %12s %10s %10s\n", b->prompt.count, "answer",
           "tokens", "batch", "tokens/s", "min", "max");
}

static enum status run(struct bench *b, json_t *result, struct error *err)
{
    const struct text_bench *o = b->options;
    size_t most = o->engine.max_sequences;
    enum status status = answer_open_engine(o->model, &o->engine, o->adapters, &b->engine, err);
    if (!status)
        status = read_prompt(b, err);
    if (status)
        return status;
    b->plain.generations = mem_array(most, sizeof *b->plain.generations);
    b->guessing.generations = mem_array(most, sizeof *b->guessing.generations);
    if (!b->plain.generations || !b->guessing.generations)
        return error_memory(err, "answers");
    if (!o->json)
        print_head(b);
    json_t *lines = json_array();
    json_object_set_new(result, "answers", lines);
    for (size_t i = 0; i < o->batches.count && !status; i++)
        status = measure(b, o->batches.items[i], lines, err);
    struct engine_info info = engine_info(b->engine);
    json_object_update_new(result,
                           json_pack("{ss ss* sI}", "model", info.name, "draft", info.draft_name,
                                     "prompt_tokens", (json_int_t)b->prompt.count));
    return status;
}

int bench_text(const struct text_bench *options)
{
    struct bench b = {.options = options};
    struct error err = {0};
    struct strbuf out = {0};
    json_t *result = json_object();
    enum status status = run(&b, result, &err);
    if (!status && options->json) {
        json_write(&out, result, true);
        puts(strbuf_text(&out));
        strbuf_free(&out);
    }
    json_decref(result);
    token_list_free(&b.plain.ids);
    token_list_free(&b.guessing.ids);
    token_list_free(&b.prompt);
    mem_free(b.plain.generations);
    mem_free(b.guessing.generations);
    engine_close(b.engine);
    return status ? report_error(&err) : finish_output();
}
