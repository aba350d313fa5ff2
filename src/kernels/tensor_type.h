/* Element types of stored tensors: names, block sizes, bytes.
 *
 * Quantized types are blocks of consecutive elements of one row, laid out byte for byte as GGUF
 * stores them (little endian). A row is a whole number of blocks. The last three are
 * bitsandbytes' and in no GGUF file; files keep their scales apart, and the blocks are put
 * together when a checkpoint is opened (kernels/bitsandbytes.h).
 */
#ifndef TANDEM_KERNELS_TENSOR_TYPE_H
#define TANDEM_KERNELS_TENSOR_TYPE_H

#include <stdbool.h>
#include <stddef.h>

enum tensor_type {
    TYPE_F32,
    TYPE_F16,
    TYPE_BF16,
    TYPE_Q4_0,
    TYPE_Q4_1,
    TYPE_Q5_0,
    TYPE_Q5_1,
    TYPE_Q8_0,
    TYPE_Q2_K,
    TYPE_Q3_K,
    TYPE_Q4_K,
    TYPE_Q5_K,
    TYPE_Q6_K,
    TYPE_NF4,
    TYPE_FP4,
    TYPE_INT8,
    TYPE_COUNT,
};

struct tensor_type_info {
    const char *name;    /* "Q4_K" */
    size_t block_length; /* elements per block */
    size_t block_bytes;
};

const struct tensor_type_info *tensor_type_info(enum tensor_type type);
/* The type of that name, in any case of letters; false if there is none. */
bool tensor_type_parse(const char *name, enum tensor_type *type);
/* Bytes of `n` elements; false where n is not a whole number of blocks, or on overflow. */
bool tensor_type_bytes(enum tensor_type type, size_t n, size_t *bytes);

#endif
