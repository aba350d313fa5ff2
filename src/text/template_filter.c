/* Filters for sequences and mappings, and those for values of any kind. */
#include "text/template_ast.h"

#include <math.h>
#include <string.h>

#define FILTER(name)                                                                               \
    static bool filter_##name(struct render *r, const struct call *call, struct value *result)

bool attribute_path(struct render *r, struct value item, struct value path,
                    const struct value *fallback, struct value *result)
{
    *result = item;
    if (path.type == VALUE_NONE || path.type == VALUE_MISSING)
        return true;
    if (path.type != VALUE_STRING)
        return value_item(r, item, path, result);
    for (size_t at = 0; at <= path.text.length;) {
        struct text_ref dot = {".", 1};
        size_t end = chars_find(path.text, dot, at);
        end = end == SIZE_MAX ? path.text.length : end;
        struct value key = string_part(path, at, end);
        bool number = end > at && end - at < 18;
        int64_t index = 0;
        for (size_t i = at; number && i < end; i++) {
            number = path.text.data[i] >= '0' && path.text.data[i] <= '9';
            index = index * 10 + (path.text.data[i] - '0');
        }
        if (!value_item(r, *result, number ? int_value(index) : key, result))
            return false;
        if (fallback && result->type == VALUE_UNDEFINED)
            *result = *fallback;
        at = end + 1;
    }
    return true;
}

static bool fold_case(struct render *r, struct value v, bool case_sensitive, struct value *result)
{
    struct text_builder b = {.r = r};
    *result = v;
    if (case_sensitive || v.type != VALUE_STRING)
        return true;
    builder_add_lower(&b, v.text);
    return builder_finish(&b, result);
}

/* The value by which an item is sorted, grouped, ... */
static bool item_key(struct render *r, struct value item, struct value path, bool case_sensitive,
                     struct value *key)
{
    return attribute_path(r, item, path, NULL, key) && fold_case(r, *key, case_sensitive, key);
}

/* ---- one of many ---- */

FILTER(first)
{
    bool done = true;
    struct value_list items;
    if (call->subject.type == VALUE_GENERATOR) {
        if (!generator_next(r, call->subject.generator, &done, result))
            return false;
    } else {
        if (!value_iterate(r, call->subject, &items))
            return false;
        done = items.count == 0;
        if (!done)
            *result = items.items[0];
    }
    if (done)
        *result = undefined_hint("No first item, sequence was empty.");
    return true;
}

FILTER(last)
{
    struct value_list items;
    if (call->subject.type == VALUE_GENERATOR || call->subject.type == VALUE_LOOP)
        return render_fail(r, "'%s' object is not reversible", value_type_name(call->subject));
    if (!value_iterate(r, call->subject, &items))
        return false;
    *result = items.count ? items.items[items.count - 1]
                          : undefined_hint("No last item, sequence was empty.");
    return true;
}

static bool extreme(struct render *r, const struct call *call, enum order wanted,
                    struct value *result)
{
    struct value_list items;
    struct value best = {0}, key;
    if (!value_iterate(r, call->subject, &items))
        return false;
    *result = undefined_hint("No aggregated item, sequence was empty.");
    for (size_t i = 0; i < items.count; i++) {
        enum order order = wanted;
        if (!item_key(r, items.items[i], call->arg[1], argument_truth(call, 0), &key) ||
            (i && !value_order(r, wanted == ORDER_LESS ? "<" : ">", key, best, &order)))
            return false;
        if (order == wanted) {
            best = key;
            *result = items.items[i];
        }
    }
    return true;
}

FILTER(min)
{
    return extreme(r, call, ORDER_LESS, result);
}

FILTER(max)
{
    return extreme(r, call, ORDER_GREATER, result);
}

FILTER(length)
{
    size_t length;
    if (!value_length(r, call->subject, &length))
        return false;
    *result = int_value((int64_t)length);
    return true;
}

FILTER(sum)
{
    struct value_list items;
    struct value sum = call->arg[1].type == VALUE_MISSING ? int_value(0) : call->arg[1];
    if (!value_iterate(r, call->subject, &items))
        return false;
    if (sum.type == VALUE_STRING)
        return render_fail(r, "sum() cannot sum strings; use join");
    for (size_t i = 0; i < items.count; i++) {
        struct value item;
        if (!attribute_path(r, items.items[i], call->arg[0], NULL, &item) ||
            !value_operate(r, OP_ADD, sum, item, &sum))
            return false;
    }
    *result = sum;
    return true;
}

