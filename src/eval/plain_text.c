/* What a reader sees of an answer: one pass over Markdown, HTML and LaTeX. */
#include "base/memory.h"
#include "base/strbuf.h"
#include "base/utf8.h"
#include "eval/answer.h"
#include "eval/text_scan.h"

#include <ctype.h>
#include <string.h>

enum { MAX_DEPTH = 16, MAX_TAG = 200, MAX_ARGUMENT = 4000, MAX_RUN = 100 };

static const char ANSWER_LABEL[] = "Answer: ";

struct replacement {
    const char *name, *text;
};

static const struct replacement latex_symbols[] = {
    {"times", "×"}, {"div", "÷"},     {"cdot", "·"},   {"approx", "≈"}, {"neq", "≠"},
    {"ne", "≠"},    {"leq", "≤"},     {"geq", "≥"},    {"pm", "±"},     {"quad", " "},
    {"qquad", " "}, {"left", ""},     {"right", ""},   {"pi", "π"},     {"Rightarrow", "⇒"},
    {"to", "→"},    {"implies", "⇒"}, {"percent", "%"}};

/* Commands whose argument is shown as it is. */
static const char *const latex_wrappers[] = {"text",   "textbf", "textit", "mathrm",
                                             "mathbf", "mathit", "mbox",   "operatorname",
                                             "emph",   "mathsf"};

static const char *const html_tags[] = {
    "b",     "i",     "u",      "em",  "strong", "span", "font", "small",     "mark", "a",
    "code",  "p",     "br",     "div", "li",     "ul",   "ol",   "td",        "tr",   "th",
    "hr",    "table", "h1",     "h2",  "h3",     "h4",   "h5",   "h6",        "pre",  "tbody",
    "thead", "sub",   "center", "del", "s",      "body", "html", "blockquote"};

/* Tags after which a reader sees a new line. */
static const char *const html_breaks[] = {"br", "p",  "div", "li", "tr", "hr", "h1",   "h2",
                                          "h3", "h4", "h5",  "h6", "ul", "ol", "table"};

static const struct replacement html_entities[] = {
    {"&nbsp;", " "},  {"&lt;", "<"},  {"&gt;", ">"},    {"&amp;", "&"},
    {"&quot;", "\""}, {"&#39;", "'"}, {"&times;", "×"}, {"&divide;", "÷"}};

struct converter {
    const char *text;
    size_t length;
    struct strbuf *out;
    unsigned depth;
};

static void convert(const char *text, size_t length, struct strbuf *out, unsigned depth);

static bool is_listed(const char *const *names, size_t n, const char *name, size_t length)
{
    for (size_t i = 0; i < n; i++)
        if (strlen(names[i]) == length && !strncasecmp(names[i], name, length))
            return true;
    return false;
}

static char last_char(const struct strbuf *out)
{
    return out->length ? out->data[out->length - 1] : '\n';
}

static bool at_line_start(const struct strbuf *out)
{
    size_t i = out->length;
    while (i && (out->data[i - 1] == ' ' || out->data[i - 1] == '\t'))
        i--;
    return !i || out->data[i - 1] == '\n';
}

/* Length of "{...}" at `at` with both braces, 0 if there is none. */
static size_t braces_length(const struct converter *c, size_t at)
{
    size_t depth = 0;
    for (size_t i = at; i < c->length && i - at < MAX_ARGUMENT; i++) {
        if (c->text[i] == '\\') {
            i++;
        } else if (c->text[i] == '{') {
            depth++;
        } else if (c->text[i] == '}') {
            if (--depth == 0)
                return i - at + 1;
        }
        if (!depth)
            return 0;
    }
    return 0;
}

static void convert_argument(const struct converter *c, size_t at, size_t length)
{
    convert(c->text + at + 1, length - 2, c->out, c->depth + 1);
}

/* \frac{a}{b} at `after` the name: "a/b". */
static size_t convert_fraction(const struct converter *c, size_t after)
{
    size_t top = braces_length(c, after);
    size_t bottom = top ? braces_length(c, after + top) : 0;
    if (!bottom)
        return 0;
    if (isdigit((unsigned char)last_char(c->out)))
        strbuf_add_char(c->out, ' ');
    convert_argument(c, after, top);
    strbuf_add_char(c->out, '/');
    convert_argument(c, after + top, bottom);
    return after + top + bottom;
}

static size_t convert_wrapper(const struct converter *c, const char *name, size_t name_length,
                              size_t after)
{
    size_t argument = braces_length(c, after);
    if (!argument)
        return 0;
    bool boxed = is_listed((const char *const[]){"boxed", "fbox"}, 2, name, name_length);
    if (!boxed && !is_listed(latex_wrappers, sizeof latex_wrappers / sizeof *latex_wrappers, name,
                             name_length))
        return 0;
    strbuf_add(c->out, boxed ? ANSWER_LABEL : "");
    convert_argument(c, after, argument);
    strbuf_add(c->out, boxed ? " " : "");
    return after + argument;
}

