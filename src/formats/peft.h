/* LoRA adapters as PEFT stores them: adapter_config.json and adapter_model.safetensors.
 *
 * An adapter adds, to the output of a linear map y = W x, scale * B * (A * x). What would change
 * the arithmetic and is not done here (DoRA, per-module ranks, trained biases, whole modules saved
 * along) is refused with a message that names the field.
 */
#ifndef TANDEM_FORMATS_PEFT_H
#define TANDEM_FORMATS_PEFT_H

#include "base/error.h"
#include "formats/checkpoint.h"

#include <stddef.h>

/* An adapter as a user names it. */
struct adapter_choice {
    const char *path; /* of its folder */
    double weight;    /* times the adapter's own scale */
};

struct peft_module {
    const char *name; /* of the map without ".weight": "model.layers.0.self_attn.q_proj" */
    size_t in, out;
    float *a; /* [rank, in] */
    float *b; /* [out, rank] */
};

enum { PEFT_CONFIG, PEFT_WEIGHTS, N_PEFT_FILES };

struct peft_file {
    char *path;
    size_t bytes;
};

struct peft_adapter {
    char *path;
    struct peft_file files[N_PEFT_FILES];
    char *base; /* base_model_name_or_path; "" when absent */
    size_t rank;
    double scale;                /* alpha / rank; alpha / sqrt(rank) with use_rslora */
    struct peft_module *modules; /* sorted by name */
    size_t n_modules, capacity;
};

enum status peft_open(const char *folder, struct peft_adapter **adapter, struct error *err);
void peft_close(struct peft_adapter *adapter);
/* Every module must be a matrix of the checkpoint, NAME.weight, and of its shape; the error names
 * the first that is not, with both shapes. */
enum status peft_check(const struct peft_adapter *adapter, const struct checkpoint *base,
                       struct error *err);
/* NULL if the adapter leaves that map alone. */
const struct peft_module *peft_find(const struct peft_adapter *adapter, const char *name);

#endif
