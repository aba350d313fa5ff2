#include "train/dataset.h"
#include "base/memory.h"
#include "train/network.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { NO_LABEL = -100 };

/* One example while it is read. */
struct example {
    struct token_list ids;
    int32_t *labels; /* [ids.count], NO_LABEL where nothing is learned */
    size_t labels_capacity, n_labels;
};

static bool add_label(struct example *e, int32_t label)
{
    if (!mem_grow(&e->labels, &e->labels_capacity, e->n_labels, sizeof *e->labels))
        return false;
    e->labels[e->n_labels++] = label;
    return true;
}

static bool is_end(const struct dataset_options *options, int32_t id)
{
    for (size_t i = 0; i < options->n_end_ids; i++)
        if (options->end_ids[i] == id)
            return true;
    return false;
}

/* --- Lines with ids --- */

static enum status take_number(const json_t *array, size_t index, int64_t low, size_t vocab_size,
                               const char *what, int32_t *value, struct error *err)
{
    const json_t *item = json_array_get(array, index);
    json_int_t number = json_integer_value(item);
    if (!json_is_integer(item) || (number != low && (number < 0 || (size_t)number >= vocab_size)))
        return error_set(err, STATUS_FORMAT,
                         "\"%s\"[%zu] should be a token id below %zu, but is not", what, index,
                         vocab_size);
    *value = (int32_t)number;
    return STATUS_OK;
}

static enum status read_ids(const json_t *line, const struct dataset_options *options,
                            struct example *e, struct error *err)
{
    const json_t *ids = json_object_get(line, "ids"), *labels = json_object_get(line, "labels");
    if (!json_is_array(ids) || (labels && json_array_size(labels) != json_array_size(ids)))
        return error_set(err, STATUS_FORMAT,
                         "\"ids\" and \"labels\" should be arrays of the same length");
    for (size_t i = 0; i < json_array_size(ids); i++) {
        int32_t id = 0, label;
        enum status status = take_number(ids, i, 0, options->vocab_size, "ids", &id, err);
        label = id;
        if (!status && labels)
            status = take_number(labels, i, NO_LABEL, options->vocab_size, "labels", &label, err);
        if (status)
            return status;
        if (!token_list_add(&e->ids, id) || !add_label(e, label))
            return error_memory(err, "an example");
    }
    return STATUS_OK;
}

/* --- Chats --- */

/* A chat being rendered and cut. */
struct chat_reader {
    const struct dataset_options *options;
    const json_t *messages, *tools;
    struct strbuf full;  /* all messages */
    size_t cut;          /* bytes of `full` that are tokenized */
    const char *content; /* of the answer that starts at the cut; NULL: a prompt */
};

static bool is_assistant(const json_t *message)
{
    const char *role = json_string_value(json_object_get(message, "role"));
    return role && !strcmp(role, "assistant");
}

static enum status render(const struct chat_reader *r, size_t n_messages, bool prompt,
                          struct strbuf *out, struct error *err)
{
    json_t *messages = json_array();
    for (size_t i = 0; i < n_messages; i++)
        json_array_append(messages, json_array_get(r->messages, i));
    enum status status =
        chat_template_render(r->options->chat, messages, r->tools, prompt, NULL, out, err);
    json_decref(messages);
    if (!status && out->failed)
        status = error_memory(err, "a rendered chat");
    return status;
}

/* End tokens that the content itself writes out. */
static enum status count_ends(const struct chat_reader *r, const char *content, size_t *count,
                              struct error *err)
{
    struct token_list ids = {0};
    *count = 0;
    enum status status =
        tokenizer_encode(r->options->tokenizer, content, strlen(content), 0, &ids, err);
    for (size_t i = 0; i < ids.count; i++)
        *count += is_end(r->options, ids.ids[i]);
    token_list_free(&ids);
    return status;
}

/* Labels for the ids from `first` on, which begin with an answer: it is learned up to its end
 * token. The last answer may have none. */
