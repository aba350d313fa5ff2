/* Products of quantized weights: every table, packed and as in the file, gives the bits of the
 * plain ones; and they are close to what the values say. */
#include "amx_emulated.h"
#include "base/cpu.h"
#include "base/file.h"
#include "base/memory.h"
#include "kernels/half.h"
#include "kernels/matmul.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state;
}

static float uniform(uint32_t *state)
{
    return (float)(next_random(state) >> 8) * 0x1p-23f - 1;
}

/* A bell of width 1, roughly. */
static float bell(uint32_t *state)
{
    return (uniform(state) + uniform(state) + uniform(state)) * 1.0f;
}

/* Memory that ends where a page without access begins, so that reading on is seen. */
struct guarded {
    uint8_t *memory;
    size_t bytes; /* all pages */
};

static void *guarded_create(struct guarded *g, size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), usable = (bytes + page - 1) / page * page;
    g->bytes = usable + page;
    g->memory = mmap(NULL, g->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(g->memory != MAP_FAILED);
    assert_int_equal(mprotect(g->memory + usable, page, PROT_NONE), 0);
    return g->memory + usable - bytes;
}

struct trial {
    struct matrix w;
    uint8_t *stored;
    struct guarded packed;
    float *x, *bias;
    size_t n_rows;
};

static struct compute start(const char *isa, size_t threads, size_t cols)
{
    struct compute c;
    struct error err = {0};
    if (compute_create(isa, NULL, threads, 1024, cols, &c, &err))
        fail_msg("%s", err.message);
    return c;
}

/* Where the f16 fields of a block are. */
static const int fields[TYPE_COUNT][2] = {
    [TYPE_Q4_0] = {0, -1}, [TYPE_Q4_1] = {0, 2}, [TYPE_Q5_0] = {0, -1}, [TYPE_Q5_1] = {0, 2},
    [TYPE_Q8_0] = {0, -1}, [TYPE_Q4_K] = {0, 2}, [TYPE_Q5_K] = {0, 2},  [TYPE_Q6_K] = {208, -1},
};

/* Random bytes; in place of f16 fields, numbers around 0.05 of either sign. */
static void random_blocks(enum tensor_type type, uint32_t seed, uint8_t *out, size_t n_blocks)
{
    size_t bytes = tensor_type_info(type)->block_bytes;
    for (size_t b = 0; b < n_blocks; b++, out += bytes) {
        for (size_t i = 0; i < bytes; i++)
            out[i] = (uint8_t)(next_random(&seed) >> 24);
        for (int i = 0; i < 2; i++)
            if (fields[type][i] >= 0)
                store_u16(out + fields[type][i], f32_to_f16(0.05f * uniform(&seed)));
    }
}

static struct trial make(enum tensor_type type, size_t rows, size_t cols, size_t n_rows)
{
    struct trial p = {.n_rows = n_rows};
    size_t row_bytes = 0;
    uint32_t seed = 5;
    assert_true(tensor_type_bytes(type, cols, &row_bytes));
    p.stored = mem_array(rows + 1, row_bytes);
    p.x = mem_array(n_rows * cols, sizeof(float));
    p.bias = mem_array(rows, sizeof(float));
    p.w = (struct matrix){
        .type = type, .rows = rows, .cols = cols, .row_bytes = row_bytes, .data = p.stored + 1};
    random_blocks(type, 9, p.stored + 1, rows * cols / tensor_type_info(type)->block_length);
    for (size_t i = 0; i < n_rows * cols; i++)
        p.x[i] = bell(&seed);
    for (size_t i = 0; i < rows; i++)
        p.bias[i] = bell(&seed);
    return p;
}

/* Packs with the table's own wish; false where it has none. */
static bool pack(const struct compute *c, struct trial *p)
{
    size_t bytes = matmul_packed_bytes(c, &p->w);
    if (!bytes)
        return false;
    matmul_pack(c, &p->w, NULL, guarded_create(&p->packed, bytes));
    return true;
}

static void unpack(struct trial *p)
{
    if (p->w.packed)
        munmap(p->packed.memory, p->packed.bytes);
    p->w.packed = NULL;
}

