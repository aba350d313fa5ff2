#include "eval/compare.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/progress.h"
#include "base/sha256.h"
#include "eval/sandbox.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct run {
    const struct compare_options *options;
    struct comparison *c;
    FILE *log; /* answers.jsonl */
    struct progress bar;
    size_t n_done;
};

void comparison_free(struct comparison *c)
{
    for (size_t side = 0; side < N_SIDES; side++) {
        struct candidate *candidate = &c->candidates[side];
        for (size_t i = 0; candidate->outcomes && i < c->n_items; i++) {
            reply_clear(&candidate->outcomes[i].reply);
            verdict_clear(&candidate->outcomes[i].verdict);
        }
        mem_free(candidate->outcomes);
        respondent_info_clear(&candidate->info);
    }
    mem_free(c->items);
    if (c->suite)
        suite_free(c->suite);
    *c = (struct comparison){0};
}

const char *candidate_name(const struct candidate *candidate)
{
    return candidate->loaded ? candidate->info.name : candidate->path;
}

bool comparison_is_partial(const struct comparison *c)
{
    return c->candidates[SIDE_A].n_asked < c->n_items || c->candidates[SIDE_B].n_asked < c->n_items;
}

static bool is_stopped(const struct run *run)
{
    return run->options->stop && *run->options->stop;
}

/* --- which items --- */

/* Marks the dimension's next item, one in that language if there still is one; false: none left. */
static bool mark_next(const struct suite *suite, int dimension, int language, bool *marked)
{
    size_t next = suite->count;
    for (size_t i = suite->count; i-- > 0;) {
        const struct suite_item *item = &suite->items[i];
        if (marked[i] || (int)item->dimension != dimension)
            continue;
        if (next == suite->count || (int)item->language == language ||
            (int)suite->items[next].language != language)
            next = i;
    }
    if (next == suite->count)
        return false;
    marked[next] = true;
    return true;
}

/* Marks `limit` items: one of every dimension, then another, the languages in turn. */
static void mark_items(const struct suite *suite, size_t limit, bool *marked)
{
    for (size_t done = 0, round = 0; done < limit; round++)
        for (int dimension = 0; dimension < N_DIMENSIONS && done < limit; dimension++)
            done +=
                mark_next(suite, dimension, (int)(round + (size_t)dimension) % N_LANGUAGES, marked);
}

static enum status choose_items(struct comparison *c, struct error *err)
{
    size_t n = c->suite->count;
    size_t limit = c->limit && c->limit < n ? c->limit : n;
    bool *marked = mem_array(n, sizeof *marked);
    c->items = mem_array(n, sizeof(const struct suite_item *));
    if (!marked || !c->items) {
        mem_free(marked);
        return error_memory(err, "a list of items");
    }
    mark_items(c->suite, limit, marked);
    for (size_t i = 0; i < n; i++)
        if (marked[i])
            c->items[c->n_items++] = &c->suite->items[i];
    mem_free(marked);
    for (size_t side = 0; side < N_SIDES; side++) {
        struct candidate *candidate = &c->candidates[side];
        candidate->outcomes = mem_array(c->n_items, sizeof *candidate->outcomes);
        if (!candidate->outcomes)
            return error_memory(err, "a list of answers");
    }
    return STATUS_OK;
}

/* --- answers.jsonl --- */

static enum status open_log(struct run *run, struct error *err)
{
    char *path = file_join(run->options->folder, "answers.jsonl");
    if (!path)
        return error_memory(err, "a path");
    run->log = fopen(path, "we");
    enum status status = run->log ? STATUS_OK : error_errno(err, "cannot create %s", path);
    mem_free(path);
    return status;
}

/* Keeps the first failure. */
static void log_failed(struct run *run)
{
    struct comparison *c = run->c;
    if (!c->log_failure[0])
        snprintf(c->log_failure, sizeof c->log_failure, "cannot write %.800s/answers.jsonl: %s",
                 run->options->folder, strerror(errno));
}

