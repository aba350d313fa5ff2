/* Every kind of grader on right, wrong, verbose, badly formatted and adversarial answers. */
#include "base/json.h"
#include "base/memory.h"
#include "base/clock.h"
#include "base/strbuf.h"
#include "eval/grader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct example {
    const char *answer;
    char expected; /* 'P' pass, 'F' fail, 'X' fail because nothing was found */
};

static struct grader *make(const char *kind, const char *args)
{
    struct grader *grader = NULL;
    struct error err = {0};
    json_t *object = json_parse("args", args, strlen(args), &err);
    if (!object || grader_create(kind, object, &grader, &err))
        fail_msg("%s", err.message);
    json_decref(object);
    return grader;
}

static char judge(const struct grader *grader, const char *answer, size_t length)
{
    struct verdict verdict;
    struct error err = {0};
    if (grader_grade(grader, answer, length, &verdict, &err))
        fail_msg("%s", err.message);
    assert_non_null(verdict.reason);
    json_t *json = verdict_to_json(&verdict);
    assert_non_null(json);
    json_decref(json);
    char result = verdict.outcome == VERDICT_PASS      ? 'P'
                  : verdict.outcome == VERDICT_NOT_RUN ? 'N'
                  : verdict.extraction_failed          ? 'X'
                                                       : 'F';
    verdict_clear(&verdict);
    return result;
}

static void check(const char *kind, const char *args, const struct example *examples)
{
    struct grader *grader = make(kind, args);
    size_t wrong = 0;
    for (const struct example *e = examples; e->answer; e++) {
        char result = judge(grader, e->answer, strlen(e->answer));
        if (result == e->expected)
            continue;
        wrong++;
        print_error("%s %s: expected %c, got %c for:\n%s\n", kind, args, e->expected, result,
                    e->answer);
    }
    grader_free(grader);
    assert_int_equal(wrong, 0);
}

#define CHECK(kind, args, ...) check(kind, args, (const struct example[]){__VA_ARGS__, {0}})

static void test_number(void **state)
{
    (void)state;
    CHECK("number", "{\"value\": 5}", {"5", 'P'}, {"５", 'P'}, {"5.", 'P'}, {"5.00", 'P'},
          {"答案：5人", 'P'}, {"答案是 **5**。", 'P'}, {"**Answer:** 5", 'P'}, {"#### 5", 'P'},
          {"so \\boxed{5}", 'P'}, {"$$\\boxed{5\\text{ people}}$$", 'P'},
          {"<b>Answer</b>: 5<br>", 'P'}, {"Answer:\n\n5", 'P'}, {"### Answer\n5 people", 'P'},
          {"18 + 15 - 8 = 25, and 30 - 25 = 5", 'P'}, {"Answer: 30 - 25 = 5", 'P'},
          {"Answer: 5 students like neither of the 2 subjects.", 'P'},
          {"There are 30 students.\nTherefore, out of 30 students, 5 like neither.", 'P'},
          {"所以30人中有5人都不喜欢。", 'P'}, {"第1步:25\n第2步:5", 'P'},
          {"Answer: 5 (out of 30)", 'P'}, {"答案是5。\n\n验算:25+5=30", 'P'},
          {"The answer is not 6 but 5.", 'P'}, {"x = 5", 'P'}, {"<answer>5</answer>", 'P'},
          {"<think>maybe 6, or 7</think>5", 'P'}, {"so it is 6</think>\n\nAnswer: 5", 'P'},
          {"1. Add.\n2. Subtract.\n\nThe result is 5", 'P'}, {"Answer: ~~6~~ 5", 'P'}, {"𝟓", 'P'},
          {"答:5人", 'P'}, {"So he scored 4 + 1 = 5 points in 40 minutes.", 'P'});
    CHECK("number", "{\"value\": 5}", {"6", 'F'}, {"30 - 25 = 5. Answer: 25", 'F'},
          {"答案：5\n更正：答案应该是6", 'F'}, {"Answer: 5\nWait, actually it is 6.", 'F'},
          {"Answer: 5%", 'F'}, {"Answer: -5", 'F'}, {"Answer: 负5", 'F'}, {"Answer: 0.5", 'F'},
          {"Answer: 5万", 'F'}, {"Answer: 5 plus 3 is 8", 'F'}, {"Answer: 1/5", 'F'},
          {"<think>5</think>6", 'F'}, {"5 is tempting, but the result is 7.", 'F'},
          {"Answer: 5,000", 'F'}, {"Answer: 5e3", 'F'}, {"Answer: 5×10^3", 'F'},
          {"Answer: 5\\frac{1}{2}", 'F'}, {"Answer: 5½", 'F'},
          {"30 - 25 = 5, so the answer must be 7.", 'F'}, {"30 - 25 = 5 so it is 7", 'F'});
    CHECK("number", "{\"value\": 5}", {"", 'X'}, {"I do not know.", 'X'}, {"Answer: 5 or 6", 'X'},
          {"答案是5或者6", 'X'}, {"Answer: 4, 5, 6", 'X'}, {"Answer: 5-6", 'X'},
          {"Answer: not 5", 'X'}, {"Answer: unknown", 'X'}, {"Answer: 5 / 6 / 7", 'X'},
          {"\\boxed{5} or \\boxed{6}", 'X'}, {"<think>the answer is 5", 'X'},
          {"Answer: 2 + 3", 'X'}, {"maybe 5 or 6", 'X'}, {"H2O5", 'X'}, {"Answer: 5:30", 'X'},
          {"5 = 5 is true.\nAnswer: none", 'X'}, {"The answer is 5 or 6.", 'X'});
}

