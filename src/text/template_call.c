/* Calling: arguments to parameters, builtins, macros. */
#include "text/template_ast.h"

#include <string.h>

const struct builtin *find_builtin(const struct builtin *table, struct text_ref name)
{
    for (; table->name; table++)
        if (chars_is(name, table->name))
            return table;
    return NULL;
}

/* ---- binding arguments ---- */

struct parameter_list {
    struct text_ref name[MAX_PARAMETERS];
    bool optional[MAX_PARAMETERS];
    size_t count;
    bool positional_only;
};

static void read_parameters(const char *text, struct parameter_list *list)
{
    *list = (struct parameter_list){.positional_only = *text == '/'};
    text += list->positional_only;
    while (*text) {
        size_t n = strcspn(text, " ?");
        list->name[list->count] = (struct text_ref){text, n};
        list->optional[list->count++] = text[n] == '?';
        text += n;
        text += strspn(text, " ?");
    }
}

static bool bind_keyword(struct render *r, const struct builtin *builtin,
                         const struct parameter_list *list, const struct keyword *keyword,
                         struct call *call)
{
    for (size_t i = 0; i < list->count && !list->positional_only; i++) {
        if (list->name[i].length != keyword->name.length ||
            memcmp(list->name[i].data, keyword->name.data, keyword->name.length) != 0)
            continue;
        if (call->arg[i].type != VALUE_MISSING)
            return render_fail(r, "%s got several values for the argument '%.*s'", builtin->name,
                               (int)keyword->name.length, keyword->name.data);
        call->arg[i] = keyword->value;
        return true;
    }
    return render_fail(r, "%s takes no keyword argument '%.*s'", builtin->name,
                       (int)keyword->name.length, keyword->name.data);
}

static bool bind_arguments(struct render *r, const struct builtin *builtin, struct call *call)
{
    struct parameter_list list;
    if (builtin->parameters[0] == '*')
        return true;
    read_parameters(builtin->parameters, &list);
    if (call->all.count > list.count)
        return render_fail(r, "%s takes at most %zu arguments, got %zu", builtin->name, list.count,
                           call->all.count);
    for (size_t i = 0; i < call->all.count; i++)
        call->arg[i] = call->all.items[i];
    for (size_t i = 0; i < call->all.n_keywords; i++)
        if (!bind_keyword(r, builtin, &list, &call->all.keywords[i], call))
            return false;
    for (size_t i = 0; i < list.count; i++)
        if (call->arg[i].type == VALUE_MISSING && !list.optional[i])
            return render_fail(r, "%s needs the argument '%.*s'", builtin->name,
                               (int)list.name[i].length, list.name[i].data);
    return true;
}

bool run_builtin(struct render *r, const struct builtin *builtin, struct value subject,
                 const struct arguments *arguments, struct value *result)
{
    struct call call = {.builtin = builtin, .subject = subject, .all = *arguments};
    if (!render_spend(r, 1) || !render_enter(r))
        return false;
    bool ok = bind_arguments(r, builtin, &call) &&
              (builtin->lazy ? generator_value(r, &call, result) : builtin->run(r, &call, result));
    render_leave(r);
    return ok;
}

bool argument_given(const struct call *call, size_t index)
{
    return call->arg[index].type != VALUE_MISSING && call->arg[index].type != VALUE_NONE;
}

bool argument_truth(const struct call *call, size_t index)
{
    return value_truth(call->arg[index]);
}

bool argument_int(struct render *r, const struct call *call, size_t index, int64_t fallback,
                  int64_t *integer)
{
    struct value v = call->arg[index];
    *integer = fallback;
    if (!argument_given(call, index))
        return true;
    if (v.type == VALUE_UNDEFINED)
        return render_fail_undefined(r, v);
    if (!value_is_integer(v))
        return render_fail(r, "%s: '%s' object cannot be interpreted as an integer",
                           call->builtin->name, value_type_name(v));
    *integer = value_integer(v);
    return true;
}

bool argument_text(struct render *r, const struct call *call, size_t index, const char *fallback,
                   struct text_ref *text)
{
    struct value v = call->arg[index];
    if (!argument_given(call, index) && fallback) {
        *text = literal_value(fallback).text;
        return true;
    }
    if (v.type != VALUE_STRING)
        return render_fail(r, "%s needs a string, not '%s'", call->builtin->name,
                           value_type_name(v));
    *text = v.text;
    return true;
}

/* ---- macros ---- */

static const struct value *take_keyword(const struct arguments *arguments, struct text_ref name,
                                        bool *used)
{
    for (size_t i = 0; i < arguments->n_keywords; i++) {
        struct text_ref given = arguments->keywords[i].name;
        if (!used[i] && given.length == name.length &&
            !memcmp(given.data, name.data, name.length)) {
            used[i] = true;
            return &arguments->keywords[i].value;
        }
    }
    return NULL;
}

