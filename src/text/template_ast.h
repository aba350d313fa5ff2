/* Templates as text, tokens and trees. Internal to the template engine (template*.c). */
#ifndef TANDEM_TEXT_TEMPLATE_AST_H
#define TANDEM_TEXT_TEMPLATE_AST_H

#include "text/template_value.h"

enum token_kind {
    TOKEN_END,
    TOKEN_DATA,
    TOKEN_BLOCK_BEGIN,
    TOKEN_BLOCK_END,
    TOKEN_PRINT_BEGIN,
    TOKEN_PRINT_END,
    TOKEN_NAME,
    TOKEN_STRING,
    TOKEN_INT,
    TOKEN_FLOAT,
    TOKEN_OPERATOR,
};

/* Operators are their characters: '+', and two of them for the longer ones. */
#define OPERATOR2(a, b) ((a) << 8 | (b))

struct token {
    enum token_kind kind;
    uint32_t line;
    int operator_;
    struct value value; /* DATA, STRING, NAME: text; INT, FLOAT */
};

struct token_array {
    struct token *items; /* mem_free; ends with TOKEN_END */
    size_t count, capacity;
};

/* Strings go to the arena; `source` has to live as long as the tokens. */
enum status template_tokenize(const char *name, const char *source, size_t length,
                              struct arena *arena, struct token_array *tokens, struct error *err);

/* A name that the template mentions; equal names are the same struct. */
struct name {
    struct text_ref text;
    size_t index;      /* in render.globals */
    struct name *next; /* of all names */
    struct name *next_in_bucket;
};

enum node_kind {
    NODE_CONST,
    NODE_NAME,
    NODE_LIST,
    NODE_TUPLE,
    NODE_DICT,
    NODE_ATTRIBUTE,
    NODE_ITEM,
    NODE_SLICE,
    NODE_CALL,
    NODE_FILTER,
    NODE_TEST,
    NODE_NOT,
    NODE_NEGATIVE,
    NODE_POSITIVE,
    NODE_MATH,
    NODE_CONCAT,
    NODE_COMPARE,
    NODE_AND,
    NODE_OR,
    NODE_CONDITION,
    NODE_OPERAND,
    NODE_KEYWORD,
    NODE_NAMESPACE_TARGET,

    NODE_DATA,
    NODE_PRINT,
    NODE_IF,
    NODE_FOR,
    NODE_SET,
    NODE_SET_BLOCK,
    NODE_WITH,
    NODE_MACRO,
    NODE_CALL_BLOCK,
    NODE_FILTER_BLOCK,
    NODE_SCOPE,
    NODE_BREAK,
    NODE_CONTINUE,
    NODE_REFUSED,
};

struct call_parts {
    struct node *args, *keywords; /* lists */
    struct node *star, *double_star;
};

struct node {
    enum node_kind kind;
    uint32_t line;
    struct node *next; /* in the list that it is part of */
    union {
        struct value constant;   /* CONST, DATA; REFUSED: the message */
        const struct name *name; /* NAME */
        struct node *items; /* LIST, TUPLE, CONCAT, AND, OR, PRINT, SCOPE; DICT: key, value, ... */
        struct node *inner; /* NOT, NEGATIVE, POSITIVE */
        struct {
            struct node *object;
            struct value name;
        } attribute; /* ATTRIBUTE */
        struct {
            const struct name *name;
            struct value attribute;
        } target; /* NAMESPACE_TARGET */
        struct {
            struct node *object, *key;
        } item; /* ITEM */
        struct {
            struct node *part[3];
        } slice; /* SLICE: as the key of an ITEM */
        struct {
            struct node *subject;          /* CALL: the function; NULL in filter blocks */
            const struct builtin *builtin; /* FILTER, TEST; NULL: there is none of that name */
            struct text_ref name;
            struct call_parts parts;
        } call; /* CALL, FILTER, TEST */
        struct {
            struct node *first, *operands; /* operands: a list of OPERAND */
        } chain;                           /* MATH, COMPARE */
        struct {
            enum operator_kind op;
            struct node *value;
        } operand;
        struct {
            struct text_ref name;
            struct node *value;
        } keyword;
        struct {
            struct node *test, *then, *otherwise; /* lists of statements in IF */
        } condition;                              /* CONDITION, IF */
        struct {
            struct node *target, *iterable, *test, *body, *otherwise;
            bool recursive;
        } loop; /* FOR */
        struct {
            struct node *target, *value; /* SET_BLOCK: filters or NULL */
            struct node *body;
        } set; /* SET, SET_BLOCK */
        struct {
            struct node *targets, *values, *body;
        } with; /* WITH */
        struct {
            struct macro_code *code;
            struct node *call; /* CALL_BLOCK */
        } macro;               /* MACRO, CALL_BLOCK */
        struct {
            struct node *filter, *body;
        } filter_block;
    };
};

