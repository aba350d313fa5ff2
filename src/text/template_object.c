/* What can be done with objects: iterating, looking up items and attributes, slicing. */
#include "text/template_ast.h"

#include <string.h>

/* ---- lengths and iterating ---- */

struct value range_item(const struct value_range *range, size_t index)
{
    return int_value(range->start + range->step * (int64_t)index);
}

bool value_has_length(struct value v)
{
    switch (v.type) {
    case VALUE_UNDEFINED:
    case VALUE_STRING:
    case VALUE_LIST:
    case VALUE_TUPLE:
    case VALUE_DICT:
    case VALUE_VIEW:
    case VALUE_RANGE:
    case VALUE_LOOP:
        return true;
    default:
        return false;
    }
}

bool value_length(struct render *r, struct value v, size_t *length)
{
    *length = 0;
    switch (v.type) {
    case VALUE_UNDEFINED:
        return true;
    case VALUE_STRING:
        *length = string_count(v);
        return render_spend_bytes(r, v.text.length);
    case VALUE_LIST:
    case VALUE_TUPLE:
        *length = v.list->count;
        return true;
    case VALUE_DICT:
    case VALUE_VIEW:
        *length = v.dict->count;
        return true;
    case VALUE_RANGE:
        *length = v.range->count;
        return true;
    case VALUE_LOOP:
        return loop_length(r, v.loop, length);
    default:
        return render_fail(r, "object of type '%s' has no length", value_type_name(v));
    }
}

bool value_iterable(struct value v)
{
    return value_has_length(v) || v.type == VALUE_GENERATOR;
}

static bool iterate_string(struct render *r, struct value v, struct value_list *items)
{
    v.flags &= ~(unsigned)STRING_MARKUP; /* the characters of markup are plain */
    for (size_t at = 0; at < v.text.length;) {
        size_t begin = at;
        chars_next(v.text, &at);
        if (!list_push(r, items, string_part(v, begin, at)))
            return false;
    }
    return true;
}

static bool iterate_dict(struct render *r, const struct value_dict *dict, unsigned view,
                         struct value_list *items)
{
    for (size_t i = 0; i < dict->count; i++) {
        const struct dict_entry *e = &dict->entries[i];
        struct value item = view == VIEW_KEYS ? e->key : e->value;
        if (view == VIEW_ITEMS && !pair_value(r, e->key, e->value, &item))
            return false;
        if (!list_push(r, items, item))
            return false;
    }
    return true;
}

static bool start_generator(struct render *r, struct generator *g)
{
    struct value list;
    if (!g->pending)
        return true;
    g->pending = false;
    if (!g->call.builtin->run(r, &g->call, &list))
        return false;
    g->items = *list.list;
    return true;
}

bool generator_next(struct render *r, struct generator *g, bool *done, struct value *item)
{
    if (!start_generator(r, g))
        return false;
    *done = g->position >= g->items.count;
    if (!*done)
        *item = g->items.items[g->position++];
    return true;
}

static bool iterate_generator(struct render *r, struct generator *g, struct value_list *items)
{
    if (!start_generator(r, g))
        return false;
    *items = (struct value_list){.items = g->items.items ? g->items.items + g->position : NULL,
                                 .count = g->items.count - g->position};
    items->capacity = items->count;
    g->position = g->items.count;
    return true;
}

bool value_iterate(struct render *r, struct value v, struct value_list *items)
{
    *items = (struct value_list){0};
    switch (v.type) {
    case VALUE_UNDEFINED:
        return true;
    case VALUE_STRING:
        return iterate_string(r, v, items);
    case VALUE_LIST:
    case VALUE_TUPLE:
        *items = *v.list;
        items->capacity = items->count; /* so that whoever pushes makes a copy */
        return true;
    case VALUE_DICT:
        return iterate_dict(r, v.dict, VIEW_KEYS, items);
    case VALUE_VIEW:
        return iterate_dict(r, v.dict, v.flags, items);
    case VALUE_RANGE:
        for (size_t i = 0; i < v.range->count; i++)
            if (!list_push(r, items, range_item(v.range, i)))
                return false;
        return true;
    case VALUE_GENERATOR:
        return iterate_generator(r, v.generator, items);
    default:
        return render_fail(r, "'%s' object is not iterable", value_type_name(v));
    }
}