static enum status label_answer(const struct chat_reader *r, struct example *e, size_t first,
                                bool last, struct error *err)
{
    size_t ends, seen = 0;
    enum status status = count_ends(r, r->content, &ends, err);
    for (size_t i = first; i < e->ids.count && !status; i++) {
        bool learned = seen <= ends;
        seen += is_end(r->options, e->ids.ids[i]);
        if (!add_label(e, learned ? e->ids.ids[i] : NO_LABEL))
            status = error_memory(err, "an example");
    }
    if (!status && seen <= ends && !last)
        status = error_set(err, STATUS_UNSUPPORTED,
                           "the chat template ends an answer with none of the model's "
                           "end-of-sequence tokens");
    return status;
}

/* Tokenizes the text up to byte `end`. */
static enum status take_piece(struct chat_reader *r, size_t end, struct example *e,
                              struct error *err)
{
    size_t first = e->ids.count;
    enum status status = tokenizer_encode(r->options->tokenizer, r->full.data + r->cut,
                                          end - r->cut, 0, &e->ids, err);
    if (status)
        return status;
    bool last = end == r->full.length;
    r->cut = end;
    if (r->content)
        return label_answer(r, e, first, last, err);
    while (e->n_labels < e->ids.count)
        if (!add_label(e, NO_LABEL))
            return error_memory(err, "an example");
    return STATUS_OK;
}

/* The answer of message `index` starts where its prompt ends. */
static enum status cut_before_answer(struct chat_reader *r, size_t index, struct example *e,
                                     struct error *err)
{
    struct strbuf prompt = {0};
    enum status status = render(r, index, true, &prompt, err);
    if (!status && (prompt.length < r->cut || prompt.length > r->full.length ||
                    memcmp(prompt.data, r->full.data, prompt.length)))
        status = error_set(err, STATUS_UNSUPPORTED,
                           "the chat template renders the messages before messages[%zu] "
                           "otherwise when the answer follows, so the answer cannot be told apart",
                           index);
    if (!status)
        status = take_piece(r, prompt.length, e, err);
    const char *content =
        json_string_value(json_object_get(json_array_get(r->messages, index), "content"));
    r->content = content ? content : "";
    strbuf_free(&prompt);
    return status;
}

static enum status read_chat(const json_t *line, const struct dataset_options *options,
                             struct example *e, struct error *err)
{
    struct chat_reader r = {.options = options,
                            .messages = json_object_get(line, "messages"),
                            .tools = json_object_get(line, "tools")};
    if (!json_is_array(r.messages) || !json_array_size(r.messages))
        return error_set(err, STATUS_FORMAT,
                         "expected an object with \"messages\" (a list) or \"ids\"");
    if (!options->chat)
        return error_set(err, STATUS_INVALID,
                         "the model has no tokenizer or chat template, so \"messages\" cannot be "
                         "rendered");
    enum status status = render(&r, json_array_size(r.messages), false, &r.full, err);
    for (size_t i = 0; i < json_array_size(r.messages) && !status; i++)
        if (is_assistant(json_array_get(r.messages, i)))
            status = cut_before_answer(&r, i, e, err);
    if (!status)
        status = take_piece(&r, r.full.length, e, err);
    strbuf_free(&r.full);
    return status;
}

/* --- The whole file --- */

static bool grow_rows(struct dataset *d, size_t n)
{
    if (d->n_rows + n <= d->capacity)
        return true;
    size_t capacity = 2 * (d->n_rows + n);
    int32_t *tokens = mem_resize(d->tokens, capacity, sizeof *tokens);
    if (tokens)
        d->tokens = tokens;
    int32_t *targets = mem_resize(d->targets, capacity, sizeof *targets);
    if (targets)
        d->targets = targets;
    if (tokens && targets)
        d->capacity = capacity;
    return tokens && targets;
}

