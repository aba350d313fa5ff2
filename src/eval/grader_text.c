/* choice, text, keywords, regex, pattern: judges of short and of free text. */
#include "base/json.h"
#include "base/memory.h"
#include "eval/grader_kinds.h"
#include "eval/regex.h"
#include "eval/text_scan.h"

#include <ctype.h>
#include <string.h>

/* ---- choice: one letter of a multiple-choice question ---- */

static const struct argument choice_arguments[] = {
    {"answer", ARGUMENT_STRING, true}, {"options", ARGUMENT_STRING, true}, {0}};

static enum status check_choice(const json_t *args, struct error *err)
{
    const char *options = json_get_string(args, "options", "", NULL);
    const char *answer = json_get_string(args, "answer", "", NULL);
    size_t n = strlen(options);
    if (n < 2 || strspn(options, "ABCDEFGHIJ") != n)
        return error_set(err, STATUS_INVALID,
                         "choice: \"options\" should be capital letters like \"ABCD\", is \"%s\"",
                         options);
    if (strlen(answer) != 1 || !strchr(options, answer[0]))
        return error_set(err, STATUS_INVALID, "choice: \"answer\" should be one of %s, is \"%s\"",
                         options, answer);
    return STATUS_OK;
}

static bool is_alone(const char *text, size_t begin, size_t end, size_t i)
{
    return (i == begin || !isalnum((unsigned char)text[i - 1])) &&
           (i + 1 == end || !isalnum((unsigned char)text[i + 1])) &&
           !(i > begin && text[i - 1] == '\'') && !(i + 1 < end && text[i + 1] == '\'');
}

/* "A" before a small letter is an article, not an option: "A city", but not "A or B". */
static bool is_article(const char *text, size_t end, size_t i)
{
    static const char *const verbs[] = {"or ", "and ", "is ", "are ", "because ", "since "};
    if ((text[i] != 'A' && text[i] != 'I') || i + 2 >= end || text[i + 1] != ' ')
        return false;
    for (size_t k = 0; k < sizeof verbs / sizeof *verbs; k++)
        if (!strncmp(text + i + 2, verbs[k], strlen(verbs[k])))
            return false;
    return islower((unsigned char)text[i + 2]);
}

/* The only option letter in the region: 0 for none, '?' for several. */
static char only_letter(const char *text, struct span region, const char *options)
{
    char found = 0;
    for (size_t i = region.begin; i < region.end; i++) {
        char c = text[i];
        if (!c || !strchr(options, c) || !is_alone(text, region.begin, region.end, i) ||
            is_article(text, region.end, i) || text_is_negated(text, region.begin, i))
            continue;
        if (found && found != c)
            return '?';
        found = c;
    }
    return found;
}

/* The letter right at the region's beginning: "B. Shanghai (A is wrong)". */
static char leading_letter(const char *text, struct span region, const char *options)
{
    struct span content = text_trim_punctuation(text, region);
    if (content.begin == content.end || !strchr(options, text[content.begin]) ||
        !is_alone(text, content.begin, content.end, content.begin) ||
        is_article(text, content.end, content.begin))
        return 0;
    /* "A or B", "A/B", "A and B" leave it open. */
    struct span rest = {content.begin + 1, region.end};
    struct span next = text_trim_punctuation(text, rest);
    static const char *const joins[] = {"or ", "and ", "或", "和", "与", "还是", "/", "&", "+"};
    for (size_t i = 0; i < sizeof joins / sizeof *joins; i++)
        if (text_find(text, next.begin, next.end, joins[i]) == next.begin)
            return '?';
    if (next.begin < next.end && next.begin - rest.begin <= 2 &&
        strchr(options, text[next.begin]) && is_alone(text, next.begin, next.end, next.begin))
        return '?';
    return text[content.begin];
}

static char letter_in(const char *text, struct span region, const char *options)
{
    char letter = leading_letter(text, region, options);
    return letter ? letter : only_letter(text, region, options);
}

/* "选B", "选择 B", "choose B", "option B is correct": the last sentence that says so. */
static enum status chosen_letter(const struct answer *answer, const char *options, char *letter,
                                 struct error *err)
{
    static const char words[] = "(?:选择?|选项|应选|故选|choose|select|option|choice|正确的?是)\\s*"
                                "(?:is|为|是)?\\s*[:(]?\\s*([A-J])\\b";
    struct regex *pattern;
    struct regex_match match;
    enum status status = regex_compile(words, 0, &pattern, err);
    if (status)
        return status;
    for (size_t from = 0; regex_find(pattern, answer->plain, answer->plain_length, from, &match);
         from = match.end) {
        char c = answer->plain[match.end - 1];
        if (strchr(options, c) && !text_is_negated(answer->plain, 0, match.begin))
            *letter = letter_in(
                answer->plain, text_sentence_at(answer->plain, answer->plain_length, match.end - 1),
                options);
    }
    regex_free(pattern);
    return STATUS_OK;
}

