/* report.html: one page that asks nothing of anyone else. Everything that is not written here is
 * escaped; the content security policy allows this page's own script and nothing more. */
#include "base/sha256.h"
#include "eval/embedded.h"
#include "eval/radar.h"
#include "eval/report.h"
#include "eval/report_text.h"

#include <stdio.h>
#include <string.h>

static void text(struct strbuf *out, const char *plain)
{
    html_escape(out, plain, strlen(plain));
}

/* The same in both languages; the page shows one. */
static void say(struct strbuf *out, const char *en, const char *zh)
{
    strbuf_add(out, "<span class=\"en\">");
    text(out, en);
    strbuf_add(out, "</span><span class=\"zh\" lang=\"zh\">");
    text(out, zh);
    strbuf_add(out, "</span>");
}

static void say_title(struct strbuf *out, struct bilingual title)
{
    say(out, title.en, title.zh);
}

static void heading(struct strbuf *out, const char *id, const char *en, const char *zh)
{
    strbuf_printf(out, "<section aria-labelledby=\"%s\">\n<h2 id=\"%s\">", id, id);
    say(out, en, zh);
    strbuf_add(out, "</h2>\n");
}

static void column_head(struct strbuf *out, const char *class, const char *en, const char *zh)
{
    strbuf_printf(out, "<th scope=\"col\" class=\"%s\">", class);
    say(out, en, zh);
    strbuf_add(out, "</th>");
}

/* The model's mark and name. */
static void name_of(struct strbuf *out, const struct comparison *c, size_t side)
{
    strbuf_printf(out, "<span class=\"key key-%c\" aria-hidden=\"true\"></span>", "ab"[side]);
    text(out, candidate_name(&c->candidates[side]));
}

static void side_heads(struct strbuf *out, const struct comparison *c, const char *class)
{
    for (size_t side = 0; side < N_SIDES; side++) {
        strbuf_printf(out, "<th scope=\"col\" class=\"%s\">", class);
        name_of(out, c, side);
        strbuf_add(out, "</th>");
    }
}

/* --- head --- */

/* The script's hash as content security policies write it. */
static void script_hash(struct strbuf *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char hex[65];
    unsigned char bytes[33] = {0}; /* 32 and one 0, eleven groups of three */
    sha256_hex(embedded_script.data, embedded_script.size, hex);
    for (size_t i = 0; i < 32; i++) {
        unsigned byte = 0;
        sscanf(hex + 2 * i, "%2x", &byte);
        bytes[i] = (unsigned char)byte;
    }
    for (size_t i = 0; i < 33; i += 3) {
        unsigned group = (unsigned)bytes[i] << 16 | (unsigned)bytes[i + 1] << 8 | bytes[i + 2];
        for (int shift = 18; shift >= (i == 30 ? 6 : 0); shift -= 6)
            strbuf_add_char(out, digits[group >> shift & 63]);
    }
    strbuf_add_char(out, '=');
}

static void add_head(struct strbuf *out, const struct comparison *c)
{
    strbuf_add(out, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                    "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
                    "script-src 'sha256-");
    script_hash(out);
    strbuf_add(out, "'\">\n<meta name=\"viewport\" content=\"width=device-width, "
                    "initial-scale=1\">\n<meta name=\"referrer\" content=\"no-referrer\">\n"
                    "<title>");
    text(out, candidate_name(&c->candidates[SIDE_A]));
    strbuf_add(out, " – ");
    text(out, candidate_name(&c->candidates[SIDE_B]));
    strbuf_add(out, " · Tandem</title>\n<style>\n");
    strbuf_append(out, embedded_style.data, embedded_style.size);
    strbuf_add(out, "</style>\n</head>\n<body>\n");
}

static void add_notices(struct strbuf *out, const struct comparison *c)
{
    static const char *const classes[] = {"info", "warning", "error"};
    struct notice notices[MAX_NOTICES];
    size_t n = report_notices(c, notices);
    for (size_t i = 0; i < n; i++) {
        strbuf_printf(out, "<p class=\"notice %s\" role=\"note\">", classes[notices[i].kind]);
        say(out, notices[i].text[0], notices[i].text[1]);
        strbuf_add(out, "</p>\n");
    }
}

static void add_meta(struct strbuf *out, const struct comparison *c)
{
    char line[2][160];
    strbuf_add(out, "<p class=\"meta\"><span>");
    text(out, c->started);
    strbuf_add(out, "</span><span>");
    snprintf(line[0], sizeof line[0], "suite %.60s, %zu items", c->suite->name, c->n_items);
    snprintf(line[1], sizeof line[1], "题集 %.60s，%zu 题", c->suite->name, c->n_items);
    say(out, line[0], line[1]);
    strbuf_add(out, "</span><span>");
    text(out, c->environment.cpu);
    strbuf_add(out, "</span><span>");
    snprintf(line[0], sizeof line[0], "Tandem %s", c->environment.version);
    text(out, line[0]);
    strbuf_add(out, "</span></p>\n");
}

