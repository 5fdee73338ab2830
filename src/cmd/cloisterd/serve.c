/* The daemon itself: its sockets and its loop. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/alloc.h"
#include "base/dir.h"
#include "base/fd.h"
#include "base/sys.h"
#include "cmd/cloisterd/group.h"

enum { BACKLOG = 128 };

char *cl_daemon_copy(const char *text)
{
    const size_t size = strlen(text) + 1;
    char *copy = cl_calloc(1, size);

    return copy == NULL ? NULL : memcpy(copy, text, size);
}

void cl_daemon_say(const char *about, const struct cl_error *why)
{
    (void)fprintf(stderr, "cloisterd: %s: %s\n", about, why->msg); /* nowhere else */
}

/* --- signals --------------------------------------------------------------------------------- */

static int on_signal(struct cl_source *source, CL_UNUSED uint32_t events,
                     CL_UNUSED struct cl_error *err)
{
    struct cl_daemon *daemon = source->context;
    struct signalfd_siginfo info;

    if (cl_sys_read(source->fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return 0;
    if (info.ssi_signo == SIGCHLD)
        cl_daemon_reap(daemon);
    else
        cl_loop_stop(&daemon->loop);
    return 0;
}

static int watch_signals(struct cl_daemon *daemon, struct cl_error *err)
{
    const uint64_t mask = 1ULL << (SIGCHLD - 1) | 1ULL << (SIGTERM - 1) | 1ULL << (SIGINT - 1);
    int r = cl_sys_rt_sigprocmask(SIG_BLOCK, &mask, NULL);

    (void)signal(SIGPIPE, SIG_IGN); /* can't fail */
    daemon->signals = (struct cl_source){.fd = r < 0 ? r : cl_sys_signalfd(&mask),
                                         .events = EPOLLIN,
                                         .on_event = on_signal,
                                         .context = daemon};
    if (daemon->signals.fd < 0)
        return cl_fail(err, daemon->signals.fd, "watch for signals");
    return cl_loop_add(&daemon->loop, &daemon->signals, err);
}

/* --- sockets --------------------------------------------------------------------------------- */

/* In directories that are ours, and root's: who may call is looked at besides. */
static int make_parent(const char *path, struct cl_error *err)
{
    char parent[CL_DAEMON_ADDRESS];
    const char *slash = strrchr(path, '/');

    (void)snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path), path);
    int r = parent[0] == '\0' ? 0 : cl_dir_make_path(parent, 0755, 0700);
    return r < 0 ? cl_fail(err, r, "make %s", parent) : 0;
}

/* What nobody answers at is of a dead one. */
static int check_free(const struct sockaddr_un *address, struct cl_error *err)
{
    CL_CLEANUP_FD int fd = cl_sys_socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && cl_sys_connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
        return cl_refuse(err, EADDRINUSE, "%s: somebody listens there already", address->sun_path);
    (void)cl_sys_unlinkat(AT_FDCWD, address->sun_path, 0); /* none is fine */
    return 0;
}

static int listen_at(const char *path, struct cl_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int r;

    if (path[0] != '/' || snprintf(address.sun_path, sizeof(address.sun_path), "%s", path) >=
                              (int)sizeof(address.sun_path))
        return cl_refuse(err, EINVAL, "%.120s: not an absolute path that is short enough", path);
    r = make_parent(path, err);
    if (r == 0)
        r = check_free(&address, err);
    if (r < 0)
        return r;
    CL_CLEANUP_FD int fd = cl_sys_socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const mode_t mask = umask(0177); /* ours alone from the beginning */
    r = fd < 0 ? fd : cl_sys_bind(fd, (const struct sockaddr *)&address, sizeof(address));
    (void)umask(mask);
    if (r == 0)
        r = cl_sys_listen(fd, BACKLOG);
    return r < 0 ? cl_fail(err, r, "listen at %s", path) : CL_TAKE_FD(fd);
}

/* --- its life -------------------------------------------------------------------------------- */

static int prepare(struct cl_daemon *daemon, struct cl_error *err)
{
    static struct cl_rpc_service service;
    const struct cl_daemon_options *options = daemon->options;
    int r = cl_helper_find(NULL, "cloister-grpc", &daemon->translator, err);

    if (r == 0)
        r = cl_helper_find(NULL, "cloister", &daemon->cloister, err);
    if (r == 0)
        r = cl_helper_find(NULL, "containerd-shim-cloister-v2", &daemon->shim, err);
    if (r == 0)
        r = cl_loop_init(&daemon->loop, err);
    if (r == 0)
        r = watch_signals(daemon, err);
    if (r == 0)
        r = cl_daemon_load_pods(daemon, err);
    if (r == 0)
        cl_daemon_sweep_groups(daemon);
    if (r < 0)
        return r;
    service = (struct cl_rpc_service){cl_daemon_methods, cl_daemon_method_count, daemon};
    int tasks = listen_at(options->tasks, err);
    if (tasks < 0)
        return tasks;
    r = cl_rpc_server_init(&daemon->server, &daemon->loop, &service, tasks, err);
    if (r < 0)
        return r;
    int front = listen_at(options->address, err);
    return front < 0 ? front : cl_front_init(daemon, front, err);
}

int cl_daemon_serve(const struct cl_daemon_options *options, struct cl_error *err)
{
    static struct cl_daemon daemon;

    daemon.options = options;
    cl_fd_raise_limit(); /* two for each module, and one for each caller */
    /* For shims: where containerd listens, and that they may say the newest. */
    if (setenv("TTRPC_ADDRESS", options->events, 1) < 0 || setenv("MAX_SHIM_VERSION", "3", 1) < 0)
        return cl_fail_memory(err);
    int r = prepare(&daemon, err);
    if (r < 0)
        return r;
    (void)fprintf(stderr, "cloisterd: serving at %s\n", options->address); /* the same */
    r = cl_loop_run(&daemon.loop, err);
    cl_daemon_end_workers(&daemon);
    cl_daemon_sweep_groups(&daemon);
    (void)cl_sys_unlinkat(AT_FDCWD, options->address, 0); /* the next one does, else */
    (void)cl_sys_unlinkat(AT_FDCWD, options->tasks, 0);
    return r;
}
