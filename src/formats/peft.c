#include "formats/peft.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "formats/safetensors.h"
#include "kernels/half.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char prefix[] = "base_model.model.";

void peft_close(struct peft_adapter *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->n_modules; i++) {
        mem_free((char *)(uintptr_t)p->modules[i].name);
        mem_free(p->modules[i].a);
        mem_free(p->modules[i].b);
    }
    for (size_t i = 0; i < N_PEFT_FILES; i++)
        mem_free(p->files[i].path);
    mem_free(p->modules);
    mem_free(p->path);
    mem_free(p->base);
    mem_free(p);
}

/* Fields that, unless absent, null, false or empty, change what the adapter computes. */
static enum status refuse_variants(const char *path, const json_t *config, struct error *err)
{
    static const char *const fields[] = {"use_dora",        "rank_pattern",      "alpha_pattern",
                                         "modules_to_save", "layer_replication", "lora_bias",
                                         "fan_in_fan_out"};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const json_t *value = json_object_get(config, fields[i]);
        bool empty = !value || json_is_null(value) || json_is_false(value) ||
                     (json_is_object(value) && !json_object_size(value)) ||
                     (json_is_array(value) && !json_array_size(value));
        if (!empty)
            return error_set(err, STATUS_UNSUPPORTED, "%s: \"%s\" is set, which is not supported",
                             path, fields[i]);
    }
    return STATUS_OK;
}

static enum status take_config(struct peft_adapter *p, const char *path, const json_t *config,
                               struct error *err)
{
    struct error local = {0};
    const char *type = json_get_string(config, "peft_type", "", &local);
    const char *bias = json_get_string(config, "bias", "none", &local);
    const char *base = json_get_string(config, "base_model_name_or_path", "", &local);
    int64_t rank = json_get_int(config, "r", 0, &local);
    double alpha = json_get_number(config, "lora_alpha", 0, &local);
    bool root = json_get_bool(config, "use_rslora", false, &local);
    if (local.status)
        return error_set(err, STATUS_FORMAT, "%s: %s", path, local.message);
    if (strcmp(type, "LORA"))
        return error_set(err, STATUS_UNSUPPORTED,
                         "%s: \"peft_type\" is \"%.50s\"; expected "
                         "\"LORA\"",
                         path, type);
    if (strcmp(bias, "none"))
        return error_set(err, STATUS_UNSUPPORTED, "%s: \"bias\" is \"%.50s\"; expected \"none\"",
                         path, bias);
    if (rank < 1 || rank > 65536 || !(alpha > 0) || !isfinite(alpha))
        return error_set(err, STATUS_FORMAT,
                         "%s: \"r\" and \"lora_alpha\" should be above 0 (found %lld and %g)", path,
                         (long long)rank, alpha);
    p->rank = (size_t)rank;
    p->scale = alpha / (root ? sqrt((double)rank) : (double)rank);
    p->base = mem_copy_string(base);
    return p->base ? refuse_variants(path, config, err) : error_memory(err, path);
}

static enum status read_config(struct peft_adapter *p, struct error *err)
{
    struct peft_file *file = &p->files[PEFT_CONFIG];
    char *text;
    if (!file_exists(file->path))
        return error_set(err, STATUS_NOT_FOUND,
                         "%s is missing; an adapter's folder holds it and "
                         "adapter_model.safetensors",
                         file->path);
    enum status status = file_read(file->path, 0, &text, &file->bytes, err);
    if (status)
        return status;
    json_t *config = json_parse(file->path, text, file->bytes, err);
    mem_free(text);
    status = config ? take_config(p, file->path, config, err) : STATUS_FORMAT;
    json_decref(config);
    return status;
}

/* The module's entry, made if there is none; NULL when out of memory. */
static struct peft_module *module_entry(struct peft_adapter *p, const char *name, size_t length)
{
    for (size_t i = p->n_modules; i-- > 0;) /* A and B of a module are neighbours */
        if (strlen(p->modules[i].name) == length && !memcmp(p->modules[i].name, name, length))
            return &p->modules[i];
    if (!mem_grow(&p->modules, &p->capacity, p->n_modules, sizeof *p->modules))
        return NULL;
    char *copy = mem_copy(name, length);
    if (!copy)
        return NULL;
    struct peft_module *m = &p->modules[p->n_modules++];
    *m = (struct peft_module){.name = copy};
    return m;
}

static float *to_floats(const struct tensor *t, size_t n)
{
    float *out = mem_array(n, sizeof *out);
    const uint8_t *data = t->data;
    for (size_t i = 0; out && i < n; i++) {
        if (t->type == TYPE_F32)
            memcpy(&out[i], data + 4 * i, 4);
        else
            out[i] = t->type == TYPE_BF16 ? bf16_to_f32(load_u16(data + 2 * i))
                                          : f16_to_f32(load_u16(data + 2 * i));
    }
    return out;
}

