#include "engine/grammar_format.h"
#include "engine/grammar_number.h"
#include "engine/grammar_regex.h"
#include "engine/grammar_schema.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- Patterns, each compiled once --- */

static enum status compile_pattern(struct compiler *c, const char *pattern, bool search,
                                   struct dfa *dfa, struct error *err)
{
    struct nfa nfa;
    enum status status = regex_to_nfa(pattern, strlen(pattern), search, SPELLING_JSON, &nfa, err);
    if (!status)
        status = dfa_from_nfa(&nfa, &c->g->budget, dfa, err);
    nfa_free(&nfa);
    return status;
}

/* What is searched for is told from what matches as a whole by its first letter. */
static char *pattern_key(const char *pattern, bool search)
{
    struct strbuf key = {0};
    strbuf_add_char(&key, search ? '?' : '=');
    strbuf_add(&key, pattern);
    return strbuf_take(&key);
}

enum status pattern_to_dfa(struct compiler *c, const struct item *item, const char *keyword,
                           const char *pattern, bool search, const struct dfa **dfa)
{
    struct error wrong = {0};
    struct known_pattern known = {0};
    char *key = pattern_key(pattern, search);
    for (size_t i = 0; key && i < c->n_patterns; i++)
        if (!strcmp(c->patterns[i].pattern, key)) {
            mem_free(key);
            *dfa = &c->patterns[i].dfa;
            return STATUS_OK;
        }
    if (key)
        known.pattern = arena_copy_string(&c->arena, key, strlen(key));
    mem_free(key);
    if (!known.pattern ||
        !mem_grow(&c->patterns, &c->pattern_capacity, c->n_patterns, sizeof *c->patterns))
        return error_memory(c->err, "a schema");
    enum status status = compile_pattern(c, pattern, search, &known.dfa, &wrong);
    if (status)
        return schema_error(c, status, item, keyword, "%s", wrong.message);
    c->patterns[c->n_patterns] = known;
    *dfa = &c->patterns[c->n_patterns++].dfa;
    return STATUS_OK;
}

/* --- What a string may hold --- */

enum status make_any_content(struct compiler *c)
{
    struct nfa nfa = {0};
    nfa.start = nfa_anything(&nfa, SPELLING_JSON, nfa_match(&nfa));
    enum status status = dfa_from_nfa(&nfa, &c->g->budget, &c->any_content, c->err);
    nfa_free(&nfa);
    return status;
}

/* *content is replaced by what it has in common with the other. */
static enum status restrict_to(struct compiler *c, struct dfa *content, const struct dfa *other)
{
    struct dfa both;
    enum status status = dfa_combine(content, other, DFA_BOTH, &c->g->budget, &both, c->err);
    if (status)
        return status;
    dfa_free(content);
    *content = both;
    return STATUS_OK;
}

static enum status add_to_union(struct compiler *c, struct dfa *all, struct dfa *more)
{
    struct dfa sum;
    enum status status = dfa_combine(all, more, DFA_EITHER, &c->g->budget, &sum, c->err);
    dfa_free(more);
    if (status)
        return status;
    dfa_free(all);
    *all = sum;
    return STATUS_OK;
}

static enum status restrict_to_pattern(struct compiler *c, const struct item *item,
                                       struct dfa *content)
{
    const json_t *pattern = json_object_get(item->schema, "pattern");
    const struct dfa *dfa;
    if (!pattern)
        return STATUS_OK;
    if (!json_is_string(pattern))
        return schema_error(c, STATUS_INVALID, item, "pattern", "is not a string");
    enum status status = pattern_to_dfa(c, item, "pattern", json_string_value(pattern), true, &dfa);
    return status ? status : restrict_to(c, content, dfa);
}

static enum status restrict_to_length(struct compiler *c, uint32_t least, uint32_t most,
                                      struct dfa *content)
{
    struct dfa length = {0};
    enum status status;
    if (least == 0 && most == GRAMMAR_NO_MAXIMUM)
        return STATUS_OK;
    if (least > most) /* nothing */
        status = dfa_combine(&c->any_content, &c->any_content, DFA_FIRST_ONLY, &c->g->budget,
                             &length, c->err);
    else
        status = dfa_of_length(&c->any_content, least, most, &c->g->budget, &length, c->err);
    if (!status)
        status = restrict_to(c, content, &length);
    dfa_free(&length);
    return status;
}

