/* Parsing expressions, with Jinja's grammar and precedence. */
#include "text/template_ast.h"

#include <string.h>

static bool append(struct node ***tail, struct node *node)
{
    if (!node)
        return false;
    **tail = node;
    *tail = &node->next;
    return true;
}

static uint32_t line_here(const struct parser *p)
{
    return peek_token(p, 0)->line;
}

static struct node *unary_node(struct parser *p, enum node_kind kind, struct node *inner,
                               uint32_t line)
{
    struct node *node = inner ? new_node(p, kind, line) : NULL;
    if (node)
        node->inner = inner;
    return node;
}

/* ---- calls, filters, tests ---- */

static bool parse_argument(struct parser *p, struct call_parts *parts, struct node ***args,
                           struct node ***keywords)
{
    uint32_t line = line_here(p);
    if (skip_operator(p, '*')) {
        if (parts->star || parts->double_star)
            return parse_fail(p, "invalid arguments of a call");
        return (parts->star = parse_expression(p, true)) != NULL;
    }
    if (skip_operator(p, OPERATOR2('*', '*'))) {
        if (parts->double_star)
            return parse_fail(p, "invalid arguments of a call");
        return (parts->double_star = parse_expression(p, true)) != NULL;
    }
    if (peek_token(p, 0)->kind == TOKEN_NAME && token_is_operator(peek_token(p, 1), '=')) {
        struct node *keyword = new_node(p, NODE_KEYWORD, line);
        if (!keyword)
            return false;
        if (parts->double_star)
            return parse_fail(p, "invalid arguments of a call");
        keyword->keyword.name = peek_token(p, 0)->value.text;
        p->at += 2;
        keyword->keyword.value = parse_expression(p, true);
        return keyword->keyword.value && append(keywords, keyword);
    }
    if (parts->star || parts->double_star || parts->keywords)
        return parse_fail(p, "an argument without a name stands behind one with a name");
    return append(args, parse_expression(p, true));
}

static bool parse_arguments(struct parser *p, struct call_parts *parts)
{
    struct node **args = &parts->args, **keywords = &parts->keywords;
    if (!expect_operator(p, '('))
        return false;
    for (bool first = true; !token_is_operator(peek_token(p, 0), ')'); first = false) {
        if (!first && !expect_operator(p, ','))
            return false;
        if (!first && token_is_operator(peek_token(p, 0), ')'))
            break;
        if (!parse_argument(p, parts, &args, &keywords))
            return false;
    }
    return expect_operator(p, ')');
}

static struct node *parse_call(struct parser *p, struct node *callee)
{
    struct node *node = new_node(p, NODE_CALL, line_here(p));
    if (!node)
        return NULL;
    node->call.subject = callee;
    return parse_arguments(p, &node->call.parts) ? node : NULL;
}

/* a, a.b, a.b.c: names of filters and tests. */
static bool parse_dotted_name(struct parser *p, struct text_ref *name)
{
    const struct token *token = expect_name(p);
    if (!token)
        return false;
    *name = token->value.text;
    while (skip_operator(p, '.')) {
        token = expect_name(p);
        if (!token)
            return false;
        name->length = (size_t)(token->value.text.data - name->data) + token->value.text.length;
    }
    return true;
}

/* Remembers a filter or test that does not exist: an error, unless it stands in a condition. */
static void check_builtin(struct parser *p, const struct node *node, const char *what)
{
    if (!node->call.builtin && !p->soft && !p->unknown) {
        p->unknown = node;
        p->unknown_kind = what;
    }
}

struct node *parse_filters(struct parser *p, struct node *subject, bool inline_)
{
    while (inline_ || token_is_operator(peek_token(p, 0), '|')) {
        if (!inline_)
            p->at++;
        inline_ = false;
        struct node *node = new_node(p, NODE_FILTER, line_here(p));
        if (!node || !parse_dotted_name(p, &node->call.name))
            return NULL;
        node->call.subject = subject;
        if (token_is_operator(peek_token(p, 0), '(') && !parse_arguments(p, &node->call.parts))
            return NULL;
        node->call.builtin = find_filter(node->call.name);
        check_builtin(p, node, "filter");
        subject = node;
    }
    return subject;
}

static struct node *parse_postfix(struct parser *p, struct node *node);

