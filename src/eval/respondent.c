#include "eval/respondent.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/strbuf.h"
#include "base/utf8.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STOP_CHECK_MS = 100, RECORD_LIMIT = 256 << 20 };

void respondent_info_clear(struct respondent_info *info)
{
    for (size_t i = 0; i < info->n_files; i++)
        mem_free(info->files[i].path);
    mem_free(info->files);
    mem_free(info->name);
    mem_free(info->family);
    mem_free(info->weight_type);
    mem_free(info->isa);
    *info = (struct respondent_info){0};
}

void reply_clear(struct reply *reply)
{
    mem_free(reply->text);
    mem_free(reply->error);
    *reply = (struct reply){0};
}

double reply_prompt_rate(const struct reply *a)
{
    size_t computed = a->prompt_tokens > a->cached_tokens ? a->prompt_tokens - a->cached_tokens : 0;
    return a->prefill_seconds > 0 ? (double)computed / a->prefill_seconds : 0;
}

double reply_generation_rate(const struct reply *a)
{
    if (a->answer_tokens < 2 || !(a->decode_seconds > 0))
        return 0;
    return (double)(a->answer_tokens - 1) / a->decode_seconds;
}

/* --- records --- */

static json_t *size_value(size_t value)
{
    return json_integer((json_int_t)value);
}

/* A JSON string of any bytes: what is not UTF-8 becomes U+FFFD. */
static json_t *text_value(const char *text, size_t length)
{
    struct strbuf clean = {0};
    if (utf8_valid(text, length))
        return json_stringn(text, length);
    for (size_t i = 0; i < length;) {
        uint32_t codepoint;
        int n = utf8_decode(text + i, length - i, &codepoint);
        strbuf_add_codepoint(&clean, n > 0 ? codepoint : 0xFFFD);
        i += n > 0 ? (size_t)n : 1;
    }
    json_t *value = clean.failed ? NULL : json_stringn(strbuf_text(&clean), clean.length);
    strbuf_free(&clean);
    return value;
}

json_t *reply_to_json(const struct reply *a)
{
    json_t *record = json_object();
    json_object_set_new(record, "text", a->text ? text_value(a->text, a->length) : json_null());
    json_object_set_new(record, "finish", json_string(a->finish));
    if (a->error)
        json_object_set_new(record, "error", text_value(a->error, strlen(a->error)));
    json_object_set_new(record, "prompt_tokens", size_value(a->prompt_tokens));
    json_object_set_new(record, "cached_tokens", size_value(a->cached_tokens));
    json_object_set_new(record, "answer_tokens", size_value(a->answer_tokens));
    json_object_set_new(record, "queue_seconds", json_real(a->queue_seconds));
    json_object_set_new(record, "prefill_seconds", json_real(a->prefill_seconds));
    json_object_set_new(record, "first_token_seconds", json_real(a->first_token_seconds));
    json_object_set_new(record, "decode_seconds", json_real(a->decode_seconds));
    json_object_set_new(record, "total_seconds", json_real(a->total_seconds));
    json_object_set_new(record, "cpu_seconds", json_real(a->cpu_seconds));
    json_object_set_new(record, "peak_bytes", size_value(a->peak_bytes));
    json_object_set_new(record, "anonymous_bytes", size_value(a->anonymous_bytes));
    return record;
}

static size_t get_size(const json_t *object, const char *key, struct error *err)
{
    int64_t value = json_get_int(object, key, 0, err);
    return value > 0 ? (size_t)value : 0;
}

static char *get_text(const json_t *object, const char *key, size_t *length)
{
    json_t *value = json_object_get(object, key);
    if (length)
        *length = json_string_length(value);
    return json_is_string(value) ? mem_copy(json_string_value(value), json_string_length(value))
                                 : NULL;
}

