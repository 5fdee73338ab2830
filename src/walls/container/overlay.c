/* Overlays: copy-on-write over a directory, and the root file system of an image of several
 * layers.
 *
 * Layers are named relative to the working directory, which is inside the mount that has them:
 * names of a few bytes each, so that 127 fit the page that mount(2) takes. To name them one by one
 * (fsconfig's lowerdir+, Linux 6.7; as descriptors 6.13) is slower and needs a fallback; its
 * lowerdir takes 255 bytes. They must be attached in our own mount namespace (before Linux 6.15),
 * which costs less than to take them away again: what is attached in scratch goes with
 * the old root, or lies below the new one, where nothing leads.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "base/fd.h"
#include "base/sys.h"
#include "image/merged.h"
#include "walls/container/container.h"

enum { OPTIONS_SIZE = 4096 }; /* mount(2): a page, with its NUL */

static int make_dir(const struct cl_container *container, const char *name, struct cl_error *err)
{
    int r = cl_sys_mkdirat(container->scratch, name, 0755);

    return r < 0 ? cl_fail(err, r, "make a scratch directory for an overlay") : 0;
}

/* The directories of scratch that an overlay writes to. */
struct upper {
    char dir[16];
    char work[16];
};

/* The top directory is the upper one: it takes the lower's owner and mode (LOWER), or
 * belongs to the sandbox's user (OWNED) where the point is that they can write. */
static int make_upper(struct cl_container *container, const struct stat *lower, int owned,
                      struct upper *ret, struct cl_error *err)
{
    const struct cl_plan *plan = container->plan;
    const int number = container->scratch_dirs++;

    (void)snprintf(ret->dir, sizeof(ret->dir), "u%d", number);
    (void)snprintf(ret->work, sizeof(ret->work), "w%d", number);
    int r = make_dir(container, ret->dir, err);
    if (r == 0)
        r = make_dir(container, ret->work, err);
    if (r < 0)
        return r;
    uid_t uid = owned ? (uid_t)plan->uid : lower->st_uid;
    gid_t gid = owned ? (gid_t)plan->gid : lower->st_gid;
    r = cl_sys_fchownat(container->scratch, ret->dir, uid, gid, 0);
    if (r < 0 && owned)
        return cl_fail(err, r, "give an overlay's directory to the sandbox's user");
    CL_CLEANUP_FD int dir = cl_sys_openat(container->scratch, ret->dir, O_RDONLY | O_DIRECTORY, 0);
    if (dir < 0)
        return cl_fail(err, dir, "open an overlay's upper directory");
    r = cl_sys_fchmod(dir, (lower->st_mode & 01777) | (owned ? 0700 : 0));
    return r < 0 ? cl_fail(err, r, "set the mode of an overlay's upper directory") : 0;
}

/* Attaches TREE as NAME in scratch. */
static int attach_lower(const struct cl_container *container, int tree, const char *name,
                        struct cl_error *err)
{
    int r = make_dir(container, name, err);

    if (r < 0)
        return r;
    CL_CLEANUP_FD int at = cl_sys_openat(container->scratch, name, O_PATH | O_DIRECTORY, 0);
    return at < 0 ? cl_fail(err, at, "open an overlay's lower directory")
                  : cl_tree_attach(tree, at, "an overlay's lower directory", err);
}

/* --- over a directory ---------------------------------------------------------------- */

/* True when LOWER can't be had without what is mounted below it: mounts that came from a
 * more privileged namespace stay together (mount_namespaces(7)), and an overlay takes its
 * lower directory without them. */
static int has_locked_mounts(int lower)
{
    CL_CLEANUP_FD int alone =
        cl_sys_open_tree(lower, "", CL_OPEN_TREE_CLONE | CL_OPEN_TREE_CLOEXEC | CL_AT_EMPTY_PATH);

    return alone == -EINVAL;
}

/* Why there is no overlay of LOWER, which people know as WHAT; ERR says how it failed. */
static int explain_overlay(int lower, const char *what, struct cl_error *err)
{
    (void)cl_prefix(err, "copy-on-write over %.200s", what);
    if (err->code == ENODEV) /* after the kernel itself has asked for the module */
        return cl_hint(err, "this kernel has no overlay: modprobe overlay (CONFIG_OVERLAY_FS); "
                            "--read-only and -w /tmp need none where the image has all mount "
                            "points, nor do volumes that aren't :copy");
    if (err->code == EINVAL && has_locked_mounts(lower))
        return cl_hint(err, "a file system is mounted below it, which an ordinary user's "
                            "copy-on-write can't leave out; name a directory that has none below");
    return -err->code;
}