static void add_header(struct strbuf *out, const struct comparison *c)
{
    strbuf_add(out,
               "<header class=\"top\">\n<div class=\"brand\"><span class=\"logo\">"
               "<svg viewBox=\"0 0 38 24\" aria-hidden=\"true\"><circle cx=\"9\" cy=\"15\" r=\"7\" "
               "fill=\"none\" stroke=\"var(--a)\" stroke-width=\"2.6\"/><circle cx=\"29\" "
               "cy=\"15\" r=\"7\" fill=\"none\" stroke=\"var(--b)\" stroke-width=\"2.6\"/><path "
               "d=\"M9 15 13 5h12l4 10M13 5h-3M25 5l-8 10M17 15 13 5\" fill=\"none\" "
               "stroke=\"currentColor\" stroke-width=\"1.8\" stroke-linejoin=\"round\" "
               "stroke-linecap=\"round\"/></svg>Tandem</span>\n"
               "<span class=\"switch\" role=\"group\" aria-label=\"Language 语言\">"
               "<button type=\"button\" data-language=\"en\">English</button>"
               "<button type=\"button\" data-language=\"zh\" lang=\"zh\">中文</button></span>"
               "</div>\n<h1><span class=\"name-a\">");
    text(out, candidate_name(&c->candidates[SIDE_A]));
    strbuf_add(out, "</span> <span class=\"versus\">");
    say(out, "and", "与");
    strbuf_add(out, "</span> <span class=\"name-b\">");
    text(out, candidate_name(&c->candidates[SIDE_B]));
    strbuf_add(out, "</span></h1>\n");
    add_meta(out, c);
    add_notices(out, c);
    strbuf_add(out, "</header>\n<main>\n");
}

/* --- scores --- */

static void add_radar(struct strbuf *out, const struct comparison *c, const struct findings *f)
{
    struct radar_axis axes[N_DIMENSIONS + 1];
    for (size_t i = 0; i <= N_DIMENSIONS; i++) {
        axes[i] = (struct radar_axis){.title = dimension_titles[i]};
        for (size_t side = 0; side < N_SIDES; side++) {
            const struct score *score = i < N_DIMENSIONS ? &f->dimensions[i].scores[side] : NULL;
            const struct speed *speed = &f->speeds[side];
            axes[i].values[side] = score ? score->value : speed->score;
            axes[i].intervals[side] = score ? score->interval : speed->interval;
            axes[i].measured[side] = score ? score->n > 0 : speed->first_token.n > 0;
        }
    }
    strbuf_add(out, "<div>\n");
    radar_svg(axes, N_DIMENSIONS + 1, out);
    strbuf_add(out, "<ul class=\"legend\">");
    for (size_t side = 0; side < N_SIDES; side++) {
        strbuf_add(out, "<li>");
        name_of(out, c, side);
        strbuf_add(out, "</li>");
    }
    strbuf_add(out, "</ul></div>\n");
}

static void add_bar(struct strbuf *out, size_t side, double value, struct interval interval)
{
    strbuf_printf(out,
                  "<div class=\"bar bar-%c\" style=\"--v:%.2f;--l:%.2f;--h:%.2f\" "
                  "aria-hidden=\"true\"><i></i><b></b></div>",
                  "ab"[side], value, interval.low, interval.high);
}

/* The number, the bar, and what the number rests on. */
static void add_score(struct strbuf *out, size_t side, double value, struct interval interval,
                      const char *basis)
{
    strbuf_printf(out, "<span class=\"score name-%c\">%.1f</span>", "ab"[side], value);
    add_bar(out, side, value, interval);
    strbuf_printf(out, "<span class=\"small basis\">%s · %.1f–%.1f</span>", basis, interval.low,
                  interval.high);
}

static void add_score_cell(struct strbuf *out, const struct group *group, size_t side)
{
    const struct score *score = &group->scores[side];
    char basis[64], not_run[2][64];
    strbuf_add(out, "<td>");
    snprintf(basis, sizeof basis, "%zu/%zu", score->right, score->n);
    if (score->n)
        add_score(out, side, score->value, score->interval, basis);
    else
        say(out, "not measured", "未测量");
    if (group->not_run[side]) {
        snprintf(not_run[0], sizeof not_run[0], "%zu not judged", group->not_run[side]);
        snprintf(not_run[1], sizeof not_run[1], "%zu 题未评判", group->not_run[side]);
        strbuf_add(out, "<span class=\"small\">");
        say(out, not_run[0], not_run[1]);
        strbuf_add(out, "</span>");
    }
    strbuf_add(out, "</td>");
}

