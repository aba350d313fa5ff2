/* The models that are served: which are in memory, who uses them, what is unloaded for another.
 *
 * Models are loaded when they are first asked for. Where the memory budget has no room, models
 * that nobody uses go, the longest unused first. A lease keeps its model in memory.
 *
 * A model with an adapter, "model:adapter", is an engine of its own beside the model without: they
 * share the mapped file, not what is made of it. An adapter whose files change is read anew when
 * it is next asked for and the answers that use it have ended; one that cannot be read by then
 * stays as it was.
 */
#ifndef TANDEM_SERVE_REGISTRY_H
#define TANDEM_SERVE_REGISTRY_H

#include "base/json.h"
#include "serve/access_log.h"
#include "serve/api_error.h"
#include "serve/metrics.h"
#include "serve/serve.h"

struct registry;

struct lease {
    struct engine *engine;
    const char *model; /* as clients name it; lives as long as the registry */
    size_t n_answers;
    struct model_metrics *metrics;
    struct resident *resident;
};

/* Loads the first model. What is loaded and unloaded goes to the log, which must outlive the
 * registry. */
enum status registry_create(const struct serve_options *options, struct access_log *log,
                            struct registry **registry, struct error *err);
/* Every lease must have been released. */
void registry_free(struct registry *registry);

/* For n_answers generations of `model` (NULL: the first) with `adapter` (NULL: none, or the one in
 * the model's name, "model:adapter"). Waits while the model is loaded, but not
 * for longer than an answer may take. False with `error` filled: no such model, no room in memory,
 * too many requests waiting. */
bool registry_acquire(struct registry *registry, const char *model, const char *adapter,
                      size_t n_answers, struct lease *lease, struct api_error *error);
void registry_release(struct registry *registry, struct lease *lease);

/* A model as it is now. */
struct model_view {
    const char *name;
    bool is_loaded;
    size_t bytes, n_loads;
    struct engine_load load;
    struct model_metrics metrics; /* a copy: its mutex is not to be used */
};
/* How many models there are, those with adapters included. */
size_t registry_count(const struct registry *registry);
/* The first n of them. */
void registry_view(struct registry *registry, struct model_view *views, size_t n);

/* OpenAI's list of models; new reference. */
json_t *registry_list(struct registry *registry);
/* The list's entry of that name; NULL with `error` filled if there is none. */
json_t *registry_describe(struct registry *registry, const char *model, struct api_error *error);

#endif
