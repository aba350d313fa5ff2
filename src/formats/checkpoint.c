#include "formats/checkpoint.h"
#include "base/strbuf.h"
#include "formats/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t hash_name(const char *name)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 16777619u;
    return hash;
}

/* The slot that holds `name`, or the free one where it would go. */
static uint32_t *find_slot(const struct checkpoint *cp, const char *name)
{
    size_t i = hash_name(name) & (cp->n_slots - 1);
    while (cp->slots[i] && strcmp(cp->tensors[cp->slots[i] - 1].name, name))
        i = (i + 1) & (cp->n_slots - 1);
    return &cp->slots[i];
}

/* At most half of the slots are taken, so searches are short and end. */
static bool grow_slots(struct checkpoint *cp)
{
    if (cp->n_slots > 2 * cp->n_tensors + 2)
        return true;
    size_t n = cp->n_slots ? 2 * cp->n_slots : 1024;
    uint32_t *slots = n <= UINT32_MAX ? mem_array(n, sizeof *slots) : NULL;
    if (!slots)
        return false;
    mem_free(cp->slots);
    cp->slots = slots;
    cp->n_slots = n;
    for (size_t i = 0; i < cp->n_tensors; i++)
        *find_slot(cp, cp->tensors[i].name) = (uint32_t)i + 1;
    return true;
}

enum status checkpoint_add_tensor(struct checkpoint *cp, const struct tensor *tensor,
                                  struct error *err)
{
    if (!grow_slots(cp) ||
        !mem_grow(&cp->tensors, &cp->tensors_capacity, cp->n_tensors, sizeof *cp->tensors))
        return error_memory(err, "the table of tensors");
    uint32_t *slot = find_slot(cp, tensor->name);
    if (*slot)
        return error_set(err, STATUS_FORMAT,
                         "%s, offset %zu: tensor %.200s is there twice; the other is in %s at "
                         "offset %zu",
                         tensor->file, tensor->offset, tensor->name, cp->tensors[*slot - 1].file,
                         cp->tensors[*slot - 1].offset);
    cp->tensors[cp->n_tensors++] = *tensor;
    *slot = (uint32_t)cp->n_tensors;
    return STATUS_OK;
}

static enum status map_file(struct mapped_file *file, const char *path, struct error *err)
{
    enum status status = file_map(path, &file->map, err);
    if (status)
        return status;
    file->path = mem_copy_string(path);
    if (file->path)
        return STATUS_OK;
    file_unmap(&file->map);
    return error_memory(err, path);
}

static void unmap_file(struct mapped_file *file)
{
    file_unmap(&file->map);
    mem_free(file->path);
}

enum status checkpoint_map_file(struct checkpoint *cp, const char *path, struct mapped_file **file,
                                struct error *err)
{
    if (!mem_grow(&cp->files, &cp->files_capacity, cp->n_files, sizeof *cp->files))
        return error_memory(err, path);
    *file = &cp->files[cp->n_files];
    enum status status = map_file(*file, path, err);
    if (!status)
        cp->n_files++;
    return status;
}

enum status checkpoint_map_document(struct checkpoint *cp, const char *folder, const char *name,
                                    struct text_span *span, struct error *err)
{
    char *path = file_join(folder, name);
    if (!path || cp->n_documents == MAX_DOCUMENTS) {
        mem_free(path);
        return error_memory(err, name);
    }
    enum status status = STATUS_OK;
    if (file_exists(path)) {
        struct mapped_file *file = &cp->documents[cp->n_documents];
        status = map_file(file, path, err);
        if (!status) {
            cp->n_documents++;
            *span = (struct text_span){file->map.data ? (const char *)file->map.data : "",
                                       file->map.size};
        }
    }
    mem_free(path);
    return status;
}

/* The last part of the path, without ".gguf"; folders such as "." get their real name. */
static char *name_of_path(const char *path)
{
    char *real = realpath(path, NULL);
    char *name = mem_copy_string(file_base_name(real ? real : path));
    free(real);
    char *dot = name ? strrchr(name, '.') : NULL;
    if (dot && !strcmp(dot, ".gguf"))
        *dot = 0;
    return name;
}

static enum status fill(struct checkpoint *cp, bool weights, struct error *err)
{
    cp->name = name_of_path(cp->path);
    if (!cp->name)
        return error_memory(err, cp->path);
    cp->vocab = (struct vocab_source){.name = cp->path,
                                      .bos_id = VOCAB_NO_ID,
                                      .eos_id = VOCAB_NO_ID,
                                      .unk_id = VOCAB_NO_ID,
                                      .pad_id = VOCAB_NO_ID};
    cp->generation = generation_defaults_none();
    return file_is_directory(cp->path) ? checkpoint_read_folder(cp, cp->path, weights, err)
                                       : checkpoint_read_gguf(cp, cp->path, weights, err);
}

