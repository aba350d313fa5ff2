/* tandem serve: an OpenAI-compatible API over HTTP. */
#include "serve/serve.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "cli/adapters.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "cli/engine_options.h"
#include "cli/models.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_MODELS = 64 };
#define DEFAULT_RUNS "out"

struct serve_command {
    struct serve_options options;
    struct served_model models[MAX_MODELS];
    char *names[MAX_MODELS]; /* owned */
    struct string_list adapter_words;
    struct adapter_list adapters;
    struct served_adapter *served_adapters; /* with names of their own */
    size_t drain_seconds, answer_seconds, receive_seconds, memory_mib, body_mib;
    const char *key_file, *certificate_file, *private_key_file;
    struct string_list hosts, keys;
    char *texts[4]; /* owned: what keys and TLS were read into */
    bool quiet;
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
        if (!utf8_valid(c->names[i], strlen(c->names[i])))
            return args_wrong(usage, "the name of model %zu is not UTF-8", i + 1);
        for (size_t j = 0; j < i; j++)
            if (!strcmp(c->names[i], c->names[j]))
                return args_wrong(usage, "two models would have the name %s", c->names[i]);
        c->models[i] = (struct served_model){.name = c->names[i], .path = args->operands[i]};
    }
    c->options.models = c->models;
    c->options.n_models = args->n_operands;
    return ARGS_OK;
}

/* The option's file as the command's text number `index`; `text` may be NULL. */
static enum status read_text(struct serve_command *c, size_t index, const char *option,
                             const char *path, const char **text, struct error *err)
{
    size_t size;
    if (!path)
        return STATUS_OK;
    enum status status = file_read(path, (size_t)1 << 20, &c->texts[index], &size, err);
    if (status)
        return error_prefix(err, "%s", option);
    if (text)
        *text = c->texts[index];
    return STATUS_OK;
}

/* Keys of a text, with blanks or lines between them; lines that begin with # are remarks. */
static bool add_keys(struct serve_command *c, char *text)
{
    char *line_state = NULL;
    for (char *line = strtok_r(text, "\n", &line_state); line;
         line = strtok_r(NULL, "\n", &line_state)) {
        char *state = NULL;
        if (*line == '#')
            continue;
        for (char *key = strtok_r(line, " \t\r", &state); key;
             key = strtok_r(NULL, " \t\r", &state)) {
            if (!mem_grow(&c->keys.items, &c->keys.capacity, c->keys.count, sizeof *c->keys.items))
                return false;
            c->keys.items[c->keys.count++] = key;
        }
    }
    return true;
}

static enum status read_secrets(struct serve_command *c, struct error *err)
{
    struct serve_options *o = &c->options;
    const char *keys = getenv("TANDEM_API_KEYS");
    enum status status = read_text(c, 0, "--tls-cert", c->certificate_file, &o->certificate, err);
    if (!status)
        status = read_text(c, 1, "--tls-key", c->private_key_file, &o->private_key, err);
    if (!status)
        status = read_text(c, 2, "--api-key-file", c->key_file, NULL, err);
    if (status)
        return status;
    c->texts[3] = keys ? mem_copy_string(keys) : NULL;
    for (size_t i = 2; i < 4; i++)
        if (c->texts[i] && !add_keys(c, c->texts[i]))
            return error_memory(err, "the keys");
    if (c->key_file && c->keys.count == 0)
        return error_set(err, STATUS_INVALID, "--api-key-file: %s holds no key", c->key_file);
    if (keys && c->keys.count == 0) /* who sets it does not want a server that is open to all */
        return error_set(
            err, STATUS_INVALID,
            "TANDEM_API_KEYS is set, but holds no key: unset it to serve without keys");
    o->keys = c->keys.items;
    o->n_keys = c->keys.count;
    return STATUS_OK;
}

/* Numbers that mean something. */
static int check_numbers(const struct usage *usage, const struct serve_command *c)
{
    static const size_t MOST_SECONDS = 10000000, MOST_MIB = SIZE_MAX >> 20;
    const struct {
        const char *name;
        size_t value, least, most;
    } numbers[] = {{"port", c->options.port, 0, 65535},
                   {"parallel", c->options.engine.max_sequences, 1, 1024},
                   {"queue", c->options.max_queue, 0, 1000000},
                   {"memory", c->memory_mib, 0, MOST_MIB},
                   {"max-body", c->body_mib, 1, MOST_MIB},
                   {"timeout", c->answer_seconds, 1, MOST_SECONDS},
                   {"receive-timeout", c->receive_seconds, 1, MOST_SECONDS},
                   {"drain", c->drain_seconds, 0, MOST_SECONDS}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i].value < numbers[i].least || numbers[i].value > numbers[i].most)
            return args_wrong(usage, "--%s %zu: expected %zu to %zu", numbers[i].name,
                              numbers[i].value, numbers[i].least, numbers[i].most);
    return ARGS_OK;
}