static enum status restrict_to_format(struct compiler *c, const struct item *item,
                                      struct dfa *content)
{
    const json_t *format = json_object_get(item->schema, "format");
    if (!format)
        return STATUS_OK;
    const char *name = json_string_value(format);
    const struct string_format *known = name ? format_named(name) : NULL;
    if (!known)
        return schema_error(c, STATUS_UNSUPPORTED, item, "format",
                            "%s%s%s is not supported; these are: %s", name ? "\"" : "",
                            name ? name : "what is no string", name ? "\"" : "", format_names);
    enum status status = STATUS_OK;
    for (size_t i = 0; !status && known->patterns[i]; i++) {
        const struct dfa *dfa;
        status = pattern_to_dfa(c, item, "format", known->patterns[i], false, &dfa);
        if (!status)
            status = restrict_to(c, content, dfa);
    }
    return status ? status : restrict_to_length(c, 0, known->most, content);
}

static bool any_has(const struct conjunction *all, const char *keyword)
{
    for (size_t i = 0; i < all->count; i++)
        if (json_object_get(all->items[i].schema, keyword))
            return true;
    return false;
}

static enum status string_lengths(struct compiler *c, const struct conjunction *all,
                                  uint32_t *least, uint32_t *most)
{
    *least = 0;
    *most = GRAMMAR_NO_MAXIMUM;
    enum status status = conjunction_count(c, all, "minLength", true, least);
    return status ? status : conjunction_count(c, all, "maxLength", false, most);
}

/* What patterns and formats leave. */
static enum status string_content(struct compiler *c, const struct conjunction *all,
                                  struct dfa *content)
{
    enum status status = dfa_copy(&c->any_content, content, c->err);
    for (size_t i = 0; !status && i < all->count; i++) {
        status = restrict_to_pattern(c, &all->items[i], content);
        if (!status)
            status = restrict_to_format(c, &all->items[i], content);
    }
    return status;
}

/* Lengths are counted as the string is written, but beside a pattern, where they have to be a part
 * of the automaton: there not every beginning can become long or short enough. */
static enum status make_string_leaf(struct compiler *c, const struct conjunction *all,
                                    struct leaf *leaf)
{
    struct dfa content = {0};
    bool is_free = !any_has(all, "pattern") && !any_has(all, "format") && leaf->least <= leaf->most;
    enum status status = string_content(c, all, &content);
    if (!status && !is_free)
        status = restrict_to_length(c, leaf->least, leaf->most, &content);
    if (is_free && (leaf->least > 0 || leaf->most != GRAMMAR_NO_MAXIMUM))
        leaf->kind = LEAF_COUNTED;
    if (!status)
        status = dfa_quote(&content, &leaf->dfa, c->err);
    dfa_free(&content);
    return status;
}

/* All that a string's leaf depends on, as a text; free(). */
static char *string_key(const struct conjunction *all, const struct leaf *leaf)
{
    json_t *list = json_pack("[I, I]", (json_int_t)leaf->least, (json_int_t)leaf->most);
    for (size_t i = 0; i < all->count; i++) {
        json_array_append(list, json_object_get(all->items[i].schema, "pattern"));
        json_array_append_new(list, json_null());
        json_array_append(list, json_object_get(all->items[i].schema, "format"));
        json_array_append_new(list, json_null());
    }
    char *key = json_dumps(list, JSON_COMPACT);
    json_decref(list);
    return key;
}

/* The same strings are the same leaf: its automaton may have taken work. */
enum status add_string(struct compiler *c, const struct conjunction *all, uint32_t from,
                       uint32_t to)
{
    struct leaf leaf = {.kind = LEAF_PLAIN};
    enum status status = string_lengths(c, all, &leaf.least, &leaf.most);
    if (status)
        return status;
    char *key = string_key(all, &leaf);
    const json_t *known = key ? json_object_get(c->strings, key) : NULL;
    uint32_t index = (uint32_t)json_integer_value(known);
    if (!key)
        status = error_memory(c->err, "a schema");
    else if (!known)
        status = make_string_leaf(c, all, &leaf);
    if (!status && !known) {
        index = grammar_add_leaf(c->g, leaf);
        json_object_set_new(c->strings, key, json_integer(index));
    }
    free(key);
    if (!status)
        grammar_add_edge(c->g, from, EDGE_LEAF, index, to);
    return status;
}

