/* The root and the mounts of a bundle, by the kernel's descriptors: each is made detached, gets its
 * attributes, and is attached to a descriptor below the root. Source: fsopen(2), open_tree(2),
 * mount_setattr(2), move_mount(2); OCI runtime specification, config.md, "Mounts". */
#include <errno.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/sys.h"
#include "walls/container/bundle.h"

#include <sys/mount.h>

enum { OPTION_SIZE = 4096, PATH_SIZE = 4096, LINK_SIZE = 1024, LINKS_MOST = 40 };

/* --- trees of what is there ------------------------------------------------------------------ */

static int clone_at(int dirfd, const char *path, int is_deep)
{
    return cl_sys_open_tree(dirfd, path,
                            CL_OPEN_TREE_CLONE | CL_OPEN_TREE_CLOEXEC |
                                (path[0] == '\0' ? CL_AT_EMPTY_PATH : 0) |
                                (is_deep ? CL_AT_RECURSIVE : 0));
}

static int is_directory(int tree, int *ret, struct cl_error *err)
{
    struct stat st;
    int r = cl_sys_fstat(tree, &st);

    if (r < 0)
        return cl_fail(err, r, "stat the source");
    *ret = S_ISDIR(st.st_mode);
    return 0;
}

static int open_source(const struct cl_bundle *bundle, size_t index, struct cl_error *err)
{
    const struct cl_spec_mount *mount = &bundle->spec->mounts.items[index];
    int r = clone_at(bundle->start->bundle, mount->source, (mount->flags & CL_SPEC_RECURSIVE) != 0);

    if (r < 0) {
        (void)cl_fail(err, r, "clone the mount at %s", mount->source);
        return cl_prefix(err, "mounts[%zu]", index);
    }
    return r;
}

static int is_cgroup(const struct cl_spec_mount *mount)
{
    return strcmp(mount->type, "cgroup") == 0 || strcmp(mount->type, "cgroup2") == 0;
}

static int open_group(struct cl_bundle *bundle, struct cl_error *err)
{
    const struct cl_group *group = bundle->start->group;

    for (size_t i = 0; group != NULL && i < group->count; i++) {
        if (bundle->group_trees[i] >= 0)
            continue;
        bundle->group_trees[i] = clone_at(group->dirs[i].dir, "", 0);
        if (bundle->group_trees[i] < 0)
            return cl_fail(err, bundle->group_trees[i], "clone the mount of the cgroup");
    }
    return 0;
}

int cl_bundle_open_trees(struct cl_bundle *bundle, struct cl_error *err)
{
    const struct cl_spec *spec = bundle->spec;

    bundle->root = clone_at(bundle->start->bundle, spec->root, 1);
    if (bundle->root < 0)
        return cl_fail(err, bundle->root, "root.path: clone the mount at %s", spec->root);
    int is_dir = 0;
    int looked = is_directory(bundle->root, &is_dir, err);
    if (looked < 0)
        return looked;
    if (!is_dir)
        return cl_refuse(err, ENOTDIR, "root.path: %s is not a directory", spec->root);
    for (size_t i = 0; i < spec->mounts.count; i++) {
        const struct cl_spec_mount *mount = &spec->mounts.items[i];
        int r = 0;

        if ((mount->flags & CL_SPEC_BIND) != 0)
            r = bundle->trees[i] = open_source(bundle, i, err);
        if (r >= 0 && (mount->flags & CL_SPEC_BIND) != 0)
            r = cl_bundle_idmap(bundle, i, bundle->trees[i], err);
        if (r >= 0 && is_cgroup(mount))
            r = open_group(bundle, err);
        if (r < 0)
            return r;
    }
    return 0;
}

void cl_bundle_close_trees(struct cl_bundle *bundle)
{
    cl_fd_close(&bundle->root);
    for (size_t i = 0; i < bundle->spec->mounts.count; i++)
        cl_fd_close(&bundle->trees[i]);
    for (size_t i = 0; i < CL_ARRAY_SIZE(bundle->group_trees); i++)
        cl_fd_close(&bundle->group_trees[i]);
}

/* --- the root --------------------------------------------------------------------------------- */

static uint32_t root_propagation(const struct cl_bundle *bundle)
{
    const struct cl_spec *spec = bundle->spec;

    return cl_spec_has(spec, CL_SPEC_PROPAGATION) ? (uint32_t)spec->propagation : MS_SLAVE | MS_REC;
}

