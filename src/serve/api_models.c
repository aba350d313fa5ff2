/* GET /v1/models and GET /health. */
#include "serve/server_internal.h"

void api_models(struct exchange *x)
{
    exchange_reply_json(x, 200, registry_list(x->server->registry));
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
