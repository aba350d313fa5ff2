#include "base/file.h"
#include "base/memory.h"
#include "base/strbuf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static enum status open_regular(const char *path, int *fd, size_t *size, struct error *err)
{
    struct stat st;
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0)
        return error_errno(err, "cannot open %s", path);
    if (fstat(*fd, &st) < 0) {
        enum status status = error_errno(err, "cannot stat %s", path);
        close(*fd);
        return status;
    }
    if (!S_ISREG(st.st_mode)) {
        close(*fd);
        return error_set(err, STATUS_INVALID, "%s is not a regular file", path);
    }
    *size = (size_t)st.st_size;
    return STATUS_OK;
}

enum status file_map(const char *path, struct file_map *map, struct error *err)
{
    int fd;
    size_t size;
    *map = (struct file_map){0};
    enum status status = open_regular(path, &fd, &size, err);
    if (status)
        return status;
    if (size) {
        void *data = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
        if (data == MAP_FAILED)
            status = error_errno(err, "cannot map %s (%zu bytes)", path, size);
        else
            *map = (struct file_map){.data = data, .size = size, .fd = fd};
    }
    if (!map->data)
        close(fd);
    return status;
}

void file_unmap(struct file_map *map)
{
    if (map->data) {
        munmap((void *)(uintptr_t)map->data, map->size);
        close(map->fd);
    }
    *map = (struct file_map){0};
}

/* Bytes that were read of `size` from offset `at` on; fewer at the file's end (errno 0) or when
 * reading fails (errno). */
static size_t read_at(int fd, void *to, size_t size, off_t at)
{
    size_t done = 0;
    while (done < size) {
        ssize_t n = pread(fd, (char *)to + done, size - done, at + (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            errno = 0;
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    return done;
}

bool file_map_copy(const struct file_map *map, const void *data, size_t size, void *to)
{
    return read_at(map->fd, to, size, (const uint8_t *)data - map->data) == size;
}

static enum status read_exactly(int fd, const char *path, char *data, size_t size,
                                struct error *err)
{
    size_t done = read_at(fd, data, size, 0);
    if (done == size)
        return STATUS_OK;
    if (errno)
        return error_errno(err, "cannot read %s at offset %zu", path, done);
    return error_set(err, STATUS_IO, "%s shrank to %zu bytes while it was read", path, done);
}

enum status file_read(const char *path, size_t limit, char **data, size_t *size, struct error *err)
{
    int fd;
    *data = NULL;
    if (!limit)
        limit = (size_t)1 << 30;
    enum status status = open_regular(path, &fd, size, err);
    if (status)
        return status;
    if (*size > limit)
        status = error_set(err, STATUS_LIMIT, "%s has %zu bytes, more than the %zu allowed", path,
                           *size, limit);
    else if (!(*data = mem_alloc(*size + 1)))
        status = error_memory(err, path);
    else
        status = read_exactly(fd, path, *data, *size, err);
    close(fd);
    if (status) {
        mem_free(*data);
        *data = NULL;
    }
    return status;
}

enum status file_read_text(const char *path, size_t limit, char **text, size_t *size,
                           struct error *err)
{
    enum status status = file_read(path, limit, text, size, err);
    if (status || strlen(*text) == *size)
        return status;
    mem_free(*text);
    *text = NULL;
    return error_set(err, STATUS_INVALID, "%s holds a NUL byte: is it text?", path);
}

static enum status write_exactly(int fd, const char *path, const char *data, size_t size,
                                 struct error *err)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = write(fd, data + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, "cannot write %s at offset %zu", path, done);
        done += (size_t)n;
    }
    return fsync(fd) ? error_errno(err, "cannot sync %s", path) : STATUS_OK;
}

/* "a/b" -> "a", "b" -> "."; freed by the caller. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    struct strbuf buf = {0};
    strbuf_append(&buf, slash ? path : ".", !slash || slash == path ? 1 : (size_t)(slash - path));
    return strbuf_take(&buf);
}

enum status file_cannot_create(const char *path, struct error *err)
{
    int code = errno;
    char *folder = folder_of(path);
    enum status status;
    if (!folder)
        status = error_memory(err, path);
    else if (!file_is_directory(folder))
        status = error_set(err, STATUS_NOT_FOUND,
                           "cannot create %s: there is no folder %s; make it first", path, folder);
    else if (code == EACCES || code == EPERM || code == EROFS)
        status =
            error_set(err, STATUS_IO, "cannot create %s: %s; choose a folder that you may write to",
                      path, strerror(code));
    else
        status = error_set(err, STATUS_IO, "cannot create %s: %s", path, strerror(code));
    mem_free(folder);
    return status;
}

enum status file_reserve(int fd, const char *path, size_t size, struct error *err)
{
    struct statvfs disk;
    if (!fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)size) ||
        (errno != ENOSPC && errno != EDQUOT) || fstatvfs(fd, &disk))
        return STATUS_OK;
    return error_set(err, STATUS_IO,
                     "cannot write %s: it needs %.1f MB and there are %.1f MB free; make room "
                     "there, or choose another place",
                     path, (double)size / 1e6, (double)disk.f_bavail * (double)disk.f_frsize / 1e6);
}

enum status file_create_beside(const char *path, int *fd, char **name, struct error *err)
{
    struct strbuf buf = {0};
    strbuf_printf(&buf, "%s.XXXXXX", path);
    char *temporary = strbuf_take(&buf);
    if (!temporary)
        return error_memory(err, path);
    int created = mkostemp(temporary, O_CLOEXEC);
    if (created < 0) {
        enum status status = file_cannot_create(path, err);
        mem_free(temporary);
        return status;
    }
    mode_t mask = umask(0);
    umask(mask);
    fchmod(created, 0666 & ~mask);
    *fd = created;
    *name = temporary;
    return STATUS_OK;
}

enum status file_write_atomic(const char *path, const void *data, size_t size, struct error *err)
{
    int fd;
    char *temporary;
    enum status status = file_create_beside(path, &fd, &temporary, err);
    if (status)
        return status;
    status = write_exactly(fd, path, data, size, err);
    if (close(fd) && !status)
        status = error_errno(err, "cannot close %s", path);
    if (!status && rename(temporary, path))
        status = error_errno(err, "cannot rename %s to %s", temporary, path);
    if (status)
        unlink(temporary);
    mem_free(temporary);
    return status;
}

bool file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

bool file_is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

enum status file_make_directory(const char *path, struct error *err)
{
    char *copy = mem_copy_string(path);
    if (!copy)
        return error_memory(err, path);
    enum status status = STATUS_OK;
    for (char *p = copy + 1; !status && *copy; p++) {
        char c = *p;
        if (c && c != '/')
            continue;
        *p = 0;
        if (mkdir(copy, 0777) && errno != EEXIST)
            status = error_errno(err, "cannot create the folder %s", copy);
        *p = c;
        if (!c)
            break;
    }
    if (!status && !file_is_directory(path))
        status = error_set(err, STATUS_IO, "%s is there, but is not a folder", path);
    mem_free(copy);
    return status;
}

char *file_join(const char *folder, const char *name)
{
    struct strbuf buf = {0};
    size_t n = strlen(folder);
    strbuf_printf(&buf, "%s%s%s", folder, n && folder[n - 1] != '/' ? "/" : "", name);
    return strbuf_take(&buf);
}

const char *file_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}
