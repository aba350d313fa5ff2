#include "engine/grammar_number.h"
#include "base/size.h"
#include "engine/grammar_regex.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BOUNDED_WHOLE = 9, BOUNDED_FRACTION = 6, DIGITS = DECIMAL_WHOLE + DECIMAL_FRACTION };

static const char free_number[] =
    "-?(?:0|[1-9][0-9]{0,14})(?:\\.[0-9]{1,15})?(?:[eE][+-]?[0-9]{1,2})?";
static const char free_integer[] = "0|-?[1-9][0-9]{0,14}";

void number_spell(const json_t *number, char text[40])
{
    if (json_is_integer(number)) {
        snprintf(text, 40, "%" JSON_INTEGER_FORMAT, json_integer_value(number));
        return;
    }
    double value = json_real_value(number);
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, 40, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
}

/* --- Decimals --- */

/* A place counts from the point: 0 is the ones, -1 the tenths. */
static bool set_digit(struct decimal *decimal, long place, char digit)
{
    if (digit == '0')
        return true;
    long at = DECIMAL_WHOLE - 1 - place;
    if (at < 0 || at >= DIGITS)
        return false;
    decimal->digits[at] = digit;
    return true;
}

enum status decimal_from_json(const json_t *number, struct decimal *decimal, struct error *err)
{
    char text[40];
    number_spell(number, text);
    *decimal = (struct decimal){.negative = text[0] == '-'};
    memset(decimal->digits, '0', sizeof decimal->digits);
    const char *digits = text + decimal->negative;
    size_t n = strcspn(digits, "eE");
    const char *point = memchr(digits, '.', n);
    long exponent = digits[n] ? strtol(digits + n + 1, NULL, 10) : 0;
    long place = exponent + (long)(point ? (size_t)(point - digits) : n) - 1;
    for (size_t i = 0; i < n; i++) {
        if (digits[i] == '.')
            continue;
        if (!set_digit(decimal, place--, digits[i]))
            return error_set(err, STATUS_UNSUPPORTED,
                             "%s has more than %d digits in front of the point, or behind it", text,
                             DECIMAL_WHOLE);
    }
    return STATUS_OK;
}

static int sign(const struct decimal *d)
{
    for (size_t i = 0; i < DIGITS; i++)
        if (d->digits[i] != '0')
            return d->negative ? -1 : 1;
    return 0;
}

int decimal_compare(const struct decimal *a, const struct decimal *b)
{
    int sign_a = sign(a), sign_b = sign(b);
    if (sign_a != sign_b)
        return sign_a < sign_b ? -1 : 1;
    int order = memcmp(a->digits, b->digits, DIGITS);
    return sign_a * ((order > 0) - (order < 0));
}

/* Digits in front of the point, at least one. */
static size_t whole_digits(const struct decimal *d)
{
    size_t n = DECIMAL_WHOLE;
    while (n > 1 && d->digits[DECIMAL_WHOLE - n] == '0')
        n--;
    return n;
}

static size_t fraction_digits(const struct decimal *d)
{
    size_t n = DECIMAL_FRACTION;
    while (n > 0 && d->digits[DECIMAL_WHOLE + n - 1] == '0')
        n--;
    return n;
}

/* --- Magnitudes between two bounds --- */

/* While digits are read that are those of a bound so far, the next one is bounded by it. */
enum tight { TIGHT_LOW = 1, TIGHT_HIGH = 2, N_TIGHT = 4 };

struct magnitude {
    struct nfa *nfa;
    uint32_t out;
    const struct decimal *low, *high; /* NULL: 0, none */
    bool above_low, below_high;
    bool integer;
    size_t n_whole, n_fraction;                        /* most digits */
    uint32_t fractions[DECIMAL_FRACTION + 1][N_TIGHT]; /* entries by digits read; 0: unknown */
};

static char low_digit(const struct magnitude *m, size_t at, unsigned tight)
{
    return tight & TIGHT_LOW ? m->low->digits[at] : '0';
}

static char high_digit(const struct magnitude *m, size_t at, unsigned tight)
{
    return tight & TIGHT_HIGH ? m->high->digits[at] : '9';
}

static uint32_t nothing(struct magnitude *m)
{
    return nfa_add(m->nfa, (struct nfa_state){.kind = NFA_NOTHING});
}

