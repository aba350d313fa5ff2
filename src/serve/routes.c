/* The paths that the server knows. */
#include "serve/page.h"
#include "serve/runs.h"
#include "serve/server_internal.h"

#include <string.h>

static const struct route routes[] = {
    {"GET", "/health", api_health, .is_open = true},
    {"GET", "/machine", api_machine},
    {"GET", "/metrics", api_metrics},
    {"GET", "/v1/models", api_models},
    {"POST", "/v1/chat/completions", api_chat_completions},
    {"POST", "/v1/completions", api_completions},
    {"POST", "/v1/embeddings", api_embeddings},
    {"POST", "/tokenize", api_tokenize},
    {"POST", "/detokenize", api_detokenize},
};

/* Paths that have more behind them, or stand for many. */
static const struct route *find_pattern(const char *path)
{
    static const struct route model = {"GET", API_MODEL_PATH, api_model};
    static const struct route runs = {"GET", "/runs", runs_reply};
    static const struct route page = {"GET", "/", page_reply, .is_open = true};
    if (!strncmp(path, API_MODEL_PATH, strlen(API_MODEL_PATH)))
        return &model;
    return runs_is_path(path) ? &runs : page_find(path) ? &page : NULL;
}

const struct route *route_find(bool is_preflight, const char *method, const char *path,
                               struct api_error *error)
{
    static const struct route preflight = {"OPTIONS", "*", api_preflight, .is_open = true};
    if (is_preflight)
        return &preflight;
    const struct route *route = find_pattern(path);
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        if (!strcmp(routes[i].path, path))
            route = &routes[i];
    if (!route) {
        api_refuse(error, 404, "not_found", NULL, "there is nothing at %s", path);
        return NULL;
    }
    bool is_get = !strcmp(route->method, "GET");
    if (!strcmp(route->method, method) || (is_get && !strcmp(method, "HEAD")))
        return route;
    api_refuse(error, 405, "method_not_allowed", NULL, "%s takes %s, not %s", path, route->method,
               method);
    error->allow = is_get ? "GET, HEAD" : route->method;
    return NULL;
}
