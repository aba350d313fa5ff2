#include "text/pretokenizer.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "text/byte_level.h"
#include "text/replace.h"
#include "text/unicode.h"

#include <string.h>

enum { DEPTH_LIMIT = 8, STEP_LIMIT = 32 };

#define GPT2_PATTERN                                                                               \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define WORDS_PATTERN "\\w+|[^\\w\\s]+"

enum split_behavior {
    SPLIT_REMOVED,
    SPLIT_ISOLATED,
    SPLIT_MERGED_WITH_PREVIOUS,
    SPLIT_MERGED_WITH_NEXT,
    SPLIT_CONTIGUOUS,
};

enum prefix_scheme { PREFIX_NEVER, PREFIX_FIRST, PREFIX_ALWAYS };

enum step_kind {
    STEP_SPLIT,      /* by a pattern */
    STEP_CHARACTERS, /* by a class of characters */
    STEP_METASPACE,  /* spaces become "▁", and one is put in front */
    STEP_SPACE,      /* one space is put in front */
    STEP_BYTES,      /* bytes become characters */
};

typedef bool character_class(uint32_t c);

struct pretokenizer_step {
    enum step_kind kind;
    struct pattern *pattern;
    character_class *is_member;
    enum split_behavior behavior;
    bool invert;
    bool splits;  /* Metaspace: whether it also splits, before each mark */
    char mark[5]; /* Metaspace's replacement */
    enum prefix_scheme prefix;
};

/* --- reading --- */

static struct pretokenizer_step *new_step(struct pretokenizer *p, enum step_kind kind,
                                          enum split_behavior behavior, struct error *err)
{
    if (p->count >= STEP_LIMIT) {
        error_set(err, STATUS_LIMIT, "more than %d pre-tokenizers", STEP_LIMIT);
        return NULL;
    }
    if (!mem_grow(&p->steps, &p->capacity, p->count, sizeof *p->steps)) {
        error_memory(err, "a pre-tokenizer");
        return NULL;
    }
    struct pretokenizer_step *step = &p->steps[p->count++];
    *step = (struct pretokenizer_step){.kind = kind, .behavior = behavior};
    return step;
}

static enum status add_regex(struct pretokenizer *p, const char *regex,
                             enum split_behavior behavior, bool invert, struct error *err)
{
    struct pretokenizer_step *step = new_step(p, STEP_SPLIT, behavior, err);
    if (!step)
        return err->status;
    step->invert = invert;
    return pattern_create_regex(regex, strlen(regex), &step->pattern, err);
}

static enum status add_class(struct pretokenizer *p, character_class *is_member,
                             enum split_behavior behavior, struct error *err)
{
    struct pretokenizer_step *step = new_step(p, STEP_CHARACTERS, behavior, err);
    if (!step)
        return err->status;
    step->is_member = is_member;
    return STATUS_OK;
}

static enum status read_behavior(const json_t *json, const char *fallback,
                                 enum split_behavior *behavior, struct error *err)
{
    static const char *const names[] = {"Removed", "Isolated", "MergedWithPrevious",
                                        "MergedWithNext", "Contiguous"};
    struct error wrong = {0};
    const char *name = json_get_string(json, "behavior", fallback, &wrong);
    for (size_t i = 0; !wrong.status && i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i])) {
            *behavior = (enum split_behavior)i;
            return STATUS_OK;
        }
    return error_set(err, STATUS_UNSUPPORTED, "the split behavior \"%s\" is not supported", name);
}

static enum status add_split(struct pretokenizer *p, const json_t *json, struct error *err)
{
    enum split_behavior behavior;
    enum status status = read_behavior(json, "", &behavior, err);
    if (status)
        return status;
    struct pretokenizer_step *step = new_step(p, STEP_SPLIT, behavior, err);
    if (!step)
        return err->status;
    step->invert = json_get_bool(json, "invert", false, err);
    return err->status ? err->status
                       : pattern_from_json(json_object_get(json, "pattern"), &step->pattern, err);
}

static enum status add_byte_level(struct pretokenizer *p, const json_t *json, struct error *err)
{
    bool space = json_get_bool(json, "add_prefix_space", true, err);
    bool regex = json_get_bool(json, "use_regex", true, err);
    if (err->status)
        return err->status;
    if (space && !new_step(p, STEP_SPACE, SPLIT_ISOLATED, err))
        return err->status;
    if (regex && add_regex(p, GPT2_PATTERN, SPLIT_ISOLATED, false, err))
        return err->status;
    return new_step(p, STEP_BYTES, SPLIT_ISOLATED, err) ? STATUS_OK : err->status;
}