bool generator_value(struct render *r, const struct call *call, struct value *result)
{
    struct generator *g = render_take(r, 1, sizeof *g);
    if (!g)
        return false;
    g->call = *call;
    g->pending = true;
    *result = (struct value){.type = VALUE_GENERATOR, .generator = g};
    return true;
}

bool generator_of(struct render *r, struct value_list items, struct value *result)
{
    struct generator *g = render_take(r, 1, sizeof *g);
    if (!g)
        return false;
    g->items = items;
    *result = (struct value){.type = VALUE_GENERATOR, .generator = g};
    return true;
}

/* ---- containment ---- */

static bool list_contains(struct render *r, const struct value_list *list, struct value item,
                          bool *found)
{
    for (size_t i = 0; i < list->count && !*found; i++)
        if (!value_equal(r, list->items[i], item, found))
            return false;
    return true;
}

static bool string_contains(struct render *r, struct value text, struct value item, bool *found)
{
    if (item.type != VALUE_STRING)
        return render_fail(r, "'in <string>' requires string as left operand, not %s",
                           value_type_name(item));
    *found = chars_find(text.text, item.text, 0) != SIZE_MAX;
    return render_spend_bytes(r, text.text.length);
}

bool value_contains(struct render *r, struct value container, struct value item, bool *found)
{
    struct dict_entry *entry = NULL;
    struct value_list items;
    *found = false;
    switch (container.type) {
    case VALUE_STRING:
        return string_contains(r, container, item, found);
    case VALUE_LIST:
    case VALUE_TUPLE:
        return list_contains(r, container.list, item, found);
    case VALUE_VIEW:
        if (container.flags != VIEW_KEYS)
            break;
        /* fall through */
    case VALUE_DICT:
        if (!dict_find(r, container.dict, item, &entry))
            return false;
        *found = entry != NULL;
        return true;
    default:
        break;
    }
    if (!value_iterable(container))
        return render_fail(r, "argument of type '%s' is not iterable", value_type_name(container));
    return value_iterate(r, container, &items) && list_contains(r, &items, item, found);
}

/* ---- attributes ---- */

static struct value undefined_of(struct value object, unsigned kind, struct text_ref text)
{
    unsigned flags = kind | (unsigned)object.type << UNDEFINED_KIND_BITS;
    return (struct value){.type = VALUE_UNDEFINED, .flags = flags, .text = text};
}

static bool bind_method(struct render *r, const struct builtin *builtin, struct value subject,
                        struct value *result)
{
    struct method *method = render_take(r, 1, sizeof *method);
    if (!method)
        return false;
    *method = (struct method){builtin, subject};
    *result = (struct value){.type = VALUE_METHOD, .method = method};
    return true;
}

static bool is_one_of(struct text_ref name, const char *const *names)
{
    for (; *names; names++)
        if (chars_is(name, *names))
            return true;
    return false;
}

/* Methods that would change the object: the sandbox leaves them undefined. */
static bool is_mutating(struct value object, struct text_ref name)
{
    static const char *const of_dicts[] = {"clear", "pop", "popitem", "setdefault", "update", NULL};
    static const char *const of_lists[] = {"append", "clear",  "pop",    "reverse", "insert",
                                           "sort",   "extend", "remove", NULL};
    return (object.type == VALUE_DICT && is_one_of(name, of_dicts)) ||
           (object.type == VALUE_LIST && is_one_of(name, of_lists));
}

static bool dict_view(struct render *r, const struct call *call, struct value *result)
{
    (void)r;
    unsigned view = chars_is(literal_value(call->builtin->name).text, "keys")     ? VIEW_KEYS
                    : chars_is(literal_value(call->builtin->name).text, "values") ? VIEW_VALUES
                                                                                  : VIEW_ITEMS;
    *result = (struct value){.type = VALUE_VIEW, .flags = view, .dict = call->subject.dict};
    return true;
}

static bool dict_get(struct render *r, const struct call *call, struct value *result)
{
    struct dict_entry *entry;
    if (!dict_find(r, call->subject.dict, call->arg[0], &entry))
        return false;
    *result = entry                                ? entry->value
              : call->arg[1].type == VALUE_MISSING ? none_value()
                                                   : call->arg[1];
    return true;
}

static bool copy_object(struct render *r, const struct call *call, struct value *result)
{
    (void)r;
    *result = call->subject; /* nothing can change it */
    return true;
}

