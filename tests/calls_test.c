/* Calls of functions: alone, beside a document, and in free text, where they begin with a trigger.
 */
#include "constraint_fixture.h"

#include "base/json.h"

static void test_calls(void **state)
{
    (void)state;
    struct error err = {0};
    json_t *schema =
        json_pack("{s:s, s:{s:{s:s}}, s:[s], s:b}", "type", "object", "properties", "city", "type",
                  "string", "required", "city", "additionalProperties", 0);
    const struct constraint_function functions[] = {{"weather", schema}, {"say \"hi\"", NULL}};
    struct constraint_calls calls = {.functions = functions,
                                     .n_functions = 2,
                                     .before = "<tool_call>\n",
                                     .after = "\n</tool_call>",
                                     .between = "\n"};
#define CALL                                                                                       \
    "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Bonn\"}}\n</tool_call>"
#define OTHER "<tool_call>\n{\"name\": \"say \\\"hi\\\"\", \"arguments\": {\"x\": 1}}\n</tool_call>"
    for (size_t most = 0; most < 3; most++) {
        struct constraint *constraint = NULL;
        calls.max_calls = most;
        assert_int_equal(constraint_from_calls(&calls, &constraint, &err), STATUS_OK);
        assert_true(accepts(constraint, CALL));
        assert_true(accepts(constraint, OTHER));
        assert_int_equal(accepts(constraint, CALL "\n" OTHER), most != 1);
        assert_int_equal(accepts(constraint, CALL "\n" CALL "\n" CALL), most == 0);
        assert_false(accepts(constraint, CALL "\n"));
        assert_false(accepts(constraint, ""));
        constraint_release(constraint);
    }
    json_object_set_new(schema, "$dynamicRef", json_string("#x"));
    struct constraint *constraint = NULL;
    assert_int_equal(constraint_from_calls(&calls, &constraint, &err), STATUS_UNSUPPORTED);
    assert_non_null(strstr(err.message, "function \"weather\": #: \"$dynamicRef\""));
    assert_null(constraint);
    json_decref(schema);
}

/* A document of a schema instead of calls, but not behind one. */
static void test_calls_or_a_document(void **state)
{
    (void)state;
    json_t *document = json_pack("{s:s}", "type", "array");
    const struct constraint_function function = {.name = "f"};
    struct constraint_calls calls = {.functions = &function,
                                     .n_functions = 1,
                                     .before = "<call>",
                                     .after = "</call>",
                                     .between = " ",
                                     .document = document};
    struct constraint *constraint = NULL;
    assert_int_equal(constraint_from_calls(&calls, &constraint, NULL), STATUS_OK);
    assert_true(accepts(constraint, "[1]"));
    assert_true(accepts(constraint, "<call>{\"name\": \"f\", \"arguments\": {}}</call>"));
    assert_false(accepts(constraint, "<call>{\"name\": \"f\", \"arguments\": {}}</call> [1]"));
    assert_false(accepts(constraint, "{}"));
    constraint_release(constraint);
    calls.trigger = "<call>";
    assert_int_equal(constraint_from_calls(&calls, &constraint, NULL), STATUS_INVALID);
    calls.document = NULL;
    calls.trigger = "call";
    assert_int_equal(constraint_from_calls(&calls, &constraint, NULL), STATUS_INVALID);
    json_decref(document);
}

/* What cannot be honoured counts as any object only where that is said. */
static void test_loose_parameters(void **state)
{
    (void)state;
    json_t *schema = json_pack("{s:s}", "$dynamicRef", "#x");
    struct constraint_function function = {.name = "f", .parameters = schema};
    struct constraint_calls calls = {.functions = &function, .n_functions = 1, .max_calls = 1};
    struct constraint *constraint = NULL;
    struct error err = {0};
    assert_int_equal(constraint_from_calls(&calls, &constraint, &err), STATUS_UNSUPPORTED);
    function.is_loose = true;
    assert_int_equal(constraint_from_calls(&calls, &constraint, NULL), STATUS_OK);
    assert_true(accepts(constraint, "{\"name\": \"f\", \"arguments\": {\"x\": 1}}"));
    assert_false(accepts(constraint, "{\"name\": \"f\", \"arguments\": 1}"));
    constraint_release(constraint);
    json_decref(schema);
}

/* --- Free text with calls in it --- */

static const char *const trigger_tokens[] = {
    "<tool_call>", "<tool",          "_call>",       "_call>\n{\"name\"", "_call>oops",
    "<<tool_call", "x<tool_call>\n", "</tool_call>", "<tool_call> ",
};
enum { N_TRIGGER_TOKENS = sizeof trigger_tokens / sizeof *trigger_tokens };

