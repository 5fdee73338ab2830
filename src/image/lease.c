#include "image/lease.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "base/dir.h"
#include "base/fd.h"
#include "base/sys.h"

void cl_lease_done(struct cl_lease *lease)
{
    if (lease->fd >= 0)
        (void)cl_sys_unlinkat(lease->dir, lease->name, 0); /* the next collection does it */
    cl_fd_close(&lease->fd);
    cl_fd_close(&lease->dir);
}

static int write_lease(struct cl_lease *lease, const struct cl_digest *chains, size_t count)
{
    lease->fd = cl_sys_openat(lease->dir, lease->name, O_RDWR | O_CREAT | O_EXCL, 0600);
    int r = lease->fd < 0 ? lease->fd : cl_sys_flock(lease->fd, LOCK_EX | LOCK_NB);

    for (size_t i = 0; r == 0 && i < count; i++)
        r = cl_write_all(lease->fd, chains[i].hex, sizeof(chains[i].hex));
    return r;
}

int cl_lease_take(const struct cl_store *store, const struct cl_digest *chains, size_t count,
                  struct cl_lease *ret, struct cl_error *err)
{
    CL_CLEANUP(cl_lease_done) struct cl_lease lease = CL_LEASE_INIT;
    uint64_t random = 0;
    CL_CLEANUP_FD int collect =
        cl_store_lock(store, CL_STORE_COLLECT, NULL, CL_LOCK_SHARED | CL_LOCK_WAIT);

    if (collect < 0)
        return cl_fail(err, collect, "lock %s", store->path);
    if (cl_sys_getrandom(&random, sizeof(random)) < 0)
        return cl_fail(err, EIO, "getrandom");
    (void)snprintf(lease.name, sizeof(lease.name), "%016llx", (unsigned long long)random);
    lease.dir = cl_sys_openat(store->dir, "leases", O_RDONLY | O_DIRECTORY, 0);
    int r = lease.dir < 0 ? lease.dir : write_lease(&lease, chains, count);
    if (r < 0) {
        (void)cl_fail(err, r, "make a lease in %s", store->path);
        return cl_store_hint(store, r, err);
    }
    *ret = lease;
    lease = CL_LEASE_INIT;
    return 0;
}

/* 1: it was nobody's, and is gone. */
static int drop_if_left(int dir, const char *name, int fd)
{
    if (cl_sys_flock(fd, LOCK_EX | LOCK_NB) < 0)
        return 0;
    (void)cl_sys_unlinkat(dir, name, 0); /* the next collection tries again */
    return 1;
}

static int read_lease(int dir, const char *name, struct cl_buf *ret)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    struct cl_digest chain;
    ssize_t got = 0;
    int r = 0;

    if (fd < 0)
        return fd == -ENOENT ? 0 : fd;
    if (drop_if_left(dir, name, fd))
        return 0;
    while (r == 0 &&
           (got = cl_sys_read(fd, chain.hex, sizeof(chain.hex))) == (ssize_t)sizeof(chain.hex))
        r = cl_buf_add(ret, &chain, sizeof(chain));
    return got < 0 ? (int)got : r;
}

int cl_leases_read(const struct cl_store *store, struct cl_buf *ret, struct cl_error *err)
{
    CL_CLEANUP_FD int dir = cl_sys_openat(store->dir, "leases", O_RDONLY | O_DIRECTORY, 0);
    struct cl_dir entries;
    const char *name;
    int r = dir;

    if (dir >= 0)
        cl_dir_start(&entries, dir);
    while (r >= 0 && (r = cl_dir_next(&entries, &name, NULL)) > 0)
        r = read_lease(dir, name, ret);
    return r < 0 ? cl_fail(err, r, "read the leases in %s", store->path) : 0;
}
