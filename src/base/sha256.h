/* SHA-256 of data, and of files and data as 64 lowercase hexadecimal digits. */
#ifndef TANDEM_BASE_SHA256_H
#define TANDEM_BASE_SHA256_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

enum { SHA256_BYTES = 32 };

/* Of all parts, one behind the other. */
struct sha256_part {
    const void *data;
    size_t size;
};
void sha256_parts(const struct sha256_part *parts, size_t n, uint8_t digest[SHA256_BYTES]);
void sha256_hex(const void *data, size_t size, char out[65]);
enum status sha256_file_hex(const char *path, char out[65], struct error *err);

#endif
