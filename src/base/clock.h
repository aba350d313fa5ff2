/* Time: a monotonic clock for durations, calendar time for records. */
#ifndef TANDEM_BASE_CLOCK_H
#define TANDEM_BASE_CLOCK_H

#include <stddef.h>

double clock_seconds(void);     /* monotonic, from an arbitrary origin */
double clock_cpu_seconds(void); /* CPU time of this process, all threads */
/* "2026-11-23T17:40:00Z" of now; `out` holds at least 21 bytes. */
void clock_utc(char *out, size_t size);

#endif
