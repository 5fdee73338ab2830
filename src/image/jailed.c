#include "image/jailed.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/channel.h"
#include "base/fd.h"
#include "base/sys.h"
#include "base/userns.h"

enum { READY_WITHIN_MS = 10000 };

/* Waits for the byte that says that the namespace is there. */
static int wait_ready(int channel, struct cl_error *err)
{
    struct pollfd poll = {.fd = channel, .events = POLLIN};
    char byte;
    struct cl_packet packet = {.data = &byte, .size = 1};
    int r;

    do {
        r = cl_sys_poll(&poll, 1, READY_WITHIN_MS);
    } while (r == -EINTR);
    if (r == 0)
        r = -ETIMEDOUT;
    if (r > 0)
        r = cl_channel_receive(channel, &packet, 0);
    return r < 0 ? cl_fail(err, r, "wait for cloister-image's user namespace") : 0;
}

/* A sub-id's map, or, where the host gives this user none, a map of the user alone: an image
 * of one owner can be unpacked with it. */
static int map_user(pid_t pid, int proc, struct cl_error *err)
{
    struct cl_error why;
    int r = cl_userns_map_subids(pid, &why);

    if (r == -ENOENT)
        return cl_userns_map_one(proc, 0, 0, err);
    if (r < 0)
        *err = why;
    return r;
}

/* The directory as a detached mount whose files belong to the ids of the namespace. */
static int map_directory(const struct cl_jailed *how, const struct cl_child *child, int proc,
                         struct cl_error *err)
{
    CL_CLEANUP_FD int userns =
        cl_namespace_open(child->pidfd, CL_PIDFD_GET_USER_NAMESPACE, proc, "ns/user");
    if (userns < 0)
        return cl_fail(err, userns, "open cloister-image's user namespace");
    CL_CLEANUP_FD int tree = cl_sys_open_tree(
        how->directory, "", CL_OPEN_TREE_CLONE | CL_OPEN_TREE_CLOEXEC | CL_AT_EMPTY_PATH);
    if (tree < 0)
        return cl_fail(err, tree, "clone a layer's directory as a mount");
    int r = cl_idmap_tree(tree, userns, "the image store", err);
    return r < 0 ? r : CL_TAKE_FD(tree);
}

static int give_maps(const struct cl_jailed *how, const struct cl_child *child, int channel,
                     struct cl_error *err)
{
    char byte = 0;
    struct cl_packet packet = {.data = &byte, .size = 1};
    CL_CLEANUP_FD int proc = cl_userns_open_proc(child->pid, err);
    CL_CLEANUP_FD int tree = -1;

    if (proc < 0)
        return proc;
    int r = how->uid_base != 0 ? cl_userns_map_range(proc, how->uid_base, err)
                               : map_user(child->pid, proc, err);
    if (r < 0)
        return r;
    if (how->uid_base != 0) {
        tree = map_directory(how, child, proc, err);
        if (tree < 0)
            return tree;
        packet.fds[0] = tree;
        packet.fd_count = 1;
    }
    r = cl_channel_send(channel, &packet, MSG_NOSIGNAL);
    return r < 0 ? cl_fail(err, r, "send cloister-image its directory") : 0;
}

int cl_jailed_start(const struct cl_jailed *how, struct cl_child *ret, struct cl_error *err)
{
    CL_CLEANUP_CHILD struct cl_child child = CL_CHILD_INIT;
    char *const environment[] = {NULL};
    int fds[CL_CHILD_MAX_FDS];
    int ends[2];
    struct cl_child_start start = {
        .path = how->program,
        .argv = how->argv,
        .envp = environment,
        .fds = fds,
        .fd_count = how->fd_count + 1,
        .cwd = how->directory,
    };

    CL_ASSERT(how->fd_count < CL_CHILD_MAX_FDS);
    int r = cl_sys_socketpair(SOCK_SEQPACKET, ends);
    if (r < 0)
        return cl_fail(err, r, "make a socket pair");
    CL_CLEANUP_FD int ours = ends[0];
    CL_CLEANUP_FD int theirs = ends[1];
    memcpy(fds, how->fds, how->fd_count * sizeof(*fds));
    fds[how->fd_count] = theirs;
    r = cl_child_start(&start, &child, err);
    cl_fd_close(&theirs);
    if (r == 0)
        r = wait_ready(ours, err);
    if (r == 0)
        r = give_maps(how, &child, ours, err);
    if (r < 0)
        return r;
    *ret = cl_child_take(&child);
    return 0;
}
