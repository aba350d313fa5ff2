#include "serve/metrics.h"

#include <stdio.h>
#include <string.h>

static const double bounds[HISTOGRAM_BOUNDS] = {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2,
                                                0.5,   1,     2,     5,    10,   20,   30,  60};

/* --- Counting --- */

void model_metrics_init(struct model_metrics *m)
{
    *m = (struct model_metrics){0};
    pthread_mutex_init(&m->mutex, NULL);
}

void model_metrics_destroy(struct model_metrics *m)
{
    pthread_mutex_destroy(&m->mutex);
}

static void observe(struct histogram *h, double seconds)
{
    size_t i = 0;
    while (i < HISTOGRAM_BOUNDS && seconds > bounds[i])
        i++;
    h->counts[i]++;
    h->sum += seconds;
}

void model_metrics_token(struct model_metrics *m, double seconds)
{
    pthread_mutex_lock(&m->mutex);
    observe(&m->inter_token, seconds);
    pthread_mutex_unlock(&m->mutex);
}

void model_metrics_answer(struct model_metrics *m, const struct generation_stats *stats)
{
    pthread_mutex_lock(&m->mutex);
    observe(&m->queue, stats->queue_seconds);
    if (stats->answer_tokens > 0)
        observe(&m->first_token, stats->first_token_seconds);
    m->prompt_tokens += stats->prompt_tokens;
    m->cached_tokens += stats->cached_tokens;
    m->answer_tokens += stats->answer_tokens;
    m->finished[stats->finish]++;
    pthread_mutex_unlock(&m->mutex);
}

/* --- Writing --- */

void metrics_family(struct strbuf *out, const char *name, const char *type, const char *help)
{
    strbuf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void add_label(struct strbuf *out, const char *name, const char *value)
{
    strbuf_printf(out, "%s=\"", name);
    for (const char *p = value; *p; p++) {
        if (*p == '"' || *p == '\\')
            strbuf_add_char(out, '\\');
        if (*p == '\n')
            strbuf_add(out, "\\n");
        else
            strbuf_add_char(out, *p);
    }
    strbuf_add_char(out, '"');
}

void metrics_sample(struct strbuf *out, const char *name, const char *label, const char *value,
                    const char *label2, const char *value2, double number)
{
    strbuf_add(out, name);
    if (label) {
        strbuf_add_char(out, '{');
        add_label(out, label, value);
        if (label2) {
            strbuf_add_char(out, ',');
            add_label(out, label2, value2);
        }
        strbuf_add_char(out, '}');
    }
    strbuf_printf(out, " %.15g\n", number);
}

void metrics_histogram(struct strbuf *out, const char *name, const char *model,
                       const struct histogram *h)
{
    char line[100], bound[32];
    uint64_t sum = 0;
    snprintf(line, sizeof line, "%s_bucket", name);
    for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++) {
        sum += h->counts[i];
        snprintf(bound, sizeof bound, "%g", i < HISTOGRAM_BOUNDS ? bounds[i] : 0);
        metrics_sample(out, line, "model", model, "le", i < HISTOGRAM_BOUNDS ? bound : "+Inf",
                       (double)sum);
    }
    snprintf(line, sizeof line, "%s_sum", name);
    metrics_sample(out, line, "model", model, NULL, NULL, h->sum);
    snprintf(line, sizeof line, "%s_count", name);
    metrics_sample(out, line, "model", model, NULL, NULL, (double)sum);
}
