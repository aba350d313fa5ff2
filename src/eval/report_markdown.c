/* report.md: the report for where Markdown is read. */
#include "eval/report.h"
#include "eval/report_text.h"

#include <stdio.h>
#include <string.h>

static const char *name(const struct comparison *c, size_t side)
{
    return candidate_name(&c->candidates[side]);
}

static void add_names_row(struct strbuf *out, const struct comparison *c, const char *first,
                          const char *last)
{
    strbuf_printf(out, "| %s | A: ", first);
    markdown_escape(out, name(c, SIDE_A));
    strbuf_add(out, " | B: ");
    markdown_escape(out, name(c, SIDE_B));
    strbuf_printf(out, last ? " | %s |\n|---|---|---|---|\n" : " |%s\n|---|---|---|\n",
                  last ? last : "");
}

static void add_group(struct strbuf *out, const struct comparison *c, const char *title,
                      const struct group *group)
{
    char words[2][400];
    strbuf_printf(out, "| %s |", title);
    for (size_t side = 0; side < N_SIDES; side++) {
        const struct score *s = &group->scores[side];
        if (s->n)
            strbuf_printf(out, " **%.1f** (%.1f to %.1f), %zu of %zu", s->value, s->interval.low,
                          s->interval.high, s->right, s->n);
        else
            strbuf_add(out, " not measured");
        if (group->not_run[side])
            strbuf_printf(out, ", %zu not judged", group->not_run[side]);
        strbuf_add(out, " |");
    }
    findings_describe_paired(&group->paired, name(c, SIDE_A), name(c, SIDE_B), words);
    strbuf_add_char(out, ' ');
    markdown_escape(out, words[0]);
    strbuf_add(out, " |\n");
}

static void add_scores(struct strbuf *out, const struct comparison *c, const struct findings *f)
{
    strbuf_add(out,
               "\n## Scores\n\n0 to 10, with the 95% interval and the items judged right.\n\n");
    add_names_row(out, c, "Dimension", "Paired test");
    for (int i = 0; i < N_DIMENSIONS; i++)
        add_group(out, c, dimension_titles[i].en, &f->dimensions[i]);
    strbuf_printf(out, "| %s |", dimension_titles[N_DIMENSIONS].en);
    for (size_t side = 0; side < N_SIDES; side++) {
        const struct speed *s = &f->speeds[side];
        if (s->first_token.n)
            strbuf_printf(out, " **%.1f** (%.1f to %.1f) |", s->score, s->interval.low,
                          s->interval.high);
        else
            strbuf_add(out, " not measured |");
    }
    strbuf_printf(out, " First token faster: A on %zu items, B on %zu (p = %.2g). |\n",
                  f->first_token.wins, f->first_token.losses, f->first_token.p);
    for (int i = 0; i < N_LANGUAGES; i++)
        add_group(out, c, language_titles[i].en, &f->languages[i]);
    add_group(out, c, "All quality items", &f->all);
}

static void add_row(struct strbuf *out, const char *title, const char *a, const char *b)
{
    strbuf_printf(out, "| %s | %s | %s |\n", title, a, b);
}

static void add_times(struct strbuf *out, const char *title, double a, double b)
{
    char texts[2][32];
    format_seconds(a, texts[0]);
    format_seconds(b, texts[1]);
    add_row(out, title, texts[0], texts[1]);
}

static void add_rates(struct strbuf *out, const char *title, double a, double b)
{
    char texts[2][32];
    format_rate(a, texts[0]);
    format_rate(b, texts[1]);
    add_row(out, title, texts[0], texts[1]);
}

static void add_sizes(struct strbuf *out, const char *title, size_t a, size_t b)
{
    char texts[2][32];
    format_bytes(a, texts[0]);
    format_bytes(b, texts[1]);
    add_row(out, title, texts[0], texts[1]);
}

static void add_resources(struct strbuf *out, const struct comparison *c, const struct findings *f)
{
    const struct candidate *a = &c->candidates[SIDE_A], *b = &c->candidates[SIDE_B];
    const struct speed *sa = &f->speeds[SIDE_A], *sb = &f->speeds[SIDE_B];
    char texts[2][32];
    strbuf_add(out, "\n## Speed and resources\n\n");
    add_names_row(out, c, "Measure", NULL);
    add_sizes(out, "Model size", candidate_file_bytes(a), candidate_file_bytes(b));
    format_count(a->info.n_parameters, texts[0]);
    format_count(b->info.n_parameters, texts[1]);
    add_row(out, "Parameters", texts[0], texts[1]);
    add_row(out, "Weights", a->loaded ? a->info.weight_type : "-",
            b->loaded ? b->info.weight_type : "-");
    add_times(out, "Load time", a->info.load_seconds, b->info.load_seconds);
    add_times(out, "Ready (load, first token of the warm-up)", sa->latency.ready_seconds,
              sb->latency.ready_seconds);
    add_times(out, "First token, median", sa->first_token.median, sb->first_token.median);
    add_times(out, "First token, 90th percentile", sa->first_token.p90, sb->first_token.p90);
    add_rates(out, "Prompt tokens per second, median", sa->prompt_rate.median,
              sb->prompt_rate.median);
    add_rates(out, "Generated tokens per second, median", sa->generation_rate.median,
              sb->generation_rate.median);
    add_times(out, "Time per item, median", sa->total.median, sb->total.median);
    add_sizes(out, "Peak memory (resident)", a->peak_bytes, b->peak_bytes);
    add_sizes(out, "of it not mapped from files", a->anonymous_bytes, b->anonymous_bytes);
}

