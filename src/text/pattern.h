/* The patterns of normalizers, pre-tokenizers and decoders: literal strings, and regular
 * expressions in Oniguruma's syntax (which tokenizer.json uses), run by PCRE2.
 *
 * Patterns come from untrusted files: matching is bounded, and a pattern that runs away ends in
 * STATUS_LIMIT. What PCRE2 would understand differently is translated or refused.
 */
#ifndef TANDEM_TEXT_PATTERN_H
#define TANDEM_TEXT_PATTERN_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct pattern;

enum status pattern_create_regex(const char *regex, size_t length, struct pattern **pattern,
                                 struct error *err);
enum status pattern_create_literal(const char *text, size_t length, struct pattern **pattern,
                                   struct error *err);
void pattern_free(struct pattern *pattern);

/* The matches of one pattern in one text, in order. Zero-initialise; a matcher can be started
 * again and again, which saves allocations. The text must be valid UTF-8. */
struct matcher {
    const struct pattern *pattern;
    const char *text;
    size_t length, position, last_end;
    bool any; /* whether there was a match: last_end means something */
    void *match_data, *match_context, *stack;
    double deadline;
    size_t calls;
};
enum status matcher_start(struct matcher *matcher, const struct pattern *pattern, const char *text,
                          size_t length, struct error *err);
/* *found tells whether there was one more match, at text[*start..*end). */
enum status matcher_next(struct matcher *matcher, bool *found, size_t *start, size_t *end,
                         struct error *err);
void matcher_free(struct matcher *matcher);

#endif
