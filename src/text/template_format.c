/* "%s" % x and "{}".format(x), as Python formats. */
#include "text/template_value.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_PRECISION = 1000, MAX_WIDTH = 1000000 };

/* One conversion: of %5.2f as well as of {:>5.2f}. */
struct spec {
    char fill[4];
    size_t fill_length;
    char align; /* '<' '>' '^' '=' or 0 */
    char sign;  /* '+' '-' ' ' or 0 */
    bool alternate, zero;
    char grouping; /* ',' '_' or 0 */
    size_t width;
    int precision; /* -1: none */
    char type;     /* 0: none */
};

bool builder_add_real(struct text_builder *b, double real, char conversion, int precision,
                      bool alternate)
{
    char format[] = {'%', '.', '*', conversion, 0}, sharp[] = {'%', '#', '.', '*', conversion, 0};
    char text[MAX_PRECISION + 340];
    if (precision > MAX_PRECISION)
        return render_fail_status(b->r, STATUS_LIMIT, "a precision over %d is not supported",
                                  MAX_PRECISION);
    snprintf(text, sizeof text, alternate ? sharp : format, precision, real);
    for (char *p = text; *p; p++) /* whatever the locale's decimal point is */
        builder_add_char(b, strchr("+-0123456789eEinfaINFA", *p) ? *p : '.');
    return !b->failed;
}

static void add_padded(struct text_builder *b, struct value text, const struct spec *spec,
                       char fallback_align)
{
    size_t n = string_count(text);
    size_t pad = spec->width > n ? spec->width - n : 0, before = 0;
    char align = spec->align ? spec->align : fallback_align;
    const char *fill = spec->fill_length ? spec->fill : " ";
    size_t fill_length = spec->fill_length ? spec->fill_length : 1;
    if (align == '>' || align == '=')
        before = pad;
    else if (align == '^')
        before = pad / 2;
    builder_add_repeat(b, fill, fill_length, before);
    builder_add(b, text.text.data, text.text.length);
    builder_add_repeat(b, fill, fill_length, pad - before);
}

static void add_digits_grouped(struct text_builder *b, struct text_ref digits, char grouping,
                               size_t every)
{
    for (size_t i = 0; i < digits.length; i++) {
        if (grouping && i && (digits.length - i) % every == 0)
            builder_add_char(b, grouping);
        builder_add_char(b, digits.data[i]);
    }
}

/* A number's sign, prefix and digits, padded; '=' (and zero) pad behind the sign. */
static bool add_number(struct text_builder *b, bool negative, const char *prefix,
                       struct text_ref digits, const struct spec *spec)
{
    struct text_builder whole = {.r = b->r}, grouped = {.r = b->r};
    struct value text;
    size_t whole_digits = 0;
    while (whole_digits < digits.length && (digits.data[whole_digits] >= '0') &&
           strchr("0123456789abcdefABCDEF", digits.data[whole_digits]) &&
           !(spec->type && strchr("eEfFgG", spec->type) && digits.data[whole_digits] > '9'))
        whole_digits++;
    bool hex = spec->type && strchr("xXbo", spec->type);
    add_digits_grouped(&grouped, (struct text_ref){digits.data, whole_digits}, spec->grouping,
                       hex ? 4 : 3);
    builder_add(&grouped, digits.data + whole_digits, digits.length - whole_digits);
    char sign = negative ? '-' : spec->sign == '+' || spec->sign == ' ' ? spec->sign : 0;
    if (sign)
        builder_add_char(&whole, sign);
    builder_add_string(&whole, prefix);
    size_t used = whole.length + grouped.length;
    if ((spec->zero && !spec->align) || spec->align == '=') {
        const char *fill = spec->fill_length ? spec->fill : spec->zero ? "0" : " ";
        builder_add_repeat(&whole, fill, spec->fill_length ? spec->fill_length : 1,
                           spec->width > used ? spec->width - used : 0);
    }
    builder_add(&whole, grouped.data, grouped.length);
    if (grouped.failed || !builder_finish(&whole, &text))
        return false;
    add_padded(b, text, spec, '>');
    return !b->failed;
}

