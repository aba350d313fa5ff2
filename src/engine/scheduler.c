/* The step thread: admits requests, plans the rows of a step, computes it, hands out tokens.
 *
 * Pages of the KV cache are taken as sequences grow. When they run out, first the sequences that
 * finished requests left behind go, oldest use first; then the newest running request is put
 * back in the queue and later computed again from its tokens: the same bits, since a row's
 * result does not depend on how it got computed. The oldest request always advances, and the
 * cache holds at least one sequence of full length, so every request ends.
 *
 * Clients are served in equal shares: the next request to run is the oldest one of the client
 * that has the fewest running, and among those of the one whose last turn is longest ago.
 *
 * A step has two stages. First each request that decodes has its next token computed. Then some
 * layers of a pass over prompts are, as pace.h says; it goes on in the next steps until it is
 * complete. So somebody's long prompt makes others' tokens a little later, and evenly so.
 */
#include "base/clock.h"
#include "base/size.h"
#include "engine/engine_internal.h"

#include <math.h>
#include <string.h>

/* Whether the request has rows in what the stage computes. */
static bool takes_part(const struct generation *g, enum stage stage)
{
    return g->n_rows > 0 && g->stage == stage;
}

/* Ends the pass over prompts, done or not; whose rows it had can get others. */
static void end_pass(struct engine *e)
{
    model_drop(e->model);
    e->n_pass_rows = 0;
    for (size_t i = 0; i < e->n_running; i++)
        if (e->running[i]->stage == PROMPTS)
            e->running[i]->n_rows = 0;
}

/* --- Slots --- */

static bool is_cached(const struct engine *e, size_t i)
{
    return !e->slots[i].busy && kv_length(e->cache, i) > 0;
}

/* Drops the reusable sequence whose last use is longest ago, but not `spared`; false when there
 * is none. */
static bool evict(struct engine *e, size_t spared)
{
    size_t oldest = SIZE_MAX;
    for (size_t i = 0; i < e->n_slots; i++)
        if (i != spared && is_cached(e, i) &&
            (oldest == SIZE_MAX || e->slots[i].last_used < e->slots[oldest].last_used))
            oldest = i;
    if (oldest == SIZE_MAX)
        return false;
    kv_truncate(e->cache, oldest, 0);
    return true;
}

/* An empty slot that nobody uses. There is one, or one to evict besides `spared`: there are
 * twice as many slots as requests may run. */
static size_t find_empty(struct engine *e, size_t spared)
{
    for (size_t i = 0;; i++) {
        if (i == e->n_slots) {
            evict(e, spared);
            i = 0;
        }
        if (!e->slots[i].busy && kv_length(e->cache, i) == 0)
            return i;
    }
}

static size_t common_prefix(const int32_t *a, const int32_t *b, size_t n)
{
    size_t i = 0;
    while (i < n && a[i] == b[i])
        i++;
    return i;
}

/* The sequence that shares the longest beginning with the request's tokens. The last token must
 * be computed in any case: its logits are wanted. */
static size_t find_prefix(const struct engine *e, const struct generation *g, size_t *length)
{
    size_t best = SIZE_MAX;
    bool is_long = model_rope_is_long(e->model, g->n_tokens);
    *length = 0;
    for (size_t i = 0; i < e->n_slots; i++) {
        size_t n = kv_length(e->cache, i);
        if (n == 0 || kv_rope_is_long(e->cache, i) != is_long)
            continue;
        if (n > g->n_tokens - 1)
            n = g->n_tokens - 1;
        n = common_prefix(e->slots[i].tokens, g->tokens, n);
        if (n > *length) {
            *length = n;
            best = i;
        }
    }
    return best;
}

/* Gives the request a sequence that begins with as much of its tokens as is there already. */
static void take_slot(struct engine *e, struct generation *g, size_t source, size_t length)
{
    bool whole = length > 0 && is_cached(e, source) && length == kv_length(e->cache, source);
    size_t slot = whole ? source : find_empty(e, source);
    if (!whole && length > 0) {
        while (!kv_fork(e->cache, source, slot, length))
            if (!evict(e, source)) {
                length = 0;
                break;
            }
        memcpy(e->slots[slot].tokens, e->slots[source].tokens, length * sizeof *g->tokens);
        e->slots[source].last_used = ++e->clock;
    }
    e->slots[slot].busy = true;
    g->slot = (long)slot;
    if (!g->was_admitted)
        g->cached_tokens = length;
}

