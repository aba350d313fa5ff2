/* json: the answer holds a JSON document of a given shape and content. */
#include "base/json.h"
#include "base/memory.h"
#include "eval/grader_kinds.h"
#include "eval/regex.h"
#include "eval/text_scan.h"

#include <math.h>
#include <string.h>

enum { MAX_ATTEMPTS = 64, MAX_DEPTH = 40 };

static const struct argument json_arguments[] = {
    {"expect", ARGUMENT_ANY, true},          {"only_json", ARGUMENT_BOOLEAN, false},
    {"extra_keys", ARGUMENT_BOOLEAN, false}, {"key_order", ARGUMENT_BOOLEAN, false},
    {"no_fence", ARGUMENT_BOOLEAN, false},   {0}};

/* ---- finding the document ---- */

struct document {
    json_t *value;
    struct span span; /* in raw */
    bool fenced;
    char problem[200]; /* why what looked like JSON is not; empty if nothing did */
};

static json_t *load(const char *text, size_t length, size_t *used, char *problem, size_t size)
{
    json_error_t e;
    size_t flags = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | (used ? JSON_DISABLE_EOF_CHECK : 0) |
                   (used ? 0 : JSON_DECODE_ANY);
    json_t *value = json_loadb(text, length, flags, &e);
    if (value && used)
        *used = (size_t)e.position;
    if (!value)
        snprintf(problem, size, "not valid JSON (line %d, column %d: %s)", e.line, e.column,
                 e.text);
    return value;
}

/* The last fenced block that says it is JSON, or that begins like a document. */
static bool load_fenced(const struct answer *answer, const struct code_block *blocks, size_t n,
                        struct document *document)
{
    for (size_t i = n; i-- > 0;) {
        const struct code_block *block = &blocks[i];
        struct span body = text_trim(answer->raw, block->body);
        size_t name = block->language.end - block->language.begin;
        bool named = name >= 4 && !strncasecmp(answer->raw + block->language.begin, "json", 4);
        bool looks = body.begin < body.end && strchr("[{", answer->raw[body.begin]);
        if (!named && !(looks && !name))
            continue;
        document->span = body;
        document->fenced = true;
        document->value = load(answer->raw + body.begin, body.end - body.begin, NULL,
                               document->problem, sizeof document->problem);
        return true;
    }
    return false;
}

/* The last object or array that stands in the text. */
static void load_bare(const struct answer *answer, struct document *document)
{
    size_t attempts = 0;
    for (size_t i = 0; i < answer->raw_length && attempts < MAX_ATTEMPTS;) {
        size_t used = 0;
        if (answer->raw[i] != '{' && answer->raw[i] != '[') {
            i++;
            continue;
        }
        attempts++;
        json_t *value = load(answer->raw + i, answer->raw_length - i, &used, document->problem,
                             sizeof document->problem);
        if (value) {
            json_decref(document->value);
            document->value = value;
            document->span = (struct span){i, i + used};
            i += used ? used : 1;
        } else {
            i++;
        }
    }
}

/* With only_json the whole answer is the document (a fence around it is fine). */
static enum status find_document(const struct answer *answer, struct document *document,
                                 struct error *err)
{
    struct code_block *blocks;
    size_t n;
    enum status status = answer_code_blocks(answer, &blocks, &n, err);
    if (status)
        return status;
    if (!load_fenced(answer, blocks, n, document)) {
        struct span whole = text_trim(answer->raw, (struct span){0, answer->raw_length});
        document->span = whole;
        document->value = load(answer->raw + whole.begin, whole.end - whole.begin, NULL,
                               document->problem, sizeof document->problem);
        if (!document->value)
            load_bare(answer, document);
    }
    mem_free(blocks);
    return STATUS_OK;
}

