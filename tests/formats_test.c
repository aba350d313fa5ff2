/* Checkpoints: what is read from good files, and what is said of bad ones. */
#include "base/file.h"
#include "base/memory.h"
#include "base/strbuf.h"
#include "formats/checkpoint.h"
#include "formats/names.h"
#include "formats/safetensors.h"
#include "files_fixture.h"

#include <math.h>
#include <string.h>

/* "../shared/NAME"; skips the test when that folder is not there. */
static const char *shared_path(const char *name)
{
    static char path[1000];
    snprintf(path, sizeof path, "%s/%s", shared_folder(), name);
    return path;
}

static struct checkpoint *open_shared(const char *name)
{
    struct checkpoint *cp;
    struct error err = {0};
    if (checkpoint_open(shared_path(name), &cp, &err))
        fail_msg("%s", err.message);
    return cp;
}

static void test_single_file(void **state)
{
    (void)state;
    struct checkpoint *cp = open_shared("golden/qwen2-tied-f32");
    const struct hyperparameters *h = checkpoint_hyperparameters(cp);
    assert_int_equal(checkpoint_format(cp), CHECKPOINT_SAFETENSORS);
    assert_string_equal(checkpoint_name(cp), "qwen2-tied-f32");
    assert_int_equal(checkpoint_tensor_count(cp), 26);
    assert_int_equal(h->family, FAMILY_QWEN2);
    assert_int_equal(h->dim, 96);
    assert_int_equal(h->head_dim, 16);
    assert_int_equal(h->n_kv_heads, 1);
    assert_true(h->tied_embeddings);
    assert_true(h->rms_norm_eps == 1e-6);
    const struct tensor *t = checkpoint_tensor(cp, "model.layers.1.mlp.down_proj.weight");
    assert_non_null(t);
    assert_int_equal(t->type, TYPE_F32);
    assert_int_equal(t->n_dims, 2);
    assert_int_equal(t->shape[0], 96);
    assert_int_equal(t->shape[1], 256);
    assert_int_equal(t->offset, 2616 + 8 + 764800);
    assert_null(checkpoint_tensor(cp, "lm_head.weight"));
    assert_int_equal(checkpoint_generation(cp)->eos_ids[0], 1);
    checkpoint_close(cp);
}

static void test_sharded(void **state)
{
    (void)state;
    struct checkpoint *cp = open_shared("golden/qwen2-gqa-bf16-sharded");
    size_t bytes;
    assert_int_equal(checkpoint_file_count(cp), 2);
    assert_string_equal(file_base_name(checkpoint_file(cp, 1, &bytes)),
                        "model-00002-of-00002.safetensors");
    assert_int_equal(bytes, 143744);
    assert_int_equal(checkpoint_tensor_count(cp), 39);
    assert_string_equal(file_base_name(checkpoint_tensor(cp, "model.norm.weight")->file),
                        "model-00002-of-00002.safetensors");
    checkpoint_close(cp);
}

/* ---- safetensors that are wrong, in memory ---- */

static enum status count_tensors(void *context, const struct tensor *tensor, struct error *err)
{
    (void)tensor;
    (void)err;
    ++*(size_t *)context;
    return STATUS_OK;
}

/* A file of this header and `n` bytes of data. */
static enum status read_header(const char *header, size_t n, size_t *count, struct error *err)
{
    size_t length = strlen(header), size = 8 + length + n;
    uint8_t *data = mem_alloc(size);
    *count = 0;
    for (int i = 0; i < 8; i++)
        data[i] = (uint8_t)(length >> 8 * i);
    memcpy(data + 8, header, length);
    enum status status = safetensors_read("bad.safetensors", data, size, count_tensors, count, err);
    mem_free(data);
    return status;
}

#define INFO(type, shape, begin, end)                                                              \
    "{\"dtype\":\"" type "\",\"shape\":[" shape "],\"data_offsets\":[" begin "," end "]}"

