/* The plain kernels: C that each instruction set compiles with its own flags. */
#ifndef TANDEM_KERNELS_QUANT_PLAIN_H
#define TANDEM_KERNELS_QUANT_PLAIN_H

#include "base/size.h"
#include "kernels/quant_block.h"

#include <math.h>
#include <string.h>

/* --- Activations --- */

/* VECTOR_ROUNDING: the instruction set has these two of its own, and round_four_blocks(). */
#ifndef VECTOR_ROUNDING
/* The largest magnitude, or something not finite where the block has one. */
QUANT_INLINE float largest(const float *x)
{
    uint32_t most = 0;
    for (int i = 0; i < QUANT_BLOCK; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        bits &= 0x7FFFFFFF;
        most = bits > most ? bits : most;
    }
    return float_of_bits(most);
}

/* x * inverse, at most 127 in magnitude, rounded; sums: of the two halves. */
QUANT_INLINE void round_block(const float *x, float inverse, int8_t *codes, int32_t sums[2])
{
    for (int i = 0; i < QUANT_BLOCK; i++) /* 1.5 * 2^23: the sum is rounded to an integer */
        codes[i] = (int8_t)(int32_t)(x[i] * inverse + 12582912.f - 12582912.f);
    for (int i = 0; i < 16; i++) {
        sums[0] += codes[i];
        sums[1] += codes[i + 16];
    }
}
#endif

QUANT_INLINE void quantize_block(struct activations *a, const float *x, size_t at)
{
    int8_t *codes = a->codes + at * QUANT_BLOCK;
    float most = largest(x), inverse = most >= SMALLEST_MAGNITUDE ? 127 / most : 0;
    int32_t sums[2] = {0, 0};
    if (!(most < INFINITY)) { /* shows up in the results */
        memset(codes, 0, QUANT_BLOCK);
        inverse = 0;
        most = NAN;
    } else {
        round_block(x, inverse, codes, sums);
    }
    float scale = inverse > 0 || isnan(most) ? most / 127 : 0;
    a->scale[at] = scale;
    a->scaled_sum[at] = scale * (float)(sums[0] + sums[1]);
    a->minus_sum[at] = -(sums[0] + sums[1]);
    a->minus_half[2 * at] = -sums[0];
    a->minus_half[2 * at + 1] = -sums[1];
}

#ifdef VECTOR_ROUNDING
/* n blocks of each of four rows, from block `first` on. x: of that block; rows are `stride` apart.
 * Blocks with something not finite go one by one. */
QUANT_INLINE void quantize_four_rows(struct activations *a, const float *x, size_t stride,
                                     size_t row, size_t first, size_t n)
{
    size_t at = activations_block(a, row, first);
    for (size_t b = 0; b < n; b++, x += QUANT_BLOCK, at += a->tile_rows)
        if (!round_four_blocks(a, x, stride, at))
            for (size_t r = 0; r < 4; r++)
                quantize_block(a, x + r * stride, at + r);
}
#endif

/* The same of one row; the next is fetched meanwhile. */
QUANT_INLINE void quantize_row(struct activations *a, const float *x, size_t stride, size_t row,
                               size_t first, size_t n)
{
    size_t at = activations_block(a, row, first);
    for (size_t b = 0; b < n; b++, x += QUANT_BLOCK, at += a->tile_rows) {
        __builtin_prefetch(x + stride);
        __builtin_prefetch(x + stride + QUANT_BLOCK / 2);
        quantize_block(a, x, at);
    }
}

/* n blocks from block `first` on of rows [row, end) of a tile. x: of the first of them. */
QUANT_INLINE void quantize_strip(struct activations *a, const float *x, size_t stride, size_t row,
                                 size_t end, size_t first, size_t n)
{
#ifdef VECTOR_ROUNDING
    for (; row + 4 <= end; row += 4, x += 4 * stride)
        quantize_four_rows(a, x, stride, row, first, n);
#endif
    for (; row < end; row++, x += stride)
        quantize_row(a, x, stride, row, first, n);
}

/* By strips of a tile of rows: what lies together of its rows is written while it is in the first
 * cache. */