static enum status reply_from_json(const json_t *record, struct reply *a, struct error *err)
{
    struct error e = {0};
    a->text = get_text(record, "text", &a->length);
    a->error = get_text(record, "error", NULL);
    snprintf(a->finish, sizeof a->finish, "%s", json_get_string(record, "finish", "", &e));
    a->prompt_tokens = get_size(record, "prompt_tokens", &e);
    a->cached_tokens = get_size(record, "cached_tokens", &e);
    a->answer_tokens = get_size(record, "answer_tokens", &e);
    a->queue_seconds = json_get_number(record, "queue_seconds", 0, &e);
    a->prefill_seconds = json_get_number(record, "prefill_seconds", 0, &e);
    a->first_token_seconds = json_get_number(record, "first_token_seconds", 0, &e);
    a->decode_seconds = json_get_number(record, "decode_seconds", 0, &e);
    a->total_seconds = json_get_number(record, "total_seconds", 0, &e);
    a->cpu_seconds = json_get_number(record, "cpu_seconds", 0, &e);
    a->peak_bytes = get_size(record, "peak_bytes", &e);
    a->anonymous_bytes = get_size(record, "anonymous_bytes", &e);
    return e.status ? error_set(err, e.status, "%s", e.message) : STATUS_OK;
}

static json_t *info_to_json(const struct respondent_info *info)
{
    json_t *record = json_object(), *files = json_array();
    json_object_set_new(record, "name", text_value(info->name, strlen(info->name)));
    json_object_set_new(record, "family", json_string(info->family));
    json_object_set_new(record, "weight_type", json_string(info->weight_type));
    json_object_set_new(record, "isa", json_string(info->isa));
    json_object_set_new(record, "n_parameters", size_value(info->n_parameters));
    json_object_set_new(record, "weight_bytes", size_value(info->weight_bytes));
    json_object_set_new(record, "kv_bytes", size_value(info->kv_bytes));
    json_object_set_new(record, "scratch_bytes", size_value(info->scratch_bytes));
    json_object_set_new(record, "context_length", size_value(info->context_length));
    json_object_set_new(record, "model_context_length", size_value(info->model_context_length));
    json_object_set_new(record, "n_threads", size_value(info->n_threads));
    json_object_set_new(record, "n_layers", size_value(info->n_layers));
    json_object_set_new(record, "dim", size_value(info->dim));
    json_object_set_new(record, "vocab_size", size_value(info->vocab_size));
    json_object_set_new(record, "has_chat_template", json_boolean(info->has_chat_template));
    json_object_set_new(record, "load_seconds", json_real(info->load_seconds));
    json_object_set_new(record, "warm_up_seconds", json_real(info->warm_up_seconds));
    json_object_set_new(record, "warm_up_first_token", json_real(info->warm_up_first_token));
    json_object_set_new(record, "peak_bytes", size_value(info->peak_bytes));
    for (size_t i = 0; i < info->n_files; i++) {
        const struct model_file_info *f = &info->files[i];
        json_t *file = json_object();
        json_object_set_new(file, "path", text_value(f->path, strlen(f->path)));
        json_object_set_new(file, "bytes", size_value(f->bytes));
        json_array_append_new(files, file);
    }
    json_object_set_new(record, "files", files);
    return record;
}

static enum status files_from_json(const json_t *files, struct respondent_info *info,
                                   struct error *err)
{
    size_t n = json_array_size(files);
    info->files = mem_array(n, sizeof *info->files);
    if (!info->files)
        return error_memory(err, "a list of files");
    for (; info->n_files < n; info->n_files++) {
        const json_t *file = json_array_get(files, info->n_files);
        info->files[info->n_files].path = get_text(file, "path", NULL);
        info->files[info->n_files].bytes = get_size(file, "bytes", err);
    }
    return STATUS_OK;
}

static enum status info_from_json(const json_t *record, struct respondent_info *info,
                                  struct error *err)
{
    struct error e = {0};
    info->name = get_text(record, "name", NULL);
    info->family = get_text(record, "family", NULL);
    info->weight_type = get_text(record, "weight_type", NULL);
    info->isa = get_text(record, "isa", NULL);
    info->n_parameters = get_size(record, "n_parameters", &e);
    info->weight_bytes = get_size(record, "weight_bytes", &e);
    info->kv_bytes = get_size(record, "kv_bytes", &e);
    info->scratch_bytes = get_size(record, "scratch_bytes", &e);
    info->context_length = get_size(record, "context_length", &e);
    info->model_context_length = get_size(record, "model_context_length", &e);
    info->n_threads = get_size(record, "n_threads", &e);
    info->n_layers = get_size(record, "n_layers", &e);
    info->dim = get_size(record, "dim", &e);
    info->vocab_size = get_size(record, "vocab_size", &e);
    info->has_chat_template = json_get_bool(record, "has_chat_template", false, &e);
    info->load_seconds = json_get_number(record, "load_seconds", 0, &e);
    info->warm_up_seconds = json_get_number(record, "warm_up_seconds", 0, &e);
    info->warm_up_first_token = json_get_number(record, "warm_up_first_token", 0, &e);
    info->peak_bytes = get_size(record, "peak_bytes", &e);
    if (e.status)
        return error_set(err, e.status, "%s", e.message);
    if (!info->name || !info->family || !info->weight_type || !info->isa)
        return error_memory(err, "a model's description");
    return files_from_json(json_object_get(record, "files"), info, err);
}

