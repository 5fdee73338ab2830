/* Volumes: what the caller shares with the sandbox, and the sources that only the
 * caller's privilege can open.
 *
 * Who the sandbox is on a volume. In root mode the sandbox's user stands for the
 * source's owner, by an id-mapped mount of that one id: files keep their owner on the
 * host, and what the sandbox makes belongs to the owner. Host root is never mapped where
 * the sandbox meets the files themselves: rw, it could make files of root, set-uid ones
 * too, and is refused; ro, it could read what only root may and speak to root's sockets,
 * and sees what strangers see. A copy is an overlay: only reading gets through. Rootless, the
 * sandbox's user is the caller and no map is needed.
 */
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/follow.h"
#include "base/sys.h"
#include "image/merged.h"
#include "walls/container/container.h"

/* Stands in a map for a group that must not be there; no file has it. */
#define NOBODYS_GROUP 0xfffffffeU

static uint64_t volume_attrs(const struct cl_plan *plan, const struct cl_plan_file *file)
{
    uint64_t attrs = CL_MOUNT_ATTR_NOSUID | CL_MOUNT_ATTR_NODEV;

    if (file->mode != CL_FILE_RW)
        attrs |= CL_MOUNT_ATTR_RDONLY;
    return cl_mount_attrs(plan, attrs);
}

/* What the caller names, found with the caller's own privilege. Root's reaches where those
 * who made a link on the way don't: their links don't lead it there. */
static int find_source(const struct cl_container *container, const char *path, const char *what,
                       struct cl_error *err)
{
    return cl_follow_named(path, !container->rootless, what, err);
}

/* Files of the kernel's own, of which each write does something. */
static int is_kernels(int fd)
{
    static const uint32_t types[] = {PROC_SUPER_MAGIC,    SYSFS_MAGIC,   CGROUP_SUPER_MAGIC,
                                     CGROUP2_SUPER_MAGIC, DEBUGFS_MAGIC, TRACEFS_MAGIC,
                                     SECURITYFS_MAGIC,    SELINUX_MAGIC, BPF_FS_MAGIC};
    struct statfs fs;

    if (cl_sys_fstatfs(fd, &fs) < 0)
        return 0; /* what can't be asked can't be bound either */
    for (size_t i = 0; i < CL_ARRAY_SIZE(types); i++) {
        if ((uint32_t)fs.f_type == types[i])
            return 1;
    }
    return 0;
}

static int open_source(const struct cl_container *container, const struct cl_plan_file *file,
                       struct cl_error *err)
{
    struct stat st;
    CL_CLEANUP_FD int fd = find_source(container, file->source, "the volume", err);

    if (fd < 0)
        return fd;
    int r = cl_sys_fstat(fd, &st);
    if (r < 0)
        return cl_fail(err, r, "stat the volume %s", file->source);
    if (file->mode == CL_FILE_RW && is_kernels(fd))
        return cl_refuse(err, EPERM,
                         "the volume %s is the kernel's, of this host: what is written there "
                         "changes the host; ro shows it",
                         file->source);
    if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
        return cl_refuse(err, EINVAL, "the volume %s is neither a directory nor a regular file",
                         file->source);
    if (!S_ISDIR(st.st_mode) && file->mode == CL_FILE_COPY)
        return cl_refuse(err, EINVAL, "the volume %s is a file, and only directories can be copy",
                         file->source);
    /* The clone is of what the descriptor holds: nothing is resolved twice. */
    return cl_tree_clone_fd(fd, file->source, volume_attrs(container->plan, file), err);
}

static int refuse_roots(const struct cl_plan_file *file, const struct stat *st,
                        struct cl_error *err)
{
    if (st->st_uid == 0)
        return cl_refuse(err, EPERM,
                         "%s belongs to root, and a sandbox never writes as root; use %s:%s:copy, "
                         "or give it to an ordinary user and group (chown)",
                         file->source, file->source, file->target);
    return cl_refuse(err, EPERM,
                     "%s has root's group, and a sandbox never writes as that; give it another "
                     "group (chgrp), or use %s:%s:copy",
                     file->source, file->source, file->target);
}

