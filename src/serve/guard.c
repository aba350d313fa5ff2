#include "serve/guard.h"
#include "base/memory.h"
#include "base/sha256.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

struct digest {
    char hex[65];
};

struct guard {
    const struct serve_options *options;
    struct digest *keys;
    size_t n_keys;
};

enum status guard_create(const struct serve_options *options, struct guard **out, struct error *err)
{
    struct guard *g = mem_alloc(sizeof *g);
    *out = NULL;
    if (g)
        g->keys = mem_array(options->n_keys, sizeof *g->keys);
    if (!g || !g->keys) {
        mem_free(g);
        return error_memory(err, "the keys");
    }
    g->options = options;
    g->n_keys = options->n_keys;
    for (size_t i = 0; i < g->n_keys; i++)
        sha256_hex(options->keys[i], strlen(options->keys[i]), g->keys[i].hex);
    *out = g;
    return STATUS_OK;
}

void guard_free(struct guard *g)
{
    if (!g)
        return;
    mem_free(g->keys);
    mem_free(g);
}

/* --- Keys --- */

/* Takes the same time whichever key is right, and however much of a wrong one is. */
static bool is_known(const struct guard *g, const char *key)
{
    struct digest asked;
    unsigned found = 0;
    sha256_hex(key, strlen(key), asked.hex);
    for (size_t i = 0; i < g->n_keys; i++) {
        unsigned difference = 0;
        for (size_t j = 0; j < sizeof asked.hex; j++)
            difference |= (unsigned char)(asked.hex[j] ^ g->keys[i].hex[j]);
        found |= difference == 0;
    }
    return found;
}

static bool check_key(const struct guard *g, struct exchange *x)
{
    const char *value = exchange_header(x, "Authorization");
    bool is_bearer = value && !strncasecmp(value, "Bearer ", 7);
    if (g->n_keys == 0 || (is_bearer && is_known(g, value + 7)))
        return true;
    return api_refuse(&x->refusal, 401, "invalid_api_key", NULL,
                      is_bearer ? "this API key is not known here"
                                : "this server needs an API key: Authorization: Bearer KEY");
}

/* --- Browsers --- */

/* How long the host of "host", "host:80", "[::1]" or "[::1]:80" is; 0 for what is none of these. */
static size_t host_length(const char *authority)
{
    size_t n = strcspn(authority, *authority == '[' ? "]" : ":");
    n += authority[n] == ']';
    const char *port = authority + n;
    bool ok = !*port || (*port == ':' && !port[1 + strspn(port + 1, "0123456789")]);
    return ok ? n : 0;
}

static bool is_name(const char *host, size_t n, const char *name)
{
    return strlen(name) == n && !strncasecmp(host, name, n);
}

/* "localhost", "a.localhost", 127.0.0.0/8, "[::1]". */
static bool is_local_name(const char *host, size_t n)
{
    static const char suffix[] = ".localhost";
    size_t m = sizeof suffix - 1;
    char text[16];
    struct in_addr address;
    if (is_name(host, n, "localhost") || is_name(host, n, "[::1]") ||
        (n > m && is_name(host + n - m, m, suffix)))
        return true;
    snprintf(text, sizeof text, "%.*s", n < sizeof text ? (int)n : 0, host);
    return inet_aton(text, &address) && ntohl(address.s_addr) >> 24 == 127;
}

static bool check_host(const struct guard *g, struct exchange *x)
{
    const char *host = *x->authority ? x->authority : exchange_header(x, "Host");
    size_t n = host ? host_length(host) : 0;
    if (!host || is_local_name(host, n))
        return true;
    for (size_t i = 0; i < g->options->n_hosts; i++)
        if (is_name(host, n, g->options->hosts[i]))
            return true;
    return api_refuse(&x->refusal, 403, "host_not_allowed", NULL,
                      "this server answers to localhost only, not to \"%s\"; --allow-host adds a "
                      "name",
                      host);
}

static bool check_origin(const struct guard *g, struct exchange *x)
{
    const char *origin = exchange_header(x, "Origin"), *host = exchange_header(x, "Host");
    const char *allowed = g->options->cors_origin;
    if (!origin || (allowed && (!strcmp(allowed, "*") || !strcmp(allowed, origin))))
        return true;
    const char *name = strstr(origin, "://");
    if (name && host && !strcasecmp(name + 3, host))
        return true;
    return api_refuse(&x->refusal, 403, "origin_not_allowed", NULL,
                      "web pages of %s may not use this server; --cors allows an origin", origin);
}

bool guard_admit(const struct guard *g, struct exchange *x, bool is_local, bool is_open)
{
    return (!is_local || check_host(g, x)) && check_origin(g, x) && (is_open || check_key(g, x));
}
