/* Products in BF16 with AMX: 2 x 2 tiles of 16 x 16 floats. Panels of B hold pairs; those of A
 * hold, for every 32 elements, the 32 rows one after the other. */
#include "kernels/amx_tiles.h"
#include "kernels/dense.h"

#include "kernels/dense_bf16.inc"

enum { TILE_ROWS = 32, TILE_COLUMNS = 32, TILE_BYTES = 16 * 64, FETCHED_ROWS = 4 };

/* Tiles 0 to 3: sums. 4 and 5: of A. 6 and 7: of B. All are full. */
static void configure_tiles(void)
{
    _tile_loadconfig(&amx_full_tiles);
}

static void release_tiles(void)
{
    _tile_release();
}

/* C is rarely in a cache, and the next tile is mostly the one below: its rows are fetched while
 * this one is computed, a few with every step, so that loads of the panels do not wait. */
INLINE void fetch_rows(const real *c, size_t c_stride)
{
    UNROLL
    for (size_t i = 0; i < FETCHED_ROWS; i++) {
        _mm_prefetch((const char *)(c + i * c_stride), _MM_HINT_T0);
        _mm_prefetch((const char *)(c + i * c_stride + 16), _MM_HINT_T0);
    }
}

static void gemm_tile(const void *a_panel, const void *b_panel, size_t k, real *c, size_t c_stride,
                      bool accumulate)
{
    const unsigned char *a = a_panel, *b = b_panel;
    real *below = c + 16 * c_stride;
    size_t row_bytes = c_stride * sizeof *c;
    if (accumulate) {
        _tile_loadd(0, c, row_bytes);
        _tile_loadd(1, c + 16, row_bytes);
        _tile_loadd(2, below, row_bytes);
        _tile_loadd(3, below + 16, row_bytes);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    for (size_t p = 0, row = TILE_ROWS; p < k; p += K_GROUP, row += FETCHED_ROWS) {
        if (row < 2 * TILE_ROWS)
            fetch_rows(c + row * c_stride, c_stride);
        _tile_loadd(4, a, 64);
        _tile_loadd(6, b, 128);
        _tile_loadd(7, b + 64, 128);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(5, a + TILE_BYTES, 64);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
        a += 2 * TILE_BYTES;
        b += 2 * TILE_BYTES;
    }
    _tile_stored(0, c, row_bytes);
    _tile_stored(1, c + 16, row_bytes);
    _tile_stored(2, below, row_bytes);
    _tile_stored(3, below + 16, row_bytes);
}

static void pack_a_rows(const real *src, size_t stride, size_t n, size_t k, void *panel,
                        size_t width)
{
    for (size_t i = 0; i < width; i++)
        for (size_t p = 0; p < k; p += K_GROUP) {
            uint16_t *dst = (uint16_t *)panel + p * width + i * K_GROUP;
            _mm512_store_si512(dst, i < n ? round_row(src + i * stride + p, k - p)
                                          : _mm512_setzero_si512());
        }
}

/* 32 elements of 16 lanes; `left` of the 32 exist. */
INLINE void pack_group_of_a(const real *src, size_t stride, __mmask16 lanes, size_t left,
                            uint16_t *dst)
{
    __m512i r[GROUP];
    UNROLL
    for (size_t i = 0; i < GROUP; i++)
        r[i] = 2 * i < left ? load_pairs(src, stride, lanes, 2 * i, left) : _mm512_setzero_si512();
    transpose_pairs(r);
    UNROLL
    for (size_t i = 0; i < GROUP; i++)
        _mm512_store_si512(dst + i * K_GROUP, r[i]);
}

static void pack_a_columns(const real *src, size_t stride, size_t n, size_t k, void *panel,
                           size_t width)
{
    for (size_t p = 0; p < k; p += K_GROUP)
        for (size_t i = 0; i < width; i += GROUP)
            pack_group_of_a(src + p * stride + i, stride, i < n ? first_lanes(n - i) : 0, k - p,
                            (uint16_t *)panel + p * width + i * K_GROUP);
}

/* Pairs up to the end of the last 32 elements. */
static void clear_rest(size_t k, void *panel, size_t width)
{
    uint16_t *dst = panel;
    for (size_t p = (k + 1) / 2; p % (K_GROUP / 2); p++)
        for (size_t i = 0; i < width * 2; i++)
            dst[p * width * 2 + i] = 0;
}

static void pack_b_rows(const real *src, size_t stride, size_t n, size_t k, void *panel,
                        size_t width)
{
    pack_rows_in_pairs(src, stride, n, k, panel, width);
    clear_rest(k, panel, width);
}

static void pack_b_columns(const real *src, size_t stride, size_t n, size_t k, void *panel,
                           size_t width)
{
    pack_columns_in_pairs(src, stride, n, k, panel, width);
    clear_rest(k, panel, width);
}

const struct dense_product dense_amx_bf16 = {
    .name = "amx_bf16",
    .rows = TILE_ROWS,
    .columns = TILE_COLUMNS,
    .k_unit = K_GROUP,
    .element_bytes = sizeof(uint16_t),
    .tile = gemm_tile,
    .pack_a_rows = pack_a_rows,
    .pack_a_columns = pack_a_columns,
    .pack_b_rows = pack_b_rows,
    .pack_b_columns = pack_b_columns,
    .begin = configure_tiles,
    .end = release_tiles,
};
