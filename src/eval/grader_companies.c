/* companies: N different known companies, each with a right founding year, in English.
 *
 * Written for "list three Chinese technology companies with their founding years", where there
 * are many right answers: the arguments list companies with their names and accepted years.
 * Every entry must be known, so that one invented company fails the answer.
 */
#include "base/json.h"
#include "base/memory.h"
#include "eval/grader_kinds.h"
#include "eval/text_scan.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_COMPANIES = 500, MAX_YEARS = 200 };

static const struct argument companies_arguments[] = {{"count", ARGUMENT_INTEGER, true},
                                                      {"companies", ARGUMENT_ARRAY, true},
                                                      {"english_only", ARGUMENT_BOOLEAN, false},
                                                      {0}};
static const struct argument company_arguments[] = {
    {"names", ARGUMENT_STRINGS, true}, {"years", ARGUMENT_ARRAY, true}, {0}};

static enum status check_companies(const json_t *args, struct error *err)
{
    const json_t *companies = json_object_get(args, "companies");
    if (json_array_size(companies) > MAX_COMPANIES)
        return error_set(err, STATUS_INVALID, "companies: more than %d of them", MAX_COMPANIES);
    for (size_t i = 0; i < json_array_size(companies); i++) {
        const json_t *company = json_array_get(companies, i);
        if (!json_is_object(company))
            return error_set(err, STATUS_INVALID, "companies: every one should be an object");
        enum status status =
            arguments_check("companies: a company", company_arguments, company, err);
        if (status)
            return status;
        const json_t *years = json_object_get(company, "years");
        for (size_t k = 0; k < json_array_size(years); k++)
            if (!json_is_integer(json_array_get(years, k)))
                return error_set(err, STATUS_INVALID,
                                 "companies: \"years\" should be whole numbers");
    }
    return STATUS_OK;
}

/* The first known name in [begin, end): the company's index, SIZE_MAX for none. Longer names win
 * where several begin at one place. */
static size_t find_company(const json_t *companies, const char *text, size_t begin, size_t end,
                           struct span *name)
{
    size_t found = SIZE_MAX;
    *name = (struct span){SIZE_MAX, 0};
    for (size_t i = 0; i < json_array_size(companies); i++) {
        const json_t *names = json_object_get(json_array_get(companies, i), "names");
        for (size_t k = 0; k < json_array_size(names); k++) {
            const char *word = json_string_value(json_array_get(names, k));
            size_t at = text_find_word(text, begin, end, word), n = strlen(word);
            if (at == SIZE_MAX || at > name->begin || (at == name->begin && at + n <= name->end))
                continue;
            *name = (struct span){at, at + n};
            found = i;
        }
    }
    return found;
}

struct year {
    struct span span;
    long value;
};

static size_t find_years(const char *text, struct span line, struct year *years)
{
    size_t n = 0;
    for (size_t i = line.begin; i + 4 <= line.end && n < MAX_YEARS; i++) {
        size_t digits = strspn(text + i, "0123456789");
        bool alone = i == line.begin || !isalnum((unsigned char)text[i - 1]);
        if (digits == 4 && alone && (!strncmp(text + i, "19", 2) || !strncmp(text + i, "20", 2)))
            years[n++] = (struct year){{i, i + 4}, strtol(text + i, NULL, 10)};
        i += digits;
    }
    return n;
}

/* The entries found so far. */
struct census {
    const json_t *companies;
    bool *seen; /* [companies] */
    size_t entries, distinct;
};

static bool year_is_accepted(const json_t *company, long year)
{
    const json_t *years = json_object_get(company, "years");
    for (size_t i = 0; i < json_array_size(years); i++)
        if (json_integer_value(json_array_get(years, i)) == year)
            return true;
    return false;
}

/* One piece of text with one year: the name in front of the year, else the one behind it. */
static enum status count_entry(struct census *census, const char *text, struct span piece,
                               const struct year *year, struct verdict *verdict, struct error *err)
{
    struct span name;
    size_t i = find_company(census->companies, text, piece.begin, piece.end, &name);
    census->entries++;
    if (i == SIZE_MAX) {
        struct span shown = text_trim_punctuation(text, piece);
        return verdict_add_check(verdict, "entry", false, err,
                                 "\"%.*s\" names no company on the list",
                                 (int)size_min(shown.end - shown.begin, 80), text + shown.begin);
    }
    bool right = year_is_accepted(json_array_get(census->companies, i), year->value);
    bool again = census->seen[i];
    census->seen[i] = true;
    census->distinct += !again;
    return verdict_add_check(verdict, "entry", right && !again, err, "%.*s, %ld%s",
                             (int)(name.end - name.begin), text + name.begin, year->value,
                             again   ? " (named twice)"
                             : right ? ""
                                     : " (wrong year)");
}

