/* AVX-512 VNNI: unsigned codes of weights by signed activations. */
#include "kernels/quant_avx512.h"
#include "kernels/quant_layout.h"
#include "kernels/quant_tables.h"

#define SIGNED_CODES(kind) false
#define ROWS_TOGETHER MOST_ROWS
#define ABREAST 2
#define SPREAD_ROWS 4

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
