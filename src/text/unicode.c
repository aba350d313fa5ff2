#include "text/unicode.h"
#include "base/size.h"
#include "base/utf8.h"

#include <utf8proc.h>

bool unicode_is_space(uint32_t c)
{
    if (c < 0x85)
        return c == ' ' || (c >= '\t' && c <= '\r');
    return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
           c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

static utf8proc_category_t category(uint32_t c)
{
    return utf8proc_category((utf8proc_int32_t)c);
}

bool unicode_is_numeric(uint32_t c)
{
    utf8proc_category_t k = category(c);
    return k >= UTF8PROC_CATEGORY_ND && k <= UTF8PROC_CATEGORY_NO;
}

bool unicode_is_punctuation(uint32_t c)
{
    if (c < 0x80)
        return (c > ' ' && c < '0') || (c > '9' && c < 'A') || (c > 'Z' && c < 'a') ||
               (c > 'z' && c < 0x7F);
    utf8proc_category_t k = category(c);
    return k >= UTF8PROC_CATEGORY_PC && k <= UTF8PROC_CATEGORY_PO;
}

bool unicode_is_mark(uint32_t c)
{
    utf8proc_category_t k = category(c);
    return k >= UTF8PROC_CATEGORY_MN && k <= UTF8PROC_CATEGORY_ME;
}

bool unicode_is_word(uint32_t c)
{
    utf8proc_category_t k = category(c);
    return (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_ND) || k == UTF8PROC_CATEGORY_PC ||
           k == UTF8PROC_CATEGORY_NL || c == 0x200C || c == 0x200D;
}

size_t unicode_next(const char *text, size_t length, uint32_t *c)
{
    int n = utf8_decode(text, length, c);
    if (n > 0)
        return (size_t)n;
    *c = 0xFFFD;
    return 1;
}

size_t unicode_previous(const char *text, size_t end, uint32_t *c)
{
    size_t start = end - 1;
    while (start > 0 && end - start < 4 && ((unsigned char)text[start] & 0xC0) == 0x80)
        start--;
    return unicode_next(text + start, end - start, c) == end - start ? end - start : 1;
}

size_t unicode_broken_length(const char *text, size_t length)
{
    uint32_t c;
    for (size_t n = size_min(length, 3); n > 1; n--)
        if (utf8_decode(text, n, &c) == 0)
            return n;
    return 1;
}

void unicode_append_repaired(struct strbuf *out, const char *text, size_t length)
{
    uint32_t c;
    size_t good = 0, i = 0;
    while (i < length) {
        int n = utf8_decode(text + i, length - i, &c);
        if (n > 0) {
            i += (size_t)n;
            continue;
        }
        strbuf_append(out, text + good, i - good);
        strbuf_add_codepoint(out, 0xFFFD);
        i += unicode_broken_length(text + i, length - i);
        good = i;
    }
    strbuf_append(out, text + good, i - good);
}
