/* Products with panels for any instruction set. The file that includes it has the vectors (see
 * quant_vectors.h) and says how codes are multiplied:
 *
 *     SIGNED_CODES(kind)   whether sum_products() wants such codes signed
 *     v_sums sum_products(enum quant_codes kind, v_sums start, const v_codes *w, const int8_t *x,
 *                         const int n)
 *         start + the products of elements 0..4n-1 (n is 4 or 8)
 *
 * Activations are broadcast. What unsigned codes have in excess is taken off by starting from the
 * activations' sums. */
#ifndef TANDEM_KERNELS_QUANT_PANELS_H
#define TANDEM_KERNELS_QUANT_PANELS_H

#include "kernels/quant_plain.h"
#include "kernels/quant_vectors.h"

/* Up to FEW_ROWS rows are multiplied as the weights are decoded. For more, a chunk of a panel is
 * decoded into scratch, which groups of up to MOST_ROWS meet: as many as leave their outputs and a
 * block of weights in registers. */
enum { FEW_ROWS = 4 };

struct span {
    const uint8_t *codes, *scales; /* of a panel; or, for many rows: */
    const struct spread *spread;   /* blocks from `begin` on */
    size_t begin, end;             /* blocks */
    float *y;                      /* of the panel's first output, row 0 */
    size_t outputs;
};

INLINE v_sums start_sum(const struct panel_format *f, const int32_t *minus)
{
    if (SIGNED_CODES(f->codes) || !f->offset_shift)
        return sums_zero();
    return sums_shifted(minus, f->offset_shift);
}

INLINE v_float add_scaled(v_sums sum, v_float weight_scale, v_float scale, v_float y)
{
    return v_fma(v_of_sums(sum), v_mul(weight_scale, scale), y);
}

