/* The weights of a model, bound once: every name, type and shape checked against the
 * configuration. Matrices stay in the checkpoint's mapping; norms and biases are copied as F32.
 * For computing, quantized matrices may be packed as well.
 * Phi-3's fused tensors become views, so that the forward pass knows one form only. */
#ifndef TANDEM_MODEL_WEIGHTS_H
#define TANDEM_MODEL_WEIGHTS_H

#include "base/memory.h"
#include "formats/checkpoint.h"
#include "kernels/limits.h"
#include "kernels/matmul.h"

struct layer_weights {
    const float *attention_norm;           /* [dim] */
    struct matrix q;                       /* [n_heads * head_dim, dim] */
    struct matrix k, v;                    /* [n_kv_heads * head_dim, dim] */
    const float *q_bias, *k_bias, *v_bias; /* [rows of q, k, v]; NULL for Phi-3 */
    struct matrix o;                       /* [dim, n_heads * head_dim] */
    const float *ffn_norm;                 /* [dim] */
    struct matrix gate, up;                /* [ffn_dim, dim] */
    struct matrix down;                    /* [dim, ffn_dim] */
};

struct weights {
    struct matrix embedding, head;         /* [vocab_size, dim] */
    const struct file_map *embedding_file; /* where it is looked up; NULL: in memory */
    const float *final_norm;               /* [dim] */
    struct layer_weights *layers;          /* [n_layers] */
    size_t n_parameters;
    struct arena arena; /* owns everything but the mapping and what is packed */
    void *packed;       /* quantized matrices in the kernels' layout */
    size_t packed_bytes;
};

/* `kernels` converts norms and biases. The checkpoint must outlive the weights. The error names
 * the tensor, what was expected and what was found. */
enum status weights_bind(const struct checkpoint *checkpoint, const struct kernels *kernels,
                         struct weights *weights, struct error *err);
/* Copies quantized matrices into the layout that the kernels want, if they want one, and lets go of
 * their pages in the mapping. The embedding stays as it is, for looking up rows. in_memory: the
 * matrices are in no file that could be read again. */
enum status weights_pack(const struct checkpoint *checkpoint, struct weights *weights,
                         size_t n_layers, const struct compute *compute, bool in_memory,
                         struct error *err);
/* The bytes that a product with the matrix reads. */
size_t weights_read_bytes(const struct matrix *m, const struct compute *compute);
/* Where those bytes lie, of all layers' matrices and the head: at most n_layers *
 * MATRICES_OF_LAYER + 1 runs of memory; how many. */
enum { MATRICES_OF_LAYER = 7 };
size_t weights_runs(const struct weights *weights, size_t n_layers, struct memory_run *runs);
/* The weights of all layers' matrices, and the bytes they are read as. */
void weights_of_layers(const struct weights *weights, size_t n_layers,
                       const struct compute *compute, size_t *n, size_t *bytes);
void weights_free(struct weights *weights);

#endif
