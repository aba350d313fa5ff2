#include "train/vocabulary.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "text/byte_level.h"
#include "text/pattern.h"
#include "train/bpe_trainer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MIN_PAIR_COUNT = 2, MAX_PIECE_BYTES = 32, N_BYTES = 256, MIN_CHARACTER_COUNT = 2 };

/* Qwen2's pre-tokenizer. */
static const char split_regex[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|"
    " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
/* Runs of letters, single ideographs, runs of the rest. */
static const char inner_regex[] = "\\p{Han}|(?:(?!\\p{Han})\\p{L})+|\\P{L}+";

struct special {
    const char *content;
    bool special, rstrip;
};
static const struct special qwen2_tail[] = {{"<|endoftext|>", true, false},
                                            {"<|im_start|>", true, false},
                                            {"<|im_end|>", true, false},
                                            {"<|object_ref_start|>", true, false},
                                            {"<|object_ref_end|>", true, false},
                                            {"<|box_start|>", true, false},
                                            {"<|box_end|>", true, false},
                                            {"<|quad_start|>", true, false},
                                            {"<|quad_end|>", true, false},
                                            {"<|vision_start|>", true, false},
                                            {"<|vision_end|>", true, false},
                                            {"<|vision_pad|>", true, false},
                                            {"<|image_pad|>", true, false},
                                            {"<|video_pad|>", true, false},
                                            {"<tool_call>", false, false},
                                            {"</tool_call>", false, false},
                                            {"<|fim_prefix|>", false, false},
                                            {"<|fim_middle|>", false, false},
                                            {"<|fim_suffix|>", false, false},
                                            {"<|fim_pad|>", false, false},
                                            {"<|repo_name|>", false, false},
                                            {"<|file_sep|>", false, false},
                                            {0}};
static const struct special phi3_head[] = {
    {"<unk>", true, false}, {"<s>", true, false}, {"</s>", false, true}, {0}};
static const struct special phi3_tail[] = {
    {"<|endoftext|>", true, false},   {"<|assistant|>", true, true},
    {"<|placeholder1|>", true, true}, {"<|placeholder2|>", true, true},
    {"<|placeholder3|>", true, true}, {"<|placeholder4|>", true, true},
    {"<|system|>", true, true},       {"<|end|>", true, true},
    {"<|placeholder5|>", true, true}, {"<|placeholder6|>", true, true},
    {"<|user|>", true, true},         {0}};

/* A word as text, and how often it occurs. */
struct word {
    size_t at, length; /* in `letters` */
    uint64_t count;
};

struct vocabulary {
    enum family family;
    struct pattern *pattern, *inner; /* inner: cuts words further, where they are separated */
    struct matcher matcher, inner_matcher;
    struct strbuf letters;
    struct word *words;
    size_t n_words, words_capacity;
    uint32_t *slots; /* open addressing: number of a word + 1 */
    size_t n_slots;
    uint64_t bytes;
    char **pieces; /* [n_pieces] without special tokens, in the order of ids */
    size_t n_pieces;
    struct bpe_merge *merges; /* of numbers of pieces */
    size_t n_merges;
};

static size_t count_special(const struct special *list)
{
    size_t n = 0;
    while (list[n].content)
        n++;
    return n;
}

static bool is_phi(const struct vocabulary *v)
{
    return v->family == FAMILY_PHI3;
}

/* Ids before the first piece: Phi-3 has three tokens and the bytes there. */
static size_t first_piece(const struct vocabulary *v)
{
    return is_phi(v) ? count_special(phi3_head) + N_BYTES : 0;
}

static const struct special *tail_tokens(const struct vocabulary *v)
{
    return is_phi(v) ? phi3_tail : qwen2_tail;
}

enum status vocabulary_create(enum family family, struct vocabulary **out, struct error *err)
{
    struct vocabulary *v = mem_alloc(sizeof *v);
    *out = NULL;
    if (!v)
        return error_memory(err, "a vocabulary");
    v->family = family;
    enum status status = pattern_create_regex(split_regex, strlen(split_regex), &v->pattern, err);
    if (status)
        vocabulary_free(v);
    else
        *out = v;
    return status;
}

enum status vocabulary_separate_words(struct vocabulary *v, struct error *err)
{
    return pattern_create_regex(inner_regex, strlen(inner_regex), &v->inner, err);
}

void vocabulary_free(struct vocabulary *v)
{
    if (!v)
        return;
    for (size_t i = 0; i < v->n_pieces; i++)
        mem_free(v->pieces[i]);
    mem_free(v->pieces);
    mem_free(v->merges);
    mem_free(v->words);
    mem_free(v->slots);
    strbuf_free(&v->letters);
    matcher_free(&v->matcher);
    matcher_free(&v->inner_matcher);
    pattern_free(v->pattern);
    pattern_free(v->inner);
    mem_free(v);
}

/* --- Counting words --- */

static uint64_t hash_bytes(const char *data, size_t length)
{
    uint64_t hash = 0xCBF29CE484222325u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (uint8_t)data[i]) * 0x100000001B3u;
    return hash;
}

