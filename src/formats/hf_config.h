/* Hugging Face's config.json and generation_config.json -> hyperparameters, as transformers
 * reads them. */
#ifndef TANDEM_FORMATS_HF_CONFIG_H
#define TANDEM_FORMATS_HF_CONFIG_H

#include "base/error.h"
#include "base/json.h"
#include "formats/hyperparameters.h"

/* `name`: the file, for messages. STATUS_UNSUPPORTED: another architecture, or a feature of
 * these two that Tandem does not do. */
enum status hf_config_read(const char *name, const json_t *config, struct hyperparameters *h,
                           struct error *err);
/* `generation` is generation_config.json, or NULL; `config` gives the ids it does not name. */
enum status hf_generation_read(const char *generation_name, const json_t *generation,
                               const char *config_name, const json_t *config,
                               struct generation_defaults *g, struct error *err);

#endif
