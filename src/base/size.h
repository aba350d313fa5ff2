/* Sizes: the lesser and the larger of two, sums and products that tell when they overflow, and
 * groups of nearly the same size. */
#ifndef TANDEM_BASE_SIZE_H
#define TANDEM_BASE_SIZE_H

#include <stdbool.h>
#include <stddef.h>

static inline size_t size_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t size_max(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* *sum = a + b; false on overflow. */
static inline bool size_add(size_t a, size_t b, size_t *sum)
{
    return !__builtin_add_overflow(a, b, sum);
}

/* *product = a * b; false on overflow. */
static inline bool size_multiply(size_t a, size_t b, size_t *product)
{
    return !__builtin_mul_overflow(a, b, product);
}

/* How many of `left` (at least one) the next group has, where groups of at most `most` are to be of
 * nearly the same size. */
static inline size_t size_group(size_t left, size_t most)
{
    size_t groups = (left + most - 1) / most;
    return (left + groups - 1) / groups;
}

#endif
