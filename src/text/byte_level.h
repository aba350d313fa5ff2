/* GPT-2's way of writing bytes as printable characters: "Ġ" is a space, "Ċ" a line feed. */
#ifndef TANDEM_TEXT_BYTE_LEVEL_H
#define TANDEM_TEXT_BYTE_LEVEL_H

#include "base/strbuf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The code point (below 0x144) that stands for a byte. */
uint32_t byte_level_codepoint(uint8_t byte);
/* Appends the text with every byte written as its character. */
void byte_level_append(struct strbuf *out, const char *text, size_t length);
/* Appends the bytes that the text stands for; the text itself where one of its characters stands
 * for no byte. */
void byte_level_append_bytes(struct strbuf *out, const char *text, size_t length);

#endif
