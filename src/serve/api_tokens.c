/* POST /tokenize and /detokenize, and prompts of plain text or token ids. */
#include "base/memory.h"
#include "serve/answering.h"
#include "serve/api_fields.h"
#include "serve/server_internal.h"

#include <stdint.h>

/* --- Encoding --- */

static bool add_ids(const char *name, const json_t *list, struct token_list *ids,
                    struct api_error *error)
{
    size_t i;
    const json_t *item;
    json_array_foreach(list, i, item)
    {
        json_int_t id = json_integer_value(item);
        if (!json_is_integer(item) || id < 0 || id > INT32_MAX)
            return api_refuse(error, 400, "invalid_value", name,
                              "\"%s\" must hold token ids: number %zu is none", name, i + 1);
        if (!token_list_add(ids, (int32_t)id))
            return api_refuse(error, 503, "out_of_memory", name, "out of memory for token ids");
    }
    return true;
}

static bool refuse_no_tokenizer(const struct lease *lease, struct api_error *error)
{
    return api_refuse(error, 400, "unsupported_value", "model",
                      "%s has no tokenizer: it takes token ids only", lease->model);
}

bool api_encode_prompt(const struct lease *lease, const char *name, const json_t *prompt,
                       bool add_special, struct token_list *ids, struct api_error *error)
{
    struct error err = {0};
    const struct tokenizer *tokenizer = engine_tokenizer(lease->engine);
    if (json_is_array(prompt))
        return add_ids(name, prompt, ids, error);
    if (!json_is_string(prompt))
        return field_wrong_type(name, "a string, or a list of token ids", error);
    if (!tokenizer)
        return refuse_no_tokenizer(lease, error);
    if (tokenizer_encode(tokenizer, json_string_value(prompt), json_string_length(prompt),
                         add_special ? TOKENIZER_ADD_SPECIAL : 0, ids, &err))
        return api_refuse_error(error, name, &err);
    return true;
}

/* --- Lists of prompts --- */

static const json_t *prompt_at(const struct api_request *r, size_t index)
{
    bool is_list = json_is_array(r->prompt) && !json_is_integer(json_array_get(r->prompt, 0));
    return is_list ? json_array_get(r->prompt, index) : r->prompt;
}

bool api_start_prompts(struct answering *a, struct api_error *error)
{
    size_t n = a->request.n_prompts;
    struct token_list *prompts = mem_array(n, sizeof *prompts);
    if (!prompts)
        return api_refuse(error, 503, "out_of_memory", NULL, "out of memory for the prompts");
    bool ok = true;
    for (size_t i = 0; i < n && ok; i++)
        ok = api_encode_prompt(&a->lease, api_prompt_field(a->request.kind),
                               prompt_at(&a->request, i), true, &prompts[i], error);
    ok = ok && answering_start(a, prompts, n, error);
    for (size_t i = 0; i < n; i++)
        token_list_free(&prompts[i]);
    mem_free(prompts);
    return ok;
}

/* --- Requests --- */

struct tokens_request {
    const char *model;
    const json_t *prompt, *messages, *tokens;
    bool add_special;
};

static bool keep_prompt(void *target, const char *name, const json_t *value,
                        struct api_error *error)
{
    (void)name, (void)error;
    ((struct tokens_request *)target)->prompt = value;
    return true;
}

static bool keep_messages(void *target, const char *name, const json_t *value,
                          struct api_error *error)
{
    ((struct tokens_request *)target)->messages = value;
    return api_check_messages(name, value, error);
}

static bool keep_tokens(void *target, const char *name, const json_t *value,
                        struct api_error *error)
{
    ((struct tokens_request *)target)->tokens = value;
    return json_is_array(value) || field_wrong_type(name, "a list of token ids", error);
}

enum { TOKENIZE = 1, DETOKENIZE = 2 };

#define AT(member) .offset = offsetof(struct tokens_request, member)

static const struct field fields[] = {
    {"model", FIELD_STRING, AT(model)},
    {"prompt", FIELD_CUSTOM, .kinds = TOKENIZE, .read = keep_prompt},
    {"messages", FIELD_CUSTOM, .kinds = TOKENIZE, .read = keep_messages},
    {"add_special_tokens", FIELD_BOOL, AT(add_special), .kinds = TOKENIZE},
    {"tokens", FIELD_CUSTOM, .kinds = DETOKENIZE, .read = keep_tokens},
    {0}};

static json_t *tokenize(const struct tokens_request *r, const struct lease *lease,
                        struct api_error *error)
{
    struct token_list ids = {0};
    json_t *list = NULL;
    bool ok = r->messages
                  ? api_encode_messages(lease, r->messages, NULL, &ids, error)
                  : api_encode_prompt(lease, "prompt", r->prompt, r->add_special, &ids, error);
    if (ok) {
        list = json_array();
        for (size_t i = 0; i < ids.count; i++)
            json_array_append_new(list, json_integer(ids.ids[i]));
    }
    token_list_free(&ids);
    if (!ok)
        return NULL;
    size_t context = engine_info(lease->engine).context_length;
    return json_pack("{s:I, s:I, s:o}", "count", (json_int_t)json_array_size(list), "max_model_len",
                     (json_int_t)context, "tokens", list);
}

static json_t *detokenize(const struct tokens_request *r, const struct lease *lease,
                          struct api_error *error)
{
    const struct tokenizer *tokenizer = engine_tokenizer(lease->engine);
    struct token_list ids = {0};
    struct strbuf text = {0};
    struct error err = {0};
    bool ok =
        tokenizer ? add_ids("tokens", r->tokens, &ids, error) : refuse_no_tokenizer(lease, error);
    if (ok && tokenizer_decode(tokenizer, ids.ids, ids.count, 0, &text, &err))
        ok = api_refuse_error(error, "tokens", &err);
    json_t *reply = ok ? json_pack("{s:s%}", "prompt", strbuf_text(&text), text.length) : NULL;
    token_list_free(&ids);
    strbuf_free(&text);
    return reply;
}

static json_t *convert(struct exchange *x, unsigned kind, const json_t *document,
                       struct api_error *error)
{
    struct tokens_request r = {.add_special = true};
    struct lease lease;
    if (!fields_read(fields, kind, document, NULL, &r, error))
        return NULL;
    bool is_whole = kind == TOKENIZE ? !r.prompt != !r.messages : r.tokens != NULL;
    if (!is_whole) {
        api_refuse(error, 400, "missing_required_parameter", NULL, "%s is needed",
                   kind == TOKENIZE ? "either \"prompt\" or \"messages\"" : "\"tokens\"");
        return NULL;
    }
    if (!registry_acquire(x->server->registry, r.model, NULL, 0, &lease, error))
        return NULL;
    json_t *reply = kind == TOKENIZE ? tokenize(&r, &lease, error) : detokenize(&r, &lease, error);
    registry_release(x->server->registry, &lease);
    return reply;
}

static void reply(struct exchange *x, unsigned kind)
{
    struct api_error error = {0};
    json_t *document = exchange_body_json(x, &error);
    json_t *value = document ? convert(x, kind, document, &error) : NULL;
    json_decref(document);
    if (value)
        exchange_reply_json(x, 200, value);
    else
        exchange_reply_error(x, &error);
}

void api_tokenize(struct exchange *x)
{
    reply(x, TOKENIZE);
}

void api_detokenize(struct exchange *x)
{
    reply(x, DETOKENIZE);
}
