/* Runs bubblewrap and watches over it. */
#include "eval/sandbox.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/strbuf.h"
#include "eval/sandbox_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOBODY = 65534, MAX_ARGUMENTS = 160, STATUS_BYTES = 4096 };

const struct sandbox_limits sandbox_default_limits = {
    .wall_seconds = 15,
    .cpu_seconds = 10,
    .memory_bytes = (size_t)512 << 20,
    .file_bytes = (size_t)16 << 20,
    .open_files = 64,
    .processes = 0,
    .output_bytes = (size_t)1 << 20,
};

/* Files of one run. */
struct plumbing {
    int input, filter;                /* read-only, for the child */
    int out[2], errors[2], status[2]; /* pipes: child writes [1] */
};

struct command {
    const char *words[MAX_ARGUMENTS + 1];
    size_t count;
    char texts[8][64]; /* numbers in words */
    size_t n_texts;
    bool overflow;
};

static void add_word(struct command *command, const char *word)
{
    if (command->count < MAX_ARGUMENTS)
        command->words[command->count++] = word;
    else
        command->overflow = true;
}

static void add_words(struct command *command, const char *const *words)
{
    for (; *words; words++)
        add_word(command, *words);
}

static void add_number(struct command *command, const char *prefix, size_t number)
{
    char *text = command->texts[command->n_texts++];
    snprintf(text, sizeof command->texts[0], "%s%zu", prefix, number);
    add_word(command, text);
}

/* /bin, /lib and so on are links into /usr on most systems and folders on others. */
static void add_system_folders(struct command *command)
{
    static const char *const folders[][2] = {{"/bin", "usr/bin"},     {"/sbin", "usr/sbin"},
                                             {"/lib", "usr/lib"},     {"/lib32", "usr/lib32"},
                                             {"/lib64", "usr/lib64"}, {"/libx32", "usr/libx32"}};
    struct stat info;
    add_words(command, (const char *const[]){"--ro-bind", "/usr", "/usr", NULL});
    if (!stat("/usr/local", &info))
        add_words(command, (const char *const[]){"--tmpfs", "/usr/local", "--remount-ro",
                                                 "/usr/local", NULL});
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        const char *folder = folders[i][0];
        if (lstat(folder, &info))
            continue;
        if (S_ISLNK(info.st_mode))
            add_words(command, (const char *const[]){"--symlink", folders[i][1], folder, NULL});
        else
            add_words(command, (const char *const[]){"--ro-bind", folder, folder, NULL});
    }
}

static const char *find_bwrap(void)
{
    static const char *const places[] = {"/usr/bin/bwrap", "/bin/bwrap", "/usr/local/bin/bwrap"};
    const char *given = getenv("TANDEM_BWRAP");
    if (given && *given)
        return access(given, X_OK) ? NULL : given;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (!access(places[i], X_OK))
            return places[i];
    return NULL;
}

/* bwrap ... -- prlimit --nproc=N: program. The limit on processes is set inside, where only the
 * sandbox's own count. */
static void build_command(struct command *command, const char *bwrap, const char *const *argv,
                          const struct sandbox_limits *limits, const struct plumbing *plumbing)
{
    static const char *const namespaces[] = {"--unshare-user",
                                             "--unshare-ipc",
                                             "--unshare-pid",
                                             "--unshare-net",
                                             "--unshare-uts",
                                             "--unshare-cgroup-try",
                                             "--die-with-parent",
                                             "--new-session",
                                             "--cap-drop",
                                             "ALL",
                                             NULL};
    *command = (struct command){0};
    add_word(command, bwrap);
    add_words(command, namespaces);
    add_words(command, (const char *const[]){"--uid", "65534", "--gid", "65534", "--hostname",
                                             "sandbox", NULL});
    add_system_folders(command);
    add_words(command, (const char *const[]){"--proc", "/proc", "--dev", "/dev", "--remount-ro",
                                             "/dev", "--size", NULL});
    add_number(command, "", limits->file_bytes);
    add_words(command, (const char *const[]){"--tmpfs", "/tmp", "--chdir", "/tmp", "--remount-ro",
                                             "/", "--seccomp", NULL});
    add_number(command, "", (size_t)plumbing->filter);
    add_word(command, "--json-status-fd");
    add_number(command, "", (size_t)plumbing->status[1]);
    add_word(command, "--");
    add_word(command, "/usr/bin/prlimit");
    add_number(command, "--nproc=", limits->processes ? limits->processes : 64);
    add_word(command, "--");
    add_words(command, argv);
}

