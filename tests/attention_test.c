/* The forward pass over its KV cache: the same bits however a sequence is cut, shared and batched,
 * in every type of cache and on every table of kernels, and over 32,768 positions. */
#include "base/memory.h"
#include "files_fixture.h"
#include "model/model.h"
#include "under_tsan.h"

#include <math.h>
#include <string.h>

enum { LENGTH = 150, LONG = 32768, VOCAB = 250 };

static const enum tensor_type cache_types[] = {TYPE_F32, TYPE_F16, TYPE_Q8_0};
enum { N_TYPES = sizeof cache_types / sizeof *cache_types };

struct run {
    struct model *model;
    struct kv_cache *cache;
    float *logits;
    size_t vocab_size;
};

static void run_open(struct run *run, const char *name, const struct model_options *options,
                     enum tensor_type type, size_t n_positions)
{
    char path[200];
    struct error err = {0};
    snprintf(path, sizeof path, "%s/tandem-random-%s", folder, name);
    if (model_open(path, options, &run->model, &err))
        fail_msg("%s", err.message);
    struct kv_options kv = {.type = type, .n_positions = n_positions, .n_sequences = 4};
    if (kv_cache_create(model_shape(run->model), &kv, &run->cache, &err))
        fail_msg("%s", err.message);
    run->vocab_size = model_shape(run->model)->vocab_size;
    run->logits = mem_array(4, run->vocab_size * sizeof *run->logits);
}

static void run_close(struct run *run)
{
    mem_free(run->logits);
    kv_cache_free(run->cache);
    model_close(run->model);
}

static struct row row_at(size_t sequence, size_t position, bool wants_logits)
{
    return (struct row){.token = (int32_t)((position * 31 + position / 97 * 7) % VOCAB),
                        .position = (int32_t)position,
                        .sequence = (int32_t)sequence,
                        .wants_logits = wants_logits};
}

static void forward(struct run *run, const struct row *rows, size_t n)
{
    struct error err = {0};
    if (model_forward(run->model, run->cache, rows, n, run->logits, &err))
        fail_msg("%s", err.message);
}

/* Positions up to `end` of a sequence, in passes of `chunk`; logits of the last. */
static void extend(struct run *run, size_t sequence, size_t end, size_t chunk)
{
    struct row *rows = mem_array(chunk, sizeof *rows);
    size_t at = kv_length(run->cache, sequence), n;
    assert_true(kv_reserve(run->cache, sequence, end - at));
    for (; at < end; at += n) {
        n = end - at < chunk ? end - at : chunk;
        for (size_t i = 0; i < n; i++)
            rows[i] = row_at(sequence, at + i, at + i + 1 == end);
        forward(run, rows, n);
    }
    mem_free(rows);
}

static void keep_logits(const struct run *run, float **kept)
{
    *kept = mem_copy(run->logits, run->vocab_size * sizeof **kept);
    assert_non_null(*kept);
}

static void assert_logits(const struct run *run, const float *logits, const float *expected)
{
    for (size_t i = 0; i < run->vocab_size; i++)
        if (memcmp(&logits[i], &expected[i], sizeof *logits))
            fail_msg("%s: logit %zu is %.9g, not %.9g", model_isa(run->model), i, (double)logits[i],
                     (double)expected[i]);
}

/* --- The same bits --- */

static void check_chunks(struct run *run, const float *expected)
{
    static const size_t chunks[] = {1, 7, 64, 65};
    for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
        kv_truncate(run->cache, 0, 0);
        extend(run, 0, LENGTH, chunks[i]);
        assert_logits(run, run->logits, expected);
    }
}

/* Three sequences that share beginnings end in one pass, beside one another. */
static void check_forks(struct run *run, const float *expected)
{
    struct row rows[4];
    for (size_t s = 1; s < 4; s++) {
        kv_truncate(run->cache, s, 0);
        assert_true(kv_fork(run->cache, 0, s, 32 * s)); /* within a page, and at its border */
        extend(run, s, LENGTH - 1, 50);
        assert_true(kv_reserve(run->cache, s, 1));
    }
    kv_truncate(run->cache, 0, 10);
    extend(run, 0, LENGTH - 1, 3);
    assert_true(kv_reserve(run->cache, 0, 1));
    for (size_t s = 0; s < 4; s++)
        rows[s] = row_at(s, LENGTH - 1, true);
    forward(run, rows, 4);
    for (size_t s = 0; s < 4; s++)
        assert_logits(run, run->logits + s * run->vocab_size, expected);
}

static void check_same_bits(const char *name, const char *isa, enum tensor_type type)
{
    struct run run;
    struct model_options options = {.n_threads = 1, .isa = isa};
    float *expected;
    run_open(&run, name, &options, type, 4 * (LENGTH + 64));
    extend(&run, 0, LENGTH, LENGTH);
    keep_logits(&run, &expected);
    if (!under_tsan) { /* of one thread */
        check_chunks(&run, expected);
        check_forks(&run, expected);
    }
    run_close(&run);
    options.n_threads = 2;
    run_open(&run, name, &options, type, LENGTH);
    extend(&run, 0, LENGTH, LENGTH - 1);
    assert_logits(&run, run.logits, expected);
    run_close(&run);
    mem_free(expected);
}

static void test_same_bits(void **state)
{
    (void)state;
    for (const char *const *isa = kernels_available(); *isa; isa++)
        for (size_t t = 0; t < N_TYPES; t++) {
            check_same_bits("qwen2", *isa, cache_types[t]);
            check_same_bits("phi3", *isa, cache_types[t]);
        }
}

/* --- Types of cache --- */

