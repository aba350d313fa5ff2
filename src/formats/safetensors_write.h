/* Writing safetensors files: streamed, atomic (a temporary file renamed over the target). */
#ifndef TANDEM_FORMATS_SAFETENSORS_WRITE_H
#define TANDEM_FORMATS_SAFETENSORS_WRITE_H

#include "base/error.h"
#include "base/json.h"
#include "formats/checkpoint.h"
#include "formats/safetensors.h"

struct tensor_plan {
    const char *name;
    enum tensor_type type; /* TYPE_F32, TYPE_F16, TYPE_BF16; SAFETENSORS_U8 or SAFETENSORS_I8 */
    size_t n_dims, shape[MAX_TENSOR_DIMS];
};

/* Gives rows [first, first + n) of tensor `index` as floats, one after the other; a row is
 * everything behind the first dimension (one element of a vector). Of tensors of U8 and I8 it
 * gives bytes. */
typedef enum status safetensors_source(void *context, size_t index, size_t first, size_t n,
                                       void *out, struct error *err);

/* Tensors lie in the file in the order given. metadata: an object of strings, or NULL. */
enum status safetensors_write(const char *path, const struct tensor_plan *tensors, size_t n,
                              const json_t *metadata, safetensors_source *source, void *context,
                              struct error *err);

#endif
