/* Compiling and rendering templates, and the limits that every rendering has. */
#include "text/template.h"
#include "base/utf8.h"
#include "text/template_ast.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const struct template_limits template_default_limits = {
    .max_steps = 5000000,
    .max_depth = 600,
    .max_output = (size_t)64 << 20,
    .max_memory = (size_t)256 << 20,
};

enum { MAX_SOURCE = 16 << 20, BYTES_PER_STEP = 256 };

/* ---- failing and limits ---- */

static bool fail_list(struct render *r, enum status status, const char *format, va_list list)
{
    char message[800];
    if (r->failed) /* the first message is the one that matters */
        return false;
    r->failed = true;
    vsnprintf(message, sizeof message, format, list);
    error_set(r->err, status, "%s, line %u: %s", r->template->name, r->line, message);
    return false;
}

bool render_fail(struct render *r, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fail_list(r, STATUS_INVALID, format, list);
    va_end(list);
    return false;
}

bool render_fail_status(struct render *r, enum status status, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fail_list(r, status, format, list);
    va_end(list);
    return false;
}

bool render_fail_memory(struct render *r)
{
    return render_fail_status(r, STATUS_LIMIT, "rendering takes more than %zu bytes of memory",
                              r->limits->max_memory);
}

bool render_spend(struct render *r, size_t steps)
{
    if (r->failed)
        return false;
    if (steps > r->limits->max_steps - r->steps)
        return render_fail_status(r, STATUS_LIMIT, "rendering takes more than %zu steps",
                                  r->limits->max_steps);
    r->steps += steps;
    return true;
}

bool render_spend_bytes(struct render *r, size_t bytes)
{
    return render_spend(r, bytes / BYTES_PER_STEP);
}

bool render_enter(struct render *r)
{
    if (r->depth >= r->limits->max_depth)
        return render_fail_status(r, STATUS_LIMIT, "nested more than %zu levels deep",
                                  r->limits->max_depth);
    r->depth++;
    return true;
}

void render_leave(struct render *r)
{
    r->depth--;
}

void *render_take(struct render *r, size_t count, size_t size)
{
    size_t total;
    if (!size_multiply(count, size, &total) || total > r->limits->max_memory - r->memory) {
        render_fail_memory(r);
        return NULL;
    }
    void *block = arena_alloc(&r->arena, total ? total : 1);
    if (!block) {
        render_fail_status(r, STATUS_MEMORY, "out of memory");
        return NULL;
    }
    r->memory += total;
    return block;
}

/* ---- compiling ---- */

/* The source with "\n" for every kind of line end, and without the last one. */
static char *normalize(const char *source, size_t length, size_t *normalized)
{
    char *copy = mem_alloc(length + 1);
    size_t n = 0;
    for (size_t i = 0; copy && i < length; i++) {
        bool carriage = source[i] == '\r';
        copy[n++] = carriage ? '\n' : source[i];
        if (carriage && i + 1 < length && source[i + 1] == '\n')
            i++;
    }
    if (copy && n && copy[n - 1] == '\n')
        n--;
    *normalized = n;
    return copy;
}

enum status template_compile(const char *name, const char *source, size_t length,
                             struct template **template, struct error *err)
{
    *template = NULL;
    if (length > MAX_SOURCE)
        return error_set(err, STATUS_LIMIT, "%s: a template of %zu bytes; at most %d are read",
                         name, length, MAX_SOURCE);
    if (!utf8_valid(source, length))
        return error_set(err, STATUS_FORMAT, "%s: the template is not valid UTF-8", name);
    struct template *t = mem_alloc(sizeof *t);
    if (!t)
        return error_memory(err, "a template");
    t->name = mem_copy_string(name);
    t->source = normalize(source, length, &t->source_length);
    enum status status =
        t->name && t->source ? template_parse(t, err) : error_memory(err, "a template's text");
    if (status) {
        template_free(t);
        return status;
    }
    *template = t;
    return STATUS_OK;
}

void template_free(struct template *template)
{
    if (!template)
        return;
    arena_free(&template->arena);
    mem_free(template->name);
    mem_free(template->source);
    mem_free(template);
}

/* ---- rendering ---- */

/* The variables and functions that the template's names stand for at the beginning. */
static bool load_globals(struct render *r, const json_t *context)
{
    r->globals = render_take(r, r->template->n_names, sizeof *r->globals);
    if (!r->globals)
        return false;
    for (const struct name *n = r->template->names; n; n = n->next) {
        const json_t *json = json_object_getn(context, n->text.data, n->text.length);
        const struct builtin *function = json ? NULL : find_global(n->text);
        struct value *value = &r->globals[n->index];
        if (json && !value_from_json(r, json, value))
            return false;
        if (function)
            *value = (struct value){.type = VALUE_FUNCTION, .function = function};
    }
    return true;
}

enum status template_render(const struct template *template, const json_t *context,
                            const struct template_limits *limits, struct strbuf *out,
                            struct error *err)
{
    struct error own = {0};
    struct render r = {.template = template,
                       .limits = limits ? limits : &template_default_limits,
                       .err = err ? err : &own,
                       .line = 1,
                       .out = out};
    size_t length = out->length;
    if (context && !json_is_object(context))
        return error_set(err, STATUS_INVALID, "%s: the context has to be an object",
                         template->name);
    bool ok = load_globals(&r, context) && run_body(&r, template->body) != FLOW_FAILED;
    arena_free(&r.arena);
    if (ok)
        return STATUS_OK;
    strbuf_truncate(out, length);
    if (!r.failed)
        return error_set(err, STATUS_INVALID, "%s, line %u: cannot render", template->name, r.line);
    return r.err->status ? r.err->status : STATUS_INVALID;
}
