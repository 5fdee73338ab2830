/* The caller's process waits for the end, passes its signals on, and exits as the command did; the
 * supervisor, a child in a session of its own, ends with it until then, and stays when the sandbox
 * has come to rest. A pipe tells how it ended. */
#include "cmd/cloister/keep.h"

#include <errno.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"
#include "cmd/cloister/command.h"
#include "sandbox/supervisor.h"

struct end {
    int status; /* to exit with, or -errno with why */
    struct cl_error why;
};
_Static_assert(sizeof(struct end) <= 4096, "written whole (pipe(7))");

/* --- the supervisor's process ------------------------------------------------------------------
 */

struct kept {
    int tell; /* the pipe's end; -1: told */
    const int *streams;
};

static void tell(struct kept *kept, int status, const struct cl_error *why)
{
    const struct end end = {.status = status, .why = *why};

    if (kept->tell < 0)
        return;
    (void)cl_write_all(kept->tell, &end, sizeof(end)); /* a caller who has gone misses it */
    cl_fd_close(&kept->tell);
}

/* Who waits for the end of the caller's streams must not wait for us. */
static void tell_rest(void *context, int status, const struct cl_error *why)
{
    struct kept *kept = context;
    CL_CLEANUP_FD int null = cl_sys_openat(AT_FDCWD, "/dev/null", O_RDWR, 0);

    for (int fd = 0; fd <= 2; fd++) {
        int stream = kept->streams[fd];

        cl_fd_close(&stream);
        if (null >= 0)
            (void)cl_sys_dup3(null, fd, 0); /* fails for no such descriptors */
    }
    tell(kept, status, why);
}

/* Of the caller's descriptors the standard ones are used, and none of the others. */
static int let_go(const struct kept *kept, int lock, int image, struct cl_error *err)
{
    const int held[] = {kept->tell,      lock, image, kept->streams[0], kept->streams[1],
                        kept->streams[2]};
    int r = cl_sys_setsid();

    if (r >= 0)
        r = cl_fd_close_others(held, CL_ARRAY_SIZE(held));
    return r < 0 ? cl_fail(err, r, "part from the caller") : 0;
}

CL_NORETURN static void supervise(const struct cl_plan *plan, struct cl_run_options options,
                                  int told, int lock)
{
    struct kept kept = {.tell = told, .streams = options.streams};
    struct cl_error err = {0};
    int r = let_go(&kept, lock, options.image, &err);

    options.on_rest = tell_rest;
    options.context = &kept;
    if (r == 0)
        r = cl_sandbox_run(plan, &options, &err);
    tell(&kept, r, &err);
    _exit(r < 0 ? CL_EXIT_FAILED : r);
}

/* --- the caller's ------------------------------------------------------------------------------
 */

static void pass_signal(int signals, pid_t pid)
{
    struct signalfd_siginfo info;

    if (cl_sys_read(signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    if (info.ssi_signo != SIGCHLD && info.ssi_signo != SIGPIPE)
        (void)cl_sys_kill(pid, (int)info.ssi_signo); /* ours until we reap it */
}

/* 0 once it has told; -errno when it is gone without a word. */
static int listen_to(int from, int signals, pid_t pid, struct end *ret)
{
    struct pollfd polled[2] = {{.fd = from, .events = POLLIN}, {.fd = signals, .events = POLLIN}};

    for (;;) {
        int r = cl_sys_poll(polled, 2, -1);

        if (r == -EINTR)
            continue;
        if (r < 0)
            return r;
        if (polled[1].revents != 0)
            pass_signal(signals, pid);
        if (polled[0].revents == 0)
            continue;
        ssize_t got = cl_sys_read(from, ret, sizeof(*ret));
        if (got != -EINTR)
            return got == (ssize_t)sizeof(*ret) ? 0 : -ECHILD;
    }
}

static int attend(int from, int signals, pid_t pid, struct cl_error *err)
{
    struct end end = {0};
    int r = listen_to(from, signals, pid, &end);

    if (r < 0)
        return cl_refuse(err, -r, "the sandbox's supervisor was killed");
    *err = end.why;
    err->msg[sizeof(err->msg) - 1] = '\0';
    return end.status;
}

int cl_keep(const struct cl_plan *plan, const struct cl_run_options *options, int lock,
            struct cl_error *err)
{
    int ends[2];
    int r = cl_sys_pipe2(ends, 0);

    if (r < 0)
        return cl_fail(err, r, "make a pipe");
    CL_CLEANUP_FD int from = ends[0];
    CL_CLEANUP_FD int to = ends[1];
    const pid_t caller = getpid();
    /* before there is anybody to pass them on to: none is lost, and none ends us alone */
    CL_CLEANUP_FD int signals = cl_supervisor_take_signals(err);
    if (signals < 0)
        return signals;
    pid_t pid = fork();
    if (pid < 0)
        return cl_fail(err, -errno, "make the sandbox's supervisor");
    if (pid == 0) {
        struct cl_run_options own = *options;

        own.parent = caller;
        supervise(plan, own, CL_TAKE_FD(to), lock);
    }
    cl_fd_close(&to);
    return attend(from, signals, pid, err);
}
