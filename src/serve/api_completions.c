/* POST /v1/completions: plain text continued. */
#include "base/utf8.h"
#include "serve/answer_form.h"
#include "serve/server_internal.h"

#include <string.h>

/* --- Choices --- */

static json_t *top_logprobs(const struct answering *a, const struct token_choice *token)
{
    json_t *top = json_object();
    for (size_t i = 0; i < token->n_top; i++) {
        json_t *text = answer_token_text(a, token->top[i].token);
        const char *key = json_string_value(text);
        if (strlen(key) == json_string_length(text) && !json_object_get(top, key))
            json_object_set_new(top, key, json_real((double)token->top[i].logprob));
        json_decref(text);
    }
    return top;
}

/* The older form of logprobs, of the tokens that were not sent yet. */
static json_t *logprobs(const struct answering *a, struct choice *choice)
{
    if (!a->request.logprobs)
        return json_null();
    json_t *tokens = json_array(), *values = json_array(), *tops = json_array(),
           *offsets = json_array();
    for (; choice->n_sent < choice->n_tokens; choice->n_sent++) {
        const struct token_choice *token = &choice->tokens[choice->n_sent];
        json_t *text = answer_token_text(a, token->token);
        json_array_append_new(values, json_real((double)token->logprob));
        json_array_append_new(tops, top_logprobs(a, token));
        json_array_append_new(offsets, json_integer((json_int_t)choice->offset));
        choice->offset += utf8_count(json_string_value(text), json_string_length(text));
        json_array_append_new(tokens, text);
    }
    return json_pack("{s:o, s:o, s:o, s:o}", "tokens", tokens, "token_logprobs", values,
                     "top_logprobs", tops, "text_offset", offsets);
}

static json_t *entry(const struct answering *a, struct choice *choice, size_t index,
                     const char *text, size_t length, const char *finish)
{
    return json_pack("{s:I, s:s%, s:o, s:s?}", "index", (json_int_t)index, "text", text, length,
                     "logprobs", logprobs(a, choice), "finish_reason", finish);
}

static void take(struct answering *a, const struct piece *piece)
{
    (void)a;
    strbuf_append(&piece->choice->text, piece->text, piece->length);
}

static json_t *whole(struct answering *a, struct choice *choice, size_t index)
{
    return entry(a, choice, index, strbuf_text(&choice->text), choice->text.length,
                 answer_finish_name(choice));
}

static void stream(struct answering *a, const struct piece *piece, struct strbuf *out)
{
    struct choice *choice = piece->choice;
    if (piece->length == 0 && !piece->is_end && choice->n_sent == choice->n_tokens)
        return;
    const char *finish = piece->is_end ? answer_finish_name(choice) : NULL;
    answer_send_choice(a, piece, entry(a, choice, piece->index, piece->text, piece->length, finish),
                       out);
}

void api_completions(struct exchange *x)
{
    static const struct answer_form form = {"text_completion", "text_completion", take, whole,
                                            stream};
    struct api_error error = {0};
    struct answering *a = answering_create(x, API_COMPLETION, &error);
    if (a && api_start_prompts(a, &error))
        answer_reply(a, &form);
    else
        exchange_reply_error(x, &error);
}
