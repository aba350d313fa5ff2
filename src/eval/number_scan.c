/* Reading numbers as people write them. */
#include "base/memory.h"
#include "eval/number.h"
#include "eval/text_scan.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_DIGITS = 300 };

struct scanner {
    const char *text;
    size_t begin, end;
};

static char at(const struct scanner *s, size_t i)
{
    return i < s->end ? s->text[i] : 0;
}

static bool digit_at(const struct scanner *s, size_t i)
{
    return isdigit((unsigned char)at(s, i));
}

static bool follows(const struct scanner *s, size_t i, const char *word)
{
    size_t n = strlen(word);
    return i < s->end && s->end - i >= n && !strncasecmp(s->text + i, word, n);
}

static bool precedes(const struct scanner *s, size_t i, const char *word)
{
    size_t n = strlen(word);
    return i - s->begin >= n && !strncasecmp(s->text + i - n, word, n);
}

static size_t skip_blanks(const struct scanner *s, size_t i)
{
    while (at(s, i) == ' ')
        i++;
    return i;
}

static size_t back_over_blanks(const struct scanner *s, size_t i)
{
    while (i > s->begin && s->text[i - 1] == ' ')
        i--;
    return i;
}

static size_t digits_length(const struct scanner *s, size_t i)
{
    size_t n = 0;
    while (digit_at(s, i + n))
        n++;
    return n;
}

/* Unsigned decimal at i, with thousands separators and a fraction; returns its end. */
static size_t read_decimal(const struct scanner *s, size_t i, double *value)
{
    char digits[MAX_DIGITS + 1];
    size_t n = 0, leading = digits_length(s, i);
    bool thousands = leading >= 1 && leading <= 3;
    while (n < MAX_DIGITS) {
        if (digit_at(s, i))
            digits[n++] = s->text[i++];
        else if (thousands && at(s, i) == ',' && digits_length(s, i + 1) == 3)
            i++;
        else
            break;
    }
    if (at(s, i) == '.' && digit_at(s, i + 1)) {
        digits[n < MAX_DIGITS ? n++ : n] = '.';
        for (i++; digit_at(s, i); i++)
            if (n < MAX_DIGITS)
                digits[n++] = s->text[i];
    }
    while (digit_at(s, i))
        i++;
    digits[n] = 0;
    *value = strtod(digits, NULL);
    return i;
}

/* e5, ×10^5 */
static size_t read_exponent(const struct scanner *s, size_t i, double *value)
{
    size_t p = i;
    if (tolower((unsigned char)at(s, i)) == 'e') {
        p = i + 1 + (at(s, i + 1) == '-' || at(s, i + 1) == '+');
    } else {
        p = skip_blanks(s, i);
        size_t sign = follows(s, p, "×") || follows(s, p, "·") ? 2 : at(s, p) == 'x' ? 1 : 0;
        p = skip_blanks(s, p + sign);
        if (!sign || !follows(s, p, "10^"))
            return i;
        p += 3;
        p += at(s, p) == '{' || at(s, p) == '(';
        p += at(s, p) == '-';
    }
    size_t n = digits_length(s, p);
    if (!n || n > 4 || isalpha((unsigned char)at(s, p + n)))
        return i;
    int exponent = atoi(s->text + p);
    *value *= pow(10, s->text[p - 1] == '-' ? -exponent : exponent);
    return p + n + (at(s, p + n) == '}' || at(s, p + n) == ')');
}

/* "/4" behind a number; not the first slash of a date. */
static size_t read_denominator(const struct scanner *s, size_t i, double *value)
{
    double bottom;
    size_t p = skip_blanks(s, i);
    if (at(s, p) != '/')
        return i;
    p = skip_blanks(s, p + 1);
    if (!digit_at(s, p))
        return i;
    size_t end = read_decimal(s, p, &bottom);
    if (bottom == 0 || at(s, end) == '/')
        return i;
    *value /= bottom;
    return end;
}

/* "1 1/2": the fraction behind a whole number. */
static size_t read_mixed(const struct scanner *s, size_t i, double *value)
{
    double part;
    size_t p = i + 1;
    if (at(s, i) != ' ' || !digit_at(s, p) || *value != floor(*value))
        return i;
    size_t end = read_decimal(s, p, &part);
    size_t after = at(s, end) == '/' ? read_denominator(s, end, &part) : end;
    if (after == end || part >= 1)
        return i;
    *value += part;
    return after;
}

static size_t read_suffix(const struct scanner *s, size_t i, struct number *number)
{
    static const struct {
        const char *word;
        double factor;
    } scales[] = {{"万亿", 1e12},   {"亿", 1e8},      {"万", 1e4},      {"百万", 1e6},
                  {"million", 1e6}, {"billion", 1e9}, {"thousand", 1e3}};
    size_t p = skip_blanks(s, i);
    for (size_t k = 0; k < sizeof scales / sizeof *scales; k++)
        if (follows(s, p, scales[k].word)) {
            number->value *= scales[k].factor;
            i = p + strlen(scales[k].word);
            break;
        }
    p = skip_blanks(s, i);
    size_t n = at(s, p) == '%'             ? 1
               : follows(s, p, "percent")  ? 7
               : follows(s, p, "per cent") ? 8
                                           : 0;
    number->percent = n > 0;
    return n ? p + n : i;
}

