#include "engine/walker.h"
#include "base/memory.h"

#include <string.h>

/* --- Frames --- */

static uint32_t *bucket_of(struct walker *w, const struct frame *frame)
{
    uint64_t hash = frame->parent * 0x9E3779B97F4A7C15u;
    hash = (hash ^ frame->target) * 0xD1342543DE82EF95u;
    hash = (hash ^ frame->key_start) * 0x9E3779B97F4A7C15u;
    return &w->buckets[(hash >> 40) % FRAME_BUCKETS];
}

static bool same_frame(const struct frame *a, const struct frame *b)
{
    return a->parent == b->parent && a->target == b->target && a->is_key == b->is_key &&
           a->key_start == b->key_start && a->key_end == b->key_end;
}

static void link_frame(struct walker *w, uint32_t index)
{
    uint32_t *bucket = bucket_of(w, &w->frames[index]);
    w->frames[index].chain = *bucket;
    *bucket = index;
}

/* The frame, an old one or a new; NO_FRAME where there is no room. */
static uint32_t push_frame(struct walker *w, struct frame frame)
{
    for (uint32_t at = *bucket_of(w, &frame); at; at = w->frames[at].chain)
        if (same_frame(&w->frames[at], &frame))
            return at;
    if (w->n_frames >= FRAME_LIMIT)
        return NO_FRAME;
    if (!mem_grow(&w->frames, &w->frame_capacity, w->n_frames, sizeof *w->frames)) {
        w->out_of_memory = true;
        return NO_FRAME;
    }
    frame.depth = w->frames[frame.parent].depth + 1;
    w->frames[w->n_frames] = frame;
    link_frame(w, (uint32_t)w->n_frames);
    return (uint32_t)w->n_frames++;
}

struct walker_mark walker_mark(const struct walker *w)
{
    return (struct walker_mark){w->n_frames, w->n_positions, w->text.length};
}

void walker_reset(struct walker *w, struct walker_mark mark)
{
    while (w->n_frames > mark.n_frames) { /* the newest is the first of its bucket */
        w->n_frames--;
        *bucket_of(w, &w->frames[w->n_frames]) = w->frames[w->n_frames].chain;
    }
    w->n_positions = mark.n_positions;
    strbuf_truncate(&w->text, mark.text_length);
}

/* --- Following the grammar --- */

static void enter(struct walker *w, uint32_t state, uint32_t frame, struct position_set *set);

static bool same_position(const struct position *a, const struct position *b)
{
    return a->state == b->state && a->leaf == b->leaf && a->count == b->count &&
           a->frame == b->frame;
}

static void add_position(struct walker *w, struct position_set *set, struct position position)
{
    for (size_t i = set->begin; i < set->end; i++)
        if (same_position(&w->positions[i], &position))
            return;
    if (set->end - set->begin >= POSITION_LIMIT)
        return;
    if (!mem_grow(&w->positions, &w->position_capacity, w->n_positions, sizeof *w->positions)) {
        w->out_of_memory = true;
        return;
    }
    w->positions[w->n_positions++] = position;
    set->end = w->n_positions;
}

/* A rule is complete: its caller goes on. Keys on top of the caller's frame were its own. */
static void leave(struct walker *w, uint32_t frame, struct position_set *set)
{
    while (w->frames[frame].is_key)
        frame = w->frames[frame].parent;
    if (frame == NO_FRAME)
        set->may_end = true;
    else
        enter(w, w->frames[frame].target, w->frames[frame].parent, set);
}

static void begin_leaf(struct walker *w, uint32_t index, uint32_t frame, struct position_set *set)
{
    const struct leaf *leaf = &w->grammar->leaves[index];
    struct position position = {.leaf = index, .state = DFA_START, .frame = frame};
    if (leaf->kind == LEAF_KEY)
        position.count = (uint32_t)w->text.length;
    if (leaf->dfa.flags[DFA_START] & DFA_CONTINUES)
        add_position(w, set, position);
    if (leaf->dfa.flags[DFA_START] & DFA_ACCEPTS)
        leave(w, frame, set);
}

