/* Parsing statements: the tags. */
#include "base/size.h"
#include "text/template_ast.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- the stream of tokens ---- */

const struct token *peek_token(const struct parser *p, size_t ahead)
{
    size_t last = p->tokens.count - 1;
    return &p->tokens.items[size_min(p->at + ahead, last)];
}

bool token_is_name(const struct token *token, const char *name)
{
    return token->kind == TOKEN_NAME && chars_is(token->value.text, name);
}

bool token_is_operator(const struct token *token, int operator_)
{
    return token->kind == TOKEN_OPERATOR && token->operator_ == operator_;
}

bool skip_name(struct parser *p, const char *name)
{
    bool there = token_is_name(peek_token(p, 0), name);
    p->at += there;
    return there;
}

bool skip_operator(struct parser *p, int operator_)
{
    bool there = token_is_operator(peek_token(p, 0), operator_);
    p->at += there;
    return there;
}

static void describe_token(const struct token *token, char *out, size_t size)
{
    static const char *const names[] = {"the end of the template",
                                        "text",
                                        "{%",
                                        "%}",
                                        "{{",
                                        "}}",
                                        "a name",
                                        "a string",
                                        "a number",
                                        "a number",
                                        "an operator"};
    if (token->kind == TOKEN_NAME)
        snprintf(out, size, "'%.*s'", (int)token->value.text.length, token->value.text.data);
    else if (token->kind == TOKEN_OPERATOR && token->operator_ > 255)
        snprintf(out, size, "'%c%c'", token->operator_ >> 8, token->operator_ & 255);
    else if (token->kind == TOKEN_OPERATOR)
        snprintf(out, size, "'%c'", token->operator_);
    else
        snprintf(out, size, "%s", names[token->kind]);
}

static bool report(struct parser *p, uint32_t line, const char *found, const char *format,
                   va_list list)
{
    char message[500];
    vsnprintf(message, sizeof message, format, list);
    if (!p->err || !p->err->status)
        error_set(p->err, STATUS_FORMAT, "%s, line %u: %s%s%s", p->template->name, line, message,
                  *found ? ", found " : "", found);
    return false;
}

bool parse_fail(struct parser *p, const char *format, ...)
{
    char found[100];
    va_list list;
    describe_token(peek_token(p, 0), found, sizeof found);
    va_start(list, format);
    report(p, peek_token(p, 0)->line, found, format, list);
    va_end(list);
    return false;
}

bool parse_fail_at(struct parser *p, uint32_t line, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    report(p, line, "", format, list);
    va_end(list);
    return false;
}

bool expect_operator(struct parser *p, int operator_)
{
    return skip_operator(p, operator_) || parse_fail(p, "expected '%c'", operator_);
}

bool expect_kind(struct parser *p, enum token_kind kind)
{
    static const char *const names[] = {"the end",  "text",     "{%",         "%}",
                                        "{{",       "}}",       "a name",     "a string",
                                        "a number", "a number", "an operator"};
    if (peek_token(p, 0)->kind != kind)
        return parse_fail(p, "expected %s", names[kind]);
    p->at++;
    return true;
}

const struct token *expect_name(struct parser *p)
{
    const struct token *token = peek_token(p, 0);
    return expect_kind(p, TOKEN_NAME) ? token : NULL;
}

static bool expect_word(struct parser *p, const char *word)
{
    return skip_name(p, word) || parse_fail(p, "expected '%s'", word);
}

bool parser_enter(struct parser *p)
{
    if (p->depth == MAX_NESTING) {
        if (!p->err || !p->err->status)
            error_set(p->err, STATUS_LIMIT, "%s, line %u: nested more than %d levels deep",
                      p->template->name, peek_token(p, 0)->line, MAX_NESTING);
        return false;
    }
    p->depth++;
    return true;
}

void parser_leave(struct parser *p)
{
    p->depth--;
}

static void *parser_alloc(struct parser *p, size_t size)
{
    void *block = arena_alloc(&p->template->arena, size);
    if (!block)
        error_memory(p->err, "a template's tree");
    return block;
}

struct node *new_node(struct parser *p, enum node_kind kind, uint32_t line)
{
    struct node *node = parser_alloc(p, sizeof *node);
    if (node) {
        node->kind = kind;
        node->line = line;
    }
    return node;
}

