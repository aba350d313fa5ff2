/* The engine: a loaded model that takes requests and gives tokens. Narrow on purpose.
 *
 * One background thread owns the model and the KV cache and runs the step loop: each step takes
 * the decode row of every running request and as many prefill rows as fit (continuous batching,
 * chunked prefill), computes them in one forward, and hands each request its token. A request's
 * events wait in its own buffer; a slow reader never delays a step. A request's tokens do not
 * depend on what else is running.
 *
 *     struct engine *engine;
 *     engine_open(path, NULL, &engine, &err);
 *     struct request request = {.prompt = ids, .n_prompt = n, .sampling = sampling_greedy,
 *                               .max_tokens = 100};
 *     struct generation *g;
 *     engine_submit(engine, &request, &g, &err);
 *     struct event event;
 *     while (generation_next(g, &event) == EVENT_TOKEN) fwrite(event.text, ...);
 *     generation_free(g);
 */
#ifndef TANDEM_ENGINE_ENGINE_H
#define TANDEM_ENGINE_ENGINE_H

#include "base/error.h"
#include "engine/constraint.h"
#include "engine/sampler.h"
#include "model/model.h" /* enum family, struct generation_defaults */
#include "text/chat.h"
#include "text/tokenizer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct engine;
struct generation;

struct engine_options {
    size_t n_threads;       /* 0: all CPUs */
    size_t context_length;  /* most tokens of one sequence; 0: the model's, capped so that the
                               cache fits in half of the free memory (a warning says so) */
    bool context_is_most;   /* a model made for less has its own context, which is no error then */
    size_t max_sequences;   /* running at once; 0: 8 */
    size_t cache_positions; /* of the KV cache, all sequences together; at least the context.
                               0: max_sequences contexts, as far as memory goes */
    size_t cache_bytes;     /* most memory for the KV cache; 0: half of what is free */
    size_t max_rows;        /* per step; 0: 512 */
    const char *speculate;  /* "auto" (NULL), "off" or "always": speculation.h */
    const char *draft;      /* path of a draft model: drafter.h; NULL: none */
    const char *kv_type;    /* of the KV cache: "f16" (NULL), "f32" or "q8_0" */
    const char *isa;
    const struct adapter_choice *adapters; /* as in struct model_options */
    size_t n_adapters;
    const struct recipe *quantize; /* as in struct model_options */
};

/* Whether the options' names are known ones; engine_open() checks that, too. */
enum status engine_options_check(const struct engine_options *options, struct error *err);
/* Whether the folder holds an adapter that can be read, for whatever model. */
enum status engine_adapter_check(const char *folder, struct error *err);
/* Loads model, tokenizer and chat template and starts the step thread. A model without a chat
 * template opens, and so does one without a tokenizer (it takes and gives ids, no text and no stop
 * strings); engine_chat() and engine_tokenizer() are then NULL. */
enum status engine_open(const char *path, const struct engine_options *options,
                        struct engine **engine, struct error *err);
/* Cancels what runs, waits for the thread, frees. All generations must have been freed. */
void engine_close(struct engine *engine);

const struct tokenizer *engine_tokenizer(const struct engine *engine);
const struct chat_template *engine_chat(const struct engine *engine);
/* The checkpoint's sampling defaults as a `struct sampling` (do_sample, temperature, ...). */
struct sampling engine_default_sampling(const struct engine *engine);

struct engine_info {
    const char *path, *name, *weight_type, *isa;
    enum family family;
    size_t n_parameters, weight_bytes, kv_bytes, kv_position_bytes, scratch_bytes;
    const char *draft_name;      /* NULL: there is no draft model */
    size_t draft_bytes;          /* of its weights, cache and activations */
    size_t context_length;       /* most tokens of one sequence here */
    size_t model_context_length; /* what the model was made for */
    size_t n_threads, n_layers, dim, vocab_size;
    double load_seconds;
    size_t n_files;
};
struct engine_info engine_info(const struct engine *engine);
const char *engine_file(const struct engine *engine, size_t index, size_t *bytes);

/* How busy the engine is, as of its latest step. */
struct engine_load {
    size_t running, waiting;            /* requests */
    size_t cache_positions, cache_used; /* of the KV cache; what is kept for reuse counts as used */
    uint64_t steps, rows;               /* computed since the engine was opened */
};
struct engine_load engine_load(const struct engine *engine);

/* What becomes of the final hidden states of a prompt's tokens. */
enum pooling {
    POOLING_NONE, /* an answer is made */
    POOLING_MEAN,
    POOLING_LAST, /* the last token's */
};

/* What a request asks for. Everything it points to is copied by engine_submit(). */
struct request {
    const int32_t *prompt; /* [n_prompt], at least one */
    size_t n_prompt;
    struct sampling sampling;
    size_t max_tokens;        /* 0: up to the context's end */
    const char *const *stops; /* stop strings: not part of the text */
    size_t n_stops;
    bool ignore_eos;
    const int32_t *eos_ids; /* NULL: the checkpoint's list */
    size_t n_eos_ids;
    bool want_logprobs;
    size_t n_top_logprobs;         /* 0 to MAX_TOP_LOGPROBS */
    struct constraint *constraint; /* what the answer may be; NULL: anything. Shared, not copied */
    uint64_t client;               /* whose request it is: clients get equal shares of the engine */
    bool no_guesses;               /* plain decoding, whatever the engine's options say */
    enum pooling pooling;          /* an embedding of the prompt instead of an answer */
};

enum finish_reason {
    FINISH_NONE,
    FINISH_EOS,    /* an end token (it is not part of the ids or the text), or the constraint's
                      document is complete */
    FINISH_STOP,   /* a stop string */
    FINISH_LENGTH, /* max_tokens, or the context is full */
    FINISH_CANCELLED,
    FINISH_ERROR,
};
const char *finish_reason_name(enum finish_reason reason);

enum event_kind { EVENT_TOKEN, EVENT_END };

struct event {
    enum event_kind kind;
    struct token_choice choice; /* EVENT_TOKEN */
    const char *text;           /* what the token adds, whole characters; may be empty. Text that
                                   could be the start of a stop string is held back. At EVENT_END
                                   the rest. Lives until the next call. */
    size_t text_length;
};

struct generation_stats {
    size_t prompt_tokens, cached_tokens, answer_tokens;
    size_t guessed_tokens, accepted_tokens; /* speculation: rows computed ahead, and those right */
    double queue_seconds, prefill_seconds;  /* submit to first step; first step to first token */
    double first_token_seconds;             /* submit to first token: TTFT */
    double decode_seconds;                  /* first token to last token */
    double total_seconds;
    enum finish_reason finish;
    struct error error; /* for FINISH_ERROR */
};

/* Queues the request; the error tells of a prompt that does not fit, with the numbers. */
enum status engine_submit(struct engine *engine, const struct request *request,
                          struct generation **generation, struct error *err);
/* Waits for the next event. After EVENT_END every call gives EVENT_END again, with no text. */
enum event_kind generation_next(struct generation *generation, struct event *event);
/* From any thread (and from signal handlers: it only sets a flag). */
void generation_cancel(struct generation *generation);
/* Valid after EVENT_END. */
struct generation_stats generation_stats(const struct generation *generation);
/* [dim] of a request with pooling, valid from EVENT_END on if it ended with FINISH_EOS. */
const float *generation_embedding(const struct generation *generation);
/* Cancels if need be. */
void generation_free(struct generation *generation);

#endif
