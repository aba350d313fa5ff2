/* Models by name: those that come with Tandem, and where they lie.
 *
 * Looked for in the folders of TANDEM_MODELS (separated by ':'), in models/ beside the build
 * folder, and in the installed data folder, in this order. */
#ifndef TANDEM_CLI_MODELS_H
#define TANDEM_CLI_MODELS_H

#include "base/error.h"

/* The model that commands use when none is named. */
#define DEFAULT_MODEL "tandem-qwen-tiny"

/* The path of `name`: itself if it is there as a file or folder (or names no model that can be
 * found: opening it then tells), else the folder of the model of that name. mem_free; NULL when
 * out of memory. */
char *models_locate(const char *name);

#endif
