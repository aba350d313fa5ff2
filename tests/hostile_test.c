/* Files that were cut or changed anywhere: an error that names the file and the place, or a
 * checkpoint that can be used; never a crash, never a hang. Runs under AddressSanitizer, too.
 *
 * The golden checkpoints, GGUF files written from them, and a vocabulary are mutated in a
 * temporary folder, with a fixed seed. What opens is used: its tensors are read, its tokenizer
 * tokenizes, its model computes.
 */
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "formats/checkpoint.h"
#include "formats/gguf_export.h"
#include "model/kv_cache.h"
#include "model/model.h"
#include "text/tokenizer.h"
#include "files_fixture.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { N_MUTATIONS = 2000, MAX_FILES = 4 };
#define MAX_SECONDS 10.0

/* One checkpoint: the files of a folder, or one GGUF file. Each is mutated in its turn. */
struct target {
    const char *source; /* under the shared folder */
    const char *files[MAX_FILES];
    bool vocabulary; /* opened for its vocabulary alone */
    bool as_gguf;    /* written as GGUF first */
};

static const struct target targets[] = {
    {"golden/qwen2-tied-f32", {"model.safetensors", "config.json"}, false, false},
    {"golden/qwen2-yarn-f16", {"model.safetensors", "config.json"}, false, false},
    {"golden/qwen2-gqa-bf16-sharded",
     {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
      "model.safetensors.index.json", "config.json"},
     false,
     false},
    {"golden/phi3-window-f16", {"model.safetensors", "config.json"}, false, false},
    {"golden/phi3-longrope-long-f32", {"model.safetensors", "config.json"}, false, false},
    {"golden/phi3-longrope-short-f32", {"model.safetensors", "config.json"}, false, false},
    {"golden/qwen2-yarn-f16", {"written.gguf"}, false, true},
    {"golden/phi3-longrope-long-f32", {"written.gguf"}, false, true},
    {"tokenizers/phi-3-mini-4k", {"vocab.gguf"}, true, false},
    {"tokenizers/phi-3-mini-4k",
     {"tokenizer_config.json", "generation_config.json", "config.json", "tokenizer.json"},
     true,
     false},
};
enum { N_TARGETS = sizeof targets / sizeof *targets };

static size_t n_refused, n_opened;

/* ---- what a message must say ---- */

/* A place is an offset, a line, a tensor or a field. */
static bool names_place(const char *message)
{
    static const char *const places[] = {"offset", "line",         "tensor", "\"",     "metadata",
                                         "bytes",  "rms_norm_eps", "rotary", " heads", "longrope's",
                                         "yarn's", "RoPE",         "byte "};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (strstr(message, places[i]))
            return true;
    return false;
}

static void check_message(const struct error *err, const char *path, const char *file)
{
    if (!names_place(err->message))
        fail_msg("\"%s\" should name a place", err->message);
    if (!err->message[0] || (!strstr(err->message, file) && !strstr(err->message, path)))
        fail_msg("\"%s\" should name %s", err->message, file);
    for (const char *p = err->message; *p; p++)
        assert_true((unsigned char)*p >= ' ');
}

/* ---- what is done with a checkpoint that opens ---- */

static void visit_metadata(void *context, const char *key, const char *value)
{
    *(size_t *)context += strlen(key) + strlen(value);
}

static unsigned sum_bytes(const void *data, size_t n)
{
    const unsigned char *p = data;
    unsigned sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += p[i];
    return sum;
}

static unsigned use_vocabulary(const struct vocab_source *v)
{
    unsigned sum = sum_bytes(v->tokenizer_json.data, v->tokenizer_json.length);
    for (size_t i = 0; i < v->n_tokens; i++) {
        sum += sum_bytes(v->tokens[i].data, v->tokens[i].length);
        sum += v->types ? (unsigned)v->types[i] : 0;
        sum += v->scores && v->scores[i] > 0;
    }
    for (size_t i = 0; i < v->n_merges; i++)
        sum += sum_bytes(v->merges[i].data, v->merges[i].length);
    return sum + sum_bytes(v->chat_template.data, v->chat_template.length);
}

