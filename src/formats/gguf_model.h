/* What GGUF metadata says of a model of ours: hyperparameters, vocabulary, generation. */
#ifndef TANDEM_FORMATS_GGUF_MODEL_H
#define TANDEM_FORMATS_GGUF_MODEL_H

#include "base/error.h"
#include "base/memory.h"
#include "formats/checkpoint.h"
#include "formats/gguf.h"

/* Keys of our own, for what llama.cpp has none for. */
#define KEY_EOS_IDS "tandem.eos_token_ids"

/* "phi3" and the like, as general.architecture has it. */
const char *gguf_architecture(enum family family);

/* All that metadata alone can tell; gguf_bind_tensors() does the rest. STATUS_UNSUPPORTED for
 * another architecture, STATUS_NOT_FOUND for a file without a model's constants. */
enum status gguf_read_hyperparameters(const struct gguf *gguf, struct hyperparameters *h,
                                      struct error *err);
/* Fills what the tensors tell: tied embeddings, the vocabulary's size, longrope's factors; then
 * checks the whole. */
enum status gguf_bind_tensors(struct checkpoint *cp, struct error *err);
/* Spans point into the file; arrays lie in the arena. */
enum status gguf_read_vocab(const struct gguf *gguf, struct arena *arena,
                            struct vocab_source *vocab, struct error *err);
enum status gguf_read_generation(const struct gguf *gguf, const struct vocab_source *vocab,
                                 struct generation_defaults *g, struct error *err);

#endif