static void test_number_forms(void **state)
{
    (void)state;
    CHECK("number", "{\"value\": 1234.5}", {"1,234.5", 'P'}, {"¥1,234.50", 'P'},
          {"$1{,}234.5$", 'P'}, {"１，２３４．５", 'P'}, {"1234.5元", 'P'}, {"1.2345e3", 'P'},
          {"12,34.5", 'X'});
    CHECK("number", "{\"value\": 0.75}", {"3/4", 'P'}, {"\\frac{3}{4}", 'P'}, {"¾", 'P'},
          {"75%", 'P'}, {"百分之75", 'P'}, {"0.75", 'P'}, {"4/3", 'F'}, {"75", 'F'},
          {"3/4/5", 'X'});
    CHECK("number", "{\"value\": 75, \"percent\": true}", {"75%", 'P'}, {"75", 'P'},
          {"75 percent", 'P'}, {"0.75", 'F'}, {"7.5%", 'F'});
    CHECK("number", "{\"value\": 1.5}", {"1 1/2", 'P'}, {"1½", 'P'}, {"1\\frac{1}{2}", 'P'},
          {"11/2", 'F'});
    CHECK("number", "{\"value\": 3.14, \"tolerance\": 0.01}", {"3.14159", 'P'}, {"3.15", 'P'},
          {"3.2", 'F'});
    CHECK("number", "{\"value\": 120000}", {"12万", 'P'}, {"0.12 million", 'P'}, {"120 000", 'X'});
    CHECK("number", "{\"value\": -3}", {"-3", 'P'}, {"−3", 'P'}, {"Answer: x = -3", 'P'},
          {"It is -3 degrees.", 'P'}, {"minus", 'X'}, {"3", 'F'});
    CHECK("number", "{\"value\": 5, \"words\": [\"五\", \"five\"]}", {"答案:五人", 'P'},
          {"Answer: Five people", 'P'}, {"答案:六人", 'X'}, {"Answer: not five", 'X'});
}

static void test_choice(void **state)
{
    (void)state;
    CHECK("choice", "{\"answer\": \"B\", \"options\": \"ABCD\"}", {"B", 'P'}, {"(B)", 'P'},
          {"Ｂ", 'P'}, {"**B**", 'P'}, {"B. Shanghai", 'P'}, {"答案:B", 'P'},
          {"答案是（B）。", 'P'}, {"Answer: B) because A is wrong", 'P'}, {"\\boxed{B}", 'P'},
          {"故选B。", 'P'}, {"A is wrong.\nThe answer is B.", 'P'}, {"选项B正确", 'P'},
          {"Let us see. A city by the sea... option B fits.", 'P'}, {"\\boxed{\\text{B}}", 'P'},
          {"B is the answer", 'P'});
    CHECK("choice", "{\"answer\": \"B\", \"options\": \"ABCD\"}", {"A", 'F'}, {"Answer: D", 'F'},
          {"B looks right.\nAnswer: C", 'F'}, {"A or B", 'X'}, {"Answer: A/B", 'X'},
          {"Answer: not B", 'X'}, {"A, B, C, D", 'X'}, {"Banana", 'X'}, {"none of them", 'X'},
          {"<think>B</think>C", 'F'}, {"A) one\nB) two\nC) three\nD) four", 'X'});
}

static void test_text(void **state)
{
    (void)state;
    CHECK("text", "{\"accept\": [\"Canberra\"]}", {"Canberra", 'P'}, {"canberra.", 'P'},
          {"\"Ｃanberra\"", 'P'}, {"Answer: **Canberra**", 'P'}, {"Sydney", 'F'},
          {"Not Canberra", 'F'}, {"Canberra or Sydney", 'F'}, {"Canberra.\nAnswer: Sydney", 'F'});
    CHECK("text", "{\"accept\": [\"北京市\", \"北京\"]}", {"北 京", 'P'}, {"「北京」", 'P'},
          {"答案：北京。", 'P'}, {"南京", 'F'}, {"不是北京", 'F'});
    CHECK("text", "{\"accept\": [\"ABC\"], \"exact\": true}", {"ABC", 'P'}, {" ABC\n", 'P'},
          {"abc", 'F'}, {"ABC.", 'F'}, {"Answer: ABC", 'F'});
    CHECK("text", "{\"accept\": [\"yes\"], \"whole\": true}", {"Yes!", 'P'}, {"Answer: yes", 'F'});
}