/* The sign in front of a number at i: moves *begin over it. */
static bool is_negative(const struct scanner *s, size_t *begin)
{
    size_t i = *begin;
    if (precedes(s, i, "负"))
        return *begin -= 3, true;
    if (precedes(s, i, "negative "))
        return *begin -= 9, true;
    if (i == s->begin || s->text[i - 1] != '-')
        return false;
    /* "x-5", "8 -5" and "8-5" subtract; "is -5" and "=-5" do not. */
    size_t before = back_over_blanks(s, i - 1);
    unsigned char c = before > s->begin ? (unsigned char)s->text[before - 1] : '\n';
    bool touches = before == i - 1;
    if (isdigit(c) || (c && strchr(")]%-", c)) || (touches && isalpha(c)))
        return false;
    *begin = i - 1;
    return true;
}

/* "3." or "3)" at the start of a line with text behind it, 第3, step 3, "3rd". */
static bool is_marker(const struct scanner *s, size_t begin, size_t end)
{
    static const char *const labels[] = {"第",   "step",   "步骤", "question", "问题", "方法",
                                         "case", "method", "情况", "part",     "题",   "method #"};
    static const char *const ordinals[] = {"st", "nd", "rd", "th"};
    size_t front = back_over_blanks(s, begin);
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
        if (precedes(s, front, labels[i]))
            return true;
    for (size_t i = 0; i < sizeof ordinals / sizeof *ordinals; i++)
        if (follows(s, end, ordinals[i]) && !isalpha((unsigned char)at(s, end + 2)))
            return true;
    size_t line = begin, limit = s->end - begin > 64 ? begin + 64 : s->end;
    while (line && begin - line < 12 && s->text[line - 1] != '\n')
        line--;
    if (line && s->text[line - 1] != '\n')
        return false;
    struct span whole = text_line(s->text, limit, line);
    bool numbered;
    size_t marker = text_list_marker(s->text, whole, &numbered);
    struct span rest = text_trim(s->text, (struct span){line + marker, whole.end});
    return numbered && begin < line + marker && rest.end > rest.begin;
}

static bool in_parentheses(const struct scanner *s, size_t begin)
{
    size_t depth = 0;
    for (size_t i = begin; i > s->begin && begin - i < 200 && s->text[i - 1] != '\n'; i--) {
        if (s->text[i - 1] == ')')
            depth++;
        else if (s->text[i - 1] == '(' && depth-- == 0)
            return true;
    }
    return false;
}

/* A total that the answer is a part of. */
static bool is_total(const struct scanner *s, size_t begin, size_t end)
{
    static const char *const fronts[] = {"out of", "out of the", "out of a total of",
                                         "of the", "among the",  "among"};
    static const char *const backs[] = {"中",       "人中",     "个人中", "名学生中", "个学生中",
                                        "名同学中", "位同学中", "人里",   "个中"};
    size_t front = back_over_blanks(s, begin), back = skip_blanks(s, end);
    for (size_t i = 0; i < sizeof fronts / sizeof *fronts; i++)
        if (precedes(s, front, fronts[i]))
            return true;
    for (size_t i = 0; i < sizeof backs / sizeof *backs; i++)
        if (follows(s, back, backs[i]))
            return true;
    return false;
}

static bool starts_number(const struct scanner *s, size_t i)
{
    if (!digit_at(s, i) && !(at(s, i) == '.' && digit_at(s, i + 1)))
        return false;
    if (i == s->begin)
        return true;
    unsigned char before = (unsigned char)s->text[i - 1];
    if (precedes(s, i, "RMB") || precedes(s, i, "USD") || precedes(s, i, "CNY"))
        return true;
    return !isalnum(before) && before != '_' && !(before == '.' && at(s, i) != '.');
}

static size_t read_number(const struct scanner *s, size_t i, struct number *number)
{
    *number = (struct number){.span = {i, i}};
    size_t end = read_decimal(s, i, &number->value), start = end;
    end = read_exponent(s, end, &number->value);
    if (end == start)
        end = read_mixed(s, end, &number->value);
    if (end == start)
        end = read_denominator(s, end, &number->value);
    number->is_marker = is_marker(s, i, end);
    end = read_suffix(s, end, number);
    if (is_negative(s, &number->span.begin))
        number->value = -number->value;
    number->percent |= precedes(s, number->span.begin, "百分之");
    number->is_negated = text_is_negated(s->text, s->begin, number->span.begin);
    number->is_aside = in_parentheses(s, i) || is_total(s, i, end);
    number->span.end = end;
    return end;
}

/* Skips a word that has digits in it, like x1 or H2O. */
static size_t skip_word(const struct scanner *s, size_t i)
{
    while (isalnum((unsigned char)at(s, i)) || at(s, i) == '_')
        i++;
    return i;
}

enum status numbers_scan(const char *text, struct span region, struct number **numbers,
                         size_t *n_numbers, struct error *err)
{
    struct scanner s = {text, region.begin, region.end};
    size_t capacity = 0;
    *numbers = NULL;
    *n_numbers = 0;
    for (size_t i = region.begin; i < region.end && *n_numbers < NUMBERS_LIMIT;) {
        if (!starts_number(&s, i)) {
            i = digit_at(&s, i) ? skip_word(&s, i) : i + 1;
            continue;
        }
        if (!mem_grow(numbers, &capacity, *n_numbers, sizeof **numbers)) {
            mem_free(*numbers);
            *numbers = NULL;
            *n_numbers = 0;
            return error_memory(err, "an answer");
        }
        i = read_number(&s, i, &(*numbers)[(*n_numbers)++]);
    }
    return STATUS_OK;
}
