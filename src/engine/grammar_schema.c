#include "engine/grammar_schema.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RULE_LIMIT = 100000, MESSAGE = 700, ALTERNATIVE_LIMIT = 1000 };

/* --- Paths and messages --- */

const char *schema_path(struct compiler *c, const char *path, const char *key)
{
    struct strbuf text = {0};
    strbuf_add(&text, path);
    strbuf_add_char(&text, '/');
    for (; *key; key++) {
        if (*key == '~' || *key == '/')
            strbuf_add(&text, *key == '~' ? "~0" : "~1");
        else
            strbuf_add_char(&text, *key);
    }
    const char *copy = arena_copy_string(&c->arena, strbuf_text(&text), text.length);
    strbuf_free(&text);
    return copy ? copy : "";
}

const char *schema_path_at(struct compiler *c, const char *path, const char *key, size_t index)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%zu", index);
    return schema_path(c, schema_path(c, path, key), digits);
}

enum status schema_error(struct compiler *c, enum status status, const struct item *item,
                         const char *keyword, const char *format, ...)
{
    char what[MESSAGE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    return error_set(c->err, status, "%s: \"%s\": %s", item->path, keyword, what);
}

/* --- Keywords --- */

bool keyword_is_annotation(const char *keyword)
{
    static const char *const annotations[] = {
        "title",       "description",     "default",          "examples",     "$comment",
        "$schema",     "deprecated",      "readOnly",         "writeOnly",    "$anchor",
        "$vocabulary", "contentEncoding", "contentMediaType", "contentSchema"};
    for (size_t i = 0; i < sizeof annotations / sizeof *annotations; i++)
        if (!strcmp(keyword, annotations[i]))
            return true;
    return false;
}

static bool is_used(const char *keyword)
{
    static const char *const used[] = {"type",
                                       "properties",
                                       "required",
                                       "additionalProperties",
                                       "enum",
                                       "const",
                                       "anyOf",
                                       "oneOf",
                                       "allOf",
                                       "$ref",
                                       "$defs",
                                       "definitions",
                                       "items",
                                       "prefixItems",
                                       "minItems",
                                       "maxItems",
                                       "minLength",
                                       "maxLength",
                                       "pattern",
                                       "format",
                                       "minimum",
                                       "maximum",
                                       "exclusiveMinimum",
                                       "exclusiveMaximum",
                                       "multipleOf",
                                       "patternProperties",
                                       "propertyNames",
                                       "minProperties",
                                       "maxProperties",
                                       "contains",
                                       "minContains",
                                       "maxContains",
                                       "not",
                                       "if",
                                       "then",
                                       "else",
                                       "dependentRequired",
                                       "dependentSchemas",
                                       "dependencies",
                                       "unevaluatedProperties",
                                       "unevaluatedItems"};
    for (size_t i = 0; i < sizeof used / sizeof *used; i++)
        if (!strcmp(keyword, used[i]))
            return true;
    return false;
}

/* Keywords that are refused only where they say something. */
static bool says_nothing(const struct compiler *c, const char *keyword, const json_t *schema,
                         const json_t *value)
{
    if (!strcmp(keyword, "uniqueItems"))
        return json_is_false(value);
    return !strcmp(keyword, "$id") && schema == c->root;
}

static enum status check_keywords(struct compiler *c, const struct item *item)
{
    const char *keyword;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)item->schema, keyword, value)
    {
        if (!is_used(keyword) && !keyword_is_annotation(keyword) &&
            !says_nothing(c, keyword, item->schema, value))
            return schema_error(c, STATUS_UNSUPPORTED, item, keyword,
                                "this keyword is not supported; remove it, or ask for "
                                "unconstrained JSON");
    }
    return STATUS_OK;
}

/* --- References --- */

/* One step of a JSON pointer: the part up to the next '/', with ~0 and ~1 resolved. */
static const char *take_step(const char *pointer, struct strbuf *step)
{
    strbuf_truncate(step, 0);
    for (; *pointer && *pointer != '/'; pointer++) {
        if (pointer[0] == '~' && (pointer[1] == '0' || pointer[1] == '1'))
            strbuf_add_char(step, *++pointer == '0' ? '~' : '/');
        else
            strbuf_add_char(step, *pointer);
    }
    return pointer;
}