static void release(struct trial *p)
{
    unpack(p);
    mem_free(p->stored);
    mem_free(p->x);
    mem_free(p->bias);
}

/* All rows, `batch` at a time; the result is the caller's. */
static float *multiply(const struct compute *c, const struct trial *p, size_t batch)
{
    struct activations a;
    struct error err = {0};
    float *y = mem_array(p->n_rows * p->w.rows + 1, sizeof *y);
    if (activations_create(batch, p->w.cols, &a, &err))
        fail_msg("%s", err.message);
    y[p->n_rows * p->w.rows] = 12345;
    for (size_t r = 0; r < p->n_rows; r += batch) {
        activations_set(&a, p->x + r * p->w.cols, p->w.cols,
                        p->n_rows - r < batch ? p->n_rows - r : batch, p->w.cols);
        matmul(c, &p->w, p->bias, &a, y + r * p->w.rows, p->w.rows);
    }
    activations_free(&a);
    assert_true(y[p->n_rows * p->w.rows] == 12345);
    return y;
}

static void check_same(const char *isa, const struct trial *p, const char *what, size_t n,
                       float *got, const float *expected)
{
    for (size_t i = 0; i < p->n_rows * p->w.rows; i++)
        if (memcmp(&got[i], &expected[i], sizeof *got))
            fail_msg("%s %s, %s %zu: row %zu, output %zu is %.9g, not %.9g", isa,
                     tensor_type_info(p->w.type)->name, what, n, i / p->w.rows, i % p->w.rows,
                     (double)got[i], (double)expected[i]);
    mem_free(got);
}

/* As in the file and in panels, in batches and with 1 to 3 threads. */
static void check_kernels(const char *isa, const struct quant_kernels *kernels, struct trial *p,
                          const float *expected)
{
    struct compute c = start(isa, 2, p->w.cols);
    c.quant = kernels;
    const char *name = kernels->name;
    check_same(name, p, "as in the file, rows", p->n_rows, multiply(&c, p, p->n_rows), expected);
    bool packed = pack(&c, p);
    for (size_t batch = 1; packed && batch <= p->n_rows; batch++)
        check_same(name, p, "batches of", batch, multiply(&c, p, batch), expected);
    compute_free(&c);
    for (size_t threads = 1; packed && threads <= 3; threads += 2) {
        c = start(isa, threads, p->w.cols);
        c.quant = kernels;
        check_same(name, p, "threads", threads, multiply(&c, p, p->n_rows), expected);
        compute_free(&c);
    }
    unpack(p);
}

/* All kernels that go with one table against scalar. None: kernels_test has its products. */
static void check_table(const char *isa, struct trial *p, const float *expected)
{
    const struct quant_kernels *kernels[QUANT_MOST_KERNELS + 1];
    quant_available(isa, kernels);
    for (size_t i = 0; kernels[i]; i++)
        check_kernels(isa, kernels[i], p, expected);
#if defined(__x86_64__)
    if (cpu_features()->avx512_vnni && !strcmp(isa, "avx512"))
        check_kernels(isa, &quant_amx_emulated, p, expected);
#endif
}

/* What this machine is known to have, where that is told; "none": floats. */
static void test_selection(void **state)
{
    (void)state;
    const char *expected = getenv("TANDEM_EXPECT_QUANT");
    const struct quant_kernels *best = quant_select(kernels_available()[0]);
    if (expected)
        assert_string_equal(best ? best->name : "none", expected);
    assert_null(quant_select("abacus"));
}

static void test_same_bits_everywhere(void **state)
{
    (void)state;
    static const size_t shapes[][3] = {{37, 1280, 33}, {5, 256, 9},   {100, 768, 40},
                                       {16, 1024, 6},  {70, 3072, 5}, {539, 256, 5}};
    for (int t = 0; t < TYPE_COUNT; t++) {
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes && quant_supports(t); i++) {
            struct trial p = make((enum tensor_type)t, shapes[i][0], shapes[i][1], shapes[i][2]);
            struct compute scalar = start("scalar", 2, p.w.cols);
            float *expected = multiply(&scalar, &p, p.n_rows);
            compute_free(&scalar);
            for (const char *const *isa = kernels_available(); *isa; isa++)
                check_table(*isa, &p, expected);
            mem_free(expected);
            release(&p);
        }
    }
}

