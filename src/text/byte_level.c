#include "text/byte_level.h"
#include "text/unicode.h"

/* Printable bytes stand for themselves; the other 68 are numbered from 0x100 on. */
static bool is_printable(unsigned byte)
{
    return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

uint32_t byte_level_codepoint(uint8_t byte)
{
    if (is_printable(byte))
        return byte;
    if (byte <= 0x20)
        return 0x100u + byte;
    return byte == 0xAD ? 0x143u : 0x100u + byte - 0x7F + 0x21;
}

/* The byte for a code point, or -1. */
static int byte_of(uint32_t c)
{
    if (c < 0x100)
        return is_printable(c) ? (int)c : -1;
    if (c <= 0x120)
        return (int)(c - 0x100);
    if (c <= 0x142)
        return (int)(c - 0x121 + 0x7F);
    return c == 0x143 ? 0xAD : -1;
}

void byte_level_append(struct strbuf *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        strbuf_add_codepoint(out, byte_level_codepoint((uint8_t)text[i]));
}

void byte_level_append_bytes(struct strbuf *out, const char *text, size_t length)
{
    size_t before = out->length, n = 0;
    char bytes[256];
    uint32_t c;
    for (size_t i = 0; i < length;) {
        i += unicode_next(text + i, length - i, &c);
        int byte = byte_of(c);
        if (byte < 0) {
            strbuf_truncate(out, before);
            strbuf_append(out, text, length);
            return;
        }
        bytes[n++] = (char)byte;
        if (n == sizeof bytes) {
            strbuf_append(out, bytes, n);
            n = 0;
        }
    }
    strbuf_append(out, bytes, n);
}
