/* The daemon: listening, the life of connections and requests, starting and stopping. */
#include "base/clock.h"
#include "base/memory.h"
#include "serve/framing.h"
#include "serve/server_internal.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEADER_BYTES = 64 << 10 };
static const double GRACE_SECONDS = 1; /* to read that an answer was cancelled */

const struct serve_options serve_defaults = {.engine = {.max_sequences = 16},
                                             .max_queue = 256,
                                             .host = "127.0.0.1",
                                             .port = 7860,
                                             .max_body = 8 << 20,
                                             .max_connections = 512,
                                             .receive_seconds = 30,
                                             .idle_seconds = 60,
                                             .answer_seconds = 600,
                                             .log_path = "server.log",
                                             .log_to_stderr = true};

/* --- Requests --- */

static void name_client(struct exchange *x)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    snprintf(x->client, sizeof x->client, "?");
    if (info && info->client_addr->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)info->client_addr)->sin_addr,
                  x->client, sizeof x->client);
    if (info && info->client_addr->sa_family == AF_INET6)
        inet_ntop(AF_INET6,
                  &((const struct sockaddr_in6 *)(const void *)info->client_addr)->sin6_addr,
                  x->client, sizeof x->client);
}

/* Clients are told apart by their key, or else by their address: where no keys are asked for, what
 * stands in the header is whatever a client likes to be taken for. */
static uint64_t hash_client(const struct exchange *x)
{
    const char *key = x->server->options.n_keys ? exchange_header(x, "Authorization") : NULL;
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (const char *p = key ? key : x->client; *p; p++)
        hash = (hash ^ (unsigned char)*p) * 1099511628211u;
    return hash;
}

/* Whether the request shall be answered, and by what. */
static void check_request(struct exchange *x, const char *method, const char *path,
                          const char *version)
{
    struct server *s = x->server;
    x->must_close = !framing_check(x->connection, version, &x->refusal);
    if (x->must_close)
        return;
    x->route =
        route_find(s->options.cors_origin && !strcmp(method, "OPTIONS"), method, path, &x->refusal);
    if (!guard_admit(s->guard, x, s->is_local, x->route && x->route->is_open))
        x->route = NULL;
    if (x->route && atomic_load(&s->draining) && !x->route->is_open) {
        api_refuse(&x->refusal, 503, "shutting_down", NULL,
                   "the server is shutting down and takes no new requests");
        x->refusal.retry_after = 5;
    }
}

/* Called with the first line of a request, before its head was looked at, so that what is wrong
 * with that has a line in the log, too. The exchange; NULL when out of memory. */
static void *begin_exchange(void *context, const char *target, struct MHD_Connection *connection)
{
    struct server *s = context;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct exchange *x = mem_alloc(sizeof *x);
    if (!x || !info || !info->socket_context) {
        mem_free(x);
        return NULL;
    }
    x->server = s;
    x->connection = connection;
    x->watch = info->socket_context;
    x->started = clock_seconds();
    x->body.limit = s->options.max_body;
    const char *path = framing_path(target, x->authority, sizeof x->authority);
    snprintf(x->path, sizeof x->path, "%.*s", (int)strcspn(path, "?"), path);
    snprintf(x->id, sizeof x->id, "req-%016llx",
             (unsigned long long)(s->id_seed + atomic_fetch_add(&s->n_requests, 1)));
    name_client(x);
    atomic_fetch_add(&s->active, 1);
    watch_deadline(x->watch, s->options.receive_seconds);
    return x;
}

static void refuse_size(struct exchange *x)
{
    api_refuse(&x->refusal, 413, "body_too_large", NULL,
               "the request body is larger than %zu bytes, which is the most this server takes",
               x->server->options.max_body);
}

/* A client that asks before it sends a body that is too large gets its answer at once. */
static bool is_too_large(const struct exchange *x)
{
    const char *expect = exchange_header(x, "Expect");
    const char *length = exchange_header(x, "Content-Length");
    return expect && length && strtoull(length, NULL, 10) > x->server->options.max_body;
}

