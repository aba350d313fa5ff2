/* POST /v1/chat/completions. */
#include "serve/answer_form.h"
#include "serve/server_internal.h"
#include "serve/tool_calls.h"

#include <stdio.h>
#include <string.h>

/* --- The prompt --- */

/* OpenAI's newer name for system messages, which chat templates do not know. */
static json_t *with_known_roles(const json_t *messages)
{
    json_t *copy = json_deep_copy(messages), *message;
    size_t i;
    json_array_foreach(copy, i, message)
    {
        const char *role = json_string_value(json_object_get(message, "role"));
        if (role && !strcmp(role, "developer"))
            json_object_set_new(message, "role", json_string("system"));
    }
    return copy;
}

bool api_encode_messages(const struct lease *lease, const json_t *messages, const json_t *tools,
                         struct token_list *ids, struct api_error *error)
{
    const struct engine *engine = lease->engine;
    struct strbuf prompt = {0};
    struct error err = {0};
    if (!engine_chat(engine))
        return api_refuse(error, 400, "unsupported_value", "model",
                          "%s has no chat template; /v1/completions continues plain text",
                          lease->model);
    if (tools && !strstr(chat_template_source(engine_chat(engine)), TOOL_CALL_BEGIN))
        return api_refuse(error, 400, "unsupported_value", "tools",
                          "the chat template of %s has no tool calls in the form of Qwen2.5 "
                          "(" TOOL_CALL_BEGIN "), so \"tools\" mean nothing to this model",
                          lease->model);
    json_t *known = with_known_roles(messages);
    enum status status =
        chat_template_render(engine_chat(engine), known, tools, true, NULL, &prompt, &err);
    json_decref(known);
    if (!status)
        status = tokenizer_encode(engine_tokenizer(engine), strbuf_text(&prompt), prompt.length, 0,
                                  ids, &err);
    strbuf_free(&prompt);
    return !status || api_refuse_error(error, "messages", &err);
}

/* --- Parts of a choice --- */

static json_t *token_entry(const struct answering *a, int32_t token, float logprob)
{
    const char *bytes;
    size_t n = tokenizer_token_bytes(engine_tokenizer(a->lease.engine), token, &bytes);
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_integer((unsigned char)bytes[i]));
    return json_pack("{s:o, s:f, s:o}", "token", answer_token_text(a, token), "logprob",
                     (double)logprob, "bytes", list);
}

static json_t *logprob_entry(const struct answering *a, const struct token_choice *token)
{
    json_t *entry = token_entry(a, token->token, token->logprob), *top = json_array();
    for (size_t i = 0; i < token->n_top; i++)
        json_array_append_new(top, token_entry(a, token->top[i].token, token->top[i].logprob));
    json_object_set_new(entry, "top_logprobs", top);
    return entry;
}

/* {"content": [...]} of the tokens from `begin` on, or null. */
static json_t *logprobs(const struct answering *a, const struct choice *choice, size_t begin)
{
    if (!a->request.logprobs)
        return json_null();
    json_t *list = json_array();
    for (size_t i = begin; i < choice->n_tokens; i++)
        json_array_append_new(list, logprob_entry(a, &choice->tokens[i]));
    return json_pack("{s:o, s:n}", "content", list, "refusal");
}

static const char *finish_name(const struct choice *choice)
{
    const char *name = answer_finish_name(choice);
    return choice->tools.n_calls > 0 && strcmp(name, "length") ? "tool_calls" : name;
}

/* Ids are unique in the conversation: request, choice, number of the call. */
static json_t *call_entry(const struct answering *a, size_t choice, size_t number, json_t *call)
{
    char id[80];
    snprintf(id, sizeof id, "call_%s_%zu_%zu", a->x->id + 4, choice, number);
    return json_pack("{s:s, s:s, s:O}", "id", id, "type", "function", "function", call);
}

/* Divides a piece into content and calls, as far as the request has tools. */
static void divide(struct answering *a, const struct piece *piece, struct strbuf *content,
                   json_t *calls)
{
    struct choice *choice = piece->choice;
    if (!a->request.tools || a->request.tool_choice == TOOLS_NONE) {
        strbuf_append(content, piece->text, piece->length);
        return;
    }
    if (choice->is_cut)
        return;
    tool_reader_push(&choice->tools, piece->text, piece->length, piece->is_end, content, calls);
    if (a->request.one_tool_call && choice->tools.n_calls > 0)
        answering_end_choice(a, piece->index);
}

