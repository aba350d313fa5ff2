/* Requests of /v1/chat/completions, /v1/completions and /v1/embeddings: from JSON to checked
 * values.
 *
 * Every field is known by name, with the kinds of request that have it, its type and its range;
 * whatever else a request holds is refused by name. A few that can have no effect here (user,
 * metadata, ...) are accepted: docs/serving.md lists them.
 */
#ifndef TANDEM_SERVE_API_REQUEST_H
#define TANDEM_SERVE_API_REQUEST_H

#include "base/json.h"
#include "engine/engine.h"
#include "serve/api_error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MAX_CHOICES = 16, MAX_PROMPTS = 64, MAX_TOOLS = 128, MAX_STOPS = 16, MAX_BIASES = 1024 };

enum api_kind { API_CHAT = 1, API_COMPLETION = 2, API_EMBEDDING = 4 };

enum tool_choice { TOOLS_AUTO, TOOLS_NONE, TOOLS_REQUIRED, TOOLS_NAMED };

struct api_request {
    enum api_kind kind;
    const json_t *document; /* whose strings the others point to */
    const char *model;      /* NULL: the first */
    const char *adapter;    /* NULL: none but the one that the model's name names */
    const json_t *messages; /* chat: a non-empty array of checked messages */
    const json_t *prompt;   /* others: a string, or an array of strings or of token ids */
    size_t n_prompts;       /* 1 for chat */
    int64_t n;
    int64_t max_tokens; /* 0: to the context's end */
    bool stream, include_usage;
    bool logprobs;
    int64_t top_logprobs;

    /* NAN, or TOP_K_ABSENT: as the model's generation_config says. */
    double temperature, top_p, min_p, repetition_penalty;
    int64_t top_k;
    double frequency_penalty, presence_penalty;
    bool has_seed, ignore_eos;
    uint64_t seed;
    struct logit_bias *logit_bias; /* mem_free */
    size_t n_logit_bias;
    const char *stops[MAX_STOPS];
    size_t n_stops;

    /* Embeddings. */
    enum pooling pooling;
    bool base64;
    int64_t dimensions; /* 0: as many as there are */

    const json_t *tools; /* NULL: none */
    enum tool_choice tool_choice;
    const char *tool_name; /* for TOOLS_NAMED */
    bool one_tool_call;    /* parallel_tool_calls: false */

    bool must_be_json;    /* response_format json_object or json_schema */
    const json_t *schema; /* NULL: any object */
    const char *regex;    /* response_format regex: of the whole answer; NULL: none */
};

/* `document` must outlive the request. False with `error` filled; api_request_free() in any
 * case. */
bool api_request_read(enum api_kind kind, const json_t *document, struct api_request *request,
                      struct api_error *error);
/* "messages", "prompt" or "input". */
const char *api_prompt_field(enum api_kind kind);
/* The function of this name among the tools; NULL if there is none. */
const json_t *api_request_tool(const struct api_request *request, const char *name);
/* What the answer must be; NULL: anything. The caller releases it. False with `error` filled for a
 * schema that cannot be honoured. */
bool api_request_constrain(const struct api_request *request, struct constraint **constraint,
                           struct api_error *error);
void api_request_free(struct api_request *request);

/* The sampling that is asked for, on top of a model's defaults. */
struct sampling api_request_sampling(const struct api_request *request, struct sampling defaults);

#endif
