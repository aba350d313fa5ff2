/* tandem bench: speed of prompt processing and generation, by itself, in batches, at depth. */
#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/progress.h"
#include "base/rng.h"
#include "cli/adapters.h"
#include "cli/bench.h"
#include "cli/commands.h"
#include "cli/engine_options.h"
#include "kernels/limits.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SEQUENCES = 256 };

struct bench {
    struct model *model;
    struct arithmetic_limits limits;
    struct kv_cache *cache;
    struct row *rows; /* [max_rows] */
    float *logits;    /* [max_sequences, vocab_size] */
    struct rng rng;
    struct progress bar;
    size_t repeats;
    bool quiet;
};

static int32_t random_token(struct bench *b)
{
    return (int32_t)rng_below(&b->rng, model_shape(b->model)->vocab_size);
}

static void clear(struct bench *b)
{
    for (size_t i = 0; i < kv_cache_sequences(b->cache); i++) {
        kv_truncate(b->cache, i, 0);
        kv_set_rope_is_long(b->cache, i, false);
    }
}

/* Appends n tokens to sequence 0 in passes of at most max_rows; the last wants logits. */
static enum status prefill(struct bench *b, size_t sequence, size_t n, struct error *err)
{
    size_t done = kv_length(b->cache, sequence), end = done + n;
    kv_set_rope_is_long(b->cache, sequence, model_rope_is_long(b->model, end));
    if (!kv_reserve(b->cache, sequence, n))
        return error_set(err, STATUS_LIMIT, "the KV cache has no room for %zu more tokens", n);
    while (done < end) {
        size_t count = size_min(end - done, model_max_rows(b->model));
        for (size_t i = 0; i < count; i++)
            b->rows[i] = (struct row){.token = random_token(b),
                                      .position = (int32_t)(done + i),
                                      .sequence = (int32_t)sequence,
                                      .wants_logits = done + i + 1 == end};
        enum status status = model_forward(b->model, b->cache, b->rows, count, b->logits, err);
        if (status)
            return status;
        done += count;
    }
    return STATUS_OK;
}

