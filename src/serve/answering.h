/* Making the answers of one request: from checked values to tokens of one or more generations.
 *
 *     if (answering_start(a, prompts, &error))
 *         while (answering_next(a, &piece)) ... a choice's next token, or its end ...
 *     answering_free(a);
 *
 * The choices take turns, token by token; each has its own buffer in the engine.
 */
#ifndef TANDEM_SERVE_ANSWERING_H
#define TANDEM_SERVE_ANSWERING_H

#include "serve/api_request.h"
#include "serve/exchange.h"
#include "serve/registry.h"
#include "serve/tool_calls.h"

struct choice {
    bool began, ended;
    bool is_cut;                   /* ended by us, with what there is as the answer */
    struct generation_stats stats; /* once it ended */
    struct token_choice *tokens;   /* [n_tokens] so far, where logprobs are asked for */
    size_t n_tokens, token_capacity;
    double last_token; /* when it came */

    /* The form's own. */
    struct strbuf text; /* the answer's text, less its calls */
    json_t *calls;      /* array */
    struct tool_reader tools;
    size_t n_sent; /* of the tokens: in chunks that were sent */
    size_t offset; /* characters before the next token */
};

struct answer_form;

struct answering {
    struct exchange *x;
    json_t *document; /* the request body */
    struct api_request request;
    struct lease lease;
    const struct answer_form *form;
    char id[48];
    int64_t created; /* Unix time */

    struct generation **generations; /* [n_choices] */
    struct choice *choices;          /* [n_choices] */
    size_t n_choices, n_started, n_ended, turn;
    bool out_of_memory; /* for the tokens of a choice */
};

/* One event of a choice. */
struct piece {
    struct choice *choice;
    size_t index;
    bool is_end; /* `text` may still bring the rest */
    const char *text;
    size_t length;
};

/* Reads the request body as a request of this kind and acquires its model. The answering is then
 * x->state, and freed with the exchange. NULL with `error` filled. */
struct answering *answering_create(struct exchange *x, enum api_kind kind, struct api_error *error);
/* Submits n answers for each of the prompts. */
bool answering_start(struct answering *a, const struct token_list *prompts, size_t n_prompts,
                     struct api_error *error);
/* Waits for the next event of the next choice that has not ended; false when all have. */
bool answering_next(struct answering *a, struct piece *piece);
/* The choice has what it needs: it ends soon, and as an answer. */
void answering_end_choice(struct answering *a, size_t index);
/* False with `error` filled when a choice ended for a reason that is no answer: an error, a
 * timeout, the shutdown, a client that left. */
bool answering_check(const struct answering *a, const struct choice *choice,
                     struct api_error *error);

/* {"prompt_tokens", "completion_tokens", ...} and {"queue_seconds", ...}; new references. */
json_t *answering_usage(const struct answering *a);
json_t *answering_timings(const struct generation_stats *stats);

#endif
