/* The seccomp filter. What a program needs for computing and for files is allowed; what reaches
 * into the kernel's larger and younger parts, other processes, the network or memory outside
 * the limits is refused with an error, so that programs can say what they missed. */
#include "eval/sandbox_filter.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *const refused_calls[] = {
    /* other processes */
    "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp", "pidfd_open",
    "pidfd_getfd", "pidfd_send_signal",
    /* mounts and namespaces */
    "mount", "umount", "umount2", "pivot_root", "chroot", "open_tree", "move_mount", "fsopen",
    "fsconfig", "fsmount", "fspick", "mount_setattr", "statmount", "listmount", "unshare", "setns",
    "name_to_handle_at", "open_by_handle_at", "mknod", "mknodat",
    /* the machine */
    "reboot", "swapon", "swapoff", "kexec_load", "kexec_file_load", "init_module", "finit_module",
    "delete_module", "acct", "quotactl", "quotactl_fd", "syslog", "settimeofday", "clock_settime",
    "clock_settime64", "clock_adjtime", "clock_adjtime64", "adjtimex", "stime", "sethostname",
    "setdomainname", "iopl", "ioperm", "modify_ldt", "personality", "vhangup", "uselib", "ustat",
    "sysfs", "_sysctl", "lookup_dcookie", "nfsservctl",
    /* large kernel interfaces */
    "bpf", "perf_event_open", "io_uring_setup", "io_uring_enter", "io_uring_register", "io_setup",
    "io_submit", "keyctl", "add_key", "request_key", "userfaultfd", "fanotify_init",
    "fanotify_mark", "inotify_init", "inotify_init1", "landlock_create_ruleset", "vmsplice",
    /* memory that the limits do not see, or that is pinned or shared */
    "memfd_create", "memfd_secret", "shmget", "shmat", "shmctl", "semget", "semctl", "semop",
    "semtimedop", "msgget", "msgsnd", "msgrcv", "msgctl", "ipc", "mq_open", "mq_unlink", "mlock",
    "mlock2", "mlockall", "remap_file_pages", "mbind", "set_mempolicy", "migrate_pages",
    "move_pages",
    /* the network; socketpair stays, event loops need it */
    "socket", "socketcall", "connect", "bind", "listen", "accept", "accept4",
    /* priorities and filters of its own */
    "sched_setscheduler", "sched_setattr", "setpriority", "ioprio_set", "nice", "seccomp"};

static int refuse(scmp_filter_ctx filter, const char *name, int code)
{
    int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR)
        return 0; /* unknown to this libseccomp, so also nothing that it could name */
    int result = seccomp_rule_add(filter, SCMP_ACT_ERRNO((uint32_t)code), number, 0);
    return result == -EDOM ? 0 : result; /* -EDOM: this CPU's kernel has no such call */
}

/* clone() with any of these flags makes a namespace. */
static int refuse_namespaces(scmp_filter_ctx filter)
{
    static const uint64_t flags[] = {CLONE_NEWUSER, CLONE_NEWNS,  CLONE_NEWPID,   CLONE_NEWNET,
                                     CLONE_NEWIPC,  CLONE_NEWUTS, CLONE_NEWCGROUP};
    int result = 0;
    for (size_t i = 0; i < sizeof flags / sizeof *flags && !result; i++)
        result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                                  SCMP_A0(SCMP_CMP_MASKED_EQ, flags[i], flags[i]));
    return result;
}

/* clone3's flags lie in memory where the filter cannot see them: the C library falls back to
 * clone when it is told that there is no such call. */
static int refuse_clones(scmp_filter_ctx filter, bool processes)
{
    int result = refuse(filter, "clone3", ENOSYS);
    if (!result)
        result = refuse_namespaces(filter);
    if (!result && !processes) {
        result = refuse(filter, "fork", EAGAIN);
        if (!result)
            result = refuse(filter, "vfork", EAGAIN);
        if (!result)
            result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAGAIN), SCMP_SYS(clone), 1,
                                      SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
    }
    return result;
}

/* Typing into a terminal that may be behind an open file. */
static int refuse_terminal_input(scmp_filter_ctx filter)
{
    enum { LINUX_TERMINAL = 0x541C }; /* TIOCLINUX */
    int result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
                                  SCMP_A1(SCMP_CMP_MASKED_EQ, 0xFFFFFFFF, TIOCSTI));
    return result ? result
                  : seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
                                     SCMP_A1(SCMP_CMP_MASKED_EQ, 0xFFFFFFFF, LINUX_TERMINAL));
}

static int add_rules(scmp_filter_ctx filter, bool processes)
{
    int result = 0;
    for (size_t i = 0; i < sizeof refused_calls / sizeof *refused_calls && !result; i++)
        result = refuse(filter, refused_calls[i], EPERM);
    if (!result)
        result = refuse_clones(filter, processes);
    return result ? result : refuse_terminal_input(filter);
}

enum status sandbox_filter_open(bool processes, int *fd, struct error *err)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (!filter)
        return error_set(err, STATUS_UNSUPPORTED, "the system-call filter cannot be made");
    int result = add_rules(filter, processes);
    *fd = result ? -1 : memfd_create("filter", MFD_CLOEXEC);
    if (!result && *fd < 0)
        result = -errno;
    if (!result)
        result = seccomp_export_bpf(filter, *fd);
    if (!result && lseek(*fd, 0, SEEK_SET))
        result = -errno;
    seccomp_release(filter);
    if (!result)
        return STATUS_OK;
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    errno = -result;
    return error_errno(err, "the system-call filter cannot be made");
}
