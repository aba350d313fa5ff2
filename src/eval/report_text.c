#include "eval/report_text.h"
#include "base/size.h"
#include "base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const struct bilingual dimension_titles[N_DIMENSIONS + 1] = {
    [DIMENSION_INSTRUCTION] = {"Instruction following", "指令遵循"},
    [DIMENSION_MATH] = {"Math and logic", "数学与逻辑"},
    [DIMENSION_CODE] = {"Code generation", "代码生成"},
    [DIMENSION_STRUCTURED] = {"Structured data", "结构化数据"},
    [N_DIMENSIONS] = {"Latency and resources", "延迟与资源"},
};

const struct bilingual language_titles[N_LANGUAGES] = {
    [LANGUAGE_ZH] = {"Chinese prompts", "中文题目"},
    [LANGUAGE_EN] = {"English prompts", "英文题目"},
};

const struct bilingual latency_titles[N_LATENCY_PARTS] = {
    [LATENCY_FIRST_TOKEN] = {"First token (median)", "首个 token（中位数）"},
    [LATENCY_GENERATION] = {"Generation (median)", "生成速度（中位数）"},
    [LATENCY_PROMPT] = {"Prompt processing (median)", "提示处理速度（中位数）"},
    [LATENCY_READY] = {"Ready to answer", "就绪时间"},
    [LATENCY_MEMORY] = {"Peak memory", "内存峰值"},
};

const struct bilingual method_notes[] = {
    {"A quality score is ten times the share of items judged right. Items that could not be judged "
     "count for nobody; items without an answer count as wrong. The interval is Wilson's, 95%.",
     "质量得分为判对比例乘以 10。无法评判的题目不计入任何一方；没有作答的题目算错。区间为 95% "
     "Wilson "
     "区间。"},
    {"The paired test is the exact McNemar test (two-sided) over the items on which the models "
     "differ; at least 6 : 0 is needed for p < 0.05. The interval of the difference is a bootstrap "
     "over items with 10,000 draws.",
     "配对检验为精确 McNemar 检验（双侧），只看两个模型结果不同的题目；p < 0.05 至少需要 6 : "
     "0。差值区间由"
     "对题目的 10,000 次自助抽样得到。"},
    {"The models ran one after the other, each alone in its own process, one request at a time. A "
     "warm-up prompt of 8 tokens came first: it belongs to the time to be ready and to no item. "
     "Files may have been in the system's cache before.",
     "两个模型先后运行，各自独占一个进程，一次一个请求。正式题目之前有一个 8 token "
     "的预热请求，计入就绪"
     "时间，不计入任何题目。模型文件可能已在系统缓存中。"},
    {"Peak memory is the resident peak (VmHWM) of the model's process, weights mapped from files "
     "included. The latency score is a weighted mean of five parts on logarithmic scales between "
     "fixed anchors; its interval is a bootstrap over items (load time and memory are single "
     "measurements).",
     "内存峰值为模型进程的常驻内存峰值（VmHWM），包含映射自文件的权重。延迟得分为五个部分在固定锚点"
     "之间按"
     "对数刻度评分的加权平均；其区间由对题目的自助抽样得到（加载时间与内存只测一次）。"},
    {NULL, NULL}};

/* --- notices --- */

static struct notice *add_notice(struct notice *notices, size_t *n, enum notice_kind kind)
{
    struct notice *notice = &notices[(*n)++];
    notice->kind = kind;
    return notice;
}

static void notice_random(const struct comparison *c, struct notice *notices, size_t *n)
{
    static const char *const which_en[] = {"", "Model A is", "Model B is", "Both models are"};
    static const char *const which_zh[] = {"", "模型 A ", "模型 B ", "两个模型"};
    int which = c->candidates[SIDE_A].is_random + 2 * c->candidates[SIDE_B].is_random;
    if (!which)
        return;
    struct notice *notice = add_notice(notices, n, NOTICE_WARNING);
    snprintf(notice->text[0], sizeof notice->text[0],
             "%s made of random weights. The answers are noise and say nothing about any real "
             "model; what this report shows is that the machinery works.",
             which_en[which]);
    snprintf(notice->text[1], sizeof notice->text[1],
             "%s的权重是随机的：回答只是噪声，不说明任何真实模型的能力；本报告只表明流程可用。",
             which_zh[which]);
}

static void notice_partial(const struct comparison *c, struct notice *notices, size_t *n)
{
    size_t a = c->candidates[SIDE_A].n_asked, b = c->candidates[SIDE_B].n_asked;
    if (!comparison_is_partial(c))
        return;
    struct notice *notice = add_notice(notices, n, NOTICE_WARNING);
    snprintf(notice->text[0], sizeof notice->text[0],
             "Partial: %zu of %zu items were asked of model A and %zu of %zu of model B%s.", a,
             c->n_items, b, c->n_items, c->interrupted ? "; the run was stopped by the user" : "");
    snprintf(notice->text[1], sizeof notice->text[1],
             "部分结果：模型 A 完成 %zu / %zu 题，模型 B 完成 %zu / %zu 题%s。", a, c->n_items, b,
             c->n_items, c->interrupted ? "；运行被用户中止" : "");
}