struct parameter {
    const struct name *name;
    struct node *fallback; /* or NULL */
    struct parameter *next;
};

struct macro_code {
    const struct name *name; /* NULL: the body of a call block */
    struct parameter *parameters;
    size_t n_parameters;
    struct node *body;
    bool uses_caller, uses_keywords, uses_varargs;
    struct macro_code *outer; /* the macro that it stands in */
};

struct macro {
    const struct macro_code *code;
    struct scope *scope; /* where it was defined */
};

struct template
{
    char *name;
    char *source;
    size_t source_length;
    struct arena arena;
    struct node *body;
    struct name *names;
    size_t n_names;
    const struct name *loop_name, *caller_name, *kwargs_name, *varargs_name;
};

/* ---- running ---- */

struct binding {
    const struct name *name;
    struct value value; /* VALUE_MISSING: not set (in this turn of the loop) */
    struct binding *next;
};
/* Variables inside a loop, macro, ...; the outermost ones are in render.globals. */
struct scope {
    struct scope *parent;
    struct binding *bindings;
};

struct loop {
    const struct node *node;
    struct scope *scope; /* around the loop */
    struct value_list source;
    size_t source_at;
    struct value current, previous, next; /* next: VALUE_MISSING unless looked ahead */
    size_t index, depth;                  /* from 0 */
    size_t length;                        /* SIZE_MAX: not known yet */
    struct value_list changed;            /* the arguments of the last changed() */
    bool has_changed;
    bool tested; /* the items left in `source` have passed the loop's test */
};
/* Looks ahead; VALUE_MISSING at the end. */
bool loop_peek(struct render *r, struct loop *loop, struct value *item);
bool loop_length(struct render *r, struct loop *loop, size_t *length);
bool loop_recurse(struct render *r, struct loop *loop, struct value items, struct value *result);
bool loop_attribute(struct render *r, struct loop *loop, struct text_ref name,
                    struct value *result);

bool evaluate_expression(struct render *r, const struct node *node, struct value *result);
bool evaluate_arguments(struct render *r, const struct call_parts *parts,
                        struct arguments *arguments);
bool call_macro(struct render *r, const struct macro *macro, const struct arguments *arguments,
                struct value *result);
/* A filter on a subject that is not part of the tree. */
bool apply_filter(struct render *r, const struct node *filter, struct value subject,
                  struct value *result);

enum flow { FLOW_NEXT, FLOW_BREAK, FLOW_CONTINUE, FLOW_FAILED };
enum flow run_body(struct render *r, const struct node *body);
/* The body's output as a string; the flow tells how it ended. */
enum flow capture_body(struct render *r, const struct node *body, struct value *text);

struct value *scope_find(struct render *r, const struct name *name);
bool scope_set(struct render *r, const struct name *name, struct value value);
bool scope_push(struct render *r, struct scope *parent, struct scope **saved);
bool assign_target(struct render *r, const struct node *target, struct value value);
bool render_emit(struct render *r, struct value value);

/* Fills in body and names of `template`, whose name and source are there. */
enum status template_parse(struct template *template, struct error *err);

/* ---- between the parser's two files ---- */

enum { MAX_NESTING = 200 }; /* of parentheses, blocks, ... in a template's text */

struct parser {
    struct template *template;
    struct token_array tokens;
    size_t at;
    struct error *err;
    size_t depth;
    bool in_loop, soft;         /* soft: unknown filters and tests are errors only when used */
    struct macro_code *macro;   /* the innermost one being parsed */
    const struct node *unknown; /* the first filter or test that does not exist */
    const char *unknown_kind;
    struct name *buckets[1024]; /* names by hash */
};

const struct token *peek_token(const struct parser *p, size_t ahead);
bool token_is_name(const struct token *token, const char *name);
bool token_is_operator(const struct token *token, int operator_);
bool skip_name(struct parser *p, const char *name);
bool skip_operator(struct parser *p, int operator_);
bool expect_operator(struct parser *p, int operator_);
bool expect_kind(struct parser *p, enum token_kind kind);
/* The next token's name, which is consumed; NULL (failed) when it is none. */
const struct token *expect_name(struct parser *p);
bool parse_fail(struct parser *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool parse_fail_at(struct parser *p, uint32_t line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool parser_enter(struct parser *p);
void parser_leave(struct parser *p);
struct node *new_node(struct parser *p, enum node_kind kind, uint32_t line);
const struct name *intern_name(struct parser *p, struct text_ref text);

/* All give NULL after failing. */
struct node *parse_expression(struct parser *p, bool with_condition);
/* `end`: a name that ends the tuple, or NULL. */
struct node *parse_tuple(struct parser *p, bool with_condition, const char *end);
struct node *parse_primary(struct parser *p);
/* The filters that follow, applied to `subject`; the first without its "|" where `inline_`. */
struct node *parse_filters(struct parser *p, struct node *subject, bool inline_);

#endif
