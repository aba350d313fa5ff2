/* The kernels of a vector instruction set, written once over a few primitives.
 *
 * avx2.c, avx512.c and neon.c define the primitives below for theirs and then include this file,
 * which ends with the table VECTOR_TABLE, named VECTOR_NAME, with VECTOR_FIT_ROW. VECTOR_LANES
 * floats to a vector; GEMM_ROWS rows of activations by 4 outputs fill the register file.
 *
 * What must hold for the promise of equal bits (kernels.h): an element's result does not depend
 * on its place in the buffer, so ends of buffers run the same vector code on a padded vector; and
 * a sum runs over VECTOR_LANES strands, element k in strand k mod VECTOR_LANES, which the same
 * tree then adds, one sum at a time (v_sum) or four (v_add_sums4).
 */
#ifndef TANDEM_KERNELS_VECTOR_BODY_H
#define TANDEM_KERNELS_VECTOR_BODY_H

#include "base/size.h"
#include "kernels/bitsandbytes.h"
#include "kernels/block_layout.h"
#include "kernels/half.h"
#include "kernels/scalar_blocks.h"
#include "kernels/tables.h"
#include "kernels/vector_macros.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

/* One vector from stored elements of one type. */
typedef v_float load_lanes(const uint8_t *p);

/* --- Decoding --- */

static void dequantize_f32(const void *src, float *dst, size_t n)
{
    memcpy(dst, src, n * sizeof *dst);
}

/* Elements of `width` bytes, a vector at a time; a padded vector at the end. */
INLINE void convert(load_lanes load, size_t width, const void *src, float *dst, size_t n)
{
    const uint8_t *p = src;
    size_t i = 0;
    for (; i + VECTOR_LANES <= n; i += VECTOR_LANES)
        v_store(dst + i, load(p + i * width));
    if (i < n) {
        uint8_t padded[VECTOR_LANES * 4] = {0};
        memcpy(padded, p + i * width, (n - i) * width);
        v_store_part(dst + i, load(padded), n - i);
    }
}

static void dequantize_f16(const void *src, float *dst, size_t n)
{
    convert(v_load_f16, 2, src, dst, n);
}

static void dequantize_bf16(const void *src, float *dst, size_t n)
{
    convert(v_load_bf16, 2, src, dst, n);
}

/* Where the values of a block go as they are decoded: to memory, or into the sum of their
 * products with x. Which of the two is known where the decoders are inlined. Decoders hand them
 * over in order, because that is the order of the sum. */
struct sink {
    bool sums; /* sum += value * x; else dst = value */
    float *dst;
    const float *x;
    v_float sum;
};

INLINE void take(struct sink *s, size_t at, v_float value)
{
    if (s->sums)
        s->sum = v_fma(v_load(s->x + at), value, s->sum);
    else
        v_store(s->dst + at, value);
}

/* Vectors to a run of 16 elements. */
enum { RUN = 16 / VECTOR_LANES };

INLINE void take_run(struct sink *s, size_t at, const v_float *values)
{
    UNROLL
    for (size_t i = 0; i < RUN; i++)
        take(s, at + i * VECTOR_LANES, values[i]);
}

/* Element i is codes[i] * step + base. In all formats the products of scales and codes are exact
 * in a float, so that a fused multiply and add rounds once, as GGUF's definition does. */
INLINE void take_codes(struct sink *s, size_t at, v_bytes codes, v_float step, v_float base)
{
    v_float values[RUN];
    b_expand(codes, values);
    UNROLL
    for (size_t i = 0; i < RUN; i++)
        values[i] = v_fma(values[i], step, base);
    take_run(s, at, values);
}

/* 32 elements: low nibbles of q, then high ones. */
INLINE void take_nibbles(struct sink *s, const uint8_t *q, v_float step, v_float base)
{
    v_float low[RUN], high[RUN];
    b_scale_nibbles(b_load(q), step, base, step, base, low, high);
    take_run(s, 0, low);
    take_run(s, 16, high);
}