/* ---- from many to many ---- */

FILTER(list)
{
    struct value_list items, copy = {0};
    if (!value_iterate(r, call->subject, &items))
        return false;
    copy = items;
    copy.capacity = copy.count;
    return list_value(r, VALUE_LIST, copy, result);
}

FILTER(items)
{
    struct value_list items = {0};
    struct value view = {.type = VALUE_VIEW, .flags = VIEW_ITEMS, .dict = call->subject.dict};
    if (call->subject.type == VALUE_DICT) {
        if (!value_iterate(r, view, &items))
            return false;
    } else if (call->subject.type != VALUE_UNDEFINED) {
        return render_fail(r, "Can only get item pairs from a mapping.");
    }
    return list_value(r, VALUE_LIST, items, result);
}

FILTER(reverse)
{
    struct value_list items, reversed = {0};
    struct text_builder b = {.r = r};
    if (!value_iterate(r, call->subject, &items))
        return false;
    if (call->subject.type == VALUE_STRING) {
        for (size_t i = items.count; i-- > 0;)
            builder_add(&b, items.items[i].text.data, items.items[i].text.length);
        return builder_finish(&b, result);
    }
    for (size_t i = items.count; i-- > 0;)
        if (!list_push(r, &reversed, items.items[i]))
            return false;
    return call->subject.type == VALUE_GENERATOR ? list_value(r, VALUE_LIST, reversed, result)
                                                 : generator_of(r, reversed, result);
}

/* "a,b.c" as keys for sorting: a list of each one's value. */
static bool sort_key(struct render *r, struct value item, struct value path, bool case_sensitive,
                     struct value *result)
{
    struct value_list keys = {0};
    struct value key;
    size_t at = 0, length = path.type == VALUE_STRING ? path.text.length : 0;
    struct text_ref comma = {",", 1};
    do {
        struct value part = path;
        if (path.type == VALUE_STRING) {
            size_t end = chars_find(path.text, comma, at);
            end = end == SIZE_MAX ? length : end;
            part = string_part(path, at, end);
            at = end + 1;
        } else {
            at = 1;
        }
        if (!item_key(r, item, part, case_sensitive, &key) || !list_push(r, &keys, key))
            return false;
    } while (at <= length);
    if (keys.count == 1) {
        *result = keys.items[0];
        return true;
    }
    return list_value(r, VALUE_LIST, keys, result);
}

FILTER(sort)
{
    struct value_list items, keys = {0};
    if (!value_iterate(r, call->subject, &items))
        return false;
    for (size_t i = 0; i < items.count; i++) {
        struct value key;
        if (!sort_key(r, items.items[i], call->arg[2], argument_truth(call, 1), &key) ||
            !list_push(r, &keys, key))
            return false;
    }
    return sort_by_keys(r, &items, &keys, argument_truth(call, 0)) &&
           list_value(r, VALUE_LIST, items, result);
}

FILTER(dictsort)
{
    struct value_list items, keys = {0};
    struct value subject = call->subject;
    struct text_ref by;
    if (!argument_text(r, call, 1, "key", &by))
        return false;
    if (!chars_is(by, "key") && !chars_is(by, "value"))
        return render_fail(r, "You can only sort by either \"key\" or \"value\"");
    if (subject.type == VALUE_UNDEFINED)
        return render_fail_undefined(r, subject);
    if (subject.type != VALUE_DICT)
        return render_fail(r, "dictsort needs a mapping, not '%s'", value_type_name(subject));
    subject = (struct value){.type = VALUE_VIEW, .flags = VIEW_ITEMS, .dict = subject.dict};
    if (!value_iterate(r, subject, &items))
        return false;
    for (size_t i = 0; i < items.count; i++) {
        struct value key = items.items[i].list->items[chars_is(by, "value")];
        if (!fold_case(r, key, argument_truth(call, 0), &key) || !list_push(r, &keys, key))
            return false;
    }
    return sort_by_keys(r, &items, &keys, argument_truth(call, 2)) &&
           list_value(r, VALUE_LIST, items, result);
}

