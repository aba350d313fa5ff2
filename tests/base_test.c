/* The foundation: memory, strings, UTF-8, JSON, the thread pool. */
#include "base/json.h"
#include "base/memory.h"
#include "base/strbuf.h"
#include "base/thread_pool.h"
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_mem_array_refuses_overflow(void **state)
{
    (void)state;
    assert_null(mem_array(SIZE_MAX / 2, 3));
    void *empty = mem_array(0, 8);
    assert_non_null(empty);
    mem_free(empty);
}

static void test_strbuf_limit_is_sticky(void **state)
{
    (void)state;
    struct strbuf buf = {.limit = 5};
    strbuf_add(&buf, "abc");
    strbuf_add(&buf, "def");
    strbuf_add(&buf, "g");
    assert_true(buf.failed);
    assert_string_equal(strbuf_text(&buf), "abc");
    strbuf_free(&buf);
}

static void test_utf8_rejects_what_is_not_utf8(void **state)
{
    (void)state;
    assert_true(utf8_valid("a\xC3\xA9\xE4\xB8\xAD\xF0\x9F\x98\x80", 10));
    assert_false(utf8_valid("\xC0\x80", 2));
    assert_false(utf8_valid("\xED\xA0\x80", 3));
    assert_false(utf8_valid("\xF4\x90\x80\x80", 4));
    assert_int_equal(utf8_complete_prefix("a\xE4\xB8", 3), 1);
    assert_int_equal(utf8_complete_prefix("a\xE4\xB8\xAD", 4), 4);
    assert_int_equal(utf8_columns("a\xE4\xB8\xAD", 4), 3);
}

static void test_json_lines_stay_on_one_line(void **state)
{
    (void)state;
    struct strbuf out = {0};
    json_t *value = json_string("a\xE2\x80\xA8"
                                "b\xC2\x85\xE2\x80\xA9\xE4\xB8\xAD");
    json_write(&out, value, false);
    assert_string_equal(strbuf_text(&out), "\"a\\u2028b\\u0085\\u2029\xE4\xB8\xAD\"");
    json_decref(value);
    strbuf_free(&out);
}

static void count_visits(void *context, size_t thread, size_t n_threads)
{
    size_t begin, end;
    unsigned char *seen = context;
    thread_share(1000, 16, thread, n_threads, &begin, &end);
    for (size_t i = begin; i < end; i++)
        seen[i]++;
}

static void test_thread_pool_visits_each_unit_once(void **state)
{
    (void)state;
    for (size_t n_threads = 1; n_threads <= 5; n_threads++) {
        struct thread_pool *pool;
        unsigned char seen[1000] = {0}, expected[1000];
        assert_int_equal(thread_pool_create(n_threads, &pool, NULL), STATUS_OK);
        for (int round = 0; round < 50; round++)
            thread_pool_run(pool, count_visits, seen);
        memset(expected, 50, sizeof expected);
        assert_memory_equal(seen, expected, sizeof seen);
        thread_pool_free(pool);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mem_array_refuses_overflow),
        cmocka_unit_test(test_strbuf_limit_is_sticky),
        cmocka_unit_test(test_utf8_rejects_what_is_not_utf8),
        cmocka_unit_test(test_json_lines_stay_on_one_line),
        cmocka_unit_test(test_thread_pool_visits_each_unit_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
