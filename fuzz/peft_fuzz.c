/* LoRA adapters: two bytes that say how long the configuration is, the configuration, and the
 * rest as adapter_model.safetensors. */
#include "formats/peft.h"
#include "base/memory.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile float sink; /* so that what was read is used */

static void write_file(const char *folder, const char *name, const uint8_t *data, size_t size)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char folder[] = "/tmp/peft_fuzz.XXXXXX";
    static const char *made;
    struct peft_adapter *adapter;
    struct error err = {0};
    if (!made && !(made = mkdtemp(folder)))
        abort();
    size_t config = size < 2 ? 0 : data[0] | (size_t)data[1] << 8;
    if (size < 2 || config > size - 2)
        return 0;
    write_file(made, "adapter_config.json", data + 2, config);
    write_file(made, "adapter_model.safetensors", data + 2 + config, size - 2 - config);
    if (peft_open(made, &adapter, &err)) {
        if (!err.message[0])
            abort();
        return 0;
    }
    float sum = 0;
    for (size_t i = 0; i < adapter->n_modules; i++) {
        const struct peft_module *m = &adapter->modules[i];
        for (size_t j = 0; j < m->in * adapter->rank; j++)
            sum += m->a[j];
        for (size_t j = 0; j < m->out * adapter->rank; j++)
            sum += m->b[j];
    }
    sink = sum;
    peft_close(adapter);
    return 0;
}
