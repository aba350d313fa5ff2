#include "serve/tool_calls.h"
#include "base/size.h"

#include <string.h>

static const char begin_tag[] = TOOL_CALL_BEGIN, end_tag[] = TOOL_CALL_END;
enum { BEGIN_LENGTH = sizeof begin_tag - 1, END_LENGTH = sizeof end_tag - 1 };

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static void drop(struct strbuf *held, size_t n)
{
    memmove(held->data, held->data + n, held->length - n);
    strbuf_truncate(held, held->length - n);
}

/* The call's JSON as an entry of `calls`; false if it is no call. */
static bool add_call(const char *text, size_t length, json_t *calls)
{
    json_t *call = json_parse("a tool call", text, length, NULL);
    json_t *name = json_object_get(call, "name"), *arguments = json_object_get(call, "arguments");
    struct strbuf written = {0};
    bool ok = json_is_string(name) && json_string_length(name) > 0 &&
              (!arguments || json_is_object(arguments));
    if (ok) {
        if (arguments)
            json_write(&written, arguments, false);
        else
            strbuf_add(&written, "{}");
        ok = !written.failed &&
             !json_array_append_new(calls, json_pack("{s:O, s:s%}", "name", name, "arguments",
                                                     written.data, written.length));
    }
    strbuf_free(&written);
    json_decref(call);
    return ok;
}

/* --- Outside a call --- */

/* At the end of a text. */
static size_t count_blanks(const char *text, size_t length)
{
    size_t n = 0;
    while (n < length && is_space(text[length - n - 1]))
        n++;
    return n;
}

/* How much of the end may be blanks and the beginning of a call's tag. */
static size_t held_back(const struct strbuf *held)
{
    size_t tag = size_min(held->length, BEGIN_LENGTH - 1);
    while (tag > 0 && memcmp(held->data + held->length - tag, begin_tag, tag) != 0)
        tag--;
    return tag + count_blanks(held->data, held->length - tag);
}

static bool find_call(struct tool_reader *r, bool is_end, struct strbuf *content)
{
    const char *found = memmem(r->held.data, r->held.length, begin_tag, BEGIN_LENGTH);
    size_t n = found ? (size_t)(found - r->held.data) : r->held.length, taken = n;
    if (found || (is_end && r->n_calls > 0))
        taken -= count_blanks(r->held.data, n);
    else if (!is_end)
        taken -= held_back(&r->held);
    strbuf_append(content, r->held.data, taken);
    drop(&r->held, is_end && !found ? n : taken);
    r->is_inside = found;
    r->begin = r->scanned = n - taken + BEGIN_LENGTH;
    r->in_string = r->escaped = false;
    return found;
}

/* --- Inside --- */

/* Scans on to where the end tag stands outside a JSON string; false when it is not there yet. */
static bool find_end(struct tool_reader *r)
{
    for (; r->scanned < r->held.length; r->scanned++) {
        char c = r->held.data[r->scanned];
        size_t left = r->held.length - r->scanned;
        if (r->escaped)
            r->escaped = false;
        else if (r->in_string && c == '\\')
            r->escaped = true;
        else if (c == '"')
            r->in_string = !r->in_string;
        else if (!r->in_string && c == '<' && left < END_LENGTH)
            return false;
        else if (!r->in_string && c == '<' &&
                 !memcmp(r->held.data + r->scanned, end_tag, END_LENGTH))
            return true;
    }
    return false;
}

static bool end_call(struct tool_reader *r, bool is_end, struct strbuf *content, json_t *calls)
{
    bool complete = find_end(r);
    if (!complete && !is_end)
        return false;
    size_t length = complete ? r->scanned : r->held.length;
    size_t taken = complete ? length + END_LENGTH : length;
    if (add_call(r->held.data + r->begin, length - r->begin, calls))
        r->n_calls++;
    else
        strbuf_append(content, r->held.data, taken);
    drop(&r->held, taken);
    r->is_inside = false;
    return true;
}

void tool_reader_push(struct tool_reader *r, const char *text, size_t length, bool is_end,
                      struct strbuf *content, json_t *calls)
{
    strbuf_append(&r->held, text, length);
    if (r->is_either && r->held.length > 0) {
        r->is_either = false;
        r->is_text = r->held.data[0] != begin_tag[0];
    }
    if (r->is_text) {
        strbuf_append(content, strbuf_text(&r->held), r->held.length);
        strbuf_truncate(&r->held, 0);
    }
    while (r->held.length > 0) {
        bool went_on =
            r->is_inside ? end_call(r, is_end, content, calls) : find_call(r, is_end, content);
        if (!went_on)
            break;
    }
}

void tool_reader_free(struct tool_reader *r)
{
    strbuf_free(&r->held);
}
