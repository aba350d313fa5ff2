#include "base/sha256.h"
#include "base/file.h"

#include <nettle/sha2.h>

void sha256_parts(const struct sha256_part *parts, size_t n, uint8_t digest[SHA256_BYTES])
{
    struct sha256_ctx ctx;
    sha256_init(&ctx);
    for (size_t i = 0; i < n; i++)
        sha256_update(&ctx, parts[i].size, parts[i].data);
    sha256_digest(&ctx, SHA256_BYTES, digest);
}

void sha256_hex(const void *data, size_t size, char out[65])
{
    uint8_t digest[SHA256_BYTES];
    sha256_parts(&(struct sha256_part){data, size}, 1, digest);
    for (int i = 0; i < SHA256_BYTES; i++) {
        out[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    out[64] = 0;
}

enum status sha256_file_hex(const char *path, char out[65], struct error *err)
{
    struct file_map map;
    enum status status = file_map(path, &map, err);
    if (status)
        return status;
    sha256_hex(map.data, map.size, out);
    file_unmap(&map);
    return STATUS_OK;
}
