#include "train/merge.h"
#include "base/file.h"
#include "base/memory.h"
#include "kernels/kernels.h"
#include "train/export.h"

#include <string.h>

struct merge {
    const struct checkpoint *base;
    const struct kernels *kernels;
    const struct adapter_choice *sources;
    struct peft_adapter **adapters; /* [n] */
    size_t n;
    size_t n_merged;
};

/* The adapter's part in the tensor NAME.weight; NULL if it has none. */
static const struct peft_module *find_module(const struct peft_adapter *adapter, const char *tensor)
{
    static const char end[] = ".weight";
    char name[256];
    size_t length = strlen(tensor), tail = sizeof end - 1;
    if (length <= tail || length >= sizeof name || strcmp(tensor + length - tail, end))
        return NULL;
    memcpy(name, tensor, length - tail);
    name[length - tail] = 0;
    return peft_find(adapter, name);
}

/* row += factor * (row `r` of B) * A. */
static void add_module(const struct peft_module *m, size_t rank, double factor, size_t r,
                       float *row)
{
    for (size_t k = 0; k < rank; k++) {
        float b = (float)(factor * (double)m->b[r * rank + k]);
        for (size_t i = 0; i < m->in; i++)
            row[i] += b * m->a[k * m->in + i];
    }
}

static enum status give_rows(void *context, size_t index, size_t first, size_t n, void *values,
                             struct error *err)
{
    struct merge *merge = context;
    float *out = values;
    const struct tensor *t = checkpoint_tensor_at(merge->base, index);
    size_t columns = t->n_dims == 2 ? t->shape[1] : 1, row_bytes = t->bytes / t->shape[0];
    (void)err;
    merge->kernels->dequantize[t->type]((const uint8_t *)t->data + first * row_bytes, out,
                                        n * columns);
    for (size_t i = 0; i < merge->n; i++) {
        const struct peft_adapter *adapter = merge->adapters[i];
        const struct peft_module *m = find_module(adapter, t->name);
        for (size_t r = 0; m && r < n; r++)
            add_module(m, adapter->rank, adapter->scale * merge->sources[i].weight, first + r,
                       out + r * columns);
        merge->n_merged += m && first == 0;
    }
    return STATUS_OK;
}

static enum status write_merged(struct merge *merge, enum tensor_type type, const char *out,
                                struct error *err)
{
    size_t count = checkpoint_tensor_count(merge->base);
    struct tensor_plan *plans = mem_array(count, sizeof *plans);
    json_t *metadata = json_pack("{s:s}", "format", "pt");
    char *path = file_join(out, "model.safetensors");
    enum status status =
        plans && metadata && path ? STATUS_OK : error_memory(err, "the merged model");
    for (size_t i = 0; i < count && !status; i++) {
        const struct tensor *t = checkpoint_tensor_at(merge->base, i);
        plans[i] = (struct tensor_plan){.name = t->name, .type = type, .n_dims = t->n_dims};
        memcpy(plans[i].shape, t->shape, sizeof t->shape);
    }
    if (!status)
        status = safetensors_write(path, plans, count, metadata, give_rows, merge, err);
    json_decref(metadata);
    mem_free(plans);
    mem_free(path);
    return status;
}

static enum status merge_into(struct merge *merge, enum tensor_type type, const char *out,
                              struct error *err)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < merge->n && !status; i++) {
        status = peft_open(merge->sources[i].path, &merge->adapters[i], err);
        if (!status)
            status = peft_check(merge->adapters[i], merge->base, err);
    }
    if (!status)
        status = export_documents(checkpoint_path(merge->base), type, out, err);
    return status ? status : write_merged(merge, type, out, err);
}

enum status merge_adapters(const char *base, const struct adapter_choice *adapters, size_t n,
                           enum tensor_type type, const char *out, size_t *n_merged,
                           struct error *err)
{
    struct checkpoint *cp = NULL;
    struct merge merge = {.sources = adapters, .n = n};
    enum status status = kernels_select(NULL, &merge.kernels, err);
    if (!status)
        status = checkpoint_open(base, &cp, err);
    if (!status && checkpoint_format(cp) == CHECKPOINT_GGUF)
        status = error_set(err, STATUS_UNSUPPORTED,
                           "%s is a GGUF file; merging starts from a Hugging Face folder", base);
    merge.base = cp;
    merge.adapters = mem_array(n, sizeof *merge.adapters);
    if (!status && !merge.adapters)
        status = error_memory(err, "adapters");
    if (!status)
        status = merge_into(&merge, type, out, err);
    for (size_t i = 0; merge.adapters && i < n; i++)
        peft_close(merge.adapters[i]);
    mem_free(merge.adapters);
    checkpoint_close(cp);
    *n_merged = merge.n_merged;
    return status;
}
