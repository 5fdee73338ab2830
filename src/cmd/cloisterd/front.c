/* containerd's gRPC: each connection has a translator of its own, in a jail, which speaks HTTP/2
 * with the peer and ttrpc with us. Who may call is looked at here. */
#include <errno.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/channel.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"
#include "cmd/cloisterd/daemon.h"

enum { ACCEPT_AGAIN_MS = 100 };

/* Its descriptors: 3 the peer's, 4 ours. */
static int translate(struct cl_daemon *daemon, int connection, struct cl_error *err)
{
    char *argv[] = {cl_unconst(daemon->translator.name), NULL};
    CL_CLEANUP_FD int null = cl_sys_openat(AT_FDCWD, "/dev/null", O_RDWR, 0);
    int ends[2];

    if (null < 0)
        return cl_fail(err, null, "open /dev/null");
    int r = cl_sys_socketpair(SOCK_STREAM, ends);
    if (r < 0)
        return cl_fail(err, r, "make a line to cloister-grpc");
    CL_CLEANUP_FD int ours = ends[0];
    CL_CLEANUP_FD int theirs = ends[1];
    const int fds[] = {null, null, 2, connection, theirs};
    r = cl_sys_fcntl(ours, F_SETFL, O_NONBLOCK);
    if (r < 0)
        return cl_fail(err, r, "make a line non-blocking");
    const struct cl_child_start start = {.path = daemon->translator.path,
                                         .argv = argv,
                                         .envp = environ,
                                         .fds = fds,
                                         .fd_count = CL_ARRAY_SIZE(fds),
                                         .cwd = -1};
    r = cl_daemon_start_child(daemon, &start, NULL, NULL, err);
    return r < 0 ? r : cl_rpc_server_adopt(&daemon->server, CL_TAKE_FD(ours), err);
}

/* Who comes while there are no descriptors stays in the queue, of which the loop would tell without
 * end: nobody is waited for until the timer rings. */
static void rest(struct cl_daemon *daemon)
{
    const struct itimerspec spec = {.it_value.tv_nsec = (long)(ACCEPT_AGAIN_MS * CL_NS_PER_MS)};

    if (cl_sys_timerfd_settime(daemon->rested.fd, 0, &spec) == 0)
        cl_loop_remove(&daemon->loop, &daemon->front);
}

static int on_rested(struct cl_source *source, CL_UNUSED uint32_t events,
                     CL_UNUSED struct cl_error *err)
{
    struct cl_daemon *daemon = source->context;
    struct cl_error ignored;
    uint64_t count;

    (void)cl_sys_read(source->fd, &count, sizeof(count)); /* how often is no matter */
    if (!daemon->front.added && cl_loop_add(&daemon->loop, &daemon->front, &ignored) < 0)
        rest(daemon);
    return 0;
}

/* Whatever fails is that caller's alone. */
static int on_caller(struct cl_source *source, CL_UNUSED uint32_t events,
                     CL_UNUSED struct cl_error *err)
{
    struct cl_daemon *daemon = source->context;
    struct cl_error why = {0};
    CL_CLEANUP_FD int connection = cl_sys_accept(source->fd, SOCK_NONBLOCK);

    if (connection == -EMFILE || connection == -ENFILE || connection == -ENOMEM ||
        connection == -ENOBUFS)
        rest(daemon);
    else if (connection >= 0 && cl_channel_check_peer(connection) == 0 &&
             translate(daemon, connection, &why) < 0)
        cl_daemon_say("a connection to the controller", &why);
    return 0;
}

int cl_front_init(struct cl_daemon *daemon, int fd, struct cl_error *err)
{
    daemon->rested = (struct cl_source){.fd = cl_sys_timerfd_create(CLOCK_MONOTONIC),
                                        .events = EPOLLIN,
                                        .on_event = on_rested,
                                        .context = daemon};
    if (daemon->rested.fd < 0)
        return cl_fail(err, daemon->rested.fd, "make a timer");
    int r = cl_loop_add(&daemon->loop, &daemon->rested, err);
    if (r < 0)
        return r;
    daemon->front =
        (struct cl_source){.fd = fd, .events = EPOLLIN, .on_event = on_caller, .context = daemon};
    return cl_loop_add(&daemon->loop, &daemon->front, err);
}
