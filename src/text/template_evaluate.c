/* Evaluating expressions. */
#include "text/template_ast.h"

#include <string.h>

/* ---- variables ---- */

struct value *scope_find(struct render *r, const struct name *name)
{
    for (struct scope *s = r->scope; s; s = s->parent)
        for (struct binding *b = s->bindings; b; b = b->next)
            if (b->name == name && b->value.type != VALUE_MISSING)
                return &b->value;
    struct value *global = &r->globals[name->index];
    return global->type == VALUE_MISSING ? NULL : global;
}

bool scope_set(struct render *r, const struct name *name, struct value value)
{
    if (!r->scope) {
        r->globals[name->index] = value;
        return true;
    }
    for (struct binding *b = r->scope->bindings; b; b = b->next)
        if (b->name == name) {
            b->value = value;
            return true;
        }
    struct binding *b = render_take(r, 1, sizeof *b);
    if (!b)
        return false;
    *b = (struct binding){name, value, r->scope->bindings};
    r->scope->bindings = b;
    return true;
}

bool scope_push(struct render *r, struct scope *parent, struct scope **saved)
{
    struct scope *scope = render_take(r, 1, sizeof *scope);
    if (!scope)
        return false;
    scope->parent = parent;
    *saved = r->scope;
    r->scope = scope;
    return true;
}

static bool evaluate_name(struct render *r, const struct name *name, struct value *result)
{
    const struct value *value = scope_find(r, name);
    *result = value ? *value
                    : (struct value){
                          .type = VALUE_UNDEFINED, .flags = UNDEFINED_VARIABLE, .text = name->text};
    return true;
}

/* ---- calls ---- */

static bool add_keyword(struct render *r, struct arguments *arguments, size_t *capacity,
                        struct keyword keyword)
{
    for (size_t i = 0; i < arguments->n_keywords; i++) {
        struct text_ref name = arguments->keywords[i].name;
        if (name.length == keyword.name.length &&
            !memcmp(name.data, keyword.name.data, name.length))
            return render_fail(r, "the keyword argument '%.*s' is given twice", (int)name.length,
                               name.data);
    }
    if (arguments->n_keywords == *capacity) {
        struct keyword *grown = render_take(r, *capacity * 2 + 4, sizeof *grown);
        if (!grown)
            return false;
        if (arguments->n_keywords)
            memcpy(grown, arguments->keywords, arguments->n_keywords * sizeof *grown);
        arguments->keywords = grown;
        *capacity = *capacity * 2 + 4;
    }
    arguments->keywords[arguments->n_keywords++] = keyword;
    return render_spend(r, 1 + arguments->n_keywords / 16);
}

static bool spread_keywords(struct render *r, const struct node *node, struct arguments *arguments,
                            size_t *capacity)
{
    struct value dict;
    if (!evaluate_expression(r, node, &dict))
        return false;
    if (dict.type != VALUE_DICT)
        return render_fail(r, "the argument after ** must be a mapping, not '%s'",
                           value_type_name(dict));
    for (size_t i = 0; i < dict.dict->count; i++) {
        const struct dict_entry *e = &dict.dict->entries[i];
        if (e->key.type != VALUE_STRING)
            return render_fail(r, "keywords must be strings");
        if (!add_keyword(r, arguments, capacity, (struct keyword){e->key.text, e->value}))
            return false;
    }
    return true;
}

bool evaluate_arguments(struct render *r, const struct call_parts *parts,
                        struct arguments *arguments)
{
    struct value_list items = {0};
    struct value value;
    size_t capacity = 0;
    *arguments = (struct arguments){0};
    for (const struct node *n = parts->args; n; n = n->next)
        if (!evaluate_expression(r, n, &value) || !list_push(r, &items, value))
            return false;
    if (parts->star) {
        struct value_list rest;
        if (!evaluate_expression(r, parts->star, &value) || !value_iterate(r, value, &rest))
            return false;
        for (size_t i = 0; i < rest.count; i++)
            if (!list_push(r, &items, rest.items[i]))
                return false;
    }
    arguments->items = items.items;
    arguments->count = items.count;
    for (const struct node *n = parts->keywords; n; n = n->next)
        if (!evaluate_expression(r, n->keyword.value, &value) ||
            !add_keyword(r, arguments, &capacity, (struct keyword){n->keyword.name, value}))
            return false;
    return !parts->double_star || spread_keywords(r, parts->double_star, arguments, &capacity);
}

