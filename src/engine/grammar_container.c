#include "base/size.h"
#include "engine/grammar_schema.h"
#include "engine/grammar_regex.h"

#include <stdio.h>
#include <string.h>

enum {
    ELEMENT_LIMIT = 20000,
    NAME_LIMIT = 5000,
    PATTERN_LIMIT = 4,
    PROPERTY_LIMIT = 200, /* each additional one takes from GRAMMAR_DEPTH_LIMIT */
    COUNT_LIMIT = 1000,
    PLACE_LIMIT = 100000,
};

/* --- Names of properties --- */

struct names {
    const char **list; /* mem_free */
    bool *required;    /* mem_free */
    size_t count, capacity, required_capacity;
    json_t *seen; /* an object: is the name in the list */
};

static void names_free(struct names *names)
{
    mem_free(names->list);
    mem_free(names->required);
    json_decref(names->seen);
}

static enum status add_name(struct compiler *c, struct names *names, const char *name)
{
    if (json_object_get(names->seen, name))
        return STATUS_OK;
    if (names->count >= NAME_LIMIT)
        return error_set(c->err, STATUS_LIMIT, "an object has more than %d properties", NAME_LIMIT);
    if (!mem_grow(&names->list, &names->capacity, names->count, sizeof *names->list) ||
        !mem_grow(&names->required, &names->required_capacity, names->count,
                  sizeof *names->required) ||
        json_object_set_new(names->seen, name, json_true()))
        return error_memory(c->err, "a schema");
    names->list[names->count++] = name;
    return STATUS_OK;
}

static enum status add_properties(struct compiler *c, struct names *names, const struct item *item)
{
    json_t *properties = json_object_get(item->schema, "properties"), *value;
    const char *name;
    if (properties && !json_is_object(properties))
        return schema_error(c, STATUS_INVALID, item, "properties", "is not an object");
    enum status status = STATUS_OK;
    json_object_foreach(properties, name, value)
    {
        if (!status)
            status = add_name(c, names, name);
    }
    return status;
}

static enum status add_required(struct compiler *c, struct names *names, const struct item *item)
{
    const json_t *required = json_object_get(item->schema, "required");
    if (required && !json_is_array(required))
        return schema_error(c, STATUS_INVALID, item, "required", "is not an array of names");
    enum status status = STATUS_OK;
    for (size_t i = 0; !status && i < json_array_size(required); i++) {
        const char *name = json_string_value(json_array_get(required, i));
        status =
            name ? add_name(c, names, name)
                 : schema_error(c, STATUS_INVALID, item, "required", "is not an array of names");
    }
    return status;
}

/* What "propertyNames" says, of all items; without items where none says anything. */
static enum status names_conjunction(struct compiler *c, const struct conjunction *all,
                                     struct conjunction *names)
{
    enum status status = STATUS_OK;
    *names = (struct conjunction){0};
    for (size_t i = 0; !status && i < all->count; i++) {
        const struct item *item = &all->items[i];
        const json_t *schema = json_object_get(item->schema, "propertyNames");
        if (schema)
            status =
                conjunction_add(c, names,
                                (struct item){.schema = schema,
                                              .path = schema_path(c, item->path, "propertyNames")});
    }
    return status;
}

/* Names that "propertyNames" lists are named as well. */
static enum status add_listed_names(struct compiler *c, struct names *names,
                                    const struct conjunction *all)
{
    struct conjunction said;
    enum status status = names_conjunction(c, all, &said);
    for (size_t i = 0; !status && i < said.count; i++) {
        const json_t *list = json_object_get(said.items[i].schema, "enum");
        const char *constant = json_string_value(json_object_get(said.items[i].schema, "const"));
        if (constant)
            status = add_name(c, names, constant);
        for (size_t j = 0; !status && j < json_array_size(list); j++) {
            const char *name = json_string_value(json_array_get(list, j));
            status = name ? add_name(c, names, name) : STATUS_OK;
        }
    }
    return status;
}

bool property_is_required(const struct conjunction *all, const char *name)
{
    for (size_t i = 0; i < all->count; i++) {
        const json_t *required = json_object_get(all->items[i].schema, "required");
        for (size_t j = 0; j < json_array_size(required); j++) {
            const char *one = json_string_value(json_array_get(required, j));
            if (one && !strcmp(one, name))
                return true;
        }
    }
    return false;
}

