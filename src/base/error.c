#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static void write_message(char *out, size_t size, const char *format, va_list args)
{
    int n = vsnprintf(out, size, format, args);
    if (n >= (int)size)
        memcpy(out + size - 4, "...", 4);
    /* One line; and names out of a hostile file must not steer the terminal. */
    for (char *p = out; n >= 0 && *p; p++)
        if ((unsigned char)*p < ' ' || *p == 127)
            *p = *p == '\n' || *p == '\t' ? ' ' : '?';
}

enum status error_set(struct error *err, enum status status, const char *format, ...)
{
    if (err) {
        va_list args;
        va_start(args, format);
        err->status = status;
        write_message(err->message, sizeof err->message, format, args);
        va_end(args);
    }
    return status;
}

enum status error_errno(struct error *err, const char *format, ...)
{
    int code = errno;
    bool full = code == ENOSPC || code == EDQUOT;
    enum status status = code == ENOENT   ? STATUS_NOT_FOUND
                         : code == ENOMEM ? STATUS_MEMORY
                                          : STATUS_IO;
    if (err) {
        char text[600];
        va_list args;
        va_start(args, format);
        write_message(text, sizeof text, format, args);
        va_end(args);
        error_set(err, status, "%s: %s%s", text, strerror(code),
                  full ? "; make room there, or choose another place" : "");
    }
    return status;
}

enum status error_prefix(struct error *err, const char *format, ...)
{
    if (!err)
        return STATUS_INVALID;
    char tail[sizeof err->message];
    memcpy(tail, err->message, sizeof tail);
    char head[500];
    va_list args;
    va_start(args, format);
    write_message(head, sizeof head, format, args);
    va_end(args);
    return error_set(err, err->status, "%s: %s", head, tail);
}

enum status error_memory(struct error *err, const char *what)
{
    return error_set(err, STATUS_MEMORY, "out of memory for %s", what);
}

const char *status_name(enum status status)
{
    switch (status) {
    case STATUS_OK:
        return "ok";
    case STATUS_INVALID:
        return "invalid";
    case STATUS_FORMAT:
        return "corrupt";
    case STATUS_UNSUPPORTED:
        return "unsupported";
    case STATUS_IO:
        return "io";
    case STATUS_MEMORY:
        return "memory";
    case STATUS_LIMIT:
        return "limit";
    case STATUS_CANCELLED:
        return "cancelled";
    case STATUS_NOT_FOUND:
        return "not found";
    }
    return "unknown";
}
