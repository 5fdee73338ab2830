/* The directory belongs to us alone, so a file in it says what we wrote; that it was
 * written whole is made sure by syncing before it gets its name, or by a name that no
 * later boot looks for. Entries are never changed, and when there are too many all are
 * dropped: making one costs a few milliseconds. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/dir.h"
#include "base/fd.h"
#include "base/sys.h"
#include "plan/compile_cache.h"
#include "plan/format.h"
#include "plan/spec.h"

enum { MAX_ENTRIES = 512, MAX_ENTRY = CL_SPEC_MAX_SIZE, PATH_SIZE = 4096, NAME_SIZE = 64 };
_Static_assert((int)MAX_ENTRY >= (int)CL_PLAN_MAX_SIZE, "each record has room");

/* Where the cache lies; -ENOENT when nothing says. */
static int choose_directory(const char *dir, const char *name, char path[PATH_SIZE])
{
    const char *base = dir;
    const char *below = "";

    if (dir == NULL && geteuid() == 0) {
        base = "/var/cache";
        below = "/cloister";
    } else if (dir == NULL) {
        base = getenv("XDG_CACHE_HOME"); // NOLINT(concurrency-mt-unsafe): single-threaded
        below = "/cloister";
        if (base == NULL || base[0] != '/') {
            base = getenv("HOME"); // NOLINT(concurrency-mt-unsafe)
            below = "/.cache/cloister";
        }
    }
    if (base == NULL || base[0] != '/')
        return -ENOENT;
    int size = snprintf(path, PATH_SIZE, "%s%s/%s", base, below, name);
    return size < 0 || size >= PATH_SIZE ? -ENAMETOOLONG : 0;
}

static int open_directory(const char *path)
{
    return cl_sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
}

/* Makes PATH and up to two directories above it. A failure shows when it is opened. */
static void make_directories(char path[PATH_SIZE])
{
    char *cut[2] = {NULL, NULL};

    for (size_t i = 0; i < CL_ARRAY_SIZE(cut); i++) {
        cut[i] = strrchr(path, '/');
        if (cut[i] == path || cut[i] == NULL) {
            cut[i] = NULL;
            break;
        }
        *cut[i] = '\0';
    }
    (void)cl_sys_mkdirat(AT_FDCWD, path, 0700);
    for (size_t i = CL_ARRAY_SIZE(cut); i-- > 0;) {
        if (cut[i] == NULL)
            continue;
        *cut[i] = '/';
        (void)cl_sys_mkdirat(AT_FDCWD, path, 0700);
    }
}

int cl_plan_cache_open(const char *dir, const char *name)
{
    char path[PATH_SIZE];
    struct stat status;
    int r = choose_directory(dir, name, path);

    if (r < 0)
        return r;
    CL_CLEANUP_FD int cache = open_directory(path);
    if (cache == -ENOENT) {
        make_directories(path);
        cache = open_directory(path);
    }
    if (cache < 0)
        return cache;
    r = cl_sys_fstat(cache, &status);
    if (r < 0)
        return r;
    if (status.st_uid != geteuid() || (status.st_mode & 022) != 0)
        return -EPERM;
    return CL_TAKE_FD(cache);
}

/* Reads SIZE bytes, no less. */
static int read_exactly(int fd, char *data, size_t size)
{
    while (size > 0) {
        ssize_t got = cl_sys_read(fd, data, size);

        if (got == -EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? (int)got : -EBADMSG;
        data += got;
        size -= (size_t)got;
    }
    return 0;
}

int cl_plan_cache_load(int cache, const char *key, struct cl_arena *arena, struct cl_bytes *ret)
{
    CL_CLEANUP_FD int fd =
        cl_sys_openat(cache, key, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
    struct stat status;

    if (fd < 0)
        return fd;
    int r = cl_sys_fstat(fd, &status);
    if (r < 0)
        return r;
    if (!S_ISREG(status.st_mode) || status.st_uid != geteuid() || status.st_size <= 0 ||
        status.st_size > MAX_ENTRY)
        return -EBADMSG;
    char *data = cl_arena_alloc(arena, (size_t)status.st_size);
    if (data == NULL)
        return -ENOMEM;
    r = read_exactly(fd, data, (size_t)status.st_size);
    if (r == 0)
        *ret = (struct cl_bytes){data, (size_t)status.st_size};
    return r;
}

/* Looks at every entry: counts them, or removes them too. */
static size_t walk_entries(int cache, int remove)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(cache, ".", O_RDONLY | O_DIRECTORY, 0);
    struct cl_dir entries;
    const char *name;
    size_t count = 0;

    cl_dir_start(&entries, fd);
    while (fd >= 0 && cl_dir_next(&entries, &name, NULL) > 0) {
        if (name[0] == '.')
            continue;
        count++;
        if (remove)
            (void)cl_sys_unlinkat(cache, name, 0); /* somebody else may be at it */
    }
    return count;
}

/* Writes the bytes to a new file of that name. */
static int write_new(int cache, const char *name, const struct cl_bytes *bytes,
                     enum cl_cache_life life)
{
    CL_CLEANUP_FD int fd =
        cl_sys_openat(cache, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);

    if (fd < 0)
        return fd;
    int r = cl_write_all(fd, bytes->data, bytes->size);
    return r < 0 || life == CL_CACHE_THIS_BOOT ? r : (int)CL_SYS1(SYS_fdatasync, fd);
}

int cl_plan_cache_store(int cache, const char *key, const struct cl_bytes *bytes,
                        enum cl_cache_life life)
{
    char name[NAME_SIZE];
    uint64_t random = 0;

    if (walk_entries(cache, 0) >= MAX_ENTRIES)
        (void)walk_entries(cache, 1);
    if (cl_sys_getrandom(&random, sizeof(random)) < 0)
        return -EIO;
    (void)snprintf(name, sizeof(name), "new-%016llx", (unsigned long long)random);
    int r = write_new(cache, name, bytes, life);
    if (r == 0)
        r = cl_sys_renameat(cache, name, cache, key);
    if (r < 0)
        (void)cl_sys_unlinkat(cache, name, 0); /* it may not be there at all */
    return r;
}