/* A tokenizer that is made from a damaged vocabulary need not be right, only harmless. */
static unsigned use_tokenizer(const struct checkpoint *cp, const char *path, const char *file)
{
    static const char text[] = "Hello <|end|>\n 1234 \xE4\xB8\xAD\xE6\x96\x87 caf\xC3\xA9";
    struct tokenizer *tokenizer;
    struct token_list ids = {0};
    struct strbuf decoded = {0};
    struct error err = {0};
    if (tokenizer_create(checkpoint_vocab(cp), &tokenizer, &err)) {
        check_message(&err, path, file);
        return 0;
    }
    if (!tokenizer_encode(tokenizer, text, strlen(text), TOKENIZER_ADD_SPECIAL, &ids, &err))
        tokenizer_decode(tokenizer, ids.ids, ids.count, 0, &decoded, &err);
    unsigned sum = sum_bytes(decoded.data, decoded.length);
    token_list_free(&ids);
    strbuf_free(&decoded);
    tokenizer_free(tokenizer);
    return sum;
}

/* Four tokens through a model with damaged weights: any logits will do, or a refusal of those
 * that are not finite. */
static void run_model(struct model *model)
{
    const struct kv_options options = {.type = TYPE_F32, .n_positions = 8, .n_sequences = 1};
    const struct row rows[] = {
        {1, 0, 0, false}, {2, 1, 0, false}, {3, 2, 0, false}, {1, 3, 0, true}};
    struct kv_cache *cache;
    struct error err = {0};
    const struct hyperparameters *shape = model_shape(model);
    float *logits = mem_array(shape->vocab_size, sizeof *logits);
    assert_non_null(logits);
    if (!kv_cache_create(shape, &options, &cache, &err)) {
        assert_true(kv_reserve(cache, 0, 4));
        if (model_forward(model, cache, rows, 4, logits, &err))
            assert_true(err.message[0]);
        kv_cache_free(cache);
    }
    mem_free(logits);
}

static void use_model(const char *path, const char *file)
{
    const struct model_options options = {.n_threads = 1, .max_rows = 4};
    struct model *model;
    struct error err = {0};
    if (model_open(path, &options, &model, &err)) {
        check_message(&err, path, file);
        return;
    }
    run_model(model);
    model_close(model);
}

/* Reads all there is, as the layers above do. */
static unsigned use_checkpoint(const struct target *target, const struct checkpoint *cp,
                               const char *path, const char *file)
{
    size_t printed = 0;
    unsigned sum = use_vocabulary(checkpoint_vocab(cp));
    if (target->vocabulary)
        sum += use_tokenizer(cp, path, file);
    else
        use_model(path, file);
    for (size_t i = 0; i < checkpoint_tensor_count(cp); i++) {
        const struct tensor *t = checkpoint_tensor_at(cp, i);
        assert_ptr_equal(checkpoint_tensor(cp, t->name), t);
        sum += sum_bytes(t->data, t->bytes);
    }
    checkpoint_metadata(cp, visit_metadata, &printed);
    return sum + (unsigned)printed;
}

/* ---- mutations ---- */

struct mutant {
    char *data;
    size_t size;
};

/* Where the structure is: the first kilobytes, three times out of four. */
static size_t choose_place(struct rng *rng, size_t size)
{
    size_t reach = rng_below(rng, 4) && size > 4096 ? 4096 : size;
    return rng_below(rng, reach);
}

static void flip_bytes(struct rng *rng, struct mutant *m)
{
    size_t n = 1 + rng_below(rng, 8);
    for (size_t i = 0; i < n; i++)
        m->data[choose_place(rng, m->size)] ^= (char)(1 + rng_below(rng, 255));
}

/* A number where a number may be: sizes and offsets at the edges of their types. */
static void plant_number(struct rng *rng, struct mutant *m)
{
    static const uint64_t numbers[] = {0,         1,          UINT64_MAX,        (uint64_t)1 << 63,
                                       INT64_MAX, UINT32_MAX, (uint64_t)1 << 32, 0x7FFFFFFF};
    size_t place = choose_place(rng, m->size);
    size_t n = m->size - place < 8 ? m->size - place : 8;
    memcpy(m->data + place, &numbers[rng_below(rng, 8)], n);
}

