#include "eval/answer.h"

#include "base/memory.h"
#include "base/strbuf.h"
#include "base/utf8.h"
#include "eval/regex.h"
#include "eval/text_scan.h"

#include <string.h>

enum { MAX_MARKS = 1000, MAX_BLOCKS = 200 };

/* Valid UTF-8 without NUL bytes, which would end C strings early. */
static char *repair(const char *text, size_t length, size_t *repaired)
{
    struct strbuf out = {0};
    uint32_t c;
    for (size_t i = 0; i < length;) {
        i += text_next(text + i, length - i, &c);
        strbuf_add_codepoint(&out, c ? c : 0xFFFD);
    }
    strbuf_append(&out, "", 0);
    *repaired = out.length;
    return strbuf_take(&out);
}

static size_t find_last(const char *text, size_t length, const char *needle)
{
    size_t last = SIZE_MAX;
    for (size_t at = 0; (at = text_find(text, at, length, needle)) != SIZE_MAX; at++)
        last = at;
    return last;
}

/* Drops the model's reasoning from the front of raw. Templates may have opened it already, so
 * that only its end is in the answer. */
static void drop_reasoning(struct answer *answer)
{
    static const char open[] = "<think>", close[] = "</think>";
    struct span all = text_trim(answer->raw, (struct span){0, answer->raw_length});
    bool opens = text_find(answer->raw, all.begin, all.end, open) == all.begin;
    size_t first_open = text_find(answer->raw, 0, answer->raw_length, open);
    size_t first_close = text_find(answer->raw, 0, answer->raw_length, close);
    size_t keep = 0;
    if (first_close != SIZE_MAX && (opens || first_open == SIZE_MAX || first_open > first_close))
        keep = find_last(answer->raw, answer->raw_length, close) + strlen(close);
    else if (opens) {
        answer->unfinished_reasoning = true;
        keep = answer->raw_length;
    }
    answer->raw_length -= keep;
    memmove(answer->raw, answer->raw + keep, answer->raw_length);
    answer->raw[answer->raw_length] = 0;
}

enum status answer_prepare(const char *text, size_t length, struct answer *answer,
                           struct error *err)
{
    *answer = (struct answer){0};
    answer->raw = repair(text, length, &answer->raw_length);
    if (!answer->raw)
        return error_memory(err, "an answer");
    drop_reasoning(answer);
    answer->plain = answer_plain(answer->raw, answer->raw_length, &answer->plain_length);
    if (!answer->plain) {
        answer_clear(answer);
        return error_memory(err, "an answer");
    }
    return STATUS_OK;
}

void answer_clear(struct answer *answer)
{
    mem_free(answer->raw);
    mem_free(answer->plain);
    *answer = (struct answer){0};
}

/* Named groups do not matter: what counts is where the match ends. Group 1 is there when the
 * mark is strong. */
static const char mark_pattern[] =
    "(?:(?:final|correct)\\s{1,3})?\\banswer\\s{0,3}(?:is)?\\s{0,3}([:=])"
    "|(?:最终|正确|最后的?)?答案\\s{0,3}(?:是|为)?\\s{0,3}([:=])"
    "|^[ \\t]*答\\s{0,3}(:)"
    "|^[^\\w\\n]*(?:the\\s)?(?:final\\s|correct\\s)?answer[^\\w\\n]*$()"
    "|^[^\\w\\n]*(?:最终|正确)?答案[^\\w\\n]*$()"
    "|\\banswer\\s{1,3}(?:is|would\\sbe|should\\sbe)\\b"
    "|答案(?:应该|应当|应|就)?(?:是|为)";

static bool is_blank(const char *text, struct span span)
{
    span = text_trim(text, span);
    return span.begin == span.end;
}

/* From the mark's end to the line's end, or the next line that says something. */
static struct span mark_region(const struct answer *answer, size_t begin)
{
    struct span line = text_line(answer->plain, answer->plain_length, begin);
    while (is_blank(answer->plain, line) && line.end < answer->plain_length)
        line = text_line(answer->plain, answer->plain_length, line.end + 1);
    return line;
}