static void close_file(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void close_plumbing(struct plumbing *p)
{
    int *all[] = {&p->input,     &p->filter,    &p->out[0],    &p->out[1],
                  &p->errors[0], &p->errors[1], &p->status[0], &p->status[1]};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        close_file(all[i]);
}

/* The program's stdin: a file in memory that it can only read. */
static int make_input(const char *data, size_t length)
{
    char path[64];
    int memory = memfd_create("input", MFD_CLOEXEC), fd = -1;
    if (memory < 0)
        return -1;
    size_t done = 0;
    while (done < length) {
        ssize_t n = write(memory, data + done, length - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", memory);
    if (done == length)
        fd = open(path, O_RDONLY | O_CLOEXEC);
    close(memory);
    return fd;
}

static enum status make_plumbing(struct plumbing *p, const char *input, size_t length,
                                 bool allow_processes, struct error *err)
{
    *p = (struct plumbing){-1, -1, {-1, -1}, {-1, -1}, {-1, -1}};
    p->input = make_input(input, length);
    if (p->input < 0 || pipe2(p->out, O_CLOEXEC) || pipe2(p->errors, O_CLOEXEC) ||
        pipe2(p->status, O_CLOEXEC))
        return error_errno(err, "cannot prepare the sandbox");
    return sandbox_filter_open(allow_processes, &p->filter, err);
}

/* ---- in the child: only async-signal-safe calls ---- */

static void set_limit(int which, size_t value)
{
    struct rlimit limit = {value, value};
    if (setrlimit(which, &limit))
        _exit(125);
}

/* Root makes its sandboxes as "nobody": what breaks out is nobody then, the files of /proc/sys
 * are not its own, and limits on processes hold, which they do not for root. */
static void become_nobody(void)
{
    if (syscall(SYS_setgroups, 0, NULL) || syscall(SYS_setresgid, NOBODY, NOBODY, NOBODY) ||
        syscall(SYS_setresuid, NOBODY, NOBODY, NOBODY))
        _exit(125);
}

static void run_child(const struct command *command, const struct plumbing *p,
                      const struct sandbox_limits *limits)
{
    static char *const environment[] = {"PATH=/usr/bin:/bin", "HOME=/tmp",        "TMPDIR=/tmp",
                                        "LANG=C.UTF-8",       "PYTHONHASHSEED=0", NULL};
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    if (dup2(p->input, 0) < 0 || dup2(p->out[1], 1) < 0 || dup2(p->errors[1], 2) < 0)
        _exit(125);
    /* Nothing else of ours goes along. (CLOSE_RANGE_CLOEXEC needs no memory.) */
    syscall(SYS_close_range, 3U, ~0U, 4U);
    if (fcntl(p->filter, F_SETFD, 0) || fcntl(p->status[1], F_SETFD, 0) || chdir("/"))
        _exit(125);
    umask(077);
    set_limit(RLIMIT_CORE, 0);
    set_limit(RLIMIT_CPU, limits->cpu_seconds);
    set_limit(RLIMIT_AS, limits->memory_bytes);
    set_limit(RLIMIT_FSIZE, limits->file_bytes);
    set_limit(RLIMIT_NOFILE, limits->open_files);
    if (!geteuid())
        become_nobody();
    execve(command->words[0], (char *const *)command->words, environment);
    _exit(126);
}

/* ---- in the parent ---- */

struct stream {
    int fd;
    struct strbuf text;
};

/* Reads what is there; false when it became too much. */
static bool read_stream(struct stream *stream)
{
    char chunk[16384];
    ssize_t n = read(stream->fd, chunk, sizeof chunk);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return true;
    if (n <= 0) {
        close_file(&stream->fd);
        return true;
    }
    size_t room = stream->text.limit - stream->text.length;
    strbuf_append(&stream->text, chunk, (size_t)n < room ? (size_t)n : room);
    return (size_t)n <= room;
}

/* Until all three streams have ended, the time is up, or there is too much output. bwrap holds
 * the status pipe open until the program has ended. */
static enum sandbox_end watch(struct stream streams[3], double deadline)
{
    while (streams[0].fd >= 0 || streams[1].fd >= 0 || streams[2].fd >= 0) {
        struct pollfd polled[3];
        for (size_t i = 0; i < 3; i++)
            polled[i] = (struct pollfd){.fd = streams[i].fd, .events = POLLIN};
        double left = deadline - clock_seconds();
        if (left <= 0)
            return SANDBOX_TIMED_OUT;
        if (poll(polled, 3, (int)(left * 1000) + 1) < 0 && errno != EINTR)
            return SANDBOX_TIMED_OUT;
        for (size_t i = 0; i < 3; i++)
            if (polled[i].revents && streams[i].fd >= 0 && !read_stream(&streams[i]))
                return SANDBOX_OUTPUT_LIMIT;
    }
    return SANDBOX_EXITED;
}

/* bwrap reports {"exit-code": N} only for a program that it has really started. */
static bool read_exit_code(const struct strbuf *report, int *code)
{
    const char *key = strstr(strbuf_text(report), "\"exit-code\"");
    return key && sscanf(key, "\"exit-code\" : %d", code) == 1;
}

static enum status not_started(const struct strbuf *errors, int wait_status, struct error *err)
{
    char line[300];
    snprintf(line, sizeof line, "%.*s", (int)strcspn(strbuf_text(errors), "\n"),
             strbuf_text(errors));
    if (!line[0])
        snprintf(line, sizeof line, "bwrap ended with status %#x", (unsigned)wait_status);
    return error_set(err, STATUS_UNSUPPORTED, "the sandbox does not start: %s", line);
}

static enum status finish_run(struct stream streams[3], enum sandbox_end end, int wait_status,
                              struct sandbox_result *result, struct error *err)
{
    int code = 0;
    bool reported = read_exit_code(&streams[2].text, &code);
    bool was_started = reported || strstr(strbuf_text(&streams[2].text), "child-pid");
    if (end == SANDBOX_EXITED ? !reported : !was_started)
        return not_started(&streams[1].text, wait_status, err);
    result->end = end == SANDBOX_EXITED && code > 128 && code < 128 + 65 ? SANDBOX_SIGNALLED : end;
    result->exit_status = result->end == SANDBOX_SIGNALLED ? code - 128 : code;
    strbuf_add(&streams[0].text, "");
    strbuf_add(&streams[1].text, "");
    result->out_length = streams[0].text.length;
    result->errors_length = streams[1].text.length;
    result->out = strbuf_take(&streams[0].text);
    result->errors = strbuf_take(&streams[1].text);
    if (result->out && result->errors)
        return STATUS_OK;
    sandbox_result_clear(result);
    return error_memory(err, "the output of a program");
}

static enum status supervise(pid_t child, struct plumbing *p, const struct sandbox_limits *limits,
                             struct sandbox_result *result, struct error *err)
{
    int wait_status = 0;
    double begin = clock_seconds();
    struct stream streams[3] = {{p->out[0], {.limit = limits->output_bytes}},
                                {p->errors[0], {.limit = limits->output_bytes}},
                                {p->status[0], {.limit = STATUS_BYTES}}};
    p->out[0] = p->errors[0] = p->status[0] = -1;
    enum sandbox_end end = watch(streams, begin + limits->wall_seconds);
    /* With bwrap dies its child, which is process 1 inside; with that one everything. */
    kill(child, SIGKILL);
    while (waitpid(child, &wait_status, 0) < 0 && errno == EINTR)
        continue;
    result->seconds = clock_seconds() - begin;
    enum status status = finish_run(streams, end, wait_status, result, err);
    for (size_t i = 0; i < 3; i++) {
        close_file(&streams[i].fd);
        strbuf_free(&streams[i].text);
    }
    return status;
}

static enum status run_in(const char *bwrap, const char *const *argv, const char *input,
                          size_t input_length, const struct sandbox_limits *limits,
                          struct sandbox_result *result, struct error *err)
{
    struct plumbing p;
    struct command command;
    enum status status = make_plumbing(&p, input, input_length, limits->processes > 0, err);
    if (!status) {
        build_command(&command, bwrap, argv, limits, &p);
        if (command.overflow)
            status = error_set(err, STATUS_INVALID, "too many arguments for the sandbox");
    }
    pid_t child = status ? -1 : fork();
    if (!status && child < 0)
        status = error_errno(err, "cannot start the sandbox");
    if (!status && !child)
        run_child(&command, &p, limits);
    close_file(&p.out[1]);
    close_file(&p.errors[1]);
    close_file(&p.status[1]);
    if (!status)
        status = supervise(child, &p, limits, result, err);
    close_plumbing(&p);
    return status;
}

/* ---- what works here ---- */

/* Prints what the program inside can see and do; shell builtins only, since it may not fork. */
static const char probe_script[] =
    "while read -r key value; do case $key in\n"
    "Seccomp:|NoNewPrivs:|CapEff:) echo \"$key$value\";; esac; done </proc/self/status\n"
    "for path in /root /home /etc/passwd /var /usr/local/bin; do\n"
    "[ -e $path ] && echo \"sees $path\"; done\n"
    "for path in / /usr /usr/bin /dev /proc/sys /proc/sys/kernel/core_pattern "
    "/proc/sys/kernel/hostname /proc/sysrq-trigger; do [ -w $path ] && echo \"writes $path\"; "
    "done\n"
    "while read -r name rest; do case $name in lo:*|Inter-*|face*) ;; *) echo \"network $name\";;\n"
    "esac; done </proc/net/dev\n"
    "echo probed\n";

static const char probe_expected[] = "CapEff:0000000000000000\nNoNewPrivs:1\nSeccomp:2\nprobed\n";

static enum status probe(const char *bwrap, struct error *err)
{
    static const char *const argv[] = {"/bin/sh", "-s", NULL};
    struct sandbox_result result = {0};
    struct sandbox_limits limits = sandbox_default_limits;
    enum status status =
        run_in(bwrap, argv, probe_script, sizeof probe_script - 1, &limits, &result, err);
    if (status)
        return status;
    if (strcmp(result.out, probe_expected))
        status = error_set(err, STATUS_UNSUPPORTED,
                           "the sandbox starts, but does not hold what it should: it reports "
                           "\"%.200s\"",
                           result.out);
    sandbox_result_clear(&result);
    return status;
}

static struct {
    pthread_once_t once;
    enum status status;
    struct error err;
    char bwrap[256];
} here = {.once = PTHREAD_ONCE_INIT};

static void find_out(void)
{
    const char *bwrap = find_bwrap();
    if (!bwrap || strlen(bwrap) >= sizeof here.bwrap) {
        here.status = error_set(&here.err, STATUS_UNSUPPORTED,
                                "no sandbox: bwrap is not installed (apt install bubblewrap)");
        return;
    }
    if (access("/usr/bin/prlimit", X_OK)) {
        here.status = error_set(&here.err, STATUS_UNSUPPORTED,
                                "no sandbox: /usr/bin/prlimit is missing (apt install util-linux)");
        return;
    }
    strcpy(here.bwrap, bwrap);
    here.status = probe(here.bwrap, &here.err);
    if (here.status)
        error_prefix(&here.err, "no sandbox (does this system allow unprivileged user "
                                "namespaces?)");
}

enum status sandbox_available(struct error *err)
{
    pthread_once(&here.once, find_out);
    if (here.status && err)
        *err = here.err;
    return here.status;
}

enum status sandbox_run(const char *const *argv, const char *input, size_t input_length,
                        const struct sandbox_limits *limits, struct sandbox_result *result,
                        struct error *err)
{
    *result = (struct sandbox_result){0};
    enum status status = sandbox_available(err);
    if (status)
        return status;
    return run_in(here.bwrap, argv, input, input_length, limits, result, err);
}

void sandbox_result_clear(struct sandbox_result *result)
{
    mem_free(result->out);
    mem_free(result->errors);
    *result = (struct sandbox_result){0};
}

void sandbox_describe(const struct sandbox_result *result, const struct sandbox_limits *limits,
                      char *out, size_t size)
{
    switch (result->end) {
    case SANDBOX_EXITED:
        snprintf(out, size, "exited with status %d", result->exit_status);
        return;
    case SANDBOX_SIGNALLED:
        snprintf(out, size, "killed by signal %d (%s)", result->exit_status,
                 strsignal(result->exit_status));
        return;
    case SANDBOX_TIMED_OUT:
        snprintf(out, size, "ran past its %g s", limits->wall_seconds);
        return;
    case SANDBOX_OUTPUT_LIMIT:
        snprintf(out, size, "printed more than %zu bytes", limits->output_bytes);
        return;
    }
}
