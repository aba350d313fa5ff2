/* Running statements. */
#include "text/template_ast.h"

#include <string.h>

/* ---- output ---- */

static bool write_text(struct render *r, struct text_ref text)
{
    if (r->capture) {
        builder_add(r->capture, text.data, text.length);
        return !r->capture->failed && render_spend_bytes(r, text.length);
    }
    if (text.length > r->limits->max_output - r->output)
        return render_fail_status(r, STATUS_LIMIT, "the output is longer than %zu bytes",
                                  r->limits->max_output);
    r->output += text.length;
    strbuf_append(r->out, text.data, text.length);
    if (r->out->failed)
        return render_fail_memory(r);
    return render_spend_bytes(r, text.length);
}

bool render_emit(struct render *r, struct value value)
{
    struct value text;
    if (value.type == VALUE_UNDEFINED)
        return true;
    return value_to_string(r, value, &text) && write_text(r, text.text);
}

enum flow capture_body(struct render *r, const struct node *body, struct value *text)
{
    struct text_builder b = {.r = r}, *saved = r->capture;
    r->capture = &b;
    enum flow flow = run_body(r, body);
    r->capture = saved;
    return flow != FLOW_FAILED && builder_finish(&b, text) ? flow : FLOW_FAILED;
}

/* ---- assignments ---- */

static bool assign_tuple(struct render *r, const struct node *target, struct value value)
{
    struct value_list items;
    size_t n = 0, i = 0;
    for (const struct node *t = target->items; t; t = t->next)
        n++;
    if (!value_iterate(r, value, &items))
        return false;
    if (items.count != n)
        return render_fail(r, "cannot unpack %zu values into %zu names", items.count, n);
    for (const struct node *t = target->items; t; t = t->next)
        if (!assign_target(r, t, items.items[i++]))
            return false;
    return true;
}

bool assign_target(struct render *r, const struct node *target, struct value value)
{
    if (target->kind == NODE_NAME)
        return scope_set(r, target->name, value);
    if (target->kind == NODE_TUPLE)
        return assign_tuple(r, target, value);
    struct value *space = scope_find(r, target->target.name);
    if (!space || space->type != VALUE_NAMESPACE)
        return render_fail(r, "cannot assign attribute on non-namespace object '%.*s'",
                           (int)target->target.name->text.length, target->target.name->text.data);
    return dict_set(r, space->dict, target->target.attribute, value);
}

static enum flow run_set(struct render *r, const struct node *node)
{
    struct value value;
    return evaluate_expression(r, node->set.value, &value) &&
                   assign_target(r, node->set.target, value)
               ? FLOW_NEXT
               : FLOW_FAILED;
}

static enum flow run_set_block(struct render *r, const struct node *node)
{
    struct scope *saved;
    struct value text;
    if (!scope_push(r, r->scope, &saved))
        return FLOW_FAILED;
    enum flow flow = capture_body(r, node->set.body, &text);
    if (flow == FLOW_NEXT && node->set.value && !apply_filter(r, node->set.value, text, &text))
        flow = FLOW_FAILED;
    r->scope = saved;
    if (flow == FLOW_NEXT && !assign_target(r, node->set.target, text))
        flow = FLOW_FAILED;
    return flow;
}

static enum flow run_with(struct render *r, const struct node *node)
{
    struct scope *saved, *outer = r->scope;
    if (!scope_push(r, outer, &saved))
        return FLOW_FAILED;
    struct scope *inner = r->scope;
    const struct node *value = node->with.values;
    enum flow flow = FLOW_NEXT;
    for (const struct node *t = node->with.targets; t && flow == FLOW_NEXT; t = t->next) {
        struct value v;
        r->scope = outer;
        bool ok = evaluate_expression(r, value, &v);
        r->scope = inner;
        if (!ok || !assign_target(r, t, v))
            flow = FLOW_FAILED;
        value = value->next;
    }
    if (flow == FLOW_NEXT)
        flow = run_body(r, node->with.body);
    r->scope = saved;
    return flow;
}

/* ---- macros and blocks ---- */

