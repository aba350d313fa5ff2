#include "train/log.h"
#include "base/file.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

/* Lines of events up to `step`; a last line that a kill left unfinished is dropped. */
static void keep_lines(const char *text, size_t size, size_t step, struct strbuf *out)
{
    for (const char *p = text, *end = text + size; p < end;) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        if (!newline)
            return;
        json_t *event = json_parse("train.jsonl", p, (size_t)(newline - p), NULL);
        if (event && json_get_int(event, "step", 0, NULL) <= (int64_t)step)
            strbuf_append(out, p, (size_t)(newline - p) + 1);
        json_decref(event);
        p = newline + 1;
    }
}

static enum status cut_log(const char *path, size_t step, struct error *err)
{
    char *text;
    size_t size;
    struct strbuf kept = {0};
    if (!file_exists(path))
        return STATUS_OK;
    enum status status = file_read(path, 0, &text, &size, err);
    if (status)
        return status;
    keep_lines(text, size, step, &kept);
    status = kept.failed ? error_memory(err, path)
                         : file_write_atomic(path, strbuf_text(&kept), kept.length, err);
    strbuf_free(&kept);
    mem_free(text);
    return status;
}

enum status train_log_open(const char *folder, bool resume, size_t step, struct train_log *log,
                           struct error *err)
{
    *log = (struct train_log){.path = file_join(folder, "train.jsonl")};
    if (!log->path)
        return error_memory(err, "train.jsonl");
    enum status status = resume ? cut_log(log->path, step, err) : STATUS_OK;
    if (!status && !(log->stream = fopen(log->path, resume ? "ae" : "we")))
        status = error_errno(err, "cannot write %s", log->path);
    if (status)
        train_log_close(log);
    return status;
}

enum status train_log_write(struct train_log *log, json_t *event, struct error *err)
{
    struct strbuf line = {0};
    json_write(&line, event, false);
    strbuf_add_char(&line, '\n');
    enum status status = !event || line.failed ? error_memory(err, log->path) : STATUS_OK;
    if (!status && (fwrite(line.data, line.length, 1, log->stream) != 1 || fflush(log->stream)))
        status = error_errno(err, "cannot write %s", log->path);
    strbuf_free(&line);
    json_decref(event);
    return status;
}

void train_log_close(struct train_log *log)
{
    if (log->stream)
        fclose(log->stream);
    mem_free(log->path);
    *log = (struct train_log){0};
}
