/* A vocabulary as a trie over the bytes of its tokens: what walking a grammar through all tokens
 * at once stands on. Immutable once made.
 *
 * Nodes are in preorder: a node's first child is the next node, and `end` skips what is below it.
 * Left out are special tokens, tokens without bytes and those longer than TOKEN_TRIE_DEPTH.
 */
#ifndef TANDEM_ENGINE_TOKEN_TRIE_H
#define TANDEM_ENGINE_TOKEN_TRIE_H

#include "base/error.h"
#include "text/tokenizer.h"

#include <stddef.h>
#include <stdint.h>

enum { TOKEN_TRIE_DEPTH = 255 };

struct trie_node {
    uint32_t end;   /* the first node that is not below this one */
    uint32_t first; /* its tokens: tokens[first] up to the next node's first */
    uint32_t parent;
    uint8_t byte, depth; /* the root has depth 0 */
};

struct token_trie {
    struct trie_node *nodes; /* [n_nodes + 1]; the last one only ends the one before */
    size_t n_nodes;
    int32_t *tokens; /* [n_tokens] */
    size_t n_tokens;
    size_t n_ids; /* ids are below this: bits of a mask */
    const struct tokenizer *tokenizer;
};

/* Ids from `n_ids` on are left out. The tokenizer must outlive the trie. */
enum status token_trie_create(const struct tokenizer *tokenizer, size_t n_ids,
                              struct token_trie **trie, struct error *err);
void token_trie_free(struct token_trie *trie);

#endif
