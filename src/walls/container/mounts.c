#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/sys.h"
#include "walls/container/container.h"

#include <sys/mount.h>

uint64_t cl_mount_attrs(const struct cl_plan *plan, uint64_t attrs)
{
    if (cl_plan_without(plan, CL_LAYER_READONLY))
        attrs &= ~(uint64_t)CL_MOUNT_ATTR_RDONLY;
    if (cl_plan_without(plan, CL_LAYER_NOSUID))
        attrs &= ~(uint64_t)(CL_MOUNT_ATTR_NOSUID | CL_MOUNT_ATTR_NODEV);
    return attrs;
}

static int clone_tree(int dirfd, const char *path, const char *what, uint64_t attrs,
                      struct cl_error *err)
{
    struct cl_mount_attr attr = {.attr_set = attrs, .propagation = MS_PRIVATE};
    /* Recursive: mounts that came from a more privileged namespace are locked together
     * (mount_namespaces(7)) and can only be cloned as a whole. */
    CL_CLEANUP_FD int tree = cl_sys_open_tree(dirfd, path,
                                              CL_OPEN_TREE_CLONE | CL_OPEN_TREE_CLOEXEC |
                                                  CL_AT_RECURSIVE | CL_AT_EMPTY_PATH);

    if (tree < 0)
        return cl_fail(err, tree, "clone the mount at %s", what);
    int r = cl_sys_mount_setattr(tree, "", CL_AT_EMPTY_PATH | CL_AT_RECURSIVE, &attr);
    if (r < 0)
        return cl_fail(err, r, "set the attributes of the mount at %s", what);
    return CL_TAKE_FD(tree);
}

int cl_tree_clone(int dirfd, const char *path, uint64_t attrs, struct cl_error *err)
{
    return clone_tree(dirfd, path, path, attrs, err);
}

int cl_tree_clone_fd(int fd, const char *what, uint64_t attrs, struct cl_error *err)
{
    return clone_tree(fd, "", what, attrs, err);
}

int cl_tree_attach(int tree, int target, const char *where, struct cl_error *err)
{
    int r = cl_sys_move_mount(tree, "", target, "",
                              CL_MOVE_MOUNT_F_EMPTY_PATH | CL_MOVE_MOUNT_T_EMPTY_PATH);

    if (r == 0)
        return 0;
    (void)cl_fail(err, r, "attach a mount at %s", where);
    if (r == -ELOOP)
        (void)cl_hint(err, "a mount namespace is kept below it, as by unshare --mount=FILE: umount "
                           "that, or show only what is beside it");
    return r;
}

/* The mount that FD is open on the root of: 1, 0 when it is open on another place, or
 * -errno. */
static int find_mount(int fd, uint64_t *ret_id)
{
    struct cl_statx st = {0};
    int r = cl_sys_statx(fd, "", CL_AT_EMPTY_PATH, CL_STATX_MNT_ID, &st);

    if (r < 0)
        return r;
    *ret_id = st.mount_id;
    return (st.mask & CL_STATX_MNT_ID) != 0 && (st.attributes & CL_STATX_ATTR_MOUNT_ROOT) != 0;
}

int cl_tree_attach_writable(struct cl_container *container, int tree, int target, const char *where,
                            struct cl_error *err)
{
    int r = cl_tree_attach(tree, target, where, err);

    if (r < 0)
        return r;
    CL_ASSERT(container->writable_count < CL_MAX_WRITABLES);
    r = find_mount(tree, &container->writables[container->writable_count]);
    if (r < 0)
        return cl_fail(err, r, "ask for the mount at %s", where);
    CL_ASSERT(r == 1);
    container->writable_count++;
    return 0;
}

int cl_is_writable(const struct cl_container *container, int fd)
{
    uint64_t id = 0;
    int r = find_mount(fd, &id);

    if (r <= 0)
        return r;
    for (int i = 0; i < container->writable_count; i++) {
        if (container->writables[i] == id)
            return 1;
    }
    return 0;
}

static int set_options(int fs, const char *type, const char *const *options, struct cl_error *err)
{
    for (; options[0] != NULL; options += 2) {
        int r =
            cl_sys_fsconfig(fs, options[1] == NULL ? CL_FSCONFIG_SET_FLAG : CL_FSCONFIG_SET_STRING,
                            options[0], options[1], 0);

        if (r < 0)
            return cl_fail(err, r, "set option %s of %s", options[0], type);
    }
    return 0;
}

static int make_fs(const char *type, const char *context, const char *const *options,
                   uint64_t attrs, struct cl_error *err)
{
    const char *const label[] = {"context", context, NULL, NULL};
    CL_CLEANUP_FD int fs = cl_sys_fsopen(type, CL_FSOPEN_CLOEXEC);

    if (fs < 0)
        return cl_fail(err, fs, "open file system type %s", type);
    int r = context[0] == '\0' ? 0 : set_options(fs, type, label, err);
    if (r == 0)
        r = set_options(fs, type, options, err);
    if (r < 0)
        return r;
    r = cl_sys_fsconfig(fs, CL_FSCONFIG_CMD_CREATE, NULL, NULL, 0);
    if (r < 0)
        return cl_fail(err, r, "make the file system %s", type);
    int mount = cl_sys_fsmount(fs, CL_FSMOUNT_CLOEXEC, (unsigned int)attrs);
    return mount < 0 ? cl_fail(err, mount, "mount the file system %s", type) : mount;
}

int cl_fs_make(const char *type, const char *const *options, uint64_t attrs, struct cl_error *err)
{
    return make_fs(type, "", options, attrs, err);
}

