/* Values: truth, equality, order, lists and dicts. */
#include "text/template_value.h"
#include "base/size.h"

#include <math.h>
#include <string.h>

struct value none_value(void)
{
    return (struct value){.type = VALUE_NONE};
}

struct value bool_value(bool b)
{
    return (struct value){.type = VALUE_BOOL, .boolean = b};
}

struct value int_value(int64_t i)
{
    return (struct value){.type = VALUE_INT, .integer = i};
}

struct value float_value(double d)
{
    return (struct value){.type = VALUE_FLOAT, .real = d};
}

struct value undefined_hint(const char *message)
{
    return (struct value){
        .type = VALUE_UNDEFINED, .flags = UNDEFINED_HINT, .text = {message, strlen(message)}};
}

const char *value_type_name(struct value v)
{
    static const char *const names[] = {
        [VALUE_MISSING] = "missing",
        [VALUE_UNDEFINED] = "Undefined",
        [VALUE_NONE] = "NoneType",
        [VALUE_BOOL] = "bool",
        [VALUE_INT] = "int",
        [VALUE_FLOAT] = "float",
        [VALUE_STRING] = "str",
        [VALUE_LIST] = "list",
        [VALUE_TUPLE] = "tuple",
        [VALUE_DICT] = "dict",
        [VALUE_RANGE] = "range",
        [VALUE_VIEW] = "dict view",
        [VALUE_GENERATOR] = "generator",
        [VALUE_NAMESPACE] = "Namespace",
        [VALUE_MACRO] = "Macro",
        [VALUE_FUNCTION] = "function",
        [VALUE_METHOD] = "method",
        [VALUE_LOOP] = "LoopContext",
        [VALUE_CYCLER] = "Cycler",
        [VALUE_JOINER] = "Joiner",
    };
    return names[v.type];
}

bool value_is_number(struct value v)
{
    return v.type == VALUE_BOOL || v.type == VALUE_INT || v.type == VALUE_FLOAT;
}

bool value_is_integer(struct value v)
{
    return v.type == VALUE_BOOL || v.type == VALUE_INT;
}

int64_t value_integer(struct value v)
{
    return v.type == VALUE_BOOL ? v.boolean : v.integer;
}

double value_real(struct value v)
{
    return v.type == VALUE_FLOAT ? v.real : (double)value_integer(v);
}

bool value_truth(struct value v)
{
    switch (v.type) {
    case VALUE_MISSING:
    case VALUE_UNDEFINED:
    case VALUE_NONE:
        return false;
    case VALUE_BOOL:
        return v.boolean;
    case VALUE_INT:
        return v.integer != 0;
    case VALUE_FLOAT:
        return v.real != 0;
    case VALUE_STRING:
        return v.text.length > 0;
    case VALUE_LIST:
    case VALUE_TUPLE:
        return v.list->count > 0;
    case VALUE_DICT:
    case VALUE_VIEW:
        return v.dict->count > 0;
    case VALUE_RANGE:
        return v.range->count > 0;
    default:
        return true;
    }
}

/* ---- equality and order ---- */

static enum order order_of(int difference)
{
    return difference < 0 ? ORDER_LESS : difference > 0 ? ORDER_GREATER : ORDER_SAME;
}

/* Compares exactly, whatever the integer's size. */
static enum order order_int_real(int64_t i, double d)
{
    if (isnan(d))
        return ORDER_NONE;
    if (d >= 0x1p63)
        return ORDER_LESS;
    if (d < -0x1p63)
        return ORDER_GREATER;
    int64_t whole = (int64_t)d;
    if (i != whole)
        return i < whole ? ORDER_LESS : ORDER_GREATER;
    double rest = d - (double)whole;
    return rest > 0 ? ORDER_LESS : rest < 0 ? ORDER_GREATER : ORDER_SAME;
}

static enum order order_numbers(struct value a, struct value b)
{
    if (a.type == VALUE_FLOAT && b.type == VALUE_FLOAT)
        return isnan(a.real) || isnan(b.real) ? ORDER_NONE
               : a.real < b.real              ? ORDER_LESS
               : a.real > b.real              ? ORDER_GREATER
                                              : ORDER_SAME;
    if (b.type == VALUE_FLOAT)
        return order_int_real(value_integer(a), b.real);
    if (a.type == VALUE_FLOAT) {
        enum order order = order_int_real(value_integer(b), a.real);
        return order == ORDER_NONE ? order : (enum order)(-(int)order);
    }
    int64_t x = value_integer(a), y = value_integer(b);
    return x < y ? ORDER_LESS : x > y ? ORDER_GREATER : ORDER_SAME;
}

