/* The root file system: which tree becomes "/", what of it can be written, and the
 * change into it.
 *
 *   plain     the image itself, read-only: when every mount point exists in it
 *   overlay   image below, scratch above: when mount points are missing (sealed
 *             read-only afterwards) or the whole root is copy-on-write; an image of several
 *             layers always, with nothing above where it would be plain
 *   skeleton  a directory of scratch with the image's entries bound into it: when mount
 *             points are missing and the image may belong to strangers (rootless); not for
 *             an image of several layers, which is its user's own
 *   host      a skeleton in scratch with the host's programs bound into it
 *   module    an empty directory of scratch, where the image is a module and nothing else
 */
#include <string.h>
#include <sys/mount.h>

#include "base/fd.h"
#include "base/sys.h"
#include "image/merged.h"
#include "image/places.h"
#include "walls/container/container.h"

int cl_rootfs_is_writable(const struct cl_plan *plan)
{
    return plan->root_mode == CL_ROOT_WRITABLE;
}

int cl_rootfs_is_covered(const struct cl_plan *plan, const char *path)
{
    static const char *const own[] = {"/proc", "/dev", "/tmp", "/var/tmp"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(own); i++) {
        if (cl_path_is_below(path, own[i]))
            return 1;
    }
    for (size_t i = 0; i < plan->files.count; i++) {
        if (cl_path_is_below(path, plan->files.items[i].target))
            return 1;
    }
    return 0;
}

int cl_rootfs_workdir_is_copied(const struct cl_plan *plan)
{
    if (plan->root_mode != CL_ROOT_PROFILE || plan->profile != CL_PROFILE_STRICT)
        return 0;
    return strcmp(plan->workdir, "/") != 0 && !cl_rootfs_is_covered(plan, plan->workdir);
}

static int exists(int tree, const char *path)
{
    CL_CLEANUP_FD int fd = cl_open_in_root(tree, path, O_PATH);

    return fd >= 0;
}

static int image_has(const struct cl_container *container, const char *path)
{
    const struct cl_plan *plan = container->plan;

    if (!cl_image_is_layered(plan))
        return exists(container->image_tree, path);
    CL_CLEANUP_FD int fd = cl_merged_open(container->image_tree, &plan->image_layers, path);
    return fd >= 0;
}

static int has_place(const struct cl_container *container, enum cl_place place)
{
    const struct cl_plan *plan = container->plan;

    if (cl_plan_has(plan, CL_FIELD_IMAGE_PLACES))
        return (plan->image_places & CL_PLACE_BIT(place)) != 0;
    return cl_image_is_layered(plan) ? cl_places_look(container->image_tree, plan, place)
                                     : exists(container->image_tree, cl_place_path(place));
}

/* An image without /etc/hosts, as most from registries are, would not find localhost. A caller's
 * directory is taken as it is. */
static int lacks_names(const struct cl_container *container)
{
    const struct cl_plan *plan = container->plan;

    if (cl_has_program(container))
        return 0; /* no name is looked up (names.c) */
    return plan->image_kind == CL_IMAGE_STORE && !cl_rootfs_is_covered(plan, "/etc/hosts") &&
           !has_place(container, CL_PLACE_HOSTS);
}

/* Nor, with a network, any other name: of no image is it the rule to have this one. */
static int lacks_resolver(const struct cl_container *container)
{
    return container->net != NULL && !cl_rootfs_is_covered(container->plan, "/etc/resolv.conf") &&
           !image_has(container, "/etc/resolv.conf");
}

/* True when something has to be mounted where the image has nothing. */
static int lacks_mount_points(const struct cl_container *container)
{
    static const enum cl_place own[] = {CL_PLACE_TMP, CL_PLACE_PROC, CL_PLACE_DEV};
    const struct cl_plan *plan = container->plan;
    /* A program of ours has neither of the others. */
    const size_t count = cl_has_program(container) ? 1 : CL_ARRAY_SIZE(own);

    for (size_t i = 0; i < count; i++) {
        if (!has_place(container, own[i]))
            return 1;
    }
    if (!cl_rootfs_is_covered(plan, plan->workdir) && !image_has(container, plan->workdir))
        return 1;
    for (size_t i = 0; i < plan->files.count; i++) {
        /* A target inside another mount is that mount's affair. */
        if (!image_has(container, plan->files.items[i].target))
            return 1;
    }
    return 0;
}

