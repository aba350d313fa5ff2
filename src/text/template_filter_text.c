/* Filters that make or read text. */
#include "base/size.h"
#include "text/template_value.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FILTER(name)                                                                               \
    static bool filter_##name(struct render *r, const struct call *call, struct value *result)

/* Runs the string method of the same name on the subject as a string. */
static bool run_method(struct render *r, const struct call *call, const char *method,
                       struct value *result)
{
    struct value text;
    return value_to_string(r, call->subject, &text) &&
           run_builtin(r, find_string_method(literal_value(method).text), text, &call->all, result);
}

FILTER(upper)
{
    return run_method(r, call, "upper", result);
}

FILTER(lower)
{
    return run_method(r, call, "lower", result);
}

FILTER(capitalize)
{
    return run_method(r, call, "capitalize", result);
}

FILTER(center)
{
    struct value width = call->arg[0].type == VALUE_MISSING ? int_value(80) : call->arg[0], text;
    struct arguments arguments = {.items = &width, .count = 1};
    return value_to_string(r, call->subject, &text) &&
           run_builtin(r, find_string_method(literal_value("center").text), text, &arguments,
                       result);
}

FILTER(trim)
{
    struct value chars = call->arg[0], text;
    struct arguments arguments = {.items = &chars, .count = chars.type != VALUE_MISSING};
    return value_to_string(r, call->subject, &text) &&
           run_builtin(r, find_string_method(literal_value("strip").text), text, &arguments,
                       result);
}

FILTER(replace)
{
    struct value text, parts[3] = {call->arg[0], call->arg[1], call->arg[2]};
    struct arguments arguments = {.items = parts, .count = 2};
    if (!value_to_string(r, call->subject, &text) || !value_to_string(r, parts[0], &parts[0]) ||
        !value_to_string(r, parts[1], &parts[1]))
        return false;
    text.flags &= ~(unsigned)STRING_MARKUP;
    arguments.count += argument_given(call, 2);
    return run_builtin(r, find_string_method(literal_value("replace").text), text, &arguments,
                       result);
}

FILTER(string)
{
    return value_to_string(r, call->subject, result);
}

static bool is_word_separator(uint32_t c)
{
    return c == '-' || c == '(' || c == '{' || c == '[' || c == '<' || codepoint_is_space(c);
}

FILTER(title)
{
    struct text_builder b = {.r = r};
    struct value text;
    if (!value_to_string(r, call->subject, &text))
        return false;
    bool starting = true;
    for (size_t at = 0; at < text.text.length && !b.failed;) {
        size_t begin = at;
        uint32_t c = chars_next(text.text, &at);
        struct text_ref one = {text.text.data + begin, at - begin};
        if (starting)
            builder_add_upper(&b, one);
        else
            builder_add_lower(&b, one);
        starting = is_word_separator(c);
    }
    return builder_finish(&b, result);
}

FILTER(join)
{
    struct text_builder b = {.r = r};
    struct value_list items;
    struct value separator = call->arg[0];
    if (!value_iterate(r, call->subject, &items))
        return false;
    for (size_t i = 0; i < items.count; i++) {
        struct value item = items.items[i];
        if (argument_given(call, 1) && !attribute_path(r, item, call->arg[1], NULL, &item))
            return false;
        if (i && !value_add_str(&b, separator))
            return false;
        if (!value_add_str(&b, item))
            return false;
    }
    return builder_finish(&b, result);
}

/* ---- HTML ---- */

bool escape_html(struct render *r, struct value v, struct value *result)
{
    struct text_builder b = {.r = r};
    struct value text;
    if (v.type == VALUE_STRING && v.flags & STRING_MARKUP) {
        *result = v;
        return true;
    }
    if (!value_to_string(r, v, &text))
        return false;
    for (size_t i = 0; i < text.text.length; i++) {
        char c = text.text.data[i];
        const char *entity = c == '&'    ? "&amp;"
                             : c == '<'  ? "&lt;"
                             : c == '>'  ? "&gt;"
                             : c == '"'  ? "&#34;"
                             : c == '\'' ? "&#39;"
                                         : NULL;
        if (entity)
            builder_add_string(&b, entity);
        else
            builder_add_char(&b, c);
    }
    if (!builder_finish(&b, result))
        return false;
    result->flags |= STRING_MARKUP;
    return true;
}