const struct name *intern_name(struct parser *p, struct text_ref text)
{
    struct template *t = p->template;
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < text.length; i++)
        hash = (hash ^ (unsigned char)text.data[i]) * 16777619u;
    struct name **bucket = &p->buckets[hash % (sizeof p->buckets / sizeof *p->buckets)];
    for (const struct name *n = *bucket; n; n = n->next_in_bucket)
        if (n->text.length == text.length && !memcmp(n->text.data, text.data, text.length))
            return n;
    struct name *name = parser_alloc(p, sizeof *name);
    if (!name)
        return NULL;
    *name = (struct name){text, t->n_names++, t->names, *bucket};
    t->names = *bucket = name;
    return name;
}

/* ---- bodies ---- */

static struct node *parse_statement(struct parser *p);

/* Statements up to a tag that begins with one of `ends` (whose name is the next token
 * afterwards), or to the template's end where ends is NULL. */
static bool parse_until(struct parser *p, const char *const *ends, struct node **body)
{
    struct node **tail = body;
    uint32_t begin = peek_token(p, 0)->line;
    *body = NULL;
    for (;;) {
        const struct token *token = peek_token(p, 0);
        struct node *node = NULL;
        if (token->kind == TOKEN_END) {
            if (!ends)
                return true;
            return parse_fail_at(p, begin, "the template ends without {%% %s %%}", ends[0]);
        }
        p->at++;
        if (token->kind == TOKEN_DATA) {
            node = new_node(p, NODE_DATA, token->line);
            if (node)
                node->constant = token->value;
        } else if (token->kind == TOKEN_PRINT_BEGIN) {
            node = new_node(p, NODE_PRINT, token->line);
            if (node && !(node->items = parse_tuple(p, true, NULL)))
                return false;
            if (!expect_kind(p, TOKEN_PRINT_END))
                return false;
        } else {
            for (size_t i = 0; ends && ends[i]; i++)
                if (token_is_name(peek_token(p, 0), ends[i]))
                    return true;
            node = parse_statement(p);
            if (node && !expect_kind(p, TOKEN_BLOCK_END))
                return false;
        }
        if (!node)
            return false;
        *tail = node;
        tail = &node->next;
    }
}

static bool parse_body(struct parser *p, const char *const *ends, struct node **body)
{
    skip_operator(p, ':');
    if (!expect_kind(p, TOKEN_BLOCK_END) || !parser_enter(p))
        return false;
    bool ok = parse_until(p, ends, body);
    parser_leave(p);
    return ok;
}

/* A body that one tag alone ends, in a scope of its own. */
static bool parse_scoped_body(struct parser *p, const char *end, struct node **body)
{
    const char *const ends[] = {end, NULL};
    bool soft = p->soft;
    p->soft = false;
    bool ok = parse_body(p, ends, body);
    p->soft = soft;
    p->at += ok;
    return ok;
}

/* ---- targets of assignments ---- */

static bool is_assignable(struct text_ref name)
{
    static const char *const constants[] = {"true", "True", "false", "False", "none", "None"};
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
        if (chars_is(name, constants[i]))
            return false;
    return true;
}

static const struct name *parse_target_name(struct parser *p)
{
    const struct token *token = expect_name(p);
    if (!token)
        return NULL;
    if (!is_assignable(token->value.text)) {
        parse_fail_at(p, token->line, "cannot assign to '%.*s'", (int)token->value.text.length,
                      token->value.text.data);
        return NULL;
    }
    return intern_name(p, token->value.text);
}

static struct node *parse_target(struct parser *p, const char *end, bool with_namespace);

static struct node *parse_single_target(struct parser *p, bool with_namespace)
{
    uint32_t line = peek_token(p, 0)->line;
    if (skip_operator(p, '(')) {
        if (!parser_enter(p))
            return NULL;
        struct node *inner = parse_target(p, NULL, false);
        parser_leave(p);
        return inner && expect_operator(p, ')') ? inner : NULL;
    }
    const struct name *name = parse_target_name(p);
    if (!name)
        return NULL;
    if (with_namespace && skip_operator(p, '.')) {
        const struct token *attribute = expect_name(p);
        struct node *node = attribute ? new_node(p, NODE_NAMESPACE_TARGET, line) : NULL;
        if (node) {
            node->target.name = name;
            node->target.attribute = attribute->value;
        }
        return node;
    }
    struct node *node = new_node(p, NODE_NAME, line);
    if (node)
        node->name = name;
    return node;
}

