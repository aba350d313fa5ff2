/* Whether the head of a request means one thing only.
 *
 * Where a proxy and the server disagree on where a request ends, or whom it is for, the rest of
 * its bytes becomes a request that the proxy never saw. What can be read in two ways is refused,
 * and the connection closed.
 */
#ifndef TANDEM_SERVE_FRAMING_H
#define TANDEM_SERVE_FRAMING_H

#include "serve/api_error.h"

struct MHD_Connection;

/* False with `error` filled (400): lengths that contradict each other, a transfer coding other
 * than chunked, a header name with blanks, and in HTTP/1.1 no Host or several. */
bool framing_check(struct MHD_Connection *connection, const char *version, struct api_error *error);

/* The path of a request's target, which is "/path" or, as proxies are asked, "http://host/path";
 * `authority` gets the host ("" where there is none). */
const char *framing_path(const char *target, char *authority, size_t size);

#endif
