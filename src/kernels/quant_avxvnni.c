/* AVX-VNNI: the products of AVX-512 VNNI in vectors of half the width. */
#include "kernels/quant_avx2.h"
#include "kernels/quant_layout.h"
#include "kernels/quant_tables.h"

#define SIGNED_CODES(kind) false
#define ROWS_TOGETHER MOST_ROWS

/* Row after row for each vector of weights, so that no sum waits for itself. */
INLINE void sum_products(enum quant_codes kind, const size_t rows, v_sums *sums, const v_codes *w,
                         const int8_t *x, const int n)
{
    (void)kind;
    UNROLL
    for (int g = 0; g < n; g++) {
        UNROLL
        for (size_t r = 0; r < rows; r++)
            sums[r] = _mm256_dpbusd_avx_epi32(sums[r], w[g],
                                              four_everywhere(x + r * QUANT_BLOCK + 4 * g));
    }
}

#include "kernels/quant_panels.h"

const struct quant_kernels quant_avxvnni = {
    .name = "avxvnni", .quantize = quantize_rows, .rows = multiply_rows, .panels = multiply_panels};
