/* What templates compute with: values as Python has them, made from JSON, and the memory of one
 * rendering. Internal to the template engine (template*.c).
 *
 * Values are small and copied freely; what they point to lives in the rendering's arena (or in
 * the template, or in the JSON context) and never changes once others can see it. Functions that
 * can fail return false after render_fail() put a message into the rendering's error.
 */
#ifndef TANDEM_TEXT_TEMPLATE_VALUE_H
#define TANDEM_TEXT_TEMPLATE_VALUE_H

#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/strbuf.h"
#include "text/template.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum value_type {
    VALUE_MISSING, /* no value at all: an absent argument, an unset variable */
    VALUE_UNDEFINED,
    VALUE_NONE,
    VALUE_BOOL,
    VALUE_INT,
    VALUE_FLOAT,
    VALUE_STRING,
    VALUE_LIST,
    VALUE_TUPLE,
    VALUE_DICT,
    VALUE_RANGE,
    VALUE_VIEW,      /* dict.keys(), .values(), .items() */
    VALUE_GENERATOR, /* what map, select, ... give: iterated once */
    VALUE_NAMESPACE,
    VALUE_MACRO,
    VALUE_FUNCTION, /* a global function */
    VALUE_METHOD,   /* bound to its subject */
    VALUE_LOOP,
    VALUE_CYCLER,
    VALUE_JOINER,
};

enum {
    /* of VALUE_STRING */
    STRING_ASCII = 1,  /* one byte a character */
    STRING_MARKUP = 2, /* went through `escape` or `safe` */
    /* of VALUE_UNDEFINED: what the text is; the type of the object stands in the next bits */
    UNDEFINED_VARIABLE = 0,
    UNDEFINED_ATTRIBUTE = 1,
    UNDEFINED_ELEMENT = 2, /* text: the key's repr */
    UNDEFINED_HINT = 3,    /* text: the whole message */
    UNDEFINED_KIND_BITS = 2,
    /* of VALUE_VIEW */
    VIEW_KEYS = 0,
    VIEW_VALUES = 1,
    VIEW_ITEMS = 2,
    /* of VALUE_TUPLE */
    TUPLE_GROUP = 1, /* of groupby: has .grouper and .list */
};

struct value {
    enum value_type type;
    unsigned flags;
    union {
        bool boolean;
        int64_t integer;
        double real;
        struct text_ref {
            const char *data; /* not NUL-terminated */
            size_t length;
        } text;
        struct value_list *list;
        struct value_dict *dict; /* also of views and namespaces */
        struct value_range *range;
        struct generator *generator;
        struct macro *macro;
        const struct builtin *function;
        struct method *method;
        struct loop *loop;
        struct cycler *cycler;
        struct joiner *joiner;
        void *pointer; /* identity of all of the above */
    };
};

struct value_list {
    struct value *items;
    size_t count, capacity;
};

struct dict_entry {
    struct value key, value;
    uint64_t hash;
};
/* In order of insertion, with a hash table of positions. */
struct value_dict {
    struct dict_entry *entries;
    size_t count, capacity;
    uint32_t *slots; /* position + 1, or 0 */
    size_t n_slots;  /* a power of two, or 0 while the dict is small */
};

struct value_range {
    int64_t start, stop, step;
    size_t count;
};

struct cycler {
    struct value_list items;
    size_t position;
};

struct joiner {
    struct value separator;
    bool used;
};

struct keyword {
    struct text_ref name;
    struct value value;
};
struct arguments {
    struct value *items;
    struct keyword *keywords;
    size_t count, n_keywords;
};

enum { MAX_PARAMETERS = 5 };

/* One call of a builtin: filters and tests have their left side as subject, methods the object. */
struct call {
    const struct builtin *builtin;
    struct value subject;
    struct value arg[MAX_PARAMETERS]; /* by parameter; VALUE_MISSING where absent */
    struct arguments all;             /* as given, for builtins that take any ("*") */
};

struct render;

/* `parameters`: names with a space between; "?" behind optional ones, "/" in front of the list
 * when keywords are refused; "*" for any arguments. LAZY: runs when the result is iterated. */
struct builtin {
    const char *name;
    bool (*run)(struct render *r, const struct call *call, struct value *result);
    const char *parameters;
    bool lazy;
};

struct method {
    const struct builtin *builtin;
    struct value subject;
};

struct generator {
    struct call call;
    bool pending; /* the builtin has not run yet */
    struct value_list items;
    size_t position;
};

struct scope;
struct node;
struct template;

struct render {
    const struct template *template;
    const struct template_limits *limits;
    struct error *err;
    struct arena arena;
    size_t memory; /* bytes taken from the arena */
    size_t steps, depth, output;
    uint32_t line; /* of what is being evaluated */
    struct strbuf *out;
    struct text_builder *capture; /* where output goes instead, or NULL */
    struct value *globals;        /* [template->n_names] */
    struct scope *scope;
    bool failed;
};