static enum status add_example(struct dataset *d, const struct example *e, size_t max_rows,
                               struct error *err)
{
    size_t n = e->ids.count ? e->ids.count - 1 : 0, learned = 0;
    for (size_t i = 1; i <= n; i++)
        learned += e->labels[i] != NO_LABEL;
    d->longest = size_max(n, d->longest);
    if (!learned || n > max_rows) {
        d->n_empty += !learned;
        d->n_too_long += learned > 0;
        return STATUS_OK;
    }
    if (!grow_rows(d, n) ||
        !mem_grow(&d->starts, &d->starts_capacity, d->n_examples + 1, sizeof *d->starts))
        return error_memory(err, "training data");
    memcpy(d->tokens + d->n_rows, e->ids.ids, n * sizeof *d->tokens);
    for (size_t i = 0; i < n; i++)
        d->targets[d->n_rows + i] = e->labels[i + 1] == NO_LABEL ? NOT_LEARNED : e->labels[i + 1];
    d->n_rows += n;
    d->n_learned += learned;
    d->starts[++d->n_examples] = d->n_rows;
    return STATUS_OK;
}

static enum status add_line(struct dataset *d, const json_t *line,
                            const struct dataset_options *options, struct error *err)
{
    struct example e = {0};
    enum status status = json_object_get(line, "ids") ? read_ids(line, options, &e, err)
                                                      : read_chat(line, options, &e, err);
    if (!status)
        status = add_example(d, &e, options->max_rows, err);
    token_list_free(&e.ids);
    mem_free(e.labels);
    return status;
}

static enum status read_lines(struct json_lines *lines, const struct dataset_options *options,
                              struct dataset *d, struct error *err)
{
    struct error local = {0};
    enum status status = STATUS_OK;
    json_t *line;
    while (!status && (line = json_lines_next(lines, &local))) {
        status = add_line(d, line, options, err);
        json_decref(line);
    }
    if (status)
        return error_prefix(err, "%s, line %zu", lines->name, lines->line_number);
    if (local.status)
        return error_set(err, local.status, "%s", local.message);
    if (!d->n_examples)
        return error_set(err, STATUS_INVALID,
                         "%s: no example can be learned from (%zu too long, %zu without an answer)",
                         lines->name, d->n_too_long, d->n_empty);
    return STATUS_OK;
}

enum status dataset_load(const char *path, const struct dataset_options *options, struct dataset *d,
                         struct error *err)
{
    *d = (struct dataset){.name = path};
    struct json_lines lines = {.name = path, .stream = fopen(path, "re")};
    if (!lines.stream)
        return error_errno(err, "cannot open %s", path);
    enum status status = STATUS_OK;
    if (!mem_grow(&d->starts, &d->starts_capacity, 0, sizeof *d->starts))
        status = error_memory(err, "training data");
    else
        d->starts[0] = 0;
    if (!status)
        status = read_lines(&lines, options, d, err);
    fclose(lines.stream);
    json_lines_free(&lines);
    if (status)
        dataset_free(d);
    return status;
}

void dataset_free(struct dataset *d)
{
    mem_free(d->tokens);
    mem_free(d->targets);
    mem_free(d->starts);
    *d = (struct dataset){0};
}

/* --- Order --- */

static void shuffle_epoch(struct data_order *o)
{
    struct rng rng;
    o->epoch = o->position / o->dataset->n_examples;
    rng_seed(&rng, o->seed + 0x9E3779B97F4A7C15u * (o->epoch + 1));
    for (size_t i = 0; i < o->dataset->n_examples; i++) {
        size_t j = (size_t)rng_below(&rng, i + 1);
        o->order[i] = o->order[j];
        o->order[j] = i;
    }
}

enum status data_order_create(const struct dataset *dataset, uint64_t seed, size_t position,
                              struct data_order *o, struct error *err)
{
    *o = (struct data_order){.dataset = dataset, .seed = seed, .position = position};
    o->order = mem_array(dataset->n_examples, sizeof *o->order);
    if (!o->order)
        return error_memory(err, "the order of examples");
    shuffle_epoch(o);
    return STATUS_OK;
}

void data_order_free(struct data_order *o)
{
    mem_free(o->order);
    *o = (struct data_order){0};
}

size_t data_order_peek(const struct data_order *o)
{
    return o->order[o->position % o->dataset->n_examples];
}

void data_order_advance(struct data_order *o)
{
    if (++o->position % o->dataset->n_examples == 0)
        shuffle_epoch(o);
}
