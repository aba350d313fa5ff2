/* The foundation: memory, strings, UTF-8, JSON, the thread pool. */
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/strbuf.h"
#include "base/thread_pool.h"
#include "base/work_shares.h"
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static void test_mem_array_refuses_overflow(void **state)
{
    (void)state;
    assert_null(mem_array(SIZE_MAX / 2, 3));
    void *empty = mem_array(0, 8);
    assert_non_null(empty);
    mem_free(empty);
}

static size_t resident_pages(void *block, size_t size, size_t page)
{
    unsigned char resident[2048];
    size_t n = 0;
    assert_true(size / page <= sizeof resident && !mincore(block, size, resident));
    for (size_t i = 0; i < size / page; i++)
        n += resident[i] & 1;
    return n;
}

/* Piece by piece, and nothing that was written is lost. */
static void test_mem_populate(void **state)
{
    (void)state;
    const size_t size = 5 << 20, page = (size_t)sysconf(_SC_PAGESIZE);
    char *block = mem_map(size);
    assert_non_null(block);
    strcpy(block + 100, "kept");
    size_t end = mem_populate(block, 0, size);
    if (end == 0)
        skip(); /* a system that does not do so */
    assert_true(end <= 1 << 21 && ((uintptr_t)block + end) % (1 << 21) == 0);
    assert_true(resident_pages(block, end, page) == end / page);
    for (size_t next; end < size; end = next) {
        next = mem_populate(block, end, size);
        assert_true(next > end && next <= size);
    }
    assert_true(resident_pages(block, size, page) == size / page);
    assert_true(mem_populate(block, size, size) == size);
    assert_string_equal(block + 100, "kept");
    mem_unmap(block, size);
}

/* The bytes that the mapping has, until the file is cut short behind its back. */
static void test_file_map_copy(void **state)
{
    (void)state;
    enum { SIZE = 100000 };
    char path[] = "/tmp/tandem-base-test-XXXXXX";
    uint8_t data[1000];
    struct file_map map;
    struct error err = {0};
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    for (uint32_t i = 0; i < SIZE; i += sizeof i)
        assert_int_equal(write(fd, &i, sizeof i), sizeof i);
    assert_int_equal(file_map(path, &map, &err), STATUS_OK);
    for (size_t at = 0; at + sizeof data <= SIZE; at += 12345) {
        assert_true(file_map_copy(&map, map.data + at, sizeof data, data));
        assert_memory_equal(data, map.data + at, sizeof data);
    }
    assert_int_equal(ftruncate(fd, SIZE / 2), 0);
    assert_true(file_map_copy(&map, map.data, sizeof data, data));
    assert_false(file_map_copy(&map, map.data + SIZE / 2 - 10, sizeof data, data));
    file_unmap(&map);
    close(fd);
    unlink(path);
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

struct taking {
    struct work_shares *shares;
    unsigned char seen[1000];
};

static void take_units(void *context, size_t thread, size_t n_threads)
{
    struct taking *t = context;
    size_t begin, end;
    (void)n_threads;
    while (work_shares_take(t->shares, thread, &begin, &end)) {
        assert_true(begin < end && end <= sizeof t->seen);
        for (size_t i = begin; i < end; i++)
            t->seen[i]++;
    }
}

static void test_work_shares_give_each_unit_once(void **state)
{
    (void)state;
    struct taking t = {.shares = work_shares_create(3)};
    struct thread_pool *pool;
    unsigned char expected[1000] = {0};
    assert_int_equal(thread_pool_create(3, &pool, NULL), STATUS_OK);
    for (size_t n = 0; n <= 1000; n += 125) {
        memset(t.seen, 0, sizeof t.seen);
        memset(expected, 1, n);
        work_shares_set(t.shares, n, n % 3);
        thread_pool_run(pool, take_units, &t);
        assert_memory_equal(t.seen, expected, sizeof expected);
    }
    thread_pool_free(pool);
    mem_free(t.shares);
}

/* Who is alone takes his own share from the front, then the others' from their ends. */
static void test_work_shares_order(void **state)
{
    (void)state;
    struct work_shares *shares = work_shares_create(2);
    size_t begin, end, expected[][2] = {{0, 2}, {2, 4}, {4, 5}, {8, 10}, {6, 8}, {5, 6}};
    work_shares_set(shares, 10, 2);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        assert_true(work_shares_take(shares, 0, &begin, &end));
        assert_int_equal(begin, expected[i][0]);
        assert_int_equal(end, expected[i][1]);
    }
    assert_false(work_shares_take(shares, 0, &begin, &end));
    assert_false(work_shares_take(shares, 1, &begin, &end));
    mem_free(shares);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mem_array_refuses_overflow),
        cmocka_unit_test(test_mem_populate),
        cmocka_unit_test(test_file_map_copy),
        cmocka_unit_test(test_strbuf_limit_is_sticky),
        cmocka_unit_test(test_utf8_rejects_what_is_not_utf8),
        cmocka_unit_test(test_json_lines_stay_on_one_line),
        cmocka_unit_test(test_thread_pool_visits_each_unit_once),
        cmocka_unit_test(test_work_shares_give_each_unit_once),
        cmocka_unit_test(test_work_shares_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