static bool add_int(struct text_builder *b, int64_t i, const struct spec *spec)
{
    char digits[80];
    uint64_t size = i < 0 ? -(uint64_t)i : (uint64_t)i;
    size_t n = 0;
    unsigned base = spec->type == 'x' || spec->type == 'X' ? 16
                    : spec->type == 'o'                    ? 8
                    : spec->type == 'b'                    ? 2
                                                           : 10;
    const char *characters = spec->type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
    const char *prefix = "";
    do
        digits[sizeof digits - ++n] = characters[size % base];
    while (size /= base);
    if (spec->alternate && base != 10)
        prefix = spec->type == 'X' ? "0X" : base == 16 ? "0x" : base == 8 ? "0o" : "0b";
    struct text_builder padded = {.r = b->r};
    if (spec->precision > MAX_PRECISION)
        return render_fail_status(b->r, STATUS_LIMIT, "a precision over %d is not supported",
                                  MAX_PRECISION);
    if (spec->precision > (int)n)
        builder_add_repeat(&padded, "0", 1, (size_t)spec->precision - n);
    builder_add(&padded, digits + sizeof digits - n, n);
    return !padded.failed &&
           add_number(b, i < 0, prefix, (struct text_ref){padded.data, padded.length}, spec);
}

static bool add_real(struct text_builder *b, double d, const struct spec *spec, bool percent_style)
{
    struct text_builder digits = {.r = b->r};
    char type = spec->type;
    int precision = spec->precision;
    double size = fabs(d);
    if (!type && precision < 0 && !percent_style) {
        builder_add_float(&digits, size);
    } else {
        if (type == '%')
            size *= 100;
        char conversion = type == '%' ? 'f' : type == 'n' || !type ? 'g' : type;
        precision = precision < 0 ? 6 : precision;
        if (!builder_add_real(&digits, size, conversion, precision, spec->alternate))
            return false;
        if (type == '%')
            builder_add_char(&digits, '%');
    }
    struct spec real_spec = *spec;
    if (!real_spec.type)
        real_spec.type = 'g';
    return !digits.failed && add_number(b, signbit(d) != 0, "",
                                        (struct text_ref){digits.data, digits.length}, &real_spec);
}

/* ---- % ---- */

struct percent {
    struct render *r;
    struct text_ref format;
    size_t at;
    struct value arguments;
    const struct value_list *tuple; /* the arguments where they are several */
    size_t next;
    bool keyed;
};

static bool next_argument(struct percent *p, struct value *value)
{
    size_t count = p->tuple ? p->tuple->count : 1;
    if (p->next >= count)
        return render_fail(p->r, "not enough arguments for format string");
    *value = p->tuple ? p->tuple->items[p->next] : p->arguments;
    p->next++;
    return true;
}

static char peek_format(const struct percent *p)
{
    return p->at < p->format.length ? p->format.data[p->at] : 0;
}

static bool percent_key(struct percent *p, struct value *value)
{
    size_t begin = ++p->at, depth = 1;
    for (; p->at < p->format.length; p->at++) {
        char c = p->format.data[p->at];
        depth += c == '(';
        depth -= c == ')';
        if (!depth)
            break;
    }
    if (p->at >= p->format.length)
        return render_fail(p->r, "incomplete format key");
    struct text_ref key = {p->format.data + begin, p->at++ - begin};
    if (p->arguments.type != VALUE_DICT)
        return render_fail(p->r, "format requires a mapping");
    struct dict_entry *entry = dict_find_text(p->r, p->arguments.dict, key);
    if (!entry)
        return p->r->failed ? false
                            : render_fail(p->r, "no value for the key '%.*s' of a format string",
                                          (int)key.length, key.data);
    *value = entry->value;
    p->keyed = true;
    return true;
}

