/* A small suite and respondents that play models, for the tests of comparisons and reports.
 *
 * What a respondent does is in its path: "good", "bad", "hostile", "refuses", "crashes", "slow",
 * "unloadable", "dies-loading"; "random" anywhere in it makes it a random model.
 */
#ifndef TANDEM_TESTS_COMPARISON_FIXTURE_H
#define TANDEM_TESTS_COMPARISON_FIXTURE_H

#include "base/file.h"
#include "base/memory.h"
#include "eval/compare.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char fixture_suite[] =
    "{\"id\":\"i-1\",\"dimension\":\"instruction\",\"language\":\"zh\",\"prompt\":\"请回答：2 加 3 "
    "等于几？\",\"reference\":\"5\",\"grader\":\"number\",\"args\":{\"value\":5}}\n"
    "{\"id\":\"m-1\",\"dimension\":\"math\",\"language\":\"en\",\"prompt\":\"What is 2 + 3?\","
    "\"reference\":\"5\",\"grader\":\"number\",\"args\":{\"value\":5}}\n"
    "{\"id\":\"m-2\",\"dimension\":\"math\",\"language\":\"en\",\"prompt\":\"<b>What</b> is 3 + "
    "2?\",\"reference\":\"5\",\"grader\":\"number\",\"args\":{\"value\":5}}\n"
    "{\"id\":\"c-1\",\"dimension\":\"code\",\"language\":\"en\",\"prompt\":\"len('hello')?\","
    "\"reference\":\"5\",\"grader\":\"number\",\"args\":{\"value\":5}}\n"
    "{\"id\":\"s-1\",\"dimension\":\"structured\",\"language\":\"zh\",\"prompt\":\"[1,4] 之和？\","
    "\"reference\":\"5\",\"grader\":\"number\",\"args\":{\"value\":5}}\n";
enum { FIXTURE_ITEMS = 5 };

static const char fixture_hostile[] =
    "<script>alert(1)</script><img src=x onerror=alert(2)><a href=\"javascript:alert(3)\">x</a>"
    "</pre></details><svg onload='alert(4)'> ```` \033[31m \xE2\x80\xAE | `x` ]]> --> &lt;\n"
    "The answer is 5";

struct fixture_state {
    char path[64];
    size_t asked;
};

static enum status fixture_open(const struct respondent_settings *settings, void **state,
                                struct respondent_info *info, struct error *err)
{
    if (strstr(settings->path, "unloadable"))
        return error_set(err, STATUS_FORMAT, "%s: the header is cut off", settings->path);
    if (strstr(settings->path, "dies-loading"))
        raise(SIGKILL);
    struct fixture_state *s = mem_alloc(sizeof *s);
    snprintf(s->path, sizeof s->path, "%s", settings->path);
    *state = s;
    *info = (struct respondent_info){.name = mem_copy_string(settings->path),
                                     .family = mem_copy_string("Qwen2"),
                                     .weight_type = mem_copy_string("F16"),
                                     .isa = mem_copy_string("scalar"),
                                     .n_parameters = 1000,
                                     .context_length = 4096,
                                     .n_threads = 1,
                                     .has_chat_template = true,
                                     .load_seconds = 0.5,
                                     .warm_up_first_token = 0.25,
                                     .files = mem_array(1, sizeof *info->files),
                                     .n_files = 1};
    info->files[0] = (struct model_file_info){.path = mem_copy_string("/proc/self/comm")};
    return STATUS_OK;
}

static enum status fixture_ask(void *state, const char *prompt, size_t max_tokens,
                               struct reply *reply, struct error *err)
{
    struct fixture_state *s = state;
    size_t nth = ++s->asked;
    if (strstr(s->path, "refuses") && nth == 2)
        return error_set(err, STATUS_LIMIT, "the prompt has 9000 tokens, more than 4096");
    if (strstr(s->path, "crashes") && nth == 3)
        raise(SIGKILL);
    if (strstr(s->path, "slow") && nth == 3) {
        kill(getppid(), SIGINT);
        sleep(60);
    }
    const char *text = strstr(s->path, "hostile") ? fixture_hostile
                       : strstr(s->path, "bad")   ? "The answer is 7"
                                                  : "The answer is 5";
    *reply = (struct reply){.text = mem_copy_string(text),
                            .length = strlen(text),
                            .finish = "eos",
                            .prompt_tokens = strlen(prompt),
                            .answer_tokens = 11,
                            .prefill_seconds = 0.1,
                            .first_token_seconds = strstr(s->path, "bad") ? 0.1 : 0.2,
                            .decode_seconds = 1,
                            .total_seconds = 1.2};
    (void)max_tokens;
    return STATUS_OK;
}

static const struct responder fixture_responder = {fixture_open, fixture_ask};

/* A new folder with suite.jsonl in it; fixture_remove() takes both away. */
static char *fixture_folder(void)
{
    static char folder[64];
    snprintf(folder, sizeof folder, "/tmp/tandem-test-XXXXXX");
    if (!mkdtemp(folder))
        abort();
    char *path = file_join(folder, "suite.jsonl");
    if (file_write_atomic(path, fixture_suite, sizeof fixture_suite - 1, NULL))
        abort();
    mem_free(path);
    return folder;
}

static void fixture_remove(const char *folder)
{
    static const char *const names[] = {"suite.jsonl", "answers.jsonl", "report.json", "report.md",
                                        "report.html"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = file_join(folder, names[i]);
        unlink(path);
        mem_free(path);
    }
    rmdir(folder);
}

/* Runs `a` and `b` over the suite in `folder`. */
static enum status fixture_compare(const char *folder, const char *a, const char *b,
                                   const volatile sig_atomic_t *stop, struct comparison *c,
                                   struct error *err)
{
    char *suite = file_join(folder, "suite.jsonl");
    struct compare_options options = {.models = {a, b},
                                      .suite = suite,
                                      .folder = folder,
                                      .responder = &fixture_responder,
                                      .stop = stop};
    c->seed = 1;
    enum status status = compare_run(&options, c, err);
    mem_free(suite);
    return status;
}

#endif
