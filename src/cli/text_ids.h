/* A text that a model reads, as token ids: plain text, or conversations as JSON lines. */
#ifndef TANDEM_CLI_TEXT_IDS_H
#define TANDEM_CLI_TEXT_IDS_H

#include "base/vocab_source.h"
#include "text/tokenizer.h"

/* The file's tokens; and in *first, unless first is NULL, the one that texts begin with for this
 * model, or VOCAB_NO_ID; it is not among the others. Names that end in .jsonl: each line has
 * "messages", rendered through the model's chat template with its special tokens, or "text"; one
 * behind the other. Others: plain text. Errors name the file and the line. */
enum status text_ids_read(const struct vocab_source *vocab, const char *path,
                          struct token_list *ids, int32_t *first, struct error *err);

#endif
