/* The shim itself: its loop, from containerd's start to its shutdown. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/helper.h"
#include "base/sys.h"
#include "cmd/containerd-shim-cloister-v2/sandbox.h"
#include "cmd/containerd-shim-cloister-v2/shim.h"

static const uint64_t AGAIN_NS = 200 * CL_NS_PER_MS;

static int on_signal(struct cl_source *source, CL_UNUSED uint32_t events,
                     CL_UNUSED struct cl_error *err)
{
    struct cl_shim *shim = source->context;
    struct signalfd_siginfo info;

    if (cl_sys_read(source->fd, &info, sizeof(info)) == (ssize_t)sizeof(info) &&
        info.ssi_signo == SIGCHLD)
        cl_shim_reap(shim);
    return 0; /* who wants it to end says Shutdown; its containers outlive no other way */
}

/* Of SIGTERM and SIGINT it takes no notice: they may come from a terminal, or a service's end. */
static int watch_signals(struct cl_shim *shim, struct cl_error *err)
{
    const uint64_t mask = 1ULL << (SIGCHLD - 1) | 1ULL << (SIGTERM - 1) | 1ULL << (SIGINT - 1);
    int r = cl_sys_rt_sigprocmask(SIG_BLOCK, &mask, NULL);

    (void)signal(SIGPIPE, SIG_IGN); /* can't fail */
    shim->signals = (struct cl_source){.fd = r < 0 ? r : cl_sys_signalfd(&mask),
                                       .events = EPOLLIN,
                                       .on_event = on_signal,
                                       .context = shim};
    if (shim->signals.fd < 0)
        return cl_fail(err, shim->signals.fd, "watch for signals");
    return cl_loop_add(&shim->loop, &shim->signals, err);
}

/* Each ring looks for all that may go; who still waits is looked for again. */
static int on_ring(struct cl_source *source, CL_UNUSED uint32_t events,
                   CL_UNUSED struct cl_error *err)
{
    struct cl_shim *shim = source->context;
    uint64_t count;

    (void)cl_sys_read(source->fd, &count, sizeof(count)); /* how often is no matter */
    shim->rings_ns = UINT64_MAX;
    cl_shim_tidy(shim);
    cl_shim_sandbox_go_on(shim);
    for (const struct cl_shim_task *task = shim->tasks; task != NULL; task = task->next) {
        if (cl_shim_task_waits(task))
            cl_shim_ring(shim, AGAIN_NS);
    }
    return 0;
}

void cl_shim_ring(struct cl_shim *shim, uint64_t in_ns)
{
    const uint64_t at_ns = cl_clock_mono_ns() + in_ns;
    const struct itimerspec spec = {.it_value = {.tv_sec = (time_t)(in_ns / CL_NS_PER_S),
                                                 .tv_nsec = (long)(in_ns % CL_NS_PER_S)}};

    if (at_ns >= shim->rings_ns)
        return;
    shim->rings_ns = at_ns;
    /* Where it can't be set the call waits for its own deadline. */
    (void)cl_sys_timerfd_settime(shim->timer.fd, 0, &spec);
}

static int make_timer(struct cl_shim *shim, struct cl_error *err)
{
    shim->rings_ns = UINT64_MAX;
    shim->timer = (struct cl_source){.fd = cl_sys_timerfd_create(CLOCK_MONOTONIC),
                                     .events = EPOLLIN,
                                     .on_event = on_ring,
                                     .context = shim};
    if (shim->timer.fd < 0)
        return cl_fail(err, shim->timer.fd, "make a timer");
    return cl_loop_add(&shim->loop, &shim->timer, err);
}

/* What is left to say is said first. */
static void leave_when_idle(void *context)
{
    struct cl_shim *shim = context;

    if (shim->is_leaving && (shim->tasks == NULL || shim->leaves_all))
        cl_loop_stop(&shim->loop);
}

static const char *events_address(void)
{
    const char *address = getenv("TTRPC_ADDRESS"); // NOLINT(concurrency-mt-unsafe): one thread

    return address == NULL ? "" : address;
}

static int prepare(struct cl_shim *shim, int socket, struct cl_error *err)
{
    static struct cl_rpc_service service;
    CL_CLEANUP_FD int owned = socket;
    int r = cl_helper_find(NULL, "cloister-oci", &shim->runtime, err);

    if (r == 0)
        r = cl_shim_state_path(shim->options->space, shim->state, err);
    if (r < 0)
        return r;
    (void)cl_sys_setsid(); /* it leads one already, where that fails */
    (void)cl_sys_prctl(PR_SET_NAME, (unsigned long)(uintptr_t) "containerd-shim", 0, 0, 0);
    r = cl_sys_prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    if (r < 0)
        return cl_fail(err, r, "become the parent of the containers' processes");
    r = cl_loop_init(&shim->loop, err);
    if (r == 0)
        r = watch_signals(shim, err);
    if (r == 0)
        r = make_timer(shim, err);
    if (r == 0)
        r = cl_publisher_init(&shim->publisher, &shim->loop, events_address(), shim->options->space,
                              err);
    if (r < 0)
        return r;
    shim->publisher.on_idle = leave_when_idle;
    shim->publisher.context = shim;
    service = (struct cl_rpc_service){cl_shim_methods, cl_shim_method_count, shim};
    return cl_rpc_server_init(&shim->server, &shim->loop, &service, CL_TAKE_FD(owned), err);
}

/* Who comes later makes one of his own, and doesn't wait for a dead one's. */
static void forget_socket(int socket)
{
    struct sockaddr_un address = {0};
    socklen_t size = sizeof(address);

    if (cl_sys_getsockname(socket, (struct sockaddr *)&address, &size) == 0 &&
        address.sun_path[0] == '/')
        (void)cl_sys_unlinkat(AT_FDCWD, address.sun_path, 0); /* start looks whether one answers */
}

int cl_shim_serve(const struct cl_shim_options *options, int socket, struct cl_error *err)
{
    static struct cl_shim shim;

    shim.options = options;
    int r = cl_sys_fcntl(socket, F_SETFD, FD_CLOEXEC);
    if (r < 0)
        return cl_fail(err, r, "serve: descriptor %d is the socket; start gives it", socket);
    r = prepare(&shim, socket, err);
    if (r == 0)
        r = cl_loop_run(&shim.loop, err);
    if (r < 0)
        return r;
    forget_socket(shim.server.listener.fd);
    cl_shim_forget_state(shim.state);
    cl_rpc_server_done(&shim.server);
    cl_shim_sandbox_done(&shim);
    cl_publisher_done(&shim.publisher);
    cl_loop_done(&shim.loop);
    return 0;
}
