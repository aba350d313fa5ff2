/* Properties of the tokenizer: BPE equals a naive one, a stream equals decoding at once, NFC equals
 * utf8proc's; hostile documents, texts and ids end in an error, in bounded time and memory. */
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "base/utf8.h"
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

static enum status create_from(const char *document, size_t length, struct tokenizer **tk,
                               struct error *err)
{
    struct vocab_source source = {.name = "test",
                                  .tokenizer_json = {document, length},
                                  .bos_id = VOCAB_NO_ID,
                                  .eos_id = VOCAB_NO_ID,
                                  .unk_id = VOCAB_NO_ID,
                                  .pad_id = VOCAB_NO_ID};
    return tokenizer_create(&source, tk, err);
}

static struct tokenizer *create(const char *document)
{
    struct tokenizer *tk = NULL;
    struct error err = {0};
    if (create_from(document, strlen(document), &tk, &err))
        fail_msg("%s", err.message);
    return tk;
}

/* --- BPE --- */

enum { LETTERS = 4, MERGES = 60, LONGEST_TEXT = 400 };

struct naive {
    char tokens[LETTERS + MERGES][64];
    int left[MERGES], right[MERGES];
    size_t n_merges;
};

static int find_token(const struct naive *naive, const char *text)
{
    for (size_t i = 0; i < LETTERS + naive->n_merges; i++)
        if (!strcmp(naive->tokens[i], text))
            return (int)i;
    return -1;
}

/* A random vocabulary, in which a token may be made in one way only. */
static void make_naive(struct naive *naive, struct rng *rng)
{
    *naive = (struct naive){0};
    for (int i = 0; i < LETTERS; i++)
        naive->tokens[i][0] = (char)('a' + i);
    while (naive->n_merges < MERGES) {
        char text[128];
        int left = (int)rng_below(rng, LETTERS + naive->n_merges);
        int right = (int)rng_below(rng, LETTERS + naive->n_merges);
        snprintf(text, sizeof text, "%s%s", naive->tokens[left], naive->tokens[right]);
        if (strlen(text) >= sizeof naive->tokens[0] || find_token(naive, text) >= 0)
            continue;
        strcpy(naive->tokens[LETTERS + naive->n_merges], text);
        naive->left[naive->n_merges] = left;
        naive->right[naive->n_merges++] = right;
    }
}

static struct tokenizer *naive_tokenizer(const struct naive *naive)
{
    struct strbuf document = {0};
    strbuf_add(&document, "{\"model\":{\"vocab\":{");
    for (size_t i = 0; i < LETTERS + naive->n_merges; i++)
        strbuf_printf(&document, "%s\"%s\":%zu", i ? "," : "", naive->tokens[i], i);
    strbuf_add(&document, "},\"merges\":[");
    for (size_t i = 0; i < naive->n_merges; i++)
        strbuf_printf(&document, "%s\"%s %s\"", i ? "," : "", naive->tokens[naive->left[i]],
                      naive->tokens[naive->right[i]]);
    strbuf_add(&document, "]}}");
    struct tokenizer *tk = create(strbuf_text(&document));
    strbuf_free(&document);
    return tk;
}

static size_t naive_encode(const struct naive *naive, const char *text, int *ids)
{
    size_t n = 0;
    for (; text[n]; n++)
        ids[n] = text[n] - 'a';
    for (size_t rank = 0; rank < naive->n_merges;) {
        size_t i = 0;
        while (i + 1 < n && (ids[i] != naive->left[rank] || ids[i + 1] != naive->right[rank]))
            i++;
        if (i + 1 >= n) {
            rank++;
            continue;
        }
        ids[i] = LETTERS + (int)rank;
        memmove(ids + i + 1, ids + i + 2, (n - i - 2) * sizeof *ids);
        n--;
        rank = 0; /* a lower rank may have become possible */
    }
    return n;
}

