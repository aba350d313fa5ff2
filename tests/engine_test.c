/* The engine: the same tokens and logprob bits whatever shares the batch, the cache and the steps;
 * stop strings, ends, cancellation, errors, and many clients at once. */
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "engine_fixture.h"
#include "formats/recipe.h"
#include "under_tsan.h"

#include <math.h>
#include <pthread.h>
#include <unistd.h>

/* --- Against the oracle --- */

static void check_golden(const char *folder)
{
    char name[300];
    struct error err = {0};
    snprintf(name, sizeof name, "%s/golden.json", folder);
    json_t *golden = json_parse_file(name, &err);
    assert_non_null(golden);
    int32_t ids[256];
    const json_t *list = json_object_get(golden, "ids"),
                 *greedy = json_object_get(golden, "greedy");
    size_t n = json_array_size(list);
    for (size_t i = 0; i < n; i++)
        ids[i] = (int32_t)json_integer_value(json_array_get(list, i));
    struct engine *engine = open_path(folder, &(struct engine_options){.kv_type = "f32"});
    struct request request = {.prompt = ids,
                              .n_prompt = n,
                              .sampling = sampling_greedy,
                              .ignore_eos = true,
                              .max_tokens = json_array_size(greedy)};
    struct answer answer;
    ask(engine, &request, &answer);
    engine_close(engine);
    assert_int_equal(answer.n, json_array_size(greedy));
    for (size_t i = 0; i < answer.n; i++)
        assert_int_equal(answer.ids[i], json_integer_value(json_array_get(greedy, i)));
    json_decref(golden);
}

/* The folder of a golden checkpoint, or NULL. */
static const char *golden_folder(const char *name)
{
    static char path[300];
    const char *shared = getenv("TANDEM_SHARED");
    snprintf(path, sizeof path, "%s/golden/%s", shared ? shared : ".", name);
    return file_is_directory(path) ? path : NULL;
}

static void test_greedy_ids_equal_the_oracles(void **state)
{
    (void)state;
    static const char *const names[] = {"phi3-longrope-long-f32", "phi3-longrope-short-f32",
                                        "phi3-window-f16",        "qwen2-gqa-bf16-sharded",
                                        "qwen2-tied-f32",         "qwen2-yarn-f16"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *folder = golden_folder(names[i]);
        if (!folder) {
            print_message("skipped: the golden checkpoints are absent\n");
            skip();
        }
        check_golden(folder);
    }
}

/* Greedy continuation by the definition: for each token the whole sequence anew. */
static void continue_plainly(const char *folder, int32_t *ids, size_t n, size_t count)
{
    struct model *model;
    struct kv_cache *cache;
    struct error err = {0};
    if (model_open(folder, NULL, &model, &err))
        fail_msg("%s", err.message);
    size_t vocab_size = model_shape(model)->vocab_size;
    float *logits = mem_array(vocab_size, sizeof *logits);
    struct kv_options kv = {TYPE_F16, 256, 1};
    assert_int_equal(kv_cache_create(model_shape(model), &kv, &cache, &err), STATUS_OK);
    for (size_t end = n + count; n < end; n++) {
        struct row rows[256];
        for (size_t i = 0; i < n; i++)
            rows[i] = (struct row){ids[i], (int32_t)i, 0, i + 1 == n};
        kv_truncate(cache, 0, 0);
        kv_set_rope_is_long(cache, 0, model_rope_is_long(model, n));
        assert_true(kv_reserve(cache, 0, n));
        if (model_forward(model, cache, rows, n, logits, &err))
            fail_msg("%s", err.message);
        size_t best = 0;
        for (size_t i = 1; i < vocab_size; i++)
            if (logits[i] > logits[best])
                best = i;
        ids[n] = (int32_t)best;
    }
    mem_free(logits);
    kv_cache_free(cache);
    model_close(model);
}

static void test_longrope_changes_its_factors_on_the_way(void **state)
{
    (void)state;
    const char *folder = golden_folder("phi3-longrope-short-f32");
    if (!folder) {
        print_message("skipped: the golden checkpoints are absent\n");
        skip();
    }
    enum { PROMPT = 50, COUNT = 40 }; /* the original context is 64 */
    int32_t ids[PROMPT + COUNT];
    make_prompt(ids, PROMPT, 1, 2);
    struct engine *engine = open_path(folder, NULL);
    struct request request = make_request(ids, PROMPT, COUNT, 0);
    request.sampling.repetition_penalty = 1;
    struct answer first, again, longer;
    ask(engine, &request, &first);
    continue_plainly(folder, ids, PROMPT, COUNT);
    assert_memory_equal(first.ids, ids + PROMPT, sizeof first.ids[0] * COUNT);
    ask(engine, &request, &again); /* a cache of the other kind must not be reused */
    assert_same(&first, &again);
    assert_int_equal(again.stats.cached_tokens, 0);
    request = make_request(ids, PROMPT + 20, 20, 0);
    request.sampling.repetition_penalty = 1;
    ask(engine, &request, &longer);
    assert_true(longer.stats.cached_tokens > PROMPT);
    assert_memory_equal(longer.ids, ids + PROMPT + 20, sizeof first.ids[0] * 20);
    engine_close(engine);
}

