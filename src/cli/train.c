/* tandem train: train a model, or adapters on one. */
#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/progress.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "cli/models.h"
#include "train/trainer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t stop_requested;

static void request_stop(int signal)
{
    (void)signal;
    stop_requested = 1;
}

struct display {
    struct progress bar;
    bool quiet;
};

static void show_progress(void *context, const struct train_progress *p)
{
    struct display *d = context;
    char detail[120], eval[40] = "";
    if (d->quiet)
        return;
    if (!isnan(p->eval_loss))
        snprintf(eval, sizeof eval, ", held out %.4f", p->eval_loss);
    snprintf(detail, sizeof detail, "loss %.4f%s, %.0f tokens/s", p->loss, eval,
             p->tokens_per_second);
    d->bar.total = p->steps;
    if (isatty(STDERR_FILENO)) {
        progress_update(&d->bar, p->step, detail);
    } else if (p->evaluated || p->saved || p->step == p->steps || p->step % 100 == 0) {
        double now = clock_seconds(), left = 0;
        if (!d->bar.started) {
            d->bar.started = now;
            d->bar.drawn = (double)p->step; /* where timing began */
        } else if ((double)p->step > d->bar.drawn) {
            left = (now - d->bar.started) / ((double)p->step - d->bar.drawn) *
                   (double)(p->steps - p->step);
        }
        fprintf(stderr, "step %zu of %zu: %s, %.0f s left\n", p->step, p->steps, detail, left);
    }
}

static void print_json(const struct trainer_options *o, const struct trainer_result *r)
{
    struct strbuf text = {0};
    json_t *json = json_pack(
        "{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:I}", "out", o->out, "steps",
        (json_int_t)r->step, "parameters", (json_int_t)r->parameters, "trained_parameters",
        (json_int_t)r->trained_parameters, "examples", (json_int_t)r->n_examples, "too_long",
        (json_int_t)r->n_too_long, "without_answer", (json_int_t)r->n_empty, "tokens",
        (json_int_t)r->tokens, "eval_examples", (json_int_t)r->n_eval_examples, "seconds",
        r->seconds, "tokens_per_second", r->tokens_per_second, "memory", (json_int_t)r->memory);
    if (!isnan(r->loss))
        json_object_set_new(json, "loss", json_real(r->loss));
    if (!isnan(r->eval_loss))
        json_object_set_new(json, "eval_loss", json_real(r->eval_loss));
    json_write(&text, json, true);
    puts(strbuf_text(&text));
    strbuf_free(&text);
    json_decref(json);
}

static void print_result(const struct trainer_options *o, const struct trainer_result *r)
{
    printf("%s: step %zu, %zu of %zu parameters trained\n", o->out, r->step, r->trained_parameters,
           r->parameters);
    printf("%zu examples", r->n_examples);
    if (r->n_too_long)
        printf(", %zu more left out as too long (the longest has %zu tokens)", r->n_too_long,
               r->longest);
    if (r->n_empty)
        printf(", %zu more left out: no answer to learn", r->n_empty);
    printf("\n%zu tokens in %.1f s, %.0f tokens/s, %.0f MiB\n", r->tokens, r->seconds,
           r->tokens_per_second, (double)r->memory / 1048576);
    if (!isnan(r->loss))
        printf("loss %.4f", r->loss);
    if (!isnan(r->eval_loss))
        printf(", on held-out data %.4f", r->eval_loss);
    putchar('\n');
}

static bool parse_type(const char *name, enum tensor_type *type)
{
    if (!tensor_type_parse(name, type))
        return false;
    return *type == TYPE_F32 || *type == TYPE_BF16;
}

/* NULL, or what is wrong with the options. */
static const char *find_conflict(const struct trainer_options *o)
{
    if (!o->model || !o->data || !o->out)
        return "--model, --data and --out are needed";
    if (!strcmp(o->model, o->out))
        return "--out must be another folder than --model";
    if (!o->optimizer.steps && !o->epochs)
        return "--steps N or --epochs N is needed";
    if (o->optimizer.steps && o->epochs)
        return "--steps and --epochs exclude each other";
    if (!o->batch_tokens)
        return "--batch-tokens must be at least 1";
    if (o->optimizer.rate <= 0 || o->optimizer.clip < 0 || o->optimizer.weight_decay < 0)
        return "--lr must be above 0, --clip and --weight-decay not below";
    if (o->lora && (!o->lora->rank || o->lora->alpha <= 0))
        return "--rank and --alpha must be above 0";
    if (o->lora && o->from_scratch)
        return "--lora and --from-scratch exclude each other";
    return NULL;
}

static int run(struct trainer_options *o, bool json, bool quiet)
{
    struct display display = {.bar = {.label = "training"}, .quiet = quiet};
    struct trainer_result result;
    struct error err = {0};
    struct sigaction action = {.sa_handler = request_stop};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    o->stop = &stop_requested;
    o->report = show_progress;
    o->context = &display;
    enum status status = trainer_run(o, &result, &err);
    if (isatty(STDERR_FILENO) && !quiet)
        progress_finish(&display.bar);
    if (status)
        return report_error(&err);
    if (json)
        print_json(o, &result);
    else if (!quiet)
        print_result(o, &result);
    return finish_output();
}