static void test_keywords(void **state)
{
    (void)state;
    const char *args = "{\"all\": [[\"ten\", \"10\"], \"Wednesday\"], \"none\": [\"Thursday\"]}";
    CHECK("keywords", args, {"At 10 on wednesday.", 'P'}, {"**Wednesday**, ten o'clock", 'P'},
          {"Listen, it is wednesday", 'F'}, {"At 10 on Wednesday, not Thursday", 'F'},
          {"At 10, not Wednesday", 'F'}, {"at 100 on Wednesday", 'F'}, {"", 'X'});
    CHECK("keywords", "{\"all\": [\"春\", \"夏\"], \"in_order\": true}", {"先春后夏", 'P'},
          {"先夏后春", 'F'}, {"不是春,而是夏", 'F'});
}

static void test_claims(void **state)
{
    (void)state;
    const char *args =
        "{\"claims\": [{\"about\": [\"最年轻\", \"youngest\"], \"right\": [\"王五\"], "
        "\"wrong\": [\"张三\", \"李四\"]}, {\"about\": [\"王五\"], \"right\": [\"深圳\"], "
        "\"wrong\": [\"北京\", \"上海\"]}]}";
    CHECK("claims", args, {"王五,深圳", 'P'}, {"最年轻的是**王五**，他来自**深圳**。", 'P'},
          {"张三来自北京，李四来自上海，王五来自深圳。最年轻的是王五。", 'P'},
          {"王五比张三和李四小，所以最年轻的是王五，来自深圳。", 'P'},
          {"最年轻的不是张三而是王五，他来自深圳而不是北京。", 'P'},
          {"在张三、李四和王五中，最年轻的是王五（深圳）。", 'P'},
          {"张三28岁,李四32岁。\n答案:王五,深圳", 'P'});
    CHECK("claims", args, {"李四最年轻，来自上海，而王五来自深圳。", 'F'},
          {"王五最年轻，来自上海。", 'F'}, {"王五或张三最年轻，来自深圳或北京。", 'F'},
          {"最年轻的不是王五，深圳也不对。张三来自北京。", 'F'}, {"王五最年轻。", 'F'},
          {"最年轻的是王五或张三，来自深圳。", 'F'}, {"我不知道。", 'X'},
          {"王五来自深圳，最年轻的是张三，他来自北京。", 'F'});
}

