/* A sandbox for code that nobody has read: bubblewrap's namespaces, a seccomp filter and
 * resource limits around one process tree.
 *
 * Inside there is /usr (read-only), an empty /tmp and nothing else of the machine: no home, no
 * network, no other processes, no environment, no privileges, an unprivileged user. What is
 * written goes to a small tmpfs that vanishes. When the program ends, or its time is up, or it
 * has printed too much, everything it started is killed with it.
 *
 *     const char *argv[] = {"/usr/bin/python3", "-I", "-", NULL};
 *     struct sandbox_result result;
 *     if (!sandbox_run(argv, script, length, &sandbox_default_limits, &result, &err)) ...
 *     sandbox_result_clear(&result);
 *
 * Where the system does not allow all of this (bwrap absent, user namespaces switched off) the
 * answer is an error, never a run with less around it.
 */
#ifndef TANDEM_EVAL_SANDBOX_H
#define TANDEM_EVAL_SANDBOX_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct sandbox_limits {
    double wall_seconds; /* until the whole tree is killed */
    size_t cpu_seconds;  /* RLIMIT_CPU, per process */
    size_t memory_bytes; /* RLIMIT_AS, per process */
    size_t file_bytes;   /* RLIMIT_FSIZE, and the size of each tmpfs */
    size_t open_files;   /* RLIMIT_NOFILE */
    size_t processes;    /* 0: the program may start threads but no processes;
                            N: up to N processes and threads at a time (RLIMIT_NPROC) */
    size_t output_bytes; /* of stdout and of stderr; more ends the run */
};
extern const struct sandbox_limits sandbox_default_limits;

enum sandbox_end {
    SANDBOX_EXITED,       /* exit_status is the program's */
    SANDBOX_SIGNALLED,    /* exit_status is the signal (SIGSYS: the filter; SIGXCPU, ...) */
    SANDBOX_TIMED_OUT,    /* wall clock */
    SANDBOX_OUTPUT_LIMIT, /* printed more than output_bytes */
};

struct sandbox_result {
    enum sandbox_end end;
    int exit_status;
    char *out, *errors; /* stdout and stderr, NUL-terminated; never NULL after success */
    size_t out_length, errors_length;
    double seconds; /* wall clock */
};

/* Whether code can be run here; the first call probes by really running a program and checking
 * what it can see, and later calls repeat that answer. On failure: STATUS_UNSUPPORTED and what
 * is missing and how to get it. */
enum status sandbox_available(struct error *err);

/* Runs argv (argv[0] an absolute path inside the sandbox, NULL at the end) with `input` as its
 * stdin. STATUS_OK whenever the program was started, whatever became of it; *result is released
 * with sandbox_result_clear. Otherwise *result is empty. May be called from several threads. */
enum status sandbox_run(const char *const *argv, const char *input, size_t input_length,
                        const struct sandbox_limits *limits, struct sandbox_result *result,
                        struct error *err);
void sandbox_result_clear(struct sandbox_result *result);
/* "exited with status 1", "killed by signal 9 (Killed)", "ran past its 10 s", ... */
void sandbox_describe(const struct sandbox_result *result, const struct sandbox_limits *limits,
                      char *out, size_t size);

#endif
