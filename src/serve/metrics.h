/* Counters and histograms in Prometheus' text format. */
#ifndef TANDEM_SERVE_METRICS_H
#define TANDEM_SERVE_METRICS_H

#include "base/strbuf.h"
#include "engine/engine.h"

#include <pthread.h>
#include <stdint.h>

enum { HISTOGRAM_BOUNDS = 16 };

/* Of durations; the bounds are the same for all: 1 ms to 60 s. */
struct histogram {
    uint64_t counts[HISTOGRAM_BOUNDS + 1]; /* the last: longer than every bound */
    double sum;
};

/* What is counted for one model, from the server's start on. */
struct model_metrics {
    pthread_mutex_t mutex;
    struct histogram first_token, inter_token, queue;
    uint64_t prompt_tokens, cached_tokens, answer_tokens;
    uint64_t finished[FINISH_ERROR + 1]; /* by enum finish_reason */
};
void model_metrics_init(struct model_metrics *m);
void model_metrics_destroy(struct model_metrics *m);
/* The time between two tokens of one answer, as the client got them. */
void model_metrics_token(struct model_metrics *m, double seconds);
void model_metrics_answer(struct model_metrics *m, const struct generation_stats *stats);

/* Writing: "# HELP" and "# TYPE" once for a name, then its samples. */
void metrics_family(struct strbuf *out, const char *name, const char *type, const char *help);
/* name{label="value",label2="value2"} number; labels with a NULL name are left out. */
void metrics_sample(struct strbuf *out, const char *name, const char *label, const char *value,
                    const char *label2, const char *value2, double number);
void metrics_histogram(struct strbuf *out, const char *name, const char *model,
                       const struct histogram *h);

#endif