static bool evaluate_call(struct render *r, const struct node *node, struct value *result)
{
    struct value callee;
    struct arguments arguments;
    if (!evaluate_expression(r, node->call.subject, &callee) ||
        !evaluate_arguments(r, &node->call.parts, &arguments))
        return false;
    r->line = node->line;
    return call_value(r, callee, &arguments, result);
}

static bool run_on(struct render *r, const struct node *node, struct value subject,
                   struct value *result)
{
    struct arguments arguments;
    if (!node->call.builtin)
        return render_fail(r, "there is no %s named '%.*s'",
                           node->kind == NODE_FILTER ? "filter" : "test",
                           (int)node->call.name.length, node->call.name.data);
    if (!evaluate_arguments(r, &node->call.parts, &arguments))
        return false;
    r->line = node->line;
    return run_builtin(r, node->call.builtin, subject, &arguments, result);
}

static bool evaluate_applied(struct render *r, const struct node *node, struct value *result)
{
    struct value subject;
    return evaluate_expression(r, node->call.subject, &subject) && run_on(r, node, subject, result);
}

bool apply_filter(struct render *r, const struct node *filter, struct value subject,
                  struct value *result)
{
    if (!render_enter(r))
        return false;
    bool ok = (!filter->call.subject || apply_filter(r, filter->call.subject, subject, &subject)) &&
              run_on(r, filter, subject, result);
    render_leave(r);
    return ok;
}

/* ---- operators ---- */

static bool evaluate_math(struct render *r, const struct node *node, struct value *result)
{
    if (!evaluate_expression(r, node->chain.first, result))
        return false;
    for (const struct node *o = node->chain.operands; o; o = o->next) {
        struct value right;
        if (!evaluate_expression(r, o->operand.value, &right))
            return false;
        r->line = o->line;
        if (!value_operate(r, o->operand.op, *result, right, result))
            return false;
    }
    return true;
}

static bool evaluate_compare(struct render *r, const struct node *node, struct value *result)
{
    struct value left, right;
    bool truth = true;
    if (!evaluate_expression(r, node->chain.first, &left))
        return false;
    for (const struct node *o = node->chain.operands; o && truth; o = o->next) {
        if (!evaluate_expression(r, o->operand.value, &right))
            return false;
        r->line = o->line;
        if (!value_compare(r, o->operand.op, left, right, &truth))
            return false;
        left = right;
    }
    *result = bool_value(truth);
    return true;
}

static bool evaluate_logic(struct render *r, const struct node *node, struct value *result)
{
    for (const struct node *n = node->items; n; n = n->next) {
        if (!evaluate_expression(r, n, result))
            return false;
        if (value_truth(*result) == (node->kind == NODE_OR))
            break;
    }
    return true;
}

static bool evaluate_concat(struct render *r, const struct node *node, struct value *result)
{
    struct text_builder b = {.r = r};
    for (const struct node *n = node->items; n; n = n->next) {
        struct value value;
        if (!evaluate_expression(r, n, &value) || !value_add_str(&b, value))
            return false;
    }
    return builder_finish(&b, result);
}

static bool evaluate_condition(struct render *r, const struct node *node, struct value *result)
{
    struct value test;
    if (!evaluate_expression(r, node->condition.test, &test))
        return false;
    if (value_truth(test))
        return evaluate_expression(r, node->condition.then, result);
    if (node->condition.otherwise)
        return evaluate_expression(r, node->condition.otherwise, result);
    *result = undefined_hint("the inline if-expression evaluated to false and no else section "
                             "was defined.");
    return true;
}

