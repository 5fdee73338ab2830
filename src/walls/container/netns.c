/* The network namespace, made beside everything else.
 *
 * It costs as much as all other namespaces together (0.3 ms), and clone3 would let init
 * wait for it. So on a machine with a processor to spare it is made when init has all that
 * it needs to build its mounts: the supervisor, which has nothing better to do then, clones
 * a helper, the network maker, which joins the sandbox's user namespace, makes the network
 * namespace there, raises its loopback and sends it to init, who waits for that by now and
 * goes over as its last step. On a busy machine the helper would only be more work: there
 * clone3 makes the namespace, and init raises the loopback.
 *
 * The helper runs beside the supervisor (base/beside.h), and holds nothing of the image.
 *
 * The namespace belongs to the sandbox's user namespace, as it would after clone3.
 * Source: network_namespaces(7), setns(2), netdevice(7).
 */
#include <linux/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "base/beside.h"
#include "base/fd.h"
#include "base/sys.h"
#include "walls/container/container.h"

struct helper {
    int userns;
    int channel; /* to init */
    int fd;      /* the namespace, -1 until it is made */
    int is_sent;
    const struct cl_net *net;             /* outbound: what its tap is made for, else NULL */
    const struct cl_net_program *program; /* the filter on the tap */
    int tap;
    const char *failed; /* what, with the -errno RESULT */
    int result;
};

static int failed(struct helper *helper, const char *what, int r)
{
    helper->failed = what;
    helper->result = r;
    return 1;
}

/* A new network namespace's is down. 0, or -errno of *RET_WHAT. */
int cl_netns_raise_loopback(const char **ret_what)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    CL_CLEANUP_FD int fd = cl_sys_socket(AF_INET, SOCK_DGRAM, 0);

    *ret_what = fd < 0 ? "socket" : "set lo up";
    return fd < 0 ? fd : cl_sys_ioctl(fd, SIOCSIFFLAGS, &request);
}

static int send_to_init(int channel, int netns)
{
    const struct cl_message message = {.kind = CL_MESSAGE_NETWORK};
    int r = cl_message_send(channel, &message, &netns, 1);

    return cl_message_has_no_reader(r) ? 0 : r; /* an init that is gone has said why */
}

static int run_helper(void *context)
{
    struct helper *helper = context;
    int r = cl_sys_setns(helper->userns, CLONE_NEWUSER);

    if (r < 0)
        return failed(helper, "join the sandbox's user namespace", r);
    /* After that change of identity, which clears it. */
    r = cl_sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (r < 0)
        return failed(helper, "set the parent-death signal", r);
    r = cl_sys_unshare(CLONE_NEWNET);
    if (r < 0)
        return failed(helper, "make the network namespace", r);
    const char *what;
    r = cl_netns_raise_loopback(&what);
    if (r < 0)
        return failed(helper, what, r);
    helper->fd = cl_sys_openat(AT_FDCWD, "/proc/self/ns/net", O_RDONLY, 0);
    if (helper->fd < 0)
        return failed(helper, "open /proc/self/ns/net", helper->fd);
    if (helper->net != NULL) { /* who carries it has to stand first */
        helper->tap = cl_net_tap(helper->net, helper->program, &what);
        return helper->tap < 0 ? failed(helper, what, helper->tap) : 0;
    }
    helper->is_sent = send_to_init(helper->channel, helper->fd) == 0;
    return 0;
}

int cl_netns_give(int userns, int channel, struct cl_error *err)
{
    struct helper helper = {.userns = userns, .channel = channel, .fd = -1};
    int r = cl_beside_run("the network maker", 0, run_helper, &helper, err);
    CL_CLEANUP_FD int netns = helper.fd;

    if (r != 0)
        return r > 0 ? cl_fail(err, helper.result, "%s", helper.failed) : r;
    /* The helper has no privilege on the host, and so how many descriptors uid 0 may have on
     * the way (unix(7): RLIMIT_NOFILE) holds for it, though all may be somebody else's. */
    r = helper.is_sent ? 0 : send_to_init(channel, netns);
    return r < 0 ? cl_fail(err, r, "send the network namespace") : 0;
}

int cl_netns_give_outbound(struct cl_wall_process *process, int userns, struct cl_error *err)
{
    static struct cl_net_program program; /* 32 KiB */
    const struct cl_plan *plan = process->plan;
    const int is_filtered = !cl_plan_without(plan, CL_LAYER_NETWORK_FILTER);
    struct helper helper = {.userns = userns,
                            .channel = process->channel,
                            .net = process->net,
                            .program = is_filtered ? &program : NULL,
                            .fd = -1,
                            .tap = -1};
    int r = cl_net_filter_make(process->net, &plan->network_reach, &program, err);

    if (r == 0)
        r = cl_beside_run("the network maker", 0, run_helper, &helper, err);
    CL_CLEANUP_FD int netns = helper.fd;
    CL_CLEANUP_FD int tap = helper.tap;
    if (r != 0)
        return r > 0 ? cl_fail(err, helper.result, "%s", helper.failed) : r;
    const struct cl_pasta_start start = {
        .net = process->net, .uid = process->owner, .userns = userns, .netns = netns, .tap = tap};
    r = cl_pasta_start(&start, &process->pasta, err);
    if (r < 0)
        return r;
    r = send_to_init(process->channel, netns);
    return r < 0 ? cl_fail(err, r, "send the network namespace") : 0;
}

/* Init's step: the loopback of a namespace that it was born in. */
int cl_netns_raise_own(void *context, struct cl_error *err)
{
    const struct cl_container *container = context;
    const char *what;

    if (cl_plan_without(container->plan, CL_LAYER_NETNS) || cl_netns_comes_later(container))
        return 0;
    int r = cl_netns_raise_loopback(&what);
    return r < 0 ? cl_fail(err, r, "%s", what) : 0;
}

/* Into the namespace that the network maker made meanwhile. */
int cl_netns_enter(struct cl_container *container, int netns, struct cl_error *err)
{
    int r = cl_sys_setns(netns, CLONE_NEWNET);

    if (r < 0)
        return cl_fail(err, r, "enter the network namespace");
    cl_layer_up(container, CL_LAYER_NETNS);
    if (container->net != NULL)
        cl_layer_up(container, CL_LAYER_NETWORK_FILTER);
    return 0;
}
