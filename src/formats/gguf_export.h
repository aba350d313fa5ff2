/* A whole checkpoint as one GGUF file, with llama.cpp's names and metadata. */
#ifndef TANDEM_FORMATS_GGUF_EXPORT_H
#define TANDEM_FORMATS_GGUF_EXPORT_H

#include "base/error.h"
#include "formats/checkpoint.h"
#include "formats/gguf_write.h"

enum { KEEP_TYPES = TYPE_COUNT };

/* How tensors change while they are written. Vectors always become F32. */
struct gguf_conversion {
    /* The type that a matrix gets. */
    enum tensor_type (*target)(void *context, const struct tensor *tensor);
    /* Writes all elements of `tensor` as `type`, another than its own, with gguf_write_data(). */
    enum status (*write)(void *context, struct gguf_writer *w, const struct tensor *tensor,
                         enum tensor_type type, struct error *err);
    unsigned char file_type; /* llama.cpp's number for the file as a whole */
    void *context;
};

/* Writes `path`, with its vocabulary if it has one. The checkpoint must have been opened with its
 * weights. */
enum status checkpoint_convert_gguf(const struct checkpoint *cp, const char *path,
                                    const struct gguf_conversion *conversion, struct error *err);

/* The same with matrices of one type: F32, F16, BF16, or KEEP_TYPES. Quantizing is refused with
 * STATUS_UNSUPPORTED; src/quantize does it. */
enum status checkpoint_write_gguf(const struct checkpoint *cp, const char *path, int type,
                                  struct error *err);

/* Adds the metadata of a model, and of its vocabulary. */
void gguf_add_model(struct gguf_writer *w, const struct checkpoint *cp, unsigned char file_type);
enum status gguf_add_vocab(struct gguf_writer *w, const struct checkpoint *cp, struct error *err);

#endif