static void mark_required(struct names *names, const struct conjunction *all)
{
    json_t *required = json_object();
    for (size_t i = 0; i < all->count; i++) {
        const json_t *list = json_object_get(all->items[i].schema, "required");
        for (size_t j = 0; j < json_array_size(list); j++)
            json_object_set_new(required, json_string_value(json_array_get(list, j)), json_true());
    }
    for (size_t i = 0; i < names->count; i++)
        names->required[i] = json_object_get(required, names->list[i]) != NULL;
    json_decref(required);
}

/* All that are named, in the order in which the schemas name them. */
static enum status find_names(struct compiler *c, const struct conjunction *all,
                              struct names *names)
{
    *names = (struct names){.seen = json_object()};
    enum status status = names->seen ? STATUS_OK : error_memory(c->err, "a schema");
    for (size_t i = 0; !status && i < all->count; i++)
        status = add_properties(c, names, &all->items[i]);
    for (size_t i = 0; !status && i < all->count; i++)
        status = add_required(c, names, &all->items[i]);
    if (!status)
        status = add_listed_names(c, names, all);
    if (!status)
        mark_required(names, all);
    return status;
}

/* --- What a property must satisfy --- */

static enum status dfa_takes_name(struct compiler *c, const struct dfa *dfa, const char *name,
                                  bool *takes)
{
    struct nfa nfa = {0};
    struct dfa text = {0};
    nfa.start = nfa_text(&nfa, SPELLING_JSON, name, strlen(name), nfa_match(&nfa));
    enum status status = dfa_from_nfa(&nfa, &c->g->budget, &text, c->err);
    if (!status) {
        int overlap = dfa_overlap(dfa, &text, &c->g->budget, c->err);
        *takes = overlap > 0;
        status = overlap < 0 ? STATUS_LIMIT : STATUS_OK;
    }
    nfa_free(&nfa);
    dfa_free(&text);
    return status;
}

static enum status pattern_takes_name(struct compiler *c, const struct item *item,
                                      const char *pattern, const char *name, bool *takes)
{
    const struct dfa *dfa;
    enum status status = pattern_to_dfa(c, item, "patternProperties", pattern, true, &dfa);
    return status ? status : dfa_takes_name(c, dfa, name, takes);
}

/* Whether "propertyNames" permits the name. */
static enum status name_is_permitted(struct compiler *c, const struct conjunction *all,
                                     const char *name, bool *is_permitted)
{
    struct conjunction said;
    struct dfa names = {0};
    enum status status = names_conjunction(c, all, &said);
    *is_permitted = !said.impossible;
    if (status || said.count == 0)
        return status;
    status = strings_to_dfa(c, &said, &names);
    if (!status)
        status = dfa_takes_name(c, &names, name, is_permitted);
    dfa_free(&names);
    return status;
}

static enum status check_pattern_properties(struct compiler *c, const struct item *item)
{
    const json_t *patterns = json_object_get(item->schema, "patternProperties");
    return !patterns || json_is_object(patterns)
               ? STATUS_OK
               : schema_error(c, STATUS_INVALID, item, "patternProperties", "is not an object");
}

/* What one item says of the property. */
static enum status add_property_schemas(struct compiler *c, const struct item *item,
                                        const char *name, struct conjunction *value)
{
    const json_t *own = json_object_get(json_object_get(item->schema, "properties"), name);
    const json_t *rest = json_object_get(item->schema, "additionalProperties");
    const char *pattern;
    json_t *schema;
    bool matched = own != NULL;
    enum status status = check_pattern_properties(c, item);
    if (!status && own) {
        const char *path = schema_path(c, schema_path(c, item->path, "properties"), name);
        status = conjunction_add(c, value, (struct item){.schema = own, .path = path});
    }
    json_object_foreach(json_object_get(item->schema, "patternProperties"), pattern, schema)
    {
        bool takes = false;
        if (!status)
            status = pattern_takes_name(c, item, pattern, name, &takes);
        if (status || !takes)
            continue;
        const char *path = schema_path(c, schema_path(c, item->path, "patternProperties"), pattern);
        status = conjunction_add(c, value, (struct item){.schema = schema, .path = path});
        matched = true;
    }
    if (status || matched || !rest)
        return status;
    return conjunction_add(
        c, value,
        (struct item){.schema = rest, .path = schema_path(c, item->path, "additionalProperties")});
}