static enum order order_texts(struct text_ref a, struct text_ref b)
{
    size_t n = size_min(a.length, b.length);
    int difference = n ? memcmp(a.data, b.data, n) : 0;
    return difference ? order_of(difference)
                      : order_of(a.length < b.length ? -1 : a.length > b.length);
}

static bool lists_equal(struct render *r, const struct value_list *a, const struct value_list *b,
                        bool *equal)
{
    *equal = a->count == b->count;
    for (size_t i = 0; *equal && i < a->count; i++)
        if (!value_equal(r, a->items[i], b->items[i], equal))
            return false;
    return true;
}

static bool dicts_equal(struct render *r, const struct value_dict *a, const struct value_dict *b,
                        bool *equal)
{
    *equal = a->count == b->count;
    for (size_t i = 0; *equal && i < a->count; i++) {
        struct dict_entry *other;
        if (!dict_find(r, b, a->entries[i].key, &other))
            return false;
        *equal = other != NULL;
        if (other && !value_equal(r, a->entries[i].value, other->value, equal))
            return false;
    }
    return true;
}

static bool ranges_equal(const struct value_range *a, const struct value_range *b)
{
    return a->count == b->count && (a->count == 0 || a->start == b->start) &&
           (a->count < 2 || a->step == b->step);
}

static bool same_type_equal(struct render *r, struct value a, struct value b, bool *equal)
{
    switch (a.type) {
    case VALUE_MISSING:
    case VALUE_UNDEFINED:
    case VALUE_NONE:
        *equal = true;
        return true;
    case VALUE_STRING:
        *equal = order_texts(a.text, b.text) == ORDER_SAME;
        return render_spend_bytes(r, a.text.length);
    case VALUE_LIST:
    case VALUE_TUPLE:
        return lists_equal(r, a.list, b.list, equal);
    case VALUE_DICT:
        return dicts_equal(r, a.dict, b.dict, equal);
    case VALUE_RANGE:
        *equal = ranges_equal(a.range, b.range);
        return true;
    default:
        *equal = a.pointer == b.pointer && a.flags == b.flags;
        return true;
    }
}

bool value_equal(struct render *r, struct value a, struct value b, bool *equal)
{
    *equal = false;
    if (!render_spend(r, 1) || !render_enter(r))
        return false;
    bool ok = true;
    if (value_is_number(a) && value_is_number(b))
        *equal = order_numbers(a, b) == ORDER_SAME;
    else if (a.type == b.type)
        ok = same_type_equal(r, a, b, equal);
    render_leave(r);
    return ok;
}

static bool order_lists(struct render *r, const char *operator_, const struct value_list *a,
                        const struct value_list *b, enum order *order)
{
    size_t n = size_min(a->count, b->count);
    for (size_t i = 0; i < n; i++) {
        bool equal;
        if (!value_equal(r, a->items[i], b->items[i], &equal))
            return false;
        if (!equal)
            return value_order(r, operator_, a->items[i], b->items[i], order);
    }
    *order = order_of(a->count < b->count ? -1 : a->count > b->count);
    return true;
}

bool value_order(struct render *r, const char *operator_, struct value a, struct value b,
                 enum order *order)
{
    if (!render_spend(r, 1))
        return false;
    if (value_is_number(a) && value_is_number(b)) {
        *order = order_numbers(a, b);
        return true;
    }
    if (a.type == VALUE_STRING && b.type == VALUE_STRING) {
        *order = order_texts(a.text, b.text);
        return render_spend_bytes(r, a.text.length);
    }
    if (a.type == b.type && (a.type == VALUE_LIST || a.type == VALUE_TUPLE)) {
        if (!render_enter(r))
            return false;
        bool ok = order_lists(r, operator_, a.list, b.list, order);
        render_leave(r);
        return ok;
    }
    if (a.type == VALUE_UNDEFINED || b.type == VALUE_UNDEFINED)
        return render_fail_undefined(r, a.type == VALUE_UNDEFINED ? a : b);
    return render_fail(r, "'%s' is not supported between '%s' and '%s'", operator_,
                       value_type_name(a), value_type_name(b));
}

/* ---- lists ---- */

