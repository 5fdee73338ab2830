/* Directories of scratch that show what is in another one, entry by entry, each bound
 * read-only. In such a skeleton new mount points can be made where the original can't
 * have them: it is read-only, or belongs to somebody whom the sandbox's user namespace
 * doesn't know (an overlay can't copy up the directories of such an owner: EOVERFLOW).
 */
#include <stdio.h>
#include <string.h>

#include "base/dir.h"
#include "base/fd.h"
#include "base/sys.h"
#include "walls/container/container.h"

enum {
    MAX_ENTRIES = 4096,
    SHOWN_ATTRS = CL_MOUNT_ATTR_RDONLY | CL_MOUNT_ATTR_NOSUID | CL_MOUNT_ATTR_NODEV
};

static int copy_link(int source, int dir, const char *name, struct cl_error *err)
{
    char target[4096];
    ssize_t size = cl_sys_readlinkat(source, "", target, sizeof(target) - 1);

    if (size < 0)
        return cl_fail(err, (int)size, "read the link %s", name);
    target[size] = '\0';
    int r = cl_sys_symlinkat(target, dir, name);
    return r < 0 ? cl_fail(err, r, "make the link %s", name) : 0;
}

int cl_show(const struct cl_container *container, int source, int dir, const char *name,
            struct cl_error *err)
{
    CL_CLEANUP_FD int tree = -1;
    CL_CLEANUP_FD int target = -1;
    struct stat st;
    int r = cl_sys_fstat(source, &st);

    if (r < 0)
        return cl_fail(err, r, "stat %s", name);
    if (S_ISLNK(st.st_mode))
        return copy_link(source, dir, name, err);
    tree = cl_tree_clone_fd(source, name, cl_mount_attrs(container->plan, SHOWN_ATTRS), err);
    if (tree < 0)
        return tree;
    r = S_ISDIR(st.st_mode) ? cl_sys_mkdirat(dir, name, 0755)
                            : cl_sys_mknodat(dir, name, S_IFREG | 0644, 0);
    if (r < 0)
        return cl_fail(err, r, "make the mount point %s", name);
    target = cl_sys_openat(dir, name, O_PATH | O_NOFOLLOW, 0);
    if (target < 0)
        return cl_fail(err, target, "open the mount point %s", name);
    return cl_tree_attach(tree, target, name, err);
}

static int show_entry(const struct cl_container *container, int from, int dir, const char *name,
                      struct cl_error *err)
{
    CL_CLEANUP_FD int source = cl_sys_openat(from, name, O_PATH | O_NOFOLLOW, 0);
    if (source == -ENOENT)
        return 0; /* the tree changes while we look */
    if (source < 0)
        return cl_fail(err, source, "open %s of the image", name);
    return cl_show(container, source, dir, name, err);
}

static int show_all(const struct cl_container *container, int from, int dir, struct cl_error *err)
{
    struct cl_dir entries;
    const char *name;
    int more;

    cl_dir_start(&entries, from);
    for (int count = 0; (more = cl_dir_next(&entries, &name, NULL)) > 0; count++) {
        if (count == MAX_ENTRIES)
            return cl_refuse(err, E2BIG,
                             "a mount point is missing in a directory of the image that has "
                             "more than %d entries; make it there",
                             MAX_ENTRIES);
        int r = show_entry(container, from, dir, name, err);
        if (r < 0)
            return r;
    }
    return more < 0 ? cl_fail(err, more, "list a directory of the image") : 0;
}

int cl_skeleton_make(struct cl_container *container, int original, struct cl_error *err)
{
    char name[16];
    CL_CLEANUP_FD int from = cl_sys_openat(original, ".", O_RDONLY | O_DIRECTORY, 0);

    if (from < 0)
        return cl_fail(err, from, "open a directory of the image");
    (void)snprintf(name, sizeof(name), "s%d", container->scratch_dirs++);
    int r = cl_sys_mkdirat(container->scratch, name, 0755);
    if (r < 0)
        return cl_fail(err, r, "make scratch directory %s", name);
    CL_CLEANUP_FD int dir = cl_sys_openat(container->scratch, name, O_PATH | O_DIRECTORY, 0);
    if (dir < 0)
        return cl_fail(err, dir, "open scratch directory %s", name);
    r = show_all(container, from, dir, err);
    if (r < 0)
        return r;
    return cl_tree_clone_fd(
        dir, "a directory of scratch",
        cl_mount_attrs(container->plan, CL_MOUNT_ATTR_NOSUID | CL_MOUNT_ATTR_NODEV) &
            ~(uint64_t)CL_MOUNT_ATTR_RDONLY,
        err);
}

int cl_skeleton_attach(struct cl_container *container, int original, struct cl_error *err)
{
    if (container->skeleton_count == CL_MAX_SKELETONS)
        return cl_refuse(err, E2BIG, "more than %d directories of the image lack mount points",
                         CL_MAX_SKELETONS);
    CL_CLEANUP_FD int tree = cl_skeleton_make(container, original, err);
    if (tree < 0)
        return tree;
    int r = cl_tree_attach(tree, original, "a directory of the image", err);
    if (r < 0)
        return r;
    container->skeletons[container->skeleton_count++] = CL_TAKE_FD(tree);
    return 0;
}
