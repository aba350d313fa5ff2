#include "train/trainer.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/size.h"
#include "train/dataset.h"
#include "train/export.h"
#include "train/log.h"
#include "train/state.h"

#include <dirent.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

enum { DEFAULT_MICRO_TOKENS = 4096 };

struct trainer {
    const struct trainer_options *options;
    struct optimizer_options schedule; /* with the steps that epochs make */
    struct lora_options lora;
    struct trainer_result *result;
    struct checkpoint *checkpoint;
    struct weights weights;
    bool has_weights;
    const struct kernels *kernels;
    struct tokenizer *tokenizer;
    struct chat_template *chat;
    struct thread_pool *pool;
    struct network *network;
    struct optimizer optimizer;
    struct dataset data, eval;
    struct data_order order;
    struct train_log log;
    json_t *settings;
    char *state_path;
    size_t max_rows, max_length;
    size_t *step_examples, n_step_examples; /* of the step at hand */
    struct batch batch;                     /* a micro-batch; arrays owned here */
    int32_t *tokens, *targets;
    size_t *starts;
};

/* --- Setting up --- */

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}

static bool model_has_weights(const char *path)
{
    if (!file_is_directory(path))
        return true;
    DIR *folder = opendir(path);
    bool found = false;
    for (struct dirent *entry; folder && !found && (entry = readdir(folder));)
        found = ends_with(entry->d_name, ".safetensors") || ends_with(entry->d_name, ".gguf");
    if (folder)
        closedir(folder);
    return found;
}

static enum status open_model(struct trainer *t, struct error *err)
{
    const struct trainer_options *o = t->options;
    t->has_weights = !o->from_scratch && model_has_weights(o->model);
    if (o->lora && !t->has_weights)
        return error_set(err, STATUS_INVALID,
                         "%s holds no weights; LoRA trains adapters on a model that is there",
                         o->model);
    enum status status = kernels_select(NULL, &t->kernels, err);
    if (!status)
        status = t->has_weights ? checkpoint_open(o->model, &t->checkpoint, err)
                                : checkpoint_open_vocabulary(o->model, &t->checkpoint, err);
    if (!status && t->has_weights)
        status = weights_bind(t->checkpoint, t->kernels, &t->weights, err);
    if (!status && !checkpoint_hyperparameters(t->checkpoint))
        status = error_set(err, STATUS_INVALID, "%s: config.json is missing: it names the shape",
                           o->model);
    if (!status && !o->lora && checkpoint_format(t->checkpoint) == CHECKPOINT_GGUF)
        status = error_set(err, STATUS_UNSUPPORTED,
                           "%s is a GGUF file; full training writes a Hugging Face folder and "
                           "needs one to start from (LoRA takes GGUF files)",
                           o->model);
    return status;
}

static bool has_vocabulary(const struct vocab_source *v)
{
    return v->tokenizer_json.data || v->vocab_json.data || v->n_tokens;
}

