/* The report of a comparison, in four forms that show the same findings: a table for the
 * terminal, report.json (docs/report.md describes it), report.md, and report.html, one file
 * without any request to elsewhere.
 *
 * Answers, and all else that comes with a model, are untrusted: each form escapes them.
 */
#ifndef TANDEM_EVAL_REPORT_H
#define TANDEM_EVAL_REPORT_H

#include "base/strbuf.h"
#include "eval/comparison.h"
#include "eval/findings.h"

enum { REPORT_VERSION = 1 }; /* of report.json; grows when a field changes its meaning or goes */

/* A new reference; NULL when out of memory. */
json_t *report_json(const struct comparison *c, const struct findings *f);
/* These append to `out` (look at out->failed). */
void report_html(const struct comparison *c, const struct findings *f, struct strbuf *out);
void report_markdown(const struct comparison *c, const struct findings *f, struct strbuf *out);
void report_terminal(const struct comparison *c, const struct findings *f, bool colour,
                     struct strbuf *out);

/* report.json, report.md and report.html in the folder, each written whole or not at all. */
enum status report_write(const struct comparison *c, const struct findings *f, const char *folder,
                         struct error *err);

#endif
