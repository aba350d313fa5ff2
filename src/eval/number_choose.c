/* Which number is the answer.
 *
 * Where the answer announces its result ("Answer: ..."), only the announcement counts, and the
 * last one counts. Otherwise the last sentence that has a number does. Several different numbers
 * there are sorted out by what connects them; where that leaves a doubt ("5 or 6", "18 - 10"),
 * there is no answer rather than a lucky one.
 */
#include "base/memory.h"
#include "eval/number.h"
#include "eval/regex.h"
#include "eval/text_scan.h"

#include <math.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

/* What stands between two numbers. */
enum connection { CONNECTION_WORDS, CONNECTION_EQUALS, CONNECTION_OPERATOR };

static bool ends_in_word(const char *text, struct span span, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t length = strlen(words[i]);
        if (length > span.end - span.begin ||
            strncasecmp(text + span.end - length, words[i], length))
            continue;
        bool is_latin = (unsigned char)words[i][0] < 0x80;
        if (!is_latin || length == span.end - span.begin ||
            strchr(" )%", text[span.end - length - 1]))
            return true;
    }
    return false;
}

static bool ends_in_symbol(const char *text, struct span span, const char *const *symbols, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t length = strlen(symbols[i]);
        if (length <= span.end - span.begin &&
            !memcmp(text + span.end - length, symbols[i], length))
            return true;
    }
    return false;
}

#define COUNT(array) (sizeof(array) / sizeof *(array))

static enum connection connection_of(const char *text, size_t begin, size_t end)
{
    static const char *const equal_symbols[] = {"=", "≈", "→", "⇒", "->", "=>"};
    static const char *const equal_words[] = {"equals", "equal to", "is", "are",  "makes", "gives",
                                              "得",     "等于",     "即", "得到", "是",    "为"};
    static const char *const symbols[] = {"+", "-", "×", "÷", "*",  "/", "^", "·", ":",
                                          "~", "–", "—", ",", "、", "±", "<", ">"};
    static const char *const words[] = {"or",   "and",  "plus", "minus", "times", "by",    "to",
                                        "over", "x",    "或",   "或者",  "或是",  "和",    "与",
                                        "加",   "减",   "乘",   "除以",  "到",    "至",    "乘以",
                                        "还是", "加上", "减去", "less",  "maybe", "either"};
    struct span between = text_trim(text, (struct span){begin, end});
    while (between.end > between.begin && strchr("([\" ", text[between.end - 1]))
        between.end--;
    if (between.begin == between.end)
        return CONNECTION_OPERATOR;
    if (ends_in_symbol(text, between, equal_symbols, COUNT(equal_symbols)) ||
        ends_in_word(text, between, equal_words, COUNT(equal_words)))
        return CONNECTION_EQUALS;
    bool operator_at_end = ends_in_word(text, between, words, COUNT(words));
    bool symbol_at_end = ends_in_symbol(text, between, symbols, COUNT(symbols));
    struct span first = {between.begin, between.begin + 1};
    bool symbol_at_start =
        first.end <= between.end && ends_in_symbol(text, first, symbols, 7) && end - begin < 12;
    return operator_at_end || symbol_at_end || symbol_at_start ? CONNECTION_OPERATOR
                                                               : CONNECTION_WORDS;
}

static bool same_value(const struct number *a, const struct number *b)
{
    return a->percent == b->percent && fabs(a->value - b->value) <= 1e-12 * fabs(a->value);
}

/* Drops the numbers for which `drop` says so, unless that would leave none. */
static size_t filter(struct number *numbers, size_t n, bool (*drop)(const struct number *),
                     bool may_empty)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        kept += !drop(&numbers[i]);
    if (!kept && !may_empty)
        return n;
    kept = 0;
    for (size_t i = 0; i < n; i++)
        if (!drop(&numbers[i]))
            numbers[kept++] = numbers[i];
    return kept;
}

static bool is_denied(const struct number *number)
{
    return number->is_negated;
}

static bool names_something(const struct number *number)
{
    return number->is_marker;
}

static bool is_aside(const struct number *number)
{
    return number->is_aside;
}

