/* The public C API: a thin, checked layer over the engine. */
#include "base/json.h"
#include "base/memory.h"
#include "base/strbuf.h"
#include "engine/engine.h"
#include "tandem.h"

#include <string.h>

struct tandem_model {
    struct engine *engine;
};

_Static_assert((int)TANDEM_NOT_FOUND == (int)STATUS_NOT_FOUND, "the same numbers");
_Static_assert((int)TANDEM_LIMIT == (int)STATUS_LIMIT, "the same numbers");
_Static_assert((int)TANDEM_FINISH_EOS == (int)FINISH_EOS, "the same numbers");
_Static_assert((int)TANDEM_FINISH_CANCELLED == (int)FINISH_CANCELLED, "the same numbers");
_Static_assert(sizeof(struct tandem_error) == sizeof(struct error), "the same size");
_Static_assert((int)TANDEM_ADD_SPECIAL == (int)TOKENIZER_ADD_SPECIAL &&
                   (int)TANDEM_PLAIN_TEXT == (int)TOKENIZER_PLAIN_TEXT &&
                   (int)TANDEM_SKIP_SPECIAL == (int)TOKENIZER_SKIP_SPECIAL,
               "the same flags");

/* Hands the library's error to the caller. */
static enum tandem_status report(enum status status, const struct error *from,
                                 struct tandem_error *to)
{
    if (status && to) {
        to->status = (enum tandem_status)status;
        memcpy(to->message, from->message, sizeof to->message);
    }
    return (enum tandem_status)status;
}

static enum tandem_status refuse(enum status status, const char *message, struct tandem_error *to)
{
    struct error err = {0};
    error_set(&err, status, "%s", message);
    return report(status, &err, to);
}

const char *tandem_version(void)
{
    return TANDEM_VERSION;
}

void tandem_free(void *block)
{
    mem_free(block);
}

/* --- Models --- */

void tandem_load_options_init(struct tandem_load_options *options)
{
    *options = (struct tandem_load_options){.struct_size = sizeof *options};
}

enum tandem_status tandem_model_load(const char *path, const struct tandem_load_options *options,
                                     tandem_model **out, struct tandem_error *err)
{
    *out = NULL;
    struct tandem_load_options defaults;
    tandem_load_options_init(&defaults);
    if (!options)
        options = &defaults;
    if (options->struct_size != sizeof *options)
        return refuse(STATUS_INVALID, "tandem_load_options_init() was not called", err);
    const struct recipe *quantize = options->quantize ? recipe_find(options->quantize) : NULL;
    if (options->quantize && !quantize)
        return refuse(STATUS_INVALID, "there is no such type of weights to quantize to", err);
    struct adapter_choice *adapters = mem_array(options->n_adapters, sizeof *adapters);
    for (size_t i = 0; adapters && i < options->n_adapters; i++)
        adapters[i] = (struct adapter_choice){.path = options->adapters[i].path,
                                              .weight = options->adapters[i].scale};
    struct engine_options engine_options = {.n_threads = options->n_threads,
                                            .context_length = options->context_length,
                                            .max_sequences = options->max_sequences,
                                            .kv_type = options->kv_type,
                                            .adapters = adapters,
                                            .n_adapters = options->n_adapters,
                                            .speculate = options->speculate,
                                            .draft = options->draft,
                                            .quantize = quantize};
    struct error why = {0};
    tandem_model *model = mem_alloc(sizeof *model);
    enum status status = model && adapters
                             ? engine_open(path, &engine_options, &model->engine, &why)
                             : error_memory(&why, "a model");
    mem_free(adapters);
    if (status)
        mem_free(model);
    else
        *out = model;
    return report(status, &why, err);
}

void tandem_model_free(tandem_model *model)
{
    if (!model)
        return;
    engine_close(model->engine);
    mem_free(model);
}

void tandem_model_get_info(const tandem_model *model, struct tandem_model_info *info)
{
    struct engine_info from = engine_info(model->engine);
    *info = (struct tandem_model_info){.name = from.name,
                                       .weight_type = from.weight_type,
                                       .n_parameters = from.n_parameters,
                                       .weight_bytes = from.weight_bytes,
                                       .vocab_size = from.vocab_size,
                                       .context_length = from.context_length,
                                       .model_context_length = from.model_context_length,
                                       .n_threads = from.n_threads};
}

/* --- Text --- */

static enum tandem_status need_tokenizer(const tandem_model *model, struct tandem_error *err)
{
    if (engine_tokenizer(model->engine))
        return TANDEM_OK;
    return refuse(STATUS_NOT_FOUND, "this checkpoint has no tokenizer", err);
}

