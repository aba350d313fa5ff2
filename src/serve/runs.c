#include "serve/runs.h"
#include "base/memory.h"
#include "base/sha256.h"
#include "base/utf8.h"
#include "serve/server_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    ID_DIGITS = 16,
    MAX_DEPTH = 3,
    MAX_FOLDERS = 5000, /* looked at for one request */
    MAX_LISTED = 200,
    MAX_REPORT_BYTES = 256 << 20,
};

/* A report is a document of its own: its script and style are inline, and it may do nothing. */
#define REPORT_POLICY                                                                              \
    "sandbox allow-scripts allow-modals allow-downloads; default-src 'none'; "                     \
    "script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "      \
    "form-action 'none'; frame-ancestors 'none'"

static const struct run_file {
    const char *name, *content_type, *policy;
} run_files[] = {
    {"report.json", "application/json", NULL},
    {"report.html", "text/html; charset=utf-8", REPORT_POLICY},
};

/* --- Finding runs --- */

struct run {
    char *folder; /* below the store; "" is the store itself */
    char id[ID_DIGITS + 1];
    struct timespec written;
};

struct run_list {
    struct run *items;
    size_t count, capacity, folders;
    bool failed; /* out of memory */
};

static void free_list(struct run_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        mem_free(list->items[i].folder);
    mem_free(list->items);
}

/* A regular file of the folder, or -1. */
static int open_file(int folder, const char *name, struct stat *st)
{
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd >= 0 && (fstat(fd, st) || !S_ISREG(st->st_mode))) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static void add_run(struct run_list *list, int folder, const char *path)
{
    struct stat st;
    char digest[65];
    int fd = open_file(folder, run_files[0].name, &st);
    if (fd < 0)
        return;
    close(fd);
    if (!mem_grow(&list->items, &list->capacity, list->count, sizeof *list->items)) {
        list->failed = true;
        return;
    }
    struct run *run = &list->items[list->count];
    *run = (struct run){.folder = mem_copy_string(path), .written = st.st_mtim};
    sha256_hex(path, strlen(path), digest);
    memcpy(run->id, digest, ID_DIGITS);
    if (run->folder)
        list->count++;
    else
        list->failed = true;
}

/* Adds the runs of the folder and its subfolders; closes `folder`. `path` is its name, and is as
 * it was afterwards. */
static void walk(struct run_list *list, int folder, struct strbuf *path, int depth)
{
    size_t length = path->length;
    add_run(list, folder, strbuf_text(path));
    DIR *entries = depth < MAX_DEPTH ? fdopendir(folder) : NULL;
    if (!entries) {
        close(folder);
        return;
    }
    for (struct dirent *entry; !list->failed && (entry = readdir(entries));) {
        if (entry->d_name[0] == '.' || (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN))
            continue;
        if (++list->folders > MAX_FOLDERS)
            break;
        int child =
            openat(dirfd(entries), entry->d_name, O_RDONLY | O_CLOEXEC | O_DIRECTORY | O_NOFOLLOW);
        if (child < 0)
            continue;
        if (length)
            strbuf_add_char(path, '/');
        strbuf_add(path, entry->d_name);
        walk(list, child, path, depth + 1);
        strbuf_truncate(path, length);
    }
    closedir(entries);
}

static int open_store(const struct exchange *x)
{
    const char *runs = x->server->options.runs;
    return runs ? open(runs, O_RDONLY | O_CLOEXEC | O_DIRECTORY) : -1;
}

static int latest_first(const void *left, const void *right)
{
    const struct timespec *a = &((const struct run *)left)->written;
    const struct timespec *b = &((const struct run *)right)->written;
    if (a->tv_sec != b->tv_sec)
        return a->tv_sec < b->tv_sec ? 1 : -1;
    return (a->tv_nsec < b->tv_nsec) - (a->tv_nsec > b->tv_nsec);
}

static void find_runs(const struct exchange *x, struct run_list *list)
{
    struct strbuf path = {0};
    int store = open_store(x);
    if (store >= 0)
        walk(list, store, &path, 0);
    list->failed = list->failed || path.failed;
    strbuf_free(&path);
    if (list->count > 0)
        qsort(list->items, list->count, sizeof *list->items, latest_first);
}

/* --- Their files --- */

/* The run's folder, reached one name at a time so that no link is followed; or -1. */
static int open_run(const struct exchange *x, const struct run *run)
{
    int folder = open_store(x);
    char *path = mem_copy_string(run->folder), *state = NULL;
    for (char *name = path ? strtok_r(path, "/", &state) : NULL; name && folder >= 0;
         name = strtok_r(NULL, "/", &state)) {
        int child = openat(folder, name, O_RDONLY | O_CLOEXEC | O_DIRECTORY | O_NOFOLLOW);
        close(folder);
        folder = child;
    }
    if (!path && folder >= 0) {
        close(folder);
        folder = -1;
    }
    mem_free(path);
    return folder;
}

