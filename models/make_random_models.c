/* Makes two complete Hugging Face checkpoints with random weights, one per family:
 *
 *     make_random_models FOLDER [SEED]
 *
 * writes FOLDER/tandem-random-qwen2 and FOLDER/tandem-random-phi3. They have the right shape of
 * everything (configuration, tokenizer, chat template, BF16 weights) and know
 * nothing: what they answer is noise. They let the whole program run before and without any
 * real model. The same seed gives the same bytes.
 */
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/rng.h"
#include "base/strbuf.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct shape {
    const char *name;
    bool is_phi3; /* fused qkv and gate_up, no biases, untied */
    size_t dim, ff, n_layers, n_heads, n_kv_heads, vocab_size;
};

static const char note[] = "Random weights, made by Tandem's build to try the program: this model "
                           "knows nothing and its answers are noise.";

static const char qwen2_template[] =
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
static const char phi3_template[] = "{% for message in messages %}<|{{ message['role'] }}|>\n"
                                    "{{ message['content'] }}<|end|>\n{% endfor %}"
                                    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}";

static _Noreturn void die(const char *message)
{
    fprintf(stderr, "make_random_models: %s\n", message);
    exit(1);
}

static json_t *need(json_t *value)
{
    if (!value)
        die("out of memory");
    return value;
}

static void write_file(const char *folder, const char *name, const struct strbuf *data)
{
    struct error err = {0};
    char *path = file_join(folder, name);
    if (!path || data->failed)
        die("out of memory");
    if (file_write_atomic(path, data->data, data->length, &err))
        die(err.message);
    mem_free(path);
}

static void write_json(const char *folder, const char *name, json_t *value)
{
    struct strbuf text = {0};
    json_write(&text, value, true);
    strbuf_add_char(&text, '\n');
    write_file(folder, name, &text);
    strbuf_free(&text);
    json_decref(value);
}

/* --- vocabularies --- */

struct vocab {
    json_t *ids, *merges, *added; /* model.vocab, model.merges, added_tokens */
    size_t size;
};

static void add_token(struct vocab *v, const char *token)
{
    if (!json_object_get(v->ids, token))
        json_object_set_new(v->ids, token, need(json_integer((json_int_t)v->size++)));
}

static void add_merge(struct vocab *v, const char *left, const char *right)
{
    struct strbuf merged = {0}, rule = {0};
    strbuf_printf(&merged, "%s%s", left, right);
    strbuf_printf(&rule, "%s %s", left, right);
    add_token(v, strbuf_text(&merged));
    json_array_append_new(v->merges, need(json_string(strbuf_text(&rule))));
    strbuf_free(&merged);
    strbuf_free(&rule);
}

/* An added token with the next id, or with that of a token that the vocabulary has. */
static void add_special(struct vocab *v, const char *content, bool rstrip)
{
    json_t *known = json_object_get(v->ids, content);
    json_int_t id = known ? json_integer_value(known) : (json_int_t)v->size++;
    json_array_append_new(v->added,
                          need(json_pack("{s:I, s:s, s:b, s:b, s:b, s:b, s:b}", "id", id, "content",
                                         content, "single_word", 0, "lstrip", 0, "rstrip", rstrip,
                                         "normalized", 0, "special", 1)));
}

static struct vocab vocab_new(void)
{
    return (struct vocab){need(json_object()), need(json_array()), need(json_array()), 0};
}

/* Byte-level alphabet: printable Latin-1 stands for itself, the other bytes for U+0100 on. */
static void add_byte_alphabet(struct vocab *v)
{
    unsigned others = 0;
    for (int printable = 1; printable >= 0; printable--)
        for (unsigned byte = 0; byte < 256; byte++) {
            bool itself = (byte > 32 && byte < 127) || (byte > 160 && byte != 173);
            struct strbuf token = {0};
            if (itself != (printable == 1))
                continue;
            strbuf_add_codepoint(&token, itself ? byte : 256 + others++);
            add_token(v, strbuf_text(&token));
            strbuf_free(&token);
        }
}

