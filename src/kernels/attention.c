#include "kernels/attention.h"
#include "base/size.h"
#include "kernels/block_layout.h"

#include <string.h>

bool attention_supports(enum tensor_type type)
{
    return type == TYPE_F32 || type == TYPE_F16 || type == TYPE_Q8_0;
}

/* A few elements into a column of a table whose rows are KEY_PAGE of them. element_bytes: a
 * constant, once this is inlined. */
static inline __attribute__((always_inline)) void
scatter(const uint8_t *from, size_t n, const size_t element_bytes, uint8_t *column)
{
    for (size_t i = 0; i < n; i++)
        memcpy(column + i * KEY_PAGE * element_bytes, from + i * element_bytes, element_bytes);
}

static void store_block(const uint8_t *block, uint8_t *part, size_t slot)
{
    scatter(block + Q8_0_QS, BLOCK, 1, part + slot);
    memcpy(part + BLOCK * KEY_PAGE + slot * 2, block, 2);
}

void attention_store_key(enum tensor_type type, void (*quantize)(const float *, void *, size_t),
                         const float *key, size_t head_dim, void *page, size_t slot)
{
    uint8_t *to = page, stored[BLOCK * sizeof(float)];
    for (size_t d = 0; d < head_dim; d += BLOCK) {
        size_t n = size_min(head_dim - d, BLOCK);
        quantize(key + d, stored, n);
        if (type == TYPE_Q8_0)
            store_block(stored, to + d / BLOCK * Q8_0_BYTES * KEY_PAGE, slot);
        else if (type == TYPE_F16)
            scatter(stored, n, 2, to + (d * KEY_PAGE + slot) * 2);
        else
            scatter(stored, n, 4, to + (d * KEY_PAGE + slot) * 4);
    }
}
