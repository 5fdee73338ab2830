/* tmpcopyup: a fresh tmpfs begins with what the image has at its place. A stranger's tree, so all
 * is by directory descriptors and nothing is followed; what is neither a directory, a file nor a
 * link is left out. What it may grow to is the tmpfs's limit, and the cgroup's. */
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/dir.h"
#include "base/fd.h"
#include "base/sys.h"
#include "walls/container/bundle.h"

enum { DEPTH_MOST = 128, LINK_SIZE = 4096 };

static int copy_tree(int from, int to, int depth);

static int copy_owner(int fd, const struct stat *st)
{
    int r = cl_sys_fchown(fd, st->st_uid, st->st_gid);

    return r < 0 ? r : cl_sys_fchmod(fd, st->st_mode & 07777);
}

static int copy_file(int from_dir, int to_dir, const char *name)
{
    CL_CLEANUP_FD int from =
        cl_sys_openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
    CL_CLEANUP_FD int to =
        from < 0 ? -1 : cl_sys_openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    struct stat st = {0};
    ssize_t sent;

    if (from < 0 || to < 0)
        return from < 0 ? from : to;
    int r = cl_sys_fstat(from, &st);
    if (r < 0 || !S_ISREG(st.st_mode))
        return r;
    do
        sent = cl_sys_sendfile(to, from, 1 << 20);
    while (sent > 0 || sent == -EINTR);
    return sent < 0 ? (int)sent : copy_owner(to, &st);
}

static int copy_directory(int from_dir, int to_dir, const char *name, int depth)
{
    CL_CLEANUP_FD int from = cl_sys_openat(from_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    struct stat st = {0};

    if (from < 0)
        return from;
    int r = cl_sys_mkdirat(to_dir, name, 0700);
    if (r < 0)
        return r;
    CL_CLEANUP_FD int to = cl_sys_openat(to_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (to < 0)
        return to;
    r = copy_tree(from, to, depth + 1);
    if (r == 0)
        r = cl_sys_fstat(from, &st);
    return r < 0 ? r : copy_owner(to, &st);
}

static int copy_link(int from_dir, int to_dir, const char *name, const struct stat *st)
{
    char target[LINK_SIZE];
    ssize_t size = cl_sys_readlinkat(from_dir, name, target, sizeof(target) - 1);

    if (size < 0)
        return (int)size;
    target[size] = '\0';
    int r = cl_sys_symlinkat(target, to_dir, name);
    return r < 0 ? r : cl_sys_fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW);
}

static int copy_entry(int from, int to, const char *name, int depth)
{
    struct stat st = {0};
    int r = cl_sys_fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW);

    if (r < 0)
        return r;
    if (S_ISDIR(st.st_mode))
        return copy_directory(from, to, name, depth);
    if (S_ISREG(st.st_mode))
        return copy_file(from, to, name);
    return S_ISLNK(st.st_mode) ? copy_link(from, to, name, &st) : 0;
}

static int copy_tree(int from, int to, int depth)
{
    struct cl_dir *entries = cl_calloc(1, sizeof(*entries)); /* not on the stack of each level */
    const char *name;
    int r = entries == NULL ? -ENOMEM : depth > DEPTH_MOST ? -ELOOP : 0;

    if (r == 0)
        cl_dir_start(entries, from);
    while (r == 0 && (r = cl_dir_next(entries, &name, NULL)) > 0)
        r = copy_entry(from, to, name, depth);
    free(entries);
    return r;
}

int cl_bundle_copy_up(const struct cl_bundle *bundle, const char *path, int tree,
                      struct cl_error *err)
{
    CL_CLEANUP_FD int from = cl_open_in_root(bundle->root, path, O_RDONLY | O_DIRECTORY);
    struct stat st = {0};

    if (from == -ENOENT)
        return 0; /* nothing to begin with */
    if (from < 0)
        return cl_fail(err, from, "tmpcopyup: open %s of the root", path);
    CL_CLEANUP_FD int to = cl_sys_openat(tree, ".", O_RDONLY | O_DIRECTORY, 0);
    int r = to < 0 ? to : copy_tree(from, to, 0);
    if (r == 0)
        r = cl_sys_fstat(from, &st);
    if (r == 0)
        r = copy_owner(to, &st);
    return r < 0 ? cl_fail(err, r, "tmpcopyup: copy %s of the root", path) : 0;
}
