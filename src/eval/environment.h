/* The machine and the program of a measurement, so that it can be understood later. */
#ifndef TANDEM_EVAL_ENVIRONMENT_H
#define TANDEM_EVAL_ENVIRONMENT_H

#include <stddef.h>

struct environment {
    char cpu[128], system[128], kernel[160], architecture[64], compiler[128], version[32];
    size_t n_cpus;       /* that this process may use */
    size_t memory_bytes; /* physical */
    size_t memory_limit; /* of the control group; 0: none or unknown */
};
/* Unknown texts are "unknown". */
void environment_read(struct environment *environment);

#endif