/* A number in the format, or * for one of the arguments. */
static bool percent_number(struct percent *p, int64_t *number)
{
    struct value v;
    *number = 0;
    if (peek_format(p) == '*') {
        p->at++;
        if (!next_argument(p, &v))
            return false;
        if (!value_is_integer(v))
            return render_fail(p->r, "* wants int");
        *number = value_integer(v);
    } else {
        while (peek_format(p) >= '0' && peek_format(p) <= '9' && *number <= MAX_WIDTH)
            *number = *number * 10 + (p->format.data[p->at++] - '0');
    }
    if (*number > MAX_WIDTH || *number < -MAX_WIDTH)
        return render_fail_status(p->r, STATUS_LIMIT, "a width over %d is not supported",
                                  MAX_WIDTH);
    return true;
}

static bool percent_spec(struct percent *p, struct spec *spec)
{
    int64_t number;
    for (; peek_format(p) && strchr("-+ 0#", peek_format(p)); p->at++) {
        char c = peek_format(p);
        if (c == '-')
            spec->align = '<';
        else if (c == '0')
            spec->zero = true;
        else if (c == '#')
            spec->alternate = true;
        else if (spec->sign != '+')
            spec->sign = c;
    }
    if (!percent_number(p, &number))
        return false;
    if (number < 0)
        spec->align = '<';
    spec->width = (size_t)(number < 0 ? -number : number);
    if (peek_format(p) == '.') {
        p->at++;
        if (!percent_number(p, &number))
            return false;
        spec->precision = number < 0 ? 0 : (int)number;
    }
    while (peek_format(p) && strchr("hlL", peek_format(p)))
        p->at++;
    spec->type = peek_format(p);
    p->at++;
    return spec->type || render_fail(p->r, "incomplete format");
}

static bool percent_text(struct percent *p, struct text_builder *b, struct value v,
                         const struct spec *spec)
{
    struct text_builder repr = {.r = p->r};
    bool ok = spec->type == 's' ? value_add_str(&repr, v) : value_add_repr(&repr, v);
    struct value text;
    if (!ok || !builder_finish(&repr, &text))
        return false;
    if (spec->precision >= 0)
        text = string_part(text, 0, string_offset(text, (size_t)spec->precision));
    add_padded(b, text, spec, '>');
    return !b->failed;
}

static bool percent_char(struct percent *p, struct text_builder *b, struct value v,
                         const struct spec *spec)
{
    struct text_builder c = {.r = p->r};
    struct value text = v;
    if (value_is_integer(v)) {
        int64_t code = value_integer(v);
        if (code < 0 || code > 0x10FFFF)
            return render_fail(p->r, "%%c arg not in range(0x110000)");
        builder_add_codepoint(&c, (uint32_t)code);
        if (!builder_finish(&c, &text))
            return false;
    } else if (v.type != VALUE_STRING || string_count(v) != 1) {
        return render_fail(p->r, "%%c requires int or char");
    }
    add_padded(b, text, spec, '>');
    return !b->failed;
}

static bool percent_integer(struct percent *p, struct text_builder *b, struct value v,
                            const struct spec *spec)
{
    if (v.type == VALUE_UNDEFINED)
        return render_fail_undefined(p->r, v);
    if (v.type == VALUE_FLOAT && strchr("diu", spec->type)) {
        if (!isfinite(v.real) || fabs(v.real) >= 0x1p63)
            return render_fail(p->r, "cannot convert this float to an integer");
        v = int_value((int64_t)v.real);
    }
    if (!value_is_integer(v))
        return render_fail(p->r, "%%%c format: a number is required, not %s", spec->type,
                           value_type_name(v));
    return add_int(b, value_integer(v), spec);
}