static bool starts_test_argument(const struct token *token)
{
    switch (token->kind) {
    case TOKEN_NAME:
        return !token_is_name(token, "else") && !token_is_name(token, "or") &&
               !token_is_name(token, "and");
    case TOKEN_STRING:
    case TOKEN_INT:
    case TOKEN_FLOAT:
        return true;
    default:
        return token_is_operator(token, '[') || token_is_operator(token, '{');
    }
}

static bool parse_test_arguments(struct parser *p, struct node *node)
{
    const struct token *token = peek_token(p, 0);
    if (token_is_operator(token, '('))
        return parse_arguments(p, &node->call.parts);
    if (!starts_test_argument(token))
        return true;
    if (token_is_name(token, "is"))
        return parse_fail(p, "tests cannot be chained with \"is\"");
    struct node *argument = parse_primary(p);
    node->call.parts.args = argument ? parse_postfix(p, argument) : NULL;
    return node->call.parts.args != NULL;
}

static struct node *parse_test(struct parser *p, struct node *subject)
{
    uint32_t line = line_here(p);
    p->at++; /* is */
    bool negated = skip_name(p, "not");
    struct node *node = new_node(p, NODE_TEST, line);
    if (!node || !parse_dotted_name(p, &node->call.name))
        return NULL;
    node->call.subject = subject;
    node->call.builtin = find_test(node->call.name);
    if (!parse_test_arguments(p, node))
        return NULL;
    check_builtin(p, node, "test");
    return negated ? unary_node(p, NODE_NOT, node, line) : node;
}

/* ---- what follows a value: .name, [key], (arguments) ---- */

static bool parse_slice_part(struct parser *p, struct node **part)
{
    const struct token *token = peek_token(p, 0);
    if (token_is_operator(token, ':') || token_is_operator(token, ']') ||
        token_is_operator(token, ','))
        return true;
    *part = parse_expression(p, true);
    return *part != NULL;
}

static struct node *parse_key(struct parser *p)
{
    uint32_t line = line_here(p);
    struct node *part[3] = {0};
    if (!token_is_operator(peek_token(p, 0), ':')) {
        part[0] = parse_expression(p, true);
        if (!part[0] || !token_is_operator(peek_token(p, 0), ':'))
            return part[0];
    }
    p->at++; /* : */
    struct node *slice = new_node(p, NODE_SLICE, line);
    if (!slice || !parse_slice_part(p, &part[1]) ||
        (skip_operator(p, ':') && !parse_slice_part(p, &part[2])))
        return NULL;
    memcpy(slice->slice.part, part, sizeof part);
    return slice;
}

static struct node *parse_subscript(struct parser *p, struct node *object)
{
    struct node *node = new_node(p, NODE_ITEM, line_here(p));
    struct node *keys = NULL, **tail = &keys;
    size_t n = 0;
    if (!node)
        return NULL;
    p->at++; /* [ */
    for (; !token_is_operator(peek_token(p, 0), ']'); n++)
        if ((n && !expect_operator(p, ',')) || !append(&tail, parse_key(p)))
            return NULL;
    p->at++; /* ] */
    node->item.object = object;
    node->item.key = keys;
    if (n == 1)
        return node;
    for (const struct node *key = keys; key; key = key->next)
        if (key->kind == NODE_SLICE) {
            parse_fail(p, "a slice among several keys");
            return NULL;
        }
    node->item.key = new_node(p, NODE_TUPLE, node->line);
    if (node->item.key)
        node->item.key->items = keys;
    return node->item.key ? node : NULL;
}

static struct node *parse_attribute(struct parser *p, struct node *object)
{
    uint32_t line = line_here(p);
    p->at++; /* . */
    const struct token *token = peek_token(p, 0);
    bool is_name = token->kind == TOKEN_NAME;
    if (!is_name && token->kind != TOKEN_INT) {
        parse_fail(p, "expected a name or a number behind the dot");
        return NULL;
    }
    p->at++;
    struct node *node = new_node(p, is_name ? NODE_ATTRIBUTE : NODE_ITEM, line);
    if (node && is_name) {
        node->attribute.object = object;
        node->attribute.name = token->value;
    } else if (node) {
        node->item.object = object;
        node->item.key = new_node(p, NODE_CONST, line);
        if (!node->item.key)
            return NULL;
        node->item.key->constant = token->value;
    }
    return node;
}

