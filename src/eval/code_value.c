#include "eval/code_value.h"

#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 60, MAX_UNORDERED = 512 };

static bool matches(const json_t *expected, const json_t *found, double tolerance, unsigned depth);

static const char *type_of(const json_t *found)
{
    const char *name = json_string_value(json_array_get(found, 0));
    return name ? name : "other";
}

static bool is_a(const json_t *found, const char *type)
{
    return !strcmp(type_of(found), type);
}

static bool same_number(const json_t *expected, const json_t *found, double tolerance)
{
    const char *text = json_string_value(json_array_get(found, 1));
    if (!text || !(is_a(found, "int") || is_a(found, "float")))
        return false;
    if (json_is_integer(expected) && is_a(found, "int")) {
        char wanted[32];
        snprintf(wanted, sizeof wanted, "%lld", (long long)json_integer_value(expected));
        return !strcmp(wanted, text);
    }
    double have = strtod(text, NULL), want = json_number_value(expected);
    return fabs(have - want) <= tolerance * fmax(1, fabs(want));
}

static bool same_sequence(const json_t *expected, const json_t *content, double tolerance,
                          unsigned depth)
{
    if (!json_is_array(content) || json_array_size(content) != json_array_size(expected))
        return false;
    for (size_t i = 0; i < json_array_size(expected); i++)
        if (!matches(json_array_get(expected, i), json_array_get(content, i), tolerance, depth + 1))
            return false;
    return true;
}

static bool same_unordered(const json_t *expected, const json_t *content, double tolerance,
                           unsigned depth)
{
    bool taken[MAX_UNORDERED] = {false};
    size_t n = json_array_size(expected);
    if (!json_is_array(content) || json_array_size(content) != n || n > MAX_UNORDERED)
        return false;
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        while (k < n && (taken[k] || !matches(json_array_get(expected, i),
                                              json_array_get(content, k), tolerance, depth + 1)))
            k++;
        if (k == n)
            return false;
        taken[k] = true;
    }
    return true;
}

/* Pairs [key, value] of both sides, in any order. */
static bool same_pairs(const json_t *pairs, const json_t *content, double tolerance, unsigned depth)
{
    if (!json_is_array(content) || json_array_size(content) != json_array_size(pairs))
        return false;
    for (size_t i = 0; i < json_array_size(pairs); i++) {
        const json_t *pair = json_array_get(pairs, i);
        size_t k = 0;
        while (k < json_array_size(content) &&
               !same_sequence(pair, json_array_get(content, k), tolerance, depth + 1))
            k++;
        if (k == json_array_size(content))
            return false;
    }
    return true;
}

static bool same_object(const json_t *expected, const json_t *content, double tolerance,
                        unsigned depth)
{
    const char *key;
    json_t *value, *pairs = json_array();
    json_object_foreach((json_t *)expected, key, value)
        json_array_append_new(pairs, json_pack("[s, O]", key, value));
    bool same = same_pairs(pairs, content, tolerance, depth);
    json_decref(pairs);
    return same;
}

static bool same_special(const json_t *expected, const json_t *found, double tolerance,
                         unsigned depth)
{
    const json_t *value, *content = json_array_get(found, 1);
    if ((value = json_object_get(expected, "$tuple")))
        return is_a(found, "tuple") && same_sequence(value, content, tolerance, depth);
    if ((value = json_object_get(expected, "$seq")))
        return (is_a(found, "tuple") || is_a(found, "list")) &&
               same_sequence(value, content, tolerance, depth);
    if ((value = json_object_get(expected, "$set")))
        return is_a(found, "set") && same_unordered(value, content, tolerance, depth);
    if ((value = json_object_get(expected, "$unordered")))
        return is_a(found, "list") && same_unordered(value, content, tolerance, depth);
    if ((value = json_object_get(expected, "$dict")))
        return is_a(found, "dict") && same_pairs(value, content, tolerance, depth);
    value = json_object_get(expected, "$any_of");
    for (size_t i = 0; i < json_array_size(value); i++)
        if (matches(json_array_get(value, i), found, tolerance, depth + 1))
            return true;
    return false;
}

static bool is_special(const json_t *value)
{
    void *first = json_object_iter((json_t *)value);
    return first && json_object_iter_key(first)[0] == '$';
}

static bool matches(const json_t *expected, const json_t *found, double tolerance, unsigned depth)
{
    const json_t *content = json_array_get(found, 1);
    if (depth > MAX_DEPTH || !found)
        return false;
    switch (json_typeof(expected)) {
    case JSON_NULL:
        return is_a(found, "none");
    case JSON_TRUE:
    case JSON_FALSE:
        return is_a(found, "bool") && json_is_boolean(content) &&
               json_is_true(content) == json_is_true(expected);
    case JSON_INTEGER:
    case JSON_REAL:
        return same_number(expected, found, tolerance);
    case JSON_STRING:
        return is_a(found, "str") && json_equal(expected, content);
    case JSON_ARRAY:
        return is_a(found, "list") && same_sequence(expected, content, tolerance, depth);
    case JSON_OBJECT:
        break;
    }
    if (is_special(expected))
        return same_special(expected, found, tolerance, depth);
    return is_a(found, "dict") && same_object(expected, content, tolerance, depth);
}

bool code_value_matches(const json_t *expected, const json_t *found, double tolerance)
{
    return matches(expected, found, tolerance, 0);
}

static void show(const json_t *found, struct strbuf *out, unsigned depth);

static void show_items(const json_t *content, const char *open, const char *close, bool pairs,
                       struct strbuf *out, unsigned depth)
{
    strbuf_add(out, open);
    for (size_t i = 0; i < json_array_size(content) && !out->failed; i++) {
        const json_t *item = json_array_get(content, i);
        strbuf_add(out, i ? ", " : "");
        show(pairs ? json_array_get(item, 0) : item, out, depth + 1);
        if (pairs) {
            strbuf_add(out, ": ");
            show(json_array_get(item, 1), out, depth + 1);
        }
    }
    strbuf_add(out, close);
}

static void show(const json_t *found, struct strbuf *out, unsigned depth)
{
    const json_t *content = json_array_get(found, 1);
    const char *type = type_of(found);
    if (depth > MAX_DEPTH)
        strbuf_add(out, "...");
    else if (is_a(found, "none"))
        strbuf_add(out, "None");
    else if (is_a(found, "bool"))
        strbuf_add(out, json_is_true(content) ? "True" : "False");
    else if (is_a(found, "str"))
        json_write(out, content, false);
    else if (is_a(found, "list"))
        show_items(content, "[", "]", false, out, depth);
    else if (is_a(found, "tuple"))
        show_items(content, "(", ")", false, out, depth);
    else if (is_a(found, "set"))
        show_items(content, "{", "}", false, out, depth);
    else if (is_a(found, "dict"))
        show_items(content, "{", "}", true, out, depth);
    else if (is_a(found, "int") || is_a(found, "float"))
        strbuf_add(out, json_is_string(content) ? json_string_value(content) : "?");
    else
        strbuf_printf(out, "<%s>", json_is_string(content) ? json_string_value(content) : type);
}

void code_value_show(const json_t *found, struct strbuf *out)
{
    show(found, out, 0);
}
