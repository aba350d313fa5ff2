#include "kernels/kernels.h"
#include "base/cpu.h"
#include "kernels/quant.h"
#include "kernels/tables.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TABLES = 4 };

/* What this CPU can run, best first, ending in NULL. */
static const struct kernels *tables[MAX_TABLES + 1];
static const char *names[MAX_TABLES + 1];
static char list[64]; /* "avx2, scalar", for messages */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void offer(const struct kernels *table, bool runs_here)
{
    size_t n = 0;
    while (tables[n])
        n++;
    if (!runs_here)
        return;
    tables[n] = table;
    names[n] = table->name;
    size_t used = strlen(list);
    snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", table->name);
}

#if defined(__x86_64__)
/* AVX-512, except for quantized products (quant.h) and those of attention. */
static struct kernels kernels_amx;
static struct attention_kernels attention_amx;

static void make_kernels_amx(void)
{
    kernels_amx = kernels_avx512;
    kernels_amx.name = "amx";
    if (!cpu_features()->amx_bf16)
        return;
    attention_amx = *kernels_avx512.attention[TYPE_F16];
    attention_use_amx(&attention_amx);
    kernels_amx.attention[TYPE_F16] = kernels_amx.attention[TYPE_Q8_0] = &attention_amx;
}
#endif

static void find_tables(void)
{
#if defined(__x86_64__)
    make_kernels_amx();
    offer(&kernels_amx, quant_amx_permitted());
    offer(&kernels_avx512, cpu_features()->avx512);
    offer(&kernels_avx2, cpu_features()->avx2);
#elif defined(__aarch64__)
    offer(&kernels_neon, cpu_features()->neon);
#endif
    offer(&kernels_scalar, true);
}

enum status kernels_select(const char *name, const struct kernels **kernels, struct error *err)
{
    pthread_once(&once, find_tables);
    const char *wanted = name ? name : getenv("TANDEM_ISA");
    for (size_t i = 0; tables[i]; i++) {
        if (!wanted || !*wanted || !strcmp(wanted, tables[i]->name)) {
            *kernels = tables[i];
            return STATUS_OK;
        }
    }
    return error_set(err, STATUS_INVALID, "%s\"%s\": no such kernels for this CPU; there are: %s",
                     name ? "" : "TANDEM_ISA=", wanted, list);
}

const char *const *kernels_available(void)
{
    pthread_once(&once, find_tables);
    return names;
}