static bool percent_one(struct percent *p, struct text_builder *b)
{
    struct spec spec = {.precision = -1};
    struct value v = {0};
    if (peek_format(p) == '(' && !percent_key(p, &v))
        return false;
    if (!percent_spec(p, &spec))
        return false;
    if (spec.type == '%') {
        builder_add_char(b, '%');
        return !b->failed;
    }
    if (!strchr("sradiuxXocfFeEgG", spec.type))
        return render_fail(p->r, "unsupported format character '%c'", spec.type);
    if (v.type == VALUE_MISSING && !next_argument(p, &v))
        return false;
    if (strchr("sra", spec.type))
        return percent_text(p, b, v, &spec);
    if (spec.type == 'c')
        return percent_char(p, b, v, &spec);
    if (strchr("diuxXo", spec.type))
        return percent_integer(p, b, v, &spec);
    if (v.type == VALUE_UNDEFINED)
        return render_fail_undefined(p->r, v);
    if (!value_is_number(v))
        return render_fail(p->r, "must be real number, not %s", value_type_name(v));
    return add_real(b, value_real(v), &spec, true);
}

bool format_percent(struct render *r, struct value format, struct value arguments,
                    struct value *result)
{
    struct percent p = {.r = r, .format = format.text, .arguments = arguments};
    struct text_builder b = {.r = r};
    if (arguments.type == VALUE_TUPLE)
        p.tuple = arguments.list;
    while (p.at < p.format.length) {
        const char *begin = p.format.data + p.at;
        const char *percent = memchr(begin, '%', p.format.length - p.at);
        size_t n = percent ? (size_t)(percent - begin) : p.format.length - p.at;
        builder_add(&b, begin, n);
        p.at += n;
        if (!percent)
            break;
        p.at++;
        if (!render_spend(r, 1) || !percent_one(&p, &b))
            return false;
    }
    size_t count = p.tuple ? p.tuple->count : 1;
    bool ignorable = arguments.type == VALUE_DICT || arguments.type == VALUE_LIST ||
                     arguments.type == VALUE_RANGE || arguments.type == VALUE_UNDEFINED;
    if (p.next < count && !p.keyed && !(ignorable && !p.tuple))
        return render_fail(r, "not all arguments converted during string formatting");
    return builder_finish(&b, result);
}

/* ---- str.format ---- */

struct braces {
    struct render *r;
    const struct arguments *arguments;
    size_t next;
    bool automatic, manual;
};

static bool add_format(struct braces *f, struct text_builder *b, struct text_ref format, int depth);

static bool field_index(struct braces *f, struct text_ref name, struct value *v)
{
    size_t index = 0;
    if (!name.length) {
        f->automatic = true;
        index = f->next++;
    } else {
        f->manual = true;
        for (size_t i = 0; i < name.length && index <= MAX_WIDTH; i++)
            index = index * 10 + (size_t)(name.data[i] - '0');
    }
    if (f->automatic && f->manual)
        return render_fail(f->r, "cannot switch between automatic and manual field numbering");
    if (index >= f->arguments->count)
        return render_fail(f->r, "Replacement index %zu out of range for positional args tuple",
                           index);
    *v = f->arguments->items[index];
    return true;
}

static bool is_number_text(struct text_ref text)
{
    for (size_t i = 0; i < text.length; i++)
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
    return true;
}

static bool field_first(struct braces *f, struct text_ref name, struct value *v)
{
    if (is_number_text(name))
        return field_index(f, name, v);
    for (size_t i = 0; i < f->arguments->n_keywords; i++) {
        const struct keyword *k = &f->arguments->keywords[i];
        if (k->name.length == name.length && !memcmp(k->name.data, name.data, name.length)) {
            *v = k->value;
            return true;
        }
    }
    return render_fail(f->r, "no argument '%.*s' for a format string", (int)name.length, name.data);
}

static size_t name_end(struct text_ref text, size_t at, const char *stops)
{
    while (at < text.length && !strchr(stops, text.data[at]))
        at++;
    return at;
}

