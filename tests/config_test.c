/* config.json and generation_config.json of the released checkpoints, and wrong ones. */
#include "base/vocab_source.h"
#include "formats/hf_config.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define QWEN_BASE                                                                                  \
    "\"architectures\": [\"Qwen2ForCausalLM\"], \"model_type\": \"qwen2\", \"hidden_size\": 896, " \
    "\"intermediate_size\": 4864, \"num_hidden_layers\": 24, \"num_attention_heads\": 14, "        \
    "\"num_key_value_heads\": 2, \"vocab_size\": 151936, \"rms_norm_eps\": 1e-06, "                \
    "\"rope_theta\": 1000000.0, \"tie_word_embeddings\": true, "                                   \
    "\"max_position_embeddings\": 32768"
#define PHI_BASE                                                                                   \
    "\"architectures\": [\"Phi3ForCausalLM\"], \"model_type\": \"phi3\", \"hidden_size\": 64, "    \
    "\"intermediate_size\": 128, \"num_hidden_layers\": 4, \"num_attention_heads\": 4, "           \
    "\"num_key_value_heads\": 2, \"vocab_size\": 320, \"rms_norm_eps\": 1e-05"

static enum status read_config(const char *text, struct hyperparameters *h, struct error *err)
{
    json_t *config = json_parse("config.json", text, strlen(text), err);
    assert_non_null(config);
    enum status status = hf_config_read("config.json", config, h, err);
    json_decref(config);
    return status;
}

static struct hyperparameters good(const char *text)
{
    struct hyperparameters h;
    struct error err = {0};
    if (read_config(text, &h, &err))
        fail_msg("%s", err.message);
    return h;
}

static void bad(const char *text, enum status status, const char *words)
{
    struct hyperparameters h;
    struct error err = {0};
    assert_int_equal(read_config(text, &h, &err), status);
    assert_int_equal(err.status, status);
    if (!strstr(err.message, "config.json") || !strstr(err.message, words))
        fail_msg("\"%s\" should name config.json and \"%s\"", err.message, words);
}

static void test_qwen(void **state)
{
    (void)state;
    struct hyperparameters h = good("{" QWEN_BASE ", \"use_sliding_window\": false, "
                                    "\"sliding_window\": 32768, \"max_window_layers\": 21}");
    assert_int_equal(h.family, FAMILY_QWEN2);
    assert_int_equal(h.head_dim, 64);
    assert_int_equal(h.n_kv_heads, 2);
    assert_int_equal(h.sliding_window, 0);
    assert_int_equal(h.rope.kind, ROPE_DEFAULT);
    assert_int_equal(h.rope.rotary_dim, 64);
    assert_true(h.rope.theta == 1e6);
    assert_true(h.tied_embeddings);
}

static void test_qwen_windows(void **state)
{
    (void)state;
    struct hyperparameters h = good("{" QWEN_BASE ", \"use_sliding_window\": true, "
                                    "\"sliding_window\": 4096, \"max_window_layers\": 21}");
    assert_int_equal(h.sliding_window, 4096);
    assert_int_equal(h.first_window_layer, 21);
    /* No layer is left that would have the window. */
    h = good("{" QWEN_BASE ", \"use_sliding_window\": true, \"sliding_window\": 4096, "
             "\"max_window_layers\": 24}");
    assert_int_equal(h.sliding_window, 0);
    h = good("{\"model_type\": \"qwen2\", \"hidden_size\": 8, \"intermediate_size\": 8, "
             "\"num_hidden_layers\": 3, \"num_attention_heads\": 2, \"vocab_size\": 9, "
             "\"use_sliding_window\": true, \"sliding_window\": 5, \"max_window_layers\": 0, "
             "\"layer_types\": [\"full_attention\", \"full_attention\", \"sliding_attention\"]}");
    assert_int_equal(h.sliding_window, 5);
    assert_int_equal(h.first_window_layer, 2);
    assert_int_equal(h.n_kv_heads, 2);
    bad("{" QWEN_BASE ", \"use_sliding_window\": true, \"sliding_window\": 5, "
        "\"layer_types\": [\"full_attention\"]}",
        STATUS_FORMAT, "layer_types");
}

