#include "engine/grammar_schema.h"
#include "engine/grammar_regex.h"

#include <stdio.h>
#include <string.h>

enum { ELEMENT_LIMIT = 20000, NAME_LIMIT = 5000, PATTERN_LIMIT = 4 };

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
        mark_required(names, all);
    return status;
}

/* --- What a property must satisfy --- */

static enum status pattern_takes_name(struct compiler *c, const struct item *item,
                                      const char *pattern, const char *name, bool *takes)
{
    const struct dfa *dfa;
    struct nfa nfa = {0};
    struct dfa text = {0};
    enum status status = pattern_to_dfa(c, item, "patternProperties", pattern, true, &dfa);
    if (status)
        return status;
    nfa.start = nfa_text(&nfa, SPELLING_JSON, name, strlen(name), nfa_match(&nfa));
    status = dfa_from_nfa(&nfa, &c->g->budget, &text, c->err);
    if (!status) {
        int overlap = dfa_overlap(dfa, &text, &c->g->budget, c->err);
        *takes = overlap > 0;
        status = overlap < 0 ? STATUS_LIMIT : STATUS_OK;
    }
    nfa_free(&nfa);
    dfa_free(&text);
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
    *value = (struct conjunction){0};
    enum status status = STATUS_OK;
    for (size_t i = 0; !status && i < all->count; i++)
        status = add_property_schemas(c, &all->items[i], name, value);
    return status;
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
        status =
            schema_error(extra->c, STATUS_UNSUPPORTED, extra->patterns[0].item, "patternProperties",
                         "a pattern that limits how long the names are is not supported; "
                         "list the names under \"properties\", or drop the limit");
    if (!status)
        status = dfa_quote(&keys, &key.dfa, extra->c->err);
    dfa_free(&keys);
    if (!status)
        *leaf = grammar_add_leaf(extra->c->g, key);
    return status;
}

/* The classes of keys whose values are possible: from `first` or `later`, over key, colon and
 * value, to `done`. */
static enum status add_extra(struct extra *extra, uint32_t first, uint32_t later, uint32_t done)
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
        uint32_t named = grammar_add_state(c->g, false), ready = grammar_add_state(c->g, false);
        grammar_add_edge(c->g, first, EDGE_LEAF, leaf, named);
        grammar_add_edge(c->g, later, EDGE_LEAF, leaf, named);
        grammar_add_edge(c->g, named, EDGE_LEAF, c->colon, ready);
        grammar_add_edge(c->g, ready, EDGE_RULE, rule, done);
    }
    return status;
}

/* --- Objects --- */

/* The places of an object, for each property and behind the last: `first`, where no property was
 * written yet; `later`, behind a comma; `done`, behind a value. */
struct places {
    uint32_t *first, *later, *done; /* [n + 1] */
};

static enum status add_places(struct compiler *c, struct places *places, size_t n)
{
    places->first = mem_array(n + 1, sizeof *places->first);
    places->later = mem_array(n + 1, sizeof *places->later);
    places->done = mem_array(n + 1, sizeof *places->done);
    if (!places->first || !places->later || !places->done)
        return error_memory(c->err, "a schema");
    for (size_t i = 0; i <= n; i++) {
        places->first[i] = grammar_add_state(c->g, false);
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
    uint32_t ready = grammar_add_state(c->g, false), key = grammar_add_leaf(c->g, leaf);
    grammar_add_edge(c->g, places->first[i], EDGE_LEAF, key, ready);
    grammar_add_edge(c->g, places->later[i], EDGE_LEAF, key, ready);
    grammar_add_edge(c->g, ready, EDGE_RULE, rule, places->done[i + 1]);
    if (!names->required[i]) {
        grammar_add_edge(c->g, places->first[i], EDGE_NOTHING, 0, places->first[i + 1]);
        grammar_add_edge(c->g, places->later[i], EDGE_NOTHING, 0, places->later[i + 1]);
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
    grammar_add_edge(c->g, places->first[n], EDGE_LEAF, c->empty_object, end);
    for (size_t i = 0; i <= n; i++) {
        grammar_add_edge(c->g, places->done[i], EDGE_LEAF, c->comma, places->later[i]);
        if (i >= last_required)
            grammar_add_edge(c->g, places->done[i], EDGE_LEAF, c->close_object, end);
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
        status = add_places(c, &places, n);
    for (size_t i = 0; !status && i < n; i++)
        status = add_property(c, all, &names, &places, i);
    if (!status) {
        struct extra extra = {.c = c, .all = all, .names = &names};
        status = add_extra(&extra, places.first[n], places.later[n], places.done[n]);
    }
    if (!status) {
        grammar_add_edge(c->g, from, EDGE_LEAF, c->open_object, places.first[0]);
        add_separators(c, &names, &places, to);
    }
    places_free(&places);
    names_free(&names);
    return status;
}

/* --- Arrays --- */

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
        longest = n > longest ? n : longest;
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

static enum status add_element(struct compiler *c, const struct conjunction *all, size_t index,
                               uint32_t ready, uint32_t done)
{
    struct conjunction value;
    uint32_t rule;
    enum status status = element_conjunction(c, all, index, &value);
    if (!status)
        status = rule_for(c, &value, &rule);
    if (!status)
        grammar_add_edge(c->g, ready, EDGE_RULE, rule, done);
    return status;
}

enum status add_array(struct compiler *c, const struct conjunction *all, uint32_t from, uint32_t to)
{
    uint32_t least, most, ready = grammar_add_state(c->g, false);
    size_t n;
    enum status status = count_places(c, all, &least, &most, &n);
    grammar_add_edge(c->g, from, EDGE_LEAF, c->open_array, ready);
    if (least == 0)
        grammar_add_edge(c->g, ready, EDGE_LEAF, c->empty_array, to);
    bool endless = most == GRAMMAR_NO_MAXIMUM;
    if (endless && n == 0)
        n = 1; /* the first place alone may be empty */
    for (size_t i = 0; !status && i < n + endless && !c->g->failure; i++) {
        uint32_t done = grammar_add_state(c->g, false);
        status = add_element(c, all, i, ready, done);
        if (i + 1 >= least)
            grammar_add_edge(c->g, done, EDGE_LEAF, c->close_array, to);
        if (i < n)
            ready = grammar_add_state(c->g, false);
        grammar_add_edge(c->g, done, EDGE_LEAF, c->comma, ready);
    }
    return status;
}