/* 0.name[key]: the value that the field names. */
static bool field_value(struct braces *f, struct text_ref name, struct value *v)
{
    size_t at = name_end(name, 0, ".[");
    if (at == 0 && name.length)
        return render_fail(f->r, "a field of a format string lacks its number or name");
    if (!field_first(f, (struct text_ref){name.data, at}, v))
        return false;
    while (at < name.length) {
        bool attribute = name.data[at] == '.';
        size_t begin = at + 1, end = name_end(name, begin, attribute ? ".[" : "]");
        struct value key = string_value(name.data + begin, end - begin);
        if (end == begin || (!attribute && end == name.length))
            return render_fail(f->r, "an empty attribute or a missing ']' in a format string");
        if (!attribute && is_number_text(key.text)) {
            int64_t index = 0;
            for (size_t i = begin; i < end && index <= MAX_WIDTH; i++)
                index = index * 10 + (name.data[i] - '0');
            key = int_value(index);
        }
        if (attribute ? !value_attribute(f->r, *v, key, v) : !value_item(f->r, *v, key, v))
            return false;
        at = end + !attribute;
    }
    return true;
}

static bool is_align(char c)
{
    return c == '<' || c == '>' || c == '^' || c == '=';
}

static bool take_char(struct text_ref text, size_t *at, const char *set, char *c)
{
    if (*at >= text.length || !text.data[*at] || !strchr(set, text.data[*at]))
        return false;
    *c = text.data[(*at)++];
    return true;
}

static bool spec_number(struct braces *f, struct text_ref text, size_t *at, int64_t *number)
{
    for (*number = 0; *at < text.length && text.data[*at] >= '0' && text.data[*at] <= '9'; ++*at)
        if ((*number = *number * 10 + (text.data[*at] - '0')) > MAX_WIDTH)
            return render_fail_status(f->r, STATUS_LIMIT, "a width over %d is not supported",
                                      MAX_WIDTH);
    return true;
}

static bool parse_spec(struct braces *f, struct text_ref text, struct spec *spec)
{
    size_t at = 0, first = 0;
    int64_t number;
    char c;
    *spec = (struct spec){.precision = -1};
    if (text.length)
        chars_next(text, &first);
    if (first < text.length && is_align(text.data[first])) {
        memcpy(spec->fill, text.data, first);
        spec->fill_length = first;
        spec->align = text.data[first];
        at = first + 1;
    } else if (text.length && is_align(text.data[0])) {
        spec->align = text.data[at++];
    }
    take_char(text, &at, "+- ", &spec->sign);
    spec->alternate = take_char(text, &at, "#", &c);
    spec->zero = take_char(text, &at, "0", &c);
    if (!spec_number(f, text, &at, &number))
        return false;
    spec->width = (size_t)number;
    take_char(text, &at, ",_", &spec->grouping);
    if (take_char(text, &at, ".", &c)) {
        size_t begin = at;
        if (!spec_number(f, text, &at, &number))
            return false;
        if (at == begin)
            return render_fail(f->r, "a format specifier lacks its precision");
        spec->precision = (int)number;
    }
    take_char(text, &at, "bcdeEfFgGnosxX%", &spec->type);
    return at == text.length ||
           render_fail(f->r, "invalid format specifier '%.*s'", (int)text.length, text.data);
}

