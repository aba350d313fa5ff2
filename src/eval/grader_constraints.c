/* constraints: the form of an answer, as a list of checks that must all hold. */
#include "base/json.h"
#include "base/memory.h"
#include "eval/grader_kinds.h"
#include "eval/regex.h"
#include "eval/text_scan.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const struct argument constraints_arguments[] = {{"checks", ARGUMENT_ARRAY, true}, {0}};

static const struct argument check_arguments[] = {
    {"check", ARGUMENT_STRING, true},   {"min", ARGUMENT_INTEGER, false},
    {"max", ARGUMENT_INTEGER, false},   {"equal", ARGUMENT_INTEGER, false},
    {"text", ARGUMENT_STRING, false},   {"any", ARGUMENT_STRINGS, false},
    {"words", ARGUMENT_STRINGS, false}, {0}};

/* What a check works on. */
struct subject {
    const struct answer *answer;
    const char *text; /* plain, without blanks at its ends */
    size_t length;
    const char *raw; /* likewise */
    size_t raw_length;
    const json_t *check;
    char detail[300];
};

typedef size_t counter(const struct subject *s);
typedef bool test(struct subject *s);

/* ---- counts ---- */

static size_t count_words(const struct subject *s)
{
    return text_count_words(s->text, s->length);
}

static size_t count_characters(const struct subject *s)
{
    size_t count = 0;
    uint32_t c;
    for (size_t i = 0; i < s->length;) {
        i += text_next(s->text + i, s->length - i, &c);
        count += !text_is_space(c);
    }
    return count;
}

static size_t count_han(const struct subject *s)
{
    return text_count_han(s->text, s->length);
}

static size_t count_sentences(const struct subject *s)
{
    return text_count_sentences(s->text, s->length);
}

typedef bool line_test(const char *text, struct span line);

static size_t count_lines_that(const struct subject *s, line_test *holds)
{
    size_t count = 0;
    for (size_t at = 0; at < s->length;) {
        struct span line = text_line(s->text, s->length, at);
        count += holds(s->text, line);
        at = line.end + 1;
    }
    return count;
}

static bool says_something(const char *text, struct span line)
{
    line = text_trim(text, line);
    return line.begin < line.end;
}

static bool is_bullet(const char *text, struct span line)
{
    bool numbered;
    size_t n = text_list_marker(text, line, &numbered);
    return n && !numbered && line.begin + n < line.end;
}

static bool is_numbered(const char *text, struct span line)
{
    bool numbered;
    size_t n = text_list_marker(text, line, &numbered);
    return n && numbered && line.begin + n < line.end;
}

static size_t count_lines(const struct subject *s)
{
    return count_lines_that(s, says_something);
}

static size_t count_bullets(const struct subject *s)
{
    return count_lines_that(s, is_bullet);
}

static size_t count_numbered(const struct subject *s)
{
    return count_lines_that(s, is_numbered);
}

/* Blocks of lines with blank lines between them. */
static size_t count_paragraphs(const struct subject *s)
{
    size_t count = 0;
    bool inside = false;
    for (size_t at = 0; at < s->length;) {
        struct span line = text_line(s->text, s->length, at);
        bool content = says_something(s->text, line);
        count += content && !inside;
        inside = content;
        at = line.end + 1;
    }
    return count;
}

/* "**bold**" pieces, in the raw text. */
static size_t count_bold(const struct subject *s)
{
    size_t count = 0;
    for (size_t i = 0; i + 4 < s->raw_length; i++) {
        if (memcmp(s->raw + i, "**", 2) || isspace((unsigned char)s->raw[i + 2]))
            continue;
        size_t end = i + 2;
        while (end + 1 < s->raw_length && s->raw[end] != '\n' && memcmp(s->raw + end, "**", 2))
            end++;
        if (end + 1 < s->raw_length && s->raw[end] == '*' && end > i + 2) {
            count++;
            i = end + 1;
        }
    }
    return count;
}

static size_t count_text(const struct subject *s)
{
    const char *word = json_get_string(s->check, "text", "", NULL);
    size_t count = 0;
    for (size_t at = 0; (at = text_find_word(s->text, at, s->length, word)) != SIZE_MAX;
         at += strlen(word))
        count++;
    return count;
}

/* ---- yes or no ---- */

