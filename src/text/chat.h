/* A model's chat template: messages to prompt text, as apply_chat_template does it.
 *
 * A message is {"role", "content", ...}; content is a string, or a list of {"type": "text"}
 * parts, which are joined; tool_calls whose arguments are a JSON string (OpenAI's form) are
 * given to the template as objects.
 */
#ifndef TANDEM_TEXT_CHAT_H
#define TANDEM_TEXT_CHAT_H

#include "base/error.h"
#include "base/json.h"
#include "base/strbuf.h"
#include "base/vocab_source.h"
#include "text/tokenizer.h"

struct chat_template;

/* Picks the template from chat_template.jinja, tokenizer_config.json (a string, or a list of
 * named ones: "default", and "tool_use" where tools are given) or GGUF metadata, and the special
 * tokens (bos_token, eos_token, ...) that it sees. STATUS_NOT_FOUND where the model has none. */
enum status chat_template_create(const struct vocab_source *source,
                                 const struct tokenizer *tokenizer, struct chat_template **chat,
                                 struct error *err);
void chat_template_free(struct chat_template *chat);

/* messages: array. tools: array or NULL. extra: object of further variables, or NULL. */
enum status chat_template_render(const struct chat_template *chat, const json_t *messages,
                                 const json_t *tools, bool add_generation_prompt,
                                 const json_t *extra, struct strbuf *out, struct error *err);
/* The template's source text (the default one). */
const char *chat_template_source(const struct chat_template *chat);
/* The variables that the template sees besides messages and tools: a JSON object with the
 * special tokens. New reference. */
json_t *chat_template_variables(const struct chat_template *chat);

#endif