static void notice_failures(const struct comparison *c, struct notice *notices, size_t *n)
{
    for (size_t side = 0; side < N_SIDES; side++) {
        const struct candidate *candidate = &c->candidates[side];
        if (!candidate->failure[0])
            continue;
        struct notice *notice = add_notice(notices, n, NOTICE_ERROR);
        snprintf(notice->text[0], sizeof notice->text[0], "Model %c failed: %.1000s", "AB"[side],
                 candidate -> failure);
        snprintf(notice->text[1], sizeof notice->text[1], "模型 %c 失败：%.1000s", "AB"[side],
                 candidate -> failure);
    }
}

static void notice_templates(const struct comparison *c, struct notice *notices, size_t *n)
{
    for (size_t side = 0; side < N_SIDES; side++) {
        if (!c->candidates[side].loaded || c->candidates[side].info.has_chat_template)
            continue;
        struct notice *notice = add_notice(notices, n, NOTICE_WARNING);
        snprintf(notice->text[0], sizeof notice->text[0],
                 "Model %c has no chat template: it was given the bare prompts.", "AB"[side]);
        snprintf(notice->text[1], sizeof notice->text[1],
                 "模型 %c 没有对话模板：直接输入题目原文。", "AB"[side]);
    }
}

size_t report_notices(const struct comparison *c, struct notice notices[MAX_NOTICES])
{
    size_t n = 0;
    notice_random(c, notices, &n);
    notice_partial(c, notices, &n);
    notice_failures(c, notices, &n);
    notice_templates(c, notices, &n);
    if (c->sandbox_missing) {
        struct notice *notice = add_notice(notices, &n, NOTICE_WARNING);
        snprintf(notice->text[0], sizeof notice->text[0],
                 "Some generated code was not run, and those items count for nobody: %.1000s",
                 c->sandbox_message[0] ? c->sandbox_message : "the sandbox failed");
        snprintf(notice->text[1], sizeof notice->text[1],
                 "部分生成的代码没有运行，这些题目不计分：%.1000s",
                 c->sandbox_message[0] ? c->sandbox_message : "沙箱失败");
    }
    if (c->log_failure[0]) {
        struct notice *notice = add_notice(notices, &n, NOTICE_ERROR);
        snprintf(notice->text[0], sizeof notice->text[0], "answers.jsonl is not complete: %.1000s",
                 c->log_failure);
        snprintf(notice->text[1], sizeof notice->text[1], "answers.jsonl 不完整：%.1000s",
                 c->log_failure);
    }
    return n;
}

/* --- words --- */

struct bilingual outcome_title(const struct outcome *outcome)
{
    if (!outcome->asked)
        return (struct bilingual){"not asked", "未运行"};
    switch (outcome->verdict.outcome) {
    case VERDICT_PASS:
        return (struct bilingual){"right", "正确"};
    case VERDICT_NOT_RUN:
        return (struct bilingual){"not judged", "未评判"};
    case VERDICT_FAIL:
        break;
    }
    return (struct bilingual){"wrong", "错误"};
}

const char *outcome_sign(const struct outcome *outcome)
{
    if (!outcome->asked || outcome->verdict.outcome == VERDICT_NOT_RUN)
        return "–";
    return outcome_is_right(outcome) ? "✓" : "✗";
}

bool outcome_is_right(const struct outcome *outcome)
{
    return outcome->asked && outcome->verdict.outcome == VERDICT_PASS;
}

const char *outcomes_relation(const struct outcome *a, const struct outcome *b)
{
    if (!a->asked || !b->asked || a->verdict.outcome == VERDICT_NOT_RUN ||
        b->verdict.outcome == VERDICT_NOT_RUN)
        return "open";
    if (outcome_is_right(a) != outcome_is_right(b))
        return "differ";
    return outcome_is_right(a) ? "both_right" : "both_wrong";
}

struct bilingual choice_title(enum choice choice, const struct comparison *c)
{
    const char *name;
    switch (choice) {
    case CHOICE_A:
    case CHOICE_B:
        name = candidate_name(&c->candidates[choice == CHOICE_A ? SIDE_A : SIDE_B]);
        return (struct bilingual){name, name};
    case CHOICE_EITHER:
        return (struct bilingual){"No significant difference", "无显著差异"};
    case CHOICE_NEITHER:
        return (struct bilingual){"Neither", "都不推荐"};
    case CHOICE_UNKNOWN:
        break;
    }
    return (struct bilingual){"Not measured", "未测量"};
}