static size_t word_slot(const struct vocabulary *v, const char *text, size_t length)
{
    size_t mask = v->n_slots - 1, slot = (size_t)hash_bytes(text, length) & mask;
    for (; v->slots[slot]; slot = (slot + 1) & mask) {
        const struct word *w = &v->words[v->slots[slot] - 1];
        if (w->length == length && !memcmp(v->letters.data + w->at, text, length))
            break;
    }
    return slot;
}

static bool grow_word_slots(struct vocabulary *v)
{
    if (v->n_slots > 2 * v->n_words)
        return true;
    size_t n = v->n_slots ? 2 * v->n_slots : 1 << 14;
    uint32_t *slots = mem_array(n, sizeof *slots);
    if (!slots)
        return false;
    mem_free(v->slots);
    v->slots = slots;
    v->n_slots = n;
    for (size_t i = 0; i < v->n_words; i++) {
        const struct word *w = &v->words[i];
        v->slots[word_slot(v, v->letters.data + w->at, w->length)] = (uint32_t)i + 1;
    }
    return true;
}

static enum status add_word(struct vocabulary *v, const char *text, size_t length,
                            struct error *err)
{
    if (!grow_word_slots(v) ||
        !mem_grow(&v->words, &v->words_capacity, v->n_words, sizeof *v->words))
        return error_memory(err, "counting words");
    size_t slot = word_slot(v, text, length);
    if (!v->slots[slot]) {
        v->words[v->n_words++] = (struct word){v->letters.length, length, 0};
        v->slots[slot] = (uint32_t)v->n_words;
        strbuf_append(&v->letters, text, length);
    }
    v->words[v->slots[slot] - 1].count++;
    return v->letters.failed ? error_memory(err, "counting words") : STATUS_OK;
}

typedef enum status piece_user(struct vocabulary *v, const char *text, size_t length,
                               struct error *err);

/* Gives every match to `use`. */
static enum status each_match(struct vocabulary *v, struct matcher *matcher,
                              const struct pattern *pattern, const char *text, size_t length,
                              piece_user *use, struct error *err)
{
    size_t start, end;
    bool found;
    enum status status = matcher_start(matcher, pattern, text, length, err);
    while (!status) {
        status = matcher_next(matcher, &found, &start, &end, err);
        if (status || !found)
            break;
        status = use(v, text + start, end - start, err);
    }
    return status;
}

static enum status add_piece(struct vocabulary *v, const char *text, size_t length,
                             struct error *err)
{
    return v->inner ? each_match(v, &v->inner_matcher, v->inner, text, length, add_word, err)
                    : add_word(v, text, length, err);
}

/* Words of text; for Phi-3 it begins with the blank that its normalizer puts there. */
static enum status add_pieces(struct vocabulary *v, const char *text, size_t length,
                              struct error *err)
{
    return each_match(v, &v->matcher, v->pattern, text, length, add_piece, err);
}

enum status vocabulary_add_text(struct vocabulary *v, const char *text, size_t length,
                                struct error *err)
{
    if (!utf8_valid(text, length))
        return error_set(err, STATUS_FORMAT, "the text is not valid UTF-8");
    v->bytes += length;
    if (!is_phi(v))
        return add_pieces(v, text, length, err);
    struct strbuf spaced = {0};
    strbuf_add_char(&spaced, ' ');
    strbuf_append(&spaced, text, length);
    enum status status = spaced.failed ? error_memory(err, "counting words")
                                       : add_pieces(v, spaced.data, spaced.length, err);
    strbuf_free(&spaced);
    return status;
}

