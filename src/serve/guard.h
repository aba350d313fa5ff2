/* Who may ask: API keys, and which web pages may reach the server through their readers' browsers.
 *
 * A browser lets every web page send requests to 127.0.0.1. Those that come from another origin
 * are refused unless --cors names it; and a server on a loopback address answers only where the
 * request names such a host, so that no foreign name can be made to point at it.
 */
#ifndef TANDEM_SERVE_GUARD_H
#define TANDEM_SERVE_GUARD_H

#include "serve/exchange.h"
#include "serve/serve.h"

struct guard;

/* Keeps digests of the keys, not the keys. */
enum status guard_create(const struct serve_options *options, struct guard **guard,
                         struct error *err);
void guard_free(struct guard *guard);
/* False with x->refusal filled: 401 or 403. is_local: the server listens on a loopback address;
 * is_open: what is asked for needs no key. */
bool guard_admit(const struct guard *guard, struct exchange *x, bool is_local, bool is_open);

#endif