/* a, or a tuple of targets; `end`: the name behind a for loop's target. */
static struct node *parse_target(struct parser *p, const char *end, bool with_namespace)
{
    uint32_t line = peek_token(p, 0)->line;
    struct node *first = NULL, **tail = &first;
    bool is_tuple = false;
    for (;;) {
        const struct token *token = peek_token(p, 0);
        if (first && (token_is_operator(token, '=') || token_is_operator(token, ')') ||
                      token->kind == TOKEN_BLOCK_END || (end && token_is_name(token, end))))
            break;
        struct node *node = parse_single_target(p, with_namespace);
        if (!node)
            return NULL;
        *tail = node;
        tail = &node->next;
        if (!skip_operator(p, ','))
            break;
        is_tuple = true;
    }
    if (!is_tuple)
        return first;
    struct node *tuple = new_node(p, NODE_TUPLE, line);
    if (tuple)
        tuple->items = first;
    return tuple;
}

/* ---- the tags ---- */

static bool parse_if_parts(struct parser *p, struct node *node)
{
    static const char *const ends[] = {"endif", "elif", "else", NULL};
    static const char *const end[] = {"endif", NULL};
    for (;;) {
        node->condition.test = parse_tuple(p, false, NULL);
        if (!node->condition.test || !parse_body(p, ends, &node->condition.then))
            return false;
        if (skip_name(p, "elif")) {
            struct node *next = new_node(p, NODE_IF, peek_token(p, 0)->line);
            if (!next)
                return false;
            node->condition.otherwise = next;
            node = next;
            continue;
        }
        if (skip_name(p, "else") && !parse_body(p, end, &node->condition.otherwise))
            return false;
        return expect_word(p, "endif");
    }
}

static struct node *parse_if(struct parser *p, uint32_t line)
{
    struct node *node = new_node(p, NODE_IF, line);
    bool soft = p->soft;
    p->soft = true;
    bool ok = node && parse_if_parts(p, node);
    p->soft = soft;
    return ok ? node : NULL;
}

static bool stores_loop(const struct node *target)
{
    if (target->kind == NODE_NAME)
        return chars_is(target->name->text, "loop");
    bool found = false;
    for (const struct node *n = target->kind == NODE_TUPLE ? target->items : NULL; n; n = n->next)
        found |= stores_loop(n);
    return found;
}

static bool parse_for_parts(struct parser *p, struct node *node)
{
    static const char *const ends[] = {"endfor", "else", NULL};
    static const char *const end[] = {"endfor", NULL};
    node->loop.target = parse_target(p, "in", false);
    if (!node->loop.target || !expect_word(p, "in"))
        return false;
    if (stores_loop(node->loop.target))
        return parse_fail_at(p, node->line, "\"loop\" cannot be the target of a for loop");
    node->loop.iterable = parse_tuple(p, false, "recursive");
    if (!node->loop.iterable)
        return false;
    p->soft = false;
    if (skip_name(p, "if") && !(node->loop.test = parse_expression(p, true)))
        return false;
    node->loop.recursive = skip_name(p, "recursive");
    bool outer = p->in_loop;
    p->in_loop = true;
    bool ok = parse_body(p, ends, &node->loop.body);
    p->in_loop = outer;
    if (ok && skip_name(p, "else"))
        ok = parse_body(p, end, &node->loop.otherwise);
    return ok && expect_word(p, "endfor");
}

static struct node *parse_for(struct parser *p, uint32_t line)
{
    struct node *node = new_node(p, NODE_FOR, line);
    bool soft = p->soft;
    bool ok = node && parse_for_parts(p, node);
    p->soft = soft;
    return ok ? node : NULL;
}

static struct node *parse_set(struct parser *p, uint32_t line)
{
    struct node *target = parse_target(p, NULL, true);
    if (!target)
        return NULL;
    bool is_block = !skip_operator(p, '=');
    struct node *node = new_node(p, is_block ? NODE_SET_BLOCK : NODE_SET, line);
    if (!node)
        return NULL;
    node->set.target = target;
    if (!is_block)
        return (node->set.value = parse_tuple(p, true, NULL)) ? node : NULL;
    if (token_is_operator(peek_token(p, 0), '|') &&
        !(node->set.value = parse_filters(p, NULL, false)))
        return NULL;
    return parse_scoped_body(p, "endset", &node->set.body) ? node : NULL;
}

