/* tandem generate: continues a sequence of token ids, for holding the engine against oracles. */
#include "base/memory.h"
#include "cli/adapters.h"
#include "cli/answer.h"
#include "cli/commands.h"
#include "cli/engine_options.h"

#include <math.h>
#include <string.h>

struct generate_options {
    const char *ids;
    struct answer_settings settings;
    struct engine_options engine;
    struct string_list adapters;
    bool stop_at_eos;
    size_t n_logprobs;
};

static int print_answer(const struct answer *answer)
{
    struct strbuf out = {0};
    json_t *result = json_pack("{s:O}", "ids", answer->ids);
    if (answer->logprobs)
        json_object_set(result, "logprobs", answer->logprobs);
    json_write(&out, result, false);
    json_decref(result);
    puts(strbuf_text(&out));
    strbuf_free(&out);
    return finish_output();
}

static int generate(const char *path, const struct generate_options *options, const int32_t *ids,
                    size_t n)
{
    struct engine *engine;
    struct error err = {0};
    struct answer answer;
    if (answer_open_engine(path, &options->engine, &options->adapters, &engine, &err))
        return report_error(&err);
    struct answer_request request = {.prompt = ids,
                                     .n_prompt = n,
                                     .settings = &options->settings,
                                     .ignore_eos = !options->stop_at_eos,
                                     .n_logprobs = options->n_logprobs};
    int code =
        answer_stream(engine, &request, &answer, &err) ? report_error(&err) : print_answer(&answer);
    answer_free(&answer);
    engine_close(engine);
    return code;
}

/* Greedy unless something was asked for that only sampling has. */
static void default_to_greedy(struct answer_settings *s)
{
    if (isnan(s->temperature) && isnan(s->top_p) && isnan(s->min_p) && s->top_k == SIZE_MAX)
        s->greedy = true;
    if (isnan(s->repetition_penalty))
        s->repetition_penalty = 1;
}

int command_generate(int argc, char **argv)
{
    struct generate_options o = {.n_logprobs = SIZE_MAX,
                                 .engine = {.max_sequences = 1, .kv_type = "f32"}};
    answer_settings_init(&o.settings);
    const struct option options[] = {
        {"ids", 0, OPTION_STRING, &o.ids, "1,2,3", "the token ids to continue (required)"},
        SAMPLING_OPTIONS(o.settings),
        {"stop-at-eos", 0, OPTION_FLAG, &o.stop_at_eos, NULL, "end at the checkpoint's end tokens"},
        {"logprobs", 0, OPTION_SIZE, &o.n_logprobs, "N", "with each token's and N others' logprob"},
        ADAPTER_OPTION(o.adapters),
        QUANTIZE_OPTION(o.engine.quantize),
        {"threads", 't', OPTION_THREADS, &o.engine.n_threads, "N", "threads (all CPUs)"},
        {"context", 'c', OPTION_SIZE, &o.engine.context_length, "N", "most tokens (the model's)"},
        KV_TYPE_OPTION(o.engine.kv_type, "f32"),
        SPECULATE_OPTION(o.engine.speculate),
        DRAFT_OPTION(o.engine.draft),
        {0}};
    const struct usage usage = {
        "generate",
        "MODEL",
        "Continues a sequence of token ids and prints {\"ids\": [...]}. Greedy, unless a sampling\n"
        "option is given; end tokens do not end it, unless --stop-at-eos is. Needs no tokenizer,\n"
        "unless the answer is constrained.",
        options,
        1,
        1,
        "  tandem generate models/qwen --ids 1,2,3 --max-tokens 16\n",
        .n_models = 1};
    struct args args;
    struct error err = {0};
    int32_t *ids;
    size_t n;
    int status = args_parse(&usage, argc, argv, &args);
    if (status != ARGS_OK) {
        mem_free(o.adapters.items);
        return status;
    }
    default_to_greedy(&o.settings);
    if (!o.ids)
        status = args_wrong(&usage, "--ids is missing: --ids 1,2,3");
    else if (engine_options_check(&o.engine, &err))
        status = args_wrong(&usage, "%s", err.message);
    else if (answer_settings_check(&o.settings, &err))
        status = args_wrong(&usage, "%s", err.message);
    else if (!parse_ids(o.ids, &ids, &n, &err))
        status = args_wrong(&usage, "--ids: %s", err.message);
    else if ((status = answer_constrain(&usage, &o.settings)) != ARGS_OK)
        mem_free(ids);
    if (status == ARGS_OK) {
        status = generate(args.operands[0], &o, ids, n);
        mem_free(ids);
    }
    constraint_release(o.settings.constraint);
    args_free(&args);
    mem_free(o.adapters.items);
    return status;
}