static struct node *parse_postfix(struct parser *p, struct node *node)
{
    while (node) {
        const struct token *token = peek_token(p, 0);
        if (token_is_operator(token, '.'))
            node = parse_attribute(p, node);
        else if (token_is_operator(token, '['))
            node = parse_subscript(p, node);
        else if (token_is_operator(token, '('))
            node = parse_call(p, node);
        else
            break;
    }
    return node;
}

static struct node *parse_filters_and_tests(struct parser *p, struct node *node)
{
    while (node) {
        const struct token *token = peek_token(p, 0);
        if (token_is_operator(token, '|'))
            node = parse_filters(p, node, false);
        else if (token_is_name(token, "is"))
            node = parse_test(p, node);
        else if (token_is_operator(token, '('))
            node = parse_call(p, node);
        else
            break;
    }
    return node;
}

/* ---- values ---- */

static struct node *constant_node(struct parser *p, struct value value, uint32_t line)
{
    struct node *node = new_node(p, NODE_CONST, line);
    if (node)
        node->constant = value;
    return node;
}

/* The macros around this name take the arguments that it stands for. */
static void note_special_name(struct parser *p, struct text_ref name)
{
    for (struct macro_code *m = p->macro; m; m = m->outer) {
        m->uses_caller |= chars_is(name, "caller");
        m->uses_keywords |= chars_is(name, "kwargs");
        m->uses_varargs |= chars_is(name, "varargs");
    }
}

static struct node *parse_name(struct parser *p)
{
    const struct token *token = peek_token(p, 0);
    p->at++;
    if (token_is_name(token, "true") || token_is_name(token, "True"))
        return constant_node(p, bool_value(true), token->line);
    if (token_is_name(token, "false") || token_is_name(token, "False"))
        return constant_node(p, bool_value(false), token->line);
    if (token_is_name(token, "none") || token_is_name(token, "None"))
        return constant_node(p, none_value(), token->line);
    struct node *node = new_node(p, NODE_NAME, token->line);
    if (!node)
        return NULL;
    note_special_name(p, token->value.text);
    node->name = intern_name(p, token->value.text);
    return node->name ? node : NULL;
}

/* Adjacent strings are one. */
static struct node *parse_string(struct parser *p)
{
    const struct token *first = peek_token(p, 0);
    size_t length = 0, n = 0;
    for (; peek_token(p, n)->kind == TOKEN_STRING; n++)
        length += peek_token(p, n)->value.text.length;
    if (n == 1) {
        p->at++;
        return constant_node(p, first->value, first->line);
    }
    char *data = arena_alloc(&p->template->arena, length + 1);
    if (!data) {
        error_memory(p->err, "a template's strings");
        return NULL;
    }
    size_t at = 0;
    for (; peek_token(p, 0)->kind == TOKEN_STRING; p->at++) {
        struct text_ref part = peek_token(p, 0)->value.text;
        if (part.length)
            memcpy(data + at, part.data, part.length);
        at += part.length;
    }
    return constant_node(p, string_value(data, length), first->line);
}

static struct node *parse_list(struct parser *p)
{
    struct node *node = new_node(p, NODE_LIST, line_here(p)), **tail;
    if (!node)
        return NULL;
    tail = &node->items;
    p->at++; /* [ */
    for (bool first = true; !token_is_operator(peek_token(p, 0), ']'); first = false) {
        if (!first && !expect_operator(p, ','))
            return NULL;
        if (token_is_operator(peek_token(p, 0), ']'))
            break;
        if (!append(&tail, parse_expression(p, true)))
            return NULL;
    }
    p->at++;
    return node;
}

static struct node *parse_dict(struct parser *p)
{
    struct node *node = new_node(p, NODE_DICT, line_here(p)), **tail;
    if (!node)
        return NULL;
    tail = &node->items;
    p->at++; /* { */
    for (bool first = true; !token_is_operator(peek_token(p, 0), '}'); first = false) {
        if (!first && !expect_operator(p, ','))
            return NULL;
        if (token_is_operator(peek_token(p, 0), '}'))
            break;
        if (!append(&tail, parse_expression(p, true)) || !expect_operator(p, ':') ||
            !append(&tail, parse_expression(p, true)))
            return NULL;
    }
    p->at++;
    return node;
}

