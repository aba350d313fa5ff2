/* Quantized weights: the JSON of a quant_state, or a safetensors file whose parts are put together;
 * every byte of every weight that comes out is read. */
#include "formats/bitsandbytes.h"
#include "formats/safetensors.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct reader {
    struct checkpoint *cp;
    struct bnb_parts parts;
};

static enum status add_part(void *context, const struct tensor *tensor, struct error *err)
{
    struct reader *reader = context;
    struct tensor copy = *tensor;
    copy.name = arena_copy_string(&reader->cp->arena, tensor->name, strlen(tensor->name));
    return copy.name ? bnb_parts_add(&reader->parts, &copy, err) : error_memory(err, "a name");
}

static void read_all(const struct checkpoint *cp)
{
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < checkpoint_tensor_count(cp); i++) {
        const struct tensor *t = checkpoint_tensor_at(cp, i);
        for (size_t b = 0; b < t->bytes; b++)
            sum = (uint8_t)(sum + ((const uint8_t *)t->data)[b]);
    }
}

static void assemble(const uint8_t *data, size_t size)
{
    struct error err = {0};
    struct reader reader = {.cp = mem_alloc(sizeof *reader.cp)};
    uint8_t *copy = mem_copy(data, size); /* pages are let go: not the fuzzer's own */
    if (!reader.cp || !copy || !(reader.cp->path = mem_copy_string("fuzz")))
        abort();
    enum status status = safetensors_read_bytes("fuzz", copy, size, add_part, &reader, &err);
    if (!status)
        status = bnb_assemble(reader.cp, &reader.parts, &err);
    if (status && !err.message[0])
        abort();
    if (!status)
        read_all(reader.cp);
    bnb_parts_free(&reader.parts);
    checkpoint_close(reader.cp);
    mem_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    struct bnb_quant_state state;
    if (size && data[0] != '{')
        assemble(data, size);
    else if (bnb_quant_state_read("fuzz", (const char *)data, size, &state, &err) &&
             !err.message[0])
        abort();
    return 0;
}
