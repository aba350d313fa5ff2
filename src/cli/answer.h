/* One answer on the command line: its settings, its streaming to the terminal, its record.
 *
 *     struct answer_settings settings;
 *     answer_settings_init(&settings);
 *     const struct option options[] = {SAMPLING_OPTIONS(settings), {0}};
 *     ... args_parse ...
 *     answer_open_engine(path, &engine_options, &adapter_words, &engine, &err);
 *     answer_stream(engine, &request, &answer, &err);
 *     answer_free(&answer);
 */
#ifndef TANDEM_CLI_ANSWER_H
#define TANDEM_CLI_ANSWER_H

#include "base/json.h"
#include "base/strbuf.h"
#include "cli/args.h"
#include "engine/engine.h"

#include <signal.h>
#include <stdio.h>

/* What the user asked for; what was not given (NAN, SIZE_MAX) is as the checkpoint says. */
struct answer_settings {
    double temperature, top_p, min_p;
    double repetition_penalty, frequency_penalty, presence_penalty;
    size_t top_k, max_tokens;
    uint64_t seed;
    bool greedy;
    struct string_list stops;
    const char *json_schema, *regex; /* a file's name, a pattern */
    struct constraint *constraint;   /* what answer_constrain() made of them */
};
/* Nothing asked for, and a random seed. */
void answer_settings_init(struct answer_settings *settings);
/* STATUS_INVALID names what is out of range. */
enum status answer_settings_check(const struct answer_settings *settings, struct error *err);
/* Compiles the constraint that was asked for, if any, to be released with constraint_release().
 * ARGS_OK, or the exit status after a message. */
int answer_constrain(const struct usage *usage, struct answer_settings *settings);
struct sampling answer_sampling(const struct answer_settings *settings,
                                const struct engine *engine);

/* Entries for a command's table of options, each setting one field of `s`. */
/* clang-format off */
#define SAMPLING_OPTIONS(s)                                                                       \
    {"max-tokens", 'n', OPTION_SIZE, &(s).max_tokens, "N", "end after N tokens (0: no limit)"},   \
    {"temperature", 0, OPTION_NUMBER, &(s).temperature, "T", "0 is greedy (the model's)"},        \
    {"top-k", 0, OPTION_SIZE, &(s).top_k, "K", "of the K likeliest; 0: off (the model's)"},       \
    {"top-p", 0, OPTION_NUMBER, &(s).top_p, "P", "likeliest with mass P (the model's)"},          \
    {"min-p", 0, OPTION_NUMBER, &(s).min_p, "P", "at least P times the likeliest"},               \
    {"repetition-penalty", 0, OPTION_NUMBER, &(s).repetition_penalty, "X",                        \
        "over prompt and answer; 1: off"},                                                        \
    {"frequency-penalty", 0, OPTION_NUMBER, &(s).frequency_penalty, "X", "-2 to 2; 0: off"},      \
    {"presence-penalty", 0, OPTION_NUMBER, &(s).presence_penalty, "X", "-2 to 2; 0: off"},        \
    {"seed", 0, OPTION_U64, &(s).seed, "N", "the same seed, the same answer (random)"},           \
    {"greedy", 0, OPTION_FLAG, &(s).greedy, NULL, "always the likeliest token"},                  \
    {"json-schema", 0, OPTION_STRING, &(s).json_schema, "FILE",                                   \
        "answer in JSON that is valid for this JSON Schema"},                                     \
    {"regex", 0, OPTION_STRING, &(s).regex, "PATTERN", "answer what matches PATTERN as a whole"}
/* clang-format on */

/* engine_open() with the adapters that the words name, and Ctrl-C kept for the calling thread. */
enum status answer_open_engine(const char *path, const struct engine_options *options,
                               const struct string_list *adapter_words, struct engine **engine,
                               struct error *err);

/* From here on Ctrl-C ends the answer that is being streamed or, if there is none, the next one,
 * until this is called again or *before is put back with sigaction(). */
void answer_catch_interrupt(struct sigaction *before);

struct answer {
    struct strbuf text;
    json_t *ids, *logprobs; /* arrays; logprobs is NULL unless asked for */
    struct generation_stats stats;
};
struct answer_request {
    const int32_t *prompt;
    size_t n_prompt;
    const struct answer_settings *settings;
    bool ignore_eos;
    size_t n_logprobs; /* alternatives per token; SIZE_MAX: no logprobs */
    FILE *out;         /* where the text is streamed to; may be NULL */
    bool is_terminal;  /* of `out`: control characters are shown, not sent */
};
/* Waits for the whole answer. Ctrl-C meanwhile ends it (FINISH_CANCELLED) and nothing else. Errors
 * of the generation are returned. answer_free() in any case. */
enum status answer_stream(struct engine *engine, const struct answer_request *request,
                          struct answer *answer, struct error *err);
void answer_free(struct answer *answer);

/* Prompt tokens, time to the first token, tokens per second: one line. */
void answer_print_stats(FILE *out, const struct generation_stats *stats);
/* {"prompt_tokens", ...} and {"first_token_seconds", ...}; new references. */
json_t *answer_usage(const struct generation_stats *stats);
json_t *answer_timings(const struct generation_stats *stats);

/* Writes model output; for a terminal control characters other than newline and tab become
 * visible symbols, so that an answer cannot move the cursor or set the title. */
void answer_write_text(FILE *out, const char *text, size_t length, bool is_terminal);

#endif
