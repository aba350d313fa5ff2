/* The public C API, through tandem.h alone. */
#include "tandem.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static char folder[] = "/tmp/tandem-api-test-XXXXXX";

static tandem_model *load(const char *name)
{
    char path[200];
    tandem_model *model;
    struct tandem_error err;
    snprintf(path, sizeof path, "%s/tandem-random-%s", folder, name);
    if (tandem_model_load(path, NULL, &model, &err))
        fail_msg("%s", err.message);
    return model;
}

/* The prompt's ids for a question; tandem_free. */
static int32_t *ask(const tandem_model *model, const char *question, size_t *n)
{
    struct tandem_message messages[] = {{"system", "Be brief."}, {"user", question}};
    char *prompt = NULL;
    int32_t *ids = NULL;
    struct tandem_error err;
    if (tandem_apply_chat_template(model, messages, 2, 1, &prompt, &err) ||
        tandem_tokenize(model, prompt, strlen(prompt), 0, &ids, n, &err))
        fail_msg("%s", err.message);
    assert_non_null(strstr(prompt, question));
    tandem_free(prompt);
    return ids;
}

struct heard {
    char text[4000];
    int32_t ids[100];
    size_t n, stop_after, n_top;
    double logprob;
};

static int hear(const struct tandem_piece *piece, void *user_data)
{
    struct heard *heard = user_data;
    assert_int_equal(strlen(piece->text), piece->text_length);
    strcat(heard->text, piece->text);
    if (piece->token >= 0)
        heard->ids[heard->n++] = piece->token;
    heard->logprob += (double)piece->logprob;
    heard->n_top = piece->n_top;
    return heard->stop_after && heard->n == heard->stop_after;
}

static void test_a_model_tells_what_it_is(void **state)
{
    (void)state;
    tandem_model *model = load("qwen2");
    struct tandem_model_info info;
    tandem_model_get_info(model, &info);
    assert_string_equal(info.weight_type, "BF16");
    assert_int_equal(info.model_context_length, 4096);
    assert_true(info.vocab_size > 256 && info.n_parameters > 1000 && info.n_threads > 0);
    assert_non_null(strstr(info.name, "qwen2"));
    assert_true(strchr(tandem_version(), '.') != NULL);
    tandem_model_free(model);
}

static void test_text_goes_to_ids_and_back(void **state)
{
    (void)state;
    for (int family = 0; family < 2; family++) {
        tandem_model *model = load(family ? "phi3" : "qwen2");
        static const char text[] = "the 一 end";
        int32_t *ids;
        size_t n, length;
        char *back;
        struct tandem_error err;
        assert_int_equal(tandem_tokenize(model, text, strlen(text), 0, &ids, &n, &err), TANDEM_OK);
        assert_int_equal(tandem_detokenize(model, ids, n, 0, &back, &length, &err), TANDEM_OK);
        assert_string_equal(back, text);
        assert_int_equal(length, strlen(text));
        tandem_free(back);
        tandem_free(ids);
        assert_int_equal(tandem_tokenize(model, "", 0, 0, &ids, &n, &err), TANDEM_OK);
        assert_int_equal(n, 0);
        tandem_free(ids);
        assert_int_equal(tandem_detokenize(model, NULL, 0, 0, &back, NULL, &err), TANDEM_OK);
        assert_string_equal(back, "");
        tandem_free(back);
        assert_int_not_equal(
            tandem_detokenize(model, (int32_t[]){1 << 30}, 1, 0, &back, &length, &err), TANDEM_OK);
        assert_null(back);
        tandem_model_free(model);
    }
}