/* 32 elements of five bits: nibbles at q, high bits at `high`. */
INLINE void take_five_bits(struct sink *s, const uint8_t *q, const uint8_t *high, v_float step,
                           v_float base)
{
    v_bytes nibbles = b_load(q);
    v_bytes low = b_or(b_and(nibbles, 15), b_spread(load_u16(high), 16));
    v_bytes top = b_or(b_and(b_shift_right(nibbles, 4), 15), b_spread(load_u16(high + 2), 16));
    take_codes(s, 0, low, step, base);
    take_codes(s, 16, top, step, base);
}

INLINE void decode_q4_0(const uint8_t *block, struct sink *s)
{
    v_float d = v_set_f16(block);
    take_nibbles(s, block + Q4_0_QS, d, v_mul(d, v_set(-8)));
}

INLINE void decode_q4_1(const uint8_t *block, struct sink *s)
{
    take_nibbles(s, block + Q4_1_QS, v_set_f16(block), v_set_f16(block + Q4_1_M));
}

INLINE void decode_q5_0(const uint8_t *block, struct sink *s)
{
    v_float d = v_set_f16(block);
    take_five_bits(s, block + Q5_0_QS, block + Q5_0_QH, d, v_mul(d, v_set(-16)));
}

INLINE void decode_q5_1(const uint8_t *block, struct sink *s)
{
    take_five_bits(s, block + Q5_1_QS, block + Q5_1_QH, v_set_f16(block),
                   v_set_f16(block + Q5_1_M));
}

INLINE void decode_q8_0(const uint8_t *block, struct sink *s)
{
    v_float d = v_set_f16(block);
    UNROLL
    for (size_t j = 0; j < BLOCK; j += VECTOR_LANES)
        take(s, j, v_mul(v_load_int8(block + Q8_0_QS + j), d));
}

/* Sixteen codes * step + base, in memory, from where each is spread over a vector. */
INLINE void scale_table(float table[16], v_bytes codes, v_float step, v_float base)
{
    struct sink s = {.dst = table};
    take_codes(&s, 0, codes, step, base);
}

INLINE void decode_q2_k(const uint8_t *block, struct sink *s)
{
    float steps[16], bases[16];
    v_bytes scales = b_load(block + Q2_K_SCALES);
    scale_table(steps, b_and(scales, 15), v_set_f16(block + Q2_K_D), v_set(0));
    scale_table(bases, b_and(b_shift_right(scales, 4), 15),
                v_mul(v_set_f16(block + Q2_K_DMIN), v_set(-1)), v_set(0));
    UNROLL
    for (int j = 0; j < 16; j++) { /* runs of 16 elements */
        v_bytes q = b_load(block + Q2_K_QS + j / 8 * 32 + j % 2 * 16);
        take_codes(s, 16 * (size_t)j, b_and(b_shift_right(q, j / 2 % 4 * 2), 3), v_set(steps[j]),
                   v_set(bases[j]));
    }
}

INLINE void decode_q3_k(const uint8_t *block, struct sink *s)
{
    uint8_t scales[16];
    float steps[16], bases[16];
    v_float d = v_set_f16(block + Q3_K_D);
    unpack_q3_k_scales(block + Q3_K_SCALES, scales);
    scale_table(steps, b_load(scales), d, v_mul(d, v_set(-32)));
    scale_table(bases, b_load(scales), v_mul(d, v_set(-4)), v_mul(d, v_set(128)));
    UNROLL
    for (int j = 0; j < 16; j++) {
        v_bytes q = b_load(block + Q3_K_QS + j / 8 * 32 + j % 2 * 16);
        v_bytes high = b_load(block + Q3_K_HMASK + j % 2 * 16);
        v_bytes low = b_and(b_shift_right(q, j / 2 % 4 * 2), 3);
        high = b_shift_left(b_and(b_shift_right(high, j / 2), 1), 2);
        take_codes(s, 16 * (size_t)j, b_or(low, high), v_set(steps[j]), v_set(bases[j]));
    }
}