enum status property_conjunction(struct compiler *c, const struct conjunction *all,
                                 const char *name, struct conjunction *value)
{
    bool is_permitted;
    *value = (struct conjunction){0};
    enum status status = name_is_permitted(c, all, name, &is_permitted);
    for (size_t i = 0; !status && i < all->count; i++)
        status = add_property_schemas(c, &all->items[i], name, value);
    value->impossible |= !is_permitted;
    return status;
}

/* --- Places of an object --- */

/* For each property and behind the last: `first`, where no property was written yet; `later`,
 * behind a comma; `done`, behind a value. The latter two by how many properties are written: count
 * 0 is one of them, and the last count stands for all higher ones, where there is no maximum. */
struct places {
    uint32_t *first;        /* [n + 1] */
    uint32_t *later, *done; /* [n + 1, n_counts] */
    size_t n_counts;
    uint32_t least, most; /* of properties */
};

static uint32_t later_at(const struct places *places, size_t i, size_t count)
{
    return places->later[i * places->n_counts + count];
}

static uint32_t done_at(const struct places *places, size_t i, size_t count)
{
    return places->done[i * places->n_counts + count];
}

static enum status count_properties(struct compiler *c, const struct conjunction *all, size_t n,
                                    struct places *places)
{
    places->least = 0;
    places->most = GRAMMAR_NO_MAXIMUM;
    enum status status = conjunction_count(c, all, "minProperties", true, &places->least);
    if (!status)
        status = conjunction_count(c, all, "maxProperties", false, &places->most);
    bool has_most = places->most != GRAMMAR_NO_MAXIMUM;
    places->n_counts = has_most ? places->most : places->least;
    if (places->n_counts == 0)
        places->n_counts = 1;
    if (!status && (places->n_counts > PROPERTY_LIMIT || places->n_counts * (n + 1) > PLACE_LIMIT))
        status = error_set(c->err, STATUS_LIMIT,
                           "%s: \"minProperties\" and \"maxProperties\" up to %d are supported, "
                           "fewer beside many \"properties\"",
                           all->items[0].path, PROPERTY_LIMIT);
    return status;
}

static enum status add_places(struct compiler *c, struct places *places, size_t n)
{
    size_t n_states = (n + 1) * places->n_counts;
    places->first = mem_array(n + 1, sizeof *places->first);
    places->later = mem_array(n_states, sizeof *places->later);
    places->done = mem_array(n_states, sizeof *places->done);
    if (!places->first || !places->later || !places->done)
        return error_memory(c->err, "a schema");
    for (size_t i = 0; i <= n; i++)
        places->first[i] = grammar_add_state(c->g, false);
    for (size_t i = 0; i < n_states; i++) {
        places->later[i] = grammar_add_state(c->g, false);
        places->done[i] = grammar_add_state(c->g, false);
    }
    return STATUS_OK;
}

static void places_free(struct places *places)
{
    mem_free(places->first);
    mem_free(places->later);
    mem_free(places->done);
}

/* Edges with the key of property i to `named`, behind whose value there are so many properties. */
static void add_key(struct compiler *c, const struct places *places, size_t i, size_t count,
                    uint32_t key, uint32_t named)
{
    if (places->most == 0)
        return;
    if (count == 0)
        grammar_add_edge(c->g, places->first[i], EDGE_LEAF, key, named);
    else
        grammar_add_edge(c->g, later_at(places, i, count - 1), EDGE_LEAF, key, named);
    if (count + 1 == places->n_counts && places->most == GRAMMAR_NO_MAXIMUM)
        grammar_add_edge(c->g, later_at(places, i, count), EDGE_LEAF, key, named);
}

/* --- Properties that are not named --- */

/* Their keys are told apart by the patterns that they match: a class of keys for each subset. */
struct extra {
    struct compiler *c;
    const struct conjunction *all;
    const struct names *names;
    struct extra_pattern {
        const struct item *item;
        const char *pattern;
        const json_t *schema;
    } patterns[PATTERN_LIMIT];
    size_t n_patterns;
};

