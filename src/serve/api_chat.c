/* POST /v1/chat/completions. */
#include "serve/answering.h"
#include "serve/server_internal.h"

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

static bool encode_messages(struct answering *a, struct token_list *ids, struct api_error *error)
{
    const struct engine *engine = a->lease.engine;
    struct strbuf prompt = {0};
    struct error err = {0};
    if (!engine_chat(engine))
        return api_refuse(error, 400, "unsupported_value", "model",
                          "%s has no chat template; /v1/completions continues plain text",
                          a->lease.model);
    json_t *messages = with_known_roles(a->request.messages);
    enum status status = chat_template_render(engine_chat(engine), messages, a->request.tools, true,
                                              NULL, &prompt, &err);
    json_decref(messages);
    if (!status)
        status = tokenizer_encode(engine_tokenizer(engine), strbuf_text(&prompt), prompt.length, 0,
                                  ids, &err);
    strbuf_free(&prompt);
    return !status || api_refuse_error(error, &err);
}

/* --- The answer as a whole --- */

static const char *finish_name(const struct choice *choice)
{
    return choice->stats.finish == FINISH_LENGTH ? "length" : "stop";
}

static json_t *whole_choice(const struct choice *choice, size_t index)
{
    json_t *message = json_pack("{s:s, s:s%, s:n}", "role", "assistant", "content",
                                strbuf_text(&choice->text), choice->text.length, "refusal");
    return json_pack("{s:I, s:o, s:n, s:s}", "index", (json_int_t)index, "message", message,
                     "logprobs", "finish_reason", finish_name(choice));
}

static json_t *envelope(const struct answering *a, const char *object, json_t *choices)
{
    return json_pack("{s:s, s:s, s:I, s:s, s:s, s:o}", "id", a->id, "object", object, "created",
                     (json_int_t)a->created, "model", a->lease.model, "system_fingerprint",
                     "tandem-" TANDEM_VERSION, "choices", choices);
}

static void reply_whole(struct answering *a)
{
    struct api_error error = {0};
    struct piece piece;
    while (answering_next(a, &piece)) {
        strbuf_append(&piece.choice->text, piece.text, piece.length);
        if (piece.is_end && !error.http)
            answering_check(a, piece.choice, &error);
    }
    if (error.http) {
        exchange_reply_error(a->x, &error);
        return;
    }
    json_t *choices = json_array();
    for (size_t i = 0; i < a->n_choices; i++)
        json_array_append_new(choices, whole_choice(&a->choices[i], i));
    json_t *reply = envelope(a, "chat.completion", choices);
    json_object_set_new(reply, "usage", answering_usage(a));
    json_object_set_new(reply, "timings", answering_timings(&a->choices[0].stats));
    exchange_reply_json(a->x, 200, reply);
}

/* --- The answer as a stream --- */

static void send_event(struct strbuf *out, json_t *value)
{
    strbuf_add(out, "data: ");
    json_write(out, value, false);
    strbuf_add(out, "\n\n");
    json_decref(value);
}

static void send_chunk(const struct answering *a, const struct piece *piece, json_t *delta,
                       struct strbuf *out)
{
    const char *finish = piece->is_end ? finish_name(piece->choice) : NULL;
    json_t *choice = json_pack("{s:I, s:o, s:n, s:s?}", "index", (json_int_t)piece->index, "delta",
                               delta, "logprobs", "finish_reason", finish);
    json_t *chunk = envelope(a, "chat.completion.chunk", json_pack("[o]", choice));
    if (piece->is_end)
        json_object_set_new(chunk, "timings", answering_timings(&piece->choice->stats));
    send_event(out, chunk);
}

static bool stream_piece(struct answering *a, const struct piece *piece, struct strbuf *out)
{
    struct api_error error = {0};
    if (!piece->choice->began) {
        struct piece first = *piece;
        first.is_end = false;
        send_chunk(a, &first, json_pack("{s:s, s:s}", "role", "assistant", "content", ""), out);
        piece->choice->began = true;
    }
    if (piece->is_end && !answering_check(a, piece->choice, &error)) {
        send_event(out, api_error_json(&error));
        return false;
    }
    if (piece->length > 0) {
        struct piece text = *piece;
        text.is_end = false;
        send_chunk(a, &text, json_pack("{s:s%}", "content", piece->text, piece->length), out);
    }
    if (piece->is_end)
        send_chunk(a, piece, json_object(), out);
    return true;
}

static bool next_event(void *state, struct strbuf *out)
{
    struct answering *a = state;
    struct piece piece;
    while (out->length == 0 && answering_next(a, &piece))
        if (!stream_piece(a, &piece, out))
            return false;
    if (out->length > 0)
        return true;
    if (a->request.include_usage) {
        json_t *chunk = envelope(a, "chat.completion.chunk", json_array());
        json_object_set_new(chunk, "usage", answering_usage(a));
        send_event(out, chunk);
    }
    strbuf_add(out, "data: [DONE]\n\n");
    return false;
}

void api_chat_completions(struct exchange *x)
{
    struct api_error error = {0};
    struct token_list ids = {0};
    struct answering *a = answering_create(x, API_CHAT, &error);
    bool ok = a && encode_messages(a, &ids, &error) && answering_start(a, &ids, 1, &error);
    token_list_free(&ids);
    if (!ok)
        exchange_reply_error(x, &error);
    else if (a->request.stream)
        exchange_stream(x, next_event);
    else
        reply_whole(a);
}
