/* Regular expressions (PCRE2, UTF, Unicode classes) with bounds on time and depth. */
#ifndef TANDEM_EVAL_REGEX_H
#define TANDEM_EVAL_REGEX_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    REGEX_CASELESS = 1,
    REGEX_LINES = 2,  /* ^ and $ match at line breaks, too */
    REGEX_DOTALL = 4, /* . matches line breaks */
};

struct regex;
struct regex_match {
    size_t begin, end;
    bool captured; /* some group took part in the match */
};

/* STATUS_INVALID with the place and the reason when it does not compile. */
enum status regex_compile(const char *text, unsigned flags, struct regex **pattern,
                          struct error *err);
void regex_free(struct regex *pattern);
/* The next match in text[from, length), which must be valid UTF-8, and `from` the
 * beginning of a character. Running into the bounds counts
 * as no match and is remembered. */
bool regex_find(struct regex *pattern, const char *text, size_t length, size_t from,
                struct regex_match *match);
bool regex_hit_limit(const struct regex *pattern);

#endif
