/* JSON through jansson: parsing with messages that name the place, typed look-ups, and output.
 *
 * Objects are jansson's `json_t *`; who creates one releases it with json_decref.
 */
#ifndef TANDEM_BASE_JSON_H
#define TANDEM_BASE_JSON_H

#include "base/error.h"
#include "base/strbuf.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Parse a document; `name` is what messages call it. Accepts any JSON value, and NUL characters
 * in strings; refuses duplicate keys and trailing text. NULL on error. */
json_t *json_parse(const char *name, const char *text, size_t length, struct error *err);
/* The same for a file of at most 1 GiB. */
json_t *json_parse_file(const char *path, struct error *err);

/* Typed look-ups with a default for keys that are absent or null. A value of another type is an
 * error, sets `err` (with STATUS_FORMAT, if it is not set yet) and gives the default, so that
 * many look-ups can share one check at the end. `object` may be NULL (all defaults). */
int64_t json_get_int(const json_t *object, const char *key, int64_t fallback, struct error *err);
double json_get_number(const json_t *object, const char *key, double fallback, struct error *err);
bool json_get_bool(const json_t *object, const char *key, bool fallback, struct error *err);
/* The string lives as long as the object. */
const char *json_get_string(const json_t *object, const char *key, const char *fallback,
                            struct error *err);

/* Append the value as one line (compact) or indented by two spaces. Non-ASCII stays as it is,
 * but for U+0085, U+2028 and U+2029, which many readers of JSON lines take for line ends. */
void json_write(struct strbuf *out, const json_t *value, bool indent);
/* Compact, with numbers to 6 digits, for people to read: 0.1, not 0.10000000000000001. */
void json_write_short(struct strbuf *out, const json_t *value);

/* A string of any bytes, with U+FFFD for each that is not part of UTF-8; new reference. */
json_t *json_text(const char *bytes, size_t length);

/* Steps through JSON lines on a stream: one value per non-blank line. Returns NULL at the end
 * and on error (then err->status is set; messages name `name` and the line number). */
struct json_lines {
    void *stream; /* FILE * */
    const char *name;
    size_t line_number;
    char *line;
    size_t capacity;
};
json_t *json_lines_next(struct json_lines *lines, struct error *err);
void json_lines_free(struct json_lines *lines); /* does not close the stream */

#endif
