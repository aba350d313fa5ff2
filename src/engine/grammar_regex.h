/* Regular expressions in ECMAScript's syntax, with Unicode code points as characters, to NFAs.
 *
 * What is not regular (look-around, back-references) or needs tables of properties (\p, \b) is
 * refused. \d, \w and \s are ECMAScript's; lazy quantifiers match the same texts as greedy ones.
 */
#ifndef TANDEM_ENGINE_GRAMMAR_REGEX_H
#define TANDEM_ENGINE_GRAMMAR_REGEX_H

#include "base/error.h"
#include "engine/grammar_nfa.h"

#include <stdbool.h>
#include <stddef.h>

/* `search`: anything may stand around the match, as in JSON Schema's "pattern"; otherwise the
 * whole text matches. Makes *nfa, which nfa_free() releases in any case. Messages tell the byte of
 * the pattern. */
enum status regex_to_nfa(const char *pattern, size_t length, bool search, enum spelling spelling,
                         struct nfa *nfa, struct error *err);

#endif
