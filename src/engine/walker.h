/* How far an answer has come in a grammar: which positions its bytes so far may be at.
 *
 * A position is a state in a leaf's DFA and a stack of frames, where the callers go on when the
 * leaf is done. Where a grammar is ambiguous there are several positions; each is followed by
 * itself. Frames are shared and immutable, so that a step back is free: that is how a trie of
 * tokens is walked.
 *
 * Everything is bounded. What exceeds a bound is dropped, which takes possible continuations away
 * and never lets a wrong one through.
 */
#ifndef TANDEM_ENGINE_WALKER_H
#define TANDEM_ENGINE_WALKER_H

#include "base/strbuf.h"
#include "engine/grammar.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { POSITION_LIMIT = 512, FRAME_LIMIT = 1 << 16, NO_FRAME = 0, FRAME_BUCKETS = 1 << 10 };

struct frame {
    uint32_t parent;
    uint32_t target;             /* the grammar state to go on at; of a key: unused */
    uint32_t key_start, key_end; /* of a key that its object has already: where in the text */
    uint32_t chain;              /* the next one in the bucket */
    uint16_t depth;
    bool is_key;
};

struct position {
    uint32_t leaf, state;
    uint32_t count; /* LEAF_COUNTED: characters so far; LEAF_KEY: where in the text it began */
    uint32_t frame;
};

/* positions[begin .. end) of a walker; may_end: the text may be complete. */
struct position_set {
    size_t begin, end;
    bool may_end;
};

struct walker {
    const struct grammar *grammar;
    struct frame *frames; /* [n_frames]; frame 0 is the bottom */
    size_t n_frames, frame_capacity;
    uint32_t buckets[FRAME_BUCKETS];
    uint32_t *renumbered; /* [frame_capacity] */
    size_t renumbered_capacity;
    struct position *positions; /* a stack of sets; the lowest is `now` */
    size_t n_positions, position_capacity;
    struct position_set now;
    struct strbuf text; /* what was accepted, and while looking ahead what is tried */
    bool out_of_memory;
    size_t steps; /* of positions by a byte: what looking ahead costs */
};

/* At the beginning of the grammar's root. */
enum status walker_init(struct walker *w, const struct grammar *grammar, struct error *err);
/* Back to the beginning. */
enum status walker_restart(struct walker *w, struct error *err);
void walker_free(struct walker *w);
/* Takes bytes of the answer. STATUS_INVALID if they are not permitted here (and then nothing
 * changes but the positions, which are gone). */
enum status walker_accept(struct walker *w, const char *bytes, size_t length, struct error *err);

/* --- Looking ahead --- */

/* What to go back to. */
struct walker_mark {
    size_t n_frames, n_positions, text_length;
};
struct walker_mark walker_mark(const struct walker *w);
void walker_reset(struct walker *w, struct walker_mark mark);
/* The positions behind one more byte, pushed on top; the byte is appended to the text. */
struct position_set walker_step(struct walker *w, struct position_set set, uint8_t byte);
/* The positions behind the leaf, which is complete at this position; pushed on top. Keys are told
 * apart by the text, which must be there. */
struct position_set walker_complete(struct walker *w, struct position position);
/* The bounds of a LEAF_COUNTED when a byte leads from `from` to `to`; false where they forbid it.
 */
bool leaf_count(const struct leaf *leaf, uint32_t from, uint32_t to, uint32_t *count);

/* One byte inside of a leaf; false where the leaf has no such way. */
static inline bool leaf_step(const struct leaf *leaf, uint32_t *state, uint32_t *count,
                             uint8_t byte)
{
    uint32_t from = *state;
    *state = dfa_next(&leaf->dfa, from, byte);
    return *state != DFA_DEAD &&
           (leaf->kind != LEAF_COUNTED || leaf_count(leaf, from, *state, count));
}

#endif