static bool starts_with(struct subject *s)
{
    const char *phrase = json_get_string(s->check, "text", "", NULL);
    snprintf(s->detail, sizeof s->detail, "\"%s\" at the beginning", phrase);
    return text_find(s->text, 0, s->length, phrase) == 0;
}

static bool ends_with(struct subject *s)
{
    const char *phrase = json_get_string(s->check, "text", "", NULL);
    size_t n = strlen(phrase);
    snprintf(s->detail, sizeof s->detail, "\"%s\" at the end", phrase);
    return n <= s->length && text_find(s->text, s->length - n, s->length, phrase) != SIZE_MAX;
}

/* All of "words" are there. */
static bool contains_words(struct subject *s)
{
    const json_t *words = json_object_get(s->check, "words");
    for (size_t i = 0; i < json_array_size(words); i++) {
        const char *word = json_string_value(json_array_get(words, i));
        snprintf(s->detail, sizeof s->detail, "\"%s\" is missing", word);
        if (text_find_word(s->text, 0, s->length, word) == SIZE_MAX)
            return false;
    }
    snprintf(s->detail, sizeof s->detail, "all words are there");
    return true;
}

static bool contains_any(struct subject *s)
{
    const json_t *words = json_object_get(s->check, "any");
    snprintf(s->detail, sizeof s->detail, "none of the words is there");
    for (size_t i = 0; i < json_array_size(words); i++) {
        const char *word = json_string_value(json_array_get(words, i));
        if (text_find_word(s->text, 0, s->length, word) == SIZE_MAX)
            continue;
        snprintf(s->detail, sizeof s->detail, "\"%s\" is there", word);
        return true;
    }
    return false;
}

static bool avoids_words(struct subject *s)
{
    const json_t *words = json_object_get(s->check, "words");
    for (size_t i = 0; i < json_array_size(words); i++) {
        const char *word = json_string_value(json_array_get(words, i));
        snprintf(s->detail, sizeof s->detail, "\"%s\" is there", word);
        if (text_find(s->raw, 0, s->raw_length, word) != SIZE_MAX)
            return false;
    }
    snprintf(s->detail, sizeof s->detail, "no forbidden word");
    return true;
}

static bool matches_pattern(struct subject *s)
{
    struct regex *pattern;
    struct regex_match match;
    const char *source = json_get_string(s->check, "text", "", NULL);
    snprintf(s->detail, sizeof s->detail, "/%s/", source);
    if (regex_compile(source, REGEX_LINES, &pattern, NULL))
        return false;
    bool found = regex_find(pattern, s->text, s->length, 0, &match);
    regex_free(pattern);
    return found;
}

/* Every line that is not blank matches. */
static bool lines_match(struct subject *s)
{
    struct regex *pattern;
    struct regex_match match;
    bool all = true;
    if (regex_compile(json_get_string(s->check, "text", "", NULL), 0, &pattern, NULL))
        return false;
    snprintf(s->detail, sizeof s->detail, "every line matches");
    for (size_t at = 0; at < s->length && all;) {
        struct span line = text_line(s->text, s->length, at);
        struct span content = text_trim(s->text, line);
        size_t n = content.end - content.begin;
        all = !n || regex_find(pattern, s->text + content.begin, n, 0, &match);
        if (!all)
            snprintf(s->detail, sizeof s->detail, "the line \"%.*s\" does not match",
                     (int)size_min(n, 80), s->text + content.begin);
        at = line.end + 1;
    }
    regex_free(pattern);
    return all;
}

static bool is_lowercase(struct subject *s)
{
    size_t letters = 0, capitals = 0;
    for (size_t i = 0; i < s->raw_length; i++) {
        letters += isalpha((unsigned char)s->raw[i]) != 0;
        capitals += isupper((unsigned char)s->raw[i]) != 0;
    }
    snprintf(s->detail, sizeof s->detail, "%zu capital letters of %zu", capitals, letters);
    return letters && !capitals;
}

static bool is_uppercase(struct subject *s)
{
    size_t letters = 0, small = 0;
    for (size_t i = 0; i < s->raw_length; i++) {
        letters += isalpha((unsigned char)s->raw[i]) != 0;
        small += islower((unsigned char)s->raw[i]) != 0;
    }
    snprintf(s->detail, sizeof s->detail, "%zu small letters of %zu", small, letters);
    return letters && !small;
}