static enum status collect_marks(const struct answer *answer, struct regex *pattern,
                                 struct mark **marks, size_t *n, struct error *err)
{
    size_t capacity = 0, from = 0;
    struct regex_match match;
    while (*n < MAX_MARKS && from <= answer->plain_length &&
           regex_find(pattern, answer->plain, answer->plain_length, from, &match)) {
        bool strong = match.captured;
        struct span region = mark_region(answer, match.end);
        from = match.end > from ? match.end : from + 1;
        if (*n && region.begin <= (*marks)[*n - 1].region.end) {
            (*marks)[*n - 1].strong |= strong;
            continue;
        }
        if (!mem_grow(marks, &capacity, *n, sizeof **marks))
            return error_memory(err, "an answer");
        (*marks)[(*n)++] = (struct mark){region, strong};
    }
    return STATUS_OK;
}

enum status answer_marks(const struct answer *answer, struct mark **marks, size_t *n_marks,
                         struct error *err)
{
    *marks = NULL;
    *n_marks = 0;
    struct regex *pattern;
    enum status status = regex_compile(mark_pattern, REGEX_CASELESS | REGEX_LINES, &pattern, err);
    if (!status)
        status = collect_marks(answer, pattern, marks, n_marks, err);
    regex_free(pattern);
    if (status) {
        mem_free(*marks);
        *marks = NULL;
        *n_marks = 0;
    }
    return status;
}

enum status answer_conclusion(const struct answer *answer, struct span *region, bool *marked,
                              struct error *err)
{
    struct mark *marks;
    size_t n;
    enum status status = answer_marks(answer, &marks, &n, err);
    if (status)
        return status;
    *marked = n > 0;
    *region = n ? marks[n - 1].region : (struct span){0, answer->plain_length};
    for (size_t i = n; i-- > 0;)
        if (marks[i].strong) {
            *region = marks[i].region;
            break;
        }
    mem_free(marks);
    return STATUS_OK;
}

/* Length of a fence (``` or ~~~, three or more) at the start of the line, 0 if there is none. */
static size_t fence_length(const char *text, struct span line, size_t *indent)
{
    size_t i = line.begin, n = 0;
    while (i < line.end && (text[i] == ' ' || text[i] == '\t'))
        i++;
    *indent = i - line.begin;
    while (i + n < line.end && (text[i] == '`' || text[i] == '~') && text[i + n] == text[i])
        n++;
    return n >= 3 ? n : 0;
}

static struct span info_word(const char *text, struct span line, size_t begin)
{
    struct span info = text_trim(text, (struct span){begin, line.end});
    for (size_t i = info.begin; i < info.end; i++)
        if (strchr(" \t{,:", text[i]))
            info.end = i;
    return info;
}

/* Reads one block whose opening line is `open`; returns where the text goes on. */
static size_t read_block(const struct answer *answer, struct span open, size_t indent, size_t n,
                         struct code_block *block)
{
    const char *text = answer->raw;
    char mark = text[open.begin + indent];
    *block = (struct code_block){.indent = indent,
                                 .language = info_word(text, open, open.begin + indent + n)};
    size_t at = open.end < answer->raw_length ? open.end + 1 : open.end;
    block->body = (struct span){at, answer->raw_length};
    while (at < answer->raw_length) {
        struct span line = text_line(text, answer->raw_length, at);
        size_t blanks, length = fence_length(text, line, &blanks);
        if (length >= n && text[line.begin + blanks] == mark &&
            is_blank(text, (struct span){line.begin + blanks + length, line.end})) {
            block->body.end = line.begin;
            return line.end;
        }
        at = line.end + 1;
    }
    return answer->raw_length;
}

enum status answer_code_blocks(const struct answer *answer, struct code_block **blocks,
                               size_t *n_blocks, struct error *err)
{
    size_t capacity = 0, indent;
    *blocks = NULL;
    *n_blocks = 0;
    for (size_t at = 0; at < answer->raw_length && *n_blocks < MAX_BLOCKS;) {
        struct span line = text_line(answer->raw, answer->raw_length, at);
        size_t n = fence_length(answer->raw, line, &indent);
        at = line.end + 1;
        if (!n || (answer->raw[line.begin + indent] == '`' &&
                   memchr(answer->raw + line.begin + indent + n, '`',
                          line.end - line.begin - indent - n)))
            continue;
        if (!mem_grow(blocks, &capacity, *n_blocks, sizeof **blocks)) {
            mem_free(*blocks);
            *blocks = NULL;
            *n_blocks = 0;
            return error_memory(err, "an answer");
        }
        at = read_block(answer, line, indent, n, &(*blocks)[*n_blocks]) + 1;
        (*n_blocks)++;
    }
    return STATUS_OK;
}