int cl_fs_make_own(const struct cl_container *container, const char *type,
                   const char *const *options, uint64_t attrs, struct cl_error *err)
{
    return make_fs(type, container->file_context, options, attrs, err);
}

int cl_path_is_below(const char *target, const char *dir)
{
    size_t size = strlen(dir);

    if (strcmp(dir, "/") == 0)
        return 1;
    return strncmp(target, dir, size) == 0 && (target[size] == '/' || target[size] == '\0');
}

static int check_kind(int fd, const char *path, int is_dir, struct cl_error *err)
{
    struct stat st;
    int r = cl_sys_fstat(fd, &st);

    if (r < 0)
        return cl_fail(err, r, "stat %s in the image", path);
    if (S_ISLNK(st.st_mode))
        return cl_refuse(err, ELOOP, "%s in the image is a symbolic link", path);
    if (is_dir && !S_ISDIR(st.st_mode))
        return cl_refuse(err, ENOTDIR, "%s in the image is not a directory", path);
    if (!is_dir && S_ISDIR(st.st_mode))
        return cl_refuse(err, EISDIR, "%s in the image is a directory, and a file goes there",
                         path);
    return 0;
}

int cl_is_closed(int r)
{
    return r == -EROFS || r == -EACCES || r == -EOVERFLOW || r == -EPERM;
}

/* Puts a skeleton over the deepest part of PATH that is there. */
static int open_up(struct cl_container *container, const char *path, struct cl_error *err)
{
    const char *rest = "";
    CL_CLEANUP_FD int fd = cl_target_existing(container->root, path, &rest);

    if (fd < 0)
        return cl_fail(err, fd, "find %s in the image", path);
    return cl_skeleton_attach(container, fd, err);
}

static int refuse_link(const char *path, int making, struct cl_error *err)
{
    if (making) /* it wasn't found, and is there when it is to be made */
        return cl_refuse(err, ELOOP,
                         "%s in the image is, or lies behind, a symbolic link that leads nowhere "
                         "in the image; remove the link, or make what it leads to",
                         path);
    return cl_refuse(err, ELOOP,
                     "%s in the image is, or lies behind, a symbolic link that leads in a circle, "
                     "or through one of /proc's own; remove the link",
                     path);
}

int cl_target_open(struct cl_container *container, const char *path, int is_dir,
                   struct cl_error *err)
{
    CL_CLEANUP_FD int fd = -1;
    int making;
    int r = cl_target_find(container->root, path, is_dir, &fd, &making);

    if (making && cl_is_closed(r)) {
        r = open_up(container, path, err);
        if (r < 0)
            return cl_prefix(err, "make %s", path);
        r = cl_target_find(container->root, path, is_dir, &fd, &making);
    }
    if (r == -ELOOP)
        return refuse_link(path, making, err);
    if (r < 0)
        return cl_fail(err, r, "find or make %s in the image", path);
    r = check_kind(fd, path, is_dir, err);
    return r < 0 ? r : CL_TAKE_FD(fd);
}

int cl_target_open_own(struct cl_container *container, const char *path, struct cl_error *err)
{
    CL_CLEANUP_FD int fd = cl_open_no_links(container->root, path, O_PATH | O_DIRECTORY);

    if (fd == -ENOENT && container->root_grows)
        return cl_target_open(container, path, 1, err);
    if (fd == -ELOOP)
        return cl_refuse(err, ELOOP, "%s in the image is, or lies behind, a symbolic link", path);
    if (fd == -ENOTDIR)
        return cl_refuse(err, ENOTDIR, "%s in the image is not a directory", path);
    if (fd < 0)
        return cl_fail(err, fd, "open %s in the image", path);
    return CL_TAKE_FD(fd);
}

int cl_bind_scratch(struct cl_container *container, const char *name, const char *target,
                    uint64_t attrs, struct cl_error *err)
{
    CL_CLEANUP_FD int tree = -1;
    CL_CLEANUP_FD int at = -1;

    tree = cl_tree_clone(container->scratch, name, cl_mount_attrs(container->plan, attrs), err);
    if (tree < 0)
        return tree;
    at = cl_target_open(container, target, 1, err);
    if (at < 0)
        return at;
    return cl_tree_attach_writable(container, tree, at, target, err);
}

int cl_cover_nothing(const struct cl_container *container, const char *path, struct cl_error *err)
{
    const uint64_t attrs = CL_MOUNT_ATTR_RDONLY | CL_MOUNT_ATTR_NOSUID | CL_MOUNT_ATTR_NODEV;

    if (!cl_plan_has_tree(container->plan))
        return 0;
    CL_CLEANUP_FD int at =
        cl_sys_openat(container->root, path + 1, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
    if (at == -ENOENT || at == -ENOTDIR)
        return 0; /* a link leads to what is the image's */
    if (at < 0)
        return cl_fail(err, at, "open %s of the image", path);
    CL_CLEANUP_FD int tree =
        cl_tree_clone(container->scratch, "empty", cl_mount_attrs(container->plan, attrs), err);
    return tree < 0 ? tree : cl_tree_attach(tree, at, path, err);
}

/* The old root ends up on top of the new one. */
int cl_mount_leave_host(struct cl_error *err)
{
    int r = cl_sys_pivot_root(".", ".");

    if (r < 0)
        return cl_fail(err, r, "pivot_root");
    r = cl_sys_umount2(".", MNT_DETACH);
    return r < 0 ? cl_fail(err, r, "detach the host's file systems") : 0;
}
