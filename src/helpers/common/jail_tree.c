/* The jail of who makes files: a user namespace of its own, and a directory tree as its root.
 *
 * The winner of a take-over owns files that nobody but the tree's owner can reach, under ids
 * that own nothing else (root mode: a range of uids that nothing has; otherwise the caller's
 * own and its sub-ids), and has no path out: no mount, no descriptor, no network, no process. */
#include <errno.h>
#include <linux/sched.h>
#include <string.h>
#include <sys/mount.h>

#include "base/channel.h"
#include "base/fd.h"
#include "base/userns.h"
#include "helpers/common/jail_parts.h"

enum {
    CAP_CHOWN = 0,
    CAP_DAC_OVERRIDE = 1,
    CAP_FOWNER = 3,
    CAP_FSETID = 4,
    CAP_SETFCAP = 31,
};
#define CAP_BIT(cap) (1ULL << (cap))

uint64_t cl_jail_tree_capabilities(void)
{
    return CAP_BIT(CAP_CHOWN) | CAP_BIT(CAP_DAC_OVERRIDE) | CAP_BIT(CAP_FOWNER) |
           CAP_BIT(CAP_FSETID) | CAP_BIT(CAP_SETFCAP);
}

/* "Ready", and the answer; the tree may come with it. */
static int ask_for_maps(struct cl_jail *jail, struct cl_error *err)
{
    char byte = 0;
    struct cl_packet packet = {.data = &byte, .size = 1};
    int r = cl_channel_send(jail->channel, &packet, 0);

    if (r == 0) {
        packet.fd_count = 1;
        r = cl_channel_receive(jail->channel, &packet, 0);
    }
    if (r < 0)
        return cl_fail(err, r, "wait for the user namespace's maps");
    if (packet.fd_count == 1)
        jail->tree = packet.fds[0];
    cl_fd_close(&jail->channel);
    return 0;
}

int cl_jail_tree_unshare(struct cl_jail *jail, struct cl_error *err)
{
    int r =
        cl_sys_unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS);

    jail->tree = -1;
    if (r < 0) {
        (void)cl_fail(err, r, "make a user namespace to unpack in");
        return cl_userns_hint(r, err);
    }
    return ask_for_maps(jail, err);
}

/* An ordinary user's namespace of one id has setgroups closed (EPERM): its groups are the
 * caller's own and stay. */
int cl_jail_tree_take_identity(struct cl_error *err)
{
    int r = cl_sys_setgroups(0, NULL);

    if (r < 0 && r != -EPERM)
        return cl_fail(err, r, "setgroups");
    r = cl_sys_setresgid(0);
    if (r < 0)
        return cl_fail(err, r, "setresgid");
    r = cl_sys_setresuid(0);
    return r < 0 ? cl_fail(err, r, "setresuid") : 0;
}

/* Recursive, because mounts that came from a more privileged namespace can only be cloned as a
 * whole. */
static int clone_here(void)
{
    return cl_sys_open_tree(AT_FDCWD, ".",
                            CL_OPEN_TREE_CLONE | CL_OPEN_TREE_CLOEXEC | CL_AT_RECURSIVE |
                                CL_AT_EMPTY_PATH);
}

int cl_jail_tree_enter(struct cl_jail *jail, struct cl_error *err)
{
    /* Private: a clone of a shared mount, which a host's usually are, is shared too, and that
     * pivot_root(2) refuses. */
    const struct cl_mount_attr attr = {.attr_set = CL_MOUNT_ATTR_NOSUID | CL_MOUNT_ATTR_NODEV |
                                                   CL_MOUNT_ATTR_NOEXEC,
                                       .propagation = MS_PRIVATE};
    CL_CLEANUP_FD int tree = jail->tree >= 0 ? CL_TAKE_FD(jail->tree) : clone_here();

    if (tree < 0)
        return cl_fail(err, tree, "clone the directory to unpack in");
    int r = cl_sys_mount_setattr(tree, "", CL_AT_EMPTY_PATH | CL_AT_RECURSIVE, &attr);
    if (r < 0)
        return cl_fail(err, r, "set the attributes of the directory to unpack in");
    r = cl_jail_change_root(tree);
    return r < 0 ? cl_fail(err, r, "make the directory the root") : 0;
}

int cl_jail_tree_allow(int ruleset, uint64_t handled, struct cl_error *err)
{
    CL_CLEANUP_FD int root = cl_sys_openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY, 0);
    const struct cl_landlock_path_beneath rule = {
        .allowed_access = handled & ~(uint64_t)(CL_LANDLOCK_FS_EXECUTE | CL_LANDLOCK_FS_IOCTL_DEV),
        .parent_fd = root,
    };

    if (root < 0)
        return cl_fail(err, root, "open the new root");
    int r = cl_sys_landlock_add_rule(ruleset, CL_LANDLOCK_RULE_PATH_BENEATH, &rule);
    return r < 0 ? cl_fail(err, r, "landlock_add_rule") : 0;
}
