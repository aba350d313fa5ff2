#include "eval/text_scan.h"

#include "base/memory.h"
#include "base/strbuf.h"
#include "base/utf8.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>
#include <stdlib.h>
#include <utf8proc.h>

bool text_is_han(uint32_t c)
{
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || c == 0x3007 ||
           (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x20000 && c <= 0x323AF);
}

bool text_is_space(uint32_t c)
{
    return c == ' ' || (c >= 9 && c <= 13) || c == 0xA0 || c == 0x3000 || c == 0x202F ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x85;
}

size_t text_next(const char *text, size_t length, uint32_t *codepoint)
{
    int n = utf8_decode(text, length, codepoint);
    if (n > 0)
        return (size_t)n;
    *codepoint = 0xFFFD;
    return 1;
}

static bool is_letter_or_digit(uint32_t c)
{
    if (c < 0x80)
        return isalnum((int)c) != 0;
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) ||
           category == UTF8PROC_CATEGORY_ND || category == UTF8PROC_CATEGORY_MN ||
           category == UTF8PROC_CATEGORY_MC;
}

static bool starts_with(const char *text, size_t length, const char *prefix)
{
    size_t n = strlen(prefix);
    return n <= length && !memcmp(text, prefix, n);
}

/* Length of the mark that ends a sentence (or clause) at text[i], 0 if none does. */
static size_t sentence_end_length(const char *text, size_t length, size_t i)
{
    static const char *const wide[] = {"。", "！", "？", "；"};
    unsigned char c = (unsigned char)text[i];
    if (c == '\n' || c == '!' || c == '?' || c == ';')
        return 1;
    if (c == '.')
        return i + 1 == length || strchr(" \t\n\"')", text[i + 1]) ? 1 : 0;
    for (size_t k = 0; c >= 0x80 && k < sizeof wide / sizeof *wide; k++)
        if (starts_with(text + i, length - i, wide[k]))
            return strlen(wide[k]);
    return 0;
}

static size_t clause_end_length(const char *text, size_t length, size_t i)
{
    if (text[i] == ',') /* not the one in 1,234 */
        return i && isdigit((unsigned char)text[i - 1]) && i + 1 < length &&
                       isdigit((unsigned char)text[i + 1])
                   ? 0
                   : 1;
    if (starts_with(text + i, length - i, "，") || starts_with(text + i, length - i, "、"))
        return 3;
    return sentence_end_length(text, length, i);
}

typedef size_t end_length(const char *text, size_t length, size_t i);

static struct span part_at(const char *text, size_t length, size_t at, end_length *ends)
{
    struct span part = {at, at};
    while (part.begin && ends(text, length, part.begin - 1) != 1 &&
           !(part.begin >= 3 && ends(text, length, part.begin - 3) == 3))
        part.begin--;
    while (part.end < length && !ends(text, length, part.end))
        part.end++;
    return part;
}

struct span text_sentence_at(const char *text, size_t length, size_t at)
{
    return part_at(text, length, at, sentence_end_length);
}

struct span text_clause_at(const char *text, size_t length, size_t at)
{
    return part_at(text, length, at, clause_end_length);
}

static uint32_t codepoint_before(const char *text, size_t begin, size_t end, size_t *start)
{
    uint32_t c;
    size_t i = end - 1;
    while (i > begin && end - i < 4 && ((unsigned char)text[i] & 0xC0) == 0x80)
        i--;
    if (text_next(text + i, end - i, &c) != end - i) {
        i = end - 1;
        c = 0xFFFD;
    }
    *start = i;
    return c;
}

typedef bool trims(uint32_t codepoint);

static struct span trim(const char *text, struct span span, trims *drop)
{
    uint32_t c;
    size_t n, start;
    while (span.begin < span.end && (n = text_next(text + span.begin, span.end - span.begin, &c)) &&
           drop(c))
        span.begin += n;
    while (span.end > span.begin && drop(codepoint_before(text, span.begin, span.end, &start)))
        span.end = start;
    return span;
}

static bool is_edge_punctuation(uint32_t c)
{
    if (text_is_space(c))
        return true;
    if (c < 0x80)
        return strchr(".,;:!?\"'()[]{}*_`<>~|", (int)c) && c;
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

struct span text_trim(const char *text, struct span span)
{
    return trim(text, span, text_is_space);
}

struct span text_trim_punctuation(const char *text, struct span span)
{
    return trim(text, span, is_edge_punctuation);
}

size_t text_find(const char *text, size_t from, size_t end, const char *needle)
{
    size_t n = strlen(needle);
    if (!n || n > end)
        return SIZE_MAX;
    int first = tolower((unsigned char)needle[0]);
    for (size_t i = from; i + n <= end; i++)
        if (tolower((unsigned char)text[i]) == first && !strncasecmp(text + i, needle, n))
            return i;
    return SIZE_MAX;
}

size_t text_find_word(const char *text, size_t from, size_t end, const char *word)
{
    size_t n = strlen(word), at;
    for (; (at = text_find(text, from, end, word)) != SIZE_MAX; from = at + 1) {
        bool joined_before =
            isalnum((unsigned char)word[0]) && at > 0 && isalnum((unsigned char)text[at - 1]);
        bool joined_after = isalnum((unsigned char)word[n - 1]) && at + n < end &&
                            isalnum((unsigned char)text[at + n]);
        if (!joined_before && !joined_after)
            return at;
    }
    return SIZE_MAX;
}

bool text_is_negated(const char *text, size_t begin, size_t at)
{
    static const char *const negations[] = {
        "not",         "isn't",    "isn’t",  "aren't",       "wasn't",     "never",     "cannot be",
        "rather than", "不是",     "并非",   "不为",         "不等于",     "而非",      "不应是",
        "不应该是",    "不会是",   "≠",      "!=",           "instead of", "no longer", "不在",
        "不来自",      "not from", "not in", "not equal to", "not the",    "不可能是"};
    while (at > begin && strchr(" \"'(*_`", text[at - 1]) && text[at - 1])
        at--;
    for (size_t i = 0; i < sizeof negations / sizeof *negations; i++) {
        size_t n = strlen(negations[i]);
        if (n > at - begin || strncasecmp(text + at - n, negations[i], n))
            continue;
        if (!isalpha((unsigned char)negations[i][0]) || at - n == begin ||
            !isalnum((unsigned char)text[at - n - 1]))
            return true;
    }
    return false;
}

size_t text_count_words(const char *text, size_t length)
{
    size_t count = 0;
    bool inside = false;
    uint32_t c, next;
    for (size_t i = 0, n; i < length; i += n) {
        n = text_next(text + i, length - i, &c);
        if (text_is_han(c)) {
            count++;
            inside = false;
        } else if (is_letter_or_digit(c)) {
            count += !inside;
            inside = true;
        } else if (inside) {
            bool joins = c == '\'' || c == '-' || c == '.' || c == ',' || c == 0x2019;
            if (joins && i + n < length)
                text_next(text + i + n, length - i - n, &next);
            inside = joins && i + n < length && is_letter_or_digit(next) && !text_is_han(next);
        }
    }
    return count;
}

size_t text_count_han(const char *text, size_t length)
{
    size_t count = 0;
    uint32_t c;
    for (size_t i = 0; i < length;) {
        i += text_next(text + i, length - i, &c);
        count += text_is_han(c);
    }
    return count;
}

size_t text_count_latin(const char *text, size_t length)
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++)
        count += isalpha((unsigned char)text[i]) != 0;
    return count;
}

