/* The respondent that a model answers through the engine. */
#include "base/clock.h"
#include "base/memory.h"
#include "engine/engine.h"
#include "eval/respondent.h"

#include <stdio.h>
#include <string.h>

struct state {
    struct engine *engine;
    struct sampling sampling;
};

static enum status render(const struct engine *engine, const char *prompt, struct strbuf *out,
                          struct error *err)
{
    const struct chat_template *chat = engine_chat(engine);
    if (!chat) {
        strbuf_add(out, prompt);
        return STATUS_OK;
    }
    json_t *messages = json_pack("[{s:s, s:s}]", "role", "user", "content", prompt);
    if (!messages)
        return error_memory(err, "a message");
    enum status status = chat_template_render(chat, messages, NULL, true, NULL, out, err);
    json_decref(messages);
    return status ? error_prefix(err, "the model's chat template") : STATUS_OK;
}

/* The ids of the prompt as the model's chat format has it; without one, of the bare prompt. */
static enum status encode(const struct engine *engine, const char *prompt, struct token_list *ids,
                          struct error *err)
{
    struct strbuf text = {0};
    unsigned flags = engine_chat(engine) ? 0 : TOKENIZER_ADD_SPECIAL;
    enum status status = render(engine, prompt, &text, err);
    if (!status && text.failed)
        status = error_memory(err, "a prompt");
    if (!status)
        status = tokenizer_encode(engine_tokenizer(engine), strbuf_text(&text), text.length, flags,
                                  ids, err);
    strbuf_free(&text);
    return status;
}

static void copy_stats(const struct generation_stats *stats, struct reply *reply)
{
    reply->prompt_tokens = stats->prompt_tokens;
    reply->cached_tokens = stats->cached_tokens;
    reply->answer_tokens = stats->answer_tokens;
    reply->queue_seconds = stats->queue_seconds;
    reply->prefill_seconds = stats->prefill_seconds;
    reply->first_token_seconds = stats->first_token_seconds;
    reply->decode_seconds = stats->decode_seconds;
    reply->total_seconds = stats->total_seconds;
    snprintf(reply->finish, sizeof reply->finish, "%s", finish_reason_name(stats->finish));
}

static enum status generate(struct state *s, const struct token_list *ids, size_t max_tokens,
                            struct reply *reply, struct error *err)
{
    struct request request = {.prompt = ids->ids,
                              .n_prompt = ids->count,
                              .sampling = s->sampling,
                              .max_tokens = max_tokens};
    struct generation *generation;
    struct strbuf text = {0};
    struct event event;
    enum event_kind kind;
    enum status status = engine_submit(s->engine, &request, &generation, err);
    if (status)
        return status;
    do {
        kind = generation_next(generation, &event);
        strbuf_append(&text, event.text, event.text_length);
    } while (kind != EVENT_END);
    struct generation_stats stats = generation_stats(generation);
    generation_free(generation);
    copy_stats(&stats, reply);
    strbuf_add(&text, "");
    reply->length = text.length;
    if (stats.finish == FINISH_ERROR)
        status = error_set(err, stats.error.status, "%s", stats.error.message);
    else if (!(reply->text = text.length ? strbuf_take(&text) : mem_copy_string("")))
        status = error_memory(err, "an answer");
    strbuf_free(&text);
    return status;
}

static enum status ask(void *state, const char *prompt, size_t max_tokens, struct reply *reply,
                       struct error *err)
{
    struct state *s = state;
    struct token_list ids = {0};
    enum status status = encode(s->engine, prompt, &ids, err);
    if (!status)
        status = generate(s, &ids, max_tokens, reply, err);
    token_list_free(&ids);
    return status;
}

/* The first forward touches every weight, and so reads the file where it is not in memory yet:
 * that is part of getting ready, not of the first item's time. */
static enum status warm_up(struct state *s, struct respondent_info *info, struct error *err)
{
    enum { WARM_UP_TOKENS = 8 };
    struct reply reply = {0};
    double started = clock_seconds();
    enum status status = ask(s, "Hello", WARM_UP_TOKENS, &reply, err);
    info->warm_up_seconds = clock_seconds() - started;
    info->warm_up_first_token = reply.first_token_seconds;
    reply_clear(&reply);
    return status ? error_prefix(err, "warming up") : STATUS_OK;
}

/* mem_free */
static char *compose_name(const struct engine_info *e)
{
    struct strbuf name = {0};
    strbuf_add(&name, e->name);
    if (e->draft_name)
        strbuf_printf(&name, ", drafts by %s", e->draft_name);
    return strbuf_take(&name);
}

static enum status describe(const struct engine *engine, struct respondent_info *info,
                            struct error *err)
{
    struct engine_info e = engine_info(engine);
    const char *family = e.family == FAMILY_PHI3 ? "Phi-3" : "Qwen2";
    *info = (struct respondent_info){.name = compose_name(&e),
                                     .family = mem_copy_string(family),
                                     .weight_type = mem_copy_string(e.weight_type),
                                     .isa = mem_copy_string(e.isa),
                                     .n_parameters = e.n_parameters,
                                     .weight_bytes = e.weight_bytes,
                                     .kv_bytes = e.kv_bytes,
                                     .scratch_bytes = e.scratch_bytes,
                                     .context_length = e.context_length,
                                     .model_context_length = e.model_context_length,
                                     .n_threads = e.n_threads,
                                     .n_layers = e.n_layers,
                                     .dim = e.dim,
                                     .vocab_size = e.vocab_size,
                                     .has_chat_template = engine_chat(engine) != NULL,
                                     .load_seconds = e.load_seconds,
                                     .files = mem_array(e.n_files, sizeof *info->files)};
    if (!info->name || !info->family || !info->weight_type || !info->isa || !info->files)
        return error_memory(err, "a model's description");
    for (; info->n_files < e.n_files; info->n_files++) {
        struct model_file_info *file = &info->files[info->n_files];
        file->path = mem_copy_string(engine_file(engine, info->n_files, &file->bytes));
        if (!file->path)
            return error_memory(err, "a model's description");
    }
    return STATUS_OK;
}

static enum status open_model(const struct respondent_settings *settings, void **state,
                              struct respondent_info *info, struct error *err)
{
    struct engine_options options = {.n_threads = settings->n_threads,
                                     .context_length = settings->context_length,
                                     .context_is_most = true,
                                     .max_sequences = 1,
                                     .kv_type = settings->kv_type,
                                     .adapters = settings->adapters,
                                     .n_adapters = settings->n_adapters,
                                     .quantize = settings->quantize,
                                     .speculate = settings->speculate,
                                     .draft = settings->draft};
    struct state *s = mem_alloc(sizeof *s);
    if (!s)
        return error_memory(err, "a respondent");
    enum status status = engine_open(settings->path, &options, &s->engine, err);
    if (status)
        return status;
    s->sampling = sampling_greedy;
    if (settings->sample)
        s->sampling = engine_default_sampling(s->engine);
    s->sampling.seed = settings->seed;
    *state = s;
    status = describe(s->engine, info, err);
    return status ? status : warm_up(s, info, err);
}

const struct responder engine_responder = {.open = open_model, .ask = ask};
