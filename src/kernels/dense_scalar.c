/* The plain C table: the oracle of the others, and the one that is compiled in double too. */
#include "kernels/dense.h"

enum { TILE_ROWS = 4, TILE_COLUMNS = 8 };

static void gemm_tile(const void *a_panel, const void *b_panel, size_t k, real *c, size_t c_stride,
                      bool accumulate)
{
    const real *a = a_panel, *b = b_panel;
    real sum[TILE_ROWS][TILE_COLUMNS] = {0};
    for (size_t p = 0; p < k; p++)
        for (size_t i = 0; i < TILE_ROWS; i++)
            for (size_t j = 0; j < TILE_COLUMNS; j++)
                sum[i][j] += a[p * TILE_ROWS + i] * b[p * TILE_COLUMNS + j];
    for (size_t i = 0; i < TILE_ROWS; i++)
        for (size_t j = 0; j < TILE_COLUMNS; j++)
            c[i * c_stride + j] = sum[i][j] + (accumulate ? c[i * c_stride + j] : 0);
}

static void pack_four(const real *src, size_t stride, size_t k, real *dst, size_t width)
{
    for (size_t p = 0; p < k; p++)
        for (size_t i = 0; i < 4; i++)
            dst[p * width + i] = src[i * stride + p];
}

#include "kernels/dense_loops.inc"

const struct dense_kernels dense_scalar = {
    .name = "scalar",
    .product = DENSE_PRODUCT("scalar", pack_rows, pack_columns),
    .rounded_product =
        DENSE_PRODUCT("scalar, rounded to BF16", pack_rows_rounded, pack_columns_rounded),
    DENSE_LOOPS,
};
