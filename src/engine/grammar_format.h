/* The values of "format" that a string can be held to, as regular expressions. */
#ifndef TANDEM_ENGINE_GRAMMAR_FORMAT_H
#define TANDEM_ENGINE_GRAMMAR_FORMAT_H

#include <stddef.h>

/* The regular expressions (of the whole string) that all must match, ended by NULL; NULL for a
 * format that is not known. */
const char *const *format_patterns(const char *format);
/* "date, time, ..." for messages. */
extern const char format_names[];

#endif
