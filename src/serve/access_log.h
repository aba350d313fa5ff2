/* server.log: one line of JSON for every request and event, also on stderr where wanted.
 *
 * A file that was moved away (log rotation) is opened anew before the next line. A disk that is
 * full costs lines, which are counted, and nothing else.
 */
#ifndef TANDEM_SERVE_ACCESS_LOG_H
#define TANDEM_SERVE_ACCESS_LOG_H

#include "base/error.h"
#include "base/json.h"

#include <stdint.h>

struct access_log;

/* path NULL: no file. The path must outlive the log. */
enum status access_log_open(const char *path, bool to_stderr, struct access_log **log,
                            struct error *err);
void access_log_close(struct access_log *log);
/* Writes the object as a line, with "time" in front; takes it over. */
void access_log_write(struct access_log *log, json_t *line);
/* Lines that could not be written. */
uint64_t access_log_lost(struct access_log *log);

#endif
