#include "text/decoder.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "text/byte_level.h"
#include "text/replace.h"
#include "text/unicode.h"

#include <string.h>

enum { DEPTH_LIMIT = 8 };

enum step_kind {
    STEP_BYTE_LEVEL,
    STEP_BYTE_FALLBACK,
    STEP_FUSE,
    STEP_STRIP,
    STEP_REPLACE,
    STEP_METASPACE,
};

struct decoder_step {
    enum step_kind kind;
    struct replacement replacement;
    char character[5];  /* Strip's content, Metaspace's replacement */
    size_t start, stop; /* Strip: how many characters at most */
    bool drops_first;   /* Metaspace: no spaces from the first token */
};

/* --- reading --- */

static enum status read_character(const char *text, const char *what, char character[5],
                                  struct error *err)
{
    size_t length = text ? strlen(text) : 0;
    if (length == 0 || length > 4 || utf8_count(text, length) != 1)
        return error_set(err, STATUS_FORMAT, "%s should be one character", what);
    memcpy(character, text, length + 1);
    return STATUS_OK;
}

static enum status read_strip(const json_t *json, struct decoder_step *step, struct error *err)
{
    struct error wrong = {0};
    int64_t start = json_get_int(json, "start", 0, &wrong);
    int64_t stop = json_get_int(json, "stop", 0, &wrong);
    const char *content = json_get_string(json, "content", NULL, &wrong);
    if (wrong.status)
        return error_set(err, wrong.status, "%s", wrong.message);
    if (start < 0 || stop < 0 || start > 1 << 20 || stop > 1 << 20)
        return error_set(err, STATUS_FORMAT, "Strip's start and stop should be small counts");
    step->start = (size_t)start;
    step->stop = (size_t)stop;
    return read_character(content, "Strip's content", step->character, err);
}

static enum status read_metaspace(const json_t *json, struct decoder_step *step, struct error *err)
{
    struct error wrong = {0};
    bool legacy = json_get_bool(json, "add_prefix_space", true, &wrong);
    const char *scheme =
        json_get_string(json, "prepend_scheme", legacy ? "always" : "never", &wrong);
    const char *mark = json_get_string(json, "replacement", "\xE2\x96\x81", &wrong);
    if (wrong.status)
        return error_set(err, wrong.status, "%s", wrong.message);
    step->drops_first = strcmp(scheme, "never") != 0;
    return read_character(mark, "Metaspace's replacement", step->character, err);
}

static enum status add_step(struct decoder *decoder, const json_t *json, const char *type,
                            struct error *err)
{
    static const char *const names[] = {"ByteLevel", "ByteFallback", "Fuse",
                                        "Strip",     "Replace",      "Metaspace"};
    size_t kind = 0, n = sizeof names / sizeof *names;
    while (kind < n && strcmp(names[kind], type) != 0)
        kind++;
    if (kind == n)
        return error_set(err, STATUS_UNSUPPORTED, "decoder \"%s\" is not supported", type);
    if (decoder->count >= DECODER_STEP_LIMIT)
        return error_set(err, STATUS_LIMIT, "more than %d decoders", DECODER_STEP_LIMIT);
    if (!mem_grow(&decoder->steps, &decoder->capacity, decoder->count, sizeof *decoder->steps))
        return error_memory(err, "a decoder");
    struct decoder_step *step = &decoder->steps[decoder->count++];
    *step = (struct decoder_step){.kind = (enum step_kind)kind};
    if (step->kind == STEP_STRIP)
        return read_strip(json, step, err);
    if (step->kind == STEP_METASPACE)
        return read_metaspace(json, step, err);
    return step->kind == STEP_REPLACE ? replacement_from_json(json, &step->replacement, err)
                                      : STATUS_OK;
}

static enum status add_steps(struct decoder *decoder, const json_t *json, size_t depth,
                             struct error *err)
{
    const char *type = json_string_value(json_object_get(json, "type"));
    if (!type)
        return error_set(err, STATUS_FORMAT, "a decoder has no \"type\"");
    if (strcmp(type, "Sequence") != 0)
        return add_step(decoder, json, type, err);
    if (depth >= DEPTH_LIMIT)
        return error_set(err, STATUS_LIMIT, "decoders are nested more than %d deep", DEPTH_LIMIT);
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(json, "decoders"), i, item)
    {
        enum status status = add_steps(decoder, item, depth + 1, err);
        if (status)
            return status;
    }
    return STATUS_OK;
}