FILTER(escape)
{
    return escape_html(r, call->subject, result);
}

FILTER(forceescape)
{
    struct value v = call->subject;
    if (v.type == VALUE_STRING)
        v.flags &= ~(unsigned)STRING_MARKUP;
    return escape_html(r, v, result);
}

FILTER(safe)
{
    if (!value_to_string(r, call->subject, result))
        return false;
    result->flags |= STRING_MARKUP;
    return true;
}

FILTER(xmlattr)
{
    struct text_builder b = {.r = r};
    struct value v = call->subject;
    bool space = call->arg[0].type == VALUE_MISSING || value_truth(call->arg[0]);
    if (v.type == VALUE_UNDEFINED)
        return render_fail_undefined(r, v);
    if (v.type != VALUE_DICT)
        return render_fail(r, "xmlattr needs a mapping, not '%s'", value_type_name(v));
    for (size_t i = 0; i < v.dict->count; i++) {
        struct value key = v.dict->entries[i].key, value = v.dict->entries[i].value;
        if (value.type == VALUE_NONE || value.type == VALUE_UNDEFINED)
            continue;
        if (key.type != VALUE_STRING)
            return render_fail(r, "xmlattr: a key is not a string");
        for (size_t k = 0; k < key.text.length; k++)
            if (key.text.data[k] && strchr(" \t\n\r\f\v/>=", key.text.data[k]))
                return render_fail(r, "Invalid character in attribute name: '%.*s'",
                                   (int)key.text.length, key.text.data);
        if (!escape_html(r, key, &key) || !escape_html(r, value, &value))
            return false;
        if (b.length || space)
            builder_add_char(&b, ' ');
        builder_add(&b, key.text.data, key.text.length);
        builder_add_string(&b, "=\"");
        builder_add(&b, value.text.data, value.text.length);
        builder_add_char(&b, '"');
    }
    return builder_finish(&b, result);
}

static void add_unescaped(struct text_builder *b, struct text_ref text)
{
    static const struct {
        const char *name;
        uint32_t c;
    } entities[] = {{"&lt;", '<'},   {"&gt;", '>'},    {"&amp;", '&'},
                    {"&quot;", '"'}, {"&apos;", '\''}, {"&nbsp;", 0xA0}};
    for (size_t at = 0; at < text.length && !b->failed;) {
        struct text_ref rest = {text.data + at, text.length - at};
        size_t used = 0;
        for (size_t i = 0; *rest.data == '&' && !used && i < sizeof entities / sizeof *entities;
             i++) {
            size_t n = strlen(entities[i].name);
            if (rest.length >= n && !memcmp(rest.data, entities[i].name, n)) {
                builder_add_codepoint(b, entities[i].c);
                used = n;
            }
        }
        if (!used && rest.length > 3 && rest.data[0] == '&' && rest.data[1] == '#') {
            char digits[12] = {0}, *end;
            memcpy(digits, rest.data + 2, size_min(rest.length - 2, 11));
            bool hex = (digits[0] | 32) == 'x';
            unsigned long c = strtoul(digits + hex, &end, hex ? 16 : 10);
            if (end > digits + hex && *end == ';') {
                builder_add_codepoint(b, (uint32_t)c);
                used = (size_t)(end - digits) + 3;
            }
        }
        if (!used)
            builder_add_char(b, text.data[at]);
        at += used ? used : 1;
    }
}

