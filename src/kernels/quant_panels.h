/* Products with panels for any instruction set. The file that includes it has the vectors (see
 * quant_vectors.h) and says how codes are multiplied:
 *
 *     SIGNED_CODES(kind)   whether sum_products() wants such codes signed; what unsigned ones have
 *                          in excess is taken off by starting from the activations' sums
 *     FEW_ROWS             up to so many rows are multiplied as weights are decoded; for more, a
 *                          chunk of SPREAD_PANELS panels is decoded into scratch (but not codes of
 *                          8 bits), which all rows meet
 *     PAIR_ROWS            up to so many rows meet two panels side by side
 *     MOST_ROWS            rows of a group: its outputs and a block of weights stay in registers
 *     ROWS_TOGETHER        of those, how many sums are under way at once
 *     SPREAD_ROWS          rows of a group that meets decoded panels, ABREAST vectors of them at
 *                          once; at most MOST_ROWS
 *     void sum_products(enum quant_codes kind, const size_t rows, v_sums *sums, const v_codes *w,
 *                       const int8_t *x, const int n)
 *         sums[r] += the products of elements 0..4n-1 (n is 1, 4 or 8) of row r, which is at
 *         x + r * QUANT_BLOCK, with w[0..n-1]; n is 1 only where ABREAST is not
 *     void sum_halves(enum quant_codes kind, const uint8_t *codes, const int8_t *x, v_sums *sums)
 *         where SUMS_HALVES is defined, for one row: sums[0] and sums[1] += the products of a block
 *         of stored codes, made unsigned, in any division, but the first and the second 16 elements
 *         apart in formats that have halves
 */
#ifndef TANDEM_KERNELS_QUANT_PANELS_H
#define TANDEM_KERNELS_QUANT_PANELS_H

#include "base/size.h"
#include "kernels/quant_plain.h"
#include "kernels/quant_vectors.h"

/* Two panels abreast need the activations half as often, and memory delivers two streams faster
 * than one; best two that run on from panel to panel. */
enum { PANELS_ABREAST = PAIR_ROWS ? 2 : 1 };
_Static_assert(PANELS_ABREAST == 1 || (PARTS == 1 && ABREAST >= PANELS_ABREAST),
               "sums of panels abreast have room");

/* A chunk, its weights and its outputs. */
struct span {
    struct chunk chunk, next;    /* and what follows it */
    const uint8_t *panel;        /* or, for many rows: */
    const struct spread *spread; /* from the chunk's first block on */
    const uint8_t *after;        /* the panel, what is asked for towards its end */
    size_t bytes;                /* of a panel */
    size_t apart;                /* outputs from it to the panel abreast; 0: there is none */
    size_t y_apart;              /* and the same in y */
    float *y;                    /* of the first output, row 0 */
    const float *bias;           /* of the first output, or NULL */
    size_t n_outputs;            /* from the first on */
};

/* Elements 4g..4g+3, as products want them. */
INLINE v_codes vector_of(const struct panel_format *f, const struct vector_block *w, const int g)
{
    if (w->spread)
        return codes_load(w->codes + 64 * g);
    return load_codes_as(f, SIGNED_CODES(f->codes), w->codes, w->part, g);
}

/* n vectors of weights, from vector `first` of a block on, which have one scale, by `rows` (a
 * constant, as are n, first and vectors) rows of block `at` of the activations. */
INLINE void sum_block(const struct panel_format *f, const size_t rows, const size_t vectors,
                      const struct vector_block *w, const int first, const int n,
                      const struct activations *a, size_t at, v_sums sums[ABREAST][MOST_ROWS])
{
    const int8_t *x = a->codes + at * QUANT_BLOCK + 4 * first;
    const int32_t *minus = n == 8 ? a->minus_sum + at : a->minus_half + 2 * at + first / 4;
    const size_t stride = n == 8 ? 1 : 2;
    const int slice = vectors > 1 ? 1 : n; /* each four of x are loaded once for all vectors */
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        sums[0][r] = SIGNED_CODES(f->codes) || !f->offset_shift
                         ? sums_zero()
                         : sums_shifted(minus + r * stride, f->offset_shift);
        UNROLL
        for (size_t v = 1; v < vectors; v++)
            sums[v][r] = sums[0][r];
    }
    UNROLL
    for (int g = 0; g < n; g += slice) {
        UNROLL
        for (size_t v = 0; v < vectors; v++) {
            v_codes codes[8];
            UNROLL
            for (int i = 0; i < slice; i++)
                codes[i] = vector_of(f, &w[v], first + g + i);
            sum_products(f->codes, rows, sums[v], codes, x + 4 * g, slice);
        }
    }
}

