/* A vocabulary as a checkpoint holds it: plain data, not yet a tokenizer.
 *
 * `formats` fills it in, `text` makes a tokenizer and a chat template from it; so neither knows
 * the other. Everything here lives as long as whatever filled it in says; nothing is owned.
 */
#ifndef TANDEM_BASE_VOCAB_SOURCE_H
#define TANDEM_BASE_VOCAB_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text_span {
    const char *data; /* not NUL-terminated; NULL when absent */
    size_t length;
};

enum { VOCAB_NO_ID = -1 };

struct vocab_source {
    const char *name; /* file or folder, for messages */

    /* Hugging Face: documents as they are on disk. tokenizer_json, or vocab_json + merges_txt. */
    struct text_span tokenizer_json, tokenizer_config_json, vocab_json, merges_txt;
    struct text_span special_tokens_map_json, added_tokens_json;
    struct text_span chat_template_jinja; /* the newer separate file */

    /* GGUF: tokenizer.ggml.*; n_tokens is 0 for Hugging Face. */
    size_t n_tokens, n_merges;
    const struct text_span *tokens;         /* [n_tokens] */
    const float *scores;                    /* [n_tokens] or NULL */
    const int32_t *types;                   /* [n_tokens] or NULL: 1 normal, 2 unknown, 3 control,
                                               4 user-defined, 5 unused, 6 byte */
    const struct text_span *merges;         /* [n_merges] "left right" */
    struct text_span model, pre;            /* "gpt2" or "llama"; "qwen2", "default", ... */
    int32_t bos_id, eos_id, unk_id, pad_id; /* VOCAB_NO_ID when absent */
    bool has_add_bos, add_bos, has_add_eos, add_eos, has_space_prefix, add_space_prefix;
    bool remove_extra_whitespaces;
    struct text_span chat_template;
};

#endif