/* Over "/", below which there is nothing. */
static int cover_bare(const struct cl_bundle *bundle, struct cl_error *err)
{
    int r = cl_sys_move_mount(bundle->root, "", AT_FDCWD, "/", CL_MOVE_MOUNT_F_EMPTY_PATH);

    return r < 0 ? cl_fail(err, r, "root.path: attach %s", bundle->spec->root) : 0;
}

/* Over its own place, where hooks of the container look for it. */
static int cover_root(const struct cl_bundle *bundle, struct cl_error *err)
{
    CL_CLEANUP_FD int dir = cl_sys_openat(AT_FDCWD, bundle->start->path, O_PATH | O_DIRECTORY, 0);
    CL_CLEANUP_FD int place =
        dir < 0 ? -1 : cl_sys_openat(dir, bundle->spec->root, O_PATH | O_DIRECTORY, 0);

    if (dir < 0 || place < 0)
        return cl_fail(err, dir < 0 ? dir : place, "root.path: open %s", bundle->spec->root);
    return cl_tree_attach(bundle->root, place, bundle->spec->root, err);
}

int cl_bundle_make_root(void *context, struct cl_error *err)
{
    struct cl_bundle *bundle = context;
    const int is_kin = cl_spec_has(bundle->spec, CL_SPEC_PROPAGATION) &&
                       (bundle->spec->propagation & (MS_SLAVE | MS_SHARED)) != 0;
    struct cl_mount_attr attr = {.propagation = is_kin ? MS_SLAVE : MS_PRIVATE};
    const uint32_t shares =
        root_propagation(bundle) & MS_SHARED ? MS_SLAVE : root_propagation(bundle);
    int r = 0;

    if (bundle->bare < 0) {
        r = cl_sys_mount(NULL, "/", NULL,
                         (shares & ~(uint32_t)MS_UNBINDABLE) | MS_REC |
                             ((shares & MS_UNBINDABLE) != 0 ? MS_PRIVATE : 0),
                         NULL);
        if (r < 0)
            return cl_fail(err, r, "part from the host's mounts");
    }
    if (!bundle->is_privileged)
        r = cl_bundle_open_trees(bundle, err);
    if (r < 0)
        return r;
    r = cl_sys_mount_setattr(bundle->root, "", CL_AT_EMPTY_PATH, &attr);
    if (r < 0)
        return cl_fail(err, r, "root.path: part the root from its peers");
    return bundle->bare >= 0 ? cover_bare(bundle, err) : cover_root(bundle, err);
}

/* The bare namespace has nothing of the host below (bare.c), and who says --no-pivot has a root
 * that can't be parted from. */
int cl_bundle_enter_root(void *context, struct cl_error *err)
{
    const struct cl_bundle *bundle = context;
    int r = cl_sys_fchdir(bundle->root);

    if (r < 0)
        return cl_fail(err, r, "change to the new root");
    if (bundle->bare >= 0 || bundle->start->no_pivot) {
        r = cl_sys_chroot(".");
        if (r < 0)
            return cl_fail(err, r, "chroot");
    } else {
        r = cl_mount_leave_host(err);
        if (r < 0)
            return r;
    }
    r = cl_sys_chdir("/");
    return r < 0 ? cl_fail(err, r, "change to /") : 0;
}

/* --- targets -------------------------------------------------------------------------------------
 */

/* PATH's last link leads nowhere: PATH becomes what it means, lexically below its directory. */
static int follow_link(int root, char path[PATH_SIZE])
{
    char link[LINK_SIZE];
    char *slash = strrchr(path, '/');

    if (slash == NULL)
        return -ELOOP;
    *slash = '\0';
    CL_CLEANUP_FD int dir =
        cl_open_in_root(root, path[0] == '\0' ? "/" : path, O_PATH | O_DIRECTORY);
    *slash = '/';
    ssize_t size = dir < 0 ? -ELOOP : cl_sys_readlinkat(dir, slash + 1, link, sizeof(link));
    char *to = size > 0 && link[0] == '/' ? path : slash + 1;
    if (size <= 0 || size >= path + PATH_SIZE - to)
        return -ELOOP;
    memcpy(to, link, (size_t)size);
    to[size] = '\0';
    return 0;
}

