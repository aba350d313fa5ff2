/* The sandbox holds: every limit is tried by a program that breaks it. */
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/strbuf.h"
#include "eval/sandbox.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct sandbox_limits limits;

static struct sandbox_result python(const char *code)
{
    const char *argv[] = {"/usr/bin/python3", "-S", "-B", "-", NULL};
    struct sandbox_result result;
    struct error err = {0};
    if (sandbox_run(argv, code, strlen(code), &limits, &result, &err))
        fail_msg("%s", err.message);
    return result;
}

/* Runs the code and compares what it prints. */
static void prints(const char *code, const char *expected)
{
    struct sandbox_result result = python(code);
    if (strcmp(result.out, expected) || result.end != SANDBOX_EXITED)
        fail_msg("end %d, status %d, printed \"%s\", expected \"%s\"; stderr: %s", result.end,
                 result.exit_status, result.out, expected, result.errors);
    sandbox_result_clear(&result);
}

static int set_up(void **state)
{
    (void)state;
    limits = sandbox_default_limits;
    return 0;
}

static void test_results_come_back(void **state)
{
    (void)state;
    const char *argv[] = {"/bin/sh", "-c", "read -r line; echo \"got $line\"; echo bad >&2; exit 7",
                          NULL};
    struct sandbox_result result;
    assert_int_equal(sandbox_run(argv, "hello\n", 6, &limits, &result, NULL), STATUS_OK);
    assert_int_equal(result.end, SANDBOX_EXITED);
    assert_int_equal(result.exit_status, 7);
    assert_string_equal(result.out, "got hello\n");
    assert_string_equal(result.errors, "bad\n");
    sandbox_result_clear(&result);
    result = python("import os; os.kill(os.getpid(), 11)");
    assert_int_equal(result.end, SANDBOX_SIGNALLED);
    assert_int_equal(result.exit_status, SIGSEGV);
    sandbox_result_clear(&result);
}

static void test_large_input_arrives(void **state)
{
    (void)state;
    const char *argv[] = {"/usr/bin/wc", "-c", NULL};
    struct sandbox_result result;
    char *input = mem_alloc(5000000);
    assert_int_equal(sandbox_run(argv, input, 5000000, &limits, &result, NULL), STATUS_OK);
    assert_string_equal(result.out, "5000000\n");
    sandbox_result_clear(&result);
    mem_free(input);
}

static void test_the_machine_is_not_visible(void **state)
{
    (void)state;
    setenv("TANDEM_SECRET", "x", 1);
    prints("import os\n"
           "for p in ('/root', '/home', '/etc', '/var', '/work', '/opt', '/mnt', '/srv', '/run', "
           "'/sys', '/boot'):\n  if os.path.exists(p): print('sees', p)\n"
           "print(sorted(os.environ))\n"
           "print(os.listdir('/usr/local') if os.path.exists('/usr/local') else [])\n"
           "print(os.getuid(), os.geteuid(), os.getgid(), os.uname().nodename)\n"
           "print(len([p for p in os.listdir('/proc') if p.isdigit()]) < 5)\n",
           "['HOME', 'LANG', 'PATH', 'PWD', 'PYTHONHASHSEED', 'TMPDIR']\n[]\n"
           "65534 65534 65534 sandbox\nTrue\n");
}

static void test_only_the_standard_files_are_open(void **state)
{
    (void)state;
    int extra = dup(2);
    prints("import os\nfds = []\nfor fd in range(64):\n  try: os.fstat(fd); fds.append(fd)\n"
           "  except OSError: pass\nprint(fds)\n",
           "[0, 1, 2]\n");
    prints("import os\ntry: os.write(0, b'x'); print('wrote')\nexcept OSError: print('read-only')",
           "read-only\n");
    close(extra);
}

static void test_nothing_can_be_written_but_in_tmp(void **state)
{
    (void)state;
    prints("for p in ('/x', '/usr/x', '/usr/bin/x', '/usr/local/x', '/dev/x', '/dev/shm/x', "
           "'/proc/sys/kernel/hostname', '/bin/x', '/lib/x'):\n"
           "  try: open(p, 'w').write('x'); print('wrote', p)\n  except OSError: pass\n"
           "open('/tmp/x', 'w').write('ok'); print(open('/tmp/x').read())\n",
           "ok\n");
    prints("import os\nprint(os.listdir('/tmp'))\n", "[]\n");
}

static void test_disk_is_bounded(void **state)
{
    (void)state;
    prints(
        "import signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nn = 0\ntry:\n"
        "  for i in range(200):\n    f = open('/tmp/%d' % i, 'wb')\n    f.write(bytes(1 << 20))\n"
        "    f.close()\n    n += 1\n"
        "except OSError: pass\nprint(n <= 16)\n",
        "True\n");
}