/* Nothing but signs and a few opening words in front: "约5人", "x = 5". */
static bool opens_region(const char *text, size_t begin, size_t end)
{
    static const char *const openers[] = {
        "about", "approximately", "约", "大约", "是",     "为",      "应该是",   "一共",
        "共",    "总共",          "有", "共有", "一共有", "exactly", "therefore"};
    struct span front = text_trim_punctuation(text, (struct span){begin, end});
    size_t length = front.end - front.begin;
    if (!length)
        return true;
    if (length <= 4 && text[front.end - 1] == '=')
        return true;
    for (size_t i = 0; i < COUNT(openers); i++)
        if (strlen(openers[i]) == length && !strncasecmp(text + front.begin, openers[i], length))
            return true;
    return false;
}

/* "4 + 5 = 9 points in 40 minutes": the result of the last equation, where nothing but words of
 * its own clause stand behind it. NULL if there is none. */
static const struct number *equation_result(const char *text, struct span sentence,
                                            const struct number *numbers, size_t n)
{
    static const char *const turns[] = {"so", "then", "所以", "因此"};
    size_t k = n - 1;
    for (; k; k--) {
        enum connection before =
            connection_of(text, numbers[k - 1].span.end, numbers[k].span.begin);
        if (before == CONNECTION_EQUALS)
            break;
        if (before != CONNECTION_WORDS)
            return NULL;
    }
    size_t end = numbers[n - 1].span.begin;
    if (!k || !memchr(text + numbers[k - 1].span.end, '=',
                      numbers[k].span.begin - numbers[k - 1].span.end))
        return NULL;
    for (size_t i = 0; i < COUNT(turns); i++)
        if (text_find_word(text, numbers[k].span.end, end, turns[i]) != SIZE_MAX)
            return NULL;
    struct span clause = text_clause_at(text + sentence.begin, sentence.end - sentence.begin,
                                        numbers[k].span.begin - sentence.begin);
    return numbers[n - 1].span.end <= clause.end + sentence.begin ? &numbers[k] : NULL;
}

/* Out of several different numbers in one sentence. `announced`: the sentence is what follows
 * "Answer:", so that a number right at its beginning is the answer. */
static const struct number *decide(const char *text, struct span sentence, bool announced,
                                   const struct number *numbers, size_t n)
{
    const struct number *first = &numbers[0], *last = &numbers[n - 1];
    bool all_same = true;
    for (size_t i = 1; i < n; i++)
        all_same &= same_value(first, &numbers[i]);
    if (all_same)
        return first;
    enum connection after_first = connection_of(text, first->span.end, numbers[1].span.begin);
    enum connection before_last = connection_of(text, numbers[n - 2].span.end, last->span.begin);
    bool opens = opens_region(text, sentence.begin, first->span.begin);
    if (announced && opens && after_first == CONNECTION_WORDS)
        return first;
    if (before_last == CONNECTION_EQUALS)
        return last;
    if (announced && opens && after_first == CONNECTION_EQUALS)
        return first;
    if (announced || before_last != CONNECTION_WORDS)
        return NULL;
    const struct number *result = equation_result(text, sentence, numbers, n);
    return result ? result : last;
}

/* Chooses from the numbers of one sentence. */
static enum status choose_in(const char *text, struct span sentence, bool announced,
                             enum number_choice *choice, struct number *chosen, struct error *err)
{
    struct number *numbers;
    size_t n;
    enum status status = numbers_scan(text, sentence, &numbers, &n, err);
    if (status)
        return status;
    bool too_many = n == NUMBERS_LIMIT;
    n = filter(numbers, n, is_denied, true);
    n = filter(numbers, n, names_something, !announced);
    n = filter(numbers, n, is_aside, false);
    const struct number *number = n ? decide(text, sentence, announced, numbers, n) : NULL;
    *choice = !n ? NUMBER_NONE : number && !too_many ? NUMBER_FOUND : NUMBER_AMBIGUOUS;
    if (number)
        *chosen = *number;
    mem_free(numbers);
    return STATUS_OK;
}

static bool has_digit(const char *text, struct span span)
{
    for (size_t i = span.begin; i < span.end; i++)
        if (text[i] >= '0' && text[i] <= '9')
            return true;
    return false;
}