/* The frame for what follows an edge. Where nothing does, the caller's frame will do. */
static uint32_t frame_behind(struct walker *w, const struct edge *edge, uint32_t frame,
                             bool *failed)
{
    const struct grammar_state *target = &w->grammar->states[edge->target];
    bool is_key = edge->kind == EDGE_LEAF && w->grammar->leaves[edge->symbol].kind == LEAF_KEY;
    if (target->is_final && !target->edges && !is_key)
        return frame;
    uint32_t pushed = push_frame(w, (struct frame){.parent = frame, .target = edge->target});
    *failed = pushed == NO_FRAME;
    return pushed;
}

static void enter(struct walker *w, uint32_t state, uint32_t frame, struct position_set *set)
{
    const struct grammar *g = w->grammar;
    if (g->states[state].is_final)
        leave(w, frame, set);
    for (uint32_t e = g->states[state].edges; e; e = g->edges[e - 1].next) {
        const struct edge *edge = &g->edges[e - 1];
        bool failed = false;
        if (w->frames[frame].depth + edge->need > GRAMMAR_DEPTH_LIMIT)
            continue;
        if (edge->kind == EDGE_NOTHING) {
            enter(w, edge->target, frame, set);
            continue;
        }
        uint32_t behind = frame_behind(w, edge, frame, &failed);
        if (failed)
            continue;
        if (edge->kind == EDGE_LEAF)
            begin_leaf(w, edge->symbol, behind, set);
        else
            enter(w, g->rules[edge->symbol], behind, set);
    }
}

/* Whether an object has the key already: text[start .. end). */
static bool is_repeated(const struct walker *w, uint32_t frame, size_t start, size_t end)
{
    const char *text = strbuf_text(&w->text);
    for (; w->frames[frame].is_key; frame = w->frames[frame].parent) {
        const struct frame *key = &w->frames[frame];
        if (key->key_end - key->key_start == end - start &&
            !memcmp(text + key->key_start, text + start, end - start))
            return true;
    }
    return false;
}

static void complete(struct walker *w, struct position position, struct position_set *set)
{
    if (w->grammar->leaves[position.leaf].kind != LEAF_KEY) {
        leave(w, position.frame, set);
        return;
    }
    uint32_t object = w->frames[position.frame].parent, target = w->frames[position.frame].target;
    uint32_t end = (uint32_t)w->text.length;
    if (is_repeated(w, object, position.count, end))
        return;
    uint32_t key = push_frame(
        w, (struct frame){
               .parent = object, .is_key = true, .key_start = position.count, .key_end = end});
    if (key != NO_FRAME)
        enter(w, target, key, set);
}

bool leaf_count(const struct leaf *leaf, uint32_t from, uint32_t to, uint32_t *count)
{
    bool ends = leaf->dfa.flags[to] & DFA_ACCEPTS;
    if ((leaf->dfa.flags[from] & DFA_CHARACTER) &&
        (ends ? *count < leaf->least : *count >= leaf->most))
        return false;
    if ((leaf->dfa.flags[to] & DFA_CHARACTER) && from != DFA_START &&
        (*count < leaf->least || leaf->most != GRAMMAR_NO_MAXIMUM))
        ++*count;
    return true;
}

static void step_position(struct walker *w, struct position position, uint8_t byte,
                          struct position_set *set)
{
    const struct leaf *leaf = &w->grammar->leaves[position.leaf];
    w->steps++;
    if (!leaf_step(leaf, &position.state, &position.count, byte))
        return;
    if (leaf->dfa.flags[position.state] & DFA_CONTINUES)
        add_position(w, set, position);
    if (leaf->dfa.flags[position.state] & DFA_ACCEPTS)
        complete(w, position, set);
}

static struct position_set empty_set(const struct walker *w)
{
    return (struct position_set){.begin = w->n_positions, .end = w->n_positions};
}

