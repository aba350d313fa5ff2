#include "kernels/quant.h"
#include "base/cpu.h"
#include "base/memory.h"
#include "kernels/quant_plain.h"
#include "kernels/quant_tables.h"

/* --- Selection --- */

static const struct quant_kernels quant_scalar = {
    .name = "scalar", .quantize = quantize_rows, .rows = multiply_rows};

struct offer {
    const char *isa;
    const struct quant_kernels *kernels;
    bool runs_here;
};

void quant_available(const char *isa, const struct quant_kernels *out[QUANT_MOST_KERNELS + 1])
{
    const struct cpu_features *cpu = cpu_features();
    const struct offer offers[] = {
#if defined(__x86_64__)
        {"amx", &quant_amx, true}, /* or there is no such table */
        {"avx512", &quant_vnni, cpu->avx512_vnni},
        {"avx512", &quant_avx2, !cpu->avx512_vnni},
        {"avx2", &quant_avxvnni, cpu->avx_vnni},
        {"avx2", &quant_avx2, true},
#elif defined(__aarch64__)
        {"neon", &quant_neon, cpu->neon_dotprod},
#endif
        {"scalar", &quant_scalar, true},
    };
    size_t n = 0;
    for (size_t i = 0; i < sizeof offers / sizeof *offers; i++)
        if (offers[i].runs_here && !strcmp(isa, offers[i].isa))
            out[n++] = offers[i].kernels;
    out[n] = NULL;
}

const struct quant_kernels *quant_select(const char *isa)
{
    const struct quant_kernels *kernels[QUANT_MOST_KERNELS + 1];
    quant_available(isa, kernels);
    return kernels[0];
}

bool quant_amx_permitted(void)
{
    return cpu_features()->amx_int8 && cpu_features()->avx512_vnni && cpu_permit_amx();
}

bool quant_supports(enum tensor_type type)
{
    return panel_formats[type].code_bytes != 0;
}

/* --- Activations --- */

enum status activations_create(size_t max_rows, size_t max_cols, struct activations *a,
                               struct error *err)
{
    *a = (struct activations){.max_rows = max_rows, .max_cols = max_cols};
    size_t blocks, of_row = max_cols / QUANT_BLOCK + 1;
    /* Whole tiles, and one more: the last may be read as if it were full. */
    bool fits =
        max_rows < SIZE_MAX / 2 &&
        size_multiply((max_rows + 2 * TILE_ROWS) / TILE_ROWS * TILE_ROWS, of_row, &blocks) &&
        size_multiply(blocks, QUANT_BLOCK + 5 * sizeof(float), &a->bytes);
    if (!fits || !(a->memory = mem_map(a->bytes)))
        return error_memory(err, "quantized activations");
    a->codes = a->memory;
    a->scale = (float *)(a->codes + blocks * QUANT_BLOCK);
    a->scaled_sum = a->scale + blocks;
    a->minus_sum = (int32_t *)(a->scaled_sum + blocks);
    a->minus_half = a->minus_sum + blocks;
    return STATUS_OK;
}

void activations_free(struct activations *a)
{
    mem_unmap(a->memory, a->bytes);
    *a = (struct activations){0};
}

void activations_set(struct activations *a, const float *x, size_t stride, size_t n_rows,
                     size_t cols)
{
    a->x = x;
    a->x_stride = stride;
    a->n_rows = n_rows;
    a->cols = cols;
    a->n_blocks = cols / QUANT_BLOCK;
    a->tile_rows = size_min(n_rows, TILE_ROWS);
    a->quantized = false;
}

/* --- Packing --- */

bool quant_packed_bytes(enum tensor_type type, size_t rows, size_t cols, size_t *bytes)
{
    size_t panels = rows / PANEL_OUTPUTS + (rows % PANEL_OUTPUTS != 0);
    return cols < SIZE_MAX / 1024 &&
           size_multiply(panels, panel_bytes(&panel_formats[type], cols / QUANT_BLOCK), bytes);
}

/* Codes of up to 6 bits of output `lane` to their places among those of 16. */
QUANT_INLINE void pack_codes(enum quant_codes kind, const uint8_t codes[32], size_t lane,
                             uint8_t *out)
{
    uint8_t *at = out + lane * 4;
    for (size_t i = 0; i < 16; i++)
        at[i / 4 * 64 + i % 4] = (uint8_t)((codes[i] & 15) | codes[i + 16] << 4);
    for (size_t i = 0; i < 32 && kind == CODES_5_BITS; i++) {
        size_t bit = lane * 4 + i % 4;
        out[256 + i / 4 * 8 + bit / 8] |= (uint8_t)((codes[i] >> 4 & 1) << bit % 8);
    }
    for (size_t i = 0; i < 32 && kind == CODES_6_BITS; i++)
        at[256 + i / 16 * 64 + i % 4] |= (uint8_t)((codes[i] >> 4) << i / 4 % 4 * 2);
}