static bool make_macro(struct render *r, const struct macro_code *code, struct value *result)
{
    struct macro *macro = render_take(r, 1, sizeof *macro);
    if (!macro)
        return false;
    *macro = (struct macro){code, r->scope};
    *result = (struct value){.type = VALUE_MACRO, .macro = macro};
    return true;
}

static enum flow run_macro(struct render *r, const struct node *node)
{
    struct value macro;
    return make_macro(r, node->macro.code, &macro) && scope_set(r, node->macro.code->name, macro)
               ? FLOW_NEXT
               : FLOW_FAILED;
}

static enum flow run_call_block(struct render *r, const struct node *node)
{
    const struct node *call = node->macro.call;
    struct value caller, callee, text;
    struct arguments arguments;
    if (!make_macro(r, node->macro.code, &caller) ||
        !evaluate_expression(r, call->call.subject, &callee) ||
        !evaluate_arguments(r, &call->call.parts, &arguments))
        return FLOW_FAILED;
    struct keyword *keywords = render_take(r, arguments.n_keywords + 1, sizeof *keywords);
    if (!keywords)
        return FLOW_FAILED;
    if (arguments.n_keywords)
        memcpy(keywords, arguments.keywords, arguments.n_keywords * sizeof *keywords);
    keywords[arguments.n_keywords++] = (struct keyword){r->template->caller_name->text, caller};
    arguments.keywords = keywords;
    return call_value(r, callee, &arguments, &text) && render_emit(r, text) ? FLOW_NEXT
                                                                            : FLOW_FAILED;
}

static enum flow run_filter_block(struct render *r, const struct node *node)
{
    struct scope *saved;
    struct value text;
    if (!scope_push(r, r->scope, &saved))
        return FLOW_FAILED;
    enum flow flow = capture_body(r, node->filter_block.body, &text);
    if (flow == FLOW_NEXT &&
        (!apply_filter(r, node->filter_block.filter, text, &text) || !render_emit(r, text)))
        flow = FLOW_FAILED;
    r->scope = saved;
    return flow;
}

static enum flow run_scope(struct render *r, const struct node *node)
{
    struct scope *saved;
    if (!scope_push(r, r->scope, &saved))
        return FLOW_FAILED;
    enum flow flow = run_body(r, node->items);
    r->scope = saved;
    return flow;
}

/* ---- if and for ---- */

static enum flow run_if(struct render *r, const struct node *node)
{
    for (;;) {
        struct value test;
        const struct node *otherwise = node->condition.otherwise;
        if (!evaluate_expression(r, node->condition.test, &test))
            return FLOW_FAILED;
        if (value_truth(test))
            return run_body(r, node->condition.then);
        if (!otherwise)
            return FLOW_NEXT;
        if (otherwise->kind != NODE_IF || otherwise->next || otherwise->line < node->line)
            return run_body(r, otherwise);
        node = otherwise; /* elif, or a lone if in the else branch: the same */
    }
}

static void clear_scope(struct scope *scope)
{
    for (struct binding *b = scope->bindings; b; b = b->next)
        b->value = (struct value){0};
}

/* Whether the loop's own filter ("for ... if") lets the item through. */
static bool passes_test(struct render *r, const struct loop *loop, struct value item, bool *passes)
{
    struct scope *saved = r->scope, *unused;
    struct value test;
    *passes = true;
    if (!loop->node->loop.test || loop->tested)
        return true;
    bool ok = scope_push(r, loop->scope, &unused) &&
              assign_target(r, loop->node->loop.target, item) &&
              evaluate_expression(r, loop->node->loop.test, &test);
    r->scope = saved;
    *passes = ok && value_truth(test);
    return ok;
}

bool loop_peek(struct render *r, struct loop *loop, struct value *item)
{
    while (loop->next.type == VALUE_MISSING && loop->source_at < loop->source.count) {
        struct value next = loop->source.items[loop->source_at++];
        bool passes;
        if (!passes_test(r, loop, next, &passes))
            return false;
        if (passes)
            loop->next = next;
    }
    *item = loop->next;
    return true;
}

