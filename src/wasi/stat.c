/* stat.c - what is known of a file, its size and its times. */
#include <errno.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"
#include "wasi/calls.h"
#include "wasi/path.h"

/* --- what is known ------------------------------------------------------------------------- */

static uint8_t type_of(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFBLK:
        return CL_WASI_TYPE_BLOCK_DEVICE;
    case S_IFCHR:
        return CL_WASI_TYPE_CHARACTER_DEVICE;
    case S_IFDIR:
        return CL_WASI_TYPE_DIRECTORY;
    case S_IFLNK:
        return CL_WASI_TYPE_SYMBOLIC_LINK;
    case S_IFREG:
        return CL_WASI_TYPE_REGULAR_FILE;
    case S_IFSOCK:
        return CL_WASI_TYPE_SOCKET_STREAM;
    default:
        return CL_WASI_TYPE_UNKNOWN;
    }
}

/* The specification's times begin in 1970 and end in 2554. */
static uint64_t timestamp(const struct timespec *time)
{
    if (time->tv_sec < 0)
        return 0;
    const uint64_t seconds = (uint64_t)time->tv_sec;
    if (seconds >= UINT64_MAX / CL_NS_PER_S)
        return UINT64_MAX;
    return seconds * CL_NS_PER_S + (uint64_t)time->tv_nsec;
}

static void give(uint8_t *ret, const struct stat *st, uint8_t type)
{
    memset(ret, 0, CL_WASI_FILESTAT_SIZE);
    cl_wasi_store64(ret, (uint64_t)st->st_dev);
    cl_wasi_store64(ret + 8, (uint64_t)st->st_ino);
    ret[16] = type;
    cl_wasi_store64(ret + 24, (uint64_t)st->st_nlink);
    cl_wasi_store64(ret + 32, (uint64_t)st->st_size);
    cl_wasi_store64(ret + 40, timestamp(&st->st_atim));
    cl_wasi_store64(ret + 48, timestamp(&st->st_mtim));
    cl_wasi_store64(ret + 56, timestamp(&st->st_ctim));
}

/* fd_filestat_get(fd, ret_filestat) */
CL_WASI_CALL(fd_filestat_get)
{
    struct cl_wasi_descriptor *descriptor = NULL;
    struct stat st = {0};
    uint8_t *ret = cl_wasi_at(memory, arguments[1], CL_WASI_FILESTAT_SIZE);
    uint32_t r = cl_wasi_find(wasi, arguments[0], CL_WASI_RIGHT_FD_FILESTAT_GET, &descriptor);

    if (r == CL_WASI_SUCCESS && ret == NULL)
        r = CL_WASI_FAULT;
    if (r == CL_WASI_SUCCESS && descriptor->host >= 0)
        r = cl_wasi_errno(cl_sys_fstat(descriptor->host, &st));
    if (r == CL_WASI_SUCCESS)
        give(ret, &st, descriptor->type);
    return r;
}

/* A path as the calls below have it: fd, lookupflags, pointer, length. */
static uint32_t open_path(struct cl_wasi *wasi, const struct cl_wasi_memory *memory,
                          const uint64_t *arguments, uint64_t right, int *ret_fd)
{
    struct cl_wasi_descriptor *directory = NULL;
    int lookup = 0;
    uint32_t r = cl_wasi_find_directory(wasi, arguments[0], right, &directory);

    if (r == CL_WASI_SUCCESS)
        r = cl_wasi_lookup(arguments[1], &lookup);
    if (r == CL_WASI_SUCCESS)
        r = cl_wasi_take_path(wasi, memory, 0, arguments + 2);
    if (r == CL_WASI_SUCCESS)
        r = cl_wasi_open_beneath(directory->host, wasi->paths[0], O_PATH | lookup, ret_fd);
    return r;
}

