/* number: the final answer is this number. */
#include "base/json.h"
#include "eval/grader_kinds.h"
#include "eval/number.h"
#include "eval/text_scan.h"

#include <math.h>
#include <string.h>

static const struct argument number_arguments[] = {{"value", ARGUMENT_NUMBER, true},
                                                   {"tolerance", ARGUMENT_NUMBER, false},
                                                   {"percent", ARGUMENT_BOOLEAN, false},
                                                   {"words", ARGUMENT_STRINGS, false},
                                                   {0}};

/* Tolerance is absolute; without it only rounding of the representation is forgiven. */
static bool is_close(double found, double expected, double tolerance)
{
    double slack = tolerance > 0 ? tolerance * (1 + 1e-9) : 0;
    return fabs(found - expected) <= slack + 1e-9 * fmax(1, fabs(expected));
}

/* The value in the item's unit: with "percent" both 25% and 25 mean 25, without it 25% is 0.25. */
static double value_of(const struct number *number, bool wants_percent)
{
    return number->percent && !wants_percent ? number->value / 100 : number->value;
}

/* An announcement without digits may spell the number: 五, twelve ("words" lists them). */
static bool is_spelled(const json_t *args, const struct answer *answer, struct span place)
{
    const json_t *words = json_object_get(args, "words");
    struct span content = text_trim_punctuation(answer->plain, place);
    for (size_t i = 0; i < json_array_size(words); i++) {
        const char *word = json_string_value(json_array_get(words, i));
        if (content.end > content.begin &&
            text_find_word(answer->plain, content.begin, content.end, word) == content.begin)
            return true;
    }
    return false;
}

static enum status grade_number(const json_t *args, const struct answer *answer,
                                struct verdict *verdict, struct error *err)
{
    enum number_choice choice;
    struct number number;
    struct span place;
    double expected = json_number_value(json_object_get(args, "value"));
    double tolerance = json_number_value(json_object_get(args, "tolerance"));
    bool percent = json_is_true(json_object_get(args, "percent"));
    enum status status = number_extract(answer, &choice, &number, &place, err);
    if (!status && place.end > place.begin)
        status =
            verdict_set_found(verdict, answer->plain + place.begin, place.end - place.begin, err);
    if (status)
        return status;
    if (choice == NUMBER_NONE && is_spelled(args, answer, place))
        return verdict_pass(verdict, err, "found the number in words, expected %.12g", expected);
    if (choice == NUMBER_NONE)
        return verdict_nothing_found(verdict, err,
                                     "no number is given as the answer; expected "
                                     "%.12g",
                                     expected);
    if (choice == NUMBER_AMBIGUOUS)
        return verdict_nothing_found(verdict, err,
                                     "several numbers, none of them clearly the "
                                     "answer: \"%s\"; expected %.12g",
                                     verdict->found, expected);
    double found = value_of(&number, percent);
    const char *sign = number.percent ? "%" : "";
    if (is_close(found, expected, tolerance))
        return verdict_pass(verdict, err, "found %.12g%s", number.value, sign);
    return verdict_fail(verdict, err, "found %.12g%s, expected %.12g%s", number.value, sign,
                        expected, percent ? "%" : "");
}

const struct grader_type grader_number = {"number", number_arguments, NULL, grade_number, false};