int command_train(int argc, char **argv)
{
    struct trainer_options o = {
        .batch_tokens = 4096, .save_every = 200, .seed = 1, .optimizer = optimizer_defaults};
    struct lora_options lora = {.rank = 16, .alpha = 32};
    struct optimizer_options *s = &o.optimizer;
    const char *type = "bf16";
    bool use_lora = false, json = false, quiet = false;
    const struct option options[] = {
        {"model", 'm', OPTION_STRING, &o.model, "MODEL",
         "what to train: a path or a name (a new model if it is a folder without weights)"},
        {"data", 'd', OPTION_STRING, &o.data, "FILE", "JSON lines: {\"messages\": [...]}"},
        {"eval", 0, OPTION_STRING, &o.eval, "FILE", "held-out data of the same form"},
        {"out", 'o', OPTION_STRING, &o.out, "DIR", "the result, the log and the checkpoints"},
        {"steps", 's', OPTION_SIZE, &s->steps, "N", "updates to make"},
        {"epochs", 'e', OPTION_SIZE, &o.epochs, "N", "instead: times to go through the data"},
        {"stop-after", 0, OPTION_SIZE, &o.stop_after, "N",
         "write the result after step N of the schedule; --resume goes on"},
        {"batch-tokens", 'b', OPTION_SIZE, &o.batch_tokens, "N", "tokens per update (4096)"},
        {"micro-tokens", 0, OPTION_SIZE, &o.micro_tokens, "N",
         "tokens in memory at a time; gradients accumulate (4096)"},
        {"max-length", 0, OPTION_SIZE, &o.max_length, "N", "leave longer examples out"},
        {"lr", 0, OPTION_NUMBER, &s->rate, "X", "peak learning rate (0.001)"},
        {"final-lr", 0, OPTION_NUMBER, &s->final_rate, "X", "its share at the end (0.1)"},
        {"warmup", 0, OPTION_SIZE, &s->warmup, "N", "steps of linear warm-up (0)"},
        {"weight-decay", 0, OPTION_NUMBER, &s->weight_decay, "X", "of matrices (0.1)"},
        {"clip", 0, OPTION_NUMBER, &s->clip, "X", "largest norm of the gradient; 0: any (1)"},
        {"seed", 0, OPTION_U64, &o.seed, "N", "of weights and of the data's order (1)"},
        {"from-scratch", 0, OPTION_FLAG, &o.from_scratch, NULL, "ignore the model's weights"},
        {"lora", 0, OPTION_FLAG, &use_lora, NULL, "train adapters, leave the model as it is"},
        {"rank", 'r', OPTION_SIZE, &lora.rank, "N", "LoRA: rank (16)"},
        {"alpha", 0, OPTION_NUMBER, &lora.alpha, "X", "LoRA: scale is alpha / rank (32)"},
        {"targets", 0, OPTION_STRING, &o.lora_targets, "A,B", "LoRA: modules (all linear maps)"},
        {"eval-every", 0, OPTION_SIZE, &o.eval_every, "N", "steps (0: at the end)"},
        {"save-every", 0, OPTION_SIZE, &o.save_every, "N", "steps between checkpoints (200)"},
        {"resume", 0, OPTION_FLAG, &o.resume, NULL, "go on from the checkpoint in --out"},
        {"dtype", 0, OPTION_STRING, &type, "T", "of the written weights: bf16 or f32 (bf16)"},
        {"bf16", 0, OPTION_FLAG, &o.bf16, NULL,
         "products in BF16 with F32 sums, weights, gradients and optimizer in F32: mixed "
         "precision; twice as fast where the CPU has AMX"},
        {"threads", 't', OPTION_THREADS, &o.threads, "N", "threads (all CPUs)"},
        {"json", 0, OPTION_FLAG, &json, NULL, "print the result as JSON"},
        {"quiet", 'q', OPTION_FLAG, &quiet, NULL, "print nothing but errors"},
        {0}};
    struct usage usage = {
        "train",
        "",
        "Train a model, or adapters (LoRA) on one, on chats. Only the assistant's "
        "answers are learned.\nDIR receives train.jsonl (the log) and training.state, with which "
        "--resume goes on exactly;\nCtrl-C saves and stops.",
        options,
        0,
        0,
        "  tandem train --model shapes/small --data chats.jsonl --out my-model --epochs 3\n"
        "  tandem train --model my-model --lora --data task.jsonl --out my-adapter --steps 200\n"};
    struct args args;
    int status = args_parse(&usage, argc, argv, &args);
    if (status != ARGS_OK)
        return status;
    args_free(&args);
    o.lora = use_lora ? &lora : NULL;
    const char *conflict = find_conflict(&o);
    if (conflict)
        return args_wrong(&usage, "%s", conflict);
    if (!parse_type(type, &o.type))
        return args_wrong(&usage, "--dtype %s: expected bf16 or f32", type);
    char *path = models_locate(o.model);
    o.model = path;
    status = path ? run(&o, json, quiet) : args_wrong(&usage, "out of memory");
    mem_free(path);
    return status;
}
