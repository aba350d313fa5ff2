/* --adapter DIR[=SCALE] and --quantize TYPE, for every command that opens a model.
 *
 *     struct string_list words = {0};
 *     const struct option options[] = {ADAPTER_OPTION(words), {0}};
 *     ... args_parse ...
 *     struct adapter_list adapters = {0};
 *     adapters_add(&adapters, words.items, words.count, &err);
 *     ... model_options.adapters = adapters.items ...
 *     adapters_clear(&adapters);
 *     mem_free(words.items);
 */
#ifndef TANDEM_CLI_ADAPTERS_H
#define TANDEM_CLI_ADAPTERS_H

#include "cli/args.h"
#include "model/model.h"

/* clang-format off */
#define ADAPTER_OPTION(words)                                                                     \
    {"adapter", 0, OPTION_LIST, &(words), "DIR[=SCALE]", "add a LoRA adapter; may be repeated"}
/* --quantize TYPE, in the same places; target: a const struct recipe *. */
#define QUANTIZE_OPTION(target)                                                                   \
    {"quantize", 0, OPTION_RECIPE, &(target), "TYPE",                                             \
     "quantize the weights as they are loaded: nf4, q4_0, q8_0, ..."}
/* clang-format on */

struct adapter_list {
    struct adapter_choice *items; /* with paths of their own */
    size_t count, capacity;
};
/* Adds n words, "DIR" or "DIR=0.5". A word that names something that exists is taken as a whole.
 * adapters_clear() also after a failure. */
enum status adapters_add(struct adapter_list *list, const char *const *words, size_t n,
                         struct error *err);
void adapters_clear(struct adapter_list *list);

/* model_open() with the adapters that the words name, in place of those of the options. */
enum status adapters_open_model(const char *path, const struct model_options *options,
                                const struct string_list *words, struct model **model,
                                struct error *err);

#endif