static struct vocab make_qwen2_vocab(void)
{
    static const char *const merges[][2] = {
        {"Ġ", "t"}, {"i", "n"},  {"h", "e"},  {"Ġ", "a"},  {"Ġt", "he"}, {"r", "e"},
        {"o", "n"}, {"e", "r"},  {"Ġ", "s"},  {"a", "t"},  {"Ġ", "o"},   {"in", "g"},
        {"a", "n"}, {"Ġa", "n"}, {"Ġo", "f"}, {"Ġ", "in"}, {"Ġan", "d"}, {"ä", "¸"},
    };
    struct vocab v = vocab_new();
    add_byte_alphabet(&v);
    for (size_t i = 0; i < sizeof merges / sizeof *merges; i++)
        add_merge(&v, merges[i][0], merges[i][1]);
    add_special(&v, "<|endoftext|>", false);
    add_special(&v, "<|im_start|>", false);
    add_special(&v, "<|im_end|>", false);
    return v;
}

static struct vocab make_phi3_vocab(void)
{
    static const char *const merges[][2] = {
        {"▁", "t"}, {"i", "n"},  {"h", "e"}, {"▁", "a"}, {"▁t", "he"}, {"r", "e"}, {"o", "n"},
        {"e", "r"}, {"in", "g"}, {"▁", "s"}, {"o", "f"}, {"▁", "of"},  {"a", "t"}, {"a", "n"},
    };
    struct vocab v = vocab_new();
    add_token(&v, "<unk>");
    add_token(&v, "<s>");
    add_token(&v, "</s>");
    for (unsigned byte = 0; byte < 256; byte++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", byte);
        add_token(&v, name);
    }
    add_token(&v, "▁");
    for (char c = 33; c < 127; c++)
        add_token(&v, (char[]){c, 0});
    for (unsigned c = 0x4E00; c < 0x4E20; c++) { /* a few Chinese characters */
        struct strbuf token = {0};
        strbuf_add_codepoint(&token, c);
        add_token(&v, strbuf_text(&token));
        strbuf_free(&token);
    }
    for (size_t i = 0; i < sizeof merges / sizeof *merges; i++)
        add_merge(&v, merges[i][0], merges[i][1]);
    add_special(&v, "<unk>", false);
    add_special(&v, "<s>", false);
    add_special(&v, "</s>", true);
    add_special(&v, "<|endoftext|>", false);
    add_special(&v, "<|assistant|>", true);
    add_special(&v, "<|system|>", true);
    add_special(&v, "<|end|>", true);
    add_special(&v, "<|user|>", true);
    return v;
}

static json_int_t special_id(const struct vocab *v, const char *content)
{
    size_t i;
    json_t *token;
    json_array_foreach(v->added, i, token)
    {
        if (!strcmp(json_string_value(json_object_get(token, "content")), content))
            return json_integer_value(json_object_get(token, "id"));
    }
    die("a special token is missing");
}

static json_t *byte_level(void)
{
    return json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", 0,
                     "trim_offsets", 0, "use_regex", 0);
}

static json_t *qwen2_tokenizer(const struct vocab *v)
{
    return need(json_pack(
        "{s:s, s:n, s:n, s:O, s:{s:s}, s:{s:s, s:[{s:s, s:{s:s}, s:s, s:b}, o]}, s:o, s:o,"
        " s:{s:s, s:n, s:n, s:s, s:s, s:b, s:b, s:b, s:O, s:O}}",
        "version", "1.0", "truncation", "padding", "added_tokens", v->added, "normalizer", "type",
        "NFC", "pre_tokenizer", "type", "Sequence", "pretokenizers", "type", "Split", "pattern",
        "Regex", " ?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", "behavior", "Isolated",
        "invert", 0, byte_level(), "post_processor", byte_level(), "decoder", byte_level(), "model",
        "type", "BPE", "dropout", "unk_token", "continuing_subword_prefix", "",
        "end_of_word_suffix", "", "fuse_unk", 0, "byte_fallback", 0, "ignore_merges", 0, "vocab",
        v->ids, "merges", v->merges));
}