static const json_t *follow_step(const json_t *value, const char *step)
{
    char *end;
    if (json_is_object(value))
        return json_object_get(value, step);
    unsigned long index = strtoul(step, &end, 10);
    return *step && !*end ? json_array_get(value, index) : NULL;
}

/* "%25" and the like in a fragment. */
static void append_unescaped(struct strbuf *out, const char *text)
{
    for (; *text; text++) {
        char hex[3] = {text[0] == '%' ? text[1] : 0, text[0] == '%' && text[1] ? text[2] : 0};
        char *end;
        long byte = strtol(hex, &end, 16);
        if (hex[0] && hex[1] && !*end) {
            strbuf_add_char(out, (char)byte);
            text += 2;
        } else {
            strbuf_add_char(out, *text);
        }
    }
}

static const json_t *follow_pointer(const json_t *root, const char *pointer)
{
    struct strbuf step = {0};
    const json_t *whole = root;
    while (root && *pointer == '/') {
        if (root != whole && json_is_string(json_object_get(root, "$id")))
            root = NULL; /* what is in there has another base */
        pointer = take_step(pointer + 1, &step);
        root = follow_step(root, strbuf_text(&step));
    }
    strbuf_free(&step);
    return *pointer ? NULL : root;
}

/* The schema with this "$anchor" among the definitions; *path is made its pointer. */
static const json_t *find_anchor(struct compiler *c, const char *anchor, const char **path)
{
    static const char *const places[] = {"$defs", "definitions"};
    const char *name, *own = json_string_value(json_object_get(c->root, "$anchor"));
    json_t *schema;
    if (own && !strcmp(own, anchor)) {
        *path = "#";
        return c->root;
    }
    for (size_t i = 0; i < 2; i++)
        json_object_foreach(json_object_get(c->root, places[i]), name, schema)
        {
            own = json_string_value(json_object_get(schema, "$anchor"));
            if (own && !strcmp(own, anchor)) {
                *path = schema_path(c, schema_path(c, "#", places[i]), name);
                return schema;
            }
        }
    return NULL;
}

enum status resolve_reference(struct compiler *c, const struct item *item, struct item *target)
{
    const char *ref = json_string_value(json_object_get(item->schema, "$ref"));
    const char *id = json_string_value(json_object_get(c->root, "$id")), *whole = ref;
    if (!ref)
        return schema_error(c, STATUS_INVALID, item, "$ref", "is not a string");
    if (id && *id && !strncmp(ref, id, strlen(id)))
        ref += strlen(id);
    struct strbuf fragment = {0};
    if (*ref == '#')
        append_unescaped(&fragment, ref + 1);
    const char *pointer = strbuf_text(&fragment);
    *target = (struct item){0};
    if ((*ref == '#' || !*ref) && (*pointer == '/' || !*pointer)) {
        target->schema = follow_pointer(c->root, pointer);
        target->path = arena_copy_string(&c->arena, ref, strlen(ref));
    } else if (*ref == '#') {
        target->schema = find_anchor(c, pointer, &target->path);
    }
    strbuf_free(&fragment);
    if (!target->schema)
        return schema_error(c, STATUS_UNSUPPORTED, item, "$ref",
                            "\"%s\" leads nowhere; only places in the schema itself can be "
                            "referred to (\"#/$defs/NAME\")",
                            whole);
    if (!target->path)
        return error_memory(c->err, "a schema");
    return STATUS_OK;
}

/* --- Conjunctions --- */

static bool same_item(const struct item *a, const struct item *b)
{
    return a->schema == b->schema && a->any_done == b->any_done && a->one_done == b->one_done;
}

