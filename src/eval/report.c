#include "eval/report.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

static enum status write_form(const char *folder, const char *name, const struct strbuf *text,
                              struct error *err)
{
    char *path = file_join(folder, name);
    if (!path || text->failed) {
        mem_free(path);
        return error_memory(err, name);
    }
    enum status status = file_write_atomic(path, text->data, text->length, err);
    mem_free(path);
    return status;
}

enum status report_write(const struct comparison *c, const struct findings *f, const char *folder,
                         struct error *err)
{
    struct strbuf json = {0}, markdown = {0}, html = {0};
    json_t *document = report_json(c, f);
    if (!document)
        return error_memory(err, "report.json");
    json_write(&json, document, true);
    strbuf_add_char(&json, '\n');
    json_decref(document);
    enum status status = write_form(folder, "report.json", &json, err);
    strbuf_free(&json);
    report_markdown(c, f, &markdown);
    if (!status)
        status = write_form(folder, "report.md", &markdown, err);
    strbuf_free(&markdown);
    report_html(c, f, &html);
    if (!status)
        status = write_form(folder, "report.html", &html, err);
    strbuf_free(&html);
    return status ? error_prefix(err, "writing the report") : STATUS_OK;
}