/* The sequence stays for reuse, unless it may be broken. */
static void leave_slot(struct engine *e, struct generation *g, bool keep)
{
    size_t slot = (size_t)g->slot;
    if (e->n_pass_rows > 0 && takes_part(g, PROMPTS))
        end_pass(e);
    kv_truncate(e->cache, slot, keep ? kv_length(e->cache, slot) : 0);
    e->slots[slot].busy = false;
    e->slots[slot].last_used = ++e->clock;
    g->slot = NO_SLOT;
}

/* --- Requests come and go --- */

static void remove_running(struct engine *e, size_t index)
{
    e->n_running--;
    for (size_t i = index; i < e->n_running; i++)
        e->running[i] = e->running[i + 1];
}

static void finish(struct engine *e, size_t index, enum finish_reason reason,
                   const struct error *err)
{
    struct generation *g = e->running[index];
    leave_slot(e, g, reason != FINISH_ERROR);
    remove_running(e, index);
    draft_pass_on(&g->draft, &e->acceptance);
    generation_end(g, reason, err);
}

static void end_cancelled(struct engine *e, bool all)
{
    for (size_t i = e->n_running; i-- > 0;)
        if (all || generation_is_cancelled(e->running[i]))
            finish(e, i, FINISH_CANCELLED, NULL);
    for (struct generation **link = &e->waiting; *link;) {
        struct generation *g = *link;
        if (all || generation_is_cancelled(g)) {
            *link = g->next;
            generation_end(g, FINISH_CANCELLED, NULL);
        } else {
            link = &g->next;
        }
    }
}

static bool is_idle(const struct engine *e)
{
    return !e->closing && !e->submitted && !e->waiting && !e->n_running;
}

/* Waits until there is something to do; until then, memory for the cache is made ready. The mutex
 * is held. */
static void wait_idle(struct engine *e)
{
    enum { WARM_AHEAD = 1 << 28 };
    while (is_idle(e)) {
        pthread_mutex_unlock(&e->mutex);
        bool more = kv_cache_warm(e->cache, WARM_AHEAD);
        pthread_mutex_lock(&e->mutex);
        if (!more && is_idle(e))
            pthread_cond_wait(&e->wake, &e->mutex);
    }
}

/* Waits until there is something to do and moves what was submitted to the queue's end; false
 * when the engine closes. */
static bool accept_submitted(struct engine *e)
{
    pthread_mutex_lock(&e->mutex);
    wait_idle(e);
    struct generation *newest = e->submitted, *in_order = NULL;
    bool closing = e->closing;
    e->submitted = NULL;
    pthread_mutex_unlock(&e->mutex);
    while (newest) {
        struct generation *g = newest;
        newest = g->next;
        g->next = in_order;
        in_order = g;
    }
    struct generation **end = &e->waiting;
    while (*end)
        end = &(*end)->next;
    *end = in_order;
    return !closing;
}

/* Whether the request's whole sequence finds room now, after what is reusable has gone, and a page
 * more for it and for each that runs: who is put back soon after has been computed in vain. */
static bool make_room(struct engine *e, size_t positions, size_t spared)
{
    positions += (e->n_running + 1) * PAGE_POSITIONS;
    while (kv_free_positions(e->cache) < positions)
        if (!evict(e, spared))
            return e->n_running == 0; /* alone it always fits */
    return true;
}

static size_t running_of(const struct engine *e, uint64_t client)
{
    size_t n = 0;
    for (size_t i = 0; i < e->n_running; i++)
        n += e->running[i]->client == client;
    return n;
}