static enum status add_string(struct vocabulary *v, const json_t *value, struct error *err)
{
    return json_is_string(value)
               ? vocabulary_add_text(v, json_string_value(value), json_string_length(value), err)
               : STATUS_OK;
}

static enum status add_json(struct vocabulary *v, const json_t *line, struct error *err)
{
    const json_t *messages = json_object_get(line, "messages");
    enum status status = add_string(v, json_object_get(line, "text"), err);
    for (size_t i = 0; i < json_array_size(messages) && !status; i++)
        status = add_string(v, json_object_get(json_array_get(messages, i), "content"), err);
    return status;
}

static enum status add_json_lines(struct vocabulary *v, struct json_lines *lines, struct error *err)
{
    struct error local = {0};
    enum status status = STATUS_OK;
    json_t *line;
    while (!status && (line = json_lines_next(lines, &local))) {
        status = add_json(v, line, err);
        json_decref(line);
    }
    if (status)
        return error_prefix(err, "%s, line %zu", lines->name, lines->line_number);
    return local.status ? error_set(err, local.status, "%s", local.message) : STATUS_OK;
}

static enum status add_text_lines(struct vocabulary *v, struct json_lines *lines, struct error *err)
{
    ssize_t n;
    enum status status = STATUS_OK;
    while (!status && (n = getline(&lines->line, &lines->capacity, lines->stream)) >= 0) {
        lines->line_number++;
        status = vocabulary_add_text(v, lines->line, (size_t)n, err);
    }
    return status ? error_prefix(err, "%s, line %zu", lines->name, lines->line_number) : STATUS_OK;
}

enum status vocabulary_add_file(struct vocabulary *v, const char *path, struct error *err)
{
    size_t length = strlen(path);
    bool json = length > 6 && !strcmp(path + length - 6, ".jsonl");
    FILE *stream = fopen(path, "re");
    if (!stream)
        return error_errno(err, "cannot open %s", path);
    struct json_lines lines = {.stream = stream, .name = path};
    enum status status = json ? add_json_lines(v, &lines, err) : add_text_lines(v, &lines, err);
    json_lines_free(&lines);
    fclose(stream);
    return status;
}

/* --- From words to symbols --- */

struct character {
    uint32_t codepoint;
    uint64_t count;
};

static int by_count(const void *a, const void *b)
{
    const struct character *x = a, *y = b;
    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    return (x->codepoint > y->codepoint) - (x->codepoint < y->codepoint);
}

enum { MAX_CODEPOINT = 0x110000, UNDERLINE = 0x2581 };

static uint32_t next_codepoint(const char **p, const char *end)
{
    uint32_t c = 0;
    *p += utf8_decode(*p, (size_t)(end - *p), &c);
    return c == ' ' ? UNDERLINE : c;
}

/* Phi-3: the characters that become pieces, most frequent first; *symbol_of[codepoint] is the
 * piece's number + 1. At most `limit`; the rest is left to the byte tokens. */
static enum status choose_characters(struct vocabulary *v, size_t limit, uint32_t *symbol_of,
                                     struct error *err)
{
    struct character *all = mem_array(MAX_CODEPOINT, sizeof *all);
    if (!all)
        return error_memory(err, "counting characters");
    for (size_t i = 0; i < MAX_CODEPOINT; i++)
        all[i].codepoint = (uint32_t)i;
    for (size_t i = 0; i < v->n_words; i++) {
        const char *p = v->letters.data + v->words[i].at, *end = p + v->words[i].length;
        while (p < end)
            all[next_codepoint(&p, end)].count += v->words[i].count;
    }
    qsort(all, MAX_CODEPOINT, sizeof *all, by_count);
    enum status status = STATUS_OK;
    while (!status && v->n_pieces < limit && all[v->n_pieces].count >= MIN_CHARACTER_COUNT) {
        char text[5] = {0};
        utf8_encode(all[v->n_pieces].codepoint, text);
        symbol_of[all[v->n_pieces].codepoint] = (uint32_t)v->n_pieces + 1;
        if (!(v->pieces[v->n_pieces++] = mem_copy_string(text)))
            status = error_memory(err, "characters");
    }
    mem_free(all);
    return status;
}

