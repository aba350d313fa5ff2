#include "cli/conversation.h"

#include <string.h>

bool conversation_init(struct conversation *c, struct engine *engine,
                       struct answer_settings *settings)
{
    *c = (struct conversation){.engine = engine, .settings = settings, .messages = json_array()};
    return c->messages;
}

void conversation_free(struct conversation *c)
{
    json_decref(c->messages);
    c->messages = NULL;
}

static bool is_by(const json_t *message, const char *role)
{
    const char *by = json_string_value(json_object_get(message, "role"));
    return by && !strcmp(by, role);
}

const char *conversation_system(const struct conversation *c)
{
    const json_t *first = json_array_get(c->messages, 0);
    return is_by(first, "system") ? json_string_value(json_object_get(first, "content")) : NULL;
}

static json_t *make_message(const char *role, const char *text, struct error *err)
{
    json_t *message = json_pack("{s:s, s:s}", "role", role, "content", text);
    if (!message)
        error_set(err, STATUS_INVALID, "the %s message is not valid UTF-8", role);
    return message;
}

enum status conversation_set_system(struct conversation *c, const char *text, struct error *err)
{
    json_t *message = text ? make_message("system", text, err) : NULL;
    if (text && !message)
        return STATUS_INVALID;
    if (conversation_system(c))
        json_array_remove(c->messages, 0);
    if (message && json_array_insert_new(c->messages, 0, message))
        return error_memory(err, "a message");
    return STATUS_OK;
}

enum status conversation_add(struct conversation *c, const char *role, const char *text,
                             struct error *err)
{
    json_t *message = make_message(role, text, err);
    if (!message)
        return STATUS_INVALID;
    return json_array_append_new(c->messages, message) ? error_memory(err, "a message") : STATUS_OK;
}

bool conversation_drop_last(struct conversation *c, const char *role)
{
    size_t n = json_array_size(c->messages);
    if (n == 0 || !is_by(json_array_get(c->messages, n - 1), role))
        return false;
    return !json_array_remove(c->messages, n - 1);
}

void conversation_reset(struct conversation *c)
{
    size_t kept = conversation_system(c) ? 1 : 0;
    while (json_array_size(c->messages) > kept)
        json_array_remove(c->messages, json_array_size(c->messages) - 1);
}

enum status conversation_encode(const struct conversation *c, struct token_list *ids,
                                struct error *err)
{
    struct strbuf prompt = {0};
    enum status status =
        chat_template_render(engine_chat(c->engine), c->messages, NULL, true, NULL, &prompt, err);
    if (!status)
        status = tokenizer_encode(engine_tokenizer(c->engine), strbuf_text(&prompt), prompt.length,
                                  0, ids, err);
    strbuf_free(&prompt);
    return status;
}
