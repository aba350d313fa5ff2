#include "kernels/dense.h"
#include "base/cpu.h"

#include <stdlib.h>
#include <string.h>

static const char *wanted_name(const char *name)
{
    if (!name)
        name = getenv("TANDEM_ISA");
    return name && *name ? name : NULL;
}

const struct dense_kernels *dense_select(const char *name)
{
    name = wanted_name(name);
#if defined(__x86_64__) && !defined(TANDEM_DENSE_DOUBLE)
    const struct cpu_features *cpu = cpu_features();
    if (cpu->avx512 && (!name || !strcmp(name, "avx512") || !strcmp(name, "amx")))
        return &dense_avx512;
    if (cpu->avx2 && (!name || !strcmp(name, "avx2")))
        return &dense_avx2;
#endif
    (void)name;
    return &dense_scalar;
}

const struct dense_product *dense_select_bf16(const char *name)
{
    name = wanted_name(name);
#if defined(__x86_64__) && !defined(TANDEM_DENSE_DOUBLE)
    const struct cpu_features *cpu = cpu_features();
    bool amx = !name || !strcmp(name, "amx");
    if (amx && cpu->amx_bf16 && cpu->avx512_bf16 && cpu_permit_amx())
        return &dense_amx_bf16;
    if (cpu->avx512_bf16 && (amx || !strcmp(name, "avx512")))
        return &dense_avx512_bf16;
#endif
    return &dense_select(name)->rounded_product;
}