bool loop_length(struct render *r, struct loop *loop, size_t *length)
{
    if (loop->length == SIZE_MAX && loop->node->loop.test) {
        struct value_list rest = {0};
        struct value item;
        while (loop_peek(r, loop, &item) && item.type != VALUE_MISSING) {
            loop->next = (struct value){0};
            if (!list_push(r, &rest, item))
                return false;
        }
        if (r->failed)
            return false;
        /* what passed was tested: from here on the items stand as they are */
        loop->length = loop->index + 1 + rest.count;
        loop->source = rest;
        loop->source_at = 0;
        loop->tested = true;
    }
    *length = loop->length;
    return true;
}

static enum flow run_loop_body(struct render *r, struct loop *loop, struct scope *scope)
{
    struct value loop_value = {.type = VALUE_LOOP, .loop = loop};
    clear_scope(scope);
    r->scope = scope;
    if (!render_spend(r, 1) || !scope_set(r, r->template->loop_name, loop_value) ||
        !assign_target(r, loop->node->loop.target, loop->current))
        return FLOW_FAILED;
    return run_body(r, loop->node->loop.body);
}

/* Jinja runs the else branch when no turn of the loop reached the body's end. */
static enum flow run_turns(struct render *r, struct loop *loop, struct scope *scope,
                           bool *completed)
{
    struct value item;
    *completed = false;
    for (loop->index = 0;; loop->index++) {
        if (!loop_peek(r, loop, &item))
            return FLOW_FAILED;
        if (item.type == VALUE_MISSING)
            return FLOW_NEXT;
        loop->previous = loop->current;
        loop->current = item;
        loop->next = (struct value){0};
        enum flow flow = run_loop_body(r, loop, scope);
        if (flow == FLOW_FAILED)
            return flow;
        if (flow == FLOW_BREAK)
            return FLOW_NEXT;
        *completed |= flow == FLOW_NEXT;
    }
}

static enum flow run_loop(struct render *r, const struct node *node, struct scope *around,
                          struct value iterable, size_t depth)
{
    struct loop *loop = render_take(r, 1, sizeof *loop);
    struct scope *saved;
    bool completed;
    if (!loop || !scope_push(r, around, &saved))
        return FLOW_FAILED;
    loop->node = node;
    loop->scope = around;
    loop->depth = depth;
    enum flow flow = FLOW_FAILED;
    if (value_iterate(r, iterable, &loop->source)) {
        loop->length = node->loop.test ? SIZE_MAX : loop->source.count;
        flow = run_turns(r, loop, r->scope, &completed);
    }
    if (flow == FLOW_NEXT && !completed && node->loop.otherwise) {
        r->scope = saved;
        struct scope *unused;
        flow = scope_push(r, around, &unused) ? run_body(r, node->loop.otherwise) : FLOW_FAILED;
    }
    r->scope = saved;
    return flow;
}

static enum flow run_for(struct render *r, const struct node *node)
{
    struct value iterable;
    if (!evaluate_expression(r, node->loop.iterable, &iterable))
        return FLOW_FAILED;
    return run_loop(r, node, r->scope, iterable, 0);
}

bool loop_recurse(struct render *r, struct loop *loop, struct value items, struct value *result)
{
    if (!loop->node->loop.recursive)
        return render_fail(r,
                           "The loop must have the 'recursive' marker to be called recursively.");
    struct text_builder b = {.r = r}, *saved = r->capture;
    if (!render_enter(r))
        return false;
    r->capture = &b;
    enum flow flow = run_loop(r, loop->node, loop->scope, items, loop->depth + 1);
    r->capture = saved;
    render_leave(r);
    return flow != FLOW_FAILED && builder_finish(&b, result);
}

/* ---- the loop variable ---- */

static bool loop_cycle(struct render *r, const struct call *call, struct value *result)
{
    if (!call->all.count || call->all.n_keywords)
        return render_fail(r, "no items for cycling given");
    *result = call->all.items[call->subject.loop->index % call->all.count];
    return true;
}

static bool loop_changed(struct render *r, const struct call *call, struct value *result)
{
    struct loop *loop = call->subject.loop;
    struct value_list now = {call->all.items, call->all.count, call->all.count};
    bool equal = loop->has_changed && now.count == loop->changed.count;
    for (size_t i = 0; equal && i < now.count; i++)
        if (!value_equal(r, now.items[i], loop->changed.items[i], &equal))
            return false;
    loop->changed = now;
    loop->has_changed = true;
    *result = bool_value(!equal);
    return true;
}

