#include "train/optimizer.h"
#include "base/size.h"
#include "train/ops.h"

#include <math.h>

enum { NORM_BLOCK = 4096 };

const struct optimizer_options optimizer_defaults = {.rate = 1e-3,
                                                     .final_rate = 0.1,
                                                     .beta1 = 0.9,
                                                     .beta2 = 0.95,
                                                     .epsilon = 1e-8,
                                                     .weight_decay = 0.1,
                                                     .clip = 1};

static size_t n_blocks(const struct parameters *p)
{
    return (p->total + NORM_BLOCK - 1) / NORM_BLOCK;
}

enum status optimizer_create(struct parameters *parameters, const struct gemm *gemm,
                             struct optimizer *o, struct error *err)
{
    *o = (struct optimizer){.parameters = parameters, .gemm = gemm};
    o->mean = mem_aligned(64, parameters->total, sizeof *o->mean);
    o->spread = mem_aligned(64, parameters->total, sizeof *o->spread);
    o->partial = mem_array(n_blocks(parameters), sizeof *o->partial);
    if (o->mean && o->spread && o->partial)
        return STATUS_OK;
    optimizer_free(o);
    return error_memory(err, "the optimizer's moments");
}

void optimizer_free(struct optimizer *o)
{
    mem_free(o->mean);
    mem_free(o->spread);
    mem_free(o->partial);
    *o = (struct optimizer){0};
}

double schedule_rate(const struct optimizer_options *o, size_t step)
{
    if (step < o->warmup)
        return o->rate * (double)(step + 1) / (double)o->warmup;
    if (step >= o->steps)
        return o->rate * o->final_rate;
    double course = (double)(step - o->warmup) / (double)(o->steps - o->warmup);
    return o->rate * (o->final_rate + (1 - o->final_rate) * 0.5 * (1 + cos(M_PI * course)));
}

static void sum_blocks(void *context, size_t begin, size_t end)
{
    struct optimizer *o = context;
    const struct parameters *p = o->parameters;
    for (size_t i = begin; i < end; i++) {
        size_t at = i * NORM_BLOCK, n = size_min(p->total - at, NORM_BLOCK);
        o->partial[i] = o->gemm->kernels->square_sum(p->gradients + at, n);
    }
}

static double gradient_norm(struct optimizer *o)
{
    double sum = 0;
    ops_parallel(o->gemm->pool, n_blocks(o->parameters), 1, sum_blocks, o);
    for (size_t i = 0; i < n_blocks(o->parameters); i++)
        sum += o->partial[i];
    return sqrt(sum);
}

struct update {
    struct optimizer *optimizer;
    struct adamw_step step;
    size_t offset; /* of the parameter */
};

static void update_range(void *context, size_t begin, size_t end)
{
    const struct update *u = context;
    const struct optimizer *o = u->optimizer;
    size_t at = u->offset + begin;
    o->gemm->kernels->adamw(&u->step, o->parameters->values + at, o->parameters->gradients + at,
                            o->mean + at, o->spread + at, end - begin);
}

static void clear_range(void *context, size_t begin, size_t end)
{
    real *gradients = context;
    for (size_t i = begin; i < end; i++)
        gradients[i] = 0;
}

enum status optimizer_step(struct optimizer *o, const struct optimizer_options *options,
                           double rate, double *norm, struct error *err)
{
    struct parameters *p = o->parameters;
    *norm = gradient_norm(o);
    if (!isfinite(*norm))
        return error_set(err, STATUS_INVALID,
                         "step %zu: the gradient is not finite; try a lower learning rate or a "
                         "longer warm-up",
                         o->step + 1);
    double t = (double)++o->step;
    struct update u = {.optimizer = o};
    u.step = (struct adamw_step){.rate = (real)rate,
                                 .beta1 = (real)options->beta1,
                                 .beta2 = (real)options->beta2,
                                 .epsilon = (real)options->epsilon,
                                 .correction1 = (real)(1 - pow(options->beta1, t)),
                                 .correction2 = (real)(1 - pow(options->beta2, t)),
                                 .gradient_scale = 1};
    if (options->clip > 0 && *norm > options->clip)
        u.step.gradient_scale = (real)(options->clip / *norm);
    for (size_t i = 0; i < p->count; i++) {
        u.offset = p->table[i].offset;
        u.step.decay = p->table[i].decays ? (real)(rate * options->weight_decay) : 0;
        ops_parallel(o->gemm->pool, p->table[i].count, 64, update_range, &u);
    }
    ops_parallel(o->gemm->pool, p->total, 64, clear_range, p->gradients);
    return STATUS_OK;
}
