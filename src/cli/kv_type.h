/* --kv-type TYPE, for every command that has a KV cache; kv_type_parse() reads it. */
#ifndef TANDEM_CLI_KV_TYPE_H
#define TANDEM_CLI_KV_TYPE_H

#include "cli/args.h"
#include "model/kv_cache.h"

/* clang-format off */
#define KV_TYPE_OPTION(target, standard)                                                           \
    {"kv-type", 0, OPTION_STRING, &(target), "TYPE",                                               \
     "KV cache in f16, f32 or q8_0 (" standard ")"}
/* clang-format on */

#endif
