#include "eval/suite.h"

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/sha256.h"
#include "eval/embedded.h"
#include "eval/grader_kinds.h"

#include <stdio.h>
#include <string.h>

enum { MAX_ITEMS = 100000, MAX_FILE = 256 << 20, MAX_ANSWER_TOKENS = 1000000 };

static const char *const dimension_names[] = {"instruction", "math", "code", "structured"};
static const char *const language_names[] = {"zh", "en"};

const char *suite_dimension_name(enum suite_dimension dimension)
{
    return dimension_names[dimension];
}

const char *suite_language_name(enum suite_language language)
{
    return language_names[language];
}

static const struct argument item_fields[] = {
    {"id", ARGUMENT_STRING, true},           {"dimension", ARGUMENT_STRING, true},
    {"language", ARGUMENT_STRING, true},     {"topic", ARGUMENT_STRING, false},
    {"prompt", ARGUMENT_STRING, true},       {"reference", ARGUMENT_STRING, true},
    {"grader", ARGUMENT_STRING, true},       {"args", ARGUMENT_OBJECT, true},
    {"max_tokens", ARGUMENT_INTEGER, false}, {0}};

/* Index of the field's value among the allowed ones. */
static enum status read_choice(const json_t *object, const char *field, const char *const *names,
                               size_t n, size_t *index, struct error *err)
{
    const char *value = json_get_string(object, field, "", NULL);
    struct strbuf allowed = {0};
    for (*index = 0; *index < n; ++*index)
        if (!strcmp(names[*index], value))
            return STATUS_OK;
    for (size_t i = 0; i < n; i++)
        strbuf_printf(&allowed, "%s\"%s\"", i ? ", " : "", names[i]);
    error_set(err, STATUS_INVALID, "\"%s\" should be one of %s, is \"%s\"", field,
              strbuf_text(&allowed), value);
    strbuf_free(&allowed);
    return STATUS_INVALID;
}

static enum status check_id(const struct suite *suite, const char *id, struct error *err)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                  "._-";
    if (!*id || strlen(id) > 100 || id[strspn(id, allowed)])
        return error_set(err, STATUS_INVALID,
                         "\"id\" should be 1 to 100 letters, digits, '.', '_' or '-', is \"%s\"",
                         id);
    if (suite_find(suite, id))
        return error_set(err, STATUS_INVALID, "the id \"%s\" has been used before", id);
    return STATUS_OK;
}

static enum status read_item(const struct suite *suite, const json_t *object,
                             struct suite_item *item, struct error *err)
{
    size_t dimension, language;
    if (!json_is_object(object))
        return error_set(err, STATUS_INVALID, "an item should be a JSON object");
    enum status status = arguments_check("an item", item_fields, object, err);
    if (status)
        return status;
    *item = (struct suite_item){
        .id = json_get_string(object, "id", "", NULL),
        .topic = json_get_string(object, "topic", "", NULL),
        .prompt = json_get_string(object, "prompt", "", NULL),
        .reference = json_get_string(object, "reference", "", NULL),
        .max_tokens = (size_t)json_get_int(object, "max_tokens", SUITE_DEFAULT_MAX_TOKENS, NULL)};
    status = check_id(suite, item->id, err);
    if (!status)
        status = read_choice(object, "dimension", dimension_names, N_DIMENSIONS, &dimension, err);
    if (!status)
        status = read_choice(object, "language", language_names, 2, &language, err);
    if (status)
        return status;
    if (!*item->prompt || !*item->reference)
        return error_set(err, STATUS_INVALID, "\"%s\" is empty",
                         *item->prompt ? "reference" : "prompt");
    if (!item->max_tokens || item->max_tokens > MAX_ANSWER_TOKENS)
        return error_set(err, STATUS_INVALID, "\"max_tokens\" should be 1 to %d, is %zu",
                         MAX_ANSWER_TOKENS, item->max_tokens);
    item->dimension = (enum suite_dimension)dimension;
    item->language = (enum suite_language)language;
    return grader_create(json_get_string(object, "grader", "", NULL),
                         json_object_get(object, "args"), &item->grader, err);
}

