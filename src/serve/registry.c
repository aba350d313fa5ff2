#include "serve/registry.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"

#include <dirent.h>
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
    struct timespec adapter_time;         /* when the adapter that is loaded was written */
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

/* The budget less the weights of all models, in equal shares where that leaves something worth
 * having; else the model has the memory to itself while it is loaded. */
static size_t cache_share(const struct registry *r, const struct resident *m)
{
    size_t weights = 0, least = (size_t)64 << 20;
    size_t n = r->options.n_models;
    for (size_t i = 0; i < r->n_residents; i++)
        weights += r->residents[i].adapter ? 0 : r->residents[i].file_bytes;
    if (r->budget > weights && (r->budget - weights) / n >= least)
        return (r->budget - weights) / n;
    return r->budget > m->file_bytes ? r->budget - m->file_bytes : 1;
}

static size_t engine_bytes(const struct engine *engine)
{
    struct engine_info info = engine_info(engine);
    return info.weight_bytes + info.kv_bytes + info.scratch_bytes + info.draft_bytes;
}

/* --- Adapters --- */

static struct timespec adapter_time(const struct resident *m)
{
    struct stat info;
    char *path =
        m->adapter ? file_join(m->adapter->choice.path, "adapter_model.safetensors") : NULL;
    bool there = path && !stat(path, &info);
    mem_free(path);
    return there ? info.st_mtim : (struct timespec){0};
}

/* One that is gone stays in memory as it was. */
static bool adapter_changed(const struct resident *m)
{
    struct timespec now = adapter_time(m);
    if (now.tv_sec == 0)
        return false;
    return now.tv_sec != m->adapter_time.tv_sec || now.tv_nsec != m->adapter_time.tv_nsec;
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

/* Unloads idle models until `bytes` more fit; false if they do not. */
static bool make_room(struct registry *r, size_t bytes)
{
    while (r->used + bytes > r->budget)
        if (!unload_oldest(r))
            return false;
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
               "%s needs %.0f MiB, and models in use hold %.0f of the %.0f MiB for all models: try "
               "again, or raise --memory",
               m->name, (double)m->file_bytes / MIB, (double)r->used / MIB,
               (double)r->budget / MIB);
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
    bool is_misfit = m->adapter && err->status != STATUS_IO; /* the adapter is for another model */
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

/* Called, and returns, under the mutex, which it lets go while the model is read. */
static bool load(struct registry *r, struct resident *m, struct api_error *error)
{
    struct error err = {0};
    if (!make_room(r, m->file_bytes))
        return refuse_room(r, m, error);
    struct engine_options options = r->options.engine;
    options.cache_bytes = cache_share(r, m);
    options.adapters = m->adapter ? &m->adapter->choice : NULL;
    options.n_adapters = m->adapter ? 1 : 0;
    m->adapter_time = adapter_time(m);
    m->state = LOADING;
    m->bytes = m->file_bytes;
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

static bool refuse_name(const char *model, const char *adapter, struct api_error *error)
{
    if (adapter)
        return api_refuse(error, 404, "model_not_found", "adapter",
                          "there is no adapter \"%s\" for that model here; GET /v1/models lists "
                          "models and, behind a colon, their adapters",
                          adapter);
    return api_refuse(error, 404, "model_not_found", "model",
                      "there is no model \"%s\" here; GET /v1/models lists them", model);
}

/* Called under the mutex; waits for what others are doing with the model. */
static bool make_loaded(struct registry *r, struct resident *m, struct api_error *error)
{
    for (;;) {
        if (m->state == UNLOADED)
            return load(r, m, error);
        bool is_stale = m->state == LOADED && m->adapter && adapter_changed(m);
        if (m->state == LOADED && !is_stale)
            return true;
        if (is_stale && m->n_leases == 0)
            unload(r, m);
        else
            pthread_cond_wait(&r->changed, &r->mutex);
    }
}

static bool take_place(const struct registry *r, struct resident *m, size_t n,
                       struct api_error *error)
{
    size_t most = r->options.engine.max_sequences + r->options.max_queue;
    if (n <= most && m->n_answers <= most - n)
        return true;
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
        return refuse_name(model, adapter, error);
    pthread_mutex_lock(&r->mutex);
    bool ok = take_place(r, m, n_answers, error) && make_loaded(r, m, error);
    if (ok) {
        m->n_leases++;
        m->n_answers += n_answers;
        *lease = (struct lease){m->engine, m->name, n_answers, &m->metrics, m};
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
    pthread_cond_init(&r->changed, NULL);
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