/* --- The same bits --- */

static void test_neighbours_and_cached_prefixes_change_nothing(void **state)
{
    (void)state;
    if (under_tsan && speculate) /* half a minute; the other tests have the same threads */
        skip();
    int32_t prompts[8][200];
    struct request requests[8];
    struct answer alone[8], answer;
    for (unsigned i = 0; i < 8; i++) {
        size_t n = make_prompt(prompts[i], 20 + 25 * i, i % 2, i);
        requests[i] = make_request(prompts[i], n, 20 + 5 * i, i % 3);
    }
    for (unsigned i = 0; i < 8; i++) { /* nothing cached: an engine for each */
        struct engine *engine = open_random(i & 4 ? "phi3" : "qwen2", NULL);
        ask(engine, &requests[i], &alone[i]);
        assert_int_equal(alone[i].stats.cached_tokens, 0);
        engine_close(engine);
    }
    static const struct engine_options kinds[] = {
        {0},
        {.max_rows = 8},
        {.max_rows = 33, .max_sequences = 3},
        {.n_threads = 2, .context_length = 320, .cache_positions = 448}, /* preempts */
    };
    for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++)
        for (int family = 0; family < 2; family++) {
            struct engine *engine = open_random(family ? "phi3" : "qwen2", &kinds[kind]);
            size_t cached = 0;
            for (int round = 0; round < 3; round++) {
                struct generation *g[8];
                for (int i = 0; i < 8; i++)
                    g[i] = submit(engine, &requests[i]);
                for (int i = 8; i-- > 0;) {
                    read_answer(g[i], &answer);
                    cached += answer.stats.cached_tokens;
                    if ((i & 4) == 4 * family)
                        assert_same(&answer, &alone[i]);
                }
            }
            assert_true(cached > 0);
            engine_close(engine);
        }
}

/* --- A pass in parts --- */

struct parts {
    struct model *model;
    struct kv_cache *cache;
    float *logits; /* [2, vocab_size] */
    size_t vocab_size;
};

static struct parts open_parts(const char *name)
{
    struct parts p;
    struct error err = {0};
    struct kv_options kv = {TYPE_F16, 512, 2};
    char path[200];
    snprintf(path, sizeof path, "%s/tandem-random-%s", models, name);
    if (model_open(path, NULL, &p.model, &err) ||
        kv_cache_create(model_shape(p.model), &kv, &p.cache, &err))
        fail_msg("%s", err.message);
    p.vocab_size = model_shape(p.model)->vocab_size;
    p.logits = mem_array(2 * p.vocab_size, sizeof *p.logits);
    assert_non_null(p.logits);
    return p;
}

static void close_parts(struct parts *p)
{
    mem_free(p->logits);
    kv_cache_free(p->cache);
    model_close(p->model);
}

/* Rows [from, end) of a sequence, whose last wants logits. */
static size_t make_rows(struct row *rows, const int32_t *ids, size_t from, size_t end,
                        int32_t sequence)
{
    for (size_t i = from; i < end; i++)
        rows[i - from] = (struct row){ids[i], (int32_t)i, sequence, i + 1 == end};
    return end - from;
}

static void forward(struct parts *p, const struct row *rows, size_t n, float *logits)
{
    struct error err = {0};
    assert_true(kv_reserve(p->cache, (size_t)rows[0].sequence, n));
    if (model_forward(p->model, p->cache, rows, n, logits, &err))
        fail_msg("%s", err.message);
}

enum { PARTS_PROMPT = 150, PARTS_KNOWN = 30 };

