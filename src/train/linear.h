/* Linear maps: y = x * W^T + bias, W trained or frozen, with low-rank adapters (LoRA) on parts of
 * their outputs.
 *
 * A frozen W stays as it is stored, in any type that a checkpoint holds; it is made dense a band
 * of rows at a time, for each use. Gradients of everything trained are added.
 */
#ifndef TANDEM_TRAIN_LINEAR_H
#define TANDEM_TRAIN_LINEAR_H

#include "kernels/gemm.h"
#include "kernels/matmul.h"

enum { LINEAR_PARTS = 3 }; /* q, k, v */

/* y[first, first + rows) += scale * x * A^T * B^T. */
struct adapter {
    size_t first, rows, rank;
    const real *a, *b; /* [rank, in], [rows, rank] */
    real *da, *db;     /* gradients */
    real scale;
};

struct linear {
    size_t in, out;
    const real *weight;                 /* [out, in]; NULL: `stored` */
    const real *bias;                   /* [out], or NULL */
    real *dweight, *dbias;              /* NULL: frozen */
    struct matrix stored[LINEAR_PARTS]; /* bands of rows, one after the other */
    size_t n_stored;
    struct adapter adapters[LINEAR_PARTS];
    size_t n_adapters;
};

/* What linear maps compute with; shared by all of them. */
struct linear_space {
    const struct gemm *gemm;
    const struct kernels *kernels; /* for stored weights */
    real *band;                    /* [LINEAR_BAND * the largest `in`]; NULL without stored ones */
    float *row;                    /* [the largest `in`]; for builds in double */
    real *low, *dlow;              /* [max_rows * the largest rank] each; NULL without adapters */
};
enum { LINEAR_BAND = 512 };

/* x: [rows, in]; y: [rows, out], overwritten. */
void linear_forward(const struct linear_space *space, const struct linear *w, const real *x,
                    size_t rows, real *y);
/* dx (overwritten; NULL: not wanted) and the gradients of what is trained. */
void linear_backward(const struct linear_space *space, const struct linear *w, const real *x,
                     const real *dy, size_t rows, real *dx);
/* One stored or dense row of W, as for an embedding; out: [in]. */
void linear_row(const struct linear_space *space, const struct linear *w, size_t row, real *out);

#endif
