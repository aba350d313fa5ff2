/* Units of work for the threads of a pool: each starts with its own share, one run of units, which
 * it takes from the front piece by piece; who has done his takes pieces from the end of others'.
 * So memory is read in order, and a thread that the system holds up delays nobody for long. */
#ifndef TANDEM_BASE_WORK_SHARES_H
#define TANDEM_BASE_WORK_SHARES_H

#include <stdbool.h>
#include <stddef.h>

struct work_shares;
/* mem_free() frees it; NULL where memory is short. */
struct work_shares *work_shares_create(size_t n_threads);
/* n units (below 2^32) are there to be taken, in pieces of half of what is left of a share,
 * but at least `least`. Before the threads start. */
void work_shares_set(struct work_shares *shares, size_t n, size_t least);
/* The next units for a thread: [begin, end). False: none are left. */
bool work_shares_take(struct work_shares *shares, size_t thread, size_t *begin, size_t *end);

#endif