/* Id-maps a volume's TREE so that the sandbox's user stands for its owner. */
static int map_owner(const struct cl_container *container, int tree,
                     const struct cl_plan_file *file, struct cl_error *err)
{
    const struct cl_plan *plan = container->plan;
    struct stat st;
    int r = cl_sys_fstat(tree, &st);

    if (r < 0)
        return cl_fail(err, r, "stat the volume %s", file->source);
    if (file->mode == CL_FILE_RW && (st.st_uid == 0 || st.st_gid == 0))
        return refuse_roots(file, &st, err);
    if (file->mode == CL_FILE_RO && st.st_uid == 0)
        return 0; /* all owners are strangers */
    uint32_t base = container->start->uid_base;
    uint32_t group = file->mode == CL_FILE_RO && st.st_gid == 0 ? NOBODYS_GROUP : st.st_gid;
    CL_CLEANUP_FD int userns = cl_userns_make(st.st_uid, group, base + (uint32_t)plan->uid,
                                              base + (uint32_t)plan->gid, err);
    if (userns < 0)
        return userns;
    return cl_idmap_tree(tree, userns, file->source, err);
}

/* "/" by any other name, as /usr/.. or a link: with it would come all that is mounted on it. */
static int refuse_host_root(const char *path, const struct stat *st, struct cl_error *err)
{
    struct stat root;
    int r = cl_sys_fstatat(AT_FDCWD, "/", &root, 0);

    if (r < 0)
        return cl_fail(err, r, "stat the root directory");
    if (root.st_dev != st->st_dev || root.st_ino != st->st_ino)
        return 0;
    return cl_refuse(err, EINVAL, "the image %s is the host's own root directory; use host", path);
}

static int clone_image(const struct cl_plan *plan, int fd, struct cl_error *err)
{
    return cl_tree_clone_fd(
        fd, cl_image_name(plan),
        cl_mount_attrs(plan, CL_MOUNT_ATTR_RDONLY | CL_MOUNT_ATTR_NOSUID | CL_MOUNT_ATTR_NODEV),
        err);
}

static int open_rootfs(const struct cl_container *container, struct cl_error *err)
{
    const struct cl_plan *plan = container->plan;
    struct stat st;
    CL_CLEANUP_FD int fd = find_source(container, plan->image_path, "the image", err);

    if (fd < 0)
        return fd;
    int r = cl_sys_fstat(fd, &st);
    if (r < 0)
        return cl_fail(err, r, "stat the image %s", plan->image_path);
    if (!S_ISDIR(st.st_mode))
        return cl_refuse(err, ENOTDIR, "the image %s is not a directory", plan->image_path);
    r = refuse_host_root(plan->image_path, &st, err);
    return r < 0 ? r : clone_image(plan, fd, err);
}

/* Several layers come as the one mount that has them all: to be cloned and id-mapped once. */
static int open_stored(const struct cl_container *container, struct cl_error *err)
{
    const struct cl_plan *plan = container->plan;
    char name[CL_LAYER_TREE_SIZE];
    CL_CLEANUP_FD int layers = find_source(container, plan->image_path, "the store's layers", err);

    if (layers < 0 || cl_image_is_layered(plan))
        return layers < 0 ? layers : clone_image(plan, layers, err);
    CL_CLEANUP_FD int tree = cl_open_no_links(
        layers, cl_layer_tree(plan->image_layers.items[0], name), O_PATH | O_DIRECTORY);
    if (tree >= 0)
        return clone_image(plan, tree, err);
    (void)cl_fail(err, tree, "open the layer of %.200s", plan->image);
    return cl_hint(err, "the store lacks it: cloister pull %.200s", plan->image);
}