static void add_test(struct strbuf *out, const struct comparison *c, const struct paired *paired)
{
    char words[2][400];
    findings_describe_paired(paired, candidate_name(&c->candidates[SIDE_A]),
                             candidate_name(&c->candidates[SIDE_B]), words);
    strbuf_add(out, "<span class=\"small\">");
    say(out, words[0], words[1]);
    strbuf_add(out, "</span>");
}

static void add_group_row(struct strbuf *out, const struct comparison *c, struct bilingual title,
                          const struct group *group)
{
    strbuf_add(out, "<tr><th scope=\"row\">");
    say_title(out, title);
    add_test(out, c, &group->paired);
    strbuf_add(out, "</th>");
    for (size_t side = 0; side < N_SIDES; side++)
        add_score_cell(out, group, side);
    strbuf_add(out, "</tr>\n");
}

static void add_latency_row(struct strbuf *out, const struct findings *f)
{
    char en[200], zh[200], p[32], basis[64];
    format_p(f->first_token.p, p);
    snprintf(en, sizeof en, "Faster first token: A on %zu items, B on %zu (sign test, %s).",
             f->first_token.wins, f->first_token.losses, p);
    snprintf(zh, sizeof zh, "首 token 更快：A %zu 题，B %zu 题（符号检验，%s）。",
             f->first_token.wins, f->first_token.losses, p);
    strbuf_add(out, "<tr><th scope=\"row\">");
    say_title(out, dimension_titles[N_DIMENSIONS]);
    strbuf_add(out, "<span class=\"small\">");
    say(out, en, zh);
    strbuf_add(out, "</span></th>");
    for (size_t side = 0; side < N_SIDES; side++) {
        const struct speed *speed = &f->speeds[side];
        strbuf_add(out, "<td>");
        snprintf(basis, sizeof basis, "n = %zu", speed->first_token.n);
        if (speed->first_token.n)
            add_score(out, side, speed->score, speed->interval, basis);
        else
            say(out, "not measured", "未测量");
        strbuf_add(out, "</td>");
    }
    strbuf_add(out, "</tr>\n");
}

static void open_scores_table(struct strbuf *out, const struct comparison *c, const char *en,
                              const char *zh)
{
    strbuf_add(out, "<table class=\"scores\"><caption>");
    say(out, en, zh);
    strbuf_add(out, "</caption><thead><tr>");
    column_head(out, "", "Dimension, paired test", "维度与配对检验");
    side_heads(out, c, "");
    strbuf_add(out, "</tr></thead><tbody>\n");
}

static void add_headline(struct strbuf *out, const struct comparison *c, const struct findings *f)
{
    char words[2][400];
    findings_describe_paired(&f->all.paired, candidate_name(&c->candidates[SIDE_A]),
                             candidate_name(&c->candidates[SIDE_B]), words);
    strbuf_add(out, "<p class=\"headline\"><strong>");
    say(out, "All quality items together. ", "全部质量题目：");
    strbuf_add(out, "</strong>");
    say(out, words[0], words[1]);
    strbuf_add(out, "</p>\n");
}

static void add_glance(struct strbuf *out, const struct comparison *c, const struct findings *f)
{
    heading(out, "glance", "Five dimensions", "五个维度");
    strbuf_add(out, "<div class=\"card\">\n");
    add_headline(out, c, f);
    strbuf_add(out, "<div class=\"glance\">\n");
    add_radar(out, c, f);
    strbuf_add(out, "<div>\n");
    open_scores_table(out, c, "Score 0 to 10, items right of items judged, 95% interval",
                      "得分 0–10、答对数/评判数、95% 区间");
    for (size_t i = 0; i < N_DIMENSIONS; i++)
        add_group_row(out, c, dimension_titles[i], &f->dimensions[i]);
    add_latency_row(out, f);
    strbuf_add(out, "</tbody></table>\n</div></div></div></section>\n");
}

static void add_languages(struct strbuf *out, const struct comparison *c, const struct findings *f)
{
    heading(out, "languages", "By language, and all together", "按语言与总体");
    strbuf_add(out, "<div class=\"card\">\n");
    open_scores_table(out, c, "The same items, counted differently", "同一批题目的不同汇总");
    for (size_t i = 0; i < N_LANGUAGES; i++)
        add_group_row(out, c, language_titles[i], &f->languages[i]);
    add_group_row(out, c, (struct bilingual){"All quality items", "全部质量题目"}, &f->all);
    strbuf_add(out, "</tbody></table></div></section>\n");
}

