/* Double quantization: the scales of 4-bit blocks, as bitsandbytes makes 8-bit codes of them.
 *
 * A scale is map[code] * nested[block / 256] + offset: the mean of all scales is taken off, and
 * what is left is rounded to the 8-bit "dynamic" type, relative to the largest of each 256. */
#ifndef TANDEM_KERNELS_DOUBLE_QUANT_H
#define TANDEM_KERNELS_DOUBLE_QUANT_H

#include <stddef.h>
#include <stdint.h>

enum { NESTED_BLOCK = 256, DYNAMIC_VALUES = 256 };

/* The values of the dynamic type, ascending: seven decades of 2^i means between 0.1 and 1, each
 * with both signs, then 0 and 1. */
void dynamic_map(float values[DYNAMIC_VALUES]);

/* codes: [n]; nested: [n / NESTED_BLOCK, rounded up]. */
void double_quantize(const float *scales, size_t n, const float map[DYNAMIC_VALUES], uint8_t *codes,
                     float *nested, float *offset);

static inline float double_dequantize(const float *map, uint8_t code, float nested, float offset)
{
    return map[code] * nested + offset;
}

#endif
