/* tandem inspect: what is in a checkpoint. */
#include "base/json.h"
#include "base/memory.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "formats/checkpoint.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- what both forms of output say ---- */

static const char *family_name(enum family family)
{
    return family == FAMILY_QWEN2 ? "qwen2" : "phi3";
}

static const char *rope_name(enum rope_kind kind)
{
    static const char *const names[] = {[ROPE_DEFAULT] = "default",
                                        [ROPE_LINEAR] = "linear",
                                        [ROPE_YARN] = "yarn",
                                        [ROPE_LONGROPE] = "longrope"};
    return names[kind];
}

static const char *format_name(const struct checkpoint *cp)
{
    return checkpoint_format(cp) == CHECKPOINT_GGUF ? "GGUF" : "safetensors";
}

static size_t count_elements(const struct tensor *t)
{
    const struct tensor_type_info *info = tensor_type_info(t->type);
    return t->bytes / info->block_bytes * info->block_length;
}

struct total {
    size_t tensors, elements, bytes;
};

/* Sums over all tensors, and by type. */
static struct total add_up(const struct checkpoint *cp, struct total by_type[TYPE_COUNT])
{
    struct total all = {0};
    for (size_t i = 0; i < checkpoint_tensor_count(cp); i++) {
        const struct tensor *t = checkpoint_tensor_at(cp, i);
        struct total *of[] = {&all, &by_type[t->type]};
        for (int j = 0; j < 2; j++) {
            of[j]->tensors++;
            of[j]->elements += count_elements(t);
            of[j]->bytes += t->bytes;
        }
    }
    return all;
}

/* ---- JSON ---- */

static void set_size(json_t *object, const char *key, size_t value)
{
    json_object_set_new(object, key, json_integer((json_int_t)value));
}

static void set_string(json_t *object, const char *key, const char *value)
{
    json_t *text = json_string(value);
    json_object_set_new(object, key, text ? text : json_string("(not valid UTF-8)"));
}

static json_t *rope_to_json(const struct rope_parameters *rope)
{
    json_t *object = json_object();
    set_string(object, "type", rope_name(rope->kind));
    json_object_set_new(object, "theta", json_real(rope->theta));
    set_size(object, "rotary_dim", rope->rotary_dim);
    if (rope->kind != ROPE_DEFAULT)
        json_object_set_new(object, "factor", json_real(rope->factor));
    if (rope->kind == ROPE_YARN || rope->kind == ROPE_LONGROPE)
        set_size(object, "original_context", rope->original_context);
    return object;
}

static json_t *shape_to_json(const struct hyperparameters *h)
{
    json_t *object = json_object();
    set_string(object, "family", family_name(h->family));
    set_size(object, "dim", h->dim);
    set_size(object, "ffn_dim", h->ffn_dim);
    set_size(object, "layers", h->n_layers);
    set_size(object, "heads", h->n_heads);
    set_size(object, "kv_heads", h->n_kv_heads);
    set_size(object, "head_dim", h->head_dim);
    set_size(object, "vocab_size", h->vocab_size);
    set_size(object, "context_length", h->context_length);
    set_size(object, "sliding_window", h->sliding_window);
    set_size(object, "first_window_layer", h->first_window_layer);
    json_object_set_new(object, "rms_norm_eps", json_real(h->rms_norm_eps));
    json_object_set_new(object, "tied_embeddings", json_boolean(h->tied_embeddings));
    json_object_set_new(object, "rope", rope_to_json(&h->rope));
    return object;
}

static json_t *files_to_json(const struct checkpoint *cp)
{
    json_t *list = json_array();
    for (size_t i = 0; i < checkpoint_file_count(cp); i++) {
        size_t bytes;
        json_t *file = json_object();
        set_string(file, "path", checkpoint_file(cp, i, &bytes));
        set_size(file, "bytes", bytes);
        json_array_append_new(list, file);
    }
    return list;
}

