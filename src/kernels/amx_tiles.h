/* What AMX's tiles are configured with. A compiler may believe that _tile_loadconfig() reads a few
 * bytes only, so configurations are constants, never filled in on the stack. */
#ifndef TANDEM_KERNELS_AMX_TILES_H
#define TANDEM_KERNELS_AMX_TILES_H

#include <stdint.h>

struct amx_tiles {
    _Alignas(64) uint8_t palette;
    uint8_t start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

/* All eight tiles full: 16 rows of 64 bytes. */
static const struct amx_tiles amx_full_tiles = {.palette = 1,
                                                .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
                                                .rows = {16, 16, 16, 16, 16, 16, 16, 16}};

#endif
