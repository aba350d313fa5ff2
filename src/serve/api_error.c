#include "serve/api_error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool api_refuse(struct api_error *e, unsigned http, const char *code, const char *param,
                const char *format, ...)
{
    struct error text = {0};
    char message[sizeof e->message];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    error_set(&text, STATUS_INVALID, "%s", message); /* without control characters */
    *e = (struct api_error){.http = http, .code = code};
    memcpy(e->message, text.message, sizeof e->message);
    snprintf(e->param, sizeof e->param, "%s", param ? param : "");
    return false;
}

bool api_refuse_error(struct api_error *e, const char *param, const struct error *err)
{
    switch (err->status) {
    case STATUS_LIMIT:
        return api_refuse(e, 400, "context_length_exceeded", param, "%s", err->message);
    case STATUS_INVALID:
    case STATUS_FORMAT:
        return api_refuse(e, 400, "invalid_value", param, "%s", err->message);
    case STATUS_UNSUPPORTED:
        return api_refuse(e, 400, "unsupported_value", param, "%s", err->message);
    case STATUS_NOT_FOUND:
        return api_refuse(e, 404, "not_found", param, "%s", err->message);
    case STATUS_MEMORY:
        api_refuse(e, 503, "out_of_memory", NULL, "%s", err->message);
        e->retry_after = 5;
        return false;
    default:
        return api_refuse(e, 500, "internal_error", NULL, "%s", err->message);
    }
}

static const char *type_of(unsigned http)
{
    if (http == 401)
        return "authentication_error";
    if (http == 429)
        return "rate_limit_error";
    return http >= 500 ? "server_error" : "invalid_request_error";
}

json_t *api_error_json(const struct api_error *e)
{
    json_t *param = *e->param ? json_text(e->param, strlen(e->param)) : json_null();
    return json_pack("{s:{s:o, s:s, s:o, s:s?}}", "error", "message",
                     json_text(e->message, strlen(e->message)), "type", type_of(e->http), "param",
                     param, "code", e->code);
}