/* What the image isn't a tree for: a directory of scratch. */
static int make_own_root(struct cl_container *container, struct cl_error *err)
{
    int r = cl_sys_mkdirat(container->scratch, "host", 0755);

    if (r < 0)
        return cl_fail(err, r, "make the root directory");
    return cl_tree_clone(
        container->scratch, "host",
        cl_mount_attrs(container->plan, CL_MOUNT_ATTR_NOSUID | CL_MOUNT_ATTR_NODEV), err);
}

static int make_skeleton_root(struct cl_container *container, struct cl_error *err)
{
    CL_CLEANUP_FD int image = CL_TAKE_FD(container->image_tree);
    int r = cl_sys_mkdirat(container->scratch, "image", 0555);

    if (r < 0)
        return cl_fail(err, r, "make the image's scratch directory");
    CL_CLEANUP_FD int target = cl_sys_openat(container->scratch, "image", O_PATH | O_DIRECTORY, 0);
    if (target < 0)
        return cl_fail(err, target, "open the image's scratch directory");
    r = cl_tree_attach(image, target, "the image's scratch directory", err);
    if (r < 0)
        return r;
    r = cl_skeleton_make(container, image, err);
    return r < 0 ? cl_prefix(err, "%.200s", cl_image_name(container->plan)) : r;
}

static int make_root_tree(struct cl_container *container, struct cl_error *err)
{
    const struct cl_plan *plan = container->plan;

    if (!cl_plan_has_tree(plan))
        return make_own_root(container, err);
    if (!container->root_grows)
        return CL_TAKE_FD(container->image_tree);
    if (container->rootless && !cl_rootfs_is_writable(plan) && plan->image_kind != CL_IMAGE_STORE)
        return make_skeleton_root(container, err);
    return cl_overlay_make(container, CL_TAKE_FD(container->image_tree), cl_image_name(plan), 0,
                           err);
}

static int attach_root(struct cl_container *container, struct cl_error *err)
{
    container->root = make_root_tree(container, err);
    if (container->root < 0)
        return container->root;
    int r = cl_sys_move_mount(container->root, "", container->scratch, "root",
                              CL_MOVE_MOUNT_F_EMPTY_PATH);
    return r < 0 ? cl_fail(err, r, "attach the root file system") : 0;
}

int cl_rootfs_make(void *context, struct cl_error *err)
{
    struct cl_container *container = context;
    const struct cl_plan *plan = container->plan;

    container->root_grows =
        !cl_plan_has_tree(plan) || cl_rootfs_is_writable(plan) || lacks_mount_points(container);
    const int needs_names =
        !container->root_grows && (lacks_names(container) || lacks_resolver(container));
    if (cl_image_is_layered(plan)) {
        container->root = cl_overlay_image(container,
                                           container->root_grows ? CL_TOP_UPPER
                                           : needs_names         ? CL_TOP_NAMES
                                                                 : CL_TOP_NONE,
                                           err);
        return container->root < 0 ? container->root : 0;
    }
    container->root_grows |= needs_names;
    int r = attach_root(container, err);
    if (r == 0 && plan->image_kind == CL_IMAGE_HOST)
        r = cl_host_image_fill(container, err);
    return r;
}

/* Binds a directory of scratch. A place that the image doesn't have is passed over
 * when it isn't NEEDED. */
static int bind_scratch(struct cl_container *container, const char *name, const char *target,
                        int needed, struct cl_error *err)
{
    if (!needed && !exists(container->root, target))
        return 0;
    return cl_bind_scratch(container, name, target, CL_MOUNT_ATTR_NOSUID | CL_MOUNT_ATTR_NODEV,
                           err);
}

