/* /dev of a bundle: the devices that every container has (OCI runtime specification,
 * config-linux.md, "Default Devices"), those that it names, and its console. Nodes are made; where
 * that is not allowed, in a user namespace, the host's are bound. */
#include <errno.h>
#include <linux/sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#include "base/channel.h"
#include "base/fd.h"
#include "base/sys.h"
#include "walls/container/bundle.h"

#include <sys/mount.h>

static const struct cl_spec_device usual[] = {
    {"/dev/null", S_IFCHR, 1, 3, 0666, 0, 0},    {"/dev/zero", S_IFCHR, 1, 5, 0666, 0, 0},
    {"/dev/full", S_IFCHR, 1, 7, 0666, 0, 0},    {"/dev/random", S_IFCHR, 1, 8, 0666, 0, 0},
    {"/dev/urandom", S_IFCHR, 1, 9, 0666, 0, 0}, {"/dev/tty", S_IFCHR, 5, 0, 0666, 0, 0},
};

static const struct {
    const char *name;
    const char *target;
} links[] = {
    {"fd", "/proc/self/fd"},       {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
    {"stderr", "/proc/self/fd/2"}, {"core", "/proc/kcore"},      {"ptmx", "pts/ptmx"},
};

/* --- one node -------------------------------------------------------------------------------- */

static int bind_host(const struct cl_bundle *bundle, const struct cl_spec_device *device,
                     struct cl_error *err)
{
    CL_CLEANUP_FD int tree =
        cl_sys_open_tree(AT_FDCWD, device->path, CL_OPEN_TREE_CLONE | CL_OPEN_TREE_CLOEXEC);

    if (tree < 0)
        return cl_fail(err, tree, "find the host's %s", device->path);
    CL_CLEANUP_FD int target = cl_bundle_target(bundle, device->path, 0, err);
    return target < 0 ? target : cl_tree_attach(tree, target, device->path, err);
}

static int is_device(int dir, const char *name, const struct cl_spec_device *device)
{
    struct stat st;

    return cl_sys_fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           (st.st_mode & S_IFMT) == device->kind &&
           (device->kind == S_IFIFO || st.st_rdev == makedev(device->major, device->minor));
}

static int is_usual(const struct cl_spec_device *device)
{
    return device >= usual && device < usual + CL_ARRAY_SIZE(usual);
}

/* NAME in DIR. What stands there already is taken when it is the same; when not, it is removed
 * where every container has that device, for an image's /dev isn't to be believed, and else an
 * error, as the specification has it. mknod obeys the umask, which is 0 now. */
static int make_node(int dir, const char *name, const struct cl_spec_device *device, int replaces)
{
    const mode_t mode = (mode_t)(device->kind | device->mode);
    const dev_t number = makedev(device->major, device->minor);
    int r = cl_sys_mknodat(dir, name, mode, number);

    if (r == -EEXIST && !is_device(dir, name, device)) {
        if (!replaces)
            return -EEXIST;
        r = cl_sys_unlinkat(dir, name, 0);
        if (r == 0)
            r = cl_sys_mknodat(dir, name, mode, number);
    }
    if (r == -EEXIST)
        r = cl_sys_fchmodat(dir, name, (mode_t)device->mode);
    if (r == 0 && (device->uid != 0 || device->gid != 0))
        r = cl_sys_fchownat(dir, name, device->uid, device->gid, AT_SYMLINK_NOFOLLOW);
    return r;
}

static int make_device(const struct cl_bundle *bundle, const struct cl_spec_device *device,
                       struct cl_error *err)
{
    const char *slash = strrchr(device->path, '/');
    char parent[4096];

    if (cl_bundle_has_userns(bundle) && device->kind != S_IFIFO)
        return bind_host(bundle, device, err);
    (void)snprintf(parent, sizeof(parent), "%.*s/", (int)(slash - device->path), device->path);
    CL_CLEANUP_FD int dir = cl_bundle_target(bundle, parent, 1, err);
    if (dir < 0)
        return dir;
    if (slash[1] == '\0')
        return cl_refuse(err, EINVAL, "%s is no place for a device", device->path);
    int r = make_node(dir, slash + 1, device, is_usual(device));
    /* as in a user namespace that is not ours; the bare mount namespace has none of the host's */
    if (r == -EPERM && device->kind != S_IFIFO && bundle->bare < 0)
        return bind_host(bundle, device, err);
    return r < 0 ? cl_fail(err, r, "make %s", device->path) : 0;
}

/* --- all of them -------------------------------------------------------------------------------
 */

/* Whoever binds a /dev from somewhere has what is in it. */
static int is_bound(const struct cl_spec *spec)
{
    for (size_t i = 0; i < spec->mounts.count; i++) {
        if ((spec->mounts.items[i].flags & CL_SPEC_BIND) != 0 &&
            strcmp(spec->mounts.items[i].target, "/dev") == 0)
            return 1;
    }
    return 0;
}

static int is_named(const struct cl_spec *spec, const char *path)
{
    for (size_t i = 0; i < spec->devices.count; i++) {
        if (strcmp(spec->devices.items[i].path, path) == 0)
            return 1;
    }
    return 0;
}

static int make_links(int dev, struct cl_error *err)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(links); i++) {
        int r = cl_sys_symlinkat(links[i].target, dev, links[i].name);

        if (r == -EEXIST &&
            strcmp(links[i].name, "ptmx") == 0) { /* an image's node: the host's ptys */
            (void)cl_sys_unlinkat(dev, links[i].name, 0);
            r = cl_sys_symlinkat(links[i].target, dev, links[i].name);
        }
        if (r < 0 && r != -EEXIST)
            return cl_fail(err, r, "make the link /dev/%s", links[i].name);
    }
    return 0;
}

