#include "base/follow.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "base/sys.h"

enum { LINKS_MOST = 40, PATH_MOST = 4096, NAME_MOST = 256 }; /* the first is the kernel's */

struct walk {
    uint32_t caller;
    uint32_t stranger;    /* whose link was followed; 0: nobody's */
    char link[NAME_MOST]; /* that link, for the message */
    int at;               /* what has been reached */
    int links;
    size_t start;         /* of what is left of the path, at the buffer's end */
    char path[PATH_MOST]; /* in front of that, links are read */
};

uint32_t cl_follow_caller(void)
{
    const char *text = getenv("SUDO_UID");
    uint64_t uid;

    if (text == NULL || cl_parse_u64(text, &uid) < 0 || uid >= UINT32_MAX)
        return 0;
    return (uint32_t)uid;
}

/* Puts the SIZE bytes at the buffer's start before what is left, which is nothing or
 * begins with a slash. */
static int go_by(struct walk *walk, size_t size)
{
    if (size == 0)
        return -ENOENT;
    if (size >= walk->start)
        return -ENAMETOOLONG;
    walk->start -= size;
    memmove(walk->path + walk->start, walk->path, size);
    if (walk->path[walk->start] != '/')
        return 0;
    cl_fd_close(&walk->at);
    walk->at = cl_sys_openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY, 0);
    return walk->at < 0 ? walk->at : 0;
}

/* The path at which the kernel found FD, a link. */
static void name_link(int fd, char ret[NAME_MOST])
{
    char own[32];

    (void)snprintf(own, sizeof(own), "/proc/self/fd/%d", fd);
    ssize_t size = cl_sys_readlinkat(AT_FDCWD, own, ret, NAME_MOST - 1);
    ret[size < 0 ? 0 : size] = '\0'; /* without /proc it goes without its name */
}

/* 0 when what belongs to UID may be on the way. */
static int judge(const struct walk *walk, uint32_t uid)
{
    return walk->stranger == 0 || uid == walk->stranger ? 0 : -EPERM;
}

/* Goes where the link NAME, opened as FD, leads. */
static int follow_link(struct walk *walk, int fd, const char *name, uint32_t owner)
{
    struct statfs fs;
    struct stat st;

    if (++walk->links > LINKS_MOST)
        return -ELOOP;
    if (owner != 0 && owner != walk->caller) {
        walk->stranger = owner;
        name_link(fd, walk->link);
    }
    int r = cl_sys_fstatfs(fd, &fs);
    if (r < 0)
        return r;
    if (fs.f_type == PROC_SUPER_MAGIC) { /* what it reads as is not always where it leads */
        int next = cl_sys_openat(walk->at, name, O_PATH, 0);
        if (next < 0)
            return next;
        cl_fd_close(&walk->at);
        walk->at = next;
    } else {
        ssize_t size = cl_sys_readlinkat(fd, "", walk->path, walk->start);
        r = size < 0 ? (int)size : go_by(walk, (size_t)size);
        if (r < 0 || walk->path[walk->start] != '/')
            return r;
    }
    r = cl_sys_fstat(walk->at, &st);
    return r < 0 ? r : judge(walk, st.st_uid);
}

/* One component. A directory is asked for first, since only that mounts what is mounted
 * on demand (open(2) on O_PATH). */
static int step(struct walk *walk, const char *name)
{
    struct stat st;
    CL_CLEANUP_FD int next = cl_sys_openat(walk->at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);

    if (next == -ENOTDIR || next == -ELOOP)
        next = cl_sys_openat(walk->at, name, O_PATH | O_NOFOLLOW, 0);
    int r = next < 0 ? next : cl_sys_fstat(next, &st);
    if (r == 0)
        r = judge(walk, st.st_uid);
    if (r < 0)
        return r;
    if (S_ISLNK(st.st_mode))
        return follow_link(walk, next, name, st.st_uid);
    if (!S_ISDIR(st.st_mode) && walk->path[walk->start] != '\0')
        return -ENOTDIR;
    cl_fd_close(&walk->at);
    walk->at = CL_TAKE_FD(next);
    return 0;
}

static int go(struct walk *walk, const char *path)
{
    size_t size = strlen(path);
    char name[NAME_MOST];
    int r = 0;

    if (size >= sizeof(walk->path))
        return -ENAMETOOLONG;
    walk->start = sizeof(walk->path) - 1 - size;
    memcpy(walk->path + walk->start, path, size + 1);
    walk->at = cl_sys_openat(AT_FDCWD, path[0] == '/' ? "/" : ".", O_PATH | O_DIRECTORY, 0);
    if (walk->at < 0)
        return walk->at;
    while (r == 0) {
        walk->start += strspn(walk->path + walk->start, "/");
        size = strcspn(walk->path + walk->start, "/");
        if (size == 0)
            return 0;
        if (size >= sizeof(name))
            return -ENAMETOOLONG;
        memcpy(name, walk->path + walk->start, size);
        name[size] = '\0';
        walk->start += size;
        r = step(walk, name);
    }
    return r;
}

int cl_follow(const char *path, uint32_t caller, const char *what, struct cl_error *err)
{
    const struct cl_open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = CL_RESOLVE_NO_SYMLINKS};
    int fd = cl_sys_openat2(AT_FDCWD, path, &how);

    if (fd >= 0)
        return fd;
    if (fd != -ELOOP)
        return cl_fail(err, fd, "open %s %.300s", what, path);
    struct walk walk = {.caller = caller, .at = -1};
    int r = go(&walk, path);
    if (r == 0)
        return CL_TAKE_FD(walk.at);
    cl_fd_close(&walk.at);
    if (r != -EPERM || walk.stranger == 0)
        return cl_fail(err, r, "open %s %.300s", what, path);
    return cl_refuse(err, EPERM,
                     "%s %.150s lies behind the symbolic link %.150s of uid %u, which leads to "
                     "what isn't theirs; name the path that is meant without that link",
                     what, path, walk.link, walk.stranger);
}

int cl_follow_named(const char *path, int as_root, const char *what, struct cl_error *err)
{
    if (as_root)
        return cl_follow(path, cl_follow_caller(), what, err);
    int fd = cl_sys_openat(AT_FDCWD, path, O_PATH, 0);
    return fd < 0 ? cl_fail(err, fd, "open %s %s", what, path) : fd;
}

int cl_follow_regular(const char *path, uint64_t max_bytes, struct cl_error *err)
{
    CL_CLEANUP_FD int found = cl_follow_named(path, geteuid() == 0, "the file", err);

    return found < 0 ? found : cl_reopen_regular(found, path, max_bytes, err);
}

int cl_follow_regular_if_there(const char *path, uint64_t max_bytes, int *ret, struct cl_error *err)
{
    CL_CLEANUP_FD int found = cl_follow_named(path, geteuid() == 0, "the file", err);

    if (found == -ENOENT || found == -ENOTDIR) {
        *err = (struct cl_error){0};
        *ret = -1;
        return 0;
    }
    int fd = found < 0 ? found : cl_reopen_regular(found, path, max_bytes, err);
    if (fd < 0)
        return fd;
    *ret = fd;
    return 0;
}
