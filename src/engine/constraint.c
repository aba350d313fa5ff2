#include "engine/constraint.h"
#include "base/json.h"
#include "base/memory.h"
#include "engine/constraint_grammar.h"
#include "engine/grammar_regex.h"
#include "engine/grammar_schema.h"

#include <string.h>

enum { CALL_LIMIT = 1000 };

/* --- Life --- */

static struct constraint *new_constraint(struct error *err)
{
    struct constraint *constraint = mem_alloc(sizeof *constraint);
    if (!constraint) {
        error_memory(err, "a constraint");
        return NULL;
    }
    atomic_init(&constraint->references, 1);
    grammar_init(&constraint->grammar);
    return constraint;
}

struct constraint *constraint_retain(struct constraint *constraint)
{
    atomic_fetch_add_explicit(&constraint->references, 1, memory_order_relaxed);
    return constraint;
}

void constraint_release(struct constraint *constraint)
{
    if (!constraint ||
        atomic_fetch_sub_explicit(&constraint->references, 1, memory_order_acq_rel) > 1)
        return;
    grammar_free(&constraint->grammar);
    mem_free(constraint);
}

/* Finishes what was built without an error, or frees it. */
static enum status finish(struct constraint *constraint, enum status status,
                          struct constraint **out, struct error *err)
{
    if (!status)
        status = grammar_finish(&constraint->grammar, err);
    if (status)
        constraint_release(constraint);
    else
        *out = constraint;
    return status;
}

/* --- What it is made from --- */

enum status constraint_from_schema(const json_t *schema, struct constraint **out, struct error *err)
{
    *out = NULL;
    struct constraint *constraint = new_constraint(err);
    if (!constraint)
        return STATUS_MEMORY;
    struct grammar *g = &constraint->grammar;
    return finish(constraint, grammar_add_schema(g, schema, &g->root, err), out, err);
}

enum status constraint_from_any_object(struct constraint **out, struct error *err)
{
    json_t *schema = json_pack("{s:s}", "type", "object");
    enum status status =
        schema ? constraint_from_schema(schema, out, err) : error_memory(err, "a constraint");
    json_decref(schema);
    return status;
}

static enum status add_whole_regex(struct grammar *g, const char *pattern, size_t length,
                                   struct error *err)
{
    struct nfa nfa;
    struct leaf leaf = {0};
    enum status status = regex_to_nfa(pattern, length, false, SPELLING_TEXT, &nfa, err);
    if (!status)
        status = dfa_from_nfa(&nfa, &g->budget, &leaf.dfa, err);
    nfa_free(&nfa);
    if (status)
        return status;
    g->root = grammar_add_rule(g);
    uint32_t end = grammar_add_state(g, true), index = grammar_add_leaf(g, leaf);
    grammar_add_edge(g, g->rules[g->root], EDGE_LEAF, index, end);
    return STATUS_OK;
}

enum status constraint_from_regex(const char *pattern, size_t length, struct constraint **out,
                                  struct error *err)
{
    *out = NULL;
    struct constraint *constraint = new_constraint(err);
    if (!constraint)
        return STATUS_MEMORY;
    enum status status = add_whole_regex(&constraint->grammar, pattern, length, err);
    return finish(constraint, status, out, err);
}

/* --- Calls --- */

static uint32_t add_literal(struct grammar *g, const char *text)
{
    return grammar_add_text(g, text ? text : "", text ? strlen(text) : 0);
}

/* {"name": "NAME", "arguments": ... up to where the arguments stand. */
static enum status add_call_start(struct grammar *g, const char *name, uint32_t from, uint32_t to,
                                  struct error *err)
{
    struct strbuf text = {0};
    json_t *string = json_string(name);
    if (!string)
        return error_set(err, STATUS_INVALID, "its name is not valid UTF-8");
    strbuf_add(&text, "{\"name\": ");
    json_write(&text, string, false);
    strbuf_add(&text, ", \"arguments\": ");
    json_decref(string);
    if (text.failed)
        g->failure = STATUS_MEMORY;
    grammar_add_edge(g, from, EDGE_LEAF, grammar_add_text(g, strbuf_text(&text), text.length), to);
    strbuf_free(&text);
    return STATUS_OK;
}