static int keep_null(struct cl_bundle *bundle, int dev, struct cl_error *err)
{
    struct stat st;

    bundle->null = cl_open_no_links(dev, "null", O_PATH);
    if (bundle->null < 0)
        return cl_fail(err, bundle->null, "open /dev/null of the container");
    int r = cl_sys_fstat(bundle->null, &st);
    if (r < 0)
        return cl_fail(err, r, "stat /dev/null of the container");
    if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
        return cl_refuse(err, ENODEV, "/dev/null of the container is something else");
    return 0;
}

int cl_bundle_make_devices(void *context, struct cl_error *err)
{
    struct cl_bundle *bundle = context;
    const struct cl_spec *spec = bundle->spec;
    const int bound = is_bound(spec);
    CL_CLEANUP_FD int dev = cl_bundle_target(bundle, "/dev", 1, err);
    int r = dev < 0 ? dev : 0;

    for (size_t i = 0; r == 0 && !bound && i < CL_ARRAY_SIZE(usual); i++) {
        if (!is_named(spec, usual[i].path))
            r = make_device(bundle, &usual[i], err);
    }
    for (size_t i = 0; r == 0 && !bound && i < spec->devices.count; i++) {
        r = make_device(bundle, &spec->devices.items[i], err);
        if (r < 0)
            return cl_prefix(err, "linux.devices[%zu].path", i);
    }
    if (r == 0 && !bound)
        r = make_links(dev, err);
    return r < 0 ? r : keep_null(bundle, dev, err);
}

/* --- the console ---------------------------------------------------------------------------------
 */

/* Of the devpts that the bundle has mounted, not of what an image calls so. */
static int open_pty(const struct cl_bundle *bundle, int *ret_slave, struct cl_error *err)
{
    enum { DEVPTS = 0x1cd1 };
    struct statfs fs;
    CL_CLEANUP_FD int pts = cl_open_in_root(bundle->root, "/dev/pts", O_PATH | O_DIRECTORY);
    int r = pts < 0 ? pts : cl_sys_fstatfs(pts, &fs);

    if (r < 0)
        return cl_fail(err, r, "process.terminal: open /dev/pts of the container");
    if (fs.f_type != DEVPTS)
        return cl_refuse(err, ENODEV, "process.terminal: the bundle mounts no devpts at /dev/pts");
    const struct cl_container container = {.pts = pts};
    return cl_pty_open(&container, ret_slave, err);
}

static int bind_console(const struct cl_bundle *bundle, int slave, struct cl_error *err)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", slave);
    CL_CLEANUP_FD int tree =
        cl_sys_open_tree(slave, "", CL_OPEN_TREE_CLONE | CL_OPEN_TREE_CLOEXEC | CL_AT_EMPTY_PATH);
    if (tree < 0)
        return cl_fail(err, tree, "clone the mount of the terminal");
    CL_CLEANUP_FD int target = cl_bundle_target(bundle, "/dev/console", 0, err);
    return target < 0 ? target : cl_tree_attach(tree, target, "/dev/console", err);
}

/* The master goes to who waits for it, with its name as engines take it. */
static int give_master(const struct cl_bundle *bundle, int master, struct cl_error *err)
{
    char name[] = "/dev/ptmx";
    const struct cl_packet packet = {
        .data = name, .size = sizeof(name) - 1, .fds = {master}, .fd_count = 1};
    int r = cl_channel_send(bundle->start->console, &packet, 0);

    return r < 0 ? cl_fail(err, r, "send the terminal to the console socket") : 0;
}

int cl_bundle_make_terminal(void *context, struct cl_error *err)
{
    struct cl_bundle *bundle = context;
    const struct cl_spec *process = bundle->process;
    const struct winsize size = {.ws_row = (unsigned short)process->rows,
                                 .ws_col = (unsigned short)process->columns};

    if (!process->terminal)
        return 0;
    CL_CLEANUP_FD int master = open_pty(bundle, &bundle->terminal, err);
    if (master < 0)
        return master;
    cl_pty_resize(master, size);
    int r = bundle->process == bundle->spec ? bind_console(bundle, bundle->terminal, err) : 0;
    return r < 0 ? r : give_master(bundle, master, err);
}
