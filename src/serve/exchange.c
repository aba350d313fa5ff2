#include "serve/exchange.h"
#include "base/utf8.h"
#include "serve/server_internal.h"

#include <microhttpd.h>
#include <stdio.h>
#include <string.h>

enum { STREAM_BLOCK_BYTES = 16384 };

static const char page_policy[] = "default-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
                                  "form-action 'none'; object-src 'none'";

const char *exchange_header(const struct exchange *x, const char *name)
{
    return MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name);
}

static void add_if(struct MHD_Response *response, const char *name, const char *value)
{
    if (value && *value)
        MHD_add_response_header(response, name, value);
}

static void add_headers(struct exchange *x, struct MHD_Response *response)
{
    const struct serve_options *options = &x->server->options;
    MHD_add_response_header(response, "X-Request-Id", x->id);
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
    if (options->cors_origin) {
        MHD_add_response_header(response, "Access-Control-Allow-Origin", options->cors_origin);
        MHD_add_response_header(response, "Vary", "Origin");
        MHD_add_response_header(response, "Access-Control-Allow-Methods", "GET, POST");
        /* "*" does not stand for Authorization. OpenAI's client sends headers of its own. */
        MHD_add_response_header(response, "Access-Control-Allow-Headers", "Authorization, *");
        MHD_add_response_header(response, "Access-Control-Expose-Headers",
                                "X-Request-Id, Retry-After");
    }
}

static void queue(struct exchange *x, unsigned status, struct MHD_Response *response)
{
    x->status = status;
    add_headers(x, response);
    MHD_queue_response(x->connection, status, response);
    MHD_destroy_response(response);
}

/* Out of memory for a reply: MHD then closes the connection. */
static void give_up(struct exchange *x)
{
    x->status = 500;
    api_refuse(&x->refusal, 500, "out_of_memory", NULL, "out of memory for the reply");
}

void exchange_reply(struct exchange *x, unsigned status, const char *content_type, const void *data,
                    size_t length)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(length, (void *)(uintptr_t)data, MHD_RESPMEM_MUST_COPY);
    if (!response) {
        give_up(x);
        return;
    }
    MHD_add_response_header(response, "Content-Type", content_type);
    MHD_add_response_header(response, "Cache-Control", x->caching ? x->caching : "no-store");
    add_if(response, "ETag", x->etag);
    add_if(response, "Vary", x->caching ? "Accept-Encoding" : NULL);
    add_if(response, "Content-Encoding", x->encoding);
    add_if(response, "Allow", x->refusal.allow);
    add_if(response, "Connection", x->must_close ? "close" : NULL);
    add_if(response, "WWW-Authenticate", status == 401 ? "Bearer" : NULL);
    if (!strncmp(content_type, "text/html", 9))
        MHD_add_response_header(response, "Content-Security-Policy",
                                x->content_policy ? x->content_policy : page_policy);
    if (x->refusal.retry_after) {
        char seconds[16];
        snprintf(seconds, sizeof seconds, "%u", x->refusal.retry_after);
        MHD_add_response_header(response, "Retry-After", seconds);
    }
    watch_deadline(x->watch, x->server->options.receive_seconds);
    queue(x, status, response);
}

void exchange_reply_json(struct exchange *x, unsigned status, json_t *value)
{
    struct strbuf text = {0};
    json_write(&text, value, false);
    json_decref(value);
    strbuf_add_char(&text, '\n');
    if (text.failed)
        give_up(x);
    else
        exchange_reply(x, status, "application/json", text.data, text.length);
    strbuf_free(&text);
}

void exchange_reply_error(struct exchange *x, const struct api_error *error)
{
    x->refusal = *error;
    exchange_reply_json(x, error->http, api_error_json(error));
}

/* MHD asks for up to `most` bytes of the body. */
static ssize_t read_stream(void *context, uint64_t position, char *out, size_t most)
{
    struct exchange *x = context;
    (void)position;
    while (x->piece_sent == x->piece.length) {
        if (x->stream_ended)
            return MHD_CONTENT_READER_END_OF_STREAM;
        strbuf_truncate(&x->piece, 0);
        x->piece_sent = 0;
        x->stream_ended = !x->next_piece(x->state, &x->piece);
        if (x->piece.failed)
            return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    size_t n = x->piece.length - x->piece_sent;
    if (n > most)
        n = most;
    memcpy(out, x->piece.data + x->piece_sent, n);
    x->piece_sent += n;
    return (ssize_t)n;
}

void exchange_stream(struct exchange *x, bool (*next)(void *state, struct strbuf *piece))
{
    x->next_piece = next;
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, STREAM_BLOCK_BYTES, read_stream, x, NULL);
    if (!response) {
        give_up(x);
        return;
    }
    MHD_add_response_header(response, "Content-Type", "text/event-stream; charset=utf-8");
    MHD_add_response_header(response, "Cache-Control", "no-store");
    MHD_add_response_header(response, "X-Accel-Buffering", "no");
    queue(x, 200, response);
}

json_t *exchange_body_json(struct exchange *x, struct api_error *error)
{
    struct error err = {0};
    const char *text = strbuf_text(&x->body);
    if (x->body.failed) {
        api_refuse(error, 503, "out_of_memory", NULL, "out of memory for the request");
        return NULL;
    }
    if (x->body.length == 0) {
        api_refuse(error, 400, "invalid_json", NULL,
                   "the request has no body; it must be a JSON object");
        return NULL;
    }
    if (!utf8_valid(text, x->body.length)) {
        api_refuse(error, 400, "invalid_utf8", NULL, "the request body is not valid UTF-8");
        return NULL;
    }
    json_t *value = json_parse("the request body", text, x->body.length, &err);
    if (!value)
        api_refuse(error, 400, "invalid_json", NULL, "%s", err.message);
    else if (!json_is_object(value))
        api_refuse(error, 400, "invalid_json", NULL, "the request body is not a JSON object");
    if (json_is_object(value))
        return value;
    json_decref(value);
    return NULL;
}