enum status decoder_from_json(const json_t *json, struct decoder *decoder, struct error *err)
{
    *decoder = (struct decoder){.spaced = !json || json_is_null(json)};
    return decoder->spaced ? STATUS_OK : add_steps(decoder, json, 0, err);
}

void decoder_free(struct decoder *decoder)
{
    for (size_t i = 0; i < decoder->count; i++)
        replacement_free(&decoder->steps[i].replacement);
    mem_free(decoder->steps);
    *decoder = (struct decoder){0};
}

/* --- the chain --- */

/* One run of the chain: what every step needs to hand on. */
struct run {
    const struct decoder *decoder;
    struct decoder_state *state;
    struct strbuf *out;
    struct error *err;
};

/* A piece of a token. */
struct piece {
    const char *text;
    size_t length;
    bool first, last;
};

static enum status emit(struct run *run, size_t at, struct piece piece);

static enum status pass_whole(struct run *run, size_t at, const char *text, size_t length)
{
    return emit(run, at + 1, (struct piece){text, length, true, true});
}

/* Hands on one more piece of the single token that this step makes of all it gets. */
static enum status pass_part(struct run *run, size_t at, const char *text, size_t length, bool last)
{
    struct decoder_step_state *state = &run->state->steps[at];
    bool first = !state->open;
    if (!length && !last)
        return STATUS_OK;
    state->open = !last;
    return emit(run, at + 1, (struct piece){text, length, first, last});
}

/* The byte that "<0x41>" stands for, or -1. */
static int fallback_byte(const char *token, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    if (length != 6 || memcmp(token, "<0x", 3) != 0 || token[5] != '>')
        return -1;
    const char *high = memchr(digits, token[3] | (token[3] > '9' ? 0x20 : 0), 16);
    const char *low = memchr(digits, token[4] | (token[4] > '9' ? 0x20 : 0), 16);
    return high && low ? (int)((high - digits) << 4 | (low - digits)) : -1;
}

/* A run of byte tokens: text if it is valid as a whole, else one U+FFFD for each byte. */
static enum status flush_bytes(struct run *run, size_t at)
{
    struct strbuf *held = &run->state->steps[at].held;
    if (!held->length)
        return STATUS_OK;
    enum status status = STATUS_OK;
    if (utf8_valid(held->data, held->length))
        status = pass_whole(run, at, held->data, held->length);
    else
        for (size_t i = 0; !status && i < held->length; i++)
            status = pass_whole(run, at, "\xEF\xBF\xBD", 3);
    strbuf_truncate(held, 0);
    return status;
}

static enum status push_byte_fallback(struct run *run, size_t at, struct piece piece)
{
    int byte = fallback_byte(piece.text, piece.length);
    if (byte >= 0) {
        strbuf_add_char(&run->state->steps[at].held, (char)byte);
        return STATUS_OK;
    }
    enum status status = flush_bytes(run, at);
    return status ? status : emit(run, at + 1, piece);
}

/* Bytes of all tokens make one text; an unfinished character at its end waits for the next. */
static enum status push_byte_level(struct run *run, size_t at, struct piece piece)
{
    struct strbuf *held = &run->state->steps[at].held, repaired = {0};
    byte_level_append_bytes(held, piece.text, piece.length);
    size_t complete = utf8_complete_prefix(strbuf_text(held), held->length);
    unicode_append_repaired(&repaired, strbuf_text(held), complete);
    if (complete) {
        memmove(held->data, held->data + complete, held->length - complete);
        strbuf_truncate(held, held->length - complete);
    }
    enum status status = held->failed || repaired.failed
                             ? error_memory(run->err, "decoding")
                             : pass_part(run, at, strbuf_text(&repaired), repaired.length, false);
    strbuf_free(&repaired);
    return status;
}

static enum status finish_byte_level(struct run *run, size_t at)
{
    struct strbuf *held = &run->state->steps[at].held, repaired = {0};
    unicode_append_repaired(&repaired, strbuf_text(held), held->length);
    strbuf_truncate(held, 0);
    enum status status = repaired.failed
                             ? error_memory(run->err, "decoding")
                             : pass_part(run, at, strbuf_text(&repaired), repaired.length, true);
    strbuf_free(&repaired);
    return status;
}

static bool begins_with(struct piece piece, const char *character, size_t n)
{
    return piece.length >= n && !memcmp(piece.text, character, n);
}

