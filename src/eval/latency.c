#include "eval/latency.h"

#include <math.h>

const struct latency_scale latency_parts[N_LATENCY_PARTS] = {
    [LATENCY_FIRST_TOKEN] = {"first_token", "s", 10, 0.1, 0.25},
    [LATENCY_GENERATION] = {"generation", "tokens/s", 1, 100, 0.35},
    [LATENCY_PROMPT] = {"prompt", "tokens/s", 10, 10000, 0.10},
    [LATENCY_READY] = {"ready", "s", 60, 0.5, 0.10},
    [LATENCY_MEMORY] = {"peak_memory", "GiB", 32, 0.5, 0.20},
};

double latency_value(enum latency_part part, const struct latency *latency)
{
    switch (part) {
    case LATENCY_FIRST_TOKEN:
        return latency->first_token_seconds;
    case LATENCY_GENERATION:
        return latency->generation_rate;
    case LATENCY_PROMPT:
        return latency->prompt_rate;
    case LATENCY_READY:
        return latency->ready_seconds;
    case LATENCY_MEMORY:
        return (double)latency->peak_bytes / (double)((size_t)1 << 30);
    case N_LATENCY_PARTS:
        break;
    }
    return 0;
}

double latency_part_score(enum latency_part part, const struct latency *latency)
{
    const struct latency_scale *scale = &latency_parts[part];
    double value = latency_value(part, latency);
    if (!(value > 0))
        return 0;
    double score = 10 * log(value / scale->worst) / log(scale->best / scale->worst);
    return score < 0 ? 0 : score > 10 ? 10 : score;
}

double latency_score(const struct latency *latency)
{
    double sum = 0;
    for (size_t i = 0; i < N_LATENCY_PARTS; i++)
        sum += latency_parts[i].weight * latency_part_score((enum latency_part)i, latency);
    return sum;
}
