/* What the files of this folder share: the model itself and its scratch. */
#ifndef TANDEM_MODEL_MODEL_INTERNAL_H
#define TANDEM_MODEL_MODEL_INTERNAL_H

#include "kernels/matmul.h"
#include "model/adapters.h"
#include "model/model.h"
#include "model/quantized.h"
#include "model/weights.h"

/* Activations of one forward pass, for at most max_rows rows. */
struct scratch {
    float *memory; /* everything below lies in here */
    size_t bytes;
    float *x;             /* [max_rows, dim] the residual stream */
    float *h;             /* [max_rows, dim] normalised, and what goes back into x */
    float *q;             /* [max_rows, n_heads * head_dim] */
    float *k, *v;         /* [max_rows, n_kv_heads * head_dim] */
    float *attended;      /* [max_rows, n_heads * head_dim] */
    float *gate, *up;     /* [max_rows, ffn_dim] */
    float *cosine, *sine; /* [max_rows, rotary_dim / 2] */
    float *low;           /* [max_rows, rank of all adapters] A x */
};

struct model {
    struct checkpoint *checkpoint;
    char *name;
    const struct hyperparameters *shape;
    struct quantized_weights quantized; /* those that were made at loading */
    struct weights weights;
    struct adapters adapters;
    struct compute compute;
    struct scratch scratch;
    struct activations activations; /* what the next matrices multiply */
    size_t max_rows;
    double inv_freq[2][MAX_ROTARY_PAIRS]; /* [is_long] */
    double rope_scale[2];
};

/* Attention of all rows of a layer: reads q of the scratch and the cache, writes `attended`.
 * The rows' own keys and values are in the cache already. */
void model_attend(struct model *model, const struct kv_cache *cache, const struct row *rows,
                  size_t n, size_t layer);

#endif