static bool read_all(int fd, size_t size, struct strbuf *out)
{
    char block[65536];
    ssize_t n = 1;
    out->limit = size;
    while (!out->failed && ((n = read(fd, block, sizeof block)) > 0 || (n < 0 && errno == EINTR)))
        if (n > 0)
            strbuf_append(out, block, (size_t)n);
    return !out->failed && n == 0;
}

static bool read_run_file(const struct exchange *x, const struct run *run, const char *name,
                          struct strbuf *out)
{
    struct stat st;
    int folder = open_run(x, run);
    int fd = folder >= 0 ? open_file(folder, name, &st) : -1;
    bool ok = fd >= 0 && st.st_size <= MAX_REPORT_BYTES && read_all(fd, MAX_REPORT_BYTES, out);
    if (fd >= 0)
        close(fd);
    if (folder >= 0)
        close(folder);
    return ok;
}

/* --- Replies --- */

/* What a list shows of a side; NULL values where the report lacks them. */
static json_t *describe_side(const json_t *report, const char *side)
{
    const json_t *model = json_object_get(json_object_get(report, "models"), side);
    const json_t *score = json_object_get(json_object_get(report, "all"), side);
    return json_pack("{s:O?, s:O?, s:O?, s:O?, s:O?}", "name", json_object_get(model, "name"),
                     "score", json_object_get(score, "score"), "interval",
                     json_object_get(score, "interval"), "right", json_object_get(score, "right"),
                     "n", json_object_get(score, "n"));
}

/* NULL where the report cannot be read, as while it is being written. */
static json_t *describe(const struct exchange *x, const struct run *run)
{
    struct strbuf text = {0};
    json_t *report = NULL, *entry = NULL;
    if (read_run_file(x, run, run_files[0].name, &text))
        report = json_parse("report.json", strbuf_text(&text), text.length, NULL);
    strbuf_free(&text);
    const char *schema = json_get_string(report, "schema", "", NULL);
    const json_t *suite = json_object_get(report, "suite");
    bool is_named = utf8_valid(run->folder, strlen(run->folder));
    if (!strcmp(schema, "tandem-report"))
        entry =
            json_pack("{s:s, s:s, s:O?, s:O?, s:O?, s:O?, s:o, s:o}", "id", run->id, "folder",
                      is_named ? run->folder : "?", "started", json_object_get(report, "started"),
                      "partial", json_object_get(report, "partial"), "suite",
                      json_object_get(suite, "name"), "items", json_object_get(suite, "items"), "a",
                      describe_side(report, "a"), "b", describe_side(report, "b"));
    json_decref(report);
    return entry;
}

static json_t *describe_all(const struct exchange *x, const struct run_list *list)
{
    json_t *runs = json_array();
    size_t n = size_min(list->count, MAX_LISTED);
    for (size_t i = 0; i < n; i++) {
        json_t *entry = describe(x, &list->items[i]);
        if (entry)
            json_array_append_new(runs, entry);
    }
    return json_pack("{s:o, s:I, s:b}", "runs", runs, "not_listed", (json_int_t)(list->count - n),
                     "has_store", x->server->options.runs != NULL);
}

/* The run and file of "/runs/ID/NAME"; false if there is none such. */
static bool choose(const struct run_list *list, const char *path, const struct run **run,
                   const struct run_file **file)
{
    const char *id = path + strlen("/runs/");
    *run = NULL;
    *file = NULL;
    if (strlen(path) <= strlen("/runs/") + ID_DIGITS || id[ID_DIGITS] != '/')
        return false;
    for (size_t i = 0; i < list->count; i++)
        if (!memcmp(list->items[i].id, id, ID_DIGITS))
            *run = &list->items[i];
    for (size_t i = 0; i < sizeof run_files / sizeof *run_files; i++)
        if (!strcmp(run_files[i].name, id + ID_DIGITS + 1))
            *file = &run_files[i];
    return *run && *file;
}

static void reply_file(struct exchange *x, const struct run_list *list)
{
    const struct run *run;
    const struct run_file *file;
    struct strbuf text = {0};
    if (choose(list, x->path, &run, &file) && read_run_file(x, run, file->name, &text)) {
        x->content_policy = file->policy;
        exchange_reply(x, 200, file->content_type, strbuf_text(&text), text.length);
    } else {
        struct api_error error = {0};
        api_refuse(&error, 404, "not_found", NULL, "there is no such report");
        exchange_reply_error(x, &error);
    }
    strbuf_free(&text);
}

bool runs_is_path(const char *path)
{
    return !strcmp(path, "/runs") || !strncmp(path, "/runs/", strlen("/runs/"));
}

void runs_reply(struct exchange *x)
{
    struct run_list list = {0};
    find_runs(x, &list);
    if (list.failed) {
        struct api_error error = {0};
        api_refuse(&error, 503, "out_of_memory", NULL, "out of memory for the list of runs");
        exchange_reply_error(x, &error);
    } else if (!strcmp(x->path, "/runs")) {
        exchange_reply_json(x, 200, describe_all(x, &list));
    } else {
        reply_file(x, &list);
    }
    free_list(&list);
}
