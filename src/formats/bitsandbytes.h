/* Checkpoints that bitsandbytes quantized, as transformers stores them in safetensors files.
 *
 * A 4-bit weight X.weight is a tensor of bytes, two codes to each, over the flattened matrix, with
 *
 *     X.weight.absmax                          F32 [blocks]; U8 where scales are quantized too
 *     X.weight.quant_map                       F32 [16] the codes' values
 *     X.weight.nested_absmax                   F32 [blocks / 256], only with double quantization
 *     X.weight.nested_quant_map                F32 [256], likewise
 *     X.weight.quant_state.bitsandbytes__nf4   U8: JSON with shape, blocksize, nested_offset ...
 *
 * An 8-bit one is I8 [rows, cols] with X.SCB, F32 [rows], and perhaps X.weight_format, U8.
 *
 * Scales and codes are put together in memory when a checkpoint is opened, as blocks of TYPE_NF4,
 * TYPE_FP4 and TYPE_INT8; matrices whose rows are no whole number of such blocks become F32. */
#ifndef TANDEM_FORMATS_BITSANDBYTES_H
#define TANDEM_FORMATS_BITSANDBYTES_H

#include "formats/internal.h"

struct bnb_quant_state {
    bool is_fp4;
    size_t rows, cols, blocksize;
    bool is_nested; /* scales are quantized too */
    size_t nested_blocksize;
    float nested_offset;
};

/* data: the JSON of a quant_state tensor; `name`: its place, for messages. */
enum status bnb_quant_state_read(const char *name, const char *data, size_t size,
                                 struct bnb_quant_state *state, struct error *err);

/* Whether config.json, which hf_config_read() let pass, declares such a checkpoint; `name` is the
 * file. */
enum status bnb_config_read(const char *name, const json_t *config, bool *is_bnb,
                            struct error *err);

/* All tensors of the files, before they are put together. */
struct bnb_parts {
    struct bnb_part {
        struct tensor tensor; /* type may be SAFETENSORS_U8 or SAFETENSORS_I8 */
        bool is_used;
    } * items;
    size_t count, capacity;
    bool is_sorted;
};
/* A copy; the name must live as long as the checkpoint. */
enum status bnb_parts_add(struct bnb_parts *parts, const struct tensor *tensor, struct error *err);
const struct tensor *bnb_parts_find(struct bnb_parts *parts, const char *name);
void bnb_parts_free(struct bnb_parts *parts);

/* Adds the checkpoint's weights, put together. The error names the tensor and what it should be. */
enum status bnb_assemble(struct checkpoint *cp, struct bnb_parts *parts, struct error *err);

#endif