static void test_bpe_equals_a_naive_one(void **state)
{
    (void)state;
    struct rng rng;
    struct naive naive;
    struct error err = {0};
    rng_seed(&rng, 1);
    for (int round = 0; round < 40; round++) {
        make_naive(&naive, &rng);
        struct tokenizer *tk = naive_tokenizer(&naive);
        for (int k = 0; k < 40; k++) {
            char text[LONGEST_TEXT + 1] = {0};
            int expected[LONGEST_TEXT];
            size_t length = rng_below(&rng, k % 2 ? 30 : LONGEST_TEXT),
                   alphabet = 1 + (size_t)k % 4;
            for (size_t i = 0; i < length; i++)
                text[i] = (char)('a' + rng_below(&rng, alphabet));
            struct token_list ids = {0};
            assert_int_equal(tokenizer_encode(tk, text, length, 0, &ids, &err), STATUS_OK);
            assert_int_equal(ids.count, naive_encode(&naive, text, expected));
            for (size_t i = 0; i < ids.count; i++)
                assert_int_equal(ids.ids[i], expected[i]);
            token_list_free(&ids);
        }
        tokenizer_free(tk);
    }
}

/* Words of a SentencePiece vocabulary are encoded one by one where nothing merges across them. */
static void test_merges_across_words(void **state)
{
    (void)state;
    struct tokenizer *tk =
        create("{\"model\":{\"vocab\":{\"a\":0,\"\xE2\x96\x81\":1,\"a\xE2\x96\x81\":2},"
               "\"merges\":[\"a \xE2\x96\x81\"]}}");
    struct token_list ids = {0};
    struct error err = {0};
    assert_int_equal(tokenizer_encode(tk,
                                      "a\xE2\x96\x81"
                                      "a",
                                      5, 0, &ids, &err),
                     STATUS_OK);
    assert_int_equal(ids.count, 2);
    assert_int_equal(ids.ids[0], 2);
    token_list_free(&ids);
    tokenizer_free(tk);
}

/* --- streams --- */

static const char sentencepiece[] =
    "{\"added_tokens\":[{\"id\":9,\"content\":\"<s>\",\"special\":true}],"
    "\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{"
    "\"String\":\"\xE2\x96\x81\"},\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":"
    "\"Fuse\"},{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":1}]},"
    "\"model\":{\"vocab\":{\"a\":0,\"\xE2\x96\x81\":1,\"\xE2\x96\x81\xE2\x96\x81\":2,"
    "\"<0xE4>\":3,\"<0xBD>\":4,\"<0xA0>\":5,\"<0x20>\":6,\"\xC3\xA9\":7,\"<0xC3>\":8},"
    "\"merges\":[]}}";
static const char byte_level[] =
    "{\"added_tokens\":[{\"id\":9,\"content\":\"<s> x\",\"special\":true}],"
    "\"decoder\":{\"type\":\"ByteLevel\"},"
    "\"model\":{\"vocab\":{\"a\":0,\"\xC4\xA0\":1,\"\xC3\xA4\":2,\"\xC2\xBD\":3,\"\xC5\x82\":4,"
    "\"\xC3\xA4\xC2\xBD\":5,\"\xC3\xB0\":6,\"\xC3\xA9\":7,\"\xC3\x83\":8},\"merges\":[]}}";
static const char metaspace[] =
    "{\"decoder\":{\"type\":\"Metaspace\"},"
    "\"model\":{\"vocab\":{\"a\":0,\"\xE2\x96\x81\":1,\"\xE2\x96\x81\xE2\x96\x81\":2,\"b\":3,"
    "\"c\":4,\"d\":5,\"e\":6,\"f\":7,\"g\":8,\"h\":9},\"merges\":[]}}";
static const char undecoded[] =
    "{\"model\":{\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"d\":3,\"e\":4,\"f\":5,\"g\":6,\"h\":7,"
    "\"i\":8,\"j\":9},\"merges\":[]}}";

static void check_stream(const struct tokenizer *tk, struct rng *rng, size_t n_ids, unsigned flags)
{
    struct detokenizer d;
    struct token_list ids = {0};
    struct strbuf streamed = {0}, whole = {0};
    struct error err = {0};
    size_t n = rng_below(rng, 60);
    detokenizer_init(&d, tk, flags);
    for (size_t i = 0; i < n; i++) {
        int32_t id = (int32_t)rng_below(rng, n_ids);
        if (!tokenizer_token(tk, id))
            continue;
        assert_true(token_list_add(&ids, id));
        size_t before = streamed.length;
        assert_int_equal(detokenizer_push(&d, id, &streamed, &err), STATUS_OK);
        assert_true(utf8_valid(strbuf_text(&streamed) + before, streamed.length - before));
    }
    assert_int_equal(detokenizer_finish(&d, &streamed, &err), STATUS_OK);
    assert_int_equal(tokenizer_decode(tk, ids.ids, ids.count, flags, &whole, &err), STATUS_OK);
    assert_int_equal(streamed.length, whole.length);
    assert_memory_equal(strbuf_text(&streamed), strbuf_text(&whole), whole.length);
    detokenizer_free(&d);
    token_list_free(&ids);
    strbuf_free(&streamed);
    strbuf_free(&whole);
}

