/* Words, numbers and escaping that the forms of the report share. Internal to the report. */
#ifndef TANDEM_EVAL_REPORT_TEXT_H
#define TANDEM_EVAL_REPORT_TEXT_H

#include "base/strbuf.h"
#include "eval/comparison.h"
#include "eval/findings.h"

/* The same in English and in Chinese. */
struct bilingual {
    const char *en, *zh;
};
extern const struct bilingual dimension_titles[N_DIMENSIONS + 1]; /* the last: latency */
extern const struct bilingual language_titles[N_LANGUAGES];
extern const struct bilingual latency_titles[N_LATENCY_PARTS];
/* How a score, its interval, the test and the warm-up are meant: ends with a NULL. */
extern const struct bilingual method_notes[];

/* What the reader must know before anything else: random weights, a stop, a failure. */
enum notice_kind { NOTICE_INFO, NOTICE_WARNING, NOTICE_ERROR };
struct notice {
    enum notice_kind kind;
    char text[2][1400]; /* English, Chinese */
};
enum { MAX_NOTICES = 8 };
size_t report_notices(const struct comparison *c, struct notice notices[MAX_NOTICES]);

/* "not asked", "right", ...: with a sign that needs no colour. */
struct bilingual outcome_title(const struct outcome *outcome);
const char *outcome_sign(const struct outcome *outcome);
bool outcome_is_right(const struct outcome *outcome);
/* "differ", "both_right", "both_wrong" or "open": what the two verdicts on an item make. */
const char *outcomes_relation(const struct outcome *a, const struct outcome *b);
struct bilingual choice_title(enum choice choice, const struct comparison *c);
size_t candidate_file_bytes(const struct candidate *candidate);

/* Numbers for people; `out` holds at least 32 bytes. "-" for what was not measured (0). */
void format_seconds(double seconds, char out[32]);
void format_rate(double tokens_per_second, char out[32]);
void format_bytes(size_t bytes, char out[32]);
void format_count(size_t count, char out[32]); /* 1.54 B, 494 M */
void format_p(double p, char out[32]);

/* Untrusted text of a known length. Control characters and invalid bytes become U+FFFD. */
void html_escape(struct strbuf *out, const char *text, size_t length);
void markdown_escape(struct strbuf *out, const char *text); /* one line, in a table or a sentence */
void markdown_fence(struct strbuf *out, const char *text, size_t length); /* a code block */
void terminal_escape(struct strbuf *out, const char *text); /* no control characters */

#endif
