/* The birth of init: which namespaces, whose, out of which mount namespace; and its end. */
#include <sched.h>
#include <sys/prctl.h>

#include "base/fd.h"
#include "base/sys.h"
#include "walls/container/container.h"

/* The network namespace may come later (netns.c); the cgroup namespace when init has joined. */
static const struct {
    enum cl_layer layer;
    uint64_t flag;
} namespaces[] = {
    {CL_LAYER_USERNS, CLONE_NEWUSER}, {CL_LAYER_PIDNS, CLONE_NEWPID},
    {CL_LAYER_MOUNTNS, CLONE_NEWNS},  {CL_LAYER_IPCNS, CLONE_NEWIPC},
    {CL_LAYER_UTSNS, CLONE_NEWUTS},
};

/* Namespaces that the wall stands on: not even the test build leaves them out. */
#define FOUNDATION                                                                                 \
    (CL_LAYER_BIT(CL_LAYER_USERNS) | CL_LAYER_BIT(CL_LAYER_PIDNS) | CL_LAYER_BIT(CL_LAYER_MOUNTNS))

/* The kernel counts what a user namespace's processes take of its pools (inotify
 * instances, queued signals, message queues, namespaces) against the uid that made it,
 * too: so that is made by the sandbox's own range, or one sandbox could use up what root
 * and all others have. By its last uid, as the first one's capabilities would go when
 * init becomes the sandbox's user. Source: user_namespaces(7), namespaces(7) on /proc/sys/user. */
static int take_owner(const struct cl_container *container, struct cl_error *err)
{
    const struct cl_cap_header header = {.version = CL_CAP_VERSION_3};
    struct cl_cap_data data[2];

    if (container->rootless)
        return 0;
    const uid_t owner = container->start->uid_base + CL_UIDS_PER_RANGE - 1;
    int r = cl_sys_seteuid(owner);
    if (r == 0)
        r = cl_sys_capget(&header, data);
    /* As an ordinary uid, but with what a host may ask of who makes a namespace. */
    for (size_t i = 0; r == 0 && i < CL_ARRAY_SIZE(data); i++)
        data[i].effective = data[i].permitted;
    if (r == 0)
        r = cl_sys_capset(&header, data);
    return r < 0 ? cl_fail(err, r, "take the sandbox's uid %u", owner) : 0;
}

/* Whoever started us may have asked for our death with theirs (systemd, a test's runner): a
 * change of the effective uid clears that (prctl(2)), and their death meanwhile is missed. */
struct bond {
    int signal; /* 0: none */
    pid_t parent;
};

static int note_bond(struct bond *ret, struct cl_error *err)
{
    *ret = (struct bond){.parent = getppid()};
    int r = cl_sys_prctl(PR_GET_PDEATHSIG, (unsigned long)(uintptr_t)&ret->signal, 0, 0, 0);

    return r < 0 ? cl_fail(err, r, "ask for the parent-death signal") : 0;
}

static int leave_owner(const struct cl_container *container, const struct bond *bond,
                       struct cl_error *err)
{
    int r = container->rootless ? 0 : cl_sys_seteuid(0);

    if (r < 0)
        return cl_fail(err, r, "become root again");
    if (container->rootless || bond->signal == 0)
        return 0;
    r = cl_sys_prctl(PR_SET_PDEATHSIG, (unsigned long)bond->signal, 0, 0, 0);
    if (r < 0)
        return cl_fail(err, r, "set the parent-death signal again");
    return getppid() == bond->parent ? 0 : cl_refuse(err, ESRCH, "the parent process has died");
}

/* Until it is reaped its number is nobody else's, so that where PIDFD can't be used a plain
 * kill is as good. */
void cl_child_end(pid_t pid, int pidfd)
{
    int status;

    int r = cl_sys_pidfd_send_signal(pidfd, SIGKILL);

    if (r < 0 && r != -ESRCH) /* that one is dead already */
        (void)cl_sys_kill(pid, SIGKILL);
    (void)cl_sys_wait_for(pid, &status); /* it is ours and will end */
}

void cl_init_end(void *context)
{
    struct cl_container *container = context;

    if (container->pid <= 0)
        return;
    cl_child_end(container->pid, container->pidfd);
    if (container->report->stage == CL_REPORT_FAILED)
        container->init_error = container->report->error;
    cl_fd_close(&container->pidfd);
    container->pid = 0;
}

/* Clones init as the sandbox's owner. */
static int clone_as_owner(struct cl_container *container, struct cl_clone_args *args,
                          struct cl_error *err)
{
    struct bond bond;
    int r = note_bond(&bond, err);

    if (r < 0)
        return r;
    r = take_owner(container, err);
    if (r < 0) {
        struct cl_error unused;

        (void)leave_owner(container, &bond, &unused);
        return r;
    }
    pid_t pid = cl_sys_clone3(args);
    if (pid == 0)
        cl_init_run(container);
    r = leave_owner(container, &bond, err);
    if (pid < 0) {
        (void)cl_fail(err, pid, "clone into new namespaces");
        return cl_userns_hint(pid, err);
    }
    container->pid = pid;
    cl_fd_close(&container->channel[1]);
    return r;
}

/* The same, out of the mount namespace that init's is to be copied from. */
static int clone_from_origin(struct cl_container *container, struct cl_clone_args *args,
                             struct cl_error *err)
{
    struct cl_bare_home home = CL_BARE_HOME_INIT;
    struct cl_error back = {0};

    if (container->bare >= 0 && cl_bare_enter(container->bare, &home) < 0)
        cl_fd_close(&container->bare); /* then init's is a copy of the host's */
    int r = clone_as_owner(container, args, err);
    if (cl_bare_leave(&home, &back) < 0) {
        *err = back;
        r = -back.code;
    }
    if (r < 0)
        cl_init_end(container);
    return r;
}

int cl_init_clone(void *context, struct cl_error *err)
{
    struct cl_container *container = context;
    struct cl_clone_args args = {
        .flags = CLONE_PIDFD,
        .pidfd = (uint64_t)(uintptr_t)&container->pidfd,
        .exit_signal = SIGCHLD,
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(namespaces); i++) {
        if (!cl_plan_without(container->plan, namespaces[i].layer) ||
            (FOUNDATION & CL_LAYER_BIT(namespaces[i].layer)) != 0) {
            args.flags |= namespaces[i].flag;
            container->report->layers |= CL_LAYER_BIT(namespaces[i].layer);
        }
    }
    if (!cl_plan_without(container->plan, CL_LAYER_NETNS) && !cl_netns_comes_later(container))
        args.flags |= CLONE_NEWNET;
    if (container->start->cgroup >= 0) {
        args.flags |= CL_CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)container->start->cgroup;
    }
    return clone_from_origin(container, &args, err);
}
