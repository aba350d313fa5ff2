/* tandem run: answers one prompt, or chats in the terminal. */
#include "base/memory.h"
#include "cli/adapters.h"
#include "cli/commands.h"
#include "cli/engine_options.h"
#include "cli/conversation.h"
#include "cli/models.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { MAX_PROMPT_BYTES = 64 << 20 };

struct run_options {
    const char *model, *prompt, *system;
    struct answer_settings settings;
    struct engine_options engine;
    struct string_list adapters;
    bool raw, stats, json, ignore_eos;
    size_t n_logprobs;
};

/* All of stdin, less one newline at its end. */
static enum status read_prompt(struct strbuf *prompt, struct error *err)
{
    char block[65536];
    size_t n;
    prompt->limit = MAX_PROMPT_BYTES;
    while ((n = fread(block, 1, sizeof block, stdin)) > 0 && !prompt->failed)
        strbuf_append(prompt, block, n);
    if (ferror(stdin))
        return error_errno(err, "reading the prompt from stdin");
    if (prompt->failed)
        return error_set(err, STATUS_LIMIT, "the prompt on stdin is longer than %d MiB",
                         MAX_PROMPT_BYTES >> 20);
    if (prompt->length > 0 && prompt->data[prompt->length - 1] == '\n')
        strbuf_truncate(prompt, prompt->length - 1);
    if (strlen(strbuf_text(prompt)) != prompt->length)
        return error_set(err, STATUS_INVALID, "the prompt on stdin holds a NUL byte: is it text?");
    return STATUS_OK;
}

/* Whether the model can do what was asked for. */
static enum status check_model(const struct engine *engine, const struct run_options *o,
                               struct error *err)
{
    if (!engine_tokenizer(engine))
        return error_set(err, STATUS_UNSUPPORTED,
                         "%s has no tokenizer, so it cannot read text; `tandem generate %s --ids "
                         "1,2,3` continues token ids",
                         o->model, o->model);
    if (!engine_chat(engine) && !o->raw)
        return error_set(err, STATUS_UNSUPPORTED,
                         "%s has no chat template; --raw gives it the prompt as it is", o->model);
    return STATUS_OK;
}

static enum status encode_prompt(struct conversation *c, const struct run_options *o,
                                 const char *prompt, struct token_list *ids, struct error *err)
{
    if (o->raw)
        return tokenizer_encode(engine_tokenizer(c->engine), prompt, strlen(prompt),
                                TOKENIZER_ADD_SPECIAL, ids, err);
    enum status status = conversation_add(c, "user", prompt, err);
    return status ? status : conversation_encode(c, ids, err);
}

static int print_json(const struct engine *engine, const struct answer *answer)
{
    struct engine_info info = engine_info(engine);
    struct strbuf out = {0};
    json_t *timings = answer_timings(&answer->stats);
    json_object_set_new(timings, "load_seconds", json_real(info.load_seconds));
    json_t *result = json_pack("{s:s, s:s%, s:s, s:O, s:o, s:o}", "model", info.name, "text",
                               strbuf_text(&answer->text), answer->text.length, "finish",
                               finish_reason_name(answer->stats.finish), "ids", answer->ids,
                               "usage", answer_usage(&answer->stats), "timings", timings);
    if (result && answer->logprobs)
        json_object_set(result, "logprobs", answer->logprobs);
    json_write(&out, result, true);
    json_decref(result);
    puts(strbuf_text(&out));
    strbuf_free(&out);
    return finish_output();
}

static int print_end(const struct run_options *o, const struct answer *answer)
{
    const struct strbuf *text = &answer->text;
    if (text->length == 0 || text->data[text->length - 1] != '\n')
        putchar('\n');
    int code = finish_output();
    if (o->stats)
        answer_print_stats(stderr, &answer->stats);
    return code;
}

static int answer_once(struct conversation *c, const struct run_options *o, const char *prompt)
{
    struct token_list ids = {0};
    struct answer answer = {0};
    struct error err = {0};
    enum status status = encode_prompt(c, o, prompt, &ids, &err);
    if (!status) {
        struct answer_request request = {.prompt = ids.ids,
                                         .n_prompt = ids.count,
                                         .settings = &o->settings,
                                         .ignore_eos = o->ignore_eos,
                                         .n_logprobs = o->n_logprobs,
                                         .out = o->json ? NULL : stdout,
                                         .is_terminal = isatty(STDOUT_FILENO)};
        status = answer_stream(c->engine, &request, &answer, &err);
    }
    int code;
    if (status)
        code = report_error(&err);
    else
        code = o->json ? print_json(c->engine, &answer) : print_end(o, &answer);
    if (!status && answer.stats.finish == FINISH_CANCELLED)
        code = EXIT_FAILED;
    answer_free(&answer);
    token_list_free(&ids);
    return code;
}

static int run_model(struct run_options *o, const char *prompt)
{
    struct engine *engine;
    struct conversation c;
    struct error err = {0};
    if (answer_open_engine(o->model, &o->engine, &o->adapters, &engine, &err))
        return report_error(&err);
    enum status status = check_model(engine, o, &err);
    if (!conversation_init(&c, engine, &o->settings))
        status = error_memory(&err, "a conversation");
    if (!status && o->system)
        status = conversation_set_system(&c, o->system, &err);
    int code;
    if (status)
        code = report_error(&err);
    else
        code = prompt ? answer_once(&c, o, prompt) : chat(&c, o->stats);
    conversation_free(&c);
    engine_close(engine);
    return code;
}

