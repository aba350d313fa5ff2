#include "engine/enforcer.h"

#include <string.h>

/* Free text up to the next trigger, with the walker ready behind it. */
static enum status begin_free_text(struct enforcer *e, struct error *err)
{
    const struct trigger *trigger = &e->constraint->trigger;
    e->is_free = true;
    e->matched = 0;
    enum status status = walker_restart(&e->walker, err);
    return status ? status : walker_accept(&e->walker, trigger->text, trigger->length, err);
}

enum status enforcer_begin(struct enforcer *e, struct constraint *constraint,
                           struct token_masker *masker, uint64_t *room, struct error *err)
{
    *e = (struct enforcer){
        .constraint = constraint_retain(constraint), .masker = masker, .room = room};
    enum status status = walker_init(&e->walker, &constraint->grammar, err);
    return status || !constraint->trigger.length ? status : begin_free_text(e, err);
}

void enforcer_free(struct enforcer *e)
{
    walker_free(&e->walker);
    constraint_release(e->constraint);
    *e = (struct enforcer){0};
}

enum status enforcer_mask(struct enforcer *e, uint64_t **mask, struct error *err)
{
    *mask = NULL;
    if (!e->constraint)
        return STATUS_OK;
    bool has_mask = true;
    enum status status =
        e->is_free ? token_masker_fill_free(e->masker, &e->constraint->trigger, e->matched,
                                            &e->walker, e->room, &has_mask, err)
                   : token_masker_fill(e->masker, &e->walker, e->room, err);
    if (!status && has_mask)
        *mask = e->room;
    return status;
}

/* The document is complete, and nothing can follow in it. */
static bool is_complete(const struct enforcer *e)
{
    const struct position_set *now = &e->walker.now;
    return now->may_end && now->begin == now->end;
}

static bool is_last(const struct enforcer *e)
{
    return e->constraint->max_documents && e->n_documents == e->constraint->max_documents;
}

bool enforcer_may_end(const struct enforcer *e)
{
    return !e->constraint || e->is_free || e->walker.now.may_end;
}

bool enforcer_must_end(const struct enforcer *e)
{
    return e->constraint && !e->is_free && is_complete(e);
}

/* Watches for the trigger; from where it is complete the grammar takes over. */
static enum status accept_free(struct enforcer *e, int32_t token, struct error *err)
{
    const struct tokenizer *tokenizer = token_masker_tokenizer(e->masker);
    const struct trigger *trigger = &e->constraint->trigger;
    const char *bytes = NULL;
    size_t length = tokenizer_token_bytes(tokenizer, token, &bytes), i = 0;
    if (tokenizer_is_special(tokenizer, token) && !enforcer_is_trigger(e, token))
        return STATUS_OK;
    while (i < length && e->matched < trigger->length)
        e->matched = trigger_step(trigger, e->matched, (uint8_t)bytes[i++]);
    if (e->matched < trigger->length)
        return STATUS_OK;
    e->is_free = false;
    return i < length ? walker_accept(&e->walker, bytes + i, length - i, err) : STATUS_OK;
}

enum status enforcer_accept(struct enforcer *e, int32_t token, struct error *err)
{
    if (!e->constraint)
        return STATUS_OK;
    enum status status = e->is_free ? accept_free(e, token, err)
                                    : token_masker_accept(e->masker, &e->walker, token, err);
    if (status || e->is_free || !e->constraint->trigger.length || !is_complete(e))
        return status;
    e->n_documents++;
    return is_last(e) ? STATUS_OK : begin_free_text(e, err);
}

bool enforcer_is_trigger(const struct enforcer *e, int32_t token)
{
    if (!e->constraint || !e->is_free)
        return false;
    const struct tokenizer *tokenizer = token_masker_tokenizer(e->masker);
    const struct trigger *trigger = &e->constraint->trigger;
    const char *bytes = NULL;
    return tokenizer_is_special(tokenizer, token) &&
           tokenizer_token_bytes(tokenizer, token, &bytes) == trigger->length &&
           !memcmp(bytes, trigger->text, trigger->length);
}
