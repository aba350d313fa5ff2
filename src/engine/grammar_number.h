/* JSON numbers between bounds, as automata over their decimal digits. */
#ifndef TANDEM_ENGINE_GRAMMAR_NUMBER_H
#define TANDEM_ENGINE_GRAMMAR_NUMBER_H

#include "base/error.h"
#include "engine/grammar_dfa.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum { DECIMAL_WHOLE = 40, DECIMAL_FRACTION = 40, MULTIPLE_LIMIT = 2000 };

/* Exact: digits in front of the point, right-aligned, and behind it, left-aligned. */
struct decimal {
    bool negative;
    char digits[DECIMAL_WHOLE + DECIMAL_FRACTION]; /* '0' to '9' */
};

/* The shortest decimal that the number is read from. STATUS_UNSUPPORTED if it needs more digits
 * than there are. */
enum status decimal_from_json(const json_t *number, struct decimal *decimal, struct error *err);
/* -1, 0 or 1; zeros are equal whatever their sign. */
int decimal_compare(const struct decimal *a, const struct decimal *b);
/* JSON text of the number, the shortest that reads as the same double. */
void number_spell(const json_t *number, char text[40]);

struct number_limits {
    struct decimal least, most;
    bool has_least, has_most;
    bool above_least, below_most; /* the limit itself is not allowed */
    bool integer;                 /* no fraction and no exponent */
    uint32_t multiple_of;         /* 0: anything */
};

/* Every number that the DFA accepts keeps to the limits, also after it was read as a double.
 * Spelling: up to 15 digits in front of the point and 15 behind it, an exponent of at most two
 * digits; with limits no exponent, 9 digits in front and 6 behind, or as many as the limits
 * have. Never "-0". */
enum status number_to_dfa(const struct number_limits *limits, size_t *budget, struct dfa *dfa,
                          struct error *err);

#endif
