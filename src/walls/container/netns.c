/* The network namespace, made beside everything else.
 *
 * It costs as much as all other namespaces together (0.3 ms), and clone3 would let init
 * wait for it. So on a machine with a processor to spare it is made when init has all that
 * it needs to build its mounts: the supervisor, which has nothing better to do then, clones
 * a helper, the network maker, which joins the sandbox's user namespace, makes the network
 * namespace there, raises its loopback and leaves a descriptor. Init goes over as its last
 * step. On a busy machine the helper would only be more work: there clone3 makes the
 * namespace, and init raises the loopback.
 *
 * The helper runs in the supervisor's memory and descriptor table, on a stack of its own,
 * while the supervisor sleeps (CLONE_VFORK), and holds nothing of the image.
 *
 * The namespace belongs to the sandbox's user namespace, as it would after clone3.
 * Source: network_namespaces(7), setns(2), netdevice(7).
 */
#include <linux/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/sys.h"
#include "walls/container/container.h"

struct maker {
    int userns;
    int fd;             /* the namespace, -1 until it is made */
    const char *failed; /* what, with the -errno RESULT; NULL: nothing */
    int result;
};

static int failed(struct maker *maker, const char *what, int r)
{
    maker->failed = what;
    maker->result = r;
    return 1;
}

/* A new network namespace's is down. 0, or -errno of *RET_WHAT. */
static int raise_loopback(const char **ret_what)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    CL_CLEANUP_FD int fd = cl_sys_socket(AF_INET, SOCK_DGRAM, 0);

    *ret_what = fd < 0 ? "socket" : "set lo up";
    return fd < 0 ? fd : cl_sys_ioctl(fd, SIOCSIFFLAGS, &request);
}

static int run_maker(void *context)
{
    struct maker *maker = context;
    int r = cl_sys_setns(maker->userns, CLONE_NEWUSER);

    if (r < 0)
        return failed(maker, "join the sandbox's user namespace", r);
    /* After that change of identity, which clears it. */
    r = cl_sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (r < 0)
        return failed(maker, "set the parent-death signal", r);
    r = cl_sys_unshare(CLONE_NEWNET);
    if (r < 0)
        return failed(maker, "make the network namespace", r);
    const char *what;
    r = raise_loopback(&what);
    if (r < 0)
        return failed(maker, what, r);
    maker->fd = cl_sys_openat(AT_FDCWD, "/proc/self/ns/net", O_RDONLY, 0);
    return maker->fd < 0 ? failed(maker, "open /proc/self/ns/net", maker->fd) : 0;
}

int cl_netns_make(int userns, struct cl_error *err)
{
    static _Alignas(16) char stack[16384];
    struct maker maker = {.userns = userns, .fd = -1};
    /* It inherits them blocked: stopped by a terminal's Ctrl-Z it would hold us in the clone,
     * where nothing but a kill reaches us. */
    const uint64_t all = ~0ULL;
    uint64_t before;
    int status = 0;
    int r = cl_sys_rt_sigprocmask(SIG_SETMASK, &all, &before);

    if (r < 0)
        return cl_fail(err, r, "block signals");
    pid_t pid = cl_sys_clone_beside(run_maker, stack + sizeof(stack),
                                    CLONE_VM | CLONE_FILES | CLONE_VFORK | SIGCHLD, &maker);
    (void)cl_sys_rt_sigprocmask(SIG_SETMASK, &before, NULL); /* can't fail where the other didn't */
    if (pid < 0)
        return cl_fail(err, pid, "clone the network maker");
    do
        r = cl_sys_wait4(pid, &status, 0, NULL);
    while (r == -EINTR);
    CL_CLEANUP_FD int fd = maker.fd;
    if (r < 0)
        return cl_fail(err, r, "wait for the network maker");
    if (maker.failed != NULL)
        return cl_fail(err, maker.result, "%s", maker.failed);
    if (fd < 0)
        return cl_refuse(err, EIO, "the network maker was ended from outside (wait status %d)",
                         status);
    return CL_TAKE_FD(fd);
}

/* Init's step: the loopback of a namespace that it was born in. */
int cl_netns_raise_own(void *context, struct cl_error *err)
{
    const struct cl_container *container = context;
    const char *what;

    if (cl_plan_without(container->plan, CL_LAYER_NETNS) || cl_netns_comes_later(container))
        return 0;
    int r = raise_loopback(&what);
    return r < 0 ? cl_fail(err, r, "%s", what) : 0;
}

/* Into the namespace that the supervisor made meanwhile. */
int cl_netns_enter(struct cl_container *container, int netns, struct cl_error *err)
{
    int r = cl_sys_setns(netns, CLONE_NEWNET);

    if (r < 0)
        return cl_fail(err, r, "enter the network namespace");
    cl_layer_up(container, CL_LAYER_NETNS);
    return 0;
}
