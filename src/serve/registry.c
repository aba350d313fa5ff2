#include "serve/registry.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { RETRY_SECONDS = 2 };

enum residence { UNLOADED, LOADING, LOADED };

/* A model that is served, in memory or not. */
struct resident {
    const char *model, *path;
    const struct served_adapter *adapter; /* NULL: none */
    char *name;                           /* "model" or "model:adapter" */
    uint64_t adapter_stamp;               /* of the adapter's files as they were last read */
    size_t file_bytes;                    /* of the weights, and of the draft model's */
    enum residence state;
    struct engine *engine;
    size_t bytes; /* of the budget */
    size_t n_leases, n_answers, n_loads;
    double last_used;
    struct model_metrics metrics;
};

struct registry {
    struct serve_options options;
    struct access_log *log;
    pthread_mutex_t mutex;
    pthread_cond_t changed;     /* a model was loaded, or is not used any more */
    struct resident *residents; /* [n_residents] */
    size_t n_residents;
    size_t budget, used; /* bytes */
    time_t created;
};

/* --- Sizes --- */

static size_t file_size(const char *path)
{
    struct stat info;
    return stat(path, &info) ? 0 : (size_t)info.st_size;
}

static bool holds_weights(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot && (!strcmp(dot, ".safetensors") || !strcmp(dot, ".gguf"));
}

/* What the weights of a checkpoint take, before it is opened. */
static size_t weight_file_bytes(const char *path)
{
    if (!file_is_directory(path))
        return file_size(path);
    DIR *folder = opendir(path);
    const struct dirent *entry;
    size_t sum = 0;
    while (folder && (entry = readdir(folder)))
        if (holds_weights(entry->d_name)) {
            char *file = file_join(path, entry->d_name);
            sum += file ? file_size(file) : 0;
            mem_free(file);
        }
    if (folder)
        closedir(folder);
    return sum;
}

/* What an engine of the model will hold at least: its weights, and those of the draft model. */
static size_t needed_bytes(const struct registry *r, const struct served_model *model)
{
    const char *draft = r->options.engine.draft;
    return weight_file_bytes(model->path) + (draft ? weight_file_bytes(draft) : 0);
}

/* What its weights leave of the budget. */
static size_t rest_of_budget(const struct registry *r, const struct resident *m)
{
    return r->budget > m->file_bytes ? r->budget - m->file_bytes : 0;
}

/* The cache without which a model is not worth loading. */
static size_t least_cache(const struct registry *r, const struct resident *m)
{
    return size_min((size_t)64 << 20, rest_of_budget(r, m));
}

/* The budget less the weights of all models, in equal shares where that leaves something worth
 * having; else the model has the memory to itself while it is loaded. */
static size_t cache_share(const struct registry *r, const struct resident *m)
{
    size_t weights = 0, rest = rest_of_budget(r, m);
    for (size_t i = 0; i < r->n_residents; i++)
        weights += r->residents[i].adapter ? 0 : r->residents[i].file_bytes;
    size_t share = r->budget > weights ? (r->budget - weights) / r->n_residents : 0;
    return share >= least_cache(r, m) ? share : rest;
}

static size_t engine_bytes(const struct engine *engine)
{
    struct engine_info info = engine_info(engine);
    return info.weight_bytes + info.kv_bytes + info.scratch_bytes + info.draft_bytes;
}

/* --- Adapters --- */

/* Changes when one of the adapter's files does; 0 where there is none, or one of them is gone. */
static uint64_t adapter_stamp(const struct resident *m)
{
    static const char *const names[] = {"adapter_config.json", "adapter_model.safetensors"};
    uint64_t stamp = 1;
    for (size_t i = 0; m->adapter && i < sizeof names / sizeof *names; i++) {
        struct stat info;
        char *path = file_join(m->adapter->choice.path, names[i]);
        bool is_there = path && !stat(path, &info);
        mem_free(path);
        if (!is_there)
            return 0;
        const uint64_t parts[] = {(uint64_t)info.st_mtim.tv_sec, (uint64_t)info.st_mtim.tv_nsec,
                                  (uint64_t)info.st_size, info.st_ino};
        for (size_t j = 0; j < sizeof parts / sizeof *parts; j++)
            stamp = (stamp ^ parts[j]) * 1099511628211u;
    }
    return m->adapter ? stamp : 0;
}