/* Chinese: more Han characters than Latin letters; English: Latin letters and no Han. */
static bool is_chinese(struct subject *s)
{
    size_t han = text_count_han(s->text, s->length);
    size_t latin = text_count_latin(s->text, s->length);
    snprintf(s->detail, sizeof s->detail, "%zu Chinese characters, %zu Latin letters", han, latin);
    return han && han * 2 > latin;
}

static bool is_english(struct subject *s)
{
    size_t han = text_count_han(s->text, s->length);
    size_t latin = text_count_latin(s->text, s->length);
    snprintf(s->detail, sizeof s->detail, "%zu Chinese characters, %zu Latin letters", han, latin);
    return latin && !han;
}

static bool has_no_comma(struct subject *s)
{
    bool none = !memchr(s->raw, ',', s->raw_length) &&
                text_find(s->raw, 0, s->raw_length, "，") == SIZE_MAX;
    snprintf(s->detail, sizeof s->detail, none ? "no comma" : "there is a comma");
    return none;
}

/* Digits, also full-width ones (folded in the plain text). */
static bool has_no_digit(struct subject *s)
{
    size_t digits = 0;
    for (size_t i = 0; i < s->length; i++)
        digits += isdigit((unsigned char)s->text[i]) != 0;
    snprintf(s->detail, sizeof s->detail, "%zu digits", digits);
    return !digits;
}

/* The first letters or characters of the lines that say something spell "text". */
static bool spells(struct subject *s)
{
    const char *word = json_get_string(s->check, "text", "", NULL);
    struct strbuf initials = {.limit = 200};
    for (size_t at = 0; at < s->length;) {
        struct span line = text_line(s->text, s->length, at);
        struct span content = text_trim_punctuation(s->text, line);
        uint32_t c;
        if (content.begin < content.end) {
            size_t n = text_next(s->text + content.begin, content.end - content.begin, &c);
            strbuf_append(&initials, s->text + content.begin, n);
        }
        at = line.end + 1;
    }
    bool same = !initials.failed && !strcasecmp(strbuf_text(&initials), word);
    snprintf(s->detail, sizeof s->detail, "the lines begin with \"%.100s\", expected \"%.100s\"",
             strbuf_text(&initials), word);
    strbuf_free(&initials);
    return same;
}

/* ---- the table of checks ---- */

enum operand { OPERAND_NONE, OPERAND_TEXT, OPERAND_WORDS, OPERAND_ANY, OPERAND_PATTERN };

static const struct check_type {
    const char *name;
    counter *count; /* with min, max or equal; or */
    test *holds;
    enum operand operand;
} check_types[] = {
    {"words", count_words, NULL, OPERAND_NONE},
    {"characters", count_characters, NULL, OPERAND_NONE},
    {"han_characters", count_han, NULL, OPERAND_NONE},
    {"sentences", count_sentences, NULL, OPERAND_NONE},
    {"lines", count_lines, NULL, OPERAND_NONE},
    {"paragraphs", count_paragraphs, NULL, OPERAND_NONE},
    {"bullets", count_bullets, NULL, OPERAND_NONE},
    {"numbered", count_numbered, NULL, OPERAND_NONE},
    {"bold", count_bold, NULL, OPERAND_NONE},
    {"occurrences", count_text, NULL, OPERAND_TEXT},
    {"starts_with", NULL, starts_with, OPERAND_TEXT},
    {"ends_with", NULL, ends_with, OPERAND_TEXT},
    {"contains", NULL, contains_words, OPERAND_WORDS},
    {"contains_any", NULL, contains_any, OPERAND_ANY},
    {"forbidden", NULL, avoids_words, OPERAND_WORDS},
    {"pattern", NULL, matches_pattern, OPERAND_PATTERN},
    {"each_line", NULL, lines_match, OPERAND_PATTERN},
    {"lowercase", NULL, is_lowercase, OPERAND_NONE},
    {"uppercase", NULL, is_uppercase, OPERAND_NONE},
    {"chinese", NULL, is_chinese, OPERAND_NONE},
    {"english", NULL, is_english, OPERAND_NONE},
    {"no_comma", NULL, has_no_comma, OPERAND_NONE},
    {"no_digits", NULL, has_no_digit, OPERAND_NONE},
    {"initials", NULL, spells, OPERAND_TEXT},
};
enum { N_CHECK_TYPES = sizeof check_types / sizeof *check_types };

