#include "engine/grammar_nfa.h"
#include "base/memory.h"
#include "base/utf8.h"

uint32_t nfa_add(struct nfa *nfa, struct nfa_state state)
{
    if (nfa->failure)
        return 0;
    if (nfa->count >= NFA_STATE_LIMIT)
        nfa->failure = STATUS_LIMIT;
    else if (!mem_grow(&nfa->states, &nfa->capacity, nfa->count, sizeof *nfa->states))
        nfa->failure = STATUS_MEMORY;
    if (nfa->failure)
        return 0;
    nfa->states[nfa->count] = state;
    return (uint32_t)nfa->count++;
}

uint32_t nfa_range(struct nfa *nfa, uint8_t low, uint8_t high, uint32_t out)
{
    return nfa_add(nfa,
                   (struct nfa_state){.kind = NFA_RANGE, .low = low, .high = high, .out = out});
}

uint32_t nfa_split(struct nfa *nfa, uint32_t out, uint32_t other)
{
    return nfa_add(nfa, (struct nfa_state){.kind = NFA_SPLIT, .out = out, .other = other});
}

uint32_t nfa_bytes(struct nfa *nfa, const char *bytes, size_t length, uint32_t out)
{
    for (size_t i = length; i-- > 0;)
        out = nfa_range(nfa, (uint8_t)bytes[i], (uint8_t)bytes[i], out);
    return out;
}

uint32_t nfa_match(struct nfa *nfa)
{
    return nfa_add(nfa, (struct nfa_state){.kind = NFA_MATCH});
}

/* Alternatives that are added one by one. */
struct choice {
    struct nfa *nfa;
    uint32_t entry, out;
    bool any;
};

static void choose(struct choice *choice, uint32_t entry)
{
    choice->entry = choice->any ? nfa_split(choice->nfa, choice->entry, entry) : entry;
    choice->any = true;
}

/* Code points of one encoded length whose bytes vary independently. */
static void choose_sequence(struct choice *choice, uint32_t low, uint32_t high)
{
    char first[4], last[4];
    size_t n = utf8_encode(low, first);
    uint32_t out = choice->out;
    utf8_encode(high, last);
    for (size_t i = n; i-- > 0;)
        out = nfa_range(choice->nfa, (uint8_t)first[i], (uint8_t)last[i], out);
    choose(choice, out);
}

/* Cuts [low, high] until every piece is a product of byte ranges. */
static void choose_utf8(struct choice *choice, uint32_t low, uint32_t high)
{
    static const uint32_t borders[] = {0x7F, 0x7FF, 0xFFFF};
    for (size_t i = 0; i < 3; i++)
        if (low <= borders[i] && high > borders[i]) {
            choose_utf8(choice, low, borders[i]);
            choose_utf8(choice, borders[i] + 1, high);
            return;
        }
    for (size_t i = 1; i < 4 && high > 0x7F; i++) {
        uint32_t mask = (1u << (6 * i)) - 1;
        if ((low & ~mask) == (high & ~mask))
            break;
        if (low & mask) {
            choose_utf8(choice, low, low | mask);
            choose_utf8(choice, (low | mask) + 1, high);
            return;
        }
        if ((high & mask) != mask) {
            choose_utf8(choice, low, (high & ~mask) - 1);
            choose_utf8(choice, high & ~mask, high);
            return;
        }
    }
    choose_sequence(choice, low, high);
}

/* The part of [low, high] in [first, last], as it is. */
static void choose_plain(struct choice *choice, uint32_t low, uint32_t high, uint32_t first,
                         uint32_t last)
{
    if (low < first)
        low = first;
    if (high > last)
        high = last;
    if (low <= high)
        choose_utf8(choice, low, high);
}

/* The part of [low, high] in [first, last], all of which are spelled \u00 and two digits of which
 * the last differ only in a range. */
static void choose_unicode_escape(struct choice *choice, uint32_t low, uint32_t high,
                                  uint32_t first, uint32_t last)
{
    static const char digits[] = "0123456789abcdef";
    char start[6] = {'\\', 'u', '0', '0', digits[first >> 4]};
    if (low < first)
        low = first;
    if (high > last)
        high = last;
    if (low > high)
        return;
    uint32_t out =
        nfa_range(choice->nfa, (uint8_t)digits[low & 15], (uint8_t)digits[high & 15], choice->out);
    choose(choice, nfa_bytes(choice->nfa, start, 5, out));
}

static void choose_escapes(struct choice *choice, uint32_t low, uint32_t high)
{
    static const struct {
        uint32_t codepoint;
        char spelling[3];
    } short_escapes[] = {{'\b', "\\b"}, {'\t', "\\t"}, {'\n', "\\n"}, {'\f', "\\f"},
                         {'\r', "\\r"}, {'"', "\\\""}, {'\\', "\\\\"}};
    static const uint32_t long_escapes[][2] = {
        {0x00, 0x07}, {0x0B, 0x0B}, {0x0E, 0x0F}, {0x10, 0x19}, {0x1A, 0x1F}};
    for (size_t i = 0; i < sizeof short_escapes / sizeof *short_escapes; i++)
        if (low <= short_escapes[i].codepoint && short_escapes[i].codepoint <= high)
            choose(choice, nfa_bytes(choice->nfa, short_escapes[i].spelling, 2, choice->out));
    for (size_t i = 0; i < sizeof long_escapes / sizeof *long_escapes; i++)
        choose_unicode_escape(choice, low, high, long_escapes[i][0], long_escapes[i][1]);
}

uint32_t nfa_characters(struct nfa *nfa, enum spelling spelling, uint32_t low, uint32_t high,
                        uint32_t out)
{
    struct choice choice = {.nfa = nfa, .out = out};
    if (spelling == SPELLING_JSON) {
        choose_escapes(&choice, low, high);
        choose_plain(&choice, low, high, ' ', '"' - 1);
        choose_plain(&choice, low, high, '"' + 1, '\\' - 1);
        choose_plain(&choice, low, high, '\\' + 1, 0xD7FF);
    } else {
        choose_plain(&choice, low, high, 0, 0xD7FF);
    }
    choose_plain(&choice, low, high, 0xE000, LAST_CODEPOINT);
    return choice.any ? choice.entry : nfa_add(nfa, (struct nfa_state){.kind = NFA_NOTHING});
}

uint32_t nfa_text(struct nfa *nfa, enum spelling spelling, const char *text, size_t length,
                  uint32_t out)
{
    while (length > 0 && !nfa->failure) {
        uint32_t codepoint;
        size_t end = length;
        do
            length--;
        while (length > 0 && ((uint8_t)text[length] & 0xC0) == 0x80);
        if (utf8_decode(text + length, end - length, &codepoint) <= 0)
            codepoint = 0xFFFD;
        out = nfa_characters(nfa, spelling, codepoint, codepoint, out);
    }
    return out;
}

uint32_t nfa_anything(struct nfa *nfa, enum spelling spelling, uint32_t out)
{
    uint32_t loop = nfa_split(nfa, out, out);
    uint32_t body = nfa_characters(nfa, spelling, 0, LAST_CODEPOINT, loop);
    if (!nfa->failure)
        nfa->states[loop].other = body;
    return loop;
}

void nfa_free(struct nfa *nfa)
{
    mem_free(nfa->states);
    *nfa = (struct nfa){0};
}