static void add_advice(struct strbuf *out, const struct comparison *c, const struct findings *f)
{
    struct advice advice[N_ADVICE];
    size_t n = findings_advice(c, f, advice);
    strbuf_add(out, "\n## Which model for what\n\n");
    for (size_t i = 0; i < n; i++) {
        strbuf_printf(out, "- %s: **", advice[i].scenario[0]);
        markdown_escape(out, choice_title(advice[i].choice, c).en);
        strbuf_add(out, "**. ");
        markdown_escape(out, advice[i].why[0]);
        strbuf_add_char(out, '\n');
    }
}

static void add_outcome(struct strbuf *out, const struct comparison *c, size_t side, size_t i)
{
    const struct outcome *outcome = &c->candidates[side].outcomes[i];
    const struct reply *reply = &outcome->reply;
    char first[32], total[32];
    strbuf_printf(out, "**%c: %s %s.** ", "AB"[side], outcome_sign(outcome),
                  outcome_title(outcome).en);
    if (outcome->asked) {
        markdown_escape(out, outcome->verdict.reason);
        format_seconds(reply->first_token_seconds, first);
        format_seconds(reply->total_seconds, total);
        strbuf_printf(out, " (%zu + %zu tokens, first after %s, %s in all, ended by %s)\n\n",
                      reply->prompt_tokens, reply->answer_tokens, first, total, reply->finish);
        if (reply->text)
            markdown_fence(out, reply->text, reply->length);
    }
    strbuf_add_char(out, '\n');
}

static void add_items(struct strbuf *out, const struct comparison *c)
{
    strbuf_add(out, "\n## Every prompt, both answers\n");
    for (size_t i = 0; i < c->n_items; i++) {
        const struct suite_item *item = c->items[i];
        strbuf_printf(out, "\n### %s (%s, %s)\n\n", item->id, dimension_titles[item->dimension].en,
                      suite_language_name(item->language));
        markdown_fence(out, item->prompt, strlen(item->prompt));
        strbuf_add_char(out, '\n');
        for (size_t side = 0; side < N_SIDES; side++)
            add_outcome(out, c, side, i);
    }
}

static void add_files(struct strbuf *out, const struct candidate *candidate)
{
    for (size_t i = 0; i < candidate->info.n_files; i++) {
        const struct model_file_info *file = &candidate->info.files[i];
        strbuf_add(out, "- ");
        markdown_escape(out, file->path);
        strbuf_printf(out, ": %zu bytes, SHA-256 %s\n", file->bytes,
                      file->sha256[0] ? file->sha256 : "not computed");
    }
}

static void add_environment(struct strbuf *out, const struct comparison *c)
{
    const struct environment *e = &c->environment;
    char memory[32];
    format_bytes(e->memory_bytes, memory);
    strbuf_add(out, "\n## Environment\n\n- CPU: ");
    markdown_escape(out, e->cpu);
    strbuf_printf(out, ", %zu CPUs, %s\n- Memory: %s\n- System: ", e->n_cpus, e->architecture,
                  memory);
    markdown_escape(out, e->system);
    strbuf_add(out, ", ");
    markdown_escape(out, e->kernel);
    strbuf_printf(out, "\n- Tandem %s, ", e->version);
    markdown_escape(out, e->compiler);
    strbuf_printf(out, "\n- Kernels: %s; threads: %zu; %s; seed %llu; context %zu\n",
                  c->candidates[SIDE_A].loaded ? c->candidates[SIDE_A].info.isa : "-",
                  c->candidates[SIDE_A].info.n_threads, c->sample ? "sampling" : "greedy",
                  (unsigned long long)c->seed, c->context_length);
    strbuf_add(out, "- Suite: ");
    markdown_escape(out, c->suite->name);
    strbuf_printf(out, ", SHA-256 %s\n", c->suite->sha256);
    for (size_t side = 0; side < N_SIDES; side++)
        add_files(out, &c->candidates[side]);
    strbuf_add(out, "\n## How to read this\n\n");
    for (size_t i = 0; method_notes[i].en; i++)
        strbuf_printf(out, "- %s\n", method_notes[i].en);
}

void report_markdown(const struct comparison *c, const struct findings *f, struct strbuf *out)
{
    struct notice notices[MAX_NOTICES];
    size_t n = report_notices(c, notices);
    strbuf_add(out, "# ");
    markdown_escape(out, name(c, SIDE_A));
    strbuf_add(out, " and ");
    markdown_escape(out, name(c, SIDE_B));
    strbuf_printf(out, "\n\n%s, %zu items, Tandem %s\n", c->started, c->n_items,
                  c->environment.version);
    for (size_t i = 0; i < n; i++) {
        strbuf_add(out, "\n> ");
        markdown_escape(out, notices[i].text[0]);
        strbuf_add_char(out, '\n');
    }
    add_scores(out, c, f);
    add_advice(out, c, f);
    add_resources(out, c, f);
    add_environment(out, c);
    add_items(out, c);
}
