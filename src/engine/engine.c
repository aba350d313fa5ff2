#include "engine/engine.h"
#include "base/clock.h"
#include "base/cpu.h"
#include "base/log.h"
#include "base/size.h"
#include "base/utf8.h"
#include "engine/engine_internal.h"
#include "model/adapters.h"

#include <stdio.h>
#include <string.h>

enum { DEFAULT_SEQUENCES = 8 };

/* --- Opening --- */

static enum status open_text(struct engine *e, struct error *err)
{
    const struct vocab_source *vocab = model_vocab(e->model);
    if (!tokenizer_is_there(vocab))
        return STATUS_OK;
    enum status status = tokenizer_create(vocab, &e->tokenizer, err);
    if (status)
        return status;
    struct error chat_error = {0};
    status = chat_template_create(vocab, e->tokenizer, &e->chat, &chat_error);
    if (status && status != STATUS_NOT_FOUND)
        log_warning("%s; the model opens without its chat template", chat_error.message);
    return STATUS_OK;
}

static void add_eos(struct engine *e, int32_t id)
{
    for (size_t i = 0; i < e->n_eos_ids; i++)
        if (e->eos_ids[i] == id)
            return;
    if (id >= 0 && e->n_eos_ids < MAX_EOS_IDS)
        e->eos_ids[e->n_eos_ids++] = id;
}

/* The checkpoint's list. GGUF names one end token only, so there the tokens with which the two
 * families' chat templates end a turn are added. */
static void find_eos(struct engine *e)
{
    static const char *const turn_ends[] = {"<|im_end|>", "<|end|>", "<|endoftext|>"};
    const struct generation_defaults *defaults = model_generation(e->model);
    for (size_t i = 0; i < defaults->n_eos_ids; i++)
        add_eos(e, defaults->eos_ids[i]);
    if (!e->tokenizer)
        return;
    if (e->n_eos_ids == 0)
        add_eos(e, tokenizer_eos(e->tokenizer));
    if (model_vocab(e->model)->n_tokens > 0)
        for (size_t i = 0; i < sizeof turn_ends / sizeof *turn_ends; i++)
            add_eos(e, tokenizer_find(e->tokenizer, turn_ends[i]));
}

/* Bytes of all caches that a position takes. */
static size_t position_bytes_of(const struct engine *e, enum tensor_type kv_type)
{
    size_t bytes = kv_position_bytes(model_shape(e->model), kv_type);
    if (e->drafter)
        bytes += kv_position_bytes(model_shape(drafter_model(e->drafter)), kv_type);
    return bytes;
}

/* Positions that fit in half of the memory that is free once the weights are read. */
static size_t affordable_positions(const struct engine *e, size_t position_bytes)
{
    size_t available = mem_available(), weights = model_weight_bytes(e->model);
    if (e->drafter)
        weights += model_weight_bytes(drafter_model(e->drafter));
    size_t least = (size_t)256 << 20, free_bytes = least;
    if (available == 0) /* the system does not say */
        return SIZE_MAX;
    if (available > weights && available - weights > least)
        free_bytes = available - weights;
    return free_bytes / 2 / position_bytes;
}

static enum status choose_context(struct engine *e, const struct engine_options *options,
                                  size_t affordable, struct error *err)
{
    size_t made_for = model_shape(e->model)->context_length;
    e->context_length = options->context_length ? options->context_length : made_for;
    if (e->context_length > made_for && options->context_is_most)
        e->context_length = made_for;
    if (e->context_length > made_for)
        return error_set(err, STATUS_INVALID,
                         "%s: a context of %zu tokens was asked for, the model was made for %zu",
                         model_path(e->model), e->context_length, made_for);
    if (!options->context_length && affordable < made_for) {
        e->context_length = size_max(affordable, PAGE_POSITIONS);
        log_warning("the context is %zu tokens here (the model: %zu), so that its cache fits in "
                    "memory; --context sets it",
                    e->context_length, made_for);
    }
    return STATUS_OK;
}