/* ---- failing and limits (template.c) ---- */

/* Sets the error, with the template's name and the line in front; returns false. */
bool render_fail(struct render *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool render_fail_status(struct render *r, enum status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool render_fail_memory(struct render *r);
/* Counts work against the limit on steps; false (failed) when it is used up. */
bool render_spend(struct render *r, size_t steps);
bool render_spend_bytes(struct render *r, size_t bytes);
/* One level deeper; render_leave() only after true. */
bool render_enter(struct render *r);
void render_leave(struct render *r);
/* From the arena, zeroed; NULL (failed) when the limit on memory is reached. */
void *render_take(struct render *r, size_t count, size_t size);

/* ---- text (template_text.c) ---- */

/* A string being made in the arena. Failure is sticky and was reported. */
struct text_builder {
    struct render *r;
    char *data;
    size_t length, capacity;
    bool failed;
};
void builder_add(struct text_builder *b, const char *data, size_t length);
void builder_add_string(struct text_builder *b, const char *text);
void builder_add_char(struct text_builder *b, char c);
void builder_add_codepoint(struct text_builder *b, uint32_t c);
void builder_add_repeat(struct text_builder *b, const char *data, size_t length, size_t times);
bool builder_finish(struct text_builder *b, struct value *result);

struct value string_value(const char *data, size_t length); /* refers to data */
struct value literal_value(const char *text);
size_t string_count(struct value string); /* code points */
/* Byte offset of the code point at `index` (at most the length). */
size_t string_offset(struct value string, size_t index);
struct value string_part(struct value string, size_t begin, size_t end); /* in bytes */
bool string_equals(struct value v, const char *text);
bool chars_is(struct text_ref text, const char *word);
/* Where `needle` is in haystack[from..), in bytes; SIZE_MAX when it is not there. */
size_t chars_find(struct text_ref haystack, struct text_ref needle, size_t from);
size_t chars_find_last(struct text_ref haystack, struct text_ref needle);

/* str() and repr(), as Python writes them. */
bool value_add_str(struct text_builder *b, struct value v);
bool value_add_repr(struct text_builder *b, struct value v);
bool value_to_string(struct render *r, struct value v, struct value *string);
void builder_add_float(struct text_builder *b, double real);
/* "'x' is undefined": what using this undefined value amounts to. Returns false. */
bool render_fail_undefined(struct render *r, struct value v);
bool parse_double(const char *data, size_t length, double *real);

/* ---- characters (template_unicode.c) ---- */

bool codepoint_is_space(uint32_t c);
bool codepoint_is_line_end(uint32_t c);
bool codepoint_is_alpha(uint32_t c);
bool codepoint_is_digit(uint32_t c);
bool codepoint_is_decimal(uint32_t c);
bool codepoint_is_numeric(uint32_t c);
bool codepoint_is_word(uint32_t c); /* \w */
bool codepoint_is_name(uint32_t c, bool first);
bool codepoint_is_printable(uint32_t c);
bool codepoint_is_lower(uint32_t c);
bool codepoint_is_upper(uint32_t c);
bool codepoint_is_title(uint32_t c);
void builder_add_lower(struct text_builder *b, struct text_ref text);
void builder_add_upper(struct text_builder *b, struct text_ref text);
void builder_add_titled(struct text_builder *b, uint32_t c);
void builder_add_capitalized(struct text_builder *b, struct text_ref text);
bool chars_is_lower(struct text_ref text);
bool chars_is_upper(struct text_ref text);
/* Steps through valid UTF-8: the code point at *at, which moves behind it. */
uint32_t chars_next(struct text_ref text, size_t *at);
uint32_t chars_previous(struct text_ref text, size_t *at);
/* text without the characters of `chars` (white space where chars is NULL) at either side. */
struct text_ref chars_strip(struct text_ref text, const struct text_ref *chars, bool left,
                            bool right);

/* ---- values (template_value.c) ---- */

struct value none_value(void);
struct value bool_value(bool b);
struct value int_value(int64_t i);
struct value float_value(double d);
struct value undefined_hint(const char *message); /* refers to it */
const char *value_type_name(struct value v);      /* Python's: "str", "NoneType" */
bool value_is_number(struct value v);             /* bool, int or float */
bool value_is_integer(struct value v);            /* bool or int */
int64_t value_integer(struct value v);            /* of bool and int */
double value_real(struct value v);                /* of numbers */
bool value_truth(struct value v);
bool value_equal(struct render *r, struct value a, struct value b, bool *equal);
enum order { ORDER_LESS = -1, ORDER_SAME = 0, ORDER_GREATER = 1, ORDER_NONE = 2 /* NaN */ };
bool value_order(struct render *r, const char *operator_, struct value a, struct value b,
                 enum order *order);
bool list_push(struct render *r, struct value_list *list, struct value v);
bool list_value(struct render *r, enum value_type type, struct value_list items,
                struct value *result);
bool pair_value(struct render *r, struct value a, struct value b, struct value *result);
struct value_dict *dict_new(struct render *r);
/* NULL in *entry when absent. Fails for keys that are not hashable. */
bool dict_find(struct render *r, const struct value_dict *dict, struct value key,
               struct dict_entry **entry);
struct dict_entry *dict_find_text(struct render *r, const struct value_dict *dict,
                                  struct text_ref key);
bool dict_set(struct render *r, struct value_dict *dict, struct value key, struct value value);
/* False for what is not hashable (and when it failed). */
bool value_hash(struct render *r, struct value v, uint64_t *hash);
/* A stable sort by items[i] of `keys`; both lists are permuted. */
bool sort_by_keys(struct render *r, struct value_list *items, struct value_list *keys,
                  bool reverse);

/* ---- what objects offer (template_object.c) ---- */

struct value range_item(const struct value_range *range, size_t index);
/* len(); fails for what has none. */
bool value_length(struct render *r, struct value v, size_t *length);
bool value_has_length(struct value v);
bool value_iterable(struct value v);
/* Everything that iterating gives; uses generators up. */
bool value_iterate(struct render *r, struct value v, struct value_list *items);
bool generator_next(struct render *r, struct generator *g, bool *done, struct value *item);
bool generator_value(struct render *r, const struct call *call, struct value *result);
bool generator_of(struct render *r, struct value_list items, struct value *result);
bool value_contains(struct render *r, struct value container, struct value item, bool *found);
/* obj.name, and obj[key]: undefined where there is none, failing only for undefined objects. */
bool value_attribute(struct render *r, struct value object, struct value name,
                     struct value *result);
bool value_item(struct render *r, struct value object, struct value key, struct value *result);
bool value_slice(struct render *r, struct value object, const struct value part[3],
                 struct value *result);
/* getattr() without falling back to items: VALUE_MISSING where there is none. */
bool own_attribute(struct render *r, struct value object, struct text_ref name,
                   struct value *result);

/* ---- operators (template_operator.c, template_format.c) ---- */

enum operator_kind {
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_FLOORDIV,
    OP_MOD,
    OP_POW,
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_IN,
    OP_NOT_IN,
};
bool value_operate(struct render *r, enum operator_kind op, struct value a, struct value b,
                   struct value *result);
bool value_compare(struct render *r, enum operator_kind op, struct value a, struct value b,
                   bool *result);
bool negate_value(struct render *r, struct value v, bool minus, struct value *result);
/* "..." % arguments, and str.format. */
bool format_percent(struct render *r, struct value format, struct value arguments,
                    struct value *result);
bool format_braces(struct render *r, struct value format, const struct arguments *arguments,
                   struct value *result);
/* Digits of a real as C's printf with `conversion` writes them, whatever the locale. */
bool builder_add_real(struct text_builder *b, double real, char conversion, int precision,
                      bool alternate);

/* ---- JSON (template_json.c) ---- */

bool value_from_json(struct render *r, const json_t *json, struct value *result);
bool filter_tojson(struct render *r, const struct call *call, struct value *result);

/* ---- builtins ---- */

const struct builtin *find_builtin(const struct builtin *table, struct text_ref name);
const struct builtin *find_filter(struct text_ref name);
const struct builtin *find_test(struct text_ref name);
const struct builtin *find_global(struct text_ref name);
const struct builtin *find_string_method(struct text_ref name);
const struct builtin *find_text_filter(struct text_ref name);
const struct builtin *find_sequence_filter(struct text_ref name);
/* Binds the arguments to the parameters and runs it (or makes a generator that will). */
bool run_builtin(struct render *r, const struct builtin *builtin, struct value subject,
                 const struct arguments *arguments, struct value *result);
/* An argument as an int, or `fallback` when absent; fails for other types. */
bool argument_int(struct render *r, const struct call *call, size_t index, int64_t fallback,
                  int64_t *integer);
/* An argument that has to be a string; absent (or None) gives `fallback`. */
bool argument_text(struct render *r, const struct call *call, size_t index, const char *fallback,
                   struct text_ref *text);
bool argument_truth(const struct call *call, size_t index);
bool argument_given(const struct call *call, size_t index); /* and is not None */
bool escape_html(struct render *r, struct value v, struct value *result);
/* item's attribute along "a.b.0" (or an int). */
bool attribute_path(struct render *r, struct value item, struct value path,
                    const struct value *fallback, struct value *result);

/* ---- calling (template_call.c) ---- */

bool call_value(struct render *r, struct value callee, const struct arguments *arguments,
                struct value *result);

#endif