int cl_bundle_target(const struct cl_bundle *bundle, const char *path, int is_dir,
                     struct cl_error *err)
{
    char place[PATH_SIZE];
    int fd = -1;
    int making = 0;

    (void)snprintf(place, sizeof(place), "%s", path); /* a record's paths fit */
    int r = cl_target_find(bundle->root, place, is_dir, &fd, &making);
    for (int i = 0; r == -ELOOP && making && i < LINKS_MOST; i++) {
        if (follow_link(bundle->root, place) < 0)
            break;
        r = cl_target_find(bundle->root, place, is_dir, &fd, &making);
    }
    return r < 0 ? cl_fail(err, r, "find or make %s in the root", path) : fd;
}

/* --- making
 * ---------------------------------------------------------------------------------------- */

/* One of OPTIONS, which are parted by commas: "key=value" or "key". */
static int set_option(int fs, char *option)
{
    char *value = strchr(option, '=');

    if (value != NULL)
        *value++ = '\0';
    return cl_sys_fsconfig(fs, value == NULL ? CL_FSCONFIG_SET_FLAG : CL_FSCONFIG_SET_STRING,
                           option, value, 0);
}

/* SELinux labels all files of a file system that keeps none. */
static int set_label(const struct cl_bundle *bundle, int fs, const struct cl_spec_mount *mount,
                     struct cl_error *err)
{
    static const char *const types[] = {"tmpfs", "mqueue", "devpts", "shm"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(types); i++) {
        if (!cl_spec_has(bundle->spec, CL_SPEC_MOUNT_LABEL) || strcmp(types[i], mount->type) != 0)
            continue;
        int r =
            cl_sys_fsconfig(fs, CL_FSCONFIG_SET_STRING, "context", bundle->spec->mount_label, 0);
        return r < 0 ? cl_fail(err, r, "linux.mountLabel: label %s", mount->type) : 0;
    }
    return 0;
}

static int set_options(const struct cl_bundle *bundle, int fs, const struct cl_spec_mount *mount,
                       struct cl_error *err)
{
    const char *next = mount->options;
    char option[OPTION_SIZE];

    int labelled = set_label(bundle, fs, mount, err);
    if (labelled < 0)
        return labelled;
    if (mount->source[0] != '\0')
        (void)cl_sys_fsconfig(fs, CL_FSCONFIG_SET_STRING, "source", mount->source, 0);
    while (*next != '\0') {
        size_t size = strcspn(next, ",");

        (void)snprintf(option, sizeof(option), "%.*s", (int)size, next);
        next += size + (next[size] == ',');
        if (option[0] == '\0')
            continue;
        int r = set_option(fs, option);
        if (r < 0)
            return cl_fail(err, r, "set the option \"%s\" of %s", option, mount->type);
    }
    return 0;
}

/* The two by which the kernel shows itself. */
static int is_kernels(const char *type)
{
    return strcmp(type, "proc") == 0 || strcmp(type, "sysfs") == 0;
}

/* mount_too_revealing() of the kernel's fs/namespace.c */
static int hint_at_hidden(const char *type, struct cl_error *err)
{
    const char *place = strcmp(type, "proc") == 0 ? "/proc" : "/sys";

    return cl_hint(err,
                   "in a user namespace the kernel mounts it only beside one of which nothing is "
                   "hidden: see what \"findmnt -R %s\" has of mounts there",
                   place);
}

static int make_fs(const struct cl_bundle *bundle, const struct cl_spec_mount *mount,
                   struct cl_error *err)
{
    CL_CLEANUP_FD int fs = cl_sys_fsopen(mount->type, CL_FSOPEN_CLOEXEC);

    if (fs < 0)
        return cl_fail(err, fs, "open file system type \"%.64s\"", mount->type);
    int r = set_options(bundle, fs, mount, err);
    if (r < 0)
        return r;
    r = cl_sys_fsconfig(fs, CL_FSCONFIG_CMD_CREATE, NULL, NULL, 0);
    if (r < 0)
        return cl_fail(err, r, "make the file system %s", mount->type);
    int made = cl_sys_fsmount(fs, CL_FSMOUNT_CLOEXEC, (unsigned int)mount->set);
    if (made < 0)
        (void)cl_fail(err, made, "mount the file system %s", mount->type);
    return made == -EPERM && is_kernels(mount->type) ? hint_at_hidden(mount->type, err) : made;
}