static bool at_tuple_end(const struct parser *p, const char *end)
{
    const struct token *token = peek_token(p, 0);
    return token->kind == TOKEN_PRINT_END || token->kind == TOKEN_BLOCK_END ||
           token_is_operator(token, ')') || (end && token_is_name(token, end));
}

static struct node *parse_tuple_items(struct parser *p, bool with_condition, const char *end,
                                      bool parenthesized)
{
    uint32_t line = line_here(p);
    struct node *items = NULL, **tail = &items;
    bool is_tuple = false;
    while (!at_tuple_end(p, end)) {
        if (!append(&tail, parse_expression(p, with_condition)))
            return NULL;
        if (!skip_operator(p, ','))
            break;
        is_tuple = true;
    }
    if (!is_tuple && items)
        return items;
    if (!is_tuple && !parenthesized) {
        parse_fail(p, "expected an expression");
        return NULL;
    }
    struct node *node = new_node(p, NODE_TUPLE, line);
    if (node)
        node->items = items;
    return node;
}

struct node *parse_tuple(struct parser *p, bool with_condition, const char *end)
{
    return parse_tuple_items(p, with_condition, end, false);
}

struct node *parse_primary(struct parser *p)
{
    const struct token *token = peek_token(p, 0);
    switch (token->kind) {
    case TOKEN_NAME:
        return parse_name(p);
    case TOKEN_STRING:
        return parse_string(p);
    case TOKEN_INT:
    case TOKEN_FLOAT:
        p->at++;
        return constant_node(p, token->value, token->line);
    default:
        break;
    }
    if (token_is_operator(token, '['))
        return parse_list(p);
    if (token_is_operator(token, '{'))
        return parse_dict(p);
    if (skip_operator(p, '(')) {
        struct node *node = parse_tuple_items(p, true, NULL, true);
        return node && expect_operator(p, ')') ? node : NULL;
    }
    parse_fail(p, "expected an expression");
    return NULL;
}

/* ---- operators, from the tightest ---- */

static struct node *parse_unary(struct parser *p, bool with_filters)
{
    uint32_t line = line_here(p);
    struct node *node;
    bool minus = token_is_operator(peek_token(p, 0), '-');
    if (minus || token_is_operator(peek_token(p, 0), '+')) {
        p->at++;
        if (!parser_enter(p))
            return NULL;
        node = unary_node(p, minus ? NODE_NEGATIVE : NODE_POSITIVE, parse_unary(p, false), line);
        parser_leave(p);
    } else {
        node = parse_primary(p);
    }
    if (node)
        node = parse_postfix(p, node);
    return node && with_filters ? parse_filters_and_tests(p, node) : node;
}

static struct node *parse_unary_filtered(struct parser *p)
{
    return parse_unary(p, true);
}

struct operator_text {
    int text;
    enum operator_kind op;
};

static const struct operator_text *find_operator(const struct parser *p,
                                                 const struct operator_text *table)
{
    for (; table->text; table++)
        if (token_is_operator(peek_token(p, 0), table->text))
            return table;
    return NULL;
}

static struct node *operand_node(struct parser *p, enum operator_kind op, struct node *value)
{
    struct node *node = value ? new_node(p, NODE_OPERAND, value->line) : NULL;
    if (node) {
        node->operand.op = op;
        node->operand.value = value;
    }
    return node;
}

static struct node *chain_node(struct parser *p, enum node_kind kind, struct node *first,
                               struct node *operands)
{
    if (!operands)
        return first;
    struct node *node = new_node(p, kind, first->line);
    if (node) {
        node->chain.first = first;
        node->chain.operands = operands;
    }
    return node;
}

/* Operators of one precedence, from left to right. */
static struct node *parse_chain(struct parser *p, const struct operator_text *table,
                                struct node *(*parse_operand)(struct parser *))
{
    struct node *first = parse_operand(p), *operands = NULL, **tail = &operands;
    if (!first)
        return NULL;
    for (const struct operator_text *o; (o = find_operator(p, table));) {
        p->at++;
        if (!append(&tail, operand_node(p, o->op, parse_operand(p))))
            return NULL;
    }
    return chain_node(p, NODE_MATH, first, operands);
}

