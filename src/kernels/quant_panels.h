/* Products with panels for any instruction set. The file that includes it has the vectors (see
 * quant_vectors.h) and says how codes are multiplied:
 *
 *     SIGNED_CODES(kind)   whether sum_products() wants such codes signed; what unsigned ones have
 *                          in excess is taken off by starting from the activations' sums
 *     MOST_ROWS            rows of a group: its outputs and a block of weights stay in registers
 *     ROWS_TOGETHER        of those, how many sums are under way at once
 *     FEW_ROWS             up to so many rows are multiplied as weights are decoded; for more, a
 *                          chunk of a panel is decoded into scratch, which all groups meet
 *     void sum_products(enum quant_codes kind, const size_t rows, v_sums *sums, const v_codes *w,
 *                       const int8_t *x, const int n)
 *         sums[r] += the products of elements 0..4n-1 (n is 4 or 8) of row r, which is at
 *         x + r * QUANT_BLOCK
 */
#ifndef TANDEM_KERNELS_QUANT_PANELS_H
#define TANDEM_KERNELS_QUANT_PANELS_H

#include "kernels/quant_plain.h"
#include "kernels/quant_vectors.h"

struct span {
    const uint8_t *panel;        /* or, for many rows: */
    const struct spread *spread; /* blocks from `begin` on */
    size_t begin, end;           /* blocks */
    float *y;                    /* of the panel's first output, row 0 */
    size_t outputs;
};

/* `rows` (a constant) rows by n vectors of weights, which have one scale. minus: -sum(x) of these
 * elements, `stride` from row to row. */
INLINE void add_products(const struct panel_format *f, const size_t rows, const v_codes *w,
                         v_float weight_scale, const int n, const int8_t *x, const int32_t *minus,
                         const size_t stride, const float *scale, v_float *y)
{
    v_sums sums[MOST_ROWS];
    UNROLL
    for (size_t r = 0; r < rows; r++)
        sums[r] = SIGNED_CODES(f->codes) || !f->offset_shift
                      ? sums_zero()
                      : sums_shifted(minus + r * stride, f->offset_shift);
    sum_products(f->codes, rows, sums, w, x, n);
    UNROLL
    for (size_t r = 0; r < rows; r++)
        y[r] = v_fma(v_of_sums(sums[r]), v_mul(weight_scale, v_set(scale[r])), y[r]);
}

/* Block `at` of the activations, and the same of the rows after. */
INLINE void multiply_block(const struct panel_format *f, const struct activations *a, size_t at,
                           const size_t rows, const struct vector_block *w, v_float *y)
{
    const int8_t *x = a->codes + at * QUANT_BLOCK;
    const float *scale = a->scale + at;
    if (f->halves) {
        const int32_t *minus = a->minus_half + 2 * at;
        add_products(f, rows, w->codes, w->scale[0], 4, x, minus, 2, scale, y);
        add_products(f, rows, w->codes + 4, w->scale[1], 4, x + 16, minus + 1, 2, scale, y);
        return;
    }
    add_products(f, rows, w->codes, w->scale[0], 8, x, a->minus_sum + at, 1, scale, y);
    if (f->has_min) {
        UNROLL
        for (size_t r = 0; r < rows; r++)
            y[r] = v_fma(w->min, v_set(a->scaled_sum[at + r]), y[r]);
    }
}

/* Outputs from `lane` of the panel on; those that do not exist are neither read nor written. */
INLINE v_float load_outputs(const struct span *span, const float *y, size_t lane)
{
    if (lane + LANES <= span->outputs)
        return v_load(y + lane);
    return v_load_part(y + lane, lane < span->outputs ? span->outputs - lane : 0);
}

INLINE void store_outputs(const struct span *span, float *y, size_t lane, v_float v)
{
    if (lane + LANES <= span->outputs)
        v_store(y + lane, v);
    else
        v_store_part(y + lane, v, lane < span->outputs ? span->outputs - lane : 0);
}

/* Rows from `row`, all in one tile, by parts of the panel from `part` on; how many of both are
 * constants. */
INLINE void multiply_parts(enum tensor_type type, const bool few, const size_t rows,
                           const size_t parts, const struct quant_job *job, const struct span *span,
                           size_t row, size_t part)
{
    const struct panel_format *f = &panel_formats[type];
    const struct activations *a = job->a;
    const size_t together = few && PARTS > 1 ? 1 : ROWS_TOGETHER;
    size_t at = activations_block(a, row, span->begin);
    float *to = span->y + row * job->y_stride;
    v_float y[PARTS][MOST_ROWS];
    UNROLL
    for (size_t p = 0; p < parts; p++) {
        UNROLL
        for (size_t r = 0; r < rows; r++)
            y[p][r] = load_outputs(span, to + r * job->y_stride, (part + p) * LANES);
    }
    for (size_t b = span->begin; b < span->end; b++, at += a->tile_rows) {
        if (few)
            fetch_ahead(f, span->panel, b);
        UNROLL
        for (size_t p = 0; p < parts; p++) {
            struct vector_block w;
            if (few) {
                load_codes_as(f, SIGNED_CODES(f->codes), span->panel + codes_at(f, b), part + p,
                              w.codes);
                load_scales(type, span->panel, b, part + p, &w);
            } else {
                load_spread(span->spread, b - span->begin, part + p, &w);
            }
            UNROLL
            for (size_t r = 0; r < rows; r += together)
                multiply_block(f, a, at + r, rows - r < together ? rows - r : together, &w,
                               y[p] + r);
        }
    }
    UNROLL
    for (size_t p = 0; p < parts; p++) {
        UNROLL
        for (size_t r = 0; r < rows; r++)
            store_outputs(span, to + r * job->y_stride, (part + p) * LANES, y[p][r]);
    }
}