int cl_overlay_make(struct cl_container *container, int lower, const char *what, int owned,
                    struct cl_error *err)
{
    CL_CLEANUP_FD int taken = lower;
    struct upper upper;
    struct stat st;
    char name[16];
    int r = cl_sys_fstat(taken, &st);

    if (r < 0)
        return cl_fail(err, r, "stat the lower directory of an overlay");
    (void)snprintf(name, sizeof(name), "l%d", container->scratch_dirs);
    r = make_upper(container, &st, owned, &upper, err);
    if (r == 0)
        r = attach_lower(container, taken, name, err);
    if (r < 0)
        return r;
    r = cl_sys_fchdir(container->scratch);
    if (r < 0)
        return cl_fail(err, r, "change to the scratch file system");
    const char *options[] = {
        "lowerdir", name, "upperdir", upper.dir, "workdir", upper.work, "userxattr", NULL, NULL,
    };
    r = cl_fs_make("overlay", options,
                   cl_mount_attrs(container->plan, CL_MOUNT_ATTR_NOSUID | CL_MOUNT_ATTR_NODEV),
                   err);
    return r < 0 ? explain_overlay(taken, what, err) : r;
}

/* --- of an image's layers --------------------------------------------------------------- */

/* "lowerdir=12/tree:7/tree": the topmost first. Layers' names fit, as many as a plan can have.
 * A layer of ours is beside the mount of the others, from which ".." leads to scratch. */
static void name_layers(const struct cl_plan *plan, int with_names, char options[OPTIONS_SIZE])
{
    char tree[CL_LAYER_TREE_SIZE];
    size_t used = (size_t)snprintf(options, OPTIONS_SIZE, "userxattr,lowerdir=%s",
                                   with_names ? "../names:" : "");

    for (size_t i = plan->image_layers.count; i-- > 0;) {
        used +=
            (size_t)snprintf(options + used, OPTIONS_SIZE - used, "%s%s",
                             cl_layer_tree(plan->image_layers.items[i], tree), i > 0 ? ":" : "");
        CL_ASSERT(used < OPTIONS_SIZE);
    }
}

/* UPPER is beside the mount of the layers, from which ".." leads to scratch. */
static void name_upper(const struct upper *upper, char options[OPTIONS_SIZE])
{
    size_t used = strlen(options);

    used += (size_t)snprintf(options + used, OPTIONS_SIZE - used, ",upperdir=../%s,workdir=../%s",
                             upper->dir, upper->work);
    CL_ASSERT(used < OPTIONS_SIZE);
}

/* The root of the topmost layer, whose owner and mode overlay shows. */
static int stat_top(const struct cl_container *container, int layers, struct stat *ret,
                    struct cl_error *err)
{
    const struct cl_strlist *names = &container->plan->image_layers;
    char tree[CL_LAYER_TREE_SIZE];
    int r = cl_sys_fstatat(layers, cl_layer_tree(names->items[names->count - 1], tree), ret,
                           AT_SYMLINK_NOFOLLOW);

    return r < 0 ? cl_fail(err, r, "stat the topmost layer") : 0;
}

static int make_image_upper(struct cl_container *container, int layers, struct upper *ret,
                            struct cl_error *err)
{
    struct stat top = {0};
    int r = stat_top(container, layers, &top, err);

    return r < 0 ? r : make_upper(container, &top, 0, ret, err);
}

/* NAME of scratch looks as LIKE. An id that is not known here can't be set. */
static int make_dir_like(const struct cl_container *container, const char *name,
                         const struct stat *like, struct cl_error *err)
{
    int r = make_dir(container, name, err);

    if (r < 0)
        return r;
    (void)cl_sys_fchownat(container->scratch, name, like->st_uid, like->st_gid, 0);
    r = cl_sys_fchmodat(container->scratch, name, like->st_mode & 01777);
    return r < 0 ? cl_fail(err, r, "set the mode of a layer of ours") : 0;
}

