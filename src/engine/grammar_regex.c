#include "engine/grammar_regex.h"
#include "base/memory.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

enum { DEPTH_LIMIT = 200, PATTERN_LIMIT = 1 << 16, REPEAT_LIMIT = 100000, NO_MAXIMUM = -1 };

enum kind { CLASS, SEQUENCE, ALTERNATIVES, REPEAT, AT_START, AT_END };

struct codepoint_range {
    uint32_t low, high;
};

/* A node's children are linked from the last to the first. */
struct node {
    enum kind kind;
    struct node *last, *before;
    struct codepoint_range *ranges; /* of a CLASS, in order, apart from each other */
    size_t n_ranges;
    long least, most; /* of a REPEAT; NO_MAXIMUM */
};

struct parser {
    const char *pattern;
    size_t length, at;
    size_t depth;
    struct arena arena;
    struct error *err;
    enum status status;
};

static void *fail(struct parser *p, enum status status, size_t at, const char *what)
{
    if (!p->status)
        p->status = error_set(p->err, status, "%s, at byte %zu of the pattern", what, at);
    return NULL;
}

static struct node *new_node(struct parser *p, enum kind kind)
{
    struct node *node = arena_alloc(&p->arena, sizeof *node);
    if (!node)
        return fail(p, STATUS_MEMORY, p->at, "out of memory for a regular expression");
    node->kind = kind;
    return node;
}

static bool peek_is(const struct parser *p, const char *text)
{
    size_t n = strlen(text);
    return p->length - p->at >= n && !memcmp(p->pattern + p->at, text, n);
}

static bool take(struct parser *p, const char *text)
{
    if (!peek_is(p, text))
        return false;
    p->at += strlen(text);
    return true;
}

/* The pattern is valid UTF-8. */
static uint32_t take_codepoint(struct parser *p)
{
    uint32_t codepoint;
    int n = utf8_decode(p->pattern + p->at, p->length - p->at, &codepoint);
    p->at += n > 0 ? (size_t)n : 1;
    return codepoint;
}

/* --- Classes --- */

struct class
{
    struct codepoint_range *ranges; /* mem_free */
    size_t count, capacity;
};

static void class_add(struct parser *p, struct class *class, uint32_t low, uint32_t high)
{
    if (!mem_grow(&class->ranges, &class->capacity, class->count, sizeof *class->ranges))
        fail(p, STATUS_MEMORY, p->at, "out of memory for a regular expression");
    else
        class->ranges[class->count++] = (struct codepoint_range){low, high};
}

static int compare_ranges(const void *a, const void *b)
{
    const struct codepoint_range *x = a, *y = b;
    return (x->low > y->low) - (x->low < y->low);
}

/* In order, apart from each other. */
static void class_merge(struct class *class)
{
    size_t n = 0;
    if (class->count)
        qsort(class->ranges, class->count, sizeof *class->ranges, compare_ranges);
    for (size_t i = 0; i < class->count; i++) {
        struct codepoint_range range = class->ranges[i];
        if (n > 0 && range.low <= class->ranges[n - 1].high + 1) {
            if (range.high > class->ranges[n - 1].high)
                class->ranges[n - 1].high = range.high;
        } else {
            class->ranges[n++] = range;
        }
    }
    class->count = n;
}

static void class_negate(struct parser *p, struct class *class)
{
    struct class rest = {0};
    uint32_t low = 0;
    class_merge(class);
    for (size_t i = 0; i < class->count; i++) {
        if (class->ranges[i].low > low)
            class_add(p, &rest, low, class->ranges[i].low - 1);
        low = class->ranges[i].high + 1;
    }
    if (low <= LAST_CODEPOINT)
        class_add(p, &rest, low, LAST_CODEPOINT);
    mem_free(class->ranges);
    *class = rest;
}

