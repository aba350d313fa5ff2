/* tandem train-tokenizer: a new vocabulary from text. */
#include "base/file.h"
#include "base/memory.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "train/vocabulary.h"

#include <stdio.h>
#include <string.h>

struct tokenizer_options {
    const char *like, *out, *chat_template;
    size_t size;
    bool separate, quiet;
};

static enum status learn(struct vocabulary *v, const struct args *files,
                         const struct tokenizer_options *o, struct error *err)
{
    char *chat_template = NULL;
    size_t length;
    enum status status = STATUS_OK;
    for (size_t i = 0; i < files->n_operands && !status; i++)
        status = vocabulary_add_file(v, files->operands[i], err);
    if (!status)
        status = vocabulary_train(v, o->size, err);
    if (!status && o->chat_template)
        status = file_read(o->chat_template, 1 << 20, &chat_template, &length, err);
    if (!status)
        status = vocabulary_write(v, chat_template, o->out, err);
    mem_free(chat_template);
    return status;
}

static int run(const struct args *files, const struct tokenizer_options *o)
{
    struct vocabulary *v = NULL;
    struct error err = {0};
    enum family family = strcmp(o->like, "phi3") ? FAMILY_QWEN2 : FAMILY_PHI3;
    enum status status = vocabulary_create(family, &v, &err);
    if (!status && o->separate)
        status = vocabulary_separate_words(v, &err);
    if (!status)
        status = learn(v, files, o, &err);
    if (!status && !o->quiet) {
        struct vocabulary_counts c = vocabulary_count(v);
        printf("%s: %zu tokens (%zu merges, %zu special) from %zu different words in %.1f MB\n",
               o->out, c.size, c.merges, c.special, c.words, (double)c.bytes / 1e6);
        if (c.size < o->size)
            printf("%zu fewer than asked for: nothing more repeats in the text\n",
                   o->size - c.size);
    }
    vocabulary_free(v);
    return status ? report_error(&err) : finish_output();
}

int command_train_tokenizer(int argc, char **argv)
{
    struct tokenizer_options o = {.like = "qwen2", .size = 4096};
    const struct option options[] = {
        {"like", 0, OPTION_STRING, &o.like, "KIND",
         "qwen2: bytes; phi3: characters, bytes as fallback (qwen2)"},
        {"size", 'n', OPTION_SIZE, &o.size, "N", "tokens, special ones included (4096)"},
        {"separate-words", 0, OPTION_FLAG, &o.separate, NULL,
         "a word has the same tokens wherever it stands"},
        {"chat-template", 0, OPTION_STRING, &o.chat_template, "FILE", "Jinja, for the chats"},
        {"out", 'o', OPTION_STRING, &o.out, "DIR", "where tokenizer.json and its like go"},
        {"quiet", 'q', OPTION_FLAG, &o.quiet, NULL, "print nothing but errors"},
        {0}};
    struct usage usage = {
        "train-tokenizer",
        "FILE... --out DIR",
        "Learn a vocabulary (BPE) and write it as a Hugging Face tokenizer with the special "
        "tokens\n"
        "of Qwen2.5 or Phi-3. FILE: chats or {\"text\"} as .jsonl, or plain text.",
        options,
        1,
        1000,
        "  tandem train-tokenizer chats.jsonl --size 4000 --chat-template chat.jinja --out "
        "shape\n"};
    struct args args;
    int status = args_parse(&usage, argc, argv, &args);
    if (status != ARGS_OK)
        return status;
    if (!o.out)
        status = args_wrong(&usage, "--out DIR is needed");
    else if (strcmp(o.like, "qwen2") && strcmp(o.like, "phi3"))
        status = args_wrong(&usage, "--like %s: expected qwen2 or phi3", o.like);
    else
        status = run(&args, &o);
    args_free(&args);
    return status;
}
