/* Which model serves which scenario: rules over the findings, in two languages. Nothing is said
 * here that a test or a measurement does not carry. */
#include "base/size.h"
#include "eval/findings.h"
#include "eval/report_text.h"

#include <stdio.h>
#include <string.h>

/* A model that is right less often than this is not recommended for anything. */
static const double usable_score = 3.0;

void findings_describe_paired(const struct paired *p, const char *name_a, const char *name_b,
                              char out[2][400])
{
    size_t size = 400, decided = p->wins + p->losses;
    if (!p->n) {
        snprintf(out[0], size, "No item was answered by both models.");
        snprintf(out[1], size, "没有两个模型都完成评判的题目。");
    } else if (statistics_finding(p) != FINDING_UNDECIDED) {
        const char *better = p->wins > p->losses ? name_a : name_b;
        size_t more = size_max(p->wins, p->losses), fewer = decided - more;
        snprintf(out[0], size,
                 "%.80s is better: of %zu items it alone was right on %zu, the other alone on %zu "
                 "(p = %.3g).",
                 better, p->n, more, fewer, p->p);
        snprintf(out[1], size,
                 "%.80s 更好：%zu 题中仅它答对 %zu 题，仅对方答对 %zu 题（p = %.3g）。", better,
                 p->n, more, fewer, p->p);
    } else if (!decided) {
        snprintf(out[0], size, "Same verdict on each of %zu items: no difference shown.", p->n);
        snprintf(out[1], size, "%zu 题结果全部相同：未显示差异。", p->n);
    } else if (decided < DECISIVE_MIN) {
        snprintf(out[0], size,
                 "%zu : %zu on the %zu of %zu items where they differ: no difference this small "
                 "can be shown.",
                 p->wins, p->losses, decided, p->n);
        snprintf(out[1], size, "%zu 题中 %zu 题结果不同，%zu : %zu：这样小的差异无法证明。", p->n,
                 decided, p->wins, p->losses);
    } else {
        snprintf(out[0], size,
                 "%zu : %zu on the %zu of %zu items where they differ: not significant "
                 "(p = %.2g).",
                 p->wins, p->losses, decided, p->n, p->p);
        snprintf(out[1], size, "%zu 题中 %zu 题结果不同，%zu : %zu：不显著（p = %.2g）。", p->n,
                 decided, p->wins, p->losses, p->p);
    }
}

static bool is_usable(const struct score *score)
{
    return score->n && score->value >= usable_score;
}

static enum choice choose_by_group(const struct group *group)
{
    const struct score *a = &group->scores[SIDE_A], *b = &group->scores[SIDE_B];
    if (!group->paired.n)
        return CHOICE_UNKNOWN;
    if (!is_usable(a) && !is_usable(b))
        return CHOICE_NEITHER;
    switch (statistics_finding(&group->paired)) {
    case FINDING_A_BETTER:
        return CHOICE_A;
    case FINDING_B_BETTER:
        return CHOICE_B;
    default:
        return CHOICE_EITHER;
    }
}

static void advise_by_group(const struct comparison *c, const struct group *group,
                            struct advice *advice)
{
    const struct score *a = &group->scores[SIDE_A], *b = &group->scores[SIDE_B];
    advice->choice = choose_by_group(group);
    if (advice->choice == CHOICE_NEITHER) {
        snprintf(advice->why[0], sizeof advice->why[0],
                 "Both are right too rarely to be relied on: %zu of %zu and %zu of %zu.", a->right,
                 a->n, b->right, b->n);
        snprintf(advice->why[1], sizeof advice->why[1],
                 "两者正确率都太低，不可依赖：%zu/%zu 与 %zu/%zu。", a->right, a->n, b->right,
                 b->n);
        return;
    }
    findings_describe_paired(&group->paired, candidate_name(&c->candidates[SIDE_A]),
                             candidate_name(&c->candidates[SIDE_B]), advice->why);
}

static enum choice choose_by_race(const struct race *race)
{
    if (race->wins + race->losses + race->ties == 0)
        return CHOICE_UNKNOWN;
    if (race->p >= 0.05)
        return CHOICE_EITHER;
    return race->wins > race->losses ? CHOICE_A : CHOICE_B;
}

static void advise_unmeasured(struct advice *advice)
{
    snprintf(advice->why[0], sizeof advice->why[0], "Needs measurements of both models.");
    snprintf(advice->why[1], sizeof advice->why[1], "需要两个模型的测量结果。");
    advice->choice = CHOICE_UNKNOWN;
}

