#include "kernels/kernels.h"
#include "kernels/tables.h"

#include <stdlib.h>
#include <string.h>

enum status kernels_select(const char *name, const struct kernels **kernels, struct error *err)
{
    if (!name)
        name = getenv("TANDEM_ISA");
    if (!name || !*name || !strcmp(name, "scalar")) {
        *kernels = &kernels_scalar;
        return STATUS_OK;
    }
    return error_set(err, STATUS_INVALID, "there are no kernels \"%s\" here; there are: scalar",
                     name);
}

const char *const *kernels_available(void)
{
    static const char *const names[] = {"scalar", NULL};
    return names;
}