static enum status string_to_dfa(struct compiler *c, const struct conjunction *all, struct dfa *dfa)
{
    uint32_t least, most;
    struct dfa content = {0};
    enum status status = string_lengths(c, all, &least, &most);
    if (!status)
        status = string_content(c, all, &content);
    if (!status)
        status = restrict_to_length(c, least, most, &content);
    if (!status)
        status = dfa_quote(&content, dfa, c->err);
    dfa_free(&content);
    return status;
}

/* --- Numbers --- */

static enum status take_limit(struct compiler *c, const struct item *item, const char *keyword,
                              bool exclusive, bool is_least, struct number_limits *limits)
{
    const json_t *value = json_object_get(item->schema, keyword);
    struct decimal limit;
    struct error wrong = {0};
    if (!value)
        return STATUS_OK;
    if (!json_is_number(value))
        return schema_error(c, STATUS_INVALID, item, keyword, "is not a number");
    if (decimal_from_json(value, &limit, &wrong))
        return schema_error(c, wrong.status, item, keyword, "%s", wrong.message);
    struct decimal *known = is_least ? &limits->least : &limits->most;
    bool *has = is_least ? &limits->has_least : &limits->has_most;
    bool *outside = is_least ? &limits->above_least : &limits->below_most;
    int order = *has ? decimal_compare(&limit, known) : is_least ? 1 : -1;
    if (order == 0)
        *outside |= exclusive;
    if (is_least ? order > 0 : order < 0) {
        *known = limit;
        *outside = exclusive;
    }
    *has = true;
    return STATUS_OK;
}

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
    while (b) {
        uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static enum status take_multiple(struct compiler *c, const struct item *item,
                                 struct number_limits *limits)
{
    const json_t *value = json_object_get(item->schema, "multipleOf");
    double number = json_number_value(value);
    if (!value)
        return STATUS_OK;
    if (!json_is_number(value) || !(number > 0))
        return schema_error(c, STATUS_INVALID, item, "multipleOf", "is not a number above 0");
    if (number != floor(number) || number > MULTIPLE_LIMIT)
        return schema_error(c, STATUS_UNSUPPORTED, item, "multipleOf",
                            "%g is not supported; whole numbers up to %d are", number,
                            MULTIPLE_LIMIT);
    uint32_t both = limits->multiple_of ? limits->multiple_of : 1, one = (uint32_t)number;
    both = both / common_divisor(both, one) * one;
    if (both > MULTIPLE_LIMIT)
        return schema_error(c, STATUS_UNSUPPORTED, item, "multipleOf",
                            "the multiples of %u are wanted; at most %d is supported",
                            (unsigned)both, MULTIPLE_LIMIT);
    limits->multiple_of = both;
    limits->integer = true;
    return STATUS_OK;
}

static enum status number_limits_of(struct compiler *c, const struct conjunction *all,
                                    unsigned types, struct number_limits *limits)
{
    *limits = (struct number_limits){.integer = !(types & TYPE_FRACTION)};
    enum status status = STATUS_OK;
    for (size_t i = 0; !status && i < all->count; i++) {
        const struct item *item = &all->items[i];
        status = take_limit(c, item, "minimum", false, true, limits);
        if (!status)
            status = take_limit(c, item, "exclusiveMinimum", true, true, limits);
        if (!status)
            status = take_limit(c, item, "maximum", false, false, limits);
        if (!status)
            status = take_limit(c, item, "exclusiveMaximum", true, false, limits);
        if (!status)
            status = take_multiple(c, item, limits);
    }
    return status;
}

static enum status numbers_to_dfa(struct compiler *c, const struct conjunction *all, unsigned types,
                                  struct dfa *dfa)
{
    struct number_limits limits;
    const struct dfa *fractions;
    enum status status = number_limits_of(c, all, types, &limits);
    if (!status)
        status = number_to_dfa(&limits, &c->g->budget, dfa, c->err);
    if (status || (types & TYPE_INTEGER))
        return status;
    /* so few digits that no reader rounds it to an integer */
    status =
        pattern_to_dfa(c, &all->items[0], "type", "-?\\d{1,9}\\.\\d{0,5}[1-9]", false, &fractions);
    return status ? status : restrict_to(c, dfa, fractions);
}

/* --- Enumerations --- */

bool conjunction_has_values(const struct conjunction *all)
{
    return any_has(all, "enum") || any_has(all, "const");
}

unsigned json_value_type(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_NULL:
        return TYPE_NULL;
    case JSON_TRUE:
    case JSON_FALSE:
        return TYPE_BOOLEAN;
    case JSON_STRING:
        return TYPE_STRING;
    case JSON_ARRAY:
        return TYPE_ARRAY;
    case JSON_OBJECT:
        return TYPE_OBJECT;
    case JSON_INTEGER:
        return TYPE_INTEGER;
    default:
        return json_real_value(value) == floor(json_real_value(value)) ? TYPE_INTEGER
                                                                       : TYPE_FRACTION;
    }
}

