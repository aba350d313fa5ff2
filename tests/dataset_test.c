/* What is learned of a chat: with the real tokenizers and templates of both families. */
#include "base/file.h"
#include "base/memory.h"
#include "formats/checkpoint.h"
#include "train/dataset.h"
#include "train/network.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct checkpoint *cp;
    struct tokenizer *tokenizer;
    struct chat_template *chat;
    struct dataset_options options;
};

/* False where the shared folder is absent. */
static bool open_fixture(const char *name, struct fixture *f)
{
    char path[1024];
    const char *shared = getenv("TANDEM_SHARED");
    struct error err = {0};
    snprintf(path, sizeof path, "%s/tokenizers/%s", shared ? shared : "", name);
    if (!shared || !file_is_directory(path)) {
        print_message("%s is not there: skipped\n", path);
        return false;
    }
    *f = (struct fixture){0};
    if (checkpoint_open_vocabulary(path, &f->cp, &err) ||
        tokenizer_create(checkpoint_vocab(f->cp), &f->tokenizer, &err) ||
        chat_template_create(checkpoint_vocab(f->cp), f->tokenizer, &f->chat, &err))
        fail_msg("%s", err.message);
    const struct generation_defaults *g = checkpoint_generation(f->cp);
    f->options = (struct dataset_options){.tokenizer = f->tokenizer,
                                          .chat = f->chat,
                                          .end_ids = g->eos_ids,
                                          .n_end_ids = g->n_eos_ids,
                                          .vocab_size = 200000,
                                          .max_rows = 4096};
    return true;
}

static void close_fixture(struct fixture *f)
{
    chat_template_free(f->chat);
    tokenizer_free(f->tokenizer);
    checkpoint_close(f->cp);
}

static enum status load_lines(const struct fixture *f, const char *lines, struct dataset *d,
                              struct error *err)
{
    char path[] = "/tmp/dataset_test.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "w");
    fputs(lines, file);
    fclose(file);
    enum status status = dataset_load(path, &f->options, d, err);
    remove(path);
    return status;
}

/* The text of the example's learned targets. */
static void check_learned(const struct fixture *f, const struct dataset *d, size_t example,
                          const char *expected)
{
    struct token_list ids = {0};
    struct strbuf text = {0};
    for (size_t i = d->starts[example]; i < d->starts[example + 1]; i++)
        if (d->targets[i] != NOT_LEARNED)
            assert_true(token_list_add(&ids, d->targets[i]));
    assert_int_equal(tokenizer_decode(f->tokenizer, ids.ids, ids.count, 0, &text, NULL), STATUS_OK);
    assert_string_equal(strbuf_text(&text), expected);
    token_list_free(&ids);
    strbuf_free(&text);
}

/* A learned target is the next row's token. */
static void check_targets_follow(const struct dataset *d)
{
    for (size_t e = 0; e < d->n_examples; e++)
        for (size_t i = d->starts[e]; i + 1 < d->starts[e + 1]; i++)
            if (d->targets[i] != NOT_LEARNED)
                assert_int_equal(d->targets[i], d->tokens[i + 1]);
}

static const char chats[] =
    "{\"messages\":[{\"role\":\"system\",\"content\":\"S\"},{\"role\":\"user\",\"content\":\"one\"}"
    ","
    "{\"role\":\"assistant\",\"content\":\"First "
    "answer.\"},{\"role\":\"user\",\"content\":\"two\"},"
    "{\"role\":\"assistant\",\"content\":\"\\u7b2c\\u4e8c\"}]}\n"
    "\n"
    "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"},"
    "{\"role\":\"assistant\",\"content\":\"indented\\n  code\"}]}\n"
    "{\"messages\":[{\"role\":\"user\",\"content\":\"nothing to learn\"}]}\n";

static void test_qwen_chats(void **state)
{
    struct fixture f;
    struct dataset d;
    struct error err = {0};
    (void)state;
    if (!open_fixture("qwen2.5", &f))
        skip();
    if (load_lines(&f, chats, &d, &err))
        fail_msg("%s", err.message);
    assert_int_equal(d.n_examples, 2);
    assert_int_equal(d.n_empty, 1);
    check_learned(&f, &d, 0, "First answer.<|im_end|>\u7b2c\u4e8c<|im_end|>");
    check_learned(&f, &d, 1, "indented\n  code<|im_end|>");
    check_targets_follow(&d);
    dataset_free(&d);
    close_fixture(&f);
}

static void test_an_end_token_in_the_content_is_not_the_end(void **state)
{
    struct fixture f;
    struct dataset d;
    struct error err = {0};
    (void)state;
    if (!open_fixture("qwen2.5", &f))
        skip();
    if (load_lines(&f,
                   "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"assistant\","
                   "\"content\":\"a<|im_end|>b\"},{\"role\":\"user\",\"content\":\"y\"},"
                   "{\"role\":\"assistant\",\"content\":\"c\"}]}\n",
                   &d, &err))
        fail_msg("%s", err.message);
    check_learned(&f, &d, 0, "a<|im_end|>b<|im_end|>c<|im_end|>");
    dataset_free(&d);
    close_fixture(&f);
}