static enum status open_text(struct trainer *t, struct error *err)
{
    const struct vocab_source *vocab = checkpoint_vocab(t->checkpoint);
    size_t vocab_size = checkpoint_hyperparameters(t->checkpoint)->vocab_size;
    if (!has_vocabulary(vocab))
        return STATUS_OK;
    enum status status = tokenizer_create(vocab, &t->tokenizer, err);
    if (status)
        return status;
    if (tokenizer_size(t->tokenizer) > vocab_size)
        return error_set(err, STATUS_INVALID,
                         "%s: the tokenizer has ids up to %zu, but config.json's vocab_size is %zu",
                         t->options->model, tokenizer_size(t->tokenizer) - 1, vocab_size);
    status = chat_template_create(vocab, t->tokenizer, &t->chat, err);
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static enum status choose_sizes(struct trainer *t, struct error *err)
{
    (void)err;
    const struct trainer_options *o = t->options;
    size_t micro = o->micro_tokens ? o->micro_tokens : DEFAULT_MICRO_TOKENS;
    size_t context = checkpoint_hyperparameters(t->checkpoint)->context_length;
    t->max_rows = size_min(o->batch_tokens, micro);
    t->max_length = o->max_length ? o->max_length : context;
    if (t->max_length > context)
        t->max_length = context;
    if (t->max_length > t->max_rows)
        t->max_length = t->max_rows;
    return STATUS_OK;
}

static enum status load_data(struct trainer *t, struct error *err)
{
    const struct generation_defaults *g = checkpoint_generation(t->checkpoint);
    int32_t eos = t->tokenizer ? tokenizer_eos(t->tokenizer) : VOCAB_NO_ID;
    struct dataset_options options = {.tokenizer = t->tokenizer,
                                      .chat = t->chat,
                                      .end_ids = g->n_eos_ids ? g->eos_ids : &eos,
                                      .n_end_ids = g->n_eos_ids ? g->n_eos_ids : eos != VOCAB_NO_ID,
                                      .vocab_size =
                                          checkpoint_hyperparameters(t->checkpoint)->vocab_size,
                                      .max_rows = t->max_length};
    enum status status = dataset_load(t->options->data, &options, &t->data, err);
    if (!status && t->options->eval)
        status = dataset_load(t->options->eval, &options, &t->eval, err);
    t->result->n_examples = t->data.n_examples;
    t->result->n_too_long = t->data.n_too_long;
    t->result->n_empty = t->data.n_empty;
    t->result->longest = t->data.longest;
    t->result->n_eval_examples = t->eval.n_examples;
    return status;
}

static enum status choose_targets(struct trainer *t, struct error *err)
{
    enum family family = checkpoint_hyperparameters(t->checkpoint)->family;
    const char *p = t->options->lora_targets;
    t->lora = *t->options->lora;
    t->lora.targets = p ? 0 : lora_all_targets(family);
    while (p && *p) {
        size_t length = strcspn(p, ",");
        unsigned target = lora_target_parse(family, p, length);
        if (!target) {
            struct strbuf names = {0};
            for (const char *const *name = lora_target_names(family); *name; name++)
                strbuf_printf(&names, " %s", *name);
            error_set(err, STATUS_INVALID, "this model has no module \"%.*s\"; it has:%s",
                      (int)length, p, strbuf_text(&names));
            strbuf_free(&names);
            return STATUS_INVALID;
        }
        t->lora.targets |= target;
        p += length + (p[length] == ',');
    }
    return STATUS_OK;
}

static enum status make_network(struct trainer *t, struct error *err)
{
    const struct trainer_options *o = t->options;
    enum status status = thread_pool_create(o->threads, &t->pool, err);
    if (!status && o->lora)
        status = choose_targets(t, err);
    struct network_options options = {.shape = checkpoint_hyperparameters(t->checkpoint),
                                      .pool = t->pool,
                                      .max_rows = t->max_rows,
                                      .bf16 = o->bf16,
                                      .lora = o->lora ? &t->lora : NULL,
                                      .base = &t->weights,
                                      .kernels = t->kernels};
    if (!status)
        status = network_create(&options, &t->network, err);
    if (status)
        return status;
    if (o->lora || !t->has_weights)
        network_initialise(t->network, o->seed);
    else
        network_load(t->network, &t->weights, t->kernels);
    struct parameters *p = network_parameters(t->network);
    t->result->trained_parameters = p->total;
    t->result->parameters = p->total + (o->lora ? t->weights.n_parameters : 0);
    return optimizer_create(p, network_gemm(t->network), &t->optimizer, err);
}

static enum status make_batch(struct trainer *t, struct error *err)
{
    t->tokens = mem_array(t->max_rows, sizeof *t->tokens);
    t->targets = mem_array(t->max_rows, sizeof *t->targets);
    t->starts = mem_array(t->max_rows + 1, sizeof *t->starts);
    t->step_examples = mem_array(t->options->batch_tokens + 1, sizeof *t->step_examples);
    t->batch = (struct batch){.tokens = t->tokens, .targets = t->targets, .starts = t->starts};
    t->result->memory = network_bytes(t->network) + 2 * t->optimizer.parameters->total * 4 +
                        (t->data.n_rows + t->eval.n_rows) * 8;
    return t->tokens && t->targets && t->starts && t->step_examples ? STATUS_OK
                                                                    : error_memory(err, "a batch");
}

/* --- Batches --- */

static size_t example_rows(const struct dataset *d, size_t example)
{
    return d->starts[example + 1] - d->starts[example];
}

/* Takes the examples of the next step; how many of their tokens are learned. */
static size_t gather_step(struct trainer *t, size_t *rows)
{
    const struct dataset *d = &t->data;
    size_t learned = 0;
    t->n_step_examples = 0;
    *rows = 0;
    for (;;) {
        size_t example = data_order_peek(&t->order), n = example_rows(d, example);
        if (t->n_step_examples && *rows + n > t->options->batch_tokens)
            return learned;
        for (size_t i = d->starts[example]; i < d->starts[example + 1]; i++)
            learned += d->targets[i] != NOT_LEARNED;
        t->step_examples[t->n_step_examples++] = example;
        *rows += n;
        data_order_advance(&t->order);
    }
}

static bool append_example(struct trainer *t, const struct dataset *d, size_t example)
{
    struct batch *b = &t->batch;
    size_t n = example_rows(d, example);
    if (b->n_rows + n > t->max_rows)
        return false;
    memcpy(t->tokens + b->n_rows, d->tokens + d->starts[example], n * sizeof *t->tokens);
    memcpy(t->targets + b->n_rows, d->targets + d->starts[example], n * sizeof *t->targets);
    b->n_rows += n;
    t->starts[++b->n_examples] = b->n_rows;
    return true;
}

/* Fills the micro-batch with list[*next...] (list NULL: the numbers themselves). */
static bool next_batch(struct trainer *t, const struct dataset *d, const size_t *list, size_t count,
                       size_t *next)
{
    t->batch.n_rows = t->batch.n_examples = 0;
    t->starts[0] = 0;
    while (*next < count && append_example(t, d, list ? list[*next] : *next))
        ++*next;
    return t->batch.n_examples > 0;
}

static double evaluate(struct trainer *t)
{
    double nll = 0;
    for (size_t next = 0; next_batch(t, &t->eval, NULL, t->eval.n_examples, &next);)
        nll += network_evaluate(t->network, &t->batch);
    return nll / (double)t->eval.n_learned;
}

/* How many steps the epochs make: the data's order decides. */
static enum status count_steps(struct trainer *t, struct error *err)
{
    t->schedule = t->options->optimizer;
    if (t->schedule.steps)
        return STATUS_OK;
    size_t rows, end = t->options->epochs * t->data.n_examples;
    enum status status = data_order_create(&t->data, t->options->seed, 0, &t->order, err);
    if (status)
        return status;
    while (t->order.position < end) {
        gather_step(t, &rows);
        t->schedule.steps++;
    }
    data_order_free(&t->order);
    return STATUS_OK;
}

/* --- Going on --- */

/* Everything that decides the losses. */
static enum status describe_run(struct trainer *t, struct error *err)
{
    const struct trainer_options *o = t->options;
    const struct optimizer_options *s = &t->schedule;
    char hash[65];
    enum status status = sha256_file_hex(o->data, hash, err);
    if (status)
        return status;
    t->settings = json_pack(
        "{s:s, s:s, s:I, s:I, s:I, s:I, s:f, s:f, s:I, s:f, s:f, s:f, s:f, s:f, s:I, s:I, s:b, "
        "s:b}",
        "model", o->model, "data_sha256", hash, "seed", (json_int_t)o->seed, "batch_tokens",
        (json_int_t)o->batch_tokens, "micro_tokens", (json_int_t)t->max_rows, "max_length",
        (json_int_t)t->max_length, "rate", s->rate, "final_rate", s->final_rate, "warmup",
        (json_int_t)s->warmup, "beta1", s->beta1, "beta2", s->beta2, "epsilon", s->epsilon,
        "weight_decay", s->weight_decay, "clip", s->clip, "steps", (json_int_t)s->steps,
        "parameters", (json_int_t)t->optimizer.parameters->total, "from_scratch", !t->has_weights,
        "bf16", o->bf16);
    if (t->settings && o->lora)
        json_object_set_new(t->settings, "lora",
                            json_pack("{s:I, s:f, s:I}", "rank", (json_int_t)t->lora.rank, "alpha",
                                      t->lora.alpha, "targets", (json_int_t)t->lora.targets));
    return t->settings ? STATUS_OK : error_memory(err, "the settings");
}

static enum status begin(struct trainer *t, struct error *err)
{
    struct train_state state = {.optimizer = &t->optimizer, .settings = t->settings};
    enum status status = file_make_directory(t->options->out, err);
    if (!status && !(t->state_path = file_join(t->options->out, "training.state")))
        status = error_memory(err, "training.state");
    if (!status && t->options->resume)
        status = train_state_load(t->state_path, &state, err);
    if (!status)
        status = data_order_create(&t->data, t->options->seed, state.position, &t->order, err);
    if (!status)
        status =
            train_log_open(t->options->out, t->options->resume, t->optimizer.step, &t->log, err);
    if (status || t->options->resume)
        return status;
    return train_log_write(
        &t->log,
        json_pack("{s:s, s:I, s:O, s:I, s:I, s:I, s:I, s:I, s:I}", "event", "start", "step",
                  (json_int_t)0, "settings", t->settings, "examples",
                  (json_int_t)t->data.n_examples, "too_long", (json_int_t)t->data.n_too_long,
                  "rows", (json_int_t)t->data.n_rows, "learned", (json_int_t)t->data.n_learned,
                  "threads", (json_int_t)thread_pool_size(t->pool), "memory",
                  (json_int_t)t->result->memory),
        err);
}

static enum status save(struct trainer *t, struct error *err)
{
    struct train_state state = {&t->optimizer, t->order.position, t->settings};
    return train_state_save(t->state_path, &state, err);
}

/* --- Steps --- */

static enum status one_step(struct trainer *t, struct train_progress *progress, struct error *err)
{
    double start = clock_seconds(), nll = 0, norm, seconds;
    double rate = schedule_rate(&t->schedule, t->optimizer.step);
    size_t rows, learned = gather_step(t, &rows);
    for (size_t next = 0; next_batch(t, &t->data, t->step_examples, t->n_step_examples, &next);)
        nll += network_train(t->network, &t->batch, 1 / (double)learned);
    enum status status = optimizer_step(&t->optimizer, &t->schedule, rate, &norm, err);
    if (status)
        return status;
    seconds = clock_seconds() - start;
    t->result->tokens += rows;
    t->result->seconds += seconds;
    t->result->loss = nll / (double)learned;
    progress->step = t->optimizer.step;
    progress->loss = t->result->loss;
    progress->tokens_per_second = (double)t->result->tokens / t->result->seconds;
    return train_log_write(&t->log,
                           json_pack("{s:s, s:I, s:f, s:f, s:f, s:I, s:I, s:f}", "event", "step",
                                     "step", (json_int_t)t->optimizer.step, "loss", t->result->loss,
                                     "rate", rate, "norm", norm, "tokens", (json_int_t)rows,
                                     "learned", (json_int_t)learned, "tokens_per_second",
                                     (double)rows / seconds),
                           err);
}

static bool is_due(size_t step, size_t every)
{
    return every && step % every == 0;
}

/* The step after which this call writes the result. */
static size_t last_step(const struct trainer *t)
{
    size_t stop = t->options->stop_after;
    return stop && stop < t->schedule.steps ? stop : t->schedule.steps;
}

static enum status after_step(struct trainer *t, struct train_progress *progress, struct error *err)
{
    const struct trainer_options *o = t->options;
    size_t step = t->optimizer.step;
    bool last = step == last_step(t);
    enum status status = STATUS_OK;
    progress->evaluated = o->eval && (last || is_due(step, o->eval_every));
    progress->saved = !last && is_due(step, o->save_every);
    if (progress->evaluated) {
        progress->eval_loss = t->result->eval_loss = evaluate(t);
        status = train_log_write(&t->log,
                                 json_pack("{s:s, s:I, s:f}", "event", "eval", "step",
                                           (json_int_t)step, "loss", progress->eval_loss),
                                 err);
    }
    if (!status && progress->saved)
        status = save(t, err);
    if (!status && o->report)
        o->report(o->context, progress);
    return status;
}

static enum status export_result(struct trainer *t, struct error *err)
{
    const struct trainer_options *o = t->options;
    const struct parameters *p = t->optimizer.parameters;
    if (!o->lora)
        return export_model(p, o->type, o->model, o->out, err);
    return export_adapter(p, &t->lora, checkpoint_hyperparameters(t->checkpoint)->family, o->model,
                          o->out, err);
}

static enum status run_steps(struct trainer *t, struct error *err)
{
    struct train_progress progress = {.steps = t->schedule.steps, .eval_loss = (double)NAN};
    enum status status = STATUS_OK;
    while (!status && t->optimizer.step < last_step(t)) {
        if (t->options->stop && *t->options->stop) {
            status = save(t, err);
            return status ? status
                          : error_set(err, STATUS_CANCELLED,
                                      "stopped after step %zu of %zu; go on with --resume",
                                      t->optimizer.step, t->schedule.steps);
        }
        status = one_step(t, &progress, err);
        if (!status)
            status = after_step(t, &progress, err);
    }
    if (!status)
        status = export_result(t, err);
    if (!status && last_step(t) < t->schedule.steps)
        return save(t, err);
    if (!status)
        unlink(t->state_path);
    return status;
}

static void close_all(struct trainer *t)
{
    train_log_close(&t->log);
    json_decref(t->settings);
    data_order_free(&t->order);
    dataset_free(&t->data);
    dataset_free(&t->eval);
    optimizer_free(&t->optimizer);
    network_free(t->network);
    thread_pool_free(t->pool);
    chat_template_free(t->chat);
    tokenizer_free(t->tokenizer);
    weights_free(&t->weights);
    checkpoint_close(t->checkpoint);
    mem_free(t->state_path);
    mem_free(t->step_examples);
    mem_free(t->tokens);
    mem_free(t->targets);
    mem_free(t->starts);
}

enum status trainer_run(const struct trainer_options *options, struct trainer_result *result,
                        struct error *err)
{
    static enum status (*const stages[])(struct trainer * t, struct error * err) = {
        open_model, open_text,   choose_sizes, load_data, make_network,
        make_batch, count_steps, describe_run, begin,     run_steps};
    struct trainer t = {.options = options, .result = result};
    *result = (struct trainer_result){.loss = (double)NAN, .eval_loss = (double)NAN};
    enum status status = STATUS_OK;
    for (size_t i = 0; i < sizeof stages / sizeof *stages && !status; i++)
        status = stages[i](&t, err);
    result->step = t.optimizer.step;
    result->tokens_per_second = result->seconds > 0 ? (double)result->tokens / result->seconds : 0;
    close_all(&t);
    return status;
}
