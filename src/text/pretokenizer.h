/* The "pre_tokenizer" of tokenizer.json: cuts text into the pieces that BPE sees one by one. */
#ifndef TANDEM_TEXT_PRETOKENIZER_H
#define TANDEM_TEXT_PRETOKENIZER_H

#include "base/error.h"
#include "base/json.h"
#include "base/strbuf.h"
#include "text/pattern.h"

#include <stdbool.h>
#include <stddef.h>

struct pretokenizer_step;

struct pretokenizer {
    struct pretokenizer_step *steps;
    size_t count, capacity;
    bool raw_bytes; /* the last step writes bytes as characters; that is left to BPE */
};

/* `json` may be NULL or null: the text is one piece. */
enum status pretokenizer_from_json(const json_t *json, struct pretokenizer *pretokenizer,
                                   struct error *err);
void pretokenizer_free(struct pretokenizer *pretokenizer);

struct span {
    size_t start, length;
    bool match; /* while splitting: whether the pattern matched here */
};
struct span_list {
    struct span *items;
    size_t count, capacity;
};

/* Scratch memory; zero-initialise. After pretokenizer_run, the pieces are pieces[0..n_pieces) of
 * `text`. */
struct pretokenizer_work {
    const char *text;
    const struct span *pieces;
    size_t n_pieces;
    struct span_list lists[2], parts;
    struct strbuf buffers[2];
    struct matcher *matchers; /* [count of steps] */
};
enum status pretokenizer_work_init(struct pretokenizer_work *work,
                                   const struct pretokenizer *pretokenizer, struct error *err);
void pretokenizer_work_free(struct pretokenizer_work *work,
                            const struct pretokenizer *pretokenizer);
/* at_start: whether the text is the beginning of the whole input. `text` is valid UTF-8, and has
 * to live as long as the pieces are used. */
enum status pretokenizer_run(const struct pretokenizer *pretokenizer,
                             struct pretokenizer_work *work, const char *text, size_t length,
                             bool at_start, struct error *err);

#endif