/* Whether only blanks and fence lines surround the document. */
static bool stands_alone(const struct answer *answer, const struct document *document)
{
    struct span whole = text_trim(answer->raw, (struct span){0, answer->raw_length});
    size_t outside = document->span.begin - whole.begin;
    if (!document->fenced)
        return outside == 0 && whole.end == document->span.end;
    struct span first = text_line(answer->raw, answer->raw_length, whole.begin);
    struct span rest = text_trim(answer->raw, (struct span){document->span.end, whole.end});
    return strspn(answer->raw + whole.begin, "`~") >= 3 && document->span.begin > first.end &&
           text_trim(answer->raw, (struct span){first.end, document->span.begin}).begin ==
               document->span.begin &&
           strspn(answer->raw + rest.begin, "`~") >= rest.end - rest.begin;
}

/* ---- comparing ---- */

struct comparison {
    bool extra_keys, key_order;
    char problem[400]; /* the first difference */
};

static bool matches(const json_t *expected, const json_t *found, const char *path, unsigned depth,
                    struct comparison *c);

static bool differ(struct comparison *c, const char *path, const char *expected,
                   const json_t *found)
{
    struct strbuf text = {.limit = 4000};
    if (found)
        json_write(&text, found, false);
    if (!c->problem[0])
        snprintf(c->problem, sizeof c->problem, "%s: expected %s, found %.120s",
                 *path ? path : "the document", expected, found ? strbuf_text(&text) : "nothing");
    strbuf_free(&text);
    return false;
}

static bool differ_from(struct comparison *c, const char *path, const json_t *expected,
                        const json_t *found)
{
    struct strbuf text = {0};
    json_write(&text, expected, false);
    char shown[160];
    snprintf(shown, sizeof shown, "%s", strbuf_text(&text));
    strbuf_free(&text);
    return differ(c, path, shown, found);
}

static bool has_type(const json_t *value, const char *type)
{
    return (!strcmp(type, "string") && json_is_string(value)) ||
           (!strcmp(type, "number") && json_is_number(value)) ||
           (!strcmp(type, "integer") && json_is_integer(value)) ||
           (!strcmp(type, "boolean") && json_is_boolean(value)) ||
           (!strcmp(type, "null") && json_is_null(value)) ||
           (!strcmp(type, "array") && json_is_array(value)) ||
           (!strcmp(type, "object") && json_is_object(value));
}

static bool match_any(const json_t *list, const json_t *found, const char *path, unsigned depth,
                      struct comparison *c)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct comparison trial = {.extra_keys = c->extra_keys, .key_order = c->key_order};
        if (matches(json_array_get(list, i), found, path, depth + 1, &trial))
            return true;
    }
    return differ_from(c, path, list, found);
}

/* Every expected element has a found one of its own, in any order. */
static bool match_unordered(const json_t *list, const json_t *found, const char *path,
                            unsigned depth, struct comparison *c)
{
    size_t n = json_array_size(list);
    bool taken[256] = {false};
    if (!json_is_array(found) || json_array_size(found) != n || n > sizeof taken)
        return differ_from(c, path, list, found);
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        for (; k < n; k++) {
            struct comparison trial = {.extra_keys = c->extra_keys, .key_order = c->key_order};
            if (!taken[k] &&
                matches(json_array_get(list, i), json_array_get(found, k), path, depth + 1, &trial))
                break;
        }
        if (k == n)
            return differ_from(c, path, json_array_get(list, i), found);
        taken[k] = true;
    }
    return true;
}

static bool match_text(const json_t *list, const json_t *found, const char *path,
                       struct comparison *c)
{
    bool same = false;
    char *have = json_is_string(found)
                     ? text_normalize(json_string_value(found), json_string_length(found))
                     : NULL;
    const char *spelling;
    for (size_t i = 0; have && !same && (spelling = alternative(list, i)); i++) {
        char *wanted = text_normalize(spelling, strlen(spelling));
        same = wanted && !strcmp(have, wanted);
        mem_free(wanted);
    }
    mem_free(have);
    return same || differ_from(c, path, list, found);
}

static bool match_regex(const json_t *source, const json_t *found, const char *path,
                        struct comparison *c)
{
    struct regex *pattern;
    struct regex_match match;
    if (!json_is_string(found) || regex_compile(json_string_value(source), 0, &pattern, NULL))
        return differ_from(c, path, source, found);
    bool same = regex_find(pattern, json_string_value(found), json_string_length(found), 0, &match);
    regex_free(pattern);
    return same || differ_from(c, path, source, found);
}

