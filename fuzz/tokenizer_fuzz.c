/* Two things in one input: the first byte says which.
 *   0: the rest is a tokenizer.json; what loads must encode and decode.
 *   else: the rest is text for one of three small tokenizers; decoding what was encoded, at once
 *   and as a stream, must give the same, and valid UTF-8. */
#include "base/memory.h"
#include "base/strbuf.h"
#include "base/utf8.h"
#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const documents[] = {
    "{\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":"
    "["
    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(?i:'s|'t)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}"
    "+|"
    "\\\\p{N}| "
    "?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+\"},"
    "\"behavior\":\"Isolated\"},{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":"
    "false}]},\"decoder\":{\"type\":\"ByteLevel\"},\"added_tokens\":[{\"id\":9,\"content\":\"<s>\","
    "\"special\":true,\"rstrip\":true}],\"model\":{\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,"
    "\"\xC4\xA0\":3,"
    "\"\xC3\xA4\":4,\"\xC2\xBD\":5,\"\xC5\x82\":6},\"merges\":[\"a b\"]}}",
    "{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":"
    "\"\xE2\x96\x81\"},{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":"
    "\"\xE2\x96\x81\"}]},\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\","
    "\"pattern\":{\"String\":\"\xE2\x96\x81\"},\"content\":\" \"},{\"type\":\"ByteFallback\"},"
    "{\"type\":\"Fuse\"},{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}]},"
    "\"added_tokens\":[{\"id\":9,\"content\":\"<s>\",\"lstrip\":true},{\"id\":10,\"content\":\"<"
    "s\","
    "\"single_word\":true}],\"model\":{\"unk_token\":\"u\",\"fuse_unk\":true,\"byte_fallback\":"
    "true,"
    "\"vocab\":{\"u\":0,\"\xE2\x96\x81\":1,\"a\":2,\"\xE2\x96\x81"
    "a\":3,\"<0xE4>\":4,\"<0xBD>\":5,\"<0xA0>\":6},\"merges\":[\"\xE2\x96\x81 a\"]}}",
    "{\"normalizer\":{\"type\":\"NFKD\"},\"pre_tokenizer\":{\"type\":\"Sequence\","
    "\"pretokenizers\":["
    "{\"type\":\"Metaspace\",\"prepend_scheme\":\"first\"},{\"type\":\"Punctuation\",\"behavior\":"
    "\"MergedWithNext\"},{\"type\":\"Digits\"}]},\"decoder\":{\"type\":\"Metaspace\"},\"model\":{"
    "\"vocab\":{\"a\":0,\"\xE2\x96\x81\":1,\"1\":2,\"11\":3,\",\":4},\"merges\":[\"1 1\"]}}",
};

static struct tokenizer *create(const char *document, size_t length)
{
    struct vocab_source source = {.name = "fuzz",
                                  .tokenizer_json = {document, length},
                                  .bos_id = VOCAB_NO_ID,
                                  .eos_id = VOCAB_NO_ID,
                                  .unk_id = VOCAB_NO_ID,
                                  .pad_id = VOCAB_NO_ID};
    struct tokenizer *tk = NULL;
    struct error err = {0};
    return tokenizer_create(&source, &tk, &err) ? NULL : tk;
}

static void check(const struct tokenizer *tk, const char *text, size_t length)
{
    struct token_list ids = {0};
    struct strbuf whole = {0}, streamed = {0};
    struct error err = {0};
    struct detokenizer d;
    detokenizer_init(&d, tk, 0);
    if (tokenizer_encode(tk, text, length, TOKENIZER_ADD_SPECIAL, &ids, &err) ||
        tokenizer_decode(tk, ids.ids, ids.count, 0, &whole, &err))
        goto done;
    for (size_t i = 0; i < ids.count; i++) {
        size_t before = streamed.length;
        if (detokenizer_push(&d, ids.ids[i], &streamed, &err) ||
            !utf8_valid(strbuf_text(&streamed) + before, streamed.length - before))
            abort();
    }
    if (detokenizer_finish(&d, &streamed, &err) || streamed.length != whole.length ||
        memcmp(strbuf_text(&streamed), strbuf_text(&whole), whole.length) != 0)
        abort();
done:
    detokenizer_free(&d);
    token_list_free(&ids);
    strbuf_free(&whole);
    strbuf_free(&streamed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tokenizer *small[3];
    if (!size)
        return 0;
    const char *rest = (const char *)data + 1;
    if (data[0] == 0) {
        struct tokenizer *tk = create(rest, size - 1);
        if (tk)
            check(tk, "ab <s> \xE4\xBD\xA0 1,1's\n\xFF", 17);
        tokenizer_free(tk);
        return 0;
    }
    size_t k = data[0] % 3u;
    if (!small[k])
        small[k] = create(documents[k], strlen(documents[k]));
    if (!small[k])
        abort();
    check(small[k], rest, size - 1);
    return 0;
}