/* Panels of a matrix in several pieces, read past the mapping and through it; rows too long for
 * a thread's memory are read through it, too. */
static void check_packing_from_file(enum tensor_type type, size_t rows, size_t cols)
{
    char path[] = "/tmp/tandem-quant-test-XXXXXX";
    struct file_map map;
    struct error err = {0};
    struct trial p = make(type, rows, cols, 1);
    struct compute c = start(NULL, 3, 1024);
    size_t bytes = matmul_packed_bytes(&c, &p.w), size = 1 + rows * p.w.row_bytes;
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, p.stored, size) == (ssize_t)size);
    assert_int_equal(file_map(path, &map, &err), STATUS_OK);
    struct matrix in_file = p.w;
    in_file.data = map.data + 1;
    void *from_memory = mem_aligned(64, bytes, 1), *from_file = mem_aligned(64, bytes, 1);
    if (bytes) {
        matmul_pack(&c, &p.w, NULL, from_memory);
        matmul_pack(&c, &in_file, &map, from_file);
        assert_memory_equal(from_memory, from_file, bytes);
    }
    p.w.packed = NULL;
    mem_free(from_memory);
    mem_free(from_file);
    file_unmap(&map);
    close(fd);
    unlink(path);
    compute_free(&c);
    release(&p);
}

static void test_packing_from_a_file(void **state)
{
    (void)state;
    check_packing_from_file(TYPE_Q4_0, 2000, 1056);
    check_packing_from_file(TYPE_Q8_0, 499, 2048);
    check_packing_from_file(TYPE_Q6_K, 520, 2048);
    check_packing_from_file(TYPE_Q4_K, 17, 1 << 18);
}

/* Blocks of 32 that are no multiple of 256, as in Qwen2.5-0.5B; in short panels and long ones. */
static void check_odd_number_of_blocks(size_t cols)
{
    static const enum tensor_type types[] = {TYPE_Q4_0, TYPE_Q4_1, TYPE_Q5_0, TYPE_Q5_1, TYPE_Q8_0};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct trial p = make(types[i], 33, cols - 32 * i, 19);
        struct compute scalar = start("scalar", 1, p.w.cols);
        float *expected = multiply(&scalar, &p, 3);
        compute_free(&scalar);
        for (const char *const *isa = kernels_available(); *isa; isa++)
            check_table(*isa, &p, expected);
        mem_free(expected);
        release(&p);
    }
}

static void test_odd_number_of_blocks(void **state)
{
    (void)state;
    check_odd_number_of_blocks(1056);
    check_odd_number_of_blocks(2080);
    check_odd_number_of_blocks(2112);
}

/* All codes as large as they can be, of either sign, by activations of the largest magnitude: sums
 * that would not fit into 16 bits. */
static void make_extreme(struct trial *p, uint8_t byte)
{
    enum tensor_type type = p->w.type;
    size_t block_bytes = tensor_type_info(type)->block_bytes;
    size_t n_blocks = p->w.rows * p->w.cols / tensor_type_info(type)->block_length;
    memset(p->stored + 1, byte, n_blocks * block_bytes);
    for (size_t b = 0; b < n_blocks; b++)
        for (int i = 0; i < 2; i++)
            if (fields[type][i] >= 0)
                store_u16(p->stored + 1 + b * block_bytes + fields[type][i], f32_to_f16(0.5f));
    for (size_t i = 0; i < p->n_rows * p->w.cols; i++) /* rows of one sign, and mixed ones */
        p->x[i] = i / p->w.cols % 3 == 0 ? 1 : i / p->w.cols % 3 == 1 ? -1 : i % 3 ? 1.0f : -1.0f;
}