/* Where the text turns to checking what it has found: that part is no answer. */
static size_t verification_begin(const char *text, size_t length)
{
    static const char *const starts[] = {"验算",        "检验",         "验证",
                                         "check:",      "verification", "verify",
                                         "let's check", "to check",     "double-check"};
    for (size_t line = 0; line < length;) {
        struct span span = text_line(text, length, line);
        struct span content = text_trim_punctuation(text, span);
        for (size_t i = 0; i < COUNT(starts); i++) {
            size_t n = strlen(starts[i]);
            if (content.end - content.begin >= n &&
                !strncasecmp(text + content.begin, starts[i], n) &&
                has_digit(text, (struct span){0, span.begin}))
                return span.begin;
        }
        line = span.end + 1;
    }
    return length;
}

/* The last sentence with a number that counts, in text[begin, end). */
static enum status choose_from_end(const char *text, size_t begin, size_t end,
                                   enum number_choice *choice, struct number *number,
                                   struct span *place, struct error *err)
{
    *choice = NUMBER_NONE;
    while (end > begin && *choice == NUMBER_NONE) {
        struct span sentence = text_sentence_at(text + begin, end - begin, end - begin - 1);
        sentence.begin += begin;
        sentence.end += begin;
        if (has_digit(text, sentence)) {
            *place = sentence;
            enum status status = choose_in(text, sentence, false, choice, number, err);
            if (status)
                return status;
        }
        end = sentence.begin > begin ? sentence.begin - 1 : begin;
        while (end > begin && ((unsigned char)text[end] & 0xC0) == 0x80)
            end--; /* the mark between the sentences may be a wide one */
    }
    return STATUS_OK;
}

/* Whether the text behind an announcement takes it back; *at is where. */
static enum status find_correction(const char *text, size_t begin, size_t end, bool *found,
                                   size_t *at, struct error *err)
{
    static const char words[] = "\\b(?:wait|actually|correction|sorry|my mistake|scratch that)\\b"
                                "|更正|纠正|不对|等等|等一下|搞错|算错|抱歉|其实";
    struct regex *pattern;
    struct regex_match match;
    *found = false;
    enum status status = regex_compile(words, REGEX_CASELESS, &pattern, err);
    if (status)
        return status;
    for (size_t from = begin; regex_find(pattern, text, end, from, &match); from = match.end) {
        *found = true;
        *at = match.begin;
    }
    regex_free(pattern);
    return STATUS_OK;
}

/* The announcement's sentence: up to its first end that has a digit in front. */
static struct span announced_sentence(const char *text, struct span region)
{
    size_t at = region.begin;
    while (at < region.end && !(text[at] >= '0' && text[at] <= '9'))
        at++;
    if (at == region.end)
        return region;
    struct span sentence =
        text_sentence_at(text + region.begin, region.end - region.begin, at - region.begin);
    return (struct span){sentence.begin + region.begin, sentence.end + region.begin};
}

static enum status choose_announced(const struct answer *answer, const struct mark *mark,
                                    enum number_choice *choice, struct number *number,
                                    struct span *place, struct error *err)
{
    bool corrected;
    size_t at;
    const char *text = answer->plain;
    *place = announced_sentence(text, mark->region);
    enum status status = choose_in(text, *place, true, choice, number, err);
    if (!status)
        status =
            find_correction(text, mark->region.end, answer->plain_length, &corrected, &at, err);
    if (status || !corrected || !has_digit(text, (struct span){at, answer->plain_length}))
        return status;
    return choose_from_end(text, at, answer->plain_length, choice, number, place, err);
}

enum status number_extract(const struct answer *answer, enum number_choice *choice,
                           struct number *number, struct span *place, struct error *err)
{
    struct mark *marks;
    size_t n;
    enum status status = answer_marks(answer, &marks, &n, err);
    *choice = NUMBER_NONE;
    *place = (struct span){0, 0};
    bool decided = false;
    while (!status && n-- > 0 && !decided) {
        status = choose_announced(answer, &marks[n], choice, number, place, err);
        decided = *choice != NUMBER_NONE || marks[n].strong;
    }
    mem_free(marks);
    if (status || decided)
        return status;
    size_t end = verification_begin(answer->plain, answer->plain_length);
    return choose_from_end(answer->plain, 0, end, choice, number, place, err);
}
