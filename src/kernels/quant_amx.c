/* AMX: tiles of 16 rows of activations by 16 outputs. The codes of a panel are spread out as signed
 * bytes in scratch, a chunk of blocks at a time; each block is one tile product, whose integers are
 * scaled and added like everywhere else. */
#include "base/size.h"
#include "kernels/amx_tiles.h"
#include "kernels/quant_avx512.h"
#include "kernels/quant_plain.h"
#include "kernels/quant_tables.h"

#define ABREAST 1 /* vectors of outputs to a tile */
#define SPREAD_BLOCKS 32
#include "kernels/quant_vectors.h"

/* For less, in all or in the last tile, VNNI is as fast. */
enum { FEWEST_ROWS = 14, FEWEST_IN_TILE = 6 };

/* A chunk of a panel, and tiles as they are stored. */
struct scratch {
    struct spread w[SPREAD_BLOCKS];
    _Alignas(64) int32_t sums[4][16][16];
};
_Static_assert(sizeof(struct scratch) <= QUANT_SCRATCH, "scratch holds a chunk");

/* Tiles 0 and 1: sums. 2 and 4: activations of a block, 3 and 5: weights. 6 and 7: of half of one.
 */
static void configure_tiles(void)
{
    static const struct amx_tiles config = {.palette = 1,
                                            .row_bytes = {64, 64, 32, 64, 32, 64, 16, 64},
                                            .rows = {16, 16, 16, 8, 16, 8, 16, 4}};
    _tile_loadconfig(&config);
}

/* y += sums * weight_scale * scale[r], for the 16 rows of a tile. */
INLINE void add_tile(const int32_t sums[16][16], const float *weight_scale, const float *scale,
                     __m512 y[16])
{
    __m512 w = _mm512_load_ps(weight_scale);
    UNROLL
    for (int r = 0; r < 16; r++)
        y[r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_load_si512(sums[r])),
                               _mm512_mul_ps(w, _mm512_set1_ps(scale[r])), y[r]);
}

/* The same with two scales of weights: y += (first * scales[0] + second * scales[1]) * scale[r]. */
INLINE void add_two_tiles(const int32_t first[16][16], const int32_t second[16][16],
                          const float scales[2][PANEL_OUTPUTS], const float *scale, __m512 y[16])
{
    __m512 w0 = _mm512_load_ps(scales[0]), w1 = _mm512_load_ps(scales[1]);
    UNROLL
    for (int r = 0; r < 16; r++) {
        __m512 product = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_load_si512(first[r])), w0);
        product = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_load_si512(second[r])), w1, product);
        y[r] = _mm512_fmadd_ps(product, _mm512_set1_ps(scale[r]), y[r]);
    }
}

INLINE void add_min(const float *min, const float *scaled_sum, __m512 y[16])
{
    __m512 m = _mm512_load_ps(min);
    UNROLL
    for (int r = 0; r < 16; r++)
        y[r] = _mm512_fmadd_ps(m, _mm512_set1_ps(scaled_sum[r]), y[r]);
}

/* The sums of a block into out: `second` picks the other set of tiles. */
INLINE void tile_product(const int8_t *x, const uint8_t *w, int32_t out[16][16], const bool second)
{
    if (second) {
        _tile_zero(1);
        _tile_loadd(2, x, 32);
        _tile_loadd(3, w, 64);
        _tile_dpbssd(1, 2, 3);
        _tile_stored(1, out, 64);
    } else {
        _tile_zero(0);
        _tile_loadd(4, x, 32);
        _tile_loadd(5, w, 64);
        _tile_dpbssd(0, 4, 5);
        _tile_stored(0, out, 64);
    }
}

/* Sums of 16 elements each. */
INLINE void tile_halves(const int8_t *x, const uint8_t *w, int32_t low[16][16],
                        int32_t high[16][16])
{
    _tile_zero(0);
    _tile_loadd(6, x, 32);
    _tile_loadd(7, w, 64);
    _tile_dpbssd(0, 6, 7);
    _tile_stored(0, low, 64);
    _tile_zero(1);
    _tile_loadd(6, x + 16, 32);
    _tile_loadd(7, w + 256, 64);
    _tile_dpbssd(1, 6, 7);
    _tile_stored(1, high, 64);
}

/* The sums of block b into their place among the stored ones: two in turn where a block has two,
 * otherwise four. `odd`: of b, a constant. */
INLINE void start_block(const struct panel_format *f, const struct activations *a, size_t at,
                        size_t b, const bool odd, struct scratch *s)
{
    const int8_t *x = a->codes + (at + b * a->tile_rows) * QUANT_BLOCK;
    if (f->halves)
        tile_halves(x, s->w[b].codes[0], s->sums[b % 2 * 2], s->sums[b % 2 * 2 + 1]);
    else
        tile_product(x, s->w[b].codes[0], s->sums[b % 4], odd);
}

