/* A new vocabulary from text, written as a tokenizer that transformers and Tandem read.
 *
 * Two kinds, as the two families have them: byte-level BPE behind Qwen2's pre-tokenizer, with
 * Qwen2.5's special tokens; and SentencePiece-like BPE over characters with byte fallback, with
 * Phi-3's. Pieces never cross the places where Qwen2's pre-tokenizer cuts (words, single digits,
 * runs of punctuation or blanks), for both kinds.
 *
 *     vocabulary_create(FAMILY_QWEN2, &v, &err);
 *     vocabulary_add_file(v, "chats.jsonl", &err);          as often as wanted
 *     vocabulary_train(v, 4000, &err);
 *     vocabulary_write(v, template, length, "out", &err);
 */
#ifndef TANDEM_TRAIN_VOCABULARY_H
#define TANDEM_TRAIN_VOCABULARY_H

#include "base/error.h"
#include "formats/hyperparameters.h"

#include <stddef.h>
#include <stdint.h>

struct vocabulary;

enum status vocabulary_create(enum family family, struct vocabulary **vocabulary,
                              struct error *err);
void vocabulary_free(struct vocabulary *vocabulary);
/* Before any text: nothing is joined across the borders of runs of letters, and no two ideographs
 * are, so that a word or a name has the same pieces whatever stands beside it. Small models learn
 * to copy much earlier from such a vocabulary; texts become somewhat longer in tokens. */
enum status vocabulary_separate_words(struct vocabulary *vocabulary, struct error *err);
enum status vocabulary_add_text(struct vocabulary *v, const char *text, size_t length,
                                struct error *err);
/* .jsonl: the contents of "messages", or "text"; any other file: plain text, line by line. */
enum status vocabulary_add_file(struct vocabulary *v, const char *path, struct error *err);
/* `size`: ids in all, special tokens included. */
enum status vocabulary_train(struct vocabulary *v, size_t size, struct error *err);
/* Writes tokenizer.json, tokenizer_config.json and generation_config.json. chat_template may be
 * NULL. */
enum status vocabulary_write(const struct vocabulary *v, const char *chat_template,
                             const char *folder, struct error *err);

struct vocabulary_counts {
    size_t size, merges, special, words;
    uint64_t bytes; /* of text */
};
struct vocabulary_counts vocabulary_count(const struct vocabulary *v);

#endif
