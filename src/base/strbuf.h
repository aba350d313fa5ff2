/* A growing byte string with sticky failure: append freely, check `failed` once at the end.
 * The data is always NUL-terminated once anything was appended; strbuf_text() gives "" before.
 */
#ifndef TANDEM_BASE_STRBUF_H
#define TANDEM_BASE_STRBUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct strbuf {
    char *data;
    size_t length, capacity;
    size_t limit; /* most bytes it may hold; 0: no bound */
    bool failed;  /* out of memory, or over the limit: what followed was dropped */
};

void strbuf_append(struct strbuf *buf, const void *data, size_t length);
void strbuf_add(struct strbuf *buf, const char *text);
void strbuf_add_char(struct strbuf *buf, char c);
void strbuf_add_codepoint(struct strbuf *buf, unsigned codepoint); /* as UTF-8 */
void strbuf_printf(struct strbuf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void strbuf_truncate(struct strbuf *buf, size_t length);
const char *strbuf_text(const struct strbuf *buf);
/* Hands over the string (to be freed with mem_free) and empties the buffer; NULL if it failed. */
char *strbuf_take(struct strbuf *buf);
void strbuf_free(struct strbuf *buf);

#endif
