/* constraint_probe [MODEL]: asks constraints. JSON lines on stdin, one answer each on stdout.
 *
 *   {"schema": S or "regex": R, "texts": [...], "samples": N, "answers": M, "seed": K,
 *    "temperature": T}
 *   -> {"error": "..."} or {"accepts": [true, ...], "samples": ["...", ...], "answers": [...]}
 *
 * accepts: whether each text is a whole document. samples: N texts made by choosing among the
 * bytes that may follow; one that does not come to an end is given as null. answers: M answers of
 * the model, sampled at the temperature (1.5); likewise null if they do not end.
 */
#include "base/json.h"
#include "base/rng.h"
#include "engine/constraint_grammar.h"
#include "engine/engine.h"
#include "engine/walker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 4000, MOST_TOKENS = 700, PROMPT = 5 };

static bool accepts(const struct constraint *constraint, const json_t *text)
{
    struct walker w;
    bool accepted = !walker_init(&w, &constraint->grammar, NULL);
    const char *bytes = json_string_value(text);
    for (size_t i = 0; accepted && i < json_string_length(text); i++)
        accepted = !walker_accept(&w, bytes + i, 1, NULL);
    accepted = accepted && w.now.may_end;
    walker_free(&w);
    return accepted;
}

/* A byte that may follow, any with the same chance; -1 where there is none. Bytes of other than
 * ASCII and spaces are rarer, and quotes and brackets that close more frequent, so that texts end.
 */
static int choose(struct walker *w, struct rng *rng)
{
    uint64_t best = 0;
    int chosen = -1;
    for (int byte = 0; byte < 256; byte++) {
        struct walker_mark mark = walker_mark(w);
        struct position_set next = walker_step(w, w->now, (uint8_t)byte);
        bool possible = next.end > next.begin || next.may_end;
        walker_reset(w, mark);
        uint64_t weight = byte >= 128 || byte < 33 ? 1 : strchr("\"]}", byte) ? 60 : 20;
        uint64_t draw = rng_next(rng) % (1000 * weight) + 1;
        if (possible && draw > best) {
            best = draw;
            chosen = byte;
        }
    }
    return chosen;
}

static json_t *sample(const struct constraint *constraint, struct rng *rng)
{
    struct walker w;
    json_t *result = NULL;
    if (walker_init(&w, &constraint->grammar, NULL))
        return json_null();
    while (w.text.length < MOST_BYTES && !(w.now.may_end && rng_below(rng, 3) == 0)) {
        int byte = choose(&w, rng);
        char one = (char)byte;
        if (byte < 0 || walker_accept(&w, &one, 1, NULL))
            break;
    }
    bool stuck = !w.now.may_end && w.text.length < MOST_BYTES;
    if (w.now.may_end)
        result = json_stringn(w.text.data ? w.text.data : "", w.text.length);
    walker_free(&w);
    return stuck ? json_string("a dead end") : result ? result : json_null();
}

static json_t *answer_of_model(struct engine *engine, struct constraint *constraint,
                               double temperature, uint64_t seed)
{
    static const int32_t prompt = PROMPT;
    struct generation *generation;
    struct event event;
    struct strbuf text = {0};
    struct error err = {0};
    struct request request = {.prompt = &prompt,
                              .n_prompt = 1,
                              .sampling = sampling_greedy,
                              .max_tokens = MOST_TOKENS,
                              .constraint = constraint};
    request.sampling.greedy = false;
    request.sampling.temperature = temperature;
    request.sampling.seed = seed;
    if (engine_submit(engine, &request, &generation, &err))
        return json_pack("{s:s}", "error", err.message);
    do {
        generation_next(generation, &event);
        strbuf_append(&text, event.text, event.text_length);
    } while (event.kind != EVENT_END);
    struct generation_stats stats = generation_stats(generation);
    json_t *result = stats.finish == FINISH_ERROR ? json_pack("{s:s}", "error", stats.error.message)
                     : stats.finish == FINISH_EOS ? json_stringn(strbuf_text(&text), text.length)
                                                  : json_null();
    generation_free(generation);
    strbuf_free(&text);
    return result ? result : json_pack("{s:s}", "error", "an answer that is not UTF-8");
}

static json_t *answer(const json_t *question, struct engine *engine)
{
    const char *regex = json_string_value(json_object_get(question, "regex"));
    const json_t *texts = json_object_get(question, "texts");
    struct constraint *constraint;
    struct error err = {0};
    if (regex ? constraint_from_regex(regex, strlen(regex), &constraint, &err)
              : constraint_from_schema(json_object_get(question, "schema"), &constraint, &err))
        return json_pack("{s:s}", "error", err.message);
    json_t *accepted = json_array(), *samples = json_array();
    for (size_t i = 0; i < json_array_size(texts); i++)
        json_array_append_new(accepted,
                              json_boolean(accepts(constraint, json_array_get(texts, i))));
    struct rng rng;
    rng_seed(&rng, (uint64_t)json_get_int(question, "seed", 1, NULL));
    for (int64_t i = 0; i < json_get_int(question, "samples", 0, NULL); i++)
        json_array_append_new(samples, sample(constraint, &rng));
    json_t *answers = json_array();
    double temperature = json_get_number(question, "temperature", 1.5, NULL);
    for (int64_t i = 0; engine && i < json_get_int(question, "answers", 0, NULL); i++)
        json_array_append_new(answers,
                              answer_of_model(engine, constraint, temperature, rng_next(&rng)));
    constraint_release(constraint);
    return json_pack("{s:o, s:o, s:o}", "accepts", accepted, "samples", samples, "answers",
                     answers);
}

int main(int argc, char **argv)
{
    struct json_lines lines = {.stream = stdin, .name = "stdin"};
    struct engine_options options = {.n_threads = 1, .max_sequences = 1};
    struct engine *engine = NULL;
    struct error err = {0};
    json_t *question;
    if (argc > 1 && engine_open(argv[1], &options, &engine, &err)) {
        fprintf(stderr, "constraint_probe: %s\n", err.message);
        return 1;
    }
    while ((question = json_lines_next(&lines, &err))) {
        json_t *result = answer(question, engine);
        char *text = json_dumps(result, JSON_COMPACT);
        puts(text ? text : "{\"error\": \"the answer is not UTF-8\"}");
        fflush(stdout);
        free(text);
        json_decref(result);
        json_decref(question);
    }
    json_lines_free(&lines);
    engine_close(engine);
    if (err.status)
        fprintf(stderr, "constraint_probe: %s\n", err.message);
    return err.status != STATUS_OK;
}