static enum status extract_letter(const struct answer *answer, const char *options, char *letter,
                                  struct error *err)
{
    struct span region;
    bool marked;
    enum status status = answer_conclusion(answer, &region, &marked, err);
    *letter = 0;
    if (status)
        return status;
    if (marked) {
        *letter = letter_in(answer->plain, region, options);
        return STATUS_OK;
    }
    status = chosen_letter(answer, options, letter, err);
    if (status || *letter)
        return status;
    struct span whole = text_trim(answer->plain, (struct span){0, answer->plain_length});
    struct span first = text_line(answer->plain, answer->plain_length, whole.begin);
    *letter = whole.end <= first.end ? letter_in(answer->plain, first, options)
                                     : only_letter(answer->plain, whole, options);
    return STATUS_OK;
}

static enum status grade_choice(const json_t *args, const struct answer *answer,
                                struct verdict *verdict, struct error *err)
{
    char letter;
    const char *options = json_get_string(args, "options", "", NULL);
    const char *expected = json_get_string(args, "answer", "", NULL);
    enum status status = extract_letter(answer, options, &letter, err);
    if (status)
        return status;
    if (!letter)
        return verdict_nothing_found(verdict, err, "no option is named; expected %s", expected);
    if (letter == '?')
        return verdict_nothing_found(verdict, err, "several options are named; expected %s",
                                     expected);
    status = verdict_set_found(verdict, &letter, 1, err);
    if (status)
        return status;
    return letter == expected[0]
               ? verdict_pass(verdict, err, "found %c", letter)
               : verdict_fail(verdict, err, "found %c, expected %s", letter, expected);
}

const struct grader_type grader_choice = {"choice", choice_arguments, check_choice, grade_choice,
                                          false};

/* ---- text: a short answer, word for word ---- */

static const struct argument text_arguments[] = {{"accept", ARGUMENT_STRINGS, true},
                                                 {"whole", ARGUMENT_BOOLEAN, false},
                                                 {"exact", ARGUMENT_BOOLEAN, false},
                                                 {0}};

static char *normalized_core(const char *text, struct span span)
{
    span = text_trim_punctuation(text, span);
    return text_normalize(text + span.begin, span.end - span.begin);
}

static enum status is_accepted(const json_t *args, const char *text, struct span span,
                               bool *accepted, struct error *err)
{
    const json_t *accept = json_object_get(args, "accept");
    bool exact = json_is_true(json_object_get(args, "exact"));
    char *found = exact ? NULL : normalized_core(text, span);
    *accepted = false;
    for (size_t i = 0; i < json_array_size(accept) && !*accepted; i++) {
        const char *expected = json_string_value(json_array_get(accept, i));
        if (exact) {
            *accepted = strlen(expected) == span.end - span.begin &&
                        !memcmp(expected, text + span.begin, span.end - span.begin);
            continue;
        }
        char *wanted = normalized_core(expected, (struct span){0, strlen(expected)});
        *accepted = found && wanted && !strcmp(found, wanted);
        mem_free(wanted);
    }
    mem_free(found);
    return exact || found ? STATUS_OK : error_memory(err, "an answer");
}

static enum status grade_text(const json_t *args, const struct answer *answer,
                              struct verdict *verdict, struct error *err)
{
    struct span region = {0, answer->plain_length};
    bool marked = false, accepted;
    const char *text = answer->plain;
    bool exact = json_is_true(json_object_get(args, "exact"));
    enum status status = STATUS_OK;
    if (exact) {
        text = answer->raw;
        region = text_trim(text, (struct span){0, answer->raw_length});
    } else if (!json_is_true(json_object_get(args, "whole"))) {
        status = answer_conclusion(answer, &region, &marked, err);
    }
    if (!status)
        status = verdict_set_found(verdict, text + region.begin, region.end - region.begin, err);
    if (!status)
        status = is_accepted(args, text, region, &accepted, err);
    if (status)
        return status;
    const char *expected = json_string_value(json_array_get(json_object_get(args, "accept"), 0));
    return accepted ? verdict_pass(verdict, err, "found \"%s\"", verdict->found)
                    : verdict_fail(verdict, err, "found \"%s\", expected \"%s\"", verdict->found,
                                   expected);
}

const struct grader_type grader_text = {"text", text_arguments, NULL, grade_text, false};