static const struct check_type *find_check(const json_t *check)
{
    const char *name = json_get_string(check, "check", "", NULL);
    for (size_t i = 0; i < N_CHECK_TYPES; i++)
        if (!strcmp(check_types[i].name, name))
            return &check_types[i];
    return NULL;
}

static enum status unknown_check(const json_t *check, struct error *err)
{
    struct strbuf names = {0};
    for (size_t i = 0; i < N_CHECK_TYPES; i++)
        strbuf_printf(&names, "%s%s", i ? ", " : "", check_types[i].name);
    error_set(err, STATUS_INVALID, "constraints: there is no check \"%s\"; the checks are %s",
              json_get_string(check, "check", "", NULL), strbuf_text(&names));
    strbuf_free(&names);
    return STATUS_INVALID;
}

static enum status check_one(const json_t *check, struct error *err)
{
    static const char *const operand_names[] = {NULL, "text", "words", "any", "text"};
    if (!json_is_object(check))
        return error_set(err, STATUS_INVALID, "constraints: every check should be an object");
    enum status status = arguments_check("constraints: a check", check_arguments, check, err);
    if (status)
        return status;
    const struct check_type *type = find_check(check);
    if (!type)
        return unknown_check(check, err);
    const char *operand = operand_names[type->operand];
    bool has_bound = json_object_get(check, "min") || json_object_get(check, "max") ||
                     json_object_get(check, "equal");
    if (operand && !json_object_get(check, operand))
        return error_set(err, STATUS_INVALID, "constraints: %s needs \"%s\"", type->name, operand);
    if (has_bound != (type->count != NULL))
        return error_set(err, STATUS_INVALID, "constraints: %s %s \"min\", \"max\" or \"equal\"",
                         type->name, type->count ? "needs" : "does not take");
    return type->operand == OPERAND_PATTERN
               ? argument_check_pattern("constraints", json_get_string(check, "text", "", NULL),
                                        err)
               : STATUS_OK;
}

static enum status check_constraints(const json_t *args, struct error *err)
{
    const json_t *checks = json_object_get(args, "checks");
    enum status status = STATUS_OK;
    for (size_t i = 0; i < json_array_size(checks) && !status; i++)
        status = check_one(json_array_get(checks, i), err);
    return status;
}

static bool in_bounds(struct subject *s, size_t count)
{
    const json_t *equal = json_object_get(s->check, "equal");
    json_int_t min = equal ? json_integer_value(equal) : json_get_int(s->check, "min", 0, NULL);
    json_int_t max = equal ? min : json_get_int(s->check, "max", INT64_MAX, NULL);
    if (max == INT64_MAX)
        snprintf(s->detail, sizeof s->detail, "%zu, expected at least %lld", count, (long long)min);
    else if (equal)
        snprintf(s->detail, sizeof s->detail, "%zu, expected %lld", count, (long long)min);
    else
        snprintf(s->detail, sizeof s->detail, "%zu, expected %lld to %lld", count, (long long)min,
                 (long long)max);
    return (json_int_t)count >= min && (json_int_t)count <= max;
}

static enum status grade_constraints(const json_t *args, const struct answer *answer,
                                     struct verdict *verdict, struct error *err)
{
    const json_t *checks = json_object_get(args, "checks");
    struct span text = text_trim(answer->plain, (struct span){0, answer->plain_length});
    struct span raw = text_trim(answer->raw, (struct span){0, answer->raw_length});
    enum status status = STATUS_OK;
    for (size_t i = 0; i < json_array_size(checks) && !status; i++) {
        struct subject s = {.answer = answer,
                            .text = answer->plain + text.begin,
                            .length = text.end - text.begin,
                            .raw = answer->raw + raw.begin,
                            .raw_length = raw.end - raw.begin,
                            .check = json_array_get(checks, i)};
        const struct check_type *type = find_check(s.check);
        bool holds = type->count ? in_bounds(&s, type->count(&s)) : type->holds(&s);
        status = verdict_add_check(verdict, type->name, holds, err, "%s", s.detail);
    }
    return status ? status : verdict_close_checks(verdict, err);
}

const struct grader_type grader_constraints = {"constraints", constraints_arguments,
                                               check_constraints, grade_constraints, false};
