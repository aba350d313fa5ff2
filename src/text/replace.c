#include "text/replace.h"
#include "base/memory.h"

enum status pattern_from_json(const json_t *json, struct pattern **pattern, struct error *err)
{
    const json_t *regex = json_object_get(json, "Regex");
    if (json_is_string(regex))
        return pattern_create_regex(json_string_value(regex), json_string_length(regex), pattern,
                                    err);
    const json_t *string = json_is_string(json) ? json : json_object_get(json, "String");
    if (json_is_string(string))
        return pattern_create_literal(json_string_value(string), json_string_length(string),
                                      pattern, err);
    return error_set(err, STATUS_FORMAT,
                     "\"pattern\" should be {\"String\": ...} or {\"Regex\": ...}");
}

enum status replacement_from_json(const json_t *json, struct replacement *replacement,
                                  struct error *err)
{
    const json_t *content = json_object_get(json, "content");
    if (!json_is_string(content))
        return error_set(err, STATUS_FORMAT, "Replace needs a string \"content\"");
    *replacement = (struct replacement){.content_length = json_string_length(content)};
    enum status status =
        pattern_from_json(json_object_get(json, "pattern"), &replacement->pattern, err);
    if (status)
        return status;
    replacement->content = mem_copy(json_string_value(content), replacement->content_length);
    return replacement->content ? STATUS_OK : error_memory(err, "a Replace");
}

void replacement_free(struct replacement *replacement)
{
    pattern_free(replacement->pattern);
    mem_free(replacement->content);
    *replacement = (struct replacement){0};
}

enum status replacement_apply(const struct replacement *replacement, const char *text,
                              size_t length, struct strbuf *out, struct error *err)
{
    struct matcher matcher = {0};
    size_t copied = 0, start, end;
    bool found;
    enum status status = matcher_start(&matcher, replacement->pattern, text, length, err);
    while (!status && !(status = matcher_next(&matcher, &found, &start, &end, err)) && found) {
        strbuf_append(out, text + copied, start - copied);
        strbuf_append(out, replacement->content, replacement->content_length);
        copied = end;
    }
    matcher_free(&matcher);
    if (!status)
        strbuf_append(out, text + copied, length - copied);
    if (!status && out->failed)
        status = out->limit ? error_set(err, STATUS_LIMIT, "a Replace made the text too long")
                            : error_memory(err, "a Replace");
    return status;
}
