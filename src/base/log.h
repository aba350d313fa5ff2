/* Log lines on stderr: warnings that a person should see. Errors are returned, not logged. */
#ifndef TANDEM_BASE_LOG_H
#define TANDEM_BASE_LOG_H

#include <stdbool.h>

void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Info lines are off by default; warnings can be silenced (tests, --quiet). */
void log_configure(bool warnings, bool info);

#endif
