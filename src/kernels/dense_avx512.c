/* AVX-512: 24 accumulators of 16 floats. */
#include "kernels/dense.h"

#include <immintrin.h>

enum { TILE_ROWS = 12, TILE_VECTORS = 2, VECTOR_LENGTH = 16 };
#define VECTOR __m512
#define VECTOR_ZERO _mm512_setzero_ps
#define VECTOR_LOAD _mm512_loadu_ps
#define VECTOR_STORE _mm512_storeu_ps
#define VECTOR_BROADCAST _mm512_set1_ps
#define VECTOR_FMA _mm512_fmadd_ps
#define VECTOR_ADD _mm512_add_ps

#include "kernels/dense_simd.inc"

#include "kernels/dense_loops.inc"

const struct dense_kernels dense_avx512 = {
    .name = "avx512",
    .product = DENSE_PRODUCT("avx512", pack_rows, pack_columns),
    .rounded_product =
        DENSE_PRODUCT("avx512, rounded to BF16", pack_rows_rounded, pack_columns_rounded),
    DENSE_LOOPS,
};
