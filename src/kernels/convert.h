/* Rows of a stored matrix in another type, by all threads of a pool. */
#ifndef TANDEM_KERNELS_CONVERT_H
#define TANDEM_KERNELS_CONVERT_H

#include "base/error.h"
#include "base/thread_pool.h"
#include "kernels/kernels.h"

#include <stdbool.h>

struct converter {
    const struct kernels *kernels;
    struct thread_pool *pool; /* not owned; NULL: the caller alone */
    float *rows;              /* [threads of the pool * capacity] one decoded row for each */
    size_t capacity;          /* columns */
};

struct conversion {
    enum tensor_type from, to;
    const void *source; /* rows one behind the other, as in a file */
    void *target;       /* likewise; room for n_rows of them */
    size_t n_rows, cols;
    const float *importance; /* [cols] of an error at each input; NULL: none is known */
};

/* Encodes one row of n elements; importance is used by the types that convert_weighs(). */
void convert_encode(const struct kernels *kernels, enum tensor_type type, const float *row,
                    const float *importance, void *out, size_t n);
/* Whether rows of that type come out differently with an importance. */
bool convert_weighs(enum tensor_type type);

/* n columns must be a whole number of blocks of both types. Values that are not finite, or become
 * so in F16, are an error: blocks would hide them. */
enum status convert_rows(struct converter *converter, const struct conversion *conversion,
                         struct error *err);
void converter_free(struct converter *converter);

#endif
