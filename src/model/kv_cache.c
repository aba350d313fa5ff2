#include "model/kv_cache.h"
#include "base/memory.h"

#include <string.h>

struct sequence {
    size_t length; /* positions */
    size_t n_pages;
    uint32_t *pages; /* [cache->n_pages] room, n_pages used */
    bool rope_is_long;
};

struct kv_cache {
    enum tensor_type type;
    size_t n_layers, n_kv_heads, head_dim, row_bytes, head_bytes, page_bytes, n_pages, n_sequences;
    uint8_t *memory;      /* [n_pages * page_bytes] */
    size_t used, warm;    /* pages that were ever taken, always the first ones; resident bytes */
    uint32_t *references; /* [n_pages] sequences that hold the page */
    uint32_t *free_pages; /* stack */
    size_t n_free;
    struct sequence *sequences;
    uint32_t *page_lists; /* [n_sequences * n_pages] */
};

enum status kv_type_parse(const char *name, enum tensor_type *type, struct error *err)
{
    *type = TYPE_F16;
    if (name && (!tensor_type_parse(name, type) || !attention_supports(*type)))
        return error_set(err, STATUS_INVALID, "a KV cache in %s: expected f16, f32 or q8_0", name);
    return STATUS_OK;
}

size_t kv_position_bytes(const struct hyperparameters *shape, enum tensor_type type)
{
    size_t row;
    if (!tensor_type_bytes(type, shape->head_dim, &row))
        return 0;
    return row * shape->n_kv_heads * shape->n_layers * 2;
}

static enum status check_options(const struct hyperparameters *shape,
                                 const struct kv_options *options, struct error *err)
{
    const struct tensor_type_info *info = tensor_type_info(options->type);
    if (!attention_supports(options->type))
        return error_set(err, STATUS_UNSUPPORTED, "the KV cache is F16, F32 or Q8_0, not %s",
                         info->name);
    if (shape->head_dim % info->block_length)
        return error_set(err, STATUS_UNSUPPORTED,
                         "a KV cache in %s needs heads of a multiple of %zu dimensions, and this "
                         "model's have %zu: use f16",
                         info->name, info->block_length, shape->head_dim);
    if (!options->n_positions || !options->n_sequences)
        return error_set(err, STATUS_INVALID,
                         "a KV cache needs at least one position and one "
                         "sequence");
    size_t bytes;
    if (!size_multiply(kv_position_bytes(shape, options->type), options->n_positions, &bytes) ||
        options->n_positions > UINT32_MAX)
        return error_set(err, STATUS_INVALID, "a KV cache of %zu positions is too large",
                         options->n_positions);
    return STATUS_OK;
}

static bool allocate(struct kv_cache *cache)
{
    size_t n = cache->n_pages, bytes;
    if (!size_multiply(n, cache->page_bytes, &bytes) || !(cache->memory = mem_map(bytes)))
        return false;
    cache->references = mem_array(n, sizeof *cache->references);
    cache->free_pages = mem_array(n, sizeof *cache->free_pages);
    cache->sequences = mem_array(cache->n_sequences, sizeof *cache->sequences);
    size_t entries;
    if (!size_multiply(n, cache->n_sequences, &entries))
        return false;
    cache->page_lists = mem_array(entries, sizeof *cache->page_lists);
    return cache->references && cache->free_pages && cache->sequences && cache->page_lists;
}

