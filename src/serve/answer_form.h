/* Replies with answers, as a whole or as a stream of server-sent events. What differs between
 * chat and plain completions is a form. */
#ifndef TANDEM_SERVE_ANSWER_FORM_H
#define TANDEM_SERVE_ANSWER_FORM_H

#include "serve/answering.h"

struct answer_form {
    const char *object, *chunk_object;
    /* Takes one piece of an answer that is given as a whole. */
    void (*take)(struct answering *a, const struct piece *piece);
    /* A choice as a whole, after all its pieces were taken; new reference. */
    json_t *(*whole)(struct answering *a, struct choice *choice, size_t index);
    /* Appends the events of one piece. */
    void (*stream)(struct answering *a, const struct piece *piece, struct strbuf *out);
};

/* Replies to a request whose generations were started. */
void answer_reply(struct answering *a, const struct answer_form *form);

/* A chunk with one choice, sent; takes over `choice`. */
void answer_send_choice(const struct answering *a, const struct piece *piece, json_t *choice,
                        struct strbuf *out);
/* "length" or "stop". */
const char *answer_finish_name(const struct choice *choice);
/* The token's characters, U+FFFD for bytes that are none; new reference. */
json_t *answer_token_text(const struct answering *a, int32_t token);

#endif