static int open_image(const struct cl_container *container, struct cl_error *err)
{
    return container->plan->image_kind == CL_IMAGE_STORE ? open_stored(container, err)
                                                         : open_rootfs(container, err);
}

/* In the maker (root mode) or in init (rootless): the same work with whoever's
 * privilege is the caller's. */
int cl_sources_open(struct cl_container *container, struct cl_error *err)
{
    const struct cl_plan *plan = container->plan;

    if (cl_plan_has_tree(plan)) {
        container->image_tree = open_image(container, err);
        if (container->image_tree < 0)
            return container->image_tree;
    }
    for (size_t i = 0; i < plan->files.count; i++) {
        const struct cl_plan_file *file = &plan->files.items[i];

        if (file->kind != CL_FILE_BIND)
            continue;
        container->volume_trees[i] = open_source(container, file, err);
        if (container->volume_trees[i] < 0)
            return container->volume_trees[i];
        if (container->rootless)
            continue;
        int r = map_owner(container, container->volume_trees[i], file, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Rootless, in init's own mount namespace, and before anything is mounted in it: a
 * volume may be all of the host. */
int cl_sources_find(void *context, struct cl_error *err)
{
    struct cl_container *container = context;

    return container->rootless ? cl_sources_open(container, err) : 0;
}

/* --- init ------------------------------------------------------------------------ */

/* One with a size is a file system of its own, whose size scratch goes without; one
 * without is a directory of scratch. */
static int make_tmpfs(struct cl_container *container, size_t index, struct cl_error *err)
{
    const struct cl_plan_file *file = &container->plan->files.items[index];
    uint32_t permissions = file->permissions != 0 ? file->permissions : 01777U;
    char name[16];
    char size[32];
    char inodes[32];
    char mode[16];

    (void)snprintf(name, sizeof(name), "t%u", (unsigned int)index);
    if (file->size_bytes == 0)
        return cl_scratch_dir(container, name, permissions, err);
    cl_tmpfs_size(file->size_bytes, size, inodes);
    (void)snprintf(mode, sizeof(mode), "%o", permissions);
    const char *options[] = {"size", size, "nr_inodes", inodes, "mode", mode, NULL, NULL};
    return cl_fs_make_own(
        container, "tmpfs", options,
        cl_mount_attrs(container->plan, CL_MOUNT_ATTR_NOSUID | CL_MOUNT_ATTR_NODEV), err);
}

static int attach_volume(struct cl_container *container, size_t index, struct cl_error *err)
{
    const struct cl_plan_file *file = &container->plan->files.items[index];
    CL_CLEANUP_FD int tree = -1;
    CL_CLEANUP_FD int target = -1;
    struct stat st;
    int r;

    if (file->kind == CL_FILE_TMPFS)
        tree = make_tmpfs(container, index, err);
    else if (file->mode == CL_FILE_COPY)
        tree = cl_overlay_make(container, CL_TAKE_FD(container->volume_trees[index]), file->source,
                               1, err);
    else
        tree = CL_TAKE_FD(container->volume_trees[index]);
    if (tree < 0)
        return tree;
    r = cl_sys_fstat(tree, &st);
    if (r < 0)
        return cl_fail(err, r, "stat the volume for %s", file->target);
    target = cl_target_open(container, file->target, S_ISDIR(st.st_mode), err);
    if (target < 0)
        return target;
    if (file->kind == CL_FILE_BIND && file->mode == CL_FILE_RO)
        return cl_tree_attach(tree, target, file->target, err);
    return cl_tree_attach_writable(container, tree, target, file->target, err);
}

int cl_volumes_attach(void *context, struct cl_error *err)
{
    struct cl_container *container = context;

    for (size_t i = 0; i < container->plan->files.count; i++) {
        int r = attach_volume(container, i, err);

        if (r < 0)
            return r;
    }
    return 0;
}