/* Whether an adapter in memory has to make way for what its files hold by now. One that is gone,
 * or cannot be read, does not: what is in memory goes on answering. */
static bool adapter_changed(const struct registry *r, struct resident *m)
{
    struct error err = {0};
    uint64_t stamp = adapter_stamp(m);
    if (stamp == 0 || stamp == m->adapter_stamp)
        return false;
    if (!engine_adapter_check(m->adapter->choice.path, &err))
        return true;
    m->adapter_stamp = stamp; /* tried again when it changes again */
    access_log_write(r->log, json_pack("{s:s, s:s, s:s}", "event", "adapter_reload_failed", "model",
                                       m->name, "error", err.message));
    return false;
}

/* --- Loading --- */

static void unload(struct registry *r, struct resident *m)
{
    access_log_write(r->log, json_pack("{s:s, s:s, s:I}", "event", "model_unloaded", "model",
                                       m->name, "memory_bytes", (json_int_t)m->bytes));
    engine_close(m->engine);
    m->engine = NULL;
    m->state = UNLOADED;
    r->used -= m->bytes;
    m->bytes = 0;
}

/* The idle model that was unused the longest; false where all are busy. */
static bool unload_oldest(struct registry *r)
{
    struct resident *oldest = NULL;
    for (size_t i = 0; i < r->n_residents; i++) {
        struct resident *m = &r->residents[i];
        if (m->state == LOADED && m->n_leases == 0 && (!oldest || m->last_used < oldest->last_used))
            oldest = m;
    }
    if (oldest)
        unload(r, oldest);
    return oldest;
}

/* Unloads idle models until `bytes` more fit; false, and they stay, where that is not enough. */
static bool make_room(struct registry *r, size_t bytes)
{
    size_t in_use = r->used;
    for (size_t i = 0; i < r->n_residents; i++) {
        const struct resident *m = &r->residents[i];
        in_use -= m->state == LOADED && m->n_leases == 0 ? m->bytes : 0;
    }
    if (in_use + bytes > r->budget)
        return false;
    while (r->used + bytes > r->budget && unload_oldest(r))
        ;
    return true;
}

/* Back into the budget, but for a model that is alone: it would only be loaded again. Models may
 * turn out larger than their files, and those in use have to stay until they are not. */
static void keep_budget(struct registry *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_residents; i++)
        n += r->residents[i].state == LOADED;
    while (r->used > r->budget && n-- > 1 && unload_oldest(r))
        ;
}

static bool refuse_room(const struct registry *r, const struct resident *m, struct api_error *error)
{
    static const double MIB = 1 << 20;
    if (m->file_bytes > r->budget)
        return api_refuse(error, 503, "out_of_memory", "model",
                          "%s needs %.0f MiB for its weights alone, and the budget for all models "
                          "is %.0f MiB: serve a smaller or more strongly quantized model, or raise "
                          "--memory",
                          m->name, (double)m->file_bytes / MIB, (double)r->budget / MIB);
    api_refuse(error, 503, "models_busy", "model",
               "%s needs %.0f MiB for weights and at least %.0f for its cache, and models in use "
               "hold %.0f of the %.0f MiB for all models: try again, or raise --memory",
               m->name, (double)m->file_bytes / MIB, (double)least_cache(r, m) / MIB,
               (double)r->used / MIB, (double)r->budget / MIB);
    error->retry_after = RETRY_SECONDS;
    return false;
}

