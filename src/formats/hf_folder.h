/* Writing the documents of a Hugging Face folder beside its weights. */
#ifndef TANDEM_FORMATS_HF_FOLDER_H
#define TANDEM_FORMATS_HF_FOLDER_H

#include "base/error.h"
#include "base/json.h"

/* FOLDER/NAME, indented. */
enum status hf_write_json(const char *folder, const char *name, const json_t *value,
                          struct error *err);
/* config.json of the folder `from`, for the caller to change and release; NULL on error. */
json_t *hf_read_config(const char *from, struct error *err);
/* generation_config.json, the tokenizer's files and the chat template, as far as `from` has them.
 */
enum status hf_copy_documents(const char *from, const char *to, struct error *err);

#endif
