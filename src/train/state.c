#include "train/state.h"
#include "base/file.h"
#include "formats/safetensors.h"
#include "formats/safetensors_write.h"

#include <stdio.h>
#include <string.h>

enum { N_ARRAYS = 3 };
static const char *const array_names[N_ARRAYS] = {"parameters", "mean", "spread"};

static void state_arrays(const struct optimizer *o, real *arrays[N_ARRAYS])
{
    arrays[0] = o->parameters->values;
    arrays[1] = o->mean;
    arrays[2] = o->spread;
}

static enum status give_rows(void *context, size_t index, size_t first, size_t n, void *values,
                             struct error *err)
{
    real *arrays[N_ARRAYS];
    (void)err;
    state_arrays(context, arrays);
    memcpy(values, arrays[index] + first, n * sizeof **arrays);
    return STATUS_OK;
}

enum status train_state_save(const char *path, const struct train_state *state, struct error *err)
{
    struct tensor_plan plans[N_ARRAYS];
    struct strbuf settings = {0};
    char step[24], position[24];
    snprintf(step, sizeof step, "%zu", state->optimizer->step);
    snprintf(position, sizeof position, "%zu", state->position);
    json_write(&settings, state->settings, false);
    json_t *metadata = json_pack("{s:s, s:s, s:s}", "step", step, "position", position, "settings",
                                 strbuf_text(&settings));
    for (size_t i = 0; i < N_ARRAYS; i++)
        plans[i] = (struct tensor_plan){
            array_names[i], TYPE_F32, 1, {state->optimizer->parameters->total}};
    enum status status =
        metadata && !settings.failed
            ? safetensors_write(path, plans, N_ARRAYS, metadata, give_rows, state->optimizer, err)
            : error_memory(err, path);
    strbuf_free(&settings);
    json_decref(metadata);
    return status;
}

struct loader {
    struct optimizer *optimizer;
    const char *path;
    size_t found;
};

static enum status take_tensor(void *context, const struct tensor *t, struct error *err)
{
    struct loader *l = context;
    real *arrays[N_ARRAYS];
    state_arrays(l->optimizer, arrays);
    for (size_t i = 0; i < N_ARRAYS; i++) {
        if (strcmp(t->name, array_names[i]))
            continue;
        size_t total = l->optimizer->parameters->total;
        if (t->type != TYPE_F32 || t->bytes != total * sizeof(float))
            return error_set(err, STATUS_FORMAT, "%s: \"%s\" should have %zu F32 elements", l->path,
                             t->name, total);
        memcpy(arrays[i], t->data, t->bytes);
        l->found++;
    }
    return STATUS_OK;
}

/* The metadata object in the file's header; NULL if it has none. */
static json_t *read_metadata(const struct file_map *map, const char *path, struct error *err)
{
    uint64_t length = 0;
    for (size_t i = 0; i < 8; i++)
        length |= (uint64_t)map->data[i] << 8 * i;
    if (length > map->size - 8)
        return NULL;
    json_t *header = json_parse(path, (const char *)map->data + 8, length, err);
    json_t *metadata = json_incref(json_object_get(header, "__metadata__"));
    json_decref(header);
    return metadata;
}

static enum status compare_settings(const char *path, const json_t *saved, const json_t *wanted,
                                    struct error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)wanted, key, value)
    {
        const json_t *other = json_object_get(saved, key);
        if (json_equal(value, other) || (!other && json_is_false(value)))
            continue; /* a switch that is off may be newer than the file */
        struct strbuf before = {0}, now = {0};
        json_write(&before, other, false);
        json_write(&now, value, false);
        error_set(err, STATUS_INVALID,
                  "%s is of a run with another \"%s\": %.200s there, %.200s now; resume with the "
                  "same options, or start anew without --resume",
                  path, key, other ? strbuf_text(&before) : "absent", strbuf_text(&now));
        strbuf_free(&before);
        strbuf_free(&now);
        return STATUS_INVALID;
    }
    return STATUS_OK;
}

static enum status take_metadata(const struct file_map *map, const char *path,
                                 struct train_state *state, struct error *err)
{
    struct error local = {0};
    json_t *metadata = read_metadata(map, path, &local);
    const char *step = json_get_string(metadata, "step", "", &local);
    const char *position = json_get_string(metadata, "position", "", &local);
    const char *text = json_get_string(metadata, "settings", "", &local);
    json_t *settings = local.status ? NULL : json_parse(path, text, strlen(text), &local);
    enum status status = STATUS_OK;
    if (!settings || sscanf(step, "%zu", &state->optimizer->step) != 1 ||
        sscanf(position, "%zu", &state->position) != 1)
        status = error_set(err, STATUS_FORMAT, "%s is not the state of a training run", path);
    else
        status = compare_settings(path, settings, state->settings, err);
    json_decref(settings);
    json_decref(metadata);
    return status;
}

enum status train_state_load(const char *path, struct train_state *state, struct error *err)
{
    struct file_map map;
    enum status status = file_map(path, &map, err);
    if (status)
        return status;
    struct loader loader = {.optimizer = state->optimizer, .path = path};
    /* Settings first: another model's arrays have other sizes, which says less. */
    if (map.size < 8)
        status = error_set(err, STATUS_FORMAT, "%s is not the state of a training run", path);
    if (!status)
        status = take_metadata(&map, path, state, err);
    if (!status)
        status = safetensors_read(path, map.data, map.size, take_tensor, &loader, err);
    if (!status && loader.found != N_ARRAYS)
        status =
            error_set(err, STATUS_FORMAT, "%s lacks \"parameters\", \"mean\" or \"spread\"", path);
    file_unmap(&map);
    return status;
}
