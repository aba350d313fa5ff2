/* A GGUF file's vocabulary as the documents of a Hugging Face folder. */
#ifndef TANDEM_TEXT_TOKENIZER_EXPORT_H
#define TANDEM_TEXT_TOKENIZER_EXPORT_H

#include "base/error.h"
#include "base/json.h"
#include "base/vocab_source.h"

/* tokenizer.json and tokenizer_config.json, the chat template included. New references; both NULL
 * on error. context_length: what model_max_length will say. */
enum status tokenizer_export(const struct vocab_source *source, size_t context_length,
                             json_t **tokenizer, json_t **config, struct error *err);

#endif
