/* Memory: checked allocation, arenas, and a guard that makes allocation fatal.
 *
 * All heap memory of the library comes from here (or from a third-party library). Sizes that
 * are products go through mem_array() or size_multiply() of base/size.h, which check for overflow.
 * Memory is freed with mem_free().
 */
#ifndef TANDEM_BASE_MEMORY_H
#define TANDEM_BASE_MEMORY_H

#include "base/size.h"

/* Zeroed; NULL when out of memory or on overflow. Zero sizes give a valid pointer. */
void *mem_alloc(size_t size);
void *mem_array(size_t count, size_t size);
/* Like realloc for `count` elements of `size`; on failure returns NULL and the old block stays.
 * New bytes are not cleared. */
void *mem_resize(void *old, size_t count, size_t size);
/* Zeroed, aligned to `alignment` (a power of two, at least 64 for kernels). Free: mem_free. */
void *mem_aligned(size_t alignment, size_t count, size_t size);
/* Large buffers: zero pages straight from the system, which become resident only when they are
 * touched. Aligned to a page. NULL when refused. Free with mem_unmap and the same size. */
void *mem_map(size_t size);
void mem_unmap(void *block, size_t size);
/* Makes memory from mem_map() resident from `begin` to the end of a large page of the system, but
 * not beyond `size`, so that nobody waits for it later; what it holds stays. Returns where that
 * end is, or `begin` where the system does not do so. */
size_t mem_populate(void *block, size_t begin, size_t size);
/* Whole pages of a file's mapping inside [data, data + size) need not stay resident; reading them
 * again brings them back. */
void mem_drop_mapped(const void *data, size_t size);
char *mem_copy_string(const char *text);       /* NULL when out of memory */
void *mem_copy(const void *data, size_t size); /* with one NUL byte behind it */
void mem_free(void *block);

/* Room for one more element in a growing array: doubles *capacity where needed.
 * `*array` is a pointer to the array's pointer. False when out of memory (nothing changed). */
bool mem_grow(void *array, size_t *capacity, size_t count, size_t size);

/* Arena: many allocations, one release. Zero-initialise; arena_alloc returns zeroed memory
 * aligned to 16 bytes, NULL when out of memory. */
struct arena {
    struct arena_chunk *chunks;
    size_t used, capacity; /* of the newest chunk, in bytes */
};
void *arena_alloc(struct arena *arena, size_t size);
char *arena_copy_string(struct arena *arena, const char *text, size_t length); /* NUL added */
void arena_free(struct arena *arena);

/* While the calling thread is between these two, mem_alloc and its kin abort the process in
 * builds with TANDEM_MEMORY_GUARD: "a step allocates nothing". No effect otherwise. */
void mem_guard_enter(void);
void mem_guard_leave(void);

/* Bytes: this process's resident peak, and physical memory of the machine; 0 if unknown. */
size_t mem_peak_resident(void);
/* The peak starts again from what is resident now, where the system can do that. */
void mem_reset_peak(void);
size_t mem_resident(void);
size_t mem_resident_anonymous(void); /* the part that is not mapped from a file */
size_t mem_physical(void);
/* What this process could still take without swapping: the system's estimate or what the
 * control group allows, whichever is less. */
size_t mem_available(void);

#endif
