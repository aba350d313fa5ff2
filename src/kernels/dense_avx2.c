/* AVX2 with FMA: 12 accumulators of 8 floats. */
#include "kernels/dense.h"

#include <immintrin.h>

enum { TILE_ROWS = 4, TILE_VECTORS = 3, VECTOR_LENGTH = 8 };
#define VECTOR __m256
#define VECTOR_ZERO _mm256_setzero_ps
#define VECTOR_LOAD _mm256_loadu_ps
#define VECTOR_STORE _mm256_storeu_ps
#define VECTOR_BROADCAST _mm256_set1_ps
#define VECTOR_FMA _mm256_fmadd_ps
#define VECTOR_ADD _mm256_add_ps

#include "kernels/dense_simd.inc"

#include "kernels/dense_loops.inc"

const struct dense_kernels dense_avx2 = {
    .name = "avx2",
    .product = DENSE_PRODUCT("avx2", pack_rows, pack_columns),
    .rounded_product =
        DENSE_PRODUCT("avx2, rounded to BF16", pack_rows_rounded, pack_columns_rounded),
    DENSE_LOOPS,
};
