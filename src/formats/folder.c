/* A folder of a Hugging Face checkpoint: which files there are, and reading them all. */
#include "formats/bitsandbytes.h"
#include "formats/hf_config.h"
#include "formats/internal.h"
#include "formats/safetensors.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Configurations are a few kilobytes; an index of the largest model, a few hundred. */
enum { MAX_CONFIG = 16 << 20 };

/* *value stays NULL if the file is not there. */
static enum status read_json(const char *folder, const char *name, char **path, json_t **value,
                             struct error *err)
{
    char *text;
    size_t size;
    *path = file_join(folder, name);
    if (!*path)
        return error_memory(err, name);
    if (!file_exists(*path))
        return STATUS_OK;
    enum status status = file_read(*path, MAX_CONFIG, &text, &size, err);
    if (status)
        return status;
    *value = json_parse(*path, text, size, err);
    mem_free(text);
    return *value ? STATUS_OK : STATUS_FORMAT;
}

static enum status read_configs(struct checkpoint *cp, const char *config_path,
                                const char *generation_path, const json_t *generation, bool weights,
                                struct error *err)
{
    if (cp->config) {
        struct error local = {0};
        enum status status = hf_config_read(config_path, cp->config, &cp->hyperparameters, &local);
        if (!status)
            status = bnb_config_read(config_path, cp->config, &cp->is_bnb, &local);
        cp->has_hyperparameters = !status;
        if (status && (weights || status != STATUS_UNSUPPORTED)) {
            return error_set(err, status, "%s", local.message);
        }
    } else if (weights) {
        return error_set(err, STATUS_NOT_FOUND,
                         "%s is missing; a checkpoint's folder has one beside its weights",
                         config_path);
    }
    return hf_generation_read(generation_path, generation, config_path, cp->config, &cp->generation,
                              err);
}

static enum status read_configuration(struct checkpoint *cp, const char *folder, bool weights,
                                      struct error *err)
{
    char *config_path = NULL, *generation_path = NULL;
    json_t *generation = NULL;
    enum status status = read_json(folder, "config.json", &config_path, &cp->config, err);
    if (!status)
        status = read_json(folder, "generation_config.json", &generation_path, &generation, err);
    if (!status)
        status = read_configs(cp, config_path, generation_path, generation, weights, err);
    json_decref(generation);
    mem_free(config_path);
    mem_free(generation_path);
    return status;
}

static enum status map_documents(struct checkpoint *cp, const char *folder, struct error *err)
{
    struct vocab_source *v = &cp->vocab;
    const struct {
        const char *name;
        struct text_span *span;
    } documents[] = {
        {"tokenizer.json", &v->tokenizer_json},
        {"tokenizer_config.json", &v->tokenizer_config_json},
        {"vocab.json", &v->vocab_json},
        {"merges.txt", &v->merges_txt},
        {"special_tokens_map.json", &v->special_tokens_map_json},
        {"added_tokens.json", &v->added_tokens_json},
        {"chat_template.jinja", &v->chat_template_jinja},
    };
    enum status status = STATUS_OK;
    for (size_t i = 0; i < sizeof documents / sizeof *documents && !status; i++)
        status = checkpoint_map_document(cp, folder, documents[i].name, documents[i].span, err);
    return status;
}

/* What is found in the files: tensors of the checkpoint, or parts of them. */
struct weight_reader {
    struct checkpoint *cp;
    struct bnb_parts parts;
};

static enum status add_weight(void *context, const struct tensor *tensor, struct error *err)
{
    struct weight_reader *reader = context;
    struct tensor copy = *tensor;
    copy.name = arena_copy_string(&reader->cp->arena, tensor->name, strlen(tensor->name));
    if (!copy.name)
        return error_memory(err, "tensor names");
    return reader->cp->is_bnb ? bnb_parts_add(&reader->parts, &copy, err)
                              : checkpoint_add_tensor(reader->cp, &copy, err);
}

static const struct tensor *find_weight(struct weight_reader *reader, const char *name)
{
    return reader->cp->is_bnb ? bnb_parts_find(&reader->parts, name)
                              : checkpoint_tensor(reader->cp, name);
}

