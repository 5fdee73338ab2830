/* pasta, as a child of the supervisor: started for one sandbox, and gone with it.
 *
 * It runs in the host's network, and in the sandbox's user namespace, whose owner it is:
 * as root the last uid of the sandbox's range, which nobody else has, otherwise the caller.
 * That gives it the capabilities to enter the network namespace and none on the host. It
 * gets the namespaces as its descriptors 0 and 1 (newer versions close all others but the
 * tap), writes its process id into a pipe when it is ready, and finds nothing else open, an
 * empty environment, and no terminal.
 *
 * Two things end it when its supervisor is killed. The parent-death signal is set after the last
 * change of identity, and survives pasta's own: to join a namespace whose owner one is isn't a
 * gain of privilege (cred_cap_issubset). But AppArmor and SELinux take it back where a policy of
 * theirs for pasta comes into force, by execve: Debian's package brings one. So the pipe of its
 * complaints says by SIGIO when nobody has its other end any more; pasta has no handler for it.
 * That comes for what is read, too: it is off for that moment.
 * Source: pasta(1), prctl(2), user_namespaces(7), fcntl(2) on F_SETOWN.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/signals.h"
#include "base/sys.h"
#include "base/utf8.h"
#include "net/net.h"

enum {
    TAP_FD = 3,
    FIRST_SPARE_FD = 16,
    MAX_ARGS = 48,
    MAX_COMPLAINT = 400,
    READY_MS = 10000,
};

const char *cl_pasta_find(void)
{
    static const char *const places[] = {"/usr/bin/pasta", "/usr/local/bin/pasta"};

    /* Never by PATH, which is the caller's. */
    for (size_t i = 0; i < CL_ARRAY_SIZE(places); i++) {
        if (cl_sys_faccessat(AT_FDCWD, places[i], 1 /* X_OK */) == 0)
            return places[i];
    }
    return NULL;
}

struct birth {
    const struct cl_pasta_start *start;
    const char *path;
    char *const *argv;
    pid_t parent;
    int log; /* its standard error, and where it says that it is ready */
    const char *failed;
    int result;
};

static int give_descriptors(const struct birth *birth)
{
    const struct cl_pasta_start *start = birth->start;
    const int given[] = {start->netns, start->userns, birth->log, start->tap};
    int spare[CL_ARRAY_SIZE(given)];

    /* In two rounds, because the numbers that are wanted may be those that are given. */
    for (size_t i = 0; i < CL_ARRAY_SIZE(given); i++) {
        spare[i] = cl_sys_fcntl(given[i], F_DUPFD_CLOEXEC, FIRST_SPARE_FD);
        if (spare[i] < 0)
            return spare[i];
    }
    for (size_t i = 0; i < CL_ARRAY_SIZE(given); i++) {
        int r = cl_sys_dup3(spare[i], (int)i, 0);
        if (r < 0)
            return r;
    }
    return cl_sys_close_range(TAP_FD + 1, ~0U, 0);
}

static int take_identity(const struct cl_pasta_start *start)
{
    if (geteuid() != 0)
        return 0;
    int r = cl_sys_setgroups(0, NULL);
    if (r == 0)
        r = cl_sys_setresgid((gid_t)start->uid);
    return r == 0 ? cl_sys_setresuid((uid_t)start->uid) : r;
}

/* Of the pipe of its complaints, which the two have in common. Nobody reads what it says once it
 * is ready, and it must not wait for that. */
static int watch_end(int pipe, int is_on)
{
    return cl_sys_fcntl(pipe, F_SETFL, O_WRONLY | O_NONBLOCK | (is_on ? O_ASYNC : 0));
}

/* What the supervisor blocked or ignored is not pasta's. (It ignores SIGPIPE itself, and refuses
 * to find that done.) */
static int reset_signals(void)
{
    const uint64_t none = 0;

    cl_signals_reset();
    return cl_sys_rt_sigprocmask(SIG_SETMASK, &none, NULL);
}

