#include "train/parameters.h"
#include "base/rng.h"

#include <string.h>

enum status parameters_add(struct parameters *p, const char *name, size_t rows, size_t columns,
                           struct error *err)
{
    size_t count, total;
    if (!size_multiply(rows, columns ? columns : 1, &count) || !size_add(p->total, count, &total) ||
        total > SIZE_MAX / sizeof(real))
        return error_set(err, STATUS_LIMIT, "%s: [%zu, %zu] is too large", name, rows, columns);
    char *copy = arena_copy_string(&p->names, name, strlen(name));
    if (!copy || !mem_grow(&p->table, &p->capacity, p->count, sizeof *p->table))
        return error_memory(err, "a table of parameters");
    p->table[p->count++] = (struct parameter){.name = copy,
                                              .n_dims = columns ? 2 : 1,
                                              .shape = {rows, columns},
                                              .offset = p->total,
                                              .count = count,
                                              .decays = columns > 0};
    p->total = total;
    return STATUS_OK;
}

enum status parameters_allocate(struct parameters *p, struct error *err)
{
    p->values = mem_aligned(64, p->total, sizeof *p->values);
    p->gradients = mem_aligned(64, p->total, sizeof *p->gradients);
    return p->values && p->gradients ? STATUS_OK : error_memory(err, "parameters and gradients");
}

void parameters_free(struct parameters *p)
{
    mem_free(p->table);
    mem_free(p->values);
    mem_free(p->gradients);
    arena_free(&p->names);
    *p = (struct parameters){0};
}

const struct parameter *parameters_find(const struct parameters *p, const char *name)
{
    for (size_t i = 0; i < p->count; i++)
        if (!strcmp(p->table[i].name, name))
            return &p->table[i];
    return NULL;
}

void parameters_initialise(struct parameters *p, uint64_t seed)
{
    struct rng rng;
    rng_seed(&rng, seed);
    for (size_t i = 0; i < p->count; i++) {
        const struct parameter *t = &p->table[i];
        real *values = p->values + t->offset;
        for (size_t j = 0; j < t->count; j++)
            values[j] = (real)(t->deviation > 0 ? t->deviation * rng_normal(&rng) : t->fill);
    }
}