/* Qwen2: all bytes, in the order of the characters that stand for them. */
static enum status choose_bytes(struct vocabulary *v, uint32_t *symbol_of, struct error *err)
{
    for (uint32_t letter = 0; letter < 0x400; letter++)
        for (uint32_t byte = 0; byte < N_BYTES; byte++) {
            char text[5] = {0};
            if (byte_level_codepoint((uint8_t)byte) != letter)
                continue;
            utf8_encode(letter, text);
            symbol_of[byte] = (uint32_t)v->n_pieces + 1;
            if (!(v->pieces[v->n_pieces++] = mem_copy_string(text)))
                return error_memory(err, "bytes");
        }
    return STATUS_OK;
}

static size_t spell_word(const struct vocabulary *v, const struct word *w,
                         const uint32_t *symbol_of, uint32_t *symbols)
{
    const char *p = v->letters.data + w->at, *end = p + w->length;
    size_t n = 0;
    while (p < end) {
        uint32_t c = is_phi(v) ? next_codepoint(&p, end) : (uint8_t)*p++;
        symbols[n++] = symbol_of[c] ? symbol_of[c] - 1 : BPE_BARRIER;
    }
    return n;
}

static enum status train_merges(struct vocabulary *v, const uint32_t *symbol_of, size_t max_merges,
                                struct error *err)
{
    struct bpe_word *words = mem_array(v->n_words, sizeof *words);
    uint32_t *symbols = mem_array(v->letters.length + 1, sizeof *symbols);
    uint32_t *bytes = mem_array(v->n_pieces + max_merges, sizeof *bytes);
    v->merges = mem_array(max_merges, sizeof *v->merges);
    enum status status =
        words && symbols && bytes && v->merges ? STATUS_OK : error_memory(err, "words");
    for (size_t i = 0, at = 0; i < v->n_words && !status; at += words[i++].length)
        words[i] = (struct bpe_word){
            symbols + at, spell_word(v, &v->words[i], symbol_of, symbols + at), v->words[i].count};
    for (size_t i = 0; i < v->n_pieces && !status; i++)
        bytes[i] = is_phi(v) ? (uint32_t)strlen(v->pieces[i]) : 1;
    struct bpe_limits limits = {v->n_pieces, max_merges, MIN_PAIR_COUNT, MAX_PIECE_BYTES};
    if (!status)
        status = bpe_train(words, v->n_words, &limits, bytes, v->merges, &v->n_merges, err);
    mem_free(words);
    mem_free(symbols);
    mem_free(bytes);
    return status;
}

static enum status spell_merges(struct vocabulary *v, struct error *err)
{
    for (size_t i = 0; i < v->n_merges; i++) {
        struct strbuf text = {0};
        strbuf_add(&text, v->pieces[v->merges[i].left]);
        strbuf_add(&text, v->pieces[v->merges[i].right]);
        if (!(v->pieces[v->n_pieces++] = strbuf_take(&text)))
            return error_memory(err, "pieces");
    }
    return STATUS_OK;
}

enum status vocabulary_train(struct vocabulary *v, size_t size, struct error *err)
{
    size_t fixed = first_piece(v) + count_special(tail_tokens(v));
    size_t least = fixed + (is_phi(v) ? 2 : N_BYTES + 1);
    if (size < least)
        return error_set(err, STATUS_INVALID,
                         "a vocabulary of this kind has at least %zu entries; %zu are too few",
                         least, size);
    size_t room = size - fixed;
    uint32_t *symbol_of = mem_array(MAX_CODEPOINT, sizeof *symbol_of);
    v->pieces = mem_array(room, sizeof *v->pieces);
    enum status status = symbol_of && v->pieces ? STATUS_OK : error_memory(err, "a vocabulary");
    if (!status)
        status = is_phi(v) ? choose_characters(v, room * 3 / 5, symbol_of, err)
                           : choose_bytes(v, symbol_of, err);
    if (!status)
        status = train_merges(v, symbol_of, room - v->n_pieces, err);
    if (!status)
        status = spell_merges(v, err);
    mem_free(symbol_of);
    return status;
}

struct vocabulary_counts vocabulary_count(const struct vocabulary *v)
{
    size_t special = count_special(tail_tokens(v)) + (is_phi(v) ? count_special(phi3_head) : 0);
    return (struct vocabulary_counts){.size = first_piece(v) + v->n_pieces +
                                              count_special(tail_tokens(v)),
                                      .merges = v->n_merges,
                                      .special = special,
                                      .words = v->n_words,
                                      .bytes = v->bytes};
}