static enum status read_weights(struct weight_reader *reader, const char *folder, const char *name,
                                struct error *err)
{
    struct mapped_file *file;
    char *path = file_join(folder, name);
    if (!path)
        return error_memory(err, name);
    enum status status = checkpoint_map_file(reader->cp, path, &file, err);
    mem_free(path);
    if (status)
        return status;
    return (reader->cp->is_bnb ? safetensors_read_bytes : safetensors_read)(
        file->path, file->map.data, file->map.size, add_weight, reader, err);
}

struct index {
    const char *path;
    const json_t *weight_map;
    const char **files; /* each once, sorted; strings of weight_map */
    size_t n_files;
};

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A file of an index must lie in the index's own folder. */
static bool is_plain_name(const char *name)
{
    return name && *name && !strchr(name, '/') && strcmp(name, ".") && strcmp(name, "..");
}

static enum status list_shards(struct index *index, struct error *err)
{
    const char *tensor;
    json_t *file;
    json_object_foreach((json_t *)(uintptr_t)index->weight_map, tensor, file)
    {
        const char *name = json_string_value(file);
        if (!is_plain_name(name))
            return error_set(err, STATUS_FORMAT,
                             "%s: \"weight_map\" should give %.200s the name of a file beside the "
                             "index, but gives %.200s",
                             index->path, tensor, name ? name : "something else");
        index->files[index->n_files++] = name;
    }
    qsort(index->files, index->n_files, sizeof *index->files, compare_strings);
    size_t kept = 0;
    for (size_t i = 0; i < index->n_files; i++)
        if (!kept || strcmp(index->files[i], index->files[kept - 1]))
            index->files[kept++] = index->files[i];
    index->n_files = kept;
    return STATUS_OK;
}

/* Whether each tensor came from the file that the index names. */
static enum status check_index(struct weight_reader *reader, const struct index *index,
                               struct error *err)
{
    const char *tensor;
    json_t *file;
    json_object_foreach((json_t *)(uintptr_t)index->weight_map, tensor, file)
    {
        const char *wanted = json_string_value(file);
        const struct tensor *t = find_weight(reader, tensor);
        if (!t || strcmp(file_base_name(t->file), wanted))
            return error_set(err, STATUS_FORMAT,
                             "%s: tensor %.200s should be in %.200s, but is %s%s", index->path,
                             tensor, wanted, t ? "in " : "in none of the files",
                             t ? file_base_name(t->file) : "");
    }
    return STATUS_OK;
}

static enum status read_shards(struct weight_reader *reader, const char *folder,
                               struct index *index, struct error *err)
{
    size_t n = json_object_size(index->weight_map);
    if (n == 0)
        return error_set(err, STATUS_FORMAT,
                         "%s: \"weight_map\" should be an object that names each tensor's file",
                         index->path);
    index->files = mem_array(n, sizeof *index->files);
    if (!index->files)
        return error_memory(err, index->path);
    enum status status = list_shards(index, err);
    for (size_t i = 0; i < index->n_files && !status; i++) {
        status = read_weights(reader, folder, index->files[i], err);
        if (status == STATUS_NOT_FOUND)
            error_prefix(err, "%s names a file that is missing", index->path);
    }
    mem_free(index->files);
    return status ? status : check_index(reader, index, err);
}

static enum status read_index(struct weight_reader *reader, const char *folder, const char *name,
                              struct error *err)
{
    char *path = NULL;
    json_t *document = NULL;
    enum status status = read_json(folder, name, &path, &document, err);
    if (!status) {
        struct index index = {.path = path, .weight_map = json_object_get(document, "weight_map")};
        status = read_shards(reader, folder, &index, err);
    }
    json_decref(document);
    mem_free(path);
    return status;
}

static bool has_suffix(const char *name, const char *suffix)
{
    size_t n = strlen(name), m = strlen(suffix);
    return n > m && !strcmp(name + n - m, suffix);
}

/* How many files end in `suffix`, and the name of the alphabetically first (mem_free). Later
 * parts of split GGUF files belong to the first one and do not count. */
