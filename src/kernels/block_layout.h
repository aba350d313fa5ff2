/* Where the fields of each block format lie, in bytes, and the packed scales of K-quants. */
#ifndef TANDEM_KERNELS_BLOCK_LAYOUT_H
#define TANDEM_KERNELS_BLOCK_LAYOUT_H

#include <stdint.h>
#include <string.h>

/* Blocks of 32: scale d (f16), in the _1 formats a minimum m (f16), in the 5-bit formats 32 high
 * bits, then 16 bytes whose low nibbles are elements 0..15 and high nibbles 16..31. */
enum { BLOCK = 32 };
enum { Q4_0_QS = 2, Q4_0_BYTES = 18 };
enum { Q4_1_M = 2, Q4_1_QS = 4, Q4_1_BYTES = 20 };
enum { Q5_0_QH = 2, Q5_0_QS = 6, Q5_0_BYTES = 22 };
enum { Q5_1_M = 2, Q5_1_QH = 4, Q5_1_QS = 8, Q5_1_BYTES = 24 };
enum { Q8_0_QS = 2, Q8_0_BYTES = 34 };

/* Superblocks of 256. */
enum { SUPERBLOCK = 256 };
enum { Q2_K_SCALES = 0, Q2_K_QS = 16, Q2_K_D = 80, Q2_K_DMIN = 82, Q2_K_BYTES = 84 };
enum { Q3_K_HMASK = 0, Q3_K_QS = 32, Q3_K_SCALES = 96, Q3_K_D = 108, Q3_K_BYTES = 110 };
enum { Q4_K_D = 0, Q4_K_DMIN = 2, Q4_K_SCALES = 4, Q4_K_QS = 16, Q4_K_BYTES = 144 };
enum { Q5_K_D = 0, Q5_K_DMIN = 2, Q5_K_SCALES = 4, Q5_K_QH = 16, Q5_K_QS = 48, Q5_K_BYTES = 176 };
enum { Q6_K_QL = 0, Q6_K_QH = 128, Q6_K_SCALES = 192, Q6_K_D = 208, Q6_K_BYTES = 210 };

static inline uint32_t load_word(const uint8_t *p)
{
    uint32_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

static inline void store_word(uint8_t *p, uint32_t word)
{
    memcpy(p, &word, sizeof word);
}

/* The next two work on four bytes at a time, within each byte, so in any byte order. */

/* Q4_K and Q5_K pack eight 6-bit scales and eight 6-bit minima into 12 bytes: 0..3 in the low
 * bits of bytes 0..3 and 4..7; 4..7 as nibbles of bytes 8..11 with the spare bits on top.
 * out: the scales, then the minima. */
static inline void unpack_scales_min(const uint8_t p[12], uint8_t out[16])
{
    uint32_t scales = load_word(p), mins = load_word(p + 4), rest = load_word(p + 8);
    store_word(out, scales & 0x3F3F3F3F);
    store_word(out + 4, (rest & 0x0F0F0F0F) | (scales >> 6 & 0x03030303) << 4);
    store_word(out + 8, mins & 0x3F3F3F3F);
    store_word(out + 12, (rest >> 4 & 0x0F0F0F0F) | (mins >> 6 & 0x03030303) << 4);
}

/* Q3_K packs sixteen 6-bit scales: nibbles of bytes 0..7 below, pairs of bits of bytes 8..11
 * above. What they stand for is 32 less. */
static inline void unpack_q3_k_scales(const uint8_t p[12], uint8_t out[16])
{
    uint32_t even = load_word(p), odd = load_word(p + 4), high = load_word(p + 8);
    store_word(out, (even & 0x0F0F0F0F) | (high & 0x03030303) << 4);
    store_word(out + 4, (odd & 0x0F0F0F0F) | (high >> 2 & 0x03030303) << 4);
    store_word(out + 8, (even >> 4 & 0x0F0F0F0F) | (high >> 4 & 0x03030303) << 4);
    store_word(out + 12, (odd >> 4 & 0x0F0F0F0F) | (high >> 6 & 0x03030303) << 4);
}

#endif
