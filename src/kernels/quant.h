/* Products of quantized weights with quantized activations: integers inside a block, so that every
 * way of computing one gives the same bits.
 *
 * Activations become int8 in blocks of 32 with a float scale dx (largest magnitude / 127, rounding
 * to nearest even). With codes q of the weights (signed: what the format calls q - 8 is the code),
 * block scales dw and minima mw as exact floats, an output is
 *
 *     y = start;  for each block of 32, in order of k:
 *         y = fma((float)sum(q * x), dw * dx, y)
 *         or in Q6_K, which has a scale for each half of a block:
 *         y = fma(fma((float)sum1(q * x), dw1, (float)sum0(q * x) * dw0), dx, y)
 *         y = fma(mw, dx * (float)sum(x), y)                formats with minima only
 *
 * The sums are exact integers and the floats have one order, so all kernels agree bit for bit, on
 * rows alone or in batches.
 *
 * Weights may be packed into panels of 16 outputs (quant_layout.h), the layout of the vector
 * kernels; otherwise they are used as the file stores them.
 */
#ifndef TANDEM_KERNELS_QUANT_H
#define TANDEM_KERNELS_QUANT_H

#include "base/error.h"
#include "base/thread_pool.h"
#include "kernels/tensor_type.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A block whose largest magnitude is below this counts as zeros: its reciprocal would overflow. */
#define SMALLEST_MAGNITUDE 1e-30f

enum { QUANT_BLOCK = 32, PANEL_OUTPUTS = 16, TILE_ROWS = 16, SHARED_BLOCKS = 16 };

/* Rows of activations, prepared once for all matrices that they meet. Blocks of a tile of rows lie
 * together: block b of row r of tile t is number (t * n_blocks + b) * tile_rows + r. */
struct activations {
    const float *x; /* what was set; not owned */
    size_t x_stride, n_rows, cols;
    bool quantized;   /* the arrays below hold x */
    size_t n_blocks;  /* of a row */
    size_t tile_rows; /* TILE_ROWS, or n_rows where there are fewer */
    size_t max_rows, max_cols;
    void *memory;
    size_t bytes;
    int8_t *codes;                   /* 32 per block */
    float *scale;                    /* dx */
    float *scaled_sum;               /* dx * sum(x) */
    int32_t *minus_sum, *minus_half; /* -sum(x) of the block; of its halves, two per block */
};
/* Memory for max_rows rows of max_cols columns. */
enum status activations_create(size_t max_rows, size_t max_cols, struct activations *a,
                               struct error *err);
void activations_free(struct activations *a);
/* The next products are with these rows, `stride` floats apart, which must stay as they are until
 * the last of them. Costs nothing: the first quantized matrix has them quantized. */
void activations_set(struct activations *a, const float *x, size_t stride, size_t n_rows,
                     size_t cols);

static inline size_t activations_block(const struct activations *a, size_t row, size_t block)
{
    return (row / a->tile_rows * a->n_blocks + block) * a->tile_rows + row % a->tile_rows;
}

/* Outputs [begin, end) of a product: output o of row r is y[r * stride + o - begin]. With `apart`
 * also as many that come so much later; they lie right behind the first ones. */
struct outputs {
    float *y;
    size_t stride, begin, end, apart;
};

/* One thread's part of a product. */
struct quant_job {
    enum tensor_type type;
    const uint8_t *data; /* of output 0: rows row_bytes apart, or panels */
    size_t row_bytes;
    const float *bias; /* of output 0, or NULL: what outputs start from */
    const struct activations *a;
    struct outputs out;
    const uint8_t *next; /* what is read after these weights; NULL: those behind them */
    void *scratch;       /* QUANT_SCRATCH bytes, aligned to 64 */
};
enum { QUANT_SCRATCH = 96 << 10 };

struct quant_kernels {
    const char *name; /* "scalar", "avx2", "avxvnni", "vnni", "amx", "neon" */
    /* Blocks [first_block, end_block) of rows [begin, end). x: of the first block of the first row;
     * rows are `stride` floats apart. What threads do at the same time should be in tiles of their
     * own, or SHARED_BLOCKS apart: they would wait for each other's lines of memory. */
    void (*quantize)(struct activations *a, const float *x, size_t stride, size_t begin, size_t end,
                     size_t first_block, size_t end_block);
    /* Weights as in the file. */
    void (*rows)(const struct quant_job *job);
    /* Packed weights; out.begin is a multiple of PANEL_OUTPUTS. NULL: packing is of no use. */
    void (*panels)(const struct quant_job *job);
    /* Up to so many rows by packed weights of a type are better off with two runs of outputs at a
     * time: they alone may have out.apart, with whole panels. */
    size_t pair_rows[TYPE_COUNT];
};
enum { QUANT_MOST_KERNELS = 2 };
/* The kernels that go with the table of that name on this CPU, best first, ending in NULL: all give
 * the same bits. None: it multiplies in floats. */
void quant_available(const char *isa, const struct quant_kernels *out[QUANT_MOST_KERNELS + 1]);
/* The best of them, or NULL. */
const struct quant_kernels *quant_select(const char *isa);
/* Whether this system lets the process use AMX; asks it, the first time. */
bool quant_amx_permitted(void);

/* Whether products with weights of the type are computed as above. */
bool quant_supports(enum tensor_type type);
/* Bytes of a packed matrix; false where it is too large. */
bool quant_packed_bytes(enum tensor_type type, size_t rows, size_t cols, size_t *bytes);
/* Packs rows of a matrix, or some of them that begin with a panel. Missing rows of the last panel
 * are zeros. */
void quant_pack(enum tensor_type type, const uint8_t *data, size_t row_bytes, size_t rows,
                size_t cols, uint8_t *packed);

#endif