/* ---- keywords: what has to be said, and what must not be ---- */

static const struct argument keywords_arguments[] = {{"all", ARGUMENT_ALTERNATIVES, false},
                                                     {"none", ARGUMENT_STRINGS, false},
                                                     {"in_order", ARGUMENT_BOOLEAN, false},
                                                     {0}};

static enum status check_keywords(const json_t *args, struct error *err)
{
    if (json_object_get(args, "all") || json_object_get(args, "none"))
        return STATUS_OK;
    return error_set(err, STATUS_INVALID, "keywords: \"all\" or \"none\" is needed");
}

/* Place of the first spelling of `element` at or behind `from` that is not denied. */
static size_t find_spelling(const struct answer *answer, const json_t *element, size_t from)
{
    size_t best = SIZE_MAX;
    const char *word;
    for (size_t k = 0; (word = alternative(element, k)); k++) {
        size_t at = from;
        while ((at = text_find_word(answer->plain, at, answer->plain_length, word)) != SIZE_MAX &&
               text_is_negated(answer->plain, 0, at))
            at++;
        best = size_min(at, best);
    }
    return best;
}

static enum status grade_keywords(const json_t *args, const struct answer *answer,
                                  struct verdict *verdict, struct error *err)
{
    const json_t *all = json_object_get(args, "all"), *none = json_object_get(args, "none");
    bool in_order = json_is_true(json_object_get(args, "in_order"));
    enum status status = STATUS_OK;
    size_t from = 0;
    for (size_t i = 0; i < json_array_size(all) && !status; i++) {
        const json_t *element = json_array_get(all, i);
        size_t at = find_spelling(answer, element, in_order ? from : 0);
        status = verdict_add_check(verdict, "says", at != SIZE_MAX, err, "\"%s\"%s",
                                   alternative(element, 0), in_order ? " (in this order)" : "");
        from = at == SIZE_MAX ? from : at + 1;
    }
    for (size_t i = 0; i < json_array_size(none) && !status; i++) {
        const char *word = json_string_value(json_array_get(none, i));
        bool absent = text_find_word(answer->plain, 0, answer->plain_length, word) == SIZE_MAX;
        status = verdict_add_check(verdict, "does not say", absent, err, "\"%s\"", word);
    }
    return status ? status : verdict_close_checks(verdict, err);
}

const struct grader_type grader_keywords = {"keywords", keywords_arguments, check_keywords,
                                            grade_keywords, false};

/* ---- regex: the answer matches patterns ---- */

static const struct argument regex_arguments[] = {{"all", ARGUMENT_STRINGS, false},
                                                  {"none", ARGUMENT_STRINGS, false},
                                                  {"raw", ARGUMENT_BOOLEAN, false},
                                                  {"conclusion", ARGUMENT_BOOLEAN, false},
                                                  {0}};

static enum status check_patterns(const json_t *patterns, struct error *err)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < json_array_size(patterns) && !status; i++)
        status =
            argument_check_pattern("regex", json_string_value(json_array_get(patterns, i)), err);
    return status;
}

static enum status check_regex(const json_t *args, struct error *err)
{
    const json_t *all = json_object_get(args, "all"), *none = json_object_get(args, "none");
    if (!all && !none)
        return error_set(err, STATUS_INVALID, "regex: \"all\" or \"none\" is needed");
    enum status status = check_patterns(all, err);
    return status ? status : check_patterns(none, err);
}

/* One check per pattern: it is found (or, for `wanted` false, it is not). A search that runs
 * into its bounds fails either way. */
static enum status match_patterns(const json_t *patterns, bool wanted, const char *text,
                                  size_t length, struct verdict *verdict, struct error *err)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < json_array_size(patterns) && !status; i++) {
        struct regex *pattern;
        struct regex_match match;
        const char *source = json_string_value(json_array_get(patterns, i));
        status = regex_compile(source, REGEX_LINES, &pattern, err);
        if (status)
            return status;
        bool found = regex_find(pattern, text, length, 0, &match);
        bool gave_up = regex_hit_limit(pattern);
        status = verdict_add_check(verdict, wanted ? "matches" : "does not match",
                                   found == wanted && !gave_up, err, "/%s/%s", source,
                                   gave_up ? " (given up: too many steps)" : "");
        regex_free(pattern);
    }
    return status;
}