/* JSON Schema's equality: numbers by their value. */
static bool same_value(const json_t *a, const json_t *b)
{
    const char *key;
    json_t *value;
    if (json_is_number(a) && json_is_number(b))
        return json_is_integer(a) && json_is_integer(b)
                   ? json_integer_value(a) == json_integer_value(b)
                   : json_number_value(a) == json_number_value(b);
    if (json_typeof(a) != json_typeof(b))
        return false;
    if (json_is_array(a)) {
        bool same = json_array_size(a) == json_array_size(b);
        for (size_t i = 0; same && i < json_array_size(a); i++)
            same = same_value(json_array_get(a, i), json_array_get(b, i));
        return same;
    }
    if (!json_is_object(a))
        return json_equal(a, b);
    bool same = json_object_size(a) == json_object_size(b);
    json_object_foreach((json_t *)(uintptr_t)a, key, value)
    {
        const json_t *other = json_object_get(b, key);
        same = same && other && same_value(value, other);
    }
    return same;
}

/* Whether one item's "enum" and "const" list the value. */
static bool is_listed(const struct item *item, const json_t *value)
{
    const json_t *list = json_object_get(item->schema, "enum");
    const json_t *constant = json_object_get(item->schema, "const");
    bool listed = !list;
    for (size_t i = 0; !listed && i < json_array_size(list); i++)
        listed = same_value(json_array_get(list, i), value);
    return listed && (!constant || same_value(constant, value));
}

static bool is_listed_by_all(const struct conjunction *all, const json_t *value)
{
    for (size_t i = 0; i < all->count; i++)
        if (!is_listed(&all->items[i], value))
            return false;
    return true;
}

/* As SPELLING_JSON has it. */
static void spell_string(struct strbuf *out, const char *text, size_t length)
{
    static const char escaped[] = "\b\t\n\f\r\"\\", letters[] = "btnfr\"\\";
    strbuf_add_char(out, '"');
    for (size_t i = 0; i < length; i++) {
        const char *at = text[i] ? strchr(escaped, text[i]) : NULL;
        if (at)
            strbuf_printf(out, "\\%c", letters[at - escaped]);
        else if ((uint8_t)text[i] < 0x20)
            strbuf_printf(out, "\\u%04x", (unsigned)text[i]);
        else
            strbuf_add_char(out, text[i]);
    }
    strbuf_add_char(out, '"');
}

/* The value as it will be written: on one line, numbers in their shortest form. */
static void spell(struct strbuf *out, const json_t *value)
{
    const char *key, *separator = "";
    json_t *inner;
    char number[40];
    if (json_is_number(value)) {
        number_spell(value, number);
        strbuf_add(out, number);
    } else if (json_is_array(value)) {
        strbuf_add_char(out, '[');
        for (size_t i = 0; i < json_array_size(value); i++) {
            strbuf_add(out, i ? ", " : "");
            spell(out, json_array_get(value, i));
        }
        strbuf_add_char(out, ']');
    } else if (json_is_object(value)) {
        strbuf_add_char(out, '{');
        json_object_foreach((json_t *)(uintptr_t)value, key, inner)
        {
            strbuf_add(out, separator);
            spell_string(out, key, strlen(key));
            strbuf_add(out, ": ");
            spell(out, inner);
            separator = ", ";
        }
        strbuf_add_char(out, '}');
    } else if (json_is_string(value)) {
        spell_string(out, json_string_value(value), json_string_length(value));
    } else {
        strbuf_add(out, json_is_null(value) ? "null" : json_is_true(value) ? "true" : "false");
    }
}

static enum status refuse_listed_containers(struct compiler *c, const struct conjunction *all)
{
    static const char *const keywords[] = {
        "properties",    "required",     "additionalProperties", "items",    "patternProperties",
        "minItems",      "maxItems",     "prefixItems",          "contains", "propertyNames",
        "minProperties", "maxProperties"};
    for (size_t k = 0; k < sizeof keywords / sizeof *keywords; k++)
        for (size_t i = 0; i < all->count; i++)
            if (json_object_get(all->items[i].schema, keywords[k]))
                return schema_error(c, STATUS_UNSUPPORTED, &all->items[i], keywords[k],
                                    "is not supported beside \"enum\" or \"const\" values that are "
                                    "objects or arrays; leave it out");
    return STATUS_OK;
}

