/* What some keywords say, said by others: schemas that a value must satisfy besides.
 *
 *     dependentRequired {a: [b]}    a is absent, or a and b are there
 *     dependentSchemas {a: S}       a is absent, or it is there and S holds
 *     if I, then T, else E          I and T, or E and not I
 *     not S                         what S says, keyword by keyword, is not so
 *
 * A negation may permit less than it could (no other objects where one is listed, no value that is
 * in two branches of oneOf), and never more.
 */
#include "base/utf8.h"
#include "engine/grammar_schema.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NEGATION_DEPTH = 32, LISTED_LIMIT = 64, LISTED_LENGTH = 64, BRANCH_LIMIT = 64 };

/* Up to here doubles tell whole numbers apart. */
static const double EXACT_LIMIT = 9007199254740992;

struct negation {
    struct compiler *c;
    size_t depth;
};

/* A new reference; NULL where this cannot be said. */
static json_t *negate(struct negation *n, const json_t *schema);

static json_t *reference(const json_t *value)
{
    return json_incref((json_t *)(uintptr_t)value);
}

/* --- Types --- */

static json_t *other_types(struct negation *n, unsigned types)
{
    static const char *const names[] = {"null", "boolean", "string", "array", "object"};
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!(types & type_named(names[i])))
            json_array_append_new(list, json_string(names[i]));
    if (!(types & TYPE_INTEGER))
        json_array_append_new(list, json_string("integer"));
    if (!(types & TYPE_FRACTION))
        json_array_append(list, n->c->fraction);
    return json_array_size(list) ? json_pack("{s:o}", "type", list)
                                 : (json_decref(list), json_false());
}

static json_t *not_type(struct negation *n, const json_t *schema, const json_t *type)
{
    unsigned types;
    (void)type;
    return item_types(n->c, &(struct item){.schema = schema, .path = "#"}, &types)
               ? NULL
               : other_types(n, types);
}

/* --- Listed values --- */

static uint32_t first_character(const char *text, size_t *length)
{
    uint32_t character = 0;
    int n = utf8_decode(text, strlen(text), &character);
    *length = n > 0 ? (size_t)n : 1;
    return character;
}

/* A group that matches all texts but these. */
static void write_unlike(struct strbuf *out, const char *const *texts, size_t n)
{
    const char *rest[LISTED_LIMIT];
    bool done[LISTED_LIMIT] = {0}, has_empty = false;
    struct strbuf begins = {0};
    for (size_t i = 0; i < n; i++)
        has_empty |= !*texts[i];
    strbuf_add(out, has_empty ? "(?:" : "(?:|");
    for (size_t i = 0; i < n; i++) {
        size_t length, n_rest = 0;
        uint32_t character = first_character(texts[i], &length);
        if (done[i] || !*texts[i])
            continue;
        for (size_t j = i; j < n; j++)
            if (!strncmp(texts[i], texts[j], length)) {
                done[j] = true;
                rest[n_rest++] = texts[j] + length;
            }
        strbuf_printf(&begins, "\\u{%x}", (unsigned)character);
        strbuf_printf(out, "\\u{%x}", (unsigned)character);
        write_unlike(out, rest, n_rest);
        strbuf_add_char(out, '|');
    }
    if (begins.length)
        strbuf_printf(out, "[^%s][\\s\\S]*)", strbuf_text(&begins));
    else
        strbuf_add(out, "[\\s\\S]+)");
    strbuf_free(&begins);
}

static json_t *unlike_strings(const json_t *list)
{
    const char *texts[LISTED_LIMIT];
    size_t i, n = 0;
    const json_t *value;
    json_array_foreach(list, i, value)
    {
        const char *text = json_string_value(value);
        if (!text)
            continue;
        if (n == LISTED_LIMIT || json_string_length(value) > LISTED_LENGTH ||
            strlen(text) != json_string_length(value))
            return NULL;
        texts[n++] = text;
    }
    struct strbuf pattern = {0};
    strbuf_add_char(&pattern, '^');
    write_unlike(&pattern, texts, n);
    strbuf_add_char(&pattern, '$');
    json_t *schema = json_pack("{s:s, s:s}", "type", "string", "pattern", strbuf_text(&pattern));
    strbuf_free(&pattern);
    return schema;
}