/* n steps in which each of `batch` sequences grows by one token. */
static enum status decode(struct bench *b, size_t batch, size_t n, struct error *err)
{
    for (size_t step = 0; step < n; step++) {
        for (size_t s = 0; s < batch; s++) {
            if (!kv_reserve(b->cache, s, 1))
                return error_set(err, STATUS_LIMIT, "the KV cache is full");
            b->rows[s] = (struct row){.token = random_token(b),
                                      .position = (int32_t)kv_length(b->cache, s),
                                      .sequence = (int32_t)s,
                                      .wants_logits = true};
        }
        enum status status = model_forward(b->model, b->cache, b->rows, batch, b->logits, err);
        if (status)
            return status;
    }
    return STATUS_OK;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct rate rate_summarise(double *values, size_t n)
{
    qsort(values, n, sizeof *values, compare_doubles);
    double middle = n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
    return (struct rate){.median = middle, .min = values[0], .max = values[n - 1]};
}

/* A line of the table: prefill (batch 0) of n tokens, or decoding of n by each of `batch`
 * sequences, each behind `depth` others. */
struct test {
    size_t batch, n, depth;
};

/* In tokens per second, and as a part of the machine's limit: of arithmetic for a prompt, otherwise
 * of reading the weights once per step and the cache once per token. */
struct result {
    struct rate rate;
    double share;   /* 0: unknown */
    double reading; /* median bytes per second when nothing else is done; 0 for prompts */
};

static size_t n_sequences(const struct test *test)
{
    return size_max(test->batch, 1);
}

/* On a terminal: what takes so long. Drawn between the passes that are timed, not during them. */
static void show_progress(struct bench *b, size_t done, const struct test *test)
{
    char what[100];
    snprintf(what, sizeof what, "%s of %zu, batch %zu, depth %zu",
             test->batch ? "answer" : "prompt", test->n, n_sequences(test), test->depth);
    b->bar.total = b->repeats + 1;
    progress_update(&b->bar, done, what);
}

static double peak_operations(const struct bench *b, const struct pass_cost *cost)
{
    const struct arithmetic_limits *m = &b->limits;
    return !cost->integer ? m->f32 : m->int8_amx > 0 ? m->int8_amx : m->int8;
}

/* Per token of a prompt; one of them wants logits. */
static double share_of_arithmetic(const struct bench *b, const struct test *test, double rate)
{
    struct pass_cost cost = model_pass_cost(b->model);
    double peak = peak_operations(b, &cost);
    double of_one = cost.wanted_operations + cost.logits_operations;
    double operations = cost.row_operations - cost.wanted_operations + of_one / (double)test->n;
    return peak > 0 ? operations * rate / peak : 0;
}

static double share_of_reading(const struct bench *b, const struct test *test, double rate,
                               double reading)
{
    struct pass_cost cost = model_pass_cost(b->model);
    size_t position_bytes = kv_position_bytes(model_shape(b->model), kv_type(b->cache));
    double cached = (double)position_bytes * ((double)test->depth + (double)test->n / 2);
    return ((double)cost.weight_bytes / (double)test->batch + cached) * rate / reading;
}

/* Tokens per second of n steps of decoding, and bytes per second of reading between them. */
static enum status time_decoding(struct bench *b, size_t batch, size_t n, double *rate,
                                 double *reading, struct error *err)
{
    enum { STEPS = 8 };
    double decoding = 0, per_byte = 0, read;
    size_t n_read = 0;
    enum status status = STATUS_OK;
    for (size_t done = 0; done < n && !status; done += STEPS, n_read++) {
        double start = clock_seconds();
        status = decode(b, batch, size_min(n - done, STEPS), err);
        decoding += clock_seconds() - start;
        if (!status)
            status = model_reading_rate(b->model, &read, err);
        per_byte += status ? 0 : 1 / read;
    }
    *rate = (double)(n * batch) / decoding;
    *reading = (double)n_read / per_byte;
    return status;
}

/* One repetition, of at most `most` steps. */
static enum status time_test(struct bench *b, const struct test *test, size_t most, double *rate,
                             double *reading, struct error *err)
{
    enum status status = STATUS_OK;
    clear(b);
    for (size_t s = 0; !status && test->depth && s < n_sequences(test); s++)
        status = prefill(b, s, test->depth, err);
    if (status)
        return status;
    if (test->batch)
        return time_decoding(b, test->batch, size_min(test->n, most), rate, reading, err);
    double start = clock_seconds();
    status = prefill(b, 0, test->n, err);
    *rate = (double)test->n / (clock_seconds() - start);
    return status;
}

/* After one warm-up. Memory's speed changes from one moment to the next, so reading is measured
 * every few steps of decoding. */
static enum status measure(struct bench *b, const struct test *test, struct result *result,
                           struct error *err)
{
    double rates[MAX_BENCH_REPEATS], shares[MAX_BENCH_REPEATS], readings[MAX_BENCH_REPEATS];
    show_progress(b, 0, test);
    enum status status = time_test(b, test, 1, rates, readings, err);
    for (size_t r = 0; r < b->repeats && !status; r++) {
        show_progress(b, r + 1, test);
        status = time_test(b, test, SIZE_MAX, &rates[r], &readings[r], err);
        if (!status && test->batch)
            shares[r] = share_of_reading(b, test, rates[r], readings[r]);
    }
    if (status)
        return status;
    *result = (struct result){.rate = rate_summarise(rates, b->repeats)};
    if (test->batch) {
        result->share = rate_summarise(shares, b->repeats).median;
        result->reading = rate_summarise(readings, b->repeats).median;
    } else {
        result->share = share_of_arithmetic(b, test, result->rate.median);
    }
    return STATUS_OK;
}

static json_t *result_to_json(const struct test *test, const struct result *result)
{
    json_t *json = json_pack("{sI sI sI s{sf sf sf}}", "n", (json_int_t)test->n, "batch",
                             (json_int_t)n_sequences(test), "depth", (json_int_t)test->depth,
                             "tokens_per_second", "median", result->rate.median, "min",
                             result->rate.min, "max", result->rate.max);
    if (json && result->share > 0)
        json_object_set_new(json, "share_of_peak", json_real(result->share));
    if (json && result->reading > 0)
        json_object_set_new(json, "read_bytes_per_second", json_real(result->reading));
    return json;
}

/* Measures one line, prints it, and makes its JSON. */
static enum status line(struct bench *b, const struct test *test, json_t **json, struct error *err)
{
    struct result result;
    b->bar = (struct progress){.label = "measuring"};
    enum status status = measure(b, test, &result, err);
    progress_finish(&b->bar);
    if (status)
        return status;
    *json = result_to_json(test, &result);
    if (!b->quiet) {
        printf("%-8s %6zu %6zu %7zu %12.1f %10.1f %10.1f", test->batch ? "answer" : "prompt",
               test->n, n_sequences(test), test->depth, result.rate.median, result.rate.min,
               result.rate.max);
        if (result.share > 0 && test->batch)
            printf("  %5.1f%% of reading %.1f GB/s", 100 * result.share, result.reading / 1e9);
        else if (result.share > 0)
            printf("  %5.1f%% of arithmetic", 100 * result.share);
        putchar('\n');
    }
    fflush(stdout);
    return *json ? STATUS_OK : error_memory(err, "the results");
}

struct plan {
    size_t n_prompt, n_answer;
    struct size_list batches, depths, threads;
};

static enum status run_plan(struct bench *b, const struct plan *plan, json_t *result,
                            struct error *err)
{
    json_t *json, *sweep = json_array();
    enum status status = STATUS_OK;
    json_object_set_new(result, "sweep", sweep);
    for (size_t d = 0; d < plan->depths.count && !status; d++) {
        size_t depth = plan->depths.items[d];
        if (plan->n_prompt) {
            status = line(b, &(struct test){0, plan->n_prompt, depth}, &json, err);
            if (!status && d == 0)
                json_object_set(result, "pp", json);
            if (!status)
                json_array_append_new(sweep, json);
        }
        for (size_t i = 0; i < plan->batches.count && plan->n_answer && !status; i++) {
            status =
                line(b, &(struct test){plan->batches.items[i], plan->n_answer, depth}, &json, err);
            if (!status && d == 0 && i == 0)
                json_object_set(result, "tg", json);
            if (!status)
                json_array_append_new(sweep, json);
        }
    }
    return status;
}

static size_t largest(const struct size_list *list)
{
    size_t max = 0;
    for (size_t i = 0; i < list->count; i++)
        max = size_max(list->items[i], max);
    return max;
}

/* Numbers with commas between them; nothing else, and no more of them than the list holds. */
static bool parse_sizes(const char *text, size_t least, size_t most, struct size_list *list)
{
    list->count = 0;
    for (const char *p = text; list->count < MAX_BENCH_LIST; p++) {
        char *end;
        unsigned long value = strtoul(p, &end, 10);
        if (*p < '0' || *p > '9' || value < least || value > most)
            return false;
        list->items[list->count++] = value;
        p = end;
        if (*p != ',')
            return !*p;
    }
    return false;
}

/* What a model cannot hold in use is not measured: the figures would be of nothing. */
static enum status check_context(const struct model *model, const struct plan *plan,
                                 struct error *err)
{
    size_t depth = largest(&plan->depths), most = model_shape(model)->context_length;
    bool is_prompt = plan->n_prompt >= plan->n_answer;
    size_t n = is_prompt ? plan->n_prompt : plan->n_answer;
    if (n <= most && depth <= most - n)
        return STATUS_OK;
    return error_set(err, STATUS_INVALID,
                     "%s: %s of %zu tokens at depth %zu; the model has a context of %zu: give a "
                     "smaller --%s or --depth",
                     model_path(model), is_prompt ? "a prompt" : "an answer", n, depth, most,
                     is_prompt ? "prompt" : "answer");
}

static enum status set_up(struct bench *b, const char *path, const struct model_options *options,
                          const struct string_list *adapters, const struct plan *plan,
                          enum tensor_type kv_type, struct error *err)
{
    enum status status = adapters_open_model(path, options, adapters, &b->model, err);
    if (!status)
        status = check_context(b->model, plan, err);
    if (status)
        return status;
    const struct hyperparameters *shape = model_shape(b->model);
    size_t batch = largest(&plan->batches), depth = largest(&plan->depths);
    size_t prompt = plan->n_prompt + depth;
    size_t answers = batch * ((plan->n_answer + depth) / PAGE_POSITIONS + 1) * PAGE_POSITIONS;
    struct kv_options kv = {.type = kv_type,
                            .n_sequences = size_max(batch, 1),
                            .n_positions = size_max(prompt, answers)};
    status = kv_cache_create(shape, &kv, &b->cache, err);
    if (status)
        return status;
    b->rows = mem_array(model_max_rows(b->model), sizeof *b->rows);
    b->logits = mem_array(kv.n_sequences, shape->vocab_size * sizeof *b->logits);
    return b->rows && b->logits ? STATUS_OK : error_memory(err, "the benchmark");
}

static void add_limit(json_t *json, bool quiet, const char *key, const char *label, double rate)
{
    if (rate <= 0)
        return;
    json_object_set_new(json, key, json_real(rate));
    if (!quiet)
        printf("%s %s %.0f", json_object_size(json) > 1 ? "," : ":", label, rate / 1e9);
}

/* Of as many threads as the model has, with the same instructions. */
static void measure_limits(struct bench *b, json_t *result)
{
    b->limits = limits_of_arithmetic(model_pool(b->model), model_isa(b->model));
    const struct arithmetic_limits *m = &b->limits;
    json_t *json = json_object();
    json_object_set_new(result, "limits", json);
    if (!b->quiet)
        printf("this machine, in 10^9 operations per second");
    add_limit(json, b->quiet, "f32_per_second", "f32", m->f32);
    add_limit(json, b->quiet, "bf16_per_second", "bf16", m->bf16);
    add_limit(json, b->quiet, "int8_per_second", "int8", m->int8);
    add_limit(json, b->quiet, "bf16_amx_per_second", "bf16 in tiles", m->bf16_amx);
    add_limit(json, b->quiet, "int8_amx_per_second", "int8 in tiles", m->int8_amx);
    if (!b->quiet)
        putchar('\n');
}

static void describe(const struct bench *b, double load_seconds, json_t *result)
{
    json_object_update_new(
        result, json_pack("{ss ss ss sI sI sI sf}", "model", model_name(b->model), "type",
                          model_weight_type(b->model), "isa", model_isa(b->model), "threads",
                          (json_int_t)model_threads(b->model), "weight_bytes",
                          (json_int_t)model_weight_bytes(b->model), "kv_bytes",
                          (json_int_t)kv_cache_bytes(b->cache), "load_seconds", load_seconds));
    if (!b->quiet)
        printf("%s, %s, %.2f GB, %s, %zu threads, loaded in %.3f s\n\n%-8s %6s %6s %7s %12s %10s "
               "%10s\n",
               model_name(b->model), model_weight_type(b->model),
               (double)model_weight_bytes(b->model) / 1e9, model_isa(b->model),
               model_threads(b->model), load_seconds, "test", "tokens", "batch", "depth",
               "tokens/s", "min", "max");
    fflush(stdout); /* of use already where what follows takes long */
}

/* Everything with one number of threads; *result is a new object, NULL where it failed. */
static enum status run_threads(struct bench *b, const char *path,
                               const struct model_options *options,
                               const struct string_list *adapters, const struct plan *plan,
                               enum tensor_type kv_type, json_t **out, struct error *err)
{
    json_t *result = json_object();
    rng_seed(&b->rng, 1);
    mem_reset_peak();
    double start = clock_seconds();
    enum status status = set_up(b, path, options, adapters, plan, kv_type, err);
    double seconds = clock_seconds() - start;
    if (!status) {
        measure_limits(b, result);
        describe(b, seconds, result);
        status = run_plan(b, plan, result, err);
    }
    if (!status)
        json_object_set_new(result, "peak_rss_bytes",
                            json_integer((json_int_t)mem_peak_resident()));
    if (!status && !b->quiet)
        printf("\npeak memory %.2f GB\n", (double)mem_peak_resident() / 1e9);
    mem_free(b->rows);
    mem_free(b->logits);
    kv_cache_free(b->cache);
    model_close(b->model);
    if (status)
        json_decref(result);
    *out = status ? NULL : result;
    return status;
}

static int run(const char *path, const struct model_options *options,
               const struct string_list *adapters, const struct plan *plan,
               enum tensor_type kv_type, size_t repeats, bool json)
{
    struct error err = {0};
    json_t *results = json_array(), *result;
    enum status status = STATUS_OK;
    for (size_t i = 0; i < plan->threads.count && !status; i++) {
        struct bench b = {.repeats = repeats, .quiet = json};
        struct model_options with = *options;
        with.n_threads = plan->threads.items[i];
        if (i && !json)
            putchar('\n');
        status = run_threads(&b, path, &with, adapters, plan, kv_type, &result, &err);
        if (!status)
            json_array_append_new(results, result);
    }
    if (!status && json) {
        struct strbuf out = {0};
        json_write(&out, plan->threads.count > 1 ? results : json_array_get(results, 0), true);
        puts(strbuf_text(&out));
        strbuf_free(&out);
    }
    json_decref(results);
    return status ? report_error(&err) : finish_output();
}

/* What was asked for in the terms of the engine. */
static int run_text(struct text_bench *bench, const char *model,
                    const struct model_options *options, const struct plan *plan,
                    const char *kv_type)
{
    struct error err = {0};
    bench->model = model;
    bench->max_tokens = plan->n_answer;
    bench->batches = plan->batches;
    bench->engine.n_threads = plan->threads.items[0];
    bench->engine.max_rows = options->max_rows;
    bench->engine.quantize = options->quantize;
    bench->engine.kv_type = kv_type;
    bench->engine.max_sequences = largest(&plan->batches);
    if (engine_options_check(&bench->engine, &err))
        return report_error(&err);
    return bench_text(bench);
}

int command_bench(int argc, char **argv)
{
    struct plan plan = {.n_prompt = 512, .n_answer = 64};
    const char *batches = "1", *depths = "0", *threads = "0", *kv_name = NULL;
    struct model_options model_options = {0};
    struct string_list adapters = {0};
    struct text_bench answers = {.adapters = &adapters};
    size_t repeats = 5;
    bool json = false;
    const struct option options[] = {
        {"prompt", 'p', OPTION_SIZE, &plan.n_prompt, "N", "tokens of the prompt (512; 0: none)"},
        {"answer", 'n', OPTION_SIZE, &plan.n_answer, "N", "tokens generated (64; 0: none)"},
        {"batch", 'b', OPTION_STRING, &batches, "1,2,4", "sequences that decode at once (1)"},
        {"depth", 'd', OPTION_STRING, &depths, "0,4096", "tokens that are in the cache before (0)"},
        {"text", 0, OPTION_STRING, &answers.file, "FILE", "time answers to this prompt: see above"},
        SPECULATE_OPTION(answers.engine.speculate),
        DRAFT_OPTION(answers.engine.draft),
        ADAPTER_OPTION(adapters),
        QUANTIZE_OPTION(model_options.quantize),
        {"threads", 't', OPTION_STRING, &threads, "1,2",
         "threads, one number after the other (all CPUs)"},
        {"repeats", 'r', OPTION_SIZE, &repeats, "N", "repetitions, after one warm-up (5)"},
        {"rows", 0, OPTION_SIZE, &model_options.max_rows, "N", "most rows per pass (512)"},
        KV_TYPE_OPTION(kv_name, "f16"),
        {"json", 0, OPTION_FLAG, &json, NULL,
         "print JSON; an array where there are several numbers of threads"},
        {0}};
    const struct usage usage = {
        "bench",
        "MODEL",
        "Measures tokens per second: of a prompt, and of generation. Prints the median, the\n"
        "least and the most of the repetitions, and what part that is of this machine's limit:\n"
        "of arithmetic for prompts, of reading its weights for generation, measured beside it.\n"
        "Random tokens; sampling is not included. With --text instead: greedy answers of at most\n"
        "--answer tokens to the prompt in FILE, without and with guessing ahead, in turns.",
        options,
        1,
        1,
        "  tandem bench model.gguf -p 512 -n 64 -t 2\n"
        "  tandem bench model.gguf -p 0 -b 1,2,4,8,16\n"
        "  tandem bench model.gguf -d 0,4096,16384\n"
        "  tandem bench model.gguf --text summarise.txt -n 256 --draft small.gguf\n",
        .n_models = 1};
    struct args args;
    struct error err = {0};
    enum tensor_type kv_type;
    int status = args_parse(&usage, argc, argv, &args);
    if (status != ARGS_OK) {
        mem_free(adapters.items);
        return status;
    }
    answers.repeats = repeats;
    answers.json = json;
    if (!parse_sizes(batches, 1, MAX_SEQUENCES, &plan.batches))
        status =
            args_wrong(&usage, "--batch %s: expected up to %d numbers from 1 to %d, like 1,2,4",
                       batches, MAX_BENCH_LIST, MAX_SEQUENCES);
    else if (!parse_sizes(depths, 0, SIZE_MAX, &plan.depths))
        status = args_wrong(&usage, "--depth %s: expected up to %d numbers, like 0,4096", depths,
                            MAX_BENCH_LIST);
    else if (!parse_sizes(threads, 0, MAX_THREADS, &plan.threads))
        status = args_wrong(&usage, "--threads %s: expected up to %d numbers to %d, like 1,2",
                            threads, MAX_BENCH_LIST, MAX_THREADS);
    else if (!repeats || repeats > MAX_BENCH_REPEATS)
        status = args_wrong(&usage, "--repeats %zu: expected a whole number from 1 to %d", repeats,
                            MAX_BENCH_REPEATS);
    else if (!plan.n_prompt && !plan.n_answer)
        status = args_wrong(&usage, "--prompt 0 and --answer 0 leave nothing to measure");
    else if (kv_type_parse(kv_name, &kv_type, &err))
        status = args_wrong(&usage, "--kv-type: %s", err.message);
    else if (!answers.file && (answers.engine.draft || answers.engine.speculate))
        status = args_wrong(&usage, "--draft and --speculate need a text to answer: --text FILE");
    else if (answers.file && plan.threads.count > 1)
        status = args_wrong(&usage, "--threads %s: with --text one number at a time", threads);
    else if (answers.file)
        status = run_text(&answers, args.operands[0], &model_options, &plan, kv_name);
    else
        status = run(args.operands[0], &model_options, &adapters, &plan, kv_type, repeats, json);
    args_free(&args);
    mem_free(adapters.items);
    return status;
}
