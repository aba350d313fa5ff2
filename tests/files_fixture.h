/* A temporary folder of the test program's own, and the oracles' folder, for tests of files.
 *
 *     snprintf(path, sizeof path, "%s/a.gguf", folder);
 *     return cmocka_run_group_tests(tests, make_folder, remove_folder);
 */
#ifndef TANDEM_TESTS_FILES_FIXTURE_H
#define TANDEM_TESTS_FILES_FIXTURE_H

#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static char folder[] = "/tmp/tandem-test-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[100];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

/* The folder of shared data; skips the test where there is none. */
static inline const char *shared_folder(void)
{
    const char *shared = getenv("TANDEM_SHARED");
    if (!shared || !file_is_directory(shared)) {
        print_message("skipped: there is no folder of shared data (TANDEM_SHARED)\n");
        skip();
    }
    return shared;
}

#endif