static enum status open_checkpoint(const char *path, bool weights, struct checkpoint **checkpoint,
                                   struct error *err)
{
    *checkpoint = NULL;
    struct checkpoint *cp = mem_alloc(sizeof *cp);
    if (!cp || !(cp->path = mem_copy_string(path))) {
        mem_free(cp);
        return error_memory(err, path);
    }
    enum status status = fill(cp, weights, err);
    if (status)
        checkpoint_close(cp);
    else
        *checkpoint = cp;
    return status;
}

enum status checkpoint_open(const char *path, struct checkpoint **checkpoint, struct error *err)
{
    return open_checkpoint(path, true, checkpoint, err);
}

enum status checkpoint_open_vocabulary(const char *path, struct checkpoint **checkpoint,
                                       struct error *err)
{
    return open_checkpoint(path, false, checkpoint, err);
}

void checkpoint_close(struct checkpoint *cp)
{
    if (!cp)
        return;
    for (size_t i = 0; i < cp->n_files; i++)
        unmap_file(&cp->files[i]);
    for (size_t i = 0; i < cp->n_documents; i++)
        unmap_file(&cp->documents[i]);
    gguf_free(&cp->gguf);
    json_decref(cp->config);
    mem_unmap(cp->assembled, cp->assembled_bytes);
    arena_free(&cp->arena);
    mem_free(cp->files);
    mem_free(cp->tensors);
    mem_free(cp->slots);
    mem_free(cp->name);
    mem_free(cp->path);
    mem_free(cp);
}

enum checkpoint_format checkpoint_format(const struct checkpoint *cp)
{
    return cp->format;
}

const char *checkpoint_path(const struct checkpoint *cp)
{
    return cp->path;
}

const char *checkpoint_name(const struct checkpoint *cp)
{
    return cp->name;
}

size_t checkpoint_tensor_count(const struct checkpoint *cp)
{
    return cp->n_tensors;
}

const struct tensor *checkpoint_tensor_at(const struct checkpoint *cp, size_t index)
{
    return &cp->tensors[index];
}

const struct tensor *checkpoint_tensor(const struct checkpoint *cp, const char *name)
{
    uint32_t slot = cp->n_slots ? *find_slot(cp, name) : 0;
    return slot ? &cp->tensors[slot - 1] : NULL;
}

void checkpoint_set_data(struct checkpoint *cp, size_t index, enum tensor_type type,
                         const void *data, size_t bytes)
{
    struct tensor *t = &cp->tensors[index];
    t->type = type;
    t->data = data;
    t->bytes = bytes;
}

size_t checkpoint_file_count(const struct checkpoint *cp)
{
    return cp->n_files;
}

const struct file_map *checkpoint_map_of(const struct checkpoint *cp, const void *data)
{
    for (size_t i = 0; i < cp->n_files; i++) {
        const struct file_map *map = &cp->files[i].map;
        uintptr_t begin = (uintptr_t)map->data, at = (uintptr_t)data;
        if (at >= begin && at - begin < map->size)
            return map;
    }
    return NULL;
}

const char *checkpoint_file(const struct checkpoint *cp, size_t index, size_t *bytes)
{
    if (bytes)
        *bytes = cp->files[index].map.size;
    return cp->files[index].path;
}

const struct hyperparameters *checkpoint_hyperparameters(const struct checkpoint *cp)
{
    return cp->has_hyperparameters ? &cp->hyperparameters : NULL;
}

const struct generation_defaults *checkpoint_generation(const struct checkpoint *cp)
{
    return &cp->generation;
}

const struct vocab_source *checkpoint_vocab(const struct checkpoint *cp)
{
    return &cp->vocab;
}

static void visit_config(const json_t *config,
                         void (*visit)(void *context, const char *key, const char *value),
                         void *context)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)config, key, value)
    {
        struct strbuf text = {0};
        if (json_is_string(value))
            strbuf_append(&text, json_string_value(value), json_string_length(value));
        else if (json_is_real(value)) /* jansson would print 17 digits */
            strbuf_printf(&text, "%.15g", json_real_value(value));
        else
            json_write(&text, value, false);
        visit(context, key, strbuf_text(&text));
        strbuf_free(&text);
    }
}

static void visit_gguf(const struct gguf *gguf,
                       void (*visit)(void *context, const char *key, const char *value),
                       void *context)
{
    for (size_t i = 0; i < gguf->n_entries; i++) {
        struct strbuf key = {0}, text = {0};
        strbuf_append(&key, gguf->entries[i].key.data, gguf->entries[i].key.length);
        gguf_print_value(&gguf->entries[i].value, &text);
        visit(context, strbuf_text(&key), strbuf_text(&text));
        strbuf_free(&key);
        strbuf_free(&text);
    }
}

void checkpoint_metadata(const struct checkpoint *cp,
                         void (*visit)(void *context, const char *key, const char *value),
                         void *context)
{
    if (cp->format == CHECKPOINT_GGUF)
        visit_gguf(&cp->gguf, visit, context);
    else if (cp->config)
        visit_config(cp->config, visit, context);
}
