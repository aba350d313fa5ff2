/* Chat templates: which one, what it sees, and how messages reach it. */
#include "text/chat.h"
#include "base/memory.h"
#include "text/template.h"

#include <string.h>

struct named_template {
    char *name, *source;
    struct template *template;
};

struct chat_template {
    struct named_template *items;
    size_t count, capacity;
    json_t *variables; /* the special tokens */
};

/* ---- choosing a template ---- */

static enum status add_template(struct chat_template *chat, const char *where, const char *name,
                                const char *source, size_t length, struct error *err)
{
    if (!mem_grow(&chat->items, &chat->capacity, chat->count, sizeof *chat->items))
        return error_memory(err, "a chat template");
    struct named_template *item = &chat->items[chat->count++];
    *item =
        (struct named_template){.name = mem_copy_string(name), .source = mem_copy(source, length)};
    if (!item->name || !item->source)
        return error_memory(err, "a chat template");
    enum status status = template_compile("chat_template", source, length, &item->template, err);
    return status ? error_prefix(err, "%s", where) : STATUS_OK;
}

static enum status add_json_template(struct chat_template *chat, const char *where,
                                     const char *name, const json_t *source, struct error *err)
{
    if (!name || !json_is_string(source))
        return error_set(err, STATUS_FORMAT,
                         "%s: tokenizer_config.json: chat_template should be a string, or a list "
                         "of {\"name\", \"template\"}",
                         where);
    return add_template(chat, where, name, json_string_value(source), json_string_length(source),
                        err);
}

/* A string, a list of {"name", "template"}, or an object of names. */
static enum status add_from_config(struct chat_template *chat, const char *where, json_t *value,
                                   struct error *err)
{
    enum status status = STATUS_OK;
    const char *key;
    json_t *item;
    size_t i;
    if (json_is_string(value))
        return add_json_template(chat, where, "default", value, err);
    if (json_is_object(value)) {
        json_object_foreach(value, key, item) if (!status) status =
            add_json_template(chat, where, key, item, err);
        return status;
    }
    if (!json_is_array(value))
        return add_json_template(chat, where, NULL, value, err);
    json_array_foreach(value, i, item) if (!status) status =
        add_json_template(chat, where, json_string_value(json_object_get(item, "name")),
                          json_object_get(item, "template"), err);
    return status;
}

static enum status pick_templates(struct chat_template *chat, const struct vocab_source *source,
                                  const json_t *config, struct error *err)
{
    json_t *value = json_object_get(config, "chat_template");
    struct text_span file = source->chat_template_jinja;
    if (!file.data)
        file = source->chat_template;
    if (file.data)
        return add_template(chat, source->name, "default", file.data, file.length, err);
    if (value && !json_is_null(value))
        return add_from_config(chat, source->name, value, err);
    return STATUS_OK;
}

static const struct named_template *find_template(const struct chat_template *chat,
                                                  const char *name)
{
    for (size_t i = 0; i < chat->count; i++)
        if (!strcmp(chat->items[i].name, name))
            return &chat->items[i];
    return NULL;
}

/* ---- the special tokens ---- */

static bool ends_with_token(const char *key)
{
    size_t n = strlen(key);
    return n > 6 && !strcmp(key + n - 6, "_token");
}

/* A token is a string, or an object whose "content" is one. */
static json_t *token_text(json_t *token)
{
    json_t *text = json_is_object(token) ? json_object_get(token, "content") : token;
    return json_is_string(text) && json_string_length(text) ? text : NULL;
}

static bool add_token(json_t *variables, const char *key, json_t *token)
{
    json_t *text = token_text(token);
    return !text || json_object_get(variables, key) || !json_object_set(variables, key, text);
}

static bool add_additional_tokens(json_t *variables, const json_t *tokens)
{
    json_t *list = json_array(), *token;
    size_t i;
    bool ok = list != NULL;
    json_array_foreach(tokens, i, token) if (ok && token_text(token)) ok =
        !json_array_append(list, token_text(token));
    if (ok && json_array_size(list) && !json_object_get(variables, "additional_special_tokens"))
        ok = !json_object_set(variables, "additional_special_tokens", list);
    json_decref(list);
    return ok;
}

