/* Respondents: what answers the prompts of a comparison, each in a process of its own.
 *
 * One model is loaded at a time, in a child process that is asked and answers in JSON lines over
 * a socket. So peak memory and load time are the model's own, its memory is really
 * given back before the next one loads, and a model that brings its process down takes neither
 * the other's results nor its own earlier ones with it.
 *
 *     struct respondent r;
 *     struct respondent_info info;
 *     struct reply reply;
 *     if (!respondent_start(&engine_responder, &settings, &stop, &r, &info, &err))
 *         respondent_ask(&r, prompt, max_tokens, &reply, &err);
 *     respondent_end(&r);
 *
 * The calling process must have one thread when it starts a respondent (it forks).
 */
#ifndef TANDEM_EVAL_RESPONDENT_H
#define TANDEM_EVAL_RESPONDENT_H

#include "base/error.h"

#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct adapter_choice;
struct recipe;

struct respondent_settings {
    const char *path;      /* of the model */
    size_t n_threads;      /* 0: all CPUs */
    size_t context_length; /* tokens */
    const char *kv_type;   /* of the engine's options */
    bool sample;           /* the model's own sampling defaults with `seed`; else greedy */
    uint64_t seed;
    const struct adapter_choice *adapters; /* of the engine's options */
    size_t n_adapters;
    const struct recipe *quantize; /* likewise; may be NULL */
    const char *speculate, *draft; /* likewise */
};

struct model_file_info {
    char *path;
    size_t bytes;
    char sha256[65]; /* "" until hashed */
};

/* What a loaded model says of itself. Release with respondent_info_clear. */
struct respondent_info {
    char *name, *family, *weight_type, *isa;
    size_t n_parameters, weight_bytes, kv_bytes, scratch_bytes;
    size_t context_length, model_context_length, n_threads, n_layers, dim, vocab_size;
    bool has_chat_template;
    double load_seconds;        /* opening the files, to a model that takes requests */
    double warm_up_seconds;     /* the warm-up prompt in whole */
    double warm_up_first_token; /* and to its first token */
    size_t peak_bytes;          /* resident, after the warm-up */
    struct model_file_info *files;
    size_t n_files;
};
void respondent_info_clear(struct respondent_info *info);

/* One reply. Release with reply_clear. */
struct reply {
    char *text; /* valid UTF-8, NUL-terminated; NULL where there is none */
    size_t length;
    char finish[16]; /* finish_reason_name, or "error", or "crash" */
    char *error;     /* why there is no answer; else NULL */
    size_t prompt_tokens, cached_tokens, answer_tokens;
    double queue_seconds, prefill_seconds, first_token_seconds, decode_seconds, total_seconds;
    double cpu_seconds;     /* of the whole process, for this answer */
    size_t peak_bytes;      /* resident peak of the process so far */
    size_t anonymous_bytes; /* resident now and not mapped from a file */
};
void reply_clear(struct reply *reply);
double reply_prompt_rate(const struct reply *reply);     /* tokens per second; 0: unknown */
double reply_generation_rate(const struct reply *reply); /* 0: fewer than 2 tokens */

/* What runs in the child. Tests have their own. */
struct responder {
    /* Loads and warms up. The error is shown to the user. */
    enum status (*open)(const struct respondent_settings *settings, void **state,
                        struct respondent_info *info, struct error *err);
    /* An error here belongs to the item: the next one is asked all the same. */
    enum status (*ask)(void *state, const char *prompt, size_t max_tokens, struct reply *reply,
                       struct error *err);
};
extern const struct responder engine_responder;

struct respondent {
    pid_t pid;
    int socket;
    const volatile sig_atomic_t *stop;
    char *line; /* what arrived of the next record */
    size_t length, capacity;
};

/* Forks, loads. STATUS_CANCELLED where *stop (may be NULL) became non-zero meanwhile. In the
 * child SIGINT is ignored and stdout goes to stderr. */
enum status respondent_start(const struct responder *responder,
                             const struct respondent_settings *settings,
                             const volatile sig_atomic_t *stop, struct respondent *r,
                             struct respondent_info *info, struct error *err);
/* STATUS_OK with reply->error set where this prompt could not be answered; STATUS_IO where the
 * process is gone (the message says how it ended); STATUS_CANCELLED where *stop was set. */
enum status respondent_ask(struct respondent *r, const char *prompt, size_t max_tokens,
                           struct reply *reply, struct error *err);
/* Ends the process, at once. */
void respondent_end(struct respondent *r);

/* {"text", "finish", ...}: a new reference; NULL when out of memory. */
json_t *reply_to_json(const struct reply *reply);

#endif
