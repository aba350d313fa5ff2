/* Tables in answers: Markdown and CSV, as rows of cells. */
#ifndef TANDEM_EVAL_TABLE_H
#define TANDEM_EVAL_TABLE_H

#include "eval/answer.h"

#include <stdbool.h>
#include <stddef.h>

struct table {
    char **cells;             /* [n_rows][n_columns], trimmed; "" where a row is short */
    size_t n_rows, n_columns; /* rows with the header */
    bool ragged;              /* some row has more or fewer cells than the header */
};

/* The last Markdown table of raw (a line of cells, a line of dashes, lines of cells), or the
 * last fenced block or else the whole of raw as CSV (RFC 4180). *found is false where there is
 * none. Rows and cells are bounded. */
enum status table_find_markdown(const struct answer *answer, struct table *table, bool *found,
                                struct error *err);
enum status table_find_csv(const struct answer *answer, struct table *table, bool *found,
                           struct error *err);
void table_free(struct table *table);
const char *table_cell(const struct table *table, size_t row, size_t column);

#endif