/* --- the child --- */

static bool send_record(int socket, json_t *record)
{
    struct strbuf line = {0};
    if (record)
        json_write(&line, record, false);
    json_decref(record);
    strbuf_add_char(&line, '\n');
    bool sent = !line.failed;
    for (size_t done = 0; sent && done < line.length;) {
        ssize_t n = send(socket, line.data + done, line.length - done, MSG_NOSIGNAL);
        sent = n > 0 || (n < 0 && errno == EINTR);
        done += n > 0 ? (size_t)n : 0;
    }
    strbuf_free(&line);
    return sent;
}

static json_t *error_record(const struct error *err)
{
    json_t *record = json_object();
    json_object_set_new(record, "error", text_value(err->message, strlen(err->message)));
    json_object_set_new(record, "finish", json_string("error"));
    return record;
}

static json_t *answer_one(const struct responder *responder, void *state, const json_t *question)
{
    struct reply reply = {0};
    struct error err = {0};
    double cpu = clock_cpu_seconds();
    json_t *record;
    if (responder->ask(state, json_string_value(json_object_get(question, "prompt")),
                       get_size(question, "max_tokens", &err), &reply, &err)) {
        record = error_record(&err);
    } else {
        reply.cpu_seconds = clock_cpu_seconds() - cpu;
        reply.peak_bytes = mem_peak_resident();
        reply.anonymous_bytes = mem_resident_anonymous();
        record = reply_to_json(&reply);
    }
    reply_clear(&reply);
    return record;
}

/* The child's life; it ends when the other side of the socket does. */
static void serve_parent(const struct responder *responder,
                         const struct respondent_settings *settings, int socket)
{
    struct respondent_info info = {0};
    struct error err = {0};
    void *state = NULL;
    FILE *questions = fdopen(socket, "r");
    if (!questions)
        return;
    bool opened = responder->open(settings, &state, &info, &err) == STATUS_OK;
    info.peak_bytes = mem_peak_resident();
    if (!send_record(socket, opened ? info_to_json(&info) : error_record(&err)) || !opened)
        return;
    struct json_lines lines = {.stream = questions, .name = "a question"};
    json_t *question;
    while ((question = json_lines_next(&lines, &err))) {
        bool sent = send_record(socket, answer_one(responder, state, question));
        json_decref(question);
        if (!sent)
            return;
    }
}

/* --- the parent --- */

static void describe_end(int status, struct error *err)
{
    if (WIFSIGNALED(status))
        error_set(err, STATUS_IO, "the model's process was ended by signal %d (%s)%s",
                  WTERMSIG(status), strsignal(WTERMSIG(status)),
                  WTERMSIG(status) == SIGKILL ? "; the system may have run out of memory" : "");
    else
        error_set(err, STATUS_IO, "the model's process ended early with status %d",
                  WEXITSTATUS(status));
}

static bool is_stopped(const struct respondent *r)
{
    return r->stop && *r->stop;
}

static enum status stopped(struct error *err)
{
    return error_set(err, STATUS_CANCELLED, "stopped");
}

/* The process is gone: says how, and forgets it. */
static enum status reap(struct respondent *r, struct error *err)
{
    int status = 0;
    while (waitpid(r->pid, &status, 0) < 0 && errno == EINTR)
        ;
    r->pid = 0;
    if (is_stopped(r))
        return stopped(err);
    describe_end(status, err);
    return STATUS_IO;
}

