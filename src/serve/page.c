#include "serve/page.h"

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

const struct embedded_file *page_find(const char *path)
{
    const char *name = strcmp(path, "/") ? path + 1 : "index.html";
    for (const struct embedded_file *file = embedded_page; file->name && *path == '/'; file++)
        if (!strcmp(file->name, name))
            return file;
    return NULL;
}

void page_reply(struct exchange *x)
{
    const struct embedded_file *file = page_find(x->path);
    exchange_reply(x, 200, content_type(file->name), file->data, file->size);
}