static void add_advice(struct strbuf *out, const struct comparison *c, const struct findings *f)
{
    struct advice advice[N_ADVICE];
    size_t n = findings_advice(c, f, advice);
    heading(out, "advice", "Which model for what", "哪个模型适合什么");
    strbuf_add(out, "<ul class=\"advice\">\n");
    for (size_t i = 0; i < n; i++) {
        bool picked = advice[i].choice == CHOICE_A || advice[i].choice == CHOICE_B;
        char side = advice[i].choice == CHOICE_A ? 'a' : 'b';
        strbuf_add(out, "<li class=\"card\"><h3>");
        say(out, advice[i].scenario[0], advice[i].scenario[1]);
        strbuf_add(out, "</h3>");
        if (picked)
            strbuf_printf(out,
                          "<div class=\"pick name-%c\"><span class=\"key key-%c\" "
                          "aria-hidden=\"true\"></span><span>",
                          side, side);
        else
            strbuf_add(out, "<div class=\"pick none\"><span>");
        say_title(out, choice_title(advice[i].choice, c));
        strbuf_add(out, "</span></div><p>");
        say(out, advice[i].why[0], advice[i].why[1]);
        strbuf_add(out, "</p></li>\n");
    }
    strbuf_add(out, "</ul></section>\n");
}

/* --- resources --- */

/* better: -1 where smaller is better, 1 where larger is, 0 where neither. */
static void add_resource(struct strbuf *out, const char *en, const char *zh, const double values[2],
                         char texts[2][80], int better)
{
    strbuf_add(out, "<tr><th scope=\"row\">");
    say(out, en, zh);
    strbuf_add(out, "</th>");
    for (size_t side = 0; side < N_SIDES; side++) {
        double own = values[side], other = values[1 - side];
        bool is_better = own > 0 && other > 0 && (own - other) * better > 0;
        strbuf_printf(out, "<td class=\"number%s\">", is_better ? " better" : "");
        text(out, texts[side]);
        strbuf_add(out, "</td>");
    }
    double low = values[0] < values[1] ? values[0] : values[1];
    double high = values[0] < values[1] ? values[1] : values[0];
    if (better && low > 0)
        strbuf_printf(out, "<td class=\"number ratio\">%.2f×</td></tr>\n", high / low);
    else
        strbuf_add(out, "<td class=\"ratio\"></td></tr>\n");
}

typedef double resource_value(const struct comparison *c, const struct findings *f, size_t side);

static double file_size(const struct comparison *c, const struct findings *f, size_t side)
{
    (void)f;
    return (double)candidate_file_bytes(&c->candidates[side]);
}

static double load_time(const struct comparison *c, const struct findings *f, size_t side)
{
    (void)f;
    return c->candidates[side].info.load_seconds;
}

static double ready_time(const struct comparison *c, const struct findings *f, size_t side)
{
    (void)c;
    return f->speeds[side].latency.ready_seconds;
}

static double first_token(const struct comparison *c, const struct findings *f, size_t side)
{
    (void)c;
    return f->speeds[side].first_token.median;
}

static double prompt_rate(const struct comparison *c, const struct findings *f, size_t side)
{
    (void)c;
    return f->speeds[side].prompt_rate.median;
}

static double generation_rate(const struct comparison *c, const struct findings *f, size_t side)
{
    (void)c;
    return f->speeds[side].generation_rate.median;
}

static double item_time(const struct comparison *c, const struct findings *f, size_t side)
{
    (void)c;
    return f->speeds[side].total.median;
}

static double peak_memory(const struct comparison *c, const struct findings *f, size_t side)
{
    (void)f;
    return (double)c->candidates[side].peak_bytes;
}

static double own_memory(const struct comparison *c, const struct findings *f, size_t side)
{
    (void)f;
    return (double)c->candidates[side].anonymous_bytes;
}

enum resource_unit { UNIT_BYTES, UNIT_SECONDS, UNIT_RATE };

static void format_resource(enum resource_unit unit, double value, char out[80])
{
    char number[32];
    if (unit == UNIT_BYTES)
        format_bytes((size_t)value, number);
    else if (unit == UNIT_SECONDS)
        format_seconds(value, number);
    else
        format_rate(value, number);
    snprintf(out, 80, "%s", number);
}

static void add_model_rows(struct strbuf *out, const struct comparison *c)
{
    const double nothing[2] = {0};
    char texts[2][80], parameters[32];
    for (size_t side = 0; side < N_SIDES; side++) {
        const struct respondent_info *info = &c->candidates[side].info;
        format_count(info->n_parameters, parameters);
        snprintf(texts[side], sizeof texts[side], "%.20s · %.16s · %.16s",
                 info->family ? info->family : "-", parameters,
                 info->weight_type ? info->weight_type : "-");
    }
    add_resource(out, "Family, parameters, weights", "系列、参数量、权重类型", nothing, texts, 0);
}