static size_t convert_escape(const struct converter *c, char escaped)
{
    if (escaped == '\\')
        strbuf_add_char(c->out, '\n');
    else if (!strchr(",;!: ()[]$", escaped) && escaped != '\n')
        strbuf_add_char(c->out, escaped);
    else if (strchr("()[]", escaped))
        strbuf_add_char(c->out, ' ');
    return 2;
}

/* What the converters return: bytes of the text they took, 0 when it is not theirs. */
static size_t convert_latex(const struct converter *c, size_t i)
{
    if (c->text[i] != '\\' || i + 1 >= c->length)
        return 0;
    size_t end = i + 1;
    while (end < c->length && isalpha((unsigned char)c->text[end]))
        end++;
    const char *name = c->text + i + 1;
    size_t length = end - i - 1;
    if (!length)
        return (unsigned char)c->text[i + 1] < 0x80 ? convert_escape(c, c->text[i + 1]) : 0;
    if (is_listed((const char *const[]){"frac", "dfrac", "tfrac"}, 3, name, length)) {
        size_t after = convert_fraction(c, end);
        return after ? after - i : 0;
    }
    for (size_t k = 0; k < sizeof latex_symbols / sizeof *latex_symbols; k++)
        if (is_listed(&latex_symbols[k].name, 1, name, length)) {
            strbuf_add(c->out, latex_symbols[k].text);
            return end - i;
        }
    size_t after = convert_wrapper(c, name, length, end);
    return after ? after - i : 0;
}

static size_t convert_entity(const struct converter *c, size_t i)
{
    for (size_t k = 0; k < sizeof html_entities / sizeof *html_entities; k++) {
        size_t n = strlen(html_entities[k].name);
        if (c->length - i >= n && !memcmp(c->text + i, html_entities[k].name, n)) {
            strbuf_add(c->out, html_entities[k].text);
            return n;
        }
    }
    return 0;
}

/* <answer>5</answer> is an announcement; <sup>2</sup> an exponent; other known tags vanish. */
static size_t convert_html(const struct converter *c, size_t i)
{
    if (c->text[i] == '&')
        return convert_entity(c, i);
    if (c->text[i] != '<')
        return 0;
    bool closing = i + 1 < c->length && c->text[i + 1] == '/';
    size_t name = i + 1 + closing, end = name, close;
    while (end < c->length && isalnum((unsigned char)c->text[end]))
        end++;
    for (close = end; close < c->length && close - i < MAX_TAG && c->text[close] != '>'; close++)
        if (c->text[close] == '<' || c->text[close] == '\n')
            return 0;
    if (end == name || close >= c->length || c->text[close] != '>')
        return 0;
    const char *tag = c->text + name;
    size_t length = end - name;
    if (is_listed((const char *const[]){"answer"}, 1, tag, length))
        strbuf_add(c->out, closing ? " " : ANSWER_LABEL);
    else if (is_listed((const char *const[]){"sup"}, 1, tag, length))
        strbuf_add(c->out, closing ? "" : "^");
    else if (!is_listed(html_tags, sizeof html_tags / sizeof *html_tags, tag, length))
        return 0;
    if (is_listed(html_breaks, sizeof html_breaks / sizeof *html_breaks, tag, length) &&
        !at_line_start(c->out))
        strbuf_add_char(c->out, '\n');
    return close - i + 1;
}

static size_t run_length(const struct converter *c, size_t i, char what)
{
    size_t n = 0;
    while (n < MAX_RUN && i + n < c->length && c->text[i + n] == what)
        n++;
    return n;
}

/* "#### 5": a short number alone to the line's end, not "#### 5. Conclusion". */
static bool is_hash_answer(const struct converter *c, size_t i)
{
    size_t digits = 0;
    while (i < c->length && strchr(" $*-", c->text[i]) && c->text[i])
        i++;
    for (; i < c->length && c->text[i] &&
           (isdigit((unsigned char)c->text[i]) || strchr(",./%", c->text[i]));
         i++)
        digits += isdigit((unsigned char)c->text[i]) != 0;
    struct span rest = text_trim(c->text, text_line(c->text, c->length, i));
    bool is_title = i && c->text[i - 1] == '.' && rest.end > rest.begin;
    return digits && !is_title && rest.end - rest.begin <= 12;
}

static size_t convert_hashes(const struct converter *c, size_t i)
{
    size_t n = run_length(c, i, '#');
    if (n == 4 && is_hash_answer(c, i + 4)) {
        strbuf_add(c->out, ANSWER_LABEL);
        return 4;
    }
    if (!at_line_start(c->out) || n > 6)
        return 0;
    return n;
}

