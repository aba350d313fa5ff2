/* A model: bound weights and the one forward pass.
 *
 * model_forward() takes rows {token, position, sequence, wants_logits}. Prefill, decode, batches
 * of many sequences and scoring are the same call with different rows. Rows of one sequence come
 * in order of position and continue what its KV cache holds. The result for a row does not
 * depend on which other rows share the call, on how a prompt was cut into calls, or on the
 * number of threads: the same bits.
 *
 * One thread at a time may call model_forward() on a model.
 */
#ifndef TANDEM_MODEL_MODEL_H
#define TANDEM_MODEL_MODEL_H

#include "base/error.h"
#include "base/thread_pool.h"
#include "base/vocab_source.h"
#include "formats/hyperparameters.h"
#include "formats/peft.h"
#include "formats/recipe.h"
#include "model/kv_cache.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct model;

struct model_options {
    size_t n_threads;         /* 0: all CPUs */
    struct thread_pool *pool; /* another model's threads, used in turns; NULL: n_threads own ones */
    size_t max_rows;          /* most rows in one forward; 0: 512 */
    const char *isa;          /* NULL: TANDEM_ISA or the best */

    /* LoRA adapters, all of them added to the weights' outputs; read by model_open() only. */
    const struct adapter_choice *adapters;
    size_t n_adapters;
    /* Quantizes F32, F16 and BF16 weights while they are loaded; NULL: as they are stored. */
    const struct recipe *quantize;
};

struct row {
    int32_t token;
    int32_t position; /* in its sequence, from 0 */
    int32_t sequence;
    bool wants_logits;
    float *hidden; /* [dim] where not NULL: receives the state after the final norm */
};

/* Opens the checkpoint and binds every weight; the error names the tensor that is missing or of
 * the wrong shape or type, and the module of an adapter that does not fit. options NULL: defaults.
 */
enum status model_open(const char *path, const struct model_options *options, struct model **model,
                       struct error *err);
void model_close(struct model *model);

const struct hyperparameters *model_shape(const struct model *model);
const struct generation_defaults *model_generation(const struct model *model);
const struct vocab_source *model_vocab(const struct model *model);
const char *model_path(const struct model *model);
const char *
model_name(const struct model *model); /* with what was done: "qwen (NF4) + style=0.5" */
const char *model_weight_type(const struct model *model); /* "BF16", "Q4_K": of most weights */
const char *model_isa(const struct model *model);
size_t model_threads(const struct model *model);
struct thread_pool *model_pool(const struct model *model);
size_t model_max_rows(const struct model *model);
size_t model_file_count(const struct model *model); /* those of its adapters included */
const char *model_file(const struct model *model, size_t index, size_t *bytes);
size_t model_weight_bytes(const struct model *model);
size_t model_parameters(const struct model *model);
size_t model_scratch_bytes(const struct model *model);

/* What a pass costs at least, attention apart; for comparing speeds with the machine's limits. */
struct pass_cost {
    size_t weight_bytes;      /* read by a pass that wants logits */
    double row_operations;    /* two for each weight that a row meets before lm_head */
    double wanted_operations; /* of those, what only rows need that want something */
    double logits_operations; /* more, for a row that wants logits */
    bool integer;             /* most of them in integers */
};
struct pass_cost model_pass_cost(const struct model *model);
/* Bytes per second at which the model's threads read those weights and do nothing else, measured
 * now: the limit of passes with few rows. */
enum status model_reading_rate(const struct model *model, double *rate, struct error *err);

/* Whether longrope's long factors apply to a sequence of `length` tokens in all (always false
 * without longrope). When the answer changes as a sequence grows, its cache must be computed
 * anew: kv_truncate to 0, kv_set_rope_is_long, and the whole sequence as rows again. A prompt
 * uses the answer for its whole length, in however many calls it is computed. */
bool model_rope_is_long(const struct model *model, size_t length);

/* What matrices multiply: each of these once per layer, and the last once for the model. */
enum model_input { INPUT_QKV, INPUT_O, INPUT_GATE_UP, INPUT_DOWN, INPUT_HEAD, N_MODEL_INPUTS };
typedef void model_observer(void *context, enum model_input input, size_t layer, const float *x,
                            size_t n_rows, size_t cols);
/* From now on model_forward() shows `observe` the inputs of its products, in the calling thread:
 * rows that lie one behind the other; the head's (layer 0) for rows that want logits only. NULL
 * ends it. */
void model_observe(struct model *model, model_observer *observe, void *context);

/* Computes n rows (at most model_max_rows) and appends them to `cache`. logits receives, for
 * each row that wants them and in order, [vocab_size] floats. Room for the rows' positions must
 * have been reserved. Errors: a row that does not continue its sequence, a token outside the
 * vocabulary, more rows than allowed, logits that are not finite. Allocates nothing. In the last
 * layer, of rows that want nothing only keys and values are computed. */
enum status model_forward(struct model *model, struct kv_cache *cache, const struct row *rows,
                          size_t n, float *logits, struct error *err);

/* --- The same in parts, between which model_forward() may serve other sequences --- */

/* Begins: checks n rows as model_forward() does. `rows` and the room reserved for them must stay
 * until the end, and their sequences as they are: they hold the rows only after that. One pass in
 * parts at a time. */
enum status model_start(struct model *model, struct kv_cache *cache, const struct row *rows,
                        size_t n, struct error *err);
/* Layers that are to be computed yet; 0 where no pass was started. */
size_t model_layers_left(const struct model *model);
/* Computes the next n_layers, or those that are left. */
void model_go_on(struct model *model, size_t n_layers);
/* After the last layer: the rest, as model_forward() has it. The pass is over, even on an error. */
enum status model_finish(struct model *model, float *logits, struct error *err);
/* Forgets the pass; nothing to do where there is none. */
void model_drop(struct model *model);

#endif