static void add_resource_rows(struct strbuf *out, const struct comparison *c,
                              const struct findings *f)
{
    static const struct {
        const char *en, *zh;
        resource_value *value;
        enum resource_unit unit;
        int better;
    } rows[] = {
        {"Model size on disk", "模型文件大小", file_size, UNIT_BYTES, -1},
        {"Load time", "加载时间", load_time, UNIT_SECONDS, -1},
        {"Ready: load and first token of the warm-up", "就绪：加载加预热首 token", ready_time,
         UNIT_SECONDS, -1},
        {"First token, median", "首个 token，中位数", first_token, UNIT_SECONDS, -1},
        {"Prompt tokens per second, median", "提示 token/秒，中位数", prompt_rate, UNIT_RATE, 1},
        {"Generated tokens per second, median", "生成 token/秒，中位数", generation_rate, UNIT_RATE,
         1},
        {"Time per item, median", "每题用时，中位数", item_time, UNIT_SECONDS, -1},
        {"Peak memory (resident)", "内存峰值（常驻）", peak_memory, UNIT_BYTES, -1},
        {"… of it not mapped from files, largest seen", "其中非文件映射部分（最大值）", own_memory,
         UNIT_BYTES, -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double values[2];
        char texts[2][80];
        for (size_t side = 0; side < N_SIDES; side++) {
            values[side] = rows[i].value(c, f, side);
            format_resource(rows[i].unit, values[side], texts[side]);
        }
        add_resource(out, rows[i].en, rows[i].zh, values, texts, rows[i].better);
    }
}

static void add_token_rows(struct strbuf *out, const struct findings *f)
{
    const double nothing[2] = {0};
    char texts[2][80], low[32], high[32];
    for (size_t side = 0; side < N_SIDES; side++) {
        format_seconds(f->speeds[side].first_token.p90, low);
        format_seconds(f->speeds[side].first_token.max, high);
        snprintf(texts[side], sizeof texts[side], "%s / %s", low, high);
    }
    add_resource(out, "First token, 90th percentile / longest", "首个 token，90 百分位 / 最长",
                 nothing, texts, 0);
    for (size_t side = 0; side < N_SIDES; side++)
        snprintf(texts[side], sizeof texts[side], "%zu / %zu", f->speeds[side].prompt_tokens,
                 f->speeds[side].answer_tokens);
    add_resource(out, "Tokens in all: prompts / answers", "token 总数：提示 / 回答", nothing, texts,
                 0);
    for (size_t side = 0; side < N_SIDES; side++)
        snprintf(texts[side], sizeof texts[side], "%zu", f->speeds[side].cut_answers);
    add_resource(out, "Answers cut at the token limit", "因 token 上限截断的回答", nothing, texts,
                 0);
    for (size_t side = 0; side < N_SIDES; side++)
        format_resource(UNIT_SECONDS, f->speeds[side].cpu_seconds, texts[side]);
    add_resource(out, "CPU time of all answers", "全部回答的 CPU 时间", nothing, texts, 0);
}

static void add_parts(struct strbuf *out, const struct comparison *c, const struct findings *f)
{
    strbuf_add(out, "<div class=\"card scroll\"><table class=\"measures\"><caption>");
    say(out,
        "How the latency score comes about: points 0 to 10 on a logarithmic scale between "
        "the anchors",
        "延迟得分的构成：锚点之间按对数刻度计 0–10 分");
    strbuf_add(out, "</caption><thead><tr>");
    column_head(out, "", "Part", "部分");
    column_head(out, "number", "0 … 10 points", "0 … 10 分锚点");
    column_head(out, "number", "Weight", "权重");
    side_heads(out, c, "number");
    strbuf_add(out, "</tr></thead><tbody>\n");
    for (int i = 0; i < N_LATENCY_PARTS; i++) {
        const struct latency_scale *scale = &latency_parts[i];
        strbuf_add(out, "<tr><th scope=\"row\">");
        say_title(out, latency_titles[i]);
        strbuf_printf(out,
                      "</th><td class=\"number\">%g … %g %s</td><td class=\"number\">%.0f%%</td>",
                      scale->worst, scale->best, scale->unit, 100 * scale->weight);
        for (size_t side = 0; side < N_SIDES; side++)
            strbuf_printf(out, "<td class=\"number\">%.1f</td>",
                          latency_part_score((enum latency_part)i, &f->speeds[side].latency));
        strbuf_add(out, "</tr>\n");
    }
    strbuf_add(out, "<tr><th scope=\"row\">");
    say(out, "Latency score", "延迟得分");
    strbuf_add(out, "</th><td></td><td class=\"number\">100%</td>");
    for (size_t side = 0; side < N_SIDES; side++)
        strbuf_printf(out, "<td class=\"number better\">%.1f</td>", f->speeds[side].score);
    strbuf_add(out, "</tr></tbody></table></div>\n");
}

static void add_resources(struct strbuf *out, const struct comparison *c, const struct findings *f)
{
    heading(out, "resources", "Speed and resources, measured here", "本机实测的速度与资源");
    strbuf_add(out, "<div class=\"card scroll\"><table class=\"measures\"><caption>");
    say(out, "The better value is bold; the last column says how many times apart",
        "较优者加粗；最后一列为倍数差");
    strbuf_add(out, "</caption><thead><tr>");
    column_head(out, "", "Measure", "指标");
    side_heads(out, c, "number");
    column_head(out, "number ratio", "Ratio", "倍数");
    strbuf_add(out, "</tr></thead><tbody>\n");
    add_model_rows(out, c);
    add_resource_rows(out, c, f);
    add_token_rows(out, f);
    strbuf_add(out, "</tbody></table></div>\n");
    add_parts(out, c, f);
    strbuf_add(out, "</section>\n");
}

/* --- items --- */

static void add_option(struct strbuf *out, const char *value, struct bilingual title)
{
    strbuf_printf(out, "<option value=\"%s\" data-en=\"%s\" data-zh=\"%s\">%s</option>", value,
                  title.en, title.zh, title.en);
}

static void open_select(struct strbuf *out, const char *name, const char *en, const char *zh)
{
    strbuf_add(out, "<label>");
    say(out, en, zh);
    strbuf_printf(out, "<select name=\"%s\">", name);
    add_option(out, "", (struct bilingual){"all", "全部"});
}

static void add_filter(struct strbuf *out)
{
    static const struct bilingual relations[] = {{"verdicts differ", "结果不同"},
                                                 {"both right", "都正确"},
                                                 {"both wrong", "都错误"},
                                                 {"not judged for both", "未全部评判"}};
    static const char *const values[] = {"differ", "both_right", "both_wrong", "open"};
    strbuf_add(out, "<form class=\"filter\" id=\"filter\">");
    open_select(out, "dimension", "Dimension", "维度");
    for (int i = 0; i < N_DIMENSIONS; i++)
        add_option(out, suite_dimension_name((enum suite_dimension)i), dimension_titles[i]);
    strbuf_add(out, "</select></label>");
    open_select(out, "language", "Language", "语言");
    for (int i = 0; i < N_LANGUAGES; i++)
        add_option(out, suite_language_name((enum suite_language)i), language_titles[i]);
    strbuf_add(out, "</select></label>");
    open_select(out, "relation", "Verdicts", "结果");
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        add_option(out, values[i], relations[i]);
    strbuf_add(out, "</select></label><label>");
    say(out, "Text", "文本");
    strbuf_add(out, "<input type=\"search\" name=\"text\" size=\"14\"></label>"
                    "<button type=\"button\" id=\"open-all\">");
    say(out, "Open", "展开");
    strbuf_add(out, "</button><button type=\"button\" id=\"close-all\">");
    say(out, "Close", "收起");
    strbuf_add(out, "</button><output id=\"shown\" class=\"small\" aria-live=\"polite\"></output>"
                    "</form>\n");
}

static void add_chip(struct strbuf *out, const struct outcome *outcome, const char *letter)
{
    bool open = !outcome->asked || outcome->verdict.outcome == VERDICT_NOT_RUN;
    strbuf_printf(out, "<span class=\"chip %s\">%s%s%s <span class=\"word\">",
                  open                        ? "open"
                  : outcome_is_right(outcome) ? "right"
                                              : "wrong",
                  letter, *letter ? " " : "", outcome_sign(outcome));
    say_title(out, outcome_title(outcome));
    strbuf_add(out, "</span></span>");
}

static void add_timings(struct strbuf *out, const struct reply *reply)
{
    char first[32], total[32], prompt[32], generation[32];
    format_seconds(reply->first_token_seconds, first);
    format_seconds(reply->total_seconds, total);
    format_rate(reply_prompt_rate(reply), prompt);
    format_rate(reply_generation_rate(reply), generation);
    strbuf_add(out, "<p class=\"small\">");
    say(out, "prompt ", "提示 ");
    strbuf_printf(out, "%zu tok · %s tok/s — ", reply->prompt_tokens, prompt);
    say(out, "answer ", "回答 ");
    strbuf_printf(out, "%zu tok · %s tok/s — ", reply->answer_tokens, generation);
    say(out, "first token ", "首 token ");
    strbuf_printf(out, "%s — ", first);
    say(out, "total ", "总计 ");
    strbuf_printf(out, "%s — ", total);
    say(out, "ended by ", "结束原因 ");
    text(out, reply->finish);
    strbuf_add(out, "</p>\n");
}

static void add_pre(struct strbuf *out, const char *plain, size_t length)
{
    strbuf_add(out, "<pre dir=\"auto\">");
    html_escape(out, plain, length);
    strbuf_add(out, "</pre>\n");
}

static void add_outcome(struct strbuf *out, const struct comparison *c, size_t side, size_t i)
{
    const struct outcome *outcome = &c->candidates[side].outcomes[i];
    strbuf_printf(out, "<div class=\"answer %c\"><h4><span>", "ab"[side]);
    name_of(out, c, side);
    strbuf_add(out, "</span>");
    add_chip(out, outcome, "");
    strbuf_add(out, "</h4>\n");
    if (outcome->asked) {
        strbuf_add(out, "<p class=\"reason\">");
        text(out, outcome->verdict.reason ? outcome->verdict.reason : "");
        strbuf_add(out, "</p>\n");
        if (outcome->reply.text)
            add_pre(out, outcome->reply.text, outcome->reply.length);
        add_timings(out, &outcome->reply);
    }
    strbuf_add(out, "</div>\n");
}

/* The prompt's first line, as far as a line shows. */
static void add_teaser(struct strbuf *out, const char *prompt)
{
    enum { TEASER_BYTES = 240 };
    size_t length = strcspn(prompt, "\n");
    bool cut = length > TEASER_BYTES;
    while (cut && length > TEASER_BYTES)
        length--;
    while (cut && length && ((unsigned char)prompt[length] & 0xC0) == 0x80)
        length--;
    html_escape(out, prompt, length);
    if (cut)
        strbuf_add(out, "…");
}

static void add_item(struct strbuf *out, const struct comparison *c, size_t i)
{
    const struct suite_item *item = c->items[i];
    const struct outcome *a = &c->candidates[SIDE_A].outcomes[i];
    const struct outcome *b = &c->candidates[SIDE_B].outcomes[i];
    const char *language = suite_language_name(item->language);
    strbuf_printf(out,
                  "<details class=\"item\" id=\"item-%s\" data-dimension=\"%s\" "
                  "data-language=\"%s\" data-relation=\"%s\"><summary><span class=\"id\">%s",
                  item->id, suite_dimension_name(item->dimension), language,
                  outcomes_relation(a, b), item->id);
    strbuf_add(out, "<span class=\"small\">");
    say_title(out, dimension_titles[item->dimension]);
    strbuf_printf(out, "</span></span><span class=\"teaser\" lang=\"%s\">", language);
    add_teaser(out, item->prompt);
    strbuf_add(out, "</span><span class=\"verdicts\">");
    add_chip(out, a, "A");
    add_chip(out, b, "B");
    strbuf_printf(out, "</span></summary>\n<div class=\"body\" lang=\"%s\">\n<p class=\"label\">",
                  language);
    say(out, "Prompt", "题目");
    strbuf_add(out, "</p>");
    add_pre(out, item->prompt, strlen(item->prompt));
    strbuf_add(out, "<p class=\"label\">");
    say(out, "An answer that is right; judged by: ", "一个正确答案；评判器：");
    text(out, grader_kind(item->grader));
    strbuf_add(out, "</p>");
    add_pre(out, item->reference, strlen(item->reference));
    strbuf_add(out, "<div class=\"two\">\n");
    for (size_t side = 0; side < N_SIDES; side++)
        add_outcome(out, c, side, i);
    strbuf_add(out, "</div></div></details>\n");
}

static void add_items(struct strbuf *out, const struct comparison *c)
{
    heading(out, "items", "Every prompt, both answers", "全部题目与双方回答");
    add_filter(out);
    for (size_t i = 0; i < c->n_items; i++)
        add_item(out, c, i);
    strbuf_add(out, "</section>\n");
}

/* --- environment --- */

static void open_fact(struct strbuf *out, const char *en, const char *zh)
{
    strbuf_add(out, "<dt>");
    say(out, en, zh);
    strbuf_add(out, "</dt><dd>");
}

static void add_fact(struct strbuf *out, const char *en, const char *zh, const char *value)
{
    open_fact(out, en, zh);
    text(out, value);
    strbuf_add(out, "</dd>\n");
}

static void add_machine(struct strbuf *out, const struct comparison *c)
{
    const struct environment *e = &c->environment;
    char line[400], memory[32], limit[32];
    snprintf(line, sizeof line, "%s (%zu CPUs, %s)", e->cpu, e->n_cpus, e->architecture);
    add_fact(out, "CPU", "处理器", line);
    format_bytes(e->memory_bytes, memory);
    format_bytes(e->memory_limit, limit);
    snprintf(line, sizeof line, e->memory_limit ? "%s (limit %s)" : "%s", memory, limit);
    add_fact(out, "Memory", "内存", line);
    snprintf(line, sizeof line, "%s, %s", e->system, e->kernel);
    add_fact(out, "System", "操作系统", line);
    snprintf(line, sizeof line, "%s, %s", e->version, e->compiler);
    add_fact(out, "Tandem, compiler", "Tandem 版本与编译器", line);
}

static void add_options(struct strbuf *out, const struct comparison *c)
{
    char line[400], duration[32], limit[40] = "all items", tokens[40] = "the suite's";
    if (c->limit)
        snprintf(limit, sizeof limit, "at most %zu items", c->limit);
    if (c->max_tokens)
        snprintf(tokens, sizeof tokens, "%zu", c->max_tokens);
    format_seconds(c->seconds, duration);
    snprintf(line, sizeof line, "%s; at most %s tokens per answer; %s, seed %llu; context %zu; %s",
             limit, tokens, c->sample ? "sampling as each model's defaults say" : "greedy",
             (unsigned long long)c->seed, c->context_length, duration);
    add_fact(out, "Options, duration", "选项与用时", line);
    open_fact(out, "Suite", "题集");
    text(out, c->suite->name);
    strbuf_printf(out, "<div class=\"hash\">SHA-256 %s</div></dd>\n", c->suite->sha256);
}

static void add_model(struct strbuf *out, const struct comparison *c, size_t side)
{
    const struct candidate *candidate = &c->candidates[side];
    const struct respondent_info *info = &candidate->info;
    char bytes[32];
    open_fact(out, side == SIDE_A ? "Model A" : "Model B", side == SIDE_A ? "模型 A" : "模型 B");
    name_of(out, c, side);
    strbuf_add(out, "<div class=\"small\">");
    if (candidate->loaded) {
        strbuf_printf(out, "%zu layers, %zu wide, %zu tokens; context %zu of %zu; kernels ",
                      info->n_layers, info->dim, info->vocab_size, info->context_length,
                      info->model_context_length);
        text(out, info->isa);
        strbuf_printf(out, ", %zu threads", info->n_threads);
    } else {
        say(out, "not loaded", "未加载");
    }
    strbuf_add(out, "</div><ul class=\"files\">");
    for (size_t i = 0; i < info->n_files; i++) {
        format_bytes(info->files[i].bytes, bytes);
        strbuf_add(out, "<li>");
        text(out, info->files[i].path);
        strbuf_printf(out, " (%s)<div class=\"hash\">SHA-256 %s</div></li>", bytes,
                      info->files[i].sha256[0] ? info->files[i].sha256 : "–");
    }
    strbuf_add(out, "</ul></dd>\n");
}

static void add_environment(struct strbuf *out, const struct comparison *c)
{
    heading(out, "environment", "Environment", "运行环境");
    strbuf_add(out, "<div class=\"card\"><dl>\n");
    add_machine(out, c);
    add_options(out, c);
    for (size_t side = 0; side < N_SIDES; side++)
        add_model(out, c, side);
    strbuf_add(out, "</dl></div></section>\n");
    heading(out, "method", "How to read this", "如何阅读");
    strbuf_add(out, "<ul class=\"method\">\n");
    for (size_t i = 0; method_notes[i].en; i++) {
        strbuf_add(out, "<li>");
        say_title(out, method_notes[i]);
        strbuf_add(out, "</li>\n");
    }
    strbuf_add(out, "</ul></section>\n");
}

void report_html(const struct comparison *c, const struct findings *f, struct strbuf *out)
{
    add_head(out, c);
    add_header(out, c);
    add_glance(out, c, f);
    add_advice(out, c, f);
    add_resources(out, c, f);
    add_languages(out, c, f);
    add_items(out, c);
    add_environment(out, c);
    strbuf_add(out, "</main>\n<footer>");
    say(out,
        "Made by Tandem. The same numbers are in report.json and report.md; every answer is in "
        "answers.jsonl.",
        "由 Tandem 生成。report.json 与 report.md 包含同样的数据；全部回答见 answers.jsonl。");
    strbuf_add(out, "</footer>\n<script>");
    strbuf_append(out, embedded_script.data, embedded_script.size);
    strbuf_add(out, "</script>\n</body>\n</html>\n");
}