/* The scales and minima of Q4_K and Q5_K, at `block` with d and dmin before them: element of run
 * of 32 number j is code * steps[j] + bases[8 + j]. */
INLINE void scales_and_minima(const uint8_t *block, float steps[16], float bases[16])
{
    uint8_t packed[16];
    unpack_scales_min(block + Q4_K_SCALES, packed);
    scale_table(steps, b_load(packed), v_set_f16(block + Q4_K_D), v_set(0));
    scale_table(bases, b_load(packed), v_mul(v_set_f16(block + Q4_K_DMIN), v_set(-1)), v_set(0));
}

INLINE void decode_q4_k(const uint8_t *block, struct sink *s)
{
    float steps[16], bases[16];
    scales_and_minima(block, steps, bases);
    UNROLL
    for (size_t run = 0; run < 8; run += 2) { /* 32 bytes: two runs of 32 */
        v_float step0 = v_set(steps[run]), base0 = v_set(bases[8 + run]);
        v_float step1 = v_set(steps[run + 1]), base1 = v_set(bases[9 + run]);
        v_float low[2 * RUN], high[2 * RUN];
        const uint8_t *q = block + Q4_K_QS + 16 * run;
        b_scale_nibbles(b_load(q), step0, base0, step1, base1, low, high);
        b_scale_nibbles(b_load(q + 16), step0, base0, step1, base1, low + RUN, high + RUN);
        take_run(s, 32 * run, low);
        take_run(s, 32 * run + 16, low + RUN);
        take_run(s, 32 * run + 32, high);
        take_run(s, 32 * run + 48, high + RUN);
    }
}

INLINE void decode_q5_k(const uint8_t *block, struct sink *s)
{
    float steps[16], bases[16];
    scales_and_minima(block, steps, bases);
    UNROLL
    for (int j = 0; j < 16; j++) {
        v_bytes q = b_load(block + Q5_K_QS + j / 4 * 32 + j % 2 * 16);
        v_bytes high = b_load(block + Q5_K_QH + j % 2 * 16);
        q = b_and(b_shift_right(q, j / 2 % 2 * 4), 15);
        high = b_shift_left(b_and(b_shift_right(high, j / 2), 1), 4);
        take_codes(s, 16 * (size_t)j, b_or(q, high), v_set(steps[j / 2]), v_set(bases[8 + j / 2]));
    }
}

INLINE void decode_q6_k(const uint8_t *block, struct sink *s)
{
    float steps[16], bases[16];
    v_float d = v_set_f16(block + Q6_K_D);
    v_bytes scales = b_flip_signs(b_load(block + Q6_K_SCALES)); /* 128 more, unsigned */
    scale_table(steps, scales, d, v_mul(d, v_set(-128)));
    scale_table(bases, scales, v_mul(d, v_set(-32)), v_mul(d, v_set(4096)));
    UNROLL
    for (int j = 0; j < 16; j++) {
        int half = j / 8, run = j % 8;
        v_bytes low = b_load(block + Q6_K_QL + 64 * half + run % 4 * 16);
        v_bytes high = b_load(block + Q6_K_QH + 32 * half + run % 2 * 16);
        low = b_and(b_shift_right(low, run / 4 * 4), 15);
        high = b_shift_left(b_and(b_shift_right(high, run / 2 * 2), 3), 4);
        take_codes(s, 16 * (size_t)j, b_or(low, high), v_set(steps[j]), v_set(bases[j]));
    }
}