static bool refuse_load(struct registry *r, const struct resident *m, const struct error *err,
                        struct api_error *error)
{
    static const double MIB = 1 << 20;
    access_log_write(r->log, json_pack("{s:s, s:s, s:s, s:I, s:I, s:I}", "event",
                                       "model_load_failed", "model", m->name, "error", err->message,
                                       "file_bytes", (json_int_t)m->file_bytes, "used_bytes",
                                       (json_int_t)r->used, "budget_bytes", (json_int_t)r->budget));
    if (err->status == STATUS_MEMORY)
        return api_refuse(error, 503, "out_of_memory", "model",
                          "%s cannot be loaded: %s; its weights take %.0f MiB, other models %.0f, "
                          "and %.0f MiB are free on this machine: serve fewer or smaller models, a "
                          "shorter --context or fewer answers at once (--parallel)",
                          m->name, err->message, (double)m->file_bytes / MIB, (double)r->used / MIB,
                          (double)mem_available() / MIB);
    bool is_misfit = m->adapter && err->status == STATUS_INVALID; /* for another model */
    return api_refuse(error, is_misfit ? 400 : 503, "model_load_failed", "model",
                      "%s cannot be loaded: %s", m->name, err->message);
}

static void log_loaded(const struct registry *r, const struct resident *m)
{
    struct engine_info info = engine_info(m->engine);
    access_log_write(r->log,
                     json_pack("{s:s, s:s, s:s, s:I, s:I, s:f}", "event", "model_loaded", "model",
                               m->name, "path", m->path, "memory_bytes", (json_int_t)m->bytes,
                               "context_length", (json_int_t)info.context_length, "load_seconds",
                               info.load_seconds));
}

/* Called, and returns, under the mutex, which it lets go while the model is read. There is room for
 * its weights and the least cache. */
static bool load(struct registry *r, struct resident *m, struct api_error *error)
{
    struct error err = {0};
    struct engine_options options = r->options.engine;
    size_t room = r->budget - r->used - m->file_bytes;
    options.cache_bytes = room ? size_min(cache_share(r, m), room) : 1;
    options.adapters = m->adapter ? &m->adapter->choice : NULL;
    options.n_adapters = m->adapter ? 1 : 0;
    m->adapter_stamp = adapter_stamp(m);
    m->state = LOADING;
    m->bytes = m->file_bytes + options.cache_bytes;
    r->used += m->bytes;
    pthread_mutex_unlock(&r->mutex);
    struct engine *engine;
    enum status status = engine_open(m->path, &options, &engine, &err);
    pthread_mutex_lock(&r->mutex);
    r->used -= m->bytes;
    m->bytes = status ? 0 : engine_bytes(engine);
    r->used += m->bytes;
    m->engine = engine;
    m->state = status ? UNLOADED : LOADED;
    m->last_used = clock_seconds();
    pthread_cond_broadcast(&r->changed);
    if (status)
        return refuse_load(r, m, &err, error);
    m->n_loads++;
    log_loaded(r, m);
    m->n_leases++; /* not this one */
    keep_budget(r);
    m->n_leases--;
    return true;
}

/* --- Leases --- */

static struct resident *find(struct registry *r, const char *model, const char *adapter)
{
    for (size_t i = 0; i < r->n_residents; i++) {
        struct resident *m = &r->residents[i];
        bool same_model = !model || !strcmp(m->model, model);
        if (adapter ? same_model && m->adapter && !strcmp(m->adapter->name, adapter)
                    : !model || !strcmp(m->name, model))
            return m;
    }
    return NULL;
}

/* "a, b, c": what requests may ask for, as far as it fits. */
static void list_names(const struct registry *r, char *list, size_t size)
{
    size_t length = 0;
    *list = 0;
    for (size_t i = 0; i < r->n_residents && length < size; i++)
        length += (size_t)snprintf(list + length, size - length, "%s%s", i > 0 ? ", " : "",
                                   r->residents[i].name);
    if (length >= size)
        snprintf(list + size - sizeof " ...", sizeof " ...", " ...");
}

static bool refuse_name(const struct registry *r, const char *model, const char *adapter,
                        struct api_error *error)
{
    char names[400];
    list_names(r, names, sizeof names);
    if (adapter)
        return api_refuse(error, 404, "model_not_found", "adapter",
                          "there is no adapter \"%.200s\" for that model here, but: %s (adapters "
                          "stand behind a colon)",
                          adapter, names);
    return api_refuse(error, 404, "model_not_found", "model",
                      "there is no model \"%.200s\" here, but: %s", model, names);
}

/* Waits until something changed; false once it is `end` by clock_seconds(). */
static bool wait_for_change(struct registry *r, double end)
{
    struct timespec deadline = {.tv_sec = (time_t)end};
    deadline.tv_nsec = (long)((end - (double)deadline.tv_sec) * 1e9);
    return pthread_cond_timedwait(&r->changed, &r->mutex, &deadline) != ETIMEDOUT;
}