/* Whether the number may end behind `read` digits of its fraction. */
static bool may_end(const struct magnitude *m, size_t read, unsigned tight)
{
    if ((tight & TIGHT_LOW) && (fraction_digits(m->low) > read || m->above_low))
        return false;
    return !((tight & TIGHT_HIGH) && fraction_digits(m->high) <= read && m->below_high);
}

/* Which bounds are still tight behind this digit. */
static unsigned tighten(const struct magnitude *m, size_t at, unsigned tight, char digit)
{
    if ((tight & TIGHT_LOW) && digit != m->low->digits[at])
        tight &= ~(unsigned)TIGHT_LOW;
    if ((tight & TIGHT_HIGH) && digit != m->high->digits[at])
        tight &= ~(unsigned)TIGHT_HIGH;
    return tight;
}

static uint32_t add_digit(struct magnitude *m, uint32_t entry, char digit, uint32_t out)
{
    return nfa_split(m->nfa, entry, nfa_range(m->nfa, (uint8_t)digit, (uint8_t)digit, out));
}

static uint32_t fraction_entry(struct magnitude *m, size_t read, unsigned tight)
{
    uint32_t *known = &m->fractions[read][tight];
    if (*known || m->nfa->failure)
        return *known;
    uint32_t entry = read > 0 && may_end(m, read, tight) ? m->out : nothing(m);
    size_t at = DECIMAL_WHOLE + read;
    if (read < m->n_fraction)
        for (char d = low_digit(m, at, tight); d <= high_digit(m, at, tight); d++)
            entry = add_digit(m, entry, d, fraction_entry(m, read + 1, tighten(m, at, tight, d)));
    return *known = entry;
}

static uint32_t whole_end(struct magnitude *m, unsigned tight)
{
    uint32_t entry = may_end(m, 0, tight) ? m->out : nothing(m);
    if (m->integer)
        return entry;
    uint32_t fraction = fraction_entry(m, 0, tight);
    return nfa_split(m->nfa, entry, nfa_range(m->nfa, '.', '.', fraction));
}

/* Entries of whole parts by how tight they are, from the last digit to the first. */
static uint32_t whole_entry(struct magnitude *m, size_t length, unsigned tight)
{
    uint32_t entries[N_TIGHT], before[N_TIGHT];
    for (unsigned t = 0; t < N_TIGHT; t++)
        entries[t] = (t & ~tight) ? 0 : whole_end(m, t);
    for (size_t left = 1; left <= length; left++) {
        memcpy(before, entries, sizeof before);
        size_t at = DECIMAL_WHOLE - left;
        for (unsigned t = 0; t < N_TIGHT; t++) {
            if (t & ~tight)
                continue;
            entries[t] = nothing(m);
            for (char d = low_digit(m, at, t); d <= high_digit(m, at, t); d++)
                if (d != '0' || left < length || length == 1)
                    entries[t] = add_digit(m, entries[t], d, before[tighten(m, at, t, d)]);
        }
    }
    return entries[tight];
}

static uint32_t magnitude_entry(struct magnitude *m)
{
    size_t least = m->low ? whole_digits(m->low) : 1;
    size_t most = m->high ? whole_digits(m->high) : m->n_whole;
    uint32_t entry = nothing(m);
    for (size_t length = least; length <= most; length++) {
        unsigned tight = (m->low && length == whole_digits(m->low) ? TIGHT_LOW : 0) |
                         (m->high && length == whole_digits(m->high) ? TIGHT_HIGH : 0);
        entry = nfa_split(m->nfa, entry, whole_entry(m, length, tight));
    }
    return entry;
}

/* --- Ranges --- */

static struct magnitude new_magnitude(const struct number_limits *limits, struct nfa *nfa)
{
    struct magnitude m = {.nfa = nfa,
                          .integer = limits->integer,
                          .n_whole = BOUNDED_WHOLE,
                          .n_fraction = BOUNDED_FRACTION};
    if (limits->has_least) {
        m.n_whole = size_max(m.n_whole, whole_digits(&limits->least));
        m.n_fraction = size_max(m.n_fraction, fraction_digits(&limits->least));
    }
    if (limits->has_most) {
        m.n_whole = size_max(m.n_whole, whole_digits(&limits->most));
        m.n_fraction = size_max(m.n_fraction, fraction_digits(&limits->most));
    }
    return m;
}

