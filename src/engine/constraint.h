/* Constrained output: which texts an answer may be, compiled from a JSON Schema or a regular
 * expression, and enforced token by token.
 *
 * A constraint is immutable and reference-counted; any number of requests, engines and threads
 * may use one at the same time. Compiling is bounded in time and memory whatever the input;
 * compile once and keep it where the same schema comes again (response_format, tools).
 *
 *     struct constraint *constraint;
 *     if (constraint_from_schema(schema, &constraint, &err)) ... a 400 with err.message
 *     struct request request = {..., .constraint = constraint};
 *     engine_submit(engine, &request, &generation, &err);   (takes its own reference)
 *     constraint_release(constraint);
 *
 * What the answer's text is then:
 *   - If the generation ends with FINISH_EOS, the whole text is a document that the constraint
 *     permits: for a schema, JSON text that validates. End tokens are possible exactly where the
 *     document may end, and a document that nothing can follow ends the generation by itself.
 *   - If it ends in another way (FINISH_LENGTH, FINISH_STOP, cancelled), the text is the beginning
 *     of such a document.
 *   - Special tokens are never chosen; logprobs are the model's own, before the constraint.
 *
 * Calls of functions may also stand in free text: constraint_from_calls() with a trigger. Then the
 * answer may end wherever the text is free.
 *
 * What is supported, refused and narrowed: docs/constrained-output.md.
 */
#ifndef TANDEM_ENGINE_CONSTRAINT_H
#define TANDEM_ENGINE_CONSTRAINT_H

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct constraint;

/* A JSON Schema (draft 2020-12; an object or a boolean). STATUS_UNSUPPORTED names a keyword that
 * cannot be honoured and its JSON pointer ("#/properties/a: ..."); STATUS_INVALID a schema that is
 * malformed or permits nothing; STATUS_LIMIT one that is too large. The schema is not kept. */
enum status constraint_from_schema(const json_t *schema, struct constraint **constraint,
                                   struct error *err);

/* Any JSON object: OpenAI's {"type": "json_object"}. */
enum status constraint_from_any_object(struct constraint **constraint, struct error *err);

/* The whole text matches the pattern (ECMAScript's syntax, UTF-8, no lookaround, no
 * back-references). Errors tell the byte of the pattern. */
enum status constraint_from_regex(const char *pattern, size_t length,
                                  struct constraint **constraint, struct error *err);

/* Calls of functions, {"name": NAME, "arguments": {...}}, each between two literal texts. For
 * Qwen2.5: before "<tool_call>\n", after "\n</tool_call>", between "\n". */
struct constraint_function {
    const char *name;
    const json_t *parameters; /* JSON Schema, its "$ref"s relative to itself; NULL: any object */
    bool is_loose;            /* parameters that cannot be honoured count as none: no error */
};
struct constraint_calls {
    const struct constraint_function *functions; /* [n_functions], at least one */
    size_t n_functions;
    const char *before, *after, *between; /* NULL: nothing */
    size_t max_calls;                     /* at least one call, at most so many; 0: no bound */
    /* NULL: the answer is calls and nothing else. Otherwise it is free text, in which the trigger,
     * which is how `before` begins, makes what follows a call; behind the last call it ends. */
    const char *trigger;
    const json_t *document; /* JSON Schema: instead of calls, such a document; NULL: only calls */
};
/* Errors as of constraint_from_schema(), with the function's name in front. */
enum status constraint_from_calls(const struct constraint_calls *calls,
                                  struct constraint **constraint, struct error *err);

/* One more reference; returns the constraint. */
struct constraint *constraint_retain(struct constraint *constraint);
/* Gives one reference back; the last one frees. NULL is fine. */
void constraint_release(struct constraint *constraint);

#endif