static enum status open_cache(struct engine *e, const struct engine_options *options,
                              struct error *err)
{
    const struct hyperparameters *shape = model_shape(e->model);
    struct kv_options kv = {0};
    enum status status = kv_type_parse(options->kv_type, &kv.type, err);
    if (status)
        return status;
    size_t position_bytes = position_bytes_of(e, kv.type);
    size_t affordable = options->cache_bytes ? options->cache_bytes / position_bytes
                                             : affordable_positions(e, position_bytes);
    status = choose_context(e, options, affordable, err);
    if (status)
        return status;
    e->max_sequences = options->max_sequences ? options->max_sequences : DEFAULT_SEQUENCES;
    if (e->max_sequences > model_max_rows(e->model))
        e->max_sequences = model_max_rows(e->model);
    e->n_slots = kv.n_sequences = 2 * e->max_sequences;
    if (!size_multiply(e->context_length, e->max_sequences, &kv.n_positions) ||
        kv.n_positions > affordable)
        kv.n_positions = affordable;
    if (options->cache_positions)
        kv.n_positions = options->cache_positions;
    if (kv.n_positions < e->context_length)
        kv.n_positions = e->context_length;
    status = kv_cache_create(shape, &kv, &e->cache, err);
    if (status || !e->drafter)
        return status;
    return drafter_allocate(e->drafter,
                            &(struct drafter_size){.kv_type = kv.type,
                                                   .n_slots = e->n_slots,
                                                   .n_running = e->max_sequences,
                                                   .n_positions = kv.n_positions,
                                                   .context_length = e->context_length},
                            err);
}

static enum status allocate_steps(struct engine *e, struct error *err)
{
    size_t vocab_size = model_shape(e->model)->vocab_size, n_logits;
    size_t rows_left = model_max_rows(e->model) - e->max_sequences;
    e->n_guess_rows = size_min(rows_left, MAX_DRAFT);
    if (e->speculation == SPECULATION_OFF)
        e->n_guess_rows = 0;
    if (!size_multiply(e->max_sequences + e->n_guess_rows, vocab_size, &n_logits))
        return error_memory(err, "the logits");
    e->running = mem_array(e->max_sequences, sizeof *e->running);
    e->slots = mem_array(e->n_slots, sizeof *e->slots);
    e->acceptance = first_acceptance;
    for (size_t i = 0; i < N_STAGES; i++)
        e->rows[i] = mem_array(model_max_rows(e->model), sizeof *e->rows[i]);
    e->logits = mem_array(n_logits, sizeof *e->logits);
    e->hidden_bytes = model_max_rows(e->model) * model_shape(e->model)->dim * sizeof *e->hidden;
    e->hidden = mem_map(e->hidden_bytes);
    bool ok =
        e->hidden && e->running && e->slots && e->rows[DECODING] && e->rows[PROMPTS] && e->logits;
    for (size_t i = 0; ok && i < e->n_slots; i++) {
        e->slots[i].tokens = mem_array(e->context_length, sizeof *e->slots[i].tokens);
        ok = e->slots[i].tokens;
    }
    return ok ? STATUS_OK : error_memory(err, "the step buffers");
}

enum status engine_adapter_check(const char *folder, struct error *err)
{
    return adapter_check(folder, err);
}

enum status engine_options_check(const struct engine_options *options, struct error *err)
{
    enum tensor_type kv_type;
    enum speculation speculation;
    enum status status = kv_type_parse(options->kv_type, &kv_type, err);
    return status ? status : speculation_parse(options->speculate, &speculation, err);
}

static enum status set_up(struct engine *e, const char *path, const struct engine_options *options,
                          struct error *err)
{
    struct model_options model_options = {.n_threads = options->n_threads,
                                          .max_rows = options->max_rows,
                                          .isa = options->isa,
                                          .adapters = options->adapters,
                                          .n_adapters = options->n_adapters,
                                          .quantize = options->quantize};
    enum status status = speculation_parse(options->speculate, &e->speculation, err);
    if (!status)
        status = model_open(path, &model_options, &e->model, err);
    if (!status)
        status = open_text(e, err);
    if (!status && options->draft && e->speculation != SPECULATION_OFF)
        status =
            drafter_open(options->draft, e->model, e->tokenizer, options->isa, &e->drafter, err);
    if (!status)
        status = open_cache(e, options, err);
    if (!status)
        status = allocate_steps(e, err);
    if (status)
        return status;
    find_eos(e);
    atomic_store(&e->load_free_positions, kv_free_positions(e->cache));
    if (pthread_create(&e->thread, NULL, scheduler_run, e))
        return error_set(err, STATUS_IO, "cannot start the step thread");
    e->has_thread = true;
    return STATUS_OK;
}