/* The prompt's rows from PARTS_KNOWN on in parts, between which another sequence decodes. */
static void forward_in_parts(struct parts *p, const int32_t *ids, size_t n_layers, float *logits)
{
    static struct row rows[PARTS_PROMPT];
    struct row other;
    struct error err = {0};
    size_t n = make_rows(rows, ids, PARTS_KNOWN, PARTS_PROMPT, 0), at = kv_length(p->cache, 1);
    assert_true(kv_reserve(p->cache, 0, n));
    assert_int_equal(model_start(p->model, p->cache, rows, n, &err), STATUS_OK);
    assert_int_equal(model_layers_left(p->model), model_shape(p->model)->n_layers);
    while (model_layers_left(p->model) > 0) {
        make_rows(&other, ids, at, at + 1, 1);
        forward(p, &other, 1, logits);
        at++;
        assert_int_equal(kv_length(p->cache, 0), PARTS_KNOWN);
        model_go_on(p->model, n_layers);
    }
    assert_int_equal(model_finish(p->model, logits, &err), STATUS_OK);
    assert_int_equal(kv_length(p->cache, 0), PARTS_PROMPT);
}

static void test_a_pass_in_parts_gives_the_same_bits(void **state)
{
    (void)state;
    int32_t ids[PARTS_PROMPT];
    struct row rows[PARTS_PROMPT];
    struct error err = {0};
    make_prompt(ids, PARTS_PROMPT, 3, 9);
    for (int family = 0; family < 2; family++) {
        struct parts p = open_parts(family ? "phi3" : "qwen2");
        float *expected = p.logits, *logits = p.logits + p.vocab_size;
        forward(&p, rows, make_rows(rows, ids, 0, PARTS_PROMPT, 0), expected);
        for (size_t n_layers = 1; n_layers < 4; n_layers++) {
            kv_truncate(p.cache, 0, PARTS_KNOWN);
            forward_in_parts(&p, ids, n_layers, logits);
            assert_memory_equal(logits, expected, p.vocab_size * sizeof *logits);
        }
        /* dropped on the way; then rows that do not continue the sequence, which drop nothing */
        kv_truncate(p.cache, 0, PARTS_KNOWN);
        size_t n = make_rows(rows, ids, PARTS_KNOWN, PARTS_PROMPT, 0);
        assert_true(kv_reserve(p.cache, 0, n));
        assert_int_equal(model_start(p.model, p.cache, rows, n, &err), STATUS_OK);
        model_go_on(p.model, 1);
        model_drop(p.model);
        assert_int_equal(model_layers_left(p.model), 0);
        assert_int_equal(model_start(p.model, p.cache, rows + 1, n - 1, &err), STATUS_INVALID);
        assert_int_equal(model_layers_left(p.model), 0);
        assert_int_equal(kv_length(p.cache, 0), PARTS_KNOWN);
        forward_in_parts(&p, ids, 1, logits);
        assert_memory_equal(logits, expected, p.vocab_size * sizeof *logits);
        close_parts(&p);
    }
}

/* Rows 0 to n - 1 of a sequence by themselves: the logits and the final state of each. */
static void forward_alone(struct parts *p, const int32_t *ids, size_t n, float *logits,
                          float *hidden)
{
    size_t dim = model_shape(p->model)->dim;
    kv_truncate(p->cache, 0, 0);
    for (size_t i = 0; i < n; i++) {
        struct row row = {ids[i], (int32_t)i, 0, true, hidden + i * dim};
        forward(p, &row, 1, logits + i * p->vocab_size);
    }
}

/* The last layer leaves out rows of which nothing is wanted. Two sequences, of which some rows in
 * the middle want logits, the final state or both, with gaps between them; then the next tokens. */
static void test_rows_that_want_nothing_change_nothing(void **state)
{
    (void)state;
    enum { N = 60, STEPS = 4 };
    int32_t ids[N + STEPS];
    struct row rows[2 * N];
    make_prompt(ids, N + STEPS, 3, 9);
    for (int family = 0; family < 2; family++) {
        struct parts p = open_parts(family ? "phi3" : "qwen2");
        size_t dim = model_shape(p.model)->dim, vocab = p.vocab_size;
        float *logits = mem_array(N + STEPS, vocab * sizeof *logits);
        float *hidden = mem_array(N + STEPS, dim * sizeof *hidden);
        float *given = mem_array(2 * N, vocab * sizeof *given);
        float *states = mem_array(2 * N, dim * sizeof *states);
        assert_true(logits && hidden && given && states);
        forward_alone(&p, ids, N + STEPS, logits, hidden);
        kv_truncate(p.cache, 0, 0);
        assert_true(kv_reserve(p.cache, 0, N) && kv_reserve(p.cache, 1, N));
        for (size_t i = 0; i < 2 * N; i++) { /* of both sequences in turns, some rows at a time */
            size_t at = i / 20 * 10 + i % 10;
            rows[i] = (struct row){ids[at], (int32_t)at, i / 10 % 2, at % 7 == 3 || at % 9 < 2,
                                   at % 7 > 4 ? states + i * dim : NULL};
        }
        struct error err = {0};
        assert_int_equal(model_forward(p.model, p.cache, rows, 2 * N, given, &err), STATUS_OK);
        const float *next = given;
        for (size_t i = 0; i < 2 * N; i++) {
            size_t at = (size_t)rows[i].position;
            if (rows[i].hidden)
                assert_memory_equal(rows[i].hidden, hidden + at * dim, dim * sizeof *hidden);
            if (rows[i].wants_logits) {
                assert_memory_equal(next, logits + at * vocab, vocab * sizeof *logits);
                next += vocab;
            }
        }
        for (size_t at = N; at < N + STEPS; at++) { /* all keys and values are there */
            struct row row = {ids[at], (int32_t)at, 1, at + 1 == N + STEPS, NULL};
            forward(&p, &row, 1, given);
        }
        assert_memory_equal(given, logits + (N + STEPS - 1) * vocab, vocab * sizeof *logits);
        mem_free(logits);
        mem_free(hidden);
        mem_free(given);
        mem_free(states);
        close_parts(&p);
    }
}

