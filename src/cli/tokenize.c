/* tandem tokenize: JSON lines {"text"} -> {"ids"}, and back. */
#include "base/json.h"
#include "base/memory.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "formats/checkpoint.h"
#include "text/tokenizer.h"

#include <stdio.h>

struct job {
    const struct tokenizer *tokenizer;
    unsigned flags;
    bool decode;
    struct token_list ids;
    struct strbuf text;
};

static enum status read_ids(const json_t *line, struct token_list *ids, struct error *err)
{
    const json_t *list = json_object_get(line, "ids");
    if (!json_is_array(list))
        return error_set(err, STATUS_FORMAT, "expected {\"ids\": [...]}");
    size_t i;
    json_t *item;
    ids->count = 0;
    json_array_foreach(list, i, item)
    {
        json_int_t id = json_integer_value(item);
        if (!json_is_integer(item) || id < INT32_MIN || id > INT32_MAX)
            return error_set(err, STATUS_FORMAT, "ids[%zu] is no token id", i);
        if (!token_list_add(ids, (int32_t)id))
            return error_memory(err, "token ids");
    }
    return STATUS_OK;
}

static enum status decode_line(struct job *job, const json_t *line, struct strbuf *out,
                               struct error *err)
{
    enum status status = read_ids(line, &job->ids, err);
    strbuf_truncate(&job->text, 0);
    if (!status)
        status = tokenizer_decode(job->tokenizer, job->ids.ids, job->ids.count, job->flags,
                                  &job->text, err);
    if (status)
        return status;
    json_t *text = json_stringn(strbuf_text(&job->text), job->text.length);
    strbuf_add(out, "{\"text\":");
    json_write(out, text, false);
    strbuf_add(out, "}\n");
    json_decref(text);
    return text && !out->failed ? STATUS_OK : error_memory(err, "the text");
}

/* printf would take a third of the time. */
static void add_number(struct strbuf *out, int32_t number)
{
    char digits[16];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
    } while ((number /= 10) > 0);
    strbuf_append(out, digits + at, sizeof digits - at);
}

static enum status encode_line(struct job *job, const json_t *line, struct strbuf *out,
                               struct error *err)
{
    const json_t *text = json_object_get(line, "text");
    if (!json_is_string(text))
        return error_set(err, STATUS_FORMAT, "expected {\"text\": \"...\"}");
    job->ids.count = 0;
    enum status status = tokenizer_encode(job->tokenizer, json_string_value(text),
                                          json_string_length(text), job->flags, &job->ids, err);
    if (status)
        return status;
    strbuf_add(out, "{\"ids\":[");
    for (size_t i = 0; i < job->ids.count; i++) {
        if (i)
            strbuf_add_char(out, ',');
        add_number(out, job->ids.ids[i]);
    }
    strbuf_add(out, "]}\n");
    return out->failed ? error_memory(err, "the ids") : STATUS_OK;
}

static enum status convert_lines(struct job *job, struct error *err)
{
    struct json_lines lines = {.stream = stdin, .name = "stdin"};
    struct strbuf out = {0};
    enum status status = STATUS_OK;
    json_t *line;
    while (!status && (line = json_lines_next(&lines, err))) {
        strbuf_truncate(&out, 0);
        status = (job->decode ? decode_line : encode_line)(job, line, &out, err);
        json_decref(line);
        if (status) {
            error_prefix(err, "stdin:%zu", lines.line_number);
        } else if (fwrite(out.data, 1, out.length, stdout) != out.length || fflush(stdout)) {
            status = error_errno(err, "cannot write the result of line %zu", lines.line_number);
        }
    }
    json_lines_free(&lines);
    strbuf_free(&out);
    return status ? status : err->status;
}

static enum status run(const char *path, struct job *job, struct error *err)
{
    struct checkpoint *checkpoint = NULL;
    struct tokenizer *tokenizer = NULL;
    enum status status = checkpoint_open_vocabulary(path, &checkpoint, err);
    if (!status)
        status = tokenizer_create(checkpoint_vocab(checkpoint), &tokenizer, err);
    job->tokenizer = tokenizer;
    if (!status)
        status = convert_lines(job, err);
    token_list_free(&job->ids);
    strbuf_free(&job->text);
    tokenizer_free(tokenizer);
    checkpoint_close(checkpoint);
    return status;
}

int command_tokenize(int argc, char **argv)
{
    bool decode = false, skip_special = false, add_special = false, plain = false;
    const struct option options[] = {
        {"decode", 'd', OPTION_FLAG, &decode, NULL, "{\"ids\"} -> {\"text\"}"},
        {"skip-special", 0, OPTION_FLAG, &skip_special, NULL, "decode: leave special tokens out"},
        {"add-special", 0, OPTION_FLAG, &add_special, NULL,
         "encode: add what the model puts around a text"},
        {"plain", 0, OPTION_FLAG, &plain, NULL, "encode: special tokens in the text are text"},
        {0}};
    const struct usage usage = {
        .command = "tokenize",
        .operands = "MODEL",
        .summary = "Reads JSON lines {\"text\": ...} and writes {\"ids\": [...]} for each.\n"
                   "Special tokens in the text are recognised; none are added.\n"
                   "MODEL is a folder with a tokenizer, or a .gguf file.",
        .options = options,
        .min_operands = 1,
        .max_operands = 1,
        .examples = "  echo '{\"text\":\"Hello\"}' | tandem tokenize models/qwen\n",
        .n_models = 1};
    struct args args = {0};
    int exit_status = args_parse(&usage, argc, argv, &args);
    if (exit_status != ARGS_OK)
        return exit_status;
    struct job job = {.decode = decode,
                      .flags = (skip_special ? TOKENIZER_SKIP_SPECIAL : 0u) |
                               (add_special ? TOKENIZER_ADD_SPECIAL : 0u) |
                               (plain ? TOKENIZER_PLAIN_TEXT : 0u)};
    struct error err = {0};
    enum status status = run(args.operands[0], &job, &err);
    args_free(&args);
    return status ? report_error(&err) : finish_output();
}
