/* Speed of the kernels, for people who change them: `kernels_bench [threads [seconds [table
 * [type]]]]`.
 *
 * Prints, for each table of this CPU, its kernels for quantized weights (none: floats) and each
 * type: decoding into floats (in cache), one row
 * (GB/s of weights from memory) and 512 rows (GFLOP/s) of a product. Medians; run it idle. */
#include "base/clock.h"
#include "base/memory.h"
#include "kernels/matmul.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 4096, COLS = 4096, MANY = 512, MOST_RUNS = 200, STORED = 1 << 29 };

struct bench {
    struct compute compute;
    struct activations activations;
    unsigned char *packed; /* as `stored`, where the kernels want panels */
    size_t packed_bytes;   /* of one matrix; 0: they do not */
    unsigned char *stored; /* STORED bytes: many matrices, so that one row reads from memory */
    float *x, *y;
    double seconds;
    enum tensor_type type;
    size_t n_rows, copy, copies;
};

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median seconds of one call of `work`, over about bench->seconds. */
static double measure(struct bench *b, void (*work)(struct bench *))
{
    double times[MOST_RUNS], begin = clock_seconds(), last = begin;
    size_t n = 0;
    work(b);
    last = clock_seconds();
    while (n < MOST_RUNS && (n < 3 || last - begin < b->seconds)) {
        work(b);
        double now = clock_seconds();
        times[n++] = now - last;
        last = now;
    }
    qsort(times, n, sizeof *times, compare_doubles);
    return times[n / 2];
}

static size_t matrix_bytes(const struct bench *b)
{
    size_t bytes = 0;
    tensor_type_bytes(b->type, (size_t)ROWS * COLS, &bytes);
    return bytes;
}

static void decode(struct bench *b)
{
    size_t row_bytes = matrix_bytes(b) / ROWS;
    for (size_t i = 0; i < 64; i++)
        b->compute.kernels->dequantize[b->type](b->stored + i % 4 * row_bytes, b->y, COLS);
}

static void multiply(struct bench *b)
{
    size_t bytes = matrix_bytes(b);
    b->copy = (b->copy + 1) % b->copies;
    struct matrix w = {.type = b->type,
                       .rows = ROWS,
                       .cols = COLS,
                       .row_bytes = bytes / ROWS,
                       .data = b->stored + b->copy * bytes,
                       .packed = b->packed ? b->packed + b->copy * b->packed_bytes : NULL};
    activations_set(&b->activations, b->x, COLS, b->n_rows, COLS);
    matmul(&b->compute, &w, NULL, &b->activations, b->y, ROWS);
}

static void pack_all(struct bench *b)
{
    size_t bytes = matrix_bytes(b);
    struct matrix w = {.type = b->type, .rows = ROWS, .cols = COLS, .row_bytes = bytes / ROWS};
    b->copies = STORED / bytes;
    b->packed_bytes = matmul_packed_bytes(&b->compute, &w);
    b->packed = b->packed_bytes ? mem_map(b->copies * b->packed_bytes) : NULL;
    for (size_t i = 0; i < b->copies && b->packed; i++) {
        w.data = b->stored + i * bytes;
        matmul_pack(&b->compute, &w, NULL, b->packed + i * b->packed_bytes);
    }
}

/* One line: what the type takes. */
static void bench_type(struct bench *b, enum tensor_type type)
{
    double gigabytes, flops = 2e-9 * ROWS * COLS;
    b->type = type;
    gigabytes = 1e-9 * (double)matrix_bytes(b);
    double decode_time = measure(b, decode);
    const struct quant_kernels *quant = quant_supports(type) ? b->compute.quant : NULL;
    printf("%-7s %-7s %-5s %8.2f", b->compute.kernels->name, quant ? quant->name : "-",
           tensor_type_info(type)->name, 64e-9 * COLS / decode_time);
    pack_all(b);
    static const size_t rows[] = {1, 8, 16, 32, 48, 64, 128, MANY};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        b->n_rows = rows[i];
        double time = measure(b, multiply);
        printf(" %8.1f", i == 0 ? gigabytes / time : flops * (double)rows[i] / time);
        fflush(stdout);
    }
    putchar('\n');
    mem_unmap(b->packed, b->copies * b->packed_bytes);
}

/* Numbers of ordinary size in every type: bytes 0x20 to 0x3F are scales from 0.01 to 1.9. */
static void fill_stored(unsigned char *stored, size_t size)
{
    unsigned state = 1;
    for (size_t i = 0; i < size; i++) {
        state = state * 1664525u + 1013904223u;
        stored[i] = (unsigned char)(0x20 | (state >> 24 & 0x1F));
    }
}

static int bench_table(struct bench *b, const char *isa, size_t threads, const char *type)
{
    struct error err = {0};
    if (compute_create(isa, NULL, threads, MANY, COLS, &b->compute, &err) ||
        activations_create(MANY, COLS, &b->activations, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    const struct quant_kernels *quant[QUANT_MOST_KERNELS + 1];
    quant_available(isa, quant);
    for (size_t i = 0; i == 0 || quant[i]; i++) {
        b->compute.quant = quant[i];
        for (int t = 0; t < TYPE_COUNT; t++)
            if ((i == 0 || quant_supports((enum tensor_type)t)) &&
                (!type || !strcmp(type, tensor_type_info((enum tensor_type)t)->name)))
                bench_type(b, (enum tensor_type)t);
    }
    activations_free(&b->activations);
    compute_free(&b->compute);
    return 0;
}

int main(int argc, char **argv)
{
    struct bench b = {.seconds = argc > 2 ? strtod(argv[2], NULL) : 0.3};
    size_t threads = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
    int failed = 0;
    b.stored = mem_aligned(4096, 1, STORED);
    b.x = mem_aligned(64, (size_t)MANY * COLS, sizeof(float));
    b.y = mem_aligned(64, (size_t)MANY * ROWS, sizeof(float));
    if (!b.stored || !b.x || !b.y) {
        fprintf(stderr, "out of memory\n");
        return 1;
    }
    fill_stored(b.stored, STORED);
    for (size_t i = 0; i < (size_t)MANY * COLS; i++)
        b.x[i] = (float)(i % 17) - 8;
    printf("%zu threads, %d x %d           Gvalue/s     GB/s  GFLOP/s with rows of x\n", threads,
           ROWS, COLS);
    printf("table   quant   type    decode    row 1        8       16       32       48       64   "
           "   128      512\n");
    for (const char *const *isa = kernels_available(); *isa && !failed; isa++)
        if (argc > 3 ? !strcmp(argv[3], *isa) : strcmp(*isa, "scalar") != 0)
            failed = bench_table(&b, *isa, threads, argc > 4 ? argv[4] : NULL);
    mem_free(b.stored);
    mem_free(b.x);
    mem_free(b.y);
    return failed;
}
