/* A GGUF file, or the parts of a split one, as a checkpoint. */
#include "formats/gguf_model.h"
#include "formats/internal.h"
#include "formats/names.h"

#include <stdio.h>
#include <string.h>

enum { MAX_PARTS = 1000, PART_SUFFIX = 20 /* strlen("-00001-of-00005.gguf") */ };

struct split {
    size_t part, parts, n_tensors; /* part counts from 0; parts is 0 for a whole file */
};

static enum status read_split(const struct gguf *g, struct split *split, struct error *err)
{
    struct error local = {0};
    *split = (struct split){0};
    gguf_get_size(g, "split.no", 0, MAX_PARTS - 1, &split->part, &local);
    gguf_get_size(g, "split.count", 0, MAX_PARTS, &split->parts, &local);
    gguf_get_size(g, "split.tensors.count", 0, INT32_MAX, &split->n_tensors, &local);
    return local.status ? error_set(err, local.status, "%s", local.message) : STATUS_OK;
}

/* Maps and parses one file. The path in *gguf lives as long as the checkpoint. */
static enum status open_part(struct checkpoint *cp, const char *path, struct gguf *gguf,
                             struct error *err)
{
    struct mapped_file *file;
    enum status status = checkpoint_map_file(cp, path, &file, err);
    return status ? status : gguf_parse(file->path, file->map.data, file->map.size, gguf, err);
}

static const uint8_t *file_data(const struct checkpoint *cp, const char *path)
{
    for (size_t i = 0; i < cp->n_files; i++)
        if (cp->files[i].path == path)
            return cp->files[i].map.data;
    return NULL;
}

static enum status add_tensor(struct checkpoint *cp, const struct gguf *g,
                              const struct gguf_tensor *t, struct error *err)
{
    char name[MAX_TENSOR_NAME + 1];
    struct tensor tensor = {.type = t->type,
                            .n_dims = t->n_dims,
                            .data = file_data(cp, g->name) + t->offset,
                            .bytes = t->bytes,
                            .file = g->name,
                            .offset = t->offset};
    for (size_t i = 0; i < t->n_dims; i++)
        tensor.shape[i] = t->dims[t->n_dims - 1 - i];
    if (names_from_gguf(cp->hyperparameters.family, t->name, name))
        tensor.name = arena_copy_string(&cp->arena, name, strlen(name));
    else
        tensor.name = arena_copy_string(&cp->arena, t->name.data, t->name.length);
    return tensor.name ? checkpoint_add_tensor(cp, &tensor, err)
                       : error_memory(err, "tensor names");
}

static enum status add_tensors(struct checkpoint *cp, const struct gguf *g, struct error *err)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < g->n_tensors && !status; i++)
        status = add_tensor(cp, g, &g->tensors[i], err);
    return status;
}

static enum status add_part(struct checkpoint *cp, const char *path, const struct split *first,
                            size_t part, struct error *err)
{
    struct gguf gguf;
    struct split split;
    enum status status = open_part(cp, path, &gguf, err);
    if (status)
        return error_prefix(err, "part %zu of %zu", part + 1, first->parts);
    status = read_split(&gguf, &split, err);
    if (!status && (split.part != part || split.parts != first->parts))
        status = error_set(err, STATUS_FORMAT,
                           "%s says that it is part %zu of %zu; expected part %zu of %zu", path,
                           split.part + 1, split.parts, part + 1, first->parts);
    if (!status)
        status = add_tensors(cp, &gguf, err);
    gguf_free(&gguf);
    return status;
}

