/* table: the answer holds a table with these columns and rows. */
#include "base/json.h"
#include "base/memory.h"
#include "eval/grader_kinds.h"
#include "eval/number.h"
#include "eval/table.h"
#include "eval/text_scan.h"

#include <math.h>
#include <string.h>

static const struct argument table_arguments[] = {
    {"format", ARGUMENT_STRING, true},     {"header", ARGUMENT_ALTERNATIVES, true},
    {"rows", ARGUMENT_ARRAY, true},        {"any_row_order", ARGUMENT_BOOLEAN, false},
    {"tolerance", ARGUMENT_NUMBER, false}, {0}};

static enum status check_cell(const json_t *cell, size_t row, struct error *err)
{
    if (json_is_string(cell) || json_is_number(cell))
        return STATUS_OK;
    for (size_t i = 0; i < json_array_size(cell); i++)
        if (!json_is_string(json_array_get(cell, i)) && !json_is_number(json_array_get(cell, i)))
            break;
        else if (i + 1 == json_array_size(cell))
            return STATUS_OK;
    return error_set(err, STATUS_INVALID,
                     "table: a cell of row %zu should be a string, a number or an array of them",
                     row + 1);
}

static enum status check_table(const json_t *args, struct error *err)
{
    const char *format = json_get_string(args, "format", "", NULL);
    const json_t *rows = json_object_get(args, "rows");
    size_t width = json_array_size(json_object_get(args, "header"));
    if (strcmp(format, "markdown") && strcmp(format, "csv"))
        return error_set(err, STATUS_INVALID,
                         "table: \"format\" should be \"markdown\" or \"csv\", is \"%s\"", format);
    for (size_t r = 0; r < json_array_size(rows); r++) {
        const json_t *row = json_array_get(rows, r);
        if (json_array_size(row) != width)
            return error_set(err, STATUS_INVALID, "table: row %zu should be an array of %zu cells",
                             r + 1, width);
        for (size_t c = 0; c < width; c++) {
            enum status status = check_cell(json_array_get(row, c), r, err);
            if (status)
                return status;
        }
    }
    return STATUS_OK;
}

/* A cell's text without markup at its edges ("**5**", "`x`"). */
static struct span cell_core(const char *cell)
{
    struct span core = text_trim(cell, (struct span){0, strlen(cell)});
    while (core.end - core.begin >= 2 && strchr("*`_", cell[core.begin]) &&
           cell[core.end - 1] == cell[core.begin]) {
        core.begin++;
        core.end--;
    }
    return core;
}

static bool same_text(const char *cell, const char *expected)
{
    struct span core = cell_core(cell);
    char *have = text_normalize(cell + core.begin, core.end - core.begin);
    char *want = text_normalize(expected, strlen(expected));
    bool same = have && want && !strcmp(have, want);
    mem_free(have);
    mem_free(want);
    return same;
}

/* The cell is one number, perhaps with a unit: 1,200 or 12.5%. */
static bool same_number(const char *cell, double expected, double tolerance)
{
    struct span core = cell_core(cell);
    struct number *numbers;
    size_t n;
    if (numbers_scan(cell, core, &numbers, &n, NULL))
        return false;
    struct span front = {core.begin, n ? numbers[0].span.begin : core.begin};
    front = text_trim_punctuation(cell, front);
    bool same = n == 1 && front.end - front.begin <= 3 &&
                fabs(numbers[0].value - expected) <= tolerance + 1e-9 * fmax(1, fabs(expected));
    mem_free(numbers);
    return same;
}

static bool same_value(const char *cell, const json_t *expected, double tolerance)
{
    if (json_is_string(expected))
        return same_text(cell, json_string_value(expected));
    if (json_is_number(expected))
        return same_number(cell, json_number_value(expected), tolerance);
    for (size_t i = 0; i < json_array_size(expected); i++)
        if (same_value(cell, json_array_get(expected, i), tolerance))
            return true;
    return false;
}

/* Columns that match the expected row, of all. */
static size_t matching_cells(const struct table *table, size_t row, const json_t *expected,
                             double tolerance)
{
    size_t n = 0;
    for (size_t c = 0; c < table->n_columns; c++)
        n += same_value(table_cell(table, row, c), json_array_get(expected, c), tolerance);
    return n;
}

