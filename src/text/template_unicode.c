/* Characters as Python's str methods see them. */
#include "base/utf8.h"
#include "text/template_value.h"

#include <utf8proc.h>

bool codepoint_is_space(uint32_t c)
{
    if (c < 0x80)
        return c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x1F);
    return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
           c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool codepoint_is_line_end(uint32_t c)
{
    return (c >= 10 && c <= 13) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
           c == 0x2029;
}

static utf8proc_category_t category(uint32_t c)
{
    return utf8proc_category((utf8proc_int32_t)c);
}

bool codepoint_is_alpha(uint32_t c)
{
    switch (category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
        return true;
    default:
        return false;
    }
}

bool codepoint_is_decimal(uint32_t c)
{
    return category(c) == UTF8PROC_CATEGORY_ND;
}

/* Decimal digits, and the superscript, subscript and circled ones. */
bool codepoint_is_digit(uint32_t c)
{
    static const uint32_t ranges[][2] = {
        {0xB2, 0xB3},       {0xB9, 0xB9},       {0x1369, 0x1371},   {0x19DA, 0x19DA},
        {0x2070, 0x2070},   {0x2074, 0x2079},   {0x2080, 0x2089},   {0x2460, 0x2468},
        {0x2474, 0x247C},   {0x2488, 0x2490},   {0x24EA, 0x24EA},   {0x24F5, 0x24FD},
        {0x24FF, 0x24FF},   {0x2776, 0x277E},   {0x2780, 0x2788},   {0x278A, 0x2792},
        {0x10A40, 0x10A43}, {0x10E60, 0x10E68}, {0x11052, 0x1105A}, {0x1F100, 0x1F10A},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (c >= ranges[i][0] && c <= ranges[i][1])
            return true;
    return codepoint_is_decimal(c);
}

/* Chinese numerals are letters with a numeric value. */
static bool is_numeral(uint32_t c)
{
    static const uint16_t numerals[] = {
        0x3007, 0x4E00, 0x4E03, 0x4E07, 0x4E09, 0x4E5D, 0x4E8C, 0x4E94, 0x4EBF, 0x4EDF, 0x4F0D,
        0x5104, 0x5146, 0x516B, 0x516D, 0x5341, 0x5343, 0x56DB, 0x58F1, 0x5F0C, 0x5F0D, 0x5F0E,
        0x62FE, 0x634C, 0x67D2, 0x7396, 0x767E, 0x8086, 0x842C, 0x8CAE, 0x8CB3, 0x9646, 0x964C,
    };
    for (size_t i = 0; i < sizeof numerals / sizeof *numerals; i++)
        if (numerals[i] == c)
            return true;
    return false;
}

bool codepoint_is_numeric(uint32_t c)
{
    utf8proc_category_t k = category(c);
    return k == UTF8PROC_CATEGORY_ND || k == UTF8PROC_CATEGORY_NL || k == UTF8PROC_CATEGORY_NO ||
           is_numeral(c);
}

bool codepoint_is_word(uint32_t c)
{
    return c == '_' || codepoint_is_alpha(c) || codepoint_is_numeric(c);
}

bool codepoint_is_name(uint32_t c, bool first)
{
    if (c < 0x80)
        return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               (!first && c >= '0' && c <= '9');
    utf8proc_category_t k = category(c);
    bool later = k == UTF8PROC_CATEGORY_MN || k == UTF8PROC_CATEGORY_MC ||
                 k == UTF8PROC_CATEGORY_ND || k == UTF8PROC_CATEGORY_PC;
    return codepoint_is_alpha(c) || k == UTF8PROC_CATEGORY_NL || (!first && later);
}

bool codepoint_is_printable(uint32_t c)
{
    switch (category(c)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return false;
    case UTF8PROC_CATEGORY_ZS:
        return c == ' ';
    default:
        return true;
    }
}

bool codepoint_is_lower(uint32_t c)
{
    return utf8proc_islower((utf8proc_int32_t)c);
}

bool codepoint_is_upper(uint32_t c)
{
    return utf8proc_isupper((utf8proc_int32_t)c);
}

bool codepoint_is_title(uint32_t c)
{
    return category(c) == UTF8PROC_CATEGORY_LT;
}

uint32_t chars_next(struct text_ref text, size_t *at)
{
    uint32_t c = 0xFFFD;
    int n = utf8_decode(text.data + *at, text.length - *at, &c);
    *at += n > 0 ? (size_t)n : 1;
    return c;
}

uint32_t chars_previous(struct text_ref text, size_t *at)
{
    size_t begin = *at - 1;
    while (begin > 0 && *at - begin < 4 && ((unsigned char)text.data[begin] & 0xC0) == 0x80)
        begin--;
    size_t next = begin;
    *at = begin;
    return chars_next(text, &next);
}

static bool is_one_of(uint32_t c, const struct text_ref *chars)
{
    if (!chars)
        return codepoint_is_space(c);
    for (size_t at = 0; at < chars->length;)
        if (chars_next(*chars, &at) == c)
            return true;
    return false;
}

struct text_ref chars_strip(struct text_ref text, const struct text_ref *chars, bool left,
                            bool right)
{
    size_t begin = 0, end = text.length;
    for (size_t next = begin; left && begin < end; begin = next)
        if (!is_one_of(chars_next(text, &next), chars))
            break;
    for (size_t previous = end; right && end > begin; end = previous)
        if (!is_one_of(chars_previous(text, &previous), chars))
            break;
    return (struct text_ref){text.data + begin, end - begin};
}

/* Capitals that are more than one character. */
static const struct {
    uint32_t small;
    const char *upper, *title;
} long_capitals[] = {
    {0xDF, "SS", "Ss"},
    {0x149, "\u02BCN", "\u02BCN"},
    {0x1F0, "J\u030C", "J\u030C"},
    {0x587, "\u0535\u0552", "\u0535\u0582"},
    {0xFB00, "FF", "Ff"},
    {0xFB01, "FI", "Fi"},
    {0xFB02, "FL", "Fl"},
    {0xFB03, "FFI", "Ffi"},
    {0xFB04, "FFL", "Ffl"},
    {0xFB05, "ST", "St"},
    {0xFB06, "ST", "St"},
};

static void add_capital(struct text_builder *b, uint32_t c, bool title)
{
    for (size_t i = 0; c >= 0xDF && i < sizeof long_capitals / sizeof *long_capitals; i++)
        if (long_capitals[i].small == c) {
            builder_add_string(b, title ? long_capitals[i].title : long_capitals[i].upper);
            return;
        }
    utf8proc_int32_t i = (utf8proc_int32_t)c;
    builder_add_codepoint(b, (uint32_t)(title ? utf8proc_totitle(i) : utf8proc_toupper(i)));
}

void builder_add_upper(struct text_builder *b, struct text_ref text)
{
    for (size_t at = 0; at < text.length && !b->failed;)
        add_capital(b, chars_next(text, &at), false);
}

void builder_add_titled(struct text_builder *b, uint32_t c)
{
    add_capital(b, c, true);
}

static bool is_cased(uint32_t c)
{
    return codepoint_is_lower(c) || codepoint_is_upper(c) || codepoint_is_title(c);
}

/* A sigma at the end of a word has a form of its own. */
static bool is_final_sigma(struct text_ref text, size_t begin, size_t end)
{
    return begin > 0 && is_cased(chars_previous(text, &begin)) &&
           (end >= text.length || !is_cased(chars_next(text, &end)));
}

void builder_add_lower(struct text_builder *b, struct text_ref text)
{
    for (size_t at = 0; at < text.length && !b->failed;) {
        size_t begin = at;
        uint32_t c = chars_next(text, &at);
        if (c == 0x130)
            builder_add_string(b, "i\u0307");
        else if (c == 0x3A3)
            builder_add_codepoint(b, is_final_sigma(text, begin, at) ? 0x3C2 : 0x3C3);
        else
            builder_add_codepoint(b, (uint32_t)utf8proc_tolower((utf8proc_int32_t)c));
    }
}

void builder_add_capitalized(struct text_builder *b, struct text_ref text)
{
    size_t at = 0;
    if (!text.length)
        return;
    builder_add_titled(b, chars_next(text, &at));
    builder_add_lower(b, (struct text_ref){text.data + at, text.length - at});
}

bool chars_is_lower(struct text_ref text)
{
    bool any = false;
    for (size_t at = 0; at < text.length;) {
        uint32_t c = chars_next(text, &at);
        if (codepoint_is_upper(c) || codepoint_is_title(c))
            return false;
        any |= codepoint_is_lower(c);
    }
    return any;
}

bool chars_is_upper(struct text_ref text)
{
    bool any = false;
    for (size_t at = 0; at < text.length;) {
        uint32_t c = chars_next(text, &at);
        if (codepoint_is_lower(c) || codepoint_is_title(c))
            return false;
        any |= codepoint_is_upper(c);
    }
    return any;
}