/* In a list item, years behind the first entry are remarks: "1987, first phone in 1993"; but not
 * where they leave the year open: "1987 or 1988". */
static bool is_remark(const char *text, struct span piece)
{
    struct span words = text_trim_punctuation(text, (struct span){piece.begin, piece.end - 4});
    size_t length = words.end - words.begin;
    return length > 3 && text_count_latin(text + words.begin, length) > 3;
}

/* A line with several years holds several entries: each ends with its year, or begins with it
 * where the first year stands in front of the first name. */
static enum status count_line(struct census *census, const char *text, struct span line,
                              struct verdict *verdict, struct error *err)
{
    struct year years[MAX_YEARS];
    struct span name;
    size_t n = find_years(text, line, years);
    bool numbered, is_item = text_list_marker(text, line, &numbered) > 0;
    bool year_first = n > 1 && (find_company(census->companies, text, line.begin, line.end, &name),
                                name.begin > years[0].span.end);
    enum status status = STATUS_OK;
    for (size_t i = 0; i < n && !status; i++) {
        struct span piece = line;
        if (n > 1 && year_first)
            piece =
                (struct span){years[i].span.begin, i + 1 < n ? years[i + 1].span.begin : line.end};
        else if (n > 1)
            piece = (struct span){i ? years[i - 1].span.end : line.begin, years[i].span.end};
        if (i && !year_first && is_item && is_remark(text, piece))
            continue;
        status = count_entry(census, text, piece, &years[i], verdict, err);
    }
    return status;
}

static bool has_year(const char *text, struct span line)
{
    struct year years[MAX_YEARS];
    return find_years(text, line, years) > 0;
}

/* A list item may go on over lines: "1. Huawei" and below it "- Founded: 1987". Items are taken
 * together up to the line with the year. */
static enum status count_lines(struct census *census, const struct answer *answer,
                               struct verdict *verdict, struct error *err)
{
    const char *text = answer->plain;
    size_t begin = SIZE_MAX;
    enum status status = STATUS_OK;
    for (size_t at = 0; at < answer->plain_length && !status;) {
        struct span line = text_line(text, answer->plain_length, at), name;
        bool named = find_company(census->companies, text, line.begin, line.end, &name) != SIZE_MAX;
        bool dated = has_year(text, line);
        if (dated && (named || begin == SIZE_MAX)) {
            status = count_line(census, text, line, verdict, err);
            begin = SIZE_MAX;
        } else if (dated) {
            status = count_line(census, text, (struct span){begin, line.end}, verdict, err);
            begin = SIZE_MAX;
        } else if (named) {
            begin = line.begin;
        }
        at = line.end + 1;
    }
    return status;
}

/* Han characters that are not in parentheses: "Huawei (华为)" is a gloss. */
static size_t han_outside_parentheses(const struct answer *answer)
{
    size_t depth = 0, count = 0;
    uint32_t c;
    for (size_t i = 0; i < answer->plain_length;) {
        i += text_next(answer->plain + i, answer->plain_length - i, &c);
        if (c == '(')
            depth++;
        else if ((c == ')' || c == '\n') && depth)
            depth--;
        count += text_is_han(c) && !depth;
    }
    return count;
}

static enum status judge(const json_t *args, const struct answer *answer, struct census *census,
                         struct verdict *verdict, struct error *err)
{
    size_t wanted = (size_t)json_get_int(args, "count", 0, NULL);
    size_t han = han_outside_parentheses(answer);
    enum status status = count_lines(census, answer, verdict, err);
    if (!status)
        status = verdict_add_check(verdict, "count", census->distinct == wanted, err,
                                   "%zu entries with years, %zu of them different companies; "
                                   "expected %zu",
                                   census->entries, census->distinct, wanted);
    if (!status && json_is_true(json_object_get(args, "english_only")))
        status = verdict_add_check(verdict, "in English", !han, err,
                                   "%zu Chinese characters outside parentheses", han);
    verdict->extraction_failed = !census->entries;
    return status ? status : verdict_close_checks(verdict, err);
}

static enum status grade_companies(const json_t *args, const struct answer *answer,
                                   struct verdict *verdict, struct error *err)
{
    struct census census = {.companies = json_object_get(args, "companies")};
    census.seen = mem_array(json_array_size(census.companies), sizeof *census.seen);
    if (!census.seen)
        return error_memory(err, "a verdict");
    enum status status = judge(args, answer, &census, verdict, err);
    mem_free(census.seen);
    return status;
}

const struct grader_type grader_companies = {"companies", companies_arguments, check_companies,
                                             grade_companies, false};