static enum status add_all_of(struct compiler *c, struct conjunction *all, const struct item *item)
{
    const json_t *list = json_object_get(item->schema, "allOf");
    if (list && !json_is_array(list))
        return schema_error(c, STATUS_INVALID, item, "allOf", "is not an array");
    enum status status = STATUS_OK;
    for (size_t i = 0; !status && i < json_array_size(list); i++)
        status = conjunction_add(c, all,
                                 (struct item){.schema = json_array_get(list, i),
                                               .path = schema_path_at(c, item->path, "allOf", i)});
    return status;
}

static enum status add_derived(struct compiler *c, struct conjunction *all, const struct item *item)
{
    const json_t *derived, *schema;
    size_t i;
    enum status status = derived_schemas(c, item, &derived);
    json_array_foreach(derived, i, schema)
    {
        if (!status)
            status = conjunction_add(c, all, (struct item){.schema = schema, .path = item->path});
    }
    return status;
}

enum status conjunction_add(struct compiler *c, struct conjunction *all, struct item item)
{
    if (json_is_boolean(item.schema)) {
        all->impossible |= json_is_false(item.schema);
        return STATUS_OK;
    }
    if (!json_is_object(item.schema))
        return error_set(c->err, STATUS_INVALID, "%s: is neither an object nor a boolean",
                         item.path);
    for (size_t i = 0; i < all->count; i++) {
        if (same_item(&all->items[i], &item))
            return STATUS_OK;
        if (all->items[i].schema == item.schema)
            return error_set(c->err, STATUS_INVALID,
                             "%s: a $ref in its branches leads back to this schema with no value "
                             "in between",
                             all->items[i].path);
    }
    if (all->count == CONJUNCTION_LIMIT)
        return error_set(c->err, STATUS_LIMIT, "%s: more than %d schemas apply to one value",
                         item.path, CONJUNCTION_LIMIT);
    enum status status = check_keywords(c, &item);
    if (status)
        return status;
    all->items[all->count++] = item;
    if (json_object_get(item.schema, "$ref")) {
        struct item target;
        status = resolve_reference(c, &item, &target);
        if (!status)
            status = conjunction_add(c, all, target);
    }
    if (!status)
        status = add_all_of(c, all, &item);
    return status ? status : add_derived(c, all, &item);
}

const struct item *find_alternatives(const struct conjunction *all, const char **keyword)
{
    for (size_t i = 0; i < all->count; i++) {
        const struct item *item = &all->items[i];
        *keyword = !item->any_done && json_object_get(item->schema, "anyOf")   ? "anyOf"
                   : !item->one_done && json_object_get(item->schema, "oneOf") ? "oneOf"
                                                                               : NULL;
        if (*keyword)
            return item;
    }
    return NULL;
}

enum status take_branch(struct compiler *c, const struct conjunction *all, size_t index,
                        const char *keyword, size_t branch, struct conjunction *taken)
{
    const struct item *item = &all->items[index];
    const json_t *list = json_object_get(item->schema, keyword);
    *taken = *all;
    bool any = !strcmp(keyword, "anyOf");
    taken->items[index].any_done |= any;
    taken->items[index].one_done |= !any;
    return conjunction_add(c, taken,
                           (struct item){.schema = json_array_get(list, branch),
                                         .path = schema_path_at(c, item->path, keyword, branch)});
}

unsigned type_named(const char *name)
{
    static const struct {
        const char *name;
        unsigned types;
    } known[] = {{"null", TYPE_NULL},    {"boolean", TYPE_BOOLEAN}, {"string", TYPE_STRING},
                 {"array", TYPE_ARRAY},  {"object", TYPE_OBJECT},   {"integer", TYPE_INTEGER},
                 {"number", TYPE_NUMBER}};
    for (size_t i = 0; name && i < sizeof known / sizeof *known; i++)
        if (!strcmp(name, known[i].name))
            return known[i].types;
    return 0;
}

enum status item_types(struct compiler *c, const struct item *item, unsigned *types)
{
    const json_t *type = json_object_get(item->schema, "type");
    size_t n = json_is_array(type) ? json_array_size(type) : 1;
    *types = type ? 0 : TYPE_ALL;
    for (size_t i = 0; type && i < n; i++) {
        const json_t *name = json_is_array(type) ? json_array_get(type, i) : type;
        unsigned one = name == c->fraction ? TYPE_FRACTION : type_named(json_string_value(name));
        if (!one)
            return schema_error(c, STATUS_INVALID, item, "type",
                                "is not among null, boolean, string, array, object, integer, "
                                "number, nor a list of these");
        *types |= one;
    }
    return STATUS_OK;
}

