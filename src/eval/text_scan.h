/* Small tools on UTF-8 text that graders share: sentences, clauses, words, keyword search. */
#ifndef TANDEM_EVAL_TEXT_SCAN_H
#define TANDEM_EVAL_TEXT_SCAN_H

#include "eval/answer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool text_is_han(uint32_t codepoint);   /* ideographs, not punctuation */
bool text_is_space(uint32_t codepoint); /* including no-break and ideographic spaces */
/* Code point at text[0..length), length > 0; invalid bytes give U+FFFD and length 1. */
size_t text_next(const char *text, size_t length, uint32_t *codepoint);

/* The sentence, or clause, that holds byte `at` of text[0..length). Sentences end at a newline,
 * one of 。！？!?；; and at a full stop with a blank or nothing behind it; clauses also at ，, and
 * 、. The mark that ends it is not part of it. */
struct span text_sentence_at(const char *text, size_t length, size_t at);
struct span text_clause_at(const char *text, size_t length, size_t at);

struct span text_trim(const char *text, struct span span); /* blanks at both ends */
/* Like text_trim, and also quotes, brackets and punctuation at both ends. */
struct span text_trim_punctuation(const char *text, struct span span);

/* Next occurrence of `word` in text[from, end), SIZE_MAX if there is none. ASCII letters match in
 * either case. A word that begins or ends in an ASCII letter or digit must not go on with
 * another one there: "an" is not in "man", 北京 is in 北京市. */
size_t text_find_word(const char *text, size_t from, size_t end, const char *word);
/* The same without regard to what stands beside it. */
size_t text_find(const char *text, size_t from, size_t end, const char *needle);
/* Whether what stands directly in front of byte `at` denies it: "not ", "isn't ", 不是, 并非 ... */
bool text_is_negated(const char *text, size_t begin, size_t at);

/* Words as a reader counts them: each Han character is one, and each run of other letters and
 * digits (with ' - . , inside) is one. */
size_t text_count_words(const char *text, size_t length);
size_t text_count_han(const char *text, size_t length);
/* Letters of Latin script (ASCII only). */
size_t text_count_latin(const char *text, size_t length);
/* Sentences that hold at least one letter or digit. */
size_t text_count_sentences(const char *text, size_t length);

/* Compatibility-normalised (NFKC), case-folded, blanks collapsed, and none beside Han
 * characters; mem_free; NULL when out of memory. */
char *text_normalize(const char *text, size_t length);

/* Lines, [begin, end) without the newline. */
struct span text_line(const char *text, size_t length, size_t begin);
/* Length of a list marker ("- ", "* ", "3. ", "(3) ", "三、") and the blanks around it at the start
 * of a line; 0 when there is none. *numbered tells the kind. */
size_t text_list_marker(const char *text, struct span line, bool *numbered);

#endif