/* Both halves of a block: y as below. */
INLINE void multiply_halves(const struct panel_format *f, const struct activations *a, size_t at,
                            const size_t rows, const size_t vectors, const struct vector_block *w,
                            v_float *y)
{
    v_sums sums[ABREAST][MOST_ROWS];
    v_float product[ABREAST][MOST_ROWS];
    sum_block(f, rows, vectors, w, 0, 4, a, at, sums);
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t v = 0; v < vectors; v++)
            product[v][r] = v_mul(v_of_sums(sums[v][r]), w[v].scale[0]);
    }
    sum_block(f, rows, vectors, w, 4, 4, a, at, sums);
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t v = 0; v < vectors; v++)
            y[v * MOST_ROWS + r] = v_fma(v_fma(v_of_sums(sums[v][r]), w[v].scale[1], product[v][r]),
                                         v_set(a->scale[at + r]), y[v * MOST_ROWS + r]);
    }
}

/* Block `at` of the activations, and the same of the rows after. y: MOST_ROWS for each vector. */
INLINE void multiply_block(const struct panel_format *f, const struct activations *a, size_t at,
                           const size_t rows, const size_t vectors, const struct vector_block *w,
                           v_float *y)
{
    if (f->halves) {
        multiply_halves(f, a, at, rows, vectors, w, y);
        return;
    }
    v_sums sums[ABREAST][MOST_ROWS];
    sum_block(f, rows, vectors, w, 0, 8, a, at, sums);
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t v = 0; v < vectors; v++)
            y[v * MOST_ROWS + r] =
                v_fma(v_of_sums(sums[v][r]), v_mul(w[v].scale[0], v_set(a->scale[at + r])),
                      y[v * MOST_ROWS + r]);
    }
    if (!f->has_min)
        return;
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t v = 0; v < vectors; v++)
            y[v * MOST_ROWS + r] =
                v_fma(w[v].min, v_set(a->scaled_sum[at + r]), y[v * MOST_ROWS + r]);
    }
}

#ifdef SUMS_HALVES
/* The same for one row by stored codes: what becomes of y. */
INLINE v_float multiply_alone(const struct panel_format *f, const struct activations *a, size_t at,
                              const struct vector_block *w, v_float y)
{
    v_float dx = v_set(a->scale[at]);
    v_sums sums[2] = {sums_zero(), sums_zero()};
    if (f->halves) {
        sums[0] = sums_shifted(a->minus_half + 2 * at, f->offset_shift);
        sums[1] = sums_shifted(a->minus_half + 2 * at + 1, f->offset_shift);
    } else if (f->offset_shift) {
        sums[0] = sums_shifted(a->minus_sum + at, f->offset_shift);
    }
    sum_halves(f->codes, w->codes, a->codes + at * QUANT_BLOCK, sums);
    if (f->halves) {
        v_float first = v_mul(v_of_sums(sums[0]), w->scale[0]);
        return v_fma(v_fma(v_of_sums(sums[1]), w->scale[1], first), dx, y);
    }
    y = v_fma(v_of_sums(sums_add(sums[0], sums[1])), v_mul(w->scale[0], dx), y);
    return f->has_min ? v_fma(w->min, v_set(a->scaled_sum[at]), y) : y;
}
#endif

/* Outputs from `lane` on; those that do not exist are neither read nor written. */
INLINE v_float load_outputs(const struct span *span, const float *y, size_t lane)
{
    if (lane + LANES <= span->n_outputs)
        return v_load(y + lane);
    return v_load_part(y + lane, lane < span->n_outputs ? span->n_outputs - lane : 0);
}

/* What all rows start from, of panel p of those abreast. */
INLINE v_float first_outputs(const struct span *span, size_t p, size_t lane)
{
    return span->bias ? load_outputs(span, span->bias + p * span->apart, lane) : v_set(0);
}

INLINE void store_outputs(const struct span *span, float *y, size_t lane, v_float v)
{
    if (lane + LANES <= span->n_outputs)
        v_store(y + lane, v);
    else
        v_store_part(y + lane, v, lane < span->n_outputs ? span->n_outputs - lane : 0);
}