INLINE v_float multiply_block(const struct panel_format *f, const struct activations *a, size_t at,
                              const struct vector_block *w, v_float y)
{
    const int8_t *x = a->codes + at * QUANT_BLOCK;
    v_float scale = v_set(a->scale[at]);
    if (f->halves) {
        const int32_t *minus = a->minus_half + 2 * at;
        v_sums low = sum_products(f->codes, start_sum(f, minus), w->codes, x, 4);
        v_sums high = sum_products(f->codes, start_sum(f, minus + 1), w->codes + 4, x + 16, 4);
        return add_scaled(high, w->scale[1], scale, add_scaled(low, w->scale[0], scale, y));
    }
    v_sums sum = sum_products(f->codes, start_sum(f, a->minus_sum + at), w->codes, x, 8);
    y = add_scaled(sum, w->scale[0], scale, y);
    return f->has_min ? v_fma(w->min, v_set(a->scaled_sum[at]), y) : y;
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

/* `rows` and `parts`, constants: rows from `row`, all in one tile or each in its own, by parts of
 * the panel from `part` on. */
INLINE void multiply_parts(enum tensor_type type, const bool few, const size_t rows,
                           const size_t parts, const struct quant_job *job, const struct span *span,
                           size_t row, size_t part)
{
    const struct panel_format *f = &panel_formats[type];
    const struct activations *a = job->a;
    size_t at = activations_block(a, row, span->begin);
    float *to = span->y + row * job->y_stride;
    v_float y[MOST_ROWS][PARTS];
    UNROLL
    for (size_t r = 0; r < rows; r++)
        UNROLL
    for (size_t p = 0; p < parts; p++)
        y[r][p] = load_outputs(span, to + r * job->y_stride, (part + p) * LANES);
    for (size_t b = span->begin; b < span->end; b++, at += a->tile_rows) {
        UNROLL
        for (size_t p = 0; p < parts; p++) {
            struct vector_block w;
            if (few) {
                load_codes_as(f, SIGNED_CODES(f->codes), span->codes + b * f->code_bytes, part + p,
                              w.codes);
                load_scales(type, span->scales, b, part + p, &w);
            } else {
                load_spread(span->spread, b - span->begin, part + p, &w);
            }
            UNROLL
            for (size_t r = 0; r < rows; r++)
                y[r][p] = multiply_block(f, a, at + r, &w, y[r][p]);
        }
    }
    UNROLL
    for (size_t r = 0; r < rows; r++)
        UNROLL
    for (size_t p = 0; p < parts; p++)
        store_outputs(span, to + r * job->y_stride, (part + p) * LANES, y[r][p]);
}

/* All rows, up to FEW_ROWS of them, from `row`. */
INLINE void multiply_few(enum tensor_type type, const struct quant_job *job,
                         const struct span *span, size_t row, size_t rows)
{
    switch (rows) {
    case 1:
        return multiply_parts(type, true, 1, PARTS, job, span, row, 0);
    case 2:
        return multiply_parts(type, true, 2, PARTS, job, span, row, 0);
    case 3:
        return multiply_parts(type, true, 3, PARTS, job, span, row, 0);
    case 4:
        return multiply_parts(type, true, 4, PARTS, job, span, row, 0);
    }
}

/* A group of up to MOST_ROWS rows. */
INLINE void multiply_group(enum tensor_type type, const struct quant_job *job,
                           const struct span *span, size_t row, size_t rows, size_t part)
{
    switch (rows) {
    case 1:
        return multiply_parts(type, false, 1, 1, job, span, row, part);
    case 2:
        return multiply_parts(type, false, 2, 1, job, span, row, part);
    case 3:
        return multiply_parts(type, false, 3, 1, job, span, row, part);
    case 4:
        return multiply_parts(type, false, 4, 1, job, span, row, part);
#if MOST_ROWS == 8
    case 5:
        return multiply_parts(type, false, 5, 1, job, span, row, part);
    case 6:
        return multiply_parts(type, false, 6, 1, job, span, row, part);
    case 7:
        return multiply_parts(type, false, 7, 1, job, span, row, part);
    case 8:
        return multiply_parts(type, false, 8, 1, job, span, row, part);
#endif
    }
}

/* Rows from `begin` in groups of nearly the same size, none across the border of two tiles. */
INLINE void multiply_groups(enum tensor_type type, const struct quant_job *job,
                            const struct span *span, size_t begin)
{
    size_t n_rows = job->a->n_rows;
    for (size_t tile = begin; tile < n_rows; tile += TILE_ROWS) {
        size_t in_tile = n_rows - tile < TILE_ROWS ? n_rows - tile : TILE_ROWS;
        size_t groups = (in_tile + MOST_ROWS - 1) / MOST_ROWS;
        for (size_t r = 0, rows; r < in_tile; r += rows, groups--) {
            rows = (in_tile - r + groups - 1) / groups;
            for (size_t part = 0; part < PARTS; part++)
                multiply_group(type, job, span, tile + r, rows, part);
        }
    }
}

/* Rows from `first_row`, which is a multiple of TILE_ROWS, with panels of one type. */
INLINE void multiply_panels_of(enum tensor_type type, const struct quant_job *job, size_t first_row)
{
    const struct panel_format *f = &panel_formats[type];
    size_t blocks = job->a->n_blocks, rows = job->a->n_rows - first_row;
    size_t chunk = rows > FEW_ROWS ? QUANT_CHUNK : blocks;
    for (size_t b = 0; b < blocks; b += chunk) {
        size_t end = blocks - b < chunk ? blocks : b + chunk;
        for (size_t p = first_panel(job); p * PANEL_OUTPUTS < job->end; p++) {
            const uint8_t *panel = job->data + p * panel_bytes(f, blocks);
            struct span span = {.codes = panel,
                                .scales = panel + panel_scales_at(f, blocks),
                                .spread = job->scratch,
                                .begin = b,
                                .end = end,
                                .y = job->y + p * PANEL_OUTPUTS,
                                .outputs = panel_outputs(job, p)};
            if (rows <= FEW_ROWS) {
                multiply_few(type, job, &span, first_row, rows);
            } else {
                spread_chunk(type, SIGNED_CODES(f->codes), panel, span.scales, b, end - b,
                             job->scratch);
                multiply_groups(type, job, &span, first_row);
            }
        }
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
