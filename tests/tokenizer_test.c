/* The tokenizer against the oracles' vectors, against small documents made here for each
 * component, and against a naive BPE; streaming against decoding at once; hostile documents. */
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/rng.h"
#include "base/utf8.h"
#include "formats/checkpoint.h"
#include "text/normalize.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include <cmocka.h>

static struct vocab_source empty_source(void)
{
    return (struct vocab_source){.name = "test",
                                 .bos_id = VOCAB_NO_ID,
                                 .eos_id = VOCAB_NO_ID,
                                 .unk_id = VOCAB_NO_ID,
                                 .pad_id = VOCAB_NO_ID};
}

static struct text_span span(const char *text)
{
    return (struct text_span){text, strlen(text)};
}

static struct tokenizer *create(const struct vocab_source *source)
{
    struct tokenizer *tk = NULL;
    struct error err = {0};
    if (tokenizer_create(source, &tk, &err))
        fail_msg("%s", err.message);
    return tk;
}

/* --- the oracles --- */

/* The folder of the oracles' tokenizers; skips the test where it is absent. */
static const char *shared_folder(void)
{
    static char path[4000];
    const char *shared = getenv("TANDEM_SHARED");
    snprintf(path, sizeof path, "%s/tokenizers", shared ? shared : "");
    if (!shared || !file_is_directory(path)) {
        print_message("no tokenizers in TANDEM_SHARED (%s): skipped\n", shared ? shared : "unset");
        skip();
    }
    return path;
}

static struct text_span read_shared(const char *name)
{
    char *data;
    size_t size;
    struct error err = {0};
    char *path = file_join(shared_folder(), name);
    if (file_read(path, 0, &data, &size, &err))
        fail_msg("%s", err.message);
    mem_free(path);
    return (struct text_span){data, size};
}

static void check_decoded(const struct tokenizer *tk, const struct token_list *ids, unsigned flags,
                          const json_t *expected)
{
    struct strbuf text = {0};
    struct error err = {0};
    if (tokenizer_decode(tk, ids->ids, ids->count, flags, &text, &err))
        fail_msg("%s", err.message);
    assert_string_equal(strbuf_text(&text), json_string_value(expected));
    assert_int_equal(text.length, json_string_length(expected));
    strbuf_free(&text);
}

static void check_vector(const struct tokenizer *tk, const json_t *vector)
{
    const json_t *text = json_object_get(vector, "text"), *ids = json_object_get(vector, "ids");
    struct token_list got = {0};
    struct error err = {0};
    if (tokenizer_encode(tk, json_string_value(text), json_string_length(text), 0, &got, &err))
        fail_msg("%s", err.message);
    if (got.count != json_array_size(ids))
        fail_msg("\"%s\": %zu ids, not %zu", json_string_value(text), got.count,
                 json_array_size(ids));
    for (size_t i = 0; i < got.count; i++)
        if (got.ids[i] != json_integer_value(json_array_get(ids, i)))
            fail_msg("\"%s\": id %zu is %d", json_string_value(text), i, (int)got.ids[i]);
    check_decoded(tk, &got, 0, json_object_get(vector, "decoded"));
    check_decoded(tk, &got, TOKENIZER_SKIP_SPECIAL,
                  json_object_get(vector, "decoded_skip_special"));
    token_list_free(&got);
}