size_t candidate_file_bytes(const struct candidate *candidate)
{
    size_t sum = 0;
    for (size_t i = 0; i < candidate->info.n_files; i++)
        sum += candidate->info.files[i].bytes;
    return sum;
}

/* --- numbers --- */

void format_seconds(double seconds, char out[32])
{
    if (!(seconds > 0))
        snprintf(out, 32, "-");
    else if (seconds < 0.001)
        snprintf(out, 32, "%.2f ms", seconds * 1000);
    else if (seconds < 1)
        snprintf(out, 32, "%.3g ms", seconds * 1000);
    else
        snprintf(out, 32, seconds < 100 ? "%.2f s" : "%.0f s", seconds);
}

void format_rate(double rate, char out[32])
{
    if (!(rate > 0))
        snprintf(out, 32, "-");
    else
        snprintf(out, 32, rate < 100 ? "%.1f" : "%.0f", rate);
}

void format_bytes(size_t bytes, char out[32])
{
    double mebibytes = (double)bytes / (1 << 20);
    if (!bytes)
        snprintf(out, 32, "-");
    else if (mebibytes < 1024)
        snprintf(out, 32, mebibytes < 10 ? "%.1f MiB" : "%.0f MiB", mebibytes);
    else
        snprintf(out, 32, "%.2f GiB", mebibytes / 1024);
}

void format_count(size_t count, char out[32])
{
    if (count >= 1000000000)
        snprintf(out, 32, "%.2f B", (double)count / 1e9);
    else if (count >= 1000000)
        snprintf(out, 32, "%.3g M", (double)count / 1e6);
    else
        snprintf(out, 32, "%zu", count);
}

void format_p(double p, char out[32])
{
    if (p < 0.001)
        snprintf(out, 32, "p < 0.001");
    else
        snprintf(out, 32, "p = %.2g", p);
}

/* --- escaping --- */

/* The next character; what must not reach a page or a terminal becomes U+FFFD: invalid bytes,
 * control characters but for newline and tab, and the marks that reverse the reading order. */
static uint32_t next_character(const char *text, size_t length, size_t *used)
{
    uint32_t c;
    int n = utf8_decode(text, length, &c);
    *used = n > 0 ? (size_t)n : 1;
    bool is_control = c < 32 ? c != '\n' && c != '\t' : c >= 0x7F && c < 0xA0;
    bool is_bidi = (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
    return n <= 0 || is_control || is_bidi || c == 0xFFFE || c == 0xFFFF ? 0xFFFD : c;
}

void html_escape(struct strbuf *out, const char *text, size_t length)
{
    for (size_t i = 0, used; i < length; i += used) {
        uint32_t c = next_character(text + i, length - i, &used);
        switch (c) {
        case '&':
            strbuf_add(out, "&amp;");
            break;
        case '<':
            strbuf_add(out, "&lt;");
            break;
        case '>':
            strbuf_add(out, "&gt;");
            break;
        case '"':
            strbuf_add(out, "&quot;");
            break;
        case '\'':
            strbuf_add(out, "&#39;");
            break;
        default:
            strbuf_add_codepoint(out, c);
        }
    }
}

void markdown_escape(struct strbuf *out, const char *text)
{
    size_t length = strlen(text);
    for (size_t i = 0, used; i < length; i += used) {
        uint32_t c = next_character(text + i, length - i, &used);
        if (c == '\n' || c == '\t')
            c = ' ';
        if (c == '<')
            strbuf_add(out, "&lt;");
        else if (c == '&')
            strbuf_add(out, "&amp;");
        else if (c < 128 && strchr("\\`*_[]|#!~$", (int)c))
            strbuf_printf(out, "\\%c", (char)c);
        else
            strbuf_add_codepoint(out, c);
    }
}

/* A fence is longer than every run of its character in the text. */
void markdown_fence(struct strbuf *out, const char *text, size_t length)
{
    size_t longest = 2, run = 0;
    for (size_t i = 0; i < length; i++) {
        run = text[i] == '`' ? run + 1 : 0;
        longest = size_max(run, longest);
    }
    for (size_t i = 0; i <= longest; i++)
        strbuf_add_char(out, '`');
    strbuf_add(out, "text\n");
    for (size_t i = 0, used; i < length; i += used)
        strbuf_add_codepoint(out, next_character(text + i, length - i, &used));
    if (!length || text[length - 1] != '\n')
        strbuf_add_char(out, '\n');
    for (size_t i = 0; i <= longest; i++)
        strbuf_add_char(out, '`');
    strbuf_add_char(out, '\n');
}

void terminal_escape(struct strbuf *out, const char *text)
{
    size_t length = strlen(text);
    for (size_t i = 0, used; i < length; i += used) {
        uint32_t c = next_character(text + i, length - i, &used);
        strbuf_add_codepoint(out, c == '\n' || c == '\t' ? ' ' : c);
    }
}