static void test_good_headers(void **state)
{
    (void)state;
    struct error err = {0};
    size_t n;
    assert_int_equal(read_header("{}", 0, &n, &err), STATUS_OK);
    assert_int_equal(read_header("{\"__metadata__\":{\"format\":\"pt\"},\"b\":" INFO(
                                     "F16", "2", "4", "8") ",\"a\":" INFO("F32", "", "0", "4") "}",
                                 8, &n, &err),
                     STATUS_OK);
    assert_int_equal(n, 2);
    /* A type that nothing here needs is left out. */
    assert_int_equal(read_header("{\"x.inv_freq\":" INFO("F64", "1", "0", "8") "}", 8, &n, &err),
                     STATUS_OK);
    assert_int_equal(n, 0);
}

static void test_bad_headers(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t n;
        const char *words;
    } cases[] = {
        {"{", 0, "line 1"},
        {"[]", 0, "header at offset 8"},
        {"{\"a\":3}", 0, "tensor a is not an object"},
        {"{\"a\":{}}", 0, "\"dtype\" of tensor a"},
        {"{\"a\":{\"dtype\":\"F32\"}}", 0, "\"shape\" of tensor a"},
        {"{\"a\":" INFO("F32", "1,1,1,1,1", "0", "4") "}", 4, "\"shape\" of tensor a"},
        {"{\"a\":" INFO("F32", "-1", "0", "4") "}", 4, "\"shape\" of tensor a"},
        {"{\"a\":" INFO("F32", "1", "0", "-4") "}", 4, "\"data_offsets\" of tensor a"},
        {"{\"a\":" INFO("F32", "1", "4", "0") "}", 4, "tensor a lies at 4 to 0"},
        {"{\"a\":" INFO("F32", "2", "0", "8") "}", 7, "tensor a lies at 0 to 8 of 7 bytes"},
        {"{\"a\":" INFO("F32", "2", "0", "4") "}", 4, "which take 8 bytes"},
        {"{\"a\":" INFO("F32", "4611686018427387905,4", "0", "16") "}", 16, "counted"},
        {"{\"a\":" INFO("F32", "4611686018427387905", "0", "4") "}", 4, "counted"},
        {"{\"a\":" INFO("F32", "1", "0", "4") ",\"b\":" INFO("F32", "1", "0", "4") "}", 4,
         "begins at 0"},
        {"{\"a\":" INFO("F32", "1", "4", "8") "}", 8, "tensor a begins at 4"},
        {"{\"a\":" INFO("F32", "1", "0", "4") "}", 8, "the file has 8"},
        {"{\"a\":" INFO("F32", "1", "0", "4") ",\"a\":" INFO("F32", "1", "0", "4") "}", 4, "a"},
        {"{\"lm_head.weight\":" INFO("F8_E4M3", "4", "0", "4") "}", 4,
         "lm_head.weight is of type F8_E4M3"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = {0};
        size_t n;
        assert_int_not_equal(read_header(cases[i].header, cases[i].n, &n, &err), STATUS_OK);
        if (!strstr(err.message, "bad.safetensors") || !strstr(err.message, cases[i].words))
            fail_msg("\"%s\" should say \"%s\"", err.message, cases[i].words);
    }
}

static void test_length_of_header(void **state)
{
    (void)state;
    static const uint8_t data[16] = {9}, huge[16] = {0, 0, 0, 0, 0, 0, 0, 0x80};
    size_t n = 0;
    struct error err = {0};
    assert_int_equal(safetensors_read("x", data, 7, count_tensors, &n, &err), STATUS_FORMAT);
    assert_non_null(strstr(err.message, "x has 7 bytes"));
    assert_int_equal(safetensors_read("x", data, 16, count_tensors, &n, &err), STATUS_FORMAT);
    assert_non_null(strstr(err.message, "said to have 9 bytes, but the file has 16"));
    assert_int_equal(safetensors_read("x", huge, 16, count_tensors, &n, &err), STATUS_FORMAT);
}

/* ---- folders ---- */

static void write_text(const char *name, const char *text)
{
    char path[300];
    struct error err = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(file_write_atomic(path, text, strlen(text), &err), STATUS_OK);
}