enum status conjunction_types(struct compiler *c, const struct conjunction *all, unsigned *types)
{
    *types = all->impossible ? 0 : TYPE_ALL;
    for (size_t i = 0; i < all->count; i++) {
        unsigned one;
        enum status status = item_types(c, &all->items[i], &one);
        if (status)
            return status;
        *types &= one;
    }
    return STATUS_OK;
}

enum status conjunction_count(struct compiler *c, const struct conjunction *all,
                              const char *keyword, bool largest, uint32_t *count)
{
    for (size_t i = 0; i < all->count; i++) {
        const json_t *value = json_object_get(all->items[i].schema, keyword);
        double number = json_number_value(value);
        if (!value)
            continue;
        if (!json_is_number(value) || number < 0 || number != (double)(long long)number)
            return schema_error(c, STATUS_INVALID, &all->items[i], keyword,
                                "is not a whole number, 0 or more");
        if (number > 1e9)
            return schema_error(c, STATUS_LIMIT, &all->items[i], keyword,
                                "is larger than 1000000000");
        if (largest ? number > *count : number < *count)
            *count = (uint32_t)number;
    }
    return STATUS_OK;
}

/* --- Rules --- */

static size_t hash_items(const struct item *items, size_t n)
{
    size_t hash = n;
    for (size_t i = 0; i < n; i++) { /* the order does not matter */
        size_t one = (size_t)(uintptr_t)items[i].schema + items[i].any_done + 2 * items[i].one_done;
        one *= 0x9E3779B97F4A7C15u;
        hash += one ^ one >> 29;
    }
    return hash ^ hash >> 32;
}

static bool has_item(const struct pending_rule *rule, const struct item *item)
{
    for (size_t i = 0; i < rule->count; i++)
        if (same_item(&rule->items[i], item))
            return true;
    return false;
}

static bool same_items(const struct pending_rule *rule, const struct conjunction *all, size_t hash)
{
    bool same = rule->hash == hash && rule->count == all->count;
    for (size_t i = 0; same && i < all->count; i++)
        same = has_item(rule, &all->items[i]);
    return same;
}

static bool rehash_rules(struct compiler *c)
{
    size_t n_slots = c->n_slots ? 2 * c->n_slots : 64;
    uint32_t *slots = mem_array(n_slots, sizeof *slots);
    if (!slots)
        return false;
    for (size_t i = 0; i < c->n_rules; i++) {
        size_t at = c->rules[i].hash & (n_slots - 1);
        while (slots[at])
            at = (at + 1) & (n_slots - 1);
        slots[at] = (uint32_t)i + 1;
    }
    mem_free(c->slots);
    c->slots = slots;
    c->n_slots = n_slots;
    return true;
}

/* Asks for the rule; it is compiled when its turn comes, so that no recursion is deep. */
static enum status add_pending(struct compiler *c, const struct conjunction *all, size_t hash,
                               uint32_t *rule)
{
    if (c->n_rules >= RULE_LIMIT)
        return error_set(c->err, STATUS_LIMIT,
                         "the schema is too large: more than %d combinations of its parts",
                         RULE_LIMIT);
    size_t bytes = all->count * sizeof *all->items;
    struct item *items = arena_alloc(&c->arena, bytes);
    if (!items || !mem_grow(&c->rules, &c->rule_capacity, c->n_rules, sizeof *c->rules))
        return error_memory(c->err, "a schema");
    if (bytes)
        memcpy(items, all->items, bytes);
    *rule = grammar_add_rule(c->g);
    c->rules[c->n_rules++] =
        (struct pending_rule){.items = items, .count = all->count, .rule = *rule, .hash = hash};
    return STATUS_OK;
}

