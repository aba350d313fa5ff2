#include "base/memory.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef TANDEM_MEMORY_GUARD
static _Thread_local int guard_depth;

static void check_guard(void)
{
    if (guard_depth == 0)
        return;
    fputs("tandem: allocation inside a guarded section\n", stderr);
    abort();
}

void mem_guard_enter(void)
{
    guard_depth++;
}

void mem_guard_leave(void)
{
    guard_depth--;
}
#else
static void check_guard(void)
{
}

void mem_guard_enter(void)
{
}

void mem_guard_leave(void)
{
}
#endif

void *mem_alloc(size_t size)
{
    return mem_array(size, 1);
}

void *mem_array(size_t count, size_t size)
{
    check_guard();
    size_t total;
    if (!size_multiply(count, size, &total) || total > PTRDIFF_MAX)
        return NULL;
    return calloc(1, total ? total : 1);
}

void *mem_resize(void *old, size_t count, size_t size)
{
    check_guard();
    size_t total;
    if (!size_multiply(count, size, &total) || total > PTRDIFF_MAX)
        return NULL;
    return realloc(old, total ? total : 1);
}

void *mem_aligned(size_t alignment, size_t count, size_t size)
{
    check_guard();
    size_t total;
    if (!size_multiply(count, size, &total) || !size_add(total, alignment, &total))
        return NULL;
    total -= total % alignment;
    void *block = total > PTRDIFF_MAX ? NULL : aligned_alloc(alignment, total);
    if (block)
        memset(block, 0, total);
    return block;
}

void *mem_map(size_t size)
{
    check_guard();
    void *block = mmap(NULL, size ? size : 1, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (block == MAP_FAILED)
        return NULL;
    madvise(block, size, MADV_HUGEPAGE);
    return block;
}

void mem_unmap(void *block, size_t size)
{
    if (block)
        munmap(block, size ? size : 1);
}

size_t mem_populate(void *block, size_t begin, size_t size)
{
    enum { LARGE_PAGE = 1 << 21, POPULATE_WRITE = 23 /* MADV_POPULATE_WRITE, Linux 5.14 */ };
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), at = (uintptr_t)block;
    uintptr_t from = (at + begin) / page * page, to = (at + begin) / LARGE_PAGE * LARGE_PAGE;
    to = size_min(to + LARGE_PAGE, at + size);
    if (from >= to || madvise((void *)from, to - from, POPULATE_WRITE))
        return begin;
    return to - at;
}

void mem_drop_mapped(const void *data, size_t size)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = ((uintptr_t)data + page - 1) / page * page;
    uintptr_t end = ((uintptr_t)data + size) / page * page;
    if (begin < end)
        madvise((void *)begin, end - begin, MADV_DONTNEED);
}

void *mem_copy(const void *data, size_t size)
{
    size_t total;
    char *copy = size_add(size, 1, &total) ? mem_alloc(total) : NULL;
    if (copy && size)
        memcpy(copy, data, size);
    return copy;
}

char *mem_copy_string(const char *text)
{
    return mem_copy(text, strlen(text));
}

void mem_free(void *block)
{
    free(block);
}

bool mem_grow(void *array, size_t *capacity, size_t count, size_t size)
{
    if (count < *capacity)
        return true;
    void *old;
    memcpy(&old, array, sizeof old);
    size_t wanted = *capacity < 8 ? 8 : *capacity;
    while (wanted <= count)
        if (!size_multiply(wanted, 2, &wanted))
            return false;
    void *grown = mem_resize(old, wanted, size);
    if (!grown)
        return false;
    memcpy(array, &grown, sizeof grown);
    *capacity = wanted;
    return true;
}

struct arena_chunk {
    struct arena_chunk *next;
    _Alignas(16) char data[];
};

void *arena_alloc(struct arena *arena, size_t size)
{
    size_t padded;
    if (!size_add(size, 15, &padded))
        return NULL;
    padded -= padded % 16;
    if (!arena->chunks || arena->capacity - arena->used < padded) {
        size_t wanted = size_max(arena->capacity, 4096);
        if (wanted < (size_t)1 << 20)
            wanted *= 2;
        if (wanted < padded)
            wanted = padded;
        size_t total;
        struct arena_chunk *chunk =
            size_add(wanted, sizeof *chunk, &total) ? mem_alloc(total) : NULL;
        if (!chunk)
            return NULL;
        chunk->next = arena->chunks;
        arena->chunks = chunk;
        arena->capacity = wanted;
        arena->used = 0;
    }
    void *block = arena->chunks->data + arena->used;
    arena->used += padded;
    return block;
}

char *arena_copy_string(struct arena *arena, const char *text, size_t length)
{
    size_t total;
    char *copy = size_add(length, 1, &total) ? arena_alloc(arena, total) : NULL;
    if (copy && length)
        memcpy(copy, text, length);
    return copy;
}

void arena_free(struct arena *arena)
{
    struct arena_chunk *chunk = arena->chunks;
    while (chunk) {
        struct arena_chunk *next = chunk->next;
        mem_free(chunk);
        chunk = next;
    }
    *arena = (struct arena){0};
}

/* One "Name:   123 kB" line of a file in /proc, in bytes. */
static size_t read_proc(const char *path, const char *name)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    char line[256];
    size_t kilobytes = 0, length = strlen(name);
    while (fgets(line, sizeof line, f))
        if (!strncmp(line, name, length) && line[length] == ':')
            kilobytes = strtoull(line + length + 1, NULL, 10);
    fclose(f);
    return kilobytes * 1024;
}

size_t mem_peak_resident(void)
{
    return read_proc("/proc/self/status", "VmHWM");
}

void mem_reset_peak(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "we");
    if (!file)
        return;
    fputs("5", file);
    fclose(file);
}

size_t mem_resident(void)
{
    return read_proc("/proc/self/status", "VmRSS");
}

size_t mem_resident_anonymous(void)
{
    return read_proc("/proc/self/status", "RssAnon");
}

size_t mem_physical(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (size_t)pages * (size_t)size : 0;
}

/* The first number in a file of the control group, behind `name` where one is given; SIZE_MAX for
 * "max" and where there is none. */
static size_t read_control_group(const char *path, const char *name)
{
    FILE *f = fopen(path, "re");
    char line[256];
    size_t number = SIZE_MAX, length = strlen(name);
    if (!f)
        return number;
    while (number == SIZE_MAX && fgets(line, sizeof line, f))
        if (!strncmp(line, name, length) && sscanf(line + length, "%zu", &number) != 1)
            number = SIZE_MAX;
    fclose(f);
    return number;
}

size_t mem_available(void)
{
    size_t available = read_proc("/proc/meminfo", "MemAvailable");
    size_t limit = read_control_group("/sys/fs/cgroup/memory.max", "");
    size_t used = read_control_group("/sys/fs/cgroup/memory.stat", "anon ");
    if (limit == SIZE_MAX || used == SIZE_MAX)
        return available;
    size_t left = limit > used ? limit - used : 0;
    return size_min(left, available);
}