/* Root mean square of the difference, in parts of the standard deviation of `expected`. */
static double distance(const float *logits, const float *expected, size_t n)
{
    double sum = 0, square = 0, difference = 0;
    for (size_t i = 0; i < n; i++) {
        double e = (double)expected[i], d = (double)logits[i] - e;
        sum += e;
        square += e * e;
        difference += d * d;
    }
    return sqrt(difference / (square - sum * sum / (double)n));
}

/* How far the logits are from those of a cache in F32. */
static void test_errors_of_types(void **state)
{
    (void)state;
    static const double most[N_TYPES] = {1e-4, 1e-3, 2e-2};
    float *expected;
    struct run run;
    struct model_options exact = {.n_threads = 1, .isa = "scalar"}, options = {.n_threads = 1};
    run_open(&run, "qwen2", &exact, TYPE_F32, LENGTH);
    extend(&run, 0, LENGTH, LENGTH);
    keep_logits(&run, &expected);
    run_close(&run);
    for (size_t t = 0; t < N_TYPES; t++) {
        run_open(&run, "qwen2", &options, cache_types[t], LENGTH);
        extend(&run, 0, LENGTH, LENGTH);
        double error = distance(run.logits, expected, run.vocab_size);
        print_message("%s: %.2g of the logits' deviation, %zu bytes per position\n",
                      tensor_type_info(cache_types[t])->name, error,
                      kv_position_bytes(model_shape(run.model), cache_types[t]));
        assert_true(error < most[t]);
        run_close(&run);
    }
    mem_free(expected);
}

static void test_wrong_types_are_refused(void **state)
{
    (void)state;
    enum tensor_type type;
    struct error err = {0};
    struct kv_cache *cache;
    struct hyperparameters shape = {.head_dim = 80, .n_kv_heads = 1, .n_layers = 1};
    struct kv_options options = {.type = TYPE_Q8_0, .n_positions = 1, .n_sequences = 1};
    assert_int_equal(kv_type_parse(NULL, &type, &err), STATUS_OK);
    assert_int_equal(type, TYPE_F16);
    assert_int_equal(kv_type_parse("Q8_0", &type, &err), STATUS_OK);
    assert_int_equal(type, TYPE_Q8_0);
    assert_int_equal(kv_type_parse("q4_0", &type, &err), STATUS_INVALID);
    assert_non_null(strstr(err.message, "q8_0"));
    assert_int_equal(kv_cache_create(&shape, &options, &cache, &err), STATUS_UNSUPPORTED);
    assert_non_null(strstr(err.message, "80"));
    options.type = TYPE_Q4_0;
    assert_int_equal(kv_cache_create(&shape, &options, &cache, &err), STATUS_UNSUPPORTED);
}

/* No more is made resident than `ahead` beyond what was used. */
static void test_warming(void **state)
{
    (void)state;
    struct error err = {0};
    struct kv_cache *cache;
    struct hyperparameters shape = {.head_dim = 128, .n_kv_heads = 8, .n_layers = 8};
    struct kv_options options = {.type = TYPE_F16, .n_positions = 1024, .n_sequences = 1};
    assert_int_equal(kv_cache_create(&shape, &options, &cache, &err), STATUS_OK);
    const size_t ahead = 6 << 20, all = kv_cache_bytes(cache);
    assert_true(all == 32 << 20);
    assert_false(kv_cache_warm(cache, 0));
    size_t pieces = 0;
    while (kv_cache_warm(cache, ahead))
        pieces++;
    assert_in_range(pieces, 1, 4); /* of up to two megabytes; 1: the system does not do so */
    if (pieces > 1) {
        assert_true(kv_reserve(cache, 0, 512));
        for (pieces = 0; kv_cache_warm(cache, ahead); pieces++)
            ;
        assert_in_range(pieces, 3, 4); /* 16 to 22 MB */
        while (kv_cache_warm(cache, all))
            pieces++;
        assert_in_range(pieces, 8, 10);
    }
    assert_false(kv_cache_warm(cache, all));
    kv_cache_free(cache);
}

/* --- Long prompts --- */

/* 32,768 positions in one pass, and in many with a fork on the way; memory as computed. */
static void test_long_prompts(void **state)
{
    (void)state;
    if (under_tsan) /* one thread, for a minute */
        skip();
    struct run whole, chunked;
    struct model_options all = {.n_threads = 1, .max_rows = LONG}, few = {.n_threads = 1};
    run_open(&whole, "qwen2", &all, TYPE_F16, LONG);
    extend(&whole, 0, LONG, LONG);
    run_open(&chunked, "qwen2", &few, TYPE_F16, LONG + 4096);
    extend(&chunked, 0, LONG - 2000, 512);
    assert_true(kv_fork(chunked.cache, 0, 1, LONG - 2500));
    extend(&chunked, 1, LONG, 333);
    assert_logits(&chunked, chunked.logits, whole.logits);
    assert_int_equal(kv_cache_bytes(whole.cache),
                     LONG * kv_position_bytes(model_shape(whole.model), TYPE_F16));
    run_close(&whole);
    run_close(&chunked);
}

static int make_models(void **state)
{
    char command[400];
    const char *program = getenv("TANDEM_MAKE_MODELS");
    if (!program || make_folder(state))
        return -1;
    snprintf(command, sizeof command, "'%s' '%s'", program, folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_errors_of_types),
        cmocka_unit_test(test_wrong_types_are_refused),
        cmocka_unit_test(test_warming),
        cmocka_unit_test(test_long_prompts),
    };
    return cmocka_run_group_tests(tests, make_models, remove_folder);
}
