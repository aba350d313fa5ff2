#include "base/sha256.h"
#include "base/file.h"

#include <nettle/sha2.h>
#include <stdint.h>

void sha256_hex(const void *data, size_t size, char out[65])
{
    struct sha256_ctx ctx;
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_init(&ctx);
    sha256_update(&ctx, size, data);
    sha256_digest(&ctx, sizeof digest, digest);
    for (int i = 0; i < SHA256_DIGEST_SIZE; i++) {
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