static void quantize_rows(struct activations *a, const float *x, size_t stride, size_t begin,
                          size_t end, size_t first_block, size_t end_block)
{
    enum { STRIP = 8 };
    for (size_t row = begin, next; row < end; row = next) {
        next = (row / a->tile_rows + 1) * a->tile_rows;
        next = size_min(next, end);
        for (size_t strip = first_block; strip < end_block; strip += STRIP)
            quantize_strip(a, x + (row - begin) * stride + (strip - first_block) * QUANT_BLOCK,
                           stride, row, next, strip, size_min(end_block - strip, STRIP));
    }
}

/* --- Weights as in the file --- */

enum { QUANT_CHUNK = 32 }; /* blocks of a row that are decoded at a time */

struct decoded {
    int8_t codes[QUANT_CHUNK][QUANT_BLOCK]; /* signed */
    struct block_scales scales[QUANT_CHUNK];
};
_Static_assert(sizeof(struct decoded) <= QUANT_SCRATCH, "scratch holds a chunk");

QUANT_INLINE void decode_chunk(enum tensor_type type, const uint8_t *row, size_t first, size_t n,
                               struct decoded *out)
{
    int offset = panel_formats[type].offset_shift ? 1 << panel_formats[type].offset_shift : 0;
    for (size_t b = 0; b < n; b++) {
        uint8_t codes[QUANT_BLOCK];
        block_codes(type, row, first + b, codes);
        for (int i = 0; i < QUANT_BLOCK; i++)
            out->codes[b][i] = (int8_t)(codes[i] - offset);
        out->scales[b] = block_scales(type, row, first + b);
    }
}

QUANT_INLINE int32_t dot(const int8_t *a, const int8_t *b, int n)
{
    int32_t sum = 0;
    for (int i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

QUANT_INLINE float add_block(const struct panel_format *f, const struct activations *a, size_t at,
                             const int8_t *codes, const struct block_scales *s, float y)
{
    const int8_t *x = a->codes + at * QUANT_BLOCK;
    float scale = a->scale[at];
    if (f->halves) {
        float first = (float)dot(codes, x, 16) * s->scale[0];
        return fmaf(fmaf((float)dot(codes + 16, x + 16, 16), s->scale[1], first), scale, y);
    }
    y = fmaf((float)dot(codes, x, QUANT_BLOCK), s->scale[0] * scale, y);
    return f->has_min ? fmaf(s->min, a->scaled_sum[at], y) : y;
}

QUANT_INLINE void multiply_rows_of(enum tensor_type type, const struct quant_job *job)
{
    const struct activations *a = job->a;
    const struct panel_format *f = &panel_formats[type];
    struct decoded *d = job->scratch;
    for (size_t o = job->out.begin; o < job->out.end; o++) {
        for (size_t first = 0, n; first < a->n_blocks; first += n) {
            n = size_min(a->n_blocks - first, QUANT_CHUNK);
            decode_chunk(type, job->data + o * job->row_bytes, first, n, d);
            for (size_t r = 0; r < a->n_rows; r++) {
                float *to = job->out.y + r * job->out.stride + o - job->out.begin;
                float y = first ? *to : job->bias ? job->bias[o] : 0;
                for (size_t b = 0; b < n; b++)
                    y = add_block(f, a, activations_block(a, r, first + b), d->codes[b],
                                  &d->scales[b], y);
                *to = y;
            }
        }
    }
}

#define ROWS_OF(type)                                                                              \
    static void multiply_rows_##type(const struct quant_job *job)                                  \
    {                                                                                              \
        multiply_rows_of(TYPE_##type, job);                                                        \
    }
FOR_QUANT_TYPES(ROWS_OF)

static void multiply_rows(const struct quant_job *job)
{
#define ROWS_ENTRY(type) [TYPE_##type] = multiply_rows_##type,
    static void (*const by_type[TYPE_COUNT])(const struct quant_job *) = {
        FOR_QUANT_TYPES(ROWS_ENTRY)};
    by_type[job->type](job);
}

#endif
