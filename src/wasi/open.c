/* open.c - path_open: a path, rights and flags become a descriptor. */
#include <errno.h>
#include <linux/magic.h>

#include "base/fd.h"
#include "base/sys.h"
#include "wasi/calls.h"
#include "wasi/path.h"
#include "wasi/rights.h"

/* path_open(fd, dirflags, path, path_len, oflags, base, inheriting, fdflags, ret_fd) */
struct request {
    const struct cl_wasi_descriptor *directory;
    uint64_t base, inheriting; /* what is asked for and given by the directory */
    uint64_t oflags, fdflags;
};

/* What the directory has to have itself for these flags, and has to hand on. */
static uint64_t needed_base(const struct request *request)
{
    uint64_t needed = CL_WASI_RIGHT_PATH_OPEN;

    if ((request->oflags & CL_WASI_CREAT) != 0)
        needed |= CL_WASI_RIGHT_PATH_CREATE_FILE;
    if ((request->oflags & CL_WASI_TRUNC) != 0)
        needed |= CL_WASI_RIGHT_PATH_FILESTAT_SET_SIZE;
    return needed;
}

static uint64_t needed_inheriting(const struct request *request)
{
    uint64_t needed = 0;

    if ((request->fdflags & CL_WASI_DSYNC) != 0)
        needed |= CL_WASI_RIGHT_FD_DATASYNC;
    if ((request->fdflags & (CL_WASI_RSYNC | CL_WASI_SYNC)) != 0)
        needed |= CL_WASI_RIGHT_FD_SYNC;
    return needed;
}

/* Which are of use to those who write. */
static const uint64_t writers_rights =
    CL_WASI_RIGHT_FD_ALLOCATE | CL_WASI_RIGHT_FD_FILESTAT_SET_SIZE;

/* The right to write decides. Go asks for the one to set a size with every file that it reads,
 * which must not fail for that where nothing can be written. */
static int access_mode(const struct request *request)
{
    const int reads = (request->base & (CL_WASI_RIGHT_FD_READ | CL_WASI_RIGHT_FD_READDIR)) != 0;
    const uint64_t to_write = CL_WASI_RIGHT_FD_WRITE | (reads ? 0 : writers_rights);

    if ((request->base & to_write) == 0 && (request->oflags & CL_WASI_TRUNC) == 0)
        return O_RDONLY;
    return reads ? O_RDWR : O_WRONLY;
}

/* Of open(2). O_NONBLOCK: neither a FIFO nor a device makes anybody wait. */
static int host_flags(const struct request *request)
{
    int flags = O_NONBLOCK | O_NOCTTY | access_mode(request);

    if ((request->oflags & CL_WASI_CREAT) != 0)
        flags |= O_CREAT;
    if ((request->oflags & CL_WASI_DIRECTORY) != 0)
        flags |= O_DIRECTORY;
    if ((request->oflags & CL_WASI_EXCL) != 0)
        flags |= O_EXCL;
    if ((request->oflags & CL_WASI_TRUNC) != 0)
        flags |= O_TRUNC;
    if ((request->fdflags & CL_WASI_APPEND) != 0)
        flags |= O_APPEND;
    if ((request->fdflags & CL_WASI_DSYNC) != 0)
        flags |= O_DSYNC;
    if ((request->fdflags & (CL_WASI_RSYNC | CL_WASI_SYNC)) != 0)
        flags |= O_SYNC;
    return flags;
}

static uint32_t check(const struct request *request)
{
    const uint64_t both = CL_WASI_CREAT | CL_WASI_DIRECTORY;

    if ((request->oflags & ~(uint64_t)CL_WASI_OFLAGS) != 0 ||
        (request->fdflags & ~(uint64_t)CL_WASI_FDFLAGS) != 0)
        return CL_WASI_INVAL;
    if ((request->oflags & both) == both) /* which older kernels take for a file */
        return CL_WASI_INVAL;
    const uint64_t base = needed_base(request);
    const uint64_t inheriting = needed_inheriting(request);
    if ((request->directory->base & base) != base ||
        (request->directory->inheriting & inheriting) != inheriting)
        return CL_WASI_NOTCAPABLE;
    return CL_WASI_SUCCESS;
}