/* Requests leave while their prompts are computed beside somebody's tokens, whose sequence grows
 * into the pages that they leave behind. */
static void test_prompts_that_leave_change_nothing(void **state)
{
    (void)state;
    enum { LONG = 250, TOKENS = 250 };
    struct engine *engine = open_random(
        "qwen2", &(struct engine_options){.context_length = 320, .cache_positions = 1024});
    int32_t ids[20], other[LONG];
    make_prompt(ids, 20, 3, 4);
    struct request talk = make_request(ids, 20, TOKENS, 1);
    struct answer expected;
    ask(engine, &talk, &expected);
    for (unsigned round = 0; round < 3; round++) {
        struct generation *talker = submit(engine, &talk), *leaving[4] = {0};
        struct event event;
        for (unsigned i = 0; i < TOKENS; i++) {
            make_prompt(other, LONG, 5, round * TOKENS + i);
            struct request read = make_request(other, LONG, 1, 0);
            leaving[i % 4] = submit(engine, &read);
            assert_int_equal(generation_next(talker, &event), EVENT_TOKEN);
            assert_int_equal(event.choice.token, expected.ids[i]);
            assert_true(event.choice.logprob == expected.logprobs[i]);
            generation_free(leaving[(i + 1) % 4]);
            leaving[(i + 1) % 4] = NULL;
        }
        for (int i = 0; i < 4; i++)
            generation_free(leaving[i]);
        generation_free(talker);
    }
    engine_close(engine);
}

static void test_a_conversation_reuses_its_beginning(void **state)
{
    (void)state;
    struct engine *engine = open_random("qwen2", &(struct engine_options){.max_sequences = 1});
    int32_t ids[400];
    size_t n = make_prompt(ids, 70, 1, 1), expected = 0;
    for (int turn = 0; turn < 4; turn++) {
        struct request request = make_request(ids, n, 30, 0);
        struct answer answer;
        ask(engine, &request, &answer);
        assert_int_equal(answer.stats.cached_tokens, expected);
        memcpy(ids + n, answer.ids, answer.n * sizeof *ids);
        n += answer.n;
        expected = n - 1; /* all that was computed; the last token was not */
        n += make_prompt(ids + n, 10, 5, (unsigned)turn);
    }
    engine_close(engine);
}

/* Every type of weights: alone with one thread, then with two threads as one of 1 to 16 that run at
 * once, fresh and with its prompt in the cache. */
static void test_quantized_weights_change_nothing_either(void **state)
{
    (void)state;
    static const char *const types[] = {"Q4_0",   "Q4_1",   "Q5_0", "Q5_1", "Q8_0",
                                        "Q4_K_M", "Q5_K_M", "Q6_K", "NF4",  "INT8"};
    enum { PROMPT = 40, MOST = 16 };
    static struct answer alone[MOST], together;
    int32_t ids[MOST][PROMPT];
    struct request requests[MOST];
    struct generation *generations[MOST];
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        struct engine_options one = {.quantize = recipe_find(types[t]), .context_length = 128};
        struct engine_options two = one;
        two.n_threads = 2;
        two.max_sequences = MOST;
        assert_non_null(one.quantize);
        struct engine *a = open_random("qwen2", &one), *b = open_random("qwen2", &two);
        for (unsigned i = 0; i < MOST; i++) {
            make_prompt(ids[i], PROMPT, 7, i);
            requests[i] = make_request(ids[i], PROMPT, 8, i % 2 ? i : 0);
            ask(a, &requests[i], &alone[i]);
        }
        for (size_t n = 1; n <= MOST; n += n < 4 ? 1 : 4) {
            for (size_t i = 0; i < n; i++)
                generations[i] = submit(b, &requests[i]);
            for (size_t i = 0; i < n; i++) {
                read_answer(generations[i], &together);
                assert_same(&alone[i], &together);
            }
        }
        engine_close(a);
        engine_close(b);
    }
}

