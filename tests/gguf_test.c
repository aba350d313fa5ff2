/* GGUF: the container's reader and writer, split files, and checkpoints written as GGUF. */
#include "base/file.h"
#include "base/memory.h"
#include "formats/checkpoint.h"
#include "formats/gguf.h"
#include "formats/gguf_export.h"
#include "formats/gguf_write.h"
#include "kernels/half.h"
#include "files_fixture.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

static const char *temporary(const char *name)
{
    static char paths[4][300];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static const char *shared_path(const char *name)
{
    static char path[1000];
    snprintf(path, sizeof path, "%s/%s", shared_folder(), name);
    return path;
}

static void ok(enum status status, const struct error *err)
{
    if (status)
        fail_msg("%s", err->message);
}

static struct checkpoint *open_checkpoint(const char *path)
{
    struct checkpoint *cp;
    struct error err = {0};
    ok(checkpoint_open(path, &cp, &err), &err);
    return cp;
}

/* ---- the container ---- */

/* A small file of two tensors and some metadata, in memory (mem_free). */
static char *make_file(size_t *size)
{
    struct gguf_writer *w;
    struct error err = {0};
    const float values[40] = {1, 2, 3};
    char *data;
    ok(gguf_writer_create(temporary("small.gguf"), &w, &err), &err);
    gguf_add_string(w, "general.architecture", "qwen2");
    gguf_add_u32(w, "a.number", 7);
    gguf_add_strings(w, "a.list", (struct text_span[]){{"x", 1}, {"", 0}, {"a longer string", 15}},
                     3);
    gguf_add_tensor(w, "one.weight", TYPE_F32, 1, (size_t[]){3});
    gguf_add_tensor(w, "two.weight", TYPE_F32, 2, (size_t[]){4, 5});
    ok(gguf_writer_begin(w, &err), &err);
    ok(gguf_write_data(w, values, 23 * sizeof(float), &err), &err);
    ok(gguf_writer_finish(w, &err), &err);
    gguf_writer_free(w);
    ok(file_read(temporary("small.gguf"), 0, &data, size, &err), &err);
    return data;
}

static void test_container(void **state)
{
    (void)state;
    size_t size, number = 0;
    char *data = make_file(&size);
    struct gguf g;
    struct error err = {0};
    ok(gguf_parse("small", (uint8_t *)data, size, &g, &err), &err);
    assert_int_equal(g.version, 3);
    assert_int_equal(g.n_entries, 3);
    assert_true(gguf_get_size(&g, "a.number", 0, 10, &number, &err));
    assert_int_equal(number, 7);
    assert_false(gguf_get_size(&g, "a.number", 8, 10, &number, &err));
    assert_non_null(strstr(err.message, "a.number is 7; expected 8 to 10"));
    const struct gguf_value *list = gguf_find(&g, "a.list");
    const uint8_t *at = list->data;
    assert_int_equal(list->count, 3);
    assert_int_equal(gguf_next_string(&at).length, 1);
    assert_int_equal(gguf_next_string(&at).length, 0);
    assert_memory_equal(gguf_next_string(&at).data, "a longer string", 15);
    assert_int_equal(g.n_tensors, 2);
    assert_int_equal(g.tensors[1].dims[0], 5);
    assert_int_equal(g.tensors[1].dims[1], 4);
    assert_int_equal(g.tensors[1].offset % 32, 0);
    float value;
    memcpy(&value, data + g.tensors[0].offset + 8, sizeof value);
    assert_true(value == 3);
    gguf_free(&g);
    mem_free(data);
}

/* Every prefix of the file is refused, with its name, and without reading behind its end. */
static void test_every_truncation(void **state)
{
    (void)state;
    size_t size;
    char *data = make_file(&size);
    size_t last_padding = 32 - 20 * sizeof(float) % 32;
    for (size_t n = 0; n < size - last_padding; n++) {
        struct gguf g;
        struct error err = {0};
        uint8_t *copy = mem_alloc(n);
        memcpy(copy, data, n);
        assert_int_equal(gguf_parse("cut.gguf", copy, n, &g, &err), STATUS_FORMAT);
        assert_non_null(strstr(err.message, "cut.gguf"));
        mem_free(copy);
    }
    mem_free(data);
}

static void expect_refusal(char *data, size_t size, const char *words)
{
    struct gguf g;
    struct error err = {0};
    if (!gguf_parse("bad.gguf", (uint8_t *)data, size, &g, &err))
        fail_msg("was read, but should say: %s", words);
    if (!strstr(err.message, words) || !strstr(err.message, "bad.gguf"))
        fail_msg("\"%s\" should say \"%s\"", err.message, words);
}

/* Puts `n` bytes where `marker` ends, plus `skip`; refuses; puts back what was there. */
static void patch(char *data, size_t size, const char *marker, size_t behind, uint64_t value,
                  size_t n, const char *words)
{
    char *place = memmem(data, size, marker, strlen(marker));
    char old[8];
    assert_non_null(place);
    place += strlen(marker) + behind;
    memcpy(old, place, n);
    memcpy(place, &value, n);
    expect_refusal(data, size, words);
    memcpy(place, old, n);
}

static void test_patched_files(void **state)
{
    (void)state;
    size_t size;
    char *data = make_file(&size);
    patch(data, size, "GGUF", 0, 0x03000000, 4, "big-endian");
    patch(data, size, "GGUF", 0, 1, 4, "version 1");
    patch(data, size, "GGUF", 4, UINT64_MAX, 8, "number of tensors");
    patch(data, size, "GGUF", 12, (uint64_t)1 << 40, 8, "number of metadata entries");
    patch(data, size, "a.number", 0, 13, 4, "no type 13");
    patch(data, size, "a.list", 4, 9, 4, "a.list"); /* strings taken for arrays */
    patch(data, size, "a.list", 8, (uint64_t)1 << 62, 8, "length of an array");
    patch(data, size, "one.weight", 0, 5, 4, "5 dimensions");
    patch(data, size, "one.weight", 4, 0, 8, "one.weight");
    patch(data, size, "two.weight", 4, (uint64_t)1 << 62, 8, "two.weight");
    patch(data, size, "two.weight", 20, 23, 4, "IQ4_XS");
    patch(data, size, "two.weight", 20, 8, 4, "Q8_0"); /* rows of 5 are no whole blocks */
    patch(data, size, "two.weight", 24, 0, 8, "overlap");
    patch(data, size, "two.weight", 24, 8, 8, "two.weight");
    patch(data, size, "two.weight", 24, (uint64_t)-32, 8, "two.weight");
    patch(data, size, "one.weigh", 0, ' ', 1, "name of 10 bytes");
    mem_free(data);
}

static void test_keys_twice(void **state)
{
    (void)state;
    struct gguf_writer *w;
    struct error err = {0};
    char *data;
    size_t size;
    ok(gguf_writer_create(temporary("twice.gguf"), &w, &err), &err);
    gguf_add_u32(w, "general.number", 1);
    gguf_add_u32(w, "general.number", 2);
    ok(gguf_writer_begin(w, &err), &err);
    ok(gguf_writer_finish(w, &err), &err);
    gguf_writer_free(w);
    ok(file_read(temporary("twice.gguf"), 0, &data, &size, &err), &err);
    expect_refusal(data, size, "general.number is there twice");
    mem_free(data);
}

static void test_deep_arrays(void **state)
{
    (void)state;
    char data[24 + 8 + 1 + 4 + 12 * 1000] = "GGUF\3";
    struct gguf g;
    struct error err = {0};
    data[16] = 1; /* one entry: "k", an array of arrays of arrays ... */
    data[24] = 1;
    data[32] = 'k';
    data[33] = 9;
    for (size_t i = 0; i < 1000; i++) {
        data[37 + 12 * i] = 9;
        data[41 + 12 * i] = 1;
    }
    assert_int_equal(gguf_parse("deep", (uint8_t *)data, sizeof data, &g, &err), STATUS_FORMAT);
    assert_non_null(strstr(err.message, "nested"));
}

static void test_writer_leaves_nothing_behind(void **state)
{
    (void)state;
    struct gguf_writer *w;
    struct error err = {0};
    ok(gguf_writer_create(temporary("unfinished.gguf"), &w, &err), &err);
    gguf_add_tensor(w, "t", TYPE_F32, 1, (size_t[]){4});
    ok(gguf_writer_begin(w, &err), &err);
    assert_int_equal(gguf_writer_finish(w, &err), STATUS_INVALID);
    assert_int_equal(gguf_write_data(w, (float[8]){0}, 32, &err), STATUS_INVALID);
    gguf_writer_free(w);
    assert_false(file_exists(temporary("unfinished.gguf")));
    ok(gguf_writer_create(temporary("shapes.gguf"), &w, &err), &err);
    gguf_add_tensor(w, "t", TYPE_Q8_0, 2, (size_t[]){32, 33});
    assert_int_equal(gguf_writer_begin(w, &err), STATUS_INVALID);
    gguf_writer_free(w);
    assert_int_equal(gguf_writer_create("/nowhere/x.gguf", &w, &err), STATUS_NOT_FOUND);
    assert_non_null(strstr(err.message, "/nowhere/x.gguf"));
}

/* ---- split files ---- */

static void write_part(const char *name, unsigned part, unsigned parts, const char *tensor,
                       bool weights)
{
    struct gguf_writer *w;
    struct error err = {0};
    const float zeros[8] = {0};
    ok(gguf_writer_create(temporary(name), &w, &err), &err);
    if (part == 0) {
        gguf_add_string(w, "general.architecture", "qwen2");
        gguf_add_u32(w, "qwen2.block_count", 1);
        gguf_add_u32(w, "qwen2.embedding_length", 8);
        gguf_add_u32(w, "qwen2.feed_forward_length", 8);
        gguf_add_u32(w, "qwen2.attention.head_count", 2);
        gguf_add_u32(w, "qwen2.context_length", 64);
        gguf_add_f32(w, "qwen2.attention.layer_norm_rms_epsilon", 1e-6);
        gguf_add_u32(w, "qwen2.vocab_size", 64);
    }
    gguf_add_u32(w, "split.no", part);
    gguf_add_u32(w, "split.count", parts);
    gguf_add_u32(w, "split.tensors.count", 2);
    if (weights)
        gguf_add_tensor(w, tensor, TYPE_F32, 1, (size_t[]){8});
    ok(gguf_writer_begin(w, &err), &err);
    if (weights)
        ok(gguf_write_data(w, zeros, sizeof zeros, &err), &err);
    ok(gguf_writer_finish(w, &err), &err);
    gguf_writer_free(w);
}

static void expect_open_error(const char *path, const char *words)
{
    struct checkpoint *cp;
    struct error err = {0};
    assert_int_not_equal(checkpoint_open(path, &cp, &err), STATUS_OK);
    assert_null(cp);
    if (!strstr(err.message, words))
        fail_msg("\"%s\" should say \"%s\"", err.message, words);
}

static void test_split_files(void **state)
{
    (void)state;
    write_part("s-00001-of-00002.gguf", 0, 2, "output_norm.weight", true);
    expect_open_error(temporary("s-00001-of-00002.gguf"), "part 2 of 2");
    write_part("s-00002-of-00002.gguf", 1, 2, "blk.0.attn_norm.weight", true);
    struct checkpoint *cp = open_checkpoint(temporary("s-00001-of-00002.gguf"));
    assert_int_equal(checkpoint_file_count(cp), 2);
    assert_int_equal(checkpoint_tensor_count(cp), 2);
    assert_non_null(checkpoint_tensor(cp, "model.norm.weight"));
    const struct tensor *t = checkpoint_tensor(cp, "model.layers.0.input_layernorm.weight");
    assert_string_equal(file_base_name(t->file), "s-00002-of-00002.gguf");
    checkpoint_close(cp);
    expect_open_error(temporary("s-00002-of-00002.gguf"), "general.architecture");
    write_part("s-00002-of-00002.gguf", 1, 2, "output_norm.weight", true);
    expect_open_error(temporary("s-00001-of-00002.gguf"), "model.norm.weight is there twice");
    write_part("s-00002-of-00002.gguf", 1, 3, "x", true);
    expect_open_error(temporary("s-00001-of-00002.gguf"), "part 2 of 3");
    write_part("s-00002-of-00002.gguf", 1, 2, "x", false);
    expect_open_error(temporary("s-00001-of-00002.gguf"), "split.tensors.count");
    write_part("other.gguf", 0, 2, "output_norm.weight", true);
    expect_open_error(temporary("other.gguf"), "-00001-of-00002.gguf");
}

/* ---- checkpoints written as GGUF ---- */

static void assert_close(double a, double b)
{
    if (!(fabs(a - b) <= 1e-6 * fabs(a)))
        fail_msg("%g is not %g", a, b);
}

static void compare_rope(const struct rope_parameters *a, const struct rope_parameters *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_close(a->theta, b->theta);
    assert_int_equal(a->rotary_dim, b->rotary_dim);
    assert_close(a->factor, b->factor);
    assert_int_equal(a->original_context, b->original_context);
    assert_close(a->beta_fast, b->beta_fast);
    assert_close(a->beta_slow, b->beta_slow);
    assert_close(a->attention_factor, b->attention_factor);
    for (size_t i = 0; i < a->rotary_dim / 2; i++) {
        assert_close(a->short_factor[i], b->short_factor[i]);
        assert_close(a->long_factor[i], b->long_factor[i]);
    }
}

static void compare_hyperparameters(const struct hyperparameters *a,
                                    const struct hyperparameters *b)
{
    assert_int_equal(a->family, b->family);
    assert_int_equal(a->dim, b->dim);
    assert_int_equal(a->ffn_dim, b->ffn_dim);
    assert_int_equal(a->n_layers, b->n_layers);
    assert_int_equal(a->n_heads, b->n_heads);
    assert_int_equal(a->n_kv_heads, b->n_kv_heads);
    assert_int_equal(a->head_dim, b->head_dim);
    assert_int_equal(a->vocab_size, b->vocab_size);
    assert_int_equal(a->context_length, b->context_length);
    assert_int_equal(a->sliding_window, b->sliding_window);
    assert_int_equal(a->first_window_layer, b->first_window_layer);
    assert_close(a->rms_norm_eps, b->rms_norm_eps);
    assert_int_equal(a->tied_embeddings, b->tied_embeddings);
    compare_rope(&a->rope, &b->rope);
}

static float element(const struct tensor *t, size_t i)
{
    const char *p = t->data;
    float value;
    if (t->type == TYPE_F16)
        return f16_to_f32(load_u16(p + 2 * i));
    if (t->type == TYPE_BF16)
        return bf16_to_f32(load_u16(p + 2 * i));
    memcpy(&value, p + 4 * i, sizeof value);
    return value;
}

static void compare_tensor(const struct tensor *a, const struct tensor *b)
{
    size_t n = a->bytes / tensor_type_info(a->type)->block_bytes;
    assert_non_null(b);
    assert_int_equal(a->n_dims, b->n_dims);
    for (size_t i = 0; i < a->n_dims; i++)
        assert_int_equal(a->shape[i], b->shape[i]);
    assert_int_equal(b->type, a->n_dims > 1 ? a->type : TYPE_F32);
    for (size_t i = 0; i < n; i++)
        assert_true(element(a, i) == element(b, i));
}

static void compare_files(const char *a, const char *b)
{
    struct error err = {0};
    char *x, *y;
    size_t n, m;
    ok(file_read(a, 0, &x, &n, &err), &err);
    ok(file_read(b, 0, &y, &m, &err), &err);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    mem_free(x);
    mem_free(y);
}

static void round_trip(const char *golden)
{
    struct error err = {0};
    char name[100];
    snprintf(name, sizeof name, "golden/%s", golden);
    struct checkpoint *cp = open_checkpoint(shared_path(name));
    ok(checkpoint_write_gguf(cp, temporary("trip.gguf"), KEEP_TYPES, &err), &err);
    struct checkpoint *again = open_checkpoint(temporary("trip.gguf"));
    assert_int_equal(checkpoint_format(again), CHECKPOINT_GGUF);
    assert_string_equal(checkpoint_name(again), golden);
    compare_hyperparameters(checkpoint_hyperparameters(cp), checkpoint_hyperparameters(again));
    bool longrope = checkpoint_hyperparameters(cp)->rope.kind == ROPE_LONGROPE;
    assert_int_equal(checkpoint_tensor_count(again),
                     checkpoint_tensor_count(cp) + (longrope ? 2 : 0));
    for (size_t i = 0; i < checkpoint_tensor_count(cp); i++) {
        const struct tensor *t = checkpoint_tensor_at(cp, i);
        compare_tensor(t, checkpoint_tensor(again, t->name));
    }
    assert_int_equal(checkpoint_generation(again)->n_eos_ids, 1);
    assert_int_equal(checkpoint_generation(again)->eos_ids[0], 1);
    /* What was read from GGUF says it all: written once more, the file is the same. */
    ok(checkpoint_write_gguf(again, temporary("trip2.gguf"), KEEP_TYPES, &err), &err);
    if (!longrope)
        compare_files(temporary("trip.gguf"), temporary("trip2.gguf"));
    checkpoint_close(again);
    checkpoint_close(cp);
}

static void test_round_trips(void **state)
{
    (void)state;
    static const char *const names[] = {"phi3-longrope-long-f32", "phi3-longrope-short-f32",
                                        "phi3-window-f16",        "qwen2-gqa-bf16-sharded",
                                        "qwen2-tied-f32",         "qwen2-yarn-f16"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        round_trip(names[i]);
}

static void test_conversions(void **state)
{
    (void)state;
    struct error err = {0};
    struct checkpoint *cp = open_checkpoint(shared_path("golden/qwen2-gqa-bf16-sharded"));
    ok(checkpoint_write_gguf(cp, temporary("f32.gguf"), TYPE_F32, &err), &err);
    struct checkpoint *wide = open_checkpoint(temporary("f32.gguf"));
    ok(checkpoint_write_gguf(wide, temporary("bf16.gguf"), TYPE_BF16, &err), &err);
    struct checkpoint *narrow = open_checkpoint(temporary("bf16.gguf"));
    for (size_t i = 0; i < checkpoint_tensor_count(cp); i++) {
        const struct tensor *t = checkpoint_tensor_at(cp, i);
        assert_int_equal(checkpoint_tensor(wide, t->name)->type, TYPE_F32);
        compare_tensor(t, checkpoint_tensor(narrow, t->name));
    }
    assert_int_equal(checkpoint_write_gguf(cp, temporary("q.gguf"), TYPE_Q8_0, &err),
                     STATUS_UNSUPPORTED);
    assert_false(file_exists(temporary("q.gguf")));
    checkpoint_close(cp);
    checkpoint_close(wide);
    checkpoint_close(narrow);
}

/* ---- vocabularies ---- */

/* A folder with a model of one tiny tensor. */
static void make_tiny_folder(const char *name, const char *config)
{
    static const char header[] =
        "{\"model.norm.weight\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
    char weights[8 + sizeof header - 1 + 4] = {sizeof header - 1}, path[400];
    struct error err = {0};
    memcpy(weights + 8, header, sizeof header - 1);
    ok(file_make_directory(temporary(name), &err), &err);
    snprintf(path, sizeof path, "%s/config.json", temporary(name));
    ok(file_write_atomic(path, config, strlen(config), &err), &err);
    snprintf(path, sizeof path, "%s/model.safetensors", temporary(name));
    ok(file_write_atomic(path, weights, sizeof weights, &err), &err);
}

/* Constants that no golden checkpoint has. */
static void test_other_hyperparameters(void **state)
{
    (void)state;
    static const char shape[] = "\"hidden_size\": 8, \"intermediate_size\": 8, "
                                "\"num_hidden_layers\": 3, \"num_attention_heads\": 2, "
                                "\"vocab_size\": 9, \"max_position_embeddings\": 4096";
    static const char *const configs[] = {
        "\"model_type\": \"qwen2\", \"use_sliding_window\": true, \"sliding_window\": 5, "
        "\"max_window_layers\": 2, \"head_dim\": 6",
        "\"model_type\": \"qwen2\", \"use_sliding_window\": true, \"sliding_window\": 5, "
        "\"max_window_layers\": 0",
        "\"model_type\": \"qwen2\", \"rope_scaling\": {\"type\": \"linear\", \"factor\": 2.5}",
        "\"model_type\": \"qwen2\", \"rope_scaling\": {\"type\": \"yarn\", \"factor\": 2.5, "
        "\"attention_factor\": 1.5, \"beta_fast\": 30, \"beta_slow\": 2}",
        "\"model_type\": \"phi3\", \"partial_rotary_factor\": 0.5, \"rope_scaling\": {\"type\": "
        "\"longrope\", \"short_factor\": [1.25], \"long_factor\": [7], "
        "\"attention_factor\": 1.3, \"original_max_position_embeddings\": 64}",
        /* No window, though as many layers and as much context as Phi-3-mini-4k. */
        "\"model_type\": \"phi3\", \"sliding_window\": null",
    };
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        struct error err = {0};
        char config[1000];
        snprintf(config, sizeof config, "{%s, %s}", configs[i], shape);
        make_tiny_folder("tiny", config);
        struct checkpoint *cp = open_checkpoint(temporary("tiny"));
        ok(checkpoint_write_gguf(cp, temporary("tiny.gguf"), KEEP_TYPES, &err), &err);
        struct checkpoint *again = open_checkpoint(temporary("tiny.gguf"));
        struct hyperparameters h = *checkpoint_hyperparameters(cp);
        h.tied_embeddings = true; /* there is no output.weight */
        compare_hyperparameters(&h, checkpoint_hyperparameters(again));
        checkpoint_close(again);
        checkpoint_close(cp);
    }
}

static void link_tokenizer(const char *tokenizer, const char *name)
{
    static const char *const files[] = {"tokenizer.json", "tokenizer_config.json",
                                        "generation_config.json"};
    for (size_t i = 0; i < 3; i++) {
        char from[2000], to[400];
        snprintf(from, sizeof from, "%s/%s", shared_path(tokenizer), files[i]);
        snprintf(to, sizeof to, "%s/%s", temporary(name), files[i]);
        assert_int_equal(symlink(from, to), 0);
    }
}

static void assert_token(const struct vocab_source *v, size_t id, const char *text, int type)
{
    assert_true(id < v->n_tokens);
    assert_int_equal(v->tokens[id].length, strlen(text));
    assert_memory_equal(v->tokens[id].data, text, strlen(text));
    assert_int_equal(v->types[id], type);
}

/* `name`: of the folder to make. */
static struct checkpoint *convert_vocabulary(const char *name, const char *tokenizer,
                                             const char *config)
{
    struct error err = {0};
    make_tiny_folder(name, config);
    link_tokenizer(tokenizer, name);
    struct checkpoint *cp = open_checkpoint(temporary(name));
    ok(checkpoint_write_gguf(cp, temporary("vocab.gguf"), KEEP_TYPES, &err), &err);
    checkpoint_close(cp);
    return open_checkpoint(temporary("vocab.gguf"));
}

static void test_byte_level_vocabulary(void **state)
{
    (void)state;
    struct checkpoint *cp = convert_vocabulary(
        "qwen", "tokenizers/qwen2.5",
        "{\"model_type\": \"qwen2\", \"hidden_size\": 8, \"intermediate_size\": 8, "
        "\"num_hidden_layers\": 1, \"num_attention_heads\": 2, \"vocab_size\": 152064}");
    const struct vocab_source *v = checkpoint_vocab(cp);
    const struct generation_defaults *g = checkpoint_generation(cp);
    assert_int_equal(v->n_tokens, 152064);
    assert_int_equal(v->n_merges, 151387);
    assert_memory_equal(v->model.data, "gpt2", 4);
    assert_memory_equal(v->pre.data, "qwen2", 5);
    assert_memory_equal(v->merges[2].data, "i n", 3);
    assert_token(v, 0, "!", 1);
    assert_token(v, 151645, "<|im_end|>", 3);
    assert_token(v, 151657, "<tool_call>", 4);
    assert_token(v, 152063, "[PAD152063]", 5);
    assert_int_equal(v->eos_id, 151645);
    assert_int_equal(v->pad_id, 151643);
    assert_true(v->has_add_bos && !v->add_bos);
    assert_true(v->chat_template.length > 1000);
    assert_int_equal(g->n_eos_ids, 2);
    assert_true(g->do_sample && g->top_k == 20);
    assert_close(g->temperature, 0.7);
    assert_close(g->repetition_penalty, 1.05);
    checkpoint_close(cp);
}

/* Whether the tokens merge in the same order as in the reference: where one has the better score
 * there, it has it here. */
static void compare_scores(const struct vocab_source *v, const struct vocab_source *r)
{
    size_t *by_rank = mem_array(r->n_tokens + 100000, sizeof *by_rank), n = 0, previous = 0;
    for (size_t i = 0; i < r->n_tokens; i++)
        if (v->types[i] == 1 && v->scores[i] > -100000 && v->scores[i] != -1000)
            by_rank[(size_t)-v->scores[i]] = i;
    for (size_t rank = 0; rank < r->n_tokens + 100000; rank++) {
        if (!by_rank[rank])
            continue;
        assert_true(!previous || r->scores[by_rank[rank]] <= r->scores[previous]);
        previous = by_rank[rank];
        n++;
    }
    assert_true(n > 20000);
    mem_free(by_rank);
}

static void test_sentencepiece_vocabulary(void **state)
{
    (void)state;
    struct checkpoint *reference;
    struct error err = {0};
    struct checkpoint *cp = convert_vocabulary(
        "phi", "tokenizers/phi-3-mini-4k",
        "{\"model_type\": \"phi3\", \"hidden_size\": 8, \"intermediate_size\": 8, "
        "\"num_hidden_layers\": 1, \"num_attention_heads\": 2, \"vocab_size\": 32064}");
    ok(checkpoint_open_vocabulary(shared_path("tokenizers/phi-3-mini-4k/vocab.gguf"), &reference,
                                  &err),
       &err);
    const struct vocab_source *v = checkpoint_vocab(cp), *r = checkpoint_vocab(reference);
    assert_int_equal(v->n_tokens, r->n_tokens);
    for (size_t i = 0; i < r->n_tokens; i++) {
        /* Ids without a token are padding in both, under names of their own. */
        if (r->types[i] == 5)
            continue;
        assert_int_equal(v->tokens[i].length, r->tokens[i].length);
        assert_memory_equal(v->tokens[i].data, r->tokens[i].data, r->tokens[i].length);
    }
    compare_scores(v, r);
    assert_token(v, 0, "<unk>", 3);
    assert_token(v, 3, "<0x00>", 6);
    assert_int_equal(v->unk_id, 0);
    assert_int_equal(v->bos_id, 1);
    assert_int_equal(v->eos_id, 32000);
    assert_int_equal(checkpoint_generation(cp)->n_eos_ids, 3);
    checkpoint_close(cp);
    checkpoint_close(reference);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_container),
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_patched_files),
        cmocka_unit_test(test_keys_twice),
        cmocka_unit_test(test_deep_arrays),
        cmocka_unit_test(test_writer_leaves_nothing_behind),
        cmocka_unit_test(test_split_files),
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_conversions),
        cmocka_unit_test(test_other_hyperparameters),
        cmocka_unit_test(test_byte_level_vocabulary),
        cmocka_unit_test(test_sentencepiece_vocabulary),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