static void show_row(const struct table *table, size_t row, struct strbuf *out)
{
    for (size_t c = 0; c < table->n_columns; c++)
        strbuf_printf(out, "%s%s", c ? " | " : "", table_cell(table, row, c));
}

static enum status judge_row(const json_t *args, const struct table *table, size_t r, bool *taken,
                             struct verdict *verdict, struct error *err)
{
    const json_t *expected = json_array_get(json_object_get(args, "rows"), r);
    double tolerance = json_number_value(json_object_get(args, "tolerance"));
    bool any_order = json_is_true(json_object_get(args, "any_row_order"));
    bool found = false;
    for (size_t k = 1; k < table->n_rows && !found; k++) {
        if (taken[k] || (!any_order && k != r + 1))
            continue;
        found = matching_cells(table, k, expected, tolerance) == table->n_columns;
        taken[k] = found;
    }
    struct strbuf text = {0};
    if (found)
        strbuf_add(&text, "as expected");
    else {
        strbuf_add(&text, "expected ");
        json_write(&text, expected, false);
        if (!any_order) {
            strbuf_add(&text, ", found ");
            show_row(table, r + 1, &text);
        }
    }
    char name[40];
    snprintf(name, sizeof name, "row %zu", r + 1);
    enum status status = verdict_add_check(verdict, name, found, err, "%s", strbuf_text(&text));
    strbuf_free(&text);
    return status;
}

static bool header_matches(const json_t *args, const struct table *table)
{
    const json_t *header = json_object_get(args, "header");
    for (size_t c = 0; c < table->n_columns; c++)
        if (!same_value(table_cell(table, 0, c), json_array_get(header, c), 0))
            return false;
    return true;
}

static enum status judge_table(const json_t *args, const struct table *table,
                               struct verdict *verdict, struct error *err)
{
    size_t width = json_array_size(json_object_get(args, "header"));
    size_t n_rows = json_array_size(json_object_get(args, "rows"));
    struct strbuf header = {0};
    show_row(table, 0, &header);
    bool right_header = table->n_columns == width && header_matches(args, table);
    enum status status =
        verdict_add_check(verdict, "header", right_header, err, "found %s", strbuf_text(&header));
    strbuf_free(&header);
    if (!status)
        status = verdict_add_check(
            verdict, "shape",
            table->n_columns == width && table->n_rows == n_rows + 1 && !table->ragged, err,
            "%zu rows of %zu cells expected, found %zu of %zu%s", n_rows, width, table->n_rows - 1,
            table->n_columns, table->ragged ? ", not all of one length" : "");
    bool comparable = table->n_columns == width && table->n_rows == n_rows + 1;
    bool *taken = mem_array(table->n_rows, sizeof *taken);
    if (!taken)
        status = error_memory(err, "a table");
    for (size_t r = 0; r < n_rows && comparable && !status; r++)
        status = judge_row(args, table, r, taken, verdict, err);
    mem_free(taken);
    return status ? status : verdict_close_checks(verdict, err);
}

static enum status grade_table(const json_t *args, const struct answer *answer,
                               struct verdict *verdict, struct error *err)
{
    struct table table;
    bool found;
    const char *format = json_get_string(args, "format", "", NULL);
    enum status status = !strcmp(format, "csv") ? table_find_csv(answer, &table, &found, err)
                                                : table_find_markdown(answer, &table, &found, err);
    if (status)
        return status;
    status = found ? judge_table(args, &table, verdict, err)
                   : verdict_nothing_found(verdict, err, "there is no %s table", format);
    table_free(&table);
    return status;
}

const struct grader_type grader_table = {"table", table_arguments, check_table, grade_table, false};

/* ---- list: these items, one by one ---- */

static const struct argument list_arguments[] = {{"items", ARGUMENT_ALTERNATIVES, true},
                                                 {"any_order", ARGUMENT_BOOLEAN, false},
                                                 {"separator", ARGUMENT_STRING, false},
                                                 {0}};

static enum status check_list(const json_t *args, struct error *err)
{
    const char *separator = json_get_string(args, "separator", "line", NULL);
    if (!strcmp(separator, "line") || !strcmp(separator, "comma"))
        return STATUS_OK;
    return error_set(err, STATUS_INVALID,
                     "list: \"separator\" should be \"line\" or \"comma\", is \"%s\"", separator);
}

