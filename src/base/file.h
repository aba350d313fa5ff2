/* Files: read-only mappings, whole-file reads, atomic writes, paths. */
#ifndef TANDEM_BASE_FILE_H
#define TANDEM_BASE_FILE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A file mapped read-only. data is NULL for an empty file. */
struct file_map {
    const uint8_t *data;
    size_t size;
    int fd; /* open while there are data */
};
enum status file_map(const char *path, struct file_map *map, struct error *err);
void file_unmap(struct file_map *map);
/* Reads `size` bytes at `data`, which is in the mapping, without touching it: where much is read
 * once, faults and page tables would take longer than the copy. False where the file cannot be
 * read so; the mapping is there still. */
bool file_map_copy(const struct file_map *map, const void *data, size_t size, void *to);

/* The whole file in memory with a NUL byte behind it, at most `limit` bytes (0: 1 GiB).
 * *data is freed by the caller with mem_free. */
enum status file_read(const char *path, size_t limit, char **data, size_t *size, struct error *err);
/* The same for text: an error where there is a NUL byte. */
enum status file_read_text(const char *path, size_t limit, char **text, size_t *size,
                           struct error *err);
/* For a file or folder that could not be created at `path`: what errno says, and a remedy. */
enum status file_cannot_create(const char *path, struct error *err);
/* Sets `size` bytes of the disk aside for a file that is about to be written, where the file system
 * knows how, so that too little space shows before the work and not after it. path: for the
 * message. */
enum status file_reserve(int fd, const char *path, size_t size, struct error *err);
/* Creates an empty file beside `path`, with the permissions of a new file, to be renamed over it
 * when it is complete. *name is freed by the caller with mem_free; both are only set on success. */
enum status file_create_beside(const char *path, int *fd, char **name, struct error *err);
/* Writes to a temporary file beside `path`, syncs it, and renames it over `path`: afterwards
 * either the old file or the whole new one is there. */
enum status file_write_atomic(const char *path, const void *data, size_t size, struct error *err);

bool file_exists(const char *path);
bool file_is_directory(const char *path);
/* Creates the folder and its parents; fine if it is there. */
enum status file_make_directory(const char *path, struct error *err);
/* "a/b", freed with mem_free; NULL when out of memory. */
char *file_join(const char *folder, const char *name);
/* Pointer into `path` behind the last '/'. */
const char *file_base_name(const char *path);

#endif