static int compare_numbers(const void *a, const void *b)
{
    double x = json_number_value(*(json_t *const *)a), y = json_number_value(*(json_t *const *)b);
    return (x > y) - (x < y);
}

/* The gaps between them. */
static json_t *unlike_numbers(const json_t *list)
{
    json_t *numbers[LISTED_LIMIT], *gaps, *value;
    size_t i, n = 0;
    json_array_foreach(list, i, value)
    {
        if (!json_is_number(value))
            continue;
        if (n == LISTED_LIMIT || fabs(json_number_value(value)) > EXACT_LIMIT)
            return NULL;
        numbers[n++] = value;
    }
    qsort(numbers, n, sizeof *numbers, compare_numbers);
    gaps = json_pack("[{s:s, s:O}, {s:s, s:O}]", "type", "number", "exclusiveMaximum", numbers[0],
                     "type", "number", "exclusiveMinimum", numbers[n - 1]);
    for (i = 1; i < n; i++)
        if (compare_numbers(&numbers[i - 1], &numbers[i]) < 0)
            json_array_append_new(gaps,
                                  json_pack("{s:s, s:O, s:O}", "type", "number", "exclusiveMinimum",
                                            numbers[i - 1], "exclusiveMaximum", numbers[i]));
    return json_pack("{s:o}", "anyOf", gaps);
}

static json_t *unlike_booleans(const json_t *list)
{
    bool listed[2] = {false};
    size_t i;
    const json_t *value;
    json_array_foreach(list, i, value)
    {
        if (json_is_boolean(value))
            listed[json_is_true(value)] = true;
    }
    return listed[0] && listed[1] ? json_false() : json_pack("{s:b}", "const", listed[0]);
}