static enum status add_other_parts(struct checkpoint *cp, const char *path,
                                   const struct split *split, struct error *err)
{
    size_t n = strlen(path);
    char suffix[40];
    snprintf(suffix, sizeof suffix, "-00001-of-%05zu.gguf", split->parts);
    if (n < PART_SUFFIX || strcmp(path + n - PART_SUFFIX, suffix))
        return error_set(err, STATUS_INVALID,
                         "%s is the first of %zu parts; its name should end in %s, so that the "
                         "others are found",
                         path, split->parts, suffix);
    enum status status = STATUS_OK;
    for (size_t i = 1; i < split->parts && !status; i++) {
        struct strbuf name = {0};
        strbuf_append(&name, path, n - PART_SUFFIX);
        strbuf_printf(&name, "-%05zu-of-%05zu.gguf", i + 1, split->parts);
        status =
            name.failed ? error_memory(err, path) : add_part(cp, strbuf_text(&name), split, i, err);
        strbuf_free(&name);
    }
    if (!status && cp->n_tensors != split->n_tensors)
        status = error_set(err, STATUS_FORMAT,
                           "%s: split.tensors.count is %zu, but the %zu parts hold %zu tensors",
                           path, split->n_tensors, split->parts, cp->n_tensors);
    return status;
}

static enum status read_weights(struct checkpoint *cp, const char *path, struct error *err)
{
    struct split split;
    enum status status = read_split(&cp->gguf, &split, err);
    if (!status && split.part > 0)
        status = error_set(err, STATUS_INVALID,
                           "%s is part %zu of %zu; open the first part, whose name ends in "
                           "-00001-of-%05zu.gguf",
                           path, split.part + 1, split.parts, split.parts);
    if (!status)
        status = add_tensors(cp, &cp->gguf, err);
    if (!status && split.parts > 1)
        status = add_other_parts(cp, path, &split, err);
    if (!status && cp->n_tensors == 0)
        status = error_set(err, STATUS_INVALID, "%s holds no weights%s", path,
                           cp->vocab.n_tokens ? ", only a vocabulary" : "");
    return status ? status : gguf_bind_tensors(cp, err);
}

static enum status read_name(struct checkpoint *cp, struct error *err)
{
    struct text_span name = {0};
    gguf_get_string(&cp->gguf, "general.name", &name, NULL);
    if (!name.length || memchr(name.data, 0, name.length))
        return STATUS_OK;
    mem_free(cp->name);
    cp->name = mem_copy(name.data, name.length);
    return cp->name ? STATUS_OK : error_memory(err, cp->path);
}

/* Hyperparameters are optional where only a vocabulary is wanted. */
static enum status read_hyperparameters(struct checkpoint *cp, bool weights, struct error *err)
{
    struct error local = {0};
    enum status status = gguf_read_hyperparameters(&cp->gguf, &cp->hyperparameters, &local);
    cp->has_hyperparameters = !status;
    if (status && (weights || (status != STATUS_UNSUPPORTED && status != STATUS_NOT_FOUND)))
        return error_set(err, status, "%s", local.message);
    return STATUS_OK;
}

enum status checkpoint_read_gguf(struct checkpoint *cp, const char *path, bool weights,
                                 struct error *err)
{
    size_t n = strlen(path), suffix = strlen(".safetensors");
    if (n > suffix && !strcmp(path + n - suffix, ".safetensors"))
        return error_set(err, STATUS_INVALID,
                         "%s is one of a checkpoint's files; name the folder that it is in", path);
    cp->format = CHECKPOINT_GGUF;
    enum status status = open_part(cp, path, &cp->gguf, err);
    if (!status)
        status = read_name(cp, err);
    if (!status)
        status = read_hyperparameters(cp, weights, err);
    if (!status)
        status = gguf_read_vocab(&cp->gguf, &cp->arena, &cp->vocab, err);
    if (!status)
        status = gguf_read_generation(&cp->gguf, &cp->vocab, &cp->generation, err);
    if (!status && weights)
        status = read_weights(cp, path, err);
    if (!status && !cp->hyperparameters.vocab_size)
        cp->hyperparameters.vocab_size = cp->vocab.n_tokens;
    if (!status && !weights && !cp->vocab.n_tokens)
        status = error_set(err, STATUS_NOT_FOUND,
                           "%s holds no vocabulary: the metadata key tokenizer.ggml.tokens is "
                           "missing",
                           path);
    return status;
}
