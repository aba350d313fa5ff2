/* The server: an OpenAI-compatible API over HTTP for one or more models.
 *
 *     struct serve_options options = serve_defaults;
 *     options.models = models, options.n_models = n;
 *     server_start(&options, &server, &err);
 *     ... until it shall end: server_drain(server); while (server_active(server)) wait ...
 *     server_stop(server);
 *
 * Every connection has a thread of its own, which may block; the engine's step thread never waits
 * for one. What each file does: exchange (a request and its reply), framing (its head),
 * routes (paths), watch (clients
 * that leave, deadlines), registry (models in memory), api_* (the API), metrics, access_log.
 */
#ifndef TANDEM_SERVE_SERVE_H
#define TANDEM_SERVE_SERVE_H

#include "base/error.h"
#include "engine/engine.h"

#include <stdbool.h>
#include <stddef.h>

struct served_model {
    const char *name, *path;
};

/* A LoRA adapter that requests may ask for, on any of the models. */
struct served_adapter {
    const char *name;
    struct adapter_choice choice;
};

struct serve_options {
    const struct served_model *models; /* [n_models] at least one; the first is the default */
    size_t n_models;
    const struct served_adapter *adapters; /* [n_adapters] */
    size_t n_adapters;
    size_t memory; /* bytes for all models together; 0: three quarters of what is free */
    struct engine_options engine; /* for each model */
    size_t max_queue;             /* requests that wait, for each model */

    const char *host;         /* address to listen on */
    size_t port;              /* 0: any free one */
    const char *cors_origin;  /* whose pages may use the server, "*": all; NULL: none */
    const char *const *hosts; /* [n_hosts] names it goes by besides localhost */
    size_t n_hosts;
    const char *const *keys; /* [n_keys]; none: open to all */
    size_t n_keys;
    const char *certificate, *private_key; /* PEM texts; NULL: no TLS */
    size_t max_body;                       /* bytes */
    size_t max_connections;
    double receive_seconds; /* for a request to arrive, and for a reply to be taken */
    double idle_seconds;    /* for the next request of a connection to begin */
    double answer_seconds;  /* for an answer, from the request to the last token */

    const char *runs; /* folder below which reports of comparisons lie; NULL: none are shown */

    const char *log_path; /* NULL: none */
    bool log_to_stderr, log_prompts;
};
extern const struct serve_options serve_defaults;

struct server;

/* Loads the default model (others on demand), listens, and returns. Strings and arrays of the
 * options must outlive the server. */
enum status server_start(const struct serve_options *options, struct server **server,
                         struct error *err);
/* "http://127.0.0.1:7860" */
const char *server_url(const struct server *server);
/* Whether it listens on a loopback address. */
bool server_is_local(const struct server *server);
/* Takes no new connections or requests (503); what runs goes on. */
void server_drain(struct server *server);
/* Requests that are being answered. */
size_t server_active(const struct server *server);
/* Ends what still runs, closes everything, frees. */
void server_stop(struct server *server);

#endif
