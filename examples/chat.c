/* Chats with a model through libtandem's public API:
 *
 *     cc chat.c $(pkg-config --cflags --libs tandem) -o chat && ./chat models/qwen
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tandem.h>

enum { TURNS = 32, LINE_SIZE = 1024, ANSWER_SIZE = 8192 };
static struct tandem_error err;

static void check(enum tandem_status status)
{
    if (status == TANDEM_OK)
        return;
    fprintf(stderr, "%s\n", err.message);
    exit(1);
}

static int on_piece(const struct tandem_piece *piece, void *user_data)
{
    char *answer = user_data;
    size_t length = strlen(answer);
    snprintf(answer + length, ANSWER_SIZE - length, "%s", piece->text);
    fputs(piece->text, stdout);
    return fflush(stdout) != 0; /* nonzero stops */
}

int main(int argc, char **argv)
{
    static char lines[TURNS][LINE_SIZE], answers[TURNS][ANSWER_SIZE];
    struct tandem_message messages[2 * TURNS];
    tandem_model *model;
    if (argc != 2) {
        fprintf(stderr, "usage: chat MODEL\n");
        return 2;
    }
    check(tandem_model_load(argv[1], NULL, &model, &err));
    struct tandem_generation_options options;
    tandem_generation_options_init(model, &options);
    options.max_tokens = 200;
    for (size_t n = 0; n < TURNS && printf("> ") && fgets(lines[n], sizeof lines[n], stdin); n++) {
        char *prompt;
        int32_t *ids;
        size_t n_ids;
        lines[n][strcspn(lines[n], "\n")] = 0;
        messages[2 * n] = (struct tandem_message){"user", lines[n]};
        messages[2 * n + 1] = (struct tandem_message){"assistant", answers[n]};
        check(tandem_apply_chat_template(model, messages, 2 * n + 1, 1, &prompt, &err));
        check(tandem_tokenize(model, prompt, strlen(prompt), 0, &ids, &n_ids, &err));
        check(tandem_generate(model, ids, n_ids, &options, on_piece, answers[n], NULL, &err));
        printf("\n");
        tandem_free(ids);
        tandem_free(prompt);
    }
    tandem_model_free(model);
    return 0;
}
