/* Attention's matrix products by AMX, which multiplies BF16 and adds F32. A number is the sum of
 * two BF16, high and low, of which it keeps 17 bits and an F16 all of its own; products of two low
 * parts, 2^-18 of the whole, are left out. So a product takes three of the tiles' and is still
 * several times as fast as one in floats. Against the rounding of keys and values in F16 that is
 * nothing; a cache in F32 stays with floats.
 *
 * Prepared queries are rows of high parts, then of low ones. Prepared keys and values are pairs, of
 * dimensions and of positions, as the tiles want the right side of a product:
 *   keys    high parts [width / 2, KEY_PAGE] pairs, then low parts
 *   values  high parts [KEY_PAGE / 2, width] pairs, then low parts
 */
#include "kernels/amx_tiles.h"
#include "kernels/attention.h"
#include "kernels/block_layout.h"
#include "kernels/vector_macros.h"

#include <immintrin.h>
#include <string.h>

enum { LANES = 16, PAIR_BYTES = 4, TILE_DEPTH = 32 /* elements of a sum */ };

static void configure_tiles(void)
{
    _tile_loadconfig(&amx_full_tiles);
}

static void release_tiles(void)
{
    _tile_release();
}

/* --- Preparation --- */

/* The parts of 16 numbers, in the upper halves of the lanes; the lower ones are to be ignored. */
struct parts {
    __m512i high, low;
};

INLINE struct parts split(__m512 v)
{
    const __m512i half = _mm512_set1_epi32(0x8000), upper = _mm512_set1_epi32(-0x10000);
    struct parts p = {.high = _mm512_add_epi32(_mm512_castps_si512(v), half)};
    __m512 rest = _mm512_sub_ps(v, _mm512_castsi512_ps(_mm512_and_si512(p.high, upper)));
    p.low = _mm512_add_epi32(_mm512_castps_si512(rest), half);
    return p;
}

/* The upper halves of a, then of b. */
INLINE __m512i join(__m512i a, __m512i b)
{
    static const _Alignas(64)
        uint16_t odd[32] = {1,  3,  5,  7,  9,  11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31,
                            33, 35, 37, 39, 41, 43, 45, 47, 49, 51, 53, 55, 57, 59, 61, 63};
    return _mm512_permutex2var_epi16(a, _mm512_load_si512(odd), b);
}

/* Pairs of the upper halves: those of a come first. */
INLINE __m512i pair(__m512i a, __m512i b)
{
    return _mm512_mask_blend_epi16(0xAAAAAAAA, _mm512_srli_epi32(a, 16), b);
}

/* 32 numbers of a row into its high and low parts. */
INLINE void split_row(__m512 first, __m512 second, uint8_t *high, uint8_t *low)
{
    struct parts a = split(first), b = split(second);
    _mm512_storeu_si512(high, join(a.high, b.high));
    _mm512_storeu_si512(low, join(a.low, b.low));
}

/* Lanes of two rows into pairs. */
INLINE void split_pairs(__m512 first, __m512 second, uint8_t *high, uint8_t *low)
{
    struct parts a = split(first), b = split(second);
    _mm512_storeu_si512(high, pair(a.high, b.high));
    _mm512_storeu_si512(low, pair(a.low, b.low));
}

INLINE __mmask16 first_lanes(size_t n)
{
    return (__mmask16)(n >= LANES ? 0xFFFF : (1u << n) - 1);
}

static void prepare_query(const float *q, float scale, size_t head_dim, void *prepared)
{
    size_t width = attention_width(head_dim);
    uint8_t *high = prepared, *low = high + 2 * width;
    const __m512 factor = _mm512_set1_ps(scale * LOG2_E);
    for (size_t d = 0; d < width; d += TILE_DEPTH) {
        size_t left = head_dim - d;
        __m512 a = _mm512_maskz_loadu_ps(first_lanes(left), q + d);
        __m512 b =
            _mm512_maskz_loadu_ps(first_lanes(left > LANES ? left - LANES : 0), q + d + LANES);
        split_row(_mm512_mul_ps(a, factor), _mm512_mul_ps(b, factor), high + 2 * d, low + 2 * d);
    }
}

/* The first n of 16 elements of F16, and zeros. */
INLINE __m512 load_halves(const uint8_t *p, size_t n)
{
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first_lanes(n), p));
}

INLINE __m512 load_codes(const uint8_t *p, __m512 scale)
{
    __m512i codes = _mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)p));
    return _mm512_mul_ps(_mm512_cvtepi32_ps(codes), scale);
}