static struct node *parse_with(struct parser *p, uint32_t line)
{
    struct node *node = new_node(p, NODE_WITH, line);
    if (!node)
        return NULL;
    struct node **targets = &node->with.targets, **values = &node->with.values;
    while (peek_token(p, 0)->kind != TOKEN_BLOCK_END) {
        if (node->with.targets && !expect_operator(p, ','))
            return NULL;
        struct node *target = parse_single_target(p, false);
        if (!target || !expect_operator(p, '='))
            return NULL;
        struct node *value = parse_expression(p, true);
        if (!value)
            return NULL;
        *targets = target;
        targets = &target->next;
        *values = value;
        values = &value->next;
    }
    return parse_scoped_body(p, "endwith", &node->with.body) ? node : NULL;
}

static bool parse_parameters(struct parser *p, struct macro_code *code)
{
    struct parameter **tail = &code->parameters;
    bool with_fallback = false;
    if (!expect_operator(p, '('))
        return false;
    for (; !token_is_operator(peek_token(p, 0), ')'); code->n_parameters++) {
        if (code->n_parameters && !expect_operator(p, ','))
            return false;
        struct parameter *parameter = parser_alloc(p, sizeof *parameter);
        if (!parameter || !(parameter->name = parse_target_name(p)))
            return false;
        if (skip_operator(p, '=')) {
            with_fallback = true;
            if (!(parameter->fallback = parse_expression(p, true)))
                return false;
        } else if (with_fallback) {
            return parse_fail(p, "a parameter without a default stands behind one with a default");
        }
        *tail = parameter;
        tail = &parameter->next;
    }
    p->at++;
    return true;
}

static bool parse_macro_body(struct parser *p, struct macro_code *code, const char *end)
{
    bool in_loop = p->in_loop;
    p->in_loop = false;
    code->outer = p->macro;
    p->macro = code;
    bool ok = parse_scoped_body(p, end, &code->body);
    p->macro = code->outer;
    p->in_loop = in_loop;
    return ok;
}

static struct node *parse_macro(struct parser *p, uint32_t line)
{
    struct node *node = new_node(p, NODE_MACRO, line);
    struct macro_code *code = parser_alloc(p, sizeof *code);
    if (!node || !code)
        return NULL;
    node->macro.code = code;
    code->name = parse_target_name(p);
    return code->name && parse_parameters(p, code) && parse_macro_body(p, code, "endmacro") ? node
                                                                                            : NULL;
}

static struct node *parse_call_block(struct parser *p, uint32_t line)
{
    struct node *node = new_node(p, NODE_CALL_BLOCK, line);
    struct macro_code *code = parser_alloc(p, sizeof *code);
    if (!node || !code)
        return NULL;
    node->macro.code = code;
    if (token_is_operator(peek_token(p, 0), '(') && !parse_parameters(p, code))
        return NULL;
    node->macro.call = parse_expression(p, true);
    if (!node->macro.call)
        return NULL;
    if (node->macro.call->kind != NODE_CALL) {
        parse_fail_at(p, line, "{%% call %%} needs a call, like {%% call macro() %%}");
        return NULL;
    }
    return parse_macro_body(p, code, "endcall") ? node : NULL;
}

static struct node *parse_filter_block(struct parser *p, uint32_t line)
{
    struct node *node = new_node(p, NODE_FILTER_BLOCK, line);
    if (!node || !(node->filter_block.filter = parse_filters(p, NULL, true)))
        return NULL;
    return parse_scoped_body(p, "endfilter", &node->filter_block.body) ? node : NULL;
}

static struct node *parse_print(struct parser *p, uint32_t line)
{
    struct node *node = new_node(p, NODE_PRINT, line);
    if (!node)
        return NULL;
    for (struct node **tail = &node->items; peek_token(p, 0)->kind != TOKEN_BLOCK_END;) {
        if (node->items && !expect_operator(p, ','))
            return NULL;
        if (!(*tail = parse_expression(p, true)))
            return NULL;
        tail = &(*tail)->next;
    }
    return node;
}