/* --- Writing --- */

static json_t *added_token(const struct special *s)
{
    return json_pack("{s:s, s:b, s:b, s:b, s:b, s:b}", "content", s->content, "single_word", 0,
                     "lstrip", 0, "rstrip", s->rstrip, "normalized", 0, "special", s->special);
}

/* Calls for both documents: a list with ids, or an object by id. */
static void add_tokens(json_t *list, json_t *by_id, const struct special *tokens, size_t first)
{
    for (size_t i = 0; tokens[i].content; i++) {
        char id[24];
        snprintf(id, sizeof id, "%zu", first + i);
        json_t *entry = json_pack("{s:I}", "id", (json_int_t)(first + i)), *rest;
        rest = added_token(&tokens[i]);
        json_object_update(entry, rest);
        json_array_append_new(list, entry);
        json_object_set_new(by_id, id, rest);
    }
}

static void list_added_tokens(const struct vocabulary *v, json_t *list, json_t *by_id)
{
    if (is_phi(v))
        add_tokens(list, by_id, phi3_head, 0);
    add_tokens(list, by_id, tail_tokens(v), first_piece(v) + v->n_pieces);
}

static json_t *vocabulary_json(const struct vocabulary *v)
{
    json_t *vocab = json_object();
    size_t id = 0;
    for (; is_phi(v) && phi3_head[id].content; id++)
        json_object_set_new(vocab, phi3_head[id].content, json_integer((json_int_t)id));
    for (size_t byte = 0; is_phi(v) && byte < N_BYTES; byte++, id++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", (unsigned)byte);
        json_object_set_new(vocab, name, json_integer((json_int_t)id));
    }
    for (size_t i = 0; i < v->n_pieces; i++, id++)
        json_object_set_new(vocab, v->pieces[i], json_integer((json_int_t)id));
    return vocab;
}

static json_t *merges_json(const struct vocabulary *v)
{
    json_t *merges = json_array();
    for (size_t i = 0; i < v->n_merges; i++) {
        struct strbuf text = {0};
        strbuf_printf(&text, "%s %s", v->pieces[v->merges[i].left], v->pieces[v->merges[i].right]);
        json_array_append_new(merges, json_string(strbuf_text(&text)));
        strbuf_free(&text);
    }
    return merges;
}

static json_t *byte_level_json(void)
{
    return json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", 0,
                     "trim_offsets", 0, "use_regex", 0);
}

/* normalizer, pre_tokenizer, post_processor, decoder */
static json_t *qwen2_pipeline(void)
{
    return json_pack("{s:{s:s}, s:{s:s, s:[{s:s, s:{s:s}, s:s, s:b}, o]}, s:o, s:o}", "normalizer",
                     "type", "NFC", "pre_tokenizer", "type", "Sequence", "pretokenizers", "type",
                     "Split", "pattern", "Regex", split_regex, "behavior", "Isolated", "invert", 0,
                     byte_level_json(), "post_processor", byte_level_json(), "decoder",
                     byte_level_json());
}

static json_t *phi3_pipeline(void)
{
    return json_pack("{s:{s:s, s:[{s:s, s:s}, {s:s, s:{s:s}, s:s}]}, s:n,"
                     " s:{s:s, s:[{s:{s:s, s:i}}], s:[{s:{s:s, s:i}}, {s:{s:s, s:i}}], s:{}},"
                     " s:{s:s, s:[{s:s, s:{s:s}, s:s}, {s:s}, {s:s}, {s:s, s:s, s:i, s:i}]}}",
                     "normalizer", "type", "Sequence", "normalizers", "type", "Prepend", "prepend",
                     "\u2581", "type", "Replace", "pattern", "String", " ", "content", "\u2581",
                     "pre_tokenizer", "post_processor", "type", "TemplateProcessing", "single",
                     "Sequence", "id", "A", "type_id", 0, "pair", "Sequence", "id", "A", "type_id",
                     0, "Sequence", "id", "B", "type_id", 1, "special_tokens", "decoder", "type",
                     "Sequence", "decoders", "type", "Replace", "pattern", "String", "\u2581",
                     "content", " ", "type", "ByteFallback", "type", "Fuse", "type", "Strip",
                     "content", " ", "start", 1, "stop", 0);
}

