/* What a constraint costs per token, with the vocabulary of a tokenizer:
 *
 *     mask_bench FOLDER [ROUNDS]        FOLDER holds tokenizer.json
 *
 * Documents are encoded and followed token by token, as an answer would be: a mask, a look whether
 * it has the document's next token, and that token. Printed per kind of document: microseconds a
 * mask, in the first round (nothing kept from before) and in the later ones. CPU time, so that
 * what else the machine does counts little. */
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "engine/constraint_grammar.h"
#include "engine/token_mask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_STEPS = 20000, TEXT_REPEATS = 12 };

struct workload {
    const char *name, *schema, *start, *repeated, *end;
};

/* The document is start, TEXT_REPEATS times the repeated part, and end. */
static const struct workload workloads[] = {
    {"extraction",
     "{\"type\":\"object\",\"properties\":{\"items\":{\"type\":\"array\",\"items\":{"
     "\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"price\":{"
     "\"type\":\"number\"},\"kind\":{\"enum\":[\"fruit\",\"tool\"]}},\"required\":["
     "\"name\",\"price\",\"kind\"],\"additionalProperties\":false}}},\"required\":["
     "\"items\"],\"additionalProperties\":false}",
     "{\"items\": [",
     "{\"name\": \"A pear, ripe and sweet, 1 kg\", \"price\": 3.25, \"kind\": "
     "\"fruit\"}, ",
     "{\"name\": \"\", \"price\": 0, \"kind\": \"tool\"}]}"},
    {"long string",
     "{\"type\":\"object\",\"properties\":{\"answer\":{\"type\":\"string\","
     "\"maxLength\":5000}},\"required\":[\"answer\"]}",
     "{\"answer\": \"",
     "Monads order computations: each step may use what came before. \\\"So?\\\" "
     "\xE7\xAD\x94\xE6\xA1\x88\xE3\x80\x82\\n",
     "\"}"},
    {"any object", "{\"type\":\"object\"}", "{\"list\": [",
     "{\"id\": 17, \"tags\": [\"x\", \"y\"], \"note\": null, \"nested\": {\"deep\": true}}, ",
     "1]}"},
    {"pattern",
     "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"pattern\":"
     "\"^[A-Z][a-z]+ [0-9]{3}-[0-9]{4}$\"}}",
     "[", "\"Phone 555-0199\", ", "\"End 000-0000\"]"},
};

struct timing {
    double seconds[MOST_STEPS];
    size_t n;
};

static int compare_seconds(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void fail(const char *what, const struct error *err)
{
    fprintf(stderr, "mask_bench: %s%s%s\n", what, err ? ": " : "", err ? err->message : "");
    exit(1);
}

static void print_timing(const char *name, const char *round, struct timing *timing)
{
    double sum = 0;
    for (size_t i = 0; i < timing->n; i++)
        sum += timing->seconds[i];
    qsort(timing->seconds, timing->n, sizeof *timing->seconds, compare_seconds);
    printf("%-12s %-6s %5zu masks: mean %7.1f us, median %7.1f, p99 %7.1f, largest %7.1f\n", name,
           round, timing->n, 1e6 * sum / (double)timing->n, 1e6 * timing->seconds[timing->n / 2],
           1e6 * timing->seconds[timing->n - 1 - timing->n / 100],
           1e6 * timing->seconds[timing->n - 1]);
}

/* Follows the document once. */
static void follow(struct token_masker *masker, const struct constraint *constraint,
                   const struct token_list *ids, struct timing *timing)
{
    struct walker w;
    struct error err = {0};
    uint64_t *mask = mem_array(token_masker_words(masker), sizeof *mask);
    if (!mask || walker_init(&w, &constraint->grammar, &err))
        fail("memory", NULL);
    for (size_t i = 0; i < ids->count; i++) {
        double started = clock_cpu_seconds();
        if (token_masker_fill(masker, &w, mask, &err))
            fail("a mask", &err);
        if (timing->n < MOST_STEPS)
            timing->seconds[timing->n++] = clock_cpu_seconds() - started;
        if (!mask_has(mask, (size_t)ids->ids[i]))
            fail("the document's token is not permitted", NULL);
        if (token_masker_accept(masker, &w, ids->ids[i], &err))
            fail("a token", &err);
    }
    if (!w.now.may_end)
        fail("the document is not complete", NULL);
    walker_free(&w);
    mem_free(mask);
}

static void run(const struct tokenizer *tokenizer, const struct workload *load, size_t rounds)
{
    struct strbuf text = {0};
    struct token_list ids = {0};
    struct error err = {0};
    struct constraint *constraint;
    struct token_masker *masker;
    struct timing *timing = mem_alloc(sizeof *timing);
    json_t *schema = json_parse(load->name, load->schema, strlen(load->schema), &err);
    strbuf_add(&text, load->start);
    for (size_t i = 0; i < TEXT_REPEATS; i++)
        strbuf_add(&text, load->repeated);
    strbuf_add(&text, load->end);
    if (!timing || !schema || constraint_from_schema(schema, &constraint, &err) ||
        tokenizer_encode(tokenizer, text.data, text.length, TOKENIZER_PLAIN_TEXT, &ids, &err) ||
        token_masker_create(tokenizer, tokenizer_size(tokenizer), &masker, &err))
        fail(load->name, &err);
    for (size_t round = 0; round < rounds; round++) {
        follow(masker, constraint, &ids, timing);
        if (round == 0) {
            print_timing(load->name, "first", timing);
            timing->n = 0;
        }
    }
    print_timing(load->name, "later", timing);
    token_masker_free(masker);
    constraint_release(constraint);
    token_list_free(&ids);
    json_decref(schema);
    strbuf_free(&text);
    mem_free(timing);
}

int main(int argc, char **argv)
{
    struct error err = {0};
    struct tokenizer *tokenizer;
    struct vocab_source source = {.name = argc > 1 ? argv[1] : ""};
    char *path = argc > 1 ? file_join(argv[1], "tokenizer.json") : NULL, *text;
    size_t rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 5;
    if (!path)
        fail("usage: mask_bench FOLDER [ROUNDS]", NULL);
    if (file_read(path, 0, &text, &source.tokenizer_json.length, &err))
        fail("reading", &err);
    source.tokenizer_json.data = text;
    if (tokenizer_create(&source, &tokenizer, &err))
        fail("the tokenizer", &err);
    double started = clock_cpu_seconds();
    struct token_masker *masker;
    if (token_masker_create(tokenizer, tokenizer_size(tokenizer), &masker, &err))
        fail("the trie", &err);
    printf("vocabulary of %zu: trie made in %.0f ms\n", tokenizer_size(tokenizer),
           1e3 * (clock_cpu_seconds() - started));
    token_masker_free(masker);
    for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++)
        run(tokenizer, &workloads[i], rounds > 1 ? rounds : 2);
    tokenizer_free(tokenizer);
    mem_free(text);
    mem_free(path);
    return 0;
}
