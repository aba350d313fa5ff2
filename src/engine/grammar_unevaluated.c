/* unevaluatedProperties and unevaluatedItems, said by other keywords: what no keyword beside them
 * looks at, through $ref and allOf as well, must satisfy their schema.
 *
 *     allOf: [{properties: {a: A}}], properties: {b: B}, unevaluatedProperties: S
 *         => properties: {a: true, b: true}, additionalProperties: S
 *
 * What a branch that need not hold looks at (anyOf, if, ...) depends on the value. Such schemas are
 * refused, unless the others look at that anyway.
 */
#include "base/size.h"
#include "engine/grammar_schema.h"

#include <stdio.h>

enum { NESTING_LIMIT = 200 };

/* What is looked at. */
struct evaluated {
    json_t *properties, *patterns; /* objects of names and of patterns, each true */
    bool all_properties;
    size_t n_items; /* the first ones */
    bool all_items;
    bool some_items; /* those that "contains" finds */
};

struct collection {
    struct compiler *c;
    const struct item *item; /* the schema with the keyword */
    struct evaluated always, sometimes;
    json_t *seen; /* an object: the schemas that were collected, each once */
};

static enum status collect(struct collection *l, const json_t *schema, bool is_certain,
                           size_t depth);

static void add_keys(json_t *names, const json_t *object)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
        json_object_set_new(names, name, json_true());
}

/* What the schema's own keywords look at. */
static void add_own(struct evaluated *e, const json_t *schema, bool is_inner)
{
    size_t n = json_array_size(json_object_get(schema, "prefixItems"));
    add_keys(e->properties, json_object_get(schema, "properties"));
    add_keys(e->patterns, json_object_get(schema, "patternProperties"));
    e->all_properties |= json_object_get(schema, "additionalProperties") ||
                         (is_inner && json_object_get(schema, "unevaluatedProperties"));
    e->n_items = size_max(n, e->n_items);
    e->all_items |= json_object_get(schema, "items") ||
                    (is_inner && json_object_get(schema, "unevaluatedItems"));
    e->some_items |= json_object_get(schema, "contains") != NULL;
}

/* The schemas of an array or an object; lists of names among them are none. */
static enum status collect_each(struct collection *l, const json_t *schemas, bool is_certain,
                                size_t depth)
{
    enum status status = STATUS_OK;
    size_t i;
    const char *name;
    json_t *schema;
    json_array_foreach(schemas, i, schema) if (!status) status =
        collect(l, schema, is_certain, depth);
    json_object_foreach((json_t *)(uintptr_t)schemas, name, schema) if (!status) status =
        collect(l, schema, is_certain, depth);
    return status;
}

static enum status collect_uncertain(struct collection *l, const json_t *schema, size_t depth)
{
    static const char *const lists[] = {"anyOf", "oneOf", "dependentSchemas", "dependencies"};
    static const char *const branches[] = {"if", "then", "else"};
    enum status status = STATUS_OK;
    for (size_t i = 0; !status && i < sizeof lists / sizeof *lists; i++)
        status = collect_each(l, json_object_get(schema, lists[i]), false, depth);
    for (size_t i = 0; !status && i < sizeof branches / sizeof *branches; i++)
        status = collect(l, json_object_get(schema, branches[i]), false, depth);
    return status;
}

static bool was_seen(struct collection *l, const json_t *schema, bool is_certain)
{
    char key[32];
    snprintf(key, sizeof key, "%p %d", (const void *)schema, is_certain);
    bool seen = json_object_get(l->seen, key) != NULL;
    json_object_set_new(l->seen, key, json_true());
    return seen;
}