static enum status add_item(struct suite *suite, size_t *capacity, json_t *object,
                            struct error *err)
{
    struct suite_item item;
    if (json_array_append_new(suite->document, object))
        return error_memory(err, "a suite");
    enum status status = read_item(suite, object, &item, err);
    if (status)
        return status;
    if (suite->count == MAX_ITEMS ||
        !mem_grow(&suite->items, capacity, suite->count, sizeof *suite->items)) {
        grader_free(item.grader);
        return suite->count == MAX_ITEMS
                   ? error_set(err, STATUS_LIMIT, "more than %d items", MAX_ITEMS)
                   : error_memory(err, "a suite");
    }
    suite->items[suite->count++] = item;
    return STATUS_OK;
}

static enum status read_lines(struct suite *suite, const char *text, size_t length,
                              struct error *err)
{
    size_t capacity = 0, number = 0;
    for (size_t at = 0; at < length;) {
        const char *newline = memchr(text + at, '\n', length - at);
        size_t end = newline ? (size_t)(newline - text) : length;
        size_t begin = at;
        number++;
        at = end + 1;
        while (begin < end && strchr(" \t\r", text[begin]) && text[begin])
            begin++;
        if (begin == end)
            continue;
        char place[300];
        snprintf(place, sizeof place, "%.250s, line %zu", suite->name, number);
        json_t *object = json_parse(place, text + begin, end - begin, err);
        if (!object)
            return STATUS_FORMAT;
        if (add_item(suite, &capacity, object, err))
            return error_prefix(err, "%s", place);
    }
    return suite->count ? STATUS_OK
                        : error_set(err, STATUS_INVALID, "%s: the suite has no items", suite->name);
}

enum status suite_parse(const char *name, const char *text, size_t length, struct suite **out,
                        struct error *err)
{
    struct error local = {0};
    *out = NULL;
    struct suite *suite = mem_alloc(sizeof *suite);
    if (!suite)
        return error_memory(err, "a suite");
    suite->name = mem_copy_string(name);
    suite->document = json_array();
    sha256_hex(text, length, suite->sha256);
    enum status status = suite->name && suite->document ? read_lines(suite, text, length, &local)
                                                        : error_memory(&local, "a suite");
    if (status) {
        suite_free(suite);
        if (err)
            *err = local;
        return status;
    }
    *out = suite;
    return STATUS_OK;
}

const char *suite_builtin_name(size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!embedded_suites[i].name)
            return NULL;
    return embedded_suites[n].name;
}

static enum status unknown_suite(const char *name, struct error *err)
{
    struct strbuf names = {0};
    const char *builtin;
    for (size_t i = 0; (builtin = suite_builtin_name(i)); i++)
        strbuf_printf(&names, "%s%s", i ? ", " : "", builtin);
    error_set(err, STATUS_NOT_FOUND,
              "there is no suite \"%s\"; there are: %s; or give the path of a .jsonl file", name,
              strbuf_text(&names));
    strbuf_free(&names);
    return STATUS_NOT_FOUND;
}

enum status suite_open(const char *name, struct suite **suite, struct error *err)
{
    const char *builtin;
    char *text;
    size_t size;
    *suite = NULL;
    for (size_t i = 0; (builtin = suite_builtin_name(i)); i++)
        if (!strcmp(builtin, name))
            return suite_parse(name, embedded_suites[i].data, embedded_suites[i].size, suite, err);
    if (!file_exists(name))
        return unknown_suite(name, err);
    enum status status = file_read(name, MAX_FILE, &text, &size, err);
    if (status)
        return status;
    status = suite_parse(name, text, size, suite, err);
    mem_free(text);
    return status;
}

void suite_free(struct suite *suite)
{
    if (!suite)
        return;
    for (size_t i = 0; i < suite->count; i++)
        grader_free(suite->items[i].grader);
    mem_free(suite->items);
    mem_free((char *)suite->name);
    json_decref(suite->document);
    mem_free(suite);
}

const struct suite_item *suite_find(const struct suite *suite, const char *id)
{
    for (size_t i = 0; i < suite->count; i++)
        if (!strcmp(suite->items[i].id, id))
            return &suite->items[i];
    return NULL;
}