enum status engine_open(const char *path, const struct engine_options *options, struct engine **out,
                        struct error *err)
{
    static const struct engine_options defaults;
    *out = NULL;
    double started = clock_seconds();
    struct engine *e = mem_alloc(sizeof *e);
    if (!e)
        return error_memory(err, "an engine");
    pthread_mutex_init(&e->mutex, NULL);
    pthread_cond_init(&e->wake, NULL);
    enum status status = set_up(e, path, options ? options : &defaults, err);
    if (status) {
        engine_close(e);
        return status;
    }
    e->load_seconds = clock_seconds() - started;
    *out = e;
    return STATUS_OK;
}

static void stop_thread(struct engine *e)
{
    pthread_mutex_lock(&e->mutex);
    e->closing = true;
    pthread_cond_signal(&e->wake);
    pthread_mutex_unlock(&e->mutex);
    pthread_join(e->thread, NULL);
}

void engine_close(struct engine *e)
{
    if (!e)
        return;
    if (e->has_thread)
        stop_thread(e);
    for (size_t i = 0; e->slots && i < e->n_slots; i++)
        mem_free(e->slots[i].tokens);
    mem_free(e->slots);
    mem_free(e->running);
    for (size_t i = 0; i < N_STAGES; i++)
        mem_free(e->rows[i]);
    mem_free(e->logits);
    if (e->hidden)
        mem_unmap(e->hidden, e->hidden_bytes);
    kv_cache_free(e->cache);
    drafter_close(e->drafter);
    chat_template_free(e->chat);
    token_masker_free(e->masker);
    tokenizer_free(e->tokenizer);
    model_close(e->model);
    pthread_cond_destroy(&e->wake);
    pthread_mutex_destroy(&e->mutex);
    mem_free(e);
}

/* --- What it is --- */

const struct tokenizer *engine_tokenizer(const struct engine *e)
{
    return e->tokenizer;
}

const struct chat_template *engine_chat(const struct engine *e)
{
    return e->chat;
}

struct sampling engine_default_sampling(const struct engine *e)
{
    const struct generation_defaults *defaults = model_generation(e->model);
    struct sampling sampling = sampling_greedy;
    sampling.greedy = !defaults->do_sample;
    sampling.temperature = defaults->temperature;
    sampling.top_k = defaults->top_k;
    sampling.top_p = defaults->top_p;
    sampling.min_p = defaults->min_p;
    sampling.repetition_penalty = defaults->repetition_penalty;
    return sampling;
}

struct engine_info engine_info(const struct engine *e)
{
    const struct hyperparameters *shape = model_shape(e->model);
    return (struct engine_info){
        .path = model_path(e->model),
        .name = model_name(e->model),
        .weight_type = model_weight_type(e->model),
        .isa = model_isa(e->model),
        .family = shape->family,
        .n_parameters = model_parameters(e->model),
        .weight_bytes = model_weight_bytes(e->model),
        .kv_bytes = kv_cache_bytes(e->cache),
        .kv_position_bytes = kv_position_bytes(shape, kv_type(e->cache)),
        .scratch_bytes = model_scratch_bytes(e->model),
        .draft_name = e->drafter ? model_name(drafter_model(e->drafter)) : NULL,
        .draft_bytes = e->drafter ? drafter_bytes(e->drafter) : 0,
        .context_length = e->context_length,
        .model_context_length = shape->context_length,
        .n_threads = model_threads(e->model),
        .n_layers = shape->n_layers,
        .dim = shape->dim,
        .vocab_size = shape->vocab_size,
        .load_seconds = e->load_seconds,
        .n_files = model_file_count(e->model),
    };
}

struct engine_load engine_load(const struct engine *e)
{
    size_t positions =
        kv_cache_bytes(e->cache) / kv_position_bytes(model_shape(e->model), kv_type(e->cache));
    return (struct engine_load){
        .running = atomic_load(&e->load_running),
        .waiting = atomic_load(&e->load_waiting),
        .cache_positions = positions,
        .cache_used = positions - atomic_load(&e->load_free_positions),
        .steps = atomic_load(&e->n_steps),
        .rows = atomic_load(&e->n_step_rows),
    };
}