static struct node *parse_power(struct parser *p)
{
    static const struct operator_text table[] = {{OPERATOR2('*', '*'), OP_POW}, {0}};
    return parse_chain(p, table, parse_unary_filtered);
}

static struct node *parse_product(struct parser *p)
{
    static const struct operator_text table[] = {
        {'*', OP_MUL}, {'/', OP_DIV}, {OPERATOR2('/', '/'), OP_FLOORDIV}, {'%', OP_MOD}, {0}};
    return parse_chain(p, table, parse_power);
}

static struct node *list_node(struct parser *p, enum node_kind kind, struct node *items)
{
    struct node *node = new_node(p, kind, items->line);
    if (node)
        node->items = items;
    return node;
}

static struct node *parse_concat(struct parser *p)
{
    struct node *items = NULL, **tail = &items;
    do {
        if (!append(&tail, parse_product(p)))
            return NULL;
    } while (skip_operator(p, '~'));
    return items->next ? list_node(p, NODE_CONCAT, items) : items;
}

static struct node *parse_sum(struct parser *p)
{
    static const struct operator_text table[] = {{'+', OP_ADD}, {'-', OP_SUB}, {0}};
    return parse_chain(p, table, parse_concat);
}

static bool next_comparison(struct parser *p, enum operator_kind *op)
{
    static const struct operator_text table[] = {{OPERATOR2('=', '='), OP_EQ},
                                                 {OPERATOR2('!', '='), OP_NE},
                                                 {'<', OP_LT},
                                                 {OPERATOR2('<', '='), OP_LE},
                                                 {'>', OP_GT},
                                                 {OPERATOR2('>', '='), OP_GE},
                                                 {0}};
    const struct operator_text *o = find_operator(p, table);
    if (o) {
        *op = o->op;
        p->at++;
        return true;
    }
    if (token_is_name(peek_token(p, 0), "not") && token_is_name(peek_token(p, 1), "in")) {
        *op = OP_NOT_IN;
        p->at += 2;
        return true;
    }
    *op = OP_IN;
    return skip_name(p, "in");
}

static struct node *parse_comparison(struct parser *p)
{
    struct node *first = parse_sum(p), *operands = NULL, **tail = &operands;
    enum operator_kind op;
    if (!first)
        return NULL;
    while (next_comparison(p, &op))
        if (!append(&tail, operand_node(p, op, parse_sum(p))))
            return NULL;
    return chain_node(p, NODE_COMPARE, first, operands);
}

static struct node *parse_not(struct parser *p)
{
    uint32_t line = line_here(p);
    if (!skip_name(p, "not"))
        return parse_comparison(p);
    if (!parser_enter(p))
        return NULL;
    struct node *node = unary_node(p, NODE_NOT, parse_not(p), line);
    parser_leave(p);
    return node;
}

static struct node *parse_and(struct parser *p)
{
    struct node *items = NULL, **tail = &items;
    do {
        if (!append(&tail, parse_not(p)))
            return NULL;
    } while (skip_name(p, "and"));
    return items->next ? list_node(p, NODE_AND, items) : items;
}

static struct node *parse_or(struct parser *p)
{
    struct node *items = NULL, **tail = &items;
    do {
        if (!append(&tail, parse_and(p)))
            return NULL;
    } while (skip_name(p, "or"));
    return items->next ? list_node(p, NODE_OR, items) : items;
}

/* a if b else c; what filters there are inside are checked when they run. */
static struct node *parse_condition(struct parser *p)
{
    const struct node *unknown_before = p->unknown;
    struct node *value = parse_or(p);
    while (value && skip_name(p, "if")) {
        struct node *node = new_node(p, NODE_CONDITION, value->line);
        if (!node)
            return NULL;
        node->condition.then = value;
        node->condition.test = parse_or(p);
        if (!node->condition.test)
            return NULL;
        if (skip_name(p, "else")) {
            node->condition.otherwise = parse_expression(p, true);
            if (!node->condition.otherwise)
                return NULL;
        }
        value = node;
        p->unknown = unknown_before;
    }
    return value;
}

struct node *parse_expression(struct parser *p, bool with_condition)
{
    if (!parser_enter(p))
        return NULL;
    struct node *node = with_condition ? parse_condition(p) : parse_or(p);
    parser_leave(p);
    return node;
}
