#include "cli/args.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/thread_pool.h"
#include "cli/models.h"
#include "formats/recipe.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_options(const struct option *options)
{
    for (const struct option *o = options; o && o->name; o++) {
        char left[64];
        int n = o->letter ? snprintf(left, sizeof left, "-%c, --%s", o->letter, o->name)
                          : snprintf(left, sizeof left, "    --%s", o->name);
        if (o->value_name && n > 0 && (size_t)n < sizeof left)
            snprintf(left + n, sizeof left - (size_t)n, " %s", o->value_name);
        printf("  %-28s %s\n", left, o->help);
    }
    printf("  %-28s %s\n", "-h, --help", "this text");
}

static void print_synopsis(FILE *out, const struct usage *usage)
{
    fprintf(out, "usage: tandem %s [OPTIONS]%s%s", usage->command, *usage->operands ? " " : "",
            usage->operands);
}

static void print_help(const struct usage *usage)
{
    print_synopsis(stdout, usage);
    printf("\n\n%s\n\n", usage->summary);
    print_options(usage->options);
    if (usage->examples)
        printf("\nExamples:\n%s", usage->examples);
}

int args_wrong(const struct usage *usage, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fprintf(stderr, "tandem %s: ", usage->command);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    print_synopsis(stderr, usage);
    fprintf(stderr, "    (all options: tandem %s --help)\n", usage->command);
    return EXIT_USAGE;
}

static const struct option *find_option(const struct usage *usage, const char *name, size_t length)
{
    for (const struct option *o = usage->options; o && o->name; o++)
        if (strlen(o->name) == length && !strncmp(o->name, name, length))
            return o;
    return NULL;
}

static const struct option *find_letter(const struct usage *usage, char letter)
{
    for (const struct option *o = usage->options; o && o->name; o++)
        if (o->letter == letter)
            return o;
    return NULL;
}

static bool parse_u64(const char *text, uint64_t *value)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (errno || end == text || *end || strchr(text, '-'))
        return false;
    *value = v;
    return true;
}

static bool list_add(struct string_list *list, const char *item)
{
    if (!mem_grow(&list->items, &list->capacity, list->count, sizeof *list->items))
        return false;
    list->items[list->count++] = item;
    return true;
}

_Static_assert(MAX_THREADS == 1024, "what store_value() says");

/* NULL, or what the value should have been. */
static const char *store_value(const struct option *o, const char *value)
{
    uint64_t number;
    char *end;
    switch (o->kind) {
    case OPTION_FLAG:
        *(bool *)o->target = true;
        return NULL;
    case OPTION_STRING:
    case OPTION_MODEL:
        *(const char **)o->target = value;
        return NULL;
    case OPTION_LIST:
        return list_add(o->target, value) ? NULL : "fewer values (out of memory)";
    case OPTION_SIZE:
        if (!parse_u64(value, &number) || number > SIZE_MAX)
            return "a whole number, 0 or more";
        *(size_t *)o->target = (size_t)number;
        return NULL;
    case OPTION_THREADS:
        if (!parse_u64(value, &number) || number > MAX_THREADS)
            return "a whole number from 0 to 1024";
        *(size_t *)o->target = (size_t)number;
        return NULL;
    case OPTION_U64:
        return parse_u64(value, o->target) ? NULL : "a whole number, 0 or more";
    case OPTION_NUMBER:
        errno = 0;
        double real = strtod(value, &end);
        if (errno || end == value || *end || real != real)
            return "a number";
        *(double *)o->target = real;
        return NULL;
    case OPTION_RECIPE:
        *(const struct recipe **)o->target = recipe_find(value);
        return recipe_find(value) ? NULL : recipe_names();
    }
    return "something else";
}

/* Takes the option at argv[*i]; ARGS_OK or EXIT_USAGE. */
static int take_option(const struct usage *usage, int argc, char **argv, int *i)
{
    const char *word = argv[*i], *value = NULL;
    const struct option *o;
    if (word[1] == '-') {
        const char *equals = strchr(word, '=');
        size_t length = equals ? (size_t)(equals - word) - 2 : strlen(word) - 2;
        o = find_option(usage, word + 2, length);
        value = equals ? equals + 1 : NULL;
    } else {
        o = find_letter(usage, word[1]);
        value = word[2] ? word + 2 : NULL;
    }
    if (!o)
        return args_wrong(usage, "there is no option %s", word);
    if (o->kind == OPTION_FLAG && value)
        return args_wrong(usage, "--%s takes no value", o->name);
    if (o->kind != OPTION_FLAG && !value) {
        if (*i + 1 >= argc)
            return args_wrong(usage, "--%s needs a value: --%s %s", o->name, o->name,
                              o->value_name);
        value = argv[++*i];
    }
    const char *expected = store_value(o, value);
    return expected ? args_wrong(usage, "--%s %s: expected %s", o->name, value, expected) : ARGS_OK;
}