/* What our /etc is to look like; 0 where the image's is no directory. */
static int look_at_etc(const struct cl_container *container, int layers, struct stat *ret)
{
    int r = cl_merged_lstat(layers, &container->plan->image_layers, "/etc", ret);

    if (r == -ENOENT) {
        *ret = (struct stat){.st_mode = S_IFDIR | 0755};
        return 1;
    }
    return r < 0 ? r : S_ISDIR(ret->st_mode);
}

/* Makes the layer "names" in scratch: 1, or 0 where none is wanted. */
static int make_names(const struct cl_container *container, int layers, struct cl_error *err)
{
    struct stat etc = {0};
    struct stat top = {0};
    int r = look_at_etc(container, layers, &etc);

    if (r <= 0)
        return r < 0 ? cl_fail(err, r, "look at /etc of the layers") : 0;
    r = stat_top(container, layers, &top, err);
    if (r == 0)
        r = make_dir_like(container, "names", &top, err);
    if (r == 0)
        r = make_dir_like(container, "names/etc", &etc, err);
    if (r < 0)
        return r;
    r = cl_sys_mknodat(container->scratch, "names/etc/hosts", S_IFREG | 0644, 0);
    if (r < 0)
        return cl_fail(err, r, "make an empty /etc/hosts");
    if (container->net != NULL)
        r = cl_sys_mknodat(container->scratch, "names/etc/resolv.conf", S_IFREG | 0644, 0);
    return r < 0 ? cl_fail(err, r, "make an empty /etc/resolv.conf") : 1;
}

static unsigned long mount_flags(const struct cl_plan *plan, int is_read_only)
{
    const uint64_t attrs = cl_mount_attrs(plan, CL_MOUNT_ATTR_NOSUID | CL_MOUNT_ATTR_NODEV |
                                                    (is_read_only ? CL_MOUNT_ATTR_RDONLY : 0));

    return ((attrs & CL_MOUNT_ATTR_NOSUID) != 0 ? MS_NOSUID : 0UL) |
           ((attrs & CL_MOUNT_ATTR_NODEV) != 0 ? MS_NODEV : 0UL) |
           ((attrs & CL_MOUNT_ATTR_RDONLY) != 0 ? MS_RDONLY : 0UL);
}

/* Attaches it at the new root's place; nothing else mounts by path. */
static int mount_layers(struct cl_container *container, int layers, enum cl_overlay_top top,
                        struct cl_error *err)
{
    const struct cl_plan *plan = container->plan;
    const int with_upper = top == CL_TOP_UPPER;
    char options[OPTIONS_SIZE];
    struct upper upper;
    int r = top == CL_TOP_NAMES ? make_names(container, layers, err) : 0;

    if (r < 0)
        return r;
    name_layers(plan, r > 0, options);
    if (with_upper) {
        r = make_image_upper(container, layers, &upper, err);
        if (r < 0)
            return r;
        name_upper(&upper, options);
    }
    r = attach_lower(container, layers, "layers", err);
    if (r < 0)
        return r;
    r = cl_sys_fchdir(layers);
    if (r < 0)
        return cl_fail(err, r, "change to the layers");
    r = cl_sys_mount("overlay", "../root", "overlay", mount_flags(plan, !with_upper), options);
    if (r < 0)
        return cl_fail(err, r, "make the file system overlay");
    r = cl_sys_openat(container->scratch, "root", O_PATH | O_DIRECTORY, 0);
    return r < 0 ? cl_fail(err, r, "open the new root") : r;
}

int cl_overlay_image(struct cl_container *container, enum cl_overlay_top top, struct cl_error *err)
{
    const struct cl_plan *plan = container->plan;
    CL_CLEANUP_FD int layers = CL_TAKE_FD(container->image_tree);
    int r = mount_layers(container, layers, top, err);

    if (r >= 0)
        return r;
    (void)cl_prefix(err, "the %zu layers of %.200s", plan->image_layers.count, plan->image);
    if (r == -ENODEV) /* after the kernel itself has asked for the module */
        return cl_hint(err, "this kernel has no overlay: modprobe overlay (CONFIG_OVERLAY_FS)");
    if (r == -ENOENT || r == -ENOTDIR)
        return cl_hint(err, "the store lacks a layer of it: cloister pull %.200s", plan->image);
    return r;
}
