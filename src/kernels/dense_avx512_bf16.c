/* Products in BF16 with AVX512_BF16: 24 accumulators of 16 floats, a pair of elements at a time. */
#include "kernels/dense.h"

#include "kernels/dense_bf16.inc"

enum { TILE_ROWS = 12, TILE_VECTORS = 2, TILE_COLUMNS = 16 * TILE_VECTORS };

static void gemm_tile(const void *a_panel, const void *b_panel, size_t k, real *c, size_t c_stride,
                      bool accumulate)
{
    const int32_t *a = a_panel, *b = b_panel; /* pairs */
    __m512 sum[TILE_ROWS][TILE_VECTORS];
    UNROLL
    for (int i = 0; i < TILE_ROWS; i++)
        UNROLL
    for (int j = 0; j < TILE_VECTORS; j++)
        sum[i][j] = _mm512_setzero_ps();
    for (size_t p = 0; p < k; p += 2) {
        __m512bh left = (__m512bh)_mm512_load_si512(b);
        __m512bh right = (__m512bh)_mm512_load_si512(b + 16);
        UNROLL
        for (int i = 0; i < TILE_ROWS; i++) {
            __m512bh factor = (__m512bh)_mm512_set1_epi32(a[i]);
            sum[i][0] = _mm512_dpbf16_ps(sum[i][0], factor, left);
            sum[i][1] = _mm512_dpbf16_ps(sum[i][1], factor, right);
        }
        a += TILE_ROWS;
        b += TILE_COLUMNS;
    }
    UNROLL
    for (int i = 0; i < TILE_ROWS; i++)
        UNROLL
    for (int j = 0; j < TILE_VECTORS; j++) {
        real *to = c + (size_t)i * c_stride + 16 * j;
        _mm512_storeu_ps(to,
                         accumulate ? _mm512_add_ps(sum[i][j], _mm512_loadu_ps(to)) : sum[i][j]);
    }
}

const struct dense_product dense_avx512_bf16 = {
    .name = "avx512_bf16",
    .rows = TILE_ROWS,
    .columns = TILE_COLUMNS,
    .k_unit = 2,
    .element_bytes = sizeof(uint16_t),
    .tile = gemm_tile,
    .pack_a_rows = pack_rows_in_pairs,
    .pack_a_columns = pack_columns_in_pairs,
    .pack_b_rows = pack_rows_in_pairs,
    .pack_b_columns = pack_columns_in_pairs,
};
