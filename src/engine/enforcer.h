/* One answer under its constraint: what may be chosen next, and what was chosen.
 *
 * Where the constraint has a trigger, the text is free until the trigger stands in it, by whatever
 * tokens; what begins there is held to the grammar, and behind it the text is free again. While it
 * is free, a token costs a look at its bytes; there is a mask only where some token would complete
 * the trigger and go on in a way that the grammar does not have.
 */
#ifndef TANDEM_ENGINE_ENFORCER_H
#define TANDEM_ENGINE_ENFORCER_H

#include "engine/constraint_grammar.h"
#include "engine/token_mask.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct enforcer {
    struct constraint *constraint; /* NULL: anything goes, and nothing below is used */
    struct token_masker *masker;
    struct walker walker; /* while the text is free: behind the trigger */
    uint64_t *room;       /* for a mask */
    bool is_free;
    size_t matched;     /* while it is free: bytes of the trigger that the text ends in */
    size_t n_documents; /* that are complete, behind a trigger */
};

/* Takes a reference to the constraint. `room` [token_masker_words] and the masker must outlive the
 * enforcer. */
enum status enforcer_begin(struct enforcer *enforcer, struct constraint *constraint,
                           struct token_masker *masker, uint64_t *room, struct error *err);
void enforcer_free(struct enforcer *enforcer);
/* The tokens that may follow, end tokens aside; NULL: all. */
enum status enforcer_mask(struct enforcer *enforcer, uint64_t **mask, struct error *err);
/* Takes a token that may follow. */
enum status enforcer_accept(struct enforcer *enforcer, int32_t token, struct error *err);
/* Whether the answer may end here, and whether it must. */
bool enforcer_may_end(const struct enforcer *enforcer);
bool enforcer_must_end(const struct enforcer *enforcer);
/* Whether the token spells the trigger and is special: it counts as text, unlike others. */
bool enforcer_is_trigger(const struct enforcer *enforcer, int32_t token);

#endif
