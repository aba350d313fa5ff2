/* A model's files, GGUF or Hugging Face, behind one read-only, memory-mapped view.
 *
 * Tensors carry Hugging Face's names whatever the file is ("model.layers.0.mlp.up_proj.weight");
 * Phi-3's fused tensors stay fused (self_attn.qkv_proj, mlp.gate_up_proj). Every size and offset
 * was checked against the file when it was opened, so tensor data can be read without checks.
 * Weights that bitsandbytes quantized are put together in memory (formats/bitsandbytes.h).
 * Nothing in the mapping is trusted beyond that.
 *
 *     struct checkpoint *cp;
 *     if (checkpoint_open("models/qwen", &cp, &err)) ...
 *     const struct tensor *t = checkpoint_tensor(cp, "model.norm.weight");
 *     checkpoint_close(cp);
 */
#ifndef TANDEM_FORMATS_CHECKPOINT_H
#define TANDEM_FORMATS_CHECKPOINT_H

#include "base/error.h"
#include "base/vocab_source.h"
#include "formats/hyperparameters.h"
#include "kernels/tensor_type.h"

#include <stddef.h>
#include <stdint.h>

enum { MAX_TENSOR_DIMS = 4 };

struct tensor {
    const char *name; /* Hugging Face's name where there is one, else the file's */
    enum tensor_type type;
    size_t n_dims;
    size_t shape[MAX_TENSOR_DIMS]; /* outermost first: [rows, cols] */
    const void *data;              /* in the mapping or in memory; may be unaligned */
    size_t bytes;
    const char *file; /* path of the file it is in */
    size_t offset;    /* in that file */
};

struct checkpoint;

enum checkpoint_format { CHECKPOINT_SAFETENSORS, CHECKPOINT_GGUF };

/* `path`: a folder with config.json and *.safetensors, or a .gguf file (a folder that holds
 * exactly one .gguf and no safetensors will do). Opens and checks everything; reads no weights. */
enum status checkpoint_open(const char *path, struct checkpoint **checkpoint, struct error *err);
/* The same without weights: for folders that only hold a tokenizer and configuration, and GGUF
 * files that only hold a vocabulary. Then hyperparameters may be absent. */
enum status checkpoint_open_vocabulary(const char *path, struct checkpoint **checkpoint,
                                       struct error *err);
void checkpoint_close(struct checkpoint *checkpoint);

enum checkpoint_format checkpoint_format(const struct checkpoint *checkpoint);
const char *checkpoint_path(const struct checkpoint *checkpoint);
/* "Qwen2.5 7B Instruct", from general.name or the folder's name. */
const char *checkpoint_name(const struct checkpoint *checkpoint);

size_t checkpoint_tensor_count(const struct checkpoint *checkpoint);
const struct tensor *checkpoint_tensor_at(const struct checkpoint *checkpoint, size_t index);
/* NULL if there is none of that name. */
const struct tensor *checkpoint_tensor(const struct checkpoint *checkpoint, const char *name);

/* From now on the tensor is of that type and has these data, which must outlive the checkpoint:
 * for weights that are converted as they are loaded. */
void checkpoint_set_data(struct checkpoint *checkpoint, size_t index, enum tensor_type type,
                         const void *data, size_t bytes);

/* The weight files, in order: path and size. For hashes and sizes in reports. */
size_t checkpoint_file_count(const struct checkpoint *checkpoint);
const char *checkpoint_file(const struct checkpoint *checkpoint, size_t index, size_t *bytes);

/* The mapping of the weight file that the data are in; NULL where they are in memory. */
const struct file_map *checkpoint_map_of(const struct checkpoint *checkpoint, const void *data);

/* NULL when opened for its vocabulary alone and the file holds no model configuration. */
const struct hyperparameters *checkpoint_hyperparameters(const struct checkpoint *checkpoint);
const struct generation_defaults *checkpoint_generation(const struct checkpoint *checkpoint);
/* Lives as long as the checkpoint. */
const struct vocab_source *checkpoint_vocab(const struct checkpoint *checkpoint);

/* Metadata for `inspect`: calls `visit` for each entry with a printable value (GGUF keys;
 * config.json's fields). */
void checkpoint_metadata(const struct checkpoint *checkpoint,
                         void (*visit)(void *context, const char *key, const char *value),
                         void *context);

#endif