/* --- Ends --- */

/* An answer with text to cut: what the model says for some seed. */
static void plain_answer(struct engine *engine, const int32_t *ids, size_t n, uint64_t seed,
                         struct answer *answer)
{
    struct request request = make_request(ids, n, 60, seed);
    ask(engine, &request, answer);
    assert_int_equal(answer->stats.finish, FINISH_LENGTH);
    assert_int_equal(answer->n, 60);
}

static void check_stop(struct engine *engine, const struct request *request,
                       const struct answer *plain, size_t at, size_t length)
{
    char stop[64];
    const char *text = plain->text;
    memcpy(stop, text + at, length);
    stop[length] = 0;
    if (!utf8_valid(stop, length) || strlen(stop) != length)
        return;
    const char *stops[] = {"never said by this model", stop};
    struct request stopping = *request;
    stopping.stops = stops;
    stopping.n_stops = 2;
    struct answer answer;
    ask(engine, &stopping, &answer);
    size_t expected = (size_t)((const char *)memmem(text, plain->text_length, stop, length) - text);
    assert_int_equal(answer.stats.finish, FINISH_STOP);
    assert_int_equal(answer.text_length, expected);
    assert_memory_equal(answer.text, text, expected);
    assert_true(answer.n <= plain->n);
}

static void test_stop_strings_cut_the_text_wherever_tokens_end(void **state)
{
    (void)state;
    for (int family = 0; family < 2; family++) {
        struct engine *engine = open_random(family ? "phi3" : "qwen2", NULL);
        for (uint64_t seed = 1; seed < 4; seed++) {
            int32_t ids[40];
            struct answer plain;
            size_t n = make_prompt(ids, 40, 3, (unsigned)seed);
            struct request request = make_request(ids, n, 60, seed);
            plain_answer(engine, ids, n, seed, &plain);
            for (size_t at = 0; at + 8 < plain.text_length; at += 5)
                check_stop(engine, &request, &plain, at, 1 + at % 7);
        }
        engine_close(engine);
    }
}

/* Text that looks like the beginning of a stop string is not lost when the stop never comes. */
static void test_held_back_text_comes_at_the_end(void **state)
{
    (void)state;
    struct engine *engine = open_random("qwen2", NULL);
    int32_t ids[40];
    struct answer plain, held;
    size_t n = make_prompt(ids, 40, 3, 9);
    plain_answer(engine, ids, n, 5, &plain);
    char stop[16];
    size_t cut = plain.text_length - 3;
    while (cut > 0 && ((unsigned char)plain.text[cut] & 0xC0) == 0x80)
        cut--;
    snprintf(stop, sizeof stop, "%.9s\x01\x02", plain.text + cut);
    const char *stops[] = {stop};
    struct request request = make_request(ids, n, 60, 5);
    request.stops = stops;
    request.n_stops = 1;
    ask(engine, &request, &held);
    assert_same(&plain, &held);
    engine_close(engine);
}

static void test_end_tokens_end(void **state)
{
    (void)state;
    struct engine *engine = open_random("phi3", NULL);
    int32_t ids[40];
    struct answer plain, ended;
    size_t n = make_prompt(ids, 40, 3, 1);
    plain_answer(engine, ids, n, 1, &plain);
    struct request request = make_request(ids, n, 60, 1);
    request.ignore_eos = false;
    request.eos_ids = &plain.ids[20];
    request.n_eos_ids = 1;
    size_t first = 0;
    while (plain.ids[first] != plain.ids[20])
        first++;
    ask(engine, &request, &ended);
    assert_int_equal(ended.stats.finish, FINISH_EOS);
    assert_int_equal(ended.n, first);
    assert_memory_equal(ended.ids, plain.ids, first * sizeof *ended.ids);
    engine_close(engine);
}

static void test_the_context_ends_an_answer(void **state)
{
    (void)state;
    struct engine *engine = open_random("qwen2", &(struct engine_options){.context_length = 100});
    int32_t ids[100];
    struct answer answer;
    make_prompt(ids, 100, 1, 1);
    struct request request = make_request(ids, 90, 0, 0);
    ask(engine, &request, &answer);
    assert_int_equal(answer.n, 10);
    assert_int_equal(answer.stats.finish, FINISH_LENGTH);
    request = make_request(ids, 99, 50, 0);
    ask(engine, &request, &answer);
    assert_int_equal(answer.n, 1);
    engine_close(engine);
}