/* The client's entry, or the one to use for it: that of the client served longest ago. */
static struct client_turn *turn_of(struct engine *e, uint64_t client)
{
    struct client_turn *oldest = &e->turns[0];
    for (size_t i = 0; i < MAX_TURNS; i++) {
        if (e->turns[i].when > 0 && e->turns[i].client == client)
            return &e->turns[i];
        if (e->turns[i].when < oldest->when)
            oldest = &e->turns[i];
    }
    *oldest = (struct client_turn){.client = client};
    return oldest;
}

/* Where the next request to run is linked from. What was put back goes first: it is in front. */
static struct generation **next_in_turn(struct engine *e)
{
    struct generation **best = &e->waiting;
    size_t fewest = SIZE_MAX;
    uint64_t longest_ago = UINT64_MAX;
    if (e->waiting->was_admitted)
        return best;
    for (struct generation **link = best; *link; link = &(*link)->next) {
        uint64_t client = (*link)->client, when = turn_of(e, client)->when;
        size_t n = running_of(e, client);
        if (n < fewest || (n == fewest && when < longest_ago)) {
            fewest = n;
            longest_ago = when;
            best = link;
        }
    }
    return best;
}

static void admit(struct engine *e)
{
    while (e->waiting && e->n_running < e->max_sequences) {
        struct generation **link = next_in_turn(e), *g = *link;
        size_t length, source = find_prefix(e, g, &length);
        if (g->pooling == POOLING_MEAN) /* needs the states of all its tokens */
            length = 0;
        if (!make_room(e, g->n_tokens - length, source))
            return;
        *link = g->next;
        take_slot(e, g, source, length);
        turn_of(e, g->client)->when = ++e->clock;
        if (!g->was_admitted) {
            g->first_step = clock_seconds();
            g->draft.acceptance = e->acceptance;
        }
        g->was_admitted = true;
        g->n_rows = 0;
        e->running[e->n_running++] = g;
    }
}

/* --- Planning a step --- */

static size_t pending(const struct engine *e, const struct generation *g)
{
    return g->n_tokens - kv_length(e->cache, (size_t)g->slot);
}

/* Longrope rotates with other factors beyond its original context; a sequence that got there is
 * computed anew. */
static void follow_rope(struct engine *e, const struct generation *g)
{
    size_t slot = (size_t)g->slot;
    bool is_long = model_rope_is_long(e->model, g->n_tokens);
    if (kv_rope_is_long(e->cache, slot) != is_long)
        kv_truncate(e->cache, slot, 0);
    if (kv_length(e->cache, slot) == 0)
        kv_set_rope_is_long(e->cache, slot, is_long);
}

/* Back to the front of the queue: it was submitted before all that wait there. */
static void preempt_newest(struct engine *e)
{
    struct generation *g = e->running[--e->n_running];
    leave_slot(e, g, false);
    g->next = e->waiting;
    e->waiting = g;
}

/* Positions for the next rows of running request `index`; false when it was itself put back. */
static bool reserve(struct engine *e, size_t index, size_t n)
{
    while (!kv_reserve(e->cache, (size_t)e->running[index]->slot, n)) {
        if (evict(e, SIZE_MAX))
            continue;
        preempt_newest(e);
        if (index == e->n_running)
            return false;
    }
    return true;
}

/* The prompt with the fewest rows still to be given in this pass; NULL when none wants more. */
static struct generation *shortest_prompt(const struct engine *e)
{
    struct generation *best = NULL;
    size_t fewest = SIZE_MAX;
    for (size_t i = 0; i < e->n_running; i++) {
        struct generation *g = e->running[i];
        size_t wanted = pending(e, g) - g->n_rows;
        if (g->stage == PROMPTS && wanted > 0 && wanted < fewest) {
            fewest = wanted;
            best = g;
        }
    }
    return best;
}

static void give_rows(const struct engine *e, struct generation *g, size_t most, size_t *left)
{
    size_t wanted = pending(e, g) - g->n_rows, n = size_min(wanted, most);
    g->n_rows += n;
    *left -= n;
}

