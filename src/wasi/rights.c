#include "wasi/rights.h"

#define R(name) CL_WASI_RIGHT_##name

/* fsync(2) of a directory makes its names last. */
#define SHARED                                                                                     \
    (R(FD_DATASYNC) | R(FD_FDSTAT_SET_FLAGS) | R(FD_SYNC) | R(FD_FILESTAT_GET) |                   \
     R(FD_FILESTAT_SET_TIMES))

#define DIRECTORY_ONLY                                                                             \
    (R(PATH_CREATE_DIRECTORY) | R(PATH_CREATE_FILE) | R(PATH_LINK_SOURCE) | R(PATH_LINK_TARGET) |  \
     R(PATH_OPEN) | R(FD_READDIR) | R(PATH_READLINK) | R(PATH_RENAME_SOURCE) |                     \
     R(PATH_RENAME_TARGET) | R(PATH_FILESTAT_GET) | R(PATH_FILESTAT_SET_SIZE) |                    \
     R(PATH_FILESTAT_SET_TIMES) | R(PATH_SYMLINK) | R(PATH_REMOVE_DIRECTORY) |                     \
     R(PATH_UNLINK_FILE))

/* A directory has no place to seek to and no bytes: libraries tell by that what it is not. */
#define FILE_ONLY                                                                                  \
    (R(FD_READ) | R(FD_SEEK) | R(FD_TELL) | R(FD_WRITE) | R(FD_ADVISE) | R(FD_ALLOCATE) |          \
     R(FD_FILESTAT_SET_SIZE) | R(POLL_FD_READWRITE))

#define FILE_RIGHTS (SHARED | FILE_ONLY)
#define DIRECTORY_RIGHTS (SHARED | DIRECTORY_ONLY)

#define SOCKET_RIGHTS                                                                              \
    (R(FD_READ) | R(FD_FDSTAT_SET_FLAGS) | R(FD_WRITE) | R(FD_FILESTAT_GET) |                      \
     R(POLL_FD_READWRITE) | R(SOCK_SHUTDOWN) | R(SOCK_ACCEPT))

const uint64_t cl_wasi_rights_of_directories = DIRECTORY_RIGHTS;
const uint64_t cl_wasi_rights_inherited = SHARED | DIRECTORY_ONLY | FILE_ONLY;

const uint64_t cl_wasi_rights_to_write =
    R(FD_WRITE) | R(FD_ALLOCATE) | R(PATH_CREATE_DIRECTORY) | R(PATH_CREATE_FILE) |
    R(PATH_LINK_SOURCE) | R(PATH_LINK_TARGET) | R(PATH_RENAME_SOURCE) | R(PATH_RENAME_TARGET) |
    R(PATH_FILESTAT_SET_SIZE) | R(PATH_FILESTAT_SET_TIMES) | R(FD_FILESTAT_SET_SIZE) |
    R(FD_FILESTAT_SET_TIMES) | R(PATH_SYMLINK) | R(PATH_REMOVE_DIRECTORY) | R(PATH_UNLINK_FILE);

uint64_t cl_wasi_rights_that_apply(const struct cl_wasi_descriptor *descriptor)
{
    switch (descriptor->type) {
    case CL_WASI_TYPE_DIRECTORY:
        return DIRECTORY_RIGHTS;
    case CL_WASI_TYPE_SOCKET_DGRAM:
    case CL_WASI_TYPE_SOCKET_STREAM:
        return SOCKET_RIGHTS;
    default:
        break;
    }
    /* wasi-libc's isatty() is a character device that can't seek */
    return descriptor->is_terminal ? FILE_RIGHTS & ~(R(FD_SEEK) | R(FD_TELL)) : FILE_RIGHTS;
}
