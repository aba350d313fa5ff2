/* AVX-512 VNNI: unsigned codes of weights by signed activations, which are broadcast; what the
 * codes have in excess is taken off by starting from the activations' sums. */
#include "kernels/quant_plain.h"
#include "kernels/quant_tables.h"
#include "kernels/quant_vectors.h"

enum { MOST_ROWS = 8 }; /* at a time: 8 sums, 8 outputs and 8 vectors of weights in registers */

struct span {
    const uint8_t *codes, *scales; /* of a panel */
    size_t begin, end;             /* blocks */
    float *y;                      /* of the panel's first output, row 0 */
    __mmask16 mask;
};

/* minus * 2^shift: where the sum of an offset format starts. */
INLINE __m512i start_sum(size_t shift, const int32_t *minus)
{
    if (!shift)
        return _mm512_setzero_si512();
    return _mm512_slli_epi32(_mm512_set1_epi32(*minus), (unsigned)shift);
}

/* start + codes [first, first + 4 * n) of a block by x. Two chains, since each waits for itself. */
INLINE __m512i sum_vectors(__m512i start, const __m512i *w, const int8_t *x, const int n)
{
    __m512i even = start, odd = _mm512_setzero_si512();
    UNROLL
    for (int g = 0; g < n; g++) {
        int32_t four;
        memcpy(&four, x + 4 * g, sizeof four);
        __m512i all = _mm512_set1_epi32(four);
        if (g % 2)
            odd = _mm512_dpbusd_epi32(odd, w[g], all);
        else
            even = _mm512_dpbusd_epi32(even, w[g], all);
    }
    return _mm512_add_epi32(even, odd);
}

INLINE __m512 add_scaled(__m512i sum, __m512 weight_scale, float scale, __m512 y)
{
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum),
                           _mm512_mul_ps(weight_scale, _mm512_set1_ps(scale)), y);
}

INLINE __m512 multiply_block(enum tensor_type type, const struct activations *a, size_t at,
                             const __m512i w[8], const struct vector_scales *s, __m512 y)
{
    const struct panel_format *f = &panel_formats[type];
    const int8_t *x = a->codes + at * QUANT_BLOCK;
    float scale = a->scale[at];
    if (f->halves) {
        int32_t minus_rest = a->minus_sum[at] - a->minus_half[at];
        __m512i low = sum_vectors(start_sum(f->offset_shift, a->minus_half + at), w, x, 4);
        __m512i high = sum_vectors(start_sum(f->offset_shift, &minus_rest), w + 4, x + 16, 4);
        return add_scaled(high, s->scale[1], scale, add_scaled(low, s->scale[0], scale, y));
    }
    __m512i sum = sum_vectors(start_sum(f->offset_shift, a->minus_sum + at), w, x, 8);
    y = add_scaled(sum, s->scale[0], scale, y);
    return f->has_min ? _mm512_fmadd_ps(s->min, _mm512_set1_ps(a->scaled_sum[at]), y) : y;
}

/* `rows` (a constant) rows from `row`, all in one tile or each in its own. */
INLINE void multiply_span(enum tensor_type type, const size_t rows, const struct quant_job *job,
                          const struct span *span, size_t row)
{
    const struct panel_format *f = &panel_formats[type];
    const struct activations *a = job->a;
    size_t at = activations_block(a, row, span->begin);
    float *to = span->y + row * job->y_stride;
    __m512 y[MOST_ROWS];
    UNROLL
    for (size_t r = 0; r < rows; r++)
        y[r] = _mm512_maskz_loadu_ps(span->mask, to + r * job->y_stride);
    for (size_t b = span->begin; b < span->end; b++, at += a->tile_rows) {
        __m512i w[8];
        load_codes(f->codes, span->codes + b * f->code_bytes, w);
        if (f->codes == CODES_8_BITS) {
            UNROLL
            for (int g = 0; g < 8; g++)
                w[g] = _mm512_xor_si512(w[g], _mm512_set1_epi8(-128));
        }
        struct vector_scales s = load_scales(type, span->scales, b);
        UNROLL
        for (size_t r = 0; r < rows; r++)
            y[r] = multiply_block(type, a, at + r, w, &s, y[r]);
    }
    UNROLL
    for (size_t r = 0; r < rows; r++)
        _mm512_mask_storeu_ps(to + r * job->y_stride, span->mask, y[r]);
}