static enum status find_patterns(struct extra *extra)
{
    for (size_t i = 0; i < extra->all->count; i++) {
        const struct item *item = &extra->all->items[i];
        const char *pattern;
        json_t *schema;
        json_object_foreach(json_object_get(item->schema, "patternProperties"), pattern, schema)
        {
            if (extra->n_patterns == PATTERN_LIMIT)
                return schema_error(extra->c, STATUS_UNSUPPORTED, item, "patternProperties",
                                    "more than %d patterns apply to one object", PATTERN_LIMIT);
            extra->patterns[extra->n_patterns++] = (struct extra_pattern){item, pattern, schema};
        }
    }
    return STATUS_OK;
}

/* What the keys must satisfy that match exactly the patterns of the subset. */
static enum status extra_conjunction(const struct extra *extra, size_t subset,
                                     struct conjunction *value)
{
    struct compiler *c = extra->c;
    *value = (struct conjunction){0};
    enum status status = STATUS_OK;
    for (size_t i = 0; !status && i < extra->all->count; i++) {
        const struct item *item = &extra->all->items[i];
        const json_t *rest = json_object_get(item->schema, "additionalProperties");
        bool matched = false;
        for (size_t p = 0; !status && p < extra->n_patterns; p++) {
            const struct extra_pattern *one = &extra->patterns[p];
            if (one->item != item || !(subset >> p & 1))
                continue;
            const char *path =
                schema_path(c, schema_path(c, item->path, "patternProperties"), one->pattern);
            status = conjunction_add(c, value, (struct item){.schema = one->schema, .path = path});
            matched = true;
        }
        if (!status && !matched && rest) {
            const char *path = schema_path(c, item->path, "additionalProperties");
            status = conjunction_add(c, value, (struct item){.schema = rest, .path = path});
        }
    }
    return status;
}

/* *keys is replaced by what "propertyNames" permits of them. */
static enum status permitted_keys(const struct extra *extra, struct dfa *keys)
{
    struct compiler *c = extra->c;
    struct conjunction said;
    struct dfa names = {0}, rest;
    enum status status = names_conjunction(c, extra->all, &said);
    if (status || (said.count == 0 && !said.impossible))
        return status;
    status = strings_to_dfa(c, &said, &names);
    if (!status)
        status = dfa_combine(keys, &names, DFA_BOTH, &c->g->budget, &rest, c->err);
    dfa_free(&names);
    if (status)
        return status;
    dfa_free(keys);
    *keys = rest;
    return STATUS_OK;
}

/* All keys but the named ones. */
static enum status unnamed_keys(const struct extra *extra, struct dfa *keys)
{
    struct compiler *c = extra->c;
    struct nfa named = {0};
    struct dfa known = {0};
    uint32_t match = nfa_match(&named);
    named.start = nfa_add(&named, (struct nfa_state){.kind = NFA_NOTHING});
    for (size_t i = 0; i < extra->names->count; i++) {
        const char *name = extra->names->list[i];
        uint32_t entry = nfa_text(&named, SPELLING_JSON, name, strlen(name), match);
        named.start = nfa_split(&named, named.start, entry);
    }
    enum status status = dfa_from_nfa(&named, &c->g->budget, &known, c->err);
    if (!status)
        status = dfa_combine(&c->any_content, &known, DFA_FIRST_ONLY, &c->g->budget, keys, c->err);
    nfa_free(&named);
    dfa_free(&known);
    return status;
}

static enum status extra_keys(const struct extra *extra, size_t subset, struct dfa *keys)
{
    struct compiler *c = extra->c;
    enum status status = unnamed_keys(extra, keys);
    if (!status)
        status = permitted_keys(extra, keys);
    for (size_t p = 0; !status && p < extra->n_patterns; p++) {
        const struct dfa *pattern;
        struct dfa rest;
        enum dfa_operation operation = subset >> p & 1 ? DFA_BOTH : DFA_FIRST_ONLY;
        status = pattern_to_dfa(c, extra->patterns[p].item, "patternProperties",
                                extra->patterns[p].pattern, true, &pattern);
        if (!status)
            status = dfa_combine(keys, pattern, operation, &c->g->budget, &rest, c->err);
        if (!status) {
            dfa_free(keys);
            *keys = rest;
        }
    }
    return status;
}