/* The head has arrived. False where the connection is to be closed without a reply. */
static bool take_head(struct exchange *x, const char *method, const char *target,
                      const char *version)
{
    snprintf(x->method, sizeof x->method, "%s", method);
    x->client_key = hash_client(x);
    check_request(x, method, framing_path(target, x->authority, sizeof x->authority), version);
    if (!x->refusal.http && is_too_large(x))
        refuse_size(x), x->must_close = true;
    if (!x->must_close)
        return true;
    exchange_reply_error(x, &x->refusal);
    return x->status;
}

/* Keeps the body up to the limit; what a refused request sends is read and dropped, so that the
 * client gets to read why. */
static void take_body(struct exchange *x, const char *data, size_t size)
{
    if (x->refusal.http)
        return;
    if (size > x->server->options.max_body - x->body.length) {
        strbuf_free(&x->body);
        refuse_size(x);
    } else {
        strbuf_append(&x->body, data, size);
    }
}

static void answer(struct exchange *x)
{
    if (x->refusal.http) {
        exchange_reply_error(x, &x->refusal);
        return;
    }
    watch_answer(x->watch, x->server->options.answer_seconds);
    x->route->handle(x);
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *target, const char *method, const char *version,
                                  const char *data, size_t *size, void **holder)
{
    struct exchange *x = *holder;
    (void)context, (void)connection;
    if (!x)
        return MHD_NO;
    if (!*x->method)
        return take_head(x, method, target, version) ? MHD_YES : MHD_NO;
    if (*size > 0) {
        take_body(x, data, *size);
        *size = 0;
        return MHD_YES;
    }
    if (!x->status)
        answer(x);
    return MHD_YES;
}

/* --- The end of a request --- */

/* What the log tells of a request that nobody refused, but that did not end well. */
static void explain_end(struct exchange *x, enum MHD_RequestTerminationCode how)
{
    bool got_through = how == MHD_REQUEST_TERMINATED_COMPLETED_OK;
    bool has_left = how == MHD_REQUEST_TERMINATED_CLIENT_ABORT || watch_client_left(x->watch);
    if (x->refusal.http || (got_through && x->status))
        return;
    if (watch_was_cut(x->watch))
        api_refuse(&x->refusal, 408, "timeout", NULL,
                   "the client was too slow to send its request or to take the reply");
    else if (!x->status && !has_left) /* answered by the HTTP library */
        api_refuse(&x->refusal, 400, "malformed_request", NULL,
                   "the request is not HTTP, or its head is too large");
    else
        api_refuse(&x->refusal, 499, "client_left", NULL, "the client left");
}

static json_t *text(const char *bytes)
{
    return json_text(bytes, strlen(bytes));
}

static void set_seconds(json_t *line, const char *name, double seconds)
{
    json_object_set_new(line, name, json_real(seconds));
}

static void add_answer(json_t *line, const struct request_record *r)
{
    json_object_set_new(line, "stream", json_boolean(r->is_stream));
    json_object_set_new(line, "prompt_tokens", json_integer((json_int_t)r->prompt_tokens));
    json_object_set_new(line, "cached_tokens", json_integer((json_int_t)r->cached_tokens));
    json_object_set_new(line, "answer_tokens", json_integer((json_int_t)r->answer_tokens));
    set_seconds(line, "queue_seconds", r->queue_seconds);
    set_seconds(line, "prefill_seconds", r->prefill_seconds);
    set_seconds(line, "first_token_seconds", r->first_token_seconds);
    set_seconds(line, "decode_seconds", r->decode_seconds);
    json_object_set_new(line, "finish", json_string(r->finish));
}

/* Why a request failed. Messages of wrong requests may quote the request: they are left out
 * unless prompts may be logged. */
static void add_error(json_t *line, const struct exchange *x)
{
    const struct api_error *e = &x->refusal;
    bool may_quote = e->http < 500 && !x->server->options.log_prompts;
    if (e->code)
        json_object_set_new(line, "code", json_string(e->code));
    if (*e->param && !may_quote)
        json_object_set_new(line, "param", text(e->param));
    if (!may_quote)
        json_object_set_new(line, "error", text(e->message));
}