/* --- Refusals and failures --- */

static void refuse(struct engine *engine, const struct request *request, const char *part)
{
    struct generation *g;
    struct error err = {0};
    assert_int_not_equal(engine_submit(engine, request, &g, &err), STATUS_OK);
    assert_null(g);
    if (!strstr(err.message, part))
        fail_msg("expected \"%s\" in: %s", part, err.message);
}

static void test_requests_that_cannot_be_served_are_refused(void **state)
{
    (void)state;
    struct engine *engine = open_random("qwen2", &(struct engine_options){.context_length = 100});
    int32_t ids[200] = {0};
    struct request request = make_request(ids, 100, 5, 0);
    refuse(engine, &request, "100 tokens; at most 99 fit");
    request = make_request(ids, 0, 5, 0);
    refuse(engine, &request, "empty");
    ids[3] = 100000;
    request = make_request(ids, 10, 5, 0);
    refuse(engine, &request, "id 100000");
    ids[3] = -1;
    refuse(engine, &request, "id -1");
    ids[3] = 0;
    request.sampling.top_p = 7;
    refuse(engine, &request, "top_p");
    request = make_request(ids, 10, 5, 0);
    const char *stops[] = {"ok", ""};
    request.stops = stops;
    request.n_stops = 2;
    refuse(engine, &request, "stop string 2 is empty");
    request.n_stops = 0;
    request.n_top_logprobs = 21;
    refuse(engine, &request, "21 top logprobs");
    engine_close(engine);

    struct error err;
    struct engine_options options = {.context_length = 1 << 20};
    char path[200];
    snprintf(path, sizeof path, "%s/tandem-random-qwen2", models);
    assert_int_equal(engine_open(path, &options, &engine, &err), STATUS_INVALID);
    assert_non_null(strstr(err.message, "4096"));
    assert_int_equal(engine_open("/nowhere", NULL, &engine, &err), STATUS_NOT_FOUND);
}

/* A copy of the Phi-3 checkpoint in which the embedding of one token is not a number. */
static void break_embedding(const char *from, const char *to, int32_t token)
{
    static const char *const files[] = {"config.json", "generation_config.json", "tokenizer.json",
                                        "tokenizer_config.json", "model.safetensors"};
    struct error err = {0};
    assert_int_equal(file_make_directory(to, &err), STATUS_OK);
    for (size_t i = 0; i < 5; i++) {
        char *data, *source = file_join(from, files[i]), *target = file_join(to, files[i]);
        size_t size;
        assert_int_equal(file_read(source, 0, &data, &size, &err), STATUS_OK);
        if (i == 4) {
            uint64_t header_length;
            memcpy(&header_length, data, 8);
            json_t *header = json_parse("header", data + 8, header_length, &err), *begin, *shape;
            json_t *tensor = json_object_get(header, "model.embed_tokens.weight");
            begin = json_array_get(json_object_get(tensor, "data_offsets"), 0);
            shape = json_array_get(json_object_get(tensor, "shape"), 1);
            size_t row = 2 * (size_t)json_integer_value(shape);
            memset(data + 8 + header_length + json_integer_value(begin) + (size_t)token * row, 0xFF,
                   row);
            json_decref(header);
        }
        assert_int_equal(file_write_atomic(target, data, size, &err), STATUS_OK);
        mem_free(data);
        mem_free(source);
        mem_free(target);
    }
}

static void test_a_failing_request_does_not_take_others_along(void **state)
{
    (void)state;
    char good[200], broken[200];
    snprintf(good, sizeof good, "%s/tandem-random-phi3", models);
    snprintf(broken, sizeof broken, "%s/broken", models);
    break_embedding(good, broken, 251);
    int32_t ids[30], bad_ids[30];
    make_prompt(ids, 30, 1, 1);
    make_prompt(bad_ids, 30, 1, 2);
    bad_ids[20] = 251;
    struct request request = make_request(ids, 30, 40, 3), bad = make_request(bad_ids, 30, 40, 0);
    struct sampling *s = &request.sampling;
    s->logit_bias = &(struct logit_bias){251, -1000};
    s->n_logit_bias = 1;
    struct answer expected, answer, failed;
    struct engine *engine = open_path(broken, NULL);
    ask(engine, &request, &expected);
    assert_int_equal(expected.n, 40);
    struct generation *g[5];
    for (int i = 0; i < 5; i++)
        g[i] = submit(engine, i % 2 ? &bad : &request);
    for (int i = 0; i < 5; i++) {
        if (i % 2) {
            read_answer(g[i], &failed);
            assert_int_equal(failed.stats.finish, FINISH_ERROR);
            assert_int_equal(failed.n, 0);
            assert_non_null(strstr(failed.stats.error.message, "finite"));
        } else {
            read_answer(g[i], &answer);
            assert_same(&answer, &expected);
        }
    }
    ask(engine, &request, &answer);
    assert_same(&answer, &expected);
    engine_close(engine);
}