static bool list_index(struct render *r, const struct call *call, struct value *result)
{
    struct value_list items;
    int64_t begin, end;
    if (!value_iterate(r, call->subject, &items) || !argument_int(r, call, 1, 0, &begin) ||
        !argument_int(r, call, 2, INT64_MAX, &end))
        return false;
    int64_t n = (int64_t)items.count;
    begin = begin < 0 ? (begin + n < 0 ? 0 : begin + n) : begin;
    end = end < 0 ? end + n : end > n ? n : end;
    for (int64_t i = begin; i < end; i++) {
        bool equal;
        if (!value_equal(r, items.items[i], call->arg[0], &equal))
            return false;
        if (equal) {
            *result = int_value(i);
            return true;
        }
    }
    return render_fail(r, "the value is not in the %s", value_type_name(call->subject));
}

static bool list_count(struct render *r, const struct call *call, struct value *result)
{
    struct value_list items;
    int64_t n = 0;
    if (!value_iterate(r, call->subject, &items))
        return false;
    for (size_t i = 0; i < items.count; i++) {
        bool equal;
        if (!value_equal(r, items.items[i], call->arg[0], &equal))
            return false;
        n += equal;
    }
    *result = int_value(n);
    return true;
}

static bool cycler_next(struct render *r, const struct call *call, struct value *result)
{
    (void)r;
    struct cycler *cycler = call->subject.cycler;
    *result = cycler->items.items[cycler->position];
    cycler->position = (cycler->position + 1) % cycler->items.count;
    return true;
}

static bool cycler_reset(struct render *r, const struct call *call, struct value *result)
{
    (void)r;
    call->subject.cycler->position = 0;
    *result = none_value();
    return true;
}

static bool number_is_integer(struct render *r, const struct call *call, struct value *result)
{
    (void)r;
    double d = value_real(call->subject);
    *result = bool_value(d - d == 0 && d == __builtin_floor(d));
    return true;
}

static const struct builtin dict_methods[] = {
    {"keys", dict_view, "/"},           {"values", dict_view, "/"}, {"items", dict_view, "/"},
    {"get", dict_get, "/key default?"}, {"copy", copy_object, "/"}, {0}};
static const struct builtin list_methods[] = {{"index", list_index, "/value start? stop?"},
                                              {"count", list_count, "/value"},
                                              {"copy", copy_object, "/"},
                                              {0}};
static const struct builtin cycler_methods[] = {
    {"next", cycler_next, "/"}, {"reset", cycler_reset, "/"}, {0}};
static const struct builtin float_methods[] = {{"is_integer", number_is_integer, "/"}, {0}};

static const struct builtin *find_method(struct value object, struct text_ref name)
{
    switch (object.type) {
    case VALUE_STRING:
        return find_string_method(name);
    case VALUE_DICT:
        return find_builtin(dict_methods, name);
    case VALUE_LIST:
        return find_builtin(list_methods, name);
    case VALUE_TUPLE:
    case VALUE_RANGE:
        return chars_is(name, "copy") ? NULL : find_builtin(list_methods, name);
    case VALUE_CYCLER:
        return find_builtin(cycler_methods, name);
    case VALUE_FLOAT:
        return find_builtin(float_methods, name);
    default:
        return NULL;
    }
}

static bool macro_attribute(struct render *r, const struct macro *macro, struct text_ref name,
                            struct value *result)
{
    const struct macro_code *code = macro->code;
    if (chars_is(name, "name")) {
        *result = code->name ? string_value(code->name->text.data, code->name->text.length)
                             : none_value();
    } else if (chars_is(name, "arguments")) {
        struct value_list names = {0};
        for (const struct parameter *p = code->parameters; p; p = p->next)
            if (!list_push(r, &names, string_value(p->name->text.data, p->name->text.length)))
                return false;
        return list_value(r, VALUE_TUPLE, names, result);
    } else if (chars_is(name, "catch_kwargs")) {
        *result = bool_value(code->uses_keywords);
    } else if (chars_is(name, "catch_varargs")) {
        *result = bool_value(code->uses_varargs);
    } else if (chars_is(name, "caller")) {
        *result = bool_value(code->uses_caller);
    }
    return true;
}

static void range_attribute(const struct value_range *range, struct text_ref name,
                            struct value *result)
{
    if (chars_is(name, "start"))
        *result = int_value(range->start);
    else if (chars_is(name, "stop"))
        *result = int_value(range->stop);
    else if (chars_is(name, "step"))
        *result = int_value(range->step);
}

