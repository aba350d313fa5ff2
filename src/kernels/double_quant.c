#include "kernels/double_quant.h"
#include "base/size.h"

#include <math.h>
#include <stdlib.h>

enum { DECADES = 7 };

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Point i of n evenly from 0.1 to 1, counted from the nearer end. */
static float even_point(size_t i, size_t n)
{
    float step = (1.0f - 0.1f) / (float)(n - 1);
    return i < n / 2 ? 0.1f + step * (float)i : 1.0f - step * (float)(n - 1 - i);
}

void dynamic_map(float values[DYNAMIC_VALUES])
{
    float decade[DECADES] = {1e-6f, 1e-5f, 1e-4f, 1e-3f, 1e-2f, 1e-1f, 1.0f};
    size_t n = 0;
    for (size_t d = 0; d < DECADES; d++) {
        size_t points = ((size_t)1 << d) + 1;
        for (size_t i = 0; i + 1 < points; i++) {
            float mean = (even_point(i, points) + even_point(i + 1, points)) / 2;
            values[n++] = mean * decade[d];
            values[n++] = -mean * decade[d];
        }
    }
    values[n++] = 0;
    values[n++] = 1;
    qsort(values, n, sizeof *values, compare_floats);
}

/* The code of the value that is nearest to x. */
static uint8_t nearest(const float map[DYNAMIC_VALUES], float x)
{
    size_t low = 0, high = DYNAMIC_VALUES - 1;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (x > (map[middle] + map[middle + 1]) / 2)
            low = middle + 1;
        else
            high = middle;
    }
    return (uint8_t)low;
}

void double_quantize(const float *scales, size_t n, const float map[DYNAMIC_VALUES], uint8_t *codes,
                     float *nested, float *offset)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)scales[i];
    *offset = n ? (float)(sum / (double)n) : 0;
    for (size_t begin = 0; begin < n; begin += NESTED_BLOCK) {
        size_t end = size_min(begin + NESTED_BLOCK, n);
        float most = 0;
        for (size_t i = begin; i < end; i++)
            most = fmaxf(most, fabsf(scales[i] - *offset));
        nested[begin / NESTED_BLOCK] = most;
        for (size_t i = begin; i < end; i++)
            codes[i] = nearest(map, most > 0 ? (scales[i] - *offset) / most : 0);
    }
}
