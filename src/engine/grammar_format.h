/* The values of "format" that a string can be held to, as regular expressions. */
#ifndef TANDEM_ENGINE_GRAMMAR_FORMAT_H
#define TANDEM_ENGINE_GRAMMAR_FORMAT_H

#include <stdint.h>

struct string_format {
    const char *name;
    const char *patterns[3]; /* of the whole string, which all must match; ended by NULL */
    uint32_t most;           /* characters */
};
/* NULL for a format that is not known. */
const struct string_format *format_named(const char *name);
/* "date, time, ..." for messages. */
extern const char format_names[];

#endif
