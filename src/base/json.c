#include "base/json.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* first_line: the number that the text's first line has in what `name` names. */
static json_t *parse(const char *name, size_t first_line, const char *text, size_t length,
                     struct error *err)
{
    json_error_t e;
    json_t *value =
        json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &e);
    if (!value)
        error_set(err, STATUS_FORMAT, "%s, line %zu, column %d (byte %d): not valid JSON: %s", name,
                  first_line + (size_t)(e.line > 0 ? e.line - 1 : 0), e.column, e.position, e.text);
    return value;
}

json_t *json_parse(const char *name, const char *text, size_t length, struct error *err)
{
    return parse(name, 1, text, length, err);
}

json_t *json_parse_file(const char *path, struct error *err)
{
    char *text;
    size_t size;
    if (file_read(path, 0, &text, &size, err))
        return NULL;
    json_t *value = json_parse(path, text, size, err);
    mem_free(text);
    return value;
}

static const json_t *look_up(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_null(value) ? NULL : value;
}

static const char *type_name(const json_t *value)
{
    static const char *const names[] = {"an object", "an array", "a string", "an integer",
                                        "a real",    "true",     "false",    "null"};
    return names[json_typeof(value)];
}

static void wrong_type(const json_t *value, const char *key, const char *expected,
                       struct error *err)
{
    if (err && !err->status)
        error_set(err, STATUS_FORMAT, "\"%s\" should be %s, but is %s", key, expected,
                  type_name(value));
}

int64_t json_get_int(const json_t *object, const char *key, int64_t fallback, struct error *err)
{
    const json_t *value = look_up(object, key);
    if (!value)
        return fallback;
    if (json_is_integer(value))
        return json_integer_value(value);
    double real = json_real_value(value);
    if (json_is_real(value) && real == trunc(real) && fabs(real) < 9e15)
        return (int64_t)real;
    wrong_type(value, key, "an integer", err);
    return fallback;
}

double json_get_number(const json_t *object, const char *key, double fallback, struct error *err)
{
    const json_t *value = look_up(object, key);
    if (!value)
        return fallback;
    if (json_is_number(value))
        return json_number_value(value);
    wrong_type(value, key, "a number", err);
    return fallback;
}

bool json_get_bool(const json_t *object, const char *key, bool fallback, struct error *err)
{
    const json_t *value = look_up(object, key);
    if (!value)
        return fallback;
    if (json_is_boolean(value))
        return json_is_true(value);
    wrong_type(value, key, "true or false", err);
    return fallback;
}

const char *json_get_string(const json_t *object, const char *key, const char *fallback,
                            struct error *err)
{
    const json_t *value = look_up(object, key);
    if (!value)
        return fallback;
    if (json_is_string(value))
        return json_string_value(value);
    wrong_type(value, key, "a string", err);
    return fallback;
}

static int append_bytes(const char *data, size_t size, void *out)
{
    strbuf_append(out, data, size);
    return ((struct strbuf *)out)->failed ? -1 : 0;
}

/* The escape of a character that many readers take for the end of a line (U+0085, U+2028,
 * U+2029), and its length in UTF-8; NULL for all others. */
static const char *line_break_escape(const char *p, size_t left, size_t *length)
{
    *length = left >= 3 && !memcmp(p, "\xE2\x80", 2) ? 3 : 2;
    if (left >= 2 && !memcmp(p, "\xC2\x85", 2))
        return "\\u0085";
    if (*length == 3 && p[2] == '\xA8')
        return "\\u2028";
    return *length == 3 && p[2] == '\xA9' ? "\\u2029" : NULL;
}

static void write_value(struct strbuf *out, const json_t *value, size_t flags)
{
    struct strbuf text = {.limit = out->limit};
    if (json_dump_callback(value, append_bytes, &text, flags | JSON_ENCODE_ANY))
        out->failed = true;
    size_t begin = 0, skip;
    for (size_t i = 0; i < text.length; i++) {
        const char *escape = line_break_escape(text.data + i, text.length - i, &skip);
        if (!escape)
            continue;
        strbuf_append(out, text.data + begin, i - begin);
        strbuf_add(out, escape);
        begin = i + skip;
        i = begin - 1;
    }
    strbuf_append(out, strbuf_text(&text) + begin, text.length - begin);
    strbuf_free(&text);
}

void json_write(struct strbuf *out, const json_t *value, bool indent)
{
    write_value(out, value, indent ? JSON_INDENT(2) : JSON_COMPACT);
}

void json_write_short(struct strbuf *out, const json_t *value)
{
    write_value(out, value, JSON_COMPACT | JSON_REAL_PRECISION(6));
}

json_t *json_text(const char *bytes, size_t length)
{
    struct strbuf text = {0};
    for (size_t i = 0; i < length;) {
        uint32_t c;
        int n = utf8_decode(bytes + i, length - i, &c);
        strbuf_add_codepoint(&text, n > 0 ? c : 0xFFFD);
        i += n > 0 ? (size_t)n : 1;
    }
    json_t *value = json_stringn(strbuf_text(&text), text.length);
    strbuf_free(&text);
    return value;
}

json_t *json_lines_next(struct json_lines *lines, struct error *err)
{
    ssize_t n;
    while ((n = getline(&lines->line, &lines->capacity, lines->stream)) >= 0) {
        lines->line_number++;
        if (strspn(lines->line, " \t\r\n") == (size_t)n)
            continue;
        size_t length = (size_t)n - (lines->line[n - 1] == '\n');
        return parse(lines->name, lines->line_number, lines->line, length, err);
    }
    if (ferror((FILE *)lines->stream))
        error_errno(err, "cannot read %s after line %zu", lines->name, lines->line_number);
    return NULL;
}

void json_lines_free(struct json_lines *lines)
{
    free(lines->line);
    *lines = (struct json_lines){0};
}