/* A key can always be found that is not there yet only where there are endlessly many. */
static enum status add_key_leaf(const struct extra *extra, size_t subset, uint32_t *leaf)
{
    struct leaf key = {.kind = LEAF_KEY};
    struct dfa keys = {0};
    enum status status = extra_keys(extra, subset, &keys);
    if (!status && !dfa_is_empty(&keys) && !dfa_is_endless(&keys))
        status = error_set(extra->c->err, STATUS_UNSUPPORTED,
                           "%s: \"%s\": a limit to how long the names are is not supported; list "
                           "the names under \"properties\", or drop the limit",
                           extra->all->items[0].path,
                           extra->n_patterns ? "patternProperties" : "propertyNames");
    if (!status)
        status = dfa_quote(&keys, &key.dfa, extra->c->err);
    dfa_free(&keys);
    if (!status)
        *leaf = grammar_add_leaf(extra->c->g, key);
    return status;
}

/* The classes of keys whose values are possible: over key, colon and value to the last place. */
static enum status add_extra(struct extra *extra, const struct places *places)
{
    struct compiler *c = extra->c;
    struct conjunction value;
    enum status status = find_patterns(extra);
    for (size_t subset = 0; !status && subset < (size_t)1 << extra->n_patterns; subset++) {
        uint32_t leaf, rule;
        status = extra_conjunction(extra, subset, &value);
        if (status || value.impossible)
            continue;
        status = add_key_leaf(extra, subset, &leaf);
        if (!status)
            status = rule_for(c, &value, &rule);
        if (status)
            continue;
        for (size_t count = 0; count < places->n_counts; count++) {
            uint32_t named = grammar_add_state(c->g, false), ready = grammar_add_state(c->g, false);
            add_key(c, places, extra->names->count, count, leaf, named);
            grammar_add_edge(c->g, named, EDGE_LEAF, c->colon, ready);
            grammar_add_edge(c->g, ready, EDGE_RULE, rule,
                             done_at(places, extra->names->count, count));
        }
    }
    return status;
}

/* --- Objects --- */

/* `"name": `, and the value. */
static enum status add_property(struct compiler *c, const struct conjunction *all,
                                const struct names *names, const struct places *places, size_t i)
{
    struct conjunction value;
    uint32_t rule;
    enum status status = property_conjunction(c, all, names->list[i], &value);
    if (!status)
        status = rule_for(c, &value, &rule);
    if (status)
        return status;
    struct nfa nfa = {0};
    struct leaf leaf = {0};
    uint32_t end = nfa_match(&nfa);
    end = nfa_bytes(&nfa, "\":", 2, nfa_split(&nfa, end, nfa_range(&nfa, ' ', ' ', end)));
    end = nfa_text(&nfa, SPELLING_JSON, names->list[i], strlen(names->list[i]), end);
    nfa.start = nfa_range(&nfa, '"', '"', end);
    status = dfa_from_nfa(&nfa, &c->g->budget, &leaf.dfa, c->err);
    nfa_free(&nfa);
    if (status)
        return status;
    uint32_t key = grammar_add_leaf(c->g, leaf);
    if (!names->required[i])
        grammar_add_edge(c->g, places->first[i], EDGE_NOTHING, 0, places->first[i + 1]);
    for (size_t count = 0; count < places->n_counts; count++) {
        uint32_t ready = grammar_add_state(c->g, false);
        add_key(c, places, i, count, key, ready);
        grammar_add_edge(c->g, ready, EDGE_RULE, rule, done_at(places, i + 1, count));
        if (!names->required[i])
            grammar_add_edge(c->g, later_at(places, i, count), EDGE_NOTHING, 0,
                             later_at(places, i + 1, count));
    }
    return STATUS_OK;
}

/* Commas between properties, and the end where nothing is missing. */
static void add_separators(struct compiler *c, const struct names *names,
                           const struct places *places, uint32_t end)
{
    size_t n = names->count, last_required = 0;
    for (size_t i = 0; i < n; i++)
        if (names->required[i])
            last_required = i + 1;
    if (places->least == 0)
        grammar_add_edge(c->g, places->first[n], EDGE_LEAF, c->empty_object, end);
    for (size_t i = 0; i <= n; i++)
        for (size_t count = 0; count < places->n_counts; count++) {
            uint32_t done = done_at(places, i, count);
            grammar_add_edge(c->g, done, EDGE_LEAF, c->comma, later_at(places, i, count));
            if (i >= last_required && count + 1 >= places->least)
                grammar_add_edge(c->g, done, EDGE_LEAF, c->close_object, end);
        }
}