static void log_request(const struct exchange *x, unsigned status)
{
    json_t *line =
        json_pack("{s:s, s:s, s:o, s:o, s:i}", "id", x->id, "client", x->client, "method",
                  text(x->method), "path", text(x->path), "status", (int)status);
    set_seconds(line, "seconds", clock_seconds() - x->started);
    if (*x->record.model)
        json_object_set_new(line, "model", json_string(x->record.model));
    if (x->record.has_answer)
        add_answer(line, &x->record);
    if (x->refusal.http)
        add_error(line, x);
    if (x->server->options.log_prompts && x->body.length > 0)
        json_object_set_new(line, "body", json_text(strbuf_text(&x->body), x->body.length));
    access_log_write(x->server->log, line);
}

static void on_completed(void *context, struct MHD_Connection *connection, void **holder,
                         enum MHD_RequestTerminationCode how)
{
    struct server *s = context;
    struct exchange *x = *holder;
    (void)connection;
    if (!x)
        return;
    *holder = NULL;
    if (x->free_state)
        x->free_state(x->state);
    explain_end(x, how);
    unsigned status = x->refusal.http ? x->refusal.http : x->status;
    atomic_fetch_add(&s->statuses[status < MAX_STATUS ? status : 0], 1);
    log_request(x, status);
    watch_deadline(x->watch, s->options.idle_seconds);
    strbuf_free(&x->body);
    strbuf_free(&x->piece);
    mem_free(x);
    atomic_fetch_sub(&s->active, 1);
}

static void on_connection(void *context, struct MHD_Connection *connection, void **holder,
                          enum MHD_ConnectionNotificationCode code)
{
    struct server *s = context;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        watch_end(*holder);
        *holder = NULL;
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    *holder = info ? watch_begin(s->watcher, info->connect_fd, s->options.idle_seconds) : NULL;
}

/* --- Starting --- */

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
        return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    }
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;
    return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

static void write_url(struct server *s)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    char host[64] = "?", port[16] = "?";
    if (!getsockname(s->listener, (struct sockaddr *)&address, &length)) {
        getnameinfo((struct sockaddr *)&address, length, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV);
        s->is_local = is_loopback((struct sockaddr *)&address);
    }
    bool is_v6 = strchr(host, ':') != NULL;
    snprintf(s->url, sizeof s->url, "%s://%s%s%s:%s", s->options.certificate ? "https" : "http",
             is_v6 ? "[" : "", host, is_v6 ? "]" : "", port);
}

static int listen_at(const struct addrinfo *address)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (!bind(fd, address->ai_addr, address->ai_addrlen) && !listen(fd, SOMAXCONN))
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static enum status open_listener(struct server *s, struct error *err)
{
    const struct serve_options *o = &s->options;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *addresses;
    char port[24];
    snprintf(port, sizeof port, "%zu", o->port);
    int code = getaddrinfo(o->host, port, &hints, &addresses);
    if (code)
        return error_set(err, STATUS_INVALID, "--host %s --port %s: %s", o->host, port,
                         gai_strerror(code));
    s->listener = listen_at(addresses);
    freeaddrinfo(addresses);
    if (s->listener < 0 && errno == EADDRINUSE)
        return error_set(err, STATUS_IO,
                         "port %s of %s is in use: another program (or another tandem) listens "
                         "there; --port picks another",
                         port, o->host);
    if (s->listener < 0)
        return error_errno(err, "cannot listen on port %s of %s", port, o->host);
    write_url(s);
    return STATUS_OK;
}

/* Escapes in paths stay as they are ("/%00x" is not "/"); api_model() alone looks at them. */
static size_t keep_escapes(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context, (void)connection;
    return strlen(text);
}

/* For MHD_OPTION_ARRAY: of certificate and key, where there are any. */
struct tls_options {
    struct MHD_OptionItem items[3];
};

static struct tls_options tls_options(const struct serve_options *o)
{
    if (!o->certificate)
        return (struct tls_options){{{MHD_OPTION_END, 0, NULL}}};
    return (struct tls_options){{{MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)o->certificate},
                                 {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)o->private_key},
                                 {MHD_OPTION_END, 0, NULL}}};
}