static bool match_number(const json_t *matcher, const json_t *found, const char *path,
                         struct comparison *c)
{
    double tolerance = json_number_value(json_object_get(matcher, "$tolerance"));
    double expected = json_number_value(json_object_get(matcher, "$number"));
    bool close =
        json_is_number(found) && fabs(json_number_value(found) - expected) <= tolerance + 1e-9;
    return close || differ_from(c, path, matcher, found);
}

static bool match_each(const json_t *matcher, const json_t *found, const char *path, unsigned depth,
                       struct comparison *c)
{
    const json_t *length = json_object_get(matcher, "$length");
    if (!json_is_array(found) ||
        (length && (json_int_t)json_array_size(found) != json_integer_value(length)))
        return differ_from(c, path, matcher, found);
    for (size_t i = 0; i < json_array_size(found); i++)
        if (!matches(json_object_get(matcher, "$each"), json_array_get(found, i), path, depth + 1,
                     c))
            return false;
    return true;
}

static bool match_special(const json_t *matcher, const json_t *found, const char *path,
                          unsigned depth, struct comparison *c)
{
    const json_t *value;
    if ((value = json_object_get(matcher, "$any_of")))
        return match_any(value, found, path, depth, c);
    if ((value = json_object_get(matcher, "$unordered")))
        return match_unordered(value, found, path, depth, c);
    if ((value = json_object_get(matcher, "$text")))
        return match_text(value, found, path, c);
    if ((value = json_object_get(matcher, "$regex")))
        return match_regex(value, found, path, c);
    if (json_object_get(matcher, "$number"))
        return match_number(matcher, found, path, c);
    if (json_object_get(matcher, "$each"))
        return match_each(matcher, found, path, depth, c);
    value = json_object_get(matcher, "$type");
    return has_type(found, json_string_value(value)) || differ_from(c, path, matcher, found);
}

static bool is_special(const json_t *value)
{
    void *first = json_object_iter((json_t *)value);
    return first && json_object_iter_key(first)[0] == '$';
}

static bool keys_in_order(const json_t *expected, const json_t *found)
{
    void *a = json_object_iter((json_t *)expected), *b = json_object_iter((json_t *)found);
    for (; a && b; b = json_object_iter_next((json_t *)found, b))
        if (!strcmp(json_object_iter_key(a), json_object_iter_key(b)))
            a = json_object_iter_next((json_t *)expected, a);
    return !a;
}

static bool match_object(const json_t *expected, const json_t *found, const char *path,
                         unsigned depth, struct comparison *c)
{
    const char *key;
    json_t *value;
    char place[200];
    if (!json_is_object(found))
        return differ(c, path, "an object", found);
    json_object_foreach((json_t *)expected, key, value)
    {
        snprintf(place, sizeof place, "%.150s.%.40s", path, key);
        const json_t *other = json_object_get(found, key);
        if (!other)
            return differ(c, place, "this key", NULL);
        if (!matches(value, other, place, depth + 1, c))
            return false;
    }
    json_object_foreach((json_t *)found, key, value)
    {
        snprintf(place, sizeof place, "%.150s.%.40s", path, key);
        if (!c->extra_keys && !json_object_get(expected, key))
            return differ(c, place, "no such key", value);
    }
    if (c->key_order && !keys_in_order(expected, found))
        return differ(c, path, "the keys in the order asked for", found);
    return true;
}

static bool match_array(const json_t *expected, const json_t *found, const char *path,
                        unsigned depth, struct comparison *c)
{
    char place[200];
    if (!json_is_array(found) || json_array_size(found) != json_array_size(expected)) {
        snprintf(place, sizeof place, "an array of %zu", json_array_size(expected));
        return differ(c, path, place, found);
    }
    for (size_t i = 0; i < json_array_size(expected); i++) {
        snprintf(place, sizeof place, "%.150s[%zu]", path, i);
        if (!matches(json_array_get(expected, i), json_array_get(found, i), place, depth + 1, c))
            return false;
    }
    return true;
}

