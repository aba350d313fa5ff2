#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

static atomic_bool show_warnings = true, show_info = false;

static void write_line(const char *label, const char *format, va_list args)
{
    char line[2000];
    vsnprintf(line, sizeof line, format, args);
    fprintf(stderr, "tandem: %s%s\n", label, line);
}

void log_warning(const char *format, ...)
{
    if (!atomic_load(&show_warnings))
        return;
    va_list args;
    va_start(args, format);
    write_line("warning: ", format, args);
    va_end(args);
}

void log_info(const char *format, ...)
{
    if (!atomic_load(&show_info))
        return;
    va_list args;
    va_start(args, format);
    write_line("", format, args);
    va_end(args);
}

void log_configure(bool warnings, bool info)
{
    atomic_store(&show_warnings, warnings);
    atomic_store(&show_info, info);
}
