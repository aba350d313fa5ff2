#include "cli/adapters.h"
#include "base/file.h"
#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Cuts `path` at its last '=' where a number follows, which it returns; else 1. */
static double split_weight(char *path)
{
    char *equals = strrchr(path, '='), *end;
    if (!equals || !equals[1] || file_exists(path))
        return 1;
    double weight = strtod(equals + 1, &end);
    if (*end || !isfinite(weight))
        return 1;
    *equals = 0;
    return weight;
}

enum status adapters_add(struct adapter_list *list, const char *const *words, size_t n,
                         struct error *err)
{
    for (size_t i = 0; i < n; i++) {
        char *path = mem_copy_string(words[i]);
        if (!path || !mem_grow(&list->items, &list->capacity, list->count, sizeof *list->items)) {
            mem_free(path);
            return error_memory(err, "adapters");
        }
        double weight = split_weight(path);
        list->items[list->count++] = (struct adapter_choice){.path = path, .weight = weight};
    }
    return STATUS_OK;
}

void adapters_clear(struct adapter_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        mem_free((char *)(uintptr_t)list->items[i].path);
    mem_free(list->items);
    *list = (struct adapter_list){0};
}

enum status adapters_open_model(const char *path, const struct model_options *options,
                                const struct string_list *words, struct model **model,
                                struct error *err)
{
    struct model_options all = *options;
    struct adapter_list adapters = {0};
    *model = NULL;
    enum status status = adapters_add(&adapters, words->items, words->count, err);
    all.adapters = adapters.items;
    all.n_adapters = adapters.count;
    if (!status)
        status = model_open(path, &all, model, err);
    adapters_clear(&adapters);
    return status;
}
