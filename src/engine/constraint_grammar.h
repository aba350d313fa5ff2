/* What is inside of a constraint, for the engine. */
#ifndef TANDEM_ENGINE_CONSTRAINT_GRAMMAR_H
#define TANDEM_ENGINE_CONSTRAINT_GRAMMAR_H

#include "engine/constraint.h"
#include "engine/grammar.h"

#include <stdatomic.h>

struct constraint {
    atomic_size_t references;
    uint64_t id; /* no other constraint of this process has it */
    struct grammar grammar;
};

#endif
