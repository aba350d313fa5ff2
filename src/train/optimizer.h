/* AdamW with decoupled weight decay, clipping by the global norm, and the learning rate's course:
 * linear warm-up, then a cosine down to a share of the peak.
 *
 *     rate = schedule_rate(&options, step);
 *     optimizer_step(&optimizer, &options, rate, &norm, &err);   also clears the gradients
 */
#ifndef TANDEM_TRAIN_OPTIMIZER_H
#define TANDEM_TRAIN_OPTIMIZER_H

#include "kernels/gemm.h"
#include "train/parameters.h"

struct optimizer_options {
    double rate;       /* peak learning rate */
    double final_rate; /* share of the peak at the end */
    size_t warmup, steps;
    double beta1, beta2, epsilon;
    double weight_decay; /* of matrices; norms and biases do not decay */
    double clip;         /* largest norm of the gradient; 0: no bound */
};
extern const struct optimizer_options optimizer_defaults;

struct optimizer {
    struct parameters *parameters;
    const struct gemm *gemm; /* kernels and threads */
    real *mean, *spread;     /* [total] first and second moments */
    double *partial;         /* sums of squares of blocks */
    size_t step;             /* updates made */
};

enum status optimizer_create(struct parameters *parameters, const struct gemm *gemm,
                             struct optimizer *optimizer, struct error *err);
void optimizer_free(struct optimizer *optimizer);

/* The rate of update number `step`, counted from 0. */
double schedule_rate(const struct optimizer_options *options, size_t step);
/* One update. *norm: the gradient's before clipping; when it is not finite nothing is updated and
 * the error says so. */
enum status optimizer_step(struct optimizer *optimizer, const struct optimizer_options *options,
                           double rate, double *norm, struct error *err);

#endif
