#include "serve/access_log.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct access_log {
    const char *path;
    bool to_stderr, failing;
    int fd;
    pthread_mutex_t mutex;
    uint64_t lost;
};

static int open_file(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
}

enum status access_log_open(const char *path, bool to_stderr, struct access_log **out,
                            struct error *err)
{
    *out = NULL;
    int fd = path ? open_file(path) : -1;
    if (path && fd < 0)
        return error_errno(err,
                           "cannot write the log %s (--log names another file, --log \"\" "
                           "none)",
                           path);
    struct access_log *log = mem_alloc(sizeof *log);
    if (!log) {
        close(fd);
        return error_memory(err, "the log");
    }
    *log = (struct access_log){.path = path, .to_stderr = to_stderr, .fd = fd};
    pthread_mutex_init(&log->mutex, NULL);
    *out = log;
    return STATUS_OK;
}

void access_log_close(struct access_log *log)
{
    if (!log)
        return;
    if (log->fd >= 0)
        close(log->fd);
    pthread_mutex_destroy(&log->mutex);
    mem_free(log);
}

/* Opens the file anew where the path names another one by now, or none. Where that fails, the old
 * one will do if it still has a name somewhere; else false, with errno of the opening. */
static bool follow_rotation(struct access_log *log)
{
    struct stat there, ours;
    bool has_ours = log->fd >= 0 && !fstat(log->fd, &ours);
    if (has_ours && !stat(log->path, &there) && there.st_dev == ours.st_dev &&
        there.st_ino == ours.st_ino)
        return true;
    int fd = open_file(log->path);
    if (fd < 0)
        return has_ours && ours.st_nlink > 0;
    if (log->fd >= 0)
        close(log->fd);
    log->fd = fd;
    return true;
}

static void write_file(struct access_log *log, const struct strbuf *line)
{
    ssize_t n = follow_rotation(log) ? write(log->fd, line->data, line->length) : -1;
    bool ok = n == (ssize_t)line->length;
    if (!ok) {
        log->lost++;
        if (!log->failing)
            log_warning("lines of %s are lost: %s", log->path,
                        n < 0 ? strerror(errno) : "the disk is full");
    }
    log->failing = !ok;
}

void access_log_write(struct access_log *log, json_t *line)
{
    char now[24];
    clock_utc(now, sizeof now);
    json_t *whole = json_pack("{s:s}", "time", now);
    json_object_update(whole, line);
    json_decref(line);
    struct strbuf text = {0};
    json_write_short(&text, whole);
    json_decref(whole);
    strbuf_add_char(&text, '\n');
    pthread_mutex_lock(&log->mutex);
    if (text.failed)
        log->lost++;
    else if (log->path)
        write_file(log, &text);
    if (log->to_stderr && !text.failed)
        fwrite(text.data, 1, text.length, stderr);
    pthread_mutex_unlock(&log->mutex);
    strbuf_free(&text);
}

uint64_t access_log_lost(struct access_log *log)
{
    pthread_mutex_lock(&log->mutex);
    uint64_t lost = log->lost;
    pthread_mutex_unlock(&log->mutex);
    return lost;
}