/* text without <!-- comments --> and <tags>. */
static void add_without_tags(struct text_builder *b, struct text_ref text)
{
    struct text_ref comment_end = {"-->", 3}, tag_end = {">", 1};
    size_t no_end = SIZE_MAX; /* from here on no ">" follows */
    for (size_t at = 0; at < text.length && !b->failed;) {
        bool comment = text.length - at >= 4 && !memcmp(text.data + at, "<!--", 4);
        size_t end = SIZE_MAX;
        if (text.data[at] == '<' && at < no_end) {
            if (comment)
                end = chars_find(text, comment_end, at + 4);
            if (end != SIZE_MAX)
                end += 3;
            else if ((end = chars_find(text, tag_end, at + 1)) != SIZE_MAX)
                end++;
            else
                no_end = at;
        }
        if (end == SIZE_MAX)
            builder_add_char(b, text.data[at]);
        at = end == SIZE_MAX ? at + 1 : end;
    }
}

FILTER(striptags)
{
    struct text_builder bare = {.r = r}, spaced = {.r = r}, plain = {.r = r};
    struct value text, words;
    struct arguments none = {0};
    if (!value_to_string(r, call->subject, &text))
        return false;
    add_without_tags(&bare, text.text);
    if (!builder_finish(&bare, &text) ||
        !run_builtin(r, find_string_method(literal_value("split").text), text, &none, &words))
        return false;
    for (size_t i = 0; i < words.list->count; i++) {
        struct text_ref word = words.list->items[i].text;
        if (i)
            builder_add_char(&spaced, ' ');
        builder_add(&spaced, word.data, word.length);
    }
    if (!builder_finish(&spaced, &text))
        return false;
    add_unescaped(&plain, text.text);
    return builder_finish(&plain, result);
}

/* ---- numbers ---- */

static bool digits_only(struct text_ref text, struct text_builder *digits)
{
    bool before = false;
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        if (c == '_') {
            if (!before || i + 1 == text.length)
                return false;
            before = false;
            continue;
        }
        before = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
        builder_add_char(digits, c);
    }
    return !digits->failed;
}

enum parsed { PARSED, NOT_A_NUMBER, FAILED };

static enum parsed parse_int(struct render *r, struct text_ref text, int64_t base,
                             struct value *result)
{
    struct text_builder digits = {.r = r};
    text = chars_strip(text, NULL, true, true);
    bool negative = text.length && text.data[0] == '-';
    if (text.length && (text.data[0] == '-' || text.data[0] == '+'))
        text = (struct text_ref){text.data + 1, text.length - 1};
    char prefix = text.length > 2 && text.data[0] == '0' ? (char)(text.data[1] | 32) : 0;
    int64_t of_prefix = prefix == 'x' ? 16 : prefix == 'o' ? 8 : prefix == 'b' ? 2 : 0;
    if (of_prefix && (base == of_prefix || base == 0)) {
        text = (struct text_ref){text.data + 2, text.length - 2};
        if (text.data[0] == '_')
            text = (struct text_ref){text.data + 1, text.length - 1};
        base = of_prefix;
    }
    bool octal_like = base == 0 && text.length > 1 && text.data[0] == '0';
    base = base == 0 ? 10 : base;
    if (text.length == 0 || base < 2 || base > 36 || !digits_only(text, &digits))
        return r->failed ? FAILED : NOT_A_NUMBER;
    builder_add_char(&digits, 0);
    char *end;
    if (digits.failed)
        return FAILED;
    errno = 0;
    unsigned long long size = strtoull(digits.data, &end, (int)base);
    bool sign_inside = strchr("+-", digits.data[0]) && digits.data[0];
    if (end != digits.data + digits.length - 1 || sign_inside || (octal_like && size) ||
        codepoint_is_space((unsigned char)digits.data[0]))
        return NOT_A_NUMBER;
    if (errno || size > INT64_MAX) {
        render_fail_status(r, STATUS_UNSUPPORTED, "a whole number does not fit into 64 bits");
        return FAILED;
    }
    *result = int_value(negative ? -(int64_t)size : (int64_t)size);
    return PARSED;
}

static bool is_float_text(const char *text)
{
    static const char *const words[] = {"inf", "infinity", "nan"};
    const char *p = text + (*text == '-' || *text == '+');
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcasecmp(p, words[i]))
            return true;
    return *p && strspn(p, "0123456789.eE+-") == strlen(p);
}

