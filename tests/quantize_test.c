/* Quantizing: the encoders' error, importance, recipes, whole checkpoints. */
#include "base/file.h"
#include "base/rng.h"
#include "formats/checkpoint.h"
#include "kernels/kernels.h"
#include "kernels/k_quants.h"
#include "quantize/quantize.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { N = 256 * 64 };

static float source[N], decoded[N], importance[N];
static uint8_t blocks[N * 2];
static char folder[] = "/tmp/tandem-quantize-test-XXXXXX";

static void fill(uint64_t seed)
{
    struct rng rng;
    rng_seed(&rng, seed);
    for (size_t i = 0; i < N; i++) {
        source[i] = (float)(rng_normal(&rng) * 0.02);
        importance[i] = i % 8 == 0 ? 100 : 0.01f;
    }
}

/* Error of an encoding relative to the values, weighted by w or not. */
static double encode(enum tensor_type type, const float *by, const float *w)
{
    const struct kernels *kernels;
    assert_int_equal(kernels_select("scalar", &kernels, NULL), STATUS_OK);
    quantize_k_row(type, source, by, blocks, N);
    kernels->dequantize[type](blocks, decoded, N);
    double miss = 0, all = 0;
    for (size_t i = 0; i < N; i++) {
        double weight = w ? (double)w[i] : 1, d = (double)decoded[i] - (double)source[i];
        miss += weight * d * d;
        all += weight * (double)source[i] * (double)source[i];
    }
    return sqrt(miss / all);
}

/* Bounds a little above what normal values give; a wrong bit anywhere is far beyond them. */
static void test_encoders_are_close(void **state)
{
    (void)state;
    fill(1);
    assert_true(encode(TYPE_Q4_K, NULL, NULL) < 0.080);
    assert_true(encode(TYPE_Q5_K, NULL, NULL) < 0.040);
    assert_true(encode(TYPE_Q6_K, NULL, NULL) < 0.021);
}

static void test_extreme_rows(void **state)
{
    (void)state;
    static const float values[] = {0, 1, -1, 1e-30f, 6e4f};
    for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
        for (size_t i = 0; i < N; i++)
            source[i] = values[v];
        for (int t = 0; t < 3; t++) {
            double error =
                encode((enum tensor_type[]){TYPE_Q4_K, TYPE_Q5_K, TYPE_Q6_K}[t], NULL, NULL);
            assert_true(values[v] == 0 || values[v] == 1e-30f || error < 0.02);
            for (size_t i = 0; i < N; i++)
                assert_true(isfinite(decoded[i]));
        }
    }
}

static void test_importance_moves_the_error(void **state)
{
    (void)state;
    fill(2);
    for (int t = 0; t < 3; t++) {
        enum tensor_type type = (enum tensor_type[]){TYPE_Q4_K, TYPE_Q5_K, TYPE_Q6_K}[t];
        assert_true(encode(type, importance, importance) < 0.9 * encode(type, NULL, importance));
    }
}

static void test_recipes(void **state)
{
    (void)state;
    struct hyperparameters shape = {.n_layers = 16, .tied_embeddings = true};
    struct tensor t = {.n_dims = 2, .shape = {512, 512}};
    t.name = "model.embed_tokens.weight";
    assert_int_equal(recipe_type(recipe_find("q4_k_m"), &shape, &t), TYPE_Q6_K);
    t.name = "model.layers.0.mlp.down_proj.weight";
    assert_int_equal(recipe_type(recipe_find("Q4_K_M"), &shape, &t), TYPE_Q6_K);
    t.name = "model.layers.3.mlp.down_proj.weight";
    assert_int_equal(recipe_type(recipe_find("Q4_K_M"), &shape, &t), TYPE_Q4_K);
    t.shape[1] = 96;
    assert_int_equal(recipe_type(recipe_find("Q4_K_M"), &shape, &t), TYPE_Q5_0);
    t.shape[1] = 90;
    assert_int_equal(recipe_type(recipe_find("Q8_0"), &shape, &t), TYPE_F16);
    assert_null(recipe_find("Q9_X"));
}