/* --- As a whole --- */

static void take(struct answering *a, const struct piece *piece)
{
    divide(a, piece, &piece->choice->text, piece->choice->calls);
}

static json_t *whole(struct answering *a, struct choice *choice, size_t index)
{
    json_t *list = json_array(), *call;
    size_t i;
    json_array_foreach(choice->calls, i, call)
        json_array_append_new(list, call_entry(a, index, i, call));
    bool only_calls = choice->text.length == 0 && json_array_size(list) > 0;
    json_t *content =
        only_calls ? json_null() : json_stringn(strbuf_text(&choice->text), choice->text.length);
    json_t *message =
        json_pack("{s:s, s:o, s:n}", "role", "assistant", "content", content, "refusal");
    if (json_array_size(list) > 0)
        json_object_set(message, "tool_calls", list);
    json_decref(list);
    return json_pack("{s:I, s:o, s:o, s:s}", "index", (json_int_t)index, "message", message,
                     "logprobs", logprobs(a, choice, 0), "finish_reason", finish_name(choice));
}

/* --- As a stream --- */

static void send_delta(struct answering *a, const struct piece *piece, json_t *delta,
                       json_t *token_logprobs, const char *finish, struct strbuf *out)
{
    json_t *entry = json_pack("{s:I, s:o, s:o, s:s?}", "index", (json_int_t)piece->index, "delta",
                              delta, "logprobs", token_logprobs, "finish_reason", finish);
    answer_send_choice(a, piece, entry, out);
}

static void send_content(struct answering *a, const struct piece *piece,
                         const struct strbuf *content, struct strbuf *out)
{
    struct choice *choice = piece->choice;
    if (content->length == 0 && choice->n_sent == choice->n_tokens)
        return;
    send_delta(a, piece, json_pack("{s:s%}", "content", strbuf_text(content), content->length),
               logprobs(a, choice, choice->n_sent), NULL, out);
    choice->n_sent = choice->n_tokens;
}

static void send_calls(struct answering *a, const struct piece *piece, const json_t *calls,
                       struct strbuf *out)
{
    size_t i, first = piece->choice->tools.n_calls - json_array_size(calls);
    json_t *call;
    json_array_foreach(calls, i, call)
    {
        json_t *entry = call_entry(a, piece->index, first + i, call);
        json_object_set_new(entry, "index", json_integer((json_int_t)(first + i)));
        send_delta(a, piece, json_pack("{s:[o]}", "tool_calls", entry), json_null(), NULL, out);
    }
}

static void stream(struct answering *a, const struct piece *piece, struct strbuf *out)
{
    struct choice *choice = piece->choice;
    struct strbuf content = {0};
    json_t *calls = json_array();
    divide(a, piece, &content, calls);
    if (!choice->began)
        send_delta(a, piece, json_pack("{s:s, s:s}", "role", "assistant", "content", ""),
                   json_null(), NULL, out);
    choice->began = true;
    send_content(a, piece, &content, out);
    send_calls(a, piece, calls, out);
    if (piece->is_end)
        send_delta(a, piece, json_object(), json_null(), finish_name(choice), out);
    json_decref(calls);
    strbuf_free(&content);
}

static const struct answer_form chat_form = {"chat.completion", "chat.completion.chunk", take,
                                             whole, stream};

void api_chat_completions(struct exchange *x)
{
    struct api_error error = {0};
    struct token_list ids = {0};
    struct answering *a = answering_create(x, API_CHAT, &error);
    bool ok = a != NULL;
    if (ok) {
        const struct api_request *r = &a->request;
        const json_t *tools = r->tool_choice == TOOLS_NONE ? NULL : r->tools;
        ok = api_encode_messages(&a->lease, r->messages, tools, &ids, &error) &&
             answering_start(a, &ids, 1, &error);
    }
    token_list_free(&ids);
    if (ok)
        answer_reply(a, &chat_form);
    else
        exchange_reply_error(x, &error);
}