/* One row for each request that decodes. */
static void give_decoding_rows(struct engine *e)
{
    for (size_t i = 0; i < e->n_running; i++) {
        struct generation *g = e->running[i];
        if (takes_part(g, PROMPTS))
            continue;
        follow_rope(e, g);
        g->stage = pending(e, g) == 1 ? DECODING : PROMPTS;
        g->n_rows = g->stage == DECODING;
        g->draft.n_offered = g->draft.count = g->draft.wanted = 0;
    }
}

static size_t count_stage(const struct engine *e, enum stage stage)
{
    size_t n = 0;
    for (size_t i = 0; i < e->n_running; i++)
        n += e->running[i]->stage == stage;
    return n;
}

/* The rows of a pass over prompts go to the shortest ones, so that a long one keeps nobody waiting,
 * but for a quarter that always goes to the oldest. */
static void give_prompt_rows(struct engine *e)
{
    size_t left = pace_prompt_rows(&e->pace, count_stage(e, DECODING), count_stage(e, PROMPTS),
                                   model_shape(e->model)->n_layers, model_max_rows(e->model));
    struct generation *g;
    for (size_t i = 0; i < e->n_running; i++)
        if (e->running[i]->stage == PROMPTS) {
            give_rows(e, e->running[i], (left + 3) / 4, &left);
            break;
        }
    while (left > 0 && (g = shortest_prompt(e)))
        give_rows(e, g, left, &left);
}

/* How many guesses the request has use for: its last token needs none, and longrope's border is
 * crossed by a token that was chosen. */
static size_t most_guesses(const struct engine *e, const struct generation *g)
{
    size_t most = g->n_prompt + g->max_tokens - g->n_tokens - 1;
    if (most > MAX_DRAFT)
        most = MAX_DRAFT;
    bool is_long = model_rope_is_long(e->model, g->n_tokens);
    while (most > 0 && model_rope_is_long(e->model, g->n_tokens + most) != is_long)
        most--;
    return most;
}

/* Whether the draft model's guesses, which save so many seconds per token, are worth that it first
 * computes what it lacks: once they would have saved as much in the answer so far. So a short
 * answer to a long prompt costs nothing, and an unlucky start no more than it would have been
 * worth. */
static bool worth_catching_up(const struct engine *e, const struct generation *g, double saved)
{
    size_t lacking = drafter_lacks(e->drafter, g);
    double so_far = saved * (double)((g->n_tokens - g->n_prompt) * e->n_running);
    return lacking <= MAX_DRAFT ||
           drafter_catch_up_seconds(e->drafter, lacking, e->pace.prompt_row) <= so_far;
}

/* Decides where the request's guesses come from, at most `most` of them, in a step that has `rows`
 * others; *deepest is how many the draft model makes for anyone before it. */
static void choose_guesses(struct engine *e, struct generation *g, size_t most, size_t rows,
                           size_t *deepest)
{
    struct draft *draft = &g->draft;
    double saved, saved_by_model;
    bool has_model = e->drafter && drafter_lacks(e->drafter, g) != SIZE_MAX;
    if (e->speculation == SPECULATION_ALWAYS && has_model) {
        draft->wanted = most;
        draft->source = DRAFT_MODEL;
        return;
    }
    draft_look_up(draft, g->tokens, g->n_tokens, most);
    if (e->speculation == SPECULATION_ALWAYS) {
        draft->count = draft->n_offered;
        return;
    }
    struct draft_offer offer = {.source = DRAFT_LOOK_UP, .most = draft->n_offered};
    draft->count = draft_weigh(draft, &offer, &e->pass_times, rows, &saved);
    if (!has_model)
        return;
    double guess_seconds = drafter_guess_seconds(e->drafter, pass_times_expect(&e->pass_times, 1));
    offer = (struct draft_offer){DRAFT_MODEL, most, guess_seconds, *deepest};
    size_t wanted = draft_weigh(draft, &offer, &e->pass_times, rows, &saved_by_model);
    if (saved_by_model <= saved || !worth_catching_up(e, g, saved_by_model))
        return;
    draft->n_offered = draft->count = 0;
    draft->wanted = wanted;
    draft->source = DRAFT_MODEL;
    *deepest = wanted > *deepest ? wanted : *deepest;
}

