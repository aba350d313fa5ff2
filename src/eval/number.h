/* Numbers in an answer's plain text, and which of them is the answer. */
#ifndef TANDEM_EVAL_NUMBER_H
#define TANDEM_EVAL_NUMBER_H

#include "eval/answer.h"

struct number {
    struct span span; /* with sign, suffix and fraction */
    double value;     /* 1,234.5 -> 1234.5; 3/4 -> 0.75; 5万 -> 50000; 25% -> 25 */
    bool percent;
    bool is_marker;  /* "3." of a list, 第3, step 3: names something, counts nothing */
    bool is_negated; /* "not 5" */
    bool is_aside;   /* in parentheses, or a total: "out of 30", 30人中 */
};

enum { NUMBERS_LIMIT = 20000 };
/* All numbers of plain[region), in order, at most NUMBERS_LIMIT; *numbers is freed with mem_free.
 */
enum status numbers_scan(const char *text, struct span region, struct number **numbers,
                         size_t *n_numbers, struct error *err);

enum number_choice { NUMBER_NONE, NUMBER_FOUND, NUMBER_AMBIGUOUS };
/* The number that the answer gives as its result; *place is where it was looked for. */
enum status number_extract(const struct answer *answer, enum number_choice *choice,
                           struct number *number, struct span *place, struct error *err);

#endif
