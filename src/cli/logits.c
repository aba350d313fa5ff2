/* tandem logits: a sequence's negative log-likelihoods and its first and last logits. */
#include "base/json.h"
#include "base/memory.h"
#include "cli/adapters.h"
#include "cli/commands.h"
#include "cli/engine_options.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ROWS_PER_PASS = 64 };

struct scoring {
    struct model *model;
    struct kv_cache *cache;
    const int32_t *ids;
    size_t n, vocab_size;
    float *logits; /* [ROWS_PER_PASS, vocab_size] */
    json_t *nll, *first, *last;
};

/* -log softmax(logits)[target], in double. */
static double negative_log_likelihood(const float *logits, size_t n, int32_t target)
{
    double max = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++)
        max = fmax(max, (double)logits[i]);
    for (size_t i = 0; i < n; i++)
        sum += exp((double)logits[i] - max);
    return max + log(sum) - (double)logits[target];
}

static json_t *to_array(const float *values, size_t n)
{
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(array, json_real((double)values[i]));
    return array;
}

static enum status score_chunk(struct scoring *s, size_t begin, size_t count, struct error *err)
{
    struct row rows[ROWS_PER_PASS];
    for (size_t i = 0; i < count; i++)
        rows[i] = (struct row){
            .token = s->ids[begin + i], .position = (int32_t)(begin + i), .wants_logits = true};
    enum status status = model_forward(s->model, s->cache, rows, count, s->logits, err);
    if (status)
        return status;
    for (size_t i = 0; i < count; i++) {
        const float *logits = s->logits + i * s->vocab_size;
        size_t at = begin + i;
        if (at == 0)
            s->first = to_array(logits, s->vocab_size);
        if (at + 1 == s->n)
            s->last = to_array(logits, s->vocab_size);
        else
            json_array_append_new(
                s->nll, json_real(negative_log_likelihood(logits, s->vocab_size, s->ids[at + 1])));
    }
    return STATUS_OK;
}

static enum status score(struct scoring *s, enum tensor_type kv_type, struct error *err)
{
    struct kv_options kv = {.type = kv_type, .n_positions = s->n, .n_sequences = 1};
    enum status status = kv_cache_create(model_shape(s->model), &kv, &s->cache, err);
    if (status)
        return status;
    s->logits = mem_array(s->vocab_size, ROWS_PER_PASS * sizeof *s->logits);
    s->nll = json_array();
    if (!s->logits || !s->nll || !kv_reserve(s->cache, 0, s->n))
        return error_memory(err, "logits");
    kv_set_rope_is_long(s->cache, 0, model_rope_is_long(s->model, s->n));
    for (size_t begin = 0; begin < s->n && !status; begin += ROWS_PER_PASS)
        status = score_chunk(s, begin, size_min(s->n - begin, ROWS_PER_PASS), err);
    return status;
}

static int print_scores(const struct scoring *s)
{
    struct strbuf out = {0};
    json_t *result =
        json_pack("{sO sO sO}", "nll", s->nll, "logits_first", s->first, "logits_last", s->last);
    if (result)
        json_write(&out, result, false);
    json_decref(result);
    if (!result || out.failed) {
        strbuf_free(&out);
        fputs("tandem: out of memory for the result\n", stderr);
        return EXIT_FAILED;
    }
    puts(strbuf_text(&out));
    strbuf_free(&out);
    return finish_output();
}

static int run(const char *path, const struct string_list *adapters, int32_t *ids, size_t n,
               const struct model_options *options, enum tensor_type kv_type)
{
    struct error err = {0};
    struct scoring s = {.ids = ids, .n = n};
    enum status status = adapters_open_model(path, options, adapters, &s.model, &err);
    if (!status) {
        s.vocab_size = model_shape(s.model)->vocab_size;
        status = score(&s, kv_type, &err);
    }
    int code = status ? report_error(&err) : print_scores(&s);
    json_decref(s.nll);
    json_decref(s.first);
    json_decref(s.last);
    mem_free(s.logits);
    kv_cache_free(s.cache);
    model_close(s.model);
    return code;
}

int command_logits(int argc, char **argv)
{
    const char *ids_text = NULL, *kv_name = "f32";
    struct model_options model_options = {0};
    struct string_list adapters = {0};
    const struct option options[] = {
        {"ids", 0, OPTION_STRING, &ids_text, "1,2,3", "the token ids (required)"},
        ADAPTER_OPTION(adapters),
        QUANTIZE_OPTION(model_options.quantize),
        {"threads", 't', OPTION_THREADS, &model_options.n_threads, "N", "threads (all CPUs)"},
        KV_TYPE_OPTION(kv_name, "f32"),
        {0}};
    const struct usage usage = {
        "logits",
        "MODEL",
        "Prints {\"nll\", \"logits_first\", \"logits_last\"} for a sequence of token ids: the\n"
        "negative log-likelihood of each token after the first, and all logits at the first and\n"
        "at the last position. No special tokens are added.",
        options,
        1,
        1,
        "  tandem logits models/qwen --ids 1,2,3\n",
        .n_models = 1};
    struct args args;
    struct error err = {0};
    enum tensor_type kv_type;
    int32_t *ids;
    size_t n;
    int status = args_parse(&usage, argc, argv, &args);
    if (status != ARGS_OK) {
        mem_free(adapters.items);
        return status;
    }
    if (!ids_text)
        status = args_wrong(&usage, "--ids is missing: --ids 1,2,3");
    else if (kv_type_parse(kv_name, &kv_type, &err))
        status = args_wrong(&usage, "--kv-type: %s", err.message);
    else if (!parse_ids(ids_text, &ids, &n, &err))
        status = args_wrong(&usage, "%s", err.message);
    else if (!n)
        status = args_wrong(&usage, "--ids is empty: at least one token is needed");
    else {
        status = run(args.operands[0], &adapters, ids, n, &model_options, kv_type);
        mem_free(ids);
    }
    args_free(&args);
    mem_free(adapters.items);
    return status;
}
