/* Quantized folders: config.json with its quantization_config, the tokenizer's files, and weights
 * as transformers stores those that bitsandbytes quantized (formats/bitsandbytes.h). */
#ifndef TANDEM_QUANTIZE_FOLDER_H
#define TANDEM_QUANTIZE_FOLDER_H

#include "quantize/quantize.h"

/* quantize_checkpoint() for recipes of folders; options are not NULL. */
enum status quantize_folder(const struct checkpoint *cp, const char *path,
                            const struct recipe *recipe, const struct quantize_options *options,
                            struct error *err);

#endif
