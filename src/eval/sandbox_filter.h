/* The system calls that a program in the sandbox may make. */
#ifndef TANDEM_EVAL_SANDBOX_FILTER_H
#define TANDEM_EVAL_SANDBOX_FILTER_H

#include "base/error.h"

#include <stdbool.h>

/* A file (close-on-exec, to be closed by the caller) with the filter as bwrap's --seccomp reads
 * it. Without processes, fork and its like are refused; threads are not. */
enum status sandbox_filter_open(bool processes, int *fd, struct error *err);

#endif
