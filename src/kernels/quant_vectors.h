/* AVX-512: blocks of a panel as vectors of 16 outputs. For quant_vnni.c and quant_amx.c. */
#ifndef TANDEM_KERNELS_QUANT_VECTORS_H
#define TANDEM_KERNELS_QUANT_VECTORS_H

#include "kernels/quant_layout.h"
#include "kernels/vector_macros.h"

#include <immintrin.h>
#include <string.h>

INLINE __m512i nibbles_low(__m512i v)
{
    return _mm512_and_si512(v, _mm512_set1_epi8(15));
}

INLINE __m512i nibbles_high(__m512i v)
{
    return nibbles_low(_mm512_srli_epi16(v, 4));
}

/* Bits 4 and 5 of vectors 4 * half + 0..3 to their places. */
INLINE void add_pairs_of_bits(__m512i bits, __m512i w[4])
{
    const __m512i mask = _mm512_set1_epi8(0x30);
    w[0] = _mm512_or_si512(w[0], _mm512_and_si512(_mm512_slli_epi16(bits, 4), mask));
    w[1] = _mm512_or_si512(w[1], _mm512_and_si512(_mm512_slli_epi16(bits, 2), mask));
    w[2] = _mm512_or_si512(w[2], _mm512_and_si512(bits, mask));
    w[3] = _mm512_or_si512(w[3], _mm512_and_si512(_mm512_srli_epi16(bits, 2), mask));
}

/* Codes of a block, as they are stored: unsigned, but signed where they have 8 bits. */
INLINE void load_codes(enum quant_codes kind, const uint8_t *p, __m512i w[8])
{
    if (kind == CODES_8_BITS) {
        UNROLL
        for (int g = 0; g < 8; g++)
            w[g] = _mm512_loadu_si512(p + 64 * g);
        return;
    }
    UNROLL
    for (int g = 0; g < 4; g++) {
        __m512i v = _mm512_loadu_si512(p + 64 * g);
        w[g] = nibbles_low(v);
        w[g + 4] = nibbles_high(v);
    }
    if (kind == CODES_5_BITS) {
        UNROLL
        for (int g = 0; g < 8; g++) {
            uint64_t bits;
            memcpy(&bits, p + 256 + 8 * g, sizeof bits);
            w[g] = _mm512_mask_add_epi8(w[g], bits, w[g], _mm512_set1_epi8(16));
        }
    }
    if (kind == CODES_6_BITS) {
        add_pairs_of_bits(_mm512_loadu_si512(p + 256), w);
        add_pairs_of_bits(_mm512_loadu_si512(p + 320), w + 4);
    }
}

struct vector_scales {
    __m512 scale[2];
    __m512 min; /* subtracted in K-quants: it is negative then */
};

INLINE __m512 load_halves(const uint8_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const void *)p));
}

INLINE __m512 times_unsigned(__m512 v, const uint8_t *p)
{
    __m512i wide = _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)p));
    return _mm512_mul_ps(v, _mm512_cvtepi32_ps(wide));
}

INLINE __m512 times_signed(__m512 v, const uint8_t *p)
{
    __m512i wide = _mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)p));
    return _mm512_mul_ps(v, _mm512_cvtepi32_ps(wide));
}

/* Scales of block b of a panel whose scales begin at p. */
INLINE struct vector_scales load_scales(enum tensor_type type, const uint8_t *p, size_t b)
{
    const struct panel_format *f = &panel_formats[type];
    struct vector_scales s;
    p += b / f->group_blocks * f->scale_bytes;
    __m512 d = load_halves(p);
    s.scale[0] = s.scale[1] = s.min = d;
    if (f->halves) {
        s.scale[0] = times_signed(d, p + 32 + b % 8 * 32);
        s.scale[1] = times_signed(d, p + 48 + b % 8 * 32);
    } else if (f->group_blocks == 8) {
        __m512 negative = _mm512_sub_ps(_mm512_setzero_ps(), load_halves(p + 32));
        s.scale[0] = times_unsigned(d, p + 64 + b % 8 * 32);
        s.min = times_unsigned(negative, p + 80 + b % 8 * 32);
    } else if (f->has_min) {
        s.min = load_halves(p + 32);
    }
    return s;
}

/* The share's first panel; a share that is empty begins where the matrix ends, not on a panel. */
INLINE size_t first_panel(const struct quant_job *job)
{
    return (job->begin + PANEL_OUTPUTS - 1) / PANEL_OUTPUTS;
}

/* The outputs of a panel that exist. */
INLINE __mmask16 panel_mask(const struct quant_job *job, size_t panel)
{
    size_t left = job->end - panel * PANEL_OUTPUTS;
    return left < PANEL_OUTPUTS ? (__mmask16)((1u << left) - 1) : (__mmask16)0xFFFF;
}

#endif