/* Whether a daemon starts with them, before models take their time to load. */
static enum status check_tls(const struct serve_options *o, struct error *err)
{
    struct tls_options tls = tls_options(o);
    if (!o->certificate)
        return STATUS_OK;
    struct MHD_Daemon *trial =
        MHD_start_daemon(MHD_USE_TLS | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL, on_request, NULL,
                         MHD_OPTION_ARRAY, tls.items, MHD_OPTION_END);
    if (!trial)
        return error_set(err, STATUS_INVALID,
                         "cannot start with TLS: are the certificate and the key in PEM format, "
                         "and do they belong together?");
    MHD_stop_daemon(trial);
    return STATUS_OK;
}

static enum status start_daemon(struct server *s, struct error *err)
{
    const struct serve_options *o = &s->options;
    struct tls_options tls = tls_options(o);
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION |
                     MHD_USE_POLL | MHD_USE_ITC;
    if (o->certificate)
        flags |= MHD_USE_TLS;
    s->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, s, MHD_OPTION_LISTEN_SOCKET, s->listener,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
        s, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADER_BYTES, MHD_OPTION_UNESCAPE_CALLBACK,
        keep_escapes, NULL, MHD_OPTION_URI_LOG_CALLBACK, begin_exchange, s,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)o->max_connections, MHD_OPTION_ARRAY, tls.items,
        MHD_OPTION_END);
    if (!s->daemon)
        return error_set(err, STATUS_IO, "cannot start the HTTP server");
    s->listener = -1; /* the daemon's now */
    return STATUS_OK;
}

enum status server_start(const struct serve_options *options, struct server **out,
                         struct error *err)
{
    *out = NULL;
    struct server *s = mem_alloc(sizeof *s);
    if (!s)
        return error_memory(err, "the server");
    s->options = *options;
    s->listener = -1;
    if (getrandom(&s->id_seed, sizeof s->id_seed, 0) != sizeof s->id_seed)
        s->id_seed = (uint64_t)(clock_seconds() * 1e9);
    enum status status = check_tls(options, err);
    if (!status)
        status = open_listener(s, err);
    if (!status)
        status = access_log_open(s->options.log_path, s->options.log_to_stderr, &s->log, err);
    if (!status)
        status = registry_create(&s->options, s->log, &s->registry, err);
    if (!status)
        status = guard_create(&s->options, &s->guard, err);
    if (!status)
        status = watcher_create(&s->watcher, err);
    if (!status)
        status = start_daemon(s, err);
    if (status) {
        server_stop(s);
        return status;
    }
    *out = s;
    return STATUS_OK;
}

const char *server_url(const struct server *s)
{
    return s->url;
}

bool server_is_local(const struct server *s)
{
    return s->is_local;
}

void server_drain(struct server *s)
{
    atomic_store(&s->draining, true);
    /* The daemon's thread may hold the socket for a while yet: it is closed when that has ended,
     * but from here on refuses connections. */
    s->listener = MHD_quiesce_daemon(s->daemon);
    if (s->listener >= 0)
        shutdown(s->listener, SHUT_RDWR);
}

size_t server_active(const struct server *s)
{
    return atomic_load(&s->active);
}

/* Answers are cancelled; their clients are told so, as far as they read. */
static void end_answers(struct server *s)
{
    static const struct timespec tick = {.tv_nsec = 10000000};
    double deadline = clock_seconds() + GRACE_SECONDS;
    watcher_cancel_all(s->watcher);
    while (server_active(s) > 0 && clock_seconds() < deadline)
        nanosleep(&tick, NULL);
}

void server_stop(struct server *s)
{
    if (!s)
        return;
    if (s->daemon)
        end_answers(s);
    if (s->daemon)
        MHD_stop_daemon(s->daemon);
    if (s->listener >= 0)
        close(s->listener);
    watcher_free(s->watcher);
    guard_free(s->guard);
    registry_free(s->registry);
    access_log_close(s->log);
    mem_free(s);
}
