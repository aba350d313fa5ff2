/* The report on a terminal: two tables of at most 80 columns and what follows from them. */
#include "base/utf8.h"
#include "eval/report.h"
#include "eval/report_text.h"

#include <stdio.h>
#include <string.h>

enum { FIRST_COLUMN = 23, SIDE_COLUMN = 22, LINE_WIDTH = 80 };

struct terminal {
    struct strbuf *out;
    bool colour;
};

static const char bold[] = "\033[1m", red[] = "\033[31m", yellow[] = "\033[33m";
static const char side_colours[N_SIDES][8] = {"\033[34m", "\033[33m"};

static void styled(const struct terminal *t, const char *style, const char *text)
{
    if (t->colour)
        strbuf_add(t->out, style);
    terminal_escape(t->out, text);
    if (t->colour)
        strbuf_add(t->out, "\033[0m");
}

static void pad(const struct terminal *t, size_t used, size_t width)
{
    for (; used < width; used++)
        strbuf_add_char(t->out, ' ');
}

/* The text in `width` columns, wide characters counted as two. */
static void cell(const struct terminal *t, const char *style, const char *text, size_t width)
{
    if (style)
        styled(t, style, text);
    else
        terminal_escape(t->out, text);
    pad(t, utf8_columns(text, strlen(text)), width);
}

/* Words, broken where the line would pass LINE_WIDTH; later lines start `indent` columns in. */
static void wrap(const struct terminal *t, const char *text, size_t column, size_t indent)
{
    for (bool first = true; *text; first = false) {
        size_t length = strcspn(text, " "), width = utf8_columns(text, length);
        if (!first && column + 1 + width > LINE_WIDTH) {
            strbuf_add_char(t->out, '\n');
            pad(t, 0, indent);
            column = indent;
        } else if (!first) {
            strbuf_add_char(t->out, ' ');
            column++;
        }
        struct strbuf word = {0};
        strbuf_append(&word, text, length);
        terminal_escape(t->out, strbuf_text(&word));
        strbuf_free(&word);
        column += width;
        text += length;
        text += strspn(text, " ");
    }
    strbuf_add_char(t->out, '\n');
}

static void add_names(const struct terminal *t, const struct comparison *c)
{
    for (size_t side = 0; side < N_SIDES; side++) {
        const struct candidate *candidate = &c->candidates[side];
        char details[120], parameters[32];
        styled(t, side_colours[side], side == SIDE_A ? "A  " : "B  ");
        styled(t, bold, candidate_name(candidate));
        format_count(candidate->info.n_parameters, parameters);
        snprintf(details, sizeof details, "  (%.20s, %s parameters, %.16s)", candidate->info.family,
                 parameters, candidate->info.weight_type);
        strbuf_add(t->out, candidate->loaded ? details : "  (not loaded)");
        strbuf_add_char(t->out, '\n');
    }
}

static void add_notices(const struct terminal *t, const struct comparison *c)
{
    struct notice notices[MAX_NOTICES];
    size_t n = report_notices(c, notices);
    for (size_t i = 0; i < n; i++) {
        styled(t, notices[i].kind == NOTICE_ERROR ? red : yellow, "! ");
        wrap(t, notices[i].text[0], 2, 2);
    }
}

static void add_head(const struct terminal *t, const char *first, const char *last)
{
    strbuf_add_char(t->out, '\n');
    cell(t, bold, first, FIRST_COLUMN);
    cell(t, side_colours[SIDE_A], "A", SIDE_COLUMN);
    cell(t, side_colours[SIDE_B], "B", last ? SIDE_COLUMN : 0);
    strbuf_add(t->out, last ? last : "");
    strbuf_add_char(t->out, '\n');
}

static void short_finding(const struct paired *p, char out[64])
{
    char number[32];
    format_p(p->p, number);
    switch (statistics_finding(p)) {
    case FINDING_NOTHING_MEASURED:
        snprintf(out, 64, "-");
        return;
    case FINDING_A_BETTER:
    case FINDING_B_BETTER:
        snprintf(out, 64, "%c better, %s", p->wins > p->losses ? 'A' : 'B', number);
        return;
    case FINDING_UNDECIDED:
        snprintf(out, 64, "undecided %zu:%zu", p->wins, p->losses);
    }
}

