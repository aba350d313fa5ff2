/* Panels: 16 outputs of a quantized matrix side by side, so that each 32-bit lane of a vector is
 * one output.
 *
 * A panel is a run of records, in order of k, each a multiple of 64 bytes: the scales of a few
 * blocks (2, in K-quants the 8 of a superblock), then their codes. So a product reads one stream.
 * Codes of a block of 32, by 64-byte vectors of 16 outputs x 4 elements (vector g of 8 has elements
 * 4g..4g+3):
 *   nibbles   vectors 0..3 in the low nibbles of 4 vectors, 4..7 in the high ones
 *   5 bits    nibbles, then bit 4 of vectors 0..7 as 8 masks of 64 bits
 *   6 bits    nibbles, then bits 4 and 5 of vectors 0..3 and of 4..7, two bits per vector
 *   8 bits    8 vectors of signed bytes
 * Scales are vectors of 16: f16 d (and f16 m) per block, or in K-quants once for a superblock: f16
 * d and f16 dmin, then scales and minima as bytes for each block (Q6_K: f16 d, then the two scales
 * of each block). */
#ifndef TANDEM_KERNELS_QUANT_LAYOUT_H
#define TANDEM_KERNELS_QUANT_LAYOUT_H

#include "kernels/quant.h"

enum quant_codes { CODES_NIBBLES, CODES_5_BITS, CODES_6_BITS, CODES_8_BITS };

struct panel_format {
    enum quant_codes codes;
    size_t code_bytes;   /* of a block, 16 outputs */
    size_t group_blocks; /* blocks of a superblock, or 1 */
    size_t scale_bytes;  /* of those */
    size_t offset_shift; /* codes are stored with 2^offset_shift added; 0: nothing */
    bool has_min;        /* value = scale * code + minimum */
    bool halves;         /* two scales per block */
};

static const struct panel_format panel_formats[TYPE_COUNT] = {
    [TYPE_Q4_0] = {CODES_NIBBLES, 256, 1, 32, 3, false, false},
    [TYPE_Q4_1] = {CODES_NIBBLES, 256, 1, 64, 0, true, false},
    [TYPE_Q5_0] = {CODES_5_BITS, 320, 1, 32, 4, false, false},
    [TYPE_Q5_1] = {CODES_5_BITS, 320, 1, 64, 0, true, false},
    [TYPE_Q8_0] = {CODES_8_BITS, 512, 1, 32, 7, false, false},
    [TYPE_Q4_K] = {CODES_NIBBLES, 256, 8, 320, 0, true, false},
    [TYPE_Q5_K] = {CODES_5_BITS, 320, 8, 320, 0, true, false},
    [TYPE_Q6_K] = {CODES_6_BITS, 384, 8, 288, 5, false, true},
};

/* The types above, for code that is written once and specialised for each: X(Q4_0) and so on. */
#define FOR_QUANT_TYPES(X) X(Q4_0) X(Q4_1) X(Q5_0) X(Q5_1) X(Q8_0) X(Q4_K) X(Q5_K) X(Q6_K)

static inline size_t record_blocks(const struct panel_format *f)
{
    return f->group_blocks == 1 ? 2 : f->group_blocks;
}

static inline size_t record_scale_bytes(const struct panel_format *f)
{
    return (record_blocks(f) / f->group_blocks * f->scale_bytes + 63) / 64 * 64;
}

static inline size_t record_bytes(const struct panel_format *f)
{
    return record_scale_bytes(f) + record_blocks(f) * f->code_bytes;
}

static inline size_t panel_bytes(const struct panel_format *f, size_t n_blocks)
{
    return (n_blocks + record_blocks(f) - 1) / record_blocks(f) * record_bytes(f);
}

/* Of block b in its panel: its codes, and the scales of its superblock. */
static inline size_t codes_at(const struct panel_format *f, size_t b)
{
    return b / record_blocks(f) * record_bytes(f) + record_scale_bytes(f) +
           b % record_blocks(f) * f->code_bytes;
}

static inline size_t scales_at(const struct panel_format *f, size_t b)
{
    return b / record_blocks(f) * record_bytes(f) +
           b % record_blocks(f) / f->group_blocks * f->scale_bytes;
}

#endif
