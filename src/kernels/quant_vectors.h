/* Blocks of a panel in vectors of LANES outputs. The file that includes it has the vectors of its
 * instruction set: quant_avx512.h, quant_avx2.h or its own. A panel is PARTS vectors wide; ABREAST
 * vectors, or one panel, are decoded side by side, up to SPREAD_BLOCKS blocks at a time. */
#ifndef TANDEM_KERNELS_QUANT_VECTORS_H
#define TANDEM_KERNELS_QUANT_VECTORS_H

#include "base/size.h"
#include "kernels/fetch.h"
#include "kernels/quant_layout.h"

enum { PARTS = PANEL_OUTPUTS / LANES };

/* One part of a block. */
struct vector_block {
    const uint8_t *codes; /* stored codes of the block, or with `spread` decoded ones of the part */
    size_t part;          /* of stored ones */
    bool spread;
    v_float scale[2]; /* the second in formats with halves */
    v_float min;      /* subtracted in K-quants: it is negative then */
};

/* Elements 4g..4g+3 of a block's part as they are stored: unsigned, but signed where they have 8
 * bits. */
INLINE v_codes load_codes(enum quant_codes kind, const uint8_t *block, size_t part, const int g)
{
    const uint8_t *p = block + part * LANES * 4;
    if (kind == CODES_8_BITS)
        return codes_load(p + 64 * g);
    v_codes nibbles = codes_load(p + 64 * (g % 4));
    v_codes w = g < 4 ? low_nibbles(nibbles) : high_nibbles(nibbles);
    if (kind == CODES_5_BITS)
        return with_fifth_bits(w, block + 256 + 8 * g + part * LANES / 2);
    if (kind == CODES_6_BITS)
        return with_two_bits(w, codes_load(p + 256 + 64 * (g / 4)), g % 4);
    return w;
}

/* The same as products want them: all signed, or all unsigned and 2^offset_shift too large. */
INLINE v_codes load_codes_as(const struct panel_format *f, const bool is_signed,
                             const uint8_t *block, size_t part, const int g)
{
    v_codes w = load_codes(f->codes, block, part, g);
    if (!f->offset_shift || is_signed == (f->codes == CODES_8_BITS))
        return w;
    return codes_add(w, is_signed ? -(1 << f->offset_shift) : 1 << f->offset_shift);
}

/* Scales of block b of a panel, or of its records from one on. */
INLINE void load_scales(enum tensor_type type, const uint8_t *panel, size_t b, size_t part,
                        struct vector_block *out)
{
    const struct panel_format *f = &panel_formats[type];
    const uint8_t *p = panel + scales_at(f, b);
    const uint8_t *bytes = p + b % 8 * 32 + part * LANES;
    v_float d = v_of_halves(p + 2 * part * LANES);
    out->scale[0] = out->scale[1] = out->min = d;
    if (f->halves) {
        out->scale[0] = v_mul(d, v_of_signed(bytes + 32));
        out->scale[1] = v_mul(d, v_of_signed(bytes + 48));
    } else if (f->group_blocks == 8) {
        v_float negative = v_sub(v_set(0), v_of_halves(p + 32 + 2 * part * LANES));
        out->scale[0] = v_mul(d, v_of_unsigned(bytes + 64));
        out->min = v_mul(negative, v_of_unsigned(bytes + 80));
    } else if (f->has_min) {
        out->min = v_of_halves(p + 32 + 2 * part * LANES);
    }
}

/* Panels that are read side by side, each the beginning of a stream. */
struct streams {
    const uint8_t *first;
    size_t bytes, apart; /* of one panel, and from one to the other */
    ptrdiff_t skip;      /* from the end of each to where its stream goes on */
    size_t far;          /* how far ahead lines are asked for */
    bool once;           /* for fetch_lines() */
};

/* What lies `ahead` bytes behind offset `at` of the first. */
INLINE const uint8_t *in_stream(const struct streams *s, size_t at, size_t ahead)
{
    return s->first + at + ahead + (at + ahead < s->bytes ? 0 : s->skip);
}

/* Asks for block i's part of what lies ahead of the record at offset `at` of panel p. */
INLINE void fetch_ahead(const struct panel_format *f, const struct streams *s, size_t p, size_t at,
                        size_t i)
{
    const size_t blocks = record_blocks(f), lines = (record_bytes(f) / 64 + blocks - 1) / blocks;
    const size_t lies = p * s->apart + i * lines * 64;
    fetch_lines(in_stream(s, at, FETCH_NEAR) + lies, in_stream(s, at, s->far) + lies, lines,
                s->once);
}

/* --- A chunk of a panel, decoded once for many rows --- */

enum { SPREAD_PANELS = (ABREAST + PARTS - 1) / PARTS };

