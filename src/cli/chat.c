/* The chat in the terminal: line editing, history, commands, streaming answers. */
#include "base/file.h"
#include "base/memory.h"
#include "cli/conversation.h"

#include <histedit.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HISTORY_LINES = 1000 };

struct terminal {
    EditLine *edit;
    History *history;
    char *history_file; /* NULL: not kept */
    const char *prompt;
    bool interrupted; /* Ctrl-C was typed at the prompt */
};

struct session {
    struct conversation *conversation;
    struct terminal terminal;
    struct generation_stats last;
    bool has_last, show_stats, leave;
};

/* --- The terminal --- */

static char *show_prompt(EditLine *edit)
{
    struct terminal *t;
    el_get(edit, EL_CLIENTDATA, &t);
    return (char *)t->prompt;
}

static unsigned char type_interrupt(EditLine *edit, int key)
{
    struct terminal *t;
    (void)key;
    el_get(edit, EL_CLIENTDATA, &t);
    t->interrupted = true;
    return CC_EOF;
}

/* $XDG_STATE_HOME/tandem/history or ~/.local/state/tandem/history; NULL when there is no place. */
static char *find_history_file(void)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    char *base = NULL, *folder = NULL, *file = NULL;
    if (state && *state == '/')
        base = mem_copy_string(state);
    else if (home && *home)
        base = file_join(home, ".local/state");
    if (base)
        folder = file_join(base, "tandem");
    if (folder && !file_make_directory(folder, NULL))
        file = file_join(folder, "history");
    mem_free(base);
    mem_free(folder);
    return file;
}

static void use_utf8(void)
{
    const char *name = setlocale(LC_CTYPE, "");
    if (!name || !strcmp(name, "C") || !strcmp(name, "POSIX"))
        setlocale(LC_CTYPE, "C.UTF-8");
}

static bool terminal_open(struct terminal *t)
{
    HistEvent event;
    use_utf8();
    t->prompt = "> ";
    t->edit = el_init("tandem", stdin, stdout, stderr);
    t->history = history_init();
    if (!t->edit || !t->history)
        return false;
    el_set(t->edit, EL_CLIENTDATA, t);
    el_set(t->edit, EL_PROMPT, show_prompt);
    el_set(t->edit, EL_EDITOR, "emacs");
    /* While a line is edited Ctrl-C is a key; while a model answers it is a signal. */
    el_set(t->edit, EL_SETTY, "-d", "-isig", NULL);
    el_set(t->edit, EL_ADDFN, "interrupt", "leave the line", type_interrupt);
    el_set(t->edit, EL_BIND, "^C", "interrupt", NULL);
    history(t->history, &event, H_SETSIZE, HISTORY_LINES);
    history(t->history, &event, H_SETUNIQUE, 1);
    el_set(t->edit, EL_HIST, history, t->history);
    t->history_file = find_history_file();
    if (t->history_file)
        history(t->history, &event, H_LOAD, t->history_file);
    return true;
}

static void terminal_close(struct terminal *t)
{
    HistEvent event;
    if (t->history && t->history_file) {
        mode_t before = umask(077); /* what one asks is nobody else's business */
        history(t->history, &event, H_SAVE, t->history_file);
        umask(before);
    }
    if (t->history)
        history_end(t->history);
    if (t->edit)
        el_end(t->edit);
    mem_free(t->history_file);
}

/* A line without its newline, valid until the next; NULL at the end of input and for Ctrl-C. */
static const char *read_line(struct terminal *t, const char *prompt, size_t *length)
{
    int n = 0;
    t->prompt = prompt;
    t->interrupted = false;
    const char *line = el_gets(t->edit, &n);
    answer_catch_interrupt(NULL); /* forgets one that came before the line */
    if (!line || n <= 0) {
        putchar('\n');
        return NULL;
    }
    *length = (size_t)n - (line[n - 1] == '\n');
    return line;
}

static void remember(struct terminal *t, const char *text)
{
    HistEvent event;
    if (*text && !strchr(text, '\n'))
        history(t->history, &event, H_ENTER, text);
}

/* What the user says: a line, or lines from """ to """. False at the end of input and for Ctrl-C.
 */
static bool read_message(struct terminal *t, struct strbuf *message)
{
    static const char quotes[] = "\"\"\"";
    size_t length;
    strbuf_truncate(message, 0);
    const char *line = read_line(t, "> ", &length);
    if (!line)
        return false;
    bool quoted = length >= 3 && !memcmp(line, quotes, 3);
    strbuf_append(message, quoted ? line + 3 : line, quoted ? length - 3 : length);
    while (quoted) {
        if (message->length >= 3 && !memcmp(message->data + message->length - 3, quotes, 3)) {
            strbuf_truncate(message, message->length - 3);
            break;
        }
        if (!(line = read_line(t, ". ", &length)))
            return false;
        strbuf_add_char(message, '\n');
        strbuf_append(message, line, length);
    }
    remember(t, strbuf_text(message));
    return !message->failed;
}

/* --- Answers --- */

static void say_error(const struct error *err)
{
    fprintf(stderr, "%s\n", err->message);
}

