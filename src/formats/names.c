#include "formats/names.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *gguf, *hf;
} global_names[] = {
    {"token_embd.weight", "model.embed_tokens.weight"},
    {"output_norm.weight", "model.norm.weight"},
    {"output.weight", "lm_head.weight"},
};

/* Behind "blk.N." and "model.layers.N.". Each has a weight and may have a bias. */
static const struct layer_name {
    const char *gguf, *hf;
} layer_names[] = {
    {"attn_norm", "input_layernorm"},    {"ffn_norm", "post_attention_layernorm"},
    {"attn_q", "self_attn.q_proj"},      {"attn_k", "self_attn.k_proj"},
    {"attn_v", "self_attn.v_proj"},      {"attn_qkv", "self_attn.qkv_proj"},
    {"attn_output", "self_attn.o_proj"}, {"ffn_gate", "mlp.gate_proj"},
    {"ffn_down", "mlp.down_proj"},
};
/* The one name that means different things in the two families. */
static const struct layer_name up_names[] = {
    [FAMILY_QWEN2] = {"ffn_up", "mlp.up_proj"},
    [FAMILY_PHI3] = {"ffn_up", "mlp.gate_up_proj"},
};

enum {
    N_GLOBAL = sizeof global_names / sizeof *global_names,
    N_LAYER = sizeof layer_names / sizeof *layer_names
};

/* "blk.12.attn_q.bias" with prefix "blk." -> 12, "attn_q", "bias". */
static bool split_name(const char *name, const char *prefix, unsigned *layer, char middle[64],
                       const char **suffix)
{
    size_t n = strlen(prefix);
    int used = 0;
    if (strncmp(name, prefix, n) || name[n] < '0' || name[n] > '9' ||
        sscanf(name + n, "%5u.%n", layer, &used) != 1 || used == 0)
        return false;
    const char *rest = name + n + used, *dot = strrchr(rest, '.');
    if (!dot || dot - rest >= 64 || (strcmp(dot, ".weight") && strcmp(dot, ".bias")))
        return false;
    memcpy(middle, rest, (size_t)(dot - rest));
    middle[dot - rest] = 0;
    *suffix = dot + 1;
    return true;
}

bool names_from_gguf(enum family family, struct text_span name, char out[MAX_TENSOR_NAME + 1])
{
    char text[MAX_TENSOR_NAME + 1], middle[64];
    const char *suffix;
    unsigned layer;
    if (name.length > MAX_TENSOR_NAME)
        return false;
    memcpy(text, name.data, name.length);
    text[name.length] = 0;
    for (int i = 0; i < N_GLOBAL; i++)
        if (!strcmp(text, global_names[i].gguf)) {
            strcpy(out, global_names[i].hf);
            return true;
        }
    if (!split_name(text, "blk.", &layer, middle, &suffix))
        return false;
    const char *hf = !strcmp(middle, "ffn_up") ? up_names[family].hf : NULL;
    for (int i = 0; i < N_LAYER && !hf; i++)
        if (!strcmp(middle, layer_names[i].gguf))
            hf = layer_names[i].hf;
    if (hf)
        snprintf(out, MAX_TENSOR_NAME + 1, "model.layers.%u.%s.%s", layer, hf, suffix);
    return hf;
}

static const char *gguf_layer_name(enum family family, const char *hf)
{
    if (!strcmp(hf, up_names[family].hf))
        return up_names[family].gguf;
    for (int i = 0; i < N_LAYER; i++)
        if (!strcmp(hf, layer_names[i].hf))
            return layer_names[i].gguf;
    return NULL;
}

bool names_to_gguf(enum family family, const char *name, char out[MAX_TENSOR_NAME + 1])
{
    char middle[64];
    const char *suffix;
    unsigned layer;
    for (int i = 0; i < N_GLOBAL; i++)
        if (!strcmp(name, global_names[i].hf)) {
            strcpy(out, global_names[i].gguf);
            return true;
        }
    if (!split_name(name, "model.layers.", &layer, middle, &suffix))
        return false;
    const char *gguf = gguf_layer_name(family, middle);
    if (gguf)
        snprintf(out, MAX_TENSOR_NAME + 1, "blk.%u.%s.%s", layer, gguf, suffix);
    return gguf;
}

bool names_is_weight(const char *name)
{
    char ignored[MAX_TENSOR_NAME + 1];
    return names_to_gguf(FAMILY_QWEN2, name, ignored) || names_to_gguf(FAMILY_PHI3, name, ignored);
}