static bool bind_parameter(struct render *r, const struct parameter *p, const struct value *given)
{
    struct value value;
    struct text_builder hint = {.r = r};
    if (given)
        return scope_set(r, p->name, *given);
    if (p->fallback)
        return evaluate_expression(r, p->fallback, &value) && scope_set(r, p->name, value);
    builder_add_string(&hint, "parameter '");
    builder_add(&hint, p->name->text.data, p->name->text.length);
    builder_add_string(&hint, "' was not provided");
    if (!builder_finish(&hint, &value))
        return false;
    value.type = VALUE_UNDEFINED;
    value.flags = UNDEFINED_HINT;
    return scope_set(r, p->name, value);
}

/* caller, kwargs and varargs, where the macro uses them. */
static bool bind_special(struct render *r, const struct macro_code *code,
                         const struct arguments *arguments, bool *used)
{
    const struct template *t = r->template;
    if (code->uses_caller) {
        const struct value *caller = take_keyword(arguments, t->caller_name->text, used);
        if (!scope_set(r, t->caller_name, caller ? *caller : undefined_hint("No caller defined")))
            return false;
    }
    if (code->uses_keywords) {
        struct value_dict *dict = dict_new(r);
        for (size_t i = 0; dict && i < arguments->n_keywords; i++) {
            const struct keyword *k = &arguments->keywords[i];
            if (!used[i] &&
                !dict_set(r, dict, string_value(k->name.data, k->name.length), k->value))
                return false;
            used[i] = true;
        }
        struct value kwargs = {.type = VALUE_DICT, .dict = dict};
        if (!dict || !scope_set(r, t->kwargs_name, kwargs))
            return false;
    }
    if (code->uses_varargs) {
        struct value_list rest = {0};
        struct value varargs;
        for (size_t i = code->n_parameters; i < arguments->count; i++)
            if (!list_push(r, &rest, arguments->items[i]))
                return false;
        if (!list_value(r, VALUE_TUPLE, rest, &varargs) || !scope_set(r, t->varargs_name, varargs))
            return false;
    }
    return true;
}

static bool check_arguments(struct render *r, const struct macro_code *code,
                            const struct arguments *arguments, const bool *used)
{
    struct text_ref name = code->name ? code->name->text : (struct text_ref){"caller", 6};
    for (size_t i = 0; i < arguments->n_keywords; i++)
        if (!used[i])
            return render_fail(r, "macro '%.*s' takes no keyword argument '%.*s'", (int)name.length,
                               name.data, (int)arguments->keywords[i].name.length,
                               arguments->keywords[i].name.data);
    if (!code->uses_varargs && arguments->count > code->n_parameters)
        return render_fail(r, "macro '%.*s' takes not more than %zu argument(s)", (int)name.length,
                           name.data, code->n_parameters);
    return true;
}

static bool bind_macro(struct render *r, const struct macro_code *code,
                       const struct arguments *arguments)
{
    bool *used = render_take(r, arguments->n_keywords + 1, sizeof *used);
    const struct value **given = render_take(r, code->n_parameters + 1, sizeof *given);
    size_t i = 0;
    if (!used || !given)
        return false;
    for (const struct parameter *p = code->parameters; p; p = p->next, i++)
        given[i] = i < arguments->count ? &arguments->items[i]
                                        : take_keyword(arguments, p->name->text, used);
    if (!bind_special(r, code, arguments, used) || !check_arguments(r, code, arguments, used))
        return false;
    i = 0;
    for (const struct parameter *p = code->parameters; p; p = p->next)
        if (!bind_parameter(r, p, given[i++]))
            return false;
    return true;
}

bool call_macro(struct render *r, const struct macro *macro, const struct arguments *arguments,
                struct value *result)
{
    struct scope *saved;
    uint32_t line = r->line;
    if (!render_enter(r))
        return false;
    bool ok = scope_push(r, macro->scope, &saved);
    if (ok) {
        ok = bind_macro(r, macro->code, arguments) &&
             capture_body(r, macro->code->body, result) != FLOW_FAILED;
        r->scope = saved;
    }
    render_leave(r);
    r->line = line;
    return ok;
}

/* ---- calling values ---- */

static bool call_joiner(struct render *r, struct joiner *joiner, const struct arguments *arguments,
                        struct value *result)
{
    if (arguments->count || arguments->n_keywords)
        return render_fail(r, "a joiner takes no arguments");
    *result = joiner->used ? joiner->separator : literal_value("");
    joiner->used = true;
    return true;
}

bool call_value(struct render *r, struct value callee, const struct arguments *arguments,
                struct value *result)
{
    switch (callee.type) {
    case VALUE_MACRO:
        return call_macro(r, callee.macro, arguments, result);
    case VALUE_FUNCTION:
        return run_builtin(r, callee.function, none_value(), arguments, result);
    case VALUE_METHOD:
        return run_builtin(r, callee.method->builtin, callee.method->subject, arguments, result);
    case VALUE_JOINER:
        return call_joiner(r, callee.joiner, arguments, result);
    case VALUE_LOOP:
        if (arguments->count != 1 || arguments->n_keywords)
            return render_fail(r, "a recursive loop takes one argument");
        return loop_recurse(r, callee.loop, arguments->items[0], result);
    case VALUE_UNDEFINED:
        return render_fail_undefined(r, callee);
    default:
        return render_fail(r, "'%s' object is not callable", value_type_name(callee));
    }
}
