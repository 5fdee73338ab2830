/* What a bundle sets, covers and closes below its root, once that is "/". Source: OCI runtime
 * specification, config-linux.md, "Sysctl", "Masked Paths", "Readonly Paths". */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/sys.h"
#include "walls/container/bundle.h"

#include <sys/mount.h>

/* --- sysctl ----------------------------------------------------------------------------------- */

/* "net.ipv4.conf.eth0" as a path below /proc/sys; where a slash comes first it parts the words, and
 * a dot stands for itself (sysctl(8)). */
static int sysctl_path(const char *key, char ret[256])
{
    const char separator = key[strcspn(key, "./")] == '/' ? '/' : '.';
    int used = snprintf(ret, 256, "sys/%s", key);

    if (used < 0 || used >= 256)
        return -ENAMETOOLONG;
    for (char *at = ret + 4; *at != '\0' && separator == '.'; at++) {
        if (*at == '.')
            *at = '/';
        else if (*at == '/')
            *at = '.';
    }
    return strstr(ret, "/..") != NULL ? -EINVAL : 0;
}

int cl_bundle_write_sysctls(void *context, struct cl_error *err)
{
    const struct cl_bundle *bundle = context;
    const struct cl_strlist *list = &bundle->spec->sysctls;

    for (size_t i = 0; i + 1 < list->count; i += 2) {
        char path[256];
        int r = sysctl_path(list->items[i], path);

        if (r == 0)
            r = cl_bundle_write_proc(bundle, path, list->items[i + 1]);
        if (r < 0)
            return cl_bundle_fail_proc(cl_fail(err, r, "linux.sysctl.%s: write \"%.100s\"",
                                               list->items[i], list->items[i + 1]),
                                       err);
    }
    return 0;
}

/* --- closing -----------------------------------------------------------------------------------
 */

/* A place in the container: 1, or 0 where there is none. */
static int find_place(const struct cl_bundle *bundle, const char *path, int *ret,
                      struct cl_error *err)
{
    int fd = cl_open_in_root(bundle->root, path, O_PATH);

    if (fd == -ENOENT || fd == -ENOTDIR)
        return 0;
    if (fd < 0)
        return cl_fail(err, fd, "open %s of the container", path);
    *ret = fd;
    return 1;
}

static int make_read_only(const struct cl_bundle *bundle, const char *path, struct cl_error *err)
{
    const struct cl_mount_attr attr = {.attr_set = CL_MOUNT_ATTR_RDONLY};
    CL_CLEANUP_FD int place = -1;
    int r = find_place(bundle, path, &place, err);

    if (r <= 0)
        return r;
    CL_CLEANUP_FD int tree = cl_sys_open_tree(
        place, "", CL_OPEN_TREE_CLONE | CL_OPEN_TREE_CLOEXEC | CL_AT_EMPTY_PATH | CL_AT_RECURSIVE);
    if (tree < 0)
        return cl_fail(err, tree, "clone the mount at %s", path);
    r = cl_sys_mount_setattr(tree, "", CL_AT_EMPTY_PATH | CL_AT_RECURSIVE, &attr);
    return r < 0 ? cl_fail(err, r, "make %s read-only", path)
                 : cl_tree_attach(tree, place, path, err);
}

int cl_bundle_make_read_only(void *context, struct cl_error *err)
{
    const struct cl_bundle *bundle = context;
    const struct cl_strlist *paths = &bundle->spec->readonly;

    for (size_t i = 0; i < paths->count; i++) {
        if (make_read_only(bundle, paths->items[i], err) < 0)
            return cl_prefix(err, "linux.readonlyPaths[%zu]", i);
    }
    return 0;
}

/* A directory that is attached is what the next ones are clones of: one file system for all. */
struct cover {
    int attached;
};

static int make_cover(const struct cl_bundle *bundle, const struct cover *cover, int is_dir,
                      struct cl_error *err)
{
    static const char *const options[] = {"mode", "0755", "nr_inodes", "2",
                                          "size", "4096", NULL,        NULL};
    const unsigned int how = CL_OPEN_TREE_CLONE | CL_OPEN_TREE_CLOEXEC | CL_AT_EMPTY_PATH;

    if (is_dir && cover->attached < 0)
        return cl_fs_make("tmpfs", options,
                          CL_MOUNT_ATTR_RDONLY | CL_MOUNT_ATTR_NOSUID | CL_MOUNT_ATTR_NODEV |
                              CL_MOUNT_ATTR_NOEXEC,
                          err);
    int tree = cl_sys_open_tree(is_dir ? cover->attached : bundle->null, "", how);
    return tree < 0 ? cl_fail(err, tree, "make a mount to cover it with") : tree;
}

static int cover_path(const struct cl_bundle *bundle, const char *path, struct cover *cover,
                      struct cl_error *err)
{
    CL_CLEANUP_FD int place = -1;
    struct stat st;
    int r = find_place(bundle, path, &place, err);

    if (r <= 0)
        return r;
    r = cl_sys_fstat(place, &st);
    if (r < 0)
        return cl_fail(err, r, "stat %s of the container", path);
    const int is_dir = S_ISDIR(st.st_mode);
    CL_CLEANUP_FD int tree = make_cover(bundle, cover, is_dir, err);
    if (tree < 0)
        return tree;
    r = cl_tree_attach(tree, place, path, err);
    if (r == 0 && is_dir && cover->attached < 0)
        cover->attached = CL_TAKE_FD(tree);
    return r;
}

int cl_bundle_mask(void *context, struct cl_error *err)
{
    const struct cl_bundle *bundle = context;
    const struct cl_strlist *paths = &bundle->spec->masked;
    struct cover cover = {-1};
    int r = 0;

    for (size_t i = 0; r == 0 && i < paths->count; i++) {
        r = cover_path(bundle, paths->items[i], &cover, err);
        if (r < 0)
            (void)cl_prefix(err, "linux.maskedPaths[%zu]", i);
    }
    cl_fd_close(&cover.attached);
    return r;
}

/* Last, because mount points are made in it. */
int cl_bundle_seal_root(void *context, struct cl_error *err)
{
    const struct cl_bundle *bundle = context;
    const struct cl_spec *spec = bundle->spec;
    const struct cl_mount_attr attr = {.attr_set = CL_MOUNT_ATTR_RDONLY};
    int r = 0;

    if (spec->root_readonly)
        r = cl_sys_mount_setattr(bundle->root, "", CL_AT_EMPTY_PATH, &attr);
    if (r < 0)
        return cl_fail(err, r, "root.readonly: make the root read-only");
    if (cl_spec_has(spec, CL_SPEC_PROPAGATION))
        r = cl_sys_mount(NULL, "/", NULL, spec->propagation, NULL);
    return r < 0 ? cl_fail(err, r, "linux.rootfsPropagation") : 0;
}