static enum parsed parse_float(struct render *r, struct text_ref text, struct value *result)
{
    struct text_builder digits = {.r = r};
    text = chars_strip(text, NULL, true, true);
    if (!digits_only(text, &digits))
        return r->failed ? FAILED : NOT_A_NUMBER;
    builder_add_char(&digits, 0);
    if (digits.failed)
        return FAILED;
    *result = float_value(0);
    bool ok = strlen(digits.data) == digits.length - 1 && is_float_text(digits.data) &&
              parse_double(digits.data, digits.length - 1, &result->real);
    return ok ? PARSED : NOT_A_NUMBER;
}

static bool truncate_real(struct render *r, double real, struct value fallback,
                          struct value *result)
{
    if (isnan(real)) {
        *result = fallback;
        return true;
    }
    if (isinf(real))
        return render_fail(r, "cannot convert float infinity to integer");
    if (fabs(real) >= 0x1p63)
        return render_fail_status(r, STATUS_UNSUPPORTED,
                                  "a whole number does not fit into 64 bits");
    *result = int_value((int64_t)real);
    return true;
}

FILTER(int)
{
    struct value fallback = call->arg[0].type == VALUE_MISSING ? int_value(0) : call->arg[0];
    struct value v = call->subject, real;
    int64_t base;
    if (!argument_int(r, call, 1, 10, &base))
        return false;
    if (v.type == VALUE_UNDEFINED)
        return render_fail_undefined(r, v);
    if (v.type == VALUE_FLOAT)
        return truncate_real(r, v.real, fallback, result);
    *result = value_is_integer(v) ? int_value(value_integer(v)) : fallback;
    if (v.type != VALUE_STRING)
        return true;
    enum parsed parsed = parse_int(r, v.text, base, result);
    if (parsed != NOT_A_NUMBER)
        return parsed == PARSED;
    parsed = parse_float(r, v.text, &real);
    return parsed == PARSED ? truncate_real(r, real.real, fallback, result)
                            : parsed == NOT_A_NUMBER;
}

FILTER(float)
{
    struct value v = call->subject;
    *result = call->arg[0].type == VALUE_MISSING ? float_value(0) : call->arg[0];
    if (v.type == VALUE_UNDEFINED)
        return render_fail_undefined(r, v);
    if (value_is_number(v)) {
        *result = float_value(value_real(v));
        return true;
    }
    struct value fallback = *result;
    enum parsed parsed = v.type == VALUE_STRING ? parse_float(r, v.text, result) : NOT_A_NUMBER;
    if (parsed == NOT_A_NUMBER)
        *result = fallback;
    return parsed != FAILED;
}

FILTER(filesizeformat)
{
    static const char *const prefixes[] = {"k", "M", "G", "T", "P", "E", "Z", "Y"};
    struct text_builder b = {.r = r};
    struct value number;
    bool binary = argument_truth(call, 0);
    double base = binary ? 1024 : 1000, unit = base;
    if (!filter_float(r, call, &number))
        return false;
    if (!value_is_number(call->subject) && call->subject.type != VALUE_STRING)
        return render_fail(r, "filesizeformat needs a number");
    if (number.real == 1) {
        *result = literal_value("1 Byte");
        return true;
    }
    if (number.real < base) {
        if (!value_to_string(r, int_value((int64_t)number.real), result))
            return false;
        builder_add(&b, result->text.data, result->text.length);
        builder_add_string(&b, " Bytes");
        return builder_finish(&b, result);
    }
    size_t i = 0;
    while (i + 1 < sizeof prefixes / sizeof *prefixes && number.real >= unit * base) {
        unit *= base;
        i++;
    }
    if (!builder_add_real(&b, number.real / unit, 'f', 1, false))
        return false;
    builder_add_char(&b, ' ');
    builder_add_string(&b, binary && i == 0 ? "K" : prefixes[i]);
    builder_add_string(&b, binary ? "iB" : "B");
    return builder_finish(&b, result);
}

/* ---- layout ---- */

