/* Random models in a folder of the test program's own, and constraints held against texts.
 *
 *     return cmocka_run_group_tests(tests, make_models, remove_models);
 */
#ifndef TANDEM_TESTS_CONSTRAINT_FIXTURE_H
#define TANDEM_TESTS_CONSTRAINT_FIXTURE_H

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "engine/enforcer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char models[] = "/tmp/tandem-constraint-test-XXXXXX";

/* Whether the text can begin a document, and whether it is one. */
static inline bool follow(const struct constraint *constraint, const char *text, bool *is_whole)
{
    struct walker w;
    assert_int_equal(walker_init(&w, &constraint->grammar, NULL), STATUS_OK);
    bool possible = true;
    for (; possible && *text; text++)
        possible = !walker_accept(&w, text, 1, NULL);
    *is_whole = possible && w.now.may_end;
    walker_free(&w);
    return possible;
}

static inline bool accepts(const struct constraint *constraint, const char *text)
{
    bool is_whole;
    follow(constraint, text, &is_whole);
    return is_whole;
}

/* A token that has its bit in the mask; VOCAB_NO_ID if none has. */
static inline int32_t choose(const uint64_t *mask, size_t n_ids, struct rng *rng)
{
    size_t first = (size_t)rng_below(rng, n_ids);
    for (size_t i = 0; i < n_ids; i++)
        if (mask_has(mask, (first + i) % n_ids))
            return (int32_t)((first + i) % n_ids);
    return VOCAB_NO_ID;
}

/* One of the released tokenizers; skips the test where there are none. */
static inline struct tokenizer *shared_tokenizer(const char *name)
{
    char path[4000];
    const char *shared = getenv("TANDEM_SHARED");
    struct tokenizer *tk = NULL;
    struct error err = {0};
    char *text;
    struct vocab_source source = {.name = name};
    snprintf(path, sizeof path, "%s/tokenizers/%s/tokenizer.json", shared ? shared : "", name);
    if (!shared || !file_exists(path)) {
        print_message("no tokenizers in TANDEM_SHARED (%s): skipped\n", shared ? shared : "unset");
        skip();
    }
    assert_int_equal(file_read(path, 0, &text, &source.tokenizer_json.length, &err), STATUS_OK);
    source.tokenizer_json.data = text;
    assert_int_equal(tokenizer_create(&source, &tk, &err), STATUS_OK);
    mem_free(text);
    return tk;
}

static int make_models(void **state)
{
    (void)state;
    const char *program = getenv("TANDEM_MAKE_MODELS");
    char command[4000];
    if (!program || !mkdtemp(models))
        return -1;
    snprintf(command, sizeof command, "'%s' '%s' > /dev/null", program, models);
    return system(command);
}

static int remove_models(void **state)
{
    (void)state;
    char command[200];
    snprintf(command, sizeof command, "rm -r '%s'", models);
    return system(command);
}

#endif