/* A group of up to MOST_ROWS rows. */
INLINE void multiply_group(enum tensor_type type, const bool few, const size_t parts,
                           const struct quant_job *job, const struct span *span, size_t row,
                           size_t rows, size_t part)
{
    switch (rows) {
    case 1:
        return multiply_parts(type, few, 1, parts, job, span, row, part);
    case 2:
        return multiply_parts(type, few, 2, parts, job, span, row, part);
    case 3:
        return multiply_parts(type, few, 3, parts, job, span, row, part);
    case 4:
        return multiply_parts(type, few, 4, parts, job, span, row, part);
#if MOST_ROWS == 8
    case 5:
        return multiply_parts(type, few, 5, parts, job, span, row, part);
    case 6:
        return multiply_parts(type, few, 6, parts, job, span, row, part);
    case 7:
        return multiply_parts(type, few, 7, parts, job, span, row, part);
    case 8:
        return multiply_parts(type, few, 8, parts, job, span, row, part);
#endif
    }
}

/* Rows from `begin` in groups of nearly the same size, none across the border of two tiles. */
INLINE void multiply_groups(enum tensor_type type, const bool few, const struct quant_job *job,
                            const struct span *span, size_t begin)
{
    const size_t parts = few ? PARTS : 1;
    size_t n_rows = job->a->n_rows;
    for (size_t tile = begin; tile < n_rows; tile += TILE_ROWS) {
        size_t in_tile = n_rows - tile < TILE_ROWS ? n_rows - tile : TILE_ROWS;
        size_t groups = (in_tile + MOST_ROWS - 1) / MOST_ROWS;
        for (size_t r = 0, rows; r < in_tile; r += rows, groups--) {
            rows = (in_tile - r + groups - 1) / groups;
            for (size_t part = 0; part < PARTS; part += parts)
                multiply_group(type, few, parts, job, span, tile + r, rows, part);
        }
    }
}

/* Blocks [begin, end) of panel p by rows from `first_row`. */
INLINE void multiply_chunk(enum tensor_type type, const bool few, const struct quant_job *job,
                           size_t p, size_t first_row, size_t begin, size_t end)
{
    const struct panel_format *f = &panel_formats[type];
    const uint8_t *panel = job->data + p * panel_bytes(f, job->a->n_blocks);
    struct span span = {.panel = panel,
                        .spread = job->scratch,
                        .begin = begin,
                        .end = end,
                        .y = job->y + p * PANEL_OUTPUTS,
                        .outputs = panel_outputs(job, p)};
    if (few) {
        multiply_groups(type, true, job, &span, first_row);
        return;
    }
    spread_chunk(type, SIGNED_CODES(f->codes), panel, begin, end - begin, job->scratch);
    multiply_groups(type, false, job, &span, first_row);
}

/* Rows from `first_row`, which is a multiple of TILE_ROWS, with panels of one type. */
INLINE void multiply_panels_of(enum tensor_type type, const struct quant_job *job, size_t first_row)
{
    size_t blocks = job->a->n_blocks, rows = job->a->n_rows - first_row;
    const bool few = rows <= FEW_ROWS;
    size_t band = few ? blocks : band_blocks(rows), chunk = few ? blocks : QUANT_CHUNK;
    for (size_t b = 0; b < blocks; b += band) {
        size_t end = blocks - b < band ? blocks : b + band;
        for (size_t p = first_panel(job); p * PANEL_OUTPUTS < job->end; p++)
            for (size_t first = b; first < end; first += chunk)
                multiply_chunk(type, few, job, p, first_row, first,
                               end - first < chunk ? end : first + chunk);
    }
}

#define PANELS_OF(type)                                                                            \
    static void multiply_##type(const struct quant_job *job, size_t first_row)                     \
    {                                                                                              \
        multiply_panels_of(TYPE_##type, job, first_row);                                           \
    }
FOR_QUANT_TYPES(PANELS_OF)

static void multiply_panels_from(const struct quant_job *job, size_t first_row)
{
#define PANELS_ENTRY(type) [TYPE_##type] = multiply_##type,
    static void (*const by_type[TYPE_COUNT])(const struct quant_job *,
                                             size_t) = {FOR_QUANT_TYPES(PANELS_ENTRY)};
    by_type[job->type](job, first_row);
}

static void multiply_panels(const struct quant_job *job)
{
    multiply_panels_from(job, 0);
}

#endif