/* Whoever can open what procfs says of this process can read and write its memory, and a block
 * device has the files of others. No preopen should have either; both are cheap to tell. */
static uint32_t check_opened(const struct request *request, const struct cl_wasi_descriptor *opened)
{
    struct statfs fs = {0};

    if (opened->type == CL_WASI_TYPE_BLOCK_DEVICE)
        return CL_WASI_ACCES;
    if (opened->device == request->directory->device)
        return CL_WASI_SUCCESS;
    int r = cl_sys_fstatfs(opened->host, &fs);
    if (r < 0)
        return cl_wasi_errno(r);
    return fs.f_type == PROC_SUPER_MAGIC ? CL_WASI_ACCES : CL_WASI_SUCCESS;
}

static void dress(const struct request *request, struct cl_wasi_descriptor *opened)
{
    opened->flags = (uint16_t)request->fdflags;
    opened->base = request->base & cl_wasi_rights_that_apply(opened);
    if (access_mode(request) == O_RDONLY)
        opened->base &= ~writers_rights;
    if (opened->type != CL_WASI_TYPE_DIRECTORY)
        return;
    opened->inheriting = request->inheriting;
    /* Go has a directory to make files in opened without the right to cut them short, and makes
     * them by calls that want it (os.Root). Other engines don't look. */
    if ((opened->base & CL_WASI_RIGHT_PATH_CREATE_FILE) != 0)
        opened->base |= CL_WASI_RIGHT_PATH_FILESTAT_SET_SIZE & request->directory->inheriting;
}

static uint32_t open_path(struct cl_wasi *wasi, const struct request *request, int lookup,
                          struct cl_wasi_descriptor *ret)
{
    uint32_t r = cl_wasi_open_beneath(request->directory->host, wasi->paths[0],
                                      host_flags(request) | lookup, &ret->host);

    if (r != CL_WASI_SUCCESS)
        return r;
    int described = cl_wasi_describe(ret);
    if (described < 0)
        return cl_wasi_errno(described);
    r = check_opened(request, ret);
    if (r == CL_WASI_SUCCESS)
        dress(request, ret);
    return r;
}

CL_WASI_CALL(path_open)
{
    CL_CLEANUP(cl_wasi_close) struct cl_wasi_descriptor opened = CL_WASI_NO_DESCRIPTOR;
    struct cl_wasi_descriptor *directory = NULL;
    uint8_t *ret = cl_wasi_at(memory, arguments[8], 4);
    int lookup = 0;
    uint32_t r = cl_wasi_find_directory(wasi, arguments[0], 0, &directory);

    if (r != CL_WASI_SUCCESS)
        return r;
    struct request request = {
        .directory = directory,
        .base = arguments[5] & directory->inheriting,
        .inheriting = arguments[6] & directory->inheriting,
        .oflags = arguments[4],
        .fdflags = arguments[7],
    };
    r = check(&request);
    if (r == CL_WASI_SUCCESS)
        r = cl_wasi_lookup(arguments[1], &lookup);
    if (r == CL_WASI_SUCCESS)
        r = cl_wasi_take_path(wasi, memory, 0, arguments + 2);
    if (r == CL_WASI_SUCCESS && ret == NULL)
        r = CL_WASI_FAULT;
    if (r == CL_WASI_SUCCESS)
        r = cl_wasi_make_room(wasi);
    if (r != CL_WASI_SUCCESS)
        return r;
    request.directory = &wasi->descriptors[arguments[0]]; /* which room may have moved */
    r = open_path(wasi, &request, lookup, &opened);
    if (r == CL_WASI_SUCCESS)
        cl_wasi_store32(ret, cl_wasi_add(wasi, &opened));
    return r;
}
