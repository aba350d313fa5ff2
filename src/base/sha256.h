/* SHA-256 of files and data, as 64 lowercase hexadecimal digits. */
#ifndef TANDEM_BASE_SHA256_H
#define TANDEM_BASE_SHA256_H

#include "base/error.h"

#include <stddef.h>

void sha256_hex(const void *data, size_t size, char out[65]);
enum status sha256_file_hex(const char *path, char out[65], struct error *err);

#endif