static enum status find_files(const char *folder, const char *suffix, char **first, size_t *n,
                              struct error *err)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return error_errno(err, "cannot open the folder %s", folder);
    *first = NULL;
    *n = 0;
    enum status status = STATUS_OK;
    for (struct dirent *e; (e = readdir(dir)) && !status;) {
        const char *part = strstr(e->d_name, "-of-");
        if (!has_suffix(e->d_name, suffix) ||
            (!strcmp(suffix, ".gguf") && part && part - e->d_name > 6 &&
             strncmp(part - 6, "-00001", 6)))
            continue;
        ++*n;
        if (*first && strcmp(*first, e->d_name) < 0)
            continue;
        mem_free(*first);
        *first = mem_copy_string(e->d_name);
        status = *first ? STATUS_OK : error_memory(err, folder);
    }
    closedir(dir);
    return status;
}

static bool has_file(const char *folder, const char *name)
{
    char *path = file_join(folder, name);
    bool found = path && file_exists(path);
    mem_free(path);
    return found;
}

static enum status read_safetensors(struct weight_reader *reader, const char *folder,
                                    struct error *err)
{
    static const char single[] = "model.safetensors", index[] = "model.safetensors.index.json";
    char *name = NULL;
    size_t n;
    if (has_file(folder, single))
        return read_weights(reader, folder, single, err);
    if (has_file(folder, index))
        return read_index(reader, folder, index, err);
    enum status status = find_files(folder, ".safetensors", &name, &n, err);
    if (!status && n == 0)
        status = error_set(err, STATUS_NOT_FOUND,
                           "%s holds no weights: expected %s, %s with its files, or a .gguf file",
                           folder, single, index);
    else if (!status && n > 1)
        status = error_set(err, STATUS_NOT_FOUND,
                           "%s holds %zu .safetensors files but no %s that says what is in them",
                           folder, n, index);
    if (!status)
        status = read_weights(reader, folder, name, err);
    mem_free(name);
    return status;
}

/* *path is set if the folder holds a GGUF file and is no Hugging Face checkpoint. */
static enum status find_gguf(const char *folder, bool weights, char **path, struct error *err)
{
    char *name = NULL;
    size_t n_safetensors, n;
    *path = NULL;
    enum status status = find_files(folder, ".safetensors", &name, &n_safetensors, err);
    mem_free(name);
    if (status || n_safetensors)
        return status;
    if (!weights && (has_file(folder, "tokenizer.json") || has_file(folder, "vocab.json")))
        return STATUS_OK;
    name = NULL;
    status = find_files(folder, ".gguf", &name, &n, err);
    if (!status && n > 1)
        status = error_set(err, STATUS_INVALID,
                           "%s holds %zu .gguf files; name the one to open, for example %s/%s",
                           folder, n, folder, name);
    if (!status && n == 1 && !(*path = file_join(folder, name)))
        status = error_memory(err, folder);
    mem_free(name);
    return status;
}

static enum status read_all_weights(struct checkpoint *cp, const char *folder, struct error *err)
{
    struct weight_reader reader = {.cp = cp};
    enum status status = read_safetensors(&reader, folder, err);
    if (!status && cp->is_bnb)
        status = bnb_assemble(cp, &reader.parts, err);
    bnb_parts_free(&reader.parts);
    return status;
}

enum status checkpoint_read_folder(struct checkpoint *cp, const char *folder, bool weights,
                                   struct error *err)
{
    char *gguf;
    enum status status = find_gguf(folder, weights, &gguf, err);
    if (status)
        return status;
    if (gguf) {
        status = checkpoint_read_gguf(cp, gguf, weights, err);
        mem_free(gguf);
        return status;
    }
    cp->format = CHECKPOINT_SAFETENSORS;
    status = read_configuration(cp, folder, weights, err);
    if (!status)
        status = map_documents(cp, folder, err);
    if (!status && weights)
        status = read_all_weights(cp, folder, err);
    if (!status && !weights && !cp->vocab.tokenizer_json.data && !cp->vocab.vocab_json.data)
        status = error_set(err, STATUS_NOT_FOUND,
                           "%s holds no vocabulary: expected tokenizer.json, vocab.json with "
                           "merges.txt, or a .gguf file",
                           folder);
    return status;
}
