/* Writing what was trained: a complete Hugging Face folder, or an adapter in PEFT's format. */
#ifndef TANDEM_TRAIN_EXPORT_H
#define TANDEM_TRAIN_EXPORT_H

#include "formats/safetensors_write.h"
#include "train/network.h"

/* model.safetensors in `type` (TYPE_BF16 or TYPE_F32); see export_documents() for the rest. */
enum status export_model(const struct parameters *parameters, enum tensor_type type,
                         const char *model, const char *out, struct error *err);
/* adapter_config.json and adapter_model.safetensors (F32), as PEFT writes and reads them. `base`:
 * what base_model_name_or_path will say. */
enum status export_adapter(const struct parameters *parameters, const struct lora_options *lora,
                           enum family family, const char *base, const char *out,
                           struct error *err);
/* config.json with its dtype set, and copies of generation_config.json and the tokenizer's files
 * as far as `model` (a folder) has them. */
enum status export_documents(const char *model, enum tensor_type type, const char *out,
                             struct error *err);

#endif
