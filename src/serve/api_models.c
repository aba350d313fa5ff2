/* GET /v1/models, /v1/models/NAME and /health. */
#include "base/utf8.h"
#include "serve/server_internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

void api_models(struct exchange *x)
{
    exchange_reply_json(x, 200, registry_list(x->server->registry));
}

/* A segment of a path, in place: "a%3Ab" is "a:b". False for what is no text. */
static bool unescape(char *text)
{
    char *out = text;
    for (const char *in = text; *in; in++) {
        char digits[3] = {0};
        if (*in != '%') {
            *out++ = *in;
            continue;
        }
        if (!isxdigit((unsigned char)in[1]) || !isxdigit((unsigned char)in[2]))
            return false;
        memcpy(digits, in + 1, 2);
        *out++ = (char)strtol(digits, NULL, 16);
        in += 2;
    }
    *out = 0;
    return utf8_valid(text, (size_t)(out - text));
}

void api_model(struct exchange *x)
{
    struct api_error error = {0};
    char name[sizeof x->path];
    memcpy(name, x->path, sizeof name);
    char *model = name + strlen(API_MODEL_PATH);
    json_t *entry = unescape(model) ? registry_describe(x->server->registry, model, &error) : NULL;
    if (!entry && !error.http)
        api_refuse(&error, 404, "model_not_found", "model", "the model's name is not UTF-8");
    if (entry)
        exchange_reply_json(x, 200, entry);
    else
        exchange_reply_error(x, &error);
}

/* What is allowed stands in headers that every reply has. */
void api_preflight(struct exchange *x)
{
    exchange_reply(x, 204, "text/plain", "", 0);
}

void api_health(struct exchange *x)
{
    bool draining = atomic_load(&x->server->draining);
    exchange_reply_json(x, draining ? 503 : 200,
                        json_pack("{s:s}", "status", draining ? "shutting down" : "ok"));
}