/* Block i of the record at offset `at_record` of n panels, decoded as it is met, by that of `rows`
 * rows, which is number `at` of the activations. y: MOST_ROWS for each vector. */
INLINE void multiply_few_block(enum tensor_type type, const size_t rows, const size_t n,
                               const struct streams *panels, size_t at_record, size_t i,
                               const struct activations *a, size_t at, v_float *y)
{
    const struct panel_format *f = &panel_formats[type];
    const size_t abreast = PARTS > 1 ? 1 : n, together = PARTS > 1 ? 1 : ROWS_TOGETHER;
    UNROLL
    for (size_t v = 0; v < n * PARTS; v += abreast) {
        struct vector_block w[PANELS_ABREAST];
        UNROLL
        for (size_t j = 0; j < abreast; j++) {
            const size_t part = (v + j) % PARTS;
            const uint8_t *record = panels->first + at_record + (v + j) / PARTS * panels->apart;
            w[j] = (struct vector_block){.codes = record + codes_at(f, i), .part = part};
            load_scales(type, record, i, part, &w[j]);
        }
#ifdef SUMS_HALVES
        UNROLL
        for (size_t j = 0; j < abreast && rows == 1; j++)
            y[(v + j) * MOST_ROWS] = multiply_alone(f, a, at, &w[j], y[(v + j) * MOST_ROWS]);
        if (rows == 1)
            continue;
#endif
        UNROLL
        for (size_t r = 0; r < rows; r += together)
            multiply_block(f, a, at + r, size_min(rows - r, together), abreast, w,
                           y + v * MOST_ROWS + r);
    }
}

/* A block that is number i of the record at offset `record`. */
INLINE void multiply_few_step(enum tensor_type type, const size_t rows, const size_t n,
                              const struct streams *panels, size_t record, size_t i,
                              const struct activations *a, size_t at, v_float *y)
{
    UNROLL
    for (size_t p = 0; p < n; p++)
        fetch_ahead(&panel_formats[type], panels, p, record, i);
    multiply_few_block(type, rows, n, panels, record, i, a, at, y);
}

/* `blocks` blocks of a record; where the next one is in the activations. Two at once, or else a
 * loop that stays rolled: see fetch.h. */
INLINE size_t multiply_few_record(enum tensor_type type, const size_t rows, const size_t n,
                                  const struct streams *panels, size_t record, size_t blocks,
                                  const struct activations *a, size_t at, v_float *y)
{
    if (panel_formats[type].group_blocks == 1) {
        multiply_few_step(type, rows, n, panels, record, 0, a, at, y);
        if (blocks > 1)
            multiply_few_step(type, rows, n, panels, record, 1, a, at + a->tile_rows, y);
        return at + 2 * a->tile_rows;
    }
    for (size_t i = 0; i < blocks; i++, at += a->tile_rows)
        multiply_few_step(type, rows, n, panels, record, i, a, at, y);
    return at;
}

/* How far ahead lines are asked for. Measured, for one or two rows by blocks of more than 5 lines,
 * and one by those of 8 bits; on Zen 5, which has AVX-VNNI, before loops were rolled. */
INLINE size_t fetch_far(const struct panel_format *f, const size_t rows)
{
    if (!fetch_once())
        return FETCH_FAR;
    if (cpu_features()->avx_vnni)
        return rows == 1 && f->codes == CODES_8_BITS ? 1536 : FETCH_FAR;
    return rows <= 2 && f->code_bytes > 5 * 64 ? FETCH_ONCE / 2 : FETCH_ONCE;
}

