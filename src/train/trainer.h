/* A training run from beginning to end: data, steps, evaluation, checkpoints, and the result.
 *
 * In the folder `out` it writes train.jsonl (one line per event), training.state (from which an
 * interrupted run goes on exactly), and at the end the model's files or the adapter. The same
 * options and seed give the same losses, whether interrupted or not.
 */
#ifndef TANDEM_TRAIN_TRAINER_H
#define TANDEM_TRAIN_TRAINER_H

#include "train/network.h"
#include "train/optimizer.h"

#include <signal.h>

struct train_progress {
    size_t step, steps;
    double loss;      /* of the last step; mean over learned tokens */
    double eval_loss; /* the latest; NaN before the first */
    double tokens_per_second;
    bool evaluated; /* at this step */
    bool saved;     /* at this step */
};

struct trainer_options {
    const char *model; /* folder or .gguf; a folder without weights starts from random ones */
    const char *data, *eval, *out; /* eval may be NULL */
    bool from_scratch;             /* random weights even if the model has some */
    bool resume;                   /* go on from out/training.state */
    size_t epochs;                 /* sets optimizer.steps where that is 0 */
    size_t batch_tokens;           /* rows in a step */
    size_t micro_tokens;           /* most rows in memory at a time; 0: at most 4096 */
    size_t max_length;             /* longer examples are left out; 0: what the model and
                                      micro_tokens allow */
    size_t stop_after; /* write the result after so many steps of the schedule, and keep the state;
                          0: at its end */
    size_t eval_every, save_every; /* steps; 0: never (evaluation: only at the end) */
    size_t threads;                /* 0: all */
    bool bf16;                     /* products in BF16 with F32 sums: mixed precision */
    uint64_t seed;
    enum tensor_type type; /* of the written model */
    struct optimizer_options optimizer;
    const struct lora_options *lora;   /* rank and alpha; NULL: train everything */
    const char *lora_targets;          /* "q_proj,v_proj"; NULL: all linear maps */
    const volatile sig_atomic_t *stop; /* becomes non-zero: save, and return STATUS_CANCELLED */
    void (*report)(void *context, const struct train_progress *progress); /* every step; or NULL */
    void *context;
};

struct trainer_result {
    size_t step, parameters, trained_parameters, tokens;
    size_t n_examples, n_too_long, n_empty, longest;
    size_t n_eval_examples;
    double loss, eval_loss; /* NaN: none */
    double seconds, tokens_per_second;
    size_t memory; /* bytes of network, optimizer and data */
};

enum status trainer_run(const struct trainer_options *options, struct trainer_result *result,
                        struct error *err);

#endif
