/* The KV cache: pages of positions, given to sequences on demand and shared between them.
 *
 * A page holds PAGE_POSITIONS consecutive positions of every layer; a sequence is a list of pages
 * and a length. kv_fork() shares whole pages (copy on write for a partly filled last one), which
 * is what prefix reuse stands on. All memory is allocated at creation. Not thread-safe: the
 * scheduler owns it.
 *
 * Layout of a page: for each layer, keys then values; of each, for each KV head, what
 * kernels/attention.h says: values as rows, keys transposed.
 */
#ifndef TANDEM_MODEL_KV_CACHE_H
#define TANDEM_MODEL_KV_CACHE_H

#include "base/error.h"
#include "formats/hyperparameters.h"
#include "kernels/kernels.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PAGE_POSITIONS = KEY_PAGE };

struct kv_cache;

struct kv_options {
    enum tensor_type type; /* TYPE_F16, TYPE_F32 or TYPE_Q8_0 */
    size_t n_positions;    /* in all sequences together; rounded up to whole pages */
    size_t n_sequences;
};
/* The type that "f16" (NULL too), "f32" or "q8_0" names; the error tells which there are. */
enum status kv_type_parse(const char *name, enum tensor_type *type, struct error *err);
enum status kv_cache_create(const struct hyperparameters *shape, const struct kv_options *options,
                            struct kv_cache **cache, struct error *err);
void kv_cache_free(struct kv_cache *cache);
size_t kv_cache_bytes(const struct kv_cache *cache);
/* Bytes that one position takes, all layers. */
size_t kv_position_bytes(const struct hyperparameters *shape, enum tensor_type type);
size_t kv_free_positions(const struct kv_cache *cache);

size_t kv_cache_sequences(const struct kv_cache *cache);
/* Memory that is written for the first time is waited for, up to 5 ms for two megabytes. Makes a
 * piece of it resident, up to `ahead` bytes beyond what was ever used; false: nothing is left to do.
 * For when there is nothing else to do. */
bool kv_cache_warm(struct kv_cache *cache, size_t ahead);

/* Positions that the sequence holds. */
size_t kv_length(const struct kv_cache *cache, size_t sequence);
/* Makes room for positions [length, length + n); false (nothing changed) when pages run out. */
bool kv_reserve(struct kv_cache *cache, size_t sequence, size_t n);
/* Keeps the first `length` positions; pages behind them are released. */
void kv_truncate(struct kv_cache *cache, size_t sequence, size_t length);
/* `to`, which must be empty, becomes the first `length` positions of `from`. False when a page
 * for the partly filled end is not to be had. */
bool kv_fork(struct kv_cache *cache, size_t from, size_t to, size_t length);

/* --- For the forward pass --- */

/* The sequence grows by n positions that were reserved. */
void kv_commit(struct kv_cache *cache, size_t sequence, size_t n);
/* Positions that the sequence has pages for. */
size_t kv_reserved(const struct kv_cache *cache, size_t sequence);
/* Takes back the last position that was committed; its room stays reserved. */
void kv_uncommit(struct kv_cache *cache, size_t sequence);
/* Puts a position's key and value, [head_dim] each, into the room that was reserved for them. */
void kv_store(const struct kv_cache *cache, const struct kernels *kernels, size_t sequence,
              size_t position, size_t layer, size_t kv_head, const float *key, const float *value);
/* Keys (or values) of one layer and KV head in the page that holds the position. */
const void *kv_key_page(const struct kv_cache *cache, size_t sequence, size_t position,
                        size_t layer, size_t kv_head);
const void *kv_value_page(const struct kv_cache *cache, size_t sequence, size_t position,
                          size_t layer, size_t kv_head);
/* Bytes that each of these two has. */
size_t kv_head_bytes(const struct kv_cache *cache);
enum tensor_type kv_type(const struct kv_cache *cache);

/* Which of longrope's factor sets the sequence's keys were rotated with (see
 * model_rope_is_long); set when the sequence is empty. */
bool kv_rope_is_long(const struct kv_cache *cache, size_t sequence);
void kv_set_rope_is_long(struct kv_cache *cache, size_t sequence, bool is_long);

#endif