static bool refuse_wait(const struct registry *r, const struct resident *m, struct api_error *error)
{
    api_refuse(error, 504, "timeout", "model",
               "%s was not ready within the %g seconds that this server allows", m->name,
               r->options.answer_seconds);
    error->retry_after = RETRY_SECONDS;
    return false;
}

/* Called under the mutex; waits for what others are doing with the model, and a moment for models
 * in use that are in its way. */
static bool make_loaded(struct registry *r, struct resident *m, struct api_error *error)
{
    double begin = clock_seconds(), end = begin + r->options.answer_seconds;
    for (;;) {
        bool is_large = m->file_bytes > r->budget;
        bool is_stale = m->state == LOADED && adapter_changed(r, m);
        if (m->state == LOADED && !is_stale)
            return true;
        if (is_stale && m->n_leases == 0)
            unload(r, m);
        if (m->state != UNLOADED && !wait_for_change(r, end))
            return refuse_wait(r, m, error);
        if (m->state != UNLOADED)
            continue;
        if (!is_large && make_room(r, m->file_bytes + least_cache(r, m)))
            return load(r, m, error);
        if (is_large || !wait_for_change(r, begin + RETRY_SECONDS))
            return refuse_room(r, m, error);
    }
}

static bool take_place(const struct registry *r, struct resident *m, size_t n,
                       struct api_error *error)
{
    size_t most = r->options.engine.max_sequences + r->options.max_queue;
    if (n <= most && m->n_answers <= most - n) {
        m->n_answers += n;
        return true;
    }
    api_refuse(error, 429, "queue_full", NULL,
               "%zu answers of %s are being made or wait, and at most %zu may: try again later",
               m->n_answers, m->name, most);
    error->retry_after = RETRY_SECONDS;
    return false;
}

bool registry_acquire(struct registry *r, const char *model, const char *adapter, size_t n_answers,
                      struct lease *lease, struct api_error *error)
{
    struct resident *m = find(r, model, adapter);
    if (!m)
        return refuse_name(r, model, adapter, error);
    pthread_mutex_lock(&r->mutex);
    bool has_place = take_place(r, m, n_answers, error);
    bool ok = has_place && make_loaded(r, m, error);
    if (ok) {
        m->n_leases++;
        *lease = (struct lease){m->engine, m->name, n_answers, &m->metrics, m};
    } else if (has_place) {
        m->n_answers -= n_answers;
    }
    pthread_mutex_unlock(&r->mutex);
    return ok;
}

void registry_release(struct registry *r, struct lease *lease)
{
    struct resident *m = lease->resident;
    if (!m)
        return;
    pthread_mutex_lock(&r->mutex);
    m->n_leases--;
    m->n_answers -= lease->n_answers;
    m->last_used = clock_seconds();
    keep_budget(r);
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->mutex);
    *lease = (struct lease){0};
}

/* --- Listing --- */

static json_t *describe(const struct registry *r, const struct resident *m)
{
    json_t *entry =
        json_pack("{ss ss sI ss sb}", "id", m->name, "object", "model", "created",
                  (json_int_t)r->created, "owned_by", "tandem", "loaded", m->state == LOADED);
    if (m->adapter)
        json_object_set_new(entry, "adapter_of", json_string(m->model));
    if (m->state != LOADED)
        return entry;
    struct engine_info info = engine_info(m->engine);
    json_object_set_new(entry, "family",
                        json_string(info.family == FAMILY_PHI3 ? "Phi-3" : "Qwen2"));
    json_object_set_new(entry, "parameters", json_integer((json_int_t)info.n_parameters));
    json_object_set_new(entry, "weight_type", json_string(info.weight_type));
    json_object_set_new(entry, "context_length", json_integer((json_int_t)info.context_length));
    json_object_set_new(entry, "memory_bytes", json_integer((json_int_t)m->bytes));
    return entry;
}

