/* What the files of this folder share: the model itself and its scratch. */
#ifndef TANDEM_MODEL_MODEL_INTERNAL_H
#define TANDEM_MODEL_MODEL_INTERNAL_H

#include "kernels/matmul.h"
#include "model/adapters.h"
#include "model/model.h"
#include "model/quantized.h"
#include "model/weights.h"

enum { MOST_PRODUCTS = 3 }; /* of the same activations: q, k, v */

/* What a forward pass carries from layer to layer. */
struct stream {
    float *x;             /* [max_rows, dim] the residual stream */
    float *cosine, *sine; /* [max_rows, rotary_dim / 2] */
    struct row *wanted;   /* [max_rows] the last layer's rows, where they are not all */
};

/* Activations of at most max_rows rows. */
struct scratch {
    float *memory; /* everything below lies in here */
    size_t bytes;
    struct stream whole, in_parts; /* of model_forward(); of the pass that is computed in parts */
    float *h;                      /* [max_rows, dim] normalised */
    float *q;                      /* [max_rows, n_heads * head_dim] */
    float *k, *v;                  /* [max_rows, n_kv_heads * head_dim] */
    float *attended;               /* [max_rows, n_heads * head_dim] */
    float *gated;                  /* [max_rows, ffn_dim] where codes of them do not suffice */
    float *low[MOST_PRODUCTS];     /* [max_rows, rank of all adapters] A x */
};

/* Rows of one sequence, one position after the other, whose attention is computed together. */
struct row_block {
    size_t first, n;
};

/* What attention needs beside that. */
struct attention_scratch {
    struct row_block *blocks; /* [max_rows] of the pass */
    size_t n_blocks;
    bool independent; /* no block needs what another one stores */
    uint8_t *memory;  /* thread_bytes for each thread */
    size_t bytes, thread_bytes;
};

/* A forward pass: where it is. */
struct pass {
    struct model *model;
    struct kv_cache *cache;
    const struct row *all; /* what it was given */
    size_t n_all, layer;   /* n_all 0: there is no pass */
    const struct row *rows;
    size_t n; /* that are computed: in the end those that want something */
    struct stream stream;
    enum { QUERIES = 1, KEYS = 2, BOTH = QUERIES | KEYS } part; /* of attention's input */
    const float *norm; /* weight of the norm that is being applied */
    bool quantizes;    /* what comes out, for products that want codes */
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
    struct attention_scratch attention;
    struct activations activations; /* what the next matrices multiply, but: */
    struct activations gated;       /* what `down` does */
    struct pass in_parts;
    model_observer *observe; /* NULL: nobody looks */
    void *observe_context;
    size_t max_rows;
    double inv_freq[2][MAX_ROTARY_PAIRS]; /* [is_long] */
    double rope_scale[2];
};

/* Memory for the model's shape, threads and max_rows; the model frees it with itself. */
enum status attention_allocate(struct model *model, struct error *err);
void attention_free(struct model *model);
/* Runs `work` with the pass. `grain`: rows that stay with one thread; no more than these leave
 * nothing to wake others for. */
void pass_run(const struct pass *p, size_t grain, thread_work *work);
/* Before layers of a pass are computed: cuts its rows into blocks. */
void attention_plan(const struct pass *p);
/* Rotates what p->part says of q and k of the scratch, and puts keys and values into the cache. */
void attention_store(const struct pass *p);
/* Attention of all rows of a layer, with that before it: q, k and v of the scratch and the cache
 * become `attended`. */
void attention_run(const struct pass *p);

#endif
