#include "engine/trigger.h"

#include <string.h>

size_t trigger_step(const struct trigger *trigger, size_t matched, uint8_t byte)
{
    while (matched > 0 && (uint8_t)trigger->text[matched] != byte)
        matched = trigger->borders[matched - 1];
    return (uint8_t)trigger->text[matched] == byte ? matched + 1 : 0;
}

enum status trigger_set(struct trigger *trigger, const char *text, struct error *err)
{
    size_t length = strlen(text);
    *trigger = (struct trigger){.length = length};
    if (length == 0 || length > TRIGGER_LIMIT)
        return error_set(err, STATUS_INVALID, "a trigger has 1 to %d bytes, not %zu",
                         (int)TRIGGER_LIMIT, length);
    memcpy(trigger->text, text, length);
    for (size_t i = 1; i < length; i++)
        trigger->borders[i] = trigger_step(trigger, trigger->borders[i - 1], (uint8_t)text[i]);
    return STATUS_OK;
}
