#include "model/quantized.h"
#include "base/memory.h"
#include "formats/names.h"
#include "kernels/bitsandbytes.h"
#include "kernels/convert.h"
#include "kernels/double_quant.h"

#include <string.h>

struct quantizer {
    struct checkpoint *checkpoint;
    const struct recipe *recipe;
    struct converter converter;
    char *at; /* where the next matrix goes */
    struct error *err;
};

static bool is_matrix(const struct tensor *t)
{
    return t->n_dims == 2 && t->bytes && names_is_weight(t->name);
}

static enum tensor_type type_of(const struct quantizer *q, const struct tensor *t)
{
    return recipe_type(q->recipe, checkpoint_hyperparameters(q->checkpoint), t);
}

/* Bytes of what is converted; whole cache lines for each matrix. */
static enum status count_bytes(const struct quantizer *q, size_t *total)
{
    *total = 0;
    for (size_t i = 0; i < checkpoint_tensor_count(q->checkpoint); i++) {
        const struct tensor *t = checkpoint_tensor_at(q->checkpoint, i);
        size_t bytes;
        if (!is_matrix(t))
            continue;
        if (t->type > TYPE_BF16)
            return error_set(q->err, STATUS_UNSUPPORTED,
                             "%s: tensor %s is %s already; weights are quantized as they are "
                             "loaded from F32, F16 or BF16 only",
                             t->file, t->name, tensor_type_info(t->type)->name);
        if (type_of(q, t) == t->type)
            continue;
        if (!tensor_type_bytes(type_of(q, t), t->shape[0] * t->shape[1], &bytes) ||
            !size_add(*total, (bytes + 63) / 64 * 64, total))
            return error_memory(q->err, "the quantized weights");
    }
    return STATUS_OK;
}

/* Replaces each scale by what double quantization leaves of it. */
static enum status round_scales(struct quantizer *q, uint8_t *blocks, size_t n)
{
    float map[DYNAMIC_VALUES], offset;
    float *scales = mem_array(n, sizeof *scales);
    float *nested = mem_array(n / NESTED_BLOCK + 1, sizeof *nested);
    uint8_t *codes = mem_array(n, 1);
    bool ok = scales && nested && codes;
    for (size_t i = 0; ok && i < n; i++)
        scales[i] = bnb_scale(blocks + i * FOUR_BIT_BYTES);
    dynamic_map(map);
    if (ok)
        double_quantize(scales, n, map, codes, nested, &offset);
    for (size_t i = 0; ok && i < n; i++) {
        float scale = double_dequantize(map, codes[i], nested[i / NESTED_BLOCK], offset);
        memcpy(blocks + i * FOUR_BIT_BYTES, &scale, sizeof scale);
    }
    mem_free(scales);
    mem_free(nested);
    mem_free(codes);
    return ok ? STATUS_OK : error_memory(q->err, "scales");
}

static enum status convert(struct quantizer *q, size_t index)
{
    const struct tensor *t = checkpoint_tensor_at(q->checkpoint, index);
    struct conversion c = {.from = t->type,
                           .to = type_of(q, t),
                           .source = t->data,
                           .target = q->at,
                           .n_rows = t->shape[0],
                           .cols = t->shape[1]};
    size_t n = c.n_rows * c.cols, bytes;
    if (c.to == c.from)
        return STATUS_OK;
    if (convert_rows(&q->converter, &c, q->err))
        return error_prefix(q->err, "%s: tensor %s", t->file, t->name);
    enum status status = STATUS_OK;
    if (q->recipe->doubly && c.to == q->recipe->base)
        status = round_scales(q, c.target, n / BNB_BLOCK);
    if (status)
        return status;
    mem_drop_mapped(t->data, t->bytes);
    tensor_type_bytes(c.to, n, &bytes);
    checkpoint_set_data(q->checkpoint, index, c.to, q->at, bytes);
    q->at += (bytes + 63) / 64 * 64;
    return STATUS_OK;
}

enum status quantized_weights_make(struct checkpoint *checkpoint, const struct recipe *recipe,
                                   const struct compute *compute, struct quantized_weights *weights,
                                   struct error *err)
{
    struct quantizer q = {.checkpoint = checkpoint,
                          .recipe = recipe,
                          .converter = {.kernels = compute->kernels, .pool = compute->pool},
                          .err = err};
    enum status status = count_bytes(&q, &weights->bytes);
    if (status || !weights->bytes)
        return status;
    weights->memory = mem_map(weights->bytes);
    if (!weights->memory)
        return error_memory(err, "the quantized weights");
    q.at = weights->memory;
    for (size_t i = 0; i < checkpoint_tensor_count(checkpoint) && !status; i++)
        if (is_matrix(checkpoint_tensor_at(checkpoint, i)))
            status = convert(&q, i);
    converter_free(&q.converter);
    return status;
}

void quantized_weights_free(struct quantized_weights *weights)
{
    mem_unmap(weights->memory, weights->bytes);
    *weights = (struct quantized_weights){0};
}
