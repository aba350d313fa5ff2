/* tandem quantize: a smaller checkpoint, as a GGUF file or a folder for transformers. */
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/progress.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "cli/text_ids.h"
#include "kernels/convert.h"
#include "quantize/importance.h"
#include "quantize/quantize.h"

#include <dirent.h>
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

static bool is_empty_folder(const char *path)
{
    DIR *dir = opendir(path);
    size_t n = 0;
    for (struct dirent *e; dir && (e = readdir(dir));)
        n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
    if (dir)
        closedir(dir);
    return dir && !n;
}

static bool ends_in_gguf(const char *path)
{
    size_t length = strlen(path);
    return length > 5 && !strcmp(path + length - 5, ".gguf");
}

struct settings {
    const char *in, *out;
    const struct recipe *recipe;
    const char *calibrate; /* a text; NULL: none */
    size_t calibrate_tokens, n_threads;
    bool overwrite, json;
};

/* Bytes of the file, or of the folder's weights. */
static size_t bytes_on_disk(const char *path)
{
    struct stat st;
    char *weights = file_join(path, "model.safetensors");
    const char *file = file_is_directory(path) && weights ? weights : path;
    size_t bytes = stat(file, &st) ? 0 : (size_t)st.st_size;
    mem_free(weights);
    return bytes;
}

static void print_result(const struct settings *s, size_t before, size_t after, double seconds)
{
    struct strbuf text = {0};
    json_t *result = json_pack("{s:s, s:s, s:s, s:I, s:I, s:f}", "input", s->in, "output", s->out,
                               "type", s->recipe->name, "input_weight_bytes", (json_int_t)before,
                               "output_bytes", (json_int_t)after, "seconds", seconds);
    if (s->json) {
        json_write(&text, result, true);
        puts(strbuf_text(&text));
    } else {
        printf("%s: %.1f MB of weights -> %s, %.1f MB in %.1f s\n", s->out, (double)before / 1e6,
               s->recipe->name, (double)after / 1e6, seconds);
    }
    strbuf_free(&text);
    json_decref(result);
}

/* Whether the output may be made; says why not. An empty folder may be filled. */
static bool check_output(const struct settings *s)
{
    if (is_same_file(s->in, s->out))
        fprintf(stderr, "tandem: %s is both the input and the output\n", s->in);
    else if (recipe_is_folder(s->recipe) && file_exists(s->out) && !is_empty_folder(s->out))
        fprintf(stderr, "tandem: %s is there already; a folder is not replaced, remove it first\n",
                s->out);
    else if (!recipe_is_folder(s->recipe) && file_is_directory(s->out))
        fprintf(stderr, "tandem: %s is a folder; choose another name for the file\n", s->out);
    else if (!recipe_is_folder(s->recipe) && file_exists(s->out) && !s->overwrite)
        fprintf(stderr, "tandem: %s is there already; --overwrite replaces it\n", s->out);
    else
        return true;
    return false;
}

/* Quantizing twice loses twice; it is done all the same, since there may be nothing better. */
static void warn_of_quantized_input(const struct settings *s, const struct checkpoint *cp)
{
    for (size_t i = 0; i < checkpoint_tensor_count(cp); i++) {
        const struct tensor *t = checkpoint_tensor_at(cp, i);
        enum tensor_type to =
            t->n_dims > 1 ? recipe_type(s->recipe, checkpoint_hyperparameters(cp), t) : t->type;
        if (t->type <= TYPE_BF16 || to <= TYPE_BF16 || t->type == to)
            continue;
        fprintf(stderr,
                "tandem: %s is quantized already (%s); what that lost stays lost, and %s adds its "
                "own error: better start from the original\n",
                s->in, tensor_type_info(t->type)->name, s->recipe->name);
        return;
    }
}

static void show_windows(void *context, size_t done, size_t all)
{
    struct progress *bar = context;
    bar->total = all;
    progress_update(bar, done, "windows");
}

/* Has the model read the text. */
static enum status calibrate(const struct settings *s, struct importance **importance,
                             struct error *err)
{
    enum { WINDOW = 512 };
    struct model_options options = {.n_threads = s->n_threads};
    struct model *model;
    struct token_list ids = {0};
    struct progress bar = {.label = "calibrating"};
    struct importance_options how = {
        .progress = show_windows, .context = &bar, .cancel = &stop, .window = WINDOW};
    enum status status = model_open(s->in, &options, &model, err);
    if (status)
        return status;
    if (model_shape(model)->context_length < WINDOW)
        how.window = model_shape(model)->context_length;
    how.n_windows = (s->calibrate_tokens + how.window - 1) / how.window;
    status = text_ids_read(model_vocab(model), s->calibrate, &ids, NULL, err);
    if (!status && !ids.count)
        status = error_set(err, STATUS_INVALID, "%s has no tokens to calibrate with", s->calibrate);
    if (!status)
        status = importance_collect(model, ids.ids, ids.count, &how, importance, err);
    progress_finish(&bar);
    if (!status && !s->json)
        printf("calibrated on %zu of %zu tokens of %s\n", importance_tokens(*importance), ids.count,
               s->calibrate);
    token_list_free(&ids);
    model_close(model);
    return status;
}