/* Rows from `row`, all in one tile, by n whole panels. */
INLINE void multiply_few(enum tensor_type type, const size_t rows, const size_t n,
                         const struct quant_job *job, const struct span *span, size_t row)
{
    const struct panel_format *f = &panel_formats[type];
    const struct activations *a = job->a;
    const size_t per_record = record_blocks(f);
    const struct streams panels = {.first = span->panel,
                                   .bytes = span->bytes,
                                   .apart = span->apart / PANEL_OUTPUTS * span->bytes,
                                   .skip = span->after - (span->panel + span->bytes),
                                   .far = fetch_far(f, rows),
                                   .once = fetch_once()};
    size_t at = activations_block(a, row, 0);
    float *to = span->y + row * job->out.stride;
    v_float y[PANELS_ABREAST * PARTS * MOST_ROWS];
    UNROLL
    for (size_t v = 0; v < n * PARTS; v++) {
        UNROLL
        for (size_t r = 0; r < rows; r++)
            y[v * MOST_ROWS + r] = first_outputs(span, v / PARTS, v % PARTS * LANES);
    }
    for (size_t b = 0, record = 0; b < a->n_blocks; b += per_record, record += record_bytes(f))
        at = multiply_few_record(type, rows, n, &panels, record,
                                 size_min(a->n_blocks - b, per_record), a, at, y);
    UNROLL
    for (size_t v = 0; v < n * PARTS; v++) {
        UNROLL
        for (size_t r = 0; r < rows; r++)
            store_outputs(span, to + r * job->out.stride + v / PARTS * span->y_apart,
                          v % PARTS * LANES, y[v * MOST_ROWS + r]);
    }
}

/* What meets decoded panels at once: outputs of one or all of the vectors side by side. */
enum { GROUP_LANES = ABREAST * LANES, SPREAD_LANES = SPREAD_PANELS * PANEL_OUTPUTS };

/* Rows of a tile by a chunk. */
struct group {
    const struct activations *a;
    size_t at, rows;             /* the first row's first block, and how many rows */
    size_t first, n;             /* blocks of the panels */
    const uint8_t *panel;        /* as they are stored, or */
    const struct spread *spread; /* from block `first` on */
    size_t apart;                /* bytes to the panel side by side; 0: there is none */
    size_t lane;                 /* first of GROUP_LANES outputs of the panels */
    const float *from;           /* what these start from */
    float *to;
    size_t from_stride, to_stride;
};
typedef void group_function(const struct group *g);

/* Codes of 8 bits need no decoding. */
INLINE bool is_spread(const struct panel_format *f)
{
    return f->codes != CODES_8_BITS;
}

/* Block i of a group, outputs from `lane` on. */
INLINE struct vector_block block_of(enum tensor_type type, const struct group *g, size_t i,
                                    size_t lane)
{
    const struct panel_format *f = &panel_formats[type];
    struct vector_block w;
    if (is_spread(f)) {
        load_spread(f, g->spread + i, lane, &w);
        return w;
    }
    const uint8_t *panel = g->panel + lane / PANEL_OUTPUTS * g->apart;
    size_t part = lane % PANEL_OUTPUTS / LANES, b = g->first + i;
    w = (struct vector_block){.codes = panel + codes_at(f, b), .part = part};
    load_scales(type, panel, b, part, &w);
    return w;
}

INLINE void multiply_many(enum tensor_type type, const size_t rows, const struct group *g)
{
    const struct panel_format *f = &panel_formats[type];
    const struct activations *a = g->a;
    const size_t step = FEW_ROWS < TILE_ROWS ? a->tile_rows : TILE_ROWS; /* many rows fill tiles */
    const size_t lane = GROUP_LANES == SPREAD_LANES ? 0 : g->lane;
    v_float y[ABREAST * MOST_ROWS];
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t v = 0; v < ABREAST; v++) {
            __builtin_prefetch(g->to + (r + rows) * g->to_stride + v * LANES, 1, 3); /* the next */
            y[v * MOST_ROWS + r] = v_load(g->from + r * g->from_stride + v * LANES);
        }
    }
    size_t at = g->at;
    for (size_t i = 0; i < g->n; i++, at += step) {
        struct vector_block w[ABREAST];
        UNROLL
        for (size_t v = 0; v < ABREAST; v++)
            w[v] = block_of(type, g, i, lane + v * LANES);
        UNROLL
        for (size_t r = 0; r < rows; r += ROWS_TOGETHER)
            multiply_block(f, a, at + r, size_min(rows - r, ROWS_TOGETHER), ABREAST, w, y + r);
    }
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t v = 0; v < ABREAST; v++)
            v_store(g->to + r * g->to_stride + v * LANES, y[v * MOST_ROWS + r]);
    }
}

/* A group whose last outputs, from number n on, do not exist. */
static void multiply_part(group_function *multiply, const struct group *g, size_t n)
{
    float part[MOST_ROWS * GROUP_LANES] = {0};
    struct group of_part = *g;
    of_part.from = of_part.to = part;
    of_part.from_stride = of_part.to_stride = GROUP_LANES;
    for (size_t r = 0; r < g->rows; r++)
        memcpy(part + r * GROUP_LANES, g->from + r * g->from_stride, n * sizeof *part);
    multiply(&of_part);
    for (size_t r = 0; r < g->rows; r++)
        memcpy(g->to + r * g->to_stride, part + r * GROUP_LANES, n * sizeof *part);
}

