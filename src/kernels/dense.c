#include "kernels/dense.h"
#include "base/cpu.h"

#include <stdlib.h>
#include <string.h>

const struct dense_kernels *dense_select(const char *name)
{
    if (!name)
        name = getenv("TANDEM_ISA");
    bool any = !name || !*name;
#if defined(__x86_64__) && !defined(TANDEM_DENSE_DOUBLE)
    const struct cpu_features *cpu = cpu_features();
    if (cpu->avx512 && (any || !strcmp(name, "avx512") || !strcmp(name, "amx")))
        return &dense_avx512;
    if (cpu->avx2 && (any || !strcmp(name, "avx2")))
        return &dense_avx2;
#endif
    (void)any;
    return &dense_scalar;
}