/* A weight file of one number. */
static void write_weights(const char *name, const char *tensor)
{
    char path[300], data[300] = {0};
    struct error err = {0};
    int n = snprintf(data + 8, sizeof data - 8, "{\"%s\":%s}", tensor, INFO("F32", "1", "0", "4"));
    data[0] = (char)n;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(file_write_atomic(path, data, 8 + (size_t)n + 4, &err), STATUS_OK);
}

static void expect_error(enum status status, const char *words)
{
    struct checkpoint *cp;
    struct error err = {0};
    assert_int_equal(checkpoint_open(folder, &cp, &err), status);
    if (!strstr(err.message, folder) || !strstr(err.message, words))
        fail_msg("\"%s\" should say \"%s\"", err.message, words);
}

static void test_folders(void **state)
{
    (void)state;
    static const char index[] = "model.safetensors.index.json";
    struct checkpoint *cp;
    struct error err = {0};
    expect_error(STATUS_NOT_FOUND, "config.json is missing");
    write_text("config.json", "{\"model_type\": \"qwen2\", \"hidden_size\": 8, "
                              "\"intermediate_size\": 8, \"num_hidden_layers\": 1, "
                              "\"num_attention_heads\": 2, \"vocab_size\": 9}");
    expect_error(STATUS_NOT_FOUND, "holds no weights");
    write_text(index, "{\"weight_map\": {\"a\": \"../x\"}}");
    expect_error(STATUS_FORMAT, "../x");
    write_text(index, "{\"weight_map\": {\"a\": 1}}");
    expect_error(STATUS_FORMAT, "weight_map");
    write_text(index, "{}");
    expect_error(STATUS_FORMAT, "weight_map");
    write_text(index, "{\"weight_map\": {\"a\": \"1.safetensors\", \"b\": \"2.safetensors\"}}");
    expect_error(STATUS_NOT_FOUND, "1.safetensors");
    write_weights("1.safetensors", "a");
    write_weights("2.safetensors", "a");
    expect_error(STATUS_FORMAT, "a is there twice");
    write_weights("2.safetensors", "c");
    expect_error(STATUS_FORMAT, "tensor b should be in 2.safetensors");
    write_weights("2.safetensors", "b");
    assert_int_equal(checkpoint_open(folder, &cp, &err), STATUS_OK);
    assert_int_equal(checkpoint_tensor_count(cp), 2);
    checkpoint_close(cp);
    write_text("generation_config.json", "{\"top_p\": 7}");
    expect_error(STATUS_FORMAT, "generation_config.json: top_p is 7");
}

static void test_many_tensors(void **state)
{
    (void)state;
    struct strbuf header = {0};
    struct error err = {0};
    size_t n;
    strbuf_add(&header, "{");
    for (int i = 0; i < 5000; i++)
        strbuf_printf(&header,
                      "%s\"t%d\":{\"dtype\":\"F16\",\"shape\":[1],"
                      "\"data_offsets\":[%d,%d]}",
                      i ? "," : "", i, 2 * i, 2 * i + 2);
    strbuf_add(&header, "}");
    assert_int_equal(read_header(strbuf_text(&header), 10000, &n, &err), STATUS_OK);
    assert_int_equal(n, 5000);
    strbuf_free(&header);
}

/* ---- vocabularies, names ---- */

