/*
 * Attack: the sandbox's init (pid 1) is Cloister's own program; whoever gets into it holds its
 *   descriptors, its memory and its executable, which is the host's file.
 * Layer: dumpable (a non-dumpable init), seccomp (ptrace, process_vm_*, pidfd_getfd).
 * Source: CVE-2019-5736 (/proc/PID/exe), CVE-2016-9962 (ptrace of the runtime); ptrace(2), proc(5).
 */
#include "attack.h"

/* Tracing is allowed inside a sandbox, so the call itself is not what is refused: the target is. */
_Noreturn static void judge_target(const char *name, long result)
{
    if (result < 0 && errno == ESRCH)
        held("%s: %s", name, strerror(errno));
    judge_call(name, result);
}

static pid_t target(char **args)
{
    return args[0] ? atoi(args[0]) : 1;
}

static void open_proc(char **args, const char *file, int flags)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/%s", target(args), file);
    judge_open(path, open(path, flags));
}

static void read_link(char **args, const char *file)
{
    char path[64], to[256];
    ssize_t n;

    snprintf(path, sizeof path, "/proc/%d/%s", target(args), file);
    n = readlink(path, to, sizeof to - 1);
    if (n > 0)
        escaped("%s -> %.*s", path, (int)n, to);
    held("readlink %s: %s", path, strerror(errno));
}

static void read_bytes(char **args, const char *file)
{
    char path[64], bytes[64];
    int fd;

    snprintf(path, sizeof path, "/proc/%d/%s", target(args), file);
    fd = open(path, O_RDONLY);
    if (fd < 0)
        judge_open(path, fd);
    errno = 0;
    if (read(fd, bytes, sizeof bytes) > 0)
        escaped("read %s", path);
    held("%s opens but gives nothing: %s", path, strerror(errno));
}

static void mem(char **args)
{
    open_proc(args, "mem", O_RDWR);
}

static void exe_write(char **args)
{
    open_proc(args, "exe", O_WRONLY);
}

static void exe_read(char **args)
{
    open_proc(args, "exe", O_RDONLY);
}

static void exe_path(char **args)
{
    read_link(args, "exe");
}

static void root(char **args)
{
    open_proc(args, "root/", O_RDONLY);
}

static void cwd(char **args)
{
    read_link(args, "cwd");
}

static void fds(char **args)
{
    open_proc(args, "fd", O_RDONLY | O_DIRECTORY);
}

static void environment(char **args)
{
    read_bytes(args, "environ");
}

static void maps(char **args)
{
    read_bytes(args, "maps");
}

static void attach(char **args)
{
    long rc = ptrace(PTRACE_ATTACH, target(args), NULL, NULL);
    int error = errno;

    if (rc == 0) {
        waitpid(target(args), NULL, __WALL);
        ptrace(PTRACE_DETACH, target(args), NULL, NULL);
    }
    errno = error;
    judge_target("ptrace(ATTACH)", rc);
}

static void seize(char **args)
{
    judge_target("ptrace(SEIZE)", ptrace(PTRACE_SEIZE, target(args), NULL, NULL));
}

/* The address is our own; it is mapped nowhere else, so a permitted reader gets EFAULT. */
static void vm_read(char **args)
{
    char here[8], there[8];
    struct iovec local = {here, sizeof here}, remote = {there, sizeof there};

    judge_target("process_vm_readv",
                 syscall(SYS_process_vm_readv, target(args), &local, 1L, &remote, 1L, 0L));
}

static void vm_write(char **args)
{
    char here[8] = "";
    struct iovec local = {here, sizeof here}, remote = {(void *)8, sizeof here};

    judge_target("process_vm_writev",
                 syscall(SYS_process_vm_writev, target(args), &local, 1L, &remote, 1L, 0L));
}

static void steal_fd(char **args)
{
    long pidfd = syscall(SYS_pidfd_open, target(args), 0);

    if (pidfd < 0)
        judge_target("pidfd_open", pidfd);
    for (int fd = 0; fd < 64; fd++) {
        long mine = syscall(SYS_pidfd_getfd, pidfd, fd, 0);

        if (mine >= 0)
            escaped("pidfd_getfd took descriptor %d", fd);
        if (is_refusal(errno))
            held("pidfd_getfd: %s", strerror(errno));
    }
    escaped("pidfd_getfd may look, and found no descriptor");
}

/* The letter that /proc gives for a process: Z and X are dead, 0 is gone. */
static char state_of(pid_t pid)
{
    char path[64], line[256], *state;
    ssize_t n;
    int fd;

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    fd = open(path, O_RDONLY);
    n = fd < 0 ? -1 : read(fd, line, sizeof line - 1);
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return 0;
    line[n] = 0;
    state = strrchr(line, ')');
    return state ? state[2] : 0;
}

enum { EFFECT_MS = 500 }; /* within which a signal shows */

static void end_it(char **args)
{
    char state;

    if (!state_of(target(args)))
        impossible("there is no %d", target(args));
    if (kill(target(args), SIGKILL) < 0)
        held("kill: %s", strerror(errno));
    for (int ms = 0; ms < EFFECT_MS; ms++, usleep(1000)) {
        state = state_of(target(args));
        if (!state || state == 'Z' || state == 'X')
            escaped("killed %d", target(args));
    }
    held("%d outlives SIGKILL", target(args));
}

static void stop_it(char **args)
{
    if (!state_of(target(args)))
        impossible("there is no %d", target(args));
    if (kill(target(args), SIGSTOP) < 0)
        held("kill(SIGSTOP): %s", strerror(errno));
    for (int ms = 0; ms < EFFECT_MS; ms++, usleep(1000)) {
        if (state_of(target(args)) == 'T') {
            kill(target(args), SIGCONT);
            escaped("stopped %d", target(args));
        }
    }
    held("%d ignores SIGSTOP", target(args));
}

/* Its limits: of the command's uid, init could be left without descriptors or processor time. */
static void limit_it(char **args)
{
    struct rlimit few = {3, 3}, now; /* with none, init's poll fails, maybe before the verdict */

    if (syscall(SYS_prlimit64, (long)target(args), (long)RLIMIT_NOFILE, &few, NULL) < 0)
        held("prlimit: %s", strerror(errno));
    if (syscall(SYS_prlimit64, (long)target(args), (long)RLIMIT_NOFILE, NULL, &now) < 0)
        impossible("prlimit: %s", strerror(errno));
    if (now.rlim_cur == few.rlim_cur)
        escaped("%d may open no more than that", target(args));
    held("no limit was set");
}

ATTACK({"mem", mem}, {"exe_write", exe_write}, {"exe_read", exe_read}, {"exe_path", exe_path},
       {"root", root}, {"cwd", cwd}, {"fds", fds}, {"environ", environment}, {"maps", maps},
       {"attach", attach}, {"seize", seize}, {"vm_read", vm_read}, {"vm_write", vm_write},
       {"steal_fd", steal_fd}, {"kill", end_it}, {"stop", stop_it}, {"limit", limit_it})
