/* LoRA adapters at inference: y = W x + B (A x), beside weights that stay as they are stored.
 *
 * Several adapters of one linear map are one here: the rows of their A below each other, the
 * columns of their B, each times its scale, beside each other. Where weights are views of one
 * tensor (Phi-3's qkv_proj and gate_up_proj) each has its rows of B, and all share A.
 */
#ifndef TANDEM_MODEL_ADAPTERS_H
#define TANDEM_MODEL_ADAPTERS_H

#include "base/memory.h"
#include "formats/peft.h"
#include "kernels/matmul.h"

#include <stdbool.h>

struct low_rank {
    struct matrix a; /* [rank, inputs], F32 */
    struct matrix b; /* [outputs, rank], F32, scales included; no rows: the map is not adapted */
    bool shares_a;   /* with the view before it, which has the same inputs: A x is there already */
};

struct layer_adapters {
    struct low_rank q, k, v, o, gate, up, down;
};

struct adapters {
    size_t rank;                   /* the most of any map; 0: nothing is adapted */
    struct low_rank head;          /* of lm_head, where it is not tied */
    struct layer_adapters *layers; /* [n_layers], also where there are no adapters */
    struct peft_file *files;       /* [n_files] that they were read from */
    size_t n_files;
    struct arena arena; /* owns everything */
};

/* Reads the folders and checks every module against the checkpoint. The error names the adapter,
 * the module and both shapes. */
enum status adapters_load(const struct adapter_choice *choices, size_t n,
                          const struct checkpoint *checkpoint, struct adapters *adapters,
                          struct error *err);
void adapters_free(struct adapters *adapters);
/* Whether the folder holds an adapter that can be read, for whatever model. */
enum status adapter_check(const char *folder, struct error *err);

#endif
