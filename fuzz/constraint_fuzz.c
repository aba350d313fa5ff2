/* Constraints: the first byte tells a schema (even) from a regular expression (odd). Whatever the
 * bytes, an error with a message, or a constraint that never leads into a dead end: from its
 * beginning bytes are chosen among those that may follow until the document is complete. */
#include "base/json.h"
#include "engine/constraint_grammar.h"
#include "engine/walker.h"

#include <stdint.h>
#include <stdlib.h>

enum { MOST_BYTES = 200 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A byte that may follow, looked for from `first` on; -1 where there is none. */
static int find_byte(struct walker *w, int first)
{
    for (int i = 0; i < 256; i++) {
        struct walker_mark mark = walker_mark(w);
        struct position_set next = walker_step(w, w->now, (uint8_t)(first + i));
        bool possible = next.end > next.begin || next.may_end;
        walker_reset(w, mark);
        if (possible)
            return (first + i) & 255;
    }
    return -1;
}

static void follow(const struct constraint *constraint, const uint8_t *choices, size_t n)
{
    struct walker w;
    if (walker_init(&w, &constraint->grammar, NULL))
        return;
    for (size_t i = 0; i < MOST_BYTES; i++) {
        int byte = find_byte(&w, choices[i % n]);
        char one = (char)byte;
        if (byte < 0 && !w.now.may_end)
            abort();
        if (byte < 0)
            break;
        if (walker_accept(&w, &one, 1, NULL))
            abort();
    }
    walker_free(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct constraint *constraint = NULL;
    struct error err = {0};
    enum status status = STATUS_INVALID;
    if (size < 2)
        return 0;
    const char *text = (const char *)data + 1;
    if (data[0] & 1) {
        status = constraint_from_regex(text, size - 1, &constraint, &err);
    } else {
        json_t *schema = json_parse("fuzz", text, size - 1, &err);
        if (schema)
            status = constraint_from_schema(schema, &constraint, &err);
        json_decref(schema);
    }
    if (status && !err.message[0])
        abort();
    if (!status)
        follow(constraint, data, size);
    constraint_release(constraint);
    return 0;
}