/* From tokenizer_config.json or special_tokens_map.json; what is there already stays. */
static bool add_tokens(json_t *variables, json_t *document)
{
    json_t *extra = json_object_get(document, "extra_special_tokens"), *value;
    const char *key;
    bool ok = true;
    json_object_foreach(document, key, value) if (ok && ends_with_token(key)) ok =
        add_token(variables, key, value);
    json_object_foreach(extra, key, value) if (ok) ok = add_token(variables, key, value);
    return ok &&
           add_additional_tokens(variables, json_object_get(document, "additional_special_tokens"));
}

static bool add_token_of_id(json_t *variables, const char *key, const struct vocab_source *source,
                            int32_t id)
{
    if (id < 0 || (size_t)id >= source->n_tokens || json_object_get(variables, key))
        return true;
    struct text_span token = source->tokens[id];
    json_t *text = json_stringn(token.data, token.length);
    return !text || !json_object_set_new(variables, key, text); /* a token may not be UTF-8 */
}

static bool add_tokens_of_gguf(json_t *variables, const struct vocab_source *source)
{
    return !source->n_tokens || (add_token_of_id(variables, "bos_token", source, source->bos_id) &&
                                 add_token_of_id(variables, "eos_token", source, source->eos_id) &&
                                 add_token_of_id(variables, "unk_token", source, source->unk_id) &&
                                 add_token_of_id(variables, "pad_token", source, source->pad_id));
}

/* ---- creating ---- */

static enum status parse_document(const char *where, const char *name, struct text_span text,
                                  json_t **document, struct error *err)
{
    *document = NULL;
    if (!text.data)
        return STATUS_OK;
    *document = json_parse(name, text.data, text.length, err);
    if (!*document)
        return error_prefix(err, "%s", where);
    return STATUS_OK;
}

static enum status fill(struct chat_template *chat, const struct vocab_source *source,
                        struct error *err)
{
    json_t *config, *map = NULL;
    enum status status = parse_document(source->name, "tokenizer_config.json",
                                        source->tokenizer_config_json, &config, err);
    if (!status)
        status = parse_document(source->name, "special_tokens_map.json",
                                source->special_tokens_map_json, &map, err);
    if (!status)
        status = pick_templates(chat, source, config, err);
    if (!status && !chat->count)
        status =
            error_set(err, STATUS_NOT_FOUND, "%s: the model has no chat template", source->name);
    if (!status && !(add_tokens(chat->variables, config) && add_tokens(chat->variables, map) &&
                     add_tokens_of_gguf(chat->variables, source)))
        status = error_memory(err, "special tokens");
    json_decref(config);
    json_decref(map);
    return status;
}

enum status chat_template_create(const struct vocab_source *source,
                                 const struct tokenizer *tokenizer, struct chat_template **chat,
                                 struct error *err)
{
    struct error own = {0};
    struct error *e = err ? err : &own;
    (void)tokenizer;
    *chat = NULL;
    struct chat_template *c = mem_alloc(sizeof *c);
    if (!c)
        return error_memory(e, "a chat template");
    c->variables = json_object();
    enum status status = c->variables ? fill(c, source, e) : error_memory(e, "a chat template");
    if (status) {
        chat_template_free(c);
        return status;
    }
    *chat = c;
    return STATUS_OK;
}

void chat_template_free(struct chat_template *chat)
{
    if (!chat)
        return;
    for (size_t i = 0; i < chat->count; i++) {
        mem_free(chat->items[i].name);
        mem_free(chat->items[i].source);
        template_free(chat->items[i].template);
    }
    mem_free(chat->items);
    json_decref(chat->variables);
    mem_free(chat);
}

const char *chat_template_source(const struct chat_template *chat)
{
    const struct named_template *item = find_template(chat, "default");
    return item ? item->source : chat->items[0].source;
}

json_t *chat_template_variables(const struct chat_template *chat)
{
    return json_deep_copy(chat->variables);
}

/* ---- messages ---- */

/* [{"type": "text", "text": "a"}, ...] -> "a...". */
static enum status join_parts(const json_t *parts, size_t message, json_t **content,
                              struct error *err)
{
    struct strbuf text = {0};
    json_t *part;
    size_t i;
    enum status status = STATUS_OK;
    json_array_foreach(parts, i, part)
    {
        const char *type = json_string_value(json_object_get(part, "type"));
        const json_t *value = json_object_get(part, "text");
        if (!status && (!type || strcmp(type, "text") != 0 || !json_is_string(value)))
            status = error_set(err, STATUS_INVALID,
                               "messages[%zu].content[%zu] is not {\"type\": \"text\", \"text\"}: "
                               "only text is supported",
                               message, i);
        else if (!status)
            strbuf_append(&text, json_string_value(value), json_string_length(value));
    }
    *content = status ? NULL : json_stringn(strbuf_text(&text), text.length);
    if (!status && (!*content || text.failed))
        status = error_memory(err, "a message");
    strbuf_free(&text);
    return status;
}

