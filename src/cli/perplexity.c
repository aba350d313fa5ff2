/* tandem perplexity: how well a model predicts a text, and how far it is from a base model. */
#include "base/json.h"
#include "base/memory.h"
#include "base/progress.h"
#include "cli/adapters.h"
#include "cli/commands.h"
#include "cli/engine_options.h"
#include "cli/text_ids.h"
#include "quantize/quality.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static atomic_bool stop;

static void on_interrupt(int signal)
{
    (void)signal;
    atomic_store(&stop, true);
}

static void show_progress(void *context, size_t done, size_t all)
{
    struct progress *bar = context;
    bar->total = all;
    progress_update(bar, done, "windows");
}

struct settings {
    const char *model, *base, *text;
    const char *kv_name;
    enum tensor_type kv_type; /* of the model's cache, not of the base's */
    size_t window;
    struct model_options options;
    struct string_list adapters; /* these and options.quantize: of the model, not of the base */
    bool json;
};

static void print_text(const struct settings *s, const struct quality *q)
{
    printf("perplexity           %.4f +- %.4f   (%zu tokens predicted, windows of %zu)\n",
           q->perplexity, q->perplexity_error, q->n_predicted, s->window);
    if (!s->base)
        return;
    printf("of the base          %.4f\n", q->base_perplexity);
    printf("difference           %+.4f +- %.4f   (x %.4f +- %.4f)\n", q->delta, q->delta_error,
           q->ratio, q->ratio_error);
    printf("KL divergence        %.6f +- %.6f   (largest %.4f)\n", q->divergence,
           q->divergence_error, q->max_divergence);
    printf("same first choice    %.2f %%\n", 100 * q->same_top);
}

static void print_json(const struct settings *s, const struct quality *q)
{
    struct strbuf out = {0};
    json_t *result =
        json_pack("{ss sI sI sf sf sf}", "model", s->model, "tokens", (json_int_t)q->n_predicted,
                  "window", (json_int_t)s->window, "nll", q->nll, "perplexity", q->perplexity,
                  "perplexity_error", q->perplexity_error);
    json_t *adapters = s->adapters.count ? json_array() : NULL;
    for (size_t i = 0; i < s->adapters.count; i++)
        json_array_append_new(adapters, json_string(s->adapters.items[i]));
    if (adapters)
        json_object_set_new(result, "adapters", adapters);
    if (s->options.quantize)
        json_object_set_new(result, "quantize", json_string(s->options.quantize->name));
    if (s->base)
        json_object_update_new(
            result, json_pack("{ss sf sf sf sf sf sf sf sf sf}", "base", s->base, "base_perplexity",
                              q->base_perplexity, "perplexity_delta", q->delta,
                              "perplexity_delta_error", q->delta_error, "perplexity_ratio",
                              q->ratio, "perplexity_ratio_error", q->ratio_error, "kl_divergence",
                              q->divergence, "kl_divergence_error", q->divergence_error,
                              "kl_divergence_max", q->max_divergence, "same_top", q->same_top));
    json_write(&out, result, true);
    puts(strbuf_text(&out));
    strbuf_free(&out);
    json_decref(result);
}

/* The text as both read it: distributions over different tokens cannot be compared. */
static enum status read_text(const struct settings *s, const struct model *model,
                             const struct model *base, struct token_list *ids, int32_t *first,
                             struct error *err)
{
    struct token_list again = {0};
    enum status status = text_ids_read(model_vocab(base ? base : model), s->text, ids, first, err);
    if (status || !base || !tokenizer_is_there(model_vocab(model)))
        return status;
    status = text_ids_read(model_vocab(model), s->text, &again, NULL, err);
    size_t n = size_min(ids->count, again.count), i = 0;
    while (i < n && ids->ids[i] == again.ids[i])
        i++;
    if (!status && (i < n || ids->count != again.count))
        status = error_set(err, STATUS_INVALID,
                           "%s and %s have different tokenizers: they read %s differently from "
                           "token %zu on, so that their distributions cannot be compared",
                           model_path(model), model_path(base), s->text, i + 1);
    token_list_free(&again);
    return status;
}