/* Up to `stop` of the characters at a token's end may have to go: they wait in `held`, where all
 * of them are the same, until something else or the token's end comes. */
static enum status push_strip(struct run *run, size_t at, struct piece piece)
{
    const struct decoder_step *step = &run->decoder->steps[at];
    struct decoder_step_state *state = &run->state->steps[at];
    size_t n = strlen(step->character), tail = 0;
    if (piece.first)
        state->counted = 0;
    while (state->counted < step->start && begins_with(piece, step->character, n)) {
        piece.text += n;
        piece.length -= n;
        state->counted++;
    }
    if (piece.length)
        state->counted = step->start; /* the beginning is over */
    while (step->stop && piece.length - tail >= n &&
           !memcmp(piece.text + piece.length - tail - n, step->character, n))
        tail += n;
    struct strbuf *held = &state->held;
    enum status status = STATUS_OK;
    if (tail < piece.length && held->length) {
        status = pass_part(run, at, held->data, held->length, false);
        strbuf_truncate(held, 0);
    }
    if (!status)
        status = pass_part(run, at, piece.text, piece.length - tail, false);
    strbuf_append(held, piece.text + piece.length - tail, tail);
    if (held->failed)
        return error_memory(run->err, "decoding");
    if (status || !piece.last)
        return status;
    size_t kept = held->length > step->stop * n ? held->length - step->stop * n : 0;
    status = pass_part(run, at, strbuf_text(held), kept, true);
    strbuf_truncate(held, 0);
    return status;
}

static enum status push_replace(struct run *run, size_t at, struct piece piece)
{
    struct strbuf replaced = {0};
    enum status status = replacement_apply(&run->decoder->steps[at].replacement, piece.text,
                                           piece.length, &replaced, run->err);
    if (!status)
        status = pass_whole(run, at, strbuf_text(&replaced), replaced.length);
    strbuf_free(&replaced);
    return status;
}

static enum status push_metaspace(struct run *run, size_t at, struct piece piece)
{
    const struct decoder_step *step = &run->decoder->steps[at];
    struct decoder_step_state *state = &run->state->steps[at];
    struct strbuf text = {0};
    size_t n = strlen(step->character);
    bool dropping = step->drops_first && state->counted == 0;
    for (size_t i = 0; i < piece.length;) {
        if (piece.length - i < n || memcmp(piece.text + i, step->character, n) != 0) {
            strbuf_add_char(&text, piece.text[i++]);
            continue;
        }
        i += n;
        if (!dropping)
            strbuf_add_char(&text, ' ');
    }
    state->counted += piece.last;
    piece.text = strbuf_text(&text);
    piece.length = text.length;
    enum status status =
        text.failed ? error_memory(run->err, "decoding") : emit(run, at + 1, piece);
    strbuf_free(&text);
    return status;
}

static enum status push_step(struct run *run, size_t at, struct piece piece)
{
    switch (run->decoder->steps[at].kind) {
    case STEP_BYTE_LEVEL:
        return push_byte_level(run, at, piece);
    case STEP_BYTE_FALLBACK:
        return push_byte_fallback(run, at, piece);
    case STEP_FUSE:
        return pass_part(run, at, piece.text, piece.length, false);
    case STEP_STRIP:
        return push_strip(run, at, piece);
    case STEP_REPLACE:
        return push_replace(run, at, piece);
    case STEP_METASPACE:
        return push_metaspace(run, at, piece);
    }
    return STATUS_OK;
}

static bool needs_whole_tokens(const struct decoder_step *step)
{
    return step->kind == STEP_BYTE_LEVEL || step->kind == STEP_BYTE_FALLBACK ||
           step->kind == STEP_REPLACE;
}

/* A step that looks at whole tokens gets one that comes in pieces (behind Fuse, that is the
 * whole text) when it is complete. */
static enum status collect(struct run *run, size_t at, struct piece piece)
{
    struct strbuf whole = {0}, *collected = &run->state->collected[at];
    strbuf_append(collected, piece.text, piece.length);
    if (collected->failed)
        return error_memory(run->err, "decoding");
    if (!piece.last)
        return STATUS_OK;
    whole = *collected;
    *collected = (struct strbuf){0};
    enum status status =
        push_step(run, at, (struct piece){strbuf_text(&whole), whole.length, true, true});
    strbuf_free(&whole);
    return status;
}

