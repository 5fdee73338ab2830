/* Scratch: all that a sandbox may write and that isn't a volume, on one file system
 * whose size and number of files are limited: /tmp, /var/tmp, /dev/shm, the uppers of
 * overlays, copies of volumes.
 *
 * It is a tmpfs of init's own, charged to the sandbox's memory; larger scratch is a
 * file system on disk that the maker has made (disk.c, scratch_tree).
 */
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/fd.h"
#include "base/num.h"
#include "base/sys.h"
#include "walls/container/container.h"

uint64_t cl_scratch_bytes(const struct cl_plan *plan)
{
    uint64_t own = cl_plan_has(plan, CL_FIELD_SHM_SIZE) ? plan->limits.shm_bytes : 0;

    for (size_t i = 0; i < plan->files.count; i++)
        own += plan->files.items[i].size_bytes; /* sizes are below 2^50, volumes 256 */
    return own < plan->limits.disk_bytes ? plan->limits.disk_bytes - own : 0;
}

/* An overlay marks in its upper what it removes and renames, by user.* attributes, which
 * a tmpfs takes since Linux 6.6. Without them `rm -r` of a directory of the image is EIO
 * and renaming a new one EXDEV: dpkg can install nothing. */
static int tmpfs_takes_marks(void)
{
    struct utsname host;
    uint64_t major;
    uint64_t minor;

    if (uname(&host) < 0)
        return 0;
    char *dot = strchr(host.release, '.');
    if (dot == NULL)
        return 0;
    *dot = '\0';
    dot[1 + strspn(dot + 1, "0123456789")] = '\0';
    if (cl_parse_u64(host.release, &major) < 0 || cl_parse_u64(dot + 1, &minor) < 0)
        return 0;
    return major > 6 || (major == 6 && minor >= 6);
}

static int has_overlay(const struct cl_plan *plan)
{
    if (cl_rootfs_workdir_is_copied(plan) ||
        (cl_rootfs_is_writable(plan) && cl_plan_has_tree(plan)))
        return 1;
    for (size_t i = 0; i < plan->files.count; i++) {
        if (plan->files.items[i].kind == CL_FILE_BIND && plan->files.items[i].mode == CL_FILE_COPY)
            return 1;
    }
    return 0;
}

int cl_scratch_needs_disk(const struct cl_plan *plan)
{
    return plan->scratch == CL_SCRATCH_DISK || (has_overlay(plan) && !tmpfs_takes_marks());
}

void cl_tmpfs_size(uint64_t bytes, char ret_size[32], char ret_inodes[32])
{
    (void)snprintf(ret_size, 32, "%llu", (unsigned long long)bytes);
    (void)snprintf(ret_inodes, 32, "%llu", (unsigned long long)cl_max_u64(bytes / 4096, 1024));
}

static int make_tmpfs(const struct cl_container *container, struct cl_error *err)
{
    const struct cl_plan *plan = container->plan;
    char size[32];
    char inodes[32];
    const char *options[] = {"mode", "0755", "size", size, "nr_inodes", inodes, NULL, NULL};

    if (cl_plan_without(plan, CL_LAYER_DISK_LIMIT))
        options[2] = NULL;
    cl_tmpfs_size(cl_scratch_bytes(plan), size, inodes);
    return cl_fs_make_own(container, "tmpfs", options,
                          cl_mount_attrs(plan, CL_MOUNT_ATTR_NOSUID | CL_MOUNT_ATTR_NODEV), err);
}

/* The umask is 0: see cl_init_run. */
static int make_dir(int scratch, const char *name, mode_t mode, struct cl_error *err)
{
    int r = cl_sys_mkdirat(scratch, name, mode);

    return r < 0 ? cl_fail(err, r, "make scratch directory %s", name) : 0;
}

int cl_scratch_dir(struct cl_container *container, const char *name, mode_t mode,
                   struct cl_error *err)
{
    int r = make_dir(container->scratch, name, mode, err);

    if (r < 0)
        return r;
    return cl_tree_clone(
        container->scratch, name,
        cl_mount_attrs(container->plan, CL_MOUNT_ATTR_NOSUID | CL_MOUNT_ATTR_NODEV), err);
}

static int send_scratch(const struct cl_container *container, struct cl_error *err)
{
    struct cl_message message = {.kind = CL_MESSAGE_SCRATCH};
    int r = cl_message_send(container->channel[1], &message, &container->scratch, 1);

    return r < 0 ? cl_fail(err, r, "send the scratch file system's descriptor") : 0;
}

int cl_scratch_make(void *context, struct cl_error *err)
{
    static const char *const shared[] = {"tmp", "vartmp", "shm"};
    struct cl_container *container = context;
    CL_CLEANUP_FD int tree = CL_TAKE_FD(container->scratch_tree);
    int r;

    if (tree < 0)
        tree = make_tmpfs(container, err);
    if (tree < 0)
        return tree;
    /* Attached in our own mount namespace, because clones and overlay layers must come
     * from mounts of our own namespace before Linux 6.15; at a directory that every host
     * has and that is needed no more. It goes with the old root, or lies under the new one. */
    r = cl_sys_move_mount(tree, "", AT_FDCWD, "/sys", CL_MOVE_MOUNT_F_EMPTY_PATH);
    if (r < 0)
        return cl_fail(err, r, "attach the scratch file system at /sys");
    container->scratch = CL_TAKE_FD(tree);
    for (size_t i = 0; i < CL_ARRAY_SIZE(shared); i++) {
        r = make_dir(container->scratch, shared[i], 01777, err);
        if (r < 0)
            return r;
    }
    r = cl_sys_mkdirat(container->scratch, "root", 0555);
    if (r < 0)
        return cl_fail(err, r, "make scratch directory root");
    r = cl_sys_mkdirat(container->scratch, "empty", 0555);
    if (r < 0)
        return cl_fail(err, r, "make scratch directory empty");
    r = cl_sys_mknodat(container->scratch, "nothing", S_IFREG | 0444, 0);
    if (r < 0)
        return cl_fail(err, r, "make an empty file in scratch");
    cl_layer_up(container, CL_LAYER_DISK_LIMIT);
    return send_scratch(container, err);
}