enum status rule_for(struct compiler *c, const struct conjunction *all, uint32_t *rule)
{
    if (all->impossible) {
        *rule = grammar_add_rule(c->g);
        return STATUS_OK;
    }
    if (2 * c->n_rules >= c->n_slots && !rehash_rules(c))
        return error_memory(c->err, "a schema");
    size_t hash = hash_items(all->items, all->count), at = hash & (c->n_slots - 1);
    for (; c->slots[at]; at = (at + 1) & (c->n_slots - 1)) {
        const struct pending_rule *known = &c->rules[c->slots[at] - 1];
        if (same_items(known, all, hash)) {
            *rule = known->rule;
            return STATUS_OK;
        }
    }
    c->slots[at] = (uint32_t)c->n_rules + 1;
    return add_pending(c, all, hash, rule);
}

/* Which branches [n, n] of oneOf exclude each other; *all_distinct: all of them do. */
static enum status compare_branches(struct compiler *c, const struct conjunction *all, size_t index,
                                    size_t n, bool *distinct, bool *all_distinct)
{
    struct conjunction *pair = mem_array(2, sizeof *pair);
    enum status status = pair ? STATUS_OK : error_memory(c->err, "a schema");
    *all_distinct = true;
    for (size_t i = 0; !status && i < n; i++)
        for (size_t j = i + 1; !status && j < n; j++) {
            bool *both = &distinct[i * n + j];
            status = take_branch(c, all, index, "oneOf", i, &pair[0]);
            if (!status)
                status = take_branch(c, all, index, "oneOf", j, &pair[1]);
            if (!status)
                status = conjunctions_distinct(c, &pair[0], &pair[1], both);
            distinct[j * n + i] = *both;
            *all_distinct &= *both;
        }
    mem_free(pair);
    return status;
}

/* Where branches of oneOf have values in common: an edge for the values that only one has. */
static enum status separate_branches(struct compiler *c, struct conjunction *all, size_t index,
                                     size_t n, uint32_t start, uint32_t end, bool *is_done)
{
    const struct item *item = &all->items[index];
    const json_t *derived;
    uint32_t rule;
    bool *distinct = mem_array(n, n * sizeof *distinct), all_distinct = false;
    enum status status = distinct ? compare_branches(c, all, index, n, distinct, &all_distinct)
                                  : error_memory(c->err, "a schema");
    *is_done = !status && !all_distinct;
    if (*is_done)
        status = derived_one_of(c, item, distinct, &derived);
    mem_free(distinct);
    if (status || all_distinct)
        return status;
    all->items[index].one_done = true;
    status = conjunction_add(c, all, (struct item){.schema = derived, .path = item->path});
    if (!status)
        status = rule_for(c, all, &rule);
    if (!status)
        grammar_add_edge(c->g, start, EDGE_RULE, rule, end);
    return status;
}

static enum status add_branches(struct compiler *c, const struct conjunction *all, size_t index,
                                const char *keyword, uint32_t start, uint32_t end)
{
    size_t n = json_array_size(json_object_get(all->items[index].schema, keyword));
    struct conjunction *taken = mem_alloc(sizeof *taken);
    enum status status = taken ? STATUS_OK : error_memory(c->err, "a schema");
    for (size_t i = 0; !status && i < n; i++) {
        uint32_t rule;
        status = take_branch(c, all, index, keyword, i, taken);
        if (!status)
            status = rule_for(c, taken, &rule);
        if (!status)
            grammar_add_edge(c->g, start, EDGE_RULE, rule, end);
    }
    mem_free(taken);
    return status;
}

static enum status compile_alternatives(struct compiler *c, struct conjunction *all, size_t index,
                                        const char *keyword, uint32_t start, uint32_t end)
{
    const struct item *item = &all->items[index];
    const json_t *list = json_object_get(item->schema, keyword);
    size_t n = json_array_size(list);
    bool is_done = false;
    if (!json_is_array(list) || n == 0)
        return schema_error(c, STATUS_INVALID, item, keyword, "is not an array of schemas");
    if (n > ALTERNATIVE_LIMIT)
        return schema_error(c, STATUS_LIMIT, item, keyword, "has %zu branches; at most %d", n,
                            ALTERNATIVE_LIMIT);
    enum status status = STATUS_OK;
    if (!strcmp(keyword, "oneOf"))
        status = separate_branches(c, all, index, n, start, end, &is_done);
    return status || is_done ? status : add_branches(c, all, index, keyword, start, end);
}