/* 64 elements whose codes stand for the values of a table. */
INLINE void take_looked_up(struct sink *s, const float table[16], const uint8_t *block)
{
    v_float scale = v_set(bnb_scale(block)), scaled[RUN], low[RUN], high[RUN];
    UNROLL
    for (size_t i = 0; i < RUN; i++)
        scaled[i] = v_mul(v_load(table + i * VECTOR_LANES), scale);
    UNROLL
    for (size_t run = 0; run < BNB_BLOCK; run += 32) {
        b_look_up_nibbles(b_load(block + BNB_CODES + run / 2), scaled, low, high);
        take_run(s, run, low);
        take_run(s, run + 16, high);
    }
}

INLINE void decode_nf4(const uint8_t *block, struct sink *s)
{
    take_looked_up(s, nf4_values, block);
}

INLINE void decode_fp4(const uint8_t *block, struct sink *s)
{
    take_looked_up(s, fp4_values, block);
}

INLINE void decode_int8(const uint8_t *block, struct sink *s)
{
    v_float scale = v_set(bnb_scale(block)), step = v_set(INT8_STEP);
    UNROLL
    for (size_t j = 0; j < BNB_BLOCK; j += VECTOR_LANES)
        take(s, j, v_mul(v_mul(v_load_int8(block + BNB_CODES + j), scale), step));
}

/* Plain elements as blocks of one vector; dot() handles the rest of a row. */
INLINE void decode_f32(const uint8_t *block, struct sink *s)
{
    take(s, 0, v_load_f32(block));
}

INLINE void decode_f16(const uint8_t *block, struct sink *s)
{
    take(s, 0, v_load_f16(block));
}

INLINE void decode_bf16(const uint8_t *block, struct sink *s)
{
    take(s, 0, v_load_bf16(block));
}

typedef void decoder(const uint8_t *block, struct sink *s);

INLINE void dequantize_blocks(decoder decode, size_t bytes, size_t length, const uint8_t *src,
                              float *dst, size_t n)
{
    for (size_t i = 0; i < n; i += length, src += bytes) {
        struct sink s = {.dst = dst + i};
        decode(src, &s);
    }
}

/* One block; the block `ahead` bytes on, in rows to come, is fetched meanwhile. */
INLINE void sum_block(decoder decode, size_t bytes, const uint8_t *block, size_t ahead,
                      const float *x, v_float *sum)
{
    struct sink s = {.sums = true, .x = x, .sum = *sum};
    for (size_t line = 0; line < bytes; line += 64)
        __builtin_prefetch(block + ahead + line);
    decode(block, &s);
    *sum = s.sum;
}

/* sums[r] = the strands of row r, for `rows` rows at a time (a constant), so that their chains of
 * additions overlap. Returns how many elements there were in whole blocks. */
INLINE size_t sum_blocks(decoder decode, size_t bytes, size_t length, const size_t rows,
                         const uint8_t *w, size_t row_bytes, const float *x, size_t n,
                         v_float *sums)
{
    size_t i = 0;
    UNROLL
    for (size_t r = 0; r < rows; r++)
        sums[r] = v_set(0);
    for (; i + length <= n; i += length, w += bytes) {
        if (length == SUPERBLOCK) { /* work enough between two visits to a sum in memory */
            KEEP_ROLLED
            for (size_t r = 0; r < rows; r++)
                sum_block(decode, bytes, w + r * row_bytes, rows * row_bytes, x + i, &sums[r]);
            continue;
        }
        UNROLL
        for (size_t r = 0; r < rows; r++)
            sum_block(decode, bytes, w + r * row_bytes, rows * row_bytes, x + i, &sums[r]);
    }
    return i;
}

/* The last elements of a row of plain elements, fewer than a vector. */
INLINE void sum_rest(decoder decode, size_t width, const uint8_t *w, const float *x, size_t left,
                     v_float *sum)
{
    uint8_t padded[VECTOR_LANES * 4] = {0};
    float values[VECTOR_LANES] = {0};
    memcpy(padded, w, left * width);
    memcpy(values, x, left * sizeof *values);
    struct sink s = {.sums = true, .x = values, .sum = *sum};
    decode(padded, &s);
    *sum = s.sum;
}

