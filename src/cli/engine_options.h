/* Options of engines that several commands have: the KV cache's type, speculation. */
#ifndef TANDEM_CLI_ENGINE_OPTIONS_H
#define TANDEM_CLI_ENGINE_OPTIONS_H

#include "cli/args.h"
#include "model/kv_cache.h"

/* clang-format off */
#define KV_TYPE_OPTION(target, standard)                                                           \
    {"kv-type", 0, OPTION_STRING, &(target), "TYPE",                                               \
     "KV cache in f16, f32 or q8_0 (" standard ")"}
/* --speculate auto|off|always, where the engine generates. */
#define SPECULATE_OPTION(target)                                                                  \
    {"speculate", 0, OPTION_STRING, &(target), "WHEN",                                             \
     "compute repeated text ahead: auto (where it pays), off, always"}
/* --draft MODEL, in the same places. */
#define DRAFT_OPTION(target)                                                                       \
    {"draft", 0, OPTION_MODEL, &(target), "MODEL",                                                 \
     "a small model of the same vocabulary that guesses ahead, where it pays"}
/* clang-format on */

#endif
