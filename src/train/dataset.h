/* Training data: JSON lines, rendered and tokenized once, held in memory.
 *
 * A line is {"messages": [...], "tools": [...]} (tools may be absent), rendered through the
 * model's own chat template; or {"ids": [...], "labels": [...]}, already tokenized, with -100
 * where nothing is learned (labels[i] stands for ids[i]; absent: everything is learned).
 *
 * What is learned are the assistant's answers with the token that ends them. The text is cut
 * before every answer, at the place where generation would start (the rendering of the messages
 * before it with add_generation_prompt), and each piece is tokenized by itself: so a prompt has
 * the ids that it has in inference, whatever the answer begins with. An answer ends with the
 * first end-of-sequence token behind its content. Templates that change earlier messages when
 * later ones are added cannot be cut so; their examples are refused with the line's number.
 */
#ifndef TANDEM_TRAIN_DATASET_H
#define TANDEM_TRAIN_DATASET_H

#include "base/rng.h"
#include "text/chat.h"
#include "text/tokenizer.h"

struct dataset_options {
    const struct tokenizer *tokenizer; /* NULL: only lines with "ids" */
    const struct chat_template *chat;
    const int32_t *end_ids; /* tokens that end an answer */
    size_t n_end_ids;
    size_t vocab_size;
    size_t max_rows; /* longer examples are left out and counted */
};

/* Rows of all examples, one after the other: a row is a token and the one to predict. */
struct dataset {
    const char *name;
    int32_t *tokens, *targets; /* [n_rows]; NOT_LEARNED where nothing is */
    size_t n_rows, capacity;
    size_t *starts; /* [n_examples + 1] */
    size_t n_examples, starts_capacity;
    size_t n_learned;           /* rows with a target */
    size_t n_too_long, longest; /* left out, and the longest of all */
    size_t n_empty;             /* left out because nothing in them is learned */
};

enum status dataset_load(const char *path, const struct dataset_options *options,
                         struct dataset *dataset, struct error *err);
void dataset_free(struct dataset *dataset);

/* An endless stream of examples: every epoch in another order, fixed by the seed. `position`
 * counts examples and is all its state. */
struct data_order {
    const struct dataset *dataset;
    uint64_t seed;
    size_t position;
    size_t *order; /* [n_examples] of the epoch that is set up */
    size_t epoch;
};
enum status data_order_create(const struct dataset *dataset, uint64_t seed, size_t position,
                              struct data_order *order, struct error *err);
void data_order_free(struct data_order *order);
/* The example at the position, without moving on. */
size_t data_order_peek(const struct data_order *order);
void data_order_advance(struct data_order *order);

#endif