INLINE void dot_rows(decoder decode, size_t bytes, size_t length, const size_t rows,
                     const uint8_t *w, size_t row_bytes, const float *x, size_t n, float *y)
{
    v_float sums[4];
    size_t done = sum_blocks(decode, bytes, length, rows, w, row_bytes, x, n, sums);
    if (length == VECTOR_LANES && done < n) {
        size_t width = bytes / VECTOR_LANES;
        UNROLL
        for (size_t r = 0; r < rows; r++)
            sum_rest(decode, width, w + r * row_bytes + done * width, x + done, n - done, &sums[r]);
    }
    if (rows == 4)
        v_add_sums4(y, sums[0], sums[1], sums[2], sums[3]);
    else
        y[0] += v_sum(sums[0]);
}

#define DOT_OF(type, bytes, length)                                                                \
    static void dot_##type(const void *w, size_t row_bytes, size_t n_outputs, const float *x,      \
                           size_t n, float *y)                                                     \
    {                                                                                              \
        const uint8_t *row = w;                                                                    \
        for (; n_outputs >= 4; n_outputs -= 4, row += 4 * row_bytes, y += 4)                       \
            dot_rows(decode_##type, bytes, length, 4, row, row_bytes, x, n, y);                    \
        for (; n_outputs; n_outputs--, row += row_bytes, y++)                                      \
            dot_rows(decode_##type, bytes, length, 1, row, row_bytes, x, n, y);                    \
    }
#define KERNELS_OF(type, bytes, length)                                                            \
    static void dequantize_##type(const void *src, float *dst, size_t n)                           \
    {                                                                                              \
        dequantize_blocks(decode_##type, bytes, length, src, dst, n);                              \
    }                                                                                              \
    DOT_OF(type, bytes, length)

DOT_OF(f32, 4 * VECTOR_LANES, VECTOR_LANES)
DOT_OF(f16, 2 * VECTOR_LANES, VECTOR_LANES)
DOT_OF(bf16, 2 * VECTOR_LANES, VECTOR_LANES)
KERNELS_OF(q4_0, Q4_0_BYTES, BLOCK)
KERNELS_OF(q4_1, Q4_1_BYTES, BLOCK)
KERNELS_OF(q5_0, Q5_0_BYTES, BLOCK)
KERNELS_OF(q5_1, Q5_1_BYTES, BLOCK)
KERNELS_OF(q8_0, Q8_0_BYTES, BLOCK)
KERNELS_OF(q2_k, Q2_K_BYTES, SUPERBLOCK)
KERNELS_OF(q3_k, Q3_K_BYTES, SUPERBLOCK)
KERNELS_OF(q4_k, Q4_K_BYTES, SUPERBLOCK)
KERNELS_OF(q5_k, Q5_K_BYTES, SUPERBLOCK)
KERNELS_OF(q6_k, Q6_K_BYTES, SUPERBLOCK)
KERNELS_OF(nf4, FOUR_BIT_BYTES, BNB_BLOCK)
KERNELS_OF(fp4, FOUR_BIT_BYTES, BNB_BLOCK)
KERNELS_OF(int8, INT8_BYTES, BNB_BLOCK)

static void quantize_f16(const float *src, void *dst, size_t n)
{
    uint8_t *p = dst;
    size_t i = 0;
    for (; i + VECTOR_LANES <= n; i += VECTOR_LANES)
        v_store_f16(p + 2 * i, v_load(src + i));
    if (i < n) {
        uint8_t padded[VECTOR_LANES * 2];
        v_store_f16(padded, v_load_part(src + i, n - i));
        memcpy(p + 2 * i, padded, (n - i) * 2);
    }
}

/* --- Matrix product --- */

/* y[r, o] += sum_k x[r, k] * w[o, k] for a block that stays in registers. `rows` and `outputs`
 * are constants where this is inlined; outputs is 1 or a multiple of 4. */
INLINE void multiply_block(const size_t rows, const size_t outputs, const float *x, size_t x_stride,
                           const float *w, size_t w_stride, size_t n, float *y, size_t y_stride)
{
    v_float sums[GEMM_ROWS][8], weights[8];
    size_t k = 0;
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        __builtin_prefetch(y + r * y_stride, 1);
        UNROLL
        for (size_t o = 0; o < outputs; o++)
            sums[r][o] = v_set(0);
    }
    for (; k + VECTOR_LANES <= n; k += VECTOR_LANES) {
        UNROLL
        for (size_t o = 0; o < outputs; o++)
            weights[o] = v_load(w + o * w_stride + k);
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            v_float values = v_load(x + r * x_stride + k);
            UNROLL
            for (size_t o = 0; o < outputs; o++)
                sums[r][o] = v_fma(values, weights[o], sums[r][o]);
        }
    }
    if (k < n) {
        UNROLL
        for (size_t o = 0; o < outputs; o++)
            weights[o] = v_load_part(w + o * w_stride + k, n - k);
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            v_float values = v_load_part(x + r * x_stride + k, n - k);
            UNROLL
            for (size_t o = 0; o < outputs; o++)
                sums[r][o] = v_fma(values, weights[o], sums[r][o]);
        }
    }
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        if (outputs == 1) {
            y[r * y_stride] += v_sum(sums[r][0]);
            continue;
        }
        UNROLL
        for (size_t o = 0; o < outputs; o += 4)
            v_add_sums4(y + r * y_stride + o, sums[r][o], sums[r][o + 1], sums[r][o + 2],
                        sums[r][o + 3]);
    }
}