static json_t *phi3_tokenizer(const struct vocab *v)
{
    json_t *decoder = need(json_pack(
        "{s:s, s:[{s:s, s:{s:s}, s:s}, {s:s}, {s:s}, {s:s, s:s, s:i, s:i}]}", "type", "Sequence",
        "decoders", "type", "Replace", "pattern", "String", "▁", "content", " ", "type",
        "ByteFallback", "type", "Fuse", "type", "Strip", "content", " ", "start", 1, "stop", 0));
    json_t *post = need(json_pack("{s:s, s:[{s:{s:s, s:i}}], s:[{s:{s:s, s:i}}, {s:{s:s, s:i}}],"
                                  " s:{}}",
                                  "type", "TemplateProcessing", "single", "Sequence", "id", "A",
                                  "type_id", 0, "pair", "Sequence", "id", "A", "type_id", 0,
                                  "Sequence", "id", "B", "type_id", 1, "special_tokens"));
    return need(json_pack(
        "{s:s, s:n, s:n, s:O, s:{s:s, s:[{s:s, s:s}, {s:s, s:{s:s}, s:s}]}, s:n, s:o, s:o,"
        " s:{s:s, s:n, s:s, s:n, s:n, s:b, s:b, s:O, s:O}}",
        "version", "1.0", "truncation", "padding", "added_tokens", v->added, "normalizer", "type",
        "Sequence", "normalizers", "type", "Prepend", "prepend", "▁", "type", "Replace", "pattern",
        "String", " ", "content", "▁", "pre_tokenizer", "post_processor", post, "decoder", decoder,
        "model", "type", "BPE", "dropout", "unk_token", "<unk>", "continuing_subword_prefix",
        "end_of_word_suffix", "fuse_unk", 1, "byte_fallback", 1, "vocab", v->ids, "merges",
        v->merges));
}

/* --- configuration --- */

static json_t *model_config(const struct shape *s, json_int_t bos, json_int_t eos)
{
    return need(json_pack(
        "{s:[s], s:s, s:s, s:s, s:I, s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:f, s:f, s:b,"
        " s:s, s:f}",
        "architectures", s->is_phi3 ? "Phi3ForCausalLM" : "Qwen2ForCausalLM", "_name_or_path",
        s->name, "tandem_note", note, "model_type", s->is_phi3 ? "phi3" : "qwen2", "bos_token_id",
        bos, "eos_token_id", eos, "hidden_act", "silu", "hidden_size", (json_int_t)s->dim,
        "intermediate_size", (json_int_t)s->ff, "num_hidden_layers", (json_int_t)s->n_layers,
        "num_attention_heads", (json_int_t)s->n_heads, "num_key_value_heads",
        (json_int_t)s->n_kv_heads, "vocab_size", (json_int_t)s->vocab_size,
        "max_position_embeddings", 4096, "rms_norm_eps", s->is_phi3 ? 1e-5 : 1e-6, "rope_theta",
        s->is_phi3 ? 1e4 : 1e6, "tie_word_embeddings", !s->is_phi3, "torch_dtype", "bfloat16",
        "initializer_range", 0.02));
}