static const struct builtin loop_methods[] = {
    {"cycle", loop_cycle, "*"}, {"changed", loop_changed, "*"}, {0}};

static bool loop_neighbour(struct render *r, struct loop *loop, struct text_ref name,
                           struct value *result)
{
    struct value next;
    if (chars_is(name, "previtem")) {
        *result = loop->index ? loop->previous : undefined_hint("there is no previous item");
        return true;
    }
    if (!loop_peek(r, loop, &next))
        return false;
    if (chars_is(name, "last"))
        *result = bool_value(next.type == VALUE_MISSING);
    else
        *result = next.type == VALUE_MISSING ? undefined_hint("there is no next item") : next;
    return true;
}

bool loop_attribute(struct render *r, struct loop *loop, struct text_ref name, struct value *result)
{
    size_t index = loop->index, length;
    const struct builtin *builtin = find_builtin(loop_methods, name);
    if (builtin) {
        struct method *method = render_take(r, 1, sizeof *method);
        if (!method)
            return false;
        *method = (struct method){builtin, {.type = VALUE_LOOP, .loop = loop}};
        *result = (struct value){.type = VALUE_METHOD, .method = method};
        return true;
    }
    if (chars_is(name, "index") || chars_is(name, "index0")) {
        *result = int_value((int64_t)index + (name.length == 5));
    } else if (chars_is(name, "first")) {
        *result = bool_value(index == 0);
    } else if (chars_is(name, "depth") || chars_is(name, "depth0")) {
        *result = int_value((int64_t)loop->depth + (name.length == 5));
    } else if (chars_is(name, "last") || chars_is(name, "previtem") || chars_is(name, "nextitem")) {
        return loop_neighbour(r, loop, name, result);
    } else if (chars_is(name, "length") || chars_is(name, "revindex") ||
               chars_is(name, "revindex0")) {
        if (!loop_length(r, loop, &length))
            return false;
        if (!chars_is(name, "length"))
            length -= index + chars_is(name, "revindex0");
        *result = int_value((int64_t)length);
    }
    return true;
}

/* ---- bodies ---- */

static enum flow run_print(struct render *r, const struct node *node)
{
    for (const struct node *n = node->items; n; n = n->next) {
        struct value value;
        if (!evaluate_expression(r, n, &value) || !render_emit(r, value))
            return FLOW_FAILED;
    }
    return FLOW_NEXT;
}

static enum flow run_refused(struct render *r, const struct node *node)
{
    render_fail_status(r, STATUS_UNSUPPORTED, "{%% %.*s %%} is refused: a template stands alone",
                       (int)node->constant.text.length, node->constant.text.data);
    return FLOW_FAILED;
}

static enum flow run_statement(struct render *r, const struct node *node)
{
    switch (node->kind) {
    case NODE_DATA:
        return write_text(r, node->constant.text) ? FLOW_NEXT : FLOW_FAILED;
    case NODE_PRINT:
        return run_print(r, node);
    case NODE_IF:
        return run_if(r, node);
    case NODE_FOR:
        return run_for(r, node);
    case NODE_SET:
        return run_set(r, node);
    case NODE_SET_BLOCK:
        return run_set_block(r, node);
    case NODE_WITH:
        return run_with(r, node);
    case NODE_MACRO:
        return run_macro(r, node);
    case NODE_CALL_BLOCK:
        return run_call_block(r, node);
    case NODE_FILTER_BLOCK:
        return run_filter_block(r, node);
    case NODE_SCOPE:
        return run_scope(r, node);
    case NODE_BREAK:
        return FLOW_BREAK;
    case NODE_CONTINUE:
        return FLOW_CONTINUE;
    default:
        return run_refused(r, node);
    }
}

enum flow run_body(struct render *r, const struct node *body)
{
    enum flow flow = FLOW_NEXT;
    if (!render_enter(r))
        return FLOW_FAILED;
    for (const struct node *n = body; n && flow == FLOW_NEXT; n = n->next) {
        r->line = n->line;
        flow = render_spend(r, 1) ? run_statement(r, n) : FLOW_FAILED;
    }
    render_leave(r);
    return flow;
}
