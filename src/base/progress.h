/* A progress bar on stderr; silent when stderr is not a terminal.
 *
 *     struct progress bar = {.label = "comparing", .total = 100};
 *     for (...) progress_update(&bar, done, "item 7");
 *     progress_finish(&bar);
 */
#ifndef TANDEM_BASE_PROGRESS_H
#define TANDEM_BASE_PROGRESS_H

#include <stddef.h>

struct progress {
    const char *label;
    size_t total;
    double started, drawn; /* seconds; set by the first update */
};
/* Redraws at most ten times a second: bar, share, elapsed and remaining time, and `detail`
 * (may be NULL). */
void progress_update(struct progress *bar, size_t done, const char *detail);
void progress_finish(struct progress *bar); /* erases the line */

#endif
