#include "text/json_scan.h"
#include "base/utf8.h"

#include <string.h>

void json_scan_start(struct json_scan *scan, const char *name, const char *text, size_t length)
{
    *scan = (struct json_scan){.name = name, .text = text, .length = length};
}

static enum status wrong(const struct json_scan *scan, const char *expected, struct error *err)
{
    if (scan->at >= scan->length)
        return error_set(err, STATUS_FORMAT, "%s ends at byte %zu, where %s was expected",
                         scan->name, scan->length, expected);
    return error_set(err, STATUS_FORMAT, "%s, byte %zu: expected %s, found '%c'", scan->name,
                     scan->at, expected, scan->text[scan->at]);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

char json_scan_peek(struct json_scan *scan)
{
    while (scan->at < scan->length && is_space(scan->text[scan->at]))
        scan->at++;
    return scan->at < scan->length ? scan->text[scan->at] : 0;
}

enum status json_scan_open(struct json_scan *scan, char bracket, struct error *err)
{
    if (json_scan_peek(scan) != bracket)
        return wrong(scan, bracket == '{' ? "an object" : "an array", err);
    scan->at++;
    scan->first = true;
    return STATUS_OK;
}

enum status json_scan_more(struct json_scan *scan, char closing, bool *more, struct error *err)
{
    char c = json_scan_peek(scan);
    *more = c != closing;
    if (*more && !scan->first && c != ',')
        return wrong(scan, closing == '}' ? "',' or '}'" : "',' or ']'", err);
    if (!*more || !scan->first)
        scan->at++;
    scan->first = false;
    return STATUS_OK;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits behind \u, or -1. */
static int read_hex(struct json_scan *scan)
{
    int value = 0;
    if (scan->length - scan->at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(scan->text[scan->at + (size_t)i]);
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    scan->at += 4;
    return value;
}

static enum status read_code_unit(struct json_scan *scan, struct error *err)
{
    int high = read_hex(scan), low = 0;
    if (high >= 0xD800 && high < 0xDC00) {
        if (scan->length - scan->at < 2 || memcmp(scan->text + scan->at, "\\u", 2) != 0)
            return wrong(scan, "the second half of a surrogate pair", err);
        scan->at += 2;
        low = read_hex(scan);
        if (low < 0xDC00 || low > 0xDFFF)
            return wrong(scan, "the second half of a surrogate pair", err);
        high = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
    } else if (high < 0 || (high >= 0xDC00 && high <= 0xDFFF)) {
        return wrong(scan, "four hexadecimal digits of a character", err);
    }
    strbuf_add_codepoint(&scan->string, (unsigned)high);
    return STATUS_OK;
}

static enum status read_escape(struct json_scan *scan, struct error *err)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    char c = scan->at < scan->length ? scan->text[scan->at] : 0;
    if (c == 'u') {
        scan->at++;
        return read_code_unit(scan, err);
    }
    const char *found = c ? strchr(names, c) : NULL;
    if (!found)
        return wrong(scan, "an escape sequence", err);
    scan->at++;
    strbuf_add_char(&scan->string, values[found - names]);
    return STATUS_OK;
}

enum status json_scan_string(struct json_scan *scan, struct error *err)
{
    if (json_scan_peek(scan) != '"')
        return wrong(scan, "a string", err);
    size_t start = ++scan->at;
    strbuf_truncate(&scan->string, 0);
    for (;;) {
        while (scan->at < scan->length && scan->text[scan->at] != '"' &&
               scan->text[scan->at] != '\\' && (unsigned char)scan->text[scan->at] >= 0x20)
            scan->at++;
        strbuf_append(&scan->string, scan->text + start, scan->at - start);
        if (scan->at >= scan->length || (unsigned char)scan->text[scan->at] < 0x20)
            return wrong(scan, "the end of a string", err);
        if (scan->text[scan->at++] == '"')
            break;
        enum status status = read_escape(scan, err);
        if (status)
            return status;
        start = scan->at;
    }
    return scan->string.failed ? error_memory(err, "a string") : STATUS_OK;
}

enum status json_scan_key(struct json_scan *scan, struct error *err)
{
    enum status status = json_scan_string(scan, err);
    if (status)
        return status;
    if (json_scan_peek(scan) != ':')
        return wrong(scan, "':'", err);
    scan->at++;
    return STATUS_OK;
}

enum status json_scan_integer(struct json_scan *scan, int64_t *value, struct error *err)
{
    enum { MOST_DIGITS = 18 };
    char c = json_scan_peek(scan);
    size_t digits = 0;
    bool negative = c == '-';
    scan->at += negative;
    for (*value = 0; scan->at < scan->length && digits <= MOST_DIGITS; scan->at++, digits++) {
        c = scan->text[scan->at];
        if (c < '0' || c > '9')
            break;
        *value = *value * 10 + (c - '0');
    }
    c = scan->at < scan->length ? scan->text[scan->at] : ' ';
    if (!digits || digits > MOST_DIGITS || strchr(".eE", c))
        return wrong(scan, "an integer", err);
    if (negative)
        *value = -*value;
    return STATUS_OK;
}

static void skip_string(struct json_scan *scan)
{
    for (scan->at++; scan->at < scan->length && scan->text[scan->at] != '"'; scan->at++)
        if (scan->text[scan->at] == '\\')
            scan->at++;
    scan->at++;
}

enum status json_scan_skip(struct json_scan *scan, struct error *err)
{
    size_t depth = 0;
    do {
        char c = json_scan_peek(scan);
        if (scan->at >= scan->length || c == 0)
            return wrong(scan, "a value", err);
        if (c == '"') {
            skip_string(scan);
            continue;
        }
        if (depth == 0 && strchr(",:}]", c))
            return wrong(scan, "a value", err);
        depth += c == '{' || c == '[';
        depth -= c == '}' || c == ']';
        scan->at++;
        if (depth == 0 && !strchr("}]", c))
            while (scan->at < scan->length && scan->text[scan->at] &&
                   !strchr(",:}] \t\r\n", scan->text[scan->at]))
                scan->at++;
    } while (depth);
    if (scan->at <= scan->length)
        return STATUS_OK;
    scan->at = scan->length;
    return wrong(scan, "the end of a string", err);
}
