/* report.json: everything that was measured and everything that follows, for machines. */
#include "eval/latency.h"
#include "eval/report.h"
#include "eval/report_text.h"

#include <string.h>

static void set(json_t *object, const char *key, json_t *value)
{
    json_object_set_new(object, key, value ? value : json_null());
}

static void set_size(json_t *object, const char *key, size_t value)
{
    set(object, key, json_integer((json_int_t)value));
}

static void set_real(json_t *object, const char *key, double value)
{
    set(object, key, json_real(value));
}

/* Text from outside may be anything: what is not UTF-8 was replaced when it came in; paths given
 * by the user were not. */
static void set_text(json_t *object, const char *key, const char *text)
{
    struct strbuf clean = {0};
    json_t *value = text ? json_string(text) : NULL;
    if (text && !value) {
        terminal_escape(&clean, text);
        value = json_string(strbuf_text(&clean));
        strbuf_free(&clean);
    }
    set(object, key, value);
}

static json_t *interval_json(struct interval interval)
{
    return json_pack("[f, f]", interval.low, interval.high);
}

static json_t *summary_json(const struct summary *s)
{
    if (!s->n)
        return json_null();
    return json_pack("{s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "n", (json_int_t)s->n, "mean",
                     s->mean, "min", s->min, "p10", s->p10, "median", s->median, "p90", s->p90,
                     "p95", s->p95, "max", s->max);
}

static json_t *environment_json(const struct environment *e)
{
    json_t *object = json_object();
    set_text(object, "tandem", e->version);
    set_text(object, "compiler", e->compiler);
    set_text(object, "cpu", e->cpu);
    set_size(object, "cpus", e->n_cpus);
    set_size(object, "memory_bytes", e->memory_bytes);
    set(object, "memory_limit_bytes",
        e->memory_limit ? json_integer((json_int_t)e->memory_limit) : json_null());
    set_text(object, "system", e->system);
    set_text(object, "kernel", e->kernel);
    set_text(object, "architecture", e->architecture);
    return object;
}

static json_t *options_json(const struct comparison *c)
{
    json_t *object = json_object();
    set(object, "max_tokens", c->max_tokens ? json_integer((json_int_t)c->max_tokens) : NULL);
    set(object, "limit", c->limit ? json_integer((json_int_t)c->limit) : NULL);
    set_size(object, "threads", c->n_threads);
    set_size(object, "context_length", c->context_length);
    set_text(object, "kv_type", c->kv_type);
    set_text(object, "sampling", c->sample ? "model defaults" : "greedy");
    set(object, "seed", json_integer((json_int_t)c->seed));
    return object;
}

static json_t *files_json(const struct respondent_info *info)
{
    json_t *files = json_array();
    for (size_t i = 0; i < info->n_files; i++) {
        json_t *file = json_object();
        set_text(file, "path", info->files[i].path);
        set_size(file, "bytes", info->files[i].bytes);
        set_text(file, "sha256", info->files[i].sha256[0] ? info->files[i].sha256 : NULL);
        json_array_append_new(files, file);
    }
    return files;
}

static json_t *speed_json(const struct speed *s)
{
    json_t *object = json_object(), *parts = json_object();
    set(object, "first_token_seconds", summary_json(&s->first_token));
    set(object, "prompt_tokens_per_second", summary_json(&s->prompt_rate));
    set(object, "generation_tokens_per_second", summary_json(&s->generation_rate));
    set(object, "item_seconds", summary_json(&s->total));
    set_size(object, "prompt_tokens", s->prompt_tokens);
    set_size(object, "answer_tokens", s->answer_tokens);
    set_size(object, "cut_answers", s->cut_answers);
    set_real(object, "cpu_seconds", s->cpu_seconds);
    set_real(object, "wall_seconds", s->wall_seconds);
    set_real(object, "ready_seconds", s->latency.ready_seconds);
    set(object, "score", s->first_token.n ? json_real(s->score) : NULL);
    set(object, "interval", s->first_token.n ? interval_json(s->interval) : NULL);
    for (int i = 0; i < N_LATENCY_PARTS; i++)
        set(parts, latency_parts[i].name,
            json_pack("{s:f, s:s, s:f, s:f, s:f, s:f}", "value",
                      latency_value((enum latency_part)i, &s->latency), "unit",
                      latency_parts[i].unit, "worst", latency_parts[i].worst, "best",
                      latency_parts[i].best, "weight", latency_parts[i].weight, "score",
                      latency_part_score((enum latency_part)i, &s->latency)));
    set(object, "parts", parts);
    return object;
}