/* --- Cancelling --- */

static void test_cancelling_ends_soon_and_leaves_the_engine_well(void **state)
{
    (void)state;
    struct engine *engine = open_random("qwen2", &(struct engine_options){.max_sequences = 2});
    int32_t ids[50];
    make_prompt(ids, 50, 1, 1);
    struct request request = make_request(ids, 50, 0, 1), brief = make_request(ids, 50, 20, 1);
    struct answer expected, answer;
    ask(engine, &brief, &expected);
    struct generation *g[4];
    struct event event;
    for (int i = 0; i < 4; i++) /* two run, two wait */
        g[i] = submit(engine, &request);
    for (int i = 0; i < 3; i++)
        assert_int_equal(generation_next(g[0], &event), EVENT_TOKEN);
    generation_cancel(g[3]);
    while (generation_next(g[3], &event) != EVENT_END)
        ;
    assert_int_equal(generation_stats(g[3]).finish, FINISH_CANCELLED);
    assert_int_equal(generation_stats(g[3]).answer_tokens, 0);
    for (int i = 0; i < 4; i++)
        generation_free(g[i]);
    ask(engine, &brief, &answer);
    assert_same(&answer, &expected);
    engine_close(engine);
}

/* A reader that does not read: the others finish all the same. */
static void test_a_slow_reader_delays_nobody(void **state)
{
    (void)state;
    struct engine *engine = open_random("qwen2", NULL);
    int32_t ids[50];
    make_prompt(ids, 50, 1, 1);
    struct request request = make_request(ids, 50, 100, 1);
    struct answer slow_answer, answer;
    struct generation *slow = submit(engine, &request);
    ask(engine, &request, &answer);
    assert_int_equal(answer.n, 100);
    read_answer(slow, &slow_answer);
    assert_same(&slow_answer, &answer);
    engine_close(engine);
}

/* --- Sharing --- */

/* One request at a time: those of the busy client and of the other take turns. */
static void test_clients_take_turns(void **state)
{
    (void)state;
    enum { BUSY = 5 };
    struct engine *engine = open_random("qwen2", &(struct engine_options){.max_sequences = 1});
    int32_t ids[20];
    make_prompt(ids, 20, 1, 1);
    struct request request = make_request(ids, 20, 50, 1);
    struct generation *busy[BUSY], *other;
    struct answer answers[BUSY], others;
    request.client = 1;
    for (int i = 0; i < BUSY; i++)
        busy[i] = submit(engine, &request);
    request.client = 2;
    other = submit(engine, &request);
    read_answer(other, &others);
    for (int i = 0; i < BUSY; i++)
        read_answer(busy[i], &answers[i]);
    assert_true(others.stats.queue_seconds < answers[2].stats.queue_seconds);
    for (int i = 1; i < BUSY; i++)
        assert_true(answers[i].stats.queue_seconds > answers[i - 1].stats.queue_seconds);
    struct engine_load load = engine_load(engine);
    assert_int_equal(load.waiting, 0);
    assert_true(load.steps > 250 && load.rows > load.steps);
    engine_close(engine);
}

/* While a long prompt is computed, somebody else's answer goes on: it gets many more tokens than
 * the few that full steps would leave it. */
static void test_a_long_prompt_stalls_nobody(void **state)
{
    (void)state;
    enum { LONG = 3500 };
    struct engine *engine = open_random("qwen2", NULL);
    static int32_t ids[LONG];
    make_prompt(ids, LONG, 3, 4);
    struct request talk = make_request(ids + 1, 20, 0, 1), read = make_request(ids, LONG, 1, 0);
    struct generation *talker = submit(engine, &talk);
    struct event event;
    size_t n = 0;
    for (int i = 0; i < 10; i++)
        assert_int_equal(generation_next(talker, &event), EVENT_TOKEN);
    struct answer answer;
    ask(engine, &read, &answer);
    generation_cancel(talker);
    while (generation_next(talker, &event) == EVENT_TOKEN)
        n++;
    assert_true(n > 30);
    generation_free(talker);
    engine_close(engine);
}

/* --- Many clients --- */

enum { CLIENTS = 6, ROUNDS = 8, KINDS = 5 };

struct crowd {
    struct engine *engine;
    int32_t prompts[KINDS][150];
    struct request requests[KINDS];
    struct answer expected[KINDS];
};