static bool format_value(struct braces *f, struct text_builder *b, struct value v,
                         struct text_ref text)
{
    struct spec spec;
    struct value string;
    if (!parse_spec(f, text, &spec))
        return false;
    bool integer_type = spec.type && strchr("bdoxXn", spec.type);
    bool real_type = spec.type && strchr("eEfFgGn%", spec.type);
    if (v.type == VALUE_BOOL && !text.length)
        return value_add_str(b, v);
    if (value_is_integer(v) && (!spec.type || integer_type)) {
        if (spec.precision >= 0)
            return render_fail(f->r, "precision is not allowed in an integer format specifier");
        return add_int(b, value_integer(v), &spec);
    }
    if (value_is_number(v) && (real_type || (!spec.type && v.type == VALUE_FLOAT)))
        return add_real(b, value_real(v), &spec, false);
    if (text.length && v.type != VALUE_STRING)
        return render_fail(f->r, "unsupported format specifier for '%s'", value_type_name(v));
    if ((spec.type && spec.type != 's') || spec.align == '=' || spec.sign)
        return render_fail(f->r, "invalid format specifier for a string");
    if (!value_to_string(f->r, v, &string))
        return false;
    if (spec.zero && !spec.fill_length)
        spec.fill[0] = '0', spec.fill_length = 1;
    if (spec.precision >= 0)
        string = string_part(string, 0, string_offset(string, (size_t)spec.precision));
    add_padded(b, string, &spec, '<');
    return !b->failed;
}

/* What stands between { and }. */
static bool add_field(struct braces *f, struct text_builder *b, struct text_ref field, int depth)
{
    size_t colon = 0, bang;
    bool in_key = false;
    for (; colon < field.length && (in_key || field.data[colon] != ':'); colon++)
        in_key = field.data[colon] == '[' || (in_key && field.data[colon] != ']');
    for (bang = 0; bang < colon && field.data[bang] != '!'; bang++)
        ;
    struct value v, spec_text;
    if (!field_value(f, (struct text_ref){field.data, bang}, &v))
        return false;
    if (bang < colon) {
        char kind = colon == bang + 2 ? field.data[bang + 1] : 0;
        struct text_builder repr = {.r = f->r};
        if (kind != 's' && kind != 'r' && kind != 'a')
            return render_fail(f->r, "unknown conversion in a format string");
        if (!(kind == 's' ? value_add_str(&repr, v) : value_add_repr(&repr, v)) ||
            !builder_finish(&repr, &v))
            return false;
    }
    struct text_ref spec = {field.data + colon, 0};
    if (colon < field.length)
        spec = (struct text_ref){field.data + colon + 1, field.length - colon - 1};
    struct text_builder expanded = {.r = f->r};
    if (!add_format(f, &expanded, spec, depth + 1) || !builder_finish(&expanded, &spec_text))
        return false;
    return format_value(f, b, v, spec_text.text);
}

static size_t matching_brace(struct text_ref format, size_t at)
{
    size_t depth = 1;
    for (; at < format.length; at++) {
        depth += format.data[at] == '{';
        depth -= format.data[at] == '}';
        if (!depth)
            break;
    }
    return at;
}

static bool add_format(struct braces *f, struct text_builder *b, struct text_ref format, int depth)
{
    enum { MAX_FORMAT_DEPTH = 2 };
    for (size_t at = 0; at < format.length; at++) {
        char c = format.data[at];
        bool twice = at + 1 < format.length && format.data[at + 1] == c;
        if (c != '{' && c != '}') {
            builder_add_char(b, c);
        } else if (twice) {
            builder_add_char(b, c);
            at++;
        } else if (c == '}') {
            return render_fail(f->r, "single '}' encountered in format string");
        } else {
            size_t end = matching_brace(format, at + 1);
            if (end >= format.length || depth >= MAX_FORMAT_DEPTH)
                return render_fail(f->r,
                                   "'{' without its '}' in a format string, or nested too deeply");
            if (!render_spend(f->r, 1) ||
                !add_field(f, b, (struct text_ref){format.data + at + 1, end - at - 1}, depth))
                return false;
            at = end;
        }
    }
    return !b->failed;
}

bool format_braces(struct render *r, struct value format, const struct arguments *arguments,
                   struct value *result)
{
    struct braces f = {.r = r, .arguments = arguments};
    struct text_builder b = {.r = r};
    return add_format(&f, &b, format.text, 0) && builder_finish(&b, result);
}