static int run(const struct settings *s)
{
    struct error err = {0};
    struct checkpoint *cp;
    double start = clock_seconds();
    if (!check_output(s))
        return EXIT_FAILED;
    if (checkpoint_open(s->in, &cp, &err))
        return report_error(&err);
    if (checkpoint_hyperparameters(cp)) /* not a vocabulary alone */
        warn_of_quantized_input(s, cp);
    struct progress bar = {.label = "quantizing (MB)"};
    struct quantize_options options = {
        .n_threads = s->n_threads, .progress = show_progress, .context = &bar, .cancel = &stop};
    struct importance *importance = NULL;
    signal(SIGINT, on_interrupt);
    signal(SIGTERM, on_interrupt);
    enum status status = s->calibrate ? calibrate(s, &importance, &err) : STATUS_OK;
    options.importance = importance ? importance_of : NULL;
    options.importance_context = importance;
    if (!status)
        status = quantize_checkpoint(cp, s->out, s->recipe, &options, &err);
    progress_finish(&bar);
    if (!status)
        print_result(s, weight_bytes(cp), bytes_on_disk(s->out), clock_seconds() - start);
    importance_free(importance);
    checkpoint_close(cp);
    return status ? report_error(&err) : finish_output();
}

int command_quantize(int argc, char **argv)
{
    struct settings s = {.calibrate_tokens = 1 << 16};
    const struct option options[] = {
        {"type", 0, OPTION_RECIPE, &s.recipe, "T", "the type of the weights (required): see above"},
        {"calibrate", 0, OPTION_STRING, &s.calibrate, "FILE",
         "a text (FILE.jsonl: lines with \"messages\" or \"text\") that tells which weights "
         "matter"},
        {"calibrate-tokens", 0, OPTION_SIZE, &s.calibrate_tokens, "N",
         "read so many tokens of it, in whole windows (65536)"},
        {"overwrite", 0, OPTION_FLAG, &s.overwrite, NULL, "replace OUT.gguf if it is there"},
        {"threads", 't', OPTION_THREADS, &s.n_threads, "N", "threads (all CPUs)"},
        {"json", 0, OPTION_FLAG, &s.json, NULL, "print JSON"},
        {0}};
    char summary[600];
    snprintf(summary, sizeof summary,
             "Writes a checkpoint (folder or .gguf) with weights of another type, one of\n%s.\n"
             "NF4, NF4-DQ (double quantization), FP4 and INT8 (LLM.int8()) make a folder as\n"
             "transformers stores what bitsandbytes quantized; the others a GGUF file, which also\n"
             "loads in llama.cpp.",
             recipe_names());
    const struct usage usage = {"quantize",
                                "IN OUT",
                                summary,
                                options,
                                2,
                                3,
                                "  tandem quantize models/qwen qwen-q4.gguf --type Q4_K_M\n"
                                "  tandem quantize models/qwen qwen-nf4 --type nf4-dq\n"
                                "  tandem quantize models/qwen q4.gguf --type q4_0 "
                                "--calibrate chats.jsonl\n",
                                .n_models = 1};
    struct args args;
    int status = args_parse(&usage, argc, argv, &args);
    if (status != ARGS_OK)
        return status;
    s.in = args.operands[0];
    s.out = args.operands[1];
    if (args.n_operands > 2)
        status = args_wrong(&usage, "one argument too many: %s%s", args.operands[2],
                            recipe_find(args.operands[2]) ? "; a type is given as --type" : "");
    else if (!s.recipe)
        status = args_wrong(&usage, "--type is missing: one of %s", recipe_names());
    else if (recipe_is_folder(s.recipe) == ends_in_gguf(s.out))
        status = args_wrong(&usage, "%s makes a %s: %s %s in .gguf", s.recipe->name,
                            recipe_is_folder(s.recipe) ? "folder" : "GGUF file", s.out,
                            ends_in_gguf(s.out) ? "ends" : "does not end");
    else if (s.calibrate && !convert_weighs(s.recipe->base))
        status = args_wrong(&usage, "--calibrate changes nothing in %s", s.recipe->name);
    else if (!s.calibrate_tokens)
        status = args_wrong(&usage, "--calibrate-tokens 0: at least one is needed");
    else
        status = run(&s);
    args_free(&args);
    return status;
}
