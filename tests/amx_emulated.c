/* The AMX kernels with tiles in memory, so that machines without AMX test them, too: each
 * instruction does what Intel's manual says of it ("Intel Architecture Instruction Set Extensions
 * Programming Reference", chapter on AMX). Needs AVX-512 VNNI. */
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

struct tile {
    uint8_t rows[16][64];
};

static _Thread_local struct tile tiles[8];
static _Thread_local struct {
    uint16_t row_bytes[8];
    uint8_t rows[8];
} shape;

static void load_config(const void *config)
{
    memcpy(shape.row_bytes, (const char *)config + 16, sizeof shape.row_bytes);
    memcpy(shape.rows, (const char *)config + 48, sizeof shape.rows);
}

static void release(void)
{
    memset(&shape, 0, sizeof shape);
}

static void zero(int t)
{
    memset(&tiles[t], 0, sizeof tiles[t]);
}

static void load(int t, const void *from, size_t stride)
{
    zero(t);
    for (size_t r = 0; r < shape.rows[t]; r++)
        memcpy(tiles[t].rows[r], (const char *)from + r * stride, shape.row_bytes[t]);
}

static void store(int t, void *to, size_t stride)
{
    for (size_t r = 0; r < shape.rows[t]; r++)
        memcpy((char *)to + r * stride, tiles[t].rows[r], shape.row_bytes[t]);
}

/* sums[m][n] += the dot product of group k of four bytes in row m of a and group n in row k of b,
 * for all k. */
static void multiply_bytes(int sums, int a, int b)
{
    for (size_t m = 0; m < shape.rows[sums]; m++)
        for (size_t n = 0; n < shape.row_bytes[sums] / 4u; n++) {
            int32_t sum;
            memcpy(&sum, &tiles[sums].rows[m][4 * n], sizeof sum);
            for (size_t k = 0; k < shape.row_bytes[a] / 4u && k < shape.rows[b]; k++)
                for (size_t i = 0; i < 4; i++)
                    sum +=
                        (int8_t)tiles[a].rows[m][4 * k + i] * (int8_t)tiles[b].rows[k][4 * n + i];
            memcpy(&tiles[sums].rows[m][4 * n], &sum, sizeof sum);
        }
}

#undef _tile_loadconfig
#undef _tile_release
#undef _tile_zero
#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbssd
#define _tile_loadconfig load_config
#define _tile_release release
#define _tile_zero zero
#define _tile_loadd load
#define _tile_stored store
#define _tile_dpbssd multiply_bytes
#define quant_amx quant_amx_emulated
#include "kernels/quant_amx.c"
