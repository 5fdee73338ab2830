#include "base/child.h"

#include <errno.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"

enum { WAIT_BY_PIDFD = 3 /* P_PIDFD */ };

void cl_child_done(struct cl_child *child)
{
    siginfo_t info;

    cl_fd_close(&child->pidfd);
    if (child->pid <= 0)
        return;
    (void)cl_sys_kill(child->pid, SIGKILL); /* not reaped yet: the number is still its own */
    while (cl_sys_waitid(P_PID, child->pid, &info, WEXITED) == -EINTR)
        ;
    child->pid = 0;
}

struct cl_child cl_child_take(struct cl_child *child)
{
    struct cl_child taken = *child;

    *child = CL_CHILD_INIT;
    return taken;
}

/* In two rounds, because a number that is wanted may be one of those that are given; it may also
 * be the directory's, which is entered first. */
static int add_descriptors(posix_spawn_file_actions_t *actions, const struct cl_child_start *start)
{
    int spare = (int)start->fd_count;
    int r = start->cwd < 0 ? 0 : posix_spawn_file_actions_addfchdir_np(actions, start->cwd);

    for (size_t i = 0; i < start->fd_count; i++) {
        if (start->fds[i] >= spare)
            spare = start->fds[i] + 1;
    }
    for (size_t i = 0; r == 0 && i < start->fd_count; i++) {
        if (start->fds[i] >= 0)
            r = posix_spawn_file_actions_adddup2(actions, start->fds[i], spare + (int)i);
    }
    for (size_t i = 0; r == 0 && i < start->fd_count; i++) {
        if (start->fds[i] < 0) {
            r = posix_spawn_file_actions_addclose(actions, (int)i);
            continue;
        }
        r = posix_spawn_file_actions_adddup2(actions, spare + (int)i, (int)i);
        if (r == 0)
            r = posix_spawn_file_actions_addclose(actions, spare + (int)i);
    }
    return -r;
}

/* No signal blocked or ignored that our caller may have left so. */
static int reset_signals(posix_spawnattr_t *attributes)
{
    sigset_t none;
    sigset_t all;

    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    int r = posix_spawnattr_setsigmask(attributes, &none);
    if (r == 0)
        r = posix_spawnattr_setsigdefault(attributes, &all);
    if (r == 0)
        r = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    return -r;
}

/* posix_spawn is the C library's vfork: the child has our memory only until it execs. */
static int spawn(const struct cl_child_start *start, pid_t *ret)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int r = cl_fault_syscall(SYS_clone);

    if (r < 0)
        return r;
    r = -posix_spawn_file_actions_init(&actions);
    if (r < 0)
        return r;
    r = -posix_spawnattr_init(&attributes);
    if (r == 0) {
        r = add_descriptors(&actions, start);
        if (r == 0)
            r = reset_signals(&attributes);
        if (r == 0)
            r = -posix_spawn(ret, start->path, &actions, &attributes, start->argv, start->envp);
        (void)posix_spawnattr_destroy(&attributes); /* frees memory, can't fail */
    }
    (void)posix_spawn_file_actions_destroy(&actions); /* as above */
    return r;
}

int cl_child_start(const struct cl_child_start *start, struct cl_child *ret, struct cl_error *err)
{
    CL_CLEANUP_CHILD struct cl_child child = CL_CHILD_INIT;

    CL_ASSERT(start->fd_count <= CL_CHILD_MAX_FDS);
    int r = spawn(start, &child.pid);
    if (r < 0) {
        child.pid = 0;
        return cl_fail(err, r, "start %.200s", start->path);
    }
    child.pidfd = cl_sys_pidfd_open(child.pid);
    if (child.pidfd < 0)
        return cl_fail(err, child.pidfd, "pidfd_open");
    *ret = cl_child_take(&child);
    return 0;
}

int cl_child_wait(struct cl_child *child, siginfo_t *ret, struct cl_error *err)
{
    int r;

    do
        r = cl_sys_waitid(WAIT_BY_PIDFD, child->pidfd, ret, WEXITED);
    while (r == -EINTR);
    if (r < 0)
        return cl_fail(err, r, "wait for a program that was started");
    child->pid = 0; /* reaped */
    cl_fd_close(&child->pidfd);
    return 0;
}
