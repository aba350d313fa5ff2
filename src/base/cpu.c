#include "base/cpu.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

static struct cpu_features features;
static pthread_once_t once = PTHREAD_ONCE_INIT;

#if defined(__x86_64__)
static unsigned long enabled_state(void)
{
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (unsigned long)high << 32 | low;
}

static void detect(void)
{
    unsigned a, b, c, d;
    if (__get_cpuid(0, &a, &b, &c, &d))
        features.amd = b == signature_AMD_ebx;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
        return;
    unsigned long state = enabled_state();
    bool ymm = (state & 0x6) == 0x6, zmm = (state & 0xE6) == 0xE6;
    bool tiles = (state & 0x60000) == 0x60000;
    bool fma = c & bit_FMA, f16c = c & bit_F16C;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return;
    features.avx2 = ymm && fma && f16c && (b & bit_AVX2);
    features.avx512 = features.avx2 && zmm && (b & bit_AVX512F) && (b & bit_AVX512BW) &&
                      (b & bit_AVX512VL) && (b & bit_AVX512DQ);
    features.avx512_vnni = features.avx512 && (c & 1u << 11);
    features.amx_bf16 = features.avx512 && tiles && (d & 1u << 22);
    features.amx_int8 = features.avx512 && tiles && (d & 1u << 25);
    if (__get_cpuid_count(7, 1, &a, &b, &c, &d)) {
        features.avx_vnni = features.avx2 && (a & 1u << 4);
        features.avx512_bf16 = features.avx512 && (a & 1u << 5);
    }
}
#elif defined(__aarch64__)
static void detect(void)
{
    unsigned long caps = getauxval(AT_HWCAP);
    features.neon = caps & HWCAP_ASIMD;
    features.neon_dotprod = caps & HWCAP_ASIMDDP;
}
#else
static void detect(void)
{
}
#endif

const struct cpu_features *cpu_features(void)
{
    pthread_once(&once, detect);
    return &features;
}

#if defined(__x86_64__)
static bool amx_permitted;

static void ask_for_amx(void)
{
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, TILE_DATA = 18 };
    amx_permitted = (cpu_features()->amx_int8 || cpu_features()->amx_bf16) &&
                    !syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA);
}

bool cpu_permit_amx(void)
{
    static pthread_once_t asked = PTHREAD_ONCE_INIT;
    pthread_once(&asked, ask_for_amx);
    return amx_permitted;
}
#else
bool cpu_permit_amx(void)
{
    return false;
}
#endif

void cpu_model_name(char *out, size_t size)
{
    snprintf(out, size, "unknown CPU");
    FILE *f = fopen("/proc/cpuinfo", "re");
    if (!f)
        return;
    char line[256];
    while (fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) || !colon)
            continue;
        colon[1 + strcspn(colon + 1, "\n")] = 0;
        snprintf(out, size, "%s", colon + 1 + strspn(colon + 1, " \t"));
        break;
    }
    fclose(f);
}

/* CPUs that the cgroup's quota pays for, rounded up; 0 where there is none. */
static size_t cgroup_quota(void)
{
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "re");
    long quota = 0, period = 0;
    if (!f)
        return 0;
    int fields = fscanf(f, "%ld %ld", &quota, &period);
    fclose(f);
    return fields == 2 && quota > 0 && period > 0 ? (size_t)((quota + period - 1) / period) : 0;
}

size_t cpu_count(void)
{
    cpu_set_t set;
    size_t count = 1, quota = cgroup_quota();
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        count = (size_t)CPU_COUNT(&set);
    return quota && quota < count ? quota : count;
}
