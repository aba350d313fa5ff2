/* JSON in both directions: the context's values, and the filter tojson, which writes what
 * Python's json.dumps does. */
#include "text/template_value.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- from JSON ---- */

static bool list_from_json(struct render *r, const json_t *json, struct value *result)
{
    struct value_list list = {.capacity = json_array_size(json)};
    if (list.capacity && !(list.items = render_take(r, list.capacity, sizeof *list.items)))
        return false;
    for (; list.count < list.capacity; list.count++)
        if (!value_from_json(r, json_array_get(json, list.count), &list.items[list.count]))
            return false;
    return list_value(r, VALUE_LIST, list, result);
}

static bool dict_from_json(struct render *r, const json_t *json, struct value *result)
{
    struct value_dict *dict = dict_new(r);
    if (!dict)
        return false;
    json_t *object = (json_t *)json; /* jansson's iterators want it so, and change nothing */
    for (void *i = json_object_iter(object); i; i = json_object_iter_next(object, i)) {
        struct value value;
        struct value key = string_value(json_object_iter_key(i), json_object_iter_key_len(i));
        if (!value_from_json(r, json_object_iter_value(i), &value) ||
            !dict_set(r, dict, key, value))
            return false;
    }
    *result = (struct value){.type = VALUE_DICT, .dict = dict};
    return true;
}

bool value_from_json(struct render *r, const json_t *json, struct value *result)
{
    bool ok = true;
    switch (json ? json_typeof(json) : JSON_NULL) {
    case JSON_OBJECT:
    case JSON_ARRAY:
        if (!render_enter(r))
            return false;
        ok =
            json_is_array(json) ? list_from_json(r, json, result) : dict_from_json(r, json, result);
        render_leave(r);
        return ok;
    case JSON_STRING:
        *result = string_value(json_string_value(json), json_string_length(json));
        return true;
    case JSON_INTEGER:
        *result = int_value(json_integer_value(json));
        return true;
    case JSON_REAL:
        *result = float_value(json_real_value(json));
        return true;
    case JSON_TRUE:
    case JSON_FALSE:
        *result = bool_value(json_is_true(json));
        return true;
    default:
        *result = none_value();
        return true;
    }
}

/* ---- to JSON ---- */

struct dump {
    struct text_builder b;
    bool ascii, sort, indented;
    struct text_ref indent, item_separator, key_separator;
};

static bool dump_value(struct dump *d, struct value v, size_t level);

static void dump_codepoint(struct dump *d, uint32_t c)
{
    char text[16];
    if (c >= 0x10000)
        snprintf(text, sizeof text, "\\u%04x\\u%04x", 0xD800 + ((c - 0x10000) >> 10),
                 0xDC00 + ((c - 0x10000) & 0x3FF));
    else
        snprintf(text, sizeof text, "\\u%04x", c);
    builder_add_string(&d->b, text);
}

static void dump_string(struct dump *d, struct text_ref text)
{
    static const char from[] = "\"\\\n\r\t\f\b", to[] = "\"\\nrtfb";
    builder_add_char(&d->b, '"');
    for (size_t at = 0; at < text.length && !d->b.failed;) {
        size_t begin = at;
        uint32_t c = chars_next(text, &at);
        const char *escape = c && c < 0x80 ? strchr(from, (int)c) : NULL;
        if (escape) {
            builder_add_char(&d->b, '\\');
            builder_add_char(&d->b, to[escape - from]);
        } else if (c < 0x20 || (d->ascii && c > 0x7E)) {
            dump_codepoint(d, c);
        } else {
            builder_add(&d->b, text.data + begin, at - begin);
        }
    }
    builder_add_char(&d->b, '"');
}

static void dump_real(struct dump *d, double real)
{
    if (isnan(real))
        builder_add_string(&d->b, "NaN");
    else if (isinf(real))
        builder_add_string(&d->b, real < 0 ? "-Infinity" : "Infinity");
    else
        builder_add_float(&d->b, real);
}

static void dump_line(struct dump *d, size_t level)
{
    if (!d->indented)
        return;
    builder_add_char(&d->b, '\n');
    builder_add_repeat(&d->b, d->indent.data, d->indent.length, level);
}

static bool dump_list(struct dump *d, const struct value_list *list, size_t level)
{
    builder_add_char(&d->b, '[');
    for (size_t i = 0; i < list->count; i++) {
        if (i)
            builder_add(&d->b, d->item_separator.data, d->item_separator.length);
        dump_line(d, level + 1);
        if (!dump_value(d, list->items[i], level + 1))
            return false;
    }
    if (list->count)
        dump_line(d, level);
    builder_add_char(&d->b, ']');
    return true;
}