static json_t *candidate_json(const struct candidate *candidate, const struct speed *speed)
{
    const struct respondent_info *info = &candidate->info;
    json_t *object = json_object();
    set_text(object, "name", candidate_name(candidate));
    set_text(object, "path", candidate->path);
    set(object, "loaded", json_boolean(candidate->loaded));
    set_size(object, "items_asked", candidate->n_asked);
    set_text(object, "failure", candidate->failure[0] ? candidate->failure : NULL);
    set(object, "random_weights", json_boolean(candidate->is_random));
    if (!candidate->loaded)
        return object;
    set_text(object, "family", info->family);
    set_text(object, "weight_type", info->weight_type);
    set_text(object, "isa", info->isa);
    set_size(object, "threads", info->n_threads);
    set_size(object, "parameters", info->n_parameters);
    set_size(object, "file_bytes", candidate_file_bytes(candidate));
    set_size(object, "weight_bytes", info->weight_bytes);
    set_size(object, "kv_bytes", info->kv_bytes);
    set_size(object, "scratch_bytes", info->scratch_bytes);
    set_size(object, "context_length", info->context_length);
    set_size(object, "model_context_length", info->model_context_length);
    set_size(object, "layers", info->n_layers);
    set_size(object, "dim", info->dim);
    set_size(object, "vocab_size", info->vocab_size);
    set(object, "chat_template", json_boolean(info->has_chat_template));
    set_real(object, "load_seconds", info->load_seconds);
    set_real(object, "warm_up_seconds", info->warm_up_seconds);
    set_real(object, "warm_up_first_token_seconds", info->warm_up_first_token);
    set_size(object, "peak_bytes", candidate->peak_bytes);
    set_size(object, "anonymous_bytes", candidate->anonymous_bytes);
    set(object, "files", files_json(info));
    set(object, "latency", speed_json(speed));
    return object;
}

static json_t *side_json(const struct group *group, size_t side)
{
    const struct score *score = &group->scores[side];
    json_t *object = json_object();
    set(object, "score", score->n ? json_real(score->value) : NULL);
    set(object, "interval", score->n ? interval_json(score->interval) : NULL);
    set_size(object, "right", score->right);
    set_size(object, "n", score->n);
    set_size(object, "not_run", group->not_run[side]);
    set_size(object, "no_answer_found", group->no_answer_found[side]);
    return object;
}

static json_t *group_json(const char *name, const struct group *group)
{
    static const char *const findings[] = {"not_measured", "no_significant_difference", "a_better",
                                           "b_better"};
    const struct paired *p = &group->paired;
    json_t *paired = json_object(), *object = json_object();
    set_size(paired, "n", p->n);
    set_size(paired, "only_a_right", p->wins);
    set_size(paired, "only_b_right", p->losses);
    set_size(paired, "both_right", p->both_right);
    set_size(paired, "both_wrong", p->both_wrong);
    set_real(paired, "mcnemar_p", p->p);
    set_real(paired, "difference", p->difference);
    set(paired, "difference_interval", interval_json(p->interval));
    set_text(paired, "finding", findings[statistics_finding(p)]);
    set_text(object, "name", name);
    set(object, "a", side_json(group, SIDE_A));
    set(object, "b", side_json(group, SIDE_B));
    set(object, "paired", paired);
    return object;
}

static json_t *race_json(const struct race *race)
{
    return json_pack("{s:I, s:I, s:I, s:f}", "a_faster", (json_int_t)race->wins, "b_faster",
                     (json_int_t)race->losses, "ties", (json_int_t)race->ties, "sign_test_p",
                     race->p);
}

