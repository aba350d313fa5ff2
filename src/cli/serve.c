/* tandem serve: an OpenAI-compatible API over HTTP. */
#include "serve/serve.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "cli/models.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { MAX_MODELS = 64 };

struct serve_command {
    struct serve_options options;
    struct served_model models[MAX_MODELS];
    char *names[MAX_MODELS]; /* owned */
    size_t drain_seconds, memory_mib;
};

/* "models/qwen/" -> "qwen", "a/b.gguf" -> "b"; mem_free. */
static char *name_of(const char *path)
{
    char *copy = mem_copy_string(path);
    size_t n = copy ? strlen(copy) : 0;
    while (n > 1 && copy[n - 1] == '/')
        copy[--n] = 0;
    if (n > 5 && !strcmp(copy + n - 5, ".gguf"))
        copy[n - 5] = 0;
    char *name = copy ? mem_copy_string(file_base_name(copy)) : NULL;
    mem_free(copy);
    return name;
}

static int name_models(const struct usage *usage, struct serve_command *c, const struct args *args)
{
    for (size_t i = 0; i < args->n_operands; i++) {
        c->names[i] = name_of(args->operands[i]);
        if (!c->names[i])
            return args_wrong(usage, "out of memory");
        for (size_t j = 0; j < i; j++)
            if (!strcmp(c->names[i], c->names[j]))
                return args_wrong(usage, "two models would have the name %s", c->names[i]);
        c->models[i] = (struct served_model){.name = c->names[i], .path = args->operands[i]};
    }
    c->options.models = c->models;
    c->options.n_models = args->n_operands;
    return ARGS_OK;
}

static void signals_to_wait_for(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
}

/* Until a signal comes; then what runs may end, but not after a second signal. */
static void wait_for_end(struct server *server, const sigset_t *signals, size_t drain_seconds)
{
    static const struct timespec tick = {.tv_nsec = 20000000};
    int number;
    sigwait(signals, &number);
    fprintf(stderr, "tandem: shutting down; answers that are being made have %zu seconds\n",
            drain_seconds);
    server_drain(server);
    double deadline = clock_seconds() + (double)drain_seconds;
    while (server_active(server) > 0 && clock_seconds() < deadline)
        if (sigtimedwait(signals, NULL, &tick) > 0)
            return;
}

static int serve(struct serve_command *c)
{
    struct server *server;
    struct error err = {0};
    sigset_t signals;
    signals_to_wait_for(&signals);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); /* in every thread: this one waits for them */
    if (server_start(&c->options, &server, &err))
        return report_error(&err);
    printf("tandem serves %s\n", server_url(server));
    fflush(stdout);
    wait_for_end(server, &signals, c->drain_seconds);
    server_stop(server);
    return finish_output();
}

int command_serve(int argc, char **argv)
{
    struct serve_command c = {.options = serve_defaults, .drain_seconds = 30};
    struct serve_options *o = &c.options;
    const struct option options[] = {
        {"host", 0, OPTION_STRING, &o->host, "ADDRESS", "listen there (127.0.0.1)"},
        {"port", 0, OPTION_SIZE, &o->port, "N", "TCP port (7860); 0: any free one"},
        {"threads", 't', OPTION_SIZE, &o->engine.n_threads, "N", "threads (all CPUs)"},
        {"context", 'c', OPTION_SIZE, &o->engine.context_length, "N", "most tokens (the model's)"},
        {"parallel", 0, OPTION_SIZE, &o->engine.max_sequences, "N", "answers at once (16)"},
        {"memory", 0, OPTION_SIZE, &c.memory_mib, "MIB", "for all models (3/4 of what is free)"},
        {"drain", 0, OPTION_SIZE, &c.drain_seconds, "S", "for answers at shutdown (30)"},
        {0}};
    const struct usage usage = {
        "serve",
        "[MODEL...]",
        "Serves models over HTTP with OpenAI's API: docs/serving.md. The first is loaded at once,\n"
        "others when they are asked for. SIGTERM or Ctrl-C ends it once running answers are done.",
        options,
        0,
        MAX_MODELS,
        "  tandem serve models/qwen models/phi --port 7860\n"
        "  curl http://127.0.0.1:7860/v1/models\n",
        .n_models = MAX_MODELS,
        .default_model = DEFAULT_MODEL};
    struct args args;
    int status = args_parse(&usage, argc, argv, &args);
    if (status == ARGS_OK) {
        status = name_models(&usage, &c, &args);
        o->memory = c.memory_mib << 20;
        if (status == ARGS_OK)
            status = serve(&c);
        args_free(&args);
    }
    for (size_t i = 0; i < MAX_MODELS; i++)
        mem_free(c.names[i]);
    return status;
}
