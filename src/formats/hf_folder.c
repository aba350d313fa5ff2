#include "formats/hf_folder.h"
#include "base/file.h"
#include "base/memory.h"

enum status hf_write_json(const char *folder, const char *name, const json_t *value,
                          struct error *err)
{
    struct strbuf text = {0};
    char *path = file_join(folder, name);
    json_write(&text, value, true);
    strbuf_add_char(&text, '\n');
    enum status status = path && !text.failed ? file_write_atomic(path, text.data, text.length, err)
                                              : error_memory(err, name);
    strbuf_free(&text);
    mem_free(path);
    return status;
}

json_t *hf_read_config(const char *from, struct error *err)
{
    char *path = file_join(from, "config.json");
    json_t *config = path ? json_parse_file(path, err) : NULL;
    if (!config && path)
        error_prefix(err, "copying the configuration");
    else if (!config)
        error_memory(err, "config.json");
    mem_free(path);
    return config;
}

/* Files that are not there are left out. */
static enum status copy_document(const char *from, const char *to, const char *name,
                                 struct error *err)
{
    char *source = file_join(from, name), *target = file_join(to, name), *data = NULL;
    size_t size;
    enum status status = source && target ? STATUS_OK : error_memory(err, name);
    if (!status && file_exists(source)) {
        status = file_read(source, 0, &data, &size, err);
        if (!status)
            status = file_write_atomic(target, data, size, err);
    }
    mem_free(data);
    mem_free(source);
    mem_free(target);
    return status;
}

enum status hf_copy_documents(const char *from, const char *to, struct error *err)
{
    static const char *const names[] = {"generation_config.json",
                                        "tokenizer.json",
                                        "tokenizer_config.json",
                                        "vocab.json",
                                        "merges.txt",
                                        "special_tokens_map.json",
                                        "added_tokens.json",
                                        "chat_template.jinja"};
    enum status status = STATUS_OK;
    for (size_t i = 0; i < sizeof names / sizeof *names && !status; i++)
        status = copy_document(from, to, names[i], err);
    return status;
}