static json_t *outcome_json(const struct outcome *outcome)
{
    if (!outcome->asked)
        return json_null();
    json_t *object = reply_to_json(&outcome->reply);
    set(object, "verdict", verdict_to_json(&outcome->verdict));
    return object;
}

static json_t *item_json(const struct comparison *c, size_t i)
{
    const struct suite_item *item = c->items[i];
    json_t *object = json_object();
    set_text(object, "id", item->id);
    set_text(object, "dimension", suite_dimension_name(item->dimension));
    set_text(object, "language", suite_language_name(item->language));
    set_text(object, "topic", item->topic);
    set_text(object, "prompt", item->prompt);
    set_text(object, "reference", item->reference);
    set_text(object, "grader", grader_kind(item->grader));
    set_size(object, "max_tokens", c->max_tokens ? c->max_tokens : item->max_tokens);
    set(object, "a", outcome_json(&c->candidates[SIDE_A].outcomes[i]));
    set(object, "b", outcome_json(&c->candidates[SIDE_B].outcomes[i]));
    return object;
}

static json_t *advice_json(const struct comparison *c, const struct findings *f)
{
    static const char *const choices[] = {"a", "b", "no_significant_difference", "neither",
                                          "not_measured"};
    struct advice advice[N_ADVICE];
    size_t n = findings_advice(c, f, advice);
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *object = json_object();
        set_text(object, "scenario", advice[i].scenario[0]);
        set_text(object, "scenario_zh", advice[i].scenario[1]);
        set_text(object, "choice", choices[advice[i].choice]);
        set_text(object, "why", advice[i].why[0]);
        set_text(object, "why_zh", advice[i].why[1]);
        json_array_append_new(list, object);
    }
    return list;
}

static json_t *notices_json(const struct comparison *c)
{
    struct notice notices[MAX_NOTICES];
    size_t n = report_notices(c, notices);
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        struct strbuf text = {0};
        terminal_escape(&text, notices[i].text[0]);
        json_array_append_new(list, json_string(strbuf_text(&text)));
        strbuf_free(&text);
    }
    return list;
}

static json_t *groups_json(const struct findings *f)
{
    json_t *list = json_array();
    for (int i = 0; i < N_DIMENSIONS; i++)
        json_array_append_new(
            list, group_json(suite_dimension_name((enum suite_dimension)i), &f->dimensions[i]));
    return list;
}

json_t *report_json(const struct comparison *c, const struct findings *f)
{
    json_t *report = json_object(), *models = json_object(), *languages = json_array();
    json_t *items = json_array(), *suite = json_object(), *races = json_object();
    set_text(report, "schema", "tandem-report");
    set_size(report, "version", REPORT_VERSION);
    set_text(report, "started", c->started);
    set_real(report, "seconds", c->seconds);
    set(report, "partial", json_boolean(comparison_is_partial(c)));
    set(report, "interrupted", json_boolean(c->interrupted));
    set(report, "notices", notices_json(c));
    set(report, "environment", environment_json(&c->environment));
    set(report, "options", options_json(c));
    set_text(suite, "name", c->suite->name);
    set_text(suite, "sha256", c->suite->sha256);
    set_size(suite, "items", c->n_items);
    set_size(suite, "items_in_suite", c->suite->count);
    set(report, "suite", suite);
    set(models, "a", candidate_json(&c->candidates[SIDE_A], &f->speeds[SIDE_A]));
    set(models, "b", candidate_json(&c->candidates[SIDE_B], &f->speeds[SIDE_B]));
    set(report, "models", models);
    set(report, "dimensions", groups_json(f));
    for (int i = 0; i < N_LANGUAGES; i++)
        json_array_append_new(
            languages, group_json(suite_language_name((enum suite_language)i), &f->languages[i]));
    set(report, "languages", languages);
    set(report, "all", group_json("all", &f->all));
    set(races, "first_token", race_json(&f->first_token));
    set(races, "generation", race_json(&f->generation));
    set(races, "item", race_json(&f->total));
    set(report, "faster", races);
    set(report, "advice", advice_json(c, f));
    for (size_t i = 0; i < c->n_items; i++)
        json_array_append_new(items, item_json(c, i));
    set(report, "items", items);
    return report;
}
