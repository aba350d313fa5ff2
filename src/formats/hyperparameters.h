/* A model's shape and constants, from config.json or from GGUF metadata: one struct for both
 * families, in transformers' terms. Checked for sense when it is read: no zero where a division
 * follows, no product that overflows. */
#ifndef TANDEM_FORMATS_HYPERPARAMETERS_H
#define TANDEM_FORMATS_HYPERPARAMETERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum family {
    FAMILY_QWEN2, /* separate q/k/v with bias */
    FAMILY_PHI3,  /* fused qkv and gate_up, no bias */
};

enum rope_kind {
    ROPE_DEFAULT,
    ROPE_LINEAR,
    ROPE_YARN,
    ROPE_LONGROPE,
};

enum { MAX_ROTARY_PAIRS = 256 };

struct rope_parameters {
    enum rope_kind kind;
    double theta;
    size_t rotary_dim;           /* even, at most head_dim and 2 * MAX_ROTARY_PAIRS */
    double factor;               /* linear, yarn: > 0. longrope: context / original_context */
    size_t original_context;     /* yarn, longrope */
    double beta_fast, beta_slow; /* yarn */
    double attention_factor;     /* yarn, longrope; 0: derive as transformers does */
    double short_factor[MAX_ROTARY_PAIRS], long_factor[MAX_ROTARY_PAIRS]; /* longrope */
};

struct hyperparameters {
    enum family family;
    size_t dim, ffn_dim, n_layers, n_heads, n_kv_heads, head_dim, vocab_size;
    size_t context_length;     /* max_position_embeddings */
    size_t sliding_window;     /* 0: none. A row sees the last `sliding_window` positions,
                                  itself included */
    size_t first_window_layer; /* layers below this one attend to everything */
    double rms_norm_eps;
    bool tied_embeddings; /* lm_head is the embedding */
    struct rope_parameters rope;
};

enum { MAX_EOS_IDS = 16 };

/* generation_config.json with config.json's ids as fallback; for GGUF, from the metadata.
 * Sampling fields carry transformers' meaning; `has_*` tells what the checkpoint itself says. */
struct generation_defaults {
    bool do_sample;
    double temperature, top_p, min_p, repetition_penalty; /* 1, 1, 0, 1 when absent */
    int64_t top_k;          /* 50 when absent, as transformers has it */
    int64_t max_new_tokens; /* 0 when absent */
    int32_t eos_ids[MAX_EOS_IDS];
    size_t n_eos_ids;
    int32_t bos_id, pad_id; /* VOCAB_NO_ID when absent */
};

#endif
