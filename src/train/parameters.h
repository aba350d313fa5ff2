/* What is trained: one table of named tensors over one flat allocation.
 *
 * Add all tensors, then parameters_allocate(); values and gradients are flat arrays in which each
 * tensor lies at its offset, in the order in which they were added, without gaps. So tensors added
 * one after the other can be used as one matrix (q, k and v; gate and up).
 */
#ifndef TANDEM_TRAIN_PARAMETERS_H
#define TANDEM_TRAIN_PARAMETERS_H

#include "base/error.h"
#include "base/memory.h"
#include "kernels/dense.h"

#include <stdint.h>

struct parameter {
    const char *name; /* as safetensors files call it */
    size_t n_dims, shape[2];
    size_t offset, count; /* elements */
    bool decays;          /* weight decay applies: matrices, not norms and biases */
    double deviation;     /* of random initial values; 0: filled with `fill` */
    double fill;
};

struct parameters {
    struct parameter *table;
    size_t count, capacity;
    size_t total;             /* elements of all tensors */
    real *values, *gradients; /* [total] */
    struct arena names;
};

/* `columns` 0: a vector. The name is copied. */
enum status parameters_add(struct parameters *p, const char *name, size_t rows, size_t columns,
                           struct error *err);
enum status parameters_allocate(struct parameters *p, struct error *err);
void parameters_free(struct parameters *p);
const struct parameter *parameters_find(const struct parameters *p, const char *name);
/* Random values, the same for the same seed. */
void parameters_initialise(struct parameters *p, uint64_t seed);

#endif
