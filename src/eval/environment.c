#include "eval/environment.h"
#include "base/cpu.h"
#include "base/file.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

/* PRETTY_NAME="Debian GNU/Linux 13 (trixie)" of os-release(5), without the quotes. */
static void read_system_name(char *out, size_t size)
{
    FILE *f = fopen("/etc/os-release", "re");
    char line[512];
    static const char key[] = "PRETTY_NAME=";
    snprintf(out, size, "unknown");
    while (f && fgets(line, sizeof line, f)) {
        if (strncmp(line, key, sizeof key - 1))
            continue;
        char *value = line + sizeof key - 1;
        value += *value == '"';
        value[strcspn(value, "\"\n")] = 0;
        snprintf(out, size, "%.100s", value);
    }
    if (f)
        fclose(f);
}

/* The memory limit of control groups, versions 2 and 1. "max" and huge numbers mean none. */
static size_t read_memory_limit(size_t physical)
{
    static const char *const paths[] = {"/sys/fs/cgroup/memory.max",
                                        "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        FILE *f = fopen(paths[i], "re");
        char line[64];
        size_t limit = f && fgets(line, sizeof line, f) ? strtoull(line, NULL, 10) : 0;
        if (f)
            fclose(f);
        if (limit && limit < physical)
            return limit;
    }
    return 0;
}

void environment_read(struct environment *e)
{
    struct utsname names;
    *e = (struct environment){.n_cpus = cpu_count(), .memory_bytes = mem_physical()};
    cpu_model_name(e->cpu, sizeof e->cpu);
    read_system_name(e->system, sizeof e->system);
    bool known = uname(&names) == 0;
    snprintf(e->kernel, sizeof e->kernel, "%.64s %.64s", known ? names.sysname : "unknown",
             known ? names.release : "");
    snprintf(e->architecture, sizeof e->architecture, "%.60s", known ? names.machine : "unknown");
#if defined __clang__
    snprintf(e->compiler, sizeof e->compiler, "clang %s", __clang_version__);
#else
    snprintf(e->compiler, sizeof e->compiler, "gcc %s", __VERSION__);
#endif
    snprintf(e->version, sizeof e->version, "%s", TANDEM_VERSION);
    e->memory_limit = read_memory_limit(e->memory_bytes);
}
