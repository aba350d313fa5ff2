/* tandem: picks the subcommand. */
#include "base/cpu.h"
#include "base/error.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "kernels/kernels.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
#define TABLE_ENTRY(name, function, help) {name, function, help},
    TANDEM_COMMANDS(TABLE_ENTRY)
#undef TABLE_ENTRY
        {0}};

static void print_overview(FILE *out)
{
    fputs("tandem: runs, compares and serves small language models (Qwen2.5, Phi-3)\n\n"
          "usage: tandem COMMAND ...    (tandem COMMAND --help tells more)\n\n",
          out);
    for (size_t i = 0; commands[i].name; i++)
        fprintf(out, "  %-16s %s\n", commands[i].name, commands[i].help);
    fputs("\nMODEL is a folder of a Hugging Face checkpoint, a .gguf file, or a name that\n"
          "`tandem models` lists.\n",
          out);
}

static int print_version(void)
{
    const struct kernels *kernels;
    struct error err = {0};
    char cpu[128];
    if (kernels_select(NULL, &kernels, &err))
        return report_error(&err);
    cpu_model_name(cpu, sizeof cpu);
    printf("tandem %s, kernels: %s, CPUs: %zu (%s)\n", TANDEM_VERSION, kernels->name, cpu_count(),
           cpu);
    return finish_output();
}

static int run_command(const char *name, int argc, char **argv)
{
    for (size_t i = 0; commands[i].name; i++)
        if (!strcmp(name, commands[i].name))
            return commands[i].run(argc, argv);

    fprintf(stderr, "tandem: there is no command \"%s\"\n\n", name);
    print_overview(stderr);
    return EXIT_USAGE;
}

/* `tandem help run` is `tandem run --help`. */
static int help(int argc, char **argv)
{
    char option[] = "--help", *words[] = {argv[argc - 1], option, NULL};
    if (argc > 2)
        return run_command(words[0], 2, words);
    print_overview(stdout);
    return finish_output();
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        print_overview(stderr);
        return EXIT_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))
        return help(argc, argv);
    if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "version"))
        return print_version();
    return run_command(argv[1], argc - 1, argv + 1);
}
