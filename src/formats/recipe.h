/* Recipes: which type each matrix of a quantized checkpoint gets.
 *
 * Plain recipes ("Q4_0", "F16") use one type for all; the mixtures ("Q4_K_M", "Q5_K_M") follow
 * llama.cpp's: the output matrix and the more sensitive half of attn_v and ffn_down get Q6_K. Rows
 * that are not a multiple of 256 long fall back from Q4_K, Q5_K and Q6_K to Q5_0, Q5_1 and Q8_0.
 *
 * bitsandbytes' ("NF4", "NF4-DQ", "FP4", "INT8") quantize the linear maps of the layers alone, as
 * transformers does: embedding and output matrix stay as they are. "-DQ" is double quantization,
 * of the blocks' scales. They are written as folders, the others as GGUF files. */
#ifndef TANDEM_FORMATS_RECIPE_H
#define TANDEM_FORMATS_RECIPE_H

#include "formats/checkpoint.h"

#include <stdbool.h>

struct recipe {
    const char *name;
    enum tensor_type base;      /* of most matrices */
    enum tensor_type fused_qkv; /* of Phi-3's fused attention matrix */
    bool is_mixture;            /* sensitive matrices get Q6_K */
    bool doubly;                /* scales are quantized as well */
    unsigned char file_type;    /* GGUF's number for it */
};

/* By name, in any case of letters; NULL if there is none. */
const struct recipe *recipe_find(const char *name);
/* "F32, F16, ..." for messages. */
const char *recipe_names(void);
/* Whether it makes a folder for transformers rather than a GGUF file. */
bool recipe_is_folder(const struct recipe *recipe);
/* The type that a matrix gets. */
enum tensor_type recipe_type(const struct recipe *recipe, const struct hyperparameters *shape,
                             const struct tensor *tensor);

#endif