/* Tokens that the draft model may compute in a step before it guesses; others wait meanwhile. */
static size_t catch_up_rows(const struct engine *e)
{
    size_t others = e->n_running > 1 ? e->n_running - 1 : 0, most = model_max_rows(e->model);
    double seconds = pace_prompt_seconds(&e->pace, others, 1);
    double rows = seconds / drafter_catch_up_seconds(e->drafter, 1, e->pace.prompt_row);
    return rows < (double)most ? (size_t)fmax(rows, 1) : most;
}

/* Rows for guesses, in steps without prompts and while the cache has room to spare. */
static void add_guesses(struct engine *e)
{
    size_t rows = e->n_running, left = e->n_guess_rows, deepest = 0;
    for (size_t i = 0; i < e->n_running; i++)
        if (pending(e, e->running[i]) != 1)
            return;
    if (kv_free_positions(e->cache) < e->n_running * PAGE_POSITIONS)
        return;
    for (size_t i = 0; i < e->n_running && left > 0; i++) {
        struct generation *g = e->running[i];
        size_t most = most_guesses(e, g);
        if (g->no_guesses)
            continue;
        choose_guesses(e, g, size_min(most, left), rows - 1, &deepest);
        size_t n = g->draft.count + g->draft.wanted;
        rows += n;
        left -= n;
    }
    if (e->drafter) {
        mem_guard_enter();
        drafter_guess(e->drafter, e->running, e->n_running, catch_up_rows(e));
        mem_guard_leave();
    }
    for (size_t i = 0; i < e->n_running; i++)
        e->running[i]->n_rows += e->running[i]->draft.count;
}

/* Room for the rows of the stage: who has none any more was put back. */
static void reserve_all(struct engine *e, enum stage stage)
{
    for (size_t i = 0; i < e->n_running; i++)
        if (takes_part(e->running[i], stage) && !reserve(e, i, e->running[i]->n_rows))
            return;
}

/* Appends the request's rows; its last token wants logits, and so do the guesses behind it. */
static size_t add_rows(struct engine *e, const struct generation *g, size_t n)
{
    struct row *rows = e->rows[g->stage];
    size_t slot = (size_t)g->slot, length = kv_length(e->cache, slot);
    for (size_t i = 0; i < g->n_rows; i++) {
        size_t position = length + i;
        int32_t token =
            position < g->n_tokens ? g->tokens[position] : g->draft.tokens[position - g->n_tokens];
        bool has_last = position + 1 >= g->n_tokens;
        bool is_pooled = g->pooling == POOLING_MEAN || (g->pooling && has_last);
        float *hidden = e->hidden + n * model_shape(e->model)->dim;
        e->slots[slot].tokens[position] = token;
        rows[n++] = (struct row){.token = token,
                                 .position = (int32_t)position,
                                 .sequence = (int32_t)slot,
                                 .wants_logits = has_last && !g->pooling,
                                 .hidden = is_pooled ? hidden : NULL};
    }
    return n;
}

/* --- A step --- */

/* The request's token from its logits; FINISH_NONE when it goes on. */
static enum finish_reason take_token(struct generation *g, float *logits, struct error *err)
{
    struct token_choice choice;
    if (generation_constrain(g, err))
        return FINISH_ERROR;
    mem_guard_enter();
    sampler_choose(g->sampler, logits, g->allowed, g->want_logprobs, g->n_top, &choice);
    mem_guard_leave();
    return generation_take(g, &choice, err);
}

/* Takes the states of one request's rows of the step; the embedding after the last. */
static void pool(const struct engine *e, struct generation *g, const struct row *rows)
{
    size_t dim = model_shape(e->model)->dim;
    for (size_t r = 0; r < g->n_rows; r++) {
        if (rows[r].position == 0) /* also where a sequence is computed anew */
            memset(g->pooled, 0, dim * sizeof *g->pooled);
        for (size_t i = 0; rows[r].hidden && i < dim; i++)
            g->pooled[i] += rows[r].hidden[i];
    }
    double n = g->pooling == POOLING_MEAN ? (double)g->n_tokens : 1;
    for (size_t i = 0; i < dim && pending(e, g) == 0; i++)
        g->embedding[i] = (float)(g->pooled[i] / n);
}

