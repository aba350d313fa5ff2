#include "text/added_tokens.h"
#include "base/size.h"
#include "base/vocab_source.h"
#include "text/unicode.h"

#include <stdlib.h>
#include <string.h>

enum { ADDED_LENGTH_LIMIT = 512 }; /* bounds the work per byte of text */

enum status added_tokens_add(struct added_tokens *added, struct token_table *tokens,
                             const struct added_token *token, struct error *err)
{
    if (!token->length)
        return STATUS_OK;
    if (token->length > ADDED_LENGTH_LIMIT)
        return error_set(err, STATUS_LIMIT, "added token %d has %zu bytes; at most %d are allowed",
                         (int)token->id, token->length, ADDED_LENGTH_LIMIT);
    int32_t known = token_table_find(tokens, token->text, token->length);
    if (known != VOCAB_NO_ID && known != token->id)
        return error_set(err, STATUS_FORMAT, "added token \"%.*s\" has the ids %d and %d",
                         (int)token->length, token->text, (int)known, (int)token->id);
    enum status status = token_table_add(tokens, token->id, token->text, token->length, err);
    if (status)
        return status;
    struct token_entry *entry = &tokens->entries[token->id];
    if (!entry->added_plus_one) {
        if (!mem_grow(&added->list, &added->capacity, added->count, sizeof *added->list))
            return error_memory(err, "added tokens");
        entry->added_plus_one = (uint32_t)++added->count;
    }
    struct added_token *place = &added->list[entry->added_plus_one - 1];
    *place = *token;
    place->text = entry->text;
    place->length = entry->length;
    entry->special = token->special;
    return STATUS_OK;
}

static int compare_tokens(const void *left, const void *right)
{
    const struct added_token *a = left, *b = right;
    size_t n = size_min(a->length, b->length);
    int order = memcmp(a->text, b->text, n);
    return order ? order : (a->length > b->length) - (a->length < b->length);
}

static enum status normalize_texts(struct added_matcher *matcher, struct token_table *tokens,
                                   const struct normalizer *normalizer, struct error *err)
{
    struct strbuf scratch[2] = {0};
    enum status status = STATUS_OK;
    size_t kept = 0;
    for (size_t i = 0; !status && i < matcher->count; i++) {
        struct added_token token = matcher->tokens[i];
        const char *text;
        status = normalizer_apply(normalizer, token.text, token.length, scratch, &text,
                                  &token.length, err);
        if (status || !token.length)
            continue;
        token.text = token_table_copy(tokens, text, token.length);
        if (!token.text)
            status = error_memory(err, "added tokens");
        matcher->tokens[kept++] = token;
    }
    matcher->count = kept;
    strbuf_free(&scratch[0]);
    strbuf_free(&scratch[1]);
    return status;
}

static void sort_matcher(struct added_matcher *matcher)
{
    if (matcher->count)
        qsort(matcher->tokens, matcher->count, sizeof *matcher->tokens, compare_tokens);
    size_t i = 0;
    for (unsigned byte = 0; byte < 256; byte++) {
        matcher->first[byte] = (uint32_t)i;
        while (i < matcher->count && (unsigned char)matcher->tokens[i].text[0] == byte)
            i++;
    }
    matcher->first[256] = (uint32_t)i;
}

static bool select_tokens(const struct added_tokens *added, bool normalized,
                          struct added_matcher *matcher)
{
    matcher->tokens = mem_array(added->count, sizeof *matcher->tokens);
    if (!matcher->tokens)
        return false;
    for (size_t i = 0; i < added->count; i++)
        if (added->list[i].normalized == normalized)
            matcher->tokens[matcher->count++] = added->list[i];
    return true;
}

enum status added_tokens_finish(struct added_tokens *added, struct token_table *tokens,
                                const struct normalizer *normalizer, struct error *err)
{
    if (!select_tokens(added, false, &added->plain) ||
        !select_tokens(added, true, &added->normalized))
        return error_memory(err, "added tokens");
    enum status status = normalize_texts(&added->normalized, tokens, normalizer, err);
    if (status)
        return status;
    sort_matcher(&added->plain);
    sort_matcher(&added->normalized);
    return STATUS_OK;
}

void added_tokens_free(struct added_tokens *added)
{
    mem_free(added->list);
    mem_free(added->plain.tokens);
    mem_free(added->normalized.tokens);
    *added = (struct added_tokens){0};
}

/* The first of tokens[low..high) whose byte `at` is at least `byte`; all share what precedes. */
static size_t lower_bound(const struct added_token *tokens, size_t low, size_t high, size_t at,
                          unsigned byte)
{
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct added_token *token = &tokens[middle];
        if (token->length <= at || (unsigned char)token->text[at] < byte)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The longest token that the text begins with. */
static const struct added_token *longest_at(const struct added_matcher *matcher, const char *text,
                                            size_t length)
{
    const struct added_token *best = NULL;
    size_t low = matcher->first[(unsigned char)*text];
    size_t high = matcher->first[(unsigned char)*text + 1];
    for (size_t at = 1; low < high; at++) {
        if (matcher->tokens[low].length == at)
            best = &matcher->tokens[low];
        if (at == length)
            break;
        unsigned byte = (unsigned char)text[at];
        low = lower_bound(matcher->tokens, low, high, at, byte);
        high = lower_bound(matcher->tokens, low, high, at, byte + 1);
    }
    return best;
}

static bool is_single_word(const char *text, size_t length, size_t start, size_t end)
{
    uint32_t c;
    if (start > 0 && (unicode_previous(text, start, &c), unicode_is_word(c)))
        return false;
    return end >= length || (unicode_next(text + end, length - end, &c), !unicode_is_word(c));
}

static void take_spaces(const char *text, size_t length, size_t position, struct added_match *match)
{
    uint32_t c;
    while (match->token->lstrip && match->start > position) {
        size_t n = unicode_previous(text, match->start, &c);
        if (!unicode_is_space(c))
            break;
        match->start -= n;
    }
    while (match->token->rstrip && match->end < length) {
        size_t n = unicode_next(text + match->end, length - match->end, &c);
        if (!unicode_is_space(c))
            break;
        match->end += n;
    }
}

bool added_matcher_next(const struct added_matcher *matcher, const char *text, size_t length,
                        size_t position, bool plain_specials, struct added_match *match)
{
    if (!matcher->count)
        return false;
    for (size_t i = position; i < length;) {
        unsigned char byte = (unsigned char)text[i];
        if (matcher->first[byte] == matcher->first[byte + 1]) {
            i++;
            continue;
        }
        const struct added_token *token = longest_at(matcher, text + i, length - i);
        size_t end = token ? i + token->length : i + 1;
        if (token && !(plain_specials && token->special) &&
            (!token->single_word || is_single_word(text, length, i, end))) {
            *match = (struct added_match){token, i, end};
            take_spaces(text, length, position, match);
            return true;
        }
        i = end;
    }
    return false;
}
