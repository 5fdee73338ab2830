/* A container's time limit (annotation run.cloister.time-limit): a process that outlives its
 * caller, waits for the container's end or for the time to be over, and then kills it.
 * CLOCK_BOOTTIME, so that a suspended machine's hours count. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <time.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"
#include "cmd/cloister-oci/command.h"

struct monitor {
    struct cl_oci_container *container;
    int pidfd;
    int timer;
};

/* Frozen ones, too: who is paused doesn't live longer. */
static void end(const struct monitor *monitor)
{
    CL_CLEANUP_GROUP struct cl_group group = {.count = 0};
    struct cl_error unused;

    if (cl_container_group(monitor->container, &group, &unused) == 0)
        (void)cl_group_kill(&group, SIGKILL, &unused); /* what it misses dies with the first */
    (void)cl_sys_pidfd_send_signal(monitor->pidfd, SIGKILL); /* or it has ended */
}

CL_NORETURN static void watch(const struct monitor *monitor)
{
    struct pollfd events[2] = {{.fd = monitor->pidfd, .events = POLLIN},
                               {.fd = monitor->timer, .events = POLLIN}};
    /* Not the container's directory, which carries its maker's lock: who is killed leaves that. */
    const int held[] = {monitor->pidfd, monitor->timer};
    int r;

    (void)cl_sys_setsid(); /* a terminal's signals are not for us */
    (void)cl_fd_close_others(held, CL_ARRAY_SIZE(held));
    for (int fd = 0; fd <= 2; fd++)
        (void)cl_sys_close_range((unsigned int)fd, (unsigned int)fd, 0);
    (void)cl_sys_prctl(PR_SET_NAME, (unsigned long)(uintptr_t) "cloister-timer", 0, 0, 0);
    do
        r = cl_sys_poll(events, 2, -1);
    while (r == -EINTR || r == 0);
    if (events[0].revents == 0)
        end(monitor);
    _exit(0);
}

static int make_timer(uint64_t time_ns, struct cl_error *err)
{
    const struct itimerspec when = {.it_value = {.tv_sec = (time_t)(time_ns / CL_NS_PER_S),
                                                 .tv_nsec = (long)(time_ns % CL_NS_PER_S)}};
    CL_CLEANUP_FD int timer = cl_sys_timerfd_create(CLOCK_BOOTTIME);
    int r = timer < 0 ? timer : cl_sys_timerfd_settime(timer, 0, &when);

    return r < 0 ? cl_fail(err, r, "set a timer") : CL_TAKE_FD(timer);
}

/* All signals but KILL are blocked in it: who ends the limit has to end the container. */
int cl_oci_watch(struct cl_oci_container *container, struct cl_error *err)
{
    const uint64_t all = ~0ULL;
    struct cl_bundle_raise raise = {0};
    struct cl_clone_args args = {.exit_signal = SIGCHLD};
    uint64_t before;
    int r = cl_bundle_read_raise(&container->spec, &raise, err);

    if (r < 0 || raise.time_ns == 0)
        return r;
    CL_CLEANUP_FD int pidfd = cl_container_pidfd(container);
    CL_CLEANUP_FD int timer = make_timer(raise.time_ns, err);
    if (timer < 0)
        return timer;
    if (pidfd < 0)
        return cl_fail(err, pidfd, "open the container's first process");
    r = cl_sys_rt_sigprocmask(SIG_BLOCK, &all, &before);
    if (r < 0)
        return cl_fail(err, r, "block signals");
    const struct monitor monitor = {container, pidfd, timer};
    pid_t pid = cl_sys_clone3(&args);
    if (pid == 0)
        watch(&monitor);
    (void)cl_sys_rt_sigprocmask(SIG_SETMASK, &before, NULL); /* can't fail where the other didn't */
    return pid < 0 ? cl_fail(err, pid, "clone the container's timer") : 0;
}
