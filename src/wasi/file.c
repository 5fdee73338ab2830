/* file.c - an open file's place, space and safety on the disk. */
#include <errno.h>

#include "base/sys.h"
#include "wasi/calls.h"
#include "wasi/path.h"

/* --- place --------------------------------------------------------------------------------- */

/* SPIPE of what has no place, whatever rights it has: programs try by that what they have. */
static uint32_t find_seekable(struct cl_wasi *wasi, uint64_t number,
                              struct cl_wasi_descriptor **ret)
{
    uint32_t r = cl_wasi_find(wasi, number, 0, ret);

    if (r != CL_WASI_SUCCESS)
        return r;
    switch ((*ret)->type) {
    case CL_WASI_TYPE_UNKNOWN: /* a FIFO */
    case CL_WASI_TYPE_SOCKET_DGRAM:
    case CL_WASI_TYPE_SOCKET_STREAM:
        return CL_WASI_SPIPE;
    default:
        return (*ret)->is_terminal ? CL_WASI_SPIPE : CL_WASI_SUCCESS;
    }
}

static uint32_t seek(const struct cl_wasi_descriptor *descriptor, off_t offset, int whence,
                     uint8_t *ret)
{
    off_t place = 0;

    if (ret == NULL)
        return CL_WASI_FAULT;
    if (descriptor->host >= 0)
        place = cl_sys_lseek(descriptor->host, offset, whence);
    if (place < 0)
        return cl_wasi_errno(place);
    cl_wasi_store64(ret, (uint64_t)place);
    return CL_WASI_SUCCESS;
}

/* The right to seek is one to tell too. */
static int may_tell(const struct cl_wasi_descriptor *descriptor)
{
    return (descriptor->base & (CL_WASI_RIGHT_FD_SEEK | CL_WASI_RIGHT_FD_TELL)) != 0;
}

/* fd_seek(fd, offset, whence, ret_offset) */
CL_WASI_CALL(fd_seek)
{
    static const int whences[] = {
        [CL_WASI_WHENCE_SET] = SEEK_SET,
        [CL_WASI_WHENCE_CUR] = SEEK_CUR,
        [CL_WASI_WHENCE_END] = SEEK_END,
    };
    const off_t offset = (off_t)arguments[1];
    struct cl_wasi_descriptor *descriptor = NULL;
    uint32_t r = find_seekable(wasi, arguments[0], &descriptor);

    if (r != CL_WASI_SUCCESS)
        return r;
    if (arguments[2] >= CL_ARRAY_SIZE(whences))
        return CL_WASI_INVAL;
    const int only_tells = arguments[2] == CL_WASI_WHENCE_CUR && offset == 0;
    if (only_tells ? !may_tell(descriptor) : (descriptor->base & CL_WASI_RIGHT_FD_SEEK) == 0)
        return CL_WASI_NOTCAPABLE;
    return seek(descriptor, offset, whences[arguments[2]],
                cl_wasi_at(memory, arguments[3], sizeof(uint64_t)));
}

/* fd_tell(fd, ret_offset) */
CL_WASI_CALL(fd_tell)
{
    struct cl_wasi_descriptor *descriptor = NULL;
    uint32_t r = find_seekable(wasi, arguments[0], &descriptor);

    if (r != CL_WASI_SUCCESS)
        return r;
    if (!may_tell(descriptor))
        return CL_WASI_NOTCAPABLE;
    return seek(descriptor, 0, SEEK_CUR, cl_wasi_at(memory, arguments[1], sizeof(uint64_t)));
}

/* --- space --------------------------------------------------------------------------------- */

/* fd_advise(fd, offset, len, advice) */
CL_WASI_CALL(fd_advise)
{
    static const int advices[] = {POSIX_FADV_NORMAL,   POSIX_FADV_SEQUENTIAL, POSIX_FADV_RANDOM,
                                  POSIX_FADV_WILLNEED, POSIX_FADV_DONTNEED,   POSIX_FADV_NOREUSE};
    struct cl_wasi_descriptor *descriptor = NULL;
    uint32_t r = cl_wasi_find(wasi, arguments[0], CL_WASI_RIGHT_FD_ADVISE, &descriptor);

    if (r != CL_WASI_SUCCESS)
        return r;
    if (arguments[1] > INT64_MAX || arguments[2] > INT64_MAX ||
        arguments[3] >= CL_ARRAY_SIZE(advices))
        return CL_WASI_INVAL;
    if (descriptor->host < 0)
        return CL_WASI_SUCCESS;
    return cl_wasi_errno(cl_sys_fadvise(descriptor->host, (off_t)arguments[1], (off_t)arguments[2],
                                        advices[arguments[3]]));
}

/* fd_allocate(fd, offset, len) */
CL_WASI_CALL(fd_allocate)
{
    struct cl_wasi_descriptor *descriptor = NULL;
    uint32_t r = cl_wasi_find(wasi, arguments[0], CL_WASI_RIGHT_FD_ALLOCATE, &descriptor);

    if (r != CL_WASI_SUCCESS)
        return r;
    if (arguments[1] > INT64_MAX || arguments[2] > INT64_MAX)
        return CL_WASI_INVAL;
    if (descriptor->host < 0)
        return CL_WASI_NODEV;
    return cl_wasi_errno(
        cl_sys_fallocate(descriptor->host, (off_t)arguments[1], (off_t)arguments[2]));
}

/* --- safety -------------------------------------------------------------------------------- */

static uint32_t synchronize(struct cl_wasi *wasi, uint64_t number, uint64_t right,
                            int (*call)(int fd))
{
    struct cl_wasi_descriptor *descriptor = NULL;
    uint32_t r = cl_wasi_find(wasi, number, right, &descriptor);

    if (r == CL_WASI_SUCCESS && descriptor->host < 0)
        r = CL_WASI_INVAL;
    if (r == CL_WASI_SUCCESS)
        r = cl_wasi_open_for_reading(descriptor);
    return r != CL_WASI_SUCCESS ? r : cl_wasi_errno(call(descriptor->host));
}

/* fd_datasync(fd) */
CL_WASI_CALL(fd_datasync)
{
    return synchronize(wasi, arguments[0], CL_WASI_RIGHT_FD_DATASYNC, cl_sys_fdatasync);
}

/* fd_sync(fd) */
CL_WASI_CALL(fd_sync)
{
    return synchronize(wasi, arguments[0], CL_WASI_RIGHT_FD_SYNC, cl_sys_fsync);
}