#if MOST_ROWS == 8
#define FOR_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8)
#else
#define FOR_ROWS(X) X(1) X(2) X(3) X(4)
#endif

/* Up to MOST_ROWS rows by a panel, or by two. */
INLINE void multiply_few_rows(enum tensor_type type, const struct quant_job *job,
                              const struct span *span, size_t row, size_t rows)
{
#define FEW_OF(n)                                                                                  \
    case n:                                                                                        \
        if (n <= PAIR_ROWS && span->apart)                                                         \
            multiply_few(type, n, PANELS_ABREAST, job, span, row);                                 \
        else                                                                                       \
            multiply_few(type, n, 1, job, span, row);                                              \
        return;
    switch (rows) {
        FOR_ROWS(FEW_OF)
    }
}

INLINE void multiply_group(enum tensor_type type, const struct group *g)
{
#define GROUP_OF(n)                                                                                \
    case n:                                                                                        \
        if (n <= SPREAD_ROWS)                                                                      \
            multiply_many(type, n, g);                                                             \
        return;
    switch (g->rows) {
        FOR_ROWS(GROUP_OF)
    }
}

/* Asks for one of n parts of the next chunk as it is stored, into the second cache: rows meet this
 * chunk meanwhile. */
INLINE void fetch_chunk(enum tensor_type type, const struct quant_job *job,
                        const struct chunk *next, size_t part, size_t n)
{
    const struct panel_format *f = &panel_formats[type];
    size_t bytes = panel_bytes(f, job->a->n_blocks), per_record = record_blocks(f);
    size_t size = (next->end - next->begin + per_record - 1) / per_record * record_bytes(f);
    const uint8_t *at =
        job->data + next->panel * bytes + next->begin / per_record * record_bytes(f);
    for (size_t i = part * 64; i < size; i += n * 64) {
        UNROLL
        for (size_t p = 0; p < SPREAD_PANELS; p++)
            __builtin_prefetch(at + p * bytes + i, 0, 2);
    }
}

/* Rows of a tile from `row` on, by a chunk. */
INLINE void multiply_tile(group_function *multiply, const struct quant_job *job,
                          const struct span *span, size_t row, size_t rows)
{
    static const float zeros[GROUP_LANES];
    const bool begun = span->chunk.begin > 0;
    struct group g = {.a = job->a,
                      .first = span->chunk.begin,
                      .n = span->chunk.end - span->chunk.begin,
                      .panel = span->panel,
                      .spread = span->spread,
                      .apart = span->n_outputs > PANEL_OUTPUTS ? span->bytes : 0,
                      .from_stride = begun ? job->out.stride : 0,
                      .to_stride = job->out.stride};
    size_t at = activations_block(job->a, row, span->chunk.begin);
    for (size_t r = 0; r < rows; r += g.rows) {
        g.at = at + r;
        g.rows = size_group(rows - r, SPREAD_ROWS);
        for (g.lane = 0; g.lane < size_min(span->n_outputs, SPREAD_LANES); g.lane += GROUP_LANES) {
            g.to = span->y + (row + r) * job->out.stride + g.lane;
            g.from = begun ? g.to : span->bias ? span->bias + g.lane : zeros;
            if (g.lane + GROUP_LANES <= span->n_outputs)
                multiply(&g);
            else
                multiply_part(multiply, &g, span->n_outputs - g.lane);
        }
    }
}

/* Rows from `begin` on, tile by tile. */
INLINE void multiply_tiles(enum tensor_type type, group_function *multiply,
                           const struct quant_job *job, const struct span *span, size_t begin)
{
    size_t n_rows = job->a->n_rows, tiles = (n_rows - begin + TILE_ROWS - 1) / TILE_ROWS;
    for (size_t row = begin; row < n_rows; row += TILE_ROWS) {
        fetch_chunk(type, job, &span->next, (row - begin) / TILE_ROWS, tiles);
        multiply_tile(multiply, job, span, row, size_min(n_rows - row, TILE_ROWS));
    }
}