/* Dimension d of keys i and following ones. */
INLINE __m512 load_keys(enum tensor_type type, const uint8_t *page, size_t d, size_t i)
{
    if (type == TYPE_F16)
        return load_halves(page + (d * KEY_PAGE + i) * 2, LANES);
    const uint8_t *codes = page + d / BLOCK * Q8_0_BYTES * KEY_PAGE;
    const uint8_t *scales = codes + BLOCK * KEY_PAGE;
    return load_codes(codes + d % BLOCK * KEY_PAGE + i,
                      _mm512_cvtph_ps(_mm256_loadu_si256((const void *)(scales + 2 * i))));
}

/* Dimensions d and following ones of a value; zeros behind head_dim. */
INLINE __m512 load_value(enum tensor_type type, const uint8_t *row, size_t d, size_t head_dim)
{
    if (type == TYPE_F16)
        return load_halves(row + d * 2, head_dim - d);
    const uint8_t *block = row + d / BLOCK * Q8_0_BYTES;
    uint16_t scale;
    memcpy(&scale, block, sizeof scale);
    return load_codes(block + Q8_0_QS + d % BLOCK,
                      _mm512_cvtph_ps(_mm256_set1_epi16((short)scale)));
}

INLINE void split_keys(enum tensor_type type, const uint8_t *page, size_t head_dim,
                       uint8_t *prepared)
{
    size_t width = attention_width(head_dim), low = width / 2 * KEY_PAGE * PAIR_BYTES;
    for (size_t d = 0; d < width; d += 2)
        for (size_t i = 0; i < KEY_PAGE; i += LANES, prepared += LANES * PAIR_BYTES) {
            __m512 zero = _mm512_setzero_ps();
            split_pairs(d < head_dim ? load_keys(type, page, d, i) : zero,
                        d + 1 < head_dim ? load_keys(type, page, d + 1, i) : zero, prepared,
                        prepared + low);
        }
}

static void prepare_keys(enum tensor_type type, const void *stored, size_t head_dim, void *prepared)
{
    if (type == TYPE_F16)
        split_keys(TYPE_F16, stored, head_dim, prepared);
    else
        split_keys(TYPE_Q8_0, stored, head_dim, prepared);
}

INLINE void split_values(enum tensor_type type, const uint8_t *rows, size_t row_bytes,
                         size_t n_keys, size_t head_dim, uint8_t *prepared)
{
    size_t width = attention_width(head_dim), low = KEY_PAGE / 2 * width * PAIR_BYTES;
    for (size_t i = 0; i < KEY_PAGE; i += 2, rows += 2 * row_bytes)
        for (size_t d = 0; d < width; d += LANES, prepared += LANES * PAIR_BYTES) {
            __m512 zero = _mm512_setzero_ps();
            bool any = d < head_dim;
            split_pairs(any && i < n_keys ? load_value(type, rows, d, head_dim) : zero,
                        any && i + 1 < n_keys ? load_value(type, rows + row_bytes, d, head_dim)
                                              : zero,
                        prepared, prepared + low);
        }
}

static void prepare_values(enum tensor_type type, const void *stored, size_t n_keys,
                           size_t head_dim, void *prepared)
{
    const struct tensor_type_info *info = tensor_type_info(type);
    size_t row_bytes = head_dim / info->block_length * info->block_bytes;
    if (type == TYPE_F16)
        split_values(TYPE_F16, stored, row_bytes, n_keys, head_dim, prepared);
    else
        split_values(TYPE_Q8_0, stored, row_bytes, n_keys, head_dim, prepared);
}

/* --- Products --- */

/* The left side: rows of high parts, `low` bytes further those of low ones. The right side: pairs.
 */
struct product {
    const uint8_t *left, *right;
    size_t left_stride, left_low, right_stride, right_low; /* bytes */
    size_t depth;
    float *out;
    size_t out_stride; /* bytes */
};