static json_t *tensors_to_json(const struct checkpoint *cp)
{
    json_t *list = json_array();
    for (size_t i = 0; i < checkpoint_tensor_count(cp); i++) {
        const struct tensor *t = checkpoint_tensor_at(cp, i);
        json_t *object = json_object(), *shape = json_array();
        for (size_t j = 0; j < t->n_dims; j++)
            json_array_append_new(shape, json_integer((json_int_t)t->shape[j]));
        set_string(object, "name", t->name);
        set_string(object, "type", tensor_type_info(t->type)->name);
        json_object_set_new(object, "shape", shape);
        set_size(object, "bytes", t->bytes);
        set_string(object, "file", t->file);
        set_size(object, "offset", t->offset);
        json_array_append_new(list, object);
    }
    return list;
}

static json_t *eos_to_json(const struct checkpoint *cp)
{
    const struct generation_defaults *g = checkpoint_generation(cp);
    json_t *list = json_array();
    for (size_t i = 0; i < g->n_eos_ids; i++)
        json_array_append_new(list, json_integer(g->eos_ids[i]));
    return list;
}

static void collect_metadata(void *context, const char *key, const char *value)
{
    set_string(context, key, value);
}

static int print_json(const struct checkpoint *cp)
{
    const struct hyperparameters *h = checkpoint_hyperparameters(cp);
    struct total by_type[TYPE_COUNT] = {0}, all = add_up(cp, by_type);
    struct strbuf text = {0};
    json_t *object = json_object(), *metadata = json_object();
    checkpoint_metadata(cp, collect_metadata, metadata);
    set_string(object, "name", checkpoint_name(cp));
    set_string(object, "path", checkpoint_path(cp));
    set_string(object, "format", format_name(cp));
    json_object_set_new(object, "model", h ? shape_to_json(h) : json_null());
    set_size(object, "parameters", all.elements);
    set_size(object, "weight_bytes", all.bytes);
    set_size(object, "vocabulary_tokens", checkpoint_vocab(cp)->n_tokens);
    json_object_set_new(object, "eos_token_ids", eos_to_json(cp));
    json_object_set_new(object, "files", files_to_json(cp));
    json_object_set_new(object, "metadata", metadata);
    json_object_set_new(object, "tensors", tensors_to_json(cp));
    json_write(&text, object, true);
    json_decref(object);
    puts(strbuf_text(&text));
    strbuf_free(&text);
    return finish_output();
}

/* ---- for people ---- */

static void print_bytes(size_t bytes)
{
    if (bytes >= 1000000000)
        printf("%.2f GB", (double)bytes / 1e9);
    else if (bytes >= 1000000)
        printf("%.1f MB", (double)bytes / 1e6);
    else
        printf("%.1f kB", (double)bytes / 1e3);
}

static void print_rope(const struct rope_parameters *rope)
{
    printf("  RoPE           base %g, %zu rotary dimensions", rope->theta, rope->rotary_dim);
    if (rope->kind != ROPE_DEFAULT)
        printf(", %s by %g", rope_name(rope->kind), rope->factor);
    if (rope->kind == ROPE_YARN || rope->kind == ROPE_LONGROPE)
        printf(" from %zu tokens", rope->original_context);
    putchar('\n');
}

static void print_shape(const struct hyperparameters *h)
{
    printf("  architecture   %s\n", family_name(h->family));
    printf("  layers         %zu\n", h->n_layers);
    printf("  dimension      %zu, feed-forward %zu\n", h->dim, h->ffn_dim);
    printf("  attention      %zu heads of %zu, %zu for keys and values\n", h->n_heads, h->head_dim,
           h->n_kv_heads);
    if (h->sliding_window)
        printf("  window         %zu tokens, from layer %zu on\n", h->sliding_window,
               h->first_window_layer);
    printf("  context        %zu tokens\n", h->context_length);
    print_rope(&h->rope);
    printf("  vocabulary     %zu%s\n", h->vocab_size,
           h->tied_embeddings ? ", embedding and output tied" : "");
}

