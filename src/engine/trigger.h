/* A literal text that is watched for in a stream of bytes, a byte at a time. */
#ifndef TANDEM_ENGINE_TRIGGER_H
#define TANDEM_ENGINE_TRIGGER_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

enum { TRIGGER_LIMIT = 64 };

struct trigger {
    char text[TRIGGER_LIMIT];
    size_t length;
    size_t borders[TRIGGER_LIMIT]; /* of text[0 .. i]: the longest end that is how it begins */
};

/* STATUS_INVALID for a text that is empty or longer than TRIGGER_LIMIT. */
enum status trigger_set(struct trigger *trigger, const char *text, struct error *err);
/* How many bytes of the trigger's beginning a text ends in, one byte after it ended in `matched`,
 * which is less than all of them. */
size_t trigger_step(const struct trigger *trigger, size_t matched, uint8_t byte);

#endif
