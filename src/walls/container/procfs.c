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
    if (cl_has_program(container))
        return cl_cover_nothing(container, "/proc", err); /* ours is attached nowhere: for init */
    target = cl_target_open_own(container, "/proc", err);
    if (target < 0)
        return target;
    return cl_tree_attach_writable(container, container->proc, target, "/proc", err);
}

static uint64_t mask_attrs(const struct cl_container *container)
{
    return cl_mount_attrs(container->plan, CL_MOUNT_ATTR_RDONLY | PROC_ATTRS);
}

/* What hides parts of /proc of one kind. A mount that was made and is attached nowhere
 * costs an RCU grace period (60 us) when it is closed: it stays in hand until it fits. */
struct cover {
    const char *name; /* in scratch */
    int hand;         /* detached, not used yet; -1: to be made */
    int attached;     /* its clones have its attributes */
};

static int need_cover(const struct cl_container *container, struct cover *cover,
                      struct cl_error *err)
{
    if (cover->hand >= 0)
        return 0;
    if (cover->attached < 0) {
        cover->hand = cl_tree_clone(container->scratch, cover->name, mask_attrs(container), err);
        return cover->hand < 0 ? cover->hand : 0;
    }
    cover->hand = cl_sys_open_tree(cover->attached, "",
                                   CL_OPEN_TREE_CLONE | CL_OPEN_TREE_CLOEXEC | CL_AT_EMPTY_PATH);
    return cover->hand < 0 ? cl_fail(err, cover->hand, "make a mount to cover parts of /proc") : 0;
}

/* Targets are named below our own /proc, in which nobody can make links. */
static int hide(const struct cl_container *container, const char *path, struct cover *cover,
                struct cl_error *err)
{
    int r = need_cover(container, cover, err);

    if (r < 0)
        return r;
    r = cl_sys_move_mount(cover->hand, "", container->proc, path, CL_MOVE_MOUNT_F_EMPTY_PATH);
    if (r == -ENOENT)
        return 0; /* this kernel has no such part */
    if (r < 0)
        return cl_fail(err, r, "cover /proc/%s", path);
    if (cover->attached < 0)
        cover->attached = CL_TAKE_FD(cover->hand);
    cl_fd_close(&cover->hand);
    return 0;
}

static int make_read_only(const struct cl_container *container, const char *path,
                          struct cl_error *err)
{
    CL_CLEANUP_FD int tree = cl_tree_clone(container->proc, path, mask_attrs(container), err);

    if (tree == -ENOENT) {
        *err = (struct cl_error){0};
        return 0;
    }
    if (tree < 0)
        return tree;
    int r = cl_sys_move_mount(tree, "", container->proc, path, CL_MOVE_MOUNT_F_EMPTY_PATH);
    return r < 0 ? cl_fail(err, r, "cover /proc/%s", path) : 0;
}

/* Rootless, what is taken counts against the caller too: who has 128 instances as a rule,
 * and watches for 1 % of the memory (190,000 of 15 GiB). */
static int limit_pools(const struct cl_container *container, struct cl_error *err)
{
    static const struct {
        const char *path;
        const char *most;
    } pools[] = {
        {"sys/user/max_inotify_instances", "32"},
        {"sys/user/max_inotify_watches", "8192"},
    };

    for (size_t i = 0; container->rootless && i < CL_ARRAY_SIZE(pools); i++) {
        int r = cl_write_file(container->proc, pools[i].path, pools[i].most);

        if (r < 0 && r != -ENOENT) /* a kernel without inotify */
            return cl_fail(err, r, "set /proc/%s of the sandbox to %s", pools[i].path,
                           pools[i].most);
    }
    return 0;
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

static int cover_parts(struct cl_container *container, struct cl_error *err)
{
    struct cover file = {"nothing", -1, -1};
    struct cover dir = {"empty", -1, -1};
    int r = 0;

    for (size_t i = 0; r == 0 && i < CL_ARRAY_SIZE(masks); i++) {
        if (masks[i].kind == READ_ONLY)
            r = make_read_only(container, masks[i].path, err);
        else
            r = hide(container, masks[i].path, masks[i].kind == HIDE_FILE ? &file : &dir, err);
    }
    cl_fd_close(&file.hand);
    cl_fd_close(&file.attached);
    cl_fd_close(&dir.hand);
    cl_fd_close(&dir.attached);
    if (r == 0)
        cl_layer_up(container, CL_LAYER_PROCMASK);
    return r;
}

int cl_procfs_mask(void *context, struct cl_error *err)
{
    struct cl_container *container = context;
    int r = limit_namespaces(container, err);

    if (r == 0)
        r = limit_pools(container, err);
    if (r < 0 || cl_plan_without(container->plan, CL_LAYER_PROCMASK))
        return r;
    if (cl_has_program(container)) { /* nothing of it is there */
        cl_layer_up(container, CL_LAYER_PROCMASK);
        return 0;
    }
    return cover_parts(container, err);
}