enum status add_object(struct compiler *c, const struct conjunction *all, uint32_t from,
                       uint32_t to)
{
    struct names names;
    struct places places = {0};
    enum status status = find_names(c, all, &names);
    size_t n = names.count;
    if (!status)
        status = count_properties(c, all, n, &places);
    if (!status)
        status = add_places(c, &places, n);
    for (size_t i = 0; !status && i < n; i++)
        status = add_property(c, all, &names, &places, i);
    if (!status) {
        struct extra extra = {.c = c, .all = all, .names = &names};
        status = add_extra(&extra, &places);
    }
    if (!status) {
        grammar_add_edge(c->g, from, EDGE_LEAF, c->open_object, places.first[0]);
        add_separators(c, &names, &places, to);
    }
    places_free(&places);
    names_free(&names);
    return status;
}

/* --- Elements --- */

enum status element_conjunction(struct compiler *c, const struct conjunction *all, size_t index,
                                struct conjunction *value)
{
    *value = (struct conjunction){0};
    enum status status = STATUS_OK;
    for (size_t i = 0; !status && i < all->count; i++) {
        const struct item *item = &all->items[i];
        const json_t *prefix = json_object_get(item->schema, "prefixItems");
        const json_t *rest = json_object_get(item->schema, "items");
        struct item element = {.schema = json_array_get(prefix, index)};
        if (prefix && !json_is_array(prefix))
            return schema_error(c, STATUS_INVALID, item, "prefixItems", "is not an array");
        if (element.schema) {
            element.path = schema_path_at(c, item->path, "prefixItems", index);
        } else {
            element.schema = rest;
            element.path = schema_path(c, item->path, "items");
        }
        if (element.schema)
            status = conjunction_add(c, value, element);
    }
    return status;
}

static size_t longest_prefix(const struct conjunction *all)
{
    size_t longest = 0;
    for (size_t i = 0; i < all->count; i++) {
        size_t n = json_array_size(json_object_get(all->items[i].schema, "prefixItems"));
        longest = size_max(n, longest);
    }
    return longest;
}

/* How many elements are told apart by their place; behind them all are alike. */
static enum status count_places(struct compiler *c, const struct conjunction *all, uint32_t *least,
                                uint32_t *most, size_t *n)
{
    *least = 0;
    *most = GRAMMAR_NO_MAXIMUM;
    enum status status = conjunction_count(c, all, "minItems", true, least);
    if (!status)
        status = conjunction_count(c, all, "maxItems", false, most);
    *n = longest_prefix(all);
    if (*n < *least)
        *n = *least;
    if (*most != GRAMMAR_NO_MAXIMUM)
        *n = *most;
    if (!status && *n > ELEMENT_LIMIT)
        return error_set(c->err, STATUS_LIMIT,
                         "%s: \"minItems\" and \"maxItems\" up to %d are supported, not %zu",
                         all->items[0].path, ELEMENT_LIMIT, *n);
    return status;
}

/* --- "contains" --- */

/* How many elements are counted that satisfy "contains": hits. With a maximum, what is not counted
 * must not satisfy it; without one it may. */
struct hits {
    bool is_counted;
    struct item counted, missed; /* missed.schema may be NULL */
    uint32_t least, most;
    size_t n_counts; /* 0 up to what need not be told apart */
};

static enum status set_hits(struct compiler *c, const struct item *item, struct hits *hits)
{
    const json_t *schema = json_object_get(item->schema, "contains");
    const char *path = schema_path(c, item->path, "contains");
    struct conjunction own = {.items = {*item}, .count = 1};
    if (!schema)
        return STATUS_OK;
    if (hits->is_counted)
        return schema_error(c, STATUS_UNSUPPORTED, item, "contains",
                            "more than one applies to one array");
    *hits = (struct hits){.is_counted = true,
                          .counted = {.schema = schema, .path = path},
                          .most = GRAMMAR_NO_MAXIMUM};
    enum status status = conjunction_count(c, &own, "minContains", true, &hits->least);
    if (!status && !json_object_get(item->schema, "minContains"))
        hits->least = 1;
    if (!status)
        status = conjunction_count(c, &own, "maxContains", false, &hits->most);
    if (status)
        return status;
    bool has_most = hits->most != GRAMMAR_NO_MAXIMUM;
    hits->n_counts = 1 + (size_t)(has_most ? hits->most : hits->least);
    hits->missed.path = path;
    if (hits->n_counts > COUNT_LIMIT)
        return schema_error(c, STATUS_LIMIT, item, "contains", "counts up to %d are supported",
                            COUNT_LIMIT);
    return has_most ? derived_opposite(c, item, "contains", &hits->missed.schema) : STATUS_OK;
}