bool list_push(struct render *r, struct value_list *list, struct value v)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 8;
        struct value *items = render_take(r, capacity, sizeof *items);
        if (!items)
            return false;
        if (list->count)
            memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = v;
    return render_spend(r, 1);
}

bool list_value(struct render *r, enum value_type type, struct value_list items,
                struct value *result)
{
    struct value_list *list = render_take(r, 1, sizeof *list);
    if (!list)
        return false;
    *list = items;
    *result = (struct value){.type = type, .list = list};
    return true;
}

bool pair_value(struct render *r, struct value a, struct value b, struct value *result)
{
    struct value_list pair = {
        .items = render_take(r, 2, sizeof *pair.items), .count = 2, .capacity = 2};
    if (!pair.items)
        return false;
    pair.items[0] = a;
    pair.items[1] = b;
    return list_value(r, VALUE_TUPLE, pair, result);
}

/* ---- dicts ---- */

enum { SMALL_DICT = 8 }; /* entries up to which a dict is searched from front to back */

struct value_dict *dict_new(struct render *r)
{
    return render_take(r, 1, sizeof(struct value_dict));
}

static uint64_t hash_bytes(const char *data, size_t length)
{
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)data[i]) * 1099511628211u;
    return hash ^ hash >> 29;
}

static uint64_t hash_number(struct value v)
{
    double d = value_real(v);
    if (v.type != VALUE_FLOAT || (d == floor(d) && fabs(d) < 0x1p63)) {
        int64_t i = v.type == VALUE_FLOAT ? (int64_t)d : value_integer(v);
        return hash_bytes((const char *)&i, sizeof i);
    }
    return hash_bytes((const char *)&d, sizeof d);
}

static bool hash_tuple(struct render *r, const struct value_list *list, uint64_t *hash)
{
    if (!render_enter(r))
        return false;
    bool hashable = true;
    for (size_t i = 0; hashable && i < list->count; i++) {
        uint64_t of_item;
        hashable = value_hash(r, list->items[i], &of_item);
        *hash = *hash * 31 + of_item;
    }
    render_leave(r);
    return hashable;
}

bool value_hash(struct render *r, struct value v, uint64_t *hash)
{
    *hash = v.type;
    if (!render_spend(r, 1))
        return false;
    if (value_is_number(v)) {
        *hash = hash_number(v);
        return true;
    }
    switch (v.type) {
    case VALUE_LIST:
    case VALUE_DICT:
    case VALUE_VIEW:
        return false;
    case VALUE_STRING:
        *hash = hash_bytes(v.text.data, v.text.length);
        return render_spend_bytes(r, v.text.length);
    case VALUE_TUPLE:
        return hash_tuple(r, v.list, hash);
    case VALUE_UNDEFINED:
    case VALUE_NONE:
        return true;
    case VALUE_RANGE:
        *hash = *hash * 31 + v.range->count;
        return true;
    default:
        *hash = hash_bytes((const char *)&v.pointer, sizeof v.pointer);
        return true;
    }
}

/* Where `hash` and `key` are, or the free slot for them. */
static bool find_slot(struct render *r, const struct value_dict *dict, struct value key,
                      uint64_t hash, size_t *slot, struct dict_entry **entry)
{
    *entry = NULL;
    size_t i = hash & (dict->n_slots - 1);
    for (; dict->slots[i]; i = (i + 1) & (dict->n_slots - 1)) {
        struct dict_entry *e = &dict->entries[dict->slots[i] - 1];
        bool equal = false;
        if (!render_spend(r, 1) || (e->hash == hash && !value_equal(r, e->key, key, &equal)))
            return false;
        if (equal) {
            *entry = e;
            break;
        }
    }
    *slot = i;
    return true;
}

static bool find_small(struct render *r, const struct value_dict *dict, struct value key,
                       uint64_t hash, struct dict_entry **entry)
{
    *entry = NULL;
    for (size_t i = 0; i < dict->count; i++) {
        struct dict_entry *e = &dict->entries[i];
        bool equal = false;
        if (e->hash == hash && !value_equal(r, e->key, key, &equal))
            return false;
        if (equal) {
            *entry = e;
            break;
        }
    }
    return true;
}

bool dict_find(struct render *r, const struct value_dict *dict, struct value key,
               struct dict_entry **entry)
{
    size_t slot;
    uint64_t hash;
    if (!value_hash(r, key, &hash))
        return render_fail(r, "unhashable type: '%s'", value_type_name(key));
    return dict->n_slots ? find_slot(r, dict, key, hash, &slot, entry)
                         : find_small(r, dict, key, hash, entry);
}

