/* UTF-8: decoding, encoding, validation. Strict: no surrogates, no overlong forms. */
#ifndef TANDEM_BASE_UTF8_H
#define TANDEM_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decode the code point at text[0..length). Returns its length in bytes (1 to 4), 0 where the
 * bytes are the beginning of a code point that is not complete, -1 where they are invalid
 * (and then text[0] alone is to be skipped). `length` must be at least 1. */
int utf8_decode(const char *text, size_t length, uint32_t *codepoint);
/* Writes 1 to 4 bytes, returns how many. Invalid code points become U+FFFD. */
size_t utf8_encode(uint32_t codepoint, char out[4]);
bool utf8_valid(const char *text, size_t length);
/* Code points in the text; an invalid byte counts as one. */
size_t utf8_count(const char *text, size_t length);
/* How many bytes of text[0..length) are complete: length less an unfinished code point at the
 * end. What streaming may show. */
size_t utf8_complete_prefix(const char *text, size_t length);
/* Columns on a terminal: 2 for wide (East Asian) characters, 0 for combining ones. */
size_t utf8_columns(const char *text, size_t length);

#endif
