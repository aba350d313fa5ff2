#include "serve/page.h"
#include "base/sha256.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *suffix, *type;
} types[] = {
    {".html", "text/html; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".json", "application/json"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".ico", "image/x-icon"},
    {".woff2", "font/woff2"},
    {".txt", "text/plain; charset=utf-8"},
    {".webmanifest", "application/manifest+json"},
};

static const char *content_type(const char *name)
{
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof types / sizeof *types; i++)
        if (!strcmp(dot, types[i].suffix))
            return types[i].type;
    return "application/octet-stream";
}

static const char PACKED[] = ".gz";

/* The file of that name and ending. */
static const struct embedded_file *find(const char *name, const char *ending)
{
    size_t n = strlen(name);
    for (const struct embedded_file *file = embedded_page; file->name; file++)
        if (!strncmp(file->name, name, n) && !strcmp(file->name + n, ending))
            return file;
    return NULL;
}

const struct embedded_file *page_find(const char *path)
{
    const struct embedded_file *file =
        *path == '/' ? find(strcmp(path, "/") ? path + 1 : "index.html", "") : NULL;
    const char *dot = file ? strrchr(file->name, '.') : NULL;
    return dot && !strcmp(dot, PACKED) ? NULL : file;
}

/* Whether "gzip;q=1.0, br" and the like name gzip, other than to say that it is not wanted. */
static bool takes_gzip(const char *accepted)
{
    while (accepted && *accepted) {
        accepted += strspn(accepted, " \t,");
        size_t n = strcspn(accepted, " \t,;"), m = strcspn(accepted, ",");
        const char *quality = memmem(accepted, m, "q=", 2);
        if ((n == 4 && !strncasecmp(accepted, "gzip", n)) || (n == 1 && *accepted == '*'))
            return !quality || strtod(quality + 2, NULL) > 0;
        accepted += m;
    }
    return false;
}

/* Whether one of the tags of If-None-Match is the file's. */
static bool is_known(const char *tags, const char *etag)
{
    return tags && (!strcmp(tags, "*") || strstr(tags, etag));
}

void page_reply(struct exchange *x)
{
    const struct embedded_file *file = page_find(x->path);
    const struct embedded_file *packed = find(file->name, PACKED);
    bool is_packed = packed && takes_gzip(exchange_header(x, "Accept-Encoding"));
    const struct embedded_file *sent = is_packed ? packed : file;
    bool has_own_name =
        !strncmp(file->name, "assets/", strlen("assets/")); /* with a digest in it */
    char digest[65];
    sha256_hex(sent->data, sent->size, digest);
    snprintf(x->etag, sizeof x->etag, "\"%.16s\"", digest);
    x->caching = has_own_name ? "public, max-age=31536000, immutable" : "no-cache";
    x->encoding = is_packed ? "gzip" : NULL;
    bool is_there = is_known(exchange_header(x, "If-None-Match"), x->etag);
    exchange_reply(x, is_there ? 304 : 200, content_type(file->name), sent->data,
                   is_there ? 0 : sent->size);
}
