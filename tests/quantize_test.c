/* Quantizing: the encoders' error, importance, recipes, whole checkpoints. */
#include "base/file.h"
#include "base/rng.h"
#include "formats/checkpoint.h"
#include "kernels/kernels.h"
#include "kernels/convert.h"
#include "kernels/double_quant.h"
#include "quantize/importance.h"
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

static float source[N], decoded[N], importance[N], ones[N];
static uint8_t blocks[N * sizeof(float)];
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
    convert_encode(kernels, type, source, by, blocks, N);
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
    static const enum tensor_type types[] = {TYPE_Q4_0, TYPE_Q4_1, TYPE_Q5_0, TYPE_Q5_1,
                                             TYPE_Q4_K, TYPE_Q5_K, TYPE_Q6_K};
    static const float values[] = {0, 1, -1, 1e-30f, 6e4f};
    for (size_t i = 0; i < N; i++)
        ones[i] = 1;
    for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
        for (size_t i = 0; i < N; i++)
            source[i] = values[v];
        for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
            double error = encode(types[t], ones, NULL);
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
    for (int t = 0; t < TYPE_COUNT; t++) {
        enum tensor_type type = (enum tensor_type)t;
        if (convert_weighs(type))
            assert_true(encode(type, importance, importance) <
                        0.9 * encode(type, NULL, importance));
        else if (t <= TYPE_Q8_0)
            assert_true(encode(type, importance, NULL) == encode(type, NULL, NULL));
    }
    assert_true(convert_weighs(TYPE_Q4_0) && convert_weighs(TYPE_Q5_1) &&
                convert_weighs(TYPE_Q6_K));
    assert_false(convert_weighs(TYPE_Q8_0) || convert_weighs(TYPE_NF4));
}

/* Evenly weighted, fitting a scale is no worse than taking it from the extreme values. */
static void test_fitted_scales(void **state)
{
    (void)state;
    static const enum tensor_type types[] = {TYPE_Q4_0, TYPE_Q4_1, TYPE_Q5_0, TYPE_Q5_1};
    fill(3);
    for (size_t i = 0; i < N; i++)
        importance[i] = 1;
    for (size_t t = 0; t < sizeof types / sizeof *types; t++)
        assert_true(encode(types[t], importance, NULL) < encode(types[t], NULL, NULL));
}

/* Files do not depend on the machine that wrote them. */
static void test_tables_agree(void **state)
{
    (void)state;
    static const enum tensor_type types[] = {TYPE_Q4_0, TYPE_Q4_1, TYPE_Q5_0, TYPE_Q5_1,
                                             TYPE_Q4_K, TYPE_Q5_K, TYPE_Q6_K};
    static uint8_t expected[sizeof blocks];
    fill(5);
    for (size_t i = 0; i < N; i += 3) /* rows of all kinds: far apart, of one sign, with ties */
        source[i] = i / 256 % 3 == 0 ? fabsf(source[i]) : i / 256 % 3 == 1 ? 0.02f : 3 * source[i];
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        for (int weighted = 0; weighted < 2; weighted++) {
            const float *by = weighted ? importance : NULL;
            encode(types[t], by, NULL);
            memcpy(expected, blocks, sizeof blocks);
            for (const char *const *name = kernels_available(); *name; name++) {
                const struct kernels *kernels;
                assert_int_equal(kernels_select(*name, &kernels, NULL), STATUS_OK);
                memset(blocks, 0, sizeof blocks);
                convert_encode(kernels, types[t], source, by, blocks, N);
                size_t bytes;
                assert_true(tensor_type_bytes(types[t], N, &bytes));
                assert_memory_equal(blocks, expected, bytes);
            }
        }
    }
}

/* The scales of blocks in 8 bits: close to what they were, offset and all. */
static void test_double_quantization(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    static uint8_t codes[COUNT];
    float map[DYNAMIC_VALUES], nested[COUNT / NESTED_BLOCK + 1], offset;
    fill(4);
    dynamic_map(map);
    for (size_t i = 1; i < DYNAMIC_VALUES; i++)
        assert_true(map[i] > map[i - 1]);
    assert_true(map[DYNAMIC_VALUES - 1] == 1);
    for (size_t i = 0; i < COUNT; i++)
        source[i] = 0.05f + fabsf(source[i]);
    double_quantize(source, COUNT, map, codes, nested, &offset);
    for (size_t i = 0; i < COUNT; i++) {
        float got = double_dequantize(map, codes[i], nested[i / NESTED_BLOCK], offset);
        assert_true(fabsf(got - source[i]) < 0.01f * nested[i / NESTED_BLOCK]);
    }
}