static void mutate(struct rng *rng, struct mutant *m)
{
    uint64_t kind = rng_below(rng, 4);
    if (kind == 0)
        m->size = choose_place(rng, m->size);
    else if (kind == 1)
        plant_number(rng, m);
    else
        flip_bytes(rng, m);
}

static void open_mutant(const struct target *target, const char *path, const char *file)
{
    struct checkpoint *cp = NULL;
    struct error err = {0};
    double start = clock_seconds();
    enum status status = target->vocabulary ? checkpoint_open_vocabulary(path, &cp, &err)
                                            : checkpoint_open(path, &cp, &err);
    if (status) {
        assert_null(cp);
        assert_int_equal(status, err.status);
        check_message(&err, path, file);
        n_refused++;
    } else {
        volatile unsigned sum = use_checkpoint(target, cp, path, file);
        (void)sum;
        checkpoint_close(cp);
        n_opened++;
    }
    assert_true(clock_seconds() - start < MAX_SECONDS);
}

/* ---- the files ---- */

static void ok(enum status status, const struct error *err)
{
    if (status)
        fail_msg("%s", err->message);
}

static void join(char out[1000], const char *a, const char *b)
{
    assert_true(snprintf(out, 1000, "%s/%s", a, b) < 1000);
}

static void read_original(const struct target *target, const char *shared, size_t i,
                          struct mutant *m)
{
    char source[1000], path[1000], written[1000];
    struct error err = {0};
    join(source, shared, target->source);
    join(path, source, target->files[i]);
    if (target->as_gguf) {
        struct checkpoint *cp;
        ok(checkpoint_open(source, &cp, &err), &err);
        join(written, folder, "original.gguf");
        ok(checkpoint_write_gguf(cp, written, KEEP_TYPES, &err), &err);
        checkpoint_close(cp);
        strcpy(path, written);
    }
    ok(file_read(path, 0, &m->data, &m->size, &err), &err);
}

static void write_file(const char *target_folder, const char *name, const struct mutant *m)
{
    char path[1000];
    join(path, target_folder, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(m->data, 1, m->size, f), m->size);
    assert_int_equal(fclose(f), 0);
}

static void mutate_file(const struct target *target, const char *target_folder, size_t i,
                        const struct mutant *original, struct rng *rng)
{
    struct mutant m = {mem_copy(original->data, original->size), original->size};
    char path[1000];
    assert_non_null(m.data);
    mutate(rng, &m);
    write_file(target_folder, target->files[i], &m);
    bool gguf = strstr(target->files[i], ".gguf");
    join(path, target_folder, gguf ? target->files[i] : "");
    open_mutant(target, path, target->files[i]);
    write_file(target_folder, target->files[i], original);
    mem_free(m.data);
}

static void attack(const struct target *target, const char *shared, size_t number, struct rng *rng)
{
    struct mutant originals[MAX_FILES];
    size_t n_files = 0;
    char target_folder[1000], name[20];
    snprintf(name, sizeof name, "%zu", number);
    join(target_folder, folder, name);
    assert_int_equal(mkdir(target_folder, 0777), 0);
    for (; n_files < MAX_FILES && target->files[n_files]; n_files++) {
        read_original(target, shared, n_files, &originals[n_files]);
        write_file(target_folder, target->files[n_files], &originals[n_files]);
    }
    for (size_t i = 0; i < N_MUTATIONS / N_TARGETS; i++)
        mutate_file(target, target_folder, i % n_files, &originals[i % n_files], rng);
    for (size_t i = 0; i < n_files; i++)
        mem_free(originals[i].data);
}

static void test_mutated_files(void **state)
{
    (void)state;
    const char *shared = shared_folder();
    struct rng rng;
    rng_seed(&rng, 20240607);
    for (size_t i = 0; i < N_TARGETS; i++)
        attack(&targets[i], shared, i, &rng);
    print_message("%zu files refused, %zu opened and read\n", n_refused, n_opened);
    assert_int_equal(n_refused + n_opened, N_MUTATIONS);
    assert_true(n_refused > N_MUTATIONS / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mutated_files),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
