/* Character classes as the `tokenizers` library understands them, and repair of broken UTF-8. */
#ifndef TANDEM_TEXT_UNICODE_H
#define TANDEM_TEXT_UNICODE_H

#include "base/strbuf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool unicode_is_space(uint32_t c);       /* property White_Space */
bool unicode_is_numeric(uint32_t c);     /* categories N* */
bool unicode_is_punctuation(uint32_t c); /* categories P*, and all ASCII punctuation */
bool unicode_is_word(uint32_t c);        /* \w: letters, marks, decimal digits, connectors */
bool unicode_is_mark(uint32_t c);        /* categories M* */

/* The code point at text[0..length), which must be valid UTF-8; returns its length in bytes. */
size_t unicode_next(const char *text, size_t length, uint32_t *c);
/* The code point that ends at text[end]; returns its length in bytes. `end` must not be 0. */
size_t unicode_previous(const char *text, size_t end, uint32_t *c);

/* How many bytes at `text`, where utf8_decode found no valid code point, one U+FFFD stands for:
 * the longest beginning of a valid sequence, at least one byte. */
size_t unicode_broken_length(const char *text, size_t length);
/* Appends the text; broken parts become U+FFFD. */
void unicode_append_repaired(struct strbuf *out, const char *text, size_t length);

#endif