#define BLOCK_OF(rows, outputs)                                                                    \
    static void multiply_##rows##x##outputs(const float *x, size_t x_stride, const float *w,       \
                                            size_t w_stride, size_t n, float *y, size_t y_stride)  \
    {                                                                                              \
        multiply_block(rows, outputs, x, x_stride, w, w_stride, n, y, y_stride);                   \
    }
typedef void multiply_fixed(const float *x, size_t x_stride, const float *w, size_t w_stride,
                            size_t n, float *y, size_t y_stride);

BLOCK_OF(1, 1)
BLOCK_OF(1, 8)
BLOCK_OF(1, 4)
BLOCK_OF(2, 4)
BLOCK_OF(3, 4)
#if GEMM_ROWS >= 6
BLOCK_OF(4, 4)
BLOCK_OF(5, 4)
BLOCK_OF(6, 4)
static multiply_fixed *const multiply_by_4[] = {multiply_1x4, multiply_2x4, multiply_3x4,
                                                multiply_4x4, multiply_5x4, multiply_6x4};
#else
static multiply_fixed *const multiply_by_4[] = {multiply_1x4, multiply_2x4, multiply_3x4};
#endif

static void gemm_f32(const float *x, size_t x_stride, size_t n_rows, const float *w,
                     size_t w_stride, size_t n_outputs, size_t n, float *y, size_t y_stride)
{
    for (size_t r = 0, rows; r < n_rows; r += rows) {
        rows = size_min(n_rows - r, GEMM_ROWS);
        const float *from = x + r * x_stride;
        float *to = y + r * y_stride;
        size_t o = 0;
        for (; rows == 1 && o + 8 <= n_outputs; o += 8)
            multiply_1x8(from, x_stride, w + o * w_stride, w_stride, n, to + o, y_stride);
        for (; o + 4 <= n_outputs; o += 4)
            multiply_by_4[rows - 1](from, x_stride, w + o * w_stride, w_stride, n, to + o,
                                    y_stride);
        for (; o < n_outputs; o++)
            for (size_t i = 0; i < rows; i++)
                multiply_1x1(from + i * x_stride, x_stride, w + o * w_stride, w_stride, n,
                             to + i * y_stride + o, y_stride);
    }
}