static void test_yarn(void **state)
{
    (void)state;
    struct hyperparameters h =
        good("{" QWEN_BASE ", \"rope_scaling\": {\"factor\": 4.0, "
             "\"original_max_position_embeddings\": 32768, \"type\": \"yarn\"}}");
    assert_int_equal(h.rope.kind, ROPE_YARN);
    assert_int_equal(h.rope.original_context, 32768);
    assert_true(h.rope.factor == 4 && h.rope.beta_fast == 32 && h.rope.beta_slow == 1);
    assert_true(h.rope.attention_factor == 0);
    /* transformers 5 keeps it all in one place. */
    h = good("{\"model_type\": \"qwen2\", \"hidden_size\": 8, \"intermediate_size\": 8, "
             "\"num_hidden_layers\": 3, \"num_attention_heads\": 2, \"vocab_size\": 9, "
             "\"rope_parameters\": {\"rope_type\": \"linear\", \"factor\": 2, "
             "\"rope_theta\": 5e5}}");
    assert_int_equal(h.rope.kind, ROPE_LINEAR);
    assert_true(h.rope.factor == 2 && h.rope.theta == 5e5);
    bad("{" QWEN_BASE ", \"rope_scaling\": {\"type\": \"yarn\", \"factor\": 0}}", STATUS_FORMAT,
        "factor");
    bad("{" QWEN_BASE ", \"rope_scaling\": {\"type\": \"dynamic\", \"factor\": 2}}",
        STATUS_UNSUPPORTED, "dynamic");
}

static void test_phi(void **state)
{
    (void)state;
    struct hyperparameters h = good("{" PHI_BASE ", \"sliding_window\": 2047}");
    assert_int_equal(h.family, FAMILY_PHI3);
    assert_int_equal(h.sliding_window, 2047);
    assert_int_equal(h.first_window_layer, 0);
    assert_int_equal(h.context_length, 4096);
    h = good("{" PHI_BASE ", \"sliding_window\": null, \"rope_scaling\": null}");
    assert_int_equal(h.sliding_window, 0);
}

static void test_longrope(void **state)
{
    (void)state;
    /* As Phi-4-mini has it: a part of each head rotates. */
    static const char format[] =
        "{" PHI_BASE ", \"partial_rotary_factor\": 0.75, \"max_position_embeddings\": 131072, "
        "\"original_max_position_embeddings\": 4096, \"rope_scaling\": {\"%s\": \"%s\", "
        "\"short_factor\": [1, 1.5, 2, 2.5, 3, 3.5], \"long_factor\": [1, 2, 4, 8, 16, 32]}}";
    static const char *const spellings[][2] = {
        {"type", "longrope"}, {"rope_type", "longrope"}, {"type", "su"}, {"type", "yarn"}};
    char text[2000];
    for (size_t i = 0; i < 4; i++) {
        snprintf(text, sizeof text, format, spellings[i][0], spellings[i][1]);
        struct hyperparameters h = good(text);
        assert_int_equal(h.rope.kind, ROPE_LONGROPE);
        assert_int_equal(h.rope.rotary_dim, 12);
        assert_int_equal(h.rope.original_context, 4096);
        assert_true(h.rope.factor == 32);
        assert_true(h.rope.long_factor[5] == 32 && h.rope.short_factor[1] == 1.5);
    }
    bad("{" PHI_BASE ", \"rope_scaling\": {\"type\": \"longrope\", \"short_factor\": [1], "
        "\"long_factor\": [1]}}",
        STATUS_FORMAT, "short_factor");
    bad("{\"model_type\": \"phi3\", \"hidden_size\": 4, \"intermediate_size\": 8, "
        "\"num_hidden_layers\": 3, \"num_attention_heads\": 1, \"vocab_size\": 9, "
        "\"rope_scaling\": {\"type\": \"longrope\", \"short_factor\": [1, 0], "
        "\"long_factor\": [1, 1]}}",
        STATUS_FORMAT, "short factor 1 is 0");
}

