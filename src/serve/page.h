/* The web page: files that are part of the program, served at / by their paths. Beside a file may
 * lie one named "FILE.gz", which goes to browsers that take gzip. Browsers keep files whose names
 * change with what is in them, and ask whether they still have the others as they are (ETag).
 */
#ifndef TANDEM_SERVE_PAGE_H
#define TANDEM_SERVE_PAGE_H

#include "eval/embedded.h"
#include "serve/exchange.h"

/* Named by their paths: "index.html", "assets/a.js"; ends with a zero entry. */
extern const struct embedded_file embedded_page[];

/* The file for a path ("/" is index.html); NULL if there is none. */
const struct embedded_file *page_find(const char *path);
/* GET of a path that page_find() knows. */
void page_reply(struct exchange *x);

#endif