/* Takes over what `out` holds. */
static enum tandem_status give_text(enum status status, struct strbuf *out, char **text,
                                    struct error *why, struct tandem_error *err)
{
    strbuf_append(out, "", 0); /* an empty text is a text */
    if (!status && out->failed)
        status = error_memory(why, "a text");
    if (!status)
        *text = out->data ? strbuf_take(out) : mem_copy_string("");
    if (!status && !*text)
        status = error_memory(why, "a text");
    strbuf_free(out);
    return report(status, why, err);
}

static enum tandem_status render(const tandem_model *model, const json_t *messages,
                                 const json_t *tools, int add_generation_prompt, char **prompt,
                                 struct tandem_error *err)
{
    const struct chat_template *chat = engine_chat(model->engine);
    struct strbuf out = {0};
    struct error why = {0};
    if (!chat)
        return refuse(STATUS_NOT_FOUND, "this checkpoint has no chat template", err);
    enum status status =
        chat_template_render(chat, messages, tools, add_generation_prompt, NULL, &out, &why);
    return give_text(status, &out, prompt, &why, err);
}

/* NULL when out of memory or where text is not UTF-8. */
static json_t *make_messages(const struct tandem_message *messages, size_t n)
{
    json_t *array = json_array();
    for (size_t i = 0; array && i < n; i++) {
        json_t *message =
            json_pack("{s:s, s:s}", "role", messages[i].role, "content", messages[i].content);
        if (!message || json_array_append_new(array, message)) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

enum tandem_status tandem_apply_chat_template(const tandem_model *model,
                                              const struct tandem_message *messages,
                                              size_t n_messages, int add_generation_prompt,
                                              char **prompt, struct tandem_error *err)
{
    *prompt = NULL;
    json_t *array = make_messages(messages, n_messages);
    if (!array)
        return refuse(STATUS_INVALID, "a message's role or content is missing or not valid UTF-8",
                      err);
    enum tandem_status status = render(model, array, NULL, add_generation_prompt, prompt, err);
    json_decref(array);
    return status;
}

/* An array from JSON text; `name` is for messages. */
static enum status parse_array(const char *name, const char *text, json_t **array,
                               struct error *err)
{
    *array = json_parse(name, text, strlen(text), err);
    if (!*array)
        return err->status;
    if (json_is_array(*array))
        return STATUS_OK;
    return error_set(err, STATUS_INVALID, "%s: expected a JSON array", name);
}

enum tandem_status tandem_apply_chat_template_json(const tandem_model *model,
                                                   const char *messages_json,
                                                   const char *tools_json,
                                                   int add_generation_prompt, char **prompt,
                                                   struct tandem_error *err)
{
    *prompt = NULL;
    json_t *messages = NULL, *tools = NULL;
    struct error why = {0};
    enum status status = parse_array("messages", messages_json, &messages, &why);
    if (!status && tools_json)
        status = parse_array("tools", tools_json, &tools, &why);
    enum tandem_status result =
        status ? report(status, &why, err)
               : render(model, messages, tools, add_generation_prompt, prompt, err);
    json_decref(messages);
    json_decref(tools);
    return result;
}

enum tandem_status tandem_tokenize(const tandem_model *model, const char *text, size_t length,
                                   unsigned flags, int32_t **ids, size_t *n_ids,
                                   struct tandem_error *err)
{
    *ids = NULL;
    *n_ids = 0;
    enum tandem_status missing = need_tokenizer(model, err);
    if (missing)
        return missing;
    struct token_list list = {0};
    struct error why = {0};
    enum status status =
        tokenizer_encode(engine_tokenizer(model->engine), text, length, flags, &list, &why);
    if (!status && !list.ids && !(list.ids = mem_alloc(1)))
        status = error_memory(&why, "token ids");
    if (status) {
        token_list_free(&list);
        return report(status, &why, err);
    }
    *ids = list.ids;
    *n_ids = list.count;
    return TANDEM_OK;
}

enum tandem_status tandem_detokenize(const tandem_model *model, const int32_t *ids, size_t n_ids,
                                     unsigned flags, char **text, size_t *length,
                                     struct tandem_error *err)
{
    *text = NULL;
    if (length)
        *length = 0;
    enum tandem_status missing = need_tokenizer(model, err);
    if (missing)
        return missing;
    struct strbuf out = {0};
    struct error why = {0};
    enum status status =
        tokenizer_decode(engine_tokenizer(model->engine), ids, n_ids, flags, &out, &why);
    size_t bytes = out.length;
    enum tandem_status result = give_text(status, &out, text, &why, err);
    if (!result && length)
        *length = bytes;
    return result;
}

/* --- Generation --- */

void tandem_generation_options_init(const tandem_model *model,
                                    struct tandem_generation_options *options)
{
    struct sampling s = model ? engine_default_sampling(model->engine) : sampling_greedy;
    *options = (struct tandem_generation_options){
        .struct_size = sizeof *options,
        .do_sample = !s.greedy,
        .temperature = s.temperature,
        .top_k = s.top_k,
        .top_p = s.top_p,
        .min_p = s.min_p,
        .repetition_penalty = s.repetition_penalty,
    };
}

static struct request make_request(const int32_t *prompt, size_t n_prompt,
                                   const struct tandem_generation_options *o)
{
    return (struct request){
        .prompt = prompt,
        .n_prompt = n_prompt,
        .sampling = {.greedy = !o->do_sample,
                     .temperature = o->do_sample ? o->temperature : 1,
                     .top_k = o->do_sample ? o->top_k : 0,
                     .top_p = o->do_sample ? o->top_p : 1,
                     .min_p = o->do_sample ? o->min_p : 0,
                     .repetition_penalty = o->repetition_penalty,
                     .frequency_penalty = o->frequency_penalty,
                     .presence_penalty = o->presence_penalty,
                     .seed = o->seed},
        .max_tokens = o->max_tokens,
        .stops = o->stops,
        .n_stops = o->n_stops,
        .ignore_eos = o->ignore_eos,
        .want_logprobs = o->want_logprobs,
        .n_top_logprobs = o->n_top_logprobs,
    };
}

static int call_back(const struct event *event, tandem_piece_callback *callback, void *user_data)
{
    int32_t tokens[MAX_TOP_LOGPROBS];
    float logprobs[MAX_TOP_LOGPROBS];
    struct tandem_piece piece = {.text = event->text,
                                 .text_length = event->text_length,
                                 .token = -1,
                                 .top_tokens = tokens,
                                 .top_logprobs = logprobs};
    if (event->kind == EVENT_TOKEN) {
        piece.token = event->choice.token;
        piece.logprob = event->choice.logprob;
        piece.n_top = event->choice.n_top;
    }
    for (size_t i = 0; i < piece.n_top; i++) {
        tokens[i] = event->choice.top[i].token;
        logprobs[i] = event->choice.top[i].logprob;
    }
    return callback(&piece, user_data);
}

/* Reads the answer to its end; true when the callback stopped it, after *n_tokens tokens. What
 * the engine was ahead of the callback by then does not count. */
static bool follow(struct generation *generation, tandem_piece_callback *callback, void *user_data,
                   size_t *n_tokens)
{
    struct event event;
    bool stopped = false;
    *n_tokens = 0;
    do {
        generation_next(generation, &event);
        if (stopped)
            continue;
        *n_tokens += event.kind == EVENT_TOKEN;
        if (callback && (event.kind == EVENT_TOKEN || event.text_length > 0))
            stopped = call_back(&event, callback, user_data) != 0;
        if (stopped)
            generation_cancel(generation);
    } while (event.kind != EVENT_END);
    return stopped;
}

static void fill_result(const struct generation_stats *stats, struct tandem_result *result)
{
    *result = (struct tandem_result){.finish = (enum tandem_finish)stats->finish,
                                     .prompt_tokens = stats->prompt_tokens,
                                     .cached_tokens = stats->cached_tokens,
                                     .answer_tokens = stats->answer_tokens,
                                     .guessed_tokens = stats->guessed_tokens,
                                     .accepted_tokens = stats->accepted_tokens,
                                     .first_token_seconds = stats->first_token_seconds,
                                     .decode_seconds = stats->decode_seconds,
                                     .total_seconds = stats->total_seconds};
}

enum tandem_status tandem_generate(tandem_model *model, const int32_t *prompt, size_t n_prompt,
                                   const struct tandem_generation_options *options,
                                   tandem_piece_callback *callback, void *user_data,
                                   struct tandem_result *result, struct tandem_error *err)
{
    struct tandem_generation_options defaults;
    tandem_generation_options_init(model, &defaults);
    if (!options)
        options = &defaults;
    if (result)
        *result = (struct tandem_result){0};
    if (options->struct_size != sizeof *options)
        return refuse(STATUS_INVALID, "tandem_generation_options_init() was not called", err);
    struct request request = make_request(prompt, n_prompt, options);
    struct generation *generation;
    struct error why = {0};
    enum status status = engine_submit(model->engine, &request, &generation, &why);
    if (status)
        return report(status, &why, err);
    size_t n_tokens;
    bool stopped = follow(generation, callback, user_data, &n_tokens);
    struct generation_stats stats = generation_stats(generation);
    generation_free(generation);
    if (stopped) {
        stats.finish = FINISH_CANCELLED;
        stats.answer_tokens = n_tokens;
    }
    if (stats.finish == FINISH_ERROR)
        return report(stats.error.status, &stats.error, err);
    if (result)
        fill_result(&stats, result);
    return TANDEM_OK;
}