static int prepare(struct birth *birth)
{
    int r = cl_sys_setsid();

    birth->failed = "give pasta a session";
    if (r < 0)
        return r;
    birth->failed = "give pasta its descriptors";
    r = give_descriptors(birth);
    if (r < 0)
        return r;
    birth->failed = "change to /";
    r = cl_sys_chdir("/");
    if (r < 0)
        return r;
    birth->failed = "take pasta's identity";
    r = take_identity(birth->start);
    if (r < 0)
        return r;
    birth->failed = "set no_new_privs";
    r = cl_sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (r < 0)
        return r;
    birth->failed = "tie pasta to its supervisor";
    r = cl_sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (r == 0)
        r = cl_sys_fcntl(STDERR_FILENO, F_SETOWN, getpid());
    if (r == 0)
        r = watch_end(STDERR_FILENO, 1);
    if (r < 0)
        return r;
    if (getppid() != birth->parent)
        return -ESRCH; /* it died before that; nobody is left to tell */
    birth->failed = "reset signals";
    return reset_signals();
}

static int become_pasta(void *context)
{
    struct birth *birth = context;
    char *const environment[] = {NULL};
    int r = prepare(birth);

    if (r == 0) {
        birth->failed = birth->path;
        r = cl_sys_execve(birth->path, birth->argv, environment);
    }
    birth->result = r;
    return 1;
}

/* A number and a newline are its process id: it is ready. Anything else is a complaint. */
static int is_ready(const char *text)
{
    const size_t digits = strspn(text, "0123456789");

    return digits > 0 && text[digits] == '\n';
}

/* The beginning of the last line of TEXT that has an end. */
static char *last_line(char *text, size_t size)
{
    while (size > 1 && text[size - 2] != '\n')
        size--;
    return size == 0 ? text : text + size - 1;
}

static int say_failed(char *text, struct cl_error *err)
{
    text[strcspn(text, "\n")] = '\0';
    cl_utf8_make_printable(text);
    return text[0] == '\0' ? cl_refuse(err, EIO, "pasta ended without a word")
                           : cl_refuse(err, EIO, "pasta: %s", text);
}

/* OURS of the pipe, without a signal to pasta. */
static ssize_t read_log(int ours, int theirs, char *text, size_t size)
{
    int r = watch_end(theirs, 0);
    ssize_t got = r < 0 ? r : cl_sys_read(ours, text, size);

    r = watch_end(theirs, 1);
    return r < 0 ? r : got;
}

/* Its end of the pipe is open here too: that it has ended says its pidfd. */
static int wait_until_ready(const struct cl_child *child, int ours, int theirs,
                            struct cl_error *err)
{
    const uint64_t deadline = cl_clock_boot_ns() + (uint64_t)READY_MS * CL_NS_PER_MS;
    char text[MAX_COMPLAINT] = "";
    size_t size = 0;

    for (;;) {
        struct pollfd polled[] = {{.fd = ours, .events = POLLIN},
                                  {.fd = child->pidfd, .events = POLLIN}};
        const uint64_t now = cl_clock_boot_ns();
        int r = now >= deadline
                    ? 0
                    : cl_sys_poll(polled, 2, (int)((deadline - now) / CL_NS_PER_MS) + 1);

        if (r == -EINTR)
            continue;
        if (r == 0)
            return cl_refuse(err, ETIMEDOUT, "pasta isn't ready after %d s", READY_MS / 1000);
        if (r < 0)
            return cl_fail(err, r, "wait for pasta");
        const size_t room = sizeof(text) - 1 - size;
        if (room == 0 || polled[0].revents == 0) /* it complains without end, or is gone */
            return say_failed(text, err);
        ssize_t got = read_log(ours, theirs, text + size, room);
        if (got <= 0)
            return cl_fail(err, (int)got, "hear what pasta says");
        size += (size_t)got;
        text[size] = '\0';
        if (text[size - 1] == '\n' && is_ready(last_line(text, size)))
            return 0;
    }
}

