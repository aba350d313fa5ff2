/* A Jinja engine, set up as transformers sets up Jinja2 for chat templates: trim_blocks,
 * lstrip_blocks, loop controls (break, continue), tojson without ASCII escaping and with sorted
 * keys off, raise_exception, strftime_now, generation blocks. Sandboxed by construction: values
 * are JSON, there is nothing to reach.
 *
 *     struct template *t;
 *     if (template_compile("chat_template", source, length, &t, &err)) ...
 *     struct strbuf out = {0};
 *     template_render(t, context, NULL, &out, &err);
 */
#ifndef TANDEM_TEXT_TEMPLATE_H
#define TANDEM_TEXT_TEMPLATE_H

#include "base/error.h"
#include "base/json.h"
#include "base/strbuf.h"

struct template;

struct template_limits {
    size_t max_steps;  /* evaluated nodes */
    size_t max_depth;  /* nested calls, blocks and expressions */
    size_t max_output; /* bytes */
    size_t max_memory; /* bytes of values and strings made on the way */
};
extern const struct template_limits template_default_limits;

/* `name` is for messages, which carry line numbers. The source is copied. */
enum status template_compile(const char *name, const char *source, size_t length,
                             struct template **template, struct error *err);
void template_free(struct template *template);
/* `context`: a JSON object of variables. Thread-safe for one template. limits NULL: defaults.
 * raise_exception("x") gives STATUS_INVALID with the message "x". */
enum status template_render(const struct template *template, const json_t *context,
                            const struct template_limits *limits, struct strbuf *out,
                            struct error *err);

#endif
