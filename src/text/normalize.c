#include "text/normalize.h"
#include "base/memory.h"
#include "text/unicode.h"

#include <string.h>
#include <utf8proc.h>

struct codepoints {
    utf8proc_int32_t *items;
    size_t count, capacity;
};

bool normalize_is_inert(uint32_t c)
{
    return c < 0x300 || (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3001 && c <= 0x3029) ||
           (c >= 0x3041 && c <= 0x3096) || (c >= 0x309D && c <= 0x30FF) ||
           (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x400 && c <= 0x482) ||
           (c >= 0x2010 && c <= 0x2027) || (c >= 0x2190 && c <= 0x2328) ||
           (c >= 0x2500 && c <= 0x27BF) || (c >= 0xFF01 && c <= 0xFFEF) ||
           (c >= 0x1F300 && c <= 0x1F64F);
}

/* The first position from `at` on whose code point is not inert (or the length). */
static size_t skip_inert(const char *text, size_t length, size_t at)
{
    uint32_t c;
    while (at < length) {
        if ((unsigned char)text[at] < 0xCC) { /* lead bytes below 0xCC: U+0000 to U+02FF */
            at += (unsigned char)text[at] < 0x80 ? 1 : 2;
            continue;
        }
        size_t n = unicode_next(text + at, length - at, &c);
        if (!normalize_is_inert(c))
            break;
        at += n;
    }
    return at;
}

bool normalize_is_nfc(const char *text, size_t length)
{
    return skip_inert(text, length, 0) >= length;
}

static bool push(struct codepoints *list, utf8proc_int32_t c)
{
    if (!mem_grow(&list->items, &list->capacity, list->count, sizeof *list->items))
        return false;
    list->items[list->count++] = c;
    return true;
}

static bool decompose(const char *text, size_t length, bool compatibility, struct codepoints *out)
{
    enum { LONGEST = 32 }; /* U+FDFA becomes 18 */
    utf8proc_option_t options =
        UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | (compatibility ? UTF8PROC_COMPAT : 0);
    for (size_t i = 0; i < length;) {
        uint32_t c;
        utf8proc_int32_t parts[LONGEST];
        int boundary_class = 0;
        i += unicode_next(text + i, length - i, &c);
        utf8proc_ssize_t n =
            utf8proc_decompose_char((utf8proc_int32_t)c, parts, LONGEST, options, &boundary_class);
        if (n < 0 || n > LONGEST) {
            parts[0] = (utf8proc_int32_t)c;
            n = 1;
        }
        for (utf8proc_ssize_t k = 0; k < n; k++)
            if (!push(out, parts[k]))
                return false;
    }
    return true;
}

static unsigned combining_class(utf8proc_int32_t c)
{
    return (unsigned)utf8proc_get_property(c)->combining_class & 0xFF;
}

/* Stable, by combining class: insertion for the usual handful, counting for more. */
static bool sort_marks(utf8proc_int32_t *marks, size_t n)
{
    if (n <= 16) {
        for (size_t i = 1; i < n; i++)
            for (size_t k = i; k > 0 && combining_class(marks[k - 1]) > combining_class(marks[k]);
                 k--) {
                utf8proc_int32_t swapped = marks[k];
                marks[k] = marks[k - 1];
                marks[k - 1] = swapped;
            }
        return true;
    }
    utf8proc_int32_t *copy = mem_copy(marks, n * sizeof *marks);
    size_t starts[257] = {0};
    if (!copy)
        return false;
    for (size_t i = 0; i < n; i++)
        starts[combining_class(copy[i]) + 1]++;
    for (size_t k = 1; k < 257; k++)
        starts[k] += starts[k - 1];
    for (size_t i = 0; i < n; i++)
        marks[starts[combining_class(copy[i])]++] = copy[i];
    mem_free(copy);
    return true;
}

static bool order_marks(struct codepoints *list)
{
    for (size_t i = 0; i < list->count;) {
        size_t end = i;
        while (end < list->count && combining_class(list->items[end]) != 0)
            end++;
        if (end > i + 1 && !sort_marks(list->items + i, end - i))
            return false;
        i = end + 1;
    }
    return true;
}

static enum status normalize_part(enum normal_form form, const char *text, size_t length,
                                  struct strbuf *out, struct error *err)
{
    struct codepoints list = {0};
    bool compatibility = form == FORM_NFKC || form == FORM_NFKD;
    bool composing = form == FORM_NFC || form == FORM_NFKC;
    bool good = decompose(text, length, compatibility, &list) && order_marks(&list);
    if (good && composing && list.count) {
        utf8proc_ssize_t n = utf8proc_normalize_utf32(list.items, (utf8proc_ssize_t)list.count,
                                                      UTF8PROC_STABLE | UTF8PROC_COMPOSE);
        good = n >= 0;
        list.count = good ? (size_t)n : 0;
    }
    for (size_t i = 0; good && i < list.count; i++)
        strbuf_add_codepoint(out, (unsigned)list.items[i]);
    mem_free(list.items);
    return good && !out->failed ? STATUS_OK : error_memory(err, "normalising text");
}

/* A run of other code points is normalised together with the inert one before it, with which it
 * may compose. */
static enum status normalize_nfc(const char *text, size_t length, struct strbuf *out,
                                 struct error *err)
{
    uint32_t c;
    size_t copied = 0;
    while (copied < length) {
        size_t start = skip_inert(text, length, copied), end = start;
        if (start < length && start > copied)
            start -= unicode_previous(text, start, &c);
        strbuf_append(out, text + copied, start - copied);
        while (end < length) {
            size_t n = unicode_next(text + end, length - end, &c);
            if (normalize_is_inert(c))
                break;
            end += n;
        }
        enum status status =
            end > start ? normalize_part(FORM_NFC, text + start, end - start, out, err) : STATUS_OK;
        if (status)
            return status;
        copied = end;
    }
    return out->failed ? error_memory(err, "normalising text") : STATUS_OK;
}

enum status normalize_append(enum normal_form form, const char *text, size_t length,
                             struct strbuf *out, struct error *err)
{
    if (form == FORM_NFC)
        return normalize_nfc(text, length, out, err);
    return normalize_part(form, text, length, out, err);
}