static void log_outcome(struct run *run, size_t side, const struct suite_item *item,
                        const struct outcome *outcome)
{
    const struct candidate *candidate = &run->c->candidates[side];
    json_t *record = json_pack("{s:s, s:s, s:s, s:s, s:s}", "side", side == SIDE_A ? "a" : "b",
                               "model", candidate_name(candidate), "id", item->id, "dimension",
                               suite_dimension_name(item->dimension), "language",
                               suite_language_name(item->language));
    json_object_set_new(record, "answer", reply_to_json(&outcome->reply));
    json_object_set_new(record, "verdict", verdict_to_json(&outcome->verdict));
    struct strbuf line = {0};
    json_write(&line, record, false);
    strbuf_add_char(&line, '\n');
    if (line.failed || fwrite(line.data, 1, line.length, run->log) != line.length ||
        fflush(run->log))
        log_failed(run);
    strbuf_free(&line);
    json_decref(record);
}

/* --- one model --- */

static enum status wrong_without_answer(struct outcome *outcome, struct error *err)
{
    struct strbuf reason = {0};
    strbuf_printf(&reason, "no answer: %s", outcome->reply.error);
    outcome->verdict = (struct verdict){.outcome = VERDICT_FAIL, .reason = strbuf_take(&reason)};
    return outcome->verdict.reason ? STATUS_OK : error_memory(err, "a verdict");
}

static enum status judge(struct run *run, const struct suite_item *item, struct outcome *outcome,
                         struct error *err)
{
    if (!outcome->reply.text)
        return wrong_without_answer(outcome, err);
    struct error e = {0};
    enum status status = grader_grade(item->grader, outcome->reply.text, outcome->reply.length,
                                      &outcome->verdict, &e);
    if (status == STATUS_MEMORY)
        return error_set(err, status, "%s", e.message);
    if (status) { /* the sandbox failed: the answer is not to blame */
        outcome->verdict.outcome = VERDICT_NOT_RUN;
        mem_free(outcome->verdict.reason);
        outcome->verdict.reason = mem_copy_string(e.message);
    }
    if (outcome->verdict.outcome == VERDICT_NOT_RUN && grader_needs_sandbox(item->grader))
        run->c->sandbox_missing = true;
    return outcome->verdict.reason ? STATUS_OK : error_memory(err, "a verdict");
}

static void note_failure(struct candidate *candidate, const struct error *err)
{
    snprintf(candidate->failure, sizeof candidate->failure, "%s", err->message);
}

static void note_memory(struct candidate *candidate, const struct reply *reply)
{
    if (reply->peak_bytes > candidate->peak_bytes)
        candidate->peak_bytes = reply->peak_bytes;
    if (reply->anonymous_bytes > candidate->anonymous_bytes)
        candidate->anonymous_bytes = reply->anonymous_bytes;
}

/* Asks, judges and keeps one item. STATUS_IO: the model is gone, and the item counts as wrong;
 * STATUS_CANCELLED: it was not answered. */
static enum status run_item(struct run *run, size_t side, struct respondent *respondent, size_t i,
                            struct error *err)
{
    struct comparison *c = run->c;
    struct candidate *candidate = &c->candidates[side];
    struct outcome *outcome = &candidate->outcomes[i];
    const struct suite_item *item = c->items[i];
    size_t max_tokens = c->max_tokens ? c->max_tokens : item->max_tokens;
    enum status asked = respondent_ask(respondent, item->prompt, max_tokens, &outcome->reply, err);
    if (asked && asked != STATUS_IO)
        return asked;
    if (asked) {
        note_failure(candidate, err);
        snprintf(outcome->reply.finish, sizeof outcome->reply.finish, "crash");
        outcome->reply.error = mem_copy_string(err->message);
    }
    note_memory(candidate, &outcome->reply);
    struct error e = {0};
    enum status status = judge(run, item, outcome, &e);
    if (status)
        return error_set(err, status, "%s", e.message);
    outcome->asked = true;
    candidate->n_asked++;
    log_outcome(run, side, item, outcome);
    return asked;
}

static void show_progress(struct run *run, size_t side, const char *what)
{
    struct strbuf detail = {0};
    const char *name = file_base_name(candidate_name(&run->c->candidates[side]));
    strbuf_printf(&detail, "%.24s: %s", name, what);
    progress_update(&run->bar, run->n_done, strbuf_text(&detail));
    strbuf_free(&detail);
}

