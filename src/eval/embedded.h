/* Files that are part of the program; src/embed.py writes the definitions at build time. */
#ifndef TANDEM_EVAL_EMBEDDED_H
#define TANDEM_EVAL_EMBEDDED_H

#include <stddef.h>

struct embedded_file {
    const char *name; /* "core" of suites/core.jsonl */
    const char *data; /* with a NUL byte behind it */
    size_t size;
};
extern const struct embedded_file embedded_suites[]; /* ends with a zero entry */
extern const struct embedded_file embedded_harness;
extern const struct embedded_file embedded_style, embedded_script; /* of report.html */

#endif
