#include "text/normalizer.h"
#include "base/memory.h"
#include "text/byte_level.h"
#include "text/normalize.h"
#include "text/replace.h"
#include "text/unicode.h"

#include <string.h>
#include <utf8proc.h>

enum {
    DEPTH_LIMIT = 8,
    STEP_LIMIT = 64,
    GROWTH_LIMIT = 64, /* how many times longer normalising may make a text */
    GROWTH_FREE = 1 << 16,
};

enum step_kind {
    STEP_FORM,
    STEP_PREPEND,
    STEP_REPLACE,
    STEP_STRIP,
    STEP_STRIP_ACCENTS,
    STEP_LOWERCASE,
    STEP_BYTE_LEVEL,
};

struct normalizer_step {
    enum step_kind kind;
    enum normal_form form;
    bool left, right;               /* Strip */
    struct replacement replacement; /* Replace; Prepend uses its content */
};

static enum status read_prepend(const json_t *json, struct normalizer_step *step, struct error *err)
{
    const json_t *text = json_object_get(json, "prepend");
    if (!json_is_string(text))
        return error_set(err, STATUS_FORMAT, "Prepend needs a string \"prepend\"");
    step->replacement.content_length = json_string_length(text);
    step->replacement.content = mem_copy(json_string_value(text), json_string_length(text));
    return step->replacement.content ? STATUS_OK : error_memory(err, "a normalizer");
}

static enum status read_strip(const json_t *json, struct normalizer_step *step, struct error *err)
{
    struct error wrong = {0};
    step->left = json_get_bool(json, "strip_left", true, &wrong);
    step->right = json_get_bool(json, "strip_right", true, &wrong);
    return wrong.status ? error_set(err, wrong.status, "%s", wrong.message) : STATUS_OK;
}

static const struct {
    const char *name;
    enum step_kind kind;
    enum normal_form form;
} step_types[] = {
    {"NFC", STEP_FORM, FORM_NFC},     {"NFD", STEP_FORM, FORM_NFD},
    {"NFKC", STEP_FORM, FORM_NFKC},   {"NFKD", STEP_FORM, FORM_NFKD},
    {"Prepend", STEP_PREPEND, 0},     {"Replace", STEP_REPLACE, 0},
    {"Strip", STEP_STRIP, 0},         {"StripAccents", STEP_STRIP_ACCENTS, 0},
    {"Lowercase", STEP_LOWERCASE, 0}, {"ByteLevel", STEP_BYTE_LEVEL, 0},
};

static enum status add_step(struct normalizer *normalizer, const json_t *json, const char *type,
                            struct error *err)
{
    size_t k = 0, n = sizeof step_types / sizeof *step_types;
    while (k < n && strcmp(step_types[k].name, type) != 0)
        k++;
    if (k == n)
        return error_set(err, STATUS_UNSUPPORTED, "normalizer \"%s\" is not supported", type);
    if (normalizer->count >= STEP_LIMIT)
        return error_set(err, STATUS_LIMIT, "more than %d normalizers", STEP_LIMIT);
    if (!mem_grow(&normalizer->steps, &normalizer->capacity, normalizer->count,
                  sizeof *normalizer->steps))
        return error_memory(err, "a normalizer");
    struct normalizer_step *step = &normalizer->steps[normalizer->count++];
    *step = (struct normalizer_step){.kind = step_types[k].kind, .form = step_types[k].form};
    if (step->kind == STEP_PREPEND)
        return read_prepend(json, step, err);
    if (step->kind == STEP_REPLACE)
        return replacement_from_json(json, &step->replacement, err);
    return step->kind == STEP_STRIP ? read_strip(json, step, err) : STATUS_OK;
}

static enum status add_steps(struct normalizer *normalizer, const json_t *json, size_t depth,
                             struct error *err)
{
    const char *type = json_string_value(json_object_get(json, "type"));
    if (!type)
        return error_set(err, STATUS_FORMAT, "a normalizer has no \"type\"");
    if (strcmp(type, "Sequence") != 0)
        return add_step(normalizer, json, type, err);
    if (depth >= DEPTH_LIMIT)
        return error_set(err, STATUS_LIMIT, "normalizers are nested more than %d deep",
                         DEPTH_LIMIT);
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(json, "normalizers"), i, item)
    {
        enum status status = add_steps(normalizer, item, depth + 1, err);
        if (status)
            return status;
    }
    return STATUS_OK;
}