/* n panels from number `panel` on. */
INLINE struct span span_at(enum tensor_type type, const struct quant_job *job, size_t panel,
                           size_t n)
{
    const size_t bytes = panel_bytes(&panel_formats[type], job->a->n_blocks);
    bool last = (panel + n) * PANEL_OUTPUTS >= job->out.end;
    return (struct span){.panel = job->data + panel * bytes,
                         .bytes = bytes,
                         .after = last && job->next ? job->next : job->data + (panel + n) * bytes,
                         .y = job->out.y + (panel * PANEL_OUTPUTS - job->out.begin),
                         .bias = job->bias ? job->bias + panel * PANEL_OUTPUTS : NULL,
                         .n_outputs = job->out.end - panel * PANEL_OUTPUTS};
}

/* A chunk of panels side by side by rows from `first_row`. */
INLINE void multiply_chunk(enum tensor_type type, group_function *multiply,
                           const struct quant_job *job, size_t first_row, struct chunk chunk,
                           struct chunk next)
{
    const struct panel_format *f = &panel_formats[type];
    struct spread *spread = job->scratch;
    struct span span = span_at(type, job, chunk.panel, SPREAD_PANELS);
    span.chunk = chunk;
    span.next = next;
    span.spread = spread;
    span.n_outputs = outputs_of(job, chunk.panel, SPREAD_PANELS);
    for (size_t i = 0; is_spread(f) && i * PANEL_OUTPUTS < span.n_outputs; i++)
        spread_chunk(type, SIGNED_CODES(f->codes), span.panel + i * span.bytes, chunk.begin,
                     chunk.end - chunk.begin, i, spread);
    multiply_tiles(type, multiply, job, &span, first_row);
}

/* Asks for the bias of the panels that come so much later. */
INLINE void fetch_bias(const struct span *span, size_t panels)
{
    if (!span->bias)
        return;
    __builtin_prefetch(span->bias + panels * PANEL_OUTPUTS);
    __builtin_prefetch(span->bias + panels * PANEL_OUTPUTS + span->apart);
}

/* Whole panels by few rows, in groups of nearly the same size: side by side those of the two runs
 * of outputs, or else neighbours. */
INLINE void multiply_by_few(enum tensor_type type, const struct quant_job *job, size_t first_row)
{
    const size_t n_rows = job->a->n_rows;
    const struct walk w = walk_whole_panels(job, 1);
    const bool neighbours = n_rows - first_row <= PAIR_ROWS && !job->out.apart;
    for (size_t panel = w.first, n; panel < w.end; panel += n) {
        n = neighbours && (panel + 2) * PANEL_OUTPUTS <= job->out.end ? 2 : 1;
        struct span span = span_at(type, job, panel, n);
        span.apart = n > 1 ? PANEL_OUTPUTS : job->out.apart;
        span.y_apart = n > 1 ? PANEL_OUTPUTS : job->out.end - job->out.begin;
        fetch_bias(&span, 2 * n);
        for (size_t row = first_row, rows; row < n_rows; row += rows) {
            rows = size_group(n_rows - row, MOST_ROWS);
            multiply_few_rows(type, job, &span, row, rows);
        }
    }
}

/* Rows from `first_row`, which is a multiple of TILE_ROWS, with panels of one type. */
INLINE void multiply_panels_of(enum tensor_type type, group_function *multiply,
                               const struct quant_job *job, size_t first_row)
{
    const size_t rows = job->a->n_rows - first_row;
    if (rows <= FEW_ROWS) {
        multiply_by_few(type, job, first_row);
        return;
    }
    const struct walk w = walk_chunks(job, rows);
    for (struct chunk c = chunk_at(&w, w.first, 0), next; c.panel < w.end; c = next) {
        next = chunk_after(&w, c);
        multiply_chunk(type, multiply, job, first_row, c, next);
    }
}

/* Groups are functions of their own, so that the addresses find room in registers: compilers keep
 * what does not in vector registers, from where it comes only after all products before it. */
#define PANELS_OF(type)                                                                            \
    static __attribute__((noinline)) void multiply_group_##type(const struct group *g)             \
    {                                                                                              \
        multiply_group(TYPE_##type, g);                                                            \
    }                                                                                              \
    static void multiply_##type(const struct quant_job *job, size_t first_row)                     \
    {                                                                                              \
        multiply_panels_of(TYPE_##type, multiply_group_##type, job, first_row);                    \
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