static bool subject_lines(struct render *r, struct value text, struct value_list *lines)
{
    struct arguments none = {0};
    struct value list;
    if (text.type == VALUE_UNDEFINED)
        return render_fail_undefined(r, text);
    if (text.type != VALUE_STRING)
        return render_fail(r, "expected a string, not '%s'", value_type_name(text));
    if (!run_builtin(r, find_string_method(literal_value("splitlines").text), text, &none, &list))
        return false;
    *lines = *list.list;
    return true;
}

FILTER(indent)
{
    struct text_builder b = {.r = r}, spaces = {.r = r}, ended = {.r = r};
    struct value indent = call->arg[0], text = call->subject;
    struct value_list lines;
    bool first = argument_truth(call, 1), blank = argument_truth(call, 2);
    int64_t width;
    if (indent.type != VALUE_STRING) {
        if (!argument_int(r, call, 0, 4, &width))
            return false;
        builder_add_repeat(&spaces, " ", 1, width > 0 ? (size_t)width : 0);
        if (!builder_finish(&spaces, &indent))
            return false;
    }
    if (text.type == VALUE_STRING) {
        builder_add(&ended, text.text.data, text.text.length);
        builder_add_char(&ended, '\n');
        if (!builder_finish(&ended, &text))
            return false;
    }
    if (!subject_lines(r, text, &lines))
        return false;
    for (size_t i = 0; i < lines.count; i++) {
        struct text_ref line = lines.items[i].text;
        if (i)
            builder_add_char(&b, '\n');
        if (i ? line.length || blank : first)
            builder_add(&b, indent.text.data, indent.text.length);
        builder_add(&b, line.data, line.length);
    }
    return builder_finish(&b, result);
}

FILTER(truncate)
{
    struct text_builder b = {.r = r};
    struct value v = call->subject;
    struct text_ref end, space = {" ", 1};
    int64_t length, leeway;
    size_t count;
    if (!argument_int(r, call, 0, 255, &length) || !argument_text(r, call, 2, "...", &end) ||
        !argument_int(r, call, 3, 5, &leeway) || !value_length(r, v, &count))
        return false;
    int64_t end_count = (int64_t)string_count(string_value(end.data, end.length));
    if (length < end_count || leeway < 0)
        return render_fail(r, "truncate: the length is less than that of the end mark");
    if (leeway > INT64_MAX - length || (int64_t)count <= length + leeway) {
        *result = v;
        return true;
    }
    if (v.type != VALUE_STRING)
        return render_fail(r, "truncate needs a string, not '%s'", value_type_name(v));
    struct value kept = string_part(v, 0, string_offset(v, (size_t)(length - end_count)));
    size_t cut = argument_truth(call, 1) ? SIZE_MAX : chars_find_last(kept.text, space);
    builder_add(&b, kept.text.data, cut == SIZE_MAX ? kept.text.length : cut);
    builder_add(&b, end.data, end.length);
    return builder_finish(&b, result);
}

FILTER(wordcount)
{
    struct value text;
    int64_t n = 0;
    bool in_word = false;
    if (!value_to_string(r, call->subject, &text))
        return false;
    for (size_t at = 0; at < text.text.length;) {
        bool word = codepoint_is_word(chars_next(text.text, &at));
        n += word && !in_word;
        in_word = word;
    }
    *result = int_value(n);
    return render_spend_bytes(r, text.text.length);
}

static bool is_letter_at(struct text_ref text, size_t at)
{
    return at < text.length && codepoint_is_word(chars_next(text, &at)) &&
           !(text.data[at - 1] >= '0' && text.data[at - 1] <= '9');
}

/* Where the piece of a line that begins at `at` ends: white space, or a word, which may be
 * broken behind a hyphen between letters. */
static size_t chunk_end(struct text_ref line, size_t at, bool break_on_hyphens)
{
    size_t begin = at, next = at;
    bool space = codepoint_is_space(chars_next(line, &next));
    for (at = next; at < line.length; at = next) {
        uint32_t c = chars_next(line, &next);
        if (codepoint_is_space(c) != space)
            break;
        if (!space && break_on_hyphens && line.data[at - 1] == '-' && at - 1 > begin &&
            is_letter_at(line, at) && line.data[at - 2] != '-') {
            size_t before = at - 1;
            if (codepoint_is_word(chars_previous(line, &before)))
                break;
        }
    }
    return at;
}