/* Whether the number keeps to the limits. */
static enum status number_fits(struct compiler *c, const struct number_limits *limits,
                               const json_t *value, bool *fits)
{
    struct decimal exact;
    enum status status = decimal_from_json(value, &exact, c->err);
    if (status)
        return status;
    int low = limits->has_least ? decimal_compare(&exact, &limits->least) : 1;
    int high = limits->has_most ? decimal_compare(&exact, &limits->most) : -1;
    *fits = low >= (limits->above_least ? 1 : 0) && high <= (limits->below_most ? -1 : 0);
    if (limits->multiple_of)
        *fits = *fits && fmod(json_number_value(value), limits->multiple_of) == 0;
    return STATUS_OK;
}

/* Whether a listed value satisfies what else the conjunction says. */
static enum status value_fits(struct compiler *c, const struct conjunction *all, unsigned types,
                              const struct dfa *strings, const json_t *value, bool *fits)
{
    struct strbuf text = {0};
    struct number_limits limits;
    enum status status = STATUS_OK;
    unsigned type = json_value_type(value);
    *fits = (types & type) != 0;
    if (!*fits)
        return STATUS_OK;
    if (type & (TYPE_ARRAY | TYPE_OBJECT))
        return refuse_listed_containers(c, all);
    if (type & TYPE_NUMBER) {
        status = number_limits_of(c, all, TYPE_NUMBER, &limits);
        return status ? status : number_fits(c, &limits, value, fits);
    }
    if (type == TYPE_STRING) {
        spell(&text, value);
        *fits = dfa_accepts(strings, strbuf_text(&text), text.length);
        strbuf_free(&text);
    }
    return STATUS_OK;
}

/* The first "enum", or else "const" as a list of one. New reference. */
static enum status listed_values(struct compiler *c, const struct conjunction *all, json_t **list)
{
    *list = NULL;
    for (size_t i = 0; i < all->count && !*list; i++) {
        json_t *values = json_object_get(all->items[i].schema, "enum");
        json_t *constant = json_object_get(all->items[i].schema, "const");
        if (values && !json_is_array(values))
            return schema_error(c, STATUS_INVALID, &all->items[i], "enum", "is not an array");
        if (constant)
            *list = json_pack("[O]", constant);
        else if (values)
            *list = json_incref(values);
    }
    return *list ? STATUS_OK : error_memory(c->err, "a schema");
}

/* Adds the value to the alternatives that begin at *entry. */
static void add_value(struct nfa *nfa, const json_t *value, uint32_t match, uint32_t *entry)
{
    struct strbuf text = {0};
    spell(&text, value);
    if (text.failed)
        nfa->failure = STATUS_MEMORY;
    else
        *entry = nfa_split(nfa, *entry, nfa_bytes(nfa, strbuf_text(&text), text.length, match));
    strbuf_free(&text);
}

static enum status values_to_nfa(struct compiler *c, const struct conjunction *all, unsigned types,
                                 const json_t *list, struct nfa *nfa)
{
    struct dfa strings = {0};
    enum status status = string_to_dfa(c, all, &strings);
    uint32_t match = nfa_match(nfa);
    nfa->start = nfa_add(nfa, (struct nfa_state){.kind = NFA_NOTHING});
    for (size_t i = 0; !status && i < json_array_size(list); i++) {
        const json_t *value = json_array_get(list, i);
        bool fits = is_listed_by_all(all, value);
        if (fits)
            status = value_fits(c, all, types, &strings, value, &fits);
        if (!status && fits)
            add_value(nfa, value, match, &nfa->start);
    }
    dfa_free(&strings);
    return status;
}

static enum status listed_to_dfa(struct compiler *c, const struct conjunction *all, unsigned types,
                                 struct dfa *dfa)
{
    json_t *list;
    struct nfa nfa = {0};
    enum status status = listed_values(c, all, &list);
    if (!status)
        status = values_to_nfa(c, all, types, list, &nfa);
    if (!status)
        status = dfa_from_nfa(&nfa, &c->g->budget, dfa, c->err);
    json_decref(list);
    nfa_free(&nfa);
    return status;
}

/* --- Strings for names --- */