static void test_regex(void **state)
{
    (void)state;
    CHECK("regex", "{\"all\": [\"^\\\\d{2}:\\\\d{2}$\"], \"none\": [\"12:00\"]}", {"08:25", 'P'},
          {"０８：２５", 'P'}, {"**08:25**", 'P'}, {"at 08:25", 'F'}, {"12:00", 'F'});
    CHECK("regex", "{\"all\": [\"8:25\"], \"conclusion\": true}", {"Answer: 8:25", 'P'},
          {"8:25\nAnswer: 8:35", 'F'});
    CHECK("regex", "{\"all\": [\"\\\\*\\\\*x\\\\*\\\\*\"], \"raw\": true}", {"**x**", 'P'},
          {"x", 'F'});
    /* Catastrophic backtracking ends at a bound and fails either way. */
    CHECK("regex", "{\"all\": [\"^(a+)+$\"]}", {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", 'F'});
    CHECK("regex", "{\"none\": [\"^(a|a?)+$\"]}",
          {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", 'F'});
}

static void test_pattern(void **state)
{
    (void)state;
    const char *args = "{\"match\": [\"ab\", \"aab\"], \"reject\": [\"b\", \"abc\"]}";
    CHECK("pattern", args, {"^a+b$", 'P'}, {"a+b", 'P'}, {"`a+b`", 'P'}, {"```\n^a+b$\n```", 'P'},
          {"/^a+b$/", 'P'}, {"r\"a+b\"", 'P'}, {"The expression is:\na+b", 'P'}, {"a*b", 'F'},
          {".*", 'F'}, {"(a+b", 'X'}, {"(a+)+b|x", 'P'}, {"ab", 'F'}, {"^a+b$|.*", 'F'});
}

static void test_json(void **state)
{
    (void)state;
    const char *args = "{\"expect\": {\"name\": \"Li\", \"age\": 25, \"tags\": [\"a\", \"b\"], "
                       "\"note\": null}}";
    const char *right = "{\"name\": \"Li\", \"age\": 25, \"tags\": [\"a\", \"b\"], \"note\": null}";
    struct strbuf prose = {0};
    strbuf_printf(&prose, "Here it is [1]:\n\n```json\n%s\n```\nDone {as asked}.", right);
    CHECK("json", args, {right, 'P'}, {strbuf_text(&prose), 'P'},
          {"Sure: {\"note\":null,\"tags\":[\"a\",\"b\"],\"age\":25.0,\"name\":\"L\\u0069\"} ok",
           'P'});
    CHECK(
        "json", args,
        {"{\"name\": \"Li\", \"age\": \"25\", \"tags\": [\"a\",\"b\"], \"note\": null}", 'F'},
        {"{\"name\": \"Li\", \"age\": 25, \"tags\": [\"b\",\"a\"], \"note\": null}", 'F'},
        {"{\"name\": \"Li\", \"age\": 25, \"tags\": [\"a\",\"b\"]}", 'F'},
        {"{\"name\": \"Li\", \"age\": 25, \"tags\": [\"a\",\"b\"], \"note\": null, \"x\": 1}", 'F'},
        {"{\"name\": \"Li\", \"age\": 25, \"age\": 25, \"tags\": [\"a\",\"b\"], \"note\": null}",
         'F'},
        {"{'name': 'Li'}", 'X'}, {"name: Li", 'X'}, {"{\"name\": \"Li\",", 'X'},
        {"```json\n{\"name\": \"Li\",}\n```", 'X'}, {"[]", 'F'}, {"null", 'F'});
    strbuf_free(&prose);
    CHECK("json", "{\"expect\": [1, 2], \"only_json\": true}", {"[1,2]", 'P'},
          {"```json\n[1, 2]\n```\n", 'P'}, {"```\n[1, 2]\n```", 'P'}, {"Here: [1,2]", 'F'},
          {"[1,2] done", 'F'}, {"```json\n[1,2]\n```\nDone.", 'F'},
          {"Here:\n```json\n[1,2]\n```", 'F'});
    CHECK("json", "{\"expect\": [1], \"no_fence\": true}", {"[1]", 'P'}, {"```\n[1]\n```", 'F'});
    CHECK("json", "{\"expect\": {\"a\": 1, \"b\": 2}, \"key_order\": true}",
          {"{\"a\":1,\"b\":2}", 'P'}, {"{\"b\":2,\"a\":1}", 'F'});
}

static void test_json_matchers(void **state)
{
    (void)state;
    CHECK("json", "{\"expect\": {\"$unordered\": [1, 2, {\"x\": true}]}}",
          {"[{\"x\":true},2,1]", 'P'}, {"[1,2,2]", 'F'}, {"[1,2]", 'F'}, {"[1,2,{\"x\":1}]", 'F'});
    CHECK("json", "{\"expect\": {\"$any_of\": [\"a\", 3]}}", {"\"a\"", 'P'}, {"3", 'P'},
          {"\"b\"", 'F'});
    CHECK("json", "{\"expect\": {\"$each\": {\"$type\": \"integer\"}, \"$length\": 2}}",
          {"[1,2]", 'P'}, {"[1,2.5]", 'F'}, {"[1]", 'F'}, {"{}", 'F'});
    CHECK("json", "{\"expect\": {\"$regex\": \"^\\\\d+$\"}}", {"\"12\"", 'P'}, {"12", 'F'});
    CHECK("json", "{\"expect\": {\"$number\": 1.5, \"$tolerance\": 0.1}}", {"1.55", 'P'},
          {"1.7", 'F'}, {"\"1.5\"", 'F'});
    CHECK("json", "{\"expect\": {\"$text\": [\"Li Lei\"]}}", {"\"li  lei\"", 'P'}, {"\"li\"", 'F'});
}

static void test_table(void **state)
{
    (void)state;
    const char *args = "{\"format\": \"markdown\", \"header\": [[\"姓名\", \"name\"], \"分数\"], "
                       "\"rows\": [[\"小红\", 1200], [\"a|b\", [\"\", \"-\"]]]}";
    CHECK("table", args, {"| 姓名 | 分数 |\n|---|---|\n| 小红 | 1,200 |\n| a\\|b | |", 'P'},
          {"Here:\n\nName | 分数\n--- | ---:\n**小红** | 1200分\na\\|b | -\n\nDone.", 'P'},
          {"| 姓名 | 分数 |\n|---|---|\n| a\\|b | |\n| 小红 | 1200 |", 'F'},
          {"| 姓名 | 分数 |\n|---|---|\n| 小红 | 120 |\n| a\\|b | |", 'F'},
          {"| 姓名 | 分数 |\n|---|---|\n| 小红 | 1200 |", 'F'},
          {"| 姓名 | 分数 | x |\n|---|---|---|\n| 小红 | 1200 | |\n| a\\|b | | |", 'F'},
          {"| 姓名 | 分数 |\n|---|---|\n| 小红 | 1200 | 3 |\n| a\\|b | |", 'F'},
          {"姓名,分数\n小红,1200", 'X'}, {"小红 1200", 'X'});
    CHECK("table",
          "{\"format\": \"csv\", \"header\": [\"a\", \"b\"], \"rows\": [[\"x, y\", 1], "
          "[\"say \\\"hi\\\"\", 2]], \"any_row_order\": true}",
          {"a,b\n\"x, y\",1\n\"say \"\"hi\"\"\",2\n", 'P'},
          {"```csv\na,b\n\"say \"\"hi\"\"\",2\n\"x, y\",1\n```", 'P'}, {"a,b\nx, y,1\n", 'F'},
          {"a,b\n\"x, y\",1\n\"x, y\",1\n", 'F'}, {"nothing", 'X'},
          {"a;b\n\"x, y\";1\n\"say \"\"hi\"\"\";2\n", 'X'});
}

static void test_list(void **state)
{
    (void)state;
    CHECK("list", "{\"items\": [\"橙子\", [\"苹果\", \"apple\"]]}", {"橙子\n苹果", 'P'},
          {"1. 橙子\n2. Apple", 'P'}, {"- **橙子**\n\n- 苹果。", 'P'}, {"苹果\n橙子", 'X'},
          {"橙子", 'F'}, {"橙子\n苹果\n梨", 'F'}, {"答案:\n橙子\n苹果", 'X'});
    CHECK("list", "{\"items\": [\"a\", \"b\"], \"any_order\": true, \"separator\": \"comma\"}",
          {"b, a", 'P'}, {"Answer: a、b", 'P'}, {"a, a", 'F'}, {"a b", 'X'}, {"a,b,c", 'F'});
}

static void test_constraints(void **state)
{
    (void)state;
    CHECK("constraints", "{\"checks\": [{\"check\": \"words\", \"min\": 3, \"max\": 5}]}",
          {"One two, three!", 'P'}, {"It's well-known that 1,000", 'P'}, {"one two", 'F'},
          {"我们都好", 'P'}, {"one two three four five six", 'F'});
    CHECK("constraints", "{\"checks\": [{\"check\": \"sentences\", \"equal\": 2}]}",
          {"One. Two!", 'P'}, {"一。二？", 'P'}, {"It costs 3.50 yuan. Yes", 'P'}, {"One.", 'F'},
          {"One... Two... Three.", 'F'}, {"One?! Two.", 'P'});
    CHECK("constraints",
          "{\"checks\": [{\"check\": \"bullets\", \"equal\": 2}, {\"check\": \"lines\", \"equal\": "
          "2}]}",
          {"- a\n- b", 'P'}, {"* a\n\n* b", 'P'}, {"1. a\n2. b", 'F'}, {"x\n- a\n- b", 'F'},
          {"- a - b", 'F'});
    CHECK("constraints", "{\"checks\": [{\"check\": \"numbered\", \"min\": 2}]}",
          {"1. a\n2) b", 'P'}, {"1、甲\n2、乙", 'P'}, {"一、甲\n二、乙", 'P'},
          {"1.5 a\n2.5 b", 'F'});
    CHECK("constraints",
          "{\"checks\": [{\"check\": \"han_characters\", \"max\": 3}, {\"check\": "
          "\"chinese\"}]}",
          {"你好!", 'P'}, {"你好世界", 'F'}, {"hi", 'F'});
    CHECK("constraints",
          "{\"checks\": [{\"check\": \"starts_with\", \"text\": \"Dear\"}, {\"check\": "
          "\"ends_with\", "
          "\"text\": \"Tom\"}, {\"check\": \"paragraphs\", \"equal\": 2}]}",
          {"Dear you,\n\nTom", 'P'}, {"Oh dear\n\nTom", 'F'}, {"Dear you,\n\nTom.", 'F'});
    CHECK("constraints", "{\"checks\": [{\"check\": \"no_comma\"}, {\"check\": \"english\"}]}",
          {"No comma here", 'P'}, {"One, two", 'F'}, {"one，two", 'F'}, {"English 中文", 'F'});
    CHECK("constraints", "{\"checks\": [{\"check\": \"lowercase\"}]}", {"small", 'P'}, {"Big", 'F'},
          {"123", 'F'});
    CHECK("constraints", "{\"checks\": [{\"check\": \"uppercase\"}]}", {"BIG 1", 'P'},
          {"BiG", 'F'});
    CHECK("constraints", "{\"checks\": [{\"check\": \"forbidden\", \"words\": [\"water\"]}]}",
          {"sea", 'P'}, {"underWater", 'F'});
    CHECK("constraints", "{\"checks\": [{\"check\": \"initials\", \"text\": \"AB\"}]}",
          {"Apple\nBanana", 'P'}, {"**A**pple\n\nbanana", 'P'}, {"Banana\nApple", 'F'},
          {"Apple\nBanana\nC", 'F'});
    CHECK("constraints",
          "{\"checks\": [{\"check\": \"bold\", \"equal\": 1}, {\"check\": "
          "\"occurrences\", \"text\": \"cat\", \"equal\": 2}, {\"check\": \"no_digits\"}]}",
          {"a **cat** and a cat", 'P'}, {"a cat and a cat", 'F'}, {"a **cat** concat", 'F'},
          {"a **cat** and a cat 1", 'F'});
    CHECK("constraints",
          "{\"checks\": [{\"check\": \"characters\", \"equal\": 4}, {\"check\": "
          "\"contains\", \"words\": [\"好\"]}, {\"check\": \"contains_any\", \"any\": "
          "[\"a\", \"你\"]}, {\"check\": \"pattern\", \"text\": \"^你\"}, {\"check\": "
          "\"each_line\", \"text\": \"^.{1,3}$\"}]}",
          {"你 好\n啊!", 'P'}, {"你好啊", 'F'});
}

static void test_companies(void **state)
{
    (void)state;
    const char *args =
        "{\"count\": 3, \"english_only\": true, \"companies\": [{\"names\": [\"Huawei\"], "
        "\"years\": [1987]}, {\"names\": [\"Alibaba\", \"Alibaba Group\"], \"years\": [1999]}, "
        "{\"names\": [\"JD.com\"], \"years\": [1998, 2004]}, {\"names\": [\"Alibaba Cloud\"], "
        "\"years\": [2009]}]}";
    CHECK(
        "companies", args, {"1. Huawei - 1987\n2. Alibaba Group - 1999\n3. JD.com - 2004", 'P'},
        {"Huawei (1987), Alibaba (1999), JD.com (1998)", 'P'},
        {"1987: Huawei; 1999: Alibaba; 1998: JD.com", 'P'},
        {"1. **Huawei**\n   - Founded: 1987\n2. **Alibaba**\n   - Founded: 1999\n3. **JD.com**\n"
         "   - Founded: 1998",
         'P'},
        {"Huawei (华为), founded in 1987\nAlibaba (阿里巴巴), founded in 1999\nJD.com, 1998", 'P'},
        {"Huawei 1987\nAlibaba Cloud 2009\nJD.com 1998", 'P'});
    CHECK("companies", args, {"Huawei 1988\nAlibaba 1999\nJD.com 1998", 'F'},
          {"1. Huawei - 1987 or 1988\n2. Alibaba - 1999\n3. JD.com - 1998", 'F'},
          {"Huawei 1987, Alibaba 1999, JD.com 1998, Foxtech 2001", 'F'},
          {"Huawei 1987\nAlibaba 1999", 'F'}, {"Huawei 1987\nAlibaba 1999\nFoxtech 1998", 'F'},
          {"Huawei 1987\nHuawei 1987\nJD.com 1998", 'F'}, {"Huawei\nAlibaba\nJD.com", 'X'},
          {"华为 1987\n阿里巴巴 1999\n京东 1998", 'F'},
          {"Huawei 成立于 1987\nAlibaba 1999\nJD.com 1998", 'F'},
          {"Huawei, Alibaba and JD.com were founded in 1987, 1999 and 1998.", 'F'},
          {"Huawei 1987\nAlibaba 1999\nJD.com 1998\nAlibaba Cloud 2009", 'F'},
          {"Alibaba Cloud 1999\nHuawei 1987\nJD.com 1998", 'F'});
}

static void test_combinations(void **state)
{
    (void)state;
    const char *parts = "\"graders\": [{\"grader\": \"number\", \"args\": {\"value\": 5}}, "
                        "{\"grader\": \"keywords\", \"args\": {\"all\": [\"apples\"]}}]";
    char args[300];
    snprintf(args, sizeof args, "{%s}", parts);
    CHECK("all_of", args, {"5 apples", 'P'}, {"5 pears", 'F'}, {"6 apples", 'F'}, {"nothing", 'F'});
    CHECK("any_of", args, {"5 pears", 'P'}, {"6 apples", 'P'}, {"6 pears", 'F'});
}

#define CODE(text) "```python\n" text "\n```"

static void test_python(void **state)
{
    (void)state;
    struct grader *probe = make("python", "{\"cases\": [{\"args\": [2], \"expect\": 4}], "
                                          "\"seconds\": 2}");
    assert_true(grader_needs_sandbox(probe));
    char here = judge(probe, CODE("def f(x): return x * x"), 36);
    grader_free(probe);
    if (here == 'N') {
        print_message("no sandbox here: generated code is not run\n");
        skip();
    }
    const char *args =
        "{\"cases\": [{\"args\": [2], \"expect\": 4}, {\"args\": [3], \"expect\": 9}, "
        "{\"args\": [\"x\"], \"raises\": [\"TypeError\"]}], \"seconds\": 2}";
    CHECK("python", args, {CODE("def f(x): return x * x"), 'P'},
          {"def f(x):\n    return x ** 2", 'P'},
          {"Sure!\ndef f(x):\n    return x * x\nThis squares.", 'P'},
          {"~~~py\ndef f(x): return x * x\n~~~", 'P'}, {"```python\ndef f(x): return x * x", 'P'},
          {"1. Code:\n   ```python\n   def f(x):\n       return x * x\n   ```", 'P'},
          {CODE("def helper(x): return x * x\ndef f(x): return helper(x)"), 'P'},
          {CODE("def f(x): return helper(x)\ndef helper(x): return x * x"), 'P'},
          {CODE("def f(x): return float(x * x)"), 'P'},
          {CODE("def f(x): return x * x\nprint(f(2), undefined)"), 'P'},
          {"```bash\npip install x\n```\n" CODE("def f(x): return x * x"), 'P'},
          {CODE("def f(x): return x * x\nexit(1)"), 'P'});
    CHECK("python", args, {CODE("def f(x): return x + x"), 'F'},
          {CODE("def f(x): return str(x*x)"), 'F'}, {CODE("def f(x) return x * x"), 'X'},
          {"I would square it.", 'X'}, {CODE("x = 4"), 'X'}, {CODE("def f(x): print(x * x)"), 'F'},
          {"```bash\nls\n```", 'X'},
          {CODE("class E(int):\n  __eq__ = lambda s, o: True\ndef f(x): return E(1)"), 'F'},
          {CODE("import os\nos._exit(0)\ndef f(x): return x * x"), 'F'},
          {CODE("import os\ndef f(x):\n  os.write(1, b'PASS')\n  os.write(3, b'[\"int\", "
                "\"4\"]')\n  os._exit(0)"),
           'F'},
          {CODE("def f(x):\n  while True: pass"), 'F'},
          {CODE("def f(x):\n  return bytearray(1 << 40)"), 'F'},
          {CODE("def f(x): return [x * x]"), 'F'},
          {CODE("import sys\nsys.setrecursionlimit(10**9)\ndef f(x): return f(x)"), 'F'},
          {CODE("def f(x):\n  l = []\n  l.append(l)\n  return l"), 'F'});
}

/* Tampering with whatever the code can reach in its own process. */
static void test_python_tampering(void **state)
{
    (void)state;
    const char *args = "{\"cases\": [{\"args\": [2], \"expect\": 4}], \"seconds\": 3}";
    struct grader *grader = make("python", args);
    static const char *const attacks[] = {
        CODE("import json\njson.dumps = lambda *a, **k: '{\"value\": [\"int\", \"5\"]}'\ndef f(x): "
             "return 5"),
        CODE(
            "import sys\ndef f(x):\n  g = sys._getframe(1).f_globals\n  g['encode'] = lambda v, b: "
            "['bool', True]\n  return 1"),
        CODE("import builtins\nbuiltins.isinstance = lambda *a: True\ndef f(x): return object()"),
        CODE("import sys, os\ndef f(x):\n  for fd in range(3, 64):\n    try: os.write(fd, "
             "b'passed\\n' * 10)"
             "\n    except OSError: pass\n  return None"),
        CODE("import gc\ndef f(x):\n  for o in gc.get_objects():\n    if isinstance(o, dict) and "
             "'cases' "
             "in o:\n      return o['cases'][0].get('expect')"),
        CODE("import os\ndef f(x):\n  try:\n    while True: os.fork()\n  except OSError: pass\n  "
             "return 0"),
    };
    for (size_t i = 0; i < sizeof attacks / sizeof *attacks; i++) {
        char result = judge(grader, attacks[i], strlen(attacks[i]));
        if (result == 'N')
            break;
        if (result == 'P')
            fail_msg("passed: %s", attacks[i]);
    }
    grader_free(grader);
}

static void test_python_types(void **state)
{
    (void)state;
    const char *args =
        "{\"function\": \"g\", \"keeps_arguments\": true, \"cases\": [{\"args\": [[2, 1]], "
        "\"expect\": {\"$tuple\": [1, {\"$set\": [1, 2]}, {\"a\": null}, true, "
        "{\"$seq\": [0.5]}, {\"$unordered\": [2, 1]}, {\"$dict\": [[1, \"x\"]]}]}}]}";
    struct grader *grader = make("python", args);
    const char *good =
        CODE("def g(v): return (1, {1, 2}, {'a': None}, True, [0.5], [1, 2], {1: 'x'})");
    if (judge(grader, good, strlen(good)) == 'N') {
        grader_free(grader);
        skip();
    }
    grader_free(grader);
    CHECK(
        "python", args, {good, 'P'},
        {CODE("def g(v): return (True, {1, 2}, {'a': None}, True, [0.5], [1, 2], {1: 'x'})"), 'F'},
        {CODE("def g(v): return (1, [1, 2], {'a': None}, True, [0.5], [1, 2], {1: 'x'})"), 'F'},
        {CODE("def g(v): return (1, {1, 2}, {'a': None}, 1, [0.5], [1, 2], {1: 'x'})"), 'F'},
        {CODE("def g(v):\n  v.sort()\n  return (1, {1, 2}, {'a': None}, True, [0.5], [1, 2], {1: "
              "'x'})"),
         'F'},
        {CODE("def h(v): return 1"), 'X'});
}

static void test_sql(void **state)
{
    (void)state;
    const char *args =
        "{\"cases\": [{\"setup\": \"CREATE TABLE t(a); INSERT INTO t VALUES (1), (2);\", "
        "\"expect\": [{\"$tuple\": [3]}]}]}";
    struct grader *grader = make("sql", args);
    const char *good = "```sql\nSELECT SUM(a) FROM t;\n```";
    char here = judge(grader, good, strlen(good));
    grader_free(grader);
    if (here == 'N')
        skip();
    CHECK("sql", args, {good, 'P'}, {"select sum(a) as total from t", 'P'},
          {"```sql\n-- ;\nSELECT 'x;y';\nSELECT SUM(a) FROM t\n```", 'P'},
          {"```sql\nSELECT MAX(a) FROM t\n```", 'F'}, {"```sql\nSELEC\n```", 'F'},
          {"```sql\nATTACH '/usr/x.db' AS y\n```", 'F'});
}

static void test_bad_arguments_are_named(void **state)
{
    (void)state;
    static const char *const bad[][3] = {
        {"nmber", "{}", "there is no grader \"nmber\""},
        {"number", "{}", "\"value\" is missing"},
        {"number", "{\"value\": \"5\"}", "\"value\" should be a number"},
        {"number", "{\"value\": 5, \"tolerence\": 1}", "no argument \"tolerence\""},
        {"choice", "{\"answer\": \"E\", \"options\": \"ABCD\"}", "should be one of ABCD"},
        {"regex", "{\"all\": [\"(\"]}", "wrong at byte"},
        {"constraints", "{\"checks\": [{\"check\": \"wrods\"}]}", "no check \"wrods\""},
        {"constraints", "{\"checks\": [{\"check\": \"words\"}]}", "needs \"min\""},
        {"json", "{\"expect\": {\"$regexp\": \"a\"}}", "no argument \"$regexp\""},
        {"table", "{\"format\": \"csv\", \"header\": [\"a\"], \"rows\": [[1, 2]]}", "row 1"},
        {"python", "{\"cases\": [{\"args\": [1]}]}", "\"expect\" or \"raises\""},
        {"all_of", "{\"graders\": [{\"grader\": \"number\"}]}", "part 1"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct grader *grader;
        struct error err = {0};
        json_t *args = json_parse("args", bad[i][1], strlen(bad[i][1]), NULL);
        assert_int_equal(grader_create(bad[i][0], args, &grader, &err), STATUS_INVALID);
        if (!strstr(err.message, bad[i][2]))
            fail_msg("\"%s\" does not say \"%s\"", err.message, bad[i][2]);
        json_decref(args);
    }
}

/* Whatever is worst for each grader is judged in a time that does not grow with its square. */
static void test_large_answers_take_bounded_time(void **state)
{
    (void)state;
    static const char *const pieces[] = {
        "1 ",         "1\n",         "[",       "{\"a\":",     "Answer: 5\n",
        "Answer: ",   "答案：5或6 ", "```\n",   "| a | b |\n", "A or B ",
        "((((",       "\\frac{1}{",  "<b>",     "&amp;",       "**a",
        "王五 张三 ", "- x\n",       "\"",      ",",           "a",
        " ",          "\n",          "~~",      "。",          "Huawei 1987 ",
        "A a ",       "\\boxed{",    "最年轻 ", "#### 5\n",    "\xE4\xB8"};
    static const struct {
        const char *kind, *args;
    } graders[] = {
        {"number", "{\"value\": 5}"},
        {"choice", "{\"answer\": \"B\", \"options\": \"ABCD\"}"},
        {"text", "{\"accept\": [\"x\"]}"},
        {"keywords", "{\"all\": [\"x\", \"a\"], \"none\": [\"y\"]}"},
        {"claims",
         "{\"claims\": [{\"about\": [\"最年轻\"], \"right\": [\"王五\"], \"wrong\": [\"张三\"]}]}"},
        {"regex", "{\"all\": [\"(a+)+b\"]}"},
        {"json", "{\"expect\": [1]}"},
        {"table", "{\"format\": \"markdown\", \"header\": [\"a\", \"b\"], \"rows\": [[1, 2]]}"},
        {"table", "{\"format\": \"csv\", \"header\": [\"a\", \"b\"], \"rows\": [[1, 2]]}"},
        {"list", "{\"items\": [\"x\"]}"},
        {"constraints",
         "{\"checks\": [{\"check\": \"words\", \"min\": 1}, {\"check\": \"sentences\", "
         "\"min\": 1}, {\"check\": \"bold\", \"min\": 1}, {\"check\": \"each_line\", "
         "\"text\": \"^(a|a)*$\"}, {\"check\": \"bullets\", \"min\": 1}]}"},
        {"companies",
         "{\"count\": 3, \"companies\": [{\"names\": [\"Huawei\"], \"years\": [1987]}]}"},
        {"pattern", "{\"match\": [\"aaaaaaaaaaaaaaaaaaaaaaaaaa\"], \"reject\": [\"b\"]}"},
    };
    for (size_t p = 0; p < sizeof pieces / sizeof *pieces; p++) {
        struct strbuf text = {0};
        while (text.length < 64 << 10)
            strbuf_add(&text, pieces[p]);
        for (size_t g = 0; g < sizeof graders / sizeof *graders; g++) {
            struct grader *grader = make(graders[g].kind, graders[g].args);
            double begin = clock_cpu_seconds();
            judge(grader, strbuf_text(&text), text.length);
            double seconds = clock_cpu_seconds() - begin;
            if (seconds > 5)
                fail_msg("%s took %.1f s on \"%s\"...", graders[g].kind, seconds, pieces[p]);
            grader_free(grader);
        }
        strbuf_free(&text);
    }
}

static void test_odd_bytes_are_judged(void **state)
{
    (void)state;
    struct grader *grader = make("number", "{\"value\": 5}");
    assert_int_equal(judge(grader, "\xFF\xFE\0005\0", 5), 'P');
    assert_int_equal(judge(grader, "Answer: 5\xE4\xB8", 11), 'P');
    const char *wide = "一共 0 个。\n\n好";
    assert_int_equal(judge(grader, wide, strlen(wide)), 'F');
    char *huge = mem_alloc(GRADER_ANSWER_LIMIT + 1);
    memset(huge, '5', GRADER_ANSWER_LIMIT + 1);
    assert_int_equal(judge(grader, huge, GRADER_ANSWER_LIMIT + 1), 'X');
    mem_free(huge);
    grader_free(grader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_number),
        cmocka_unit_test(test_number_forms),
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_keywords),
        cmocka_unit_test(test_claims),
        cmocka_unit_test(test_regex),
        cmocka_unit_test(test_pattern),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_json_matchers),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_constraints),
        cmocka_unit_test(test_companies),
        cmocka_unit_test(test_combinations),
        cmocka_unit_test(test_python),
        cmocka_unit_test(test_python_tampering),
        cmocka_unit_test(test_python_types),
        cmocka_unit_test(test_sql),
        cmocka_unit_test(test_bad_arguments_are_named),
        cmocka_unit_test(test_large_answers_take_bounded_time),
        cmocka_unit_test(test_odd_bytes_are_judged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