static void test_messages_as_structs_and_as_json_are_the_same(void **state)
{
    (void)state;
    tandem_model *model = load("phi3");
    struct tandem_message messages[] = {{"user", "a \"b\" 你好"}};
    static const char json[] = "[{\"role\": \"user\", \"content\": \"a \\\"b\\\" 你好\"}]";
    char *a, *b;
    struct tandem_error err;
    assert_int_equal(tandem_apply_chat_template(model, messages, 1, 1, &a, &err), TANDEM_OK);
    assert_int_equal(tandem_apply_chat_template_json(model, json, NULL, 1, &b, &err), TANDEM_OK);
    assert_string_equal(a, b);
    tandem_free(a);
    tandem_free(b);
    static const char *const bad[] = {"{}", "[", "[1", "\"text\""};
    for (size_t i = 0; i < 4; i++) {
        assert_int_not_equal(tandem_apply_chat_template_json(model, bad[i], NULL, 1, &b, &err),
                             TANDEM_OK);
        assert_non_null(strstr(err.message, "messages"));
        assert_null(b);
    }
    messages[0].content = "\xFF";
    assert_int_equal(tandem_apply_chat_template(model, messages, 1, 1, &a, &err), TANDEM_INVALID);
    tandem_model_free(model);
}

static void test_generate_streams_what_it_returns(void **state)
{
    (void)state;
    tandem_model *model = load("qwen2");
    struct heard first = {0}, again = {0}, stopped = {.stop_after = 7};
    struct tandem_generation_options options;
    struct tandem_result result;
    struct tandem_error err;
    size_t n;
    int32_t *ids = ask(model, "Why?", &n);
    tandem_generation_options_init(model, &options);
    options.max_tokens = 40;
    options.ignore_eos = options.do_sample = options.want_logprobs = 1;
    options.n_top_logprobs = 3;
    options.seed = 11;
    assert_int_equal(tandem_generate(model, ids, n, &options, hear, &first, &result, &err),
                     TANDEM_OK);
    assert_int_equal(result.finish, TANDEM_FINISH_LENGTH);
    assert_int_equal(result.prompt_tokens, n);
    assert_int_equal(result.answer_tokens, 40);
    assert_int_equal(first.n, 40);
    assert_int_equal(first.n_top, 3);
    assert_true(first.logprob < 0 && isfinite(first.logprob));
    assert_true(result.first_token_seconds > 0 && result.total_seconds > 0);

    assert_int_equal(tandem_generate(model, ids, n, &options, hear, &again, &result, &err),
                     TANDEM_OK);
    assert_memory_equal(first.ids, again.ids, sizeof first.ids);
    assert_string_equal(first.text, again.text);
    assert_int_equal(result.cached_tokens, n - 1);

    assert_int_equal(tandem_generate(model, ids, n, &options, hear, &stopped, &result, &err),
                     TANDEM_OK);
    assert_int_equal(result.finish, TANDEM_FINISH_CANCELLED);
    assert_int_equal(result.answer_tokens, 7);
    assert_int_equal(stopped.n, 7);
    assert_int_equal(tandem_generate(model, ids, n, &options, NULL, NULL, NULL, NULL), TANDEM_OK);
    tandem_free(ids);
    tandem_model_free(model);
}

/* An adapter of rank 1 on one matrix of tandem-random-qwen2, as PEFT stores it. */
static void write_adapter(const char *path)
{
    enum { INPUTS = 352, OUTPUTS = 128 };
    static const char config[] = "{\"peft_type\": \"LORA\", \"r\": 1, \"lora_alpha\": 2}";
    static float values[INPUTS + OUTPUTS];
    char header[500], file[300];
    for (size_t i = 0; i < INPUTS + OUTPUTS; i++)
        values[i] = (float)(i * 7919 % 13) - 6;
    uint64_t length = (uint64_t)snprintf(
        header, sizeof header,
        "{\"base_model.model.model.layers.3.mlp.down_proj.lora_A.weight\": {\"dtype\": \"F32\", "
        "\"shape\": [1, %d], \"data_offsets\": [0, %d]}, "
        "\"base_model.model.model.layers.3.mlp.down_proj.lora_B.weight\": {\"dtype\": \"F32\", "
        "\"shape\": [%d, 1], \"data_offsets\": [%d, %d]}}",
        INPUTS, 4 * INPUTS, OUTPUTS, 4 * INPUTS, 4 * (INPUTS + OUTPUTS));
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(file, sizeof file, "%s/adapter_config.json", path);
    FILE *f = fopen(file, "w");
    assert_true(f && fputs(config, f) >= 0 && !fclose(f));
    snprintf(file, sizeof file, "%s/adapter_model.safetensors", path);
    f = fopen(file, "w");
    assert_true(f && fwrite(&length, 8, 1, f) && fwrite(header, length, 1, f) &&
                fwrite(values, sizeof values, 1, f) && !fclose(f));
}

