/* /proc: the sandbox's own, with what policy/procfs.def names covered. */
#include "base/fd.h"
#include "base/sys.h"
#include "walls/container/container.h"

enum mask_kind { READ_ONLY, HIDE_FILE, HIDE_DIR };

static const struct mask {
    const char *path;
    enum mask_kind kind;
} masks[] = {
#define CL_PROC_READ_ONLY(path, why) {path, READ_ONLY},
#define CL_PROC_HIDE_FILE(path, why) {path, HIDE_FILE},
#define CL_PROC_HIDE_DIR(path, why) {path, HIDE_DIR},
#include "policy/procfs.def"
#undef CL_PROC_READ_ONLY
#undef CL_PROC_HIDE_FILE
#undef CL_PROC_HIDE_DIR
};

enum { PROC_ATTRS = CL_MOUNT_ATTR_NOSUID | CL_MOUNT_ATTR_NODEV | CL_MOUNT_ATTR_NOEXEC };

int cl_procfs_make(void *context, struct cl_error *err)
{
    static const char *const no_options[] = {NULL, NULL};
    struct cl_container *container = context;
    CL_CLEANUP_FD int target = -1;

    container->proc = cl_fs_make("proc", no_options, PROC_ATTRS, err);
    if (container->proc == -EPERM)
        return cl_hint(err, "the kernel mounts a new /proc only where the caller's own /proc has "
                            "nothing mounted over its parts (as inside another container)");
    if (container->proc < 0)
        return container->proc;
    target = cl_target_open_own(container, "/proc", err);
    if (target < 0)
        return target;
    return cl_tree_attach(container->proc, target, "/proc", err);
}

static uint64_t mask_attrs(const struct cl_container *container)
{
    return cl_mount_attrs(container->plan, CL_MOUNT_ATTR_RDONLY | PROC_ATTRS);
}

/* A mount that covers what MASK says. HIDING is one that hides a file and is already
 * attached: a clone of it has its attributes. */
static int mask_source(const struct cl_container *container, const struct mask *mask, int hiding,
                       struct cl_error *err)
{
    switch (mask->kind) {
    case READ_ONLY:
        return cl_tree_clone(container->proc, mask->path, mask_attrs(container), err);
    case HIDE_FILE:
        if (hiding >= 0)
            return cl_sys_open_tree(hiding, "",
                                    CL_OPEN_TREE_CLONE | CL_OPEN_TREE_CLOEXEC | CL_AT_EMPTY_PATH);
        return cl_tree_clone(container->scratch, "nothing", mask_attrs(container), err);
    case HIDE_DIR:
        return cl_tree_clone(container->scratch, "empty", mask_attrs(container), err);
    }
    return cl_refuse(err, EINVAL, "no such mask");
}

/* Targets are named below our own /proc, in which nobody can make links. What isn't
 * there is found out first: to close a mount that was attached nowhere costs an RCU
 * grace period (60 us). */
static int cover(struct cl_container *container, const struct mask *mask, int *hiding,
                 struct cl_error *err)
{
    int r = cl_sys_faccessat(container->proc, mask->path, F_OK);

    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return cl_fail(err, r, "look for /proc/%s", mask->path);
    CL_CLEANUP_FD int source = mask_source(container, mask, *hiding, err);
    if (source < 0)
        return cl_fail(err, source, "make a mount to cover /proc/%s", mask->path);
    r = cl_sys_move_mount(source, "", container->proc, mask->path, CL_MOVE_MOUNT_F_EMPTY_PATH);
    if (r < 0)
        return cl_fail(err, r, "cover /proc/%s", mask->path);
    if (mask->kind == HIDE_FILE && *hiding < 0)
        *hiding = CL_TAKE_FD(source);
    return 0;
}

/* Rootless, what is taken counts against the caller too, whose limit is 128 as a rule. */
static int limit_pools(const struct cl_container *container, struct cl_error *err)
{
    if (!container->rootless)
        return 0;
    int r = cl_write_file(container->proc, "sys/user/max_inotify_instances", "32");
    if (r == -ENOENT)
        return 0; /* a kernel without inotify */
    return r < 0 ? cl_fail(err, r, "set user.max_inotify_instances of the sandbox") : 0;
}

/* No user namespaces below this one: the number is of this namespace alone. */
static int limit_namespaces(struct cl_container *container, struct cl_error *err)
{
    if (cl_plan_without(container->plan, CL_LAYER_USERNS_LIMIT))
        return 0;
    int r = cl_write_file(container->proc, "sys/user/max_user_namespaces", "0");
    if (r < 0)
        return cl_fail(err, r, "set user.max_user_namespaces of the sandbox to 0");
    cl_layer_up(container, CL_LAYER_USERNS_LIMIT);
    return 0;
}

int cl_procfs_mask(void *context, struct cl_error *err)
{
    struct cl_container *container = context;
    int r = limit_namespaces(container, err);

    if (r == 0)
        r = limit_pools(container, err);
    if (r < 0 || cl_plan_without(container->plan, CL_LAYER_PROCMASK))
        return r;
    CL_CLEANUP_FD int hiding = -1;
    for (size_t i = 0; i < CL_ARRAY_SIZE(masks); i++) {
        r = cover(container, &masks[i], &hiding, err);
        if (r < 0)
            return r;
    }
    cl_layer_up(container, CL_LAYER_PROCMASK);
    return 0;
}
