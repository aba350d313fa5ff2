/* config.json and generation_config.json: one document read as each. */
#include "formats/hf_config.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hyperparameters h;
    struct generation_defaults g;
    struct error err = {0};
    json_t *config = json_parse("fuzz", (const char *)data, size, &err);
    if (!config)
        return 0;
    if (hf_config_read("fuzz", config, &h, &err) && !err.message[0])
        abort();
    if (!err.message[0] && (h.n_heads == 0 || h.n_kv_heads == 0 || h.rope.rotary_dim == 0))
        abort(); /* what divisions rely on */
    hf_generation_read("fuzz", config, "fuzz", config, &g, &err);
    json_decref(config);
    return 0;
}