static void test_streams_of_small_tokenizers(void **state)
{
    (void)state;
    static const char *const documents[] = {sentencepiece, byte_level, metaspace, undecoded};
    struct rng rng;
    rng_seed(&rng, 2);
    for (size_t i = 0; i < 4; i++) {
        struct tokenizer *tk = create(documents[i]);
        for (int k = 0; k < 2000; k++)
            check_stream(tk, &rng, 10, k % 2 ? TOKENIZER_SKIP_SPECIAL : 0);
        tokenizer_free(tk);
    }
}

/* What decoding gives, worked out by hand. */
static void test_byte_runs(void **state)
{
    (void)state;
    static const struct {
        int32_t ids[6];
        size_t n;
        const char *expected;
    } cases[] = {
        {{3, 4, 5}, 3, "\xE4\xBD\xA0"},
        {{3, 4, 0},
         3,
         "\xEF\xBF\xBD\xEF\xBF\xBD"
         "a"},
        {{1, 0, 2, 0, 1}, 5, "a  a"},
        {{6, 0, 6}, 3, "a"},
        {{1, 3, 9, 4, 9, 5}, 6, "\xE4\xBD\xA0"}, /* skipped tokens do not end a run */
    };
    struct tokenizer *tk = create(sentencepiece);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct strbuf text = {0};
        struct error err = {0};
        assert_int_equal(
            tokenizer_decode(tk, cases[i].ids, cases[i].n, TOKENIZER_SKIP_SPECIAL, &text, &err),
            STATUS_OK);
        assert_string_equal(strbuf_text(&text), cases[i].expected);
        strbuf_free(&text);
    }
    tokenizer_free(tk);
}

static void test_streams_of_real_tokenizers(void **state)
{
    (void)state;
    static const char *const names[] = {"qwen2.5", "phi-3-mini-4k"};
    const char *shared = getenv("TANDEM_SHARED");
    struct rng rng;
    rng_seed(&rng, 3);
    for (size_t i = 0; i < 2; i++) {
        char path[4096], *document = NULL;
        size_t size = 0;
        struct tokenizer *tk = NULL;
        struct error err = {0};
        snprintf(path, sizeof path, "%s/tokenizers/%s/tokenizer.json", shared ? shared : "",
                 names[i]);
        if (!shared || file_read(path, 0, &document, &size, &err)) {
            print_message("no %s: skipped\n", path);
            skip();
        }
        assert_int_equal(create_from(document, size, &tk, &err), STATUS_OK);
        for (int k = 0; k < 2000; k++) /* the first ids are the bytes */
            check_stream(tk, &rng, k % 2 ? 300 : tokenizer_size(tk), k % 3 ? 0u : 4u);
        tokenizer_free(tk);
        mem_free(document);
    }
}

/* --- normalisation --- */

static void test_inert_code_points_are_inert(void **state)
{
    (void)state;
    for (utf8proc_int32_t c = 1; c < 0x110000; c++) {
        if (c >= 0xD800 && c <= 0xDFFF)
            continue;
        utf8proc_int32_t parts[8];
        int boundary = 0;
        utf8proc_ssize_t n =
            utf8proc_decompose_char(c, parts, 8, UTF8PROC_STABLE | UTF8PROC_DECOMPOSE, &boundary);
        for (utf8proc_ssize_t k = 1; k < n; k++) /* these compose backwards */
            assert_false(normalize_is_inert((uint32_t)parts[k]));
        if (!normalize_is_inert((uint32_t)c))
            continue;
        utf8proc_int32_t again[8];
        memcpy(again, parts, sizeof again);
        assert_int_equal(utf8proc_get_property(c)->combining_class, 0);
        assert_int_equal(utf8proc_normalize_utf32(again, n, UTF8PROC_STABLE | UTF8PROC_COMPOSE), 1);
        assert_int_equal(again[0], c);
    }
}