static enum status read_prefix_scheme(const json_t *json, enum prefix_scheme *prefix,
                                      struct error *err)
{
    bool legacy = json_get_bool(json, "add_prefix_space", true, err);
    const char *name = json_get_string(json, "prepend_scheme", legacy ? "always" : "never", err);
    if (err->status)
        return err->status;
    *prefix = !strcmp(name, "always")  ? PREFIX_ALWAYS
              : !strcmp(name, "first") ? PREFIX_FIRST
                                       : PREFIX_NEVER;
    if (*prefix == PREFIX_NEVER && strcmp(name, "never") != 0)
        return error_set(err, STATUS_UNSUPPORTED, "Metaspace's prepend_scheme \"%s\"", name);
    return STATUS_OK;
}

static enum status add_metaspace(struct pretokenizer *p, const json_t *json, struct error *err)
{
    struct pretokenizer_step *step = new_step(p, STEP_METASPACE, SPLIT_MERGED_WITH_NEXT, err);
    if (!step)
        return err->status;
    const char *mark = json_get_string(json, "replacement", "\xE2\x96\x81", err);
    step->splits = json_get_bool(json, "split", true, err);
    if (err->status || read_prefix_scheme(json, &step->prefix, err))
        return err->status;
    if (strlen(mark) >= sizeof step->mark || utf8_count(mark, strlen(mark)) != 1)
        return error_set(err, STATUS_FORMAT, "Metaspace's replacement should be one character");
    strcpy(step->mark, mark);
    return pattern_create_literal(mark, strlen(mark), &step->pattern, err);
}

static enum status add_delimiter(struct pretokenizer *p, const json_t *json, struct error *err)
{
    const char *delimiter = json_get_string(json, "delimiter", "", err);
    struct pretokenizer_step *step =
        err->status ? NULL : new_step(p, STEP_SPLIT, SPLIT_REMOVED, err);
    return step ? pattern_create_literal(delimiter, strlen(delimiter), &step->pattern, err)
                : err->status;
}

static enum status add_digits(struct pretokenizer *p, const json_t *json, struct error *err)
{
    bool individual = json_get_bool(json, "individual_digits", false, err);
    return err->status ? err->status
                       : add_class(p, unicode_is_numeric,
                                   individual ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS, err);
}

static enum status add_punctuation(struct pretokenizer *p, const json_t *json, struct error *err)
{
    enum split_behavior behavior;
    enum status status = read_behavior(json, "Isolated", &behavior, err);
    return status ? status : add_class(p, unicode_is_punctuation, behavior, err);
}

static enum status add_whitespace(struct pretokenizer *p, const json_t *json, struct error *err)
{
    (void)json;
    return add_regex(p, WORDS_PATTERN, SPLIT_REMOVED, true, err);
}

static enum status add_whitespace_split(struct pretokenizer *p, const json_t *json,
                                        struct error *err)
{
    (void)json;
    return add_class(p, unicode_is_space, SPLIT_REMOVED, err);
}

static enum status add_bert(struct pretokenizer *p, const json_t *json, struct error *err)
{
    enum status status = add_whitespace_split(p, json, err);
    return status ? status : add_class(p, unicode_is_punctuation, SPLIT_ISOLATED, err);
}

static const struct {
    const char *name;
    enum status (*add)(struct pretokenizer *p, const json_t *json, struct error *err);
} step_types[] = {
    {"Split", add_split},
    {"ByteLevel", add_byte_level},
    {"Metaspace", add_metaspace},
    {"Digits", add_digits},
    {"Punctuation", add_punctuation},
    {"Whitespace", add_whitespace},
    {"WhitespaceSplit", add_whitespace_split},
    {"BertPreTokenizer", add_bert},
    {"CharDelimiterSplit", add_delimiter},
};

static enum status add_steps(struct pretokenizer *p, const json_t *json, size_t depth,
                             struct error *err)
{
    const char *type = json_string_value(json_object_get(json, "type"));
    if (!type)
        return error_set(err, STATUS_FORMAT, "a pre-tokenizer has no \"type\"");
    for (size_t k = 0; k < sizeof step_types / sizeof *step_types; k++)
        if (!strcmp(step_types[k].name, type))
            return step_types[k].add(p, json, err);
    if (strcmp(type, "Sequence") != 0)
        return error_set(err, STATUS_UNSUPPORTED, "pre-tokenizer \"%s\" is not supported", type);
    if (depth >= DEPTH_LIMIT)
        return error_set(err, STATUS_LIMIT, "pre-tokenizers are nested more than %d deep",
                         DEPTH_LIMIT);
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(json, "pretokenizers"), i, item)
    {
        enum status status = add_steps(p, item, depth + 1, err);
        if (status)
            return status;
    }
    return STATUS_OK;
}

