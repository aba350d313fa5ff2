/* One HTTP request and its reply: the only part that API code sees of HTTP.
 *
 * A handler gets a complete request and calls exactly one of the exchange_reply functions or
 * exchange_stream(). It runs in its connection's own thread and may block.
 */
#ifndef TANDEM_SERVE_EXCHANGE_H
#define TANDEM_SERVE_EXCHANGE_H

#include "base/json.h"
#include "base/strbuf.h"
#include "serve/api_error.h"
#include "serve/watch.h"

#include <arpa/inet.h>
#include <stdint.h>

struct MHD_Connection;
struct server;

/* What the log says of a request, besides its status. */
struct request_record {
    char model[128];
    bool is_stream, has_answer;
    size_t prompt_tokens, cached_tokens, answer_tokens;
    double queue_seconds, prefill_seconds, first_token_seconds, decode_seconds;
    const char *finish; /* of the last answer; a constant */
};

struct exchange {
    struct server *server;
    struct MHD_Connection *connection;
    struct watch *watch;
    const struct route *route; /* NULL: refused before there was one */
    char id[40];               /* "req-0123456789abcdef" */
    char client[INET6_ADDRSTRLEN];
    uint64_t client_key; /* the same for all requests of one client: fair queueing */
    char method[16];     /* "" until the head has arrived */
    char path[128];      /* the log's; longer ones are cut off */
    char authority[128]; /* of a target with a host, "http://host/path"; else "" */
    bool must_close;     /* where the request ends is not certain */
    struct strbuf body;
    struct api_error refusal;   /* why there is no answer, for the reply and the log */
    unsigned status;            /* of the reply; 0: none yet */
    const char *content_policy; /* Content-Security-Policy of HTML; NULL: the page's */
    const char *caching;        /* Cache-Control; NULL: nobody keeps the reply */
    const char *encoding;       /* Content-Encoding; NULL: none */
    char etag[20];              /* "": none */
    double started;
    struct request_record record;

    /* The handler's own, freed with the exchange. */
    void *state;
    void (*free_state)(void *state);

    /* Streaming. */
    bool (*next_piece)(void *context, struct strbuf *piece);
    struct strbuf piece;
    size_t piece_sent;
    bool stream_ended;
};

/* A header of the request; NULL if there is none. */
const char *exchange_header(const struct exchange *x, const char *name);

void exchange_reply(struct exchange *x, unsigned status, const char *content_type, const void *data,
                    size_t length);
/* Takes over `value`. */
void exchange_reply_json(struct exchange *x, unsigned status, json_t *value);
void exchange_reply_error(struct exchange *x, const struct api_error *error);
/* Server-sent events: `next` waits, appends some bytes (at least one, unless it ends) and returns
 * true; or appends the last bytes and returns false. It is given x->state. */
void exchange_stream(struct exchange *x, bool (*next)(void *state, struct strbuf *piece));

/* The request body as a JSON object; NULL when it is none (then `error` is filled). */
json_t *exchange_body_json(struct exchange *x, struct api_error *error);

#endif
