#include "serve/answer_form.h"
#include "serve/server_internal.h"

const char *answer_finish_name(const struct choice *choice)
{
    return choice->stats.finish == FINISH_LENGTH ? "length" : "stop";
}

json_t *answer_token_text(const struct answering *a, int32_t token)
{
    const char *bytes;
    size_t n = tokenizer_token_bytes(engine_tokenizer(a->lease.engine), token, &bytes);
    return json_text(bytes, n);
}

static json_t *envelope(const struct answering *a, const char *object, json_t *choices)
{
    return json_pack("{s:s, s:s, s:I, s:s, s:s, s:o}", "id", a->id, "object", object, "created",
                     (json_int_t)a->created, "model", a->lease.model, "system_fingerprint",
                     "tandem-" TANDEM_VERSION, "choices", choices);
}

/* --- As a whole --- */

static void reply_whole(struct answering *a)
{
    struct api_error error = {0};
    struct piece piece;
    while (answering_next(a, &piece)) {
        a->form->take(a, &piece);
        if (piece.is_end && !error.http)
            answering_check(a, piece.choice, &error);
    }
    if (error.http) {
        exchange_reply_error(a->x, &error);
        return;
    }
    json_t *choices = json_array();
    for (size_t i = 0; i < a->n_choices; i++)
        json_array_append_new(choices, a->form->whole(a, &a->choices[i], i));
    json_t *reply = envelope(a, a->form->object, choices);
    json_object_set_new(reply, "usage", answering_usage(a));
    json_object_set_new(reply, "timings", answering_timings(&a->choices[0].stats));
    exchange_reply_json(a->x, 200, reply);
}

/* --- As a stream --- */

static void send_event(struct strbuf *out, json_t *value)
{
    strbuf_add(out, "data: ");
    json_write(out, value, false);
    strbuf_add(out, "\n\n");
    json_decref(value);
}

void answer_send_choice(const struct answering *a, const struct piece *piece, json_t *choice,
                        struct strbuf *out)
{
    json_t *chunk = envelope(a, a->form->chunk_object, json_pack("[o]", choice));
    if (!json_is_null(json_object_get(choice, "finish_reason")))
        json_object_set_new(chunk, "timings", answering_timings(&piece->choice->stats));
    if (a->request.include_usage)
        json_object_set_new(chunk, "usage", json_null());
    send_event(out, chunk);
}

static void send_end(const struct answering *a, struct strbuf *out)
{
    if (a->request.include_usage) {
        json_t *chunk = envelope(a, a->form->chunk_object, json_array());
        json_object_set_new(chunk, "usage", answering_usage(a));
        send_event(out, chunk);
    }
    strbuf_add(out, "data: [DONE]\n\n");
}

static bool next_events(void *state, struct strbuf *out)
{
    struct answering *a = state;
    struct piece piece;
    while (out->length == 0 && answering_next(a, &piece)) {
        struct api_error error = {0};
        if (piece.is_end && !answering_check(a, piece.choice, &error)) {
            a->x->refusal = error;
            send_event(out, api_error_json(&error));
            return false;
        }
        a->form->stream(a, &piece, out);
    }
    if (out->length > 0)
        return true;
    send_end(a, out);
    return false;
}

void answer_reply(struct answering *a, const struct answer_form *form)
{
    a->form = form;
    if (a->request.stream)
        exchange_stream(a->x, next_events);
    else
        reply_whole(a);
}