static int copy_workdir(struct cl_container *container, struct cl_error *err)
{
    const char *workdir = container->plan->workdir;
    CL_CLEANUP_FD int target = cl_target_open(container, workdir, 1, err);
    CL_CLEANUP_FD int tree = -1;

    if (target < 0)
        return target;
    tree = cl_tree_clone_fd(target, workdir,
                            cl_mount_attrs(container->plan, CL_MOUNT_ATTR_RDONLY |
                                                                CL_MOUNT_ATTR_NOSUID |
                                                                CL_MOUNT_ATTR_NODEV),
                            err);
    if (tree < 0)
        return tree;
    CL_CLEANUP_FD int overlay = cl_overlay_make(container, CL_TAKE_FD(tree), workdir, 1, err);
    if (overlay < 0)
        return overlay;
    return cl_tree_attach_writable(container, overlay, target, workdir, err);
}

/* The places that can be written: /tmp, /var/tmp, and the working directory. */
int cl_rootfs_workdir(void *context, struct cl_error *err)
{
    struct cl_container *container = context;
    int r = bind_scratch(container, "tmp", "/tmp", 1, err);

    if (r == 0)
        r = bind_scratch(container, "vartmp", "/var/tmp", 0, err);
    if (r == 0 && cl_rootfs_workdir_is_copied(container->plan))
        r = copy_workdir(container, err);
    return r;
}

int cl_rootfs_seal(void *context, struct cl_error *err)
{
    struct cl_container *container = context;
    struct cl_mount_attr attr = {.attr_set = CL_MOUNT_ATTR_RDONLY};
    int r;

    cl_layer_up(container, CL_LAYER_NOSUID);
    cl_layer_up(container, CL_LAYER_READONLY);
    if (cl_plan_without(container->plan, CL_LAYER_READONLY))
        return 0;
    for (int i = 0; i < container->skeleton_count; i++) {
        r = cl_sys_mount_setattr(container->skeletons[i], "", CL_AT_EMPTY_PATH, &attr);
        if (r < 0)
            return cl_fail(err, r, "make a directory with mount points read-only");
        cl_fd_close(&container->skeletons[i]);
    }
    if (!container->root_grows || cl_rootfs_is_writable(container->plan))
        return 0;
    r = cl_sys_mount_setattr(container->root, "", CL_AT_EMPTY_PATH, &attr);
    return r < 0 ? cl_fail(err, r, "make the root file system read-only") : 0;
}

/* Fails unless nothing lies above "/": ".." from there leads to the same mount. */
static int is_top(int root, struct cl_error *err)
{
    struct cl_statx here = {0};
    struct cl_statx above = {0};
    int r = cl_sys_statx(root, "", CL_AT_EMPTY_PATH, CL_STATX_MNT_ID, &here);

    if (r == 0)
        r = cl_sys_statx(root, "..", 0, CL_STATX_MNT_ID, &above);
    if (r < 0)
        return cl_fail(err, r, "look what is mounted over the new root");
    if ((here.mask & above.mask & CL_STATX_MNT_ID) == 0 || here.mount_id != above.mount_id)
        return cl_refuse(err, EBUSY, "something of the host is still mounted over the new root");
    return 0;
}

/* Nothing of the host lies below: see bare.c. */
static int cover_bare(const struct cl_container *container, struct cl_error *err)
{
    int r = cl_sys_move_mount(container->root, "", AT_FDCWD, "/", CL_MOVE_MOUNT_F_EMPTY_PATH);

    if (r < 0)
        return cl_fail(err, r, "put the new root over the bare one");
    r = cl_sys_chroot(".");
    return r < 0 ? cl_fail(err, r, "chroot") : 0;
}

int cl_rootfs_enter(void *context, struct cl_error *err)
{
    struct cl_container *container = context;
    int r = cl_sys_fchdir(container->root);

    if (r < 0)
        return cl_fail(err, r, "change to the new root");
    r = container->bare >= 0 ? cover_bare(container, err) : cl_mount_leave_host(err);
    if (r < 0)
        return r;
    r = is_top(container->root, err);
    if (r < 0)
        return r;
    r = cl_sys_chdir("/");
    return r < 0 ? cl_fail(err, r, "change to /") : 0;
}
