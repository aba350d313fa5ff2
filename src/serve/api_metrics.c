/* GET /metrics: what Prometheus reads. */
#include "base/memory.h"
#include "serve/server_internal.h"

#include <stdio.h>

struct scrape {
    struct model_view *views;
    size_t n;
};

/* --- One number per model --- */

static double loaded(const struct model_view *v)
{
    return v->is_loaded;
}
static double memory(const struct model_view *v)
{
    return (double)v->bytes;
}
static double loads(const struct model_view *v)
{
    return (double)v->n_loads;
}
static double running(const struct model_view *v)
{
    return (double)v->load.running;
}
static double waiting(const struct model_view *v)
{
    return (double)v->load.waiting;
}
static double cache_positions(const struct model_view *v)
{
    return (double)v->load.cache_positions;
}
static double cache_used(const struct model_view *v)
{
    return (double)v->load.cache_used;
}
static double steps(const struct model_view *v)
{
    return (double)v->load.steps;
}
static double rows(const struct model_view *v)
{
    return (double)v->load.rows;
}
static double prompt_tokens(const struct model_view *v)
{
    return (double)v->metrics.prompt_tokens;
}
static double cached_tokens(const struct model_view *v)
{
    return (double)v->metrics.cached_tokens;
}
static double answer_tokens(const struct model_view *v)
{
    return (double)v->metrics.answer_tokens;
}

static const struct {
    const char *name, *type, *help;
    double (*value)(const struct model_view *v);
} numbers[] = {
    {"tandem_model_loaded", "gauge", "1 while the model is in memory.", loaded},
    {"tandem_model_memory_bytes", "gauge", "Weights, KV cache and scratch.", memory},
    {"tandem_model_loads_total", "counter", "How often the model was loaded.", loads},
    {"tandem_requests_running", "gauge", "Answers in the batch of the latest step.", running},
    {"tandem_requests_waiting", "gauge", "Answers that wait for a place in the batch.", waiting},
    {"tandem_kv_cache_positions", "gauge", "Size of the KV cache in tokens.", cache_positions},
    {"tandem_kv_cache_used_positions", "gauge", "Tokens in the KV cache, kept ones included.",
     cache_used},
    {"tandem_steps_total", "counter", "Forward passes since the model was loaded.", steps},
    {"tandem_step_rows_total", "counter", "Rows (tokens) that those passes computed.", rows},
    {"tandem_prompt_tokens_total", "counter", "Tokens of prompts.", prompt_tokens},
    {"tandem_cached_prompt_tokens_total", "counter",
     "Tokens of prompts that were found in the KV cache.", cached_tokens},
    {"tandem_answer_tokens_total", "counter", "Tokens of answers.", answer_tokens},
};

static void write_numbers(struct strbuf *out, const struct scrape *s)
{
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        metrics_family(out, numbers[i].name, numbers[i].type, numbers[i].help);
        for (size_t j = 0; j < s->n; j++)
            metrics_sample(out, numbers[i].name, "model", s->views[j].name, NULL, NULL,
                           numbers[i].value(&s->views[j]));
    }
}

/* --- The others --- */

static void write_histograms(struct strbuf *out, const struct scrape *s)
{
    metrics_family(out, "tandem_time_to_first_token_seconds", "histogram",
                   "From the request to the first token.");
    for (size_t j = 0; j < s->n; j++)
        metrics_histogram(out, "tandem_time_to_first_token_seconds", s->views[j].name,
                          &s->views[j].metrics.first_token);
    metrics_family(out, "tandem_inter_token_seconds", "histogram",
                   "Between two tokens of an answer.");
    for (size_t j = 0; j < s->n; j++)
        metrics_histogram(out, "tandem_inter_token_seconds", s->views[j].name,
                          &s->views[j].metrics.inter_token);
    metrics_family(out, "tandem_queue_seconds", "histogram", "From the request to its first step.");
    for (size_t j = 0; j < s->n; j++)
        metrics_histogram(out, "tandem_queue_seconds", s->views[j].name,
                          &s->views[j].metrics.queue);
}

static void write_finished(struct strbuf *out, const struct scrape *s)
{
    metrics_family(out, "tandem_answers_total", "counter", "Answers, by how they ended.");
    for (size_t j = 0; j < s->n; j++)
        for (int reason = FINISH_EOS; reason <= FINISH_ERROR; reason++)
            metrics_sample(out, "tandem_answers_total", "model", s->views[j].name, "finish",
                           finish_reason_name((enum finish_reason)reason),
                           (double)s->views[j].metrics.finished[reason]);
}

static void write_server(struct strbuf *out, struct server *s)
{
    metrics_family(out, "tandem_http_requests_total", "counter", "Requests, by HTTP status.");
    for (unsigned status = 0; status < MAX_STATUS; status++) {
        char text[8];
        snprintf(text, sizeof text, "%u", status);
        double n = (double)atomic_load(&s->statuses[status]);
        if (n > 0)
            metrics_sample(out, "tandem_http_requests_total", "status", text, NULL, NULL, n);
    }
    metrics_family(out, "tandem_log_lines_lost_total", "counter",
                   "Log lines that could not be written.");
    metrics_sample(out, "tandem_log_lines_lost_total", NULL, NULL, NULL, NULL,
                   (double)access_log_lost(s->log));
    metrics_family(out, "tandem_resident_bytes", "gauge", "Resident memory of the server.");
    metrics_sample(out, "tandem_resident_bytes", NULL, NULL, NULL, NULL, (double)mem_resident());
}

void api_metrics(struct exchange *x)
{
    struct strbuf out = {0};
    size_t n = registry_count(x->server->registry);
    struct scrape scrape = {.views = mem_array(n, sizeof *scrape.views), .n = n};
    if (!scrape.views)
        scrape.n = 0;
    registry_view(x->server->registry, scrape.views, scrape.n);
    write_numbers(&out, &scrape);
    write_histograms(&out, &scrape);
    write_finished(&out, &scrape);
    write_server(&out, x->server);
    exchange_reply(x, 200, "text/plain; version=0.0.4; charset=utf-8", strbuf_text(&out),
                   out.length);
    strbuf_free(&out);
    mem_free(scrape.views);
}
