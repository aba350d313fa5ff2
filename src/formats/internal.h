/* What the files of this folder share: the checkpoint's insides. Nobody outside includes this.
 *
 * A checkpoint is filled in by one of two readers, safetensors (with hf_config) or gguf, through
 * the functions below, and is read-only afterwards.
 */
#ifndef TANDEM_FORMATS_INTERNAL_H
#define TANDEM_FORMATS_INTERNAL_H

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "formats/checkpoint.h"
#include "formats/gguf.h"

struct mapped_file {
    char *path;
    struct file_map map;
};

enum { MAX_DOCUMENTS = 8 };

struct checkpoint {
    enum checkpoint_format format;
    char *path, *name;
    struct mapped_file *files; /* of weights */
    size_t n_files, files_capacity;
    struct mapped_file documents[MAX_DOCUMENTS]; /* tokenizer.json and its like */
    size_t n_documents;
    struct tensor *tensors;
    size_t n_tensors, tensors_capacity;
    uint32_t *slots;    /* open addressing: index of a tensor + 1, 0 when free */
    size_t n_slots;     /* a power of two */
    struct arena arena; /* names and vocabulary arrays */
    bool has_hyperparameters;
    struct hyperparameters hyperparameters;
    struct generation_defaults generation;
    struct vocab_source vocab;
    json_t *config;  /* Hugging Face */
    bool is_bnb;     /* its weights are bitsandbytes' */
    void *assembled; /* those weights, put together; mem_map */
    size_t assembled_bytes;
    struct gguf gguf; /* GGUF: the first file's */
};

/* Maps the file and appends it to the weight files; *file lives until the next call. */
enum status checkpoint_map_file(struct checkpoint *cp, const char *path, struct mapped_file **file,
                                struct error *err);
/* Maps folder/name into the documents if it is there; *span stays absent otherwise. */
enum status checkpoint_map_document(struct checkpoint *cp, const char *folder, const char *name,
                                    struct text_span *span, struct error *err);
/* Appends a copy (the name must be in the arena). Refuses a name that is there already. */
enum status checkpoint_add_tensor(struct checkpoint *cp, const struct tensor *tensor,
                                  struct error *err);

/* The readers. `weights` false: the vocabulary alone. */
enum status checkpoint_read_folder(struct checkpoint *cp, const char *folder, bool weights,
                                   struct error *err);
enum status checkpoint_read_gguf(struct checkpoint *cp, const char *path, bool weights,
                                 struct error *err);

/* Checks that hold for either format: divisibility, ranges, what divisions and logarithms need.
 * `name` is the file, for the message. */
enum status hyperparameters_check(const struct hyperparameters *h, const char *name,
                                  struct error *err);
/* No sampling fields set, no ids. */
struct generation_defaults generation_defaults_none(void);
/* True if sampling values are in the ranges that transformers accepts. */
enum status generation_defaults_check(const struct generation_defaults *g, const char *name,
                                      struct error *err);
/* What transformers derives when a checkpoint names no attention factor (yarn, longrope). */
double rope_default_attention_factor(const struct rope_parameters *rope);

#endif