static int check_options(const struct usage *usage, struct run_options *o, bool chats)
{
    struct error err = {0};
    if (engine_options_check(&o->engine, &err))
        return args_wrong(usage, "%s", err.message);
    if (o->n_logprobs != SIZE_MAX && !o->json)
        return args_wrong(usage, "--logprobs needs --json");
    if (o->n_logprobs != SIZE_MAX && o->n_logprobs > MAX_TOP_LOGPROBS)
        return args_wrong(usage, "--logprobs %zu: at most %d", o->n_logprobs, MAX_TOP_LOGPROBS);
    if (answer_settings_check(&o->settings, &err))
        return args_wrong(usage, "%s", err.message);
    if (o->raw && o->system)
        return args_wrong(usage, "--system has no meaning with --raw");
    if (chats && (o->raw || o->json))
        return args_wrong(usage, "%s needs a PROMPT, as an argument or on stdin",
                          o->raw ? "--raw" : "--json");
    return answer_constrain(usage, &o->settings);
}

static int run(const struct usage *usage, struct run_options *o, const struct args *args)
{
    const char *prompt = args->n_operands > 1 ? args->operands[1] : o->prompt;
    bool from_stdin = prompt ? !strcmp(prompt, "-") : !isatty(STDIN_FILENO);
    struct strbuf text = {0};
    struct error err = {0};
    int code = args->n_operands > 1 && o->prompt
                   ? args_wrong(usage, "--prompt and PROMPT exclude each other")
                   : check_options(usage, o, !prompt && !from_stdin);
    if (code == ARGS_OK && from_stdin) {
        if (read_prompt(&text, &err))
            code = report_error(&err);
        prompt = strbuf_text(&text);
    }
    if (code == ARGS_OK && prompt && !*prompt)
        code = args_wrong(usage, "the prompt is empty");
    o->model = args->operands[0];
    if (code == ARGS_OK)
        code = run_model(o, prompt);
    strbuf_free(&text);
    return code;
}

int command_run(int argc, char **argv)
{
    struct run_options o = {.n_logprobs = SIZE_MAX, .engine = {.max_sequences = 1}};
    answer_settings_init(&o.settings);
    const struct option options[] = {
        {"prompt", 'p', OPTION_STRING, &o.prompt, "TEXT", "the prompt, also without a MODEL"},
        {"system", 's', OPTION_STRING, &o.system, "TEXT", "the system message"},
        SAMPLING_OPTIONS(o.settings),
        {"stop", 0, OPTION_LIST, &o.settings.stops, "TEXT", "end before TEXT; may be repeated"},
        {"ignore-eos", 0, OPTION_FLAG, &o.ignore_eos, NULL, "end tokens do not end the answer"},
        {"raw", 0, OPTION_FLAG, &o.raw, NULL, "continue the prompt; no chat template"},
        ADAPTER_OPTION(o.adapters),
        QUANTIZE_OPTION(o.engine.quantize),
        {"threads", 't', OPTION_THREADS, &o.engine.n_threads, "N", "threads (all CPUs)"},
        {"context", 'c', OPTION_SIZE, &o.engine.context_length, "N", "most tokens (the model's)"},
        KV_TYPE_OPTION(o.engine.kv_type, "f16"),
        SPECULATE_OPTION(o.engine.speculate),
        DRAFT_OPTION(o.engine.draft),
        {"stats", 0, OPTION_FLAG, &o.stats, NULL, "tokens and speed on stderr"},
        {"json", 0, OPTION_FLAG, &o.json, NULL, "one JSON result with usage and timings"},
        {"logprobs", 0, OPTION_SIZE, &o.n_logprobs, "N", "in the JSON, with N alternatives each"},
        {0}};
    const struct usage usage = {
        "run",
        "[MODEL [PROMPT]]",
        "Answers a prompt: the argument, or stdin where that is not a terminal (or PROMPT is "
        "\"-\";\n"
        "one newline at its end is dropped). Without either, chats in the terminal: /help there.\n"
        "Without MODEL, " DEFAULT_MODEL " answers, a tiny model that comes with Tandem.",
        options,
        0,
        2,
        "  tandem run models/qwen \"What is a monad?\"\n"
        "  git diff | tandem run models/qwen --system \"Review this diff.\"\n"
        "  tandem run models/qwen\n"
        "  tandem run models/qwen --quantize nf4\n"
        "  tandem run models/qwen --regex \"(yes|no)\" \"Is Rust memory-safe?\"\n"
        "  tandem run -p \"List 3 fruits, one per line.\"\n",
        .n_models = 1,
        .default_model = DEFAULT_MODEL};
    struct args args;
    int status = args_parse(&usage, argc, argv, &args);
    if (status == ARGS_OK) {
        status = run(&usage, &o, &args);
        args_free(&args);
    }
    constraint_release(o.settings.constraint);
    mem_free(o.settings.stops.items);
    mem_free(o.adapters.items);
    return status;
}