/* Tiles 0 to 3: sums; 4 and 5: of the left side; 6 and 7: of the right. */
INLINE void multiply_parts(const bool two, const uint8_t *left, const uint8_t *right,
                           const struct product *p, const bool new_left, const bool new_right)
{
    if (new_left) {
        _tile_loadd(4, left, p->left_stride);
        if (two)
            _tile_loadd(5, left + 16 * p->left_stride, p->left_stride);
    }
    if (new_right) {
        _tile_loadd(6, right, p->right_stride);
        _tile_loadd(7, right + 64, p->right_stride);
    }
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    if (two) {
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
}

/* out (+)= left * right for 16 rows, or 32 where `two`, by 32 columns from `column` on. */
INLINE void multiply_tiles(const bool two, const bool adds, const struct product *p, size_t row,
                           size_t column)
{
    uint8_t *out = (uint8_t *)p->out + row * p->out_stride + column * sizeof(float);
    uint8_t *below = out + 16 * p->out_stride;
    if (adds) {
        _tile_loadd(0, out, p->out_stride);
        _tile_loadd(1, out + 64, p->out_stride);
    } else {
        _tile_zero(0);
        _tile_zero(1);
    }
    if (two && adds) {
        _tile_loadd(2, below, p->out_stride);
        _tile_loadd(3, below + 64, p->out_stride);
    } else if (two) {
        _tile_zero(2);
        _tile_zero(3);
    }
    for (size_t k = 0; k < p->depth; k += TILE_DEPTH) {
        const uint8_t *left = p->left + row * p->left_stride + 2 * k;
        const uint8_t *right = p->right + k / 2 * p->right_stride + column * PAIR_BYTES;
        multiply_parts(two, left + p->left_low, right, p, true, true);
        multiply_parts(two, left, right, p, true, false);
        multiply_parts(two, left, right + p->right_low, p, false, true);
    }
    _tile_stored(0, out, p->out_stride);
    _tile_stored(1, out + 64, p->out_stride);
    if (two) {
        _tile_stored(2, below, p->out_stride);
        _tile_stored(3, below + 64, p->out_stride);
    }
}

static void scores(const void *queries, size_t n, const void *keys, size_t width, float *to)
{
    const struct product p = {.left = queries,
                              .left_stride = 4 * width,
                              .left_low = 2 * width,
                              .right = keys,
                              .right_stride = KEY_PAGE * PAIR_BYTES,
                              .right_low = width / 2 * KEY_PAGE * PAIR_BYTES,
                              .depth = width,
                              .out = to,
                              .out_stride = KEY_PAGE * sizeof *to};
    size_t row = 0;
    for (; row + 16 < n; row += 32)
        for (size_t i = 0; i < KEY_PAGE; i += 32)
            multiply_tiles(true, false, &p, row, i);
    for (size_t i = 0; row < n && i < KEY_PAGE; i += 32)
        multiply_tiles(false, false, &p, row, i);
}

/* Rows of weights, 32 of them or 16. */
INLINE void split_weights(const float *weights, size_t rows, uint8_t parts[32][4 * KEY_PAGE])
{
    for (size_t r = 0; r < rows; r++, weights += KEY_PAGE)
        for (size_t i = 0; i < KEY_PAGE; i += TILE_DEPTH)
            split_row(_mm512_loadu_ps(weights + i), _mm512_loadu_ps(weights + i + LANES),
                      parts[r] + 2 * i, parts[r] + 2 * KEY_PAGE + 2 * i);
}

static void mix(const float *weights, size_t n, const void *values, size_t width, float *out)
{
    _Alignas(64) uint8_t parts[32][4 * KEY_PAGE];
    struct product p = {.left = parts[0],
                        .left_stride = sizeof parts[0],
                        .left_low = 2 * KEY_PAGE,
                        .right = values,
                        .right_stride = width * PAIR_BYTES,
                        .right_low = KEY_PAGE / 2 * width * PAIR_BYTES,
                        .depth = KEY_PAGE,
                        .out = out,
                        .out_stride = width * sizeof *out};
    size_t row = 0;
    for (; row + 16 < n; row += 32, p.out += 32 * width) {
        split_weights(weights + row * KEY_PAGE, 32, parts);
        for (size_t d = 0; d < width; d += 32)
            multiply_tiles(true, true, &p, 0, d);
    }
    if (row < n)
        split_weights(weights + row * KEY_PAGE, 16, parts);
    for (size_t d = 0; row < n && d < width; d += 32)
        multiply_tiles(false, true, &p, 0, d);
}

void attention_use_amx(struct attention_kernels *kernels)
{
    kernels->begin = configure_tiles;
    kernels->end = release_tiles;
    kernels->prepare_query = prepare_query;
    kernels->prepare_keys = prepare_keys;
    kernels->prepare_values = prepare_values;
    kernels->scores = scores;
    kernels->mix = mix;
    kernels->scores_stored = NULL;
    kernels->mix_stored = NULL;
}