/* What a model multiplies, in numbers: the inputs of its first layer are normalised embeddings. */
static void test_importance_of_a_model(void **state)
{
    (void)state;
    char path[200];
    struct model *model;
    struct importance *found = NULL;
    struct error err = {0};
    int32_t ids[70];
    for (size_t i = 0; i < 70; i++)
        ids[i] = (int32_t)(i * 3 % 100);
    snprintf(path, sizeof path, "%s/tandem-random-qwen2", folder);
    struct model_options options = {.n_threads = 1};
    struct importance_options how = {.window = 32, .n_windows = 10};
    if (model_open(path, &options, &model, &err) ||
        importance_collect(model, ids, 70, &how, &found, &err))
        fail_msg("%s", err.message);
    const struct hyperparameters *s = model_shape(model);
    const float *q = importance_of(found, "model.layers.0.self_attn.q_proj.weight", s->dim);
    const float *v = importance_of(found, "model.layers.0.self_attn.v_proj.weight", s->dim);
    assert_non_null(q);
    assert_ptr_equal(q, v);
    assert_int_equal(importance_tokens(found), 70);
    double sum = 0;
    for (size_t i = 0; i < s->dim; i++)
        sum += (double)q[i];
    assert_true(fabs(sum / (double)s->dim - 1) < 0.01);
    assert_non_null(importance_of(found, "model.layers.0.mlp.down_proj.weight", s->ffn_dim));
    assert_null(importance_of(found, "model.layers.0.mlp.down_proj.weight", s->ffn_dim + 1));
    assert_null(importance_of(found, "model.layers.99.mlp.down_proj.weight", s->ffn_dim));
    assert_null(importance_of(found, "model.norm.weight", s->dim));
    importance_free(found);
    how.n_windows = 1; /* the text's beginning alone */
    assert_int_equal(importance_collect(model, ids, 70, &how, &found, &err), STATUS_OK);
    assert_int_equal(importance_tokens(found), 32);
    importance_free(found);
    assert_int_equal(importance_collect(model, ids, 0, &how, &found, &err), STATUS_INVALID);
    model_close(model);
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

/* As bitsandbytes stores them, from a folder and from a GGUF file; and while a model is loaded. */
static void test_folders(void **state)
{
    (void)state;
    static const struct {
        const char *recipe;
        double bound;
    } cases[] = {{"NF4", 0.1}, {"NF4-DQ", 0.1}, {"FP4", 0.15}, {"INT8", 0.02}};
    char gguf[200], path[200], original[200];
    struct error err = {0};
    struct checkpoint *cp = open_random(), *file, *read;
    snprintf(original, sizeof original, "%s/tandem-random-qwen2", folder);
    snprintf(gguf, sizeof gguf, "%s/plain.gguf", folder);
    if (quantize_checkpoint(cp, gguf, recipe_find("BF16"), NULL, &err) ||
        checkpoint_open(gguf, &file, &err))
        fail_msg("%s", err.message);
    for (size_t c = 0; c < 2 * (sizeof cases / sizeof cases[0]); c++) {
        const struct recipe *recipe = recipe_find(cases[c / 2].recipe);
        struct model_options options = {.n_threads = 2, .quantize = recipe};
        struct model *model;
        snprintf(path, sizeof path, "%s/folder-%zu", folder, c);
        if (quantize_checkpoint(c % 2 ? file : cp, path, recipe, NULL, &err) ||
            checkpoint_open(path, &read, &err) ||
            model_open(c % 2 ? gguf : original, &options, &model, &err))
            fail_msg("%s: %s", recipe->name, err.message);
        for (size_t i = 0; i < checkpoint_tensor_count(cp); i++) {
            const struct tensor *a = checkpoint_tensor_at(cp, i);
            assert_true(compare_tensors(a, checkpoint_tensor(read, a->name)) <= cases[c / 2].bound);
        }
        assert_non_null(strstr(model_name(model), recipe->name));
        model_close(model);
        checkpoint_close(read);
    }
    checkpoint_close(file);
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
        cmocka_unit_test(test_fitted_scales),
        cmocka_unit_test(test_tables_agree),
        cmocka_unit_test(test_double_quantization),
        cmocka_unit_test(test_importance_of_a_model),
        cmocka_unit_test(test_recipes),
        cmocka_unit_test(test_whole_checkpoints),
        cmocka_unit_test(test_folders),
        cmocka_unit_test(test_cancelling_leaves_nothing),
    };
    if (!getenv("TANDEM_MAKE_MODELS")) {
        puts("skipped: TANDEM_MAKE_MODELS does not name the program that makes models");
        return 77;
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
