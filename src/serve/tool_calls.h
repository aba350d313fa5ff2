/* Tool calls in Qwen2.5's format, found in an answer while it is made:
 *
 *     <tool_call>
 *     {"name": "f", "arguments": {...}}
 *     </tool_call>
 *
 * Text that could be the beginning of a call is held back, and so are blanks: those around calls
 * are dropped. What looks like a call and is not valid JSON with a name is ordinary text.
 */
#ifndef TANDEM_SERVE_TOOL_CALLS_H
#define TANDEM_SERVE_TOOL_CALLS_H

#include "base/json.h"
#include "base/strbuf.h"

#include <stdbool.h>
#include <stddef.h>

#define TOOL_CALL_BEGIN "<tool_call>"
#define TOOL_CALL_END "</tool_call>"

struct tool_reader {
    bool is_either; /* the answer is calls or a text without any: its first character tells */
    bool is_text;   /* it told that there are none */
    struct strbuf held;
    bool is_inside;
    size_t begin;   /* inside, in `held`: where blanks and the tag end and the call's JSON begins */
    size_t scanned; /* of a call, up to where its end cannot begin */
    bool in_string, escaped;
    size_t n_calls;
};

/* Takes more text, the last where is_end. Appends what is ordinary text to `content`, and to the
 * array `calls` a {"name", "arguments": "<JSON text>"} for every call that is complete. */
void tool_reader_push(struct tool_reader *reader, const char *text, size_t length, bool is_end,
                      struct strbuf *content, json_t *calls);
void tool_reader_free(struct tool_reader *reader);

#endif
