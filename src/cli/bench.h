/* What the two halves of `tandem bench` share: bench.c times passes of random tokens, bench_text.c
 * whole answers to a text, with and without guessing ahead. */
#ifndef TANDEM_CLI_BENCH_H
#define TANDEM_CLI_BENCH_H

#include "cli/args.h"
#include "engine/engine.h"

enum { MAX_BENCH_LIST = 32, MAX_BENCH_REPEATS = 1000 };

struct size_list {
    size_t items[MAX_BENCH_LIST], count;
};

/* Tokens per second over the repetitions. */
struct rate {
    double median, min, max;
};
/* Of n values, which get sorted. */
struct rate rate_summarise(double *values, size_t n);

struct text_bench {
    const char *model, *file; /* the file holds the prompt */
    struct engine_options engine;
    const struct string_list *adapters;
    struct size_list batches;
    size_t max_tokens, repeats; /* repeats: up to MAX_BENCH_REPEATS */
    bool json;
};
/* Greedy answers, plain and guessing in turns, through one engine. The exit status: EXIT_FAILED
 * also where the two gave different tokens. */
int bench_text(const struct text_bench *bench);

#endif