static enum status find_hits(struct compiler *c, const struct conjunction *all, struct hits *hits)
{
    *hits = (struct hits){.n_counts = 1, .most = GRAMMAR_NO_MAXIMUM};
    enum status status = STATUS_OK;
    for (size_t i = 0; !status && i < all->count; i++)
        status = set_hits(c, &all->items[i], hits);
    return status;
}

/* An edge for the element at this place, with what applies to it besides. */
static enum status add_element(struct compiler *c, const struct conjunction *all, size_t index,
                               struct item besides, uint32_t ready, uint32_t done)
{
    struct conjunction value;
    uint32_t rule;
    enum status status = element_conjunction(c, all, index, &value);
    if (!status && besides.schema)
        status = conjunction_add(c, &value, besides);
    if (!status)
        status = rule_for(c, &value, &rule);
    if (!status)
        grammar_add_edge(c->g, ready, EDGE_RULE, rule, done);
    return status;
}

/* --- Arrays --- */

/* States between the elements, by how many hits there are. */
struct turn {
    uint32_t *ready, *done; /* [n_counts] */
};

static void begin_turn(struct compiler *c, uint32_t *states, size_t n)
{
    for (size_t i = 0; i < n; i++)
        states[i] = grammar_add_state(c->g, false);
}

static enum status add_elements(struct compiler *c, const struct conjunction *all, size_t index,
                                const struct hits *hits, const struct turn *turn)
{
    enum status status = STATUS_OK;
    for (size_t n = 0; !status && n < hits->n_counts; n++) {
        status = add_element(c, all, index, hits->missed, turn->ready[n], turn->done[n]);
        if (!status && n + 1 < hits->n_counts)
            status = add_element(c, all, index, hits->counted, turn->ready[n], turn->done[n + 1]);
    }
    return status;
}

static enum status add_turns(struct compiler *c, const struct conjunction *all,
                             const struct hits *hits, struct turn *turn, uint32_t from, uint32_t to)
{
    uint32_t least, most;
    size_t n;
    enum status status = count_places(c, all, &least, &most, &n);
    begin_turn(c, turn->ready, hits->n_counts);
    grammar_add_edge(c->g, from, EDGE_LEAF, c->open_array, turn->ready[0]);
    if (least == 0 && hits->least == 0)
        grammar_add_edge(c->g, turn->ready[0], EDGE_LEAF, c->empty_array, to);
    bool endless = most == GRAMMAR_NO_MAXIMUM;
    if (endless && n == 0)
        n = 1; /* the first place alone may be empty */
    if (!status && n * hits->n_counts > PLACE_LIMIT)
        return error_set(c->err, STATUS_LIMIT, "%s: \"contains\" counts too much in so long arrays",
                         all->items[0].path);
    for (size_t i = 0; !status && i < n + endless && !c->g->failure; i++) {
        begin_turn(c, turn->done, hits->n_counts);
        status = add_elements(c, all, i, hits, turn);
        if (i < n)
            begin_turn(c, turn->ready, hits->n_counts);
        for (size_t h = 0; h < hits->n_counts; h++) {
            if (i + 1 >= least && h >= hits->least)
                grammar_add_edge(c->g, turn->done[h], EDGE_LEAF, c->close_array, to);
            grammar_add_edge(c->g, turn->done[h], EDGE_LEAF, c->comma, turn->ready[h]);
        }
    }
    return status;
}

enum status add_array(struct compiler *c, const struct conjunction *all, uint32_t from, uint32_t to)
{
    struct hits hits;
    struct turn turn = {0};
    enum status status = find_hits(c, all, &hits);
    if (status)
        return status;
    turn.ready = mem_array(hits.n_counts, sizeof *turn.ready);
    turn.done = mem_array(hits.n_counts, sizeof *turn.done);
    status = turn.ready && turn.done ? add_turns(c, all, &hits, &turn, from, to)
                                     : error_memory(c->err, "a schema");
    mem_free(turn.ready);
    mem_free(turn.done);
    return status;
}