static enum status listed_strings(struct compiler *c, const struct conjunction *all,
                                  struct dfa *content)
{
    json_t *list;
    struct nfa nfa = {0};
    struct dfa listed = {0};
    size_t i;
    const json_t *value;
    uint32_t match = nfa_match(&nfa);
    nfa.start = nfa_add(&nfa, (struct nfa_state){.kind = NFA_NOTHING});
    enum status status = listed_values(c, all, &list);
    json_array_foreach(list, i, value)
    {
        const char *text = json_string_value(value);
        if (text && is_listed_by_all(all, value))
            nfa.start =
                nfa_split(&nfa, nfa.start,
                          nfa_text(&nfa, SPELLING_JSON, text, json_string_length(value), match));
    }
    if (!status)
        status = dfa_from_nfa(&nfa, &c->g->budget, &listed, c->err);
    if (!status)
        status = restrict_to(c, content, &listed);
    dfa_free(&listed);
    json_decref(list);
    nfa_free(&nfa);
    return status;
}

static enum status flat_strings(struct compiler *c, const struct conjunction *all,
                                struct dfa *content)
{
    uint32_t least, most;
    unsigned types;
    enum status status = string_lengths(c, all, &least, &most);
    if (!status)
        status = conjunction_types(c, all, &types);
    if (!status)
        status = string_content(c, all, content);
    if (!status && !(types & TYPE_STRING))
        status = restrict_to_length(c, 1, 0, content);
    if (!status)
        status = restrict_to_length(c, least, most, content);
    return status || !conjunction_has_values(all) ? status : listed_strings(c, all, content);
}

enum status strings_to_dfa(struct compiler *c, const struct conjunction *all, struct dfa *content)
{
    const char *keyword;
    const struct item *item = find_alternatives(all, &keyword);
    *content = (struct dfa){0};
    if (!item)
        return flat_strings(c, all, content);
    if (strcmp(keyword, "anyOf") != 0)
        return schema_error(c, STATUS_UNSUPPORTED, item, keyword,
                            "is not supported for the names of properties; use \"anyOf\"");
    struct conjunction *taken = mem_alloc(sizeof *taken);
    struct dfa branch = {0};
    size_t n = json_array_size(json_object_get(item->schema, keyword));
    enum status status = taken ? STATUS_OK : error_memory(c->err, "a schema");
    if (!status && n == 0)
        status = schema_error(c, STATUS_INVALID, item, keyword, "is not an array of schemas");
    for (size_t i = 0; !status && i < n; i++) {
        status = take_branch(c, all, (size_t)(item - all->items), keyword, i, taken);
        if (!status)
            status = strings_to_dfa(c, taken, i ? &branch : content);
        if (!status && i)
            status = add_to_union(c, content, &branch);
    }
    mem_free(taken);
    return status;
}

/* --- All of them --- */

static enum status words_to_dfa(struct compiler *c, unsigned types, struct dfa *dfa)
{
    struct nfa nfa = {0};
    uint32_t match = nfa_match(&nfa);
    nfa.start = nfa_add(&nfa, (struct nfa_state){.kind = NFA_NOTHING});
    if (types & TYPE_NULL)
        nfa.start = nfa_split(&nfa, nfa.start, nfa_bytes(&nfa, "null", 4, match));
    if (types & TYPE_BOOLEAN) {
        nfa.start = nfa_split(&nfa, nfa.start, nfa_bytes(&nfa, "true", 4, match));
        nfa.start = nfa_split(&nfa, nfa.start, nfa_bytes(&nfa, "false", 5, match));
    }
    enum status status = dfa_from_nfa(&nfa, &c->g->budget, dfa, c->err);
    nfa_free(&nfa);
    return status;
}

enum status scalars_to_dfa(struct compiler *c, const struct conjunction *all, unsigned types,
                           struct dfa *dfa)
{
    struct dfa more;
    if (conjunction_has_values(all))
        return listed_to_dfa(c, all, types, dfa);
    enum status status = words_to_dfa(c, types, dfa);
    if (!status && (types & TYPE_NUMBER)) {
        status = numbers_to_dfa(c, all, types, &more);
        if (!status)
            status = add_to_union(c, dfa, &more);
    }
    if (!status && (types & TYPE_STRING)) {
        status = string_to_dfa(c, all, &more);
        if (!status)
            status = add_to_union(c, dfa, &more);
    }
    if (status)
        dfa_free(dfa);
    return status;
}
