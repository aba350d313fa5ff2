/* Compares two models: asks both every item of a suite, judges, measures, keeps what was done.
 *
 * One model after the other, each in a process of its own (respondent.h), one request at a time,
 * so that what is timed is the model alone. Answers are appended to <folder>/answers.jsonl as they
 * come, so that whatever happens later they are there.
 *
 *     struct comparison c = {.n_threads = 2, .context_length = 4096};
 *     struct compare_options options = {.models = {a, b}, .suite = "core", .folder = folder};
 *     if (!compare_run(&options, &c, &err))
 *         report_write(&c, folder, &err);
 *     comparison_free(&c);
 */
#ifndef TANDEM_EVAL_COMPARE_H
#define TANDEM_EVAL_COMPARE_H

#include "eval/comparison.h"

struct compare_options {
    const char *models[N_SIDES];
    const struct adapter_choice *adapters[N_SIDES]; /* [n_adapters], added to the models */
    size_t n_adapters[N_SIDES];
    const struct recipe *quantize[N_SIDES]; /* the weights as they are loaded; may be NULL */
    const char *speculate;                  /* as in struct engine_options; may be NULL */
    const char *draft[N_SIDES];             /* likewise */
    const char *suite;                      /* a name or a path, for suite_open */
    const char *folder;                     /* exists; answers.jsonl is made in it */
    const struct responder *responder;      /* NULL: the engine */
    const volatile sig_atomic_t *stop; /* NULL, or becomes non-zero when the user wants to stop */
};

/* Takes from *c what was asked for (max_tokens and what follows) and fills in the rest. A model
 * that fails, a stop, and an answers.jsonl that could not be written to its end are part of the
 * result and not errors. Errors: the suite, the folder, memory. In every case comparison_free()
 * is due. The calling process must have one thread. */
enum status compare_run(const struct compare_options *options, struct comparison *c,
                        struct error *err);

#endif