/* The next item at *at in the region; false at its end. Commas of both scripts separate. */
static bool next_item(const char *text, struct span region, bool by_comma, size_t *at,
                      struct span *item)
{
    static const char *const commas[] = {",", "，", "、", "\n", ">", "→"};
    bool numbered;
    if (*at >= region.end)
        return false;
    size_t end = *at, skip = 1;
    for (bool stop = false; end < region.end && !stop; end += stop ? 0 : 1) {
        stop = text[end] == '\n';
        for (size_t k = 0; by_comma && k < sizeof commas / sizeof *commas && !stop; k++) {
            stop = !strncmp(text + end, commas[k], strlen(commas[k]));
            skip = stop ? strlen(commas[k]) : 1;
        }
        if (stop)
            break;
    }
    struct span line = {*at, end};
    line.begin += by_comma ? 0 : text_list_marker(text, line, &numbered);
    *item = text_trim_punctuation(text, line);
    *at = end + skip;
    return true;
}

static bool item_matches(const char *text, struct span item, const json_t *expected)
{
    char *have = text_normalize(text + item.begin, item.end - item.begin);
    bool same = false;
    const char *spelling;
    for (size_t k = 0; have && !same && (spelling = alternative(expected, k)); k++) {
        char *want = text_normalize(spelling, strlen(spelling));
        same = want && !strcmp(have, want);
        mem_free(want);
    }
    mem_free(have);
    return same;
}

/* Index of the expected item that this one is and that is still free; SIZE_MAX for none. */
static size_t match_item(const char *text, struct span item, const json_t *items, bool any_order,
                         size_t position, const bool *taken)
{
    for (size_t i = any_order ? 0 : position; i < json_array_size(items); i++) {
        if (!taken[i] && item_matches(text, item, json_array_get(items, i)))
            return i;
        if (!any_order)
            break;
    }
    return SIZE_MAX;
}

static enum status judge_items(const json_t *args, const struct answer *answer, struct span region,
                               bool *taken, struct verdict *verdict, struct error *err)
{
    const json_t *items = json_object_get(args, "items");
    bool any_order = json_is_true(json_object_get(args, "any_order"));
    bool by_comma = !strcmp(json_get_string(args, "separator", "line", NULL), "comma");
    size_t n = json_array_size(items), position = 0, matched = 0, at = region.begin;
    struct span item;
    enum status status = STATUS_OK;
    while (!status && position <= n && next_item(answer->plain, region, by_comma, &at, &item)) {
        if (item.begin == item.end)
            continue;
        size_t hit = match_item(answer->plain, item, items, any_order, position, taken);
        char name[40];
        snprintf(name, sizeof name, "item %zu", ++position);
        matched += hit != SIZE_MAX;
        if (hit != SIZE_MAX)
            taken[hit] = true;
        status = verdict_add_check(verdict, name, hit != SIZE_MAX, err, "found \"%.*s\"",
                                   (int)size_min(item.end - item.begin, 100),
                                   answer->plain + item.begin);
    }
    if (!status)
        status = verdict_add_check(verdict, "count", position == n, err,
                                   "%zu items expected, found %s%zu", n,
                                   position > n ? "over " : "", size_min(position, n));
    verdict->extraction_failed = !matched;
    return status ? status : verdict_close_checks(verdict, err);
}

static enum status grade_list(const json_t *args, const struct answer *answer,
                              struct verdict *verdict, struct error *err)
{
    struct span region = {0, answer->plain_length};
    bool by_comma = !strcmp(json_get_string(args, "separator", "line", NULL), "comma");
    bool marked, *taken = mem_array(json_array_size(json_object_get(args, "items")), sizeof *taken);
    enum status status = taken ? STATUS_OK : error_memory(err, "a list");
    if (!status && by_comma)
        status = answer_conclusion(answer, &region, &marked, err);
    if (!status)
        status = judge_items(args, answer, region, taken, verdict, err);
    mem_free(taken);
    return status;
}

const struct grader_type grader_list = {"list", list_arguments, check_list, grade_list, false};
