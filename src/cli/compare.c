/* tandem compare: two models, one suite, a report. */
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "cli/adapters.h"
#include "cli/commands.h"
#include "cli/engine_options.h"
#include "engine/engine.h"
#include "eval/compare.h"
#include "eval/report.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Room for a prompt and its answer, and not for a model's whole context: memory is measured. */
enum { DEFAULT_CONTEXT = 4096 };

static volatile sig_atomic_t stop_requested;

static void request_stop(int number)
{
    (void)number;
    stop_requested = 1;
}

/* The first Ctrl-C stops with a report; the second ends at once. */
static void install_stop(void)
{
    struct sigaction action = {.sa_handler = request_stop, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/* The last part of a path, without slashes at its end: "qwen" of "models/qwen/". */
static void add_short_name(struct strbuf *out, const char *path)
{
    size_t end = strlen(path), begin;
    while (end && path[end - 1] == '/')
        end--;
    for (begin = end; begin && path[begin - 1] != '/'; begin--)
        ;
    strbuf_append(out, path + begin, end - begin);
}

/* "tandem-report-A-B-20261123-174000"; mem_free. */
static char *default_folder(const char *const *models)
{
    struct strbuf name = {0};
    char now[32];
    clock_utc(now, sizeof now);
    strbuf_add(&name, "tandem-report-");
    for (size_t side = 0; side < N_SIDES; side++) {
        add_short_name(&name, models[side]);
        strbuf_add_char(&name, '-');
    }
    for (const char *p = now; *p; p++)
        if (*p >= '0' && *p <= '9')
            strbuf_add_char(&name, *p);
        else if (*p == 'T')
            strbuf_add_char(&name, '-');
    return strbuf_take(&name);
}

static enum status prepare_folder(const char *folder, bool overwrite, struct error *err)
{
    char *answers = file_join(folder, "answers.jsonl");
    if (!answers)
        return error_memory(err, "a path");
    bool used = file_exists(answers);
    mem_free(answers);
    if (used && !overwrite)
        return error_set(err, STATUS_INVALID,
                         "%s holds a comparison already; choose another --out, or replace it with "
                         "--overwrite",
                         folder);
    return file_make_directory(folder, err);
}

/* What --adapter, --adapter-a and --adapter-b name. */
struct adapter_words {
    struct string_list both, own[N_SIDES];
};

static void clear_words(struct adapter_words *words)
{
    mem_free(words->both.items);
    for (size_t side = 0; side < N_SIDES; side++)
        mem_free(words->own[side].items);
}

static enum status take_adapters(const struct adapter_words *words, struct adapter_list *lists,
                                 struct compare_options *options, struct error *err)
{
    for (size_t side = 0; side < N_SIDES; side++) {
        const struct string_list *own = &words->own[side];
        if (adapters_add(&lists[side], words->both.items, words->both.count, err) ||
            adapters_add(&lists[side], own->items, own->count, err))
            return err->status;
        options->adapters[side] = lists[side].items;
        options->n_adapters[side] = lists[side].count;
    }
    return STATUS_OK;
}

static void print_report(const struct comparison *c, const struct findings *f, bool json,
                         const char *folder)
{
    struct strbuf text = {0};
    if (json) {
        json_t *document = report_json(c, f);
        json_write(&text, document, true);
        strbuf_add_char(&text, '\n');
        json_decref(document);
    } else {
        report_terminal(c, f, isatty(STDOUT_FILENO), &text);
        strbuf_printf(&text, "\nThe whole report: %s/report.html (also .md, .json)\n", folder);
    }
    fwrite(strbuf_text(&text), 1, text.length, stdout);
    strbuf_free(&text);
}

/* What was done is reported, whatever became of a model or of the disk; the status tells. */
static int run(const struct compare_options *options, struct comparison *c, bool json)
{
    struct error err = {0};
    struct findings findings;
    if (compare_run(options, c, &err) || findings_compute(c, &findings, &err))
        return report_error(&err);
    enum status written = report_write(c, &findings, options->folder, &err);
    print_report(c, &findings, json, options->folder);
    int exit_status = finish_output();
    if (written)
        exit_status = report_error(&err);
    bool complete = !c->interrupted && !c->log_failure[0] && !c->candidates[SIDE_A].failure[0] &&
                    !c->candidates[SIDE_B].failure[0];
    return complete ? exit_status : EXIT_FAILED;
}

int command_compare(int argc, char **argv)
{
    struct comparison c = {.context_length = DEFAULT_CONTEXT, .kv_type = "f16", .seed = 1};
    struct compare_options what = {.suite = "core", .stop = &stop_requested};
    bool json = false, overwrite = false;
    const char *out = NULL;
    const struct recipe *quantize = NULL; /* both */
    const char *draft = NULL;             /* both */
    struct adapter_words words = {0};
    struct adapter_list adapters[N_SIDES] = {0};
    const struct option options[] = {
        {"suite", 's', OPTION_STRING, &what.suite, "NAME", "core (default), starter, or a file"},
        {"out", 'o', OPTION_STRING, &out, "DIR", "the report's folder (tandem-report-A-B-DATE)"},
        {"overwrite", 0, OPTION_FLAG, &overwrite, NULL, "replace the comparison in that folder"},
        {"limit", 'l', OPTION_SIZE, &c.limit, "N",
         "only N items, spread over dimensions and languages"},
        {"max-tokens", 'n', OPTION_SIZE, &c.max_tokens, "N",
         "tokens per answer (as the suite says)"},
        ADAPTER_OPTION(words.both),
        {"adapter-a", 0, OPTION_LIST, &words.own[SIDE_A], "DIR[=SCALE]", "to MODEL_A only"},
        {"adapter-b", 0, OPTION_LIST, &words.own[SIDE_B], "DIR[=SCALE]", "to MODEL_B only"},
        QUANTIZE_OPTION(quantize),
        {"quantize-a", 0, OPTION_RECIPE, &what.quantize[SIDE_A], "TYPE", "MODEL_A only"},
        {"quantize-b", 0, OPTION_RECIPE, &what.quantize[SIDE_B], "TYPE", "MODEL_B only"},
        SPECULATE_OPTION(what.speculate),
        DRAFT_OPTION(draft),
        {"draft-a", 0, OPTION_MODEL, &what.draft[SIDE_A], "MODEL", "MODEL_A only"},
        {"draft-b", 0, OPTION_MODEL, &what.draft[SIDE_B], "MODEL", "MODEL_B only"},
        {"threads", 't', OPTION_THREADS, &c.n_threads, "N", "threads (all CPUs)"},
        {"context", 'c', OPTION_SIZE, &c.context_length, "N",
         "most tokens of prompt and answer (4096)"},
        KV_TYPE_OPTION(c.kv_type, "f16"),
        {"sample", 0, OPTION_FLAG, &c.sample, NULL,
         "sample as each model's defaults say (default: greedy)"},
        {"seed", 0, OPTION_U64, &c.seed, "N", "of sampling and of bootstrap intervals (1)"},
        {"json", 0, OPTION_FLAG, &json, NULL, "print report.json instead of tables"},
        {0}};
    const struct usage usage = {
        .command = "compare",
        .operands = "MODEL_A MODEL_B",
        .summary = "Ask two models the same questions, judge and time their answers, and write a\n"
                   "report. Ctrl-C stops and reports what was done so far.",
        .options = options,
        .min_operands = 2,
        .max_operands = 2,
        .examples = "  tandem compare Qwen2.5-1.5B-Instruct/ phi-3-mini-q4.gguf\n"
                    "  tandem compare a.gguf b.gguf --limit 8 --out quick\n"
                    "  tandem compare base base --adapter-b my-adapter\n"
                    "  tandem compare base base --quantize-b nf4\n",
        .n_models = 2};
    struct args args;
    struct error err = {0};
    int status = args_parse(&usage, argc, argv, &args);
    if (status != ARGS_OK) {
        clear_words(&words);
        return status;
    }
    for (size_t side = 0; side < N_SIDES; side++) {
        what.quantize[side] = what.quantize[side] ? what.quantize[side] : quantize;
        what.draft[side] = what.draft[side] ? what.draft[side] : draft;
    }
    struct engine_options names = {.kv_type = c.kv_type, .speculate = what.speculate};
    if (engine_options_check(&names, &err)) {
        clear_words(&words);
        args_free(&args);
        return args_wrong(&usage, "%s", err.message);
    }
    what.models[SIDE_A] = args.operands[0];
    what.models[SIDE_B] = args.operands[1];
    char *folder = out ? mem_copy_string(out) : default_folder(what.models);
    what.folder = folder;
    if (!folder)
        error_memory(&err, "a path");
    if (err.status || take_adapters(&words, adapters, &what, &err) ||
        prepare_folder(folder, overwrite, &err)) {
        status = report_error(&err);
    } else {
        install_stop();
        status = run(&what, &c, json);
    }
    comparison_free(&c);
    mem_free(folder);
    for (size_t side = 0; side < N_SIDES; side++)
        adapters_clear(&adapters[side]);
    clear_words(&words);
    args_free(&args);
    return status;
}