static json_t *model_json(const struct vocabulary *v)
{
    json_t *model =
        json_pack("{s:s, s:n, s:s?, s:s?, s:s?, s:b, s:b, s:b}", "type", "BPE", "dropout",
                  "unk_token", is_phi(v) ? "<unk>" : NULL, "continuing_subword_prefix",
                  is_phi(v) ? NULL : "", "end_of_word_suffix", is_phi(v) ? NULL : "", "fuse_unk",
                  is_phi(v), "byte_fallback", is_phi(v), "ignore_merges", 0);
    json_object_set_new(model, "vocab", vocabulary_json(v));
    json_object_set_new(model, "merges", merges_json(v));
    return model;
}

static json_t *tokenizer_json(const struct vocabulary *v, json_t *added)
{
    json_t *document = json_pack("{s:s, s:n, s:n, s:O}", "version", "1.0", "truncation", "padding",
                                 "added_tokens", added);
    json_t *pipeline = is_phi(v) ? phi3_pipeline() : qwen2_pipeline();
    json_object_update(document, pipeline);
    json_decref(pipeline);
    json_object_set_new(document, "model", model_json(v));
    return document;
}

static json_t *config_json(const struct vocabulary *v, json_t *by_id, const char *chat_template)
{
    bool phi = is_phi(v);
    json_t *config = json_pack(
        "{s:b, s:b, s:O, s:s?, s:b, s:s, s:I, s:s, s:s, s:s?}", "add_bos_token", 0,
        "add_prefix_space", 0, "added_tokens_decoder", by_id, "bos_token", phi ? "<s>" : NULL,
        "clean_up_tokenization_spaces", 0, "eos_token", phi ? "<|endoftext|>" : "<|im_end|>",
        "model_max_length", (json_int_t)32768, "pad_token", "<|endoftext|>", "tokenizer_class",
        phi ? "LlamaTokenizer" : "Qwen2Tokenizer", "unk_token", phi ? "<unk>" : NULL);
    if (phi) {
        json_object_del(config, "add_prefix_space");
        json_object_set_new(config, "add_eos_token", json_false());
        json_object_set_new(config, "legacy", json_false());
    }
    if (chat_template)
        json_object_set_new(config, "chat_template", json_string(chat_template));
    return config;
}

static json_t *generation_json(const struct vocabulary *v)
{
    size_t tail = first_piece(v) + v->n_pieces;
    json_t *eos = json_array(), *config;
    for (size_t i = 0; tail_tokens(v)[i].content; i++) {
        const char *name = tail_tokens(v)[i].content;
        bool ends =
            !strcmp(name, "<|endoftext|>") || !strcmp(name, is_phi(v) ? "<|end|>" : "<|im_end|>");
        if (ends)
            json_array_append_new(eos, json_integer((json_int_t)(tail + i)));
    }
    config = json_pack("{s:I, s:o, s:I, s:b}", "bos_token_id", (json_int_t)(is_phi(v) ? 1 : tail),
                       "eos_token_id", eos, "pad_token_id", (json_int_t)tail, "do_sample", 0);
    return config;
}

static enum status write_document(const char *folder, const char *name, json_t *value,
                                  struct error *err)
{
    struct strbuf text = {0};
    char *path = file_join(folder, name);
    json_write(&text, value, true);
    strbuf_add_char(&text, '\n');
    enum status status = value && path && !text.failed
                             ? file_write_atomic(path, text.data, text.length, err)
                             : error_memory(err, name);
    mem_free(path);
    strbuf_free(&text);
    json_decref(value);
    return status;
}

enum status vocabulary_write(const struct vocabulary *v, const char *chat_template,
                             const char *folder, struct error *err)
{
    json_t *added = json_array(), *by_id = json_object();
    list_added_tokens(v, added, by_id);
    enum status status = file_make_directory(folder, err);
    if (!status)
        status = write_document(folder, "tokenizer.json", tokenizer_json(v, added), err);
    if (!status)
        status = write_document(folder, "tokenizer_config.json",
                                config_json(v, by_id, chat_template), err);
    if (!status)
        status = write_document(folder, "generation_config.json", generation_json(v), err);
    json_decref(added);
    json_decref(by_id);
    return status;
}