FILTER(unique)
{
    struct value_list items, unique = {0};
    struct value_dict *seen = dict_new(r);
    if (!seen || !value_iterate(r, call->subject, &items))
        return false;
    for (size_t i = 0; i < items.count; i++) {
        struct dict_entry *entry;
        struct value key;
        if (!item_key(r, items.items[i], call->arg[1], argument_truth(call, 0), &key) ||
            !dict_find(r, seen, key, &entry))
            return false;
        if (!entry &&
            (!dict_set(r, seen, key, none_value()) || !list_push(r, &unique, items.items[i])))
            return false;
    }
    return list_value(r, VALUE_LIST, unique, result);
}

static bool push_group(struct render *r, struct value name, struct value_list group,
                       struct value_list *groups)
{
    struct value list, pair;
    if (!list_value(r, VALUE_LIST, group, &list) || !pair_value(r, name, list, &pair))
        return false;
    pair.flags = TUPLE_GROUP;
    return list_push(r, groups, pair);
}

FILTER(groupby)
{
    struct value_list items, keys = {0}, groups = {0};
    const struct value *fallback = argument_given(call, 1) ? &call->arg[1] : NULL;
    bool case_sensitive = argument_truth(call, 2);
    if (!value_iterate(r, call->subject, &items))
        return false;
    for (size_t i = 0; i < items.count; i++) {
        struct value key;
        if (!attribute_path(r, items.items[i], call->arg[0], fallback, &key) ||
            !fold_case(r, key, case_sensitive, &key) || !list_push(r, &keys, key))
            return false;
    }
    if (!sort_by_keys(r, &items, &keys, false))
        return false;
    for (size_t begin = 0, end; begin < items.count; begin = end) {
        struct value_list group = {0};
        struct value name = keys.items[begin];
        bool equal = true;
        for (end = begin; end < items.count && equal; end += equal)
            if (!value_equal(r, keys.items[begin], keys.items[end], &equal) ||
                (equal && !list_push(r, &group, items.items[end])))
                return false;
        if (!attribute_path(r, items.items[begin], call->arg[0], fallback, &name) ||
            !push_group(r, name, group, &groups))
            return false;
    }
    return list_value(r, VALUE_LIST, groups, result);
}

FILTER(batch)
{
    struct value_list items, batches = {0}, batch = {0};
    struct value list;
    int64_t size;
    if (!value_iterate(r, call->subject, &items) || !argument_int(r, call, 0, 0, &size))
        return false;
    for (size_t i = 0; i < items.count; i++) {
        if ((int64_t)batch.count == size) {
            if (!list_value(r, VALUE_LIST, batch, &list) || !list_push(r, &batches, list))
                return false;
            batch = (struct value_list){0};
        }
        if (!list_push(r, &batch, items.items[i]))
            return false;
    }
    while (batch.count && argument_given(call, 1) && (int64_t)batch.count < size)
        if (!list_push(r, &batch, call->arg[1]))
            return false;
    if (batch.count && (!list_value(r, VALUE_LIST, batch, &list) || !list_push(r, &batches, list)))
        return false;
    return list_value(r, VALUE_LIST, batches, result);
}

FILTER(slice)
{
    struct value_list items, slices = {0};
    int64_t n;
    if (!value_iterate(r, call->subject, &items) || !argument_int(r, call, 0, 0, &n))
        return false;
    if (n == 0)
        return render_fail(r, "slice: cannot make 0 slices");
    size_t each = n > 0 ? items.count / (size_t)n : 0;
    size_t longer = n > 0 ? items.count % (size_t)n : 0, at = 0;
    for (int64_t i = 0; i < n; i++) {
        struct value_list part = {0};
        struct value list;
        size_t size = each + ((size_t)i < longer);
        for (size_t k = 0; k < size; k++)
            if (!list_push(r, &part, items.items[at++]))
                return false;
        if (argument_given(call, 1) && (size_t)i >= longer && !list_push(r, &part, call->arg[1]))
            return false;
        if (!list_value(r, VALUE_LIST, part, &list) || !list_push(r, &slices, list))
            return false;
    }
    return list_value(r, VALUE_LIST, slices, result);
}

/* ---- applying filters and tests to each ---- */

static const struct value *find_keyword(const struct arguments *arguments, const char *name)
{
    for (size_t i = 0; i < arguments->n_keywords; i++)
        if (chars_is(arguments->keywords[i].name, name))
            return &arguments->keywords[i].value;
    return NULL;
}