static enum status collect(struct collection *l, const json_t *schema, bool is_certain,
                           size_t depth)
{
    struct item target, here = {.schema = schema, .path = l->item->path};
    enum status status = STATUS_OK;
    if (!json_is_object(schema) || was_seen(l, schema, is_certain))
        return STATUS_OK;
    if (depth == NESTING_LIMIT)
        return error_set(l->c->err, STATUS_LIMIT,
                         "%s: more than %d schemas refer to each other with no value in between",
                         here.path, NESTING_LIMIT);
    add_own(is_certain ? &l->always : &l->sometimes, schema, depth > 0);
    if (json_object_get(schema, "$ref")) {
        status = resolve_reference(l->c, &here, &target);
        if (!status)
            status = collect(l, target.schema, is_certain, depth + 1);
    }
    if (!status)
        status = collect_each(l, json_object_get(schema, "allOf"), is_certain, depth + 1);
    return status ? status : collect_uncertain(l, schema, depth + 1);
}

/* --- What is left --- */

static bool has_keys(const json_t *object, const json_t *keys)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)keys, key, value)
    {
        if (!json_object_get(object, key))
            return false;
    }
    return true;
}

static bool properties_are_certain(const struct collection *l)
{
    const struct evaluated *maybe = &l->sometimes, *always = &l->always;
    return always->all_properties ||
           (!maybe->all_properties && has_keys(always->properties, maybe->properties) &&
            has_keys(always->patterns, maybe->patterns));
}

static bool items_are_certain(const struct collection *l)
{
    const struct evaluated *maybe = &l->sometimes, *always = &l->always;
    return always->all_items || (!maybe->all_items && !maybe->some_items && !always->some_items &&
                                 maybe->n_items <= always->n_items);
}

static json_t *rest_of_properties(const struct evaluated *e, json_t *rest)
{
    return e->all_properties
               ? json_true()
               : json_pack("{s:O, s:O, s:O}", "properties", e->properties, "patternProperties",
                           e->patterns, "additionalProperties", rest);
}

static json_t *rest_of_items(const struct evaluated *e, json_t *rest)
{
    json_t *prefix = json_array();
    for (size_t i = 0; i < e->n_items; i++)
        json_array_append_new(prefix, json_true());
    json_t *schema = e->all_items ? json_true()
                     : e->n_items > 0
                         ? json_pack("{s:O, s:O}", "prefixItems", prefix, "items", rest)
                         : json_pack("{s:O}", "items", rest);
    json_decref(prefix);
    return schema;
}

static enum status derive(struct collection *l, const char *keyword, bool is_certain,
                          json_t *(*rest_of)(const struct evaluated *, json_t *rest), json_t *list)
{
    json_t *rest = json_object_get(l->item->schema, keyword);
    if (!rest || json_is_true(rest))
        return STATUS_OK;
    if (!is_certain)
        return schema_error(l->c, STATUS_UNSUPPORTED, l->item, keyword,
                            "what is not evaluated depends on which of the branches beside it "
                            "(anyOf, oneOf, if, contains, ...) holds; list what all of them know "
                            "beside this keyword, too");
    json_array_append_new(list, rest_of(&l->always, rest));
    return STATUS_OK;
}

enum status derive_unevaluated(struct compiler *c, const struct item *item, json_t *list)
{
    struct collection l = {.c = c,
                           .item = item,
                           .seen = json_object(),
                           .always = {.properties = json_object(), .patterns = json_object()},
                           .sometimes = {.properties = json_object(), .patterns = json_object()}};
    enum status status = STATUS_OK;
    if (json_object_get(item->schema, "unevaluatedProperties") ||
        json_object_get(item->schema, "unevaluatedItems"))
        status = collect(&l, item->schema, true, 0);
    if (!status)
        status = derive(&l, "unevaluatedProperties", properties_are_certain(&l), rest_of_properties,
                        list);
    if (!status)
        status = derive(&l, "unevaluatedItems", items_are_certain(&l), rest_of_items, list);
    json_decref(l.seen);
    json_decref(l.always.properties);
    json_decref(l.always.patterns);
    json_decref(l.sometimes.properties);
    json_decref(l.sometimes.patterns);
    return status;
}