static struct constraint *calls_in_text(size_t max_calls)
{
    json_t *schema =
        json_pack("{s:s, s:{s:{s:[s,s]}}, s:[s], s:b}", "type", "object", "properties", "city",
                  "enum", "Oslo", "Rome", "required", "city", "additionalProperties", 0);
    const struct constraint_function functions[] = {{.name = "now", .parameters = schema},
                                                    {.name = "later", .parameters = schema}};
    struct constraint_calls calls = {.functions = functions,
                                     .n_functions = 2,
                                     .before = "<tool_call>\n",
                                     .after = "\n</tool_call>",
                                     .trigger = "<tool_call>",
                                     .max_calls = max_calls};
    struct constraint *constraint = NULL;
    struct error err = {0};
    if (constraint_from_calls(&calls, &constraint, &err))
        fail_msg("%s", err.message);
    json_decref(schema);
    return constraint;
}

/* The random model's tokenizer with more tokens; the trigger is special or not. */
static struct tokenizer *tokenizer_with_triggers(const char *name, bool is_special)
{
    char path[200];
    struct tokenizer *tk = NULL;
    struct error err = {0};
    snprintf(path, sizeof path, "%s/tandem-random-%s/tokenizer.json", models, name);
    json_t *document = json_load_file(path, 0, NULL);
    json_t *added = json_object_get(document, "added_tokens");
    json_t *vocab = json_object_get(json_object_get(document, "model"), "vocab");
    size_t n = json_object_size(vocab) + json_array_size(added);
    for (size_t i = 0; i < N_TRIGGER_TOKENS; i++)
        json_array_append_new(added, json_pack("{s:I, s:s, s:b, s:b, s:b, s:b, s:b}", "id",
                                               (json_int_t)(n + i), "content", trigger_tokens[i],
                                               "single_word", 0, "lstrip", 0, "rstrip", 0,
                                               "normalized", 0, "special", i == 0 && is_special));
    struct strbuf text = {0};
    json_write(&text, document, false);
    struct vocab_source source = {.name = name, .tokenizer_json = {text.data, text.length}};
    if (tokenizer_create(&source, &tk, &err))
        fail_msg("%s", err.message);
    strbuf_free(&text);
    json_decref(document);
    return tk;
}

/* Every token tried by itself in free text: those that complete the trigger go on as they may. */
static void check_free_mask(const struct tokenizer *tk, struct enforcer *e, const uint64_t *mask)
{
    for (size_t id = 0; id < tokenizer_size(tk); id++) {
        const char *bytes = "";
        size_t length = tokenizer_token_bytes(tk, (int32_t)id, &bytes), i = 0;
        size_t matched = e->matched;
        struct walker_mark mark = walker_mark(&e->walker);
        struct position_set set = e->walker.now;
        while (i < length && matched < e->constraint->trigger.length)
            matched = trigger_step(&e->constraint->trigger, matched, (uint8_t)bytes[i++]);
        for (; i < length && set.end > set.begin; i++)
            set = walker_step(&e->walker, set, (uint8_t)bytes[i]);
        bool possible = set.end > set.begin || tokenizer_is_special(tk, (int32_t)id);
        walker_reset(&e->walker, mark);
        if (possible != (!mask || mask_has(mask, id)))
            fail_msg("behind %zu bytes of the trigger: token %zu, %.*s, is %s", e->matched, id,
                     (int)length, bytes, possible ? "missing" : "wrong");
    }
}

/* One of the tokens above, or how the trigger may go on. */
static int32_t favourite(const struct tokenizer *tk, const struct enforcer *e, struct rng *rng)
{
    char piece[TRIGGER_LIMIT + 1] = "";
    const struct trigger *trigger = &e->constraint->trigger;
    if (!e->is_free || (e->matched == 0 && rng_below(rng, 2) == 0))
        return tokenizer_find(tk, trigger_tokens[rng_below(rng, N_TRIGGER_TOKENS)]);
    memcpy(piece, trigger->text + e->matched, 1 + rng_below(rng, trigger->length - e->matched));
    return tokenizer_find(tk, piece);
}

/* Any token that may follow, but often a favourite. */
static int32_t choose_near_trigger(const struct tokenizer *tk, const struct enforcer *e,
                                   const uint64_t *mask, struct rng *rng)
{
    size_t n_ids = tokenizer_size(tk);
    int32_t id = rng_below(rng, 4) ? favourite(tk, e, rng) : VOCAB_NO_ID;
    if (id != VOCAB_NO_ID && (!mask || mask_has(mask, (size_t)id)))
        return id;
    return mask ? choose(mask, n_ids, rng) : (int32_t)rng_below(rng, n_ids);
}