static enum status run_items(struct run *run, size_t side, struct respondent *respondent,
                             struct error *err)
{
    for (size_t i = 0; i < run->c->n_items; i++) {
        if (is_stopped(run))
            return error_set(err, STATUS_CANCELLED, "stopped");
        show_progress(run, side, run->c->items[i]->id);
        enum status status = run_item(run, side, respondent, i, err);
        if (status)
            return status;
        run->n_done++;
    }
    return STATUS_OK;
}

/* Only what ends the whole comparison is an error here: a stop, or no memory. */
static enum status run_candidate(struct run *run, size_t side, struct error *err)
{
    struct comparison *c = run->c;
    struct candidate *candidate = &c->candidates[side];
    const struct responder *responder = run->options->responder;
    struct respondent_settings settings = {.path = candidate->path,
                                           .n_threads = c->n_threads,
                                           .context_length = c->context_length,
                                           .kv_type = c->kv_type,
                                           .sample = c->sample,
                                           .seed = c->seed,
                                           .adapters = run->options->adapters[side],
                                           .n_adapters = run->options->n_adapters[side],
                                           .quantize = run->options->quantize[side],
                                           .speculate = run->options->speculate,
                                           .draft = run->options->draft[side]};
    struct respondent respondent;
    struct error e = {0};
    show_progress(run, side, "loading");
    enum status status = respondent_start(responder ? responder : &engine_responder, &settings,
                                          run->options->stop, &respondent, &candidate->info, &e);
    if (!status) {
        candidate->loaded = true;
        candidate->peak_bytes = candidate->info.peak_bytes;
        candidate->is_random = strcasestr(candidate->info.name, "random") != NULL;
        status = run_items(run, side, &respondent, &e);
        respondent_end(&respondent);
    }
    if (!status)
        return STATUS_OK;
    if (status == STATUS_CANCELLED || status == STATUS_MEMORY)
        return error_set(err, status, "%s", e.message);
    note_failure(candidate, &e);
    run->n_done = (side + 1) * c->n_items;
    return STATUS_OK;
}

/* --- what surrounds the runs --- */

/* Files that cannot be hashed stay without a hash; so do all once the user wants to stop. */
static void hash_files(struct run *run)
{
    struct error err = {0};
    for (size_t side = 0; side < N_SIDES; side++) {
        struct respondent_info *info = &run->c->candidates[side].info;
        for (size_t i = 0; i < info->n_files && !is_stopped(run); i++) {
            show_progress(run, side, "hashing files");
            if (sha256_file_hex(info->files[i].path, info->files[i].sha256, &err)) {
                info->files[i].sha256[0] = 0;
                log_warning("%s", err.message);
            }
        }
    }
}

static enum status run_both(struct run *run, struct error *err)
{
    struct comparison *c = run->c;
    double started = clock_seconds();
    enum status status = STATUS_OK;
    for (size_t side = 0; side < N_SIDES && !status; side++)
        status = run_candidate(run, side, err);
    if (status == STATUS_CANCELLED) {
        c->interrupted = true;
        status = STATUS_OK;
    }
    if (!status)
        hash_files(run);
    c->seconds = clock_seconds() - started;
    return status;
}

enum status compare_run(const struct compare_options *options, struct comparison *c,
                        struct error *err)
{
    struct run run = {.options = options, .c = c, .bar = {.label = "comparing"}};
    struct error sandbox = {0};
    environment_read(&c->environment);
    clock_utc(c->started, sizeof c->started);
    for (size_t side = 0; side < N_SIDES; side++)
        c->candidates[side].path = options->models[side];
    enum status status = suite_open(options->suite, &c->suite, err);
    if (!status)
        status = choose_items(c, err);
    if (!status)
        status = open_log(&run, err);
    if (status)
        return status;
    run.bar.total = N_SIDES * c->n_items;
    status = run_both(&run, err);
    progress_finish(&run.bar);
    if (c->sandbox_missing && sandbox_available(&sandbox))
        snprintf(c->sandbox_message, sizeof c->sandbox_message, "%s", sandbox.message);
    if (fclose(run.log))
        log_failed(&run);
    return status;
}
