/* Strings: making them, and str() and repr() of all values. */
#include "base/size.h"
#include "base/utf8.h"
#include "text/template_ast.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- building ---- */

static bool text_reserve(struct text_builder *b, size_t extra)
{
    size_t needed, doubled = b->capacity * 2;
    if (b->failed)
        return false;
    if (size_add(b->length, extra, &needed) && needed <= b->capacity)
        return true;
    size_t capacity = size_max(needed, doubled);
    capacity = size_max(capacity, 64);
    char *data = render_take(b->r, capacity, 1);
    if (!data) {
        b->failed = true;
        return false;
    }
    if (b->length)
        memcpy(data, b->data, b->length);
    b->data = data;
    b->capacity = capacity;
    return true;
}

void builder_add(struct text_builder *b, const char *data, size_t length)
{
    if (!length || !text_reserve(b, length))
        return;
    memcpy(b->data + b->length, data, length);
    b->length += length;
}

void builder_add_string(struct text_builder *b, const char *text)
{
    builder_add(b, text, strlen(text));
}

void builder_add_char(struct text_builder *b, char c)
{
    builder_add(b, &c, 1);
}

void builder_add_codepoint(struct text_builder *b, uint32_t c)
{
    char bytes[4];
    builder_add(b, bytes, utf8_encode(c, bytes));
}

void builder_add_repeat(struct text_builder *b, const char *data, size_t length, size_t times)
{
    size_t total;
    if (!size_multiply(length, times, &total)) {
        b->failed = true;
        render_fail_memory(b->r);
        return;
    }
    if (!total || !text_reserve(b, total))
        return;
    if (length == 1)
        memset(b->data + b->length, data[0], times);
    else
        for (size_t i = 0; i < times; i++)
            memcpy(b->data + b->length + i * length, data, length);
    b->length += total;
}

bool builder_finish(struct text_builder *b, struct value *result)
{
    *result = string_value(b->data ? b->data : "", b->length);
    return !b->failed && render_spend_bytes(b->r, b->length);
}

/* ---- looking at strings ---- */

struct value string_value(const char *data, size_t length)
{
    unsigned char bits = 0;
    for (size_t i = 0; i < length; i++)
        bits |= (unsigned char)data[i];
    return (struct value){
        .type = VALUE_STRING, .flags = bits < 0x80 ? STRING_ASCII : 0, .text = {data, length}};
}

struct value literal_value(const char *text)
{
    return string_value(text, strlen(text));
}

size_t string_count(struct value string)
{
    if (string.flags & STRING_ASCII)
        return string.text.length;
    size_t n = 0;
    for (size_t i = 0; i < string.text.length; i++)
        n += ((unsigned char)string.text.data[i] & 0xC0) != 0x80;
    return n;
}

size_t string_offset(struct value string, size_t index)
{
    size_t at = 0;
    if (string.flags & STRING_ASCII)
        return index < string.text.length ? index : string.text.length;
    while (index-- > 0 && at < string.text.length) {
        at++;
        while (at < string.text.length && ((unsigned char)string.text.data[at] & 0xC0) == 0x80)
            at++;
    }
    return at;
}

struct value string_part(struct value string, size_t begin, size_t end)
{
    if (string.flags & STRING_ASCII) {
        string.text = (struct text_ref){string.text.data + begin, end - begin};
        return string;
    }
    struct value part = string_value(string.text.data + begin, end - begin);
    part.flags |= string.flags & STRING_MARKUP;
    return part;
}

bool chars_is(struct text_ref text, const char *word)
{
    size_t n = strlen(word);
    return text.length == n && !memcmp(text.data, word, n);
}

bool string_equals(struct value v, const char *text)
{
    return v.type == VALUE_STRING && chars_is(v.text, text);
}

size_t chars_find(struct text_ref haystack, struct text_ref needle, size_t from)
{
    if (from > haystack.length || needle.length > haystack.length - from)
        return SIZE_MAX;
    if (!needle.length)
        return from;
    const char *found =
        memmem(haystack.data + from, haystack.length - from, needle.data, needle.length);
    return found ? (size_t)(found - haystack.data) : SIZE_MAX;
}

size_t chars_find_last(struct text_ref haystack, struct text_ref needle)
{
    if (needle.length > haystack.length)
        return SIZE_MAX;
    for (size_t i = haystack.length - needle.length + 1; i-- > 0;)
        if (!needle.length || !memcmp(haystack.data + i, needle.data, needle.length))
            return i;
    return SIZE_MAX;
}

/* ---- numbers as text ---- */

bool parse_double(const char *data, size_t length, double *real)
{
    char small[64], *copy = length < sizeof small ? small : mem_alloc(length + 1), *end;
    if (!copy)
        return false;
    memcpy(copy, data, length);
    copy[length] = 0;
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    *real = strtod_l(copy, &end, c_locale);
    freelocale(c_locale);
    bool ok = length > 0 && end == copy + length;
    if (copy != small)
        mem_free(copy);
    return ok;
}