enum status pretokenizer_from_json(const json_t *json, struct pretokenizer *pretokenizer,
                                   struct error *err)
{
    *pretokenizer = (struct pretokenizer){0};
    if (!json || json_is_null(json))
        return STATUS_OK;
    struct error inner = {0};
    enum status status = add_steps(pretokenizer, json, 0, &inner);
    if (status)
        return error_set(err, status, "%s", inner.message);
    size_t n = pretokenizer->count;
    if (n && pretokenizer->steps[n - 1].kind == STEP_BYTES) {
        pretokenizer->raw_bytes = true;
        pretokenizer->count--;
    }
    return STATUS_OK;
}

void pretokenizer_free(struct pretokenizer *pretokenizer)
{
    for (size_t i = 0; i < pretokenizer->count; i++)
        pattern_free(pretokenizer->steps[i].pattern);
    mem_free(pretokenizer->steps);
    *pretokenizer = (struct pretokenizer){0};
}

/* --- splitting: `parts` holds matches and what is between them --- */

static bool add_span(struct span_list *list, size_t start, size_t end, bool match)
{
    if (!mem_grow(&list->items, &list->capacity, list->count, sizeof *list->items))
        return false;
    list->items[list->count++] = (struct span){start, end - start, match};
    return true;
}

static enum status find_parts(const struct pretokenizer_step *step, struct matcher *matcher,
                              const char *text, struct span span, struct span_list *parts,
                              struct error *err)
{
    const char *piece = text + span.start;
    size_t done = 0, start, end;
    bool found, good = true;
    enum status status = matcher_start(matcher, step->pattern, piece, span.length, err);
    while (!status && good && !(status = matcher_next(matcher, &found, &start, &end, err)) &&
           found) {
        if (start > done)
            good = add_span(parts, span.start + done, span.start + start, step->invert);
        good = good && add_span(parts, span.start + start, span.start + end, !step->invert);
        done = end;
    }
    if (!status && good && done < span.length)
        good = add_span(parts, span.start + done, span.start + span.length, step->invert);
    return status ? status : good ? STATUS_OK : error_memory(err, "splitting text");
}

/* As `tokenizers` does: every member is a match, and what is between members is one part. */
static enum status find_members(const struct pretokenizer_step *step, const char *text,
                                struct span span, struct span_list *parts, struct error *err)
{
    size_t done = span.start, end = span.start + span.length;
    bool good = true;
    for (size_t i = span.start, n; good && i < end; i += n) {
        uint32_t c;
        n = unicode_next(text + i, end - i, &c);
        if (!step->is_member(c))
            continue;
        if (i > done)
            good = add_span(parts, done, i, false);
        good = good && add_span(parts, i, i + n, true);
        done = i + n;
    }
    if (good && done < end)
        good = add_span(parts, done, end, false);
    return good ? STATUS_OK : error_memory(err, "splitting text");
}

/* Whether part i is joined with the one before it. A run of matches gives only its first to the
 * part before (or its last to the part behind). */
static bool is_joined(const struct span_list *parts, size_t i, enum split_behavior behavior)
{
    if (i == 0)
        return false;
    const struct span *part = &parts->items[i], *before = part - 1;
    switch (behavior) {
    case SPLIT_MERGED_WITH_PREVIOUS:
        return part->match && !before->match;
    case SPLIT_MERGED_WITH_NEXT:
        return before->match && !part->match;
    case SPLIT_CONTIGUOUS:
        return part->match == before->match;
    default:
        return false;
    }
}

static enum status emit_parts(const struct span_list *parts, enum split_behavior behavior,
                              struct span_list *out, struct error *err)
{
    for (size_t i = 0; i < parts->count; i++) {
        const struct span *part = &parts->items[i];
        bool dropped = behavior == SPLIT_REMOVED && part->match;
        if (is_joined(parts, i, behavior)) {
            out->items[out->count - 1].length += part->length;
        } else if (!dropped && !add_span(out, part->start, part->start + part->length, false)) {
            return error_memory(err, "splitting text");
        }
    }
    return STATUS_OK;
}