static bool matches(const json_t *expected, const json_t *found, const char *path, unsigned depth,
                    struct comparison *c)
{
    if (depth > MAX_DEPTH)
        return differ(c, path, "less nesting", NULL);
    if (is_special(expected))
        return match_special(expected, found, path, depth, c);
    if (json_is_object(expected))
        return match_object(expected, found, path, depth, c);
    if (json_is_array(expected))
        return match_array(expected, found, path, depth, c);
    if (json_is_number(expected) && json_is_number(found))
        return fabs(json_number_value(expected) - json_number_value(found)) <=
                   1e-9 * fmax(1, fabs(json_number_value(expected))) ||
               differ_from(c, path, expected, found);
    return json_equal(expected, found) || differ_from(c, path, expected, found);
}

/* ---- arguments ---- */

static enum status check_matcher(const json_t *value, struct error *err)
{
    static const struct argument names[] = {
        {"$any_of", ARGUMENT_ARRAY, false},  {"$unordered", ARGUMENT_ARRAY, false},
        {"$text", ARGUMENT_STRINGS, false},  {"$regex", ARGUMENT_STRING, false},
        {"$number", ARGUMENT_NUMBER, false}, {"$tolerance", ARGUMENT_NUMBER, false},
        {"$each", ARGUMENT_ANY, false},      {"$length", ARGUMENT_INTEGER, false},
        {"$type", ARGUMENT_STRING, false},   {0}};
    const json_t *regex = json_object_get(value, "$regex");
    enum status status = arguments_check("json: a matcher", names, value, err);
    if (!status && regex)
        status = argument_check_pattern("json", json_string_value(regex), err);
    return status;
}

static enum status check_expected(const json_t *value, unsigned depth, struct error *err)
{
    const char *key;
    json_t *child;
    size_t i;
    enum status status = STATUS_OK;
    if (depth > MAX_DEPTH)
        return error_set(err, STATUS_INVALID, "json: \"expect\" is nested too deep");
    if (is_special(value))
        status = check_matcher(value, err);
    if (!status)
        json_object_foreach((json_t *)value, key, child)
        {
            status = check_expected(child, depth + 1, err);
            if (status)
                return status;
        }
    json_array_foreach((json_t *)value, i, child)
    {
        status = status ? status : check_expected(child, depth + 1, err);
    }
    return status;
}

static enum status check_json(const json_t *args, struct error *err)
{
    return check_expected(json_object_get(args, "expect"), 0, err);
}

static enum status judge_document(const json_t *args, const struct answer *answer,
                                  const struct document *document, struct verdict *verdict,
                                  struct error *err)
{
    struct comparison c = {.extra_keys = json_is_true(json_object_get(args, "extra_keys")),
                           .key_order = json_is_true(json_object_get(args, "key_order"))};
    if (!document->value)
        return verdict_nothing_found(verdict, err, "%s",
                                     document->problem[0] ? document->problem : "no JSON found");
    enum status status = verdict_set_found(verdict, answer->raw + document->span.begin,
                                           document->span.end - document->span.begin, err);
    if (status)
        return status;
    if (!matches(json_object_get(args, "expect"), document->value, "", 0, &c))
        return verdict_fail(verdict, err, "%s", c.problem);
    if (json_is_true(json_object_get(args, "no_fence")) && document->fenced)
        return verdict_fail(verdict, err, "the JSON is right, but stands in a code block");
    if (json_is_true(json_object_get(args, "only_json")) && !stands_alone(answer, document))
        return verdict_fail(verdict, err, "the JSON is right, but there is other text around it");
    return verdict_pass(verdict, err, "the JSON is as expected");
}

static enum status grade_json(const json_t *args, const struct answer *answer,
                              struct verdict *verdict, struct error *err)
{
    struct document document = {0};
    enum status status = find_document(answer, &document, err);
    if (!status)
        status = judge_document(args, answer, &document, verdict, err);
    json_decref(document.value);
    return status;
}

const struct grader_type grader_json = {"json", json_arguments, check_json, grade_json, false};