/* Keeps what was said. An answer without text leaves the question without one, so it goes too. */
static void keep_answer(struct session *s, const struct answer *answer)
{
    struct conversation *c = s->conversation;
    struct error err = {0};
    s->last = answer->stats;
    s->has_last = true;
    c->n_answers++;
    if (answer->text.length == 0)
        conversation_drop_last(c, "user");
    else if (conversation_add(c, "assistant", strbuf_text(&answer->text), &err))
        say_error(&err);
}

/* Answers the last user message; on an error the message is forgotten. */
static void answer_last(struct session *s)
{
    struct conversation *c = s->conversation;
    struct answer_settings settings = *c->settings;
    struct token_list ids = {0};
    struct answer answer = {0};
    struct error err = {0};
    settings.seed += c->n_answers; /* /regen should not say the same again */
    enum status status = conversation_encode(c, &ids, &err);
    if (!status) {
        struct answer_request request = {.prompt = ids.ids,
                                         .n_prompt = ids.count,
                                         .settings = &settings,
                                         .n_logprobs = SIZE_MAX,
                                         .out = stdout,
                                         .is_terminal = isatty(STDOUT_FILENO)};
        status = answer_stream(c->engine, &request, &answer, &err);
    }
    if (answer.text.length > 0)
        putchar('\n');
    if (status) {
        say_error(&err);
        if (status == STATUS_LIMIT)
            fprintf(stderr, "/reset starts a new conversation\n");
        conversation_drop_last(c, "user");
    } else {
        keep_answer(s, &answer);
        if (answer.stats.finish == FINISH_CANCELLED)
            printf("(stopped)\n");
        if (s->show_stats)
            answer_print_stats(stderr, &answer.stats);
    }
    answer_free(&answer);
    token_list_free(&ids);
}

/* --- Commands --- */

static void do_system(struct session *s, const char *text)
{
    struct error err = {0};
    if (*text) {
        if (conversation_set_system(s->conversation, strcmp(text, "none") ? text : NULL, &err))
            say_error(&err);
        else
            printf("(it holds from the next answer on)\n");
        return;
    }
    const char *system = conversation_system(s->conversation);
    printf("%s\n", system ? system : "(no system message)");
}

static void do_reset(struct session *s, const char *text)
{
    (void)text;
    conversation_reset(s->conversation);
    printf("(a new conversation)\n");
}

static void do_regen(struct session *s, const char *text)
{
    (void)text;
    if (conversation_drop_last(s->conversation, "assistant"))
        answer_last(s);
    else
        printf("there is no answer to replace\n");
}

static void do_save(struct session *s, const char *path)
{
    struct strbuf text = {0};
    struct error err = {0};
    if (!*path) {
        printf("/save FILE: where to?\n");
        return;
    }
    json_write(&text, s->conversation->messages, true);
    strbuf_add_char(&text, '\n');
    if (file_write_atomic(path, strbuf_text(&text), text.length, &err))
        say_error(&err);
    else
        printf("saved %zu messages in %s\n", json_array_size(s->conversation->messages), path);
    strbuf_free(&text);
}

static void do_stats(struct session *s, const char *text)
{
    (void)text;
    struct engine_info info = engine_info(s->conversation->engine);
    if (!s->has_last) {
        printf("nothing was answered yet\n");
        return;
    }
    answer_print_stats(stdout, &s->last);
    printf("context: %zu of %zu tokens; %zu threads, %s\n",
           s->last.prompt_tokens + s->last.answer_tokens, info.context_length, info.n_threads,
           info.isa);
}

static void show_settings(const struct conversation *c)
{
    struct sampling s = answer_sampling(c->settings, c->engine);
    printf("  greedy              %s\n", s.greedy || s.temperature == 0 ? "on" : "off");
    printf("  temperature         %g\n", s.temperature);
    printf("  top-k               %lld\n", (long long)s.top_k);
    printf("  top-p               %g\n", s.top_p);
    printf("  min-p               %g\n", s.min_p);
    printf("  repetition-penalty  %g\n", s.repetition_penalty);
    printf("  frequency-penalty   %g\n", s.frequency_penalty);
    printf("  presence-penalty    %g\n", s.presence_penalty);
    printf("  seed                %llu\n", (unsigned long long)s.seed);
    if (c->settings->max_tokens)
        printf("  max-tokens          %zu\n", c->settings->max_tokens);
    else
        printf("  max-tokens          up to the context's end\n");
}

/* False when there is no such setting. */
static bool change_setting(struct answer_settings *s, const char *name, double value)
{
    const struct {
        const char *name;
        double *number;
    } numbers[] = {{"temperature", &s->temperature},
                   {"top-p", &s->top_p},
                   {"min-p", &s->min_p},
                   {"repetition-penalty", &s->repetition_penalty},
                   {"frequency-penalty", &s->frequency_penalty},
                   {"presence-penalty", &s->presence_penalty}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!strcmp(name, numbers[i].name)) {
            *numbers[i].number = value;
            return true;
        }
    if (!(value >= 0 && value < 0x1p53 && value == floor(value)))
        return false;
    if (!strcmp(name, "top-k"))
        s->top_k = (size_t)value;
    else if (!strcmp(name, "max-tokens"))
        s->max_tokens = (size_t)value;
    else if (!strcmp(name, "seed"))
        s->seed = (uint64_t)value;
    else if (!strcmp(name, "greedy"))
        s->greedy = value != 0;
    else
        return false;
    return true;
}