/* Names as requests will have them, so that none waits for a request that cannot come. */
static int check_names(const struct usage *usage, const struct serve_command *c)
{
    const char *origin = c->options.cors_origin;
    const char *host = origin ? strstr(origin, "://") : NULL;
    if (origin && strcmp(origin, "*") != 0 && (!host || !host[3] || strchr(host + 3, '/')))
        return args_wrong(usage,
                          "--cors %s: expected an origin as browsers send it (https://page.example "
                          "or http://localhost:3000, without a path) or *",
                          origin);
    for (size_t i = 0; i < c->hosts.count; i++) {
        const char *name = c->hosts.items[i];
        if (!*name || name[strcspn(name, *name == '[' ? "/" : "/:")])
            return args_wrong(usage, "--allow-host %s: expected a name without port or path", name);
    }
    return ARGS_OK;
}

/* Options in the units of the command line to those of the server. */
static void take_options(struct serve_command *c)
{
    struct serve_options *o = &c->options;
    o->memory = c->memory_mib << 20;
    o->max_body = c->body_mib << 20;
    o->hosts = c->hosts.items;
    o->n_hosts = c->hosts.count;
    o->answer_seconds = (double)c->answer_seconds;
    o->receive_seconds = (double)c->receive_seconds;
    o->log_to_stderr = !c->quiet;
    if (!*o->log_path)
        o->log_path = NULL;
    if (!o->runs && file_is_directory(DEFAULT_RUNS))
        o->runs = DEFAULT_RUNS;
    else if (o->runs && !*o->runs)
        o->runs = NULL;
}

static enum status name_adapters(struct serve_command *c, struct error *err)
{
    size_t n = c->adapter_words.count;
    enum status status = adapters_add(&c->adapters, c->adapter_words.items, n, err);
    c->served_adapters = mem_array(n, sizeof *c->served_adapters);
    for (size_t i = 0; i < n && !status; i++) {
        struct served_adapter *adapter = &c->served_adapters[i];
        *adapter =
            (struct served_adapter){name_of(c->adapters.items[i].path), c->adapters.items[i]};
        if (!adapter->name)
            return error_memory(err, "the adapters");
        c->options.n_adapters = i + 1;
        status = engine_adapter_check(adapter->choice.path, err); /* told now, not to a client */
        for (size_t j = 0; j < i; j++)
            if (!strcmp(adapter->name, c->served_adapters[j].name))
                return error_set(err, STATUS_INVALID, "two adapters would have the name %s",
                                 adapter->name);
    }
    c->options.adapters = c->served_adapters;
    return status;
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
    if (name_adapters(c, &err) || read_secrets(c, &err) || server_start(&c->options, &server, &err))
        return report_error(&err);
    if (c->keys.count == 0 && !server_is_local(server))
        log_warning("anyone who reaches %s may use it: --api-key-file asks for keys",
                    server_url(server));
    printf("tandem serves %s\n", server_url(server));
    fflush(stdout);
    wait_for_end(server, &signals, c->drain_seconds);
    server_stop(server);
    return finish_output();
}

static void free_command(struct serve_command *c)
{
    for (size_t i = 0; i < MAX_MODELS; i++)
        mem_free(c->names[i]);
    for (size_t i = 0; i < sizeof c->texts / sizeof *c->texts; i++)
        mem_free(c->texts[i]);
    mem_free(c->keys.items);
    mem_free(c->hosts.items);
    for (size_t i = 0; i < c->options.n_adapters; i++)
        mem_free((char *)(uintptr_t)c->served_adapters[i].name);
    mem_free(c->served_adapters);
    adapters_clear(&c->adapters);
    mem_free(c->adapter_words.items);
}

