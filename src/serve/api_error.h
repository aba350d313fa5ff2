/* Refusals in OpenAI's shape: {"error": {"message", "type", "param", "code"}}. */
#ifndef TANDEM_SERVE_API_ERROR_H
#define TANDEM_SERVE_API_ERROR_H

#include "base/error.h"
#include "base/json.h"

struct api_error {
    unsigned http;        /* status; 0: no error */
    const char *code;     /* a constant for programs: "unknown_parameter"; may be NULL */
    unsigned retry_after; /* seconds; 0: no such header */
    const char *allow;    /* methods that the path takes, for 405 */
    char param[64];       /* the field that is at fault; "" where none is */
    char message[sizeof((struct error *)0)->message];
};

/* Fills `e` and returns false, so that failing reads `return api_refuse(...)`. param may be NULL.
 */
bool api_refuse(struct api_error *e, unsigned http, const char *code, const char *param,
                const char *format, ...) __attribute__((format(printf, 5, 6)));
/* The library's error as an answer: its status decides the HTTP status. `param` is the field that
 * it is about, or NULL. Returns false. */
bool api_refuse_error(struct api_error *e, const char *param, const struct error *err);
/* {"error": {...}}; new reference. */
json_t *api_error_json(const struct api_error *e);

#endif
