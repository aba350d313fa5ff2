/* AVX-512 VNNI: unsigned codes of weights by signed activations. */
#include "kernels/quant_avx512.h"
#include "kernels/quant_layout.h"
#include "kernels/quant_tables.h"

#define SIGNED_CODES(kind) false

/* Two chains, since each waits for itself. */
INLINE v_sums sum_products(enum quant_codes kind, v_sums start, const v_codes *w, const int8_t *x,
                           const int n)
{
    (void)kind;
    v_sums even = start, odd = sums_zero();
    UNROLL
    for (int g = 0; g < n; g += 2) {
        even = _mm512_dpbusd_epi32(even, w[g], four_everywhere(x + 4 * g));
        odd = _mm512_dpbusd_epi32(odd, w[g + 1], four_everywhere(x + 4 * g + 4));
    }
    return _mm512_add_epi32(even, odd);
}

#include "kernels/quant_panels.h"

void quant_vnni_rows_from(const struct quant_job *job, size_t first_row)
{
    multiply_panels_from(job, first_row);
}

const struct quant_kernels quant_vnni = {
    .name = "vnni", .quantize = quantize_rows, .rows = multiply_rows, .panels = multiply_panels};