typedef void multiply_fixed(const struct quant_job *job, const struct span *span, size_t row);

#define ROWS_OF(type, rows)                                                                        \
    static void multiply_##type##_##rows(const struct quant_job *job, const struct span *span,     \
                                         size_t row)                                               \
    {                                                                                              \
        multiply_span(TYPE_##type, rows, job, span, row);                                          \
    }
#define ALL_ROWS_OF(type)                                                                          \
    ROWS_OF(type, 1)                                                                               \
    ROWS_OF(type, 2)                                                                               \
    ROWS_OF(type, 3)                                                                               \
    ROWS_OF(type, 4)                                                                               \
    ROWS_OF(type, 5) ROWS_OF(type, 6) ROWS_OF(type, 7) ROWS_OF(type, 8)
#define TABLE_OF(type)                                                                             \
    [TYPE_##type] = {multiply_##type##_1, multiply_##type##_2, multiply_##type##_3,                \
                     multiply_##type##_4, multiply_##type##_5, multiply_##type##_6,                \
                     multiply_##type##_7, multiply_##type##_8}
ALL_ROWS_OF(Q4_0)
ALL_ROWS_OF(Q4_1)
ALL_ROWS_OF(Q5_0)
ALL_ROWS_OF(Q5_1)
ALL_ROWS_OF(Q8_0)
ALL_ROWS_OF(Q4_K)
ALL_ROWS_OF(Q5_K)
ALL_ROWS_OF(Q6_K)
static multiply_fixed *const multiply_by_rows[TYPE_COUNT][MOST_ROWS] = {
    TABLE_OF(Q4_0), TABLE_OF(Q4_1), TABLE_OF(Q5_0), TABLE_OF(Q5_1),
    TABLE_OF(Q8_0), TABLE_OF(Q4_K), TABLE_OF(Q5_K), TABLE_OF(Q6_K),
};

/* Rows in groups of nearly the same size, none across the border of two tiles. */
static void multiply_all_rows(const struct quant_job *job, const struct span *span, size_t begin)
{
    size_t n_rows = job->a->n_rows;
    for (size_t tile = begin; tile < n_rows; tile += TILE_ROWS) {
        size_t in_tile = n_rows - tile < TILE_ROWS ? n_rows - tile : TILE_ROWS;
        size_t groups = (in_tile + MOST_ROWS - 1) / MOST_ROWS;
        for (size_t r = 0, rows; r < in_tile; r += rows, groups--) {
            rows = (in_tile - r + groups - 1) / groups;
            multiply_by_rows[job->type][rows - 1](job, span, tile + r);
        }
    }
}

void quant_vnni_rows_from(const struct quant_job *job, size_t first_row)
{
    const struct panel_format *f = &panel_formats[job->type];
    const struct activations *a = job->a;
    size_t chunk = a->n_rows - first_row > MOST_ROWS ? QUANT_CHUNK : a->n_blocks;
    size_t bytes = panel_bytes(f, a->n_blocks), scales_at = panel_scales_at(f, a->n_blocks);
    for (size_t b = 0; b < a->n_blocks; b += chunk) {
        for (size_t p = first_panel(job); p * PANEL_OUTPUTS < job->end; p++) {
            struct span span = {.codes = job->data + p * bytes,
                                .scales = job->data + p * bytes + scales_at,
                                .begin = b,
                                .end = a->n_blocks - b < chunk ? a->n_blocks : b + chunk,
                                .y = job->y + p * PANEL_OUTPUTS,
                                .mask = panel_mask(job, p)};
            multiply_all_rows(job, &span, first_row);
        }
    }
}

static void multiply_panels(const struct quant_job *job)
{
    quant_vnni_rows_from(job, 0);
}

const struct quant_kernels quant_vnni = {
    .quantize = quantize_rows, .rows = multiply_rows, .panels = multiply_panels};
