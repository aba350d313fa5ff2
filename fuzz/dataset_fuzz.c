/* Training data: lines of ids and labels, and chats where there is no template. */
#include "train/dataset.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    struct dataset d;
    struct error err = {0};
    struct dataset_options options = {.vocab_size = 1000, .max_rows = 64};
    int fd = memfd_create("dataset", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (dataset_load(path, &options, &d, &err)) {
        if (!err.message[0])
            abort();
    } else {
        for (size_t i = 0; i < d.n_rows; i++)
            if (d.tokens[i] < 0 || d.tokens[i] >= 1000 || d.targets[i] >= 1000)
                abort();
        dataset_free(&d);
    }
    close(fd);
    return 0;
}