static uint32_t random_codepoint(struct rng *rng)
{
    static const uint32_t marks[] = {0x301,  0x300,  0x327,  0x323,  0x5B0, 0x94D,
                                     0x3099, 0x1161, 0x11A8, 0x345,  0x93C, 0x20DD,
                                     0xE9,   0x1100, 0xAC00, 0x212B, 0x2001};
    switch (rng_below(rng, 4)) {
    case 0:
        return 'a' + (uint32_t)rng_below(rng, 26);
    case 1:
        return marks[rng_below(rng, sizeof marks / sizeof *marks)];
    case 2:
        return 0x4E00 + (uint32_t)rng_below(rng, 100);
    default:
        return 1 + (uint32_t)rng_below(rng, 0xD7FF);
    }
}

static void test_normal_forms_equal_utf8proc(void **state)
{
    (void)state;
    static const utf8proc_option_t options[] = {UTF8PROC_COMPOSE, UTF8PROC_DECOMPOSE,
                                                UTF8PROC_COMPOSE | UTF8PROC_COMPAT,
                                                UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT};
    struct rng rng;
    struct error err = {0};
    rng_seed(&rng, 4);
    for (int k = 0; k < 8000; k++) {
        struct strbuf text = {0}, got = {0};
        for (size_t n = rng_below(&rng, 40); n > 0; n--)
            strbuf_add_codepoint(&text, random_codepoint(&rng));
        enum normal_form form = (enum normal_form)(k % 4);
        utf8proc_uint8_t *expected = NULL;
        utf8proc_ssize_t n =
            utf8proc_map((const utf8proc_uint8_t *)strbuf_text(&text),
                         (utf8proc_ssize_t)text.length, &expected, UTF8PROC_STABLE | options[form]);
        assert_true(n >= 0);
        assert_int_equal(normalize_append(form, strbuf_text(&text), text.length, &got, &err),
                         STATUS_OK);
        assert_int_equal(got.length, n);
        assert_memory_equal(strbuf_text(&got), expected, (size_t)n);
        free(expected);
        strbuf_free(&text);
        strbuf_free(&got);
    }
}

static void test_broken_text_is_repaired_like_python(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t length, replacements; /* U+FFFD each */
    } cases[] = {{"\xE4\xBD", 2, 1},         {"\xE4\xBD\xE4\xBD", 4, 2}, {"\xF0\x9F\x98", 3, 1},
                 {"\xC0\x80", 2, 2},         {"\xED\xA0\x80", 3, 3},     {"\xFF\xFE", 2, 2},
                 {"\xF4\x90\x80\x80", 4, 4}, {"\xF0\x80", 2, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct strbuf out = {0};
        unicode_append_repaired(&out, cases[i].text, cases[i].length);
        assert_int_equal(out.length, 3 * cases[i].replacements);
        assert_true(utf8_valid(strbuf_text(&out), out.length));
        strbuf_free(&out);
    }
}

/* --- hostile input --- */

static void expect_refusal(const char *document, enum status expected, const char *words)
{
    struct tokenizer *tk = NULL;
    struct error err = {0};
    enum status status = create_from(document, strlen(document), &tk, &err);
    if (status != expected || !strstr(err.message, words))
        fail_msg("%.200s: status %d, \"%s\"", document, (int)status, err.message);
}

