/* Tensor names: llama.cpp's in GGUF files, Hugging Face's everywhere else. */
#ifndef TANDEM_FORMATS_NAMES_H
#define TANDEM_FORMATS_NAMES_H

#include "base/vocab_source.h"
#include "formats/hyperparameters.h"

#include <stdbool.h>
#include <stddef.h>

enum { MAX_TENSOR_NAME = 255 };

/* Writes the other name, NUL-terminated, to `out`. False if `name` has no counterpart. */
bool names_from_gguf(enum family family, struct text_span name, char out[MAX_TENSOR_NAME + 1]);
bool names_to_gguf(enum family family, const char *name, char out[MAX_TENSOR_NAME + 1]);
/* Whether a tensor of that name (Hugging Face's) is a weight of either family. */
bool names_is_weight(const char *name);

#endif