struct wrap {
    struct text_builder *out;
    struct text_ref separator;
    struct text_ref line; /* the output line so far, a part of the input */
    size_t width, used;   /* code points */
    bool any;
};

static void wrap_flush(struct wrap *w, bool strip)
{
    struct text_ref line = chars_strip(w->line, NULL, false, strip);
    if (!line.length)
        return;
    if (w->any)
        builder_add(w->out, w->separator.data, w->separator.length);
    builder_add(w->out, line.data, line.length);
    w->any = true;
    w->line.length = 0;
    w->used = 0;
}

static void wrap_line(struct wrap *w, struct text_ref line, bool break_long, bool hyphens)
{
    w->line = (struct text_ref){line.data, 0};
    w->used = 0;
    for (size_t at = 0; at < line.length && !w->out->failed;) {
        size_t end = chunk_end(line, at, hyphens);
        struct value chunk = string_value(line.data + at, end - at);
        size_t n = string_count(chunk), next = at;
        bool space = codepoint_is_space(chars_next(line, &next));
        if (w->used + n > w->width) {
            if (n > w->width && break_long && w->used <= w->width) {
                size_t fits = string_offset(chunk, w->width - w->used);
                w->line.length += fits;
                at += fits;
                wrap_flush(w, fits > 0); /* textwrap's way: a full line keeps its last blank */
                w->line = (struct text_ref){line.data + at, 0};
                w->used = 0;
                continue;
            }
            if (w->used) {
                wrap_flush(w, true);
                w->used = 0;
                w->line = (struct text_ref){line.data + at, 0};
                if (!space)
                    continue;
            }
        }
        if (space && !w->used && w->any) { /* dropped at the beginning of later lines */
            at = end;
            w->line = (struct text_ref){line.data + at, 0};
            continue;
        }
        w->line.length += end - at;
        w->used += n;
        at = end;
    }
    wrap_flush(w, true);
}

FILTER(wordwrap)
{
    struct text_builder b = {.r = r};
    struct value_list lines;
    struct text_ref separator;
    int64_t width;
    bool break_long = call->arg[1].type == VALUE_MISSING || value_truth(call->arg[1]);
    bool hyphens = call->arg[3].type == VALUE_MISSING || value_truth(call->arg[3]);
    if (!argument_int(r, call, 0, 79, &width) || !argument_text(r, call, 2, "\n", &separator) ||
        !subject_lines(r, call->subject, &lines))
        return false;
    if (width <= 0)
        return render_fail(r, "wordwrap: the width has to be above 0");
    for (size_t i = 0; i < lines.count && !b.failed; i++) {
        struct wrap w = {.out = &b, .separator = separator, .width = (size_t)width};
        if (i)
            builder_add(&b, separator.data, separator.length);
        wrap_line(&w, lines.items[i].text, break_long, hyphens);
    }
    return builder_finish(&b, result);
}

FILTER(format)
{
    struct value arguments;
    struct value_list items = {call->all.items, call->all.count, call->all.count};
    struct value text;
    if (call->all.count && call->all.n_keywords)
        return render_fail(r, "can't handle positional and keyword arguments at the same time");
    if (!value_to_string(r, call->subject, &text))
        return false;
    if (!call->all.n_keywords)
        return list_value(r, VALUE_TUPLE, items, &arguments) &&
               format_percent(r, text, arguments, result);
    struct value_dict *dict = dict_new(r);
    for (size_t i = 0; dict && i < call->all.n_keywords; i++) {
        const struct keyword *k = &call->all.keywords[i];
        if (!dict_set(r, dict, string_value(k->name.data, k->name.length), k->value))
            return false;
    }
    arguments = (struct value){.type = VALUE_DICT, .dict = dict};
    return dict && format_percent(r, text, arguments, result);
}