static bool is_help(const char *word)
{
    return !strcmp(word, "--help") || !strcmp(word, "-h");
}

/* Names the first of the operands that is not there: the n-th word of "MODEL_A MODEL_B". */
static int operand_missing(const struct usage *usage, size_t n_given)
{
    const char *word = usage->operands;
    for (size_t i = 0; i < n_given && strchr(word, ' '); i++)
        word = strchr(word, ' ') + 1;
    return args_wrong(usage, "%.*s is missing", (int)strcspn(word, " "), word);
}

/* Replaces the name of a model by its path, which is there. */
static int locate_model(const struct usage *usage, struct args *args, const char **name)
{
    char *path = models_locate(*name);
    if (!path)
        return args_wrong(usage, "out of memory");
    *name = args->models[args->n_models++] = path;
    if (file_exists(path))
        return ARGS_OK;
    fprintf(stderr,
            "tandem: there is no file or folder %s; a model is a Hugging Face folder, a .gguf file "
            "or a name that `tandem models` lists\n",
            path);
    return EXIT_FAILED;
}

static int locate_models(const struct usage *usage, struct args *args)
{
    size_t n = usage->n_models;
    for (const struct option *o = usage->options; o && o->name; o++)
        n += o->kind == OPTION_MODEL;
    args->models = mem_array(n, sizeof *args->models);
    if (!args->models)
        return args_wrong(usage, "out of memory");
    if (!args->n_operands && usage->default_model) {
        args->operands[args->n_operands++] = usage->default_model;
        fprintf(stderr, "tandem: no model named: %s, a tiny one that comes with Tandem\n",
                usage->default_model);
    }
    int status = ARGS_OK;
    for (size_t i = 0; i < usage->n_models && i < args->n_operands && status == ARGS_OK; i++)
        status = locate_model(usage, args, &args->operands[i]);
    for (const struct option *o = usage->options; o && o->name && status == ARGS_OK; o++)
        if (o->kind == OPTION_MODEL && *(const char **)o->target)
            status = locate_model(usage, args, o->target);
    return status;
}

int args_parse(const struct usage *usage, int argc, char **argv, struct args *args)
{
    *args = (struct args){.operands = mem_array((size_t)argc, sizeof *args->operands)};
    if (!args->operands)
        return args_wrong(usage, "out of memory");
    int status = ARGS_OK;
    bool options_ended = false;
    for (int i = 1; i < argc && status == ARGS_OK; i++) {
        if (!options_ended && is_help(argv[i])) {
            print_help(usage);
            status = EXIT_OK;
        } else if (!options_ended && !strcmp(argv[i], "--")) {
            options_ended = true;
        } else if (!options_ended && argv[i][0] == '-' && argv[i][1]) {
            status = take_option(usage, argc, argv, &i);
        } else {
            args->operands[args->n_operands++] = argv[i];
        }
    }
    if (status == ARGS_OK && args->n_operands < usage->min_operands)
        status = operand_missing(usage, args->n_operands);
    if (status == ARGS_OK && args->n_operands > usage->max_operands)
        status = args_wrong(usage, "one argument too many: %s (quote text that has blanks)",
                            args->operands[usage->max_operands]);
    if (status == ARGS_OK)
        status = locate_models(usage, args);
    if (status != ARGS_OK)
        args_free(args);
    return status;
}

void args_free(struct args *args)
{
    for (size_t i = 0; i < args->n_models; i++)
        mem_free(args->models[i]);
    mem_free(args->models);
    mem_free(args->operands);
    *args = (struct args){0};
}

int report_error(const struct error *err)
{
    fprintf(stderr, "tandem: %s\n", err->message);
    return EXIT_FAILED;
}

int finish_output(void)
{
    if (!fflush(stdout) && !ferror(stdout))
        return EXIT_OK;
    if (errno != EPIPE) /* the reader, like `head`, has what it wanted */
        fprintf(stderr, "tandem: cannot write the output: %s\n", strerror(errno));
    return EXIT_FAILED;
}

bool parse_ids(const char *text, int32_t **ids, size_t *n, struct error *err)
{
    size_t capacity = 0;
    *ids = NULL;
    *n = 0;
    for (const char *p = text; *p;) {
        char *end;
        errno = 0;
        long id = strtol(p, &end, 10);
        if (errno || end == p || id < 0 || id > INT32_MAX || (*end && *end != ',') ||
            (*end == ',' && !end[1])) {
            error_set(err, STATUS_INVALID,
                      "token ids are whole numbers with commas between them, like 1,2,3; "
                      "got \"%.40s\" at character %zu",
                      p, (size_t)(p - text) + 1);
            mem_free(*ids);
            *ids = NULL;
            return false;
        }
        if (!mem_grow(ids, &capacity, *n, sizeof **ids)) {
            error_memory(err, "token ids");
            mem_free(*ids);
            *ids = NULL;
            return false;
        }
        (*ids)[(*n)++] = (int32_t)id;
        p = *end ? end + 1 : end;
    }
    return true;
}
