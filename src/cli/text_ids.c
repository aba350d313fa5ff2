#include "cli/text_ids.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "text/chat.h"

#include <stdio.h>
#include <string.h>

struct reader {
    const struct tokenizer *tokenizer;
    const struct chat_template *chat; /* NULL: there is none */
    struct token_list *ids;
    struct error *err;
};

static enum status add_plain_text(const struct reader *r, const char *path)
{
    char *text;
    size_t size;
    enum status status = file_read_text(path, 0, &text, &size, r->err);
    if (status)
        return status;
    status = tokenizer_encode(r->tokenizer, text, size, TOKENIZER_PLAIN_TEXT, r->ids, r->err);
    mem_free(text);
    return status;
}

static enum status add_messages(const struct reader *r, const json_t *line, const json_t *messages)
{
    struct strbuf text = {0};
    if (!r->chat)
        return error_set(r->err, STATUS_NOT_FOUND, "the model has no chat template for messages");
    enum status status = chat_template_render(r->chat, messages, json_object_get(line, "tools"),
                                              false, NULL, &text, r->err);
    if (!status)
        status = tokenizer_encode(r->tokenizer, text.data ? text.data : "", text.length, 0, r->ids,
                                  r->err);
    strbuf_free(&text);
    return status;
}

static enum status add_line(const struct reader *r, const json_t *line)
{
    const json_t *messages = json_object_get(line, "messages");
    const json_t *text = json_object_get(line, "text");
    if (json_is_array(messages))
        return add_messages(r, line, messages);
    if (json_is_string(text))
        return tokenizer_encode(r->tokenizer, json_string_value(text), json_string_length(text),
                                TOKENIZER_PLAIN_TEXT, r->ids, r->err);
    return error_set(r->err, STATUS_FORMAT, "expected an object with \"messages\" or \"text\"");
}

static enum status add_lines(const struct reader *r, const char *path)
{
    FILE *file = fopen(path, "re");
    struct json_lines lines = {.stream = file, .name = path};
    enum status status = STATUS_OK;
    if (!file)
        return error_errno(r->err, "cannot open %s", path);
    for (json_t *line; !status && (line = json_lines_next(&lines, r->err)); json_decref(line)) {
        status = add_line(r, line);
        if (status)
            error_prefix(r->err, "%s, line %zu", path, lines.line_number);
    }
    if (!status)
        status = r->err->status;
    json_lines_free(&lines);
    fclose(file);
    return status;
}

static bool is_json_lines(const char *path)
{
    size_t length = strlen(path);
    return length > 6 && !strcmp(path + length - 6, ".jsonl");
}

/* What encoding puts in front of even an empty text, where that is the bos token. */
static enum status find_first(const struct tokenizer *tokenizer, int32_t *first, struct error *err)
{
    struct token_list ids = {0};
    enum status status = tokenizer_encode(tokenizer, "", 0, TOKENIZER_ADD_SPECIAL, &ids, err);
    bool has_bos = ids.count && ids.ids[0] == tokenizer_bos(tokenizer);
    *first = has_bos ? ids.ids[0] : VOCAB_NO_ID;
    token_list_free(&ids);
    return status;
}

enum status text_ids_read(const struct vocab_source *vocab, const char *path,
                          struct token_list *ids, int32_t *first, struct error *err)
{
    struct tokenizer *tokenizer;
    struct chat_template *chat = NULL;
    enum status status = tokenizer_create(vocab, &tokenizer, err);
    if (status)
        return status;
    if (is_json_lines(path))
        status = chat_template_create(vocab, tokenizer, &chat, err);
    if (status == STATUS_NOT_FOUND)
        *err = (struct error){0};
    struct reader r = {.tokenizer = tokenizer, .chat = chat, .ids = ids, .err = err};
    if (!err->status)
        status = is_json_lines(path) ? add_lines(&r, path) : add_plain_text(&r, path);
    if (!status && first)
        status = find_first(tokenizer, first, err);
    chat_template_free(chat);
    tokenizer_free(tokenizer);
    return status;
}