enum status kv_cache_create(const struct hyperparameters *shape, const struct kv_options *options,
                            struct kv_cache **out, struct error *err)
{
    *out = NULL;
    enum status status = check_options(shape, options, err);
    if (status)
        return status;
    struct kv_cache *cache = mem_alloc(sizeof *cache);
    if (!cache)
        return error_memory(err, "a KV cache");
    cache->type = options->type;
    cache->n_layers = shape->n_layers;
    cache->n_kv_heads = shape->n_kv_heads;
    cache->head_dim = shape->head_dim;
    tensor_type_bytes(options->type, shape->head_dim, &cache->row_bytes);
    cache->head_bytes = cache->row_bytes * PAGE_POSITIONS;
    cache->page_bytes = kv_position_bytes(shape, options->type) * PAGE_POSITIONS;
    cache->n_pages = (options->n_positions + PAGE_POSITIONS - 1) / PAGE_POSITIONS;
    cache->n_sequences = options->n_sequences;
    if (!allocate(cache)) {
        kv_cache_free(cache);
        return error_set(err, STATUS_MEMORY,
                         "out of memory for a KV cache of %zu positions (%zu bytes each): ask for "
                         "a shorter context or fewer sequences",
                         options->n_positions, kv_position_bytes(shape, options->type));
    }
    for (size_t i = 0; i < cache->n_pages; i++)
        cache->free_pages[cache->n_free++] = (uint32_t)(cache->n_pages - 1 - i);
    for (size_t i = 0; i < cache->n_sequences; i++)
        cache->sequences[i].pages = cache->page_lists + i * cache->n_pages;
    *out = cache;
    return STATUS_OK;
}

void kv_cache_free(struct kv_cache *cache)
{
    if (!cache)
        return;
    mem_unmap(cache->memory, cache->n_pages * cache->page_bytes);
    mem_free(cache->references);
    mem_free(cache->free_pages);
    mem_free(cache->sequences);
    mem_free(cache->page_lists);
    mem_free(cache);
}

size_t kv_cache_bytes(const struct kv_cache *cache)
{
    return cache->n_pages * cache->page_bytes;
}

size_t kv_free_positions(const struct kv_cache *cache)
{
    return cache->n_free * PAGE_POSITIONS;
}

size_t kv_cache_sequences(const struct kv_cache *cache)
{
    return cache->n_sequences;
}

size_t kv_length(const struct kv_cache *cache, size_t sequence)
{
    return cache->sequences[sequence].length;
}

static uint32_t take_page(struct kv_cache *cache)
{
    uint32_t page = cache->free_pages[--cache->n_free];
    cache->references[page] = 1;
    if (page >= cache->used)
        cache->used = page + 1;
    return page;
}

bool kv_cache_warm(struct kv_cache *cache, size_t ahead)
{
    size_t all = kv_cache_bytes(cache), used = cache->used * cache->page_bytes;
    size_t wanted = used + size_min(ahead, all - used);
    if (cache->warm < used)
        cache->warm = used;
    if (cache->warm >= wanted)
        return false;
    size_t end = mem_populate(cache->memory, cache->warm, all);
    cache->warm = end > cache->warm ? end : all;
    return true;
}

static void release_page(struct kv_cache *cache, uint32_t page)
{
    if (--cache->references[page] == 0)
        cache->free_pages[cache->n_free++] = page;
}

/* The page in which position `length` goes is partly filled and also somebody else's. */
static bool last_page_is_shared(const struct kv_cache *cache, const struct sequence *s)
{
    size_t index = s->length / PAGE_POSITIONS;
    return s->length % PAGE_POSITIONS && cache->references[s->pages[index]] > 1;
}

static uint32_t copy_page(struct kv_cache *cache, uint32_t from)
{
    uint32_t to = take_page(cache);
    memcpy(cache->memory + to * cache->page_bytes, cache->memory + from * cache->page_bytes,
           cache->page_bytes);
    return to;
}

bool kv_reserve(struct kv_cache *cache, size_t sequence, size_t n)
{
    struct sequence *s = &cache->sequences[sequence];
    size_t end;
    if (!size_add(s->length, n, &end) || end > cache->n_pages * PAGE_POSITIONS)
        return false;
    size_t wanted = (end + PAGE_POSITIONS - 1) / PAGE_POSITIONS;
    bool copy = n && last_page_is_shared(cache, s);
    size_t extra = (wanted > s->n_pages ? wanted - s->n_pages : 0) + copy;
    if (extra > cache->n_free)
        return false;
    if (copy) {
        uint32_t *page = &s->pages[s->length / PAGE_POSITIONS];
        uint32_t mine = copy_page(cache, *page);
        release_page(cache, *page);
        *page = mine;
    }
    while (s->n_pages < wanted)
        s->pages[s->n_pages++] = take_page(cache);
    return true;
}