/* From 0 on; NFA_NOTHING where the limits allow none. */
static uint32_t natural_entry(const struct number_limits *limits, struct nfa *nfa, uint32_t out)
{
    struct magnitude m = new_magnitude(limits, nfa);
    m.out = out;
    if (limits->has_most && sign(&limits->most) < 0)
        return nothing(&m);
    if (limits->has_least && sign(&limits->least) >= 0) {
        m.low = &limits->least;
        m.above_low = limits->above_least;
    }
    if (limits->has_most) {
        m.high = &limits->most;
        m.below_high = limits->below_most;
    }
    return magnitude_entry(&m);
}

/* Below 0: the magnitudes between the limits' in the other order. */
static uint32_t negative_entry(const struct number_limits *limits, struct nfa *nfa, uint32_t out)
{
    struct decimal zero = {0};
    struct magnitude m = new_magnitude(limits, nfa);
    m.out = out;
    if (limits->has_least && sign(&limits->least) >= 0)
        return nothing(&m);
    memset(zero.digits, '0', sizeof zero.digits);
    m.low = &zero;
    m.above_low = true;
    if (limits->has_most && sign(&limits->most) < 0) {
        m.low = &limits->most;
        m.above_low = limits->below_most;
    }
    if (limits->has_least) {
        m.high = &limits->least;
        m.below_high = limits->above_least;
    }
    return nfa_range(nfa, '-', '-', magnitude_entry(&m));
}

static enum status finish(struct nfa *nfa, size_t *budget, struct dfa *dfa, struct error *err)
{
    enum status status = dfa_from_nfa(nfa, budget, dfa, err);
    nfa_free(nfa);
    return status;
}

static enum status range_to_dfa(const struct number_limits *limits, size_t *budget, struct dfa *dfa,
                                struct error *err)
{
    struct nfa nfa = {0};
    nothing(&(struct magnitude){.nfa = &nfa}); /* state 0, so that no entry is 0 */
    uint32_t out = nfa_match(&nfa);
    uint32_t negative = negative_entry(limits, &nfa, out);
    nfa.start = nfa_split(&nfa, negative, natural_entry(limits, &nfa, out));
    return finish(&nfa, budget, dfa, err);
}

static enum status free_to_dfa(bool integer, size_t *budget, struct dfa *dfa, struct error *err)
{
    struct nfa nfa;
    const char *pattern = integer ? free_integer : free_number;
    enum status status = regex_to_nfa(pattern, strlen(pattern), false, SPELLING_TEXT, &nfa, err);
    return status ? status : finish(&nfa, budget, dfa, err);
}

/* Digits whose number leaves the remainder 0: a state per remainder. */
static enum status multiples_to_dfa(uint32_t divisor, size_t *budget, struct dfa *dfa,
                                    struct error *err)
{
    struct nfa nfa = {0};
    uint32_t match = nfa_match(&nfa), first = (uint32_t)nfa.count;
    /* Remainder r is entered at first + 20 r: a split and a range for each digit. */
    for (uint32_t r = 0; r < divisor; r++)
        for (uint32_t digit = 0; digit < 10; digit++) {
            uint32_t next = first + 20 * ((r * 10 + digit) % divisor);
            uint32_t here = (uint32_t)nfa.count;
            nfa_split(&nfa, here + 1, digit < 9 ? here + 2 : (r == 0 ? match : here + 1));
            nfa_range(&nfa, (uint8_t)('0' + digit), (uint8_t)('0' + digit), next);
        }
    nfa.start = nfa_split(&nfa, first, nfa_range(&nfa, '-', '-', first));
    return finish(&nfa, budget, dfa, err);
}

enum status number_to_dfa(const struct number_limits *limits, size_t *budget, struct dfa *dfa,
                          struct error *err)
{
    bool is_free = !limits->has_least && !limits->has_most;
    enum status status = is_free ? free_to_dfa(limits->integer, budget, dfa, err)
                                 : range_to_dfa(limits, budget, dfa, err);
    if (status || limits->multiple_of <= 1)
        return status;
    struct dfa range = *dfa, multiples;
    status = multiples_to_dfa(limits->multiple_of, budget, &multiples, err);
    if (!status) {
        status = dfa_combine(&range, &multiples, DFA_BOTH, budget, dfa, err);
        dfa_free(&multiples);
    }
    dfa_free(&range);
    return status;
}
