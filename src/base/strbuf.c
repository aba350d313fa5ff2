#include "base/strbuf.h"
#include "base/memory.h"
#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

static bool make_room(struct strbuf *buf, size_t extra)
{
    size_t needed;
    if (buf->failed || !size_add(buf->length, extra, &needed) ||
        (buf->limit && needed > buf->limit) || !mem_grow(&buf->data, &buf->capacity, needed, 1))
        buf->failed = true;
    return !buf->failed;
}

void strbuf_append(struct strbuf *buf, const void *data, size_t length)
{
    if (!make_room(buf, length))
        return;
    if (length)
        memcpy(buf->data + buf->length, data, length);
    buf->length += length;
    buf->data[buf->length] = 0;
}

void strbuf_add(struct strbuf *buf, const char *text)
{
    strbuf_append(buf, text, strlen(text));
}

void strbuf_add_char(struct strbuf *buf, char c)
{
    strbuf_append(buf, &c, 1);
}

void strbuf_add_codepoint(struct strbuf *buf, unsigned codepoint)
{
    char bytes[4];
    strbuf_append(buf, bytes, utf8_encode(codepoint, bytes));
}

void strbuf_printf(struct strbuf *buf, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0)
        buf->failed = true;
    else if (make_room(buf, (size_t)n)) {
        vsnprintf(buf->data + buf->length, (size_t)n + 1, format, again);
        buf->length += (size_t)n;
    }
    va_end(again);
}

void strbuf_truncate(struct strbuf *buf, size_t length)
{
    if (length >= buf->length)
        return;
    buf->length = length;
    buf->data[length] = 0;
}

const char *strbuf_text(const struct strbuf *buf)
{
    return buf->data ? buf->data : "";
}

char *strbuf_take(struct strbuf *buf)
{
    if (!buf->data && !buf->failed)
        strbuf_append(buf, "", 0);
    char *data = buf->failed ? NULL : buf->data;
    if (!data)
        mem_free(buf->data);
    *buf = (struct strbuf){0};
    return data;
}

void strbuf_free(struct strbuf *buf)
{
    mem_free(buf->data);
    *buf = (struct strbuf){.limit = buf->limit};
}