struct position_set walker_step(struct walker *w, struct position_set set, uint8_t byte)
{
    struct position_set next = empty_set(w);
    strbuf_add_char(&w->text, (char)byte);
    for (size_t i = set.begin; i < set.end; i++)
        step_position(w, w->positions[i], byte, &next);
    return next;
}

struct position_set walker_complete(struct walker *w, struct position position)
{
    struct position_set set = empty_set(w);
    complete(w, position, &set);
    return set;
}

/* --- Going on for good --- */

enum status walker_restart(struct walker *w, struct error *err)
{
    memset(w->buckets, 0, sizeof w->buckets);
    strbuf_truncate(&w->text, 0);
    w->frames[NO_FRAME] = (struct frame){0};
    w->n_frames = 1;
    w->n_positions = 0;
    w->now = empty_set(w);
    enter(w, w->grammar->rules[w->grammar->root], NO_FRAME, &w->now);
    return w->out_of_memory ? error_memory(err, "a constraint's state") : STATUS_OK;
}

enum status walker_init(struct walker *w, const struct grammar *grammar, struct error *err)
{
    *w = (struct walker){.grammar = grammar};
    if (!mem_grow(&w->frames, &w->frame_capacity, 0, sizeof *w->frames))
        return error_memory(err, "a constraint's state");
    return walker_restart(w, err);
}

void walker_free(struct walker *w)
{
    mem_free(w->frames);
    mem_free(w->renumbered);
    mem_free(w->positions);
    strbuf_free(&w->text);
    *w = (struct walker){0};
}

/* Frames that no position stands on go. A parent always comes before its children. */
static bool sweep(struct walker *w)
{
    while (w->renumbered_capacity < w->n_frames)
        if (!mem_grow(&w->renumbered, &w->renumbered_capacity, w->renumbered_capacity,
                      sizeof *w->renumbered))
            return false;
    uint32_t *renumbered = w->renumbered, n = 1;
    memset(renumbered, 0, w->n_frames * sizeof *renumbered);
    for (size_t i = w->now.begin; i < w->now.end; i++)
        for (uint32_t f = w->positions[i].frame; f && !renumbered[f]; f = w->frames[f].parent)
            renumbered[f] = 1;
    memset(w->buckets, 0, sizeof w->buckets);
    for (size_t i = 1; i < w->n_frames; i++) {
        if (!renumbered[i])
            continue;
        w->frames[n] = w->frames[i];
        w->frames[n].parent = renumbered[w->frames[n].parent];
        link_frame(w, n);
        renumbered[i] = n++;
    }
    w->n_frames = n;
    for (size_t i = w->now.begin; i < w->now.end; i++)
        w->positions[i].frame = renumbered[w->positions[i].frame];
    return true;
}

/* Moves the set down to the end of `all`, without what is there already. */
static void gather(struct walker *w, struct position_set set, struct position_set *all)
{
    w->n_positions = all->end;
    for (size_t i = set.begin; i < set.end; i++)
        add_position(w, all, w->positions[i]);
    all->may_end |= set.may_end;
}

/* Each position is followed by itself, as it is when masks are made: so the bounds bite in the
 * same places. */
enum status walker_accept(struct walker *w, const char *bytes, size_t length, struct error *err)
{
    size_t text_length = w->text.length;
    struct position_set before = w->now, after;
    w->n_positions = before.end;
    after = empty_set(w);
    for (size_t i = before.begin; i < before.end; i++) {
        struct position_set set = {i, i + 1, false};
        strbuf_truncate(&w->text, text_length);
        for (size_t b = 0; b < length; b++)
            set = walker_step(w, set, (uint8_t)bytes[b]);
        gather(w, set, &after);
    }
    size_t n = after.end - after.begin;
    if (n)
        memmove(w->positions, w->positions + after.begin, n * sizeof *w->positions);
    w->n_positions = n;
    w->now = (struct position_set){0, n, after.may_end};
    if (w->out_of_memory || w->text.failed || !sweep(w))
        return error_memory(err, "a constraint's state");
    if (n == 0 && !after.may_end)
        return error_set(err, STATUS_INVALID, "the constraint does not permit this token");
    return STATUS_OK;
}