static enum status emit(struct run *run, size_t at, struct piece piece)
{
    const struct decoder *decoder = run->decoder;
    if (at < decoder->count) {
        if (needs_whole_tokens(&decoder->steps[at]) && !(piece.first && piece.last))
            return collect(run, at, piece);
        return push_step(run, at, piece);
    }
    if (decoder->spaced && piece.first && run->state->tokens++)
        strbuf_add_char(run->out, ' ');
    strbuf_append(run->out, piece.text, piece.length);
    return STATUS_OK;
}

enum status decoder_push(const struct decoder *decoder, struct decoder_state *state,
                         const char *token, size_t length, struct strbuf *out, struct error *err)
{
    struct run run = {decoder, state, out, err};
    enum status status = emit(&run, 0, (struct piece){token, length, true, true});
    return !status && out->failed ? error_memory(err, "decoding") : status;
}

static enum status finish_step(struct run *run, size_t at)
{
    switch (run->decoder->steps[at].kind) {
    case STEP_BYTE_LEVEL:
        return finish_byte_level(run, at);
    case STEP_BYTE_FALLBACK:
        return flush_bytes(run, at);
    case STEP_FUSE:
        return pass_part(run, at, "", 0, true);
    default:
        return STATUS_OK;
    }
}

enum status decoder_finish(const struct decoder *decoder, struct decoder_state *state,
                           struct strbuf *out, struct error *err)
{
    struct run run = {decoder, state, out, err};
    enum status status = STATUS_OK;
    for (size_t at = 0; !status && at < decoder->count; at++)
        status = finish_step(&run, at);
    decoder_state_free(state);
    return !status && out->failed ? error_memory(err, "decoding") : status;
}

void decoder_state_free(struct decoder_state *state)
{
    for (size_t i = 0; i < DECODER_STEP_LIMIT; i++) {
        strbuf_free(&state->steps[i].held);
        strbuf_free(&state->collected[i]);
    }
    *state = (struct decoder_state){0};
}

/* --- one token by itself --- */

static enum status token_step(const struct decoder_step *step, struct strbuf *text,
                              struct error *err)
{
    struct strbuf result = {0};
    enum status status = STATUS_OK;
    int byte = fallback_byte(strbuf_text(text), text->length);
    if (step->kind == STEP_BYTE_LEVEL) {
        byte_level_append_bytes(&result, strbuf_text(text), text->length);
    } else if (step->kind == STEP_BYTE_FALLBACK && byte >= 0) {
        strbuf_add_char(&result, (char)byte);
    } else if (step->kind == STEP_REPLACE) {
        status =
            replacement_apply(&step->replacement, strbuf_text(text), text->length, &result, err);
    } else if (step->kind == STEP_METASPACE) {
        struct replacement spaces = {.content = " ", .content_length = 1};
        status =
            pattern_create_literal(step->character, strlen(step->character), &spaces.pattern, err);
        if (!status)
            status = replacement_apply(&spaces, strbuf_text(text), text->length, &result, err);
        pattern_free(spaces.pattern);
    } else {
        return STATUS_OK;
    }
    strbuf_free(text);
    *text = result;
    return status;
}

enum status decoder_token_bytes(const struct decoder *decoder, const char *token, size_t length,
                                struct strbuf *out, struct error *err)
{
    struct strbuf text = {0};
    enum status status = STATUS_OK;
    if (decoder->count == 1 && decoder->steps[0].kind == STEP_BYTE_LEVEL) {
        byte_level_append_bytes(out, token, length);
        return out->failed ? error_memory(err, "decoding") : STATUS_OK;
    }
    strbuf_append(&text, token, length);
    for (size_t i = 0; !status && i < decoder->count; i++)
        status = token_step(&decoder->steps[i], &text, err);
    strbuf_append(out, strbuf_text(&text), text.length);
    if (!status && (text.failed || out->failed))
        status = error_memory(err, "decoding");
    strbuf_free(&text);
    return status;
}

bool decoder_drops_first_space(const struct decoder *decoder)
{
    for (size_t i = 0; i < decoder->count; i++) {
        const struct decoder_step *step = &decoder->steps[i];
        if (step->kind == STEP_STRIP && step->start > 0 && !strcmp(step->character, " "))
            return true;
        if (step->kind == STEP_METASPACE && step->drops_first)
            return true;
    }
    return false;
}