/* \d, \w, \s and their opposites; false if the letter is none of them. */
static bool class_add_escape(struct parser *p, struct class *class, char letter)
{
    static const struct codepoint_range digits[] = {{'0', '9'}},
                                        words[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}},
                                        spaces[] = {{0x09, 0x0D},     {0x20, 0x20},
                                                    {0xA0, 0xA0},     {0x1680, 0x1680},
                                                    {0x2000, 0x200A}, {0x2028, 0x2029},
                                                    {0x202F, 0x202F}, {0x205F, 0x205F},
                                                    {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
    static const struct {
        char letter;
        const struct codepoint_range *ranges;
        size_t count;
    } known[] = {{'d', digits, 1}, {'w', words, 4}, {'s', spaces, 10}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if ((letter | 0x20) != known[i].letter)
            continue;
        struct class set = {0};
        for (size_t j = 0; j < known[i].count; j++)
            class_add(p, &set, known[i].ranges[j].low, known[i].ranges[j].high);
        if (letter != known[i].letter)
            class_negate(p, &set);
        for (size_t j = 0; j < set.count; j++)
            class_add(p, class, set.ranges[j].low, set.ranges[j].high);
        mem_free(set.ranges);
        return true;
    }
    return false;
}

static struct node *class_node(struct parser *p, struct class *class)
{
    struct node *node = p->status ? NULL : new_node(p, CLASS);
    class_merge(class);
    if (node) {
        size_t bytes = class->count * sizeof *class->ranges;
        node->ranges = arena_alloc(&p->arena, bytes);
        node->n_ranges = class->count;
        if (!node->ranges)
            fail(p, STATUS_MEMORY, p->at, "out of memory for a regular expression");
        else if (bytes)
            memcpy(node->ranges, class->ranges, bytes);
    }
    mem_free(class->ranges);
    return p->status ? NULL : node;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* `n` hexadecimal digits; false (and nothing taken) if they are not there. */
static bool take_hex(struct parser *p, size_t n, uint32_t *value)
{
    *value = 0;
    if (p->length - p->at < n)
        return false;
    for (size_t i = 0; i < n; i++) {
        int digit = hex_value(p->pattern[p->at + i]);
        if (digit < 0)
            return false;
        *value = *value << 4 | (uint32_t)digit;
    }
    p->at += n;
    return true;
}

/* Behind "\u": four digits, a pair of surrogates, or {digits}. */
static uint32_t take_unicode_escape(struct parser *p)
{
    uint32_t value, low;
    size_t begin = p->at - 2;
    if (take(p, "{")) {
        size_t n = 0;
        while (p->at + n < p->length && hex_value(p->pattern[p->at + n]) >= 0)
            n++;
        if (n > 0 && n <= 6 && take_hex(p, n, &value) && take(p, "}") && value <= LAST_CODEPOINT)
            return value;
    } else if (take_hex(p, 4, &value)) {
        bool high = value >= 0xD800 && value < 0xDC00;
        if (high && take(p, "\\u") && take_hex(p, 4, &low) && low >= 0xDC00 && low < 0xE000)
            return 0x10000 + ((value - 0xD800) << 10) + (low - 0xDC00);
        if (value < 0xD800 || value > 0xDFFF)
            return value;
    }
    fail(p, STATUS_INVALID, begin, "\\u is not followed by a code point");
    return 0;
}

/* The character that the escape behind "\" stands for. */
static uint32_t take_escape(struct parser *p, bool in_class)
{
    static const char names[] = "tnvfr", values[] = "\t\n\v\f\r";
    size_t begin = p->at - 1;
    uint32_t value;
    if (p->at == p->length) {
        fail(p, STATUS_INVALID, begin, "a \\ with nothing behind it");
        return 0;
    }
    uint32_t c = take_codepoint(p);
    const char *name = c && c < 128 ? strchr(names, (int)c) : NULL;
    if (name)
        return (uint8_t)values[name - names];
    if (c == 'u')
        return take_unicode_escape(p);
    if (c == 'x' && take_hex(p, 2, &value))
        return value;
    if (c == 'c' && p->at < p->length && ((p->pattern[p->at] | 0x20) >= 'a') &&
        ((p->pattern[p->at] | 0x20) <= 'z'))
        return (uint32_t)p->pattern[p->at++] & 31;
    if (c == '0' && (p->at == p->length || p->pattern[p->at] < '0' || p->pattern[p->at] > '9'))
        return 0;
    if (c == 'b' && in_class)
        return '\b';
    if (c < 128 && c > ' ' && !(c >= '0' && c <= '9') && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z'))
        return c;
    bool is_known = c < 128 && c && strchr("bBpPk123456789", (int)c);
    fail(p, is_known ? STATUS_UNSUPPORTED : STATUS_INVALID, begin,
         is_known ? "\\b, \\B, \\p, \\P and back-references are not supported"
                  : "an unknown escape");
    return 0;
}

/* One end of a range in brackets, or an escape such as \d, which is then in the class already
 * (*is_set). */
static uint32_t take_class_atom(struct parser *p, struct class *class, bool *is_set)
{
    *is_set = false;
    if (!take(p, "\\"))
        return take_codepoint(p);
    if (p->at < p->length && class_add_escape(p, class, p->pattern[p->at])) {
        p->at++;
        *is_set = true;
        return 0;
    }
    return take_escape(p, true);
}

/* Behind "[". */
static struct node *parse_class(struct parser *p)
{
    struct class class = {0};
    size_t begin = p->at - 1;
    bool negated = take(p, "^"), is_set, ends_in_set;
    while (!p->status && !peek_is(p, "]")) {
        if (p->at == p->length) {
            fail(p, STATUS_INVALID, begin, "a [ without its ]");
            break;
        }
        uint32_t low = take_class_atom(p, &class, &is_set), high = low;
        if (peek_is(p, "-") && p->at + 1 < p->length && p->pattern[p->at + 1] != ']') {
            p->at++;
            high = take_class_atom(p, &class, &ends_in_set);
            if (is_set || ends_in_set || high < low)
                fail(p, STATUS_INVALID, p->at, "a range in brackets that is out of order");
        }
        if (!is_set)
            class_add(p, &class, low, high);
    }
    p->at += !p->status;
    if (negated && !p->status)
        class_negate(p, &class);
    return class_node(p, &class);
}

/* --- Terms --- */

static struct node *parse_alternatives(struct parser *p);

static void skip_group_name(struct parser *p)
{
    size_t begin = p->at;
    while (p->at < p->length && p->pattern[p->at] != '>')
        p->at++;
    if (!take(p, ">"))
        fail(p, STATUS_INVALID, begin, "a group's name without its >");
}

/* Behind "(". */
static struct node *parse_group(struct parser *p)
{
    size_t begin = p->at - 1;
    if (peek_is(p, "?=") || peek_is(p, "?!") || peek_is(p, "?<=") || peek_is(p, "?<!"))
        return fail(p, STATUS_UNSUPPORTED, begin, "look-around is not supported");
    if (take(p, "?<"))
        skip_group_name(p);
    else if (!take(p, "?:") && peek_is(p, "?"))
        return fail(p, STATUS_UNSUPPORTED, begin, "an unknown kind of group");
    if (p->depth >= DEPTH_LIMIT)
        return fail(p, STATUS_LIMIT, begin, "groups nested more than 200 deep");
    p->depth++;
    struct node *inner = parse_alternatives(p);
    p->depth--;
    if (!p->status && !take(p, ")"))
        return fail(p, STATUS_INVALID, begin, "a ( without its )");
    return inner;
}

static struct node *parse_character(struct parser *p)
{
    struct class class = {0};
    if (take(p, ".")) {
        static const uint32_t line_ends[] = {'\n', '\r', 0x2028, 0x2029};
        for (size_t i = 0; i < 4; i++)
            class_add(p, &class, line_ends[i], line_ends[i]);
        class_negate(p, &class);
    } else if (take(p, "\\")) {
        if (p->at < p->length && class_add_escape(p, &class, p->pattern[p->at])) {
            p->at++;
        } else {
            uint32_t c = take_escape(p, false);
            class_add(p, &class, c, c);
        }
    } else {
        uint32_t c = take_codepoint(p);
        class_add(p, &class, c, c);
    }
    return class_node(p, &class);
}

static struct node *parse_atom(struct parser *p)
{
    if (peek_is(p, "*") || peek_is(p, "+") || peek_is(p, "?"))
        return fail(p, STATUS_INVALID, p->at, "a quantifier with nothing in front");
    if (take(p, "^"))
        return new_node(p, AT_START);
    if (take(p, "$"))
        return new_node(p, AT_END);
    if (take(p, "("))
        return parse_group(p);
    if (take(p, "["))
        return parse_class(p);
    return parse_character(p);
}

/* A decimal number; NO_MAXIMUM if there is none. Numbers that are too large come out larger than
 * REPEAT_LIMIT. */
static long take_number(struct parser *p)
{
    long value = NO_MAXIMUM;
    for (; p->at < p->length && p->pattern[p->at] >= '0' && p->pattern[p->at] <= '9'; p->at++) {
        value = (value < 0 ? 0 : value) * 10 + (p->pattern[p->at] - '0');
        if (value > REPEAT_LIMIT)
            value = REPEAT_LIMIT + 1;
    }
    return value;
}

/* {n}, {n,}, {n,m}; what does not have this form is plain text, as it is in ECMAScript. */
static bool take_braces(struct parser *p, long *least, long *most)
{
    size_t begin = p->at;
    if (take(p, "{")) {
        *least = *most = take_number(p);
        if (*least >= 0 && take(p, ","))
            *most = take_number(p);
        if (*least >= 0 && take(p, "}"))
            return true;
    }
    p->at = begin;
    return false;
}

static bool take_quantifier(struct parser *p, long *least, long *most)
{
    *least = 0;
    *most = NO_MAXIMUM;
    if (take(p, "?"))
        *most = 1;
    else if (take(p, "+"))
        *least = 1;
    else if (!take(p, "*") && !take_braces(p, least, most))
        return false;
    take(p, "?"); /* lazy */
    return true;
}

static struct node *parse_term(struct parser *p)
{
    size_t begin = p->at;
    struct node *atom = parse_atom(p);
    long least, most;
    if (!atom || !take_quantifier(p, &least, &most))
        return atom;
    if (atom->kind == AT_START || atom->kind == AT_END)
        return fail(p, STATUS_INVALID, begin, "a quantifier behind an anchor");
    if (least > REPEAT_LIMIT || most > REPEAT_LIMIT)
        return fail(p, STATUS_LIMIT, begin, "a repetition of more than 100000 times");
    if (most != NO_MAXIMUM && most < least)
        return fail(p, STATUS_INVALID, begin, "a repetition whose bounds are out of order");
    struct node *repeat = new_node(p, REPEAT);
    if (!repeat)
        return NULL;
    repeat->last = atom;
    repeat->least = least;
    repeat->most = most;
    return repeat;
}

static void append_child(struct node *parent, struct node *child)
{
    child->before = parent->last;
    parent->last = child;
}

static struct node *parse_sequence(struct parser *p)
{
    struct node *sequence = new_node(p, SEQUENCE);
    while (!p->status && p->at < p->length && !peek_is(p, "|") && !peek_is(p, ")")) {
        struct node *term = parse_term(p);
        if (term)
            append_child(sequence, term);
    }
    return p->status ? NULL : sequence;
}

static struct node *parse_alternatives(struct parser *p)
{
    struct node *alternatives = new_node(p, ALTERNATIVES);
    do {
        struct node *sequence = p->status ? NULL : parse_sequence(p);
        if (sequence)
            append_child(alternatives, sequence);
    } while (!p->status && take(p, "|"));
    return p->status ? NULL : alternatives;
}

/* --- To states --- */

struct emitter {
    struct nfa *nfa;
    enum spelling spelling;
};

static uint32_t emit(struct emitter *e, const struct node *node, uint32_t out);

static uint32_t emit_class(struct emitter *e, const struct node *node, uint32_t out)
{
    uint32_t entry = nfa_add(e->nfa, (struct nfa_state){.kind = NFA_NOTHING});
    for (size_t i = 0; i < node->n_ranges; i++) {
        struct codepoint_range range = node->ranges[i];
        uint32_t one = nfa_characters(e->nfa, e->spelling, range.low, range.high, out);
        entry = i == 0 ? one : nfa_split(e->nfa, entry, one);
    }
    return entry;
}

static uint32_t emit_repeat(struct emitter *e, const struct node *node, uint32_t out)
{
    uint32_t entry = out;
    if (node->most == NO_MAXIMUM) {
        entry = nfa_split(e->nfa, out, out);
        uint32_t body = emit(e, node->last, entry);
        if (!e->nfa->failure)
            e->nfa->states[entry].other = body;
    }
    for (long i = node->least; i < node->most && !e->nfa->failure; i++)
        entry = nfa_split(e->nfa, out, emit(e, node->last, entry));
    for (long i = 0; i < node->least && !e->nfa->failure; i++)
        entry = emit(e, node->last, entry);
    return entry;
}

static uint32_t emit(struct emitter *e, const struct node *node, uint32_t out)
{
    uint32_t entry = out;
    switch (node->kind) {
    case CLASS:
        return emit_class(e, node, out);
    case SEQUENCE:
        for (const struct node *child = node->last; child; child = child->before)
            entry = emit(e, child, entry);
        break;
    case ALTERNATIVES:
        for (const struct node *child = node->last; child; child = child->before) {
            uint32_t one = emit(e, child, out);
            entry = child == node->last ? one : nfa_split(e->nfa, one, entry);
        }
        break;
    case REPEAT:
        return emit_repeat(e, node, out);
    case AT_START:
        return nfa_add(e->nfa, (struct nfa_state){.kind = NFA_AT_START, .out = out});
    case AT_END:
        return nfa_add(e->nfa, (struct nfa_state){.kind = NFA_AT_END, .out = out});
    }
    return entry;
}

enum status regex_to_nfa(const char *pattern, size_t length, bool search, enum spelling spelling,
                         struct nfa *nfa, struct error *err)
{
    struct parser p = {.pattern = pattern, .length = length, .err = err};
    *nfa = (struct nfa){0};
    if (length > PATTERN_LIMIT)
        return error_set(err, STATUS_LIMIT, "the pattern has %zu bytes; at most %d are allowed",
                         length, PATTERN_LIMIT);
    if (!utf8_valid(pattern, length))
        return error_set(err, STATUS_INVALID, "the pattern is not valid UTF-8");
    struct node *root = parse_alternatives(&p);
    if (!p.status && p.at < length)
        fail(&p, STATUS_INVALID, p.at, "a ) without its (");
    if (!p.status) {
        struct emitter e = {nfa, spelling};
        uint32_t out = nfa_match(nfa);
        if (search)
            out = nfa_anything(nfa, spelling, out);
        out = emit(&e, root, out);
        nfa->start = search ? nfa_anything(nfa, spelling, out) : out;
    }
    arena_free(&p.arena);
    return p.status;
}
