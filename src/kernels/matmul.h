/* Threaded products of activations with a stored weight matrix.
 *
 * Where there are kernels for it and with weights that quant_supports(), an output is what quant.h
 * defines, starting from the bias. With others it is bias + the sum over chunks of MATMUL_CHUNK
 * columns, in order, of the chunk's own sum, which the kernels' gemm_f32 defines. Neither rows nor
 * threads enter into either. */
#ifndef TANDEM_KERNELS_MATMUL_H
#define TANDEM_KERNELS_MATMUL_H

#include "base/error.h"
#include "base/file.h"
#include "base/thread_pool.h"
#include "base/work_shares.h"
#include "kernels/kernels.h"
#include "kernels/quant.h"

enum { MATMUL_CHUNK = 1024 }; /* columns; a multiple of every type's block length */

/* A stored matrix: `rows` outputs by `cols` inputs, row-major, in the checkpoint's mapping. */
struct matrix {
    enum tensor_type type;
    size_t rows, cols;
    size_t row_bytes;   /* distance of rows */
    const void *data;   /* may be unaligned; not owned */
    const void *packed; /* the same in panels (quant.h), or NULL; not owned */
};

/* Whoever multiplies: the kernels, the threads, and each thread's scratch. */
struct compute {
    const struct kernels *kernels;
    const struct quant_kernels *quant; /* NULL: all products are of floats */
    struct thread_pool *pool;
    bool shares_pool; /* which is not its own then */
    struct work_shares *shares;
    float *scratch; /* [n_threads * scratch_floats], 64-byte aligned */
    size_t scratch_bytes;
    size_t scratch_floats; /* per thread: of the kernels, then of the outputs it works on */
    size_t kernel_floats;
    const struct matrix *upcoming; /* see matmul_announce() */
    size_t n_upcoming;
};
/* `max_rows`, `max_cols`: the most rows of activations, and columns of any matrix, that will be
 * used. `pool`: threads to use, which must outlive it; NULL: n_threads of its own (0: all CPUs). */
enum status compute_create(const char *isa, struct thread_pool *pool, size_t n_threads,
                           size_t max_rows, size_t max_cols, struct compute *compute,
                           struct error *err);
void compute_free(struct compute *compute);

/* Bytes that the matrix takes in panels; 0 where these kernels want it as it is. */
size_t matmul_packed_bytes(const struct compute *compute, const struct matrix *w);
/* Packs it into `memory` (matmul_packed_bytes, aligned to 64, owned by the caller), for as long as
 * w->packed is used; all threads take part. file: the mapping that w->data are in, or NULL; they
 * are read from the file then, not through the mapping. */
void matmul_pack(const struct compute *compute, struct matrix *w, const struct file_map *file,
                 void *memory);

/* Whether products with the matrix are of quantized activations (quant.h). */
bool matmul_is_quantized(const struct compute *compute, const struct matrix *w);

/* What will be multiplied after the next products, in one go: threads that have done their part of
 * these, and of whatever is between, ask memory for their part of those. w: n matrices side by
 * side, of gated ones the first alone; they must outlive the products. */
void matmul_announce(struct compute *compute, const struct matrix *w, size_t n);

/* One product of activations: y = W x + bias + B low. */
struct product {
    const struct matrix *w;
    const float *bias;      /* NULL: none */
    const struct matrix *b; /* of floats, with as many outputs as w; used where there is `low` */
    const float *low;       /* [n_rows, b->cols]; NULL: none */
    float *y;               /* rows y_stride floats apart */
    size_t y_stride;
};
/* All of them, with the rows that were set, in one go: threads wait for each other at the end only.
 * All threads take part; the same bits for any number of threads and of rows. */
void matmul_all(const struct compute *compute, struct activations *x,
                const struct product *products, size_t n);
/* y += the product. */
void matmul_add(const struct compute *compute, struct activations *x,
                const struct product *product);
/* silu(gate) * up of both products, which have as many outputs. They become y of `gate`, unless
 * that is NULL, and codes of `codes`, unless that is NULL: as many rows of as many columns, set
 * before, which are quantized then. */
void matmul_gated(const struct compute *compute, struct activations *x,
                  const struct product gate_up[2], struct activations *codes);

/* y[r, o] = bias[o] + sum_k x[r, k] * w[o, k]; bias may be NULL. x: the rows that were set, of
 * w->cols columns. y: rows y_stride floats apart, w->rows each. A group of one. */
void matmul(const struct compute *compute, const struct matrix *w, const float *bias,
            struct activations *x, float *y, size_t y_stride);

#endif
