/* GGUF: the container, and what its metadata say of a model and its vocabulary. */
#include "base/memory.h"
#include "formats/gguf.h"
#include "formats/gguf_model.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use_tensors(const struct gguf *gguf, const uint8_t *data)
{
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < gguf->n_tensors; i++) {
        const struct gguf_tensor *t = &gguf->tensors[i];
        for (size_t j = 0; j < t->bytes; j++)
            sum = (uint8_t)(sum + data[t->offset + j]);
    }
}

static void use_model(const struct gguf *gguf)
{
    struct hyperparameters h;
    struct generation_defaults generation;
    struct vocab_source vocab = {.name = "fuzz", .eos_id = -1, .bos_id = -1};
    struct arena arena = {0};
    struct error err = {0};
    gguf_read_hyperparameters(gguf, &h, &err);
    if (!gguf_read_vocab(gguf, &arena, &vocab, &err))
        gguf_read_generation(gguf, &vocab, &generation, &err);
    arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gguf gguf;
    struct error err = {0};
    if (gguf_parse("fuzz", data, size, &gguf, &err)) {
        if (!err.message[0])
            abort();
        return 0;
    }
    for (size_t i = 0; i < gguf.n_entries; i++) {
        struct strbuf text = {.limit = 1 << 16};
        gguf_print_value(&gguf.entries[i].value, &text);
        strbuf_free(&text);
    }
    use_tensors(&gguf, data);
    use_model(&gguf);
    gguf_free(&gguf);
    return 0;
}