static void write_configuration(const char *folder, const struct shape *s, const struct vocab *v)
{
    const char *end = s->is_phi3 ? "<|end|>" : "<|im_end|>";
    json_int_t pad = special_id(v, "<|endoftext|>"), eos = special_id(v, end);
    json_int_t bos = s->is_phi3 ? special_id(v, "<s>") : pad;
    json_t *config = model_config(s, bos, s->is_phi3 ? pad : eos);
    if (s->is_phi3) {
        json_object_set_new(config, "original_max_position_embeddings", need(json_integer(4096)));
        json_object_set_new(config, "sliding_window", need(json_integer(2047)));
        json_object_set_new(config, "rope_scaling", json_null());
        json_object_set_new(config, "pad_token_id", need(json_integer(pad)));
    } else {
        json_object_set_new(config, "use_sliding_window", json_false());
    }
    write_json(folder, "config.json", config);
    write_json(folder, "generation_config.json",
               need(json_pack("{s:I, s:I, s:[I, I]}", "bos_token_id", bos, "pad_token_id", pad,
                              "eos_token_id", eos, pad)));
    write_json(folder, "tokenizer.json", s->is_phi3 ? phi3_tokenizer(v) : qwen2_tokenizer(v));
    json_t *decoder = need(json_object());
    size_t i;
    json_t *token;
    json_array_foreach(v->added, i, token)
    {
        char id[24];
        snprintf(id, sizeof id, "%lld",
                 (long long)json_integer_value(json_object_get(token, "id")));
        json_t *entry = need(json_copy(token));
        json_object_del(entry, "id");
        json_object_set_new(decoder, id, entry);
    }
    json_t *tokenizer = need(json_pack(
        "{s:s, s:b, s:o, s:s, s:s, s:s, s:i}", "tokenizer_class", "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces", 0, "added_tokens_decoder", decoder, "eos_token",
        s->is_phi3 ? "<|endoftext|>" : end, "pad_token", "<|endoftext|>", "chat_template",
        s->is_phi3 ? phi3_template : qwen2_template, "model_max_length", 4096));
    if (s->is_phi3) {
        json_object_set_new(tokenizer, "bos_token", need(json_string("<s>")));
        json_object_set_new(tokenizer, "unk_token", need(json_string("<unk>")));
    }
    write_json(folder, "tokenizer_config.json", tokenizer);
}

/* --- weights --- */

struct weights {
    json_t *header;
    struct strbuf data;
    struct rng rng;
};

static void add_bf16(struct strbuf *out, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits += 0x7FFF + (bits >> 16 & 1); /* to nearest, ties to even */
    uint8_t bytes[2] = {(uint8_t)(bits >> 16), (uint8_t)(bits >> 24)};
    strbuf_append(out, bytes, sizeof bytes);
}

/* [rows, columns], or [rows] for columns = 0: values around `mean`. */
static void add_tensor(struct weights *w, const char *name, size_t rows, size_t columns,
                       double mean, double deviation)
{
    size_t begin = w->data.length, n = rows * (columns ? columns : 1);
    for (size_t i = 0; i < n; i++)
        add_bf16(&w->data, (float)(mean + deviation * rng_normal(&w->rng)));
    json_t *shape = columns ? json_pack("[I, I]", (json_int_t)rows, (json_int_t)columns)
                            : json_pack("[I]", (json_int_t)rows);
    json_object_set_new(
        w->header, name,
        need(json_pack("{s:s, s:o, s:[I, I]}", "dtype", "BF16", "shape", need(shape),
                       "data_offsets", (json_int_t)begin, (json_int_t)w->data.length)));
}

static void add_linear(struct weights *w, size_t layer, const char *name, size_t rows,
                       size_t columns, bool bias)
{
    char full[96];
    snprintf(full, sizeof full, "model.layers.%zu.%s.weight", layer, name);
    add_tensor(w, full, rows, columns, 0, 1 / sqrt((double)columns));
    snprintf(full, sizeof full, "model.layers.%zu.%s.bias", layer, name);
    if (bias)
        add_tensor(w, full, rows, 0, 0, 0.1);
}

static void add_norm(struct weights *w, size_t layer, const char *name, size_t dim)
{
    char full[96];
    snprintf(full, sizeof full, "model.layers.%zu.%s.weight", layer, name);
    add_tensor(w, full, dim, 0, 1, 0.05);
}

