/* What the parts of the server share. */
#ifndef TANDEM_SERVE_SERVER_INTERNAL_H
#define TANDEM_SERVE_SERVER_INTERNAL_H

#include "serve/access_log.h"
#include "serve/exchange.h"
#include "serve/guard.h"
#include "serve/registry.h"
#include "serve/serve.h"

#include <stdatomic.h>

struct MHD_Daemon;

enum { MAX_STATUS = 600 };

struct server {
    struct serve_options options;
    struct MHD_Daemon *daemon;
    int listener; /* -1 while it is the daemon's, which takes and closes it */
    char url[128];
    bool is_local; /* bound to a loopback address */
    struct watcher *watcher;
    struct guard *guard;
    struct registry *registry;
    struct access_log *log;
    atomic_ullong statuses[MAX_STATUS]; /* how many requests ended with each HTTP status */
    atomic_bool draining;
    atomic_size_t active;
    atomic_ullong n_requests;
    uint64_t id_seed;
};

/* A path that the server knows. */
struct route {
    const char *method, *path;
    void (*handle)(struct exchange *x);
    bool is_open; /* needs no key */
};
/* The route; or NULL with `error` filled: 404, or 405 where only the method is wrong. A preflight
 * is a browser's question whether a page may ask. */
const struct route *route_find(bool is_preflight, const char *method, const char *path,
                               struct api_error *error);

/* The handlers. */
void api_chat_completions(struct exchange *x);
void api_completions(struct exchange *x);
void api_embeddings(struct exchange *x);
void api_models(struct exchange *x);
#define API_MODEL_PATH "/v1/models/" /* with a model's name behind it */
void api_model(struct exchange *x);
void api_health(struct exchange *x);
void api_preflight(struct exchange *x);
void api_machine(struct exchange *x);
void api_metrics(struct exchange *x);
void api_tokenize(struct exchange *x);
void api_detokenize(struct exchange *x);

/* The messages through the model's chat template to tokens, which are appended. */
bool api_encode_messages(const struct lease *lease, const json_t *messages, const json_t *tools,
                         struct token_list *ids, struct api_error *error);
/* A text, or a list of token ids, to tokens, which are appended; `name` is the field's. */
bool api_encode_prompt(const struct lease *lease, const char *name, const json_t *prompt,
                       bool add_special, struct token_list *ids, struct api_error *error);

struct answering;
/* Encodes the prompts of a completion or embedding and starts. */
bool api_start_prompts(struct answering *a, struct api_error *error);

#endif
