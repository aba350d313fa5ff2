/* The trainer's network in double, for tests/train_reference.py to compare with NumPy:
 *
 *     train_oracle MODEL EXAMPLES STEPS OUT
 *
 * EXAMPLES: text, one example per line: token ids, a '|', targets (-1: not learned). All lines are
 * one batch. OUT receives, as float64: the gradients of the mean loss in the order of the printed
 * names, then the loss before each of STEPS updates. */
#include "base/memory.h"
#include "train/network.h"
#include "train/optimizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ROWS = 1024, MAX_EXAMPLES = 64 };

struct examples {
    int32_t tokens[MAX_ROWS], targets[MAX_ROWS];
    size_t starts[MAX_EXAMPLES + 1], n_examples, n_rows, n_learned;
};

static bool read_examples(const char *path, struct examples *e)
{
    static char line[1 << 16];
    FILE *f = fopen(path, "r");
    if (!f)
        return false;
    while (fgets(line, sizeof line, f)) {
        char *p = line, *bar = strchr(line, '|');
        size_t row = e->n_rows;
        while (bar && p < bar && e->n_rows < MAX_ROWS)
            e->tokens[e->n_rows++] = (int32_t)strtol(p, &p, 10), p += strspn(p, " ");
        p = bar + 1;
        for (; row < e->n_rows; row++) {
            e->targets[row] = (int32_t)strtol(p, &p, 10);
            e->n_learned += e->targets[row] != NOT_LEARNED;
        }
        e->starts[++e->n_examples] = e->n_rows;
    }
    fclose(f);
    return true;
}

static int fail(const struct error *err)
{
    fprintf(stderr, "train_oracle: %s\n", err->message);
    return 1;
}

static int train(struct network *network, const struct examples *e, size_t steps, FILE *out,
                 struct error *err)
{
    struct batch batch = {e->n_rows, e->n_examples, e->tokens, e->targets, e->starts};
    struct parameters *p = network_parameters(network);
    struct optimizer_options options = optimizer_defaults;
    struct optimizer optimizer;
    options.warmup = 3;
    options.steps = steps;
    options.rate = 3e-3;
    if (optimizer_create(p, network_gemm(network), &optimizer, err))
        return fail(err);
    for (size_t i = 0; i < steps; i++) {
        double norm, factor = 1 / (double)e->n_learned;
        double loss = network_train(network, &batch, factor) * factor;
        if (i == 0)
            fwrite(p->gradients, sizeof *p->gradients, p->total, out);
        fwrite(&loss, sizeof loss, 1, out);
        if (optimizer_step(&optimizer, &options, schedule_rate(&options, i), &norm, err))
            return fail(err);
    }
    optimizer_free(&optimizer);
    return 0;
}

int main(int argc, char **argv)
{
    static struct examples examples;
    struct checkpoint *cp;
    struct weights weights;
    struct network *network;
    const struct kernels *kernels;
    struct error err = {0};
    if (argc != 5 || !read_examples(argv[2], &examples))
        return 2;
    if (kernels_select("scalar", &kernels, &err) || checkpoint_open(argv[1], &cp, &err) ||
        weights_bind(cp, kernels, &weights, &err))
        return fail(&err);
    struct network_options options = {.shape = checkpoint_hyperparameters(cp),
                                      .max_rows = MAX_ROWS};
    if (network_create(&options, &network, &err))
        return fail(&err);
    network_load(network, &weights, kernels);
    const struct parameters *p = network_parameters(network);
    for (size_t i = 0; i < p->count; i++)
        printf("%s %zu\n", p->table[i].name, p->table[i].count);
    FILE *out = fopen(argv[4], "wb");
    int status = out ? train(network, &examples, strtoul(argv[3], NULL, 10), out, &err) : 2;
    if (out)
        fclose(out);
    network_free(network);
    weights_free(&weights);
    checkpoint_close(cp);
    return status;
}
