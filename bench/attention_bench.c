/* Speed of attention's kernels, for people who change them: `attention_bench [head_dim]`.
 *
 * Prints, for each table of this CPU, type of cache and number of query rows, what one page takes
 * in each of the kernels and what follows for a row, and the GFLOP/s of the two products.
 * Microseconds of one thread, the least of many runs, everything in cache. */
#include "base/clock.h"
#include "base/memory.h"
#include "kernels/kernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST_ROWS = 192, RUNS = 300 };

enum part { KEYS, VALUES, SCORES, SOFTEN, MIX, N_PARTS };

struct bench {
    const struct attention_kernels *k;
    enum tensor_type type;
    size_t head_dim, width, n;
    void *stored, *queries, *keys, *values;
    float *scores, *out;
    struct softmax states[MOST_ROWS];
};

static void run_part(struct bench *b, enum part part)
{
    switch (part) {
    case KEYS:
        b->k->prepare_keys(b->type, b->stored, b->head_dim, b->keys);
        break;
    case VALUES:
        b->k->prepare_values(b->type, b->stored, KEY_PAGE, b->head_dim, b->values);
        break;
    case SCORES:
        b->k->scores(b->queries, b->n, b->keys, b->width, b->scores);
        break;
    case SOFTEN:
        b->k->soften(b->scores, b->n, b->states, b->out, b->width);
        break;
    default:
        b->k->mix(b->scores, b->n, b->values, b->width, b->out);
    }
}

/* A page for all rows, RUNS times; the least seconds of each part. */
static void measure(struct bench *b, double least[N_PARTS])
{
    for (int part = 0; part < N_PARTS; part++)
        least[part] = INFINITY;
    for (size_t i = 0; i < b->n; i++)
        b->states[i] = (struct softmax){.max = -INFINITY, .end = KEY_PAGE};
    if (b->k->begin)
        b->k->begin();
    for (size_t run = 0; run < RUNS; run++)
        for (int part = 0; part < N_PARTS; part++) {
            double start = clock_seconds();
            run_part(b, (enum part)part);
            least[part] = fmin(least[part], clock_seconds() - start);
        }
    if (b->k->end)
        b->k->end();
}

static void bench_rows(struct bench *b, const char *isa)
{
    double t[N_PARTS], flops = 2e-9 * KEY_PAGE * (double)(b->head_dim * b->n), sum = 0;
    measure(b, t);
    printf("%-7s %-5s %5zu", isa, tensor_type_info(b->type)->name, b->n);
    for (int part = 0; part < N_PARTS; part++) {
        sum += t[part];
        printf(" %8.2f", 1e6 * t[part]);
    }
    printf(" %9.4f %9.1f %9.1f\n", 1e6 * sum / (double)b->n, flops / t[SCORES], flops / t[MIX]);
}

static void prepare_queries(struct bench *b)
{
    float q[1024];
    for (size_t r = 0; r < MOST_ROWS; r++) {
        for (size_t d = 0; d < b->head_dim; d++)
            q[d] = (float)((r + d) % 7) - 3;
        b->k->prepare_query(q, 0.1f, b->head_dim, (char *)b->queries + r * b->width * 4);
    }
}

static void bench_table(struct bench *b, const char *isa)
{
    static const enum tensor_type types[] = {TYPE_F32, TYPE_F16, TYPE_Q8_0};
    static const size_t rows[] = {1, 6, MOST_ROWS};
    const struct kernels *kernels;
    struct error err = {0};
    if (kernels_select(isa, &kernels, &err))
        return;
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        b->type = types[t];
        b->k = kernels->attention[types[t]];
        prepare_queries(b);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            b->n = rows[i];
            bench_rows(b, isa);
        }
    }
}

int main(int argc, char **argv)
{
    struct bench b = {.head_dim = argc > 1 ? strtoul(argv[1], NULL, 10) : 128};
    if (!b.head_dim || b.head_dim % 32 || b.head_dim > 1024) {
        fprintf(stderr, "attention_bench [head_dim, a multiple of 32 up to 1024]\n");
        return 2;
    }
    b.width = attention_width(b.head_dim);
    size_t page = KEY_PAGE * b.width * sizeof(float), row = MOST_ROWS * sizeof(float);
    b.stored = mem_map(page);
    b.queries = mem_map(row * b.width);
    b.keys = mem_map(page);
    b.values = mem_map(page);
    b.scores = mem_map(row * KEY_PAGE);
    b.out = mem_map(row * b.width);
    if (!b.stored || !b.queries || !b.keys || !b.values || !b.scores || !b.out)
        return 1;
    printf("%-7s %-5s %5s %8s %8s %8s %8s %8s %9s %9s %9s\n", "table", "type", "rows", "keys us",
           "values", "scores", "soften", "mix", "us/row", "GFLOP/s", "GFLOP/s");
    for (const char *const *isa = kernels_available(); *isa; isa++)
        bench_table(&b, *isa);
    return 0;
}