/* The shortest digits that read back as `real` (finite, above zero); returns the exponent of
 * ten of the first digit. */
static int shortest_digits(double real, char digits[20])
{
    char text[40];
    int exponent = 0;
    for (int precision = 0; precision < 17; precision++) {
        snprintf(text, sizeof text, "%.*e", precision, real);
        if (strtod(text, NULL) == real)
            break;
    }
    size_t n = 0;
    char *p = text;
    for (; *p && *p != 'e'; p++)
        if (*p >= '0' && *p <= '9')
            digits[n++] = *p;
    if (*p == 'e')
        exponent = atoi(p + 1);
    while (n > 1 && digits[n - 1] == '0')
        n--;
    digits[n] = 0;
    return exponent;
}

static void add_plain_digits(struct text_builder *b, const char *digits, int exponent)
{
    size_t n = strlen(digits);
    if (exponent < 0) {
        builder_add_string(b, "0.");
        builder_add_repeat(b, "0", 1, (size_t)(-exponent - 1));
        builder_add(b, digits, n);
        return;
    }
    size_t whole = (size_t)exponent + 1;
    builder_add(b, digits, size_min(n, whole));
    builder_add_repeat(b, "0", 1, n < whole ? whole - n : 0);
    builder_add_char(b, '.');
    if (n > whole)
        builder_add(b, digits + whole, n - whole);
    else
        builder_add_char(b, '0');
}

void builder_add_float(struct text_builder *b, double real)
{
    char digits[20], exponent_text[16];
    if (isnan(real)) {
        builder_add_string(b, "nan");
        return;
    }
    if (signbit(real))
        builder_add_char(b, '-');
    if (isinf(real)) {
        builder_add_string(b, "inf");
        return;
    }
    if (real == 0) {
        builder_add_string(b, "0.0");
        return;
    }
    int exponent = shortest_digits(fabs(real), digits);
    if (exponent >= -4 && exponent < 16) {
        add_plain_digits(b, digits, exponent);
        return;
    }
    builder_add(b, digits, 1);
    if (digits[1]) {
        builder_add_char(b, '.');
        builder_add_string(b, digits + 1);
    }
    snprintf(exponent_text, sizeof exponent_text, "e%c%02d", exponent < 0 ? '-' : '+',
             abs(exponent));
    builder_add_string(b, exponent_text);
}

/* ---- undefined values ---- */

bool render_fail_undefined(struct render *r, struct value v)
{
    unsigned kind = v.flags & ((1u << UNDEFINED_KIND_BITS) - 1);
    struct value of_type = {.type = (enum value_type)(v.flags >> UNDEFINED_KIND_BITS)};
    const char *type = value_type_name(of_type);
    const char *object = of_type.type == VALUE_NONE ? "" : " object";
    int n = v.text.length < 200 ? (int)v.text.length : 200;
    if (of_type.type == VALUE_NONE)
        type = "None";
    switch (kind) {
    case UNDEFINED_VARIABLE:
        return render_fail(r, "'%.*s' is undefined", n, v.text.data);
    case UNDEFINED_ATTRIBUTE:
        return render_fail(r, "'%s%s' has no attribute '%.*s'", type, object, n, v.text.data);
    case UNDEFINED_ELEMENT:
        return render_fail(r, "%s%s has no element %.*s", type, object, n, v.text.data);
    default:
        return render_fail(r, "%.*s", n, v.text.data);
    }
}

/* ---- str() and repr() ---- */

static void add_escape(struct text_builder *b, uint32_t c)
{
    char text[12];
    const char *format = c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x";
    snprintf(text, sizeof text, format, c);
    builder_add_string(b, text);
}

static void add_string_repr(struct text_builder *b, struct text_ref text)
{
    bool single = text.length && memchr(text.data, '\'', text.length);
    bool doubled = text.length && memchr(text.data, '"', text.length);
    char quote = single && !doubled ? '"' : '\'';
    builder_add_char(b, quote);
    for (size_t at = 0; at < text.length && !b->failed;) {
        size_t begin = at;
        uint32_t c = chars_next(text, &at);
        if (c == (uint32_t)quote || c == '\\') {
            builder_add_char(b, '\\');
            builder_add_char(b, (char)c);
        } else if (c == '\n' || c == '\r' || c == '\t') {
            builder_add_string(b, c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t");
        } else if (c < 0x20 || c == 0x7F || (c > 0x7F && !codepoint_is_printable(c))) {
            add_escape(b, c);
        } else {
            builder_add(b, text.data + begin, at - begin);
        }
    }
    builder_add_char(b, quote);
}

static bool add_items_repr(struct text_builder *b, const struct value_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        if (i)
            builder_add_string(b, ", ");
        if (!value_add_repr(b, list->items[i]))
            return false;
    }
    return true;
}

