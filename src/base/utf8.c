#include "base/utf8.h"

#include <utf8proc.h>

int utf8_decode(const char *text, size_t length, uint32_t *codepoint)
{
    const unsigned char *s = (const unsigned char *)text;
    if (s[0] < 0x80) {
        *codepoint = s[0];
        return 1;
    }
    int n = s[0] >= 0xC2 && s[0] <= 0xDF   ? 2
            : (s[0] & 0xF0) == 0xE0        ? 3
            : s[0] >= 0xF0 && s[0] <= 0xF4 ? 4
                                           : 0;
    if (n == 0)
        return -1;
    uint32_t c = s[0] & (0xFFu >> (n + 1));
    for (int i = 1; i < n; i++) {
        if ((size_t)i >= length)
            return 0;
        unsigned low = i > 1 ? 0x80 : s[0] == 0xE0 ? 0xA0 : s[0] == 0xF0 ? 0x90 : 0x80;
        unsigned high = i > 1 ? 0xBF : s[0] == 0xED ? 0x9F : s[0] == 0xF4 ? 0x8F : 0xBF;
        if (s[i] < low || s[i] > high)
            return -1;
        c = c << 6 | (s[i] & 0x3F);
    }
    *codepoint = c;
    return n;
}

size_t utf8_encode(uint32_t c, char out[4])
{
    if (c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
        c = 0xFFFD;
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

bool utf8_valid(const char *text, size_t length)
{
    uint32_t c;
    for (size_t i = 0; i < length;) {
        int n = utf8_decode(text + i, length - i, &c);
        if (n <= 0)
            return false;
        i += (size_t)n;
    }
    return true;
}

size_t utf8_count(const char *text, size_t length)
{
    uint32_t c;
    size_t count = 0;
    for (size_t i = 0; i < length; count++) {
        int n = utf8_decode(text + i, length - i, &c);
        i += n > 0 ? (size_t)n : 1;
    }
    return count;
}

size_t utf8_complete_prefix(const char *text, size_t length)
{
    uint32_t c;
    for (size_t back = 1; back <= 3 && back <= length; back++) {
        unsigned char byte = (unsigned char)text[length - back];
        if ((byte & 0xC0) == 0x80)
            continue;
        return byte >= 0x80 && utf8_decode(text + length - back, back, &c) == 0 ? length - back
                                                                                : length;
    }
    return length;
}

size_t utf8_columns(const char *text, size_t length)
{
    uint32_t c;
    size_t columns = 0;
    for (size_t i = 0; i < length;) {
        int n = utf8_decode(text + i, length - i, &c);
        columns += n > 0 ? (size_t)utf8proc_charwidth((utf8proc_int32_t)c) : 1;
        i += n > 0 ? (size_t)n : 1;
    }
    return columns;
}
