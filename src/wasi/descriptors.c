/* descriptors.c - the table of a guest's descriptors, and what is asked of an entry alone. */
#include <errno.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/sys.h"
#include "wasi/calls.h"
#include "wasi/rights.h"

enum { LEAST_ROOM = 16 };

/* --- the table ----------------------------------------------------------------------------- */

uint32_t cl_wasi_find(struct cl_wasi *wasi, uint64_t number, uint64_t rights,
                      struct cl_wasi_descriptor **ret)
{
    if (number >= wasi->room || !wasi->descriptors[number].is_open)
        return CL_WASI_BADF;
    if ((wasi->descriptors[number].base & rights) != rights)
        return CL_WASI_NOTCAPABLE;
    *ret = &wasi->descriptors[number];
    return CL_WASI_SUCCESS;
}

uint32_t cl_wasi_find_directory(struct cl_wasi *wasi, uint64_t number, uint64_t rights,
                                struct cl_wasi_descriptor **ret)
{
    struct cl_wasi_descriptor *found = NULL;
    uint32_t r = cl_wasi_find(wasi, number, 0, &found);

    if (r != CL_WASI_SUCCESS)
        return r;
    if (found->type != CL_WASI_TYPE_DIRECTORY)
        return CL_WASI_NOTDIR;
    wasi->has_walked = 1;
    return cl_wasi_find(wasi, number, rights, ret);
}

static uint32_t lowest_free(const struct cl_wasi *wasi)
{
    uint32_t number = wasi->lowest_free;

    while (number < wasi->room && wasi->descriptors[number].is_open)
        number++;
    return number;
}

uint32_t cl_wasi_make_room(struct cl_wasi *wasi)
{
    wasi->lowest_free = lowest_free(wasi);
    if (wasi->lowest_free < wasi->room)
        return CL_WASI_SUCCESS;
    if (wasi->room >= wasi->max_descriptors)
        return CL_WASI_NFILE;
    const uint64_t wanted = cl_max_u64(LEAST_ROOM, 2ULL * wasi->room);
    const uint32_t room = (uint32_t)cl_min_u64(wanted, wasi->max_descriptors);
    struct cl_wasi_descriptor *more = cl_realloc(wasi->descriptors, room * sizeof(*more));
    if (more == NULL)
        return CL_WASI_NOMEM;
    wasi->descriptors = more;
    for (uint32_t i = wasi->room; i < room; i++)
        more[i] = (struct cl_wasi_descriptor)CL_WASI_NO_DESCRIPTOR;
    wasi->room = room;
    return CL_WASI_SUCCESS;
}

uint32_t cl_wasi_add(struct cl_wasi *wasi, struct cl_wasi_descriptor *descriptor)
{
    const uint32_t number = lowest_free(wasi);

    CL_ASSERT(number < wasi->room);
    wasi->descriptors[number] = *descriptor;
    wasi->descriptors[number].is_open = 1;
    *descriptor = (struct cl_wasi_descriptor)CL_WASI_NO_DESCRIPTOR;
    wasi->lowest_free = number + 1;
    return number;
}

void cl_wasi_close(struct cl_wasi_descriptor *descriptor)
{
    cl_fd_close(&descriptor->host);
    *descriptor = (struct cl_wasi_descriptor)CL_WASI_NO_DESCRIPTOR;
}

/* --- what one stands for ------------------------------------------------------------------- */

static int describe_socket(struct cl_wasi_descriptor *descriptor)
{
    int type = 0;
    socklen_t size = sizeof(type);
    int r = cl_sys_getsockopt(descriptor->host, SOL_SOCKET, SO_TYPE, &type, &size);

    if (r < 0)
        return r;
    descriptor->type = type == SOCK_DGRAM ? CL_WASI_TYPE_SOCKET_DGRAM : CL_WASI_TYPE_SOCKET_STREAM;
    return 0;
}

int cl_wasi_describe(struct cl_wasi_descriptor *descriptor)
{
    struct stat st = {0};
    struct termios terminal;
    int r = cl_sys_fstat(descriptor->host, &st);

    if (r < 0)
        return r;
    descriptor->device = (uint64_t)st.st_dev;
    if (S_ISSOCK(st.st_mode))
        return describe_socket(descriptor);
    if (S_ISREG(st.st_mode))
        descriptor->type = CL_WASI_TYPE_REGULAR_FILE;
    else if (S_ISDIR(st.st_mode))
        descriptor->type = CL_WASI_TYPE_DIRECTORY;
    else if (S_ISBLK(st.st_mode))
        descriptor->type = CL_WASI_TYPE_BLOCK_DEVICE;
    else if (S_ISCHR(st.st_mode))
        descriptor->type = CL_WASI_TYPE_CHARACTER_DEVICE;
    else
        descriptor->type = CL_WASI_TYPE_UNKNOWN; /* a FIFO: the specification has no such type */
    if (S_ISCHR(st.st_mode))
        descriptor->is_terminal = cl_sys_ioctl(descriptor->host, TCGETS, &terminal) == 0;
    return 0;
}

/* --- functions ----------------------------------------------------------------------------- */

/* fd_close(fd) */
CL_WASI_CALL(fd_close)
{
    const uint32_t number = (uint32_t)arguments[0];
    struct cl_wasi_descriptor *descriptor = NULL;
    uint32_t r = cl_wasi_find(wasi, number, 0, &descriptor);

    if (r != CL_WASI_SUCCESS)
        return r;
    cl_wasi_close(descriptor);
    wasi->lowest_free = (uint32_t)cl_min_u64(wasi->lowest_free, number);
    return CL_WASI_SUCCESS;
}

