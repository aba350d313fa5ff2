/* A model as the trainer sees it: a differentiable forward pass over packed examples.
 *
 * One code path for both families: q, k, v and gate, up are single matrices (Qwen2's separate
 * tensors lie one after the other). Either everything is trained, or, with LoRA, adapters on a
 * frozen base that stays as it is stored.
 *
 *     network_create(&options, &network, &err);
 *     network_initialise(network, seed);               or network_load(network, weights)
 *     nll = network_train(network, &batch, 1.0 / n_targets);   adds to parameters.gradients
 */
#ifndef TANDEM_TRAIN_NETWORK_H
#define TANDEM_TRAIN_NETWORK_H

#include "formats/hyperparameters.h"
#include "model/weights.h"
#include "train/attention.h"
#include "train/linear.h"
#include "train/ops.h"
#include "train/parameters.h"

/* The linear maps of a layer that can carry adapters, as bits; by PEFT's names of modules. */
enum lora_target {
    LORA_Q = 1,
    LORA_K = 2,
    LORA_V = 4,
    LORA_O = 8,
    LORA_GATE = 16,
    LORA_UP = 32,
    LORA_DOWN = 64,
    LORA_QKV = 128, /* Phi-3's fused maps */
    LORA_GATE_UP = 256,
};
/* "q_proj", ...; the bit, or 0 if a model of that family has no such module. */
unsigned lora_target_parse(enum family family, const char *name, size_t length);
/* The names of the family's modules, NULL-terminated, and all their bits. */
const char *const *lora_target_names(enum family family);
unsigned lora_all_targets(enum family family);

struct lora_options {
    size_t rank;
    double alpha; /* adapters are scaled by alpha / rank */
    unsigned targets;
};

struct network_options {
    const struct hyperparameters *shape;
    struct thread_pool *pool;        /* not owned; may be NULL */
    const char *isa;                 /* NULL: TANDEM_ISA or the best */
    bool bf16;                       /* products in BF16 with F32 sums */
    size_t max_rows;                 /* most rows in one batch */
    const struct lora_options *lora; /* NULL: train everything */
    const struct weights *base;      /* with lora: the frozen base; must outlive the network */
    const struct kernels *kernels;   /* with base: to read it */
};

/* Examples one after the other; attention stays within an example, positions start at 0. */
struct batch {
    size_t n_rows, n_examples;
    const int32_t *tokens;  /* [n_rows] */
    const int32_t *targets; /* [n_rows] the next token; NOT_LEARNED where none is */
    const size_t *starts;   /* [n_examples + 1] */
};
enum { NOT_LEARNED = -1 };

struct network;

enum status network_create(const struct network_options *options, struct network **network,
                           struct error *err);
void network_free(struct network *network);
struct parameters *network_parameters(struct network *network);
const struct gemm *network_gemm(const struct network *network);
/* Bytes of parameters, gradients, activations and scratch. */
size_t network_bytes(const struct network *network);

/* Random weights; with LoRA, A random and B zero, so that training starts from the base. */
void network_initialise(struct network *network, uint64_t seed);
/* Full training: copies the weights of a checkpoint of the same shape. */
void network_load(struct network *network, const struct weights *weights,
                  const struct kernels *kernels);

/* Sum over the learned rows of -log p(target). Tokens and targets must be in the vocabulary, and
 * rows at most max_rows. */
double network_evaluate(struct network *network, const struct batch *batch);
/* The same, and adds the gradient of factor * sum to parameters.gradients. */
double network_train(struct network *network, const struct batch *batch, double factor);

#endif