static bool map_attribute(struct render *r, const struct call *call, struct value_list items,
                          struct value *result)
{
    struct value_list mapped = {0};
    const struct value *path = find_keyword(&call->all, "attribute");
    const struct value *fallback = find_keyword(&call->all, "default");
    if (call->all.n_keywords > 1u + (fallback != NULL))
        return render_fail(r, "map takes \"attribute\" and \"default\", and no other keywords");
    if (fallback && fallback->type == VALUE_NONE)
        fallback = NULL;
    for (size_t i = 0; i < items.count; i++) {
        struct value value;
        if (!attribute_path(r, items.items[i], *path, fallback, &value) ||
            !list_push(r, &mapped, value))
            return false;
    }
    return list_value(r, VALUE_LIST, mapped, result);
}

/* The arguments from the one at `skip` on. */
static struct arguments later_arguments(const struct arguments *all, size_t skip)
{
    struct arguments rest = *all;
    rest.items = all->items ? all->items + skip : NULL;
    rest.count = all->count - skip;
    return rest;
}

static bool named_builtin(struct render *r, struct value name, bool test,
                          const struct builtin **builtin)
{
    if (name.type != VALUE_STRING)
        return render_fail(r, "the name of a %s has to be a string, not '%s'",
                           test ? "test" : "filter", value_type_name(name));
    *builtin = test ? find_test(name.text) : find_filter(name.text);
    return *builtin || render_fail(r, "there is no %s named '%.*s'", test ? "test" : "filter",
                                   (int)name.text.length, name.text.data);
}

FILTER(map)
{
    struct value_list items = {0}, mapped = {0};
    const struct builtin *filter = NULL;
    if (!value_truth(call->subject))
        return list_value(r, VALUE_LIST, mapped, result);
    if (!call->all.count && find_keyword(&call->all, "attribute"))
        return value_iterate(r, call->subject, &items) && map_attribute(r, call, items, result);
    if (!call->all.count)
        return render_fail(r, "map requires a filter argument");
    if (!value_iterate(r, call->subject, &items))
        return false;
    struct arguments rest = later_arguments(&call->all, 1);
    for (size_t i = 0; i < items.count; i++) {
        struct value value;
        if (!named_builtin(r, call->all.items[0], false, &filter) ||
            !run_builtin(r, filter, items.items[i], &rest, &value) || !list_push(r, &mapped, value))
            return false;
    }
    return list_value(r, VALUE_LIST, mapped, result);
}

static bool select_items(struct render *r, const struct call *call, bool wanted, bool attribute,
                         struct value *result)
{
    struct value_list items = {0}, selected = {0};
    const struct builtin *test = NULL;
    struct value path = none_value();
    if (!value_truth(call->subject))
        return list_value(r, VALUE_LIST, selected, result);
    if (attribute && !call->all.count)
        return render_fail(r, "Missing parameter for attribute name");
    if (attribute)
        path = call->all.items[0];
    struct arguments rest = later_arguments(&call->all, attribute);
    if (!value_iterate(r, call->subject, &items))
        return false;
    for (size_t i = 0; i < items.count; i++) {
        struct value value;
        if (!attribute_path(r, items.items[i], path, NULL, &value))
            return false;
        if (rest.count) {
            struct arguments of_test = later_arguments(&rest, 1);
            if (!named_builtin(r, rest.items[0], true, &test) ||
                !run_builtin(r, test, value, &of_test, &value))
                return false;
        }
        if (value_truth(value) == wanted && !list_push(r, &selected, items.items[i]))
            return false;
    }
    return list_value(r, VALUE_LIST, selected, result);
}

FILTER(select)
{
    return select_items(r, call, true, false, result);
}

FILTER(reject)
{
    return select_items(r, call, false, false, result);
}

FILTER(selectattr)
{
    return select_items(r, call, true, true, result);
}

FILTER(rejectattr)
{
    return select_items(r, call, false, true, result);
}

/* ---- values of any kind ---- */

FILTER(default)
{
    (void)r;
    bool use = call->subject.type == VALUE_UNDEFINED ||
               (argument_truth(call, 1) && !value_truth(call->subject));
    *result = !use ? call->subject : argument_given(call, 0) ? call->arg[0] : literal_value("");
    if (use && call->arg[0].type == VALUE_NONE)
        *result = none_value();
    return true;
}

FILTER(attr)
{
    if (call->subject.type == VALUE_UNDEFINED)
        return render_fail_undefined(r, call->subject);
    if (call->arg[0].type != VALUE_STRING)
        return render_fail(r, "attr needs the name of an attribute");
    if (!own_attribute(r, call->subject, call->arg[0].text, result))
        return false;
    if (result->type == VALUE_MISSING)
        *result = undefined_hint("there is no attribute of that name");
    return true;
}

