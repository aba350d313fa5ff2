/* tandem models: what can be named instead of a path. */
#include "cli/models.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "formats/checkpoint.h"

#include <dirent.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- Where --- */

/* models/ of the source tree that holds the build folder with this program; or NULL. */
static char *source_folder(void)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n <= 0)
        return NULL;
    path[n] = 0;
    char *build = dirname(path);
    return file_join(dirname(build), "models");
}

/* Calls `visit` with each folder that may hold models until it returns true. */
static bool each_folder(bool (*visit)(void *context, const char *folder), void *context)
{
    bool found = false;
    char *list = getenv("TANDEM_MODELS") ? mem_copy_string(getenv("TANDEM_MODELS")) : NULL;
    char *save = NULL;
    for (char *folder = list ? strtok_r(list, ":", &save) : NULL; folder && !found;
         folder = strtok_r(NULL, ":", &save))
        found = visit(context, folder);
    char *source = source_folder();
    found =
        found || (source && visit(context, source)) || visit(context, TANDEM_DATA_FOLDER "/models");
    mem_free(source);
    mem_free(list);
    return found;
}

static bool is_model(const char *path)
{
    char *config = file_join(path, "config.json");
    bool is = config && file_exists(config);
    mem_free(config);
    return is;
}

struct search {
    const char *name;
    char *path;
};

static bool look_in(void *context, const char *folder)
{
    struct search *search = context;
    char *path = file_join(folder, search->name);
    if (path && is_model(path))
        search->path = path;
    else
        mem_free(path);
    return search->path;
}

char *models_locate(const char *name)
{
    struct search search = {.name = name};
    if (!file_exists(name) && !strchr(name, '/') && *name && *name != '.')
        each_folder(look_in, &search);
    return search.path ? search.path : mem_copy_string(name);
}

/* --- Listing --- */

static json_t *describe(const char *name, const char *path)
{
    struct checkpoint *cp;
    if (checkpoint_open(path, &cp, NULL))
        return NULL;
    size_t bytes = 0, parameters = 0;
    for (size_t i = 0; i < checkpoint_tensor_count(cp); i++) {
        const struct tensor *t = checkpoint_tensor_at(cp, i);
        size_t n = 1;
        for (size_t d = 0; d < t->n_dims; d++)
            n *= t->shape[d];
        parameters += n;
        bytes += t->bytes;
    }
    const struct hyperparameters *shape = checkpoint_hyperparameters(cp);
    json_t *entry = json_pack("{ss ss ss sI sI}", "name", name, "path", path, "family",
                              shape->family == FAMILY_PHI3 ? "Phi-3" : "Qwen2", "parameters",
                              (json_int_t)parameters, "bytes", (json_int_t)bytes);
    checkpoint_close(cp);
    return entry;
}

/* A name means the first model of that name. */
static bool is_listed(const json_t *list, const char *name)
{
    size_t i;
    json_t *entry;
    json_array_foreach(list, i, entry)
    {
        if (!strcmp(json_get_string(entry, "name", "", NULL), name))
            return true;
    }
    return false;
}

static bool list_folder(void *context, const char *folder)
{
    struct dirent **entries;
    int n = scandir(folder, &entries, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char *path = file_join(folder, entries[i]->d_name);
        const char *name = entries[i]->d_name;
        bool is_new = name[0] != '.' && path && is_model(path) && !is_listed(context, name);
        json_t *entry = is_new ? describe(name, path) : NULL;
        if (entry)
            json_array_append_new(context, entry);
        mem_free(path);
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
    return false;
}

static void print_list(const json_t *list)
{
    size_t i;
    json_t *entry;
    if (!json_array_size(list))
        puts("no models here (TANDEM_MODELS names folders to look in); MODEL is a path");
    json_array_foreach(list, i, entry)
    {
        const char *name = json_get_string(entry, "name", "", NULL);
        printf("%-20s %-6s %6.1f M parameters %7.1f MB  %s%s\n", name,
               json_get_string(entry, "family", "", NULL),
               json_get_number(entry, "parameters", 0, NULL) / 1e6,
               json_get_number(entry, "bytes", 0, NULL) / 1e6,
               json_get_string(entry, "path", "", NULL),
               strcmp(name, DEFAULT_MODEL) ? "" : "  (used when no model is named)");
    }
}

int command_models(int argc, char **argv)
{
    bool json = false;
    const struct option options[] = {{"json", 0, OPTION_FLAG, &json, NULL, "print JSON"}, {0}};
    const struct usage usage = {
        "models",
        "",
        "Lists the models that can be named instead of a path: those that come with Tandem, and\n"
        "those in the folders of the environment variable TANDEM_MODELS (separated by ':').",
        options,
        0,
        0,
        NULL};
    struct args args;
    int status = args_parse(&usage, argc, argv, &args);
    if (status != ARGS_OK)
        return status;
    json_t *list = json_array();
    struct strbuf out = {0};
    each_folder(list_folder, list);
    if (json) {
        json_write(&out, list, true);
        puts(strbuf_text(&out));
    } else {
        print_list(list);
    }
    strbuf_free(&out);
    json_decref(list);
    args_free(&args);
    return finish_output();
}
