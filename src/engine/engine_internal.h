/* What the parts of the engine share.
 *
 * engine.c opens, closes and checks requests; scheduler.c is the step thread; generation.c is a
 * request's state and the way from chosen tokens to the reader's events. A generation belongs to
 * the caller's side (submit, next, free) and to the step thread: `mutex` guards what both touch.
 */
#ifndef TANDEM_ENGINE_INTERNAL_H
#define TANDEM_ENGINE_INTERNAL_H

#include "base/memory.h"
#include "engine/drafter.h"
#include "engine/enforcer.h"
#include "engine/engine.h"
#include "engine/pace.h"
#include "engine/speculation.h"

#include <pthread.h>
#include <stdatomic.h>

enum { NO_SLOT = -1 };

/* What a step does one after the other. */
enum stage { DECODING, PROMPTS, N_STAGES };

struct record {
    int32_t token;
    float logprob;
    size_t text_end; /* of the text that the reader may see after this token */
};

struct alternative {
    int32_t token;
    float logprob;
};

struct generation {
    /* Fixed at submit. */
    struct engine *engine;
    struct arena arena;
    size_t n_prompt, max_tokens, n_top;
    bool want_logprobs, ignore_eos, no_guesses;
    const char **stops;
    size_t *stop_lengths, n_stops;
    int32_t *eos_ids;
    size_t n_eos_ids;
    uint64_t client;
    enum pooling pooling;
    atomic_bool cancelled;

    /* The step thread's. */
    struct sampler *sampler;
    double *pooled;   /* [dim] sums, in the order of positions; with pooling only */
    float *embedding; /* [dim] at the end */
    int32_t *tokens;  /* [n_prompt + max_tokens]: prompt, then answer */
    size_t n_tokens;
    long slot; /* NO_SLOT while it waits */
    enum stage stage;
    size_t n_rows;        /* in this step or pass over prompts, those of guesses included */
    size_t length_before; /* of its sequence, before these */
    struct draft draft;
    bool was_admitted;
    double submitted, first_step, first_token, last_token;
    size_t cached_tokens;
    struct detokenizer detokenizer;
    struct enforcer enforcer; /* of the request's constraint */
    uint64_t *allowed;        /* [vocab_size bits] what may be chosen next; NULL: anything */
    struct strbuf fresh;      /* text of the newest token */
    struct generation *next;

    /* Under the mutex. */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct record *records;           /* [max_tokens] */
    struct alternative *alternatives; /* [max_tokens, n_top] */
    size_t n_records;
    struct strbuf text;
    size_t released; /* bytes of text that cannot become part of a stop string any more */
    bool ended;
    struct generation_stats stats;

    /* The reader's. */
    size_t n_read, text_read;
    struct strbuf piece;
};

/* One KV sequence: in use by a request, or what an earlier one left there for reuse. */
struct slot {
    int32_t *tokens; /* [context_length], as many as the sequence is long */
    bool busy;
    uint64_t last_used;
};

/* When a client's request was last admitted. */
struct client_turn {
    uint64_t client, when;
};
enum { MAX_TURNS = 64 };

struct engine {
    struct model *model;
    struct kv_cache *cache;
    struct tokenizer *tokenizer;
    struct chat_template *chat;
    size_t context_length, max_sequences, n_slots;
    double load_seconds;
    int32_t eos_ids[MAX_EOS_IDS];
    size_t n_eos_ids;

    /* The step thread's. */
    struct generation *waiting;  /* in the order of submission */
    struct generation **running; /* [max_sequences], in the order of submission */
    size_t n_running;
    struct slot *slots;         /* [n_slots] */
    struct row *rows[N_STAGES]; /* [max_rows] */
    size_t n_pass_rows;         /* of the pass over prompts that is under way; 0: none is */
    double pass_seconds;        /* of its layers so far */
    float *logits;              /* [max_sequences + n_guess_rows, vocab_size] */
    enum speculation speculation;
    size_t n_guess_rows; /* in a step, at most */
    struct pass_times pass_times;
    struct acceptance acceptance; /* of the guesses of requests that ended */
    struct drafter *drafter;      /* NULL: no draft model */
    float *hidden;                /* [max_rows, dim] of a step's rows that are pooled */
    size_t hidden_bytes;
    uint64_t clock;                      /* for last_used */
    struct client_turn turns[MAX_TURNS]; /* of the clients that were served last */
    struct pace pace;                    /* how much of prompts a step computes */

    /* For engine_load(); written by the step thread. */
    atomic_size_t load_running, load_waiting, load_free_positions;
    atomic_ullong n_steps, n_step_rows;

    pthread_t thread;
    bool has_thread;
    /* Under the mutex. */
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    struct generation *submitted; /* newest first */
    bool closing;
    struct token_masker *masker; /* made for the first request that has a constraint */
};

/* The engine's masker, which is made where there is none yet. It serves the step thread alone. */
enum status engine_masker(struct engine *engine, struct token_masker **masker, struct error *err);

/* The step thread's main function. */
void *scheduler_run(void *engine);

/* generation.c, for the step thread. */
bool generation_is_cancelled(const struct generation *generation);
/* Takes the token that was chosen; the reason to end, or FINISH_NONE. */
enum finish_reason generation_take(struct generation *generation, const struct token_choice *choice,
                                   struct error *err);
/* Gives the rest of the text and EVENT_END. The generation may be gone when this returns. */
void generation_end(struct generation *generation, enum finish_reason reason,
                    const struct error *err);
/* Finds out what the constraint allows next; nothing to do where there is none. */
enum status generation_constrain(struct generation *generation, struct error *err);
/* For submit: memory and state for a checked request. */
enum status generation_create(struct engine *engine, const struct request *request,
                              size_t max_tokens, struct generation **generation, struct error *err);
void generation_destroy(struct generation *generation);

#endif