static void test_refusals_name_the_component(void **state)
{
    (void)state;
#define MODEL "\"model\":{\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]}"
    expect_refusal("", STATUS_FORMAT, "tokenizer.json ends at byte 0");
    expect_refusal("{}", STATUS_FORMAT, "vocab");
    expect_refusal("{\"model\":{\"type\":\"Unigram\",\"vocab\":[]}}", STATUS_UNSUPPORTED,
                   "Unigram");
    expect_refusal("{\"normalizer\":{\"type\":\"Precompiled\"}," MODEL "}", STATUS_UNSUPPORTED,
                   "Precompiled");
    expect_refusal("{\"pre_tokenizer\":{\"type\":\"UnicodeScripts\"}," MODEL "}",
                   STATUS_UNSUPPORTED, "UnicodeScripts");
    expect_refusal("{\"decoder\":{\"type\":\"WordPiece\"}," MODEL "}", STATUS_UNSUPPORTED,
                   "WordPiece");
    expect_refusal("{\"post_processor\":{\"type\":\"Other\"}," MODEL "}", STATUS_UNSUPPORTED,
                   "Other");
    expect_refusal("{\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Isolated\",\"pattern\":"
                   "{\"Regex\":\"[a-z&&[^b]]\"}}," MODEL "}",
                   STATUS_UNSUPPORTED, "intersection");
    expect_refusal("{\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Isolated\",\"pattern\":"
                   "{\"Regex\":\"(a\"}}," MODEL "}",
                   STATUS_UNSUPPORTED, "(a");
    expect_refusal("{\"model\":{\"dropout\":0.1,\"vocab\":{\"a\":0},\"merges\":[]}}",
                   STATUS_UNSUPPORTED, "dropout");
    expect_refusal("{\"model\":{\"vocab\":{\"a\":0},\"merges\":[\"a b\"]}}", STATUS_FORMAT,
                   "merge 0");
    expect_refusal("{\"model\":{\"vocab\":{\"a\":0},\"merges\":[\"a\"]}}", STATUS_FORMAT,
                   "merge 0");
    expect_refusal("{\"model\":{\"vocab\":{\"a\":4194304},\"merges\":[]}}", STATUS_FORMAT,
                   "4194304");
    expect_refusal("{\"model\":{\"vocab\":{\"a\":-1},\"merges\":[]}}", STATUS_FORMAT, "-1");
    expect_refusal("{\"model\":{\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]}}", STATUS_FORMAT,
                   "two tokens");
    expect_refusal("{\"model\":{\"vocab\":{\"a\":0,\"a\":1},\"merges\":[]}}", STATUS_FORMAT,
                   "twice");
    expect_refusal("{\"added_tokens\":[{\"id\":99999999,\"content\":\"x\"}]," MODEL "}",
                   STATUS_FORMAT, "99999999");
    expect_refusal("{\"added_tokens\":[{\"id\":7,\"content\":\"ab\"}]," MODEL "}", STATUS_FORMAT,
                   "ab");
    expect_refusal("{" MODEL "} x", STATUS_FORMAT, "tokenizer.json");
    expect_refusal("{" MODEL "," MODEL "}", STATUS_FORMAT, "duplicate");
}

static void test_deep_documents(void **state)
{
    (void)state;
    struct strbuf document = {0};
    strbuf_add(&document, "{\"normalizer\":");
    for (int i = 0; i < 20; i++)
        strbuf_add(&document, "{\"type\":\"Sequence\",\"normalizers\":[");
    for (int i = 0; i < 20; i++)
        strbuf_add(&document, "]}");
    strbuf_add(&document, "," MODEL "}");
    expect_refusal(strbuf_text(&document), STATUS_LIMIT, "nested");
    strbuf_truncate(&document, 0);
    for (int i = 0; i < 1000000; i++)
        strbuf_add(&document, "[");
    expect_refusal(strbuf_text(&document), STATUS_FORMAT, "tokenizer.json");
    strbuf_truncate(&document, 0);
    strbuf_add(&document, "{\"x\":");
    for (int i = 0; i < 1000000; i++)
        strbuf_add(&document, "[");
    for (int i = 0; i < 1000000; i++)
        strbuf_add(&document, "]");
    strbuf_add(&document, "}");
    expect_refusal(strbuf_text(&document), STATUS_FORMAT, "tokenizer.json");
    strbuf_free(&document);
}

/* Any document that loads must also encode and decode. */
static void test_damaged_documents(void **state)
{
    (void)state;
    static const char *const documents[] = {sentencepiece, byte_level, metaspace};
    struct rng rng;
    rng_seed(&rng, 5);
    for (int k = 0; k < 6000; k++) {
        char document[2000];
        size_t length = strlen(documents[k % 3]);
        memcpy(document, documents[k % 3], length);
        for (uint64_t flips = 1 + rng_below(&rng, 3); flips > 0; flips--)
            document[rng_below(&rng, length)] = (char)rng_below(&rng, 256);
        if (k % 4 == 0)
            length = rng_below(&rng, length);
        struct tokenizer *tk = NULL;
        struct error err = {0};
        if (create_from(document, length, &tk, &err)) {
            assert_true(err.message[0] != 0);
            continue;
        }
        struct token_list ids = {0};
        struct strbuf text = {0};
        tokenizer_encode(tk, "a\xE4\xBD\xA0 <s> \xC3\xA9", 11, 0, &ids, &err);
        tokenizer_decode(tk, ids.ids, ids.count, 0, &text, &err);
        token_list_free(&ids);
        strbuf_free(&text);
        tokenizer_free(tk);
    }
}