/* --- Element-wise --- */

/* 2^(n + r), |r| <= 1/2, n whole: a polynomial in r (fitted for least largest relative error, the
 * first term being 1), within 2 units in the last place. */
INLINE v_float power_of_sum(v_float n, v_float r)
{
    v_float p = v_set(0.00132647238f);
    p = v_fma(p, r, v_set(0.00967151299f));
    p = v_fma(p, r, v_set(0.0555073358f));
    p = v_fma(p, r, v_set(0.240222424f));
    p = v_fma(p, r, v_set(0.693147004f));
    return v_scale(v_fma(p, r, v_set(1)), n);
}

/* 2^x for x <= 0; 0 below -150. */
INLINE v_float v_exp2(v_float x)
{
    x = v_at_least(x, -150);
    v_float n = v_round(x);
    return power_of_sum(n, v_sub(x, n));
}

/* e^x; 0 below -104, infinity above 89. */
INLINE v_float v_exp(v_float x)
{
    const v_float log2_e = v_set(LOG2_E);
    x = v_at_least(v_at_most(x, 90), -104);
    v_float n = v_round(v_mul(x, log2_e));
    return power_of_sum(n, v_fma(x, log2_e, v_sub(v_set(0), n)));
}

static void rms_norm(const float *x, const float *weight, float *y, size_t n, float eps)
{
    v_float sums[4] = {v_set(0), v_set(0), v_set(0), v_set(0)};
    size_t i = 0;
    for (; i + 4 * VECTOR_LANES <= n; i += 4 * VECTOR_LANES)
        for (size_t j = 0; j < 4; j++) {
            v_float v = v_load(x + i + j * VECTOR_LANES);
            sums[j] = v_fma(v, v, sums[j]);
        }
    for (; i < n; i += VECTOR_LANES) {
        size_t left = size_min(n - i, VECTOR_LANES);
        v_float v = v_load_part(x + i, left);
        sums[0] = v_fma(v, v, sums[0]);
    }
    float sum = v_sum(v_add(v_add(sums[0], sums[1]), v_add(sums[2], sums[3])));
    float scale = 1 / sqrtf(sum / (float)n + eps);
    for (i = 0; i + VECTOR_LANES <= n; i += VECTOR_LANES)
        v_store(y + i, v_mul(v_mul(v_load(x + i), v_set(scale)), v_load(weight + i)));
    for (; i < n; i++)
        y[i] = x[i] * scale * weight[i];
}

INLINE v_float silu_times(v_float gate, v_float up)
{
    v_float e = v_exp(v_sub(v_set(0), gate));
    return v_mul(v_div(gate, v_add(v_set(1), e)), up);
}

static void silu_multiply(float *gate, const float *up, size_t n)
{
    size_t i = 0;
    for (; i + VECTOR_LANES <= n; i += VECTOR_LANES)
        v_store(gate + i, silu_times(v_load(gate + i), v_load(up + i)));
    if (i < n)
        v_store_part(gate + i, silu_times(v_load_part(gate + i, n - i), v_load_part(up + i, n - i)),
                     n - i);
}

static void add(float *y, const float *x, size_t n)
{
    size_t i = 0;
    for (; i + VECTOR_LANES <= n; i += VECTOR_LANES)
        v_store(y + i, v_add(v_load(y + i), v_load(x + i)));
    for (; i < n; i++)
        y[i] += x[i];
}

INLINE void rotate(float *x, const float *cosine, const float *sine, size_t half, size_t lanes)
{
    v_float a = v_load_part(x, lanes), b = v_load_part(x + half, lanes);
    v_float c = v_load_part(cosine, lanes), s = v_load_part(sine, lanes);
    v_store_part(x, v_sub(v_mul(a, c), v_mul(b, s)), lanes);
    v_store_part(x + half, v_add(v_mul(b, c), v_mul(a, s)), lanes);
}

