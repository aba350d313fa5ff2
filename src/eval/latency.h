/* The fifth dimension, "latency and resources": measured, not asked.
 *
 * Each quantity is scored 0 to 10 on a logarithmic scale between two stated anchors, so that
 * twice as fast is worth the same number of points anywhere; the score is their weighted mean.
 * The anchors are absolute: a model's score does not depend on what it is compared with.
 */
#ifndef TANDEM_EVAL_LATENCY_H
#define TANDEM_EVAL_LATENCY_H

#include <stddef.h>

/* Values that are 0 were not measured and score 0. */
struct latency {
    double first_token_seconds; /* median over the items */
    double generation_rate;     /* tokens per second, median over the items */
    double prompt_rate;         /* tokens per second, median over the items */
    double ready_seconds;       /* opening the model and its first token: load and warm-up */
    size_t peak_bytes;          /* resident peak of the model's process */
};

enum latency_part {
    LATENCY_FIRST_TOKEN,
    LATENCY_GENERATION,
    LATENCY_PROMPT,
    LATENCY_READY,
    LATENCY_MEMORY,
    N_LATENCY_PARTS,
};

struct latency_scale {
    const char *name, *unit;
    double worst, best; /* the anchors: score 0 and 10, in `unit` */
    double weight;      /* all together: 1 */
};
extern const struct latency_scale latency_parts[N_LATENCY_PARTS];

/* 0 to 10. */
double latency_part_score(enum latency_part part, const struct latency *latency);
double latency_score(const struct latency *latency);
/* The value in the part's unit. */
double latency_value(enum latency_part part, const struct latency *latency);

#endif
