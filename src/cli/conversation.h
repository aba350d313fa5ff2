/* A conversation with a model: its messages, and the step from them to an answer. */
#ifndef TANDEM_CLI_CONVERSATION_H
#define TANDEM_CLI_CONVERSATION_H

#include "cli/answer.h"

struct conversation {
    struct engine *engine;
    struct answer_settings *settings;
    json_t *messages; /* array; a system message comes first */
    size_t n_answers;
};

/* False when out of memory. */
bool conversation_init(struct conversation *c, struct engine *engine,
                       struct answer_settings *settings);
void conversation_free(struct conversation *c);
/* NULL where there is none. */
const char *conversation_system(const struct conversation *c);
/* Sets, or with NULL removes, the system message. STATUS_INVALID for text that is not UTF-8. */
enum status conversation_set_system(struct conversation *c, const char *text, struct error *err);
enum status conversation_add(struct conversation *c, const char *role, const char *text,
                             struct error *err);
/* Forgets the last message if `role` wrote it; false if not. */
bool conversation_drop_last(struct conversation *c, const char *role);
/* Forgets all but the system message. */
void conversation_reset(struct conversation *c);

/* The messages through the chat template to tokens; ids are appended. */
enum status conversation_encode(const struct conversation *c, struct token_list *ids,
                                struct error *err);

/* Chats in the terminal until the user leaves; the exit status. */
int chat(struct conversation *c, bool show_stats);

#endif