static enum status split(const struct pretokenizer_step *step, struct matcher *matcher,
                         struct pretokenizer_work *work, struct span_list *out, struct error *err)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; !status && i < work->n_pieces; i++) {
        if (!work->pieces[i].length)
            continue;
        work->parts.count = 0;
        status = step->kind == STEP_CHARACTERS
                     ? find_members(step, work->text, work->pieces[i], &work->parts, err)
                     : find_parts(step, matcher, work->text, work->pieces[i], &work->parts, err);
        if (!status)
            status = emit_parts(&work->parts, step->behavior, out, err);
    }
    work->pieces = out->items;
    work->n_pieces = out->count;
    return status;
}

/* --- steps that rewrite the pieces --- */

static void append_with_mark(struct strbuf *out, const char *text, size_t length, const char *mark)
{
    for (const char *end = text + length; text < end;) {
        const char *space = memchr(text, ' ', (size_t)(end - text));
        const char *stop = space ? space : end;
        strbuf_append(out, text, (size_t)(stop - text));
        if (space)
            strbuf_add(out, mark);
        text = space ? space + 1 : end;
    }
}

static void rewrite_piece(const struct pretokenizer_step *step, const char *text, size_t length,
                          bool first, struct strbuf *out)
{
    if (!length)
        return;
    if (step->kind == STEP_BYTES) {
        byte_level_append(out, text, length);
    } else if (step->kind == STEP_SPACE) {
        if (*text != ' ')
            strbuf_add_char(out, ' ');
        strbuf_append(out, text, length);
    } else {
        size_t n = strlen(step->mark);
        bool marked = *text == ' ' || (length >= n && !memcmp(text, step->mark, n));
        if (!marked && (step->prefix == PREFIX_ALWAYS || (step->prefix == PREFIX_FIRST && first)))
            strbuf_add(out, step->mark);
        append_with_mark(out, text, length, step->mark);
    }
}

static enum status rewrite(const struct pretokenizer_step *step, struct pretokenizer_work *work,
                           bool at_start, struct span_list *list, struct error *err)
{
    struct strbuf *out = &work->buffers[work->text == work->buffers[0].data];
    strbuf_truncate(out, 0);
    for (size_t i = 0; i < work->n_pieces; i++) {
        struct span piece = work->pieces[i];
        size_t start = out->length;
        rewrite_piece(step, work->text + piece.start, piece.length, at_start && i == 0, out);
        if (out->failed || !add_span(list, start, out->length, false))
            return error_memory(err, "splitting text");
    }
    work->text = strbuf_text(out);
    work->pieces = list->items;
    work->n_pieces = list->count;
    return STATUS_OK;
}

/* --- running --- */

enum status pretokenizer_work_init(struct pretokenizer_work *work,
                                   const struct pretokenizer *pretokenizer, struct error *err)
{
    *work = (struct pretokenizer_work){0};
    work->matchers = mem_array(pretokenizer->count, sizeof *work->matchers);
    return work->matchers ? STATUS_OK : error_memory(err, "splitting text");
}

void pretokenizer_work_free(struct pretokenizer_work *work, const struct pretokenizer *pretokenizer)
{
    for (size_t i = 0; work->matchers && i < pretokenizer->count; i++)
        matcher_free(&work->matchers[i]);
    mem_free(work->matchers);
    mem_free(work->lists[0].items);
    mem_free(work->lists[1].items);
    mem_free(work->parts.items);
    strbuf_free(&work->buffers[0]);
    strbuf_free(&work->buffers[1]);
    *work = (struct pretokenizer_work){0};
}

static struct span_list *free_list(struct pretokenizer_work *work)
{
    struct span_list *list = &work->lists[work->pieces == work->lists[0].items];
    list->count = 0;
    return list;
}

enum status pretokenizer_run(const struct pretokenizer *pretokenizer,
                             struct pretokenizer_work *work, const char *text, size_t length,
                             bool at_start, struct error *err)
{
    work->lists[0].count = 0;
    work->n_pieces = 0;
    if (!add_span(&work->lists[0], 0, length, false))
        return error_memory(err, "splitting text");
    work->text = text;
    work->pieces = work->lists[0].items;
    work->n_pieces = 1;
    enum status status = STATUS_OK;
    for (size_t i = 0; !status && i < pretokenizer->count; i++) {
        const struct pretokenizer_step *step = &pretokenizer->steps[i];
        if (step->kind >= STEP_METASPACE)
            status = rewrite(step, work, at_start, free_list(work), err);
        if (!status && (step->kind < STEP_METASPACE || step->splits))
            status = split(step, &work->matchers[i], work, free_list(work), err);
    }
    return status;
}
