#include "serve/framing.h"
#include "base/size.h"

#include <microhttpd.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct head {
    unsigned n_hosts, n_lengths, n_codings;
    bool is_chunked, has_bad_name;
};

static enum MHD_Result take_header(void *context, enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
    struct head *head = context;
    (void)kind;
    head->n_hosts += !strcasecmp(name, "Host");
    head->n_lengths += !strcasecmp(name, "Content-Length");
    if (!strcasecmp(name, "Transfer-Encoding")) {
        head->n_codings++;
        head->is_chunked = value && !strcasecmp(value, "chunked");
    }
    head->has_bad_name |= !*name || name[strcspn(name, " \t")];
    return MHD_YES;
}

static bool refuse(struct api_error *error, const char *why)
{
    return api_refuse(error, 400, "malformed_request", NULL, "the request's head is ambiguous: %s",
                      why);
}

bool framing_check(struct MHD_Connection *connection, const char *version, struct api_error *error)
{
    struct head head = {0};
    MHD_get_connection_values(connection, MHD_HEADER_KIND, take_header, &head);
    if (head.has_bad_name)
        return refuse(error, "a header's name has blanks");
    if (head.n_lengths + head.n_codings > 1)
        return refuse(error, "it states its length more than once");
    if (head.n_codings && !head.is_chunked)
        return refuse(error, "its Transfer-Encoding is not \"chunked\"");
    if (head.n_hosts > 1 || (!head.n_hosts && !strcmp(version, "HTTP/1.1")))
        return refuse(error, "it has no Host, or several");
    return true;
}

const char *framing_path(const char *target, char *authority, size_t size)
{
    const char *host = strstr(target, "://");
    *authority = 0;
    if (*target == '/' || !host)
        return target;
    host += strlen("://");
    size_t n = strcspn(host, "/");
    snprintf(authority, size, "%.*s", (int)size_min(n, size), host);
    return host[n] ? host + n : "/";
}
