/* Command lines: one table of options per command gives parsing, checking and --help.
 *
 *     size_t n = 64;
 *     bool json = false;
 *     const struct option options[] = {
 *         {"max-tokens", 'n', OPTION_SIZE, &n, "N", "stop after N tokens (64)"},
 *         {"json", 0, OPTION_FLAG, &json, NULL, "print JSON"},
 *         {0}};
 *     struct usage usage = {"run", "MODEL [PROMPT]", "Answer a prompt, or chat.", options, 1, 2};
 *     int status = args_parse(&usage, argc, argv, &args);
 *     if (status != ARGS_OK) return status;
 */
#ifndef TANDEM_CLI_ARGS_H
#define TANDEM_CLI_ARGS_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, ARGS_OK = -1 };

enum option_kind {
    OPTION_FLAG,    /* bool: set to true */
    OPTION_STRING,  /* const char *: points into argv */
    OPTION_SIZE,    /* size_t: a decimal number, 0 or more */
    OPTION_THREADS, /* size_t: as many as a thread pool may have, 0 for its standard */
    OPTION_U64,     /* uint64_t */
    OPTION_NUMBER,  /* double */
    OPTION_LIST,    /* struct string_list: may be given several times */
    OPTION_MODEL,   /* const char *: a model's path; names are looked up. Lives in struct args */
    OPTION_RECIPE,  /* const struct recipe *: the name of a type of weights, in formats/recipe.h */
};

struct string_list {
    const char **items; /* mem_free */
    size_t count, capacity;
};

struct option {
    const char *name; /* without "--" */
    char letter;      /* 0: none */
    enum option_kind kind;
    void *target;
    const char *value_name;
    const char *help;
};

struct usage {
    const char *command;
    const char *operands;         /* "MODEL [PROMPT]" */
    const char *summary;          /* a sentence or two */
    const struct option *options; /* ends with a zero entry */
    size_t min_operands, max_operands;
    const char *examples;      /* lines, indented by two; may be NULL */
    size_t n_models;           /* so many operands, from the first, are models: paths or names */
    const char *default_model; /* the first of them where there are no operands; may be NULL */
};

struct args {
    const char **operands; /* mem_free through args_free */
    size_t n_operands;
    char **models; /* [n_models] paths of operands and options; freed by args_free */
    size_t n_models;
};

/* argv[0] is the command's name. ARGS_OK; or EXIT_OK after --help was printed on stdout; or
 * EXIT_USAGE after one or two lines on stderr that say what is wrong and what to type; or
 * EXIT_FAILED, likewise, where a model is not there.
 * "--" ends the options; "-" is an operand. */
int args_parse(const struct usage *usage, int argc, char **argv, struct args *args);
void args_free(struct args *args);
/* "tandem COMMAND: <message>" and the usage line on stderr; returns EXIT_USAGE. */
int args_wrong(const struct usage *usage, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* "tandem: <message>" on stderr; returns EXIT_FAILED. */
int report_error(const struct error *err);
/* Flushes stdout; EXIT_OK, or EXIT_FAILED with a message when what was printed got lost
 * (without one when the reader left early). */
int finish_output(void);
/* "1,2,3" -> ids, for --ids; mem_free. False and a message in err when malformed. */
bool parse_ids(const char *text, int32_t **ids, size_t *n, struct error *err);

#endif
