/* An answer's text, made ready for judging.
 *
 * `raw` is the answer as valid UTF-8 without the model's reasoning (<think>...</think>).
 * `plain` is what a reader sees: Markdown, HTML and LaTeX markup removed, full-width forms and
 * mathematical digits folded to ASCII, \boxed{5}, "#### 5" and <answer>5</answer> written as
 * "Answer: 5". Code and JSON are judged on raw, everything else on plain.
 */
#ifndef TANDEM_EVAL_ANSWER_H
#define TANDEM_EVAL_ANSWER_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct answer {
    char *raw;
    size_t raw_length;
    char *plain;
    size_t plain_length;
    bool unfinished_reasoning; /* <think> without an end: raw and plain are empty */
};

/* Text is limited to what grader_grade accepts. STATUS_MEMORY, or STATUS_OK. */
enum status answer_prepare(const char *text, size_t length, struct answer *answer,
                           struct error *err);
void answer_clear(struct answer *answer);
/* The plain form of a piece of text, mem_free; NULL when out of memory. */
char *answer_plain(const char *text, size_t length, size_t *plain_length);

/* [begin, end) in a text. */
struct span {
    size_t begin, end;
};

/* Where the answer announces its result: "Answer: ...", "答案：..." and the like. The region is
 * the rest of the line, or the next line that is not blank where nothing follows. */
struct mark {
    struct span region;
    bool strong; /* with a colon or alone on its line; "the answer is ..." is weak */
};
/* All marks in plain, in order, one per line; *marks is freed with mem_free. */
enum status answer_marks(const struct answer *answer, struct mark **marks, size_t *n_marks,
                         struct error *err);
/* The region of the last strong mark, else of the last weak one, else the whole text. */
enum status answer_conclusion(const struct answer *answer, struct span *region, bool *marked,
                              struct error *err);

/* Fenced code blocks of raw, in order. */
struct code_block {
    struct span language; /* the word behind the fence; empty when there is none */
    struct span body;     /* without the fences' lines */
    size_t indent;        /* blanks in front of the opening fence */
};
enum status answer_code_blocks(const struct answer *answer, struct code_block **blocks,
                               size_t *n_blocks, struct error *err);

#endif
