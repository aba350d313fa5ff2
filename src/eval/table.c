#include "eval/table.h"

#include "base/memory.h"
#include "base/strbuf.h"
#include "eval/text_scan.h"

#include <string.h>

enum { MAX_CELLS = 20000, MAX_COLUMNS = 100 };

/* Rows as they are read, of differing lengths. */
struct row_list {
    char **cells; /* of all rows, one after the other */
    size_t n_cells, cells_capacity;
    size_t *ends; /* of each row, in cells */
    size_t n_rows, rows_capacity;
    bool overflow;
};

static void rows_free(struct row_list *rows)
{
    for (size_t i = 0; i < rows->n_cells; i++)
        mem_free(rows->cells[i]);
    mem_free(rows->cells);
    mem_free(rows->ends);
    *rows = (struct row_list){0};
}

static bool add_cell(struct row_list *rows, struct strbuf *text)
{
    struct span content = text_trim(strbuf_text(text), (struct span){0, text->length});
    char *copy = mem_copy(strbuf_text(text) + content.begin, content.end - content.begin);
    strbuf_truncate(text, 0);
    rows->overflow |= rows->n_cells >= MAX_CELLS;
    if (!copy || text->failed || rows->overflow ||
        !mem_grow(&rows->cells, &rows->cells_capacity, rows->n_cells, sizeof *rows->cells)) {
        mem_free(copy);
        return rows->overflow;
    }
    rows->cells[rows->n_cells++] = copy;
    return true;
}

static bool end_row(struct row_list *rows)
{
    if (!mem_grow(&rows->ends, &rows->rows_capacity, rows->n_rows, sizeof *rows->ends))
        return false;
    rows->ends[rows->n_rows++] = rows->n_cells;
    return true;
}

/* Squares the rows into a table as wide as the first one; rows are emptied. */
static enum status make_table(struct row_list *rows, struct table *table, struct error *err)
{
    *table = (struct table){.n_rows = rows->n_rows, .n_columns = rows->n_rows ? rows->ends[0] : 0};
    size_t total;
    if (table->n_columns > MAX_COLUMNS || !size_multiply(table->n_rows, table->n_columns, &total))
        return *table = (struct table){0}, STATUS_OK;
    table->cells = mem_array(total, sizeof *table->cells);
    if (!table->cells)
        return error_memory(err, "a table");
    for (size_t r = 0, begin = 0; r < table->n_rows; begin = rows->ends[r++]) {
        size_t n = rows->ends[r] - begin;
        table->ragged |= n != table->n_columns;
        for (size_t c = 0; c < table->n_columns && c < n; c++) {
            table->cells[r * table->n_columns + c] = rows->cells[begin + c];
            rows->cells[begin + c] = NULL;
        }
    }
    return STATUS_OK;
}

void table_free(struct table *table)
{
    for (size_t i = 0; i < table->n_rows * table->n_columns; i++)
        mem_free(table->cells[i]);
    mem_free(table->cells);
    *table = (struct table){0};
}

const char *table_cell(const struct table *table, size_t row, size_t column)
{
    const char *cell = table->cells[row * table->n_columns + column];
    return cell ? cell : "";
}

/* ---- Markdown ---- */

static bool is_ruler(const char *text, struct span line)
{
    size_t dashes = 0, bars = 0;
    for (size_t i = line.begin; i < line.end; i++) {
        dashes += text[i] == '-';
        bars += text[i] == '|';
        if (!strchr("-|: \t\r", text[i]))
            return false;
    }
    return dashes > 0 && bars > 0;
}

static bool has_bar(const char *text, struct span line)
{
    return memchr(text + line.begin, '|', line.end - line.begin) != NULL;
}