static void add_layer(struct weights *w, const struct shape *s, size_t i)
{
    size_t head_dim = s->dim / s->n_heads, kv = head_dim * s->n_kv_heads;
    add_norm(w, i, "input_layernorm", s->dim);
    if (s->is_phi3) {
        add_linear(w, i, "self_attn.qkv_proj", s->dim + 2 * kv, s->dim, false);
    } else {
        add_linear(w, i, "self_attn.q_proj", s->dim, s->dim, true);
        add_linear(w, i, "self_attn.k_proj", kv, s->dim, true);
        add_linear(w, i, "self_attn.v_proj", kv, s->dim, true);
    }
    add_linear(w, i, "self_attn.o_proj", s->dim, s->dim, false);
    add_norm(w, i, "post_attention_layernorm", s->dim);
    if (s->is_phi3) {
        add_linear(w, i, "mlp.gate_up_proj", 2 * s->ff, s->dim, false);
    } else {
        add_linear(w, i, "mlp.gate_proj", s->ff, s->dim, false);
        add_linear(w, i, "mlp.up_proj", s->ff, s->dim, false);
    }
    add_linear(w, i, "mlp.down_proj", s->dim, s->ff, false);
}

static void write_weights(const char *folder, const struct shape *s, uint64_t seed)
{
    struct weights w = {.header = need(json_object())};
    rng_seed(&w.rng, seed);
    json_object_set_new(w.header, "__metadata__",
                        need(json_pack("{s:s, s:s}", "format", "pt", "note", note)));
    add_tensor(&w, "model.embed_tokens.weight", s->vocab_size, s->dim, 0, 0.2);
    for (size_t i = 0; i < s->n_layers; i++)
        add_layer(&w, s, i);
    add_tensor(&w, "model.norm.weight", s->dim, 0, 1, 0.05);
    if (s->is_phi3)
        add_tensor(&w, "lm_head.weight", s->vocab_size, s->dim, 0, 0.2);

    struct strbuf header = {0}, file = {0};
    json_write(&header, w.header, false);
    while (header.length % 8)
        strbuf_add_char(&header, ' ');
    for (unsigned i = 0; i < 8; i++)
        strbuf_add_char(&file, (char)((uint64_t)header.length >> 8 * i & 255));
    strbuf_append(&file, header.data, header.length);
    strbuf_append(&file, w.data.data, w.data.length);
    if (header.failed || w.data.failed)
        die("out of memory");
    write_file(folder, "model.safetensors", &file);
    strbuf_free(&header);
    strbuf_free(&file);
    strbuf_free(&w.data);
    json_decref(w.header);
}

static void make_model(const char *parent, struct shape s, uint64_t seed)
{
    struct error err = {0};
    struct vocab v = s.is_phi3 ? make_phi3_vocab() : make_qwen2_vocab();
    char *folder = file_join(parent, s.name);
    s.vocab_size = v.size;
    if (!folder)
        die("out of memory");
    if (file_make_directory(folder, &err))
        die(err.message);
    write_configuration(folder, &s, &v);
    write_weights(folder, &s, seed);
    printf("%s\n", folder);
    json_decref(v.ids);
    json_decref(v.merges);
    json_decref(v.added);
    mem_free(folder);
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 3)
        die("usage: make_random_models FOLDER [SEED]");
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    make_model(argv[1],
               (struct shape){.name = "tandem-random-qwen2",
                              .dim = 128,
                              .ff = 352,
                              .n_layers = 4,
                              .n_heads = 4,
                              .n_kv_heads = 2},
               seed);
    make_model(argv[1],
               (struct shape){.name = "tandem-random-phi3",
                              .is_phi3 = true,
                              .dim = 96,
                              .ff = 256,
                              .n_layers = 3,
                              .n_heads = 3,
                              .n_kv_heads = 3},
               seed + 1);
    return 0;
}