/* A lone '*': a product between numbers, a bullet at the start of a line, otherwise emphasis. */
static size_t convert_star(const struct converter *c, size_t i)
{
    size_t before = c->out->length, after = i + 1;
    if (at_line_start(c->out) && after < c->length && c->text[after] == ' ') {
        strbuf_add_char(c->out, '-');
        return 1;
    }
    while (before && c->out->data[before - 1] == ' ')
        before--;
    while (after < c->length && c->text[after] == ' ')
        after++;
    if (before && after < c->length && isdigit((unsigned char)c->out->data[before - 1]) &&
        (isdigit((unsigned char)c->text[after]) || c->text[after] == '('))
        strbuf_add(c->out, "×");
    return 1;
}

/* ~~struck out~~ is not part of the answer. */
static size_t convert_strike(const struct converter *c, size_t i)
{
    for (size_t k = i + 2; k + 1 < c->length && c->text[k] != '\n' && k - i < MAX_ARGUMENT; k++)
        if (c->text[k] == '~' && c->text[k + 1] == '~')
            return k + 2 - i;
    return 0;
}

static size_t convert_markdown(const struct converter *c, size_t i)
{
    switch (c->text[i]) {
    case '#':
        return convert_hashes(c, i);
    case '*':
        return run_length(c, i, '*') > 1 ? run_length(c, i, '*') : convert_star(c, i);
    case '`':
    case '$':
        return 1;
    case '>':
        return at_line_start(c->out) ? 1 : 0;
    case '~':
        return run_length(c, i, '~') == 2 ? convert_strike(c, i) : 0;
    case '{':
        if (c->length - i < 3 || memcmp(c->text + i, "{,}", 3))
            return 0;
        strbuf_add_char(c->out, ',');
        return 3;
    }
    return 0;
}

static bool is_invisible(uint32_t c)
{
    return (c >= 0x200B && c <= 0x200F) || c == 0x2060 || c == 0xFEFF || c == 0xAD ||
           (c >= 0xFE00 && c <= 0xFE0F) || (c >= 0x202A && c <= 0x202E);
}

static uint32_t fold(uint32_t c)
{
    if (c >= 0xFF01 && c <= 0xFF5E)
        return c - 0xFEE0;
    if (c >= 0x1D7CE && c <= 0x1D7FF)
        return '0' + (c - 0x1D7CE) % 10;
    if (c == 0x2212 || c == 0xFE63 || c == 0x2010 || c == 0x2011)
        return '-';
    if (c == 0x2044 || c == 0x2215)
        return '/';
    if (c == 0xFFE5)
        return 0xA5;
    return text_is_space(c) && c != '\n' ? ' ' : c;
}

/* ² is "^2", ½ is "1/2": a digit, or false. */
static bool convert_special_digit(struct strbuf *out, uint32_t c)
{
    static const struct {
        uint32_t codepoint;
        const char *text;
    } digits[] = {{0xB2, "^2"},    {0xB3, "^3"},    {0xB9, "^1"},    {0xBC, "1/4"},
                  {0xBD, "1/2"},   {0xBE, "3/4"},   {0x2153, "1/3"}, {0x2154, "2/3"},
                  {0x2155, "1/5"}, {0x215B, "1/8"}, {0x2070, "^0"},  {0x2074, "^4"},
                  {0x2075, "^5"},  {0x2076, "^6"},  {0x2077, "^7"},  {0x2078, "^8"},
                  {0x2079, "^9"}};
    for (size_t i = 0; i < sizeof digits / sizeof *digits; i++)
        if (digits[i].codepoint == c) {
            if (digits[i].text[0] != '^' && isdigit((unsigned char)last_char(out)))
                strbuf_add_char(out, ' ');
            strbuf_add(out, digits[i].text);
            return true;
        }
    return false;
}

static size_t convert_codepoint(const struct converter *c, size_t i)
{
    uint32_t codepoint;
    size_t n = text_next(c->text + i, c->length - i, &codepoint);
    if (codepoint != '\r' && !is_invisible(codepoint) && !convert_special_digit(c->out, codepoint))
        strbuf_add_codepoint(c->out, fold(codepoint));
    return n;
}

static void convert(const char *text, size_t length, struct strbuf *out, unsigned depth)
{
    struct converter c = {text, length, out, depth};
    for (size_t i = 0; i < length;) {
        size_t n = depth < MAX_DEPTH ? convert_latex(&c, i) : 0;
        if (!n)
            n = convert_html(&c, i);
        if (!n)
            n = convert_markdown(&c, i);
        if (!n)
            n = convert_codepoint(&c, i);
        i += n;
    }
}

char *answer_plain(const char *text, size_t length, size_t *plain_length)
{
    struct strbuf out = {0};
    convert(text, length, &out, 0);
    strbuf_append(&out, "", 0);
    *plain_length = out.length;
    return strbuf_take(&out);
}
