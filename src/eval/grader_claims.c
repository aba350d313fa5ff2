/* claims: which of several names the answer settles on.
 *
 * A claim lists right and wrong names. An answer that mentions only right ones (denied mentions
 * do not count) passes; where it mentions both, the last sentence about the subject decides, by
 * what stands in the same clause, then by what follows, then by what precedes.
 */
#include "base/memory.h"
#include "eval/grader_kinds.h"
#include "eval/text_scan.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_MENTIONS = 5000 };

static const struct argument claims_arguments[] = {{"claims", ARGUMENT_ARRAY, true}, {0}};
static const struct argument claim_arguments[] = {{"about", ARGUMENT_STRINGS, false},
                                                  {"right", ARGUMENT_STRINGS, true},
                                                  {"wrong", ARGUMENT_STRINGS, true},
                                                  {0}};

static enum status check_claims(const json_t *args, struct error *err)
{
    const json_t *claims = json_object_get(args, "claims");
    enum status status = STATUS_OK;
    for (size_t i = 0; i < json_array_size(claims) && !status; i++) {
        const json_t *claim = json_array_get(claims, i);
        status = json_is_object(claim)
                     ? arguments_check("claims: a claim", claim_arguments, claim, err)
                     : error_set(err, STATUS_INVALID, "claims: every claim should be an object");
    }
    return status;
}

struct mention {
    struct span span;
    bool right;
};

struct mentions {
    struct mention *items;
    size_t count, capacity;
};

static enum status add_mentions(const char *text, struct span scope, const json_t *words,
                                bool right, struct mentions *mentions, struct error *err)
{
    for (size_t k = 0; k < json_array_size(words); k++) {
        const char *word = json_string_value(json_array_get(words, k));
        size_t n = strlen(word);
        for (size_t at = scope.begin; mentions->count < MAX_MENTIONS &&
                                      (at = text_find_word(text, at, scope.end, word)) != SIZE_MAX;
             at += n) {
            if (text_is_negated(text, scope.begin, at))
                continue;
            if (!mem_grow(&mentions->items, &mentions->capacity, mentions->count,
                          sizeof *mentions->items))
                return error_memory(err, "an answer");
            mentions->items[mentions->count++] = (struct mention){{at, at + n}, right};
        }
    }
    return STATUS_OK;
}

static int by_place(const void *a, const void *b)
{
    const struct mention *x = a, *y = b;
    return x->span.begin < y->span.begin ? -1 : x->span.begin > y->span.begin;
}

/* What a set of mentions says. */
enum tally { TALLY_NONE, TALLY_RIGHT, TALLY_WRONG, TALLY_MIXED };

static enum tally tally_in(const struct mentions *mentions, struct span span)
{
    bool right = false, wrong = false;
    for (size_t i = 0; i < mentions->count; i++) {
        const struct mention *m = &mentions->items[i];
        if (m->span.begin >= span.begin && m->span.end <= span.end)
            *(m->right ? &right : &wrong) = true;
    }
    return right ? (wrong ? TALLY_MIXED : TALLY_RIGHT) : wrong ? TALLY_WRONG : TALLY_NONE;
}

/* The mention in `span` that is nearest to `subject`; on a tie the one behind it. */
static enum tally nearest(const struct mentions *mentions, struct span span, struct span subject)
{
    size_t best = SIZE_MAX;
    enum tally tally = TALLY_NONE;
    for (size_t i = 0; i < mentions->count; i++) {
        const struct mention *m = &mentions->items[i];
        if (m->span.begin < span.begin || m->span.end > span.end)
            continue;
        size_t distance = m->span.begin >= subject.end   ? m->span.begin - subject.end
                          : subject.begin >= m->span.end ? subject.begin - m->span.end
                                                         : 0;
        if (distance <= best) {
            best = distance;
            tally = m->right ? TALLY_RIGHT : TALLY_WRONG;
        }
    }
    return tally;
}

static enum tally first_behind(const struct mentions *mentions, size_t begin, size_t end)
{
    for (size_t i = 0; i < mentions->count; i++)
        if (mentions->items[i].span.begin >= begin && mentions->items[i].span.end <= end)
            return mentions->items[i].right ? TALLY_RIGHT : TALLY_WRONG;
    return TALLY_NONE;
}

static enum tally last_before(const struct mentions *mentions, size_t begin, size_t end)
{
    for (size_t i = mentions->count; i-- > 0;)
        if (mentions->items[i].span.begin >= begin && mentions->items[i].span.end <= end)
            return mentions->items[i].right ? TALLY_RIGHT : TALLY_WRONG;
    return TALLY_NONE;
}