void kv_truncate(struct kv_cache *cache, size_t sequence, size_t length)
{
    struct sequence *s = &cache->sequences[sequence];
    if (length < s->length)
        s->length = length;
    size_t kept = (s->length + PAGE_POSITIONS - 1) / PAGE_POSITIONS;
    while (s->n_pages > kept)
        release_page(cache, s->pages[--s->n_pages]);
}

bool kv_fork(struct kv_cache *cache, size_t from, size_t to, size_t length)
{
    const struct sequence *source = &cache->sequences[from];
    struct sequence *target = &cache->sequences[to];
    if (target->length || length > source->length)
        return false;
    size_t whole = length / PAGE_POSITIONS;
    bool partial = length % PAGE_POSITIONS;
    kv_truncate(cache, to, 0);
    if (partial && !cache->n_free)
        return false;
    for (size_t i = 0; i < whole; i++) {
        target->pages[i] = source->pages[i];
        cache->references[source->pages[i]]++;
    }
    if (partial)
        target->pages[whole] = copy_page(cache, source->pages[whole]);
    target->n_pages = whole + partial;
    target->length = length;
    target->rope_is_long = source->rope_is_long;
    return true;
}

void kv_commit(struct kv_cache *cache, size_t sequence, size_t n)
{
    cache->sequences[sequence].length += n;
}

void kv_uncommit(struct kv_cache *cache, size_t sequence)
{
    cache->sequences[sequence].length--;
}

size_t kv_reserved(const struct kv_cache *cache, size_t sequence)
{
    return cache->sequences[sequence].n_pages * PAGE_POSITIONS;
}

static uint8_t *locate(const struct kv_cache *cache, size_t sequence, size_t position, size_t layer,
                       size_t kv_head, size_t values)
{
    uint32_t page = cache->sequences[sequence].pages[position / PAGE_POSITIONS];
    size_t part = (layer * 2 + values) * cache->n_kv_heads + kv_head;
    return cache->memory + page * cache->page_bytes + part * cache->head_bytes;
}

void kv_store(const struct kv_cache *cache, const struct kernels *kernels, size_t sequence,
              size_t position, size_t layer, size_t kv_head, const float *key, const float *value)
{
    size_t slot = position % PAGE_POSITIONS;
    attention_store_key(cache->type, kernels->quantize[cache->type], key, cache->head_dim,
                        locate(cache, sequence, position, layer, kv_head, 0), slot);
    kernels->quantize[cache->type](
        value, locate(cache, sequence, position, layer, kv_head, 1) + slot * cache->row_bytes,
        cache->head_dim);
}

const void *kv_key_page(const struct kv_cache *cache, size_t sequence, size_t position,
                        size_t layer, size_t kv_head)
{
    return locate(cache, sequence, position, layer, kv_head, 0);
}

const void *kv_value_page(const struct kv_cache *cache, size_t sequence, size_t position,
                          size_t layer, size_t kv_head)
{
    return locate(cache, sequence, position, layer, kv_head, 1);
}

size_t kv_head_bytes(const struct kv_cache *cache)
{
    return cache->head_bytes;
}

enum tensor_type kv_type(const struct kv_cache *cache)
{
    return cache->type;
}

bool kv_rope_is_long(const struct kv_cache *cache, size_t sequence)
{
    return cache->sequences[sequence].rope_is_long;
}

void kv_set_rope_is_long(struct kv_cache *cache, size_t sequence, bool is_long)
{
    cache->sequences[sequence].rope_is_long = is_long;
}
