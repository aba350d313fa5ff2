/* GET /machine: what the server runs on. */
#include "eval/environment.h"
#include "serve/server_internal.h"

void api_machine(struct exchange *x)
{
    struct environment e;
    environment_read(&e);
    exchange_reply_json(x, 200,
                        json_pack("{s:s, s:s, s:s, s:I, s:I, s:s, s:s}", "tandem", e.version, "cpu",
                                  e.cpu, "architecture", e.architecture, "cpus",
                                  (json_int_t)e.n_cpus, "memory_bytes",
                                  (json_int_t)(e.memory_limit ? e.memory_limit : e.memory_bytes),
                                  "system", e.system, "kernel", e.kernel));
}