static void test_largest_sums(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0xFF, 0x80, 0x7F, 0x00};
    for (int t = 0; t < TYPE_COUNT; t++) {
        for (size_t i = 0; i < sizeof bytes && quant_supports((enum tensor_type)t); i++) {
            struct trial p = make((enum tensor_type)t, 16, 256, 6);
            make_extreme(&p, bytes[i]);
            struct compute scalar = start("scalar", 1, p.w.cols);
            float *expected = multiply(&scalar, &p, p.n_rows);
            compute_free(&scalar);
            for (const char *const *isa = kernels_available(); *isa; isa++)
                check_table(*isa, &p, expected);
            mem_free(expected);
            release(&p);
        }
    }
}

/* Error of a product relative to the one in doubles, root mean square. */
static double relative_error(const struct trial *p, const struct kernels *k, const float *y)
{
    double error = 0, total = 0;
    float *row = mem_array(p->w.cols, sizeof *row);
    for (size_t o = 0; o < p->w.rows; o++) {
        k->dequantize[p->w.type](p->stored + 1 + o * p->w.row_bytes, row, p->w.cols);
        for (size_t r = 0; r < p->n_rows; r++) {
            double sum = 0;
            for (size_t i = 0; i < p->w.cols; i++)
                sum += (double)row[i] * (double)p->x[r * p->w.cols + i];
            double difference = (double)(y[r * p->w.rows + o] - p->bias[o]) - sum;
            error += difference * difference;
            total += sum * sum;
        }
    }
    mem_free(row);
    return sqrt(error / total);
}

static void test_accuracy(void **state)
{
    (void)state;
    for (int t = 0; t < TYPE_COUNT; t++) {
        if (!quant_supports((enum tensor_type)t))
            continue;
        struct trial p = make((enum tensor_type)t, 48, 1024, 24);
        struct compute c = start(NULL, 2, p.w.cols);
        float *y = multiply(&c, &p, p.n_rows);
        double error = relative_error(&p, c.kernels, y);
        print_message("%-5s %.4f\n", tensor_type_info(p.w.type)->name, error);
        if (!(error < 0.01))
            fail_msg("%s: relative error %g", tensor_type_info(p.w.type)->name, error);
        mem_free(y);
        compute_free(&c);
        release(&p);
    }
}

/* What a layer does, with outputs that do and do not go up into pairs of units. */
enum { Q, K, V, GATE, UP, DOWN, GROUP, ALL_IN_ONE = 3, MOST_GROUP_ROWS = 6 };
static const size_t group_shapes[GROUP][2] = {
    [Q] = {539, 256},     [K] = {64, 256},    [V] = {21, 256},
    [GATE] = {1280, 256}, [UP] = {1280, 256}, [DOWN] = {40, 1280},
};

static void make_group(enum tensor_type type, struct trial group[GROUP])
{
    for (size_t i = 0; i < GROUP; i++) {
        size_t rows = group_shapes[i][0], cols = group_shapes[i][1];
        group[i] = make(type, rows, cols, MOST_GROUP_ROWS);
        random_blocks(type, (uint32_t)(77 + i), group[i].stored + 1,
                      rows * cols / tensor_type_info(type)->block_length);
    }
}

/* q, k and v in one go, k once more onto its outputs, gate and up, and what their codes become by
 * down: all outputs of n rows, one matrix's after the other's, which are the caller's. */
static float *run_group(struct compute *c, const struct trial group[GROUP], size_t n, size_t *count)
{
    struct activations a, codes;
    const struct matrix *down = &group[DOWN].w;
    struct product p[ALL_IN_ONE];
    struct product gated[2] = {{.w = &group[GATE].w}, {.w = &group[UP].w, .bias = group[UP].bias}};
    struct error err = {0};
    size_t cols = group[Q].w.cols;
    *count = n * (group[Q].w.rows + group[K].w.rows + group[V].w.rows + down->rows);
    float *y = mem_array(*count, sizeof *y), *at = y;
    if (activations_create(n, cols, &a, &err) || activations_create(n, down->cols, &codes, &err))
        fail_msg("%s", err.message);
    activations_set(&a, group[Q].x, cols, n, cols);
    for (size_t i = 0; i < ALL_IN_ONE; at += n * group[i++].w.rows)
        p[i] = (struct product){.w = &group[i].w,
                                .bias = i == Q ? group[i].bias : NULL,
                                .y = at,
                                .y_stride = group[i].w.rows};
    matmul_announce(c, &group[K].w, 1);
    matmul_all(c, &a, p, ALL_IN_ONE);
    matmul_add(c, &a, &p[K]);
    activations_set(&codes, NULL, down->cols, n, down->cols);
    matmul_gated(c, &a, gated, &codes);
    matmul(c, down, NULL, &codes, at, down->rows);
    activations_free(&a);
    activations_free(&codes);
    return y;
}