static void test_limits_are_set(void **state)
{
    (void)state;
    prints("import resource as r\nfor k in ('FSIZE', 'NOFILE', 'CORE', 'NPROC', 'AS', 'CPU'):\n"
           "  print(k, *r.getrlimit(getattr(r, 'RLIMIT_' + k)))\n",
           "FSIZE 16777216 16777216\nNOFILE 64 64\nCORE 0 0\nNPROC 64 64\n"
           "AS 536870912 536870912\nCPU 10 10\n");
}

static void test_there_is_no_network(void **state)
{
    (void)state;
    prints("import socket\n"
           "for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, socket.AF_NETLINK):\n"
           "  try: socket.socket(family, socket.SOCK_DGRAM); print('socket', family)\n"
           "  except OSError: pass\n"
           "print(open('/proc/net/dev').read().count(':'))\n"
           "a, b = socket.socketpair(); a.send(b'x'); print(b.recv(1))\n",
           "1\nb'x'\n");
}

static void test_memory_is_bounded(void **state)
{
    (void)state;
    prints("try: x = bytearray(1 << 30); print('got it')\nexcept MemoryError: print('refused')\n",
           "refused\n");
    prints("import mmap\ntry: mmap.mmap(-1, 1 << 30); print('got it')\n"
           "except OSError: print('refused')\n",
           "refused\n");
    prints(
        "import os\ntry: os.memfd_create('x'); print('got it')\nexcept OSError: print('refused')\n",
        "refused\n");
}

static void test_time_is_bounded(void **state)
{
    (void)state;
    limits.wall_seconds = 1;
    struct sandbox_result result = python("while True: pass");
    assert_int_equal(result.end, SANDBOX_TIMED_OUT);
    assert_true(result.seconds < 5);
    sandbox_result_clear(&result);
    result = python("import signal, time\nfor s in range(1, 32):\n  try: signal.signal(s, "
                    "signal.SIG_IGN)\n  except (OSError, ValueError): pass\ntime.sleep(60)");
    assert_int_equal(result.end, SANDBOX_TIMED_OUT);
    sandbox_result_clear(&result);
    limits = sandbox_default_limits;
    limits.cpu_seconds = 1;
    result = python("while True: pass");
    assert_int_equal(result.end, SANDBOX_SIGNALLED);
    assert_true(result.exit_status == SIGKILL || result.exit_status == SIGXCPU);
    sandbox_result_clear(&result);
}

static void test_output_is_bounded(void **state)
{
    (void)state;
    limits.output_bytes = 100000;
    struct sandbox_result result = python("while True: print('x' * 1000)");
    assert_int_equal(result.end, SANDBOX_OUTPUT_LIMIT);
    assert_int_equal(result.out_length, 100000);
    sandbox_result_clear(&result);
    result = python("import sys\nwhile True: sys.stderr.write('x' * 1000)");
    assert_int_equal(result.end, SANDBOX_OUTPUT_LIMIT);
    assert_int_equal(result.errors_length, 100000);
    sandbox_result_clear(&result);
}

static void test_processes_are_refused_or_bounded(void **state)
{
    (void)state;
    prints("import os\ntry: os.fork(); print('forked')\nexcept OSError: print('refused')\n",
           "refused\n");
    prints("import subprocess\ntry: subprocess.run(['/bin/true']); print('ran')\n"
           "except OSError: print('refused')\n",
           "refused\n");
    prints("import threading, time\nthreading.stack_size(65536)\nn = 0\ntry:\n  while n < 3000:\n"
           "    threading.Thread(target=time.sleep, args=(9,), daemon=True).start(); n += 1\n"
           "except RuntimeError: pass\nprint(n <= 64, flush=True)\nimport os; os._exit(0)\n",
           "True\n");
    limits.processes = 10;
    prints("import os, time\nn = 0\nwhile n < 1000:\n  try:\n    if os.fork() == 0:\n"
           "      time.sleep(9); os._exit(0)\n    n += 1\n  except OSError: break\n"
           "print(n <= 10, flush=True)\nos._exit(0)\n",
           "True\n");
}

/* Whether some process here has `marker` among its arguments. */
static bool is_running(const char *marker)
{
    DIR *folder = opendir("/proc");
    bool found = false;
    for (struct dirent *entry; folder && (entry = readdir(folder)) && !found;) {
        char path[300], text[4096];
        snprintf(path, sizeof path, "/proc/%s/cmdline", entry->d_name);
        FILE *file = fopen(path, "r");
        size_t n = file ? fread(text, 1, sizeof text - 1, file) : 0;
        for (size_t i = 0; i < n; i++)
            text[i] = text[i] ? text[i] : ' ';
        text[n] = 0;
        found = strstr(text, marker) != NULL;
        if (file)
            fclose(file);
    }
    if (folder)
        closedir(folder);
    return found;
}