static void print_weights(const struct checkpoint *cp)
{
    struct total by_type[TYPE_COUNT] = {0}, all = add_up(cp, by_type);
    if (!all.tensors) {
        puts("  weights        none");
        return;
    }
    printf("  weights        %.4g million parameters in %zu tensors, ", (double)all.elements / 1e6,
           all.tensors);
    print_bytes(all.bytes);
    putchar('\n');
    for (int i = 0; i < TYPE_COUNT; i++) {
        if (!by_type[i].tensors)
            continue;
        printf("    %-6s       %zu tensors, ", tensor_type_info((enum tensor_type)i)->name,
               by_type[i].tensors);
        print_bytes(by_type[i].bytes);
        putchar('\n');
    }
}

static void print_files(const struct checkpoint *cp)
{
    puts("\nfiles");
    for (size_t i = 0; i < checkpoint_file_count(cp); i++) {
        size_t bytes;
        const char *path = checkpoint_file(cp, i, &bytes);
        printf("  %s, ", path);
        print_bytes(bytes);
        putchar('\n');
    }
}

/* One line, without what would steer a terminal; long values are cut, visibly. */
static void print_metadata(void *context, const char *key, const char *value)
{
    enum { WIDTH = 90 };
    (void)context;
    printf("  %s: ", key);
    size_t n = 0;
    for (; value[n] && (n < WIDTH || ((unsigned char)value[n] & 0xC0) == 0x80); n++) {
        unsigned char c = (unsigned char)value[n];
        putchar(c < ' ' || c == 127 ? ' ' : c);
    }
    puts(value[n] ? " ..." : "");
}

static void print_tensors(const struct checkpoint *cp)
{
    puts("\ntensors");
    for (size_t i = 0; i < checkpoint_tensor_count(cp); i++) {
        const struct tensor *t = checkpoint_tensor_at(cp, i);
        char shape[100] = "";
        for (size_t j = 0, n = 0; j < t->n_dims && n < sizeof shape; j++)
            n += (size_t)snprintf(shape + n, sizeof shape - n, j ? " x %zu" : "%zu", t->shape[j]);
        printf("  %-52s %-5s %16s %12zu bytes\n", t->name, tensor_type_info(t->type)->name, shape,
               t->bytes);
    }
}

static int print_text(const struct checkpoint *cp, bool tensors)
{
    printf("%s (%s)\n", checkpoint_name(cp), format_name(cp));
    if (checkpoint_hyperparameters(cp))
        print_shape(checkpoint_hyperparameters(cp));
    if (checkpoint_vocab(cp)->n_tokens)
        printf("  tokens         %zu in the vocabulary\n", checkpoint_vocab(cp)->n_tokens);
    print_weights(cp);
    if (checkpoint_file_count(cp))
        print_files(cp);
    puts("\nmetadata");
    checkpoint_metadata(cp, print_metadata, NULL);
    if (tensors)
        print_tensors(cp);
    return finish_output();
}

int command_inspect(int argc, char **argv)
{
    bool json = false, tensors = false, vocabulary = false;
    const struct option options[] = {
        {"tensors", 't', OPTION_FLAG, &tensors, NULL, "list all tensors"},
        {"vocab", 0, OPTION_FLAG, &vocabulary, NULL,
         "need no weights: a tokenizer's folder, or a GGUF file of a vocabulary"},
        {"json", 0, OPTION_FLAG, &json, NULL, "print all of it as JSON"},
        {0}};
    const struct usage usage = {"inspect",
                                "MODEL",
                                "Says what is in a checkpoint: architecture, shape, types and "
                                "sizes of its tensors,\nfiles, metadata. Checks the files' "
                                "structure; reads no weights.",
                                options,
                                1,
                                1,
                                "  tandem inspect models/Qwen2.5-7B-Instruct\n"
                                "  tandem inspect phi-3-mini-q4.gguf --tensors\n",
                                .n_models = 1};
    struct args args;
    struct checkpoint *cp;
    struct error err = {0};
    int exit_status = args_parse(&usage, argc, argv, &args);
    if (exit_status != ARGS_OK)
        return exit_status;
    enum status status = vocabulary ? checkpoint_open_vocabulary(args.operands[0], &cp, &err)
                                    : checkpoint_open(args.operands[0], &cp, &err);
    args_free(&args);
    if (status)
        return report_error(&err);
    exit_status = json ? print_json(cp) : print_text(cp, tensors);
    checkpoint_close(cp);
    return exit_status;
}