struct client {
    struct crowd *crowd;
    struct rng rng;
    size_t wrong, complete;
    pthread_t thread;
};

static void *cancel_soon(void *generation)
{
    usleep(2000);
    generation_cancel(generation);
    return NULL;
}

/* Reads some of the answer; then ends it in one of several ways. False when tokens were wrong. */
static bool use_generation(struct client *c, struct generation *g, const struct answer *expected)
{
    struct event event;
    size_t n = 0, leave_at = rng_below(&c->rng, 3) ? SIZE_MAX : rng_below(&c->rng, 30);
    pthread_t canceller;
    bool other_cancels = rng_below(&c->rng, 4) == 0, right = true;
    if (other_cancels)
        pthread_create(&canceller, NULL, cancel_soon, g);
    while (n < leave_at && generation_next(g, &event) == EVENT_TOKEN) {
        right = right && n < expected->n && event.choice.token == expected->ids[n] &&
                !memcmp(&event.choice.logprob, &expected->logprobs[n], sizeof(float));
        n++;
    }
    c->complete += n == expected->n;
    if (other_cancels)
        pthread_join(canceller, NULL);
    generation_free(g);
    return right;
}

static void *run_client(void *argument)
{
    struct client *c = argument;
    for (int round = 0; round < ROUNDS; round++) {
        size_t kind = rng_below(&c->rng, KINDS);
        struct generation *g;
        if (engine_submit(c->crowd->engine, &c->crowd->requests[kind], &g, NULL))
            c->wrong++;
        else
            c->wrong += !use_generation(c, g, &c->crowd->expected[kind]);
    }
    return NULL;
}

static void test_many_clients_at_once(void **state)
{
    (void)state;
    static struct crowd crowd;
    struct client clients[CLIENTS];
    crowd.engine = open_random("qwen2", &(struct engine_options){.max_sequences = 4,
                                                                 .n_threads = 2,
                                                                 .context_length = 320,
                                                                 .cache_positions = 384});
    for (unsigned i = 0; i < KINDS; i++) {
        size_t n = make_prompt(crowd.prompts[i], 30 + 25 * i, 1, i);
        crowd.requests[i] = make_request(crowd.prompts[i], n, 40, i);
        ask(crowd.engine, &crowd.requests[i], &crowd.expected[i]);
    }
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){.crowd = &crowd};
        rng_seed(&clients[i].rng, (uint64_t)i);
        pthread_create(&clients[i].thread, NULL, run_client, &clients[i]);
    }
    size_t complete = 0;
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i].thread, NULL);
        assert_int_equal(clients[i].wrong, 0);
        complete += clients[i].complete;
    }
    assert_true(complete > 0);
    engine_close(crowd.engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_greedy_ids_equal_the_oracles),
        cmocka_unit_test(test_longrope_changes_its_factors_on_the_way),
        cmocka_unit_test(test_neighbours_and_cached_prefixes_change_nothing),
        cmocka_unit_test(test_a_pass_in_parts_gives_the_same_bits),
        cmocka_unit_test(test_rows_that_want_nothing_change_nothing),
        cmocka_unit_test(test_prompts_that_leave_change_nothing),
        cmocka_unit_test(test_a_conversation_reuses_its_beginning),
        cmocka_unit_test(test_stop_strings_cut_the_text_wherever_tokens_end),
        cmocka_unit_test(test_held_back_text_comes_at_the_end),
        cmocka_unit_test(test_end_tokens_end),
        cmocka_unit_test(test_the_context_ends_an_answer),
        cmocka_unit_test(test_requests_that_cannot_be_served_are_refused),
        cmocka_unit_test(test_a_failing_request_does_not_take_others_along),
        cmocka_unit_test(test_cancelling_ends_soon_and_leaves_the_engine_well),
        cmocka_unit_test(test_a_slow_reader_delays_nobody),
        cmocka_unit_test(test_clients_take_turns),
        cmocka_unit_test(test_a_long_prompt_stalls_nobody),
        cmocka_unit_test(test_many_clients_at_once),
    };
    const struct CMUnitTest once[] = {
        cmocka_unit_test(test_quantized_weights_change_nothing_either),
    };
    int failed = cmocka_run_group_tests_name("as it comes", tests, make_models, NULL);
    failed += cmocka_run_group_tests_name("types of weights", once, NULL, NULL);
    speculate = "always";
    failed += cmocka_run_group_tests_name("guessing always", tests, NULL, NULL);
    has_draft = true;
    return failed +
           cmocka_run_group_tests_name("a draft model guesses", tests, NULL, remove_models);
}