/* "A or B" right beside the subject is no decision. */
static bool is_hedged(const char *text, const struct mentions *mentions, struct span span)
{
    static const char *const hedges[] = {"or", "或", "或者", "或是", "/", "还是"};
    for (size_t i = 1; i < mentions->count; i++) {
        const struct mention *a = &mentions->items[i - 1], *b = &mentions->items[i];
        if (a->right == b->right || a->span.begin < span.begin || b->span.end > span.end ||
            a->span.end > b->span.begin)
            continue;
        struct span between = text_trim(text, (struct span){a->span.end, b->span.begin});
        for (size_t k = 0; k < sizeof hedges / sizeof *hedges; k++)
            if (between.end - between.begin == strlen(hedges[k]) &&
                !strncasecmp(text + between.begin, hedges[k], strlen(hedges[k])))
                return true;
    }
    return false;
}

/* What the sentence around `subject` says of it. */
static enum tally decide_at(const char *text, struct span scope, const struct mentions *mentions,
                            struct span subject)
{
    struct span sentence =
        text_sentence_at(text + scope.begin, scope.end - scope.begin, subject.begin - scope.begin);
    struct span clause =
        text_clause_at(text + scope.begin, scope.end - scope.begin, subject.begin - scope.begin);
    sentence = (struct span){sentence.begin + scope.begin, sentence.end + scope.begin};
    clause = (struct span){clause.begin + scope.begin, clause.end + scope.begin};
    if (is_hedged(text, mentions, sentence))
        return TALLY_MIXED;
    enum tally tally = tally_in(mentions, clause);
    if (tally == TALLY_MIXED)
        return nearest(mentions, clause, subject);
    if (tally != TALLY_NONE)
        return tally;
    tally = first_behind(mentions, subject.end, sentence.end);
    return tally != TALLY_NONE ? tally : last_before(mentions, sentence.begin, subject.begin);
}

/* Goes through the mentions of the subject from the last one back, until one decides. */
static enum tally decide(const char *text, struct span scope, const struct mentions *mentions,
                         const json_t *about)
{
    size_t end = scope.end;
    for (size_t tries = 0; tries < 100; tries++) {
        struct span subject = {SIZE_MAX, 0};
        for (size_t k = 0; k < json_array_size(about); k++) {
            const char *word = json_string_value(json_array_get(about, k));
            for (size_t at = scope.begin; (at = text_find_word(text, at, end, word)) != SIZE_MAX;
                 at++)
                if (subject.begin == SIZE_MAX || at > subject.begin)
                    subject = (struct span){at, at + strlen(word)};
        }
        if (subject.begin == SIZE_MAX)
            return TALLY_MIXED;
        enum tally tally = decide_at(text, scope, mentions, subject);
        if (tally != TALLY_NONE)
            return tally;
        end = subject.begin;
    }
    return TALLY_MIXED;
}

static enum status judge_claim(const json_t *claim, const struct answer *answer, struct span scope,
                               enum tally *tally, struct error *err)
{
    struct mentions mentions = {0};
    const char *text = answer->plain;
    enum status status =
        add_mentions(text, scope, json_object_get(claim, "right"), true, &mentions, err);
    if (!status)
        status = add_mentions(text, scope, json_object_get(claim, "wrong"), false, &mentions, err);
    if (!status) {
        if (mentions.count)
            qsort(mentions.items, mentions.count, sizeof *mentions.items, by_place);
        *tally = mentions.count == MAX_MENTIONS ? TALLY_MIXED : tally_in(&mentions, scope);
        const json_t *about = json_object_get(claim, "about");
        if (*tally == TALLY_MIXED && about && mentions.count < MAX_MENTIONS)
            *tally = decide(text, scope, &mentions, about);
    }
    mem_free(mentions.items);
    return status;
}

static enum status grade_claims(const json_t *args, const struct answer *answer,
                                struct verdict *verdict, struct error *err)
{
    static const char *const outcomes[] = {"not mentioned", "right", "another one is named",
                                           "several are named, none clearly"};
    const json_t *claims = json_object_get(args, "claims");
    struct span scope;
    bool marked, unfound = true;
    enum status status = answer_conclusion(answer, &scope, &marked, err);
    if (marked) /* what follows an announcement may go on over several lines */
        scope.end = answer->plain_length;
    for (size_t i = 0; i < json_array_size(claims) && !status; i++) {
        const json_t *claim = json_array_get(claims, i);
        enum tally tally = TALLY_NONE;
        status = judge_claim(claim, answer, scope, &tally, err);
        const char *expected =
            json_string_value(json_array_get(json_object_get(claim, "right"), 0));
        unfound &= tally == TALLY_NONE;
        if (!status)
            status = verdict_add_check(verdict, "names", tally == TALLY_RIGHT, err, "%s (%s)",
                                       expected, outcomes[tally]);
    }
    if (status)
        return status;
    verdict->extraction_failed = unfound;
    return verdict_close_checks(verdict, err);
}

const struct grader_type grader_claims = {"claims", claims_arguments, check_claims, grade_claims,
                                          false};
