#include "text/token_table.h"
#include "base/size.h"
#include "base/strbuf.h"
#include "base/utf8.h"
#include "base/vocab_source.h"
#include "text/unicode.h"

#include <string.h>
#include <sys/random.h>

uint64_t token_hash_seed(void)
{
    uint64_t seed;
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed)
        seed = (uint64_t)(uintptr_t)&seed;
    return seed;
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t token_hash(const char *text, size_t length, uint64_t seed)
{
    const uint64_t multiplier = 0x9E3779B97F4A7C15u;
    uint64_t hash = seed ^ (length * 0xD6E8FEB86659FD93u), word;
    for (; length >= sizeof word; text += sizeof word, length -= sizeof word) {
        memcpy(&word, text, sizeof word);
        hash = mix(hash ^ word, multiplier ^ seed);
    }
    word = 0;
    for (size_t i = 0; i < length; i++)
        word |= (uint64_t)(unsigned char)text[i] << (8 * i);
    return mix(hash ^ word, multiplier ^ (seed << 1));
}

void token_table_init(struct token_table *table)
{
    *table = (struct token_table){.seed = token_hash_seed()};
}

void token_table_free(struct token_table *table)
{
    mem_free(table->entries);
    mem_free(table->slots);
    arena_free(&table->arena);
    *table = (struct token_table){0};
}

static void insert_slot(struct token_slot *slots, size_t n_slots, struct token_slot slot)
{
    size_t i = slot.hash & (n_slots - 1);
    while (slots[i].id_plus_one)
        i = (i + 1) & (n_slots - 1);
    slots[i] = slot;
}

static bool resize_slots(struct token_table *table, size_t count)
{
    size_t wanted = 64;
    while (wanted / 2 < count)
        wanted *= 2;
    if (wanted <= table->n_slots)
        return true;
    struct token_slot *slots = mem_array(wanted, sizeof *slots);
    if (!slots)
        return false;
    for (size_t i = 0; i < table->n_slots; i++)
        if (table->slots[i].id_plus_one)
            insert_slot(slots, wanted, table->slots[i]);
    mem_free(table->slots);
    table->slots = slots;
    table->n_slots = wanted;
    return true;
}

static bool grow_entries(struct token_table *table, size_t size)
{
    if (size > table->capacity) {
        size_t capacity = size_max(table->capacity * 2, size);
        struct token_entry *entries = mem_resize(table->entries, capacity, sizeof *entries);
        if (!entries)
            return false;
        table->entries = entries;
        table->capacity = capacity;
    }
    if (size > table->size) {
        memset(table->entries + table->size, 0, (size - table->size) * sizeof *table->entries);
        table->size = size;
    }
    return true;
}

enum status token_table_reserve(struct token_table *table, size_t count, struct error *err)
{
    if (count > TOKEN_ID_LIMIT)
        return error_set(err, STATUS_LIMIT, "the vocabulary has %zu tokens; at most %d fit", count,
                         TOKEN_ID_LIMIT);
    size_t size = table->size;
    if (!resize_slots(table, count) || !grow_entries(table, size_max(count, size)))
        return error_memory(err, "the vocabulary");
    table->size = size;
    return STATUS_OK;
}

const char *token_table_copy(struct token_table *table, const char *text, size_t length)
{
    enum { SLAB = 1 << 16 };
    if (length >= SLAB)
        return arena_copy_string(&table->arena, text, length);
    if (table->free_length < length + 1) {
        table->free_text = arena_alloc(&table->arena, SLAB);
        table->free_length = table->free_text ? SLAB : 0;
        if (!table->free_text)
            return NULL;
    }
    char *copy = table->free_text;
    memcpy(copy, text, length);
    copy[length] = 0;
    table->free_text += length + 1;
    table->free_length -= length + 1;
    return copy;
}

static int32_t find_hashed(const struct token_table *table, const char *text, size_t length,
                           uint32_t hash)
{
    size_t mask = table->n_slots - 1;
    for (size_t i = hash & mask; table->slots[i].id_plus_one; i = (i + 1) & mask) {
        if (table->slots[i].hash != hash)
            continue;
        const struct token_entry *entry = &table->entries[table->slots[i].id_plus_one - 1];
        if (entry->length == length && !memcmp(entry->text, text, length))
            return (int32_t)(table->slots[i].id_plus_one - 1);
    }
    return VOCAB_NO_ID;
}

static enum status add_valid(struct token_table *table, int32_t id, const char *text, size_t length,
                             struct error *err)
{
    const char *copy = NULL;
    if (!grow_entries(table, (size_t)id + 1) || !resize_slots(table, table->used + 1) ||
        !(copy = token_table_copy(table, text, length)))
        return error_memory(err, "the vocabulary");
    uint32_t hash = (uint32_t)token_hash(text, length, table->seed);
    if (find_hashed(table, text, length, hash) == VOCAB_NO_ID) {
        insert_slot(table->slots, table->n_slots, (struct token_slot){hash, (uint32_t)id + 1});
        table->used++;
    }
    table->entries[id] = (struct token_entry){.text = copy, .length = (uint16_t)length};
    return STATUS_OK;
}

enum status token_table_add(struct token_table *table, int64_t id, const char *text, size_t length,
                            struct error *err)
{
    if (id < 0 || id >= TOKEN_ID_LIMIT)
        return error_set(err, STATUS_FORMAT, "token id %lld is not between 0 and %d", (long long)id,
                         TOKEN_ID_LIMIT - 1);
    if (length >= TOKEN_LENGTH_LIMIT)
        return error_set(err, STATUS_LIMIT, "token %lld has %zu bytes; at most %d are allowed",
                         (long long)id, length, TOKEN_LENGTH_LIMIT - 1);
    const struct token_entry *old = token_table_at(table, id);
    if (old && (old->length != length || memcmp(old->text, text, length)))
        return error_set(err, STATUS_FORMAT,
                         "token id %lld stands for two tokens, \"%s\" and "
                         "\"%.*s\"",
                         (long long)id, old->text, (int)length, text);
    if (old)
        return STATUS_OK;
    if (utf8_valid(text, length))
        return add_valid(table, (int32_t)id, text, length, err);
    struct strbuf repaired = {0};
    unicode_append_repaired(&repaired, text, length);
    enum status status = repaired.failed ? error_memory(err, "the vocabulary")
                                         : add_valid(table, (int32_t)id, strbuf_text(&repaired),
                                                     repaired.length, err);
    strbuf_free(&repaired);
    return status;
}

int32_t token_table_find(const struct token_table *table, const char *text, size_t length)
{
    if (!table->n_slots)
        return VOCAB_NO_ID;
    return find_hashed(table, text, length, (uint32_t)token_hash(text, length, table->seed));
}

int32_t token_table_find_model(const struct token_table *table, const char *text, size_t length)
{
    int32_t id = token_table_find(table, text, length);
    return id != VOCAB_NO_ID && table->entries[id].in_model ? id : VOCAB_NO_ID;
}

const struct token_entry *token_table_at(const struct token_table *table, int64_t id)
{
    if (id < 0 || (uint64_t)id >= table->size || !table->entries[id].text)
        return NULL;
    return &table->entries[id];
}