static enum status take_matrix(struct peft_adapter *p, const struct tensor *t, const char *module,
                               size_t length, bool is_a, struct error *err)
{
    struct peft_module *m = module_entry(p, module, length);
    float *values = to_floats(t, t->shape[0] * t->shape[1]);
    float **place = m ? (is_a ? &m->a : &m->b) : NULL;
    if (!m || !values || *place) {
        mem_free(values);
        return m && values
                   ? error_set(err, STATUS_FORMAT, "%s: %s is there twice", p->path, t->name)
                   : error_memory(err, t->name);
    }
    *place = values;
    *(is_a ? &m->in : &m->out) = is_a ? t->shape[1] : t->shape[0];
    return STATUS_OK;
}

static enum status take_tensor(void *context, const struct tensor *t, struct error *err)
{
    static const char ends[2][16] = {".lora_A.weight", ".lora_B.weight"};
    struct peft_adapter *p = context;
    size_t length = strlen(t->name), skip = sizeof prefix - 1, end = sizeof ".lora_A.weight" - 1;
    int kind = -1;
    for (int i = 0; i < 2; i++)
        if (length > skip + end && !strncmp(t->name, prefix, skip) &&
            !strcmp(t->name + length - end, ends[i]))
            kind = i;
    if (kind < 0)
        return error_set(err, STATUS_UNSUPPORTED,
                         "%s: tensor %.200s is not called %s<module>.lora_A.weight or "
                         ".lora_B.weight",
                         p->path, t->name, prefix);
    if (t->n_dims != 2 || t->shape[kind] != p->rank)
        return error_set(err, STATUS_FORMAT,
                         "%s: tensor %.200s should have %zu %s, as \"r\" in adapter_config.json "
                         "says",
                         p->path, t->name, p->rank, kind ? "columns" : "rows");
    return take_matrix(p, t, t->name + skip, length - skip - end, kind == 0, err);
}

static int compare_modules(const void *a, const void *b)
{
    return strcmp(((const struct peft_module *)a)->name, ((const struct peft_module *)b)->name);
}

static enum status read_tensors(struct peft_adapter *p, struct error *err)
{
    struct file_map map;
    struct peft_file *file = &p->files[PEFT_WEIGHTS];
    enum status status = file_map(file->path, &map, err);
    if (!status) {
        file->bytes = map.size;
        status = safetensors_read(file->path, map.data, map.size, take_tensor, p, err);
        file_unmap(&map);
    }
    for (size_t i = 0; i < p->n_modules && !status; i++)
        if (!p->modules[i].a || !p->modules[i].b)
            status = error_set(err, STATUS_FORMAT, "%s: module %s lacks its lora_%c", p->path,
                               p->modules[i].name, p->modules[i].a ? 'B' : 'A');
    if (!status && !p->n_modules)
        status = error_set(err, STATUS_FORMAT, "%s: the adapter is empty", p->path);
    if (!status)
        qsort(p->modules, p->n_modules, sizeof *p->modules, compare_modules);
    return status;
}

enum status peft_open(const char *folder, struct peft_adapter **adapter, struct error *err)
{
    struct peft_adapter *p = mem_alloc(sizeof *p);
    *adapter = NULL;
    if (!p)
        return error_memory(err, folder);
    p->path = mem_copy_string(folder);
    p->files[PEFT_CONFIG].path = file_join(folder, "adapter_config.json");
    p->files[PEFT_WEIGHTS].path = file_join(folder, "adapter_model.safetensors");
    bool ok = p->path && p->files[PEFT_CONFIG].path && p->files[PEFT_WEIGHTS].path;
    enum status status = ok ? read_config(p, err) : error_memory(err, folder);
    if (!status)
        status = read_tensors(p, err);
    if (status)
        peft_close(p);
    else
        *adapter = p;
    return status;
}

static enum status check_module(const struct peft_adapter *p, const struct peft_module *m,
                                const struct checkpoint *base, struct error *err)
{
    char name[256];
    size_t length = strlen(m->name);
    if (length + sizeof ".weight" > sizeof name)
        return error_set(err, STATUS_FORMAT, "%s: the module's name %.100s... is too long", p->path,
                         m->name);
    memcpy(name, m->name, length);
    memcpy(name + length, ".weight", sizeof ".weight");
    const struct tensor *t = checkpoint_tensor(base, name);
    if (!t || t->n_dims != 2)
        return error_set(err, STATUS_INVALID,
                         "%s adapts %s, which %s does not have; is it for another model?", p->path,
                         m->name, checkpoint_path(base));
    if (t->shape[0] != m->out || t->shape[1] != m->in)
        return error_set(err, STATUS_INVALID,
                         "%s adapts %s as [%zu, %zu], but in %s it is [%zu, %zu]; is it for "
                         "another model?",
                         p->path, m->name, m->out, m->in, checkpoint_path(base), t->shape[0],
                         t->shape[1]);
    return STATUS_OK;
}

enum status peft_check(const struct peft_adapter *p, const struct checkpoint *base,
                       struct error *err)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < p->n_modules && !status; i++)
        status = check_module(p, &p->modules[i], base, err);
    return status;
}

const struct peft_module *peft_find(const struct peft_adapter *p, const char *name)
{
    struct peft_module key = {.name = name};
    return bsearch(&key, p->modules, p->n_modules, sizeof *p->modules, compare_modules);
}