struct dict_entry *dict_find_text(struct render *r, const struct value_dict *dict,
                                  struct text_ref key)
{
    struct dict_entry *entry;
    struct value v = {.type = VALUE_STRING, .text = key};
    return dict_find(r, dict, v, &entry) ? entry : NULL;
}

static bool grow_dict(struct render *r, struct value_dict *dict)
{
    size_t capacity = dict->capacity ? dict->capacity * 2 : SMALL_DICT;
    struct dict_entry *entries = render_take(r, capacity, sizeof *entries);
    if (!entries || capacity > UINT32_MAX / 4)
        return false;
    if (dict->count)
        memcpy(entries, dict->entries, dict->count * sizeof *entries);
    dict->entries = entries;
    dict->capacity = capacity;
    if (capacity <= SMALL_DICT)
        return true;
    dict->slots = render_take(r, capacity * 2, sizeof *dict->slots);
    if (!dict->slots)
        return false;
    dict->n_slots = capacity * 2;
    for (size_t i = 0; i < dict->count; i++) {
        size_t slot = entries[i].hash & (dict->n_slots - 1);
        while (dict->slots[slot])
            slot = (slot + 1) & (dict->n_slots - 1);
        dict->slots[slot] = (uint32_t)i + 1;
    }
    return render_spend(r, dict->count);
}

bool dict_set(struct render *r, struct value_dict *dict, struct value key, struct value value)
{
    struct dict_entry *entry;
    size_t slot = 0;
    if (!dict_find(r, dict, key, &entry))
        return false;
    if (entry) {
        entry->value = value;
        return true;
    }
    if (dict->count == dict->capacity && !grow_dict(r, dict))
        return false;
    uint64_t hash;
    if (!value_hash(r, key, &hash))
        return false;
    if (dict->n_slots) {
        if (!find_slot(r, dict, key, hash, &slot, &entry))
            return false;
        dict->slots[slot] = (uint32_t)dict->count + 1;
    }
    dict->entries[dict->count++] = (struct dict_entry){key, value, hash};
    return true;
}

/* ---- sorting ---- */

/* Merges the sorted halves [begin, middle) and [middle, end) of positions. */
static bool merge_runs(struct render *r, const struct value *keys, bool reverse, const size_t *from,
                       size_t *to, const size_t run[3])
{
    size_t a = run[0], b = run[1];
    for (size_t i = run[0]; i < run[2]; i++) {
        bool take_b = b < run[2] && a >= run[1];
        if (a < run[1] && b < run[2]) {
            struct value x = keys[from[reverse ? a : b]], y = keys[from[reverse ? b : a]];
            enum order order;
            if (!value_order(r, "<", x, y, &order))
                return false;
            take_b = order == ORDER_LESS;
        }
        to[i] = take_b ? from[b++] : from[a++];
    }
    return true;
}

static bool sort_positions(struct render *r, const struct value *keys, bool reverse, size_t n,
                           size_t **positions, size_t *spare)
{
    size_t *from = *positions, *to = spare;
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t begin = 0; begin < n; begin += 2 * width) {
            size_t middle = size_min(begin + width, n);
            size_t end = size_min(begin + 2 * width, n);
            if (!merge_runs(r, keys, reverse, from, to, (size_t[]){begin, middle, end}))
                return false;
        }
        size_t *swap = from;
        from = to;
        to = swap;
    }
    *positions = from;
    return true;
}

bool sort_by_keys(struct render *r, struct value_list *items, struct value_list *keys, bool reverse)
{
    size_t n = items->count;
    size_t *positions = render_take(r, n, sizeof *positions),
           *spare = render_take(r, n, sizeof *spare);
    struct value *sorted = render_take(r, n, sizeof *sorted);
    struct value *sorted_keys = render_take(r, n, sizeof *sorted_keys);
    if (!positions || !spare || !sorted || !sorted_keys)
        return false;
    for (size_t i = 0; i < n; i++)
        positions[i] = i;
    if (!sort_positions(r, keys->items, reverse, n, &positions, spare))
        return false;
    for (size_t i = 0; i < n; i++) {
        sorted[i] = items->items[positions[i]];
        sorted_keys[i] = keys->items[positions[i]];
    }
    items->items = sorted;
    keys->items = sorted_keys;
    return true;
}