static void rope(float *x, const float *cosine, const float *sine, size_t half)
{
    for (size_t i = 0; i < half; i += VECTOR_LANES)
        rotate(x + i, cosine + i, sine + i, half, size_min(half - i, VECTOR_LANES));
}

#include "kernels/vector_attention.h"

#define PREPARED_PAGES                                                                             \
    .prepare_query = prepare_query, .prepare_keys = prepare_keys,                                  \
    .prepare_values = prepare_values, .scores = attention_scores, .soften = soften,                \
    .mix = attention_mix
static const struct attention_kernels attention = {PREPARED_PAGES};
static const struct attention_kernels attention_of_halves = {
    PREPARED_PAGES, .scores_stored = scores_of_halves, .mix_stored = mix_of_halves};

const struct kernels VECTOR_TABLE = {
    .name = VECTOR_NAME,
    .dequantize = {[TYPE_F32] = dequantize_f32,
                   [TYPE_F16] = dequantize_f16,
                   [TYPE_BF16] = dequantize_bf16,
                   [TYPE_Q4_0] = dequantize_q4_0,
                   [TYPE_Q4_1] = dequantize_q4_1,
                   [TYPE_Q5_0] = dequantize_q5_0,
                   [TYPE_Q5_1] = dequantize_q5_1,
                   [TYPE_Q8_0] = dequantize_q8_0,
                   [TYPE_Q2_K] = dequantize_q2_k,
                   [TYPE_Q3_K] = dequantize_q3_k,
                   [TYPE_Q4_K] = dequantize_q4_k,
                   [TYPE_Q5_K] = dequantize_q5_k,
                   [TYPE_Q6_K] = dequantize_q6_k,
                   [TYPE_NF4] = dequantize_nf4,
                   [TYPE_FP4] = dequantize_fp4,
                   [TYPE_INT8] = dequantize_int8},
    .quantize = {[TYPE_F32] = scalar_quantize_f32,
                 [TYPE_F16] = quantize_f16,
                 [TYPE_BF16] = scalar_quantize_bf16,
                 [TYPE_Q4_0] = scalar_quantize_q4_0,
                 [TYPE_Q4_1] = scalar_quantize_q4_1,
                 [TYPE_Q5_0] = scalar_quantize_q5_0,
                 [TYPE_Q5_1] = scalar_quantize_q5_1,
                 [TYPE_Q8_0] = scalar_quantize_q8_0,
                 [TYPE_NF4] = scalar_quantize_nf4,
                 [TYPE_FP4] = scalar_quantize_fp4,
                 [TYPE_INT8] = scalar_quantize_int8},
    .fit_row = VECTOR_FIT_ROW,
    .dot = {[TYPE_F32] = dot_f32,
            [TYPE_F16] = dot_f16,
            [TYPE_BF16] = dot_bf16,
            [TYPE_Q4_0] = dot_q4_0,
            [TYPE_Q4_1] = dot_q4_1,
            [TYPE_Q5_0] = dot_q5_0,
            [TYPE_Q5_1] = dot_q5_1,
            [TYPE_Q8_0] = dot_q8_0,
            [TYPE_Q2_K] = dot_q2_k,
            [TYPE_Q3_K] = dot_q3_k,
            [TYPE_Q4_K] = dot_q4_k,
            [TYPE_Q5_K] = dot_q5_k,
            [TYPE_Q6_K] = dot_q6_k,
            [TYPE_NF4] = dot_nf4,
            [TYPE_FP4] = dot_fp4,
            [TYPE_INT8] = dot_int8},
    .gemm_f32 = gemm_f32,
    .rms_norm = rms_norm,
    .silu_multiply = silu_multiply,
    .add = add,
    .rope = rope,
    .attention =
        {[TYPE_F32] = &attention, [TYPE_F16] = &attention_of_halves, [TYPE_Q8_0] = &attention},
};

#endif