static int set_attr(int tree, unsigned int flags, const struct cl_mount_attr *attr,
                    struct cl_error *err)
{
    if (attr->attr_set == 0 && attr->attr_clr == 0 && attr->propagation == 0)
        return 0;
    int r = cl_sys_mount_setattr(tree, "", CL_AT_EMPTY_PATH | flags, attr);
    return r < 0 ? cl_fail(err, r, "set the mount's attributes") : 0;
}

/* A bind mount keeps what the source has, but for what is said; and follows it as the root follows
 * the host where nothing is said. */
static int set_attributes(const struct cl_bundle *bundle, const struct cl_spec_mount *mount,
                          int tree, struct cl_error *err)
{
    const struct cl_mount_attr one = {.attr_set = mount->set, .attr_clr = mount->clear};
    const struct cl_mount_attr deep = {.attr_set = mount->deep_set, .attr_clr = mount->deep_clear};
    const uint32_t usual =
        root_propagation(bundle) & (MS_SHARED | MS_SLAVE) ? MS_SLAVE : MS_PRIVATE;
    const uint32_t shares = mount->propagation != 0 ? mount->propagation : usual | MS_REC;
    const struct cl_mount_attr kin = {.propagation = shares & ~(uint32_t)MS_REC};
    int r = 0;

    if ((mount->flags & CL_SPEC_BIND) != 0 || mount->propagation != 0)
        r = set_attr(tree, (shares & MS_REC) != 0 ? CL_AT_RECURSIVE : 0, &kin, err);
    if (r == 0 && (mount->flags & CL_SPEC_BIND) != 0)
        r = set_attr(tree, 0, &one, err);
    return r < 0 ? r : set_attr(tree, CL_AT_RECURSIVE, &deep, err);
}

/* What is attached fits its target: files on files, directories on directories. */
static int check_kind(int target, int is_dir, const char *path, struct cl_error *err)
{
    int target_is_dir = 0;
    int r = is_directory(target, &target_is_dir, err);

    if (r < 0 || target_is_dir == is_dir)
        return r;
    return cl_refuse(err, is_dir ? ENOTDIR : EISDIR, "%s of the root %s, and a %s is mounted there",
                     path, is_dir ? "is not a directory" : "is a directory",
                     is_dir ? "directory" : "file");
}

/* What masks lie in and later steps write to is where it is said to be: no link of the image's
 * leads it elsewhere (CVE-2019-19921), nor one that others put there meanwhile who share the root.
 */
static int find_no_link(const struct cl_bundle *bundle, const char *path, struct cl_error *err)
{
    int fd = cl_open_no_links(bundle->root, path, O_PATH);

    if (fd == -ENOENT) {
        CL_CLEANUP_FD int made = cl_bundle_target(bundle, path, 1, err);
        if (made < 0)
            return made;
        fd = cl_open_no_links(bundle->root, path, O_PATH);
    }
    if (fd == -ELOOP)
        return cl_refuse(err, ELOOP, "%s of the root is, or lies behind, a symbolic link", path);
    return fd < 0 ? cl_fail(err, fd, "find %s in the root", path) : fd;
}

static int attach(const struct cl_bundle *bundle, int tree, const struct cl_spec_mount *mount,
                  struct cl_error *err)
{
    const char *path = mount->target;
    int is_dir = 1;
    int r = is_directory(tree, &is_dir, err);

    if (r < 0)
        return r;
    CL_CLEANUP_FD int target = is_kernels(mount->type)
                                   ? find_no_link(bundle, path, err)
                                   : cl_bundle_target(bundle, path, is_dir, err);
    if (target < 0)
        return target;
    r = check_kind(target, is_dir, path, err);
    return r < 0 ? r : cl_tree_attach(tree, target, path, err);
}

/* The host's mount, of which this is a clone, gets nothing that is mounted inside: over its cgroups
 * it would be believed by whoever looks there for a container's processes. */
static int set_group_attr(int tree, const struct cl_spec_mount *mount, struct cl_error *err)
{
    const struct cl_mount_attr attr = {
        .attr_set = mount->set, .attr_clr = mount->clear, .propagation = MS_PRIVATE};
    const struct cl_mount_attr asked = {.propagation = mount->propagation & ~(uint32_t)MS_REC};
    int r = set_attr(tree, 0, &attr, err);

    return r < 0 ? r : set_attr(tree, 0, &asked, err);
}