bool own_attribute(struct render *r, struct value object, struct text_ref name,
                   struct value *result)
{
    *result = (struct value){0};
    if (is_mutating(object, name)) {
        *result = undefined_hint("the sandbox refuses methods that change lists and dicts");
        return true;
    }
    const struct builtin *method = find_method(object, name);
    if (method)
        return bind_method(r, method, object, result);
    switch (object.type) {
    case VALUE_NAMESPACE: {
        struct dict_entry *entry = dict_find_text(r, object.dict, name);
        if (entry)
            *result = entry->value;
        return !r->failed;
    }
    case VALUE_LOOP:
        return loop_attribute(r, object.loop, name, result);
    case VALUE_MACRO:
        return macro_attribute(r, object.macro, name, result);
    case VALUE_CYCLER:
        if (chars_is(name, "current"))
            *result = object.cycler->items.items[object.cycler->position];
        return true;
    case VALUE_TUPLE:
        if (object.flags == TUPLE_GROUP && chars_is(name, "grouper"))
            *result = object.list->items[0];
        else if (object.flags == TUPLE_GROUP && chars_is(name, "list"))
            *result = object.list->items[1];
        return true;
    case VALUE_RANGE:
        range_attribute(object.range, name, result);
        return true;
    default:
        return true;
    }
}

/* ---- items ---- */

static bool index_of(struct value key, size_t count, size_t *index)
{
    if (!value_is_integer(key))
        return false;
    int64_t i = value_integer(key);
    if (i < 0)
        i += (int64_t)count;
    *index = (size_t)i;
    return i >= 0 && (size_t)i < count;
}

/* obj[key] alone: VALUE_MISSING where that fails. */
static bool own_item(struct render *r, struct value object, struct value key, struct value *result)
{
    size_t index, count;
    uint64_t hash;
    *result = (struct value){0};
    switch (object.type) {
    case VALUE_DICT:
        if (value_hash(r, key, &hash)) {
            struct dict_entry *entry;
            if (!dict_find(r, object.dict, key, &entry))
                return false;
            if (entry)
                *result = entry->value;
        }
        return !r->failed;
    case VALUE_STRING:
        if (!value_length(r, object, &count))
            return false;
        if (index_of(key, count, &index)) {
            size_t begin = string_offset(object, index), end = begin;
            chars_next(object.text, &end);
            *result = string_part(object, begin, end);
        }
        return true;
    case VALUE_LIST:
    case VALUE_TUPLE:
        if (index_of(key, object.list->count, &index))
            *result = object.list->items[index];
        return true;
    case VALUE_RANGE:
        if (index_of(key, object.range->count, &index))
            *result = range_item(object.range, index);
        return true;
    default:
        return true;
    }
}

static bool undefined_element(struct render *r, struct value object, struct value key,
                              struct value *result)
{
    struct text_builder b = {.r = r};
    struct value repr;
    if (key.type == VALUE_STRING) {
        *result = undefined_of(object, UNDEFINED_ATTRIBUTE, key.text);
        return true;
    }
    if (!value_is_number(key)) {
        *result = undefined_hint("there is no element of that key");
        return true;
    }
    if (!value_add_repr(&b, key) || !builder_finish(&b, &repr))
        return false;
    *result = undefined_of(object, UNDEFINED_ELEMENT, repr.text);
    return true;
}

bool value_attribute(struct render *r, struct value object, struct value name, struct value *result)
{
    if (object.type == VALUE_UNDEFINED)
        return render_fail_undefined(r, object);
    if (!own_attribute(r, object, name.text, result))
        return false;
    if (result->type == VALUE_MISSING && !own_item(r, object, name, result))
        return false;
    if (result->type == VALUE_MISSING)
        *result = undefined_of(object, UNDEFINED_ATTRIBUTE, name.text);
    return true;
}

bool value_item(struct render *r, struct value object, struct value key, struct value *result)
{
    if (object.type == VALUE_UNDEFINED)
        return render_fail_undefined(r, object);
    if (!own_item(r, object, key, result))
        return false;
    if (result->type == VALUE_MISSING && key.type == VALUE_STRING &&
        !own_attribute(r, object, key.text, result))
        return false;
    return result->type != VALUE_MISSING || undefined_element(r, object, key, result);
}

/* ---- slices ---- */

struct slice {
    int64_t start, stop, step;
    size_t count;
};