size_t text_count_sentences(const char *text, size_t length)
{
    size_t count = 0;
    bool has_content = false;
    uint32_t c;
    for (size_t i = 0; i < length;) {
        size_t end = sentence_end_length(text, length, i);
        size_t n = text_next(text + i, length - i, &c);
        if (end) {
            count += has_content;
            has_content = false;
            i += end;
            continue;
        }
        has_content = has_content || is_letter_or_digit(c);
        i += n;
    }
    return count + has_content;
}

static void collapse_blanks(const char *text, size_t length, struct strbuf *out)
{
    uint32_t previous = ' ', c;
    bool blank = false;
    for (size_t i = 0; i < length;) {
        i += text_next(text + i, length - i, &c);
        if (text_is_space(c)) {
            blank = true;
            continue;
        }
        if (blank && out->length && !text_is_han(c) && !text_is_han(previous))
            strbuf_add_char(out, ' ');
        blank = false;
        strbuf_add_codepoint(out, c);
        previous = c;
    }
}

char *text_normalize(const char *text, size_t length)
{
    utf8proc_uint8_t *mapped = NULL;
    utf8proc_option_t options =
        UTF8PROC_COMPAT | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE;
    utf8proc_ssize_t n =
        utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)length, &mapped, options);
    struct strbuf out = {0};
    if (n < 0)
        collapse_blanks(text, length, &out);
    else
        collapse_blanks((const char *)mapped, (size_t)n, &out);
    free(mapped);
    strbuf_append(&out, "", 0);
    return strbuf_take(&out);
}

struct span text_line(const char *text, size_t length, size_t begin)
{
    const char *newline = begin < length ? memchr(text + begin, '\n', length - begin) : NULL;
    return (struct span){begin, newline ? (size_t)(newline - text) : length};
}

static size_t bullet_length(const char *text, size_t length)
{
    static const char *const bullets[] = {"- ", "* ", "+ ", "•", "·", "●", "– ", "○", "◦", "▪"};
    for (size_t i = 0; i < sizeof bullets / sizeof *bullets; i++)
        if (starts_with(text, length, bullets[i]))
            return strlen(bullets[i]);
    return 0;
}

/* "3.", "3)", "3、", "(3)", "（三）", "三、", "①": without the blanks behind it. */
static size_t number_marker_length(const char *text, size_t length)
{
    static const char *const closers[] = {".", ")", "、", "）", "．"};
    uint32_t c;
    size_t i = starts_with(text, length, "(") ? 1 : starts_with(text, length, "（") ? 3 : 0;
    size_t begin = i;
    if (starts_with(text, length, "\xE2\x91") || starts_with(text, length, "\xE2\x92"))
        return 3; /* circled and other list numbers */
    while (i < length && i - begin < 3 && isdigit((unsigned char)text[i]))
        i++;
    while (i < length && i - begin < 9 && text_next(text + i, length - i, &c) == 3 &&
           strstr("一二三四五六七八九十", (char[]){text[i], text[i + 1], text[i + 2], 0}))
        i += 3;
    if (i == begin)
        return 0;
    for (size_t k = 0; k < sizeof closers / sizeof *closers; k++)
        if (starts_with(text + i, length - i, closers[k])) {
            size_t end = i + strlen(closers[k]);
            bool decimal =
                closers[k][0] == '.' && end < length && isdigit((unsigned char)text[end]);
            return decimal ? 0 : end;
        }
    return 0;
}

size_t text_list_marker(const char *text, struct span line, bool *numbered)
{
    size_t begin = line.begin;
    while (begin < line.end && (text[begin] == ' ' || text[begin] == '\t'))
        begin++;
    size_t n = bullet_length(text + begin, line.end - begin);
    *numbered = false;
    if (!n) {
        n = number_marker_length(text + begin, line.end - begin);
        *numbered = n > 0;
    }
    if (!n)
        return 0;
    size_t end = begin + n;
    while (end < line.end && (text[end] == ' ' || text[end] == '\t'))
        end++;
    return end - line.begin;
}