/* path_filestat_get(fd, flags, path, path_len, ret_filestat) */
CL_WASI_CALL(path_filestat_get)
{
    CL_CLEANUP_FD int fd = -1;
    struct stat st = {0};
    uint8_t *ret = cl_wasi_at(memory, arguments[4], CL_WASI_FILESTAT_SIZE);
    uint32_t r = open_path(wasi, memory, arguments, CL_WASI_RIGHT_PATH_FILESTAT_GET, &fd);

    if (r == CL_WASI_SUCCESS && ret == NULL)
        r = CL_WASI_FAULT;
    if (r == CL_WASI_SUCCESS)
        r = cl_wasi_errno(cl_sys_fstat(fd, &st));
    if (r == CL_WASI_SUCCESS)
        give(ret, &st, type_of(st.st_mode));
    return r;
}

/* --- size ---------------------------------------------------------------------------------- */

/* fd_filestat_set_size(fd, size) */
CL_WASI_CALL(fd_filestat_set_size)
{
    struct cl_wasi_descriptor *descriptor = NULL;
    uint32_t r = cl_wasi_find(wasi, arguments[0], CL_WASI_RIGHT_FD_FILESTAT_SET_SIZE, &descriptor);

    if (r != CL_WASI_SUCCESS)
        return r;
    if (descriptor->host < 0 || arguments[1] > INT64_MAX)
        return CL_WASI_INVAL;
    return cl_wasi_errno(cl_sys_ftruncate(descriptor->host, (off_t)arguments[1]));
}

/* --- times --------------------------------------------------------------------------------- */

static struct timespec one_time(uint64_t timestamp, int is_given, int is_now)
{
    if (is_now)
        return (struct timespec){.tv_nsec = UTIME_NOW};
    if (!is_given)
        return (struct timespec){.tv_nsec = UTIME_OMIT};
    return (struct timespec){.tv_sec = (time_t)(timestamp / CL_NS_PER_S),
                             .tv_nsec = (long)(timestamp % CL_NS_PER_S)};
}

/* TIMES: of access, of change, fstflags. */
static uint32_t take_times(const uint64_t times[3], struct timespec ret[2])
{
    const uint64_t flags = times[2];
    const uint64_t access = CL_WASI_ATIM | CL_WASI_ATIM_NOW;
    const uint64_t change = CL_WASI_MTIM | CL_WASI_MTIM_NOW;

    if ((flags & ~(uint64_t)CL_WASI_FSTFLAGS) != 0 || (flags & access) == access ||
        (flags & change) == change)
        return CL_WASI_INVAL;
    ret[0] = one_time(times[0], (flags & CL_WASI_ATIM) != 0, (flags & CL_WASI_ATIM_NOW) != 0);
    ret[1] = one_time(times[1], (flags & CL_WASI_MTIM) != 0, (flags & CL_WASI_MTIM_NOW) != 0);
    return CL_WASI_SUCCESS;
}

/* With AT_EMPTY_PATH (Linux 5.8) it may be any descriptor, one of a link too. */
static uint32_t set_times(int fd, const struct timespec times[2])
{
    return cl_wasi_errno(cl_sys_utimensat(fd, "", times, AT_EMPTY_PATH));
}

/* fd_filestat_set_times(fd, atim, mtim, fst_flags) */
CL_WASI_CALL(fd_filestat_set_times)
{
    struct cl_wasi_descriptor *descriptor = NULL;
    struct timespec times[2];
    uint32_t r = cl_wasi_find(wasi, arguments[0], CL_WASI_RIGHT_FD_FILESTAT_SET_TIMES, &descriptor);

    if (r == CL_WASI_SUCCESS)
        r = take_times(arguments + 1, times);
    if (r != CL_WASI_SUCCESS)
        return r;
    if (descriptor->type == CL_WASI_TYPE_DIRECTORY)
        wasi->has_walked = 1; /* whoever has it next could look at them */
    return descriptor->host < 0 ? CL_WASI_PERM : set_times(descriptor->host, times);
}

/* path_filestat_set_times(fd, flags, path, path_len, atim, mtim, fst_flags) */
CL_WASI_CALL(path_filestat_set_times)
{
    CL_CLEANUP_FD int fd = -1;
    struct timespec times[2];
    uint32_t r = open_path(wasi, memory, arguments, CL_WASI_RIGHT_PATH_FILESTAT_SET_TIMES, &fd);

    if (r == CL_WASI_SUCCESS)
        r = take_times(arguments + 4, times);
    return r != CL_WASI_SUCCESS ? r : set_times(fd, times);
}
