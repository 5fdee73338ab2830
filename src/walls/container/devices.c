/* /dev: the few devices of policy/devices.def, read-only, with the sandbox's own
 * devpts and shared memory.
 *
 * Root mode: nodes are made once in a template directory of the host and cloned as
 * one mount for each sandbox (9 us against 70 for six binds). Rootless, nodes can't
 * be made: the host's are bound one by one.
 */
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include "base/fd.h"
#include "base/hostdir.h"
#include "base/sys.h"
#include "walls/container/container.h"

struct device {
    const char *name;
    unsigned int major;
    unsigned int minor;
    const char *target; /* a link */
};

static const struct device devices[] = {
#define CL_DEVICE(name, major, minor, why) {name, major, minor, NULL},
#define CL_DEVICE_LINK(name, target, why) {name, 0, 0, target},
#include "policy/devices.def"
#undef CL_DEVICE
#undef CL_DEVICE_LINK
};

static const char *const directories[] = {"pts", "shm"};

enum { DEVICE_ATTRS = CL_MOUNT_ATTR_RDONLY | CL_MOUNT_ATTR_NOSUID | CL_MOUNT_ATTR_NOEXEC };

/* --- the template --------------------------------------------------------------- */

#define TEMPLATE_NAME "dev-1"

static int make_node(int dir, const struct device *device)
{
    if (device->target != NULL)
        return cl_sys_symlinkat(device->target, dir, device->name);
    /* mknod obeys the umask: set the mode afterwards. */
    int r =
        cl_sys_mknodat(dir, device->name, S_IFCHR | 0666, makedev(device->major, device->minor));
    if (r < 0)
        return r;
    return fchmodat(dir, device->name, 0666, 0) < 0 ? -errno : 0;
}

/* The links and mount points that every /dev has; nodes too when MAKE_NODES. */
static int fill(int dir, int make_nodes)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < CL_ARRAY_SIZE(devices); i++) {
        if (devices[i].target != NULL || make_nodes)
            r = make_node(dir, &devices[i]);
        else
            r = cl_sys_mknodat(dir, devices[i].name, S_IFREG | 0444, 0);
    }
    for (size_t i = 0; r == 0 && i < CL_ARRAY_SIZE(directories); i++)
        r = cl_sys_mkdirat(dir, directories[i], 0755);
    return r;
}

static void remove_template(int parent, const char *name)
{
    CL_CLEANUP_FD int dir = cl_sys_openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);

    for (size_t i = 0; dir >= 0 && i < CL_ARRAY_SIZE(devices); i++)
        (void)cl_sys_unlinkat(dir, devices[i].name, 0); /* what is there of a half-made one */
    for (size_t i = 0; dir >= 0 && i < CL_ARRAY_SIZE(directories); i++)
        (void)cl_sys_unlinkat(dir, directories[i], AT_REMOVEDIR);
    (void)cl_sys_unlinkat(parent, name, AT_REMOVEDIR);
}

/* Made under a name of its own and renamed when whole: two starts at once, or a kill
 * in between, leave a good template or none. */
static int make_template(int parent)
{
    char name[32];

    (void)snprintf(name, sizeof(name), TEMPLATE_NAME ".%d", (int)getpid());
    int r = cl_sys_mkdirat(parent, name, 0755);
    if (r == -EEXIST) { /* of a process with our number that was killed half way */
        remove_template(parent, name);
        r = cl_sys_mkdirat(parent, name, 0755);
    }
    if (r < 0)
        return r;
    CL_CLEANUP_FD int dir = cl_sys_openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    r = dir < 0 ? dir : fill(dir, 1);
    if (r == 0)
        r = cl_sys_renameat(parent, name, parent, TEMPLATE_NAME);
    if (r < 0)
        remove_template(parent, name);
    return r == -ENOTEMPTY || r == -EEXIST ? 0 : r; /* another start was first */
}

int cl_devices_template(void)
{
    CL_CLEANUP_FD int template = -1;
    struct cl_error unused;
    struct statfs fs;

    template = cl_sys_openat(AT_FDCWD, CL_HOSTDIR "/" TEMPLATE_NAME, O_PATH | O_NOFOLLOW, 0);
    if (template == -ENOENT) {
        CL_CLEANUP_FD int parent = cl_hostdir_open();

        if (parent < 0 || make_template(parent) < 0)
            return -1;
        template = cl_sys_openat(parent, TEMPLATE_NAME, O_PATH | O_NOFOLLOW, 0);
    }
    /* Nodes mean nothing on a nodev file system: the host's are bound instead. */
    if (template <0 || cl_sys_fstatfs(template, &fs) < 0 || (fs.f_flags & ST_NODEV) != 0)
        return -1;
    int tree = cl_tree_clone_fd(template, "the template of /dev", DEVICE_ATTRS, &unused);
    return tree < 0 ? -1 : tree;
}

/* --- init -------------------------------------------------------------------------- */

/* Puts TREE (borrowed) over NAME of our /dev. */
static int attach_in_dev(const struct cl_container *container, int tree, const char *name,
                         struct cl_error *err)
{
    CL_CLEANUP_FD int target = cl_sys_openat(container->dev, name, O_PATH | O_NOFOLLOW, 0);

