#include "kernels/tensor_type.h"
#include "base/memory.h"

#include <strings.h>

static const struct tensor_type_info infos[TYPE_COUNT] = {
    [TYPE_F32] = {"F32", 1, 4},       [TYPE_F16] = {"F16", 1, 2},
    [TYPE_BF16] = {"BF16", 1, 2},     [TYPE_Q4_0] = {"Q4_0", 32, 18},
    [TYPE_Q4_1] = {"Q4_1", 32, 20},   [TYPE_Q5_0] = {"Q5_0", 32, 22},
    [TYPE_Q5_1] = {"Q5_1", 32, 24},   [TYPE_Q8_0] = {"Q8_0", 32, 34},
    [TYPE_Q2_K] = {"Q2_K", 256, 84},  [TYPE_Q3_K] = {"Q3_K", 256, 110},
    [TYPE_Q4_K] = {"Q4_K", 256, 144}, [TYPE_Q5_K] = {"Q5_K", 256, 176},
    [TYPE_Q6_K] = {"Q6_K", 256, 210}, [TYPE_NF4] = {"NF4", 64, 36},
    [TYPE_FP4] = {"FP4", 64, 36},     [TYPE_INT8] = {"INT8", 64, 68},
};

const struct tensor_type_info *tensor_type_info(enum tensor_type type)
{
    return &infos[type];
}

bool tensor_type_parse(const char *name, enum tensor_type *type)
{
    for (int i = 0; i < TYPE_COUNT; i++) {
        if (!strcasecmp(name, infos[i].name)) {
            *type = (enum tensor_type)i;
            return true;
        }
    }
    return false;
}

bool tensor_type_bytes(enum tensor_type type, size_t n, size_t *bytes)
{
    const struct tensor_type_info *info = &infos[type];
    return n % info->block_length == 0 &&
           size_multiply(n / info->block_length, info->block_bytes, bytes);
}
