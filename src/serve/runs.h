/* The store of runs: folders below serve_options.runs that `tandem compare` wrote.
 *
 * No part of a request's path reaches the file system. Every request lists the folders anew; a
 * run's id is a digest of its folder's name, and a request only chooses among the ids of the list
 * and among fixed file names. Symbolic links are not followed.
 */
#ifndef TANDEM_SERVE_RUNS_H
#define TANDEM_SERVE_RUNS_H

#include "serve/exchange.h"

#include <stdbool.h>

/* Whether the path is "/runs" or below it. */
bool runs_is_path(const char *path);
/* GET /runs: {"runs": [{id, folder, started, suite, items, models, all}, ...]}, the latest first.
 * GET /runs/ID/report.json and /runs/ID/report.html: these files. */
void runs_reply(struct exchange *x);

#endif
