/* What is inside of a constraint, for the engine. */
#ifndef TANDEM_ENGINE_CONSTRAINT_GRAMMAR_H
#define TANDEM_ENGINE_CONSTRAINT_GRAMMAR_H

#include "engine/constraint.h"
#include "engine/grammar.h"
#include "engine/trigger.h"

#include <stdatomic.h>

struct constraint {
    atomic_size_t references;
    struct grammar grammar; /* of the answer, or of each text that begins with the trigger */
    struct trigger trigger; /* of length 0: none */
    size_t max_documents;   /* with a trigger: so many texts that begin with it; 0: no bound */
};

#endif
