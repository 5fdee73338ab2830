/* Our children: translators, preparers, and who starts workers. */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/sys.h"
#include "cmd/cloisterd/daemon.h"

int cl_daemon_watch_child(struct cl_daemon *daemon, pid_t pid, void (*on_end)(void *, int),
                          void *context, struct cl_error *err)
{
    struct cl_daemon_child *child = cl_calloc(1, sizeof(*child));

    if (child == NULL) {
        (void)cl_sys_kill(pid, SIGKILL); /* it is reaped as nobody's */
        return cl_fail_memory(err);
    }
    *child = (struct cl_daemon_child){daemon->children, pid, on_end, context};
    daemon->children = child;
    return 0;
}

int cl_daemon_start_child(struct cl_daemon *daemon, const struct cl_child_start *start,
                          void (*on_end)(void *, int), void *context, struct cl_error *err)
{
    struct cl_child child = CL_CHILD_INIT;
    int r = cl_child_start(start, &child, err);

    if (r < 0)
        return r;
    cl_fd_close(&child.pidfd); /* SIGCHLD tells of its end */
    return cl_daemon_watch_child(daemon, child.pid, on_end, context, err);
}

void cl_daemon_forget_context(struct cl_daemon *daemon, const void *context)
{
    for (struct cl_daemon_child *child = daemon->children; child != NULL; child = child->next) {
        if (child->context != context)
            continue;
        child->on_end = NULL;
        child->context = NULL;
    }
}

void cl_daemon_end_context(struct cl_daemon *daemon, const void *context)
{
    for (struct cl_daemon_child *child = daemon->children; child != NULL; child = child->next) {
        if (child->context != context)
            continue;
        (void)cl_sys_kill(child->pid, SIGKILL); /* not reaped yet: the number is its own */
        child->on_end = NULL;
        child->context = NULL;
    }
}

static void has_ended(struct cl_daemon *daemon, pid_t pid, int status)
{
    struct cl_daemon_child **at = &daemon->children;

    while (*at != NULL && (*at)->pid != pid)
        at = &(*at)->next;
    struct cl_daemon_child *child = *at;
    if (child == NULL)
        return;
    *at = child->next;
    if (child->on_end != NULL)
        child->on_end(child->context, status);
    free(child);
}

void cl_daemon_reap(struct cl_daemon *daemon)
{
    int status = 0;
    pid_t pid;

    while ((pid = cl_sys_wait4(-1, &status, WNOHANG, NULL)) > 0 || pid == -EINTR) {
        if (pid > 0)
            has_ended(daemon, pid, status);
    }
}