static void check_vectors(const struct tokenizer *tk, const char *name)
{
    char *path = file_join(shared_folder(), name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    struct json_lines lines = {.stream = file, .name = path};
    struct error err = {0};
    json_t *vector;
    size_t n = 0;
    while ((vector = json_lines_next(&lines, &err))) {
        check_vector(tk, vector);
        json_decref(vector);
        n++;
    }
    assert_int_equal(err.status, STATUS_OK);
    assert_true(n > 300);
    json_lines_free(&lines);
    fclose(file);
    mem_free(path);
}

static void test_qwen_vectors(void **state)
{
    (void)state;
    struct vocab_source source = empty_source();
    source.tokenizer_json = read_shared("qwen2.5/tokenizer.json");
    source.tokenizer_config_json = read_shared("qwen2.5/tokenizer_config.json");
    struct tokenizer *tk = create(&source);
    check_vectors(tk, "qwen2.5/vectors.jsonl");
    assert_int_equal(tokenizer_size(tk), 151665);
    assert_int_equal(tokenizer_eos(tk), tokenizer_find(tk, "<|im_end|>"));
    assert_int_equal(tokenizer_bos(tk), VOCAB_NO_ID);
    assert_true(tokenizer_is_special(tk, 151644));
    assert_false(tokenizer_is_special(tk, tokenizer_find(tk, "<tool_call>")));
    tokenizer_free(tk);
    mem_free((char *)source.tokenizer_json.data);
    mem_free((char *)source.tokenizer_config_json.data);
}

static void test_qwen_vectors_from_vocab_and_merges(void **state)
{
    (void)state;
    struct vocab_source source = empty_source();
    source.vocab_json = read_shared("qwen2.5/vocab.json");
    source.merges_txt = read_shared("qwen2.5/merges.txt");
    source.tokenizer_config_json = read_shared("qwen2.5/tokenizer_config.json");
    struct tokenizer *tk = create(&source);
    check_vectors(tk, "qwen2.5/vectors.jsonl");
    tokenizer_free(tk);
    mem_free((char *)source.vocab_json.data);
    mem_free((char *)source.merges_txt.data);
    mem_free((char *)source.tokenizer_config_json.data);
}

/* Fills in what a GGUF file made from this tokenizer.json holds. */
static void fill_gguf_source(struct vocab_source *source, const json_t *root,
                             struct text_span *tokens, int32_t *types, struct text_span *merges)
{
    const json_t *model = json_object_get(root, "model");
    const char *text;
    json_t *value;
    size_t i;
    json_object_foreach(json_object_get(model, "vocab"), text, value)
    {
        tokens[json_integer_value(value)] = span(text);
        types[json_integer_value(value)] = 1;
    }
    json_array_foreach(json_object_get(root, "added_tokens"), i, value)
    {
        json_int_t id = json_integer_value(json_object_get(value, "id"));
        tokens[id] = span(json_string_value(json_object_get(value, "content")));
        types[id] = json_is_true(json_object_get(value, "special")) ? 3 : 4;
    }
    json_array_foreach(json_object_get(model, "merges"), i, value)
    {
        merges[i] = span(json_string_value(value));
    }
    source->n_merges = json_array_size(json_object_get(model, "merges"));
    source->tokens = tokens;
    source->types = types;
    source->merges = merges;
}

static void test_qwen_vectors_from_gguf(void **state)
{
    (void)state;
    enum { ROWS = 151936 };
    char *path = file_join(shared_folder(), "qwen2.5/tokenizer.json");
    struct error err = {0};
    json_t *root = json_parse_file(path, &err);
    assert_non_null(root);
    struct text_span *tokens = mem_array(ROWS, sizeof *tokens);
    struct text_span *merges = mem_array(ROWS, sizeof *merges);
    int32_t *types = mem_array(ROWS, sizeof *types);
    for (size_t i = 0; i < ROWS; i++) {
        tokens[i] = span("[PAD]");
        types[i] = 5;
    }
    struct vocab_source source = empty_source();
    fill_gguf_source(&source, root, tokens, types, merges);
    source.n_tokens = ROWS;
    source.model = span("gpt2");
    source.pre = span("qwen2");
    struct tokenizer *tk = create(&source);
    check_vectors(tk, "qwen2.5/vectors.jsonl");
    tokenizer_free(tk);
    mem_free(tokens);
    mem_free(merges);
    mem_free(types);
    mem_free(path);
    json_decref(root);
}

static void test_phi_vectors(void **state)
{
    (void)state;
    struct vocab_source source = empty_source();
    source.tokenizer_json = read_shared("phi-3-mini-4k/tokenizer.json");
    source.tokenizer_config_json = read_shared("phi-3-mini-4k/tokenizer_config.json");
    struct tokenizer *tk = create(&source);
    check_vectors(tk, "phi-3-mini-4k/vectors.jsonl");
    const char *bytes;
    assert_int_equal(tokenizer_token_bytes(tk, 15043, &bytes), 6);
    assert_memory_equal(bytes, " Hello", 6);
    assert_int_equal(tokenizer_token_bytes(tk, 3 + 0xE4, &bytes), 1);
    assert_memory_equal(bytes, "\xE4", 1);
    tokenizer_free(tk);
    mem_free((char *)source.tokenizer_json.data);
    mem_free((char *)source.tokenizer_config_json.data);
}

static void test_phi_vectors_from_gguf(void **state)
{
    (void)state;
    char *path = file_join(shared_folder(), "phi-3-mini-4k/vocab.gguf");
    struct checkpoint *checkpoint;
    struct error err = {0};
    if (checkpoint_open_vocabulary(path, &checkpoint, &err))
        fail_msg("%s", err.message);
    struct tokenizer *tk = create(checkpoint_vocab(checkpoint));
    check_vectors(tk, "phi-3-mini-4k/vectors.jsonl");
    assert_int_equal(tokenizer_eos(tk), 32000);
    tokenizer_free(tk);
    checkpoint_close(checkpoint);
    mem_free(path);
}

/* --- small documents --- */

/* A model of single characters, some pairs, and the parts that a test names. */
#define CHARACTER_VOCAB                                                                            \
    "\"a\":0,\"b\":1,\"c\":2,\" \":3,\"ab\":4,\"bc\":5,\"\xE2\x96\x81\":6,\"\xE2\x96\x81"          \
    "a\":7,\"1\":8,\"2\":9,\",\":10,\"<unk>\":11,\"<0x0A>\":12,\"<0xC3>\":13,\"<0xA9>\":14,"       \
    "\"A\":15,\"\xC3\xA9\":16,\"abc\":17"
#define CHARACTER_MERGES "\"a b\",[\"b\",\"c\"],\"\xE2\x96\x81 a\",\"ab c\""

static struct tokenizer *create_from(const char *parts, const char *model_options,
                                     const char *config)
{
    char document[8000];
    struct vocab_source source = empty_source();
    snprintf(document, sizeof document,
             "{%s \"model\":{\"type\":\"BPE\",%s \"vocab\":{" CHARACTER_VOCAB
             "},\"merges\":[" CHARACTER_MERGES "]}}",
             parts, model_options);
    source.tokenizer_json = span(document);
    if (config)
        source.tokenizer_config_json = span(config);
    return create(&source);
}

/* The tokens, with "|" between, that the text becomes. */
static void expect_tokens(const struct tokenizer *tk, unsigned flags, const char *text,
                          const char *expected)
{
    struct token_list ids = {0};
    struct strbuf got = {0};
    struct error err = {0};
    if (tokenizer_encode(tk, text, strlen(text), flags, &ids, &err))
        fail_msg("%s", err.message);
    for (size_t i = 0; i < ids.count; i++)
        strbuf_printf(&got, "%s%s", i ? "|" : "", tokenizer_token(tk, ids.ids[i]));
    assert_string_equal(strbuf_text(&got), expected);
    strbuf_free(&got);
    token_list_free(&ids);
}

static void expect_encoding(const char *parts, const char *text, const char *expected)
{
    struct tokenizer *tk = create_from(parts, "", NULL);
    expect_tokens(tk, 0, text, expected);
    tokenizer_free(tk);
}

static void test_merges_follow_ranks(void **state)
{
    (void)state;
    expect_encoding("", "abc", "abc");
    expect_encoding("", "bcab", "bc|ab");
    expect_encoding("", "abcbc", "abc|bc");
    expect_encoding("", "", "");
    expect_encoding("", "xay", "a"); /* what the model does not know is left out */
}

static void test_unknown_characters(void **state)
{
    (void)state;
    struct tokenizer *tk = create_from("", "\"unk_token\":\"<unk>\",", NULL);
    expect_tokens(tk, 0, "xya", "<unk>|<unk>|a");
    tokenizer_free(tk);
    tk = create_from("", "\"unk_token\":\"<unk>\",\"fuse_unk\":true,", NULL);
    expect_tokens(tk, 0, "xyax", "<unk>|a|<unk>");
    tokenizer_free(tk);
    tk = create_from("", "\"unk_token\":\"<unk>\",\"byte_fallback\":true,", NULL);
    expect_tokens(tk, 0, "a\nx", "a|<0x0A>|<unk>");
    tokenizer_free(tk);
    tk = create_from("\"pre_tokenizer\":null,", "\"ignore_merges\":true,", NULL);
    expect_tokens(tk, 0, "abc", "abc");
    tokenizer_free(tk);
}

static void test_normalizers(void **state)
{
    (void)state;
    expect_encoding("\"normalizer\":{\"type\":\"NFC\"},", "e\xCC\x81", "\xC3\xA9");
    expect_encoding("\"normalizer\":{\"type\":\"Lowercase\"},", "ABC", "abc");
    expect_encoding("\"normalizer\":{\"type\":\"NFKC\"},", "\xEF\xBC\x91", "1");
    expect_encoding("\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFD\"},"
                    "{\"type\":\"StripAccents\"}]},",
                    "\xC3\xA1", "a");
    expect_encoding("\"normalizer\":{\"type\":\"Strip\",\"strip_left\":true,\"strip_right\":false"
                    "},",
                    " a ", "a| ");
    expect_encoding("\"normalizer\":{\"type\":\"Prepend\",\"prepend\":\"b\"},", "c", "bc");
    expect_encoding("\"normalizer\":{\"type\":\"Prepend\",\"prepend\":\"b\"},", "", "");
    expect_encoding("\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":\"xx\"},"
                    "\"content\":\"a\"},",
                    "xxbxx", "ab|a");
    expect_encoding("\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"Regex\":\" {2,}\"},"
                    "\"content\":\" \"},",
                    "a    b c", "a| |b| |c");
}

#define SPLIT(behavior, invert)                                                                    \
    "\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\",\"},\"behavior\":\"" behavior \
    "\",\"invert\":" invert "},"

static void test_split_behaviors(void **state)
{
    (void)state;
    /* Only tokens of one piece can merge: "a,b" with and without a cut before b. */
    const char *vocab = "{\"model\":{\"vocab\":{\"a\":0,\",\":1,\"b\":2,\",,\":3,\"a,\":4,"
                        "\",b\":5},\"merges\":[\", ,\",\"a ,\",\", b\"]},%s \"x\":0}";
    static const struct {
        const char *step, *text, *expected;
    } cases[] = {
        {SPLIT("Removed", "false"), "a,,b", "a|b"},
        {SPLIT("Removed", "true"), "a,,b", ",|,"},
        {SPLIT("Isolated", "false"), "a,,b", "a|,|,|b"},
        {SPLIT("Contiguous", "false"), "a,,b", "a|,,|b"},
        {SPLIT("MergedWithPrevious", "false"), "a,b", "a,|b"},
        {SPLIT("MergedWithPrevious", "false"), "a,,b", "a,|,|b"},
        {SPLIT("MergedWithNext", "false"), "a,b", "a|,b"},
        {SPLIT("MergedWithNext", "false"), "a,,b", "a|,|,b"},
        {SPLIT("MergedWithNext", "false"), "a,", "a|,"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char document[1000];
        struct vocab_source source = empty_source();
        snprintf(document, sizeof document, vocab, cases[i].step);
        source.tokenizer_json = span(document);
        struct tokenizer *tk = create(&source);
        expect_tokens(tk, 0, cases[i].text, cases[i].expected);
        tokenizer_free(tk);
    }
}

static void test_pretokenizers(void **state)
{
    (void)state;
    expect_encoding("\"pre_tokenizer\":{\"type\":\"Digits\",\"individual_digits\":true},", "ab12",
                    "ab|1|2");
    expect_encoding("\"pre_tokenizer\":{\"type\":\"Punctuation\"},", "ab,c", "ab|,|c");
    expect_encoding("\"pre_tokenizer\":{\"type\":\"WhitespaceSplit\"},", "ab c", "ab|c");
    expect_encoding("\"pre_tokenizer\":{\"type\":\"Whitespace\"},", "ab ,c", "ab|,|c");
    expect_encoding("\"pre_tokenizer\":{\"type\":\"CharDelimiterSplit\",\"delimiter\":\"b\"},",
                    "abc", "a|c");
    expect_encoding("\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"\xE2\x96\x81\","
                    "\"prepend_scheme\":\"always\"},",
                    "a a",
                    "\xE2\x96\x81"
                    "a|\xE2\x96\x81"
                    "a");
    expect_encoding("\"pre_tokenizer\":{\"type\":\"Metaspace\",\"prepend_scheme\":\"never\"},",
                    "a a",
                    "a|\xE2\x96\x81"
                    "a");
    expect_encoding("\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":"
                    "\"Split\",\"pattern\":{\"String\":\"b\"},\"behavior\":\"Isolated\"},"
                    "{\"type\":\"Digits\"}]},",
                    "ab1c", "a|b|1|c");
}

/* Metaspace's "first" is the beginning of the whole text, not of what follows an added token. */
static void test_metaspace_first(void **state)
{
    (void)state;
    struct tokenizer *tk =
        create_from("\"pre_tokenizer\":{\"type\":\"Metaspace\",\"prepend_scheme\":\"first\"},"
                    "\"added_tokens\":[{\"id\":18,\"content\":\"<x>\",\"special\":true}],",
                    "", NULL);
    expect_tokens(tk, 0, "a<x>a",
                  "\xE2\x96\x81"
                  "a|<x>|a");
    tokenizer_free(tk);
}

static void test_byte_level(void **state)
{
    (void)state;
    struct vocab_source source = empty_source();
    source.tokenizer_json = span("{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":"
                                 "true},\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":"
                                 "\"BPE\",\"vocab\":{\"\xC4\xA0\":0,\"a\":1,\"\xC4\xA0"
                                 "a\":2,\"\xC3\xA4\":3,\"\xC2\xBD\":4,\"\xC5\x82\":5},\"merges\":"
                                 "[\"\xC4\xA0 a\"]}}");
    struct tokenizer *tk = create(&source);
    expect_tokens(tk, 0, "a a",
                  "\xC4\xA0"
                  "a|\xC4\xA0"
                  "a");
    expect_tokens(tk, 0, "", "");
    struct strbuf text = {0};
    struct error err = {0};
    const int32_t broken[] = {2, 3, 4, 1};
    assert_int_equal(tokenizer_decode(tk, broken, 4, 0, &text, &err), STATUS_OK);
    assert_string_equal(strbuf_text(&text), " a\xEF\xBF\xBD"
                                            "a");
    strbuf_free(&text);
    tokenizer_free(tk);
}

#define ADDED(flags)                                                                               \
    "\"added_tokens\":[{\"id\":18,\"content\":\"<x>\",\"normalized\":false" flags "}],"

static void test_added_tokens(void **state)
{
    (void)state;
    expect_encoding(ADDED(""), "a <x> b", "a| |<x>| |b");
    expect_encoding(ADDED(",\"rstrip\":true"), "a <x>  b", "a| |<x>|b");
    expect_encoding(ADDED(",\"lstrip\":true"), "a  <x> b", "a|<x>| |b");
    expect_encoding(ADDED(",\"lstrip\":true,\"rstrip\":true"), "a <x> <x> b", "a|<x>|<x>|b");
    expect_encoding("\"added_tokens\":[{\"id\":18,\"content\":\"ac\",\"single_word\":true}],",
                    "ac acc bac", "ac| |a|c|c| |b|a|c");
    /* the longest one wins, wherever it begins */
    expect_encoding("\"added_tokens\":[{\"id\":18,\"content\":\"<x\"},{\"id\":19,\"content\":"
                    "\"<x>\"},{\"id\":20,\"content\":\"<xy>\"}],",
                    "<x><xy><xya", "<x>|<xy>|<x|a");
    /* looked for behind the normalizer only where `normalized` says so */
    expect_encoding("\"normalizer\":{\"type\":\"Lowercase\"},\"added_tokens\":[{\"id\":18,"
                    "\"content\":\"Q\",\"normalized\":true},{\"id\":19,\"content\":\"Z\","
                    "\"normalized\":false}],",
                    "qQzZ", "Q|Q|Z");
}

static void test_plain_text_keeps_specials_apart(void **state)
{
    (void)state;
    struct tokenizer *tk = create_from(
        "\"added_tokens\":[{\"id\":18,\"content\":\"abc,\",\"special\":true}],", "", NULL);
    expect_tokens(tk, 0, "abc,", "abc,");
    expect_tokens(tk, TOKENIZER_PLAIN_TEXT, "abc,", "abc|,");
    assert_true(tokenizer_is_special(tk, 18));
    tokenizer_free(tk);
}

static void test_post_processor(void **state)
{
    (void)state;
    static const char template[] =
        "\"post_processor\":{\"type\":\"Sequence\",\"processors\":[{\"type\":\"ByteLevel\"},"
        "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<unk>\"}},"
        "{\"Sequence\":{\"id\":\"A\"}},{\"SpecialToken\":{\"id\":\",\"}}],\"special_tokens\":{"
        "\"<unk>\":{\"ids\":[11]},\",\":{\"ids\":[10]}}}]},";
    struct tokenizer *tk = create_from(template, "", NULL);
    expect_tokens(tk, 0, "a", "a");
    expect_tokens(tk, TOKENIZER_ADD_SPECIAL, "a", "<unk>|a|,");
    tokenizer_free(tk);
    tk = create_from(template, "", "{\"add_bos_token\":false,\"add_eos_token\":false}");
    expect_tokens(tk, TOKENIZER_ADD_SPECIAL, "a", "a");
    tokenizer_free(tk);
    tk = create_from("", "",
                     "{\"tokenizer_class\":\"LlamaTokenizer\",\"bos_token\":{\"content\":"
                     "\"c\"},\"eos_token\":\",\",\"add_eos_token\":true}");
    expect_tokens(tk, TOKENIZER_ADD_SPECIAL, "ab", "c|ab|,");
    assert_int_equal(tokenizer_eos(tk), 10);
    tokenizer_free(tk);
}

static void test_config_overrides_flags(void **state)
{
    (void)state;
    struct tokenizer *tk = create_from(ADDED(""), "",
                                       "{\"added_tokens_decoder\":{\"18\":{\"content\":\"<x>\","
                                       "\"rstrip\":true,\"special\":true,\"normalized\":false},"
                                       "\"19\":{\"content\":\"<y>\"}}}");
    expect_tokens(tk, 0, "<x> a<y>", "<x>|a|<y>");
    assert_true(tokenizer_is_special(tk, 18));
    assert_int_equal(tokenizer_find(tk, "<y>"), 19);
    tokenizer_free(tk);
}

static void expect_decoding(const char *parts, const int32_t *ids, size_t n, const char *expected)
{
    struct tokenizer *tk = create_from(parts, "", NULL);
    struct strbuf text = {0};
    struct error err = {0};
    assert_int_equal(tokenizer_decode(tk, ids, n, 0, &text, &err), STATUS_OK);
    assert_string_equal(strbuf_text(&text), expected);
    strbuf_free(&text);
    tokenizer_free(tk);
}

static void test_decoders(void **state)
{
    (void)state;
    static const int32_t words[] = {7, 7, 1}, bytes[] = {13, 14, 0, 13, 13, 14, 0};
    expect_decoding("", words, 3,
                    "\xE2\x96\x81"
                    "a \xE2\x96\x81"
                    "a b");
    expect_decoding("\"decoder\":{\"type\":\"Metaspace\"},", words, 3, "a ab");
    expect_decoding("\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\","
                    "\"pattern\":{\"String\":\"\xE2\x96\x81\"},\"content\":\" \"},{\"type\":"
                    "\"Fuse\"},{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}]},",
                    words, 3, "a ab");
    /* a run of bytes is text or, as a whole, is not */
    expect_decoding("\"decoder\":{\"type\":\"ByteFallback\"},", bytes, 7,
                    "\xC3\xA9"
                    "a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"
                    "a");
    expect_decoding("\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Fuse\"},"
                    "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"a.\"},\"content\":\"-\"},"
                    "{\"type\":\"Strip\",\"content\":\"b\",\"start\":0,\"stop\":1}]},",
                    words + 1, 2, "\xE2\x96\x81-");
    expect_decoding("\"decoder\":{\"type\":\"Strip\",\"content\":\"b\",\"start\":0,\"stop\":1},",
                    words, 3,
                    "\xE2\x96\x81"
                    "a\xE2\x96\x81"
                    "a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_qwen_vectors),
        cmocka_unit_test(test_qwen_vectors_from_vocab_and_merges),
        cmocka_unit_test(test_qwen_vectors_from_gguf),
        cmocka_unit_test(test_phi_vectors),
        cmocka_unit_test(test_phi_vectors_from_gguf),
        cmocka_unit_test(test_merges_follow_ranks),
        cmocka_unit_test(test_unknown_characters),
        cmocka_unit_test(test_normalizers),
        cmocka_unit_test(test_split_behaviors),
        cmocka_unit_test(test_pretokenizers),
        cmocka_unit_test(test_metaspace_first),
        cmocka_unit_test(test_byte_level),
        cmocka_unit_test(test_added_tokens),
        cmocka_unit_test(test_plain_text_keeps_specials_apart),
        cmocka_unit_test(test_post_processor),
        cmocka_unit_test(test_config_overrides_flags),
        cmocka_unit_test(test_decoders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