static void pool_all(struct engine *e, enum stage stage, size_t begin, size_t end)
{
    const struct row *rows = e->rows[stage];
    for (size_t i = begin; i < end; i++) {
        struct generation *g = e->running[i];
        if (!takes_part(g, stage))
            continue;
        if (g->pooling)
            pool(e, g, rows);
        rows += g->n_rows;
    }
}

/* Of what was just computed: the logits of the request's last token, and of its guesses. */
static size_t count_logits(const struct engine *e, const struct generation *g, enum stage stage)
{
    size_t computed = kv_length(e->cache, (size_t)g->slot);
    if (!takes_part(g, stage) || computed < g->n_tokens || g->pooling)
        return 0;
    return computed - g->n_tokens + 1;
}

/* Takes tokens as long as they are what was guessed, and one more; forgets the wrong guesses. */
static enum finish_reason take_tokens(struct engine *e, struct generation *g, float *logits,
                                      struct error *err)
{
    size_t vocab_size = model_shape(e->model)->vocab_size, before = g->n_tokens, accepted = 0;
    enum finish_reason reason = take_token(g, logits, err);
    while (reason == FINISH_NONE && accepted < g->draft.count &&
           g->tokens[g->n_tokens - 1] == g->draft.tokens[accepted])
        reason = take_token(g, logits + ++accepted * vocab_size, err);
    draft_learn(&g->draft, g->tokens + before, g->n_tokens - before);
    kv_truncate(e->cache, (size_t)g->slot, before + accepted);
    return reason;
}

/* Hands tokens to those of running[begin..end) whose last row the stage just computed. Goes
 * backwards: requests that finish leave the list. */
static void hand_out(struct engine *e, enum stage stage, size_t begin, size_t end)
{
    size_t vocab_size = model_shape(e->model)->vocab_size, n_logits = 0;
    pool_all(e, stage, begin, end);
    for (size_t i = begin; i < end; i++)
        n_logits += count_logits(e, e->running[i], stage);
    for (size_t i = end; i-- > begin;) {
        struct generation *g = e->running[i];
        size_t n = count_logits(e, g, stage);
        if (g->pooling && takes_part(g, stage) && pending(e, g) == 0)
            finish(e, i, FINISH_EOS, NULL);
        if (!n)
            continue;
        struct error err = {0};
        n_logits -= n;
        enum finish_reason reason = take_tokens(e, g, e->logits + n_logits * vocab_size, &err);
        if (reason != FINISH_NONE)
            finish(e, i, reason, reason == FINISH_ERROR ? &err : NULL);
    }
}

/* The rows of those of running[begin..end) that take part, in e->rows[stage]; how many. */
static size_t list_rows(struct engine *e, enum stage stage, size_t begin, size_t end)
{
    size_t n = 0;
    for (size_t i = begin; i < end; i++)
        if (takes_part(e->running[i], stage)) {
            e->running[i]->length_before = kv_length(e->cache, (size_t)e->running[i]->slot);
            n = add_rows(e, e->running[i], n);
        }
    return n;
}

static void count_pass(struct engine *e, size_t n_rows)
{
    atomic_fetch_add(&e->n_steps, 1);
    atomic_fetch_add(&e->n_step_rows, n_rows);
}

/* The n rows listed for the stage. */
static enum status compute(struct engine *e, enum stage stage, size_t n, double *seconds,
                           struct error *err)
{
    mem_guard_enter();
    double started = clock_seconds();
    enum status status = model_forward(e->model, e->cache, e->rows[stage], n, e->logits, err);
    *seconds = clock_seconds() - started;
    mem_guard_leave();
    count_pass(e, n);
    return status;
}