/* {% generation %}: transformers marks the assistant's tokens with it. */
static struct node *parse_generation(struct parser *p, uint32_t line)
{
    struct node *node = new_node(p, NODE_SCOPE, line);
    bool in_loop = p->in_loop;
    p->in_loop = false;
    bool ok = node && parse_scoped_body(p, "endgeneration", &node->items);
    p->in_loop = in_loop;
    return ok ? node : NULL;
}

static struct node *parse_autoescape(struct parser *p, uint32_t line)
{
    struct node *node = new_node(p, NODE_SCOPE, line);
    struct node *value = node ? parse_expression(p, true) : NULL;
    if (!value)
        return NULL;
    if (value->kind != NODE_CONST || value_truth(value->constant)) {
        parse_fail_at(p, line, "only {%% autoescape false %%} is supported");
        return NULL;
    }
    return parse_scoped_body(p, "endautoescape", &node->items) ? node : NULL;
}

static struct node *parse_break(struct parser *p, uint32_t line, enum node_kind kind)
{
    if (p->in_loop)
        return new_node(p, kind, line);
    parse_fail_at(p, line, "break or continue outside a loop");
    return NULL;
}

/* Tags that reach for other templates: errors when they run, as there are no other templates. */
static struct node *parse_refused(struct parser *p, const struct token *tag)
{
    struct node *node = new_node(p, NODE_REFUSED, tag->line);
    if (node)
        node->constant = tag->value;
    while (peek_token(p, 0)->kind != TOKEN_BLOCK_END)
        p->at++;
    return node;
}

static bool is_refused(const struct token *tag)
{
    return token_is_name(tag, "include") || token_is_name(tag, "import") ||
           token_is_name(tag, "from") || token_is_name(tag, "extends");
}

static struct node *parse_statement(struct parser *p)
{
    static const struct {
        const char *name;
        struct node *(*parse)(struct parser *, uint32_t);
    } tags[] = {{"if", parse_if},
                {"for", parse_for},
                {"set", parse_set},
                {"macro", parse_macro},
                {"call", parse_call_block},
                {"filter", parse_filter_block},
                {"with", parse_with},
                {"print", parse_print},
                {"generation", parse_generation},
                {"autoescape", parse_autoescape}};
    const struct token *tag = expect_name(p);
    if (!tag)
        return NULL;
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
        if (token_is_name(tag, tags[i].name))
            return tags[i].parse(p, tag->line);
    if (token_is_name(tag, "break"))
        return parse_break(p, tag->line, NODE_BREAK);
    if (token_is_name(tag, "continue"))
        return parse_break(p, tag->line, NODE_CONTINUE);
    if (is_refused(tag))
        return parse_refused(p, tag);
    parse_fail_at(p, tag->line, "unknown tag '%.*s'%s", (int)tag->value.text.length,
                  tag->value.text.data,
                  token_is_name(tag, "block") ? " (there is no template inheritance)" : "");
    return NULL;
}

static bool intern_special_names(struct parser *p)
{
    struct template *t = p->template;
    const struct {
        const struct name **name;
        const char *text;
    } names[] = {{&t->loop_name, "loop"},
                 {&t->caller_name, "caller"},
                 {&t->kwargs_name, "kwargs"},
                 {&t->varargs_name, "varargs"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        *names[i].name = intern_name(p, literal_value(names[i].text).text);
        if (!*names[i].name)
            return false;
    }
    return true;
}

enum status template_parse(struct template *template, struct error *err)
{
    struct error ignored = {0};
    struct parser p = {.template = template, .err = err ? err : &ignored};
    enum status status =
        template_tokenize(template->name, template->source, template->source_length,
                          &template->arena, &p.tokens, p.err);
    if (!status && !(intern_special_names(&p) && parse_until(&p, NULL, &template->body)))
        status = p.err->status ? p.err->status : STATUS_MEMORY;
    if (!status && p.unknown) {
        parse_fail_at(&p, p.unknown->line, "there is no %s named '%.*s'", p.unknown_kind,
                      (int)p.unknown->call.name.length, p.unknown->call.name.data);
        status = p.err->status;
    }
    mem_free(p.tokens.items);
    return status;
}