enum status normalizer_from_json(const json_t *json, struct normalizer *normalizer,
                                 struct error *err)
{
    *normalizer = (struct normalizer){0};
    return !json || json_is_null(json) ? STATUS_OK : add_steps(normalizer, json, 0, err);
}

void normalizer_free(struct normalizer *normalizer)
{
    for (size_t i = 0; i < normalizer->count; i++)
        replacement_free(&normalizer->steps[i].replacement);
    mem_free(normalizer->steps);
    *normalizer = (struct normalizer){0};
}

static void strip(const struct normalizer_step *step, const char *text, size_t length,
                  struct strbuf *out)
{
    uint32_t c;
    size_t start = 0, n;
    while (step->left && start < length) {
        n = unicode_next(text + start, length - start, &c);
        if (!unicode_is_space(c))
            break;
        start += n;
    }
    while (step->right && length > start) {
        n = unicode_previous(text, length, &c);
        if (!unicode_is_space(c))
            break;
        length -= n;
    }
    strbuf_append(out, text + start, length - start);
}

static void strip_accents(const char *text, size_t length, struct strbuf *out)
{
    uint32_t c;
    for (size_t i = 0, n; i < length; i += n) {
        n = unicode_next(text + i, length - i, &c);
        if (!unicode_is_mark(c))
            strbuf_append(out, text + i, n);
    }
}

static void lowercase(const char *text, size_t length, struct strbuf *out)
{
    uint32_t c;
    for (size_t i = 0; i < length;) {
        i += unicode_next(text + i, length - i, &c);
        if (c == 0x130) /* the only one whose lower case is two code points */
            strbuf_add(out, "i\xCC\x87");
        else
            strbuf_add_codepoint(out, (unsigned)utf8proc_tolower((utf8proc_int32_t)c));
    }
}

static enum status apply_step(const struct normalizer_step *step, const char *text, size_t length,
                              struct strbuf *out, struct error *err)
{
    switch (step->kind) {
    case STEP_FORM:
        return normalize_append(step->form, text, length, out, err);
    case STEP_REPLACE:
        return replacement_apply(&step->replacement, text, length, out, err);
    case STEP_PREPEND:
        if (length)
            strbuf_append(out, step->replacement.content, step->replacement.content_length);
        strbuf_append(out, text, length);
        break;
    case STEP_STRIP:
        strip(step, text, length, out);
        break;
    case STEP_STRIP_ACCENTS:
        strip_accents(text, length, out);
        break;
    case STEP_LOWERCASE:
        lowercase(text, length, out);
        break;
    case STEP_BYTE_LEVEL:
        byte_level_append(out, text, length);
        break;
    }
    return STATUS_OK;
}

enum status normalizer_apply(const struct normalizer *normalizer, const char *text, size_t length,
                             struct strbuf scratch[2], const char **result, size_t *result_length,
                             struct error *err)
{
    size_t limit;
    if (!size_multiply(length, GROWTH_LIMIT, &limit) || !size_add(limit, GROWTH_FREE, &limit))
        limit = 0;
    for (size_t i = 0; i < normalizer->count; i++) {
        const struct normalizer_step *step = &normalizer->steps[i];
        if (step->kind == STEP_FORM && step->form == FORM_NFC && normalize_is_nfc(text, length))
            continue;
        struct strbuf *out = &scratch[text == scratch[0].data && text];
        strbuf_truncate(out, 0);
        out->limit = limit;
        enum status status = apply_step(step, text, length, out, err);
        if (!status && out->failed)
            status = error_set(err, STATUS_LIMIT,
                               "normalising made a text of %zu bytes longer "
                               "than %zu",
                               length, limit);
        if (status)
            return status;
        text = strbuf_text(out);
        length = out->length;
    }
    *result = text;
    *result_length = length;
    return STATUS_OK;
}