int command_serve(int argc, char **argv)
{
    struct serve_command c = {.options = serve_defaults,
                              .drain_seconds = 30,
                              .receive_seconds = (size_t)serve_defaults.receive_seconds,
                              .body_mib = serve_defaults.max_body >> 20,
                              .answer_seconds = (size_t)serve_defaults.answer_seconds};
    struct serve_options *o = &c.options;
    const struct option options[] = {
        {"host", 0, OPTION_STRING, &o->host, "ADDRESS", "listen there (127.0.0.1)"},
        {"port", 0, OPTION_SIZE, &o->port, "N", "TCP port (7860); 0: any free one"},
        ADAPTER_OPTION(c.adapter_words),
        QUANTIZE_OPTION(o->engine.quantize),
        {"threads", 't', OPTION_THREADS, &o->engine.n_threads, "N", "threads (all CPUs)"},
        {"context", 'c', OPTION_SIZE, &o->engine.context_length, "N", "most tokens (the model's)"},
        KV_TYPE_OPTION(o->engine.kv_type, "f16"),
        SPECULATE_OPTION(o->engine.speculate),
        DRAFT_OPTION(o->engine.draft),
        {"parallel", 0, OPTION_SIZE, &o->engine.max_sequences, "N", "answers at once (16)"},
        {"memory", 0, OPTION_SIZE, &c.memory_mib, "MIB", "for all models (3/4 of what is free)"},
        {"queue", 0, OPTION_SIZE, &o->max_queue, "N", "answers that may wait, per model (256)"},
        {"timeout", 0, OPTION_SIZE, &c.answer_seconds, "S", "for one request's answer (600)"},
        {"receive-timeout", 0, OPTION_SIZE, &c.receive_seconds, "S", "to send a request (30)"},
        {"api-key-file", 0, OPTION_STRING, &c.key_file, "FILE", "ask for one of the keys in FILE"},
        {"tls-cert", 0, OPTION_STRING, &c.certificate_file, "FILE", "serve https: PEM certificate"},
        {"tls-key", 0, OPTION_STRING, &c.private_key_file, "FILE", "its private key, PEM"},
        {"cors", 0, OPTION_STRING, &o->cors_origin, "ORIGIN", "pages that may ask (none); * all"},
        {"allow-host", 0, OPTION_LIST, &c.hosts, "NAME", "answer to it besides localhost"},
        {"max-body", 0, OPTION_SIZE, &c.body_mib, "MIB", "of a request (8)"},
        {"runs", 0, OPTION_STRING, &o->runs, "DIR",
         "show the reports below it (out, if it exists)"},
        {"log", 0, OPTION_STRING, &o->log_path, "FILE", "requests as JSON lines (server.log)"},
        {"log-prompts", 0, OPTION_FLAG, &o->log_prompts, NULL, "log requests' texts, too"},
        {"quiet", 'q', OPTION_FLAG, &c.quiet, NULL, "no log on stderr"},
        {"drain", 0, OPTION_SIZE, &c.drain_seconds, "S", "for answers at shutdown (30)"},
        {0}};
    const struct usage usage = {
        "serve",
        "[MODEL...]",
        "Serves models over HTTP: a web page, and OpenAI's API; docs/serving.md. The first model "
        "is\n"
        "loaded at once, others when they are asked for. SIGTERM or Ctrl-C ends it once running\n"
        "answers are done. API keys may also stand in the environment variable TANDEM_API_KEYS.",
        options,
        0,
        MAX_MODELS,
        "  tandem serve models/qwen models/phi --port 7860 --runs reports\n"
        "  curl http://127.0.0.1:7860/v1/models\n",
        .n_models = MAX_MODELS,
        .default_model = DEFAULT_MODEL};
    struct args args;
    struct error err = {0};
    int status = args_parse(&usage, argc, argv, &args);
    if (status == ARGS_OK) {
        status = !c.certificate_file == !c.private_key_file
                     ? name_models(&usage, &c, &args)
                     : args_wrong(&usage, "--tls-cert and --tls-key belong together");
        if (status == ARGS_OK)
            status = check_numbers(&usage, &c);
        if (status == ARGS_OK)
            status = check_names(&usage, &c);
        take_options(&c);
        if (engine_options_check(&o->engine, &err))
            status = args_wrong(&usage, "%s", err.message);
        if (o->runs && !file_is_directory(o->runs))
            status = args_wrong(&usage, "--runs: %s is not a folder", o->runs);
        if (status == ARGS_OK)
            status = serve(&c);
        args_free(&args);
    }
    free_command(&c);
    return status;
}