/* Values of other types, and others of these types; no other objects and arrays. */
static json_t *not_listed(struct negation *n, const json_t *list)
{
    static const struct {
        unsigned types;
        json_t *(*unlike)(const json_t *list);
    } kinds[] = {{TYPE_STRING, unlike_strings},
                 {TYPE_NUMBER, unlike_numbers},
                 {TYPE_BOOLEAN, unlike_booleans}};
    unsigned types = 0;
    size_t i;
    const json_t *value;
    json_array_foreach(list, i, value) types |=
        json_is_number(value) ? TYPE_NUMBER : json_value_type(value);
    json_t *branches = json_pack("[o]", other_types(n, types));
    bool known = true;
    for (i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (types & kinds[i].types)
            known = known && !json_array_append_new(branches, kinds[i].unlike(list));
    json_t *result = known ? json_pack("{s:O}", "anyOf", branches) : NULL;
    json_decref(branches);
    return result;
}

static json_t *not_enum(struct negation *n, const json_t *schema, const json_t *list)
{
    (void)schema;
    return json_is_array(list) ? not_listed(n, list) : NULL;
}

static json_t *not_const(struct negation *n, const json_t *schema, const json_t *value)
{
    (void)schema;
    json_t *list = json_pack("[O]", value), *negated = not_listed(n, list);
    json_decref(list);
    return negated;
}

/* --- Limits --- */

static json_t *not_limit(struct negation *n, const json_t *schema, const json_t *value)
{
    static const char *const opposites[][2] = {{"minimum", "exclusiveMaximum"},
                                               {"exclusiveMinimum", "maximum"},
                                               {"maximum", "exclusiveMinimum"},
                                               {"exclusiveMaximum", "minimum"}};
    (void)n;
    for (size_t i = 0; i < 4; i++)
        if (json_object_get(schema, opposites[i][0]) == value)
            return json_pack("{s:s, s:O}", "type", "number", opposites[i][1], value);
    return NULL;
}

static json_t *not_count(struct negation *n, const json_t *schema, const json_t *value)
{
    static const char *const kinds[][3] = {{"string", "minLength", "maxLength"},
                                           {"array", "minItems", "maxItems"},
                                           {"object", "minProperties", "maxProperties"}};
    (void)n;
    json_int_t count = json_integer_value(value);
    if (!json_is_integer(value))
        return NULL;
    for (size_t i = 0; i < 3; i++) {
        if (json_object_get(schema, kinds[i][2]) == value)
            return json_pack("{s:s, s:I}", "type", kinds[i][0], kinds[i][1], count + 1);
        if (json_object_get(schema, kinds[i][1]) == value)
            return count < 1 ? json_false()
                             : json_pack("{s:s, s:I}", "type", kinds[i][0], kinds[i][2], count - 1);
    }
    return NULL;
}

/* --- Objects and arrays --- */

static json_t *not_required(struct negation *n, const json_t *schema, const json_t *names)
{
    json_t *branches = json_array();
    size_t i;
    const json_t *name;
    (void)n;
    (void)schema;
    json_array_foreach(names, i, name)
    {
        const char *text = json_string_value(name);
        if (!text || strlen(text) != json_string_length(name)) {
            json_decref(branches);
            return NULL;
        }
        json_array_append_new(branches,
                              json_pack("{s:s, s:{s:b}}", "type", "object", "properties", text, 0));
    }
    return json_array_size(branches) ? json_pack("{s:o}", "anyOf", branches)
                                     : (json_decref(branches), json_false());
}

static json_t *not_properties(struct negation *n, const json_t *schema, const json_t *properties)
{
    json_t *branches = json_array(), *value;
    const char *name;
    bool known = true;
    (void)schema;
    json_object_foreach((json_t *)(uintptr_t)properties, name, value)
    {
        json_t *negated = negate(n, value);
        known = known && negated;
        if (negated)
            json_array_append_new(branches,
                                  json_pack("{s:s, s:[s], s:{s:o}}", "type", "object", "required",
                                            name, "properties", name, negated));
    }
    json_t *result = !known                      ? NULL
                     : json_array_size(branches) ? json_pack("{s:O}", "anyOf", branches)
                                                 : json_false();
    json_decref(branches);
    return result;
}

static json_t *not_items(struct negation *n, const json_t *schema, const json_t *items)
{
    json_t *negated = json_object_get(schema, "prefixItems") ? NULL : negate(n, items);
    return negated ? json_pack("{s:s, s:o}", "type", "array", "contains", negated) : NULL;
}

static json_t *not_contains(struct negation *n, const json_t *schema, const json_t *contains)
{
    bool is_plain =
        !json_object_get(schema, "minContains") && !json_object_get(schema, "maxContains");
    json_t *negated = is_plain ? negate(n, contains) : NULL;
    return negated ? json_pack("{s:s, s:o}", "type", "array", "items", negated) : NULL;
}

/* --- Combinations --- */

static json_t *negate_each(struct negation *n, const json_t *list, const char *joined)
{
    json_t *negated = json_array();
    size_t i;
    const json_t *schema;
    bool known = json_is_array(list);
    json_array_foreach(list, i, schema)
    {
        json_t *one = known ? negate(n, schema) : NULL;
        known = one && !json_array_append_new(negated, one);
    }
    json_t *result = known ? json_pack("{s:O}", joined, negated) : NULL;
    json_decref(negated);
    return result;
}

static json_t *not_all_of(struct negation *n, const json_t *schema, const json_t *list)
{
    (void)schema;
    return negate_each(n, list, "anyOf");
}

/* Of oneOf: that more than one branch holds is left out. */
static json_t *not_any_of(struct negation *n, const json_t *schema, const json_t *list)
{
    (void)schema;
    return negate_each(n, list, "allOf");
}

static json_t *not_not(struct negation *n, const json_t *schema, const json_t *inner)
{
    (void)n;
    (void)schema;
    return reference(inner);
}

/* Left to when it is met: so recursion ends. */
static json_t *not_reference(struct negation *n, const json_t *schema, const json_t *ref)
{
    (void)n;
    (void)schema;
    return json_pack("{s:{s:O}}", "not", "$ref", ref);
}

/* Says nothing about values. */
static json_t *never(struct negation *n, const json_t *schema, const json_t *value)
{
    (void)n;
    (void)schema;
    (void)value;
    return json_false();
}

typedef json_t *negate_keyword(struct negation *, const json_t *schema, const json_t *value);

static negate_keyword *negation_of(const char *keyword)
{
    static const struct {
        const char *keyword;
        negate_keyword *negate;
    } table[] = {{"type", not_type},
                 {"enum", not_enum},
                 {"const", not_const},
                 {"minimum", not_limit},
                 {"maximum", not_limit},
                 {"exclusiveMinimum", not_limit},
                 {"exclusiveMaximum", not_limit},
                 {"minLength", not_count},
                 {"maxLength", not_count},
                 {"minItems", not_count},
                 {"maxItems", not_count},
                 {"minProperties", not_count},
                 {"maxProperties", not_count},
                 {"required", not_required},
                 {"properties", not_properties},
                 {"items", not_items},
                 {"contains", not_contains},
                 {"allOf", not_all_of},
                 {"anyOf", not_any_of},
                 {"oneOf", not_any_of},
                 {"not", not_not},
                 {"$ref", not_reference},
                 {"$defs", never},
                 {"definitions", never}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(keyword, table[i].keyword))
            return table[i].negate;
    return keyword_is_annotation(keyword) ? never : NULL;
}

static json_t *negate_keywords(struct negation *n, const json_t *schema)
{
    json_t *branches = json_array(), *value;
    const char *keyword;
    bool known = true;
    json_object_foreach((json_t *)(uintptr_t)schema, keyword, value)
    {
        negate_keyword *function = known ? negation_of(keyword) : NULL;
        json_t *branch = function ? function(n, schema, value) : NULL;
        known = branch && !json_array_append_new(branches, branch);
    }
    json_t *result = !known                      ? NULL
                     : json_array_size(branches) ? json_pack("{s:O}", "anyOf", branches)
                                                 : json_false();
    json_decref(branches);
    return result;
}

static json_t *negate(struct negation *n, const json_t *schema)
{
    if (json_is_boolean(schema))
        return json_boolean(!json_is_true(schema));
    if (!json_is_object(schema) || n->depth == NEGATION_DEPTH)
        return NULL;
    n->depth++;
    json_t *negated = negate_keywords(n, schema);
    n->depth--;
    return negated;
}

/* --- Deriving --- */

/* Kept by the schema's address: what is derived once is the same ever after. */
static json_t *kept(struct compiler *c, const void *of, const char *what)
{
    char key[64];
    snprintf(key, sizeof key, "%p %s", of, what);
    json_t *list = json_object_get(c->derived, key);
    if (!list)
        json_object_set_new(c->derived, key, json_array());
    return json_object_get(c->derived, key);
}

/* The opposite of a schema; NULL where it cannot be said. */
static json_t *opposite_of(struct compiler *c, const json_t *schema)
{
    struct item target;
    for (size_t hops = 0; json_object_size(schema) == 1 && json_object_get(schema, "$ref");
         hops++) {
        if (hops == NEGATION_DEPTH ||
            resolve_reference(c, &(struct item){.schema = schema, .path = "#"}, &target))
            return NULL;
        schema = target.schema;
    }
    json_t *list = kept(c, schema, "opposite");
    if (json_array_size(list) == 0)
        json_array_append_new(list, negate(&(struct negation){.c = c}, schema));
    return json_array_get(list, 0);
}

enum status derived_opposite(struct compiler *c, const struct item *item, const char *keyword,
                             const json_t **derived)
{
    *derived = opposite_of(c, json_object_get(item->schema, keyword));
    return *derived ? STATUS_OK
                    : schema_error(c, STATUS_UNSUPPORTED, item, keyword,
                                   "the opposite of this schema cannot be worked out; say what may "
                                   "be instead of what may not");
}

static enum status derive_not(struct compiler *c, const struct item *item, json_t *list)
{
    const json_t *opposite;
    if (!json_object_get(item->schema, "not"))
        return STATUS_OK;
    enum status status = derived_opposite(c, item, "not", &opposite);
    if (!status)
        json_array_append_new(list, reference(opposite));
    return status;
}

static enum status derive_if(struct compiler *c, const struct item *item, json_t *list)
{
    const json_t *opposite;
    json_t *condition = json_object_get(item->schema, "if"), *always = json_true();
    json_t *then = json_object_get(item->schema, "then");
    json_t *otherwise = json_object_get(item->schema, "else");
    if (!condition || (!then && !otherwise))
        return STATUS_OK;
    enum status status = derived_opposite(c, item, "if", &opposite);
    if (!status)
        json_array_append_new(list, json_pack("{s:[{s:[O, O]}, {s:[O, O]}]}", "anyOf", "allOf",
                                              condition, then ? then : always, "allOf", opposite,
                                              otherwise ? otherwise : always));
    return status;
}

/* `name` is absent, or it is there with what it depends on. */
static void derive_dependent(const char *name, json_t *needed, json_t *list)
{
    json_t *with = json_is_array(needed) ? json_pack("{s:s, s:[s], s:[{s:O}]}", "type", "object",
                                                     "required", name, "allOf", "required", needed)
                                         : json_pack("{s:s, s:[s], s:[O]}", "type", "object",
                                                     "required", name, "allOf", needed);
    json_array_append_new(list,
                          json_pack("{s:[{s:{s:b}}, o]}", "anyOf", "properties", name, 0, with));
}

/* "dependencies" is what older drafts call both. */
static enum status derive_dependencies(struct compiler *c, const struct item *item, json_t *list)
{
    static const char *const keywords[] = {"dependentRequired", "dependentSchemas", "dependencies"};
    for (size_t i = 0; i < 3; i++) {
        json_t *dependencies = json_object_get(item->schema, keywords[i]), *needed;
        const char *name;
        if (dependencies && !json_is_object(dependencies))
            return schema_error(c, STATUS_INVALID, item, keywords[i], "is not an object");
        json_object_foreach(dependencies, name, needed) derive_dependent(name, needed, list);
    }
    return STATUS_OK;
}

enum status derived_schemas(struct compiler *c, const struct item *item, const json_t **derived)
{
    static const char *const keywords[] = {"not",
                                           "if",
                                           "dependentRequired",
                                           "dependentSchemas",
                                           "dependencies",
                                           "unevaluatedProperties",
                                           "unevaluatedItems"};
    bool has_any = false;
    *derived = NULL;
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        has_any |= json_object_get(item->schema, keywords[i]) != NULL;
    if (!has_any)
        return STATUS_OK;
    json_t *list = kept(c, item->schema, "keywords");
    *derived = list;
    if (json_array_size(list) > 0)
        return STATUS_OK;
    enum status status = derive_not(c, item, list);
    if (!status)
        status = derive_if(c, item, list);
    if (!status)
        status = derive_dependencies(c, item, list);
    return status ? status : derive_unevaluated(c, item, list);
}

/* Branch i, and none of those that it has values in common with. */
static enum status exclusive_branch(struct compiler *c, const struct item *item,
                                    const bool *distinct, size_t i, json_t *any)
{
    const json_t *branches = json_object_get(item->schema, "oneOf");
    size_t n = json_array_size(branches);
    json_t *all = json_pack("[O]", json_array_get(branches, i));
    for (size_t j = 0; j < n; j++) {
        if (i == j || distinct[j])
            continue;
        json_t *opposite = opposite_of(c, json_array_get(branches, j));
        if (!opposite || n > BRANCH_LIMIT) {
            json_decref(all);
            return schema_error(c, STATUS_UNSUPPORTED, item, "oneOf",
                                "branches %zu and %zu may hold for the same value, or cannot be "
                                "told apart; make them differ by type or by a required property, "
                                "or use \"anyOf\"",
                                i, j);
        }
        json_array_append(all, opposite);
    }
    json_array_append_new(any, json_pack("{s:o}", "allOf", all));
    return STATUS_OK;
}

enum status derived_one_of(struct compiler *c, const struct item *item, const bool *distinct,
                           const json_t **derived)
{
    size_t n = json_array_size(json_object_get(item->schema, "oneOf"));
    json_t *list = kept(c, item->schema, "oneOf"), *any = json_array();
    enum status status = STATUS_OK;
    if (json_array_size(list) == 0) {
        for (size_t i = 0; !status && i < n; i++)
            status = exclusive_branch(c, item, distinct + i * n, i, any);
        json_array_append_new(list, json_pack("{s:O}", "anyOf", any));
    }
    json_decref(any);
    *derived = json_array_get(list, 0);
    return status || *derived ? status : error_memory(c->err, "a schema");
}