INLINE void finish_block(const struct panel_format *f, const struct activations *a, size_t at,
                         size_t b, const struct scratch *s, __m512 y[16])
{
    at += b * a->tile_rows;
    if (f->halves) {
        add_two_tiles(s->sums[b % 2 * 2], s->sums[b % 2 * 2 + 1], s->w[b].scale[0], a->scale + at,
                      y);
        return;
    }
    add_tile(s->sums[b % 4], s->w[b].scale[0][0], a->scale + at, y);
    if (f->has_min)
        add_min(s->w[b].min[0], a->scaled_sum + at, y);
}

/* n blocks, from block number `at` of the activations, which is of the tile's first row. A tile on
 * its way to memory and back takes long, so blocks are started ahead of the one that is finished.
 */
INLINE void multiply_blocks(const struct panel_format *f, const struct activations *a, size_t at,
                            size_t n, struct scratch *s, __m512 y[16])
{
    start_block(f, a, at, 0, false, s);
    for (size_t b = 0; b < n; b += 2) {
        if (b + 1 < n)
            start_block(f, a, at, b + 1, true, s);
        finish_block(f, a, at, b, s, y);
        if (b + 2 < n)
            start_block(f, a, at, b + 2, false, s);
        if (b + 1 < n)
            finish_block(f, a, at, b + 1, s, y);
    }
}

/* One tile of rows; those from `rows` on do not exist and are computed in vain. */
INLINE void multiply_tile(const struct panel_format *f, const struct quant_job *job, size_t row,
                          size_t rows, size_t first, size_t n, struct scratch *s, float *to,
                          const float *bias, __mmask16 mask)
{
    __m512 y[16];
    to += row * job->out.stride;
    const __m512 start = bias ? _mm512_maskz_loadu_ps(mask, bias) : _mm512_setzero_ps();
    UNROLL
    for (size_t r = 0; r < 16; r++)
        y[r] = first ? _mm512_maskz_loadu_ps(r < rows ? mask : 0, to + r * job->out.stride) : start;
    multiply_blocks(f, job->a, activations_block(job->a, row, first), n, s, y);
    UNROLL
    for (size_t r = 0; r < 16; r++)
        _mm512_mask_storeu_ps(to + r * job->out.stride, r < rows ? mask : 0, y[r]);
}

INLINE void multiply_chunk(enum tensor_type type, const struct quant_job *job, size_t n_rows,
                           struct chunk c)
{
    const struct panel_format *f = &panel_formats[type];
    struct scratch *s = job->scratch;
    size_t n = c.end - c.begin, first = c.panel * PANEL_OUTPUTS;
    __mmask16 mask = first_lanes(outputs_of(job, c.panel, 1));
    spread_chunk(type, true, job->data + c.panel * panel_bytes(f, job->a->n_blocks), c.begin, n, 0,
                 s->w);
    for (size_t r = 0; r < n_rows; r += TILE_ROWS)
        multiply_tile(f, job, r, size_min(n_rows - r, TILE_ROWS), c.begin, n, s,
                      job->out.y + (first - job->out.begin), job->bias ? job->bias + first : NULL,
                      mask);
}

INLINE void multiply_panels_of(enum tensor_type type, const struct quant_job *job, size_t n_rows)
{
    const struct walk w = walk_chunks(job, n_rows);
    for (struct chunk c = chunk_at(&w, w.first, 0); c.panel < w.end; c = chunk_after(&w, c))
        multiply_chunk(type, job, n_rows, c);
}

#define TILES_OF(type)                                                                             \
    static void multiply_##type(const struct quant_job *job, size_t n_rows)                        \
    {                                                                                              \
        multiply_panels_of(TYPE_##type, job, n_rows);                                              \
    }
FOR_QUANT_TYPES(TILES_OF)

static void multiply_tiles(const struct quant_job *job, size_t n_rows)
{
#define TILES_ENTRY(type) [TYPE_##type] = multiply_##type,
    static void (*const by_type[TYPE_COUNT])(const struct quant_job *,
                                             size_t) = {FOR_QUANT_TYPES(TILES_ENTRY)};
    by_type[job->type](job, n_rows);
}

static void multiply_panels(const struct quant_job *job)
{
    size_t n_rows = job->a->n_rows, rest = n_rows % TILE_ROWS;
    size_t in_tiles = rest < FEWEST_IN_TILE ? n_rows - rest : n_rows;
    if (n_rows < FEWEST_ROWS)
        in_tiles = 0;
    if (in_tiles) {
        configure_tiles();
        multiply_tiles(job, in_tiles);
        _tile_release();
    }
    if (in_tiles < n_rows)
        quant_vnni_rows_from(job, in_tiles);
}

const struct quant_kernels quant_amx = {
    .name = "amx",
    .quantize = quantize_rows,
    .rows = multiply_rows,
    .panels = multiply_panels,
    .pair_rows = PAIR_ROWS_BY_TYPE,
};