/* "| a | b\|c |": cells between bars that are not escaped. */
static bool read_markdown_row(const char *text, struct span line, struct row_list *rows)
{
    struct strbuf cell = {0};
    bool fine = true;
    line = text_trim(text, line);
    if (line.begin < line.end && text[line.begin] == '|')
        line.begin++;
    if (line.end > line.begin && text[line.end - 1] == '|' &&
        !(line.end - line.begin > 1 && text[line.end - 2] == '\\'))
        line.end--;
    for (size_t i = line.begin; i < line.end && fine; i++) {
        if (text[i] == '|') {
            fine = add_cell(rows, &cell);
        } else {
            i += text[i] == '\\' && i + 1 < line.end && text[i + 1] == '|';
            strbuf_add_char(&cell, text[i]);
        }
    }
    fine = fine && add_cell(rows, &cell) && end_row(rows);
    strbuf_free(&cell);
    return fine;
}

/* Where the last table's header line begins; SIZE_MAX if there is no table. */
static size_t last_markdown_header(const struct answer *answer)
{
    size_t header = SIZE_MAX, previous = SIZE_MAX;
    for (size_t at = 0; at < answer->raw_length;) {
        struct span line = text_line(answer->raw, answer->raw_length, at);
        if (previous != SIZE_MAX && is_ruler(answer->raw, line))
            header = previous;
        previous = has_bar(answer->raw, line) && !is_ruler(answer->raw, line) ? at : SIZE_MAX;
        at = line.end + 1;
    }
    return header;
}

enum status table_find_markdown(const struct answer *answer, struct table *table, bool *found,
                                struct error *err)
{
    struct row_list rows = {0};
    size_t at = last_markdown_header(answer);
    *table = (struct table){0};
    *found = at != SIZE_MAX;
    bool fine = true;
    for (size_t n = 0; *found && at < answer->raw_length && fine; n++) {
        struct span line = text_line(answer->raw, answer->raw_length, at);
        if (!has_bar(answer->raw, line))
            break;
        if (n != 1)
            fine = read_markdown_row(answer->raw, line, &rows);
        at = line.end + 1;
    }
    enum status status = fine ? make_table(&rows, table, err) : error_memory(err, "a table");
    rows_free(&rows);
    *found &= table->n_rows > 0;
    return status;
}

/* ---- CSV ---- */

/* Reads one record; returns where the next one begins. */
static size_t read_csv_row(const char *text, size_t at, size_t end, struct row_list *rows,
                           bool *fine)
{
    struct strbuf cell = {0};
    bool quoted = false;
    for (; at < end && *fine; at++) {
        if (quoted && text[at] == '"' && at + 1 < end && text[at + 1] == '"') {
            strbuf_add_char(&cell, text[at++]);
        } else if (text[at] == '"' && (quoted || !cell.length)) {
            quoted = !quoted;
        } else if (text[at] == ',' && !quoted) {
            *fine = add_cell(rows, &cell);
        } else if (text[at] == '\n' && !quoted) {
            break;
        } else {
            strbuf_add_char(&cell, text[at]);
        }
    }
    *fine = *fine && add_cell(rows, &cell) && end_row(rows);
    strbuf_free(&cell);
    return at + 1;
}

enum status table_find_csv(const struct answer *answer, struct table *table, bool *found,
                           struct error *err)
{
    struct code_block *blocks;
    struct row_list rows = {0};
    size_t n;
    bool fine = true;
    *table = (struct table){0};
    *found = false;
    enum status status = answer_code_blocks(answer, &blocks, &n, err);
    if (status)
        return status;
    struct span body = n ? blocks[n - 1].body : (struct span){0, answer->raw_length};
    mem_free(blocks);
    body = text_trim(answer->raw, body);
    for (size_t at = body.begin; at < body.end && fine;)
        at = read_csv_row(answer->raw, at, body.end, &rows, &fine);
    status = fine ? make_table(&rows, table, err) : error_memory(err, "a table");
    *found = table->n_rows > 0 && table->n_columns > 1;
    rows_free(&rows);
    if (!*found)
        table_free(table);
    return status;
}