/* Phi-3's template ends a finished chat with another token; it is no part of any answer. */
static void test_phi_chats(void **state)
{
    struct fixture f;
    struct dataset d;
    struct error err = {0};
    (void)state;
    if (!open_fixture("phi-3-mini-4k", &f))
        skip();
    if (load_lines(&f, chats, &d, &err))
        fail_msg("%s", err.message);
    assert_int_equal(d.n_examples, 2);
    check_learned(&f, &d, 0, "First answer.<|end|> \u7b2c\u4e8c<|end|>");
    check_learned(&f, &d, 1, "indented\n  code<|end|>");
    check_targets_follow(&d);
    dataset_free(&d);
    close_fixture(&f);
}

static void test_tokens_are_those_of_the_whole_chat(void **state)
{
    static const char *const names[] = {"qwen2.5", "phi-3-mini-4k"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct fixture f;
        struct dataset d;
        struct error err = {0};
        struct strbuf text = {0};
        struct token_list ids = {0};
        if (!open_fixture(names[i], &f))
            skip();
        if (load_lines(&f, chats, &d, &err))
            fail_msg("%s", err.message);
        json_t *line = json_parse("chat", chats, strcspn(chats, "\n"), &err);
        assert_int_equal(chat_template_render(f.chat, json_object_get(line, "messages"), NULL,
                                              false, NULL, &text, &err),
                         STATUS_OK);
        assert_int_equal(tokenizer_encode(f.tokenizer, text.data, text.length, 0, &ids, &err),
                         STATUS_OK);
        assert_int_equal(d.starts[1] + 1, ids.count);
        assert_memory_equal(d.tokens, ids.ids, d.starts[1] * sizeof *d.tokens);
        json_decref(line);
        strbuf_free(&text);
        token_list_free(&ids);
        dataset_free(&d);
        close_fixture(&f);
    }
}

static void test_wrong_lines_are_named(void **state)
{
    static const struct {
        const char *lines, *message;
    } cases[] = {
        {"{\"ids\":[1,2]}\n{\"prompt\":\"x\"}\n", "line 2"},
        {"{\"ids\":[1,-2]}\n", "\"ids\"[1]"},
        {"{\"ids\":[1,2],\"labels\":[1]}\n", "same length"},
        {"{\"ids\":[1,2],\"labels\":[1,-3]}\n", "\"labels\"[1]"},
        {"{\"ids\":[1,2]\n", ", line 1,"},
        {"{\"messages\":[]}\n", "\"messages\""},
        {"{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}\n", "no tokenizer"},
        {"\n", "no example"},
    };
    struct fixture f = {.options = {.vocab_size = 10, .max_rows = 10}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct dataset d;
        struct error err = {0};
        assert_int_not_equal(load_lines(&f, cases[i].lines, &d, &err), STATUS_OK);
        if (!strstr(err.message, cases[i].message))
            fail_msg("case %zu: \"%s\" does not say %s", i, err.message, cases[i].message);
    }
}

static void test_order_is_a_permutation_that_the_seed_fixes(void **state)
{
    size_t starts[101], seen[2][100], differ = 0;
    struct dataset d = {.starts = starts, .n_examples = 100};
    struct data_order a, b;
    (void)state;
    assert_int_equal(data_order_create(&d, 5, 0, &a, NULL), STATUS_OK);
    for (size_t epoch = 0; epoch < 2; epoch++) {
        char found[100] = {0};
        for (size_t i = 0; i < 100; i++, data_order_advance(&a)) {
            seen[epoch][i] = data_order_peek(&a);
            found[seen[epoch][i]]++;
        }
        for (size_t i = 0; i < 100; i++)
            assert_int_equal(found[i], 1);
    }
    for (size_t i = 0; i < 100; i++)
        differ += seen[0][i] != seen[1][i];
    assert_true(differ > 50);
    assert_int_equal(data_order_create(&d, 5, 130, &b, NULL), STATUS_OK); /* in the middle */
    assert_int_equal(data_order_peek(&b), seen[1][30]);
    data_order_free(&a);
    data_order_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_qwen_chats),
        cmocka_unit_test(test_an_end_token_in_the_content_is_not_the_end),
        cmocka_unit_test(test_phi_chats),
        cmocka_unit_test(test_tokens_are_those_of_the_whole_chat),
        cmocka_unit_test(test_wrong_lines_are_named),
        cmocka_unit_test(test_order_is_a_permutation_that_the_seed_fixes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