static void add_group(const struct terminal *t, const char *title, const struct group *group)
{
    char text[64];
    cell(t, NULL, title, FIRST_COLUMN);
    for (size_t side = 0; side < N_SIDES; side++) {
        const struct score *s = &group->scores[side];
        if (s->n)
            snprintf(text, sizeof text, "%.1f (%.1f-%.1f) %zu/%zu", s->value, s->interval.low,
                     s->interval.high, s->right, s->n);
        else
            snprintf(text, sizeof text, "not measured");
        cell(t, NULL, text, SIDE_COLUMN);
    }
    short_finding(&group->paired, text);
    strbuf_printf(t->out, "%s\n", text);
}

static void add_latency(const struct terminal *t, const struct findings *f)
{
    char text[64];
    cell(t, NULL, dimension_titles[N_DIMENSIONS].en, FIRST_COLUMN);
    for (size_t side = 0; side < N_SIDES; side++) {
        const struct speed *s = &f->speeds[side];
        if (s->first_token.n)
            snprintf(text, sizeof text, "%.1f (%.1f-%.1f)", s->score, s->interval.low,
                     s->interval.high);
        else
            snprintf(text, sizeof text, "not measured");
        cell(t, NULL, text, side == SIDE_A ? SIDE_COLUMN : 0);
    }
    strbuf_add_char(t->out, '\n');
}

static void add_scores(const struct terminal *t, const struct findings *f)
{
    add_head(t, "Score 0-10 (95%) right", "Paired test");
    for (int i = 0; i < N_DIMENSIONS; i++)
        add_group(t, dimension_titles[i].en, &f->dimensions[i]);
    add_latency(t, f);
    add_group(t, "All quality items", &f->all);
}

static void add_resource(const struct terminal *t, const char *title, const char *a, const char *b)
{
    cell(t, NULL, title, FIRST_COLUMN);
    cell(t, NULL, a, SIDE_COLUMN);
    strbuf_printf(t->out, "%s\n", b);
}

static void add_resources(const struct terminal *t, const struct comparison *c,
                          const struct findings *f)
{
    const struct speed *a = &f->speeds[SIDE_A], *b = &f->speeds[SIDE_B];
    const struct candidate *candidates = c->candidates;
    char texts[2][32];
    add_head(t, "Resources", NULL);
    format_bytes(candidate_file_bytes(&candidates[SIDE_A]), texts[0]);
    format_bytes(candidate_file_bytes(&candidates[SIDE_B]), texts[1]);
    add_resource(t, "Model size", texts[0], texts[1]);
    format_seconds(candidates[SIDE_A].info.load_seconds, texts[0]);
    format_seconds(candidates[SIDE_B].info.load_seconds, texts[1]);
    add_resource(t, "Load time", texts[0], texts[1]);
    format_seconds(a->first_token.median, texts[0]);
    format_seconds(b->first_token.median, texts[1]);
    add_resource(t, "First token, median", texts[0], texts[1]);
    format_rate(a->prompt_rate.median, texts[0]);
    format_rate(b->prompt_rate.median, texts[1]);
    add_resource(t, "Prompt tokens/s", texts[0], texts[1]);
    format_rate(a->generation_rate.median, texts[0]);
    format_rate(b->generation_rate.median, texts[1]);
    add_resource(t, "Generated tokens/s", texts[0], texts[1]);
    format_bytes(candidates[SIDE_A].peak_bytes, texts[0]);
    format_bytes(candidates[SIDE_B].peak_bytes, texts[1]);
    add_resource(t, "Peak memory", texts[0], texts[1]);
}

static void add_advice(const struct terminal *t, const struct comparison *c,
                       const struct findings *f)
{
    struct advice advice[N_ADVICE];
    size_t n = findings_advice(c, f, advice);
    strbuf_add_char(t->out, '\n');
    styled(t, bold, "Which model for what");
    strbuf_add_char(t->out, '\n');
    for (size_t i = 0; i < n; i++) {
        bool picked = advice[i].choice == CHOICE_A || advice[i].choice == CHOICE_B;
        strbuf_printf(t->out, "%s: ", advice[i].scenario[0]);
        styled(t, picked ? side_colours[advice[i].choice == CHOICE_A ? SIDE_A : SIDE_B] : bold,
               choice_title(advice[i].choice, c).en);
        strbuf_add(t->out, "\n    ");
        wrap(t, advice[i].why[0], 4, 4);
    }
}

void report_terminal(const struct comparison *c, const struct findings *f, bool colour,
                     struct strbuf *out)
{
    struct terminal t = {.out = out, .colour = colour};
    add_names(&t, c);
    add_notices(&t, c);
    add_scores(&t, f);
    add_resources(&t, c, f);
    add_advice(&t, c, f);
}