static void test_ids_outside_the_vocabulary(void **state)
{
    (void)state;
    static const int32_t wrong[] = {-1, 10, INT32_MAX, INT32_MIN};
    struct tokenizer *tk = create(byte_level);
    const char *bytes;
    for (size_t i = 0; i < 4; i++) {
        struct strbuf text = {0};
        struct error err = {0};
        assert_int_equal(tokenizer_decode(tk, &wrong[i], 1, 0, &text, &err), STATUS_INVALID);
        assert_non_null(strstr(err.message, "not in the vocabulary"));
        assert_null(tokenizer_token(tk, wrong[i]));
        assert_int_equal(tokenizer_token_bytes(tk, wrong[i], &bytes), 0);
        assert_false(tokenizer_is_special(tk, wrong[i]));
        strbuf_free(&text);
    }
    tokenizer_free(tk);
}

static char *repeat(const char *text, size_t n)
{
    size_t length = strlen(text);
    char *result = mem_alloc(n * length + 1);
    assert_non_null(result);
    for (size_t i = 0; i < n; i++)
        memcpy(result + i * length, text, length);
    return result;
}

/* One word of a megabyte; every merge of it is possible. */
static void test_long_words_take_no_square_time(void **state)
{
    (void)state;
    enum { LENGTH = 1 << 20 };
    struct tokenizer *tk = create("{\"model\":{\"vocab\":{\"a\":0,\"aa\":1,\"aaaa\":2,\"b\":3,"
                                  "\"ab\":4},\"merges\":[\"a a\",\"aa aa\",\"a b\"]}}");
    struct token_list ids = {0};
    struct error err = {0};
    char *text = repeat("a", LENGTH);
    double started = clock_seconds();
    assert_int_equal(tokenizer_encode(tk, text, LENGTH, 0, &ids, &err), STATUS_OK);
    assert_int_equal(ids.count, LENGTH / 4);
    assert_true(clock_seconds() - started < 10);
    token_list_free(&ids);
    mem_free(text);
    tokenizer_free(tk);
}

/* Marks in falling order of their class are the worst case of sorting by exchange. */
static void test_many_marks_take_no_square_time(void **state)
{
    (void)state;
    enum { PAIRS = 200000 };
    char *text = repeat("\xCC\x81\xCC\xA7", PAIRS); /* U+0301, U+0327 */
    struct strbuf out = {0};
    struct error err = {0};
    double started = clock_seconds();
    assert_int_equal(normalize_append(FORM_NFC, text, 4 * (size_t)PAIRS, &out, &err), STATUS_OK);
    assert_int_equal(out.length, 4 * (size_t)PAIRS);
    assert_memory_equal(out.data, "\xCC\xA7\xCC\xA7", 4);
    assert_true(clock_seconds() - started < 10);
    strbuf_free(&out);
    mem_free(text);
}

static void test_runaway_patterns_are_stopped(void **state)
{
    (void)state;
    static const char *const patterns[] = {"(a+)+b", "(?:a|a)*b", "(a|aa)+$b", "(?=(a*))\\\\1b"};
    char *text = repeat("a", 100000);
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        char document[500];
        struct token_list ids = {0};
        struct error err = {0};
        snprintf(document, sizeof document,
                 "{\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Isolated\",\"pattern\":{"
                 "\"Regex\":\"%s\"}}," MODEL "}",
                 patterns[i]);
        struct tokenizer *tk = create(document);
        double started = clock_seconds();
        enum status status = tokenizer_encode(tk, text, 100000, 0, &ids, &err);
        assert_true(status == STATUS_LIMIT || status == STATUS_OK);
        assert_true(clock_seconds() - started < 30);
        token_list_free(&ids);
        tokenizer_free(tk);
    }
    mem_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bpe_equals_a_naive_one),
        cmocka_unit_test(test_merges_across_words),
        cmocka_unit_test(test_streams_of_small_tokenizers),
        cmocka_unit_test(test_byte_runs),
        cmocka_unit_test(test_streams_of_real_tokenizers),
        cmocka_unit_test(test_inert_code_points_are_inert),
        cmocka_unit_test(test_normal_forms_equal_utf8proc),
        cmocka_unit_test(test_broken_text_is_repaired_like_python),
        cmocka_unit_test(test_refusals_name_the_component),
        cmocka_unit_test(test_deep_documents),
        cmocka_unit_test(test_damaged_documents),
        cmocka_unit_test(test_ids_outside_the_vocabulary),
        cmocka_unit_test(test_long_words_take_no_square_time),
        cmocka_unit_test(test_many_marks_take_no_square_time),
        cmocka_unit_test(test_runaway_patterns_are_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