static void check_group(const char *isa, const struct quant_kernels *kernels, size_t threads,
                        struct trial group[GROUP], size_t n, const float *expected)
{
    struct compute c = start(isa, threads, group[DOWN].w.cols);
    size_t count;
    c.quant = kernels;
    for (size_t i = 0; i < GROUP; i++)
        pack(&c, &group[i]);
    float *y = run_group(&c, group, n, &count);
    for (size_t i = 0; i < count; i++)
        if (memcmp(&y[i], &expected[i], sizeof *y))
            fail_msg("%s %s, %zu rows, %zu threads: %zu of %zu is %.9g, not %.9g", kernels->name,
                     tensor_type_info(group[Q].w.type)->name, n, threads, i, count, (double)y[i],
                     (double)expected[i]);
    mem_free(y);
    for (size_t i = 0; i < GROUP; i++)
        unpack(&group[i]);
    compute_free(&c);
}

/* Matrices that are multiplied in one go, packed, against rows as they are in the file. */
static void test_groups(void **state)
{
    (void)state;
    const char *isa = kernels_available()[0];
    const struct quant_kernels *kernels[QUANT_MOST_KERNELS + 1];
    quant_available(isa, kernels);
    for (int t = 0; t < TYPE_COUNT && kernels[0]; t++) { /* else all is in floats */
        struct trial group[GROUP];
        if (!quant_supports(t))
            continue;
        make_group((enum tensor_type)t, group);
        for (size_t n = 1; n <= MOST_GROUP_ROWS; n++) {
            size_t count;
            struct compute c = start(isa, 1, group[DOWN].w.cols);
            float *expected = run_group(&c, group, n, &count);
            compute_free(&c);
            for (size_t i = 0; kernels[i]; i++)
                for (size_t threads = 1; threads <= 3; threads++)
                    check_group(isa, kernels[i], threads, group, n, expected);
            mem_free(expected);
        }
        for (size_t i = 0; i < GROUP; i++)
            release(&group[i]);
    }
}

/* Zeros stay zeros, tiny numbers do no harm, and what is not finite shows in the result. */
static void test_special_values(void **state)
{
    (void)state;
    for (const char *const *isa = kernels_available(); *isa; isa++) {
        struct trial p = make(TYPE_Q8_0, 16, 256, 20);
        struct compute c = start(*isa, 1, p.w.cols);
        memset(p.x, 0, p.n_rows * p.w.cols * sizeof *p.x);
        for (size_t i = 0; i < p.w.cols; i++)
            p.x[p.w.cols + i] = i % 2 ? 1e-44f : -3e-38f;
        p.x[2 * p.w.cols + 77] = NAN;
        p.x[3 * p.w.cols + 200] = -INFINITY;
        p.x[4 * p.w.cols + 3] = 3e38f;
        pack(&c, &p);
        float *y = multiply(&c, &p, p.n_rows);
        for (size_t o = 0; o < p.w.rows; o++) {
            assert_true(y[o] == p.bias[o]);
            assert_true(y[p.w.rows + o] == p.bias[o]);
            assert_true(!isfinite(y[2 * p.w.rows + o]));
            assert_true(!isfinite(y[3 * p.w.rows + o]));
            assert_true(y[5 * p.w.rows + o] == p.bias[o]);
        }
        mem_free(y);
        compute_free(&c);
        release(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_selection),           cmocka_unit_test(test_same_bits_everywhere),
        cmocka_unit_test(test_packing_from_a_file), cmocka_unit_test(test_odd_number_of_blocks),
        cmocka_unit_test(test_largest_sums),        cmocka_unit_test(test_accuracy),
        cmocka_unit_test(test_special_values),      cmocka_unit_test(test_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
