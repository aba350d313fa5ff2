#include "formats/recipe.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct recipe recipes[] = {
    {"F32", TYPE_F32, TYPE_F32, .file_type = 0},
    {"F16", TYPE_F16, TYPE_F16, .file_type = 1},
    {"BF16", TYPE_BF16, TYPE_BF16, .file_type = 32},
    {"Q8_0", TYPE_Q8_0, TYPE_Q8_0, .file_type = 7},
    {"Q4_0", TYPE_Q4_0, TYPE_Q4_0, .file_type = 2},
    {"Q4_1", TYPE_Q4_1, TYPE_Q4_1, .file_type = 3},
    {"Q5_0", TYPE_Q5_0, TYPE_Q5_0, .file_type = 8},
    {"Q5_1", TYPE_Q5_1, TYPE_Q5_1, .file_type = 9},
    {"Q4_K_M", TYPE_Q4_K, TYPE_Q5_K, .is_mixture = true, .file_type = 15},
    {"Q5_K_M", TYPE_Q5_K, TYPE_Q6_K, .is_mixture = true, .file_type = 17},
    {"Q6_K", TYPE_Q6_K, TYPE_Q6_K, .file_type = 18},
    {"NF4", TYPE_NF4, TYPE_NF4},
    {"NF4-DQ", TYPE_NF4, TYPE_NF4, .doubly = true},
    {"FP4", TYPE_FP4, TYPE_FP4},
    {"INT8", TYPE_INT8, TYPE_INT8},
};
enum { N_RECIPES = sizeof recipes / sizeof recipes[0] };

const struct recipe *recipe_find(const char *name)
{
    for (size_t i = 0; i < N_RECIPES; i++)
        if (!strcasecmp(recipes[i].name, name))
            return &recipes[i];
    return NULL;
}

const char *recipe_names(void)
{
    return "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K_M, Q5_K_M, Q6_K, "
           "NF4, NF4-DQ, FP4, INT8";
}

bool recipe_is_folder(const struct recipe *recipe)
{
    return recipe->base == TYPE_NF4 || recipe->base == TYPE_FP4 || recipe->base == TYPE_INT8;
}

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n >= m && !strcmp(name + n - m, end);
}

/* The first and the last eighth of the layers, and every third between. */
static bool is_sensitive_layer(const char *name, size_t n_layers)
{
    size_t layer;
    if (sscanf(name, "model.layers.%zu.", &layer) != 1)
        return false;
    return layer < n_layers / 8 || layer >= 7 * n_layers / 8 || (layer - n_layers / 8) % 3 == 2;
}

static enum tensor_type mixture_type(const struct recipe *recipe,
                                     const struct hyperparameters *shape, const char *name)
{
    if (!strcmp(name, "lm_head.weight") ||
        (shape->tied_embeddings && !strcmp(name, "model.embed_tokens.weight")))
        return TYPE_Q6_K;
    if (ends_with(name, "self_attn.qkv_proj.weight"))
        return recipe->fused_qkv;
    if ((ends_with(name, "self_attn.v_proj.weight") || ends_with(name, "mlp.down_proj.weight")) &&
        is_sensitive_layer(name, shape->n_layers))
        return TYPE_Q6_K;
    return recipe->base;
}

/* The nearest type whose blocks fit rows of n elements. */
static enum tensor_type fitting_type(enum tensor_type type, size_t n)
{
    if (n % tensor_type_info(type)->block_length == 0)
        return type;
    if (n % 32)
        return TYPE_F16;
    return type == TYPE_Q4_K ? TYPE_Q5_0 : type == TYPE_Q5_K ? TYPE_Q5_1 : TYPE_Q8_0;
}

/* What is not quantized, or has rows that blocks do not fit, stays a float. */
static enum tensor_type folder_type(const struct recipe *recipe, const struct tensor *tensor)
{
    size_t layer, cols = tensor->shape[tensor->n_dims - 1];
    bool is_linear = sscanf(tensor->name, "model.layers.%zu.", &layer) == 1 &&
                     ends_with(tensor->name, "_proj.weight");
    if (is_linear && cols % tensor_type_info(recipe->base)->block_length == 0)
        return recipe->base;
    return tensor->type <= TYPE_BF16 ? tensor->type : TYPE_BF16;
}

enum tensor_type recipe_type(const struct recipe *recipe, const struct hyperparameters *shape,
                             const struct tensor *tensor)
{
    if (recipe_is_folder(recipe))
        return folder_type(recipe, tensor);
    enum tensor_type type =
        recipe->is_mixture ? mixture_type(recipe, shape, tensor->name) : recipe->base;
    return fitting_type(type, tensor->shape[tensor->n_dims - 1]);
}