/* Checks all calls of a text; returns how many there are. */
static size_t check_calls(const char *text, bool is_cut)
{
    static const char begin[] = "<tool_call>\n", end[] = "\n</tool_call>";
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, "<tool_call>")); n++) {
        const char *close = strstr(at, end), *json = at + strlen(begin);
        if (!close && is_cut)
            break;
        if (!close || strncmp(at, begin, strlen(begin)))
            fail_msg("no call: %s", at);
        json_t *call = json_loadb(json, (size_t)(close - json), 0, NULL);
        const char *name = json_string_value(json_object_get(call, "name"));
        const json_t *arguments = json_object_get(call, "arguments");
        const char *city = json_string_value(json_object_get(arguments, "city"));
        if (!name || (strcmp(name, "now") && strcmp(name, "later")) || !city ||
            (strcmp(city, "Oslo") && strcmp(city, "Rome")) || json_object_size(arguments) != 1 ||
            json_object_size(call) != 2)
            fail_msg("not a valid call: %s", at);
        json_decref(call);
        at = close;
    }
    return n;
}

static void append_token(const struct tokenizer *tk, const struct enforcer *e, int32_t token,
                         struct strbuf *text)
{
    const char *bytes = NULL;
    size_t length = tokenizer_token_bytes(tk, token, &bytes);
    for (size_t i = 0; i < length; i++) /* a NUL would hide what is behind it */
        if (!tokenizer_is_special(tk, token) || enforcer_is_trigger(e, token))
            strbuf_add_char(text, bytes[i] ? bytes[i] : ' ');
}

/* Texts of random tokens, as a model would make them that likes to call. */
static void check_calls_in_texts(const struct tokenizer *tk, size_t n_texts, size_t n_masks)
{
    struct token_masker *masker = NULL;
    struct error err = {0};
    struct rng rng;
    size_t n_calls = 0, n_free = 0, n_masked = 0;
    rng_seed(&rng, 11);
    assert_int_equal(token_masker_create(tk, tokenizer_size(tk), &masker, &err), STATUS_OK);
    uint64_t *room = mem_array(token_masker_words(masker), sizeof *room), *mask;
    for (size_t i = 0; i < n_texts; i++) {
        struct constraint *constraint = calls_in_text(i % 3);
        struct enforcer e;
        struct strbuf text = {0};
        assert_int_equal(enforcer_begin(&e, constraint, masker, room, &err), STATUS_OK);
        constraint_release(constraint);
        for (size_t step = 0; step < 400 && !enforcer_must_end(&e); step++) {
            assert_int_equal(enforcer_mask(&e, &mask, &err), STATUS_OK);
            assert_int_equal(enforcer_may_end(&e), e.is_free);
            if (e.is_free && n_free + n_masked < n_masks)
                check_free_mask(tk, &e, mask);
            n_free += e.is_free && !mask;
            n_masked += e.is_free && mask;
            int32_t token = choose_near_trigger(tk, &e, mask, &rng);
            append_token(tk, &e, token, &text);
            if (enforcer_accept(&e, token, &err))
                fail_msg("%s behind %s", err.message, strbuf_text(&text));
        }
        size_t n = check_calls(strbuf_text(&text), !enforcer_may_end(&e));
        assert_true(i % 3 == 0 || n <= i % 3);
        assert_true(!enforcer_must_end(&e) || n == i % 3);
        n_calls += n;
        enforcer_free(&e);
        strbuf_free(&text);
    }
    assert_true(n_calls > n_texts / 2);
    assert_true(n_free > n_masked || tokenizer_find(tk, "x<tool_call>\n") != VOCAB_NO_ID);
    assert_true(n_masked > 0);
    mem_free(room);
    token_masker_free(masker);
}

static void test_calls_in_texts(void **state)
{
    (void)state;
    static const char *const names[] = {"qwen2", "phi3"};
    for (size_t i = 0; i < 4; i++) {
        struct tokenizer *tk = tokenizer_with_triggers(names[i / 2], i % 2);
        check_calls_in_texts(tk, 200, 300);
        tokenizer_free(tk);
    }
}

static void test_calls_in_texts_of_qwen(void **state)
{
    (void)state;
    struct tokenizer *tk = shared_tokenizer("qwen2.5");
    check_calls_in_texts(tk, 6, 30);
    tokenizer_free(tk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_calls_or_a_document),
        cmocka_unit_test(test_loose_parameters),
        cmocka_unit_test(test_calls_in_texts),
        cmocka_unit_test(test_calls_in_texts_of_qwen),
    };
    return cmocka_run_group_tests(tests, make_models, remove_models);
}
