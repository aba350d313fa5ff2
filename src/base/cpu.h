/* What this CPU can do. Read once; x86-64 and AArch64. */
#ifndef TANDEM_BASE_CPU_H
#define TANDEM_BASE_CPU_H

#include <stdbool.h>
#include <stddef.h>

struct cpu_features {
    bool avx2; /* AVX2, FMA and F16C */
    bool avx_vnni;
    bool avx512; /* AVX-512 F, BW, VL and DQ */
    bool avx512_vnni, avx512_bf16, amx_int8, amx_bf16;
    bool neon, neon_dotprod;
    bool amd; /* which wants memory to be asked for in another way (kernels/fetch.h) */
};
/* Features that the CPU has and the operating system has enabled. */
const struct cpu_features *cpu_features(void);
/* Asks the system, once, to let this process use AMX; threads configure their own tiles. */
bool cpu_permit_amx(void);
/* "Intel(R) Xeon(R) ..." from the system; "unknown CPU" where it does not tell. */
void cpu_model_name(char *out, size_t size);
/* CPUs that this process may use (affinity and, under cgroups, the quota). At least 1. */
size_t cpu_count(void);

#endif