/* Takes the record out of r->line that ends at `end`. */
static json_t *take_record(struct respondent *r, size_t end, struct error *err)
{
    json_t *record = json_parse("a record of the model's process", r->line, end, err);
    r->length -= end + 1;
    memmove(r->line, r->line + end + 1, r->length);
    return record;
}

static enum status grow_line(struct respondent *r, struct error *err)
{
    enum { CHUNK = 65536 };
    if (r->capacity - r->length >= CHUNK)
        return STATUS_OK;
    if (r->capacity > RECORD_LIMIT)
        return error_set(err, STATUS_LIMIT, "an answer of more than %d bytes", RECORD_LIMIT);
    size_t capacity = 2 * r->capacity + CHUNK;
    char *line = mem_resize(r->line, capacity, 1);
    if (!line)
        return error_memory(err, "an answer");
    r->line = line;
    r->capacity = capacity;
    return STATUS_OK;
}

/* Waits for one record; new reference, NULL on error. */
static json_t *receive(struct respondent *r, struct error *err)
{
    for (size_t seen = 0;;) {
        char *newline = r->length > seen ? memchr(r->line + seen, '\n', r->length - seen) : NULL;
        if (newline)
            return take_record(r, (size_t)(newline - r->line), err);
        seen = r->length;
        if (is_stopped(r)) {
            stopped(err);
            return NULL;
        }
        if (grow_line(r, err))
            return NULL;
        struct pollfd wait = {.fd = r->socket, .events = POLLIN};
        if (poll(&wait, 1, STOP_CHECK_MS) <= 0)
            continue;
        ssize_t n = recv(r->socket, r->line + r->length, r->capacity - r->length, 0);
        if (n == 0 || (n < 0 && errno != EINTR)) {
            reap(r, err);
            return NULL;
        }
        r->length += n > 0 ? (size_t)n : 0;
    }
}

static pid_t spawn(const struct responder *responder, const struct respondent_settings *settings,
                   const int sockets[2])
{
    fflush(NULL);
    pid_t parent = getpid(), pid = fork();
    if (pid)
        return pid;
    signal(SIGINT, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent) {
        close(sockets[0]);
        dup2(STDERR_FILENO, STDOUT_FILENO);
        serve_parent(responder, settings, sockets[1]);
    }
    _exit(0);
}

enum status respondent_start(const struct responder *responder,
                             const struct respondent_settings *settings,
                             const volatile sig_atomic_t *stop, struct respondent *r,
                             struct respondent_info *info, struct error *err)
{
    int sockets[2];
    *r = (struct respondent){.stop = stop, .socket = -1};
    *info = (struct respondent_info){0};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets))
        return error_errno(err, "cannot create a socket pair");
    r->pid = spawn(responder, settings, sockets);
    close(sockets[1]);
    if (r->pid < 0) {
        r->pid = 0;
        close(sockets[0]);
        return error_errno(err, "cannot start a process for the model");
    }
    r->socket = sockets[0];
    struct error e = {0};
    json_t *record = receive(r, &e);
    const char *message = record ? json_string_value(json_object_get(record, "error")) : NULL;
    if (message)
        error_set(&e, STATUS_FORMAT, "%s", message);
    else if (record)
        info_from_json(record, info, &e);
    json_decref(record);
    if (!e.status)
        return STATUS_OK;
    respondent_end(r);
    respondent_info_clear(info);
    return error_set(err, e.status, "%s", e.message);
}

enum status respondent_ask(struct respondent *r, const char *prompt, size_t max_tokens,
                           struct reply *reply, struct error *err)
{
    *reply = (struct reply){0};
    json_t *question = json_object();
    json_object_set_new(question, "prompt", json_string(prompt));
    json_object_set_new(question, "max_tokens", size_value(max_tokens));
    if (!send_record(r->socket, question))
        return reap(r, err);
    json_t *record = receive(r, err);
    if (!record)
        return err->status;
    enum status status = reply_from_json(record, reply, err);
    json_decref(record);
    return status;
}

void respondent_end(struct respondent *r)
{
    if (r->pid > 0) {
        kill(r->pid, SIGKILL);
        while (waitpid(r->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    if (r->socket >= 0)
        close(r->socket);
    mem_free(r->line);
    *r = (struct respondent){.socket = -1};
}