static void test_vocabulary_alone(void **state)
{
    (void)state;
    struct checkpoint *cp;
    struct error err = {0};
    assert_int_equal(checkpoint_open_vocabulary(shared_path("tokenizers/qwen2.5"), &cp, &err),
                     STATUS_OK);
    const struct vocab_source *v = checkpoint_vocab(cp);
    assert_int_equal(v->tokenizer_json.length, 4757043);
    assert_int_equal(v->merges_txt.length, 1671853);
    assert_null(v->chat_template_jinja.data);
    assert_int_equal(checkpoint_generation(cp)->n_eos_ids, 2);
    assert_int_equal(checkpoint_hyperparameters(cp)->vocab_size, 152064);
    checkpoint_close(cp);
    const char *gguf = shared_path("tokenizers/phi-3-mini-4k/vocab.gguf");
    assert_int_equal(checkpoint_open_vocabulary(gguf, &cp, &err), STATUS_OK);
    v = checkpoint_vocab(cp);
    assert_int_equal(v->n_tokens, 32064);
    assert_int_equal(v->bos_id, 1);
    assert_true(v->has_add_bos && v->add_bos && !v->has_space_prefix);
    assert_true(v->scores[0] == -1000);
    assert_int_equal(v->types[3], 6);
    assert_int_equal(checkpoint_hyperparameters(cp)->sliding_window, 2047);
    checkpoint_close(cp);
    assert_int_equal(checkpoint_open(gguf, &cp, &err), STATUS_INVALID);
    assert_non_null(strstr(err.message, "holds no weights, only a vocabulary"));
    assert_int_equal(checkpoint_open_vocabulary(folder, &cp, &err), STATUS_FORMAT);
}

static void test_names(void **state)
{
    (void)state;
    static const struct {
        enum family family;
        const char *gguf, *hf;
    } pairs[] = {
        {FAMILY_QWEN2, "token_embd.weight", "model.embed_tokens.weight"},
        {FAMILY_QWEN2, "output_norm.weight", "model.norm.weight"},
        {FAMILY_QWEN2, "output.weight", "lm_head.weight"},
        {FAMILY_QWEN2, "blk.0.attn_q.bias", "model.layers.0.self_attn.q_proj.bias"},
        {FAMILY_QWEN2, "blk.0.attn_k.bias", "model.layers.0.self_attn.k_proj.bias"},
        {FAMILY_QWEN2, "blk.0.attn_v.weight", "model.layers.0.self_attn.v_proj.weight"},
        {FAMILY_QWEN2, "blk.0.attn_output.weight", "model.layers.0.self_attn.o_proj.weight"},
        {FAMILY_QWEN2, "blk.7.attn_norm.weight", "model.layers.7.input_layernorm.weight"},
        {FAMILY_QWEN2, "blk.27.ffn_up.weight", "model.layers.27.mlp.up_proj.weight"},
        {FAMILY_QWEN2, "blk.27.ffn_gate.weight", "model.layers.27.mlp.gate_proj.weight"},
        {FAMILY_QWEN2, "blk.27.ffn_down.weight", "model.layers.27.mlp.down_proj.weight"},
        {FAMILY_PHI3, "blk.31.ffn_up.weight", "model.layers.31.mlp.gate_up_proj.weight"},
        {FAMILY_PHI3, "blk.5.attn_qkv.weight", "model.layers.5.self_attn.qkv_proj.weight"},
        {FAMILY_PHI3, "blk.5.ffn_norm.weight", "model.layers.5.post_attention_layernorm.weight"},
    };
    char name[MAX_TENSOR_NAME + 1];
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct text_span gguf = {pairs[i].gguf, strlen(pairs[i].gguf)};
        assert_true(names_from_gguf(pairs[i].family, gguf, name));
        assert_string_equal(name, pairs[i].hf);
        assert_true(names_to_gguf(pairs[i].family, pairs[i].hf, name));
        assert_string_equal(name, pairs[i].gguf);
        assert_true(names_is_weight(pairs[i].hf));
    }
    static const char *const others[] = {
        "blk.x.attn_q.weight", "blk.-1.attn_q.weight",     "blk.1.attn_q",  "blk.1.attn_q.scale",
        "rope_freqs.weight",   "blk.999999.attn_q.weight", "blk.1..weight", ""};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(
            names_from_gguf(FAMILY_QWEN2, (struct text_span){others[i], strlen(others[i])}, name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single_file),
        cmocka_unit_test(test_sharded),
        cmocka_unit_test(test_good_headers),
        cmocka_unit_test(test_bad_headers),
        cmocka_unit_test(test_length_of_header),
        cmocka_unit_test(test_many_tensors),
        cmocka_unit_test(test_folders),
        cmocka_unit_test(test_vocabulary_alone),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