/* OpenAI writes a call's arguments as a string of JSON; templates want the object. */
static enum status parse_call_arguments(json_t *call, size_t message, size_t index,
                                        struct error *err)
{
    json_t *function = json_object_get(call, "function");
    json_t *holder = json_is_object(function) ? function : call;
    const json_t *text = json_object_get(holder, "arguments");
    if (!json_is_string(text))
        return STATUS_OK;
    bool empty = json_string_length(text) == 0;
    json_t *object =
        empty ? json_object()
              : json_parse("arguments", json_string_value(text), json_string_length(text), err);
    if (!json_is_object(object)) {
        json_decref(object);
        return error_set(err, STATUS_INVALID,
                         "messages[%zu].tool_calls[%zu]: the arguments are a string, but not one "
                         "of a JSON object",
                         message, index);
    }
    return json_object_set_new(holder, "arguments", object) ? error_memory(err, "a tool call")
                                                            : STATUS_OK;
}

static enum status prepare_message(json_t *message, size_t index, struct error *err)
{
    json_t *parts = json_object_get(message, "content"), *content, *call;
    enum status status = STATUS_OK;
    size_t i;
    if (!json_is_object(message))
        return error_set(err, STATUS_INVALID, "messages[%zu] is not an object", index);
    if (json_is_array(parts)) {
        status = join_parts(parts, index, &content, err);
        if (!status && json_object_set_new(message, "content", content))
            status = error_memory(err, "a message");
    }
    json_array_foreach(json_object_get(message, "tool_calls"), i, call) if (!status) status =
        parse_call_arguments(call, index, i, err);
    return status;
}

static enum status prepare_messages(json_t *messages, struct error *err)
{
    enum status status = STATUS_OK;
    json_t *message;
    size_t i;
    json_array_foreach(messages, i, message) if (!status) status = prepare_message(message, i, err);
    return status;
}

/* ---- rendering ---- */

static bool has_tools(const json_t *tools)
{
    return tools && !json_is_null(tools);
}

/* A new reference, or NULL when out of memory. */
static json_t *make_context(const struct chat_template *chat, json_t *messages, const json_t *tools,
                            bool add_generation_prompt, const json_t *extra)
{
    json_t *context = json_copy(chat->variables);
    bool ok =
        context && (!extra || !json_object_update(context, (json_t *)extra)) &&
        !json_object_set(context, "messages", messages) &&
        !json_object_set(context, "tools", has_tools(tools) ? (json_t *)tools : json_null()) &&
        !json_object_set_new(context, "add_generation_prompt", json_boolean(add_generation_prompt));
    if (ok)
        return context;
    json_decref(context);
    return NULL;
}

static const struct template *choose_template(const struct chat_template *chat, bool with_tools)
{
    const struct named_template *item = with_tools ? find_template(chat, "tool_use") : NULL;
    if (!item)
        item = find_template(chat, "default");
    if (!item && chat->count == 1)
        item = &chat->items[0];
    return item ? item->template : NULL;
}

enum status chat_template_render(const struct chat_template *chat, const json_t *messages,
                                 const json_t *tools, bool add_generation_prompt,
                                 const json_t *extra, struct strbuf *out, struct error *err)
{
    const struct template *template = choose_template(chat, has_tools(tools));
    if (!template)
        return error_set(err, STATUS_INVALID,
                         "the model has several chat templates, but none named \"default\"");
    if (!json_is_array(messages))
        return error_set(err, STATUS_INVALID, "messages should be a list");
    if (extra && !json_is_object(extra))
        return error_set(err, STATUS_INVALID, "the template's further variables are no object");
    json_t *copy = json_deep_copy(messages), *context = NULL;
    enum status status = copy ? prepare_messages(copy, err) : error_memory(err, "the messages");
    if (!status) {
        context = make_context(chat, copy, tools, add_generation_prompt, extra);
        status = context ? template_render(template, context, NULL, out, err)
                         : error_memory(err, "the messages");
    }
    json_decref(context);
    json_decref(copy);
    return status;
}