/* What the model answers with one adapter of that scale. */
static struct heard hear_adapted(const char *adapter, double scale)
{
    char path[200];
    struct heard heard = {0};
    struct tandem_adapter adapters[] = {{adapter, scale}};
    struct tandem_load_options options;
    struct tandem_generation_options generation;
    struct tandem_error err;
    tandem_model *model;
    int32_t ids[] = {5, 6, 7};
    snprintf(path, sizeof path, "%s/tandem-random-qwen2", folder);
    tandem_load_options_init(&options);
    assert_int_equal(options.n_adapters, 0);
    options.adapters = adapters;
    options.n_adapters = 1;
    if (tandem_model_load(path, &options, &model, &err))
        fail_msg("%s", err.message);
    tandem_generation_options_init(NULL, &generation);
    generation.max_tokens = 20;
    generation.ignore_eos = 1;
    assert_int_equal(tandem_generate(model, ids, 3, &generation, hear, &heard, NULL, &err),
                     TANDEM_OK);
    tandem_model_free(model);
    return heard;
}

static void test_adapters_are_added(void **state)
{
    (void)state;
    char path[200], base[200];
    snprintf(path, sizeof path, "%s/adapter", folder);
    snprintf(base, sizeof base, "%s/tandem-random-phi3", folder);
    write_adapter(path);
    struct heard none = hear_adapted(path, 0), reversed = hear_adapted(path, -1),
                 whole = hear_adapted(path, 1);
    assert_int_equal(none.n, 20);
    assert_memory_not_equal(none.ids, whole.ids, sizeof none.ids);
    assert_memory_not_equal(reversed.ids, whole.ids, sizeof whole.ids);

    struct tandem_adapter wrong[] = {{path, 1}, {path, NAN}};
    struct tandem_load_options options;
    struct tandem_error err;
    tandem_model *model;
    tandem_load_options_init(&options);
    options.adapters = wrong;
    options.n_adapters = 1;
    assert_int_equal(tandem_model_load(base, &options, &model, &err), TANDEM_INVALID);
    assert_non_null(strstr(err.message, "model.layers.3.mlp.down_proj"));
    options.adapters = wrong + 1;
    assert_int_equal(tandem_model_load(base, &options, &model, &err), TANDEM_INVALID);
    assert_non_null(strstr(err.message, "scale"));
}

static void test_weights_are_quantized_while_loading(void **state)
{
    (void)state;
    char path[200];
    struct tandem_load_options options;
    struct tandem_model_info info;
    struct tandem_error err;
    tandem_model *model;
    snprintf(path, sizeof path, "%s/tandem-random-qwen2", folder);
    tandem_load_options_init(&options);
    options.quantize = "q8_0";
    if (tandem_model_load(path, &options, &model, &err))
        fail_msg("%s", err.message);
    tandem_model_get_info(model, &info);
    assert_string_equal(info.weight_type, "Q8_0");
    assert_non_null(strstr(info.name, "(Q8_0)"));
    tandem_model_free(model);
    options.quantize = "q9";
    assert_int_equal(tandem_model_load(path, &options, &model, &err), TANDEM_INVALID);
}

