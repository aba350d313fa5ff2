/* tandem merge: a model and its adapters become one model. */
#include "cli/adapters.h"
#include "cli/commands.h"
#include "train/merge.h"

#include <stdio.h>
#include <string.h>

static int merge(const struct args *args, enum tensor_type type, const char *out, bool quiet)
{
    size_t n = args->n_operands - 1, n_merged;
    struct error err = {0};
    struct adapter_list adapters = {0};
    enum status status = adapters_add(&adapters, args->operands + 1, n, &err);
    if (!status)
        status = merge_adapters(args->operands[0], adapters.items, n, type, out, &n_merged, &err);
    adapters_clear(&adapters);
    if (status)
        return report_error(&err);
    if (!quiet)
        printf("%s: %zu weights changed by %zu adapter%s\n", out, n_merged, n, n == 1 ? "" : "s");
    return finish_output();
}

int command_merge(int argc, char **argv)
{
    const char *out = NULL, *type_name = "bf16";
    enum tensor_type type;
    bool quiet = false;
    const struct option options[] = {
        {"out", 'o', OPTION_STRING, &out, "DIR", "the merged model's folder"},
        {"dtype", 0, OPTION_STRING, &type_name, "T", "of its weights: bf16 or f32 (bf16)"},
        {"quiet", 'q', OPTION_FLAG, &quiet, NULL, "print nothing but errors"},
        {0}};
    struct usage usage = {
        "merge",
        "BASE ADAPTER[=SCALE]... --out DIR",
        "Add LoRA adapters (PEFT folders) to the weights of a model (a Hugging Face folder).",
        options,
        2,
        64,
        "  tandem merge my-model my-adapter --out merged\n"
        "  tandem merge my-model style=0.5 facts --out merged\n",
        .n_models = 1};
    struct args args;
    int status = args_parse(&usage, argc, argv, &args);
    if (status != ARGS_OK)
        return status;
    if (!out || !strcmp(out, args.operands[0]))
        status = args_wrong(&usage,
                            out ? "--out must be another folder than BASE" : "--out DIR is needed");
    else if (!tensor_type_parse(type_name, &type) || (type != TYPE_F32 && type != TYPE_BF16))
        status = args_wrong(&usage, "--dtype %s: expected bf16 or f32", type_name);
    else
        status = merge(&args, type, out, quiet);
    args_free(&args);
    return status;
}
