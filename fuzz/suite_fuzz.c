/* Suites as JSON lines: whatever the bytes, an error or a suite whose items have graders. */
#include "eval/suite.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct suite *suite;
    struct error err = {0};
    if (suite_parse("fuzz", (const char *)data, size, &suite, &err)) {
        if (!err.message[0])
            abort();
        return 0;
    }
    for (size_t i = 0; i < suite->count; i++)
        if (!suite->items[i].grader || !suite_find(suite, suite->items[i].id))
            abort();
    suite_free(suite);
    return 0;
}