json_t *registry_list(struct registry *r)
{
    json_t *data = json_array();
    pthread_mutex_lock(&r->mutex);
    for (size_t i = 0; i < r->n_residents; i++)
        json_array_append_new(data, describe(r, &r->residents[i]));
    pthread_mutex_unlock(&r->mutex);
    return json_pack("{s:s, s:o}", "object", "list", "data", data);
}

json_t *registry_describe(struct registry *r, const char *model, struct api_error *error)
{
    const struct resident *m = find(r, model, NULL);
    if (!m) {
        refuse_name(r, model, NULL, error);
        return NULL;
    }
    pthread_mutex_lock(&r->mutex);
    json_t *entry = describe(r, m);
    pthread_mutex_unlock(&r->mutex);
    return entry;
}

size_t registry_count(const struct registry *r)
{
    return r->n_residents;
}

void registry_view(struct registry *r, struct model_view *views, size_t n)
{
    pthread_mutex_lock(&r->mutex);
    for (size_t i = 0; i < n; i++) {
        struct resident *m = &r->residents[i];
        views[i] = (struct model_view){.name = m->name,
                                       .is_loaded = m->state == LOADED,
                                       .bytes = m->bytes,
                                       .n_loads = m->n_loads};
        if (m->state == LOADED)
            views[i].load = engine_load(m->engine);
        pthread_mutex_lock(&m->metrics.mutex);
        views[i].metrics = m->metrics;
        pthread_mutex_unlock(&m->metrics.mutex);
    }
    pthread_mutex_unlock(&r->mutex);
}

/* --- Creating --- */

/* One that waits by the clock of clock_seconds(). */
static void init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

static enum status load_first(struct registry *r, struct error *err)
{
    struct lease lease;
    struct api_error refusal = {0};
    if (!registry_acquire(r, NULL, NULL, 1, &lease, &refusal))
        return error_set(err, STATUS_INVALID, "%s", refusal.message);
    registry_release(r, &lease);
    return STATUS_OK;
}

/* The model, or the model with an adapter; false when out of memory. */
static bool add_resident(struct registry *r, const struct served_model *model,
                         const struct served_adapter *adapter)
{
    struct resident *m = &r->residents[r->n_residents++];
    struct strbuf name = {0};
    *m = (struct resident){.model = model->name,
                           .path = model->path,
                           .adapter = adapter,
                           .file_bytes = needed_bytes(r, model)};
    model_metrics_init(&m->metrics);
    strbuf_add(&name, model->name);
    if (adapter)
        strbuf_printf(&name, ":%s", adapter->name);
    m->name = strbuf_take(&name);
    return m->name;
}

static enum status add_residents(struct registry *r, struct error *err)
{
    const struct serve_options *o = &r->options;
    bool ok = true;
    r->residents = mem_array(o->n_models * (o->n_adapters + 1), sizeof *r->residents);
    if (!r->residents)
        return error_memory(err, "the list of models");
    for (size_t i = 0; i < o->n_models && ok; i++)
        ok = add_resident(r, &o->models[i], NULL);
    for (size_t i = 0; i < o->n_models; i++)
        for (size_t j = 0; j < o->n_adapters && ok; j++)
            ok = add_resident(r, &o->models[i], &o->adapters[j]);
    return ok ? STATUS_OK : error_memory(err, "the list of models");
}

enum status registry_create(const struct serve_options *options, struct access_log *log,
                            struct registry **out, struct error *err)
{
    *out = NULL;
    struct registry *r = mem_alloc(sizeof *r);
    if (!r)
        return error_memory(err, "the list of models");
    *r = (struct registry){.options = *options,
                           .log = log,
                           .budget = options->memory ? options->memory : mem_available() / 4 * 3,
                           .created = time(NULL)};
    pthread_mutex_init(&r->mutex, NULL);
    init_condition(&r->changed);
    enum status status = add_residents(r, err);
    if (!status)
        status = load_first(r, err);
    if (status)
        registry_free(r);
    else
        *out = r;
    return status;
}

void registry_free(struct registry *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n_residents; i++) {
        engine_close(r->residents[i].engine);
        model_metrics_destroy(&r->residents[i].metrics);
        mem_free(r->residents[i].name);
    }
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->mutex);
    mem_free(r->residents);
    mem_free(r);
}
