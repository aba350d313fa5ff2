/* tandem quantize: a smaller checkpoint, as a GGUF file. */
#include "base/clock.h"
#include "base/file.h"
#include "base/progress.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "quantize/quantize.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static atomic_bool stop;

static void on_interrupt(int signal)
{
    (void)signal;
    atomic_store(&stop, true);
}

static void show_progress(void *context, size_t done, size_t all, const char *tensor)
{
    struct progress *bar = context;
    bar->total = all >> 20;
    progress_update(bar, done >> 20, tensor);
}

static size_t weight_bytes(const struct checkpoint *cp)
{
    size_t total = 0;
    for (size_t i = 0; i < checkpoint_tensor_count(cp); i++)
        total += checkpoint_tensor_at(cp, i)->bytes;
    return total;
}

static bool is_same_file(const char *a, const char *b)
{
    struct stat x, y;
    return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static bool ends_in_gguf(const char *path)
{
    size_t length = strlen(path);
    return length > 5 && !strcmp(path + length - 5, ".gguf");
}

static int run(const char *in, const char *out, const char *type, size_t n_threads, bool overwrite)
{
    struct error err = {0};
    struct checkpoint *cp;
    double start = clock_seconds();
    if (is_same_file(in, out)) {
        fprintf(stderr, "tandem: %s is both the input and the output\n", in);
        return EXIT_FAILED;
    }
    if (file_exists(out) && !overwrite) {
        fprintf(stderr, "tandem: %s is there already; --overwrite replaces it\n", out);
        return EXIT_FAILED;
    }
    if (checkpoint_open(in, &cp, &err))
        return report_error(&err);
    struct progress bar = {.label = "quantizing (MB)"};
    struct quantize_options options = {
        .n_threads = n_threads, .progress = show_progress, .context = &bar, .cancel = &stop};
    signal(SIGINT, on_interrupt);
    enum status status = quantize_checkpoint(cp, out, recipe_find(type), &options, &err);
    progress_finish(&bar);
    struct stat st;
    if (!status && !stat(out, &st))
        printf("%s: %.1f MB of weights -> %s, %.1f MB in %.1f s\n", out,
               (double)weight_bytes(cp) / 1e6, type, (double)st.st_size / 1e6,
               clock_seconds() - start);
    checkpoint_close(cp);
    return status ? report_error(&err) : finish_output();
}

int command_quantize(int argc, char **argv)
{
    const char *type = NULL;
    size_t n_threads = 0;
    bool overwrite = false;
    const struct option options[] = {
        {"type", 0, OPTION_STRING, &type, "T", "the type of the weights (required): see above"},
        {"overwrite", 0, OPTION_FLAG, &overwrite, NULL, "replace OUT.gguf if it is there"},
        {"threads", 't', OPTION_SIZE, &n_threads, "N", "threads (all CPUs)"},
        {0}};
    char summary[300];
    snprintf(summary, sizeof summary,
             "Writes a checkpoint (folder or .gguf) as a GGUF file with weights of another type,\n"
             "one of %s.\nThe file also loads in llama.cpp.",
             recipe_names());
    const struct usage usage = {"quantize",
                                "IN OUT.gguf",
                                summary,
                                options,
                                2,
                                2,
                                "  tandem quantize models/qwen qwen-q4.gguf --type Q4_K_M\n",
                                .n_models = 1};
    struct args args;
    int status = args_parse(&usage, argc, argv, &args);
    if (status != ARGS_OK)
        return status;
    if (!type)
        status = args_wrong(&usage, "--type is missing: one of %s", recipe_names());
    else if (!ends_in_gguf(args.operands[1]))
        status = args_wrong(&usage, "%s does not end in .gguf", args.operands[1]);
    else
        status = run(args.operands[0], args.operands[1], type, n_threads, overwrite);
    args_free(&args);
    return status;
}