static void test_wrong_configs(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
        enum status status;
    } cases[] = {
        {"{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\"}",
         "Qwen2ForCausalLM", STATUS_UNSUPPORTED},
        {"{\"model_type\": \"gemma\"}", "gemma", STATUS_UNSUPPORTED},
        {"{}", "model_type", STATUS_UNSUPPORTED},
        {"[]", "object", STATUS_FORMAT},
        {"{\"model_type\": 3}", "model_type", STATUS_FORMAT},
        {"{\"model_type\": \"qwen2\"}", "\"hidden_size\" is missing", STATUS_FORMAT},
        {"{\"model_type\": \"qwen2\", \"hidden_size\": -4}", "\"hidden_size\" is -4",
         STATUS_FORMAT},
        {"{\"model_type\": \"qwen2\", \"hidden_size\": \"4\"}", "should be an integer",
         STATUS_FORMAT},
        {"{" QWEN_BASE ", \"hidden_act\": \"gelu\"}", "gelu", STATUS_UNSUPPORTED},
        {"{" QWEN_BASE ", \"head_dim\": 63}", "rotary dimension is 63", STATUS_FORMAT},
        {"{" QWEN_BASE ", \"head_dim\": 1000000000}", "head_dim", STATUS_FORMAT},
        {"{" QWEN_BASE ", \"partial_rotary_factor\": 1.5}", "partial_rotary_factor", STATUS_FORMAT},
        {"{" QWEN_BASE ", \"quantization_config\": {\"quant_method\": \"awq\"}}", "awq",
         STATUS_UNSUPPORTED},
        {"{" PHI_BASE ", \"attention_bias\": true}", "attention_bias", STATUS_UNSUPPORTED},
        {"{" PHI_BASE ", \"sliding_window\": -1}", "sliding_window", STATUS_FORMAT},
        {"{" PHI_BASE ", \"rope_theta\": 1}", "base is 1", STATUS_FORMAT},
        {"{\"model_type\": \"qwen2\", \"hidden_size\": 12, \"intermediate_size\": 8, "
         "\"num_hidden_layers\": 3, \"num_attention_heads\": 3, \"num_key_value_heads\": 2, "
         "\"vocab_size\": 9}",
         "multiple of 2", STATUS_FORMAT},
        {"{\"model_type\": \"qwen2\", \"hidden_size\": 12, \"intermediate_size\": 8, "
         "\"num_hidden_layers\": 3, \"num_attention_heads\": 5, \"vocab_size\": 9}",
         "multiple of 5", STATUS_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        bad(cases[i].text, cases[i].status, cases[i].words);
}

static enum status read_generation(const char *generation, const char *config,
                                   struct generation_defaults *g, struct error *err)
{
    json_t *a = generation ? json_parse("g", generation, strlen(generation), err) : NULL;
    json_t *b = json_parse("c", config, strlen(config), err);
    enum status status = hf_generation_read("generation_config.json", a, "config.json", b, g, err);
    json_decref(a);
    json_decref(b);
    return status;
}

static void test_generation_defaults(void **state)
{
    (void)state;
    struct generation_defaults g;
    struct error err = {0};
    assert_int_equal(read_generation("{\"do_sample\": true, \"temperature\": 0.7, \"top_p\": 0.8, "
                                     "\"top_k\": 20, \"repetition_penalty\": 1.05, "
                                     "\"eos_token_id\": [7, 9], \"pad_token_id\": 9}",
                                     "{\"eos_token_id\": 3, \"bos_token_id\": 1}", &g, &err),
                     STATUS_OK);
    assert_true(g.do_sample && g.temperature == 0.7 && g.top_p == 0.8 && g.top_k == 20);
    assert_true(g.repetition_penalty == 1.05 && g.min_p == 0 && g.max_new_tokens == 0);
    assert_int_equal(g.n_eos_ids, 2);
    assert_int_equal(g.eos_ids[1], 9);
    assert_int_equal(g.bos_id, 1);
    assert_int_equal(g.pad_id, 9);
}

static void test_generation_falls_back_on_config(void **state)
{
    (void)state;
    struct generation_defaults g;
    struct error err = {0};
    assert_int_equal(read_generation(NULL, "{\"eos_token_id\": 3, \"pad_token_id\": -1}", &g, &err),
                     STATUS_OK);
    assert_false(g.do_sample);
    assert_int_equal(g.n_eos_ids, 1);
    assert_int_equal(g.eos_ids[0], 3);
    assert_int_equal(g.pad_id, VOCAB_NO_ID);
    assert_int_equal(g.top_k, 50);
    assert_int_equal(read_generation("{\"top_k\": null}", "{}", &g, &err), STATUS_OK);
    assert_int_equal(g.top_k, 0);
}

static void test_wrong_generation_defaults(void **state)
{
    (void)state;
    static const char *const texts[] = {"[1]",
                                        "{\"temperature\": -1}",
                                        "{\"top_p\": 2}",
                                        "{\"min_p\": -0.1}",
                                        "{\"repetition_penalty\": 0}",
                                        "{\"top_k\": -3}",
                                        "{\"eos_token_id\": \"x\"}",
                                        "{\"eos_token_id\": [1, -2]}",
                                        "{\"eos_token_id\": [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}",
                                        "{\"bos_token_id\": 99999999999}",
                                        "{\"do_sample\": 1}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct generation_defaults g;
        struct error err = {0};
        assert_int_not_equal(read_generation(texts[i], "{}", &g, &err), STATUS_OK);
        assert_non_null(strstr(err.message, "generation_config.json"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_qwen),
        cmocka_unit_test(test_qwen_windows),
        cmocka_unit_test(test_yarn),
        cmocka_unit_test(test_phi),
        cmocka_unit_test(test_longrope),
        cmocka_unit_test(test_wrong_configs),
        cmocka_unit_test(test_generation_defaults),
        cmocka_unit_test(test_generation_falls_back_on_config),
        cmocka_unit_test(test_wrong_generation_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
