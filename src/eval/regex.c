#define PCRE2_CODE_UNIT_WIDTH 8
#include "eval/regex.h"

#include "base/memory.h"

#include <pcre2.h>
#include <string.h>

/* Steps of one search; a few hundred milliseconds at the very worst. */
enum { MATCH_LIMIT = 1000000, DEPTH_LIMIT = 20000, HEAP_LIMIT_KIB = 20000, MAX_PATTERN = 10000 };

struct regex {
    pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *context;
    bool hit_limit;
};

static enum status compile_code(const char *text, unsigned flags, struct regex *pattern,
                                struct error *err)
{
    int code;
    PCRE2_SIZE offset;
    PCRE2_UCHAR message[200];
    uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C |
                       (flags & REGEX_CASELESS ? PCRE2_CASELESS : 0) |
                       (flags & REGEX_LINES ? PCRE2_MULTILINE : 0) |
                       (flags & REGEX_DOTALL ? PCRE2_DOTALL : 0);
    pattern->code = pcre2_compile((PCRE2_SPTR)text, strlen(text), options, &code, &offset, NULL);
    if (pattern->code)
        return STATUS_OK;
    pcre2_get_error_message(code, message, sizeof message);
    return error_set(err, STATUS_INVALID, "the pattern /%.200s/ is wrong at byte %zu: %s", text,
                     (size_t)offset, (const char *)message);
}

enum status regex_compile(const char *text, unsigned flags, struct regex **out, struct error *err)
{
    *out = NULL;
    if (strlen(text) > MAX_PATTERN)
        return error_set(err, STATUS_LIMIT, "the pattern has %zu bytes, more than %d", strlen(text),
                         MAX_PATTERN);
    struct regex *pattern = mem_alloc(sizeof *pattern);
    if (!pattern)
        return error_memory(err, "a pattern");
    enum status status = compile_code(text, flags, pattern, err);
    if (!status) {
        pattern->data = pcre2_match_data_create_from_pattern(pattern->code, NULL);
        pattern->context = pcre2_match_context_create(NULL);
        if (!pattern->data || !pattern->context)
            status = error_memory(err, "a pattern");
    }
    if (status) {
        regex_free(pattern);
        return status;
    }
    pcre2_set_match_limit(pattern->context, MATCH_LIMIT);
    pcre2_set_depth_limit(pattern->context, DEPTH_LIMIT);
    pcre2_set_heap_limit(pattern->context, HEAP_LIMIT_KIB);
    *out = pattern;
    return STATUS_OK;
}

void regex_free(struct regex *pattern)
{
    if (!pattern)
        return;
    pcre2_match_context_free(pattern->context);
    pcre2_match_data_free(pattern->data);
    pcre2_code_free(pattern->code);
    mem_free(pattern);
}

bool regex_find(struct regex *pattern, const char *text, size_t length, size_t from,
                struct regex_match *match)
{
    int n = from > length ? PCRE2_ERROR_NOMATCH
                          : pcre2_match(pattern->code, (PCRE2_SPTR)text, length, from,
                                        PCRE2_NO_UTF_CHECK, pattern->data, pattern->context);
    if (n < 0) {
        pattern->hit_limit |= n != PCRE2_ERROR_NOMATCH;
        return false;
    }
    const PCRE2_SIZE *offsets = pcre2_get_ovector_pointer(pattern->data);
    *match = (struct regex_match){offsets[0], offsets[1], n > 1};
    return offsets[0] <= offsets[1];
}

bool regex_hit_limit(const struct regex *pattern)
{
    return pattern->hit_limit;
}
