/* Results of generated code: Python values with their types, as harness.py reports them. */
#ifndef TANDEM_EVAL_CODE_VALUE_H
#define TANDEM_EVAL_CODE_VALUE_H

#include "base/strbuf.h"

#include <jansson.h>
#include <stdbool.h>

/* Whether `found` (a type's name and its content) is the value that `expected` stands for:
 * numbers by value (20 is 20.0, true is not 1), lists only lists, objects dictionaries;
 * {"$tuple": [...]}, {"$set": [...]}, {"$seq": [...]} (list or tuple), {"$dict": [[k, v], ...]},
 * {"$unordered": [...]} and {"$any_of": [...]} say more. `tolerance` is relative. */
bool code_value_matches(const json_t *expected, const json_t *found, double tolerance);
/* As Python writes it, more or less: for messages. */
void code_value_show(const json_t *found, struct strbuf *out);

#endif