/* Keys that are not strings are written as what JSON makes of them. */
static bool dump_key(struct dump *d, struct value key)
{
    if (key.type == VALUE_STRING) {
        dump_string(d, key.text);
        return true;
    }
    if (!value_is_number(key) && key.type != VALUE_NONE)
        return render_fail(d->b.r, "keys must be str, int, float, bool or None, not %s",
                           value_type_name(key));
    builder_add_char(&d->b, '"');
    bool ok = dump_value(d, key, 0);
    builder_add_char(&d->b, '"');
    return ok;
}

static bool sorted_entries(struct dump *d, const struct value_dict *dict, struct value_list *keys,
                           struct value_list *values)
{
    for (size_t i = 0; i < dict->count; i++)
        if (!list_push(d->b.r, keys, dict->entries[i].key) ||
            !list_push(d->b.r, values, dict->entries[i].value))
            return false;
    return !d->sort || sort_by_keys(d->b.r, values, keys, false);
}

static bool dump_dict(struct dump *d, const struct value_dict *dict, size_t level)
{
    struct value_list keys = {0}, values = {0};
    if (!sorted_entries(d, dict, &keys, &values))
        return false;
    builder_add_char(&d->b, '{');
    for (size_t i = 0; i < keys.count; i++) {
        if (i)
            builder_add(&d->b, d->item_separator.data, d->item_separator.length);
        dump_line(d, level + 1);
        if (!dump_key(d, keys.items[i]))
            return false;
        builder_add(&d->b, d->key_separator.data, d->key_separator.length);
        if (!dump_value(d, values.items[i], level + 1))
            return false;
    }
    if (keys.count)
        dump_line(d, level);
    builder_add_char(&d->b, '}');
    return true;
}

static bool dump_container(struct dump *d, struct value v, size_t level)
{
    if (!render_enter(d->b.r))
        return false;
    bool ok = v.type == VALUE_DICT ? dump_dict(d, v.dict, level) : dump_list(d, v.list, level);
    render_leave(d->b.r);
    return ok;
}

static bool dump_value(struct dump *d, struct value v, size_t level)
{
    if (d->b.failed || !render_spend(d->b.r, 1))
        return false;
    switch (v.type) {
    case VALUE_NONE:
        builder_add_string(&d->b, "null");
        return true;
    case VALUE_BOOL:
        builder_add_string(&d->b, v.boolean ? "true" : "false");
        return true;
    case VALUE_INT:
        return value_add_str(&d->b, v);
    case VALUE_FLOAT:
        dump_real(d, v.real);
        return true;
    case VALUE_STRING:
        dump_string(d, v.text);
        return true;
    case VALUE_LIST:
    case VALUE_TUPLE:
    case VALUE_DICT:
        return dump_container(d, v, level);
    case VALUE_UNDEFINED:
        render_fail_undefined(d->b.r, v);
        return false;
    default:
        return render_fail(d->b.r, "Object of type %s is not JSON serializable",
                           value_type_name(v));
    }
}

static bool read_indent(struct dump *d, struct value indent)
{
    struct text_builder spaces = {.r = d->b.r};
    struct value text = indent;
    if (indent.type == VALUE_MISSING || indent.type == VALUE_NONE)
        return true;
    if (value_is_integer(indent)) {
        int64_t n = value_integer(indent);
        builder_add_repeat(&spaces, " ", 1, n > 0 ? (size_t)n : 0);
        if (!builder_finish(&spaces, &text))
            return false;
    } else if (indent.type != VALUE_STRING) {
        return render_fail(d->b.r, "tojson: indent has to be a number or a string");
    }
    d->indented = true;
    d->indent = text.text;
    d->item_separator = literal_value(",").text;
    return true;
}

static bool read_separators(struct dump *d, struct value separators)
{
    struct value_list two;
    if (separators.type == VALUE_MISSING || separators.type == VALUE_NONE)
        return true;
    if (!value_iterate(d->b.r, separators, &two))
        return false;
    if (two.count != 2 || two.items[0].type != VALUE_STRING || two.items[1].type != VALUE_STRING)
        return render_fail(d->b.r, "tojson: separators have to be two strings");
    d->item_separator = two.items[0].text;
    d->key_separator = two.items[1].text;
    return true;
}

bool filter_tojson(struct render *r, const struct call *call, struct value *result)
{
    struct dump d = {.b = {.r = r},
                     .ascii = argument_truth(call, 0),
                     .sort = argument_truth(call, 3),
                     .item_separator = literal_value(", ").text,
                     .key_separator = literal_value(": ").text};
    return read_indent(&d, call->arg[1]) && read_separators(&d, call->arg[2]) &&
           dump_value(&d, call->subject, 0) && builder_finish(&d.b, result);
}
