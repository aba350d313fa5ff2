/* config.json and generation_config.json of a checkpoint that has none: of GGUF files. What
 * hf_config_read() and hf_generation_read() make of them are the same values again. */
#ifndef TANDEM_FORMATS_HF_CONFIG_WRITE_H
#define TANDEM_FORMATS_HF_CONFIG_WRITE_H

#include "base/json.h"
#include "formats/hyperparameters.h"

/* New references; NULL when out of memory. dtype: transformers' name of the weights' type. */
json_t *hf_config_json(const struct hyperparameters *h, const struct generation_defaults *g,
                       const char *dtype);
json_t *hf_generation_json(const struct generation_defaults *g);

#endif