FILTER(abs)
{
    struct value v = call->subject;
    if (!value_is_number(v))
        return v.type == VALUE_UNDEFINED
                   ? render_fail_undefined(r, v)
                   : render_fail(r, "bad operand type for abs(): '%s'", value_type_name(v));
    bool negative = v.type == VALUE_FLOAT ? signbit(v.real) != 0 : value_integer(v) < 0;
    return negate_value(r, v, negative, result);
}

static bool round_common(struct render *r, struct value v, int64_t precision, struct value *result)
{
    struct text_builder b = {.r = r};
    double unit;
    if (value_is_integer(v)) {
        int64_t i = value_integer(v), power = 1;
        for (int64_t k = 0; k < -precision && power <= INT64_MAX / 10; k++)
            power *= 10;
        int64_t rest = i % power;
        int64_t up = rest < 0 ? -rest : rest, down = i - rest;
        bool away = up > power - up || (up == power - up && down / power % 2 != 0);
        *result = int_value(precision < 0 ? (away ? down + (i < 0 ? -power : power) : down) : i);
        return true;
    }
    if (!isfinite(v.real) || precision > 323) {
        *result = v;
        return true;
    }
    if (precision < 0) {
        unit = pow(10, (double)-precision);
        *result = float_value(isinf(unit) ? copysign(0, v.real) : rint(v.real / unit) * unit);
        return true;
    }
    if (!builder_add_real(&b, v.real, 'f', (int)precision, false))
        return false;
    *result = v;
    return parse_double(b.data, b.length, &result->real);
}

FILTER(round)
{
    struct value v = call->subject;
    struct text_ref method;
    int64_t precision;
    if (v.type == VALUE_UNDEFINED)
        return render_fail_undefined(r, v);
    if (!argument_int(r, call, 0, 0, &precision) || !argument_text(r, call, 1, "common", &method))
        return false;
    bool up = chars_is(method, "ceil"), down = chars_is(method, "floor");
    if (!up && !down && !chars_is(method, "common"))
        return render_fail(r, "method must be common, ceil or floor");
    if (!value_is_number(v))
        return render_fail(r, "a number is required, not '%s'", value_type_name(v));
    if (!up && !down)
        return round_common(r, v, precision, result);
    double power = pow(10, (double)precision), scaled = value_real(v) * power;
    if (!isfinite(scaled))
        return render_fail(r, "cannot convert float infinity or NaN to integer");
    *result = float_value((up ? ceil(scaled) : floor(scaled)) / power);
    return true;
}

static const struct builtin filters[] = {
    {"abs", filter_abs, ""},
    {"attr", filter_attr, "name"},
    {"batch", filter_batch, "linecount fill_with?", true},
    {"count", filter_length, ""},
    {"d", filter_default, "default_value? boolean?"},
    {"default", filter_default, "default_value? boolean?"},
    {"dictsort", filter_dictsort, "case_sensitive? by? reverse?"},
    {"first", filter_first, ""},
    {"groupby", filter_groupby, "attribute default? case_sensitive?"},
    {"items", filter_items, "", true},
    {"last", filter_last, ""},
    {"length", filter_length, ""},
    {"list", filter_list, ""},
    {"map", filter_map, "*", true},
    {"max", filter_max, "case_sensitive? attribute?"},
    {"min", filter_min, "case_sensitive? attribute?"},
    {"reject", filter_reject, "*", true},
    {"rejectattr", filter_rejectattr, "*", true},
    {"reverse", filter_reverse, ""},
    {"round", filter_round, "precision? method?"},
    {"select", filter_select, "*", true},
    {"selectattr", filter_selectattr, "*", true},
    {"slice", filter_slice, "slices fill_with?", true},
    {"sort", filter_sort, "reverse? case_sensitive? attribute?"},
    {"sum", filter_sum, "attribute? start?"},
    {"tojson", filter_tojson, "ensure_ascii? indent? separators? sort_keys?"},
    {"unique", filter_unique, "case_sensitive? attribute?", true},
    {0}};

const struct builtin *find_sequence_filter(struct text_ref name)
{
    return find_builtin(filters, name);
}

const struct builtin *find_filter(struct text_ref name)
{
    const struct builtin *builtin = find_sequence_filter(name);
    return builtin ? builtin : find_text_filter(name);
}
