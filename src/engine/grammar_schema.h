/* JSON Schema to grammar. grammar_schema.c drives and resolves, grammar_scalar.c makes strings,
 * numbers and enumerations, grammar_container.c objects and arrays, grammar_distinct.c answers
 * whether alternatives exclude each other, grammar_derive.c and grammar_unevaluated.c say some
 * keywords by others.
 *
 * The unit of work is a conjunction: schemas all of which a value must satisfy. It is flattened
 * ($ref and allOf join it), split where it has alternatives (anyOf, oneOf), and what is left is a
 * plain list of keywords. Each conjunction becomes one rule; the same conjunction met again is the
 * same rule, which is how recursion ends.
 */
#ifndef TANDEM_ENGINE_GRAMMAR_SCHEMA_H
#define TANDEM_ENGINE_GRAMMAR_SCHEMA_H

#include "base/memory.h"
#include "base/strbuf.h"
#include "engine/grammar.h"

#include <jansson.h>

/* Adds the rule of a schema's values to the grammar. References are resolved in `schema`. */
enum status grammar_add_schema(struct grammar *g, const json_t *schema, uint32_t *rule,
                               struct error *err);

/* --- Inside --- */

enum { CONJUNCTION_LIMIT = 200 };

enum types {
    TYPE_NULL = 1,
    TYPE_BOOLEAN = 2,
    TYPE_STRING = 4,
    TYPE_ARRAY = 8,
    TYPE_OBJECT = 16,
    TYPE_INTEGER = 32,
    TYPE_FRACTION = 64, /* numbers that are no integers */
    TYPE_NUMBER = TYPE_INTEGER | TYPE_FRACTION,
    TYPE_ALL = 127,
};

/* One schema of a conjunction. */
struct item {
    const json_t *schema;
    const char *path;        /* its JSON pointer, for messages */
    bool any_done, one_done; /* its anyOf, oneOf were followed into a branch */
};

struct conjunction {
    struct item items[CONJUNCTION_LIMIT];
    size_t count;
    bool impossible; /* `false` is among them */
};

struct pending_rule {
    const struct item *items;
    size_t count;
    uint32_t rule;
    size_t hash;
};

struct known_pattern {
    const char *pattern;
    struct dfa dfa;
};

struct compiler {
    struct grammar *g;
    const json_t *root;
    struct arena arena;
    struct pending_rule *rules; /* in the order in which they were asked for */
    size_t n_rules, rule_capacity, n_compiled;
    uint32_t *slots; /* [n_slots] rules plus one, by hash */
    size_t n_slots;
    struct known_pattern *patterns; /* DFAs of patterns, each made once */
    size_t n_patterns, pattern_capacity;
    struct dfa any_content; /* of strings */
    json_t *strings;        /* an object: leaves of strings by what they depend on */
    json_t *derived;        /* an object: what grammar_derive.c made */
    json_t *fraction;       /* in a "type" that was derived: a number that is no integer */
    /* Shared leaves. */
    uint32_t open_object, open_array, comma, colon, close_object, close_array, empty_object,
        empty_array;
    struct error *err;
};

/* "path/key" or "path/key/index" in the compiler's arena; "" when out of memory. */
const char *schema_path(struct compiler *c, const char *path, const char *key);
const char *schema_path_at(struct compiler *c, const char *path, const char *key, size_t index);
/* An error at a keyword: "#/properties/a: minimum: ..." */
enum status schema_error(struct compiler *c, enum status status, const struct item *item,
                         const char *keyword, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* Whether the keyword says nothing about values. */
bool keyword_is_annotation(const char *keyword);
/* What the item's "$ref" leads to. */
enum status resolve_reference(struct compiler *c, const struct item *item, struct item *target);
/* Adds `schema` and what it refers to; checks its keywords. */
enum status conjunction_add(struct compiler *c, struct conjunction *all, struct item item);
/* The rule for the values that satisfy all. */
enum status rule_for(struct compiler *c, const struct conjunction *all, uint32_t *rule);
/* The first item with alternatives that were not followed yet; NULL where there is none. Sets
 * *keyword to "anyOf" or "oneOf". */
const struct item *find_alternatives(const struct conjunction *all, const char **keyword);
/* `all` with the alternatives of item `index` followed into one branch. */
enum status take_branch(struct compiler *c, const struct conjunction *all, size_t index,
                        const char *keyword, size_t branch, struct conjunction *taken);
/* 0 for a name that is none. */
unsigned type_named(const char *name);
/* What one item's "type" says. */
enum status item_types(struct compiler *c, const struct item *item, unsigned *types);
/* The types that the items' "type" and the values of "enum" leave. */
enum status conjunction_types(struct compiler *c, const struct conjunction *all, unsigned *types);
/* A whole number, 0 or more, the largest (or smallest) that the items have under the keyword. */
enum status conjunction_count(struct compiler *c, const struct conjunction *all,
                              const char *keyword, bool largest, uint32_t *count);

/* grammar_scalar.c: the texts of the values of these types (no containers); for an enumeration
 * those of its values. *dfa may come out empty. */
enum status make_any_content(struct compiler *c);
bool conjunction_has_values(const struct conjunction *all);
/* The type of a value itself. */
unsigned json_value_type(const json_t *value);
enum status scalars_to_dfa(struct compiler *c, const struct conjunction *all, unsigned types,
                           struct dfa *dfa);
enum status pattern_to_dfa(struct compiler *c, const struct item *item, const char *keyword,
                           const char *pattern, bool search, const struct dfa **dfa);
/* What stands between the quotes of the strings that satisfy all. */
enum status strings_to_dfa(struct compiler *c, const struct conjunction *all, struct dfa *content);
enum status add_string(struct compiler *c, const struct conjunction *all, uint32_t from,
                       uint32_t to);

/* grammar_container.c: an edge path from `from` to `to`. */
enum status add_object(struct compiler *c, const struct conjunction *all, uint32_t from,
                       uint32_t to);
enum status add_array(struct compiler *c, const struct conjunction *all, uint32_t from,
                      uint32_t to);
/* What a property of this name, or the element at this place, must satisfy. */
enum status property_conjunction(struct compiler *c, const struct conjunction *all,
                                 const char *name, struct conjunction *value);
enum status element_conjunction(struct compiler *c, const struct conjunction *all, size_t index,
                                struct conjunction *value);
bool property_is_required(const struct conjunction *all, const char *name);

/* grammar_derive.c: schemas that follow from the item's keywords, for those that are not looked at
 * elsewhere; NULL: none. They live as long as the compiler, and are the same each time. */
enum status derived_schemas(struct compiler *c, const struct item *item, const json_t **derived);
/* What does not satisfy the schema under the keyword. */
enum status derived_opposite(struct compiler *c, const struct item *item, const char *keyword,
                             const json_t **derived);
/* "oneOf" as "anyOf"; distinct [n, n] tells which branches have no value in common. */
enum status derived_one_of(struct compiler *c, const struct item *item, const bool *distinct,
                           const json_t **derived);

/* grammar_unevaluated.c: adds what "unevaluatedProperties" and "unevaluatedItems" say. */
enum status derive_unevaluated(struct compiler *c, const struct item *item, json_t *list);

/* grammar_distinct.c: *distinct tells whether no value satisfies both. */
enum status conjunctions_distinct(struct compiler *c, const struct conjunction *a,
                                  const struct conjunction *b, bool *distinct);

#endif