static bool add_dict_repr(struct text_builder *b, const struct value_dict *dict, unsigned view)
{
    for (size_t i = 0; i < dict->count; i++) {
        const struct dict_entry *e = &dict->entries[i];
        if (i)
            builder_add_string(b, ", ");
        if (view != VIEW_VALUES && !value_add_repr(b, e->key))
            return false;
        if (view == VIEW_ITEMS)
            builder_add_string(b, ": ");
        if (view != VIEW_KEYS && !value_add_repr(b, e->value))
            return false;
    }
    return true;
}

static bool add_view_repr(struct text_builder *b, struct value view)
{
    static const char *const names[] = {"dict_keys([", "dict_values([", "dict_items(["};
    builder_add_string(b, names[view.flags]);
    if (view.flags != VIEW_ITEMS) {
        if (!add_dict_repr(b, view.dict, view.flags))
            return false;
    } else {
        struct value_list items;
        if (!value_iterate(b->r, view, &items) || !add_items_repr(b, &items))
            return false;
    }
    builder_add_string(b, "])");
    return true;
}

static void add_range_repr(struct text_builder *b, const struct value_range *range)
{
    char text[100];
    int n = snprintf(text, sizeof text, "range(%lld, %lld", (long long)range->start,
                     (long long)range->stop);
    snprintf(text + n, sizeof text - (size_t)n, range->step == 1 ? ")" : ", %lld)",
             (long long)range->step);
    builder_add_string(b, text);
}

static bool add_container_repr(struct text_builder *b, struct value v)
{
    bool ok;
    switch (v.type) {
    case VALUE_LIST:
        builder_add_char(b, '[');
        ok = add_items_repr(b, v.list);
        builder_add_char(b, ']');
        return ok;
    case VALUE_TUPLE:
        builder_add_char(b, '(');
        ok = add_items_repr(b, v.list);
        builder_add_string(b, v.list->count == 1 ? ",)" : ")");
        return ok;
    case VALUE_NAMESPACE:
        builder_add_string(b, "<Namespace {");
        ok = add_dict_repr(b, v.dict, VIEW_ITEMS);
        builder_add_string(b, "}>");
        return ok;
    case VALUE_DICT:
        builder_add_char(b, '{');
        ok = add_dict_repr(b, v.dict, VIEW_ITEMS);
        builder_add_char(b, '}');
        return ok;
    default:
        return add_view_repr(b, v);
    }
}

static void add_object_repr(struct text_builder *b, struct value v)
{
    char text[60];
    if (v.type == VALUE_MACRO && v.macro->code->name) {
        builder_add_string(b, "<Macro '");
        builder_add(b, v.macro->code->name->text.data, v.macro->code->name->text.length);
        builder_add_string(b, "'>");
        return;
    }
    if (v.type == VALUE_MACRO)
        snprintf(text, sizeof text, "<Macro anonymous>");
    else if (v.type == VALUE_LOOP)
        snprintf(text, sizeof text, "<LoopContext %zu>", v.loop->index + 1);
    else
        snprintf(text, sizeof text, "<%s object>", value_type_name(v));
    builder_add_string(b, text);
}

static bool add_repr(struct text_builder *b, struct value v)
{
    char text[32];
    switch (v.type) {
    case VALUE_MISSING:
    case VALUE_UNDEFINED:
        builder_add_string(b, "Undefined");
        return true;
    case VALUE_NONE:
        builder_add_string(b, "None");
        return true;
    case VALUE_BOOL:
        builder_add_string(b, v.boolean ? "True" : "False");
        return true;
    case VALUE_INT:
        snprintf(text, sizeof text, "%lld", (long long)v.integer);
        builder_add_string(b, text);
        return true;
    case VALUE_FLOAT:
        builder_add_float(b, v.real);
        return true;
    case VALUE_STRING:
        if (v.flags & STRING_MARKUP)
            builder_add_string(b, "Markup(");
        add_string_repr(b, v.text);
        if (v.flags & STRING_MARKUP)
            builder_add_char(b, ')');
        return true;
    case VALUE_RANGE:
        add_range_repr(b, v.range);
        return true;
    case VALUE_LIST:
    case VALUE_TUPLE:
    case VALUE_DICT:
    case VALUE_VIEW:
    case VALUE_NAMESPACE:
        return add_container_repr(b, v);
    default:
        add_object_repr(b, v);
        return true;
    }
}

bool value_add_repr(struct text_builder *b, struct value v)
{
    if (b->failed || !render_spend(b->r, 1) || !render_enter(b->r))
        return false;
    bool ok = add_repr(b, v);
    render_leave(b->r);
    return ok && !b->failed;
}

bool value_add_str(struct text_builder *b, struct value v)
{
    if (v.type == VALUE_UNDEFINED || v.type == VALUE_MISSING)
        return !b->failed;
    if (v.type != VALUE_STRING)
        return value_add_repr(b, v);
    builder_add(b, v.text.data, v.text.length);
    return !b->failed;
}

bool value_to_string(struct render *r, struct value v, struct value *string)
{
    if (v.type == VALUE_STRING) {
        *string = v;
        return true;
    }
    struct text_builder b = {.r = r};
    return value_add_str(&b, v) && builder_finish(&b, string);
}