/* v1 as programs expect it: a tmpfs with a directory for each hierarchy, in which is the
 * container's own cgroup; where controllers share one, a link by each name. */
static int fill_v1(struct cl_bundle *bundle, int dir, const struct cl_spec_mount *mount,
                   struct cl_error *err)
{
    const struct cl_group *group = bundle->start->group;

    for (size_t i = 0; i < group->count; i++) {
        const char *name = group->dirs[i].name;
        int r = set_group_attr(bundle->group_trees[i], mount, err);

        if (r < 0)
            return r;
        r = cl_sys_mkdirat(dir, name, 0755);
        if (r == 0)
            r = cl_sys_move_mount(bundle->group_trees[i], "", dir, name,
                                  CL_MOVE_MOUNT_F_EMPTY_PATH);
        for (const char *at = name; r == 0 && strchr(name, ',') != NULL && *at != '\0';) {
            char link[64];
            size_t size = strcspn(at, ",");

            (void)snprintf(link, sizeof(link), "%.*s", (int)size, at);
            at += size + (at[size] == ',');
            r = cl_sys_symlinkat(name, dir, link);
        }
        if (r < 0)
            return cl_fail(err, r, "show the cgroup of %s", name);
    }
    return 0;
}

static int attach_v1(struct cl_bundle *bundle, const struct cl_spec_mount *mount,
                     struct cl_error *err)
{
    static const char *const options[] = {"mode", "0755", NULL, NULL};
    const uint64_t late = CL_MOUNT_ATTR_RDONLY;
    CL_CLEANUP_FD int tree = cl_fs_make("tmpfs", options, mount->set & ~late, err);

    if (tree < 0)
        return tree;
    int r = attach(bundle, tree, mount, err);
    if (r == 0)
        r = fill_v1(bundle, tree, mount, err);
    const struct cl_mount_attr attr = {.attr_set = mount->set & late};
    return r < 0 ? r : set_attr(tree, 0, &attr, err);
}

static int attach_cgroup(struct cl_bundle *bundle, const struct cl_spec_mount *mount,
                         struct cl_error *err)
{
    const struct cl_group *group = bundle->start->group;

    if (group == NULL || group->count == 0)
        return 0; /* no cgroup, nothing to show */
    if (group->place.layout != CL_CGROUP_V2)
        return attach_v1(bundle, mount, err);
    int r = set_group_attr(bundle->group_trees[0], mount, err);
    return r < 0 ? r : attach(bundle, bundle->group_trees[0], mount, err);
}

/* Our /proc, which later steps write to: never one that the image brought. */
static void keep_proc(struct cl_bundle *bundle, const struct cl_spec_mount *mount, int *tree)
{
    if (strcmp(mount->type, "proc") == 0 && strcmp(mount->target, "/proc") == 0 &&
        (mount->set & CL_MOUNT_ATTR_RDONLY) == 0 && bundle->proc < 0)
        bundle->proc = CL_TAKE_FD(*tree);
}

static int make_mount(struct cl_bundle *bundle, size_t index, struct cl_error *err)
{
    const struct cl_spec_mount *mount = &bundle->spec->mounts.items[index];

    if (is_cgroup(mount))
        return attach_cgroup(bundle, mount, err);
    CL_CLEANUP_FD int tree = (mount->flags & CL_SPEC_BIND) != 0 ? CL_TAKE_FD(bundle->trees[index])
                                                                : make_fs(bundle, mount, err);
    if (tree < 0)
        return tree;
    int r = 0;
    if ((mount->flags & CL_SPEC_TMPCOPYUP) != 0)
        r = cl_bundle_copy_up(bundle, mount->target, tree, err);
    if (r == 0)
        r = set_attributes(bundle, mount, tree, err);
    if (r == 0)
        r = attach(bundle, tree, mount, err);
    if (r == 0)
        keep_proc(bundle, mount, &tree);
    return r;
}

int cl_bundle_make_mounts(void *context, struct cl_error *err)
{
    struct cl_bundle *bundle = context;

    for (size_t i = 0; i < bundle->spec->mounts.count; i++) {
        if (make_mount(bundle, i, err) < 0)
            return cl_prefix(err, "mounts[%zu] (%s)", i, bundle->spec->mounts.items[i].target);
    }
    return 0;
}