const char *engine_file(const struct engine *e, size_t index, size_t *bytes)
{
    return model_file(e->model, index, bytes);
}

/* --- Requests --- */

/* Made outside of the lock, which the step thread wants, too. */
enum status engine_masker(struct engine *e, struct token_masker **out, struct error *err)
{
    struct token_masker *fresh;
    pthread_mutex_lock(&e->mutex);
    *out = e->masker;
    pthread_mutex_unlock(&e->mutex);
    if (*out)
        return STATUS_OK;
    if (!e->tokenizer)
        return error_set(err, STATUS_UNSUPPORTED,
                         "%s: constrained output needs a tokenizer, and this checkpoint has none",
                         model_path(e->model));
    size_t vocab_size = model_shape(e->model)->vocab_size;
    enum status status = token_masker_create(e->tokenizer, vocab_size, &fresh, err);
    if (status)
        return status;
    pthread_mutex_lock(&e->mutex);
    *out = e->masker ? e->masker : fresh;
    e->masker = *out;
    pthread_mutex_unlock(&e->mutex);
    if (*out != fresh)
        token_masker_free(fresh);
    return STATUS_OK;
}

static enum status check_prompt(const struct engine *e, const struct request *request,
                                struct error *err)
{
    size_t vocab_size = model_shape(e->model)->vocab_size;
    if (request->n_prompt == 0)
        return error_set(err, STATUS_INVALID, "the prompt is empty: it needs at least one token");
    if (request->n_prompt >= e->context_length) {
        size_t most = model_shape(e->model)->context_length;
        error_set(err, STATUS_LIMIT,
                  "the prompt has %zu tokens; at most %zu fit (a context of %zu, one of which is "
                  "for the answer): shorten it",
                  request->n_prompt, e->context_length - 1, e->context_length);
        if (err && e->context_length < most)
            snprintf(err->message + strlen(err->message),
                     sizeof err->message - strlen(err->message),
                     ", or open the model with a longer context (it was made for %zu)", most);
        return STATUS_LIMIT;
    }
    for (size_t i = 0; i < request->n_prompt; i++)
        if (request->prompt[i] < 0 || (size_t)request->prompt[i] >= vocab_size)
            return error_set(err, STATUS_INVALID,
                             "prompt token %zu has the id %d; the vocabulary has ids 0 to %zu", i,
                             request->prompt[i], vocab_size - 1);
    return STATUS_OK;
}

static enum status check_stops(const struct engine *e, const struct request *request,
                               struct error *err)
{
    if (request->n_stops > 0 && !e->tokenizer)
        return error_set(err, STATUS_UNSUPPORTED,
                         "%s: stop strings need a tokenizer, and this checkpoint has none",
                         model_path(e->model));
    for (size_t i = 0; i < request->n_stops; i++) {
        const char *stop = request->stops[i];
        if (!*stop || !utf8_valid(stop, strlen(stop)))
            return error_set(err, STATUS_INVALID, "stop string %zu is %s", i + 1,
                             *stop ? "not valid UTF-8" : "empty");
    }
    return STATUS_OK;
}

enum status engine_submit(struct engine *e, const struct request *request, struct generation **out,
                          struct error *err)
{
    *out = NULL;
    enum status status = check_prompt(e, request, err);
    if (!status)
        status = check_stops(e, request, err);
    if (!status && request->n_top_logprobs > MAX_TOP_LOGPROBS)
        status = error_set(err, STATUS_INVALID, "%zu top logprobs were asked for; at most %d",
                           request->n_top_logprobs, (int)MAX_TOP_LOGPROBS);
    if (status)
        return status;
    size_t room = e->context_length - request->n_prompt;
    bool capped = request->max_tokens == 0 || request->max_tokens > room;
    struct generation *g;
    status = generation_create(e, request, capped ? room : request->max_tokens, &g, err);
    if (status)
        return status;
    g->submitted = clock_seconds();
    pthread_mutex_lock(&e->mutex);
    g->next = e->submitted;
    e->submitted = g;
    pthread_cond_signal(&e->wake);
    pthread_mutex_unlock(&e->mutex);
    *out = g;
    return STATUS_OK;
}
