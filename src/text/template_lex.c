/* From a template's text to tokens, with Jinja's rules for white space: trim_blocks,
 * lstrip_blocks, and the signs - and + at the tags' ends. */
#include "base/utf8.h"
#include "text/template_ast.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BRACKETS = 1000 };

struct lexer {
    const char *name;
    const char *text;
    size_t length, at;
    uint32_t line;
    bool line_starting; /* what was consumed last ended in a newline */
    struct arena *arena;
    struct token_array *tokens;
    struct error *err;
    char brackets[MAX_BRACKETS];
    size_t n_brackets;
};

static bool lex_fail(struct lexer *l, const char *message)
{
    error_set(l->err, STATUS_FORMAT, "%s, line %u: %s", l->name, l->line, message);
    return false;
}

static bool add_token(struct lexer *l, enum token_kind kind, struct value value)
{
    struct token_array *t = l->tokens;
    if (!mem_grow(&t->items, &t->capacity, t->count, sizeof *t->items)) {
        error_memory(l->err, "a template's tokens");
        return false;
    }
    t->items[t->count++] = (struct token){kind, l->line, 0, value};
    return true;
}

static bool add_mark(struct lexer *l, enum token_kind kind)
{
    return add_token(l, kind, (struct value){0});
}

static bool looking_at(const struct lexer *l, size_t at, const char *word)
{
    size_t n = strlen(word);
    return l->length - at >= n && !memcmp(l->text + at, word, n);
}

/* Moves to `at`, counting lines. */
static void move_to(struct lexer *l, size_t at)
{
    for (size_t i = l->at; i < at; i++)
        l->line += l->text[i] == '\n';
    if (at > l->at)
        l->line_starting = l->text[at - 1] == '\n';
    l->at = at;
}

static size_t skip_space(const struct lexer *l, size_t at)
{
    struct text_ref text = {l->text, l->length};
    for (size_t next = at; at < l->length; at = next)
        if (!codepoint_is_space(chars_next(text, &next)))
            break;
    return at;
}

static size_t space_before(const struct lexer *l, size_t begin, size_t end)
{
    struct text_ref text = {l->text + begin, end - begin};
    return begin + chars_strip(text, NULL, false, true).length;
}

/* What lstrip_blocks leaves of text[begin, end) in front of a tag. */
static size_t strip_line_start(const struct lexer *l, size_t begin, size_t end)
{
    size_t line = end;
    while (line > begin && l->text[line - 1] != '\n')
        line--;
    bool at_line_start = line > begin || l->line_starting;
    return at_line_start && space_before(l, line, end) == line ? line : end;
}

static bool add_data(struct lexer *l, size_t end)
{
    struct value text = string_value(l->text + l->at, end - l->at);
    return end == l->at || add_token(l, TOKEN_DATA, text);
}

/* The text in front of the tag at `tag`, which is two characters and then perhaps a sign. */
static bool lex_data_before(struct lexer *l, size_t tag, bool strips_line)
{
    char sign = tag + 2 < l->length ? l->text[tag + 2] : 0;
    size_t end = tag;
    if (sign == '-')
        end = space_before(l, l->at, tag);
    else if (sign != '+' && strips_line)
        end = strip_line_start(l, l->at, tag);
    bool ok = add_data(l, end);
    move_to(l, tag + (sign == '-' || sign == '+' ? 3 : 2));
    return ok;
}

/* The end of a block or comment whose closing mark is at `at`, behind a sign where there is
 * one; 0 if it is not there. */
static size_t tag_end(const struct lexer *l, size_t at, const char *mark, bool trims_newline)
{
    char sign = at < l->length ? l->text[at] : 0;
    bool minus = sign == '-', plus = sign == '+' && trims_newline;
    size_t begin = at + (minus || plus);
    if (!looking_at(l, begin, mark))
        return 0;
    size_t end = begin + 2;
    if (minus)
        return skip_space(l, end);
    if (!plus && trims_newline && end < l->length && l->text[end] == '\n')
        end++;
    return end;
}

static bool lex_comment(struct lexer *l)
{
    for (size_t i = l->at; i < l->length; i++) {
        size_t end = tag_end(l, i, "#}", true);
        if (end) {
            move_to(l, end);
            return true;
        }
    }
    /* at the very end of the text Jinja lets it pass */
    return l->at >= l->length || lex_fail(l, "a comment {# has no end #}");
}