static enum status grade_regex(const json_t *args, const struct answer *answer,
                               struct verdict *verdict, struct error *err)
{
    bool raw = json_is_true(json_object_get(args, "raw")), marked;
    const char *text = raw ? answer->raw : answer->plain;
    struct span region = {0, raw ? answer->raw_length : answer->plain_length};
    enum status status = STATUS_OK;
    if (!raw && json_is_true(json_object_get(args, "conclusion")))
        status = answer_conclusion(answer, &region, &marked, err);
    region = text_trim(text, region);
    if (!status)
        status = match_patterns(json_object_get(args, "all"), true, text + region.begin,
                                region.end - region.begin, verdict, err);
    if (!status)
        status = match_patterns(json_object_get(args, "none"), false, text + region.begin,
                                region.end - region.begin, verdict, err);
    return status ? status : verdict_close_checks(verdict, err);
}

const struct grader_type grader_regex = {"regex", regex_arguments, check_regex, grade_regex, false};

/* ---- pattern: the answer is a regular expression, tried on examples ---- */

static const struct argument pattern_arguments[] = {
    {"match", ARGUMENT_STRINGS, true}, {"reject", ARGUMENT_STRINGS, true}, {0}};

/* The expression in the answer: the last code block, else the last `code span`, else the last
 * line; without delimiters like /.../ or r"...". */
static enum status find_expression(const struct answer *answer, struct span *found,
                                   struct error *err)
{
    struct code_block *blocks;
    size_t n;
    enum status status = answer_code_blocks(answer, &blocks, &n, err);
    if (status)
        return status;
    if (n) {
        *found = text_trim(answer->raw, blocks[n - 1].body);
        mem_free(blocks);
        return STATUS_OK;
    }
    struct span whole = text_trim(answer->raw, (struct span){0, answer->raw_length});
    size_t ticks[2], n_ticks = 0;
    for (size_t i = whole.end; i > whole.begin && n_ticks < 2; i--)
        if (answer->raw[i - 1] == '`')
            ticks[n_ticks++] = i - 1;
    if (n_ticks == 2) {
        *found = (struct span){ticks[1] + 1, ticks[0]};
        return STATUS_OK;
    }
    for (size_t i = whole.begin; i < whole.end; i++)
        if (answer->raw[i] == '\n')
            whole.begin = i + 1;
    *found = text_trim(answer->raw, whole);
    return STATUS_OK;
}

static struct span strip_delimiters(const char *text, struct span span)
{
    size_t n = span.end - span.begin;
    const char *p = text + span.begin;
    if (n >= 3 && (p[0] == 'r' || p[0] == 'R') && (p[1] == '"' || p[1] == '\'') && p[n - 1] == p[1])
        return (struct span){span.begin + 2, span.end - 1};
    if (n >= 2 && (p[0] == '/' || p[0] == '"' || p[0] == '\'') && p[n - 1] == p[0])
        return (struct span){span.begin + 1, span.end - 1};
    return span;
}

static enum status try_examples(const json_t *examples, bool wanted, struct regex *pattern,
                                struct verdict *verdict, struct error *err)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < json_array_size(examples) && !status; i++) {
        struct regex_match match = {0};
        const char *text = json_string_value(json_array_get(examples, i));
        size_t length = strlen(text);
        bool whole =
            regex_find(pattern, text, length, 0, &match) && match.begin == 0 && match.end == length;
        status =
            verdict_add_check(verdict, wanted ? "accepts" : "refuses",
                              whole == wanted && !regex_hit_limit(pattern), err, "\"%s\"", text);
    }
    return status;
}

static enum status grade_pattern(const json_t *args, const struct answer *answer,
                                 struct verdict *verdict, struct error *err)
{
    struct span found;
    struct regex *pattern;
    struct error reason = {0};
    enum status status = find_expression(answer, &found, err);
    if (status)
        return status;
    found = strip_delimiters(answer->raw, found);
    status = verdict_set_found(verdict, answer->raw + found.begin, found.end - found.begin, err);
    char *text = mem_copy(answer->raw + found.begin, found.end - found.begin);
    if (status || !text) {
        mem_free(text);
        return error_memory(err, "an answer");
    }
    struct strbuf anchored = {0};
    strbuf_printf(&anchored, "^(?:%s)$", text);
    mem_free(text);
    enum status compiled = regex_compile(strbuf_text(&anchored), 0, &pattern, &reason);
    strbuf_free(&anchored);
    if (compiled == STATUS_MEMORY)
        return error_memory(err, "a pattern");
    if (compiled)
        return verdict_nothing_found(verdict, err, "%s", reason.message);
    status = try_examples(json_object_get(args, "match"), true, pattern, verdict, err);
    if (!status)
        status = try_examples(json_object_get(args, "reject"), false, pattern, verdict, err);
    regex_free(pattern);
    return status ? status : verdict_close_checks(verdict, err);
}

const struct grader_type grader_pattern = {"pattern", pattern_arguments, NULL, grade_pattern,
                                           false};