static enum status add_function(struct grammar *g, const struct constraint_function *function,
                                uint32_t from, uint32_t to, struct error *err)
{
    json_t *any_object = json_pack("{s:s}", "type", "object");
    uint32_t arguments = grammar_add_state(g, false), closing = grammar_add_state(g, false), rule;
    enum status status = any_object ? STATUS_OK : error_memory(err, "a constraint");
    if (!status)
        status = add_call_start(g, function->name, from, arguments, err);
    if (!status)
        status = grammar_add_schema(g, function->parameters ? function->parameters : any_object,
                                    &rule, err);
    if (status == STATUS_UNSUPPORTED && function->is_loose)
        status = grammar_add_schema(g, any_object, &rule, err);
    json_decref(any_object);
    if (status)
        return error_prefix(err, "function \"%s\"", function->name);
    grammar_add_edge(g, arguments, EDGE_RULE, rule, closing);
    grammar_add_edge(g, closing, EDGE_LEAF, grammar_add_text(g, "}", 1), to);
    return STATUS_OK;
}

/* The rule of: before CALL after, and behind it between and the next. */
static uint32_t add_call_sequence(struct grammar *g, const struct constraint_calls *calls,
                                  uint32_t call)
{
    uint32_t before = add_literal(g, calls->before), after = add_literal(g, calls->after);
    uint32_t between = add_literal(g, calls->between), rule = grammar_add_rule(g);
    uint32_t start = g->failure ? 0 : g->rules[rule];
    size_t most = calls->trigger ? 1 : calls->max_calls, n = most ? most : 1;
    for (size_t i = 0; i < n; i++) {
        uint32_t ready = grammar_add_state(g, false), called = grammar_add_state(g, false);
        uint32_t done = grammar_add_state(g, true);
        grammar_add_edge(g, start, EDGE_LEAF, before, ready);
        grammar_add_edge(g, ready, EDGE_RULE, call, called);
        grammar_add_edge(g, called, EDGE_LEAF, after, done);
        if (most && i + 1 < n)
            start = grammar_add_state(g, false);
        if (!most || i + 1 < n)
            grammar_add_edge(g, done, EDGE_LEAF, between, start);
    }
    return rule;
}

/* The rule of: calls, or a document. */
static enum status add_document(struct grammar *g, const json_t *schema, uint32_t calls,
                                uint32_t *either, struct error *err)
{
    uint32_t document;
    enum status status = grammar_add_schema(g, schema, &document, err);
    if (status)
        return status;
    *either = grammar_add_rule(g);
    uint32_t end = grammar_add_state(g, true);
    grammar_add_edge(g, g->rules[*either], EDGE_RULE, calls, end);
    grammar_add_edge(g, g->rules[*either], EDGE_RULE, document, end);
    return STATUS_OK;
}

static enum status set_trigger(struct constraint *constraint, const struct constraint_calls *calls,
                               struct error *err)
{
    size_t length = strlen(calls->trigger);
    if (!calls->before || strncmp(calls->before, calls->trigger, length) != 0 || calls->document)
        return error_set(err, STATUS_INVALID,
                         "the trigger must be how each call begins, and no document may be asked "
                         "for besides");
    constraint->max_documents = calls->max_calls;
    return trigger_set(&constraint->trigger, calls->trigger, err);
}

static enum status add_calls(struct grammar *g, const struct constraint_calls *calls,
                             struct error *err)
{
    if (calls->n_functions == 0)
        return error_set(err, STATUS_INVALID, "there is no function to call");
    if (calls->max_calls > CALL_LIMIT)
        return error_set(err, STATUS_LIMIT, "%zu calls are asked for; at most %d", calls->max_calls,
                         CALL_LIMIT);
    uint32_t call = grammar_add_rule(g), end = grammar_add_state(g, true);
    enum status status = STATUS_OK;
    for (size_t i = 0; !status && i < calls->n_functions; i++)
        status = add_function(g, &calls->functions[i], g->rules[call], end, err);
    if (!status)
        g->root = add_call_sequence(g, calls, call);
    if (!status && calls->document)
        status = add_document(g, calls->document, g->root, &g->root, err);
    return status;
}

enum status constraint_from_calls(const struct constraint_calls *calls, struct constraint **out,
                                  struct error *err)
{
    *out = NULL;
    struct constraint *constraint = new_constraint(err);
    if (!constraint)
        return STATUS_MEMORY;
    enum status status = calls->trigger ? set_trigger(constraint, calls, err) : STATUS_OK;
    if (!status)
        status = add_calls(&constraint->grammar, calls, err);
    return finish(constraint, status, out, err);
}