static bool slice_part(struct render *r, struct value part, int64_t fallback, int64_t *integer)
{
    *integer = fallback;
    if (part.type == VALUE_MISSING || part.type == VALUE_NONE)
        return true;
    if (!value_is_integer(part))
        return render_fail(r, "slice indices must be integers or None");
    *integer = value_integer(part);
    return true;
}

static int64_t clamp_index(int64_t i, int64_t n, bool backwards)
{
    if (i < 0)
        i = i < -n ? (backwards ? -1 : 0) : i + n;
    else if (i >= n)
        i = backwards ? n - 1 : n;
    return i;
}

static bool resolve_slice(struct render *r, const struct value part[3], size_t length,
                          struct slice *slice)
{
    int64_t n = (int64_t)length, start, stop, step;
    if (!slice_part(r, part[2], 1, &step))
        return false;
    if (step == 0)
        return render_fail(r, "slice step cannot be zero");
    bool backwards = step < 0;
    if (!slice_part(r, part[0], backwards ? INT64_MAX : 0, &start) ||
        !slice_part(r, part[1], backwards ? INT64_MIN : INT64_MAX, &stop))
        return false;
    start = clamp_index(start, n, backwards);
    stop = clamp_index(stop, n, backwards);
    uint64_t span = 0, stride = backwards ? -(uint64_t)step : (uint64_t)step;
    if (backwards ? stop < start : start < stop)
        span = (uint64_t)(backwards ? start - stop : stop - start);
    *slice = (struct slice){start, stop, step, (size_t)(span ? (span - 1) / stride + 1 : 0)};
    return true;
}

static bool slice_string(struct render *r, struct value v, struct slice slice, struct value *result)
{
    if (slice.step == 1 || slice.count == 0) {
        size_t begin = slice.count ? string_offset(v, (size_t)slice.start) : 0;
        struct value rest = string_part(v, begin, v.text.length);
        *result = string_part(rest, 0, string_offset(rest, slice.count));
        return true;
    }
    struct text_builder b = {.r = r};
    struct value_list characters = {0};
    if (!(v.flags & STRING_ASCII) && !iterate_string(r, v, &characters))
        return false;
    for (size_t i = 0; i < slice.count; i++) {
        size_t at = (size_t)(slice.start + slice.step * (int64_t)i);
        struct text_ref c = v.flags & STRING_ASCII ? (struct text_ref){v.text.data + at, 1}
                                                   : characters.items[at].text;
        builder_add(&b, c.data, c.length);
    }
    return builder_finish(&b, result);
}

static bool slice_list(struct render *r, struct value v, struct slice slice, struct value *result)
{
    struct value_list items = {0};
    if (slice.step == 1 && slice.count) {
        items.items = v.list->items + slice.start;
        items.count = items.capacity = slice.count;
        return list_value(r, v.type, items, result);
    }
    for (size_t i = 0; i < slice.count; i++)
        if (!list_push(r, &items, v.list->items[slice.start + slice.step * (int64_t)i]))
            return false;
    return list_value(r, v.type, items, result);
}

static bool slice_range(struct render *r, const struct value_range *range, struct slice slice,
                        struct value *result)
{
    struct value_range *part = render_take(r, 1, sizeof *part);
    if (!part)
        return false;
    part->start = range->start + range->step * slice.start;
    part->step = range->step * slice.step;
    part->count = slice.count;
    part->stop = range->start + range->step * slice.stop;
    *result = (struct value){.type = VALUE_RANGE, .range = part};
    return true;
}

bool value_slice(struct render *r, struct value object, const struct value part[3],
                 struct value *result)
{
    size_t length;
    struct slice slice = {0};
    bool sliceable = object.type == VALUE_STRING || object.type == VALUE_LIST ||
                     object.type == VALUE_TUPLE || object.type == VALUE_RANGE;
    if (object.type == VALUE_UNDEFINED)
        return render_fail_undefined(r, object);
    if (!sliceable)
        return render_fail(r, "'%s' object cannot be sliced", value_type_name(object));
    if (!value_length(r, object, &length) || !resolve_slice(r, part, length, &slice))
        return false;
    if (object.type == VALUE_STRING)
        return slice_string(r, object, slice, result);
    if (object.type == VALUE_RANGE)
        return slice_range(r, object.range, slice, result);
    return slice_list(r, object, slice, result);
}
