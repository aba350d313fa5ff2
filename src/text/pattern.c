#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/pattern.h"
#include "base/clock.h"
#include "base/memory.h"
#include "text/pattern_syntax.h"
#include "text/unicode.h"

#include <pcre2.h>
#include <string.h>

enum {
    PATTERN_LENGTH_LIMIT = 16384, /* bytes */
    MATCH_LIMIT = 20000000,       /* backtracking steps of one match */
    HEAP_LIMIT = 64 * 1024,       /* KiB, where PCRE2 interprets */
    STACK_SMALLEST = 32 * 1024,
    STACK_LARGEST = 8 * 1024 * 1024,
    CALLS_PER_CHECK = 16,
};
static const double seconds_allowed = 5, seconds_per_byte = 4e-6;

struct pattern {
    pcre2_code *code; /* NULL: a literal */
    bool compiled;    /* to machine code */
    char *literal;
    size_t literal_length;
};

static pcre2_code *compile(const char *regex, size_t length, int *code, size_t *offset)
{
    return pcre2_compile((PCRE2_SPTR)regex, length,
                         PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, code,
                         offset, NULL);
}

enum status pattern_create_regex(const char *regex, size_t length, struct pattern **pattern,
                                 struct error *err)
{
    if (length > PATTERN_LENGTH_LIMIT)
        return error_set(err, STATUS_LIMIT, "a regular expression of %zu bytes (at most %d)",
                         length, PATTERN_LENGTH_LIMIT);
    struct strbuf translated = {0};
    enum status status = pattern_translate(regex, length, &translated, err);
    struct pattern *p = status ? NULL : mem_alloc(sizeof *p);
    if (!status && (!p || translated.failed))
        status = error_memory(err, "a pattern");
    if (!status) {
        int code;
        size_t offset;
        p->code = compile(strbuf_text(&translated), translated.length, &code, &offset);
        if (!p->code) {
            char message[200];
            pcre2_get_error_message(code, (PCRE2_UCHAR *)message, sizeof message);
            status = error_set(err, STATUS_UNSUPPORTED, "regular expression \"%.*s\": %s",
                               length < 300 ? (int)length : 300, regex, message);
        } else {
            p->compiled = !pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE);
        }
    }
    strbuf_free(&translated);
    if (status)
        pattern_free(p);
    else
        *pattern = p;
    return status;
}

enum status pattern_create_literal(const char *text, size_t length, struct pattern **pattern,
                                   struct error *err)
{
    struct pattern *p = mem_alloc(sizeof *p);
    char *copy = mem_copy(text, length);
    if (!p || !copy) {
        mem_free(p);
        mem_free(copy);
        return error_memory(err, "a pattern");
    }
    *p = (struct pattern){.literal = copy, .literal_length = length};
    *pattern = p;
    return STATUS_OK;
}

void pattern_free(struct pattern *pattern)
{
    if (!pattern)
        return;
    pcre2_code_free(pattern->code);
    mem_free(pattern->literal);
    mem_free(pattern);
}

enum status matcher_start(struct matcher *m, const struct pattern *pattern, const char *text,
                          size_t length, struct error *err)
{
    if (pattern->code && !m->match_data) {
        m->match_data = pcre2_match_data_create(1, NULL);
        m->match_context = pcre2_match_context_create(NULL);
        if (!m->match_data || !m->match_context)
            return error_memory(err, "matching");
        pcre2_set_match_limit(m->match_context, MATCH_LIMIT);
        pcre2_set_heap_limit(m->match_context, HEAP_LIMIT);
    }
    if (m->calls == 0)
        m->deadline = clock_seconds() + seconds_allowed;
    m->deadline += (double)length * seconds_per_byte;
    m->pattern = pattern;
    m->text = text;
    m->length = length;
    m->position = m->last_end = 0;
    m->any = false;
    return STATUS_OK;
}

static int run_regex(struct matcher *m)
{
    const pcre2_code *code = m->pattern->code;
    PCRE2_SPTR text = (PCRE2_SPTR)m->text;
    if (!m->pattern->compiled)
        return pcre2_match(code, text, m->length, m->position, PCRE2_NO_UTF_CHECK, m->match_data,
                           m->match_context);
    int rc =
        pcre2_jit_match(code, text, m->length, m->position, 0, m->match_data, m->match_context);
    if (rc != PCRE2_ERROR_JIT_STACKLIMIT || m->stack)
        return rc;
    m->stack = pcre2_jit_stack_create(STACK_SMALLEST, STACK_LARGEST, NULL);
    if (!m->stack)
        return PCRE2_ERROR_NOMEMORY;
    pcre2_jit_stack_assign(m->match_context, NULL, m->stack);
    return pcre2_jit_match(code, text, m->length, m->position, 0, m->match_data, m->match_context);
}

static enum status match_failed(int rc, struct error *err)
{
    char message[200];
    pcre2_get_error_message(rc, (PCRE2_UCHAR *)message, sizeof message);
    return error_set(err, rc == PCRE2_ERROR_NOMEMORY ? STATUS_MEMORY : STATUS_LIMIT,
                     "the tokenizer's regular expression gave up on this text: %s", message);
}

static void step_over_character(struct matcher *m)
{
    uint32_t c;
    m->position += m->position < m->length
                       ? unicode_next(m->text + m->position, m->length - m->position, &c)
                       : 1;
}

static enum status next_literal(struct matcher *m, bool *found, size_t *start, size_t *end)
{
    const struct pattern *p = m->pattern;
    const char *hit = p->literal_length ? memmem(m->text + m->position, m->length - m->position,
                                                 p->literal, p->literal_length)
                                        : NULL;
    *found = hit != NULL;
    if (hit) {
        *start = (size_t)(hit - m->text);
        *end = m->position = *start + p->literal_length;
    }
    return STATUS_OK;
}

enum status matcher_next(struct matcher *m, bool *found, size_t *start, size_t *end,
                         struct error *err)
{
    if (!m->pattern->code)
        return next_literal(m, found, start, end);
    *found = false;
    while (m->position <= m->length) {
        if (++m->calls % CALLS_PER_CHECK == 0 && clock_seconds() > m->deadline)
            return error_set(err, STATUS_LIMIT,
                             "the tokenizer's regular expression is too slow on this text");
        int rc = run_regex(m);
        if (rc == PCRE2_ERROR_NOMATCH)
            return STATUS_OK;
        if (rc < 0)
            return match_failed(rc, err);
        const PCRE2_SIZE *range = pcre2_get_ovector_pointer(m->match_data);
        if (range[1] < range[0] || range[0] < m->position)
            return error_set(err, STATUS_UNSUPPORTED,
                             "the tokenizer's regular expression moves a match's ends (\\K)");
        m->position = range[1];
        if (range[0] == range[1]) {
            step_over_character(m);
            if (m->any && range[1] == m->last_end)
                continue; /* nothing, right behind a match */
        }
        m->any = *found = true;
        *start = range[0];
        *end = m->last_end = range[1];
        return STATUS_OK;
    }
    return STATUS_OK;
}

void matcher_free(struct matcher *m)
{
    pcre2_match_data_free(m->match_data);
    pcre2_match_context_free(m->match_context);
    pcre2_jit_stack_free(m->stack);
    *m = (struct matcher){0};
}