/* The stage failed for some request: each is tried by itself, and those that fail get the error. */
static void compute_apart(struct engine *e, enum stage stage)
{
    size_t index = 0;
    for (size_t i = 0, n = e->n_running; i < n; i++) {
        struct generation *g = e->running[index];
        struct error err = {0};
        size_t before = e->n_running;
        double seconds;
        if (takes_part(g, stage)) {
            kv_truncate(e->cache, (size_t)g->slot, g->length_before);
            if (!kv_reserve(e->cache, (size_t)g->slot, g->n_rows))
                error_memory(&err, "the KV cache");
            else
                compute(e, stage, list_rows(e, stage, index, index + 1), &seconds, &err);
            if (err.status)
                finish(e, index, FINISH_ERROR, &err);
            else
                hand_out(e, stage, index, index + 1);
        }
        index += e->n_running == before;
    }
}

/* Begins the next pass over prompts, if there are any and none is under way. */
static void start_pass(struct engine *e)
{
    struct error err = {0};
    if (e->n_pass_rows > 0)
        return;
    give_prompt_rows(e);
    reserve_all(e, PROMPTS);
    size_t n = list_rows(e, PROMPTS, 0, e->n_running);
    if (n && model_start(e->model, e->cache, e->rows[PROMPTS], n, &err)) {
        compute_apart(e, PROMPTS);
        end_pass(e);
        return;
    }
    e->pass_seconds = 0;
    e->n_pass_rows = n;
}

static void plan(struct engine *e)
{
    give_decoding_rows(e);
    if (e->speculation != SPECULATION_OFF)
        add_guesses(e);
    reserve_all(e, DECODING);
    start_pass(e);
}

/* Whether there are logits to hand out; *seconds: how long it took. */
static bool decode(struct engine *e, double *seconds)
{
    struct error err = {0};
    size_t n = list_rows(e, DECODING, 0, e->n_running);
    *seconds = 0;
    if (n == 0)
        return false;
    if (compute(e, DECODING, n, seconds, &err)) {
        compute_apart(e, DECODING);
        return false;
    }
    pace_learn_decoding(&e->pace, n, *seconds);
    pass_times_add(&e->pass_times, n, *seconds);
    return true;
}

/* Computes layers of the pass over prompts, as many as the step has time for after so many seconds.
 */
static void advance_pass(struct engine *e, double spent)
{
    size_t n_decode = count_stage(e, DECODING);
    double step = pace_step_seconds(&e->pace, n_decode, count_stage(e, PROMPTS));
    double started = clock_seconds(), now = started, layer = 0;
    while (model_layers_left(e->model) > 0 && spent + now - started + layer < step) {
        model_go_on(e->model, n_decode ? 1 : SIZE_MAX);
        layer = clock_seconds() - now;
        now += layer;
    }
    e->pass_seconds += now - started;
}

/* Hands out what the pass over prompts was for, if it is complete. */
static void finish_pass(struct engine *e)
{
    struct error err = {0};
    if (e->n_pass_rows == 0 || model_layers_left(e->model) > 0)
        return;
    count_pass(e, e->n_pass_rows);
    pace_learn_prompts(&e->pace, e->n_pass_rows, e->pass_seconds);
    e->n_pass_rows = 0;
    mem_guard_enter();
    enum status status = model_finish(e->model, e->logits, &err);
    mem_guard_leave();
    if (status)
        compute_apart(e, PROMPTS);
    else
        hand_out(e, PROMPTS, 0, e->n_running);
    end_pass(e);
}

static void step(struct engine *e)
{
    double seconds;
    plan(e);
    bool decoded = decode(e, &seconds);
    advance_pass(e, seconds);
    if (decoded)
        hand_out(e, DECODING, 0, e->n_running);
    finish_pass(e);
}

static void publish_load(struct engine *e)
{
    size_t n_waiting = 0;
    for (const struct generation *g = e->waiting; g; g = g->next)
        n_waiting++;
    atomic_store(&e->load_running, e->n_running);
    atomic_store(&e->load_waiting, n_waiting);
    atomic_store(&e->load_free_positions, kv_free_positions(e->cache));
}

void *scheduler_run(void *context)
{
    struct engine *e = context;
    thread_gives_way();
    while (accept_submitted(e)) {
        end_cancelled(e, false);
        admit(e);
        step(e);
        publish_load(e);
    }
    end_cancelled(e, true);
    return NULL;
}
