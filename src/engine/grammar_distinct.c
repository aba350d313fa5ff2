#include "engine/grammar_schema.h"

#include <string.h>

/* How deep nested values are compared, and how many elements of arrays. */
enum { DEPTH_LIMIT = 6, ELEMENT_LIMIT = 16 };

struct comparison {
    struct compiler *c;
    size_t depth;
};

static enum status compare(struct comparison *comparison, const struct conjunction *a,
                           const struct conjunction *b, bool *distinct);

static enum status scalars_distinct(struct compiler *c, const struct conjunction *a,
                                    const struct conjunction *b, unsigned types, bool *distinct)
{
    struct dfa one = {0}, other = {0};
    enum status status = scalars_to_dfa(c, a, types, &one);
    if (!status)
        status = scalars_to_dfa(c, b, types, &other);
    if (!status) {
        int overlap = dfa_overlap(&one, &other, &c->g->budget, c->err);
        *distinct = overlap == 0;
        status = overlap < 0 ? STATUS_LIMIT : STATUS_OK;
    }
    dfa_free(&one);
    dfa_free(&other);
    return status;
}

/* Values under a name that one side requires: what is valid for both would have to have it. */
static enum status property_distinct(struct comparison *comparison, const struct conjunction *a,
                                     const struct conjunction *b, const char *name, bool *distinct)
{
    struct conjunction *values = mem_array(2, sizeof *values);
    if (!values)
        return error_memory(comparison->c->err, "a schema");
    enum status status = property_conjunction(comparison->c, a, name, &values[0]);
    if (!status)
        status = property_conjunction(comparison->c, b, name, &values[1]);
    if (!status)
        status = compare(comparison, &values[0], &values[1], distinct);
    mem_free(values);
    return status;
}

/* Looks at the names that `requiring`, one of the two, requires. */
static enum status objects_distinct(struct comparison *comparison, const struct conjunction *a,
                                    const struct conjunction *b,
                                    const struct conjunction *requiring, bool *distinct)
{
    enum status status = STATUS_OK;
    *distinct = false;
    for (size_t i = 0; i < requiring->count; i++) {
        const json_t *names = json_object_get(requiring->items[i].schema, "required");
        for (size_t j = 0; !status && !*distinct && j < json_array_size(names); j++) {
            const char *name = json_string_value(json_array_get(names, j));
            if (name)
                status = property_distinct(comparison, a, b, name, distinct);
        }
    }
    return status;
}

static enum status arrays_distinct(struct comparison *comparison, const struct conjunction *a,
                                   const struct conjunction *b, bool *distinct)
{
    struct compiler *c = comparison->c;
    struct conjunction *values = mem_array(2, sizeof *values);
    uint32_t least = 0, most = GRAMMAR_NO_MAXIMUM;
    enum status status = values ? STATUS_OK : error_memory(c->err, "a schema");
    const struct conjunction *sides[] = {a, b};
    for (size_t i = 0; !status && i < 2; i++) {
        status = conjunction_count(c, sides[i], "minItems", true, &least);
        if (!status)
            status = conjunction_count(c, sides[i], "maxItems", false, &most);
    }
    *distinct = !status && most < least;
    for (size_t i = 0; !status && !*distinct && i < least && i < ELEMENT_LIMIT; i++) {
        status = element_conjunction(c, a, i, &values[0]);
        if (!status)
            status = element_conjunction(c, b, i, &values[1]);
        if (!status)
            status = compare(comparison, &values[0], &values[1], distinct);
    }
    mem_free(values);
    return status;
}

/* The same types on both sides, no alternatives left. */
static enum status values_distinct(struct comparison *comparison, const struct conjunction *a,
                                   const struct conjunction *b, unsigned types, bool *distinct)
{
    unsigned containers = types & (TYPE_OBJECT | TYPE_ARRAY), scalars = types & ~containers;
    bool a_listed = conjunction_has_values(a), b_listed = conjunction_has_values(b);
    enum status status = STATUS_OK;
    *distinct = !(containers && (a_listed != b_listed));
    if (*distinct && a_listed && b_listed)
        return scalars_distinct(comparison->c, a, b, types, distinct);
    if (*distinct && scalars)
        status = scalars_distinct(comparison->c, a, b, scalars, distinct);
    if (!status && *distinct && (containers & TYPE_OBJECT)) {
        status = objects_distinct(comparison, a, b, a, distinct);
        if (!status && !*distinct)
            status = objects_distinct(comparison, a, b, b, distinct);
    }
    if (!status && *distinct && (containers & TYPE_ARRAY))
        status = arrays_distinct(comparison, a, b, distinct);
    return status;
}

/* Every branch of a's alternatives must be distinct from b. */
static enum status branches_distinct(struct comparison *comparison, const struct conjunction *a,
                                     size_t index, const char *keyword, const struct conjunction *b,
                                     bool *distinct)
{
    size_t n = json_array_size(json_object_get(a->items[index].schema, keyword));
    struct conjunction *taken = mem_alloc(sizeof *taken);
    enum status status = taken ? STATUS_OK : error_memory(comparison->c->err, "a schema");
    *distinct = true;
    for (size_t i = 0; !status && *distinct && i < n; i++) {
        status = take_branch(comparison->c, a, index, keyword, i, taken);
        if (!status)
            status = compare(comparison, taken, b, distinct);
    }
    mem_free(taken);
    return status;
}

static enum status compare_flat(struct comparison *comparison, const struct conjunction *a,
                                const struct conjunction *b, bool *distinct)
{
    unsigned one, other;
    enum status status = conjunction_types(comparison->c, a, &one);
    if (!status)
        status = conjunction_types(comparison->c, b, &other);
    if (status)
        return status;
    *distinct = true;
    return one & other ? values_distinct(comparison, a, b, one & other, distinct) : STATUS_OK;
}

static enum status compare(struct comparison *comparison, const struct conjunction *a,
                           const struct conjunction *b, bool *distinct)
{
    const char *keyword;
    *distinct = a->impossible || b->impossible;
    if (*distinct || comparison->depth >= DEPTH_LIMIT)
        return STATUS_OK;
    if (comparison->c->g->budget < 1000)
        return error_set(comparison->c->err, STATUS_LIMIT,
                         "telling the branches of \"oneOf\" apart takes too long");
    comparison->c->g->budget -= 1000;
    comparison->depth++;
    enum status status;
    const struct item *item = find_alternatives(a, &keyword);
    if (item) {
        status = branches_distinct(comparison, a, (size_t)(item - a->items), keyword, b, distinct);
    } else {
        item = find_alternatives(b, &keyword);
        status =
            item ? branches_distinct(comparison, b, (size_t)(item - b->items), keyword, a, distinct)
                 : compare_flat(comparison, a, b, distinct);
    }
    comparison->depth--;
    return status;
}

enum status conjunctions_distinct(struct compiler *c, const struct conjunction *a,
                                  const struct conjunction *b, bool *distinct)
{
    struct comparison comparison = {.c = c};
    return compare(&comparison, a, b, distinct);
}