static void test_everything_dies_with_the_run(void **state)
{
    (void)state;
    const char *argv[] = {"/usr/bin/python3",
                          "-S",
                          "-c",
                          "import os, sys, time\nif os.fork() == 0:\n  os.setsid()\n"
                          "  if os.fork() == 0: time.sleep(60)\n  os._exit(0)\n"
                          "time.sleep(float(sys.argv[1]))\n",
                          "60",
                          "tandem-sandbox-marker",
                          NULL};
    struct sandbox_result result;
    limits.processes = 10;
    limits.wall_seconds = 1;
    assert_int_equal(sandbox_run(argv, "", 0, &limits, &result, NULL), STATUS_OK);
    assert_int_equal(result.end, SANDBOX_TIMED_OUT);
    sandbox_result_clear(&result);
    /* A program that ends leaves nothing behind either. */
    argv[4] = "0.1";
    assert_int_equal(sandbox_run(argv, "", 0, &limits, &result, NULL), STATUS_OK);
    sandbox_result_clear(&result);
    for (int i = 0; i < 50 && is_running("tandem-sandbox-marker"); i++)
        usleep(100000);
    assert_false(is_running("tandem-sandbox-marker"));
}

static void test_system_calls_are_refused(void **state)
{
    (void)state;
    limits.processes = 10;
    prints(
        "import ctypes, errno\nc = ctypes.CDLL(None, use_errno=True)\n"
        "def call(name, *args):\n  ctypes.set_errno(0)\n  r = getattr(c, name)(*args)\n"
        "  if r != -1 or ctypes.get_errno() not in (errno.EPERM, errno.ENOSYS): print(name, r)\n"
        "call('ptrace', 0, 0, 0, 0)\ncall('unshare', 0x10000000)\ncall('unshare', 0x20000)\n"
        "call('mount', b'none', b'/tmp', b'tmpfs', 0, None)\ncall('chroot', b'/tmp')\n"
        "call('setns', 0, 0)\ncall('shmget', 0, 1 << 20, 0o600)\ncall('personality', 0xffffffff)\n"
        "call('syscall', 425, 1, 0)\ncall('syscall', 250, 0, 0)\ncall('sethostname', b'x', 1)\n"
        "call('mlockall', 1)\n"
        "print(c.setuid(0) == -1, c.prctl(39, 0, 0, 0, 0))\n",
        "True 1\n");
}

static void test_missing_programs_are_errors(void **state)
{
    (void)state;
    const char *argv[] = {"/usr/bin/no-such-program", NULL};
    struct sandbox_result result;
    assert_int_equal(sandbox_run(argv, "", 0, &limits, &result, NULL), STATUS_OK);
    assert_int_equal(result.exit_status, 127);
    sandbox_result_clear(&result);
}

/* Without bwrap nothing runs. The choice is made once per process, so another one asks. */
static void test_without_bwrap_nothing_runs(void **state)
{
    (void)state;
    const char *program = getenv("TANDEM_PROGRAM");
    if (!program || !file_exists(program))
        skip();
    char command[1000], line[3000] = "";
    snprintf(
        command, sizeof command,
        "printf '%%s\\n' '{\"id\":\"code-zh-01\",\"answer\":\"```python\\ndef f(x):\\n  "
        "open(\\\"/tmp/tandem-ran\\\",\\\"w\\\")\\n```\"}' | TANDEM_BWRAP=/nonexistent '%s' grade "
        "--suite core 2>/dev/null",
        program);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_non_null(fgets(line, sizeof line, pipe));
    pclose(pipe);
    if (!strstr(line, "\"not_run\"") || !strstr(line, "bubblewrap"))
        fail_msg("%s", line);
    assert_false(file_exists("/tmp/tandem-ran"));
}

int main(void)
{
    struct error err = {0};
    if (sandbox_available(&err)) {
        /* A sandbox that starts but leaks is no reason to skip. */
        bool leaks = strstr(err.message, "does not hold") != NULL;
        fprintf(stderr, "%s: %s\n", leaks ? "failed" : "skipped", err.message);
        return leaks ? 1 : 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_results_come_back, set_up),
        cmocka_unit_test_setup(test_large_input_arrives, set_up),
        cmocka_unit_test_setup(test_the_machine_is_not_visible, set_up),
        cmocka_unit_test_setup(test_only_the_standard_files_are_open, set_up),
        cmocka_unit_test_setup(test_nothing_can_be_written_but_in_tmp, set_up),
        cmocka_unit_test_setup(test_disk_is_bounded, set_up),
        cmocka_unit_test_setup(test_limits_are_set, set_up),
        cmocka_unit_test_setup(test_there_is_no_network, set_up),
        cmocka_unit_test_setup(test_memory_is_bounded, set_up),
        cmocka_unit_test_setup(test_time_is_bounded, set_up),
        cmocka_unit_test_setup(test_output_is_bounded, set_up),
        cmocka_unit_test_setup(test_processes_are_refused_or_bounded, set_up),
        cmocka_unit_test_setup(test_everything_dies_with_the_run, set_up),
        cmocka_unit_test_setup(test_system_calls_are_refused, set_up),
        cmocka_unit_test_setup(test_missing_programs_are_errors, set_up),
        cmocka_unit_test_setup(test_without_bwrap_nothing_runs, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