/* "{% raw %}" at `tag`: where it ends, or 0. */
static size_t raw_begin(const struct lexer *l, size_t tag)
{
    size_t at = tag + 2;
    if (at < l->length && (l->text[at] == '-' || l->text[at] == '+'))
        at++;
    at = skip_space(l, at);
    return looking_at(l, at, "raw") ? tag_end(l, skip_space(l, at + 3), "%}", false) : 0;
}

static size_t raw_end(const struct lexer *l, size_t tag)
{
    size_t at = tag + 2;
    if (at < l->length && (l->text[at] == '-' || l->text[at] == '+'))
        at++;
    at = skip_space(l, at);
    return looking_at(l, at, "endraw") ? tag_end(l, skip_space(l, at + 6), "%}", true) : 0;
}

static bool lex_raw(struct lexer *l)
{
    for (size_t i = l->at; i + 1 < l->length; i++) {
        size_t end = looking_at(l, i, "{%") ? raw_end(l, i) : 0;
        if (end) {
            bool ok = lex_data_before(l, i, true);
            move_to(l, end);
            return ok;
        }
    }
    return l->at >= l->length || lex_fail(l, "{% raw %} has no {% endraw %}");
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* n hexadecimal digits at s[*i], as a code point that UTF-8 can hold. */
static bool unescape_hex(struct lexer *l, const char *s, size_t end, size_t *i, int n,
                         uint32_t *codepoint)
{
    uint32_t c = 0;
    for (int k = 0; k < n; k++, ++*i) {
        int digit = *i < end ? hex_digit(s[*i]) : -1;
        if (digit < 0)
            return lex_fail(l, "a \\x, \\u or \\U escape is cut short");
        c = c << 4 | (uint32_t)digit;
    }
    if (c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
        return lex_fail(l, "a \\u or \\U escape names no character");
    *codepoint = c;
    return true;
}

static uint32_t unescape_octal(const char *s, size_t end, size_t *i)
{
    uint32_t c = 0;
    for (int k = 0; k < 3 && *i < end && s[*i] >= '0' && s[*i] <= '7'; k++)
        c = c << 3 | (uint32_t)(s[(*i)++] - '0');
    return c;
}

/* Appends what the escape behind a backslash at s[*i] stands for to out[*n]. */
static bool unescape(struct lexer *l, const char *s, size_t end, size_t *i, char *out, size_t *n)
{
    static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
    char c = s[*i];
    const char *simple = c ? strchr(from, c) : NULL;
    uint32_t codepoint = 0;
    if (simple) {
        out[(*n)++] = to[simple - from];
        ++*i;
        return true;
    }
    if (c == '\n') {
        ++*i;
        return true;
    }
    if (c >= '0' && c <= '7') {
        codepoint = unescape_octal(s, end, i);
    } else if (c == 'x' || c == 'u' || c == 'U') {
        ++*i;
        if (!unescape_hex(l, s, end, i, c == 'x' ? 2 : c == 'u' ? 4 : 8, &codepoint))
            return false;
    } else if (c == 'N') {
        return lex_fail(l, "\\N{...} escapes are not supported; write the character itself");
    } else {
        out[(*n)++] = '\\';
        return true;
    }
    *n += utf8_encode(codepoint, out + *n);
    return true;
}

static bool lex_string(struct lexer *l)
{
    const char *s = l->text;
    char quote = s[l->at];
    size_t end = l->at + 1;
    while (end < l->length && s[end] != quote)
        end += s[end] == '\\' ? 2 : 1;
    if (end >= l->length)
        return lex_fail(l, "a string has no end");
    char *out = arena_alloc(l->arena, end - l->at);
    if (!out) {
        error_memory(l->err, "a template's strings");
        return false;
    }
    size_t n = 0;
    for (size_t i = l->at + 1; i < end;) {
        if (s[i] != '\\') {
            out[n++] = s[i++];
            continue;
        }
        i++;
        if (!unescape(l, s, end, &i, out, &n))
            return false;
    }
    bool ok = add_token(l, TOKEN_STRING, string_value(out, n));
    move_to(l, end + 1);
    return ok;
}

/* Digits of `base` with single underscores between them; returns their end. With a prefix an
 * underscore may come first. */
static size_t digits_end(const struct lexer *l, size_t at, int base, bool after_prefix)
{
    bool digit_before = after_prefix;
    size_t end = at;
    for (size_t i = at; i < l->length; i++) {
        int digit = hex_digit(l->text[i]);
        if (digit >= 0 && digit < base) {
            end = i + 1;
            digit_before = true;
        } else if (l->text[i] == '_' && digit_before) {
            digit_before = false;
        } else {
            break;
        }
    }
    return end;
}

/* Where the float at `at` ends; `at` if there is none. */
static size_t float_end(const struct lexer *l, size_t at)
{
    size_t whole = digits_end(l, at, 10, false), end = whole;
    if (whole == at || (at > 0 && l->text[at - 1] == '.'))
        return at;
    if (end + 1 < l->length && l->text[end] == '.')
        end =
            digits_end(l, end + 1, 10, false) > end + 1 ? digits_end(l, end + 1, 10, false) : whole;
    if (end < l->length && (l->text[end] | 32) == 'e') {
        size_t exponent = end + 1;
        if (exponent < l->length && (l->text[exponent] == '+' || l->text[exponent] == '-'))
            exponent++;
        size_t exponent_end = digits_end(l, exponent, 10, false);
        if (exponent_end > exponent)
            return exponent_end;
    }
    return end > whole ? end : at;
}

/* text[begin, end) without underscores, in the arena. */
static char *plain_digits(struct lexer *l, size_t begin, size_t end, size_t *length)
{
    char *digits = arena_alloc(l->arena, end - begin + 1);
    if (!digits) {
        error_memory(l->err, "a number in a template");
        return NULL;
    }
    *length = 0;
    for (size_t i = begin; i < end; i++)
        if (l->text[i] != '_')
            digits[(*length)++] = l->text[i];
    return digits;
}

static bool lex_float(struct lexer *l, size_t end)
{
    size_t length;
    char *digits = plain_digits(l, l->at, end, &length);
    double real;
    if (!digits)
        return false;
    if (!parse_double(digits, length, &real))
        return lex_fail(l, "not a number");
    bool ok = add_token(l, TOKEN_FLOAT, float_value(real));
    move_to(l, end);
    return ok;
}

static bool lex_integer(struct lexer *l)
{
    size_t begin = l->at, end;
    int base = 10;
    char prefix = begin + 1 < l->length ? (char)(l->text[begin + 1] | 32) : 0;
    if (l->text[begin] == '0' && (prefix == 'x' || prefix == 'o' || prefix == 'b')) {
        base = prefix == 'x' ? 16 : prefix == 'o' ? 8 : 2;
        end = digits_end(l, begin + 2, base, true);
        if (end > begin + 2)
            begin += 2;
        else
            base = 10;
    }
    if (base == 10) {
        end = digits_end(l, begin, l->text[begin] == '0' ? 1 : 10, false);
    }
    size_t length;
    char *digits = plain_digits(l, begin, end, &length);
    if (!digits)
        return false;
    errno = 0;
    long long integer = strtoll(digits, NULL, base);
    if (errno)
        return lex_fail(l, "a whole number does not fit into 64 bits");
    bool ok = add_token(l, TOKEN_INT, int_value(integer));
    move_to(l, end);
    return ok;
}

static bool lex_name(struct lexer *l)
{
    struct text_ref text = {l->text, l->length};
    size_t end = l->at;
    for (size_t next = end; end < l->length; end = next)
        if (!codepoint_is_name(chars_next(text, &next), end == l->at))
            break;
    bool ok = add_token(l, TOKEN_NAME, string_value(l->text + l->at, end - l->at));
    move_to(l, end);
    return ok;
}

/* Keeps the stack of open brackets. */
static bool balance(struct lexer *l, char c)
{
    if (c == '(' || c == '[' || c == '{') {
        if (l->n_brackets == MAX_BRACKETS)
            return lex_fail(l, "brackets are nested too deeply");
        l->brackets[l->n_brackets++] = c == '(' ? ')' : c == '[' ? ']' : '}';
    } else if (c == ')' || c == ']' || c == '}') {
        if (!l->n_brackets || l->brackets[--l->n_brackets] != c)
            return lex_fail(l, "a closing bracket has no opening one of its kind");
    }
    return true;
}

static bool lex_operator(struct lexer *l)
{
    static const char *const doubles[] = {"//", "**", "==", "!=", ">=", "<=", NULL};
    char c = l->text[l->at];
    int op = 0;
    size_t n = 1;
    for (int i = 0; doubles[i] && !op; i++)
        if (looking_at(l, l->at, doubles[i])) {
            op = OPERATOR2(doubles[i][0], doubles[i][1]);
            n = 2;
        }
    if (!op && (!c || !strchr("+-/*%~[](){}><=.:|,;", c))) {
        char message[60];
        struct text_ref text = {l->text, l->length};
        size_t next = l->at;
        chars_next(text, &next);
        snprintf(message, sizeof message, "unexpected character '%.*s'", (int)(next - l->at),
                 l->text + l->at);
        return lex_fail(l, message);
    }
    if (!op) {
        op = c;
        if (!balance(l, c))
            return false;
    }
    bool ok = add_mark(l, TOKEN_OPERATOR);
    if (ok)
        l->tokens->items[l->tokens->count - 1].operator_ = op;
    move_to(l, l->at + n);
    return ok;
}

static bool lex_one(struct lexer *l)
{
    struct text_ref text = {l->text, l->length};
    char c = l->text[l->at];
    size_t end = l->at;
    if (c >= '0' && c <= '9') {
        end = float_end(l, l->at);
        return end > l->at ? lex_float(l, end) : lex_integer(l);
    }
    if (c == '"' || c == '\'')
        return lex_string(l);
    if (codepoint_is_name(chars_next(text, &end), true))
        return lex_name(l);
    return lex_operator(l);
}

/* What stands between {% and %}, or {{ and }}. */
static bool lex_code(struct lexer *l, bool block)
{
    l->n_brackets = 0;
    for (;;) {
        size_t end = l->n_brackets ? 0 : tag_end(l, l->at, block ? "%}" : "}}", block);
        if (end) {
            bool ok = add_mark(l, block ? TOKEN_BLOCK_END : TOKEN_PRINT_END);
            move_to(l, end);
            return ok;
        }
        size_t next = skip_space(l, l->at);
        if (next > l->at) {
            move_to(l, next);
            continue;
        }
        if (l->at >= l->length)
            return lex_fail(l, block ? "the template ends inside {% ... %}"
                                     : "the template ends inside {{ ... }}");
        if (!lex_one(l))
            return false;
    }
}

static bool lex_tag(struct lexer *l, size_t tag)
{
    char kind = l->text[tag + 1];
    size_t raw = kind == '%' ? raw_begin(l, tag) : 0;
    if (!lex_data_before(l, tag, kind != '{'))
        return false;
    if (raw) {
        move_to(l, raw);
        return lex_raw(l);
    }
    if (kind == '#')
        return lex_comment(l);
    return add_mark(l, kind == '%' ? TOKEN_BLOCK_BEGIN : TOKEN_PRINT_BEGIN) &&
           lex_code(l, kind == '%');
}

static bool lex_all(struct lexer *l)
{
    while (l->at < l->length) {
        size_t tag = l->at;
        while (tag + 1 < l->length &&
               !(l->text[tag] == '{' && strchr("%{#", l->text[tag + 1]) && l->text[tag + 1]))
            tag++;
        if (tag + 1 >= l->length) {
            if (!add_data(l, l->length))
                return false;
            break;
        }
        if (!lex_tag(l, tag))
            return false;
    }
    return add_mark(l, TOKEN_END);
}

enum status template_tokenize(const char *name, const char *source, size_t length,
                              struct arena *arena, struct token_array *tokens, struct error *err)
{
    struct lexer l = {.name = name,
                      .text = source,
                      .length = length,
                      .line = 1,
                      .line_starting = true,
                      .arena = arena,
                      .tokens = tokens,
                      .err = err};
    struct error ignored = {0};
    if (!err)
        l.err = &ignored;
    return lex_all(&l) ? STATUS_OK : l.err->status;
}
