#include "module/cache.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"
#include "plan/compile_cache.h"

enum { NAME_SIZE = 32, USE_S = 3600 };

static const char no_tenant[] = "_";

/* A tenant's name, which plan/decide_identity.c has checked, is no path and no name of ours. */
static int is_name(const char *tenant)
{
    return tenant[0] != '\0' && tenant[0] != '.' && tenant[0] != '_' && strchr(tenant, '/') == NULL;
}

/* Whether it is ours alone. */
static int check_owner(int fd, mode_t type, mode_t forbidden, struct stat *ret)
{
    int r = cl_sys_fstat(fd, ret);

    if (r < 0)
        return r;
    if ((ret->st_mode & S_IFMT) != type || ret->st_uid != geteuid() ||
        (ret->st_mode & forbidden) != 0)
        return -EPERM;
    return type == S_IFREG && (ret->st_nlink != 1 || ret->st_size <= 0) ? -EPERM : 0;
}

/* A file from the future, by a clock that was wrong, is used now, too. */
static void note_use(int fd, const struct stat *status)
{
    const time_t now = (time_t)(cl_clock_wall_ns() / CL_NS_PER_S);

    if (status->st_mtim.tv_sec < now - USE_S || status->st_mtim.tv_sec > now + USE_S)
        (void)cl_sys_futimens_now(fd); /* on what can't be written to nothing is collected either */
}

int cl_module_cache_enter(int all, const char *name)
{
    CL_CLEANUP_FD int cache = cl_sys_openat(all, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    struct stat status;

    if (cache < 0)
        return cache;
    int r = check_owner(cache, S_IFDIR, 077, &status);
    return r < 0 ? r : CL_TAKE_FD(cache);
}

int cl_module_cache_open(const char *dir, const char *tenant)
{
    const char *name = tenant != NULL ? tenant : no_tenant;

    if (tenant != NULL && !is_name(tenant))
        return -EINVAL;
    CL_CLEANUP_FD int all = cl_plan_cache_open(dir, CL_MODULE_CACHE);
    if (all < 0)
        return all;
    const int cache = cl_module_cache_enter(all, name);
    if (cache != -ENOENT)
        return cache;
    (void)cl_sys_mkdirat(all, name, 0700); /* a failure shows when it is opened */
    return cl_module_cache_enter(all, name);
}

int cl_module_cache_find(int cache, const struct cl_module_key *key)
{
    CL_CLEANUP_FD int fd =
        cl_sys_openat(cache, key->hex, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
    struct stat status;

    if (fd < 0)
        return fd;
    int r = check_owner(fd, S_IFREG, 0377, &status);
    if (r < 0)
        return r;
    note_use(fd, &status);
    return CL_TAKE_FD(fd);
}

static int copy(int to, int from, uint64_t size)
{
    int r = (int)cl_sys_lseek(from, 0, SEEK_SET);

    while (r >= 0 && size > 0) {
        ssize_t put = cl_sys_sendfile(to, from, size);

        if (put == -EINTR)
            continue;
        if (put <= 0)
            return put < 0 ? (int)put : -EBADMSG;
        size -= (uint64_t)put;
    }
    return r;
}

/* Writes a new file of that name, whole and on the disk. */
static int write_new(int cache, const char *name, int code, uint64_t size)
{
    CL_CLEANUP_FD int fd =
        cl_sys_openat(cache, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0400);
    int r = fd < 0 ? fd : copy(fd, code, size);

    return r < 0 ? r : cl_sys_fsync(fd);
}

int cl_module_cache_keep(int cache, const struct cl_module_key *key, int code, uint64_t size)
{
    char name[NAME_SIZE];
    uint64_t random = 0;

    if (cl_sys_getrandom(&random, sizeof(random)) < 0)
        return -EIO;
    (void)snprintf(name, sizeof(name), "new-%016llx", (unsigned long long)random);
    int r = write_new(cache, name, code, size);
    if (r >= 0)
        r = cl_sys_renameat(cache, name, cache, key->hex);
    if (r < 0)
        (void)cl_sys_unlinkat(cache, name, 0); /* it may not be there at all */
    return r < 0 ? r : 0;
}
