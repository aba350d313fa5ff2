/* Oniguruma's (Ruby's) regular expressions, written as PCRE2's. */
#ifndef TANDEM_TEXT_PATTERN_SYNTAX_H
#define TANDEM_TEXT_PATTERN_SYNTAX_H

#include "base/error.h"
#include "base/strbuf.h"

#include <stddef.h>

/* Appends the translation, for PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE. STATUS_UNSUPPORTED where
 * there is none. */
enum status pattern_translate(const char *regex, size_t length, struct strbuf *out,
                              struct error *err);

#endif