/* fd_renumber(fd, to): TO has to be open. A preopen takes its name along. */
CL_WASI_CALL(fd_renumber)
{
    const uint32_t number = (uint32_t)arguments[0];
    struct cl_wasi_descriptor *from = NULL;
    struct cl_wasi_descriptor *to = NULL;
    uint32_t r = cl_wasi_find(wasi, number, 0, &from);

    if (r == CL_WASI_SUCCESS)
        r = cl_wasi_find(wasi, (uint32_t)arguments[1], 0, &to);
    if (r != CL_WASI_SUCCESS || from == to)
        return r;
    cl_wasi_close(to);
    *to = *from;
    *from = (struct cl_wasi_descriptor)CL_WASI_NO_DESCRIPTOR;
    wasi->lowest_free = (uint32_t)cl_min_u64(wasi->lowest_free, number);
    return CL_WASI_SUCCESS;
}

/* fd_fdstat_get(fd, ret_fdstat) */
CL_WASI_CALL(fd_fdstat_get)
{
    struct cl_wasi_descriptor *descriptor = NULL;
    uint8_t *ret = cl_wasi_at(memory, arguments[1], CL_WASI_FDSTAT_SIZE);
    uint32_t r = cl_wasi_find(wasi, arguments[0], 0, &descriptor);

    if (r != CL_WASI_SUCCESS)
        return r;
    if (ret == NULL)
        return CL_WASI_FAULT;
    memset(ret, 0, CL_WASI_FDSTAT_SIZE);
    ret[0] = descriptor->type;
    cl_wasi_store16(ret + 2, descriptor->flags);
    cl_wasi_store64(ret + 8, descriptor->base);
    cl_wasi_store64(ret + 16, descriptor->inheriting);
    return CL_WASI_SUCCESS;
}

/* fd_fdstat_set_flags(fd, flags): the host knows of O_APPEND alone, since all that could block
 * doesn't in any case. How writes are synchronized can't be changed later. */
CL_WASI_CALL(fd_fdstat_set_flags)
{
    const uint32_t flags = (uint32_t)arguments[1];
    const uint32_t changeable = CL_WASI_APPEND | CL_WASI_NONBLOCK;
    struct cl_wasi_descriptor *descriptor = NULL;
    uint32_t r = cl_wasi_find(wasi, arguments[0], CL_WASI_RIGHT_FD_FDSTAT_SET_FLAGS, &descriptor);

    if (r != CL_WASI_SUCCESS)
        return r;
    if ((flags & ~(uint32_t)CL_WASI_FDFLAGS) != 0)
        return CL_WASI_INVAL;
    const uint32_t changed = flags ^ descriptor->flags;
    if ((changed & ~changeable) != 0)
        return CL_WASI_NOTSUP;
    if ((changed & CL_WASI_APPEND) != 0 && descriptor->host >= 0 && !descriptor->is_path) {
        const int host = O_NONBLOCK | ((flags & CL_WASI_APPEND) != 0 ? O_APPEND : 0);
        int set = cl_sys_fcntl(descriptor->host, F_SETFL, host);

        if (set < 0)
            return cl_wasi_errno(set);
    }
    descriptor->flags = (uint16_t)flags;
    return CL_WASI_SUCCESS;
}

/* fd_fdstat_set_rights(fd, base, inheriting) */
CL_WASI_CALL(fd_fdstat_set_rights)
{
    struct cl_wasi_descriptor *descriptor = NULL;
    uint32_t r = cl_wasi_find(wasi, arguments[0], 0, &descriptor);

    if (r != CL_WASI_SUCCESS)
        return r;
    if ((arguments[1] & ~descriptor->base) != 0 || (arguments[2] & ~descriptor->inheriting) != 0)
        return CL_WASI_NOTCAPABLE;
    descriptor->base = arguments[1];
    descriptor->inheriting = arguments[2];
    return CL_WASI_SUCCESS;
}

/* BADF for what is none: wasi-libc looks from 3 on until it is told that. */
static uint32_t find_preopen(struct cl_wasi *wasi, uint64_t number, struct cl_wasi_descriptor **ret)
{
    uint32_t r = cl_wasi_find(wasi, number, 0, ret);

    return r == CL_WASI_SUCCESS && (*ret)->preopen == NULL ? CL_WASI_BADF : r;
}

/* fd_prestat_get(fd, ret_prestat) */
CL_WASI_CALL(fd_prestat_get)
{
    struct cl_wasi_descriptor *descriptor = NULL;
    uint8_t *ret = cl_wasi_at(memory, arguments[1], CL_WASI_PRESTAT_SIZE);
    uint32_t r = find_preopen(wasi, arguments[0], &descriptor);

    if (r != CL_WASI_SUCCESS)
        return r;
    if (ret == NULL)
        return CL_WASI_FAULT;
    cl_wasi_store32(ret, 0); /* a directory */
    cl_wasi_store32(ret + 4, (uint32_t)strlen(descriptor->preopen));
    return CL_WASI_SUCCESS;
}

/* fd_prestat_dir_name(fd, path, path_len): without a NUL. */
CL_WASI_CALL(fd_prestat_dir_name)
{
    struct cl_wasi_descriptor *descriptor = NULL;
    uint8_t *path = cl_wasi_at(memory, arguments[1], arguments[2]);
    uint32_t r = find_preopen(wasi, arguments[0], &descriptor);

    if (r != CL_WASI_SUCCESS)
        return r;
    if (path == NULL)
        return CL_WASI_FAULT;
    const size_t length = strlen(descriptor->preopen);
    if (arguments[2] < length)
        return CL_WASI_NAMETOOLONG;
    memcpy(path, descriptor->preopen, length);
    return CL_WASI_SUCCESS;
}