static void lay_arguments(const struct cl_net *net, const char *ret[MAX_ARGS])
{
    static const char *const always[] = {
        "pasta", "-f", "-q", "-P", "/proc/self/fd/2", "--netns", "/proc/self/fd/0", "--userns",
        "/proc/self/fd/1", "--no-netns-quit", "--fd", "3",
        /* nothing comes in, and the host's loopback isn't the sandbox's */
        "-t", "none", "-u", "none", "-T", "none", "-U", "none", "--no-map-gw",
        /* the device is set up, and needs no telling */
        "--no-dhcp", "--no-dhcpv6", "--no-ra", "-S", "none"};
    size_t count = CL_ARRAY_SIZE(always);

    memcpy(ret, always, sizeof(always));
    if (net->has_v4) {
        static const char *const v4[] = {"-a", CL_NET_OWN4, "-n", "24", "-g", CL_NET_GATEWAY4};
        memcpy(ret + count, v4, sizeof(v4));
        count += CL_ARRAY_SIZE(v4);
    }
    if (net->has_v6) {
        static const char *const v6[] = {"-a", CL_NET_OWN6, "-g", CL_NET_GATEWAY6};
        memcpy(ret + count, v6, sizeof(v6));
        count += CL_ARRAY_SIZE(v6);
    }
    if (!net->has_v4 || !net->has_v6)
        ret[count++] = net->has_v4 ? "-4" : "-6";
    /* pasta finds the resolvers in /etc/resolv.conf itself, as resolver.c does; one that is
     * told to it by -D it doesn't forward to, in the version of 2023. */
    if (net->resolver4.family != 0) {
        ret[count++] = "--dns-forward";
        ret[count++] = CL_NET_DNS4;
    }
    if (net->resolver6.family != 0) {
        ret[count++] = "--dns-forward";
        ret[count++] = CL_NET_DNS6;
    }
    CL_ASSERT(count < MAX_ARGS);
    ret[count] = NULL;
}

static int spawn(struct birth *birth, struct cl_child *ret, struct cl_error *err)
{
    static _Alignas(16) char stack[32768];
    CL_CLEANUP_CHILD struct cl_child child = CL_CHILD_INIT;

    pid_t pid = cl_sys_clone_beside(become_pasta, stack + sizeof(stack),
                                    CLONE_VM | CLONE_VFORK | SIGCHLD, birth);
    if (pid < 0)
        return cl_fail(err, pid, "clone pasta's process");
    child.pid = pid;
    if (birth->result < 0)
        return cl_fail(err, birth->result, "%s", birth->failed);
    child.pidfd = cl_sys_pidfd_open(pid);
    if (child.pidfd < 0)
        return cl_fail(err, child.pidfd, "pidfd_open");
    *ret = cl_child_take(&child);
    return 0;
}

void cl_pasta_done(struct cl_pasta *pasta)
{
    cl_child_done(&pasta->child);
    cl_fd_close(&pasta->life);
}

int cl_pasta_start(const struct cl_pasta_start *start, struct cl_pasta *ret, struct cl_error *err)
{
    CL_CLEANUP_CHILD struct cl_child child = CL_CHILD_INIT;
    CL_CLEANUP_FD int ours = -1;
    CL_CLEANUP_FD int theirs = -1;
    const char *arguments[MAX_ARGS];
    int ends[2];
    int r = cl_sys_pipe2(ends, 0);

    if (r < 0)
        return cl_fail(err, r, "make a pipe");
    ours = ends[0];
    theirs = ends[1];
    if (geteuid() == 0) /* it opens it anew, by its name in /proc */
        r = cl_sys_fchown(theirs, (uid_t)start->uid, (gid_t)start->uid);
    if (r < 0)
        return cl_fail(err, r, "give a pipe to pasta");
    lay_arguments(start->net, arguments);
    struct birth birth = {
        .start = start,
        .path = cl_pasta_find(),
        .argv = cl_unconst(arguments),
        .parent = getpid(),
        .log = theirs,
    };
    if (birth.path == NULL)
        return cl_refuse(err, ENOENT, "pasta is gone; install the package passt");
    r = spawn(&birth, &child, err);
    if (r < 0)
        return r;
    r = wait_until_ready(&child, ours, theirs, err);
    if (r < 0)
        return r;
    *ret = (struct cl_pasta){.child = cl_child_take(&child), .life = CL_TAKE_FD(ours)};
    return 0;
}