static struct checkpoint *open_random(void)
{
    char path[200];
    struct checkpoint *cp;
    struct error err = {0};
    snprintf(path, sizeof path, "%s/tandem-random-qwen2", folder);
    if (checkpoint_open(path, &cp, &err))
        fail_msg("%s", err.message);
    return cp;
}

/* Relative error of all elements of a tensor against the same tensor of another checkpoint. */
static double compare_tensors(const struct tensor *a, const struct tensor *b)
{
    const struct kernels *kernels;
    assert_int_equal(kernels_select("scalar", &kernels, NULL), STATUS_OK);
    size_t n = a->shape[0] * (a->n_dims > 1 ? a->shape[1] : 1);
    float *x = malloc(n * sizeof *x), *y = malloc(n * sizeof *y);
    kernels->dequantize[a->type](a->data, x, n);
    kernels->dequantize[b->type](b->data, y, n);
    double miss = 0, all = 1e-30;
    for (size_t i = 0; i < n; i++) {
        miss += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
        all += (double)x[i] * (double)x[i];
    }
    free(x);
    free(y);
    return sqrt(miss / all);
}

static void test_whole_checkpoints(void **state)
{
    (void)state;
    static const struct {
        const char *recipe;
        double bound;
    } cases[] = {{"F32", 1e-9},  {"F16", 1e-3},    {"BF16", 1e-9}, {"Q8_0", 0.01},
                 {"Q4_0", 0.12}, {"Q4_K_M", 0.08}, {"Q6_K", 0.02}};
    struct checkpoint *cp = open_random(), *quantized;
    char path[200];
    snprintf(path, sizeof path, "%s/out.gguf", folder);
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct error err = {0};
        if (quantize_checkpoint(cp, path, recipe_find(cases[c].recipe), NULL, &err) ||
            checkpoint_open(path, &quantized, &err))
            fail_msg("%s: %s", cases[c].recipe, err.message);
        for (size_t i = 0; i < checkpoint_tensor_count(cp); i++) {
            const struct tensor *a = checkpoint_tensor_at(cp, i);
            const struct tensor *b = checkpoint_tensor(quantized, a->name);
            assert_non_null(b);
            assert_true(compare_tensors(a, b) <= cases[c].bound);
        }
        checkpoint_close(quantized);
    }
    checkpoint_close(cp);
}

static void test_cancelling_leaves_nothing(void **state)
{
    (void)state;
    struct checkpoint *cp = open_random();
    atomic_bool cancel = true;
    struct quantize_options options = {.cancel = &cancel};
    char path[200];
    snprintf(path, sizeof path, "%s/cancelled.gguf", folder);
    assert_int_equal(quantize_checkpoint(cp, path, recipe_find("Q8_0"), &options, NULL),
                     STATUS_CANCELLED);
    assert_false(file_exists(path));
    checkpoint_close(cp);
}

static int set_up(void **state)
{
    (void)state;
    char command[400];
    if (!mkdtemp(folder))
        return -1;
    snprintf(command, sizeof command, "'%s' '%s' >/dev/null", getenv("TANDEM_MAKE_MODELS"), folder);
    return system(command);
}

static int tear_down(void **state)
{
    (void)state;
    char command[100];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encoders_are_close),
        cmocka_unit_test(test_extreme_rows),
        cmocka_unit_test(test_importance_moves_the_error),
        cmocka_unit_test(test_recipes),
        cmocka_unit_test(test_whole_checkpoints),
        cmocka_unit_test(test_cancelling_leaves_nothing),
    };
    if (!getenv("TANDEM_MAKE_MODELS")) {
        puts("skipped: TANDEM_MAKE_MODELS does not name the program that makes models");
        return 77;
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
