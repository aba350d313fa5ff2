/* A whole checkpoint as one GGUF file, with llama.cpp's names and metadata. */
#ifndef TANDEM_FORMATS_GGUF_EXPORT_H
#define TANDEM_FORMATS_GGUF_EXPORT_H

#include "base/error.h"
#include "formats/checkpoint.h"
#include "formats/gguf_write.h"

enum { KEEP_TYPES = TYPE_COUNT };

/* Writes `path`, with its vocabulary if it has one. Matrices get the type `type`: F32, F16, BF16,
 * or KEEP_TYPES; vectors become F32, as llama.cpp wants them. Other conversions are refused with
 * STATUS_UNSUPPORTED. The checkpoint must have been opened with its weights. */
enum status checkpoint_write_gguf(const struct checkpoint *cp, const char *path, int type,
                                  struct error *err);

/* Adds the metadata of a model, and of its vocabulary. `matrix_type`: of most of the matrices. */
void gguf_add_model(struct gguf_writer *w, const struct checkpoint *cp,
                    enum tensor_type matrix_type);
enum status gguf_add_vocab(struct gguf_writer *w, const struct checkpoint *cp, struct error *err);

#endif
