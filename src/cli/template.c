/* tandem template: JSON lines of contexts -> {"rendered"} or {"error"}. */
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "formats/checkpoint.h"
#include "text/chat.h"
#include "text/template.h"
#include "text/tokenizer.h"

#include <stdio.h>

struct job {
    const struct template *template;  /* with --file */
    const struct chat_template *chat; /* the model's own */
};

/* A context for the model's template: messages, tools, add_generation_prompt, anything else. */
static enum status render_chat(const struct chat_template *chat, const json_t *context,
                               struct strbuf *out, struct error *err)
{
    json_t *extra = json_copy((json_t *)context);
    if (!extra)
        return error_memory(err, "the context");
    json_object_del(extra, "messages");
    json_object_del(extra, "tools");
    json_object_del(extra, "add_generation_prompt");
    enum status status = chat_template_render(
        chat, json_object_get(context, "messages"), json_object_get(context, "tools"),
        json_is_true(json_object_get(context, "add_generation_prompt")), extra, out, err);
    json_decref(extra);
    return status;
}

static enum status render_line(const struct job *job, const json_t *context, struct strbuf *line,
                               struct error *err)
{
    struct error problem = {0};
    struct strbuf text = {0};
    enum status status = job->chat ? render_chat(job->chat, context, &text, &problem)
                                   : template_render(job->template, context, NULL, &text, &problem);
    json_t *value =
        status ? json_string(problem.message) : json_stringn(strbuf_text(&text), text.length);
    strbuf_free(&text);
    if (!value && status)
        value = json_string("the message of this error is not valid UTF-8");
    strbuf_add(line, status ? "{\"error\":" : "{\"rendered\":");
    if (value)
        json_write(line, value, false);
    strbuf_add(line, "}\n");
    bool ok = value && !line->failed;
    json_decref(value);
    return ok ? STATUS_OK : error_memory(err, "the rendered text");
}

static enum status render_lines(const struct job *job, struct error *err)
{
    struct json_lines lines = {.stream = stdin, .name = "stdin"};
    struct strbuf line = {0};
    enum status status = STATUS_OK;
    json_t *context;
    while (!status && (context = json_lines_next(&lines, err))) {
        strbuf_truncate(&line, 0);
        if (!json_is_object(context))
            status = error_set(err, STATUS_FORMAT, "stdin:%zu: expected an object of variables",
                               lines.line_number);
        else
            status = render_line(job, context, &line, err);
        json_decref(context);
        if (!status && (fwrite(line.data, 1, line.length, stdout) != line.length || fflush(stdout)))
            status = error_errno(err, "cannot write the result of line %zu", lines.line_number);
    }
    json_lines_free(&lines);
    strbuf_free(&line);
    return status ? status : err->status;
}

static enum status run_file(const char *path, struct error *err)
{
    enum { MAX_FILE = 16 << 20 };
    struct template *template = NULL;
    char *source;
    size_t size;
    enum status status = file_read(path, MAX_FILE, &source, &size, err);
    if (status)
        return status;
    status = template_compile(file_base_name(path), source, size, &template, err);
    mem_free(source);
    if (!status)
        status = render_lines(&(struct job){.template = template}, err);
    template_free(template);
    return status;
}

static enum status run_model(const char *path, bool source, struct error *err)
{
    struct checkpoint *checkpoint = NULL;
    struct tokenizer *tokenizer = NULL;
    struct chat_template *chat = NULL;
    enum status status = checkpoint_open_vocabulary(path, &checkpoint, err);
    if (!status)
        status = tokenizer_create(checkpoint_vocab(checkpoint), &tokenizer, err);
    if (!status)
        status = chat_template_create(checkpoint_vocab(checkpoint), tokenizer, &chat, err);
    if (!status && source)
        printf("%s\n", chat_template_source(chat));
    else if (!status)
        status = render_lines(&(struct job){.chat = chat}, err);
    chat_template_free(chat);
    tokenizer_free(tokenizer);
    checkpoint_close(checkpoint);
    return status;
}

int command_template(int argc, char **argv)
{
    const char *file = NULL;
    bool source = false;
    const struct option options[] = {
        {"file", 'f', OPTION_STRING, &file, "T.jinja", "this template instead of a model's own"},
        {"source", 0, OPTION_FLAG, &source, NULL, "print the model's template and read nothing"},
        {0}};
    const struct usage usage = {
        .command = "template",
        .operands = "[MODEL]",
        .summary =
            "Reads JSON lines of variables and writes {\"rendered\": ...} or {\"error\": ...}\n"
            "for each. For a model's own template they are {\"messages\": [...]}, and where\n"
            "wanted \"tools\", \"add_generation_prompt\" and more; special tokens are added.",
        .options = options,
        .max_operands = 1,
        .examples = "  echo '{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}' | "
                    "tandem template models/qwen\n"
                    "  echo '{\"x\":1}' | tandem template --file t.jinja\n",
        .n_models = 1};
    struct args args = {0};
    int exit_status = args_parse(&usage, argc, argv, &args);
    if (exit_status != ARGS_OK)
        return exit_status;
    if (!file == !args.n_operands) {
        args_free(&args);
        return args_wrong(&usage, "give either MODEL or --file T.jinja");
    }
    struct error err = {0};
    enum status status = file ? run_file(file, &err) : run_model(args.operands[0], source, &err);
    args_free(&args);
    return status ? report_error(&err) : finish_output();
}
