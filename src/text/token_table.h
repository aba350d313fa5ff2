/* The tokens of a vocabulary: id to string, string to id.
 *
 * Strings are valid UTF-8 and lie in one arena; both directions are arrays that are sized once
 * where the number of tokens is known (token_table_reserve).
 */
#ifndef TANDEM_TEXT_TOKEN_TABLE_H
#define TANDEM_TEXT_TOKEN_TABLE_H

#include "base/error.h"
#include "base/memory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TOKEN_ID_LIMIT = 1 << 22,     /* ids are below this */
    TOKEN_LENGTH_LIMIT = 1 << 16, /* bytes of one token */
};

struct token_entry {
    const char *text; /* NUL-terminated; NULL where the id has no token */
    uint16_t length;
    bool in_model : 1; /* BPE may produce it; otherwise it is an added token only */
    bool special : 1;
    uint32_t added_plus_one; /* its place among the added tokens; 0: it is none */
};

struct token_slot {
    uint32_t hash, id_plus_one;
};

struct token_table {
    struct token_entry *entries; /* [size] */
    size_t size, capacity;
    struct token_slot *slots; /* [n_slots], a power of two */
    size_t n_slots, used;
    uint64_t seed;
    struct arena arena;
    char *free_text;
    size_t free_length;
};

void token_table_init(struct token_table *table);
void token_table_free(struct token_table *table);
/* Makes room for `count` tokens. */
enum status token_table_reserve(struct token_table *table, size_t count, struct error *err);
/* Gives `id` a token; broken UTF-8 is repaired. An id out of range or taken by another string is
 * an error. Where two ids have the same string, look-ups find the one that came first. */
enum status token_table_add(struct token_table *table, int64_t id, const char *text, size_t length,
                            struct error *err);
/* VOCAB_NO_ID when absent. */
int32_t token_table_find(const struct token_table *table, const char *text, size_t length);
/* The same among the tokens of the model alone. */
int32_t token_table_find_model(const struct token_table *table, const char *text, size_t length);
/* NULL for an id without a token. */
const struct token_entry *token_table_at(const struct token_table *table, int64_t id);
/* A copy in the table's arena with a NUL behind it; NULL when out of memory. */
const char *token_table_copy(struct token_table *table, const char *text, size_t length);

/* A number that differs from process to process, so that no file can aim at a hash table. */
uint64_t token_hash_seed(void);
uint64_t token_hash(const char *text, size_t length, uint64_t seed);

#endif
