#include "base/fd.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/sys.h"

void cl_fd_close(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd); /* Linux frees the descriptor whatever close answers */
    *fd = -1;
}

static int open_resolved(int root, const char *path, int flags, uint64_t resolve)
{
    struct cl_open_how how = {
        .flags = (uint64_t)(flags | O_CLOEXEC),
        .resolve = resolve,
    };
    int fd;

    /* EAGAIN: a rename raced with the walk (openat2(2)); the tree may be hostile, so
     * the tries are bounded. */
    for (int tries = 0; tries < 64; tries++) {
        fd = cl_sys_openat2(root, path, &how);
        if (fd != -EAGAIN)
            return fd;
    }
    return fd;
}

/* The least of HELD that isn't below NEXT; -1: none. */
static int find_next(const int *held, size_t count, int next)
{
    int found = -1;

    for (size_t i = 0; i < count; i++) {
        if (held[i] >= next && (found < 0 || held[i] < found))
            found = held[i];
    }
    return found;
}

int cl_fd_close_others(const int *held, size_t count)
{
    int next = 3;
    int r = 0;

    for (int one; r >= 0 && (one = find_next(held, count, next)) >= 0; next = one + 1) {
        if (one > next)
            r = cl_sys_close_range((unsigned int)next, (unsigned int)one - 1, 0);
    }
    return r < 0 ? r : cl_sys_close_range((unsigned int)next, ~0U, 0);
}

int cl_open_in_root(int root, const char *path, int flags)
{
    return open_resolved(root, path, flags, CL_RESOLVE_IN_ROOT | CL_RESOLVE_NO_MAGICLINKS);
}

int cl_open_no_links(int root, const char *path, int flags)
{
    return open_resolved(root, path, flags,
                         CL_RESOLVE_IN_ROOT | CL_RESOLVE_NO_MAGICLINKS | CL_RESOLVE_NO_SYMLINKS);
}

int cl_check_regular(int fd, const char *name, uint64_t max_bytes, struct cl_error *err)
{
    struct stat status;
    int r = cl_sys_fstat(fd, &status);

    if (r < 0)
        return cl_fail(err, r, "%.200s", name);
    if (!S_ISREG(status.st_mode))
        return cl_refuse(err, EINVAL, "%.200s: not a regular file", name);
    if ((uint64_t)status.st_size > max_bytes)
        return cl_refuse(err, EFBIG, "%.200s is larger than %" PRIu64 " bytes", name, max_bytes);
    return 0;
}

int cl_reopen_regular(int found, const char *name, uint64_t max_bytes, struct cl_error *err)
{
    char link[32];
    int r = cl_check_regular(found, name, max_bytes, err);

    if (r < 0)
        return r;
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", found);
    int fd = cl_sys_openat(AT_FDCWD, link, O_RDONLY | O_NOCTTY, 0);
    return fd < 0 ? cl_fail(err, fd, "open %.200s", name) : fd;
}

int cl_read_all(int fd, const char *what, struct cl_buf *buf, struct cl_error *err)
{
    char chunk[4096];

    for (;;) {
        ssize_t got = cl_sys_read(fd, chunk, sizeof(chunk));

        if (got == -EINTR)
            continue;
        if (got < 0)
            return cl_fail(err, (int)got, "read %s", what);
        if (got == 0)
            return 0;
        int r = cl_buf_add(buf, chunk, (size_t)got);
        if (r == -EFBIG)
            return cl_refuse(err, EFBIG, "%s is larger than %zu bytes", what, buf->cap);
        if (r < 0)
            return cl_fail_memory(err);
    }
}

int cl_write_all(int fd, const void *data, size_t size)
{
    const char *next = data;

    while (size > 0) {
        ssize_t put = cl_sys_write(fd, next, size);

        if (put == -EINTR)
            continue;
        if (put < 0)
            return (int)put;
        next += put;
        size -= (size_t)put;
    }
    return 0;
}

int cl_write_file(int dirfd, const char *path, const char *text)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(dirfd, path, O_WRONLY, 0);

    if (fd < 0)
        return fd;
    return cl_write_all(fd, text, strlen(text));
}

int cl_write_file_here(int dirfd, const char *path, const char *text)
{
    CL_CLEANUP_FD int fd = open_resolved(
        dirfd, path, O_WRONLY, CL_RESOLVE_IN_ROOT | CL_RESOLVE_NO_MAGICLINKS | CL_RESOLVE_NO_XDEV);

    return fd < 0 ? fd : cl_write_all(fd, text, strlen(text));
}

int cl_make_file(int dirfd, const char *path, const char *text, const char *what,
                 struct cl_error *err)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(dirfd, path, O_WRONLY | O_CREAT | O_EXCL, 0644);

    if (fd < 0)
        return cl_fail(err, fd, "make %s", what);
    int r = cl_write_all(fd, text, strlen(text));
    return r < 0 ? cl_fail(err, r, "write %s", what) : 0;
}

int cl_memory_copy(const char *name, const void *data, size_t size, struct cl_error *err)
{
    enum { CLOEXEC = 1, ALLOW_SEALING = 2 };
    CL_CLEANUP_FD int fd = cl_sys_memfd_create(name, CLOEXEC | ALLOW_SEALING);
    int r = fd < 0 ? fd : cl_write_all(fd, data, size);

    if (r >= 0)
        r = cl_sys_fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_WRITE | F_SEAL_SEAL);
    return r < 0 ? cl_fail(err, r, "make a file of memory") : CL_TAKE_FD(fd);
}

int cl_memory_file(const char *name, size_t size, int seals, struct cl_error *err)
{
    enum { CLOEXEC = 1, ALLOW_SEALING = 2 };
    CL_CLEANUP_FD int fd = cl_sys_memfd_create(name, CLOEXEC | ALLOW_SEALING);
    int r = fd < 0 ? fd : cl_sys_ftruncate(fd, (off_t)size);

    if (r >= 0)
        r = cl_sys_fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SEAL | seals);
    return r < 0 ? cl_fail(err, r, "make a file of memory") : CL_TAKE_FD(fd);
}

void cl_fd_raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

int cl_fd_guard_standard(struct cl_error *err)
{
    for (int fd = 0; fd <= 2; fd++) {
        int r = cl_sys_fcntl(fd, F_GETFD, 0);

        if (r >= 0)
            continue;
        if (r != -EBADF)
            return cl_fail(err, r, "look at descriptor %d", fd);
        int opened = cl_sys_openat(AT_FDCWD, "/dev/null", O_RDWR, 0);

        if (opened < 0)
            return cl_fail(err, opened, "open /dev/null in place of closed descriptor %d", fd);
        CL_ASSERT(opened == fd); /* the lowest free number */
    }
    return 0;
}
