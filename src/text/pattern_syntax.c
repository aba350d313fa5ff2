#include "text/pattern_syntax.h"

#include <stdbool.h>
#include <string.h>

#define WORD "\\p{L}\\p{M}\\p{Nd}\\p{Pc}"
#define HEX "0-9A-Fa-f"

struct translator {
    const char *at, *end;
    struct strbuf *out;
    bool in_class;
    struct error *err;
};

static enum status refuse(struct translator *t, const char *what)
{
    return error_set(t->err, STATUS_UNSUPPORTED, "%s in a regular expression", what);
}

/* \w and \h stand for sets that PCRE2 has other names for. */
static enum status add_set(struct translator *t, const char *set, bool negated)
{
    if (t->in_class && negated)
        return refuse(t, "\\W or \\H inside a character class");
    if (t->in_class)
        strbuf_add(t->out, set);
    else
        strbuf_printf(t->out, "[%s%s]", negated ? "^" : "", set);
    return STATUS_OK;
}

/* \p{L} is the same in both; \p{Han} must not mean PCRE2's script extensions. */
static enum status add_property(struct translator *t, char letter)
{
    const char *close =
        t->at < t->end && *t->at == '{' ? memchr(t->at, '}', (size_t)(t->end - t->at)) : NULL;
    if (!close)
        return refuse(t, "\\p without {...}");
    const char *name = t->at + 1;
    bool negated = *name == '^';
    name += negated;
    size_t length = (size_t)(close - name);
    strbuf_printf(t->out, "\\%c{%s%s", letter, negated ? "^" : "", length > 2 ? "sc:" : "");
    strbuf_append(t->out, name, length);
    strbuf_add_char(t->out, '}');
    t->at = close + 1;
    return STATUS_OK;
}

static enum status translate_escape(struct translator *t)
{
    if (t->at == t->end)
        return refuse(t, "a lone \\ at the end");
    char c = *t->at++;
    switch (c) {
    case 's':
    case 'S':
        strbuf_add(t->out, c == 's' ? "\\p{White_Space}" : "\\P{White_Space}");
        return STATUS_OK;
    case 'w':
    case 'W':
        return add_set(t, WORD, c == 'W');
    case 'h':
    case 'H':
        return add_set(t, HEX, c == 'H');
    case 'p':
    case 'P':
        return add_property(t, c);
    case 'u':
        return refuse(t, "\\u");
    case 'C':
    case 'M':
        return refuse(t, "a control or meta character");
    default:
        strbuf_add_char(t->out, '\\');
        strbuf_add_char(t->out, c);
        return STATUS_OK;
    }
}

/* Inside [...]: nested sets and intersections exist in Oniguruma alone. */
static enum status translate_in_class(struct translator *t, char c)
{
    if (c == '[' && t->at < t->end && *t->at != ':')
        return refuse(t, "a set inside a character class");
    if (c == '[') {
        const char *close = memmem(t->at, (size_t)(t->end - t->at), ":]", 2);
        if (!close)
            return refuse(t, "an unfinished [: :]");
        strbuf_append(t->out, t->at - 1, (size_t)(close + 2 - (t->at - 1)));
        t->at = close + 2;
        return STATUS_OK;
    }
    if (c == '&' && t->at < t->end && *t->at == '&')
        return refuse(t, "an intersection of character classes");
    if (c == ']')
        t->in_class = false;
    strbuf_add_char(t->out, c);
    return STATUS_OK;
}

/* "(?im-x:" and "(?m)": Ruby's m lets the dot match line feeds, which PCRE2 calls s. */
static void translate_group(struct translator *t)
{
    if (t->at == t->end || *t->at != '?')
        return;
    strbuf_add_char(t->out, *t->at++);
    const char *p = t->at;
    while (p < t->end && strchr("imx-", *p) && *p)
        p++;
    if (p == t->end || (*p != ':' && *p != ')'))
        return;
    for (; t->at < p; t->at++)
        strbuf_add_char(t->out, *t->at == 'm' ? 's' : *t->at);
}

static void open_class(struct translator *t)
{
    t->in_class = true;
    if (t->at < t->end && *t->at == '^')
        strbuf_add_char(t->out, *t->at++);
    if (t->at < t->end && *t->at == ']') {
        strbuf_add(t->out, "\\]");
        t->at++;
    }
}

enum status pattern_translate(const char *regex, size_t length, struct strbuf *out,
                              struct error *err)
{
    struct translator t = {.at = regex, .end = regex + length, .out = out, .err = err};
    enum status status = STATUS_OK;
    while (!status && t.at < t.end) {
        char c = *t.at++;
        if (c == '\\') {
            status = translate_escape(&t);
        } else if (t.in_class) {
            status = translate_in_class(&t, c);
        } else {
            strbuf_add_char(out, c);
            if (c == '[')
                open_class(&t);
            else if (c == '(')
                translate_group(&t);
        }
    }
    return status;
}