/* ---- literals and look-ups ---- */

static bool evaluate_items(struct render *r, const struct node *node, struct value *result)
{
    struct value_list list = {0};
    for (const struct node *n = node->items; n; n = n->next) {
        struct value value;
        if (!evaluate_expression(r, n, &value) || !list_push(r, &list, value))
            return false;
    }
    return list_value(r, node->kind == NODE_TUPLE ? VALUE_TUPLE : VALUE_LIST, list, result);
}

static bool evaluate_dict(struct render *r, const struct node *node, struct value *result)
{
    struct value_dict *dict = dict_new(r);
    struct value key, value;
    if (!dict)
        return false;
    for (const struct node *n = node->items; n; n = n->next->next)
        if (!evaluate_expression(r, n, &key) || !evaluate_expression(r, n->next, &value) ||
            !dict_set(r, dict, key, value))
            return false;
    *result = (struct value){.type = VALUE_DICT, .dict = dict};
    return true;
}

static bool evaluate_slice(struct render *r, struct value object, const struct node *slice,
                           struct value *result)
{
    struct value part[3] = {0};
    for (size_t i = 0; i < 3; i++)
        if (slice->slice.part[i] && !evaluate_expression(r, slice->slice.part[i], &part[i]))
            return false;
    r->line = slice->line;
    return value_slice(r, object, part, result);
}

static bool evaluate_item(struct render *r, const struct node *node, struct value *result)
{
    struct value object, key;
    if (!evaluate_expression(r, node->item.object, &object))
        return false;
    if (node->item.key->kind == NODE_SLICE)
        return evaluate_slice(r, object, node->item.key, result);
    if (!evaluate_expression(r, node->item.key, &key))
        return false;
    r->line = node->line;
    return value_item(r, object, key, result);
}

static bool evaluate_attribute(struct render *r, const struct node *node, struct value *result)
{
    struct value object;
    if (!evaluate_expression(r, node->attribute.object, &object))
        return false;
    r->line = node->line;
    return value_attribute(r, object, node->attribute.name, result);
}

static bool evaluate_inner(struct render *r, const struct node *node, struct value *result)
{
    struct value value;
    if (!evaluate_expression(r, node->inner, &value))
        return false;
    if (node->kind != NODE_NOT)
        return negate_value(r, value, node->kind == NODE_NEGATIVE, result);
    *result = bool_value(!value_truth(value));
    return true;
}

static bool evaluate_node(struct render *r, const struct node *node, struct value *result)
{
    switch (node->kind) {
    case NODE_CONST:
        *result = node->constant;
        return true;
    case NODE_NAME:
        return evaluate_name(r, node->name, result);
    case NODE_LIST:
    case NODE_TUPLE:
        return evaluate_items(r, node, result);
    case NODE_DICT:
        return evaluate_dict(r, node, result);
    case NODE_ATTRIBUTE:
        return evaluate_attribute(r, node, result);
    case NODE_ITEM:
        return evaluate_item(r, node, result);
    case NODE_CALL:
        return evaluate_call(r, node, result);
    case NODE_FILTER:
    case NODE_TEST:
        return evaluate_applied(r, node, result);
    case NODE_NOT:
    case NODE_NEGATIVE:
    case NODE_POSITIVE:
        return evaluate_inner(r, node, result);
    case NODE_MATH:
        return evaluate_math(r, node, result);
    case NODE_CONCAT:
        return evaluate_concat(r, node, result);
    case NODE_COMPARE:
        return evaluate_compare(r, node, result);
    case NODE_AND:
    case NODE_OR:
        return evaluate_logic(r, node, result);
    case NODE_CONDITION:
        return evaluate_condition(r, node, result);
    default:
        return render_fail(r, "a statement stands where an expression should");
    }
}

bool evaluate_expression(struct render *r, const struct node *node, struct value *result)
{
    r->line = node->line;
    if (!render_spend(r, 1) || !render_enter(r))
        return false;
    bool ok = evaluate_node(r, node, result);
    render_leave(r);
    return ok;
}