/* The first token in front of the text's. */
static enum status begin_text(struct token_list *ids, int32_t first, struct error *err)
{
    if (first == VOCAB_NO_ID)
        return STATUS_OK;
    if (!token_list_add(ids, first))
        return error_memory(err, "a text");
    memmove(ids->ids + 1, ids->ids, (ids->count - 1) * sizeof *ids->ids);
    ids->ids[0] = first;
    return STATUS_OK;
}

static int run(const struct settings *s)
{
    struct error err = {0};
    struct model *model = NULL, *base = NULL;
    struct token_list ids = {0};
    struct progress bar = {.label = "perplexity"};
    struct quality quality;
    struct quality_options options = {.name = s->text,
                                      .window = s->window,
                                      .kv_type = s->kv_type,
                                      .progress = show_progress,
                                      .context = &bar,
                                      .cancel = &stop};
    enum status status = adapters_open_model(s->model, &s->options, &s->adapters, &model, &err);
    struct model_options base_options = s->options; /* as it is stored */
    base_options.quantize = NULL;
    if (!status && s->base)
        status = model_open(s->base, &base_options, &base, &err);
    if (!status)
        status = read_text(s, model, base, &ids, &options.first, &err);
    if (!status)
        status = begin_text(&ids, options.first, &err);
    signal(SIGINT, on_interrupt);
    if (!status)
        status = quality_measure(model, base, ids.ids, ids.count, &options, &quality, &err);
    progress_finish(&bar);
    if (!status && s->json)
        print_json(s, &quality);
    else if (!status)
        print_text(s, &quality);
    token_list_free(&ids);
    model_close(model);
    model_close(base);
    return status ? report_error(&err) : finish_output();
}

int command_perplexity(int argc, char **argv)
{
    struct settings s = {.window = 512};
    const struct option options[] = {
        {"text", 0, OPTION_STRING, &s.text, "FILE",
         "the text (required); FILE.jsonl: lines with \"messages\" or \"text\""},
        {"against", 0, OPTION_MODEL, &s.base, "BASE", "a base model of the same vocabulary"},
        KV_TYPE_OPTION(s.kv_name, "f16; the base's always is"),
        {"window", 'c', OPTION_SIZE, &s.window, "N", "tokens per window (512)"},
        ADAPTER_OPTION(s.adapters),
        QUANTIZE_OPTION(s.options.quantize),
        {"threads", 't', OPTION_THREADS, &s.options.n_threads, "N", "threads (all CPUs)"},
        {"json", 0, OPTION_FLAG, &s.json, NULL, "print JSON"},
        {0}};
    const struct usage usage = {
        .command = "perplexity",
        .operands = "MODEL",
        .summary = "Measures how well a model predicts a text, with the standard error; and with\n"
                   "--against how far it is from a base model: KL divergence, same first choice.\n"
                   "Of each window the second half is predicted, as llama-perplexity does it.",
        .options = options,
        .min_operands = 1,
        .max_operands = 1,
        .n_models = 1,
        .examples = "  tandem perplexity q4.gguf --text book.txt --against Qwen2.5-1.5B-Instruct\n"
                    "  tandem perplexity Qwen2.5-1.5B --quantize nf4 --text book.txt "
                    "--against Qwen2.5-1.5B\n"};
    struct args args;
    int status = args_parse(&usage, argc, argv, &args);
    if (status != ARGS_OK) {
        mem_free(s.adapters.items);
        return status;
    }
    struct error err = {0};
    s.model = args.operands[0];
    if (!s.text)
        status = args_wrong(&usage, "--text is missing: --text FILE");
    else if (s.window < 4 || s.window % 2)
        status = args_wrong(&usage, "--window %zu: expected an even number, 4 or more", s.window);
    else if (kv_type_parse(s.kv_name, &s.kv_type, &err))
        status = args_wrong(&usage, "--kv-type: %s", err.message);
    else
        status = run(&s);
    args_free(&args);
    mem_free(s.adapters.items);
    return status;
}
