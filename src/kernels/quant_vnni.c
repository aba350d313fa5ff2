/* AVX-512 VNNI: unsigned codes of weights by signed activations. The order of the source is the one
 * to have: no sum waits for itself in it. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-schedule-insns2")
#endif
#include "kernels/quant_avx512.h"
#include "kernels/quant_layout.h"
#include "kernels/quant_tables.h"

#define SIGNED_CODES(kind) false
#define ROWS_TOGETHER MOST_ROWS
#define ABREAST 2
#define SPREAD_ROWS 4
#define SPREAD_BLOCKS 64

/* Row after row for each vector of weights, so that no sum waits for itself. */
INLINE void sum_products(enum quant_codes kind, const size_t rows, v_sums *sums, const v_codes *w,
                         const int8_t *x, const int n)
{
    (void)kind;
    UNROLL
    for (int g = 0; g < n; g++) {
        UNROLL
        for (size_t r = 0; r < rows; r++)
            sums[r] =
                _mm512_dpbusd_epi32(sums[r], w[g], four_everywhere(x + r * QUANT_BLOCK + 4 * g));
    }
}

#define SUMS_HALVES

/* Four codes of each output by four of a row. */
INLINE v_sums add_four(v_sums sums, v_codes w, const int8_t *x)
{
    return _mm512_dpbusd_epi32(sums, w, four_everywhere(x));
}

/* High nibbles where they are are 16 times as much. */
INLINE void sum_nibbles(const uint8_t *codes, const int8_t *x, v_sums *sums)
{
    v_sums high = sums_zero();
    UNROLL
    for (int g = 0; g < 4; g++) {
        v_codes v = codes_load(codes + 64 * g);
        sums[0] = add_four(sums[0], low_nibbles(v), x + 4 * g);
        high = add_four(high, _mm512_and_si512(v, _mm512_set1_epi8((char)0xF0)), x + 16 + 4 * g);
    }
    sums[1] = sums_add(sums[1], _mm512_srai_epi32(high, 4));
}

INLINE void sum_5_bits(const uint8_t *codes, const int8_t *x, v_sums *sums)
{
    const uint8_t *fifth = codes + 256;
    UNROLL
    for (int g = 0; g < 4; g++) {
        v_codes v = codes_load(codes + 64 * g);
        sums[0] = add_four(sums[0], with_fifth_bits(low_nibbles(v), fifth + 8 * g), x + 4 * g);
        sums[1] =
            add_four(sums[1], with_fifth_bits(high_nibbles(v), fifth + 32 + 8 * g), x + 16 + 4 * g);
    }
}

/* Each half in two sums. */
INLINE void sum_6_bits(const uint8_t *codes, const int8_t *x, v_sums *sums)
{
    UNROLL
    for (int h = 0; h < 2; h++, x += 16) {
        v_codes bits = codes_load(codes + 256 + 64 * h);
        v_sums of[2] = {sums[h], sums_zero()};
        UNROLL
        for (int g = 0; g < 4; g++) {
            v_codes v = codes_load(codes + 64 * g);
            v = with_two_bits(h ? high_nibbles(v) : low_nibbles(v), bits, g);
            of[g % 2] = add_four(of[g % 2], v, x + 4 * g);
        }
        sums[h] = sums_add(of[0], of[1]);
    }
}

INLINE void sum_8_bits(const uint8_t *codes, const int8_t *x, v_sums *sums)
{
    UNROLL
    for (int g = 0; g < 8; g++)
        sums[g % 2] = add_four(sums[g % 2], codes_add(codes_load(codes + 64 * g), 128), x + 4 * g);
}

/* The sums of one row by stored codes, in two parts, so that neither waits for itself: of elements
 * 0..15 and 16..31 where the format has halves. */
INLINE void sum_halves(enum quant_codes kind, const uint8_t *codes, const int8_t *x, v_sums *sums)
{
    if (kind == CODES_NIBBLES)
        sum_nibbles(codes, x, sums);
    else if (kind == CODES_5_BITS)
        sum_5_bits(codes, x, sums);
    else if (kind == CODES_6_BITS)
        sum_6_bits(codes, x, sums);
    else
        sum_8_bits(codes, x, sums);
}

#include "kernels/quant_panels.h"

void quant_vnni_rows_from(const struct quant_job *job, size_t first_row)
{
    multiply_panels_from(job, first_row);
}

const struct quant_kernels quant_vnni = {
    .name = "vnni",
    .quantize = quantize_rows,
    .rows = multiply_rows,
    .panels = multiply_panels,
    .pair_rows = PAIR_ROWS_BY_TYPE,
};
