/* AVX2 without VNNI: products of bytes are summed in pairs to 16 bits, which saturate, so only as
 * many are added there as fit for certain. Codes of up to 6 bits are unsigned; 8-bit codes give
 * their sign to the activations, because twice 255 * 127 would not fit. */
#include "kernels/quant_avx2.h"
#include "kernels/quant_layout.h"
#include "kernels/quant_tables.h"

#define SIGNED_CODES(kind) ((kind) == CODES_8_BITS)
#define ROWS_TOGETHER 1 /* registers hold no more beside their sums of pairs */

/* Pairs that fit: 2 * 127 * the largest code, that often, is at most 32767. */
static const int pairs_that_fit[] = {
    [CODES_NIBBLES] = 8, [CODES_5_BITS] = 4, [CODES_6_BITS] = 2, [CODES_8_BITS] = 1};

INLINE __m256i products_of_pairs(enum quant_codes kind, v_codes w, __m256i x)
{
    if (kind == CODES_8_BITS)
        return _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
    return _mm256_maddubs_epi16(w, x);
}

INLINE __m256i sum_of_pairs(enum quant_codes kind, const v_codes *w, const int8_t *x, const int n)
{
    __m256i sum = products_of_pairs(kind, w[0], four_everywhere(x));
    UNROLL
    for (int g = 1; g < n; g++)
        sum = _mm256_add_epi16(sum, products_of_pairs(kind, w[g], four_everywhere(x + 4 * g)));
    return sum;
}

INLINE void sum_products(enum quant_codes kind, const size_t rows, v_sums *sums, const v_codes *w,
                         const int8_t *x, const int n)
{
    const int fit = pairs_that_fit[kind] < n ? pairs_that_fit[kind] : n;
    UNROLL
    for (size_t r = 0; r < rows; r++, x += QUANT_BLOCK) {
        UNROLL
        for (int g = 0; g < n; g += fit) {
            __m256i pairs = sum_of_pairs(kind, w + g, x + 4 * g, fit);
            sums[r] = _mm256_add_epi32(sums[r], _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
        }
    }
}

#include "kernels/quant_panels.h"

const struct quant_kernels quant_avx2 = {
    .name = "avx2", .quantize = quantize_rows, .rows = multiply_rows, .panels = multiply_panels};
