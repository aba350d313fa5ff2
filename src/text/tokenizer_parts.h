/* What a tokenizer is made of, for the files that build and run one. Use tokenizer.h. */
#ifndef TANDEM_TEXT_TOKENIZER_PARTS_H
#define TANDEM_TEXT_TOKENIZER_PARTS_H

#include "base/error.h"
#include "base/json.h"
#include "base/vocab_source.h"
#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/decoder.h"
#include "text/normalizer.h"
#include "text/pretokenizer.h"
#include "text/token_table.h"
#include "text/tokenizer.h"

#include <stdbool.h>

struct tokenizer {
    struct token_table tokens;
    struct bpe bpe;
    struct normalizer normalizer;
    struct pretokenizer pretokenizer;
    struct added_tokens added;
    struct decoder decoder;
    struct token_list prefix, suffix; /* what TOKENIZER_ADD_SPECIAL puts around the text */
    bool plain_specials;              /* split_special_tokens: specials in text are text */
    int32_t bos, eos, pad, unk;
    struct strbuf bytes;    /* of all tokens, one behind the other */
    uint32_t *byte_offsets; /* [tokens.size + 1] */
};

/* Everything but the BPE model, from an object like tokenizer.json: "normalizer",
 * "pre_tokenizer", "decoder". */
enum status tokenizer_read_components(struct tokenizer *tk, const json_t *root, struct error *err);
/* Builders. Each fills in an empty tokenizer up to, not including, added_tokens_finish. */
enum status tokenizer_load_json(struct tokenizer *tk, const struct vocab_source *source,
                                struct error *err);
enum status tokenizer_load_vocab_merges(struct tokenizer *tk, const struct vocab_source *source,
                                        struct error *err);
enum status tokenizer_load_gguf(struct tokenizer *tk, const struct vocab_source *source,
                                struct error *err);

/* tokenizer_config.json and its companions, for Hugging Face's folders. */
enum status tokenizer_apply_config(struct tokenizer *tk, const struct vocab_source *source,
                                   const json_t *config, struct error *err);
/* "add_bos_token" and "add_eos_token" and defaults of the class; replaces prefix and suffix where
 * they are in force. */
enum status tokenizer_apply_post_processor(struct tokenizer *tk, const json_t *post_processor,
                                           struct error *err);

/* Reads one added token, as tokenizer.json and added_tokens_decoder write them. */
enum status tokenizer_add_json_token(struct tokenizer *tk, int64_t id, const json_t *token,
                                     struct error *err);

/* Merges as they are read: pairs of strings, in the order of their ranks. */
struct merge_list {
    struct bpe_merge *items;
    size_t count, capacity;
};
enum status merge_list_add(struct merge_list *merges, const struct token_table *tokens,
                           const char *left, size_t left_length, const char *right,
                           size_t right_length, struct error *err);
/* "left right", as merges.txt and GGUF write them. */
enum status merge_list_add_line(struct merge_list *merges, const struct token_table *tokens,
                                const char *line, size_t length, struct error *err);
/* Sets up tk->bpe with these merges; all tokens of the model must be there. */
enum status tokenizer_set_merges(struct tokenizer *tk, const struct merge_list *merges,
                                 struct error *err);

/* A vocabulary of a GGUF file, read into tokens, added tokens and special ids; the rest of it, for
 * a tokenizer or a tokenizer.json. gguf_parts_free() also after an error. */
struct gguf_parts {
    bool sentencepiece;
    struct merge_list merges;
    json_t *components; /* for tokenizer_read_components() */
};
enum status tokenizer_read_gguf(struct tokenizer *tk, const struct vocab_source *source,
                                struct gguf_parts *parts, struct error *err);
void gguf_parts_free(struct gguf_parts *parts);

/* The regular expressions that byte-level models are known by. */
extern const char split_pattern_qwen2[];
extern const char split_pattern_gpt2[];
/* Components of a byte-level model that splits by `n` patterns in turn. New reference; NULL when
 * out of memory. */
json_t *byte_level_components(bool nfc, const char *const *patterns, size_t n);

#endif