/* Block after block, so that one pointer reaches all of a block. */
struct spread {
    _Alignas(64) uint8_t codes[SPREAD_PANELS][8 * 64];
    _Alignas(64) float scale[SPREAD_PANELS][2][PANEL_OUTPUTS]; /* the second with halves */
    _Alignas(64) float min[SPREAD_PANELS][PANEL_OUTPUTS];      /* of formats that have minima */
};
_Static_assert(SPREAD_BLOCKS * sizeof(struct spread) <= QUANT_SCRATCH, "scratch holds a chunk");

/* Blocks [first, first + n) of a panel, which is number p of those side by side. */
INLINE void spread_chunk(enum tensor_type type, const bool is_signed, const uint8_t *panel,
                         size_t first, size_t n, size_t p, struct spread *out)
{
    const struct panel_format *f = &panel_formats[type];
    const struct streams stream = {.first = panel, .far = FETCH_FAR, .once = fetch_once()};
    const size_t per_record = record_blocks(f);
    for (size_t b = first; b < first + n; b++, out++) {
        fetch_ahead(f, &stream, 0, b / per_record * record_bytes(f), b % per_record);
        UNROLL
        for (size_t part = 0; part < PARTS; part++) {
            struct vector_block w;
            load_scales(type, panel, b, part, &w);
            UNROLL
            for (int g = 0; g < 8; g++)
                codes_store(out->codes[p] + 64 * g + part * LANES * 4,
                            load_codes_as(f, is_signed, panel + codes_at(f, b), part, g));
            v_store(out->scale[p][0] + part * LANES, w.scale[0]);
            if (f->halves)
                v_store(out->scale[p][1] + part * LANES, w.scale[1]);
            if (f->has_min)
                v_store(out->min[p] + part * LANES, w.min);
        }
    }
}

/* Outputs from `lane` on of panels side by side. */
INLINE void load_spread(const struct panel_format *f, const struct spread *s, size_t lane,
                        struct vector_block *out)
{
    size_t p = lane / PANEL_OUTPUTS;
    lane %= PANEL_OUTPUTS;
    out->codes = s->codes[p] + lane * 4;
    out->spread = true;
    out->scale[0] = v_load(s->scale[p][0] + lane);
    if (f->halves)
        out->scale[1] = v_load(s->scale[p][1] + lane);
    if (f->has_min)
        out->min = v_load(s->min[p] + lane);
}

/* --- A share's panels --- */

/* How many outputs of n panels there are, from panel p on. */
INLINE size_t outputs_of(const struct quant_job *job, size_t p, size_t n)
{
    size_t left = job->out.end - p * PANEL_OUTPUTS;
    return size_min(left, n * PANEL_OUTPUTS);
}

/* Blocks [begin, end) of a panel, or of as many side by side as a walk takes at a time. */
struct chunk {
    size_t panel, begin, end;
};

/* The order of chunks: all panels, so many at a time, meet a band of blocks, in chunks of `length`,
 * before the next band. */
struct walk {
    size_t first, end, panels; /* panels; at a time */
    size_t blocks, band, length;
};

/* So many panels at a time, whole. A share that is empty begins where the matrix ends, not on a
 * panel. */
INLINE struct walk walk_whole_panels(const struct quant_job *job, size_t panels)
{
    size_t blocks = job->a->n_blocks;
    return (struct walk){.first = (job->out.begin + PANEL_OUTPUTS - 1) / PANEL_OUTPUTS,
                         .end = (job->out.end + PANEL_OUTPUTS - 1) / PANEL_OUTPUTS,
                         .panels = panels,
                         .blocks = blocks,
                         .band = blocks,
                         .length = blocks};
}

/* Chunks of nearly the same length as they are spread out, for n_rows rows: a band of their blocks
 * stays in the second cache while the panels pass, if it fits. */
INLINE struct walk walk_chunks(const struct quant_job *job, size_t n_rows)
{
    enum { BAND_BYTES = 1 << 18, WHOLE_RECORDS = 8 };
    struct walk w = walk_whole_panels(job, SPREAD_PANELS);
    size_t chunks = (w.blocks + SPREAD_BLOCKS - 1) / SPREAD_BLOCKS,
           length = (w.blocks + chunks - 1) / chunks;
    w.length = (length + WHOLE_RECORDS - 1) / WHOLE_RECORDS * WHOLE_RECORDS;
    w.band = size_max(BAND_BYTES / (w.length * QUANT_BLOCK * n_rows), 1) * w.length;
    return w;
}

INLINE struct chunk chunk_at(const struct walk *w, size_t panel, size_t begin)
{
    return (struct chunk){panel, begin, size_min(begin + w->length, w->blocks)};
}

/* Behind the last one, in panel w->end or beyond: what another job may begin with. */
INLINE struct chunk chunk_after(const struct walk *w, struct chunk c)
{
    size_t band = c.begin / w->band * w->band, band_end = size_min(band + w->band, w->blocks);
    if (c.end < band_end)
        return chunk_at(w, c.panel, c.end);
    if (c.panel + w->panels < w->end)
        return chunk_at(w, c.panel + w->panels, band);
    return band_end < w->blocks ? chunk_at(w, w->first, band_end)
                                : chunk_at(w, c.panel + w->panels, 0);
}

#endif
