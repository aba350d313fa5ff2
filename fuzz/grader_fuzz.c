/* Answers as hostile as they come, through every grader that runs no code. The first byte picks
 * the grader; the rest is the answer. */
#include "base/json.h"
#include "eval/grader.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *kind, *args;
} graders[] = {
    {"number", "{\"value\": 5, \"words\": [\"five\"]}"},
    {"choice", "{\"answer\": \"B\", \"options\": \"ABCD\"}"},
    {"text", "{\"accept\": [\"北京\", \"x y\"]}"},
    {"keywords", "{\"all\": [[\"ten\", \"10\"], \"春\"], \"none\": [\"y\"], \"in_order\": true}"},
    {"claims", "{\"claims\": [{\"about\": [\"youngest\", \"最\"], \"right\": [\"Al\", \"王\"], "
               "\"wrong\": [\"Bo\", \"李\"]}]}"},
    {"regex", "{\"all\": [\"(a|b)+c\"], \"none\": [\"\\\\d{3}\"], \"conclusion\": true}"},
    {"pattern", "{\"match\": [\"ab\"], \"reject\": [\"b\"]}"},
    {"json", "{\"expect\": {\"a\": {\"$each\": 1}, \"b\": {\"$unordered\": [1, \"x\"]}}, "
             "\"only_json\": true, \"key_order\": true}"},
    {"table", "{\"format\": \"markdown\", \"header\": [\"a\", \"b\"], \"rows\": [[1, \"x\"]]}"},
    {"table", "{\"format\": \"csv\", \"header\": [\"a\", \"b\"], \"rows\": [[1, \"x\"]]}"},
    {"list", "{\"items\": [\"a\", \"b\"], \"separator\": \"comma\", \"any_order\": true}"},
    {"constraints",
     "{\"checks\": [{\"check\": \"words\", \"min\": 1}, {\"check\": \"sentences\", \"equal\": 2}, "
     "{\"check\": \"bold\", \"max\": 3}, {\"check\": \"initials\", \"text\": \"AB\"}, {\"check\": "
     "\"each_line\", \"text\": \"^a*$\"}, {\"check\": \"numbered\", \"min\": 1}, {\"check\": "
     "\"paragraphs\", \"max\": 2}, {\"check\": \"ends_with\", \"text\": \"。\"}]}"},
    {"companies", "{\"count\": 2, \"english_only\": true, \"companies\": [{\"names\": [\"Huawei\", "
                  "\"Hua\"], \"years\": [1987]}, {\"names\": [\"ZTE\"], \"years\": [1985]}]}"},
};
enum { N_GRADERS = sizeof graders / sizeof *graders };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct grader *compiled[N_GRADERS];
    struct verdict verdict;
    if (!size)
        return 0;
    size_t which = data[0] % N_GRADERS;
    if (!compiled[which]) {
        json_t *args = json_parse("args", graders[which].args, strlen(graders[which].args), NULL);
        if (grader_create(graders[which].kind, args, &compiled[which], NULL))
            abort();
        json_decref(args);
    }
    if (grader_grade(compiled[which], (const char *)data + 1, size - 1, &verdict, NULL))
        abort();
    json_t *json = verdict_to_json(&verdict); /* NULL if a message is not valid UTF-8 */
    if (!json)
        abort();
    json_decref(json);
    verdict_clear(&verdict);
    return 0;
}