/* A model that drafts for itself is always right: fewer steps, the same answer. */
static void test_a_draft_model_guesses(void **state)
{
    (void)state;
    char path[200], other[200];
    struct tandem_load_options options;
    struct tandem_generation_options greedy;
    struct tandem_result results[2];
    struct heard heard[2] = {0};
    struct tandem_error err;
    tandem_model *model;
    snprintf(path, sizeof path, "%s/tandem-random-qwen2", folder);
    snprintf(other, sizeof other, "%s/tandem-random-phi3", folder);
    for (int drafted = 0; drafted < 2; drafted++) {
        tandem_load_options_init(&options);
        options.speculate = drafted ? "always" : "off";
        options.draft = drafted ? path : NULL;
        if (tandem_model_load(path, &options, &model, &err))
            fail_msg("%s", err.message);
        tandem_generation_options_init(NULL, &greedy);
        greedy.max_tokens = 40;
        greedy.ignore_eos = 1;
        size_t n;
        int32_t *ids = ask(model, "What is red?", &n);
        if (tandem_generate(model, ids, n, &greedy, hear, &heard[drafted], &results[drafted], &err))
            fail_msg("%s", err.message);
        tandem_free(ids);
        tandem_model_free(model);
    }
    assert_int_equal(heard[0].n, 40);
    assert_int_equal(heard[1].n, 40);
    assert_memory_equal(heard[0].ids, heard[1].ids, 40 * sizeof *heard[0].ids);
    assert_int_equal(results[0].guessed_tokens, 0);
    assert_true(results[1].guessed_tokens >= 30);
    assert_int_equal(results[1].accepted_tokens, results[1].guessed_tokens);
    options.draft = other;
    assert_int_equal(tandem_model_load(path, &options, &model, &err), TANDEM_INVALID);
    assert_non_null(strstr(err.message, "vocabulary"));
    options.speculate = "sometimes";
    assert_int_equal(tandem_model_load(path, &options, &model, &err), TANDEM_INVALID);
    assert_non_null(strstr(err.message, "sometimes"));
}

static void test_mistakes_get_a_status_and_a_message(void **state)
{
    (void)state;
    tandem_model *model;
    struct tandem_error err;
    assert_int_equal(tandem_model_load("/nowhere", NULL, &model, &err), TANDEM_NOT_FOUND);
    assert_null(model);
    assert_non_null(strstr(err.message, "/nowhere"));
    struct tandem_load_options load_options = {0};
    assert_int_equal(tandem_model_load("/nowhere", &load_options, &model, &err), TANDEM_INVALID);
    assert_non_null(strstr(err.message, "tandem_load_options_init"));

    model = load("phi3");
    struct tandem_generation_options options = {0};
    int32_t id = 5, wrong = -7, *many = calloc(5000, sizeof *many);
    assert_int_equal(tandem_generate(model, &id, 1, &options, NULL, NULL, NULL, &err),
                     TANDEM_INVALID);
    tandem_generation_options_init(model, &options);
    options.max_tokens = 1;
    assert_int_equal(tandem_generate(model, &wrong, 1, &options, NULL, NULL, NULL, &err),
                     TANDEM_INVALID);
    assert_int_equal(tandem_generate(model, many, 5000, &options, NULL, NULL, NULL, &err),
                     TANDEM_LIMIT);
    assert_non_null(strstr(err.message, "5000 tokens; at most 4095"));
    options.do_sample = 1;
    options.temperature = -1;
    assert_int_equal(tandem_generate(model, &id, 1, &options, NULL, NULL, NULL, &err),
                     TANDEM_INVALID);
    assert_non_null(strstr(err.message, "temperature"));
    free(many);
    tandem_model_free(model);
    tandem_model_free(NULL);
}

static int make_models(void **state)
{
    (void)state;
    char command[500];
    const char *maker = getenv("TANDEM_MAKE_MODELS");
    if (!mkdtemp(folder) || !maker)
        return 1;
    snprintf(command, sizeof command, "'%s' %s > /dev/null", maker, folder);
    return system(command);
}

static int remove_models(void **state)
{
    (void)state;
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_model_tells_what_it_is),
        cmocka_unit_test(test_text_goes_to_ids_and_back),
        cmocka_unit_test(test_messages_as_structs_and_as_json_are_the_same),
        cmocka_unit_test(test_generate_streams_what_it_returns),
        cmocka_unit_test(test_adapters_are_added),
        cmocka_unit_test(test_weights_are_quantized_while_loading),
        cmocka_unit_test(test_a_draft_model_guesses),
        cmocka_unit_test(test_mistakes_get_a_status_and_a_message),
    };
    return cmocka_run_group_tests(tests, make_models, remove_models);
}