static void describe_speeds(const struct findings *f, struct advice *advice)
{
    char first[N_SIDES][32], rate[N_SIDES][32];
    for (size_t side = 0; side < N_SIDES; side++) {
        format_seconds(f->speeds[side].first_token.median, first[side]);
        format_rate(f->speeds[side].generation_rate.median, rate[side]);
    }
    snprintf(advice->why[0], sizeof advice->why[0],
             "First token after %s and %s (median), then %s and %s tokens per second. It came "
             "sooner from A on %zu items and from B on %zu.",
             first[SIDE_A], first[SIDE_B], rate[SIDE_A], rate[SIDE_B], f->first_token.wins,
             f->first_token.losses);
    snprintf(advice->why[1], sizeof advice->why[1],
             "首个 token 中位数 %s 与 %s，生成速度 %s 与 %s token/秒；首 token A 更快 %zu 题，B "
             "更快 %zu "
             "题。",
             first[SIDE_A], first[SIDE_B], rate[SIDE_A], rate[SIDE_B], f->first_token.wins,
             f->first_token.losses);
}

/* Interactive use: first token and time of generation, both significant and in one direction. */
static void advise_interactive(const struct findings *f, struct advice *advice)
{
    enum choice first = choose_by_race(&f->first_token), rate = choose_by_race(&f->generation);
    advice->choice = first == rate ? first : first == CHOICE_EITHER ? rate : first;
    if (first == CHOICE_UNKNOWN) {
        advise_unmeasured(advice);
        return;
    }
    if ((first == CHOICE_A && rate == CHOICE_B) || (first == CHOICE_B && rate == CHOICE_A))
        advice->choice = CHOICE_EITHER;
    describe_speeds(f, advice);
}

/* Measured once, so no test: a tenth apart is called different. */
static void advise_memory(const struct findings *f, struct advice *advice)
{
    double a = (double)f->speeds[SIDE_A].latency.peak_bytes / (1 << 20);
    double b = (double)f->speeds[SIDE_B].latency.peak_bytes / (1 << 20);
    if (!(a > 0) || !(b > 0)) {
        advise_unmeasured(advice);
        return;
    }
    advice->choice = a < 0.9 * b ? CHOICE_A : b < 0.9 * a ? CHOICE_B : CHOICE_EITHER;
    snprintf(advice->why[0], sizeof advice->why[0],
             "Peak resident memory of the process: %.0f MiB and %.0f MiB.", a, b);
    snprintf(advice->why[1], sizeof advice->why[1], "进程常驻内存峰值：%.0f MiB 与 %.0f MiB。", a,
             b);
}

static void advise_random(struct advice *advice)
{
    snprintf(advice->why[0], sizeof advice->why[0],
             "These are random weights: nothing follows from their answers.");
    snprintf(advice->why[1], sizeof advice->why[1], "模型权重是随机的：其回答不能说明任何问题。");
    advice->choice = CHOICE_NEITHER;
}

size_t findings_advice(const struct comparison *c, const struct findings *f,
                       struct advice advice[N_ADVICE])
{
    const struct {
        const char *scenario[2];
        const struct group *group;
    } groups[] = {
        {{"Following instructions, office text", "按指令写作、办公文本"},
         &f->dimensions[DIMENSION_INSTRUCTION]},
        {{"Calculating, logic, multi-step reasoning", "计算、逻辑与多步推理"},
         &f->dimensions[DIMENSION_MATH]},
        {{"Writing code", "编写代码"}, &f->dimensions[DIMENSION_CODE]},
        {{"Tables, JSON, data extraction", "表格、JSON 与数据抽取"},
         &f->dimensions[DIMENSION_STRUCTURED]},
        {{"Work in Chinese", "中文任务"}, &f->languages[LANGUAGE_ZH]},
        {{"Work in English", "英文任务"}, &f->languages[LANGUAGE_EN]},
    };
    bool random = c->candidates[SIDE_A].is_random || c->candidates[SIDE_B].is_random;
    size_t n = 0;
    for (; n < sizeof groups / sizeof *groups; n++) {
        advice[n] = (struct advice){.scenario = {groups[n].scenario[0], groups[n].scenario[1]}};
        advise_by_group(c, groups[n].group, &advice[n]);
        if (random && advice[n].choice != CHOICE_UNKNOWN)
            advise_random(&advice[n]);
    }
    advice[n] = (struct advice){
        .scenario = {"Answering while somebody waits, on this machine", "本机上的实时交互"}};
    advise_interactive(f, &advice[n++]);
    advice[n] = (struct advice){.scenario = {"Little memory", "内存紧张的设备"}};
    advise_memory(f, &advice[n++]);
    return n;
}