static void add_quoted(struct text_builder *b, struct text_ref text, bool in_query)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.length && !b->failed; i++) {
        unsigned char c = (unsigned char)text.data[i];
        bool plain = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
                     (c && strchr("_.-~", c)) || (c == '/' && !in_query);
        if (plain) {
            builder_add_char(b, (char)c);
        } else if (c == ' ' && in_query) {
            builder_add_char(b, '+');
        } else {
            builder_add_char(b, '%');
            builder_add_char(b, hex[c >> 4]);
            builder_add_char(b, hex[c & 15]);
        }
    }
}

FILTER(urlencode)
{
    struct text_builder b = {.r = r};
    struct value v = call->subject, text;
    struct value_list pairs;
    if (v.type == VALUE_STRING || !value_iterable(v)) {
        if (!value_to_string(r, v, &text))
            return false;
        add_quoted(&b, text.text, false);
        return builder_finish(&b, result);
    }
    if (v.type == VALUE_DICT)
        v = (struct value){.type = VALUE_VIEW, .flags = VIEW_ITEMS, .dict = v.dict};
    if (!value_iterate(r, v, &pairs))
        return false;
    for (size_t i = 0; i < pairs.count; i++) {
        struct value_list pair;
        if (!value_iterate(r, pairs.items[i], &pair))
            return false;
        if (pair.count != 2)
            return render_fail(r, "urlencode needs pairs");
        for (size_t k = 0; k < 2; k++) {
            if (!value_to_string(r, pair.items[k], &text))
                return false;
            if (i || k)
                builder_add_char(&b, k ? '=' : '&');
            add_quoted(&b, text.text, true);
        }
    }
    return builder_finish(&b, result);
}

FILTER(pprint)
{
    enum { LINE = 80 };
    struct text_builder b = {.r = r};
    bool container = call->subject.type == VALUE_LIST || call->subject.type == VALUE_TUPLE ||
                     call->subject.type == VALUE_DICT;
    if (!value_add_repr(&b, call->subject) || !builder_finish(&b, result))
        return false;
    if (string_count(*result) <= LINE &&
        !(container && call->subject.type == VALUE_DICT && call->subject.dict->count > 1))
        return true;
    return render_fail_status(r, STATUS_UNSUPPORTED,
                              "pprint of more than a line is not supported; use tojson(indent=2)");
}

FILTER(refused)
{
    (void)result;
    return render_fail_status(r, STATUS_UNSUPPORTED, "the filter '%s' is not supported",
                              call->builtin->name);
}

static const struct builtin filters[] = {
    {"capitalize", filter_capitalize, ""},
    {"center", filter_center, "width?"},
    {"e", filter_escape, ""},
    {"escape", filter_escape, ""},
    {"filesizeformat", filter_filesizeformat, "binary?"},
    {"float", filter_float, "default?"},
    {"forceescape", filter_forceescape, ""},
    {"format", filter_format, "*"},
    {"indent", filter_indent, "width? first? blank?"},
    {"int", filter_int, "default? base?"},
    {"join", filter_join, "d? attribute?"},
    {"lower", filter_lower, ""},
    {"pprint", filter_pprint, ""},
    {"random", filter_refused, "*"},
    {"replace", filter_replace, "old new count?"},
    {"safe", filter_safe, ""},
    {"string", filter_string, ""},
    {"striptags", filter_striptags, ""},
    {"title", filter_title, ""},
    {"trim", filter_trim, "chars?"},
    {"truncate", filter_truncate, "length? killwords? end? leeway?"},
    {"upper", filter_upper, ""},
    {"urlencode", filter_urlencode, ""},
    {"urlize", filter_refused, "*"},
    {"wordcount", filter_wordcount, ""},
    {"wordwrap", filter_wordwrap, "width? break_long_words? wrapstring? break_on_hyphens?"},
    {"xmlattr", filter_xmlattr, "autospace?"},
    {0}};

const struct builtin *find_text_filter(struct text_ref name)
{
    return find_builtin(filters, name);
}