/* The scales of block b of output `lane`; those of a superblock come with its first block. */
QUANT_INLINE void pack_scales(enum tensor_type type, const uint8_t *row, size_t b, size_t lane,
                              uint8_t *panel)
{
    const struct panel_format *f = &panel_formats[type];
    const uint8_t *p = row + b / f->group_blocks * tensor_type_info(type)->block_bytes;
    uint8_t *out = panel + scales_at(f, b);
    uint8_t unpacked[16];
    if (type == TYPE_Q6_K) {
        memcpy(out + 2 * lane, p + Q6_K_D, 2);
        out[32 + b % 8 * 32 + lane] = p[Q6_K_SCALES + b % 8 * 2];
        out[48 + b % 8 * 32 + lane] = p[Q6_K_SCALES + b % 8 * 2 + 1];
        return;
    }
    memcpy(out + 2 * lane, p, 2);
    if (f->has_min)
        memcpy(out + 32 + 2 * lane, p + 2, 2);
    if (f->group_blocks == 1)
        return;
    unpack_scales_min(p + Q4_K_SCALES, unpacked);
    out[64 + b % 8 * 32 + lane] = unpacked[b % 8];
    out[80 + b % 8 * 32 + lane] = unpacked[8 + b % 8];
}

/* Formats whose own bytes are what a panel holds, word by word: `words` of each block from `from`
 * on, 8-bit codes or nibbles of elements i and i + 16. */
QUANT_INLINE void pack_words(const uint8_t *from, size_t words, size_t lane, uint8_t *out)
{
    for (size_t g = 0; g < words; g++)
        memcpy(out + g * 64 + lane * 4, from + g * 4, 4);
}

QUANT_INLINE void pack_block(enum tensor_type type, const uint8_t *row, size_t b, size_t lane,
                             uint8_t *out)
{
    uint8_t codes[QUANT_BLOCK];
    if (type == TYPE_Q4_0)
        return pack_words(row + b * Q4_0_BYTES + Q4_0_QS, 4, lane, out);
    if (type == TYPE_Q4_1)
        return pack_words(row + b * Q4_1_BYTES + Q4_1_QS, 4, lane, out);
    if (type == TYPE_Q8_0)
        return pack_words(row + b * Q8_0_BYTES + Q8_0_QS, 8, lane, out);
    block_codes(type, row, b, codes);
    pack_codes(panel_formats[type].codes, codes, lane, out);
}

QUANT_INLINE void pack_panel(enum tensor_type type, const uint8_t *data, size_t row_bytes,
                             size_t outputs, size_t n_blocks, uint8_t *panel)
{
    const struct panel_format *f = &panel_formats[type];
    if (outputs < PANEL_OUTPUTS || f->codes == CODES_5_BITS || f->codes == CODES_6_BITS)
        memset(panel, 0, panel_bytes(f, n_blocks));
    for (size_t b = 0; b < n_blocks; b++) {
        for (size_t lane = 0; lane < outputs; lane++) {
            pack_block(type, data + lane * row_bytes, b, lane, panel + codes_at(f, b));
            pack_scales(type, data + lane * row_bytes, b, lane, panel);
        }
    }
}

typedef void pack_function(const uint8_t *data, size_t row_bytes, size_t outputs, size_t n_blocks,
                           uint8_t *panel);

#define PACK_OF(type)                                                                              \
    static void pack_##type(const uint8_t *data, size_t row_bytes, size_t outputs,                 \
                            size_t n_blocks, uint8_t *panel)                                       \
    {                                                                                              \
        pack_panel(TYPE_##type, data, row_bytes, outputs, n_blocks, panel);                        \
    }
FOR_QUANT_TYPES(PACK_OF)
#define PACK_ENTRY(type) [TYPE_##type] = pack_##type,
static pack_function *const pack_by_type[TYPE_COUNT] = {FOR_QUANT_TYPES(PACK_ENTRY)};

void quant_pack(enum tensor_type type, const uint8_t *data, size_t row_bytes, size_t rows,
                size_t cols, uint8_t *packed)
{
    size_t n_blocks = cols / QUANT_BLOCK, bytes = panel_bytes(&panel_formats[type], n_blocks);
    for (size_t first = 0; first < rows; first += PANEL_OUTPUTS, packed += bytes)
        pack_by_type[type](data + first * row_bytes, row_bytes,
                           size_min(rows - first, PANEL_OUTPUTS), n_blocks, packed);
}
