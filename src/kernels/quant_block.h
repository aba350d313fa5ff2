/* One block of 32 of a stored row: its codes, unsigned as formats have them, scales and minimum.
 * The blocks of K-quants are parts of a superblock. */
#ifndef TANDEM_KERNELS_QUANT_BLOCK_H
#define TANDEM_KERNELS_QUANT_BLOCK_H

#include "kernels/block_layout.h"
#include "kernels/half.h"
#include "kernels/quant_layout.h"

#define QUANT_INLINE static inline __attribute__((always_inline))

QUANT_INLINE void low_then_high_nibbles(const uint8_t *q, uint8_t codes[32])
{
    for (int i = 0; i < 16; i++) {
        codes[i] = q[i] & 15;
        codes[i + 16] = q[i] >> 4;
    }
}

QUANT_INLINE void add_bits_of_32(const uint8_t *p, uint8_t codes[32])
{
    for (int i = 0; i < 32; i++)
        codes[i] |= (uint8_t)((p[i / 8] >> i % 8 & 1) << 4);
}

/* Block `part` (of 8) of a superblock whose nibbles lie as in Q4_K and Q5_K. */
QUANT_INLINE void nibbles_of_part(const uint8_t *q, size_t part, uint8_t codes[32])
{
    for (int i = 0; i < 32; i++)
        codes[i] = q[part / 2 * 32 + i] >> 4 * (part % 2) & 15;
}

/* In Q6_K, of the halves of 128, low bits are 64 bytes: two runs in low, two in high nibbles. */
QUANT_INLINE void six_bits_of_part(const uint8_t *block, size_t part, uint8_t codes[32])
{
    const uint8_t *low = block + Q6_K_QL + part / 4 * 64 + part % 2 * 32;
    const uint8_t *high = block + Q6_K_QH + part / 4 * 32;
    for (int i = 0; i < 32; i++)
        codes[i] =
            (uint8_t)((low[i] >> (part % 4 / 2 * 4) & 15) | (high[i] >> (part % 4 * 2) & 3) << 4);
}

QUANT_INLINE void block_codes(enum tensor_type type, const uint8_t *row, size_t b,
                              uint8_t codes[32])
{
    const uint8_t *p;
    switch (type) {
    case TYPE_Q4_0:
        low_then_high_nibbles(row + b * Q4_0_BYTES + Q4_0_QS, codes);
        return;
    case TYPE_Q4_1:
        low_then_high_nibbles(row + b * Q4_1_BYTES + Q4_1_QS, codes);
        return;
    case TYPE_Q5_0:
        low_then_high_nibbles(row + b * Q5_0_BYTES + Q5_0_QS, codes);
        add_bits_of_32(row + b * Q5_0_BYTES + Q5_0_QH, codes);
        return;
    case TYPE_Q5_1:
        low_then_high_nibbles(row + b * Q5_1_BYTES + Q5_1_QS, codes);
        add_bits_of_32(row + b * Q5_1_BYTES + Q5_1_QH, codes);
        return;
    case TYPE_Q8_0:
        for (int i = 0; i < 32; i++)
            codes[i] = row[b * Q8_0_BYTES + Q8_0_QS + (size_t)i] ^ 0x80;
        return;
    case TYPE_Q4_K:
        nibbles_of_part(row + b / 8 * Q4_K_BYTES + Q4_K_QS, b % 8, codes);
        return;
    case TYPE_Q5_K:
        p = row + b / 8 * Q5_K_BYTES;
        nibbles_of_part(p + Q5_K_QS, b % 8, codes);
        for (int i = 0; i < 32; i++)
            codes[i] |= (uint8_t)((p[Q5_K_QH + i] >> b % 8 & 1) << 4);
        return;
    case TYPE_Q6_K:
        six_bits_of_part(row + b / 8 * Q6_K_BYTES, b % 8, codes);
        return;
    default:
        return;
    }
}

struct block_scales {
    float scale[2]; /* the second: of elements 16..31, in Q6_K */
    float min;
};

QUANT_INLINE float half_at(const uint8_t *p)
{
    return f16_to_f32(load_u16(p));
}

QUANT_INLINE struct block_scales k_scales(const uint8_t *block, size_t part)
{
    uint8_t unpacked[16];
    unpack_scales_min(block + Q4_K_SCALES, unpacked);
    return (struct block_scales){.scale = {half_at(block + Q4_K_D) * (float)unpacked[part]},
                                 .min = -(half_at(block + Q4_K_DMIN) * (float)unpacked[8 + part])};
}

QUANT_INLINE struct block_scales block_scales(enum tensor_type type, const uint8_t *row, size_t b)
{
    const uint8_t *p =
        row + b / panel_formats[type].group_blocks * tensor_type_info(type)->block_bytes;
    if (type == TYPE_Q4_K || type == TYPE_Q5_K)
        return k_scales(p, b % 8);
    if (type == TYPE_Q6_K) {
        const int8_t *scales = (const int8_t *)p + Q6_K_SCALES + b % 8 * 2;
        float d = half_at(p + Q6_K_D);
        return (struct block_scales){.scale = {d * (float)scales[0], d * (float)scales[1]}};
    }
    return (struct block_scales){.scale = {half_at(p)},
                                 .min = panel_formats[type].has_min ? half_at(p + 2) : 0};
}

#endif