    if (target < 0)
        return cl_fail(err, target, "open /dev/%s of the sandbox", name);
    return cl_tree_attach(tree, target, name, err);
}

static int bind_node(const struct cl_container *container, const char *name, struct cl_error *err)
{
    char path[32];

    (void)snprintf(path, sizeof(path), "/dev/%s", name);
    CL_CLEANUP_FD int tree = cl_tree_clone(AT_FDCWD, path, DEVICE_ATTRS, err);
    return tree < 0 ? tree : attach_in_dev(container, tree, name, err);
}

static int bind_nodes(const struct cl_container *container, struct cl_error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < CL_ARRAY_SIZE(devices); i++) {
        if (devices[i].target == NULL)
            r = bind_node(container, devices[i].name, err);
    }
    return r;
}

static int make_skeleton(struct cl_container *container, struct cl_error *err)
{
    int r = cl_sys_mkdirat(container->scratch, "dev", 0755);

    if (r < 0)
        return cl_fail(err, r, "make the directory of /dev");
    CL_CLEANUP_FD int dir = cl_sys_openat(container->scratch, "dev", O_RDONLY | O_DIRECTORY, 0);
    if (dir < 0)
        return cl_fail(err, dir, "open the directory of /dev");
    r = fill(dir, 0);
    if (r < 0)
        return cl_fail(err, r, "fill the directory of /dev");
    return cl_tree_clone_fd(dir, "/dev in scratch", DEVICE_ATTRS | CL_MOUNT_ATTR_NODEV, err);
}

static int attach_dev(struct cl_container *container, struct cl_error *err)
{
    int from_template = container->device_tree >= 0;

    container->dev =
        from_template ? CL_TAKE_FD(container->device_tree) : make_skeleton(container, err);
    if (container->dev < 0)
        return container->dev;
    CL_CLEANUP_FD int target = cl_target_open_own(container, "/dev", err);
    if (target < 0)
        return target;
    int r = cl_tree_attach_writable(container, container->dev, target, "/dev", err);
    if (r < 0)
        return r;
    return from_template ? 0 : bind_nodes(container, err);
}

/* All ptys of the machine are one pool (kernel.pty.max, 4096): 64 for each sandbox. */
static int make_pts(const struct cl_container *container, struct cl_error *err)
{
    static const char *const options[] = {"ptmxmode", "0666", "mode", "0620",
                                          "max",      "64",   NULL,   NULL};

    return cl_fs_make_own(container, "devpts", options, CL_MOUNT_ATTR_NOSUID | CL_MOUNT_ATTR_NOEXEC,
                          err);
}

static int attach_pts(const struct cl_container *container, struct cl_error *err)
{
    CL_CLEANUP_FD int tree = make_pts(container, err);

    return tree < 0 ? tree : attach_in_dev(container, tree, "pts", err);
}

/* With a program of ours no device has a name: a pty, where one is asked for, comes from a devpts
 * that is attached nowhere. */
static int make_nameless(struct cl_container *container, struct cl_error *err)
{
    int r = cl_cover_nothing(container, "/dev", err);

    if (r < 0)
        return r;
    cl_layer_up(container, CL_LAYER_DEVICES);
    if (!container->plan->tty)
        return 0;
    container->pts = make_pts(container, err);
    return container->pts < 0 ? container->pts : 0;
}

static int make_shm(const struct cl_container *container, struct cl_error *err)
{
    const struct cl_plan *plan = container->plan;
    char size[32];
    char inodes[32];

    if (!cl_plan_has(plan, CL_FIELD_SHM_SIZE))
        return cl_tree_clone(
            container->scratch, "shm",
            cl_mount_attrs(plan, CL_MOUNT_ATTR_NOSUID | CL_MOUNT_ATTR_NODEV | CL_MOUNT_ATTR_NOEXEC),
            err);
    const char *options[] = {"mode", "1777", "size", size, "nr_inodes", inodes, NULL, NULL};
    cl_tmpfs_size(plan->limits.shm_bytes, size, inodes);
    return cl_fs_make_own(container, "tmpfs", options, CL_MOUNT_ATTR_NOSUID | CL_MOUNT_ATTR_NOEXEC,
                          err);
}

static int attach_shm(struct cl_container *container, struct cl_error *err)
{
    CL_CLEANUP_FD int tree = make_shm(container, err);

    if (tree < 0)
        return tree;
    CL_CLEANUP_FD int target = cl_sys_openat(container->dev, "shm", O_PATH | O_NOFOLLOW, 0);
    if (target < 0)
        return cl_fail(err, target, "open /dev/shm of the sandbox");
    return cl_tree_attach_writable(container, tree, target, "/dev/shm", err);
}

int cl_devices_make(void *context, struct cl_error *err)
{
    struct cl_container *container = context;

    if (cl_has_program(container))
        return make_nameless(container, err);
    int r = attach_dev(container, err);
    if (r == 0)
        r = attach_pts(container, err);
    if (r == 0)
        r = attach_shm(container, err);
    if (r == 0)
        cl_layer_up(container, CL_LAYER_DEVICES);
    return r;
}
