/* Attention over the KV cache, with an online softmax.
 *
 * The unit of work is (row, KV head). The keys are visited page by page, and the pages' borders
 * are fixed multiples of PAGE_POSITIONS, so the sums' order depends on the row's position alone.
 * Softmax is accumulated as in Milakov and Gimelshein, "Online normalizer calculation for
 * softmax" (2018): a running maximum m and sum s; when m grows, s and the output are scaled. */
#include "model/model_internal.h"

#include <math.h>
#include <string.h>

struct job {
    const struct model *model;
    const struct kv_cache *cache;
    const struct row *rows;
    size_t n, layer;
};

struct head {
    const float *q;
    float *out; /* [head_dim] */
    float max, sum;
};

/* One head against the positions [begin, end) of one page. */
static void attend_page(const struct job *job, struct head *head, const void *keys,
                        const void *values, size_t count)
{
    const struct kernels *k = job->model->compute.kernels;
    const struct hyperparameters *s = job->model->shape;
    float scores[PAGE_POSITIONS];
    size_t stride = kv_row_bytes(job->cache);
    enum tensor_type type = kv_type(job->cache);
    float scale = (float)(1 / sqrt((double)s->head_dim));
    k->attention_scores(type, head->q, keys, stride, count, s->head_dim, scale, scores);
    float max = k->max(scores, count);
    if (max > head->max) {
        float shrink = expf(head->max - max);
        head->sum *= shrink;
        for (size_t d = 0; d < s->head_dim; d++)
            head->out[d] *= shrink;
        head->max = max;
    }
    head->sum += k->exp_sum(scores, count, head->max);
    k->attention_mix(type, scores, values, stride, count, s->head_dim, head->out);
}

static size_t first_visible(const struct hyperparameters *s, size_t layer, size_t position)
{
    if (!s->sliding_window || layer < s->first_window_layer || position < s->sliding_window)
        return 0;
    return position + 1 - s->sliding_window;
}

/* All query heads that share one KV head, for one row. */
static void attend_group(const struct job *job, size_t r, size_t kv_head)
{
    const struct hyperparameters *s = job->model->shape;
    const struct row *row = &job->rows[r];
    size_t group = s->n_heads / s->n_kv_heads, width = s->n_heads * s->head_dim;
    size_t position = (size_t)row->position, sequence = (size_t)row->sequence;
    for (size_t g = 0; g < group; g++) {
        size_t at = r * width + (kv_head * group + g) * s->head_dim;
        struct head head = {.q = job->model->scratch.q + at,
                            .out = job->model->scratch.attended + at,
                            .max = -INFINITY};
        memset(head.out, 0, s->head_dim * sizeof *head.out);
        for (size_t p = first_visible(s, job->layer, position); p <= position;) {
            size_t page_end = (p / PAGE_POSITIONS + 1) * PAGE_POSITIONS;
            size_t end = page_end <= position ? page_end : position + 1;
            attend_page(job, &head, kv_keys(job->cache, sequence, p, job->layer, kv_head),
                        kv_values(job->cache, sequence, p, job->layer, kv_head), end - p);
            p = end;
        }
        for (size_t d = 0; d < s->head_dim; d++)
            head.out[d] /= head.sum;
    }
}

static void attend_work(void *context, size_t thread, size_t n_threads)
{
    const struct job *job = context;
    size_t n_kv_heads = job->model->shape->n_kv_heads;
    /* Later rows see more keys: deal the units out in turn. */
    for (size_t unit = thread; unit < job->n * n_kv_heads; unit += n_threads)
        attend_group(job, unit / n_kv_heads, unit % n_kv_heads);
}

void model_attend(struct model *model, const struct kv_cache *cache, const struct row *rows,
                  size_t n, size_t layer)
{
    struct job job = {.model = model, .cache = cache, .rows = rows, .n = n, .layer = layer};
    thread_pool_run(model->compute.pool, attend_work, &job);
}