static double parse_setting(const char *text)
{
    char *end;
    if (!strcmp(text, "on"))
        return 1;
    if (!strcmp(text, "off"))
        return 0;
    double value = strtod(text, &end);
    return end == text || *end ? NAN : value;
}

static void do_set(struct session *s, const char *text)
{
    struct conversation *c = s->conversation;
    struct answer_settings changed = *c->settings;
    struct error err = {0};
    char name[32], value[32];
    if (!*text) {
        show_settings(c);
        return;
    }
    int n = sscanf(text, "%31s %31s", name, value);
    double number = n == 2 ? parse_setting(value) : NAN;
    if (isnan(number) || !change_setting(&changed, name, number)) {
        printf("/set NAME VALUE, like /set temperature 0.7; /set alone shows the names\n");
        return;
    }
    struct sampling sampling = answer_sampling(&changed, c->engine);
    if (sampling_check(&sampling, &err))
        say_error(&err);
    else
        *c->settings = changed;
}

static void do_quit(struct session *s, const char *text)
{
    (void)text;
    s->leave = true;
}

static void do_help(struct session *s, const char *text);

static const struct command {
    const char *name, *operand, *help;
    void (*run)(struct session *s, const char *text);
} commands[] = {
    {"/help", "", "this text", do_help},
    {"/system", "[TEXT]", "set the system message (\"none\" removes it), or show it", do_system},
    {"/reset", "", "start a new conversation; the system message stays", do_reset},
    {"/regen", "", "answer the last message anew", do_regen},
    {"/save", "FILE", "write the conversation as JSON", do_save},
    {"/stats", "", "tokens and speed of the last answer", do_stats},
    {"/set", "[NAME VALUE]", "change a setting (/set temperature 0.7), or show all", do_set},
    {"/quit", "", "leave; so do Ctrl-D and Ctrl-C at an empty prompt, twice", do_quit},
    {0}};

static void do_help(struct session *s, const char *text)
{
    (void)s;
    (void)text;
    for (const struct command *c = commands; c->name; c++)
        printf("  %-8s %-13s %s\n", c->name, c->operand, c->help);
    printf("\n  \"\"\"                    begins and ends a message of several lines\n"
           "  //                     begins a message that starts with /\n"
           "  Ctrl-C                 stops an answer\n");
}

static void do_command(struct session *s, const char *text)
{
    size_t length = strcspn(text, " \t\n");
    const char *rest = text + length + strspn(text + length, " \t");
    for (const struct command *c = commands; c->name; c++)
        if (strlen(c->name) == length && !memcmp(c->name, text, length)) {
            c->run(s, rest);
            return;
        }
    printf("there is no command %.*s; /help lists them\n", (int)length, text);
}

/* --- The loop --- */

static void take_message(struct session *s, const char *text)
{
    struct error err = {0};
    if (text[0] == '/' && text[1] != '/') {
        do_command(s, text);
        return;
    }
    if (text[0] == '/')
        text++;
    if (text[strspn(text, " \t\n")] == 0)
        return;
    if (conversation_add(s->conversation, "user", text, &err))
        say_error(&err);
    else
        answer_last(s);
}

/* Ctrl-C on a line with text drops the line; the second one in a row at an empty prompt leaves. */
static bool should_leave(struct session *s, bool *warned)
{
    if (!s->terminal.interrupted)
        return true;
    const LineInfo *line = el_line(s->terminal.edit);
    bool was_empty = line->lastchar == line->buffer;
    if (was_empty && *warned)
        return true;
    *warned = was_empty;
    if (was_empty)
        printf("(Ctrl-C again or Ctrl-D leaves)\n");
    return false;
}

int chat(struct conversation *c, bool show_stats)
{
    struct session s = {.conversation = c, .show_stats = show_stats};
    struct strbuf message = {0};
    struct sigaction before;
    bool warned = false;
    struct engine_info info = engine_info(c->engine);
    if (!terminal_open(&s.terminal)) {
        terminal_close(&s.terminal);
        fprintf(stderr, "tandem: cannot set up the terminal\n");
        return EXIT_FAILED;
    }
    answer_catch_interrupt(&before); /* between a line and its answer, too */
    printf("%s, %s, context of %zu tokens. /help for help, Ctrl-D to leave.\n", info.name,
           info.weight_type, info.context_length);
    while (!s.leave) {
        if (read_message(&s.terminal, &message)) {
            warned = false;
            take_message(&s, strbuf_text(&message));
        } else if (should_leave(&s, &warned)) {
            break;
        }
        fflush(stdout);
    }
    strbuf_free(&message);
    terminal_close(&s.terminal);
    sigaction(SIGINT, &before, NULL);
    return finish_output();
}