/* The values of a conjunction without alternatives. */
static enum status compile_values(struct compiler *c, const struct conjunction *all, uint32_t start,
                                  uint32_t end)
{
    unsigned types;
    enum status status = conjunction_types(c, all, &types);
    bool listed = conjunction_has_values(all);
    if (!status && !listed && (types & TYPE_OBJECT))
        status = add_object(c, all, start, end);
    if (!status && !listed && (types & TYPE_ARRAY))
        status = add_array(c, all, start, end);
    if (!status && !listed && (types & TYPE_STRING))
        status = add_string(c, all, start, end);
    unsigned scalars = listed ? types : types & ~(unsigned)(TYPE_OBJECT | TYPE_ARRAY | TYPE_STRING);
    if (!status && scalars) {
        struct leaf leaf = {0};
        status = scalars_to_dfa(c, all, scalars, &leaf.dfa);
        if (!status)
            grammar_add_edge(c->g, start, EDGE_LEAF, grammar_add_leaf(c->g, leaf), end);
    }
    return status;
}

static enum status compile_rule(struct compiler *c, const struct pending_rule *pending,
                                struct conjunction *all)
{
    *all = (struct conjunction){.count = pending->count};
    if (pending->count)
        memcpy(all->items, pending->items, pending->count * sizeof *all->items);
    if (c->g->failure) /* grammar_finish() says what */
        return STATUS_OK;
    uint32_t start = c->g->rules[pending->rule], end = grammar_add_state(c->g, true);
    const char *keyword;
    const struct item *item = find_alternatives(all, &keyword);
    if (item)
        return compile_alternatives(c, all, (size_t)(item - all->items), keyword, start, end);
    return compile_values(c, all, start, end);
}

static void add_punctuation(struct compiler *c)
{
#define GAP "(?: |\\n {0,32})?"
    c->open_object = grammar_add_regex(c->g, "\\{" GAP);
    c->open_array = grammar_add_regex(c->g, "\\[" GAP);
    c->comma = grammar_add_regex(c->g, "," GAP);
    c->colon = grammar_add_regex(c->g, ": ?");
    c->close_object = grammar_add_regex(c->g, GAP "\\}");
    c->close_array = grammar_add_regex(c->g, GAP "\\]");
    c->empty_object = grammar_add_text(c->g, "}", 1);
    c->empty_array = grammar_add_text(c->g, "]", 1);
}

enum status grammar_add_schema(struct grammar *g, const json_t *schema, uint32_t *rule,
                               struct error *err)
{
    struct compiler c = {.g = g, .root = schema, .strings = json_object(), .err = err};
    c.derived = json_object();
    c.fraction = json_string("fraction");
    struct conjunction *all = mem_alloc(sizeof *all);
    enum status status = all && c.strings && c.derived && c.fraction
                             ? make_any_content(&c)
                             : error_memory(err, "a schema");
    add_punctuation(&c);
    if (!status)
        status = conjunction_add(&c, all, (struct item){.schema = schema, .path = "#"});
    if (!status)
        status = rule_for(&c, all, rule);
    for (; !status && c.n_compiled < c.n_rules; c.n_compiled++)
        status = compile_rule(&c,
                              &(struct pending_rule){c.rules[c.n_compiled].items,
                                                     c.rules[c.n_compiled].count,
                                                     c.rules[c.n_compiled].rule, 0},
                              all);
    mem_free(all);
    mem_free(c.rules);
    mem_free(c.slots);
    for (size_t i = 0; i < c.n_patterns; i++)
        dfa_free(&c.patterns[i].dfa);
    mem_free(c.patterns);
    dfa_free(&c.any_content);
    json_decref(c.strings);
    json_decref(c.derived);
    json_decref(c.fraction);
    arena_free(&c.arena);
    return status;
}
