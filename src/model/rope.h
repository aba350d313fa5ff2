/* Rotary position embedding: frequencies of every kind that the two families use. */
#ifndef TANDEM_MODEL_ROPE_H
#define TANDEM_MODEL_ROPE_H

#include "formats/hyperparameters.h"

/* inv_freq: [rotary_dim / 2] radians per position. *scale multiplies cosines and sines (yarn's
 * and longrope's attention factor). is_long picks longrope's factors; ignored otherwise.
 * Formulae: transformers' modeling_rope_utils (default, linear, yarn, longrope). */
void rope_frequencies(const struct rope_parameters *rope, bool is_long, double *inv_freq,
                      double *scale);

/* Cosines and sines of one position, [rotary_dim / 2] each. */
void rope_angles(const double *inv_freq, double scale, size_t half, int64_t position, float *cosine,
                 float *sine);

#endif
